/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * line: the three ports of a command (guest/command.h) over one serial line, for kernels without a
 * virtio console. Freestanding; both sides include it.
 *
 * The guest's first process begins with LINE_GREETING; what came before it on the line is somebody
 * else's. From there on both sides send frames, a head each:
 *
 *	LINE_DATA	len bytes of that port follow
 *	LINE_ROOM	the sender takes len more bytes on that port; nothing follows
 *
 * Nobody sends bytes that the other side has no room for, on any port: one whose reader is slow holds
 * up no other, and the guest's terminal, which drops what it cannot keep, never has more than a little
 * to keep. There is nothing to escape: the lengths tell where a frame ends, and the guest's terminal is
 * raw.
 */
#pragma once

#include <stdint.h>

#define LINE_TTY "ttyS1"
#define LINE_GREETING "\nlkvm line 1\n"
#define LINE_GREETING_LEN (sizeof(LINE_GREETING) - 1)

enum line_port { LINE_CONTROL, LINE_STDIO, LINE_STDERR, LINE_PORTS };

enum line_type { LINE_DATA = 'D', LINE_ROOM = 'R' };

/* Numbers are little-endian, as the guest's processor has them. */
struct line_head {
	uint8_t type, port;
	uint16_t len; /* not 0 */
};
_Static_assert(sizeof(struct line_head) == 4, "a frame's head");

/* Each side's room on each port, at the beginning and at most. */
#define LINE_HOST_ROOM	16384
#define LINE_GUEST_ROOM 2048
