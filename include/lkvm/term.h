/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * term: lkvm's own stdin and stdout as a channel, raw when stdin is a foreground terminal, with
 * Ctrl-a as the escape key. The terminal is restored on every way out, crashes included.
 *
 * Runs on: the loop it was opened with; the chan's own rules hold for the other side.
 */
#pragma once

#include "lkvm/chan.h"
#include "lkvm/loop.h"

#include <stdbool.h>
#include <stdint.h>

struct term;

struct term_conf {
	const char *log_path; /* copy of the guest's output with host timestamps; NULL: none */
	void (*quit)(void *opaque); /* Ctrl-a x, on the loop */
	/* stdin has ended; `total` bytes came from it. On the loop. */
	void (*in_ended)(void *opaque, uint64_t total);
	/* `total` bytes of output have been written, or dropped once nobody reads (gone). On the loop. */
	void (*wrote)(void *opaque, uint64_t total, bool gone);
	void *opaque;
	bool stream; /* not a terminal: in and out as they are, no raw mode, no escape key */
	int in, out; /* descriptors of a stream; -1: none */
};

/*
 * First thing in main, before anything is opened: whichever of stdin, stdout and stderr is closed
 * becomes /dev/null, so that no file of ours takes its number.
 */
void term_hold_std(void);

struct term *term_open(struct loop *loop, const struct term_conf *conf); /* NULL: logged */
struct chan *term_chan(struct term *term);
/* Writes out what the guest has said and can still be written in a second, restores the terminal. */
void term_close(struct term *term);
/* The last of what was written to a term without an output, up to size bytes. On the loop. */
size_t term_tail(struct term *term, char *dst, size_t size);
/* The window changed (SIGWINCH). On the loop. */
void term_resized(struct term *term);

/* A channel that swallows output and has no input; for a console nobody looks at. */
struct chan *chan_null(void);
/* One like it that can have a tap, so that what nobody looks at is still watched. NULL: logged. */
struct chan *chan_null_open(void);
void chan_null_close(struct chan *chan);
