// SPDX-License-Identifier: GPL-2.0-only
/*
 * toml: tables, keys and comments; values are in toml_value.c.
 *
 * Runs on: main
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "matrix/toml_reader.h"

#define ENTRIES_MAX 256
#define TABLES_MAX  4096

static struct toml_table *add_table(struct reader *r, struct toml *doc, char *name, bool array,
				    struct toml_pos at)
{
	struct toml_table *grown;

	if (doc->n == TABLES_MAX) {
		reader_fail(r, at, "more than %u tables", TABLES_MAX);
		return NULL;
	}
	grown = realloc(doc->table, (doc->n + 1) * sizeof(*grown));
	if (!grown) {
		r->error = -ENOMEM;
		return NULL;
	}
	doc->table = grown;
	grown[doc->n] = (struct toml_table){ .name = name, .array = array, .at = at };
	return &grown[doc->n++];
}

/* A key, or a table's name: bare or a string. NULL: failed. */
static char *read_key(struct reader *r)
{
	struct toml_pos at = r->at;
	size_t len = 0;
	char *key;

	if (reader_peek(r) == '"' || reader_peek(r) == '\'')
		return reader_string(r);
	while (len < (size_t)(r->end - r->next) &&
	       strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_", r->next[len]) &&
	       r->next[len])
		len++;
	if (!len) {
		reader_fail(r, at, "a name of letters, digits, - and _ should stand here");
		return NULL;
	}
	key = strndup(r->next, len);
	if (!key)
		r->error = -ENOMEM;
	while (len--)
		reader_skip(r);
	return key;
}

/* Behind a key or a header's name. */
static bool expect(struct reader *r, char want, const char *what)
{
	reader_blanks(r);
	if (reader_peek(r) == '.')
		return reader_fail(r, r->at, "dotted names are not understood here");
	if (reader_peek(r) != want)
		return reader_fail(r, r->at, "%s should stand here", what);
	reader_skip(r);
	return true;
}

static bool is_twice(struct reader *r, const struct toml *doc, const struct toml_table *table)
{
	for (const struct toml_table *t = doc->table + 1; t < table; t++)
		if (!strcmp(t->name, table->name) && !(t->array && table->array))
			return !reader_fail(r, table->at, "table '%s' is there already, at line %u",
					    table->name, t->at.line);
	return false;
}

/* "[name]" or "[[name]]" */
static bool read_header(struct reader *r, struct toml *doc)
{
	struct toml_pos at = r->at;
	struct toml_table *table;
	bool array;
	char *name;

	reader_skip(r);
	array = reader_peek(r) == '[';
	if (array)
		reader_skip(r);
	reader_blanks(r);
	name = read_key(r);
	if (!name)
		return false;
	table = add_table(r, doc, name, array, at);
	if (!table) {
		free(name);
		return false;
	}
	if (!expect(r, ']', "]"))
		return false;
	if (array && reader_peek(r) != ']')
		return reader_fail(r, r->at, "]] should stand here");
	if (array)
		reader_skip(r);
	return !is_twice(r, doc, table);
}

static bool read_entry(struct reader *r, struct toml_table *table)
{
	struct toml_entry *grown, *e;
	struct toml_pos at = r->at;
	const struct toml_entry *old;
	char *key = read_key(r);

	if (!key)
		return false;
	old = toml_find(table, key);
	if (old || table->n == ENTRIES_MAX) {
		if (old)
			reader_fail(r, at, "'%s' is there already, at line %u", key, old->at.line);
		else
			reader_fail(r, at, "more than %u keys", ENTRIES_MAX);
		free(key);
		return false;
	}
	grown = realloc(table->entry, (table->n + 1) * sizeof(*grown));
	if (!grown) {
		free(key);
		r->error = -ENOMEM;
		return false;
	}
	table->entry = grown;
	e = &grown[table->n++];
	*e = (struct toml_entry){ .key = key, .at = at };
	if (!expect(r, '=', "= and a value"))
		return false;
	reader_blanks(r);
	return reader_value(r, &e->value, 0);
}

/* A line has one thing, and perhaps a comment. */
static bool read_line(struct reader *r, struct toml *doc)
{
	reader_blanks(r);
	if (reader_peek(r) == '[') {
		if (!read_header(r, doc))
			return false;
	} else if (!reader_at_end_of_line(r) && reader_peek(r) != '#') {
		if (!read_entry(r, &doc->table[doc->n - 1]))
			return false;
	}
	reader_blanks(r);
	if (!reader_comment(r))
		return false;
	if (!reader_at_end_of_line(r))
		return reader_fail(r, r->at, "the line should end here");
	reader_newline(r);
	return true;
}

int toml_parse(struct toml *doc, const char *text, size_t len, struct toml_error *err)
{
	struct reader r = { .next = text, .end = text + len, .at = { 1, 1 }, .err = err };
	char *name = strdup("");

	*doc = (struct toml){ 0 };
	*err = (struct toml_error){ .at = { 1, 1 }, .text = "out of memory" };
	if (!name || !add_table(&r, doc, name, false, r.at)) {
		free(name);
		return -ENOMEM;
	}
	while (r.next < r.end)
		if (!read_line(&r, doc))
			return r.error ? r.error : -ENOMEM;
	return 0;
}

static void value_free(struct toml_value *v)
{
	for (unsigned i = 0; i < v->n; i++)
		value_free(&v->item[i]);
	free(v->item);
	free(v->text);
}

void toml_free(struct toml *doc)
{
	for (unsigned i = 0; i < doc->n; i++) {
		struct toml_table *t = &doc->table[i];

		for (unsigned k = 0; k < t->n; k++) {
			value_free(&t->entry[k].value);
			free(t->entry[k].key);
		}
		free(t->entry);
		free(t->name);
	}
	free(doc->table);
	*doc = (struct toml){ 0 };
}

const struct toml_entry *toml_find(const struct toml_table *table, const char *key)
{
	for (unsigned i = 0; i < table->n; i++)
		if (!strcmp(table->entry[i].key, key))
			return &table->entry[i];
	return NULL;
}

const char *toml_kind_name(enum toml_kind kind)
{
	static const char *const names[] = { "a string", "a number", "true or false", "a list" };

	return names[kind];
}
