/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * command: what lkvm and the guest's first process (guest/init) say to each other about the one
 * command that the guest was started for. Freestanding; both sides include it.
 *
 * They meet at three ports of a virtio console, found by name:
 *
 *	lkvm.control  messages both ways, each a struct command_head and len bytes
 *	lkvm.stdio    the command's stdin towards the guest, its stdout towards the host, as they are
 *	lkvm.stderr   its stderr, as it is; silent when the command has a terminal
 *
 * A port has no end of file that both sides see in order with the data, so the ends are numbers:
 * COMMAND_STDIN_END and COMMAND_STATUS say how many bytes the streams had in all, and whoever reads
 * a stream waits for them.
 *
 *	guest			host
 *	HELLO
 *				START
 *	STARTED
 *				STDIN_END, RESIZE, SIGNAL, CLOSED: any time, if at all
 *	STATUS			(waits until it has written all output)
 *				BYE
 *	syncs and powers off
 *
 * SAY is a line for the person at the terminal and comes any time. Neither side trusts a length: a
 * message that is longer than its type allows ends the conversation.
 */
#pragma once

#include <stdint.h>

#define COMMAND_VERSION 1
#define COMMAND_PORT_CONTROL "lkvm.control"
#define COMMAND_PORT_STDIO   "lkvm.stdio"
#define COMMAND_PORT_STDERR  "lkvm.stderr"

/* Where it all lies in the guest's initramfs; removed before the command runs. */
#define COMMAND_DIR	"/.lkvm"
#define COMMAND_INIT	COMMAND_DIR "/init"
#define COMMAND_MODULES COMMAND_DIR "/modules" /* a path a line, in the order of loading */

#define COMMAND_START_MAX (1u << 20) /* payload of START: a little less than execve takes */
#define COMMAND_WORDS_MAX 16384	     /* argv and environment */
#define COMMAND_SAY_MAX	  512	     /* payload of all that the guest sends */

/* Numbers are little-endian, as the guest's processor has them. */
struct command_head {
	uint32_t type, len;
};
_Static_assert(sizeof(struct command_head) == 8, "a message's head");

enum command_type {
	/* to the guest */
	COMMAND_START = 1,
	COMMAND_STDIN_END = 2, /* struct command_total */
	COMMAND_RESIZE = 3,    /* struct command_size */
	COMMAND_SIGNAL = 4,    /* struct command_signal */
	COMMAND_BYE = 5,       /* nothing */
	COMMAND_CLOSED = 6,    /* struct command_closed: nobody reads that stream any more */
	/* to the host */
	COMMAND_HELLO = 0x101,	 /* struct command_hello */
	COMMAND_STARTED = 0x102, /* nothing */
	COMMAND_STATUS = 0x103,	 /* struct command_status */
	COMMAND_SAY = 0x104,	 /* text, no terminator */
};

/* Behind it strings, each with its zero: path ("": argv[0], by PATH), cwd, argv, environment. */
struct command_start {
	uint32_t version, flags;
	uint32_t argc, envc;
	uint16_t cols, rows; /* of the terminal; 0: unknown */
};
_Static_assert(sizeof(struct command_start) == 20, "COMMAND_START");

enum { COMMAND_TTY = 1 << 0 }; /* flags: stdin, stdout and stderr are one terminal */

struct command_total {
	uint64_t bytes;
};

struct command_size {
	uint16_t cols, rows;
};

struct command_signal {
	uint32_t signo;
};

struct command_closed {
	uint32_t fd; /* 1 or 2 */
};

struct command_hello {
	uint32_t version;
};

struct command_status {
	uint32_t how, value;
	uint64_t stdout_bytes, stderr_bytes;
};
_Static_assert(sizeof(struct command_status) == 24, "COMMAND_STATUS");

enum command_how {
	COMMAND_EXITED = 0, /* value: 0..255 */
	COMMAND_KILLED = 1, /* value: the signal */
	COMMAND_NOT_EXECUTABLE = 2, /* value: errno, for these three */
	COMMAND_NOT_FOUND = 3,
	COMMAND_FAILED = 4, /* something before the command failed; SAY has said what */
};
