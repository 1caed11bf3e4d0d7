/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * opt: values of command-line options: sizes, numbers, booleans, and `key=value,key=value` lists.
 * Errors are one line that names the option, the key and what would be right; already logged.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A whole number; suffixes K M G T (powers of 1024), unit is what a bare number counts in. */
int opt_size(const char *what, const char *text, uint64_t unit, uint64_t *out);
int opt_uint(const char *what, const char *text, uint64_t min, uint64_t max, uint64_t *out);
int opt_bool(const char *what, const char *text, bool *out); /* on off yes no true false 1 0 */
int opt_choice(const char *what, const char *text, const char *const *words, unsigned *out);
int opt_mac(const char *what, const char *text, uint8_t mac[6]);

/* *at becomes a copy of value; what it held is freed. 0 or -ENOMEM, with *at as it was. */
int opt_replace(char **at, const char *value);

enum opt_kind { OPT_STRING, OPT_BOOL, OPT_UINT, OPT_SIZE, OPT_CHOICE, OPT_MAC, OPT_LIST,
		OPT_FEATURES };

/*
 * One key of a key=value list, and where its value goes (an offset into the caller's struct):
 * STRING char * (malloc'ed, the caller frees), BOOL bool, UINT and SIZE uint64_t, CHOICE unsigned,
 * MAC uint8_t[6], LIST struct opt_list (a key that may come several times), FEATURES char * holding
 * "+x,-y": the items behind it that begin with + or - belong to it as well.
 */
struct opt_key {
	const char *name, *alias;
	enum opt_kind kind;
	size_t at;
	uint64_t min, max;	  /* UINT */
	const char *const *words; /* CHOICE, NULL-terminated */
	const char *help;	  /* one line, for --help and the man page */
};

struct opt_list {
	char **item;
	unsigned n;
};

/*
 * Parses text into dst by the table keys (ends with name == NULL). The first item may be a bare value:
 * it belongs to keys[0]. A later bare word is a boolean key set to on. Commas inside a value are
 * written twice. seen, when not NULL, gets a bit per key (1 << index) that was given.
 * Returns 0 or -EINVAL, logged as `WHAT: ...`.
 */
int opt_parse(const char *what, const char *text, const struct opt_key *keys, void *dst,
	      uint64_t *seen);
void opt_list_free(struct opt_list *list);
