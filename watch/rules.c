// SPDX-License-Identifier: GPL-2.0-only
/*
 * rules: compiles the table of patterns and the user's expressions, and tries lines against them.
 *
 * The table's are compiled when their hint is first seen: to start with all of them ready would cost
 * every guest a tenth of a millisecond and a hundred kilobytes, and most guests meet none.
 *
 * Runs on: rules_open and rules_close on main; the rest on any thread.
 */
#include "watch/rules.h"

#include <errno.h>
#include <pthread.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lkvm/log.h"
#include "watch/patterns.h"

#define ALLOW_LINE 4096

struct rule {
	const char *name; /* of the group; or own_name */
	const char *hint; /* NULL: none */
	bool counts;	  /* a group that wasn't asked for keeps its lines from the broader ones below */
	char *own_name;
	const char *ere; /* still to be compiled; NULL: it is, or can't be */
	bool compiled;
	regex_t re;
};

struct rules {
	struct rule *fail, *allow;
	unsigned n_fail, n_allow;
	regex_t expect;
	bool expects;
};

/* --- making ---------------------------------------------------------------------------------- */

static int compile(regex_t *re, const char *ere, const char *what)
{
	char why[128];
	int err = *ere ? regcomp(re, ere, REG_EXTENDED | REG_NOSUB) : REG_BADPAT;

	if (!err)
		return 0;
	if (*ere)
		regerror(err, re, why, sizeof(why));
	else
		snprintf(why, sizeof(why), "an empty expression would match everything");
	log_err(NULL, "%s: '%s': %s", what, ere, why);
	return -EINVAL;
}

static struct rule *add(struct rule **list, unsigned *n)
{
	struct rule *grown = reallocarray(*list, *n + 1, sizeof(**list));

	if (!grown) {
		log_err(NULL, "cannot make the console's rules: out of memory");
		return NULL;
	}
	*list = grown;
	grown[*n] = (struct rule){ 0 };
	return &grown[*n];
}

static int add_patterns(struct rules *rules, unsigned groups)
{
	for (const struct pattern *p = patterns; p->hint; p++) {
		struct rule *rule = add(&rules->fail, &rules->n_fail);

		if (!rule)
			return -ENOMEM;
		rule->ere = p->ere;
		rule->name = pattern_groups[p->group];
		rule->hint = p->hint;
		rule->counts = groups & WATCH_BIT(p->group);
		rules->n_fail++;
	}
	return 0;
}

static int add_own(struct rules *rules, const char *text)
{
	const char *eq = strchr(text, '=');
	struct rule *rule = add(&rules->fail, &rules->n_fail);
	char what[96];

	if (!rule || !eq)
		return -EINVAL;
	snprintf(what, sizeof(what), "--fail-on %.*s", (int)(eq - text), text);
	if (compile(&rule->re, eq + 1, what))
		return -EINVAL;
	rule->compiled = true;
	rule->own_name = strndup(text, (size_t)(eq - text));
	rule->name = rule->own_name ? rule->own_name : "--fail-on";
	rule->counts = true;
	rules->n_fail++;
	return 0;
}

/* A line is an expression; blank ones and those that begin with # are for people. */
static int read_allow_line(struct rules *rules, const char *path, unsigned number, char *text)
{
	struct rule *rule;
	char what[256];

	text[strcspn(text, "\r\n")] = '\0';
	if (!text[strspn(text, " \t")] || text[0] == '#')
		return 0;
	snprintf(what, sizeof(what), "%s:%u", path, number);
	rule = add(&rules->allow, &rules->n_allow);
	if (!rule || compile(&rule->re, text, what))
		return -EINVAL;
	rule->compiled = true;
	rules->n_allow++;
	return 0;
}

static int read_allow(struct rules *rules, const char *path)
{
	FILE *file = fopen(path, "re");
	char text[ALLOW_LINE];
	unsigned number = 0;
	int err = 0;

	if (!file) {
		log_err(NULL, "--allow: cannot open %s: %s", path, strerror(errno));
		return -errno;
	}
	while (!err && fgets(text, sizeof(text), file)) {
		number++;
		if (strlen(text) == sizeof(text) - 1 && !strchr(text, '\n')) {
			log_err(NULL, "%s:%u: longer than %d bytes", path, number, ALLOW_LINE - 2);
			err = -E2BIG;
			break;
		}
		err = read_allow_line(rules, path, number, text);
	}
	if (!err && ferror(file)) {
		log_err(NULL, "--allow: cannot read %s: %s", path, strerror(errno));
		err = -EIO;
	}
	fclose(file);
	return err;
}

struct rules *rules_open(const struct rules_conf *conf)
{
	struct rules *rules = calloc(1, sizeof(*rules));
	int err = rules ? 0 : -ENOMEM;

	/* The user's own first: they know better what to call it. */
	for (unsigned i = 0; !err && conf->own && i < conf->own->n; i++)
		err = add_own(rules, conf->own->item[i]);
	if (!err)
		err = add_patterns(rules, conf->groups);
	if (!err && conf->expect) {
		err = compile(&rules->expect, conf->expect, "--expect");
		rules->expects = !err;
	}
	if (!err && conf->allow)
		err = read_allow(rules, conf->allow);
	if (!err)
		return rules;
	rules_close(rules);
	return NULL;
}

static void free_rules(struct rule *rule, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (rule[i].compiled)
			regfree(&rule[i].re);
		free(rule[i].own_name);
	}
	free(rule);
}

void rules_close(struct rules *rules)
{
	if (!rules)
		return;
	free_rules(rules->fail, rules->n_fail);
	free_rules(rules->allow, rules->n_allow);
	if (rules->expects)
		regfree(&rules->expect);
	free(rules);
}

/* --- asking ---------------------------------------------------------------------------------- */

static bool match(const regex_t *re, const struct rules_line *line)
{
	return !regexec(re, line->text, 0, NULL,
			(line->head ? 0 : REG_NOTBOL) | (line->tail ? 0 : REG_NOTEOL));
}

/* Several consoles ask the same rules, each on its own thread. */
static bool ready(struct rule *rule)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	bool compiled;

	pthread_mutex_lock(&lock);
	if (rule->ere)
		rule->compiled = !compile(&rule->re, rule->ere, "pattern");
	rule->ere = NULL;
	compiled = rule->compiled;
	pthread_mutex_unlock(&lock);
	return compiled;
}

static bool allowed(const struct rules *rules, const struct rules_line *line)
{
	for (unsigned i = 0; i < rules->n_allow; i++)
		if (match(&rules->allow[i].re, line))
			return true;
	return false;
}

const char *rules_fail(const struct rules *rules, const struct rules_line *line)
{
	for (unsigned i = 0; i < rules->n_fail; i++) {
		struct rule *rule = &rules->fail[i];

		if (rule->hint && !strstr(line->text, rule->hint))
			continue;
		if (ready(rule) && match(&rule->re, line))
			return rule->counts && !allowed(rules, line) ? rule->name : NULL;
	}
	return NULL;
}

bool rules_expected(const struct rules *rules, const struct rules_line *line)
{
	return rules->expects && match(&rules->expect, line);
}

/* "Run /init as init process": the kernel's own words, at the beginning of its line. */
bool rules_userspace(const struct rules_line *line)
{
	const char *end = strstr(line->text, USERSPACE_HINT), *at;

	if (!end)
		return false;
	at = strstr(line->text, "Run /");
	return at && at < end && (at == line->text || at[-1] == ' ') && !strchr(at + 4, '\t') &&
	       !memchr(at + 4, ' ', (size_t)(end - at - 4));
}
