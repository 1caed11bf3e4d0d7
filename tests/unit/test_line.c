// SPDX-License-Identifier: GPL-2.0-only
/*
 * A command's ports over a serial line, from lkvm's side, with the guest and the ports' far ends played
 * here. (guest/init plays the guest in test_guest_init.)
 */
#include <stdlib.h>

#include "lkvm/chan_outside.h"
#include "lkvm/log.h"
#include "machine/line.h"
#include "tap.h"

static struct loop *loop;
static struct line *line;
static struct chan ports[LINE_PORTS];
static bool may_begin;
static unsigned greetings;
static uint8_t wire[1 << 20]; /* what the guest has received */
static size_t wire_len, wire_at;

static void stop(void *opaque)
{
	(void)opaque;
	loop_quit(loop);
}

static bool greeted(void *opaque)
{
	(void)opaque;
	greetings++;
	return may_begin;
}

static void turn(void)
{
	struct loop_timer timer = { .fire = stop };
	size_t n;

	do {
		loop_timer_set(loop, &timer, 0);
		loop_run(loop);
		n = chan_read(line_chan(line), wire + wire_len, sizeof(wire) - wire_len);
		wire_len += n;
	} while (n);
}

static void say(const void *bytes, size_t len)
{
	chan_write(line_chan(line), bytes, len);
	turn();
}

static void frame(uint8_t type, uint8_t port, uint16_t len)
{
	struct line_head head = { type, port, len };

	say(&head, sizeof(head));
}

static void begin(void)
{
	struct chan *const all[LINE_PORTS] = { &ports[0], &ports[1], &ports[2] };

	for (unsigned i = 0; i < LINE_PORTS; i++)
		chan_init(&ports[i], NULL, NULL);
	may_begin = true;
	greetings = 0;
	wire_len = wire_at = 0;
	line = line_open(loop, all, &(struct line_user){ .greeted = greeted });
}

static void end(void)
{
	line_close(line);
	for (unsigned i = 0; i < LINE_PORTS; i++)
		chan_fini(&ports[i]);
}

/* The next frame that the guest has received; its data is at *data. */
static struct line_head next(const uint8_t **data)
{
	struct line_head head = { 0 };

	if (wire_len - wire_at < sizeof(head))
		return head;
	memcpy(&head, wire + wire_at, sizeof(head));
	wire_at += sizeof(head);
	*data = wire + wire_at;
	if (head.type == LINE_DATA)
		wire_at += head.len;
	return head;
}

static bool heard(unsigned port, const char *text)
{
	struct iovec iov[2];
	size_t n = chan_out_peek(&ports[port], iov);
	bool same = n == strlen(text) && !memcmp(iov[0].iov_base, text, n);

	chan_out_done(&ports[port], n);
	return same;
}

/* --- the tests ------------------------------------------------------------------------------- */

static void greeting(void)
{
	begin();
	chan_in_put(&ports[LINE_CONTROL], "start", 5);
	chan_in_put(&ports[LINE_STDIO], "typed", 5);
	say("\nlkvm line", 10);
	say("\n\nlkvm line 2\nD", 14);
	is(greetings, 0, "something like the greeting is none");
	is(wire_len, 0, "and is answered by nothing");
	may_begin = false;
	say(LINE_GREETING, LINE_GREETING_LEN);
	is(greetings, 1, "the greeting is one");
	is(wire_len, 0, "but not when the guest talks elsewhere");
	may_begin = true;
	for (unsigned i = 0; i < LINE_GREETING_LEN; i++)
		say(LINE_GREETING + i, 1);
	is(wire_len, LINE_PORTS * sizeof(struct line_head), "the guest is told what room it has, no more");
	for (unsigned i = 0; i < LINE_PORTS; i++) {
		const uint8_t *data;
		struct line_head head = next(&data);

		ok(head.type == LINE_ROOM && head.port == i && head.len == LINE_HOST_ROOM, "port %u's", i);
	}
	end();
}

static void both_ways(void)
{
	const uint8_t *data;
	struct line_head head;

	begin();
	say(LINE_GREETING, LINE_GREETING_LEN);
	wire_at = wire_len;
	chan_in_put(&ports[LINE_STDIO], "\0\xff\n\x11" "12345", 9);
	turn();
	is(wire_len, wire_at, "without room nothing is sent");
	frame(LINE_ROOM, LINE_STDIO, 6);
	head = next(&data);
	ok(head.type == LINE_DATA && head.port == LINE_STDIO && head.len == 6, "and then as much as there is");
	ok(!memcmp(data, "\0\xff\n\x11" "12", 6), "bytes as they are");
	frame(LINE_ROOM, LINE_STDIO, 6);
	head = next(&data);
	ok(head.len == 3 && !memcmp(data, "345", 3), "the rest later");

	frame(LINE_DATA, LINE_STDERR, 4);
	say("er", 2);
	ok(heard(LINE_STDERR, "er"), "a part of a frame is passed on");
	say("r!", 2);
	ok(heard(LINE_STDERR, "r!"), "and the other");
	ok(heard(LINE_STDIO, ""), "where it belongs");
	end();
}

/* A port that nobody empties keeps to its room, and holds up no other. */
static void slow_reader(void)
{
	static uint8_t data[LINE_HOST_ROOM];
	size_t total = 0, back = 0, room = LINE_HOST_ROOM;
	const uint8_t *at;
	struct line_head head;
	struct iovec iov[2];

	begin();
	say(LINE_GREETING, LINE_GREETING_LEN);
	wire_at = wire_len;
	while (room) {
		frame(LINE_DATA, LINE_STDIO, (uint16_t)room);
		for (size_t i = 0; i < room; i++)
			data[i] = (uint8_t)((total + i) * 7 >> 3);
		total += room;
		say(data, room);
		for (room = 0; (head = next(&at)).type;)
			room += head.len;
	}
	is(total, CHAN_OUT_SIZE + LINE_HOST_ROOM, "a full channel and the line's own buffer, then no more room");
	frame(LINE_DATA, LINE_CONTROL, 2);
	say("ok", 2);
	ok(heard(LINE_CONTROL, "ok"), "another port goes on");
	while ((room = chan_out_peek(&ports[LINE_STDIO], iov))) {
		bool same = true;

		for (unsigned p = 0; p < 2; p++)
			for (size_t i = 0; i < iov[p].iov_len; i++)
				same &= ((uint8_t *)iov[p].iov_base)[i] == (uint8_t)(back++ * 7 >> 3);
		if (!same)
			break;
		chan_out_done(&ports[LINE_STDIO], room);
		turn();
	}
	is(back, total, "all of it comes when somebody reads, as it was");
	for (room = 0; (head = next(&at)).type;)
		room += head.port == LINE_STDIO ? head.len : 0;
	ok(room > LINE_HOST_ROOM / 2 && room <= LINE_HOST_ROOM, "and then there is room again");
	end();
}

/* After nonsense nothing is heard any more. */
static void nonsense_is(const char *what, uint8_t type, uint8_t port, uint16_t len)
{
	begin();
	say(LINE_GREETING, LINE_GREETING_LEN);
	frame(type, port, len);
	frame(LINE_DATA, LINE_CONTROL, 4);
	say("text", 4);
	ok(heard(LINE_CONTROL, "") && heard(LINE_STDIO, "") && heard(LINE_STDERR, ""), "nonsense: %s", what);
	end();
}

int main(void)
{
	loop = loop_open("line");
	greeting();
	both_ways();
	slow_reader();
	nonsense_is("a type that there isn't", 'X', LINE_STDIO, 1);
	nonsense_is("a port that there isn't", LINE_ROOM, LINE_PORTS, 1);
	nonsense_is("nothing", LINE_ROOM, LINE_STDIO, 0);
	nonsense_is("more than there is room for", LINE_DATA, LINE_STDIO, LINE_HOST_ROOM + 1);
	nonsense_is("more room than a guest has", LINE_ROOM, LINE_STDIO, LINE_GUEST_ROOM + 1);
	loop_close(loop);
	return tap_end();
}
