/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * chan_outside: the far end of a channel, for whoever carries its bytes to and from the host (the
 * terminal; tests). The near end, for console models, is lkvm/chan.h.
 *
 * All of these run on the channel's loop, except the wake callback, which comes from whatever thread
 * wrote or read the near end, with the channel's lock held: it may write an eventfd, nothing more.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "lkvm/chan.h"

#define CHAN_OUT_SIZE 65536 /* powers of two */
#define CHAN_IN_SIZE  4096

/* Free-running indices; tail - head bytes are in it. */
struct chan_ring {
	uint8_t *buf;
	unsigned size, head, tail;
};

struct chan {
	pthread_mutex_t lock;
	struct chan_ring out, in; /* out: from the guest; in: to the guest */
	bool told;	/* wake was called for output that has not been looked at */
	bool told_half; /* and again, because it fills up */
	bool short_out; /* a write came up short: say when there is room */
	bool paused_in; /* the far end waits for room in `in` */
	bool null;	/* swallows everything, never has anything */
	uint16_t cols, rows;
	struct chan_user user;
	struct chan_tap tap;
	void (*wake)(void *opaque); /* output to look at, or room in `in` after a pause */
	void *opaque;
	uint8_t out_buf[CHAN_OUT_SIZE], in_buf[CHAN_IN_SIZE];
};

void chan_init(struct chan *chan, void (*wake)(void *opaque), void *opaque);
void chan_fini(struct chan *chan);

size_t chan_out_pending(struct chan *chan);
/*
 * What waits to be written out, oldest first, as up to two pieces; it stays put until chan_out_done.
 * The next write after this wakes again. Returns the bytes.
 */
size_t chan_out_peek(struct chan *chan, struct iovec iov[2]);
/* The oldest n bytes are gone; calls user.writable when somebody waits for that. */
void chan_out_done(struct chan *chan, size_t n);

/* Room for input; less than `least` means 0 and a wake when there is a good deal more. */
size_t chan_in_room(struct chan *chan, size_t least);
/* Input that fits (see chan_in_room); calls user.readable when there was none before. */
void chan_in_put(struct chan *chan, const void *src, size_t n);

/* Calls user.resized when this is news. */
void chan_resize(struct chan *chan, uint16_t cols, uint16_t rows);
