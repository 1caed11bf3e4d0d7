// SPDX-License-Identifier: GPL-2.0-only
/*
 * run_watch: the options of `lkvm run` by which a guest is watched and judged.
 *
 * Runs on: main.
 */
#include "run_watch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lkvm/config.h"
#include "lkvm/log.h"
#include "lkvm/watch.h"

#define SECONDS_MAX 31536000.0 /* a year */

static struct config_watch *watch_of(void *dst)
{
	return &((struct config *)dst)->watch;
}

/* "90", "1.5s", "500ms", "2m", "1h". */
static int parse_time(const char *what, const char *value, uint64_t *ns)
{
	static const struct {
		const char *word;
		double seconds;
	} units[] = { { "", 1 }, { "s", 1 }, { "ms", 1e-3 }, { "m", 60 }, { "h", 3600 } };
	char *end;
	double n = strtod(value, &end);

	/* strtod() also takes signs, blanks, hexadecimals and "inf". */
	if (end != value && (value[0] == '.' || (value[0] >= '0' && value[0] <= '9')) &&
	    !memchr(value, 'x', (size_t)(end - value)))
		for (unsigned i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
			double seconds = n * units[i].seconds;

			if (strcmp(end, units[i].word) != 0 || !(seconds >= 1e-3 && seconds <= SECONDS_MAX))
				continue;
			*ns = (uint64_t)(seconds * 1e9);
			return 0;
		}
	log_err(NULL, "%s: '%s' is no time; write seconds (1.5) or with a unit: 500ms, 90s, 10m, 2h", what,
		value);
	return -EINVAL;
}

int set_timeout(void *dst, const char *what, const char *value)
{
	return parse_time(what, value, &watch_of(dst)->timeout);
}

int set_boot_timeout(void *dst, const char *what, const char *value)
{
	return parse_time(what, value, &watch_of(dst)->boot_timeout);
}

int set_idle_timeout(void *dst, const char *what, const char *value)
{
	return parse_time(what, value, &watch_of(dst)->idle_timeout);
}

int set_lockup_timeout(void *dst, const char *what, const char *value)
{
	return parse_time(what, value, &watch_of(dst)->lockup_timeout);
}

int set_expect(void *dst, const char *what, const char *value)
{
	(void)what;
	return opt_replace(&watch_of(dst)->expect, value);
}

int set_allow(void *dst, const char *what, const char *value)
{
	(void)what;
	return opt_replace(&watch_of(dst)->allow, value);
}

static int add_own(struct config_watch *watch, const char *value)
{
	struct opt_list *list = &watch->fail_on_own;
	char **grown = reallocarray(list->item, list->n + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	list->item = grown;
	grown[list->n] = strdup(value);
	if (!grown[list->n])
		return -ENOMEM;
	list->n++;
	return 0;
}

/* The groups that a word stands for; */
static int add_word(struct config_watch *watch, const char *what, const char *word, size_t len)
{
	int group = watch_group(word, len);

	watch->fail_on_given = true;
	if (group >= 0)
		watch->fail_on |= WATCH_BIT(group);
	else if (len == 7 && !memcmp(word, "default", len))
		watch->fail_on |= WATCH_DEFAULT;
	else if ((len == 4 && !memcmp(word, "none", len)) || (len == 5 && !memcmp(word, "panic", len)))
		return 0; /* a panic always counts */
	else {
		log_err(NULL, "%s: '%.*s' is not one of: %s, panic, default, none, NAME=REGEX", what,
			(int)len, word, watch_group_names());
		return -EINVAL;
	}
	return 0;
}

/*
 * Built-in names take the place of the default; NAME=REGEX is in addition to what there is, and takes
 * all that follows, as an expression may have commas in it.
 */
int set_fail_on(void *dst, const char *what, const char *value)
{
	struct config_watch *watch = watch_of(dst);
	int err = 0;

	while (!err) {
		size_t len = strcspn(value, ",=");

		if (value[len] == '=' && len)
			return add_own(watch, value);
		err = add_word(watch, what, value, len);
		if (!value[len])
			break;
		value += len + 1;
	}
	return err;
}

static int set_on(const char *what, const char *value, const char *const *words, enum config_on *on)
{
	unsigned n;
	int err = opt_choice(what, value, words, &n);

	if (!err)
		*on = (enum config_on)n;
	return err;
}

static const char *const on_words[] = {
	[ON_EXIT] = "exit", [ON_DUMP] = "dump", [ON_KEEP] = "keep", NULL,
};

int set_on_panic(void *dst, const char *what, const char *value)
{
	return set_on(what, value, on_words, &watch_of(dst)->on_panic);
}

int set_on_reboot(void *dst, const char *what, const char *value)
{
	return set_on(what, value, on_words, &watch_of(dst)->on_reboot);
}

int set_on_timeout(void *dst, const char *what, const char *value)
{
	return set_on(what, value, on_words, &watch_of(dst)->on_timeout);
}

int set_on_expect(void *dst, const char *what, const char *value)
{
	static const char *const words[] = { "exit", "keep", NULL };
	unsigned n;
	int err = opt_choice(what, value, words, &n);

	if (!err)
		watch_of(dst)->on_expect = n ? ON_KEEP : ON_EXIT;
	return err;
}
