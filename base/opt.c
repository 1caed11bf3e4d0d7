// SPDX-License-Identifier: GPL-2.0-only
/*
 * opt: the values of options: numbers with units, words, and key=value lists driven by a table.
 *
 * Runs on: main.
 */
#include "lkvm/opt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lkvm/log.h"

/* Digits only: strtoull() alone would also take " -1", "+1" and "". */
static const char *digits(const char *text, uint64_t *out)
{
	char *end;

	if (*text < '0' || *text > '9')
		return NULL;
	errno = 0;
	*out = strtoull(text, &end, 10);
	return errno ? NULL : end;
}

int opt_size(const char *what, const char *text, uint64_t unit, uint64_t *out)
{
	static const char suffixes[] = "KMGT";
	const char *end, *suffix;
	uint64_t n;

	end = digits(text, &n);
	if (!end)
		goto bad;
	if (*end) {
		suffix = strchr(suffixes, *end & ~0x20);
		if (!suffix || end[1])
			goto bad;
		unit = 1024ULL << (10 * (suffix - suffixes));
	}
	if (__builtin_mul_overflow(n, unit, out))
		goto bad;
	return 0;
bad:
	log_err(NULL, "%s: '%s' is not a size; write a number, with K, M, G or T if you like", what,
		text);
	return -EINVAL;
}

int opt_uint(const char *what, const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
	const char *end;
	uint64_t n;

	end = digits(text, &n);
	if (!end || *end || n < min || n > max) {
		log_err(NULL, "%s: '%s' is not a number from %llu to %llu", what, text,
			(unsigned long long)min, (unsigned long long)max);
		return -EINVAL;
	}
	*out = n;
	return 0;
}

int opt_bool(const char *what, const char *text, bool *out)
{
	static const char *const words[] = { "off", "on", "no", "yes", "false", "true", "0", "1" };

	for (unsigned i = 0; i < 8; i++)
		if (!strcmp(text, words[i])) {
			*out = i & 1;
			return 0;
		}
	log_err(NULL, "%s: '%s' is neither on nor off", what, text);
	return -EINVAL;
}

int opt_choice(const char *what, const char *text, const char *const *words, unsigned *out)
{
	char known[256] = "";

	for (unsigned i = 0; words[i]; i++) {
		if (!strcmp(text, words[i])) {
			*out = i;
			return 0;
		}
		if (i)
			strncat(known, ", ", sizeof(known) - strlen(known) - 1);
		strncat(known, words[i], sizeof(known) - strlen(known) - 1);
	}
	log_err(NULL, "%s: '%s' is not one of: %s", what, text, known);
	return -EINVAL;
}

int opt_mac(const char *what, const char *text, uint8_t mac[6])
{
	unsigned b[6];
	int n = 0;

	/* sscanf() alone would also take blanks and signs. */
	if (text[strspn(text, "0123456789abcdefABCDEF:")] ||
	    sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5],
		   &n) != 6 || text[n]) {
		log_err(NULL, "%s: '%s' is not a MAC address; write it as 52:54:00:12:34:56", what, text);
		return -EINVAL;
	}
	if (!(b[0] | b[1] | b[2] | b[3] | b[4] | b[5])) {
		log_err(NULL, "%s: all zero is nobody's address; leave mac= out to have one made up", what);
		return -EINVAL;
	}
	if (b[0] & 1) {
		log_err(NULL, "%s: %s is a multicast address (odd first byte); choose an even one", what,
			text);
		return -EINVAL;
	}
	for (unsigned i = 0; i < 6; i++)
		mac[i] = (uint8_t)b[i];
	return 0;
}

int opt_replace(char **at, const char *value)
{
	char *copy = strdup(value);

	if (!copy)
		return -ENOMEM;
	free(*at);
	*at = copy;
	return 0;
}

static int list_add(struct opt_list *list, char *item)
{
	char **grown = realloc(list->item, (list->n + 1) * sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	list->item = grown;
	list->item[list->n++] = item;
	return 0;
}

void opt_list_free(struct opt_list *list)
{
	for (unsigned i = 0; i < list->n; i++)
		free(list->item[i]);
	free(list->item);
	*list = (struct opt_list){ 0 };
}

static int store(const char *what, const struct opt_key *key, const char *val, void *dst)
{
	void *at = (char *)dst + key->at;
	char *copy;

	switch (key->kind) {
	case OPT_BOOL:
		return opt_bool(what, val, at);
	case OPT_UINT:
		return opt_uint(what, val, key->min, key->max, at);
	case OPT_SIZE:
		return opt_size(what, val, 1, at);
	case OPT_CHOICE:
		return opt_choice(what, val, key->words, at);
	case OPT_MAC:
		return opt_mac(what, val, at);
	case OPT_STRING:
	case OPT_LIST:
	case OPT_FEATURES:
		break;
	}
	if (!*val) {
		log_err(NULL, "%s: there is nothing behind the =", what);
		return -EINVAL;
	}
	copy = strdup(val);
	if (!copy)
		return -ENOMEM;
	if (key->kind == OPT_LIST) {
		int err = list_add(at, copy);

		if (err)
			free(copy);
		return err;
	}
	free(*(char **)at);
	*(char **)at = copy;
	return 0;
}

/* "+a" and then "-b": one value "+a,-b". */
static int append(char **at, const char *item)
{
	char *joined;

	if (asprintf(&joined, "%s,%s", *at, item) < 0)
		return -ENOMEM;
	free(*at);
	*at = joined;
	return 0;
}

static const struct opt_key *find_key(const struct opt_key *keys, const char *name, size_t len)
{
	for (const struct opt_key *k = keys; k->name; k++)
		if ((strlen(k->name) == len && !memcmp(k->name, name, len)) ||
		    (k->alias && strlen(k->alias) == len && !memcmp(k->alias, name, len)))
			return k;
	return NULL;
}

static int unknown_key(const char *what, const struct opt_key *keys, const char *item)
{
	char known[512] = "";
	int len = (int)strcspn(item, "=");

	for (const struct opt_key *k = keys; k->name; k++) {
		if (k != keys)
			strncat(known, " ", sizeof(known) - strlen(known) - 1);
		strncat(known, k->name, sizeof(known) - strlen(known) - 1);
	}
	log_err(NULL, "%s: unknown key '%.*s'; the keys are: %s", what, len, item, known);
	return -EINVAL;
}

struct parse {
	const char *what;
	const struct opt_key *keys;
	const struct opt_key *last; /* the item before; NULL: this is the first */
	void *dst;
	uint64_t *seen;
};

static int parse_item(struct parse *p, const char *item)
{
	const struct opt_key *keys = p->keys;
	const char *what = p->what;
	size_t len = strcspn(item, "=");
	const struct opt_key *key = find_key(keys, item, len);
	const char *val = item[len] ? item + len + 1 : "on";
	bool first = !p->last;
	char where[96];

	if (!first && p->last->kind == OPT_FEATURES && (*item == '+' || *item == '-'))
		return append((char **)((char *)p->dst + p->last->at), item);
	/* `-d a=b.img` with no key "a" is more likely a typing error than a file of that name. */
	if (key && !item[len] && key->kind != OPT_BOOL && !first) {
		log_err(NULL, "%s: %s needs a value: %s=...", what, key->name, key->name);
		return -EINVAL;
	}
	if (!key || (!item[len] && key->kind != OPT_BOOL)) {
		if (!first || item[len])
			return unknown_key(what, keys, item);
		key = keys;
		val = item;
	}
	if (*p->seen & 1ULL << (key - keys) && key->kind != OPT_LIST) {
		log_err(NULL, "%s: %s is given twice", what, key->name);
		return -EINVAL;
	}
	*p->seen |= 1ULL << (key - keys);
	p->last = key;
	snprintf(where, sizeof(where), "%s: %s", what, key->name);
	return store(where, key, val, p->dst);
}

/* Takes the next item off *text: up to a single comma, ",," standing for one. */
static char *next_item(const char **text)
{
	char *item = malloc(strlen(*text) + 1), *to = item;
	const char *from = *text;

	if (!item)
		return NULL;
	for (; *from; from++) {
		if (*from == ',' && from[1] != ',')
			break;
		if (*from == ',')
			from++;
		*to++ = *from;
	}
	*to = '\0';
	*text = *from ? from + 1 : NULL;
	return item;
}

int opt_parse(const char *what, const char *text, const struct opt_key *keys, void *dst,
	      uint64_t *seen)
{
	uint64_t own = 0;
	struct parse p = { .what = what, .keys = keys, .dst = dst, .seen = seen ? seen : &own };
	int err = 0;

	if (!*text) {
		log_err(NULL, "%s: its value is empty", what);
		return -EINVAL;
	}
	while (text && !err) {
		char *item = next_item(&text);

		if (!item)
			return -ENOMEM;
		if (*item) {
			err = parse_item(&p, item);
		} else {
			log_err(NULL, "%s: there is nothing between two commas", what);
			err = -EINVAL;
		}
		free(item);
	}
	return err;
}
