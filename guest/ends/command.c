// SPDX-License-Identifier: GPL-2.0-only
/*
 * command: what a guest's first process says to lkvm (guest/command.h), by a guest that has no process:
 * over the serial line of guest/line.h, polled.
 */
#include "ends.h"

#define COM2 0x2f8
#define LSR  (COM2 + 5)
#define KIB  1024

static u32 room[LINE_PORTS];	/* that lkvm has */
static u64 written[LINE_PORTS]; /* bytes */
static struct line_head head;	/* of the frame that comes in */
static u32 head_have, left;
static struct command_head msg; /* of the control port's message */
static u32 msg_have, msg_left;
static u32 owed; /* room on the control port that lkvm hasn't been told of */
static u32 seen; /* a bit for each type of message */

static void put_frame(u8 type, u32 port, const void *data, u32 len)
{
	struct line_head h = { type, (u8)port, (uint16_t)len };

	out_string_to(COM2, &h, sizeof(h));
	if (data)
		out_string_to(COM2, data, len);
}

static void control_byte(u8 byte)
{
	if (++owed == LINE_GUEST_ROOM / 2) {
		put_frame(LINE_ROOM, LINE_CONTROL, 0, owed);
		owed = 0;
	}
	if (msg_left) {
		msg_left--;
		return;
	}
	((u8 *)&msg)[msg_have++] = byte;
	if (msg_have < sizeof(msg))
		return;
	msg_have = 0;
	msg_left = msg.len;
	seen |= 1u << (msg.type & 31);
}

/* What lkvm has to say, if anything. */
static void listen(void)
{
	u8 byte;

	if (!(inb(LSR) & 1))
		return;
	byte = inb(COM2);
	if (left) {
		left--;
		if (head.port == LINE_CONTROL)
			control_byte(byte);
		return;
	}
	((u8 *)&head)[head_have++] = byte;
	if (head_have < sizeof(head))
		return;
	head_have = 0;
	if (head.type == LINE_ROOM && head.port < LINE_PORTS)
		room[head.port] += head.len;
	else
		left = head.len;
}

static void send(u32 port, const void *data, u32 len)
{
	while (room[port] < len)
		listen();
	room[port] -= len;
	written[port] += len;
	put_frame(LINE_DATA, port, data, len);
}

static void tell(u32 type, const void *payload, u32 len)
{
	struct command_head h = { type, len };

	send(LINE_CONTROL, &h, sizeof(h));
	if (len)
		send(LINE_CONTROL, payload, len);
}

static void wait_for(enum command_type type)
{
	while (!(seen >> type & 1))
		listen();
}

void command_hello(u32 version)
{
	struct command_hello hello = { version };

	out_string_to(COM2, LINE_GREETING, LINE_GREETING_LEN);
	put_frame(LINE_ROOM, LINE_CONTROL, 0, LINE_GUEST_ROOM);
	tell(COMMAND_HELLO, &hello, sizeof(hello));
	wait_for(COMMAND_START);
	tell(COMMAND_STARTED, 0, 0);
}

/* Only the number changes: a guest that is interpreted has better things to do. */
void command_write(u32 port, u32 kib)
{
	static char text[4 * KIB];
	u32 piece = kib < 4 ? KIB : 4 * KIB;

	for (u32 i = 0; i < sizeof(text); i++)
		text[i] = i % 64 == 63 ? '\n' : (char)('!' + i % 64);
	for (u32 k = 0; k * piece < kib * KIB; k++) {
		u32 n = k;

		for (u32 i = 8; i; n /= 10)
			text[--i] = (char)('0' + n % 10);
		send(port, text, piece);
	}
}

void command_exit(u32 how, u32 value, u32 more)
{
	struct command_status status = { how, value, written[LINE_STDIO] + more, written[LINE_STDERR] };

	tell(COMMAND_STATUS, &status, sizeof(status));
	if (!more)
		wait_for(COMMAND_BYE);
}

void command_noise(u32 kib)
{
	static u8 text[KIB];

	for (u32 i = 0; i < KIB; i++)
		text[i] = (u8)(i * 2654435761u >> 13);
	while (kib--)
		out_string_to(COM2, text, KIB);
}
