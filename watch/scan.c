// SPDX-License-Identifier: GPL-2.0-only
/*
 * scan: from a console's bytes to lines, and from lines to signs.
 *
 * The memory is one line's, whatever comes. A longer line is looked at in windows that overlap by more
 * than any sentence of the kernel's is long.
 *
 * Runs on: any thread, under the scan's own lock
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lkvm/log.h"
#include "lkvm/watch.h"
#include "watch/patterns.h"
#include "watch/rules.h"

#define LINE_MAX_LEN 1024
#define OVERLAP	     256 /* of two windows on a long line */
#define SAID_MAX     240 /* what is quoted of a line */
#define ESCAPE_MAX   128 /* an escape sequence that is longer was none */

/* The panic's sentence, which alone decides so much, is also known in two pieces. */
#define PHRASE_LEN	(sizeof(PANIC_PHRASE) - 1)
#define TORN_LEAST	12 /* "Kernel panic": less is not its beginning */
#define TORN_CERTAIN	20 /* "Kernel panic - not s": more is not needed */
#define TORN_AT_END	16 /* "Kernel panic - n", when these are the last words ever */
#define TORN_LINES	8  /* how many lines of others may come in between */

enum state { PLAIN, ESCAPE, CSI, STRING };

struct scan {
	const struct rules *rules;
	struct scan_user user;
	pthread_mutex_t lock; /* what follows */
	uint64_t bytes;
	enum state state;
	unsigned escape; /* length of the sequence so far */
	char line[LINE_MAX_LEN + 1];
	size_t len, looked; /* looked: how much of it scan_pause() has seen */
	bool window;	    /* the line began further back */
	size_t torn;	    /* how much of the panic's sentence an earlier line ended with; 0: none */
	unsigned torn_age;
};

/* --- what a line says ------------------------------------------------------------------------ */

/* Past "[    1.234567] " and, where callers are printed too, "[    T1] ". */
static const char *skip_stamps(const char *text)
{
	for (unsigned i = 0; i < 2 && text[0] == '['; i++) {
		size_t n = 1 + strspn(text + 1, " .0123456789TC");

		if (n < 3 || text[n] != ']' || text[n + 1] != ' ')
			break;
		text += n + 2;
	}
	return text;
}

/* lead: words that belong before text; NULL: none. */
static void sign(const struct scan *s, enum scan_sign what, const char *name, const char *lead,
		 const char *text)
{
	char said[SAID_MAX];

	snprintf(said, sizeof(said), "%s%s", lead ? lead : "", lead ? text : skip_stamps(text));
	for (char *at = said; *at; at++)
		if (*at < ' ' || *at > '~')
			*at = '?';
	s->user.sign(s->user.opaque, what, name, said);
}

/* How much of the panic's sentence there is where it last begins in text; *at: where that ends. */
static size_t phrase_begun(const char *text, const char **at)
{
	const char *found = NULL, *next = text;
	size_t n = 0;

	while ((next = strstr(next, "Kernel panic")))
		found = next++;
	if (!found)
		return 0;
	while (n < PHRASE_LEN && found[n] == PANIC_PHRASE[n])
		n++;
	*at = found + n;
	return n;
}

/*
 * Another CPU's line, or a program's, may have come in the middle of the sentence: its end is then
 * further on in this line or begins one of the next.
 */
static void look_for_torn(struct scan *s, const char *text, bool last)
{
	const char *at = NULL, *rest;
	size_t n;

	if (s->torn && !strncmp(text, &PANIC_PHRASE[s->torn], PHRASE_LEN - s->torn)) {
		sign(s, SCAN_PANIC, NULL, PANIC_PHRASE, text + PHRASE_LEN - s->torn);
		s->torn = 0;
		return;
	}
	if (s->torn && ++s->torn_age > TORN_LINES)
		s->torn = 0;
	n = phrase_begun(text, &at);
	if (n < TORN_LEAST)
		return;
	rest = strstr(at, &PANIC_PHRASE[n]);
	if (n >= TORN_CERTAIN || (last && n >= TORN_AT_END && !*at)) {
		sign(s, SCAN_PANIC, NULL, NULL, at - n);
	} else if (rest) {
		sign(s, SCAN_PANIC, NULL, PANIC_PHRASE, rest + PHRASE_LEN - n);
	} else {
		s->torn = n;
		s->torn_age = 0;
	}
}

static void look(struct scan *s, bool tail, bool last)
{
	struct rules_line line = { .text = s->line, .head = !s->window, .tail = tail };
	const char *at, *name;

	s->line[s->len] = '\0';
	at = strstr(s->line, PANIC_PHRASE);
	if (strstr(s->line, PANIC_END_PHRASE))
		sign(s, SCAN_PANIC_END, NULL, NULL, s->line);
	else if (at)
		sign(s, SCAN_PANIC, NULL, NULL, at);
	else
		look_for_torn(s, s->line, last);
	name = rules_fail(s->rules, &line);
	if (name)
		sign(s, SCAN_FAIL, name, NULL, s->line);
	if (rules_userspace(&line))
		sign(s, SCAN_USERSPACE, NULL, NULL, s->line);
	if (rules_expected(s->rules, &line))
		sign(s, SCAN_EXPECTED, NULL, NULL, s->line);
}

/* --- from bytes to lines --------------------------------------------------------------------- */

static void end_line(struct scan *s)
{
	if (s->len || s->window)
		look(s, true, false);
	s->len = s->looked = 0;
	s->window = false;
}

static void put(struct scan *s, char byte)
{
	if (s->len == LINE_MAX_LEN) {
		look(s, false, false);
		memmove(s->line, s->line + LINE_MAX_LEN - OVERLAP, OVERLAP);
		s->len = s->looked = OVERLAP;
		s->window = true;
	}
	s->line[s->len++] = byte;
}

static void plain(struct scan *s, uint8_t byte)
{
	if (byte == '\n' || byte == '\r')
		end_line(s);
	else if (byte == 0x1b)
		s->state = ESCAPE;
	else if (byte == '\t')
		put(s, ' ');
	else if (byte >= ' ' && byte != 0x7f)
		put(s, (char)byte);
}

/* ECMA-48: ESC [ parameters final, ESC ] string BEL or ESC \, ESC and one more, all on one line. */
static void escaped(struct scan *s, uint8_t byte)
{
	if (byte == '\n' || byte == '\r' || ++s->escape > ESCAPE_MAX) {
		s->state = PLAIN;
		plain(s, byte);
	} else if (byte == 0x1b) {
		s->state = ESCAPE;
	} else if (s->state == ESCAPE && byte == '[') {
		s->state = CSI;
	} else if (s->state == ESCAPE && strchr("]PX^_", byte) && byte) {
		s->state = STRING;
	} else if (s->state == ESCAPE && byte >= ' ' && byte <= '/') {
		return; /* "ESC ( B" has one of these in the middle */
	} else if (s->state == ESCAPE || (s->state == CSI && byte >= '@' && byte <= '~') ||
		   (s->state == STRING && byte == 0x07)) {
		s->state = PLAIN;
	}
}

/* --- the outside ----------------------------------------------------------------------------- */

struct scan *scan_open(const struct rules *rules, const struct scan_user *user)
{
	struct scan *s = calloc(1, sizeof(*s));

	if (!s) {
		log_err(NULL, "cannot watch the console: out of memory");
		return NULL;
	}
	s->rules = rules;
	s->user = *user;
	pthread_mutex_init(&s->lock, NULL);
	return s;
}

void scan_close(struct scan *s)
{
	if (!s)
		return;
	pthread_mutex_destroy(&s->lock);
	free(s);
}

void scan_feed(struct scan *s, const void *bytes, size_t len)
{
	const uint8_t *byte = bytes;

	pthread_mutex_lock(&s->lock);
	s->bytes += len;
	for (size_t i = 0; i < len; i++) {
		if (s->state == PLAIN)
			plain(s, byte[i]);
		else
			escaped(s, byte[i]);
		if (s->state == PLAIN)
			s->escape = 0;
	}
	pthread_mutex_unlock(&s->lock);
}

void scan_pause(struct scan *s)
{
	struct rules_line line = { .text = s->line, .tail = true };

	pthread_mutex_lock(&s->lock);
	line.head = !s->window;
	if (s->len != s->looked) {
		s->line[s->len] = '\0';
		s->looked = s->len;
		if (rules_expected(s->rules, &line))
			sign(s, SCAN_EXPECTED, NULL, NULL, s->line);
	}
	pthread_mutex_unlock(&s->lock);
}

void scan_finish(struct scan *s)
{
	pthread_mutex_lock(&s->lock);
	if (s->len)
		look(s, true, true);
	s->len = s->looked = 0;
	s->window = false;
	pthread_mutex_unlock(&s->lock);
}

uint64_t scan_bytes(struct scan *s)
{
	uint64_t n;

	pthread_mutex_lock(&s->lock);
	n = s->bytes;
	pthread_mutex_unlock(&s->lock);
	return n;
}
