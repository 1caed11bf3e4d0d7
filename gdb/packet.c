// SPDX-License-Identifier: GPL-2.0-only
/*
 * packet: gdb's packets: $content#checksum, acknowledged unless both agreed not to.
 *
 * Runs on: main
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "gdb/gdb_priv.h"

#define CTRL_C 3

static const char digits[] = "0123456789abcdef";

int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool hex_number(const char **text, uint64_t *val)
{
	unsigned n = 0;

	for (*val = 0; hex_digit(**text) >= 0; (*text)++)
		if (n++ < 16)
			*val = *val << 4 | (unsigned)hex_digit(**text);
	return n > 0 && n <= 16;
}

bool hex_bytes(const char *text, size_t n, void *dst)
{
	uint8_t *to = dst;

	for (size_t i = 0; i < n; i++) {
		int high = hex_digit(text[2 * i]), low = high < 0 ? -1 : hex_digit(text[2 * i + 1]);

		if (low < 0)
			return false;
		to[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

/* --- out ---------------------------------------------------------------------------------------- */

/* A peer that asks and never reads is no debugger. */
static void put(struct session *s, const char *bytes, size_t len)
{
	if (len > sizeof(s->out) - s->out_len) {
		s->over = true;
		return;
	}
	memcpy(s->out + s->out_len, bytes, len);
	s->out_len += len;
}

void session_sent(struct session *s, size_t len)
{
	memmove(s->out, s->out + len, s->out_len - len);
	s->out_len -= len;
}

void reply_start(struct session *s)
{
	s->reply_len = 0;
}

static void add(struct session *s, const char *bytes, size_t len)
{
	if (len > sizeof(s->reply) - s->reply_len)
		len = sizeof(s->reply) - s->reply_len;
	memcpy(s->reply + s->reply_len, bytes, len);
	s->reply_len += len;
}

void reply_text(struct session *s, const char *text)
{
	add(s, text, strlen(text));
}

void reply_fmt(struct session *s, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	reply_text(s, text);
}

void reply_hex(struct session *s, const void *bytes, size_t len)
{
	const uint8_t *from = bytes;

	for (size_t i = 0; i < len; i++)
		add(s, (char[]){ digits[from[i] >> 4], digits[from[i] & 15] }, 2);
}

void reply_binary(struct session *s, const void *bytes, size_t len)
{
	const char *from = bytes;

	for (size_t i = 0; i < len; i++) {
		if (from[i] && strchr("#$}*", from[i]))
			add(s, (char[]){ '}', (char)(from[i] ^ 0x20) }, 2);
		else
			add(s, from + i, 1);
	}
}

void reply_send(struct session *s)
{
	uint8_t sum = 0;
	size_t n = 0;

	s->last[n++] = '$';
	for (size_t i = 0; i < s->reply_len; i++) {
		s->last[n++] = s->reply[i];
		sum = (uint8_t)(sum + (uint8_t)s->reply[i]);
	}
	s->last[n++] = '#';
	s->last[n++] = digits[sum >> 4];
	s->last[n++] = digits[sum & 15];
	s->last_len = n;
	put(s, s->last, n);
}

/* --- in ----------------------------------------------------------------------------------------- */

/* In place: "}x" stands for x ^ 0x20. */
static size_t unescape(char *text, size_t len)
{
	size_t to = 0;

	for (size_t i = 0; i < len; i++) {
		if (text[i] == '}' && i + 1 < len)
			text[to++] = (char)(text[++i] ^ 0x20);
		else
			text[to++] = text[i];
	}
	text[to] = '\0';
	return to;
}

static void packet(struct session *s)
{
	bool good = s->sum == s->want && !s->too_long;

	if (!s->no_ack)
		put(s, good ? "+" : "-", 1);
	else if (!good)
		s->over = true; /* it would never be sent again: the stream can't be trusted */
	if (good)
		session_packet(s, s->in, unescape(s->in, s->in_len));
}

static void between(struct session *s, char c)
{
	if (c == '$') {
		s->at = INSIDE;
		s->in_len = 0;
		s->sum = 0;
		s->too_long = false;
	} else if (c == CTRL_C) {
		session_interrupt(s);
	} else if (c == '-' && !s->no_ack) {
		put(s, s->last, s->last_len);
	}
}

static void inside(struct session *s, char c)
{
	if (c == '#') {
		s->at = SUM1;
		return;
	}
	if (c == '$') { /* the one before was cut off */
		between(s, c);
		return;
	}
	s->sum = (uint8_t)(s->sum + (uint8_t)c);
	if (s->in_len < PACKET_MAX)
		s->in[s->in_len++] = c;
	else
		s->too_long = true;
}

void session_feed(struct session *s, const void *bytes, size_t len)
{
	const char *from = bytes;

	for (size_t i = 0; i < len && !s->over; i++) {
		switch (s->at) {
		case BETWEEN:
			between(s, from[i]);
			break;
		case INSIDE:
			inside(s, from[i]);
			break;
		case SUM1:
			s->want = (uint8_t)((hex_digit(from[i]) & 15) << 4);
			s->at = SUM2;
			break;
		case SUM2:
			s->want = (uint8_t)(s->want | (hex_digit(from[i]) & 15));
			s->at = BETWEEN;
			packet(s);
			break;
		}
	}
}
