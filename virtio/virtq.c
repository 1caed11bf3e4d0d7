// SPDX-License-Identifier: GPL-2.0-only
/*
 * virtq: the ring's verbs: what split and packed have in common, and the life of a queue.
 *
 * Runs on: loop.
 */
#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "virtq_ring.h"

bool virtq_break(struct virtq *q, const char *fmt, ...)
{
	char why[160];
	va_list ap;

	assert(!q->broken); /* pop is the only one that looks, and doesn't any more */
	q->broken = true;
	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	if (q->fail)
		q->fail(q->opaque, why);
	return false;
}

int virtq_start(struct virtq *q, const struct gmem *mem, const struct virtq_conf *conf)
{
	size_t heads = conf->packed ? 0 : (conf->size + 63) / 64;
	struct virtq_ring *ring;

	assert(!q->ring);
	if (!conf->size || conf->size > VIRTQ_SIZE_MAX)
		return -EINVAL;
	ring = calloc(1, sizeof(*ring) + heads * sizeof(ring->heads[0]));
	if (!ring)
		return -ENOMEM;
	ring->kind = conf->packed ? &packed_ring : &split_ring;
	ring->size = conf->size;
	ring->avail_wrap = ring->used_wrap = true;
	ring->chain_max = conf->size > CHAIN_MIN ? conf->size : CHAIN_MIN;
	ring->segs_max = conf->size * KEEP_SEGS + 2 * CHAIN_MIN;
	q->mem = mem;
	q->conf = *conf;
	q->ring = ring;
	if (ring->kind->map(q)) {
		free(ring);
		q->ring = NULL;
		return -EINVAL;
	}
	q->in_flight = 0;
	q->broken = false;
	q->running = true;
	memset(&q->stat, 0, sizeof(q->stat));
	return 0;
}

void virtq_stop(struct virtq *q)
{
	if (!q->ring)
		return;
	pool_free(q->ring);
	free(q->ring);
	q->ring = NULL;
	q->running = false;
	q->in_flight = 0;
}

/* --- in_order: completions wait for those of everything older (2.7.9, 2.8.8) ----------------- */

static void order_add(struct virtq_ring *ring, struct slot *s)
{
	s->older = ring->newest;
	s->newer = NULL;
	s->done = false;
	if (ring->newest)
		ring->newest->newer = s;
	else
		ring->oldest = s;
	ring->newest = s;
}

static void order_drop_newest(struct virtq_ring *ring)
{
	ring->newest = ring->newest->older;
	if (ring->newest)
		ring->newest->newer = NULL;
	else
		ring->oldest = NULL;
}

static struct slot *order_next_done(struct virtq_ring *ring)
{
	struct slot *s = ring->oldest;

	if (!s || !s->done)
		return NULL;
	ring->oldest = s->newer;
	if (ring->oldest)
		ring->oldest->older = NULL;
	else
		ring->newest = NULL;
	return s;
}

/* --- requests --------------------------------------------------------------------------------- */

static void vreq_init(struct vreq *r)
{
	r->len = 0;
	r->len_set = false;
	r->opaque = NULL;
	r->n_iov = 0;
	r->slots = 0;
}

struct vreq *virtq_pop(struct virtq *q)
{
	struct virtq_ring *ring = q->ring;
	struct vreq *r;

	if (!ring || q->broken || !ring->kind->ready(q))
		return NULL;
	r = pool_get(q);
	if (!r) {
		virtq_break(q, "no memory for another request");
		return NULL;
	}
	vreq_init(r);
	slot_of(r)->at = ring->next_avail;
	if (!ring->kind->take(q, r)) {
		pool_put(q, r);
		return NULL;
	}
	if (q->conf.in_order)
		order_add(ring, slot_of(r));
	ring->busy += r->slots;
	q->in_flight++;
	q->stat.pops++;
	return r;
}

void virtq_unpop(struct virtq *q, struct vreq *r)
{
	struct virtq_ring *ring = q->ring;

	assert(r->q == q && q->in_flight);
	ring->kind->untake(q, r);
	/* Anything but the newest would be handed out twice, and another one never. */
	assert(ring->next_avail == slot_of(r)->at);
	if (q->conf.in_order)
		order_drop_newest(ring);
	ring->busy -= r->slots;
	q->in_flight--;
	q->stat.pops--;
	pool_put(q, r);
}

static void stage(struct virtq *q, struct vreq *r)
{
	struct virtq_ring *ring = q->ring;

	ring->kind->stage(q, r);
	ring->staged_slots += r->slots;
	pool_put(q, r);
	if (!ring->staged++ && q->staged)
		q->staged(q->opaque);
}

void virtq_push(struct virtq *q, struct vreq *r)
{
	struct slot *s;

	assert(r->q == q && q->in_flight);
	if (!r->len_set)
		r->len = (uint32_t)r->in.done;
	q->in_flight--;
	q->stat.pushes++;
	if (!q->conf.in_order) {
		stage(q, r);
		return;
	}
	slot_of(r)->done = true;
	while ((s = order_next_done(q->ring)))
		stage(q, &s->req);
}

void virtq_flush(struct virtq *q)
{
	struct virtq_ring *ring = q->ring;
	bool call;

	if (!ring || !ring->staged)
		return;
	ring->kind->publish(q);
	ring->busy -= ring->staged_slots;
	/*
	 * Publish, then read what the driver wants. Pairs with the full barrier of a driver that
	 * asks for an interrupt and then looks once more for used buffers: one of the two sees the
	 * other's store.
	 */
	ring_full_barrier();
	q->stat.flushes++;
	call = ring->kind->wants_call(q);
	ring->staged = 0;
	ring->staged_slots = 0;
	if (!call)
		return;
	q->stat.calls++;
	irq_raise(&q->call);
}

/* --- doorbells -------------------------------------------------------------------------------- */

void virtq_quiet(struct virtq *q)
{
	if (q->ring && !q->broken)
		q->ring->kind->doorbell(q, false);
}

bool virtq_listen(struct virtq *q)
{
	if (!q->ring || q->broken)
		return false;
	q->ring->kind->doorbell(q, true);
	/*
	 * Ask for the bell, then look. Pairs with the full barrier a driver has between making a
	 * buffer available and reading whether it has to ring: either it rings or we see the buffer.
	 */
	ring_full_barrier();
	return q->ring->kind->news(q);
}

bool virtq_ready(struct virtq *q)
{
	return q->ring && !q->broken && q->ring->kind->ready(q);
}

bool virtq_empty(struct virtq *q)
{
	return !q->ring || q->broken || !q->ring->kind->left(q);
}
