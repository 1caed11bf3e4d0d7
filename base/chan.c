// SPDX-License-Identifier: GPL-2.0-only
/*
 * chan: two byte rings and the flags that say who waits for what.
 *
 * The lock is held for as long as it takes to copy; the rings' bytes outside [head, tail) belong to
 * the writer and those inside to the reader, so that the far end can write(2) from the ring without
 * holding it.
 *
 * Runs on: the near end any thread, the far end the channel's loop
 */
#include <stdlib.h>
#include <string.h>

#include "lkvm/chan_outside.h"
#include "lkvm/log.h"
#include "lkvm/term.h"

static unsigned ring_used(const struct chan_ring *r)
{
	return r->tail - r->head;
}

static unsigned ring_room(const struct chan_ring *r)
{
	return r->size - ring_used(r);
}

/* Up to two pieces of len bytes from index `at` on. */
static void ring_pieces(const struct chan_ring *r, unsigned at, size_t len, struct iovec iov[2])
{
	unsigned pos = at & (r->size - 1);
	size_t first = r->size - pos;

	if (first > len)
		first = len;
	iov[0] = (struct iovec){ r->buf + pos, first };
	iov[1] = (struct iovec){ r->buf, len - first };
}

static size_t ring_put(struct chan_ring *r, const void *src, size_t len)
{
	struct iovec iov[2];

	if (len > ring_room(r))
		len = ring_room(r);
	ring_pieces(r, r->tail, len, iov);
	memcpy(iov[0].iov_base, src, iov[0].iov_len);
	memcpy(iov[1].iov_base, (const uint8_t *)src + iov[0].iov_len, iov[1].iov_len);
	r->tail += len;
	return len;
}

static size_t ring_get(struct chan_ring *r, void *dst, size_t len)
{
	struct iovec iov[2];

	if (len > ring_used(r))
		len = ring_used(r);
	ring_pieces(r, r->head, len, iov);
	memcpy(dst, iov[0].iov_base, iov[0].iov_len);
	memcpy((uint8_t *)dst + iov[0].iov_len, iov[1].iov_base, iov[1].iov_len);
	r->head += len;
	return len;
}

/* --- near end ------------------------------------------------------------------------------- */

size_t chan_write(struct chan *chan, const void *src, size_t len)
{
	bool half;
	size_t n;

	if (!len || (chan->null && !chan->tap.wrote))
		return len;
	pthread_mutex_lock(&chan->lock);
	n = chan->null ? len : ring_put(&chan->out, src, len);
	if (chan->tap.wrote)
		chan->tap.wrote(chan->tap.opaque, src, n);
	if (chan->null) {
		pthread_mutex_unlock(&chan->lock);
		return n;
	}
	chan->short_out |= n < len;
	half = ring_used(&chan->out) > chan->out.size / 2;
	if (!chan->told || (half && !chan->told_half)) {
		chan->told = true;
		chan->told_half = half;
		if (chan->wake)
			chan->wake(chan->opaque);
	}
	pthread_mutex_unlock(&chan->lock);
	return n;
}

size_t chan_room(struct chan *chan)
{
	size_t n;

	if (chan->null)
		return CHAN_OUT_SIZE;
	pthread_mutex_lock(&chan->lock);
	n = ring_room(&chan->out);
	pthread_mutex_unlock(&chan->lock);
	return n;
}

size_t chan_read(struct chan *chan, void *dst, size_t len)
{
	size_t n;

	if (chan->null)
		return 0;
	pthread_mutex_lock(&chan->lock);
	n = ring_get(&chan->in, dst, len);
	/* Half empty before the far end is woken: a guest that reads byte by byte costs few wakes. */
	if (chan->paused_in && ring_used(&chan->in) <= chan->in.size / 2) {
		chan->paused_in = false;
		if (chan->wake)
			chan->wake(chan->opaque);
	}
	pthread_mutex_unlock(&chan->lock);
	return n;
}

size_t chan_pending(struct chan *chan)
{
	size_t n;

	if (chan->null)
		return 0;
	pthread_mutex_lock(&chan->lock);
	n = ring_used(&chan->in);
	pthread_mutex_unlock(&chan->lock);
	return n;
}

void chan_size(struct chan *chan, uint16_t *cols, uint16_t *rows)
{
	*cols = *rows = 0;
	if (chan->null)
		return;
	pthread_mutex_lock(&chan->lock);
	*cols = chan->cols;
	*rows = chan->rows;
	pthread_mutex_unlock(&chan->lock);
}

void chan_attach(struct chan *chan, const struct chan_user *user)
{
	if (!chan->null)
		chan->user = user ? *user : (struct chan_user){ 0 };
}

void chan_tap(struct chan *chan, const struct chan_tap *tap)
{
	chan->tap = *tap;
}

struct chan *chan_null(void)
{
	static struct chan null = { .null = true };

	return &null;
}

struct chan *chan_null_open(void)
{
	struct chan *chan = malloc(sizeof(*chan));

	if (!chan) {
		log_err(NULL, "cannot make a console: out of memory");
		return NULL;
	}
	chan_init(chan, NULL, NULL);
	chan->null = true;
	return chan;
}

void chan_null_close(struct chan *chan)
{
	if (!chan)
		return;
	chan_fini(chan);
	free(chan);
}

/* --- far end -------------------------------------------------------------------------------- */

void chan_init(struct chan *chan, void (*wake)(void *opaque), void *opaque)
{
	memset(chan, 0, sizeof(*chan));
	pthread_mutex_init(&chan->lock, NULL);
	chan->out = (struct chan_ring){ .buf = chan->out_buf, .size = CHAN_OUT_SIZE };
	chan->in = (struct chan_ring){ .buf = chan->in_buf, .size = CHAN_IN_SIZE };
	chan->wake = wake;
	chan->opaque = opaque;
}

void chan_fini(struct chan *chan)
{
	pthread_mutex_destroy(&chan->lock);
}

size_t chan_out_pending(struct chan *chan)
{
	size_t n;

	pthread_mutex_lock(&chan->lock);
	n = ring_used(&chan->out);
	pthread_mutex_unlock(&chan->lock);
	return n;
}

size_t chan_out_peek(struct chan *chan, struct iovec iov[2])
{
	size_t n;

	pthread_mutex_lock(&chan->lock);
	n = ring_used(&chan->out);
	ring_pieces(&chan->out, chan->out.head, n, iov);
	chan->told = chan->told_half = false;
	pthread_mutex_unlock(&chan->lock);
	return n;
}

void chan_out_done(struct chan *chan, size_t n)
{
	bool tell;

	pthread_mutex_lock(&chan->lock);
	chan->out.head += n;
	tell = n && chan->short_out;
	if (tell)
		chan->short_out = false;
	pthread_mutex_unlock(&chan->lock);
	if (tell && chan->user.writable)
		chan->user.writable(chan->user.opaque);
}

size_t chan_in_room(struct chan *chan, size_t least)
{
	size_t n;

	pthread_mutex_lock(&chan->lock);
	n = ring_room(&chan->in);
	if (n < least) {
		chan->paused_in = true;
		n = 0;
	}
	pthread_mutex_unlock(&chan->lock);
	return n;
}

void chan_in_put(struct chan *chan, const void *src, size_t n)
{
	bool first;

	pthread_mutex_lock(&chan->lock);
	first = !ring_used(&chan->in);
	n = ring_put(&chan->in, src, n);
	pthread_mutex_unlock(&chan->lock);
	if (first && n && chan->user.readable)
		chan->user.readable(chan->user.opaque);
}

void chan_resize(struct chan *chan, uint16_t cols, uint16_t rows)
{
	bool news;

	pthread_mutex_lock(&chan->lock);
	news = chan->cols != cols || chan->rows != rows;
	chan->cols = cols;
	chan->rows = rows;
	pthread_mutex_unlock(&chan->lock);
	if (news && chan->user.resized)
		chan->user.resized(chan->user.opaque);
}
