// SPDX-License-Identifier: GPL-2.0-only
/*
 * virtq_packed: the packed ring (2.8): one ring of descriptors that driver and device take turns to
 * write, told apart by two flags and a wrap counter on each side.
 *
 * Runs on: loop.
 */
#include <errno.h>

#include "virtq_ring.h"

enum { EVENT_ENABLE, EVENT_DISABLE, EVENT_DESC, EVENT_MASK = 3 };
enum { OFF_MASK = 0x7fff, WRAP_SHIFT = 15 };

static int packed_map(struct virtq *q)
{
	struct virtq_ring *ring = q->ring;
	const struct virtq_conf *conf = &q->conf;

	if (conf->desc % 16 || conf->driver % 4 || conf->device % 4)
		return -EINVAL;
	ring->desc.packed = gmem_ptr(q->mem, conf->desc, 16 * (uint64_t)conf->size);
	ring->driver.event = gmem_ptr(q->mem, conf->driver, sizeof(*ring->driver.event));
	ring->device.event = gmem_ptr(q->mem, conf->device, sizeof(*ring->device.event));
	return ring->desc.packed && ring->driver.event && ring->device.event ? 0 : -EINVAL;
}

/* Moves a position on by n <= size slots; its wrap counter flips when it passes the end. */
static void advance(const struct virtq_ring *ring, uint16_t *pos, bool *wrap, uint16_t n)
{
	uint32_t next = (uint32_t)*pos + n;

	if (next >= ring->size) {
		next -= ring->size;
		*wrap = !*wrap;
	}
	*pos = (uint16_t)next;
}

static bool is_avail(uint16_t flags, bool wrap)
{
	return !!(flags & DESC_AVAIL) == wrap && !!(flags & DESC_USED) != wrap;
}

static bool packed_ready(struct virtq *q)
{
	struct virtq_ring *ring = q->ring;

	/*
	 * Pairs with the driver's write barrier between a list and the flags of its first
	 * descriptor (2.8.13).
	 */
	ring->head_flags = ring_acquire(&ring->desc.packed[ring->next_avail].flags);
	ring->known = is_avail(ring->head_flags, ring->avail_wrap);
	return ring->known;
}

static bool packed_left(struct virtq *q)
{
	return q->ring->known;
}

static bool packed_news(struct virtq *q)
{
	return !q->ring->known && packed_ready(q);
}

/* The list that starts at *pos; leaves *pos and *wrap behind it. */
static bool packed_walk(struct chain *c, uint16_t *pos, bool *wrap)
{
	struct virtq_ring *ring = c->q->ring;
	uint16_t flags = ring->head_flags;

	for (;;) {
		struct packed_desc *d = &ring->desc.packed[*pos];
		uint64_t addr = ring_read(&d->addr);
		uint32_t len = ring_read(&d->len);

		if (ring->busy + c->r->slots == ring->size)
			return virtq_break(c->q, "more descriptors in flight than the ring has");
		c->r->slots++;
		/* Any number the driver likes: it is only ever handed back. */
		c->r->id = ring_read(&d->id);
		advance(ring, pos, wrap, 1);
		if (flags & DESC_INDIRECT) {
			if (flags & DESC_NEXT || c->r->slots > 1)
				return virtq_break(c->q, "an indirect descriptor in a list");
			return chain_add_packed_table(c, addr, len);
		}
		if (!chain_add(c, addr, len, flags & DESC_WRITE))
			return false;
		if (!(flags & DESC_NEXT))
			return true;
		flags = ring_read(&ring->desc.packed[*pos].flags);
		if (!is_avail(flags, *wrap))
			return virtq_break(c->q, "a list runs into slot %u, which is not available",
					   *pos);
	}
}

static bool packed_take(struct virtq *q, struct vreq *r)
{
	struct virtq_ring *ring = q->ring;
	struct chain c = { .q = q, .r = r };
	uint16_t pos = ring->next_avail;
	bool wrap = ring->avail_wrap;

	if (!packed_walk(&c, &pos, &wrap))
		return false;
	chain_end(&c);
	ring->next_avail = pos;
	ring->avail_wrap = wrap;
	ring->known = false;
	return true;
}

static void packed_untake(struct virtq *q, struct vreq *r)
{
	struct virtq_ring *ring = q->ring;

	if (ring->next_avail < r->slots) {
		ring->next_avail += ring->size;
		ring->avail_wrap = !ring->avail_wrap;
	}
	ring->next_avail -= r->slots;
	ring->known = true;
}

/*
 * The used descriptor goes to the first slot of all those given back so far, and the rest of r's
 * slots are skipped. The driver polls one slot only, so holding back the flags of a batch's first
 * one hides the batch.
 */
static void packed_stage(struct virtq *q, struct vreq *r)
{
	struct virtq_ring *ring = q->ring;
	struct packed_desc *d = &ring->desc.packed[ring->next_used];
	uint16_t flags = ring->used_wrap ? DESC_AVAIL | DESC_USED : 0;

	/* Something was stored (2.8.4): a device that sets len itself may have left a gap before it. */
	if (r->len || (r->len_set && slot_of(r)->writable))
		flags |= DESC_WRITE;
	ring_write(&d->id, r->id);
	ring_write(&d->len, r->len);
	if (!ring->staged) {
		ring->first = &d->flags;
		ring->first_flags = flags;
	} else {
		ring_release(&d->flags, flags);
	}
	advance(ring, &ring->next_used, &ring->used_wrap, r->slots);
}

static void packed_publish(struct virtq *q)
{
	/*
	 * Id and length, the rest of the batch and the data come before these flags. Pairs with the
	 * driver's read barrier between a used descriptor's flags and the rest of it (2.8.22).
	 */
	ring_release(q->ring->first, q->ring->first_flags);
}

static bool packed_wants_call(struct virtq *q)
{
	struct virtq_ring *ring = q->ring;
	/* Pairs with the driver's write barrier between off_wrap and flags. */
	uint16_t flags = ring_acquire(&ring->driver.event->flags) & EVENT_MASK;
	uint16_t new = ring->next_used, old = (uint16_t)(new - ring->staged_slots);
	uint16_t off_wrap, event;

	if (flags == EVENT_DISABLE)
		return false;
	if (flags != EVENT_DESC || !q->conf.event_idx)
		return true;
	off_wrap = ring_read(&ring->driver.event->off_wrap);
	event = off_wrap & OFF_MASK;
	/* A slot of the previous lap lies before slot 0 of this one. */
	if (off_wrap >> WRAP_SHIFT != ring->used_wrap)
		event -= ring->size;
	return ring_need_event(event, new, old);
}

static void packed_doorbell(struct virtq *q, bool on)
{
	struct virtq_ring *ring = q->ring;
	struct packed_event *ev = ring->device.event;
	uint16_t flags = on ? EVENT_ENABLE : EVENT_DISABLE;

	/*
	 * The slot that the driver fills next is the one to ring for. When pop has left something
	 * behind we don't know where that is, and any slot has to do.
	 */
	if (on && q->conf.event_idx && !ring->known) {
		flags = EVENT_DESC;
		ring_write(&ev->off_wrap,
			   (uint16_t)(ring->next_avail | ring->avail_wrap << WRAP_SHIFT));
	}
	if (ring->bell_valid && ring->bell == flags)
		return;
	/* Pairs with the driver's read barrier between flags and off_wrap. */
	ring_release(&ev->flags, flags);
	ring->bell = flags;
	ring->bell_valid = true;
}

const struct ring_kind packed_ring = {
	.map = packed_map,
	.left = packed_left,
	.ready = packed_ready,
	.news = packed_news,
	.take = packed_take,
	.untake = packed_untake,
	.stage = packed_stage,
	.publish = packed_publish,
	.wants_call = packed_wants_call,
	.doorbell = packed_doorbell,
};
