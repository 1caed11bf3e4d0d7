/* SPDX-License-Identifier: GPL-2.0-only */
/* toml_reader: where the parser stands in the text, for toml.c and toml_value.c. */
#pragma once

#include "matrix/toml.h"

struct reader {
	const char *next, *end;
	struct toml_pos at; /* of next */
	int error;
	struct toml_error *err;
};

/* Always false; only the first counts. */
bool reader_fail(struct reader *r, struct toml_pos at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The next byte, '\0' at the end; a NUL in the text is no different and ends the parse as an error. */
static inline char reader_peek(const struct reader *r)
{
	return r->next < r->end ? *r->next : '\0';
}

/* One byte on; not over the end of a line. */
static inline void reader_skip(struct reader *r)
{
	r->next++;
	/* The column moves with the last byte of a character. */
	if (r->next >= r->end || ((unsigned char)*r->next & 0xc0) != 0x80)
		r->at.column++;
}

void reader_blanks(struct reader *r);
bool reader_comment(struct reader *r); /* when there is one */
bool reader_at_end_of_line(const struct reader *r); /* "\n", "\r\n" or the end of the text */
void reader_newline(struct reader *r);		    /* over it */

char *reader_string(struct reader *r); /* NULL: failed */
bool reader_value(struct reader *r, struct toml_value *v, unsigned depth);
