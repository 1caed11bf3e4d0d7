/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * chan: a byte channel between a console model (serial port, virtio-console) and the outside
 * (the terminal, a log). It buffers a little both ways and pushes back, so that neither side ever
 * blocks the other: a full channel takes fewer bytes and says when there is room again.
 *
 * chan_write, chan_read and chan_room may be called from any thread. The callbacks run on the
 * channel's loop, never inside one of these calls, and are set before the loop starts.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct chan;

/*
 * A tap sees every byte that the channel takes from the model, in order and before the write returns,
 * from the writing thread and under the channel's lock: it must not call back.
 */
struct chan_tap {
	void (*wrote)(void *opaque, const void *bytes, size_t len);
	void *opaque;
};

struct chan_user {
	void (*readable)(void *opaque); /* input has arrived since the last time it was all read */
	void (*writable)(void *opaque); /* there is room again after a short write */
	void (*resized)(void *opaque);	/* chan_size() gives something new */
	void *opaque;
};

size_t chan_write(struct chan *chan, const void *src, size_t len); /* bytes taken, 0..len */
size_t chan_room(struct chan *chan);
size_t chan_read(struct chan *chan, void *dst, size_t len); /* bytes given, 0..len */
size_t chan_pending(struct chan *chan);			    /* bytes that can be read now */
void chan_size(struct chan *chan, uint16_t *cols, uint16_t *rows); /* 0,0: not a terminal */
void chan_attach(struct chan *chan, const struct chan_user *user);
void chan_tap(struct chan *chan, const struct chan_tap *tap); /* before the loop starts; not chan_null() */
