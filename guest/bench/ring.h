/* SPDX-License-Identifier: GPL-2.0-only */
/* ring: split rings driven as Linux drives them, with what all requests of a slot share set up once. */
#pragma once

#include "../probe/drivers.h"
#include "../probe/machine.h"

/* A ring in use: what each slot (one per request) is made of stays as it is. */
struct ring {
	struct vq *q;
	u16 avail, mask;
	u32 bells, vector;
	volatile u16 *used_event, *avail_event;
	bool event;
};

void ring_init(struct ring *r, struct vdev *d, u16 index, u32 depth);
void ring_publish(struct ring *r);
void ring_wait(struct ring *r, u16 late);
struct desc *slot_table(struct ring *r, u16 n, u32 pieces);
/* The first device of a type, reset, with what is offered of these features. */
struct vdev *fresh(u8 type, u64 features);

static inline void ring_add(struct ring *r, u16 slot)
{
	r->q->avail->ring[r->avail++ & r->mask] = slot;
}

static inline u16 ring_take(struct ring *r)
{
	struct vq *q = r->q;

	return q->used->ring[q->seen++ & r->mask].id;
}

static inline bool ring_has(struct ring *r)
{
	return r->q->used->idx != r->q->seen;
}
