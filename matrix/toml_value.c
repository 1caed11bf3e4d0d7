// SPDX-License-Identifier: GPL-2.0-only
/*
 * toml_value: strings, numbers, booleans and lists.
 *
 * Runs on: main
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "matrix/toml_reader.h"

#define DEPTH_MAX 4

bool reader_fail(struct reader *r, struct toml_pos at, const char *fmt, ...)
{
	va_list ap;

	if (r->error)
		return false;
	r->error = -EINVAL;
	r->err->at = at;
	va_start(ap, fmt);
	vsnprintf(r->err->text, sizeof(r->err->text), fmt, ap);
	va_end(ap);
	return false;
}

/* --- between things --------------------------------------------------------------------------- */

void reader_blanks(struct reader *r)
{
	while (reader_peek(r) == ' ' || reader_peek(r) == '\t')
		reader_skip(r);
}

bool reader_at_end_of_line(const struct reader *r)
{
	return r->next == r->end || *r->next == '\n' ||
	       (*r->next == '\r' && r->end - r->next > 1 && r->next[1] == '\n');
}

void reader_newline(struct reader *r)
{
	if (reader_peek(r) == '\r')
		r->next++;
	if (r->next < r->end)
		r->next++;
	r->at.line++;
	r->at.column = 1;
}

static bool is_control(char c)
{
	return ((unsigned char)c < 0x20 && c != '\t') || c == 0x7f;
}

bool reader_comment(struct reader *r)
{
	if (reader_peek(r) != '#')
		return true;
	while (!reader_at_end_of_line(r)) {
		if (is_control(*r->next))
			return reader_fail(r, r->at, "a control character in a comment");
		reader_skip(r);
	}
	return true;
}

/* In a list: over blanks, line ends and comments. */
static bool skip_lines(struct reader *r)
{
	for (;;) {
		reader_blanks(r);
		if (!reader_comment(r))
			return false;
		if (r->next == r->end || !reader_at_end_of_line(r))
			return true;
		reader_newline(r);
	}
}

/* --- strings ---------------------------------------------------------------------------------- */

/* The UTF-8 of a code point; how many bytes. */
static unsigned put_utf8(char *to, uint32_t cp)
{
	if (cp < 0x80) {
		to[0] = (char)cp;
		return 1;
	}
	if (cp < 0x800) {
		to[0] = (char)(0xc0 | cp >> 6);
		to[1] = (char)(0x80 | (cp & 0x3f));
		return 2;
	}
	if (cp < 0x10000) {
		to[0] = (char)(0xe0 | cp >> 12);
		to[1] = (char)(0x80 | (cp >> 6 & 0x3f));
		to[2] = (char)(0x80 | (cp & 0x3f));
		return 3;
	}
	to[0] = (char)(0xf0 | cp >> 18);
	to[1] = (char)(0x80 | (cp >> 12 & 0x3f));
	to[2] = (char)(0x80 | (cp >> 6 & 0x3f));
	to[3] = (char)(0x80 | (cp & 0x3f));
	return 4;
}

static bool read_hex(struct reader *r, unsigned digits, uint32_t *cp)
{
	struct toml_pos at = r->at;

	for (*cp = 0; digits; digits--) {
		static const char *const hex = "0123456789abcdef0123456789ABCDEF";
		const char *digit = reader_peek(r) ? strchr(hex, reader_peek(r)) : NULL;

		if (!digit)
			return reader_fail(r, r->at, "a hexadecimal digit should stand here");
		*cp = *cp << 4 | ((digit - hex) & 15);
		reader_skip(r);
	}
	if (!*cp || *cp > 0x10ffff || (*cp >= 0xd800 && *cp < 0xe000))
		return reader_fail(r, at, "this is no character that a string can hold");
	return true;
}

/* Behind a backslash. */
static bool read_escape(struct reader *r, char *to, size_t *len)
{
	static const char letters[] = "btnfr\"\\", bytes[] = "\b\t\n\f\r\"\\";
	char c = reader_peek(r);
	const char *known = c ? strchr(letters, c) : NULL;
	uint32_t cp;

	if (!known && c != 'u' && c != 'U')
		return reader_fail(r, r->at, "an unknown escape; a backslash itself is written twice");
	reader_skip(r);
	if (known) {
		to[(*len)++] = bytes[known - letters];
		return true;
	}
	if (!read_hex(r, c == 'u' ? 4 : 8, &cp))
		return false;
	*len += put_utf8(to + *len, cp);
	return true;
}

/* "..." with escapes, '...' without. An escape is never shorter than what it stands for. */
char *reader_string(struct reader *r)
{
	struct toml_pos at = r->at;
	char quote = *r->next, *text;
	const char *eol = memchr(r->next, '\n', (size_t)(r->end - r->next));
	size_t len = 0;

	text = malloc((size_t)((eol ? eol : r->end) - r->next) + 1);
	if (!text) {
		r->error = -ENOMEM;
		return NULL;
	}
	reader_skip(r);
	if (reader_peek(r) == quote && r->end - r->next > 1 && r->next[1] == quote) {
		reader_fail(r, at, "strings of several lines are not understood here");
		goto err_free;
	}
	while (reader_peek(r) != quote) {
		if (reader_at_end_of_line(r)) {
			reader_fail(r, at, "this string does not end");
			goto err_free;
		}
		if (is_control(*r->next)) {
			reader_fail(r, r->at, "a control character in a string");
			goto err_free;
		}
		if (quote == '"' && *r->next == '\\') {
			reader_skip(r);
			if (!read_escape(r, text, &len))
				goto err_free;
			continue;
		}
		text[len++] = *r->next;
		reader_skip(r);
	}
	reader_skip(r);
	text[len] = '\0';
	return text;

err_free:
	free(text);
	return NULL;
}

/* --- the others ------------------------------------------------------------------------------- */

static bool read_word(struct reader *r, struct toml_value *v)
{
	static const char *const words[] = { "false", "true" };

	for (unsigned i = 0; i < 2; i++) {
		size_t len = strlen(words[i]);

		if ((size_t)(r->end - r->next) < len || memcmp(r->next, words[i], len))
			continue;
		v->kind = TOML_BOOL;
		v->yes = i;
		while (len--)
			reader_skip(r);
		return true;
	}
	if (reader_peek(r) == '{')
		return reader_fail(r, r->at, "inline tables are not understood here");
	return reader_fail(r, r->at, "a value should stand here: \"text\", a number, true, false or [...]");
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Decimal; an underscore may stand between two digits. */
static bool read_integer(struct reader *r, struct toml_value *v)
{
	struct toml_pos at = r->at;
	bool minus = reader_peek(r) == '-', zero;
	unsigned digits = 0;
	uint64_t n = 0;

	v->kind = TOML_INTEGER;
	if (minus || reader_peek(r) == '+')
		reader_skip(r);
	zero = reader_peek(r) == '0';
	while (is_digit(reader_peek(r)) ||
	       (digits && reader_peek(r) == '_' && r->end - r->next > 1 && is_digit(r->next[1]))) {
		char c = *r->next;

		reader_skip(r);
		if (c == '_')
			continue;
		digits++;
		if (n > (INT64_MAX - 9) / 10)
			return reader_fail(r, at, "this number is too large");
		n = n * 10 + (uint64_t)(c - '0');
	}
	if (!digits || (zero && digits > 1))
		return reader_fail(r, at, "this is no decimal number");
	if (reader_peek(r) && strchr(".eExob:-_", reader_peek(r)))
		return reader_fail(r, at, "only whole decimal numbers are understood here");
	v->integer = minus ? -(int64_t)n : (int64_t)n;
	return true;
}

static bool read_array(struct reader *r, struct toml_value *v, unsigned depth)
{
	struct toml_pos at = r->at;
	unsigned room = 0;

	if (depth == DEPTH_MAX)
		return reader_fail(r, at, "lists within lists, too deep");
	v->kind = TOML_ARRAY;
	reader_skip(r);
	for (;;) {
		if (!skip_lines(r))
			return false;
		if (reader_peek(r) == ']')
			break;
		if (v->n == room) {
			struct toml_value *grown;

			room = room ? room * 2 : 4;
			grown = realloc(v->item, room * sizeof(*grown));
			if (!grown) {
				r->error = -ENOMEM;
				return false;
			}
			v->item = grown;
		}
		v->item[v->n++] = (struct toml_value){ 0 };
		if (!reader_value(r, &v->item[v->n - 1], depth + 1) || !skip_lines(r))
			return false;
		if (reader_peek(r) == ',')
			reader_skip(r);
		else if (r->next == r->end)
			return reader_fail(r, at, "this list does not end");
		else if (reader_peek(r) != ']')
			return reader_fail(r, r->at, ", or ] should stand here");
	}
	reader_skip(r);
	return true;
}

bool reader_value(struct reader *r, struct toml_value *v, unsigned depth)
{
	char c = reader_peek(r);

	v->at = r->at;
	if (c == '"' || c == '\'') {
		v->kind = TOML_STRING;
		v->text = reader_string(r);
		return v->text;
	}
	if (c == '[')
		return read_array(r, v, depth);
	if (c == '+' || c == '-' || is_digit(c))
		return read_integer(r, v);
	return read_word(r, v);
}
