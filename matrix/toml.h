/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * toml: as much of TOML 1.0 as a list of tests needs: tables and arrays of tables with plain names,
 * one-line strings, decimal integers, booleans and arrays. What is accepted means what TOML says; the
 * rest of TOML (dotted keys, inline tables, dates, floats, multi-line strings) is refused by name.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum toml_kind { TOML_STRING, TOML_INTEGER, TOML_BOOL, TOML_ARRAY };

struct toml_pos {
	unsigned line, column; /* from 1; columns count characters */
};

struct toml_value {
	enum toml_kind kind;
	struct toml_pos at;
	char *text; /* STRING; holds no NUL */
	int64_t integer;
	bool yes;
	struct toml_value *item; /* ARRAY */
	unsigned n;
};

struct toml_entry {
	char *key;
	struct toml_pos at;
	struct toml_value value;
};

struct toml_table {
	char *name;
	bool array; /* one of [[name]] */
	struct toml_pos at;
	struct toml_entry *entry;
	unsigned n;
};

struct toml {
	struct toml_table *table; /* the first is what stands above all headers, name "" */
	unsigned n;
};

struct toml_error {
	struct toml_pos at;
	char text[128];
};

/* 0 or -EINVAL (or -ENOMEM) with *err filled. Memory is bounded by a multiple of len. */
int toml_parse(struct toml *doc, const char *text, size_t len, struct toml_error *err);
void toml_free(struct toml *doc); /* also after an error */

const struct toml_entry *toml_find(const struct toml_table *table, const char *key); /* or NULL */
const char *toml_kind_name(enum toml_kind kind); /* "a string" */
