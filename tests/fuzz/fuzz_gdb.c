// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a debugger sends, from somebody who is none. A 0x80 byte stands for a stop of the guest, 0x81 for
 * a packet that comes out whole: up to the next 0x81, framed with the right checksum.
 */
#include <stdlib.h>

#include "fake_debug.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void framed(struct session *s, const uint8_t *data, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + data[i]);
	session_feed(s, "$", 1);
	session_feed(s, data, len);
	session_feed(s, (char[]){ '#', digits[sum >> 4], digits[sum & 15] }, 3);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct session *s = malloc(sizeof(*s));
	struct fake *f = calloc(1, sizeof(*f));

	if (!s || !f)
		abort();
	session_open(s, &fake_ops, f);
	for (size_t i = 0; i < size && !s->over; i++) {
		const uint8_t *end = memchr(data + i + 1, 0x81, size - i - 1);

		if (data[i] == 0x80) {
			f->why[i % 2] = (struct control_stop){ true, i % 3 == 0, (int)(i % 5) - 1 };
			session_stopped(s);
		} else if (data[i] == 0x81 && end) {
			framed(s, data + i + 1, (size_t)(end - data) - i - 1);
			i = (size_t)(end - data);
		} else {
			session_feed(s, data + i, 1);
		}
		if (s->out_len > OUT_MAX || s->reply_len > sizeof(s->reply) || s->cpu > 1)
			abort();
		/* A guest that runs was not asked to be looked at. */
		if (s->running != f->running && !s->over)
			abort();
		session_sent(s, s->out_len / 2);
	}
	session_close(s);
	if (!f->running)
		abort();
	free(s);
	free(f);
	return 0;
}
