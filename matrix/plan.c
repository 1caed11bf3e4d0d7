// SPDX-License-Identifier: GPL-2.0-only
/*
 * plan: from a file of tests to runs: every combination of what the lists name.
 *
 * Runs on: main
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "lkvm/log.h"
#include "matrix/plan.h"

#define RUNS_MAX	10000
#define DEFAULT_TIMEOUT 300

/* What a list of several values multiplies, the slowest changing first. */
static const struct axis {
	const char *key, *option;
	unsigned kinds; /* bits: which kinds of value */
} axes[] = {
	{ "kernel", "-k", 1 << TOML_STRING },
	{ "initrd", "-i", 1 << TOML_STRING },
	{ "params", "-p", 1 << TOML_STRING },
	{ "cpus", "-c", 1 << TOML_INTEGER },
	{ "memory", "-m", 1 << TOML_INTEGER | 1 << TOML_STRING },
	{ "command", NULL, 1 << TOML_ARRAY },
};

#define AXES (sizeof(axes) / sizeof(axes[0]))

static const char *const others[] = { "name", "status", "timeout", "options" };

#define OTHERS (sizeof(others) / sizeof(others[0]))

/* A test's keys over the defaults at the file's top. */
struct reading {
	struct matrix *m;
	const struct toml *doc;
	const struct toml_table *test;
};

static int refuse(const struct matrix *m, struct toml_pos at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int refuse(const struct matrix *m, struct toml_pos at, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_err(NULL, "%s:%u:%u: %s", m->path, at.line, at.column, text);
	return -EINVAL;
}

static const struct toml_value *lookup(const struct reading *rd, const char *key)
{
	const struct toml_entry *e = toml_find(rd->test, key);

	if (!e)
		e = toml_find(&rd->doc->table[0], key);
	return e ? &e->value : NULL;
}

/* --- checks ----------------------------------------------------------------------------------- */

static int check_keys(const struct matrix *m, const struct toml_table *t, bool top)
{
	for (unsigned i = 0; i < t->n; i++) {
		const char *key = t->entry[i].key;
		bool known = false;

		for (unsigned k = 0; k < AXES; k++)
			known |= !strcmp(key, axes[k].key);
		for (unsigned k = 0; k < OTHERS; k++)
			known |= !strcmp(key, others[k]) && !(top && !strcmp(key, "name"));
		if (!known)
			return refuse(m, t->entry[i].at,
				      "'%s' is not one of: %skernel, initrd, params, cpus, memory, command, "
				      "status, timeout, options",
				      key, top ? "" : "name, ");
	}
	return 0;
}

static int check_words(const struct reading *rd, const char *key, const struct toml_value *v)
{
	if (v->kind != TOML_ARRAY)
		return refuse(rd->m, v->at, "%s: a list of words is wanted, as [\"a\", \"b\"]", key);
	for (unsigned i = 0; i < v->n; i++)
		if (v->item[i].kind != TOML_STRING)
			return refuse(rd->m, v->item[i].at, "%s: this word is %s; put it in quotes", key,
				      toml_kind_name(v->item[i].kind));
	return 0;
}

static bool is_list_of_lists(const struct toml_value *v)
{
	return v->kind == TOML_ARRAY && v->n && v->item[0].kind == TOML_ARRAY;
}

/* The values along an axis: those of a list, or the one that is no list. */
static unsigned axis_len(const struct axis *axis, const struct toml_value *v)
{
	if (!v)
		return 1;
	if (!axis->option)
		return is_list_of_lists(v) ? v->n : 1;
	return v->kind == TOML_ARRAY ? v->n : 1;
}

static const struct toml_value *axis_value(const struct axis *axis, const struct toml_value *v, unsigned i)
{
	if (v && (axis->option ? v->kind == TOML_ARRAY : is_list_of_lists(v)))
		return &v->item[i];
	return v;
}

static int check_axis(const struct reading *rd, const struct axis *axis, const struct toml_value *v)
{
	int err = 0;

	if (v && !axis_len(axis, v))
		return refuse(rd->m, v->at, "%s: the list is empty, so there would be no run", axis->key);
	for (unsigned i = 0; v && !err && i < axis_len(axis, v); i++) {
		const struct toml_value *one = axis_value(axis, v, i);

		if (!axis->option)
			err = check_words(rd, axis->key, one);
		else if (!(axis->kinds & 1U << one->kind))
			err = refuse(rd->m, one->at, "%s: this is %s; %s is wanted", axis->key,
				     toml_kind_name(one->kind),
				     axis->kinds & 1 << TOML_STRING ? "a string" : "a number");
		else if (one->kind == TOML_INTEGER && one->integer < 1)
			err = refuse(rd->m, one->at, "%s: at least 1", axis->key);
		if (!err && !axis->option && !one->n)
			err = refuse(rd->m, one->at, "command: without a word there is nothing to run");
	}
	return err;
}

static int number(const struct reading *rd, const char *key, int64_t min, int64_t max, int64_t *out)
{
	const struct toml_value *v = lookup(rd, key);

	if (!v)
		return 0;
	if (v->kind != TOML_INTEGER || v->integer < min || v->integer > max)
		return refuse(rd->m, v->at, "%s: a number from %lld to %lld is wanted", key, (long long)min,
			      (long long)max);
	*out = v->integer;
	return 0;
}

/* --- one run ---------------------------------------------------------------------------------- */

static void put_value(FILE *f, const struct toml_value *v)
{
	if (v->kind == TOML_INTEGER)
		fprintf(f, "%lld", (long long)v->integer);
	else if (v->kind == TOML_STRING)
		fputs(v->text, f);
	for (unsigned i = 0; i < v->n; i++) {
		fputs(i ? " " : "", f);
		put_value(f, &v->item[i]);
	}
}

static char *value_text(const struct toml_value *v)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return NULL;
	put_value(f, v);
	fclose(f);
	return text;
}

/* "boot [kernel=a cpus=4]": what tells this run from its test's others. */
static char *run_name(const struct reading *rd, const char *test, const unsigned at[AXES])
{
	const char *between = " [";
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return NULL;
	fputs(test, f);
	for (unsigned i = 0; i < AXES; i++) {
		const struct toml_value *v = lookup(rd, axes[i].key);

		if (axis_len(&axes[i], v) < 2)
			continue;
		fprintf(f, "%s%s=", between, axes[i].key);
		put_value(f, axis_value(&axes[i], v, at[i]));
		between = " ";
	}
	fputs(strcmp(between, " [") ? "]" : "", f);
	fclose(f);
	return text;
}

static char **copy_words(const struct toml_value *v, char **to)
{
	for (unsigned i = 0; v && i < v->n; i++)
		if (!(*to++ = strdup(v->item[i].text)))
			return NULL;
	return to;
}

static int fill_run(const struct reading *rd, struct matrix_run *run, const unsigned at[AXES])
{
	const struct toml_value *options = lookup(rd, "options"), *v;
	char **to;

	to = run->options = calloc(2 * AXES + (options ? options->n : 0) + 1, sizeof(*to));
	if (!to)
		return -ENOMEM;
	for (unsigned i = 0; i < AXES; i++) {
		v = axis_value(&axes[i], lookup(rd, axes[i].key), at[i]);
		if (!v || !axes[i].option)
			continue;
		if (!(*to++ = strdup(axes[i].option)) || !(*to++ = value_text(v)))
			return -ENOMEM;
	}
	if (!copy_words(options, to))
		return -ENOMEM;
	v = axis_value(&axes[AXES - 1], lookup(rd, "command"), at[AXES - 1]);
	if (!v)
		return 0;
	run->command = calloc(v->n + 1, sizeof(*run->command));
	return run->command && copy_words(v, run->command) ? 0 : -ENOMEM;
}

static int add_run(const struct reading *rd, const char *test, const unsigned at[AXES])
{
	int64_t status = 0, timeout = DEFAULT_TIMEOUT;
	struct matrix *m = rd->m;
	struct matrix_run *grown, *run;
	int err;

	if (m->n == RUNS_MAX)
		return refuse(m, rd->test->at, "more than %u runs", RUNS_MAX);
	err = number(rd, "status", 0, 255, &status);
	if (!err)
		err = number(rd, "timeout", 1, 1000000, &timeout);
	if (err)
		return err;
	grown = realloc(m->run, (m->n + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	m->run = grown;
	run = &grown[m->n++];
	*run = (struct matrix_run){ .status = (int)status, .timeout = (unsigned)timeout };
	run->test = strdup(test);
	run->name = run_name(rd, test, at);
	return run->test && run->name ? fill_run(rd, run, at) : -ENOMEM;
}

/* --- one test --------------------------------------------------------------------------------- */

/* The next combination, the last axis changing first; false: that was the last. */
static bool next(const struct reading *rd, unsigned at[AXES])
{
	for (unsigned i = AXES; i--;) {
		if (++at[i] < axis_len(&axes[i], lookup(rd, axes[i].key)))
			return true;
		at[i] = 0;
	}
	return false;
}

static int check_name(const struct reading *rd)
{
	const struct toml_entry *name = toml_find(rd->test, "name"), *other;

	if (!name)
		return refuse(rd->m, rd->test->at, "this test has no name");
	if (name->value.kind != TOML_STRING || !name->value.text[0])
		return refuse(rd->m, name->value.at, "name: a string is wanted");
	for (const struct toml_table *t = rd->doc->table + 1; t < rd->test; t++) {
		other = toml_find(t, "name");
		if (other && other->value.kind == TOML_STRING &&
		    !strcmp(other->value.text, name->value.text))
			return refuse(rd->m, name->value.at, "test '%s' is there already, at line %u",
				      name->value.text, t->at.line);
	}
	return 0;
}

static int add_test(const struct reading *rd)
{
	const struct toml_value *options = lookup(rd, "options");
	unsigned at[AXES] = { 0 };
	int err = check_keys(rd->m, rd->test, false);

	if (!err)
		err = check_name(rd);
	for (unsigned i = 0; i < AXES && !err; i++)
		err = check_axis(rd, &axes[i], lookup(rd, axes[i].key));
	if (!err && options)
		err = check_words(rd, "options", options);
	if (!err && !lookup(rd, "kernel"))
		err = refuse(rd->m, rd->test->at, "which kernel? write kernel = \"FILE\"");
	while (!err) {
		err = add_run(rd, toml_find(rd->test, "name")->value.text, at);
		if (!next(rd, at))
			break;
	}
	return err;
}

int plan_make(struct matrix *m, const struct toml *doc)
{
	int err = check_keys(m, &doc->table[0], true);

	for (unsigned i = 1; i < doc->n && !err; i++) {
		struct reading rd = { .m = m, .doc = doc, .test = &doc->table[i] };

		if (!doc->table[i].array || strcmp(doc->table[i].name, "test"))
			err = refuse(m, doc->table[i].at, "a test begins with [[test]]");
		else
			err = add_test(&rd);
	}
	if (!err && !m->n)
		err = refuse(m, (struct toml_pos){ 1, 1 }, "there is no [[test]] in it");
	return err;
}
