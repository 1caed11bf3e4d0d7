// SPDX-License-Identifier: GPL-2.0-only
/*
 * The serial line of a guest that runs a command: any bytes behind the greeting, in pieces whose lengths
 * the input names, to ports of which one takes little and one nothing. What lkvm sends must be frames,
 * and no port may get more bytes than came or be promised more room than there is.
 */
#include <stdlib.h>
#include <string.h>

#include "lkvm/chan_outside.h"
#include "lkvm/log.h"
#include "machine/line.h"

static struct loop *loop;
static struct line *line;
static struct chan ports[LINE_PORTS];
static size_t promised[LINE_PORTS];
static unsigned frame_left;
static struct line_head head;
static unsigned head_have;

static void stop(void *opaque)
{
	(void)opaque;
	loop_quit(loop);
}

static bool greeted(void *opaque)
{
	(void)opaque;
	return true;
}

/* What has come from lkvm. */
static void check_byte(uint8_t byte)
{
	if (frame_left) {
		frame_left--;
		return;
	}
	((uint8_t *)&head)[head_have++] = byte;
	if (head_have < sizeof(head))
		return;
	head_have = 0;
	if (head.port >= LINE_PORTS || !head.len || (head.type != LINE_DATA && head.type != LINE_ROOM))
		abort();
	if (head.type == LINE_DATA)
		frame_left = head.len;
	else
		promised[head.port] += head.len;
}

static void turn(size_t sent)
{
	struct loop_timer timer = { .fire = stop };
	struct iovec iov[2];
	uint8_t buf[CHAN_IN_SIZE];
	size_t n;

	loop_timer_set(loop, &timer, 0);
	loop_run(loop);
	while ((n = chan_read(line_chan(line), buf, sizeof(buf))))
		for (size_t i = 0; i < n; i++)
			check_byte(buf[i]);
	for (unsigned i = 0; i < LINE_PORTS; i++) {
		size_t got = chan_out_peek(&ports[i], iov);

		if (got > sent || promised[i] > LINE_HOST_ROOM + sent)
			abort();
		if (i == LINE_STDERR)
			continue;
		chan_out_done(&ports[i], i == LINE_STDIO ? got / 2 : got);
		chan_in_put(&ports[i], buf, chan_in_room(&ports[i], 1) / 3);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct chan *const all[LINE_PORTS] = { &ports[0], &ports[1], &ports[2] };
	size_t piece;

	if (!size)
		return 0;
	log_set_level(LOG_ERR);
	if (!loop)
		loop = loop_open("fuzz");
	for (unsigned i = 0; i < LINE_PORTS; i++) {
		chan_init(&ports[i], NULL, NULL);
		promised[i] = 0;
	}
	frame_left = head_have = 0;
	line = line_open(loop, all, &(struct line_user){ .greeted = greeted });
	/* An odd first byte leaves the greeting to the input. */
	if (!(data[0] & 1))
		chan_write(line_chan(line), LINE_GREETING, LINE_GREETING_LEN);
	piece = data[0] > 1 ? data[0] : 1000;
	for (size_t at = 1; at < size; at += piece) {
		chan_write(line_chan(line), data + at, size - at < piece ? size - at : piece);
		turn(size);
	}
	line_close(line);
	for (unsigned i = 0; i < LINE_PORTS; i++)
		chan_fini(&ports[i]);
	return 0;
}
