// SPDX-License-Identifier: GPL-2.0-only
/*
 * virtq_split: the split ring (2.7): a descriptor table, a ring of heads from the driver, a ring of
 * used heads from us.
 *
 * Runs on: loop.
 */
#include <errno.h>

#include "virtq_ring.h"

enum { AVAIL_NO_INTERRUPT = 1, USED_NO_NOTIFY = 1 };

int split_locate(const struct gmem *mem, const struct virtq_conf *conf, struct split_areas *areas)
{
	uint64_t n = conf->size;

	if (!n || n > VIRTQ_SIZE_MAX || n & (n - 1))
		return -EINVAL;
	if (conf->desc % 16 || conf->driver % 2 || conf->device % 4)
		return -EINVAL;
	areas->desc = gmem_ptr(mem, conf->desc, 16 * n);
	areas->avail = gmem_ptr(mem, conf->driver, 6 + 2 * n);
	areas->used = gmem_ptr(mem, conf->device, 6 + 8 * n);
	return areas->desc && areas->avail && areas->used ? 0 : -EINVAL;
}

static int split_map(struct virtq *q)
{
	struct virtq_ring *ring = q->ring;
	struct split_areas areas;

	if (split_locate(q->mem, &q->conf, &areas))
		return -EINVAL;
	ring->desc.split = areas.desc;
	ring->driver.avail = areas.avail;
	ring->device.used = areas.used;
	ring->used_event = &areas.avail->ring[ring->size];
	ring->avail_event = (uint16_t *)&areas.used->ring[ring->size];
	return 0;
}

static bool split_news(struct virtq *q)
{
	struct virtq_ring *ring = q->ring;
	/* Pairs with the driver's write barrier between the ring entry and avail.idx (2.7.13.3). */
	uint16_t idx = ring_acquire(&ring->driver.avail->idx);
	bool news = idx != ring->seen;

	ring->seen = idx;
	return news;
}

static bool split_left(struct virtq *q)
{
	return q->ring->seen != q->ring->next_avail;
}

static bool split_ready(struct virtq *q)
{
	return split_left(q) || split_news(q);
}

static bool head_is_out(const struct virtq_ring *ring, uint16_t head)
{
	return ring->heads[head / 64] >> head % 64 & 1;
}

static void head_flip(struct virtq_ring *ring, uint16_t head)
{
	ring->heads[head / 64] ^= 1ULL << head % 64;
}

static bool split_walk(struct chain *c, uint16_t head)
{
	struct virtq_ring *ring = c->q->ring;
	uint32_t i = head;
	struct split_desc d;

	for (;;) {
		/* A polite driver's chains share no descriptor, so this bounds loops as well. */
		if (ring->busy + c->r->slots == ring->size)
			return virtq_break(c->q, "more descriptors in flight than the ring has "
						 "(a loop from head %u?)", head);
		c->r->slots++;
		ring_read_desc(&d, &ring->desc.split[i]);
		if (d.flags & DESC_INDIRECT) {
			if (d.flags & DESC_NEXT)
				return virtq_break(c->q, "descriptor %u is both INDIRECT and NEXT", i);
			return chain_add_split_table(c, d.addr, d.len);
		}
		if (!chain_add(c, d.addr, d.len, d.flags & DESC_WRITE))
			return false;
		if (!(d.flags & DESC_NEXT))
			return true;
		if (d.next >= ring->size)
			return virtq_break(c->q, "descriptor %u names next %u of %u", i, d.next,
					   ring->size);
		i = d.next;
	}
}

static bool split_take(struct virtq *q, struct vreq *r)
{
	struct virtq_ring *ring = q->ring;
	uint16_t more = (uint16_t)(ring->seen - ring->next_avail), head;
	struct chain c = { .q = q, .r = r };

	if (more > ring->size)
		return virtq_break(q, "avail.idx jumped %u ahead in a ring of %u", more, ring->size);
	head = ring_read(&ring->driver.avail->ring[ring->next_avail & (ring->size - 1)]);
	if (head >= ring->size)
		return virtq_break(q, "head %u in a ring of %u", head, ring->size);
	if (head_is_out(ring, head))
		return virtq_break(q, "head %u made available while in flight", head);
	if (!split_walk(&c, head))
		return false;
	chain_end(&c);
	r->id = head;
	head_flip(ring, head);
	ring->next_avail++;
	return true;
}

static void split_untake(struct virtq *q, struct vreq *r)
{
	head_flip(q->ring, r->id);
	q->ring->next_avail--;
}

static void split_stage(struct virtq *q, struct vreq *r)
{
	struct virtq_ring *ring = q->ring;
	struct split_used_elem *e = &ring->device.used->ring[ring->next_used & (ring->size - 1)];

	ring_write(&e->id, r->id);
	ring_write(&e->len, r->len);
	head_flip(ring, r->id);
	ring->next_used++;
}

static void split_publish(struct virtq *q)
{
	/*
	 * Entries, and the data they speak of, come before the index. Pairs with the driver's read
	 * barrier between used.idx and the entry (2.7.14).
	 */
	ring_release(&q->ring->device.used->idx, q->ring->next_used);
}

/* Legacy: the driver wants to know when the last buffer is done, whatever else it says. */
static bool split_ran_empty(struct virtq *q)
{
	return q->conf.notify_on_empty && !q->in_flight &&
	       ring_acquire(&q->ring->driver.avail->idx) == q->ring->next_avail;
}

static bool split_wants_call(struct virtq *q)
{
	struct virtq_ring *ring = q->ring;
	uint16_t new = ring->next_used, old = (uint16_t)(new - ring->staged);

	if (split_ran_empty(q))
		return true;
	if (q->conf.event_idx)
		return ring_need_event(ring_read(ring->used_event), new, old);
	return !(ring_read(&ring->driver.avail->flags) & AVAIL_NO_INTERRUPT);
}

static void split_doorbell(struct virtq *q, bool on)
{
	struct virtq_ring *ring = q->ring;
	uint16_t flags = on ? 0 : USED_NO_NOTIFY;

	if (q->conf.event_idx) {
		/*
		 * The entry the driver adds next is the one to ring for. Silence needs no word: the
		 * place asked for last lies behind the driver. flags stay 0 (2.7.10.1).
		 */
		if (on)
			ring_write(ring->avail_event, ring->seen);
		return;
	}
	if (ring->bell_valid && ring->bell == flags)
		return;
	ring_write(&ring->device.used->flags, flags);
	ring->bell = flags;
	ring->bell_valid = true;
}

const struct ring_kind split_ring = {
	.map = split_map,
	.left = split_left,
	.ready = split_ready,
	.news = split_news,
	.take = split_take,
	.untake = split_untake,
	.stage = split_stage,
	.publish = split_publish,
	.wants_call = split_wants_call,
	.doorbell = split_doorbell,
};
