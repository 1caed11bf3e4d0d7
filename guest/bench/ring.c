// SPDX-License-Identifier: GPL-2.0-only
/* ring: split rings driven as Linux drives them, with what all requests of a slot share set up once. */
#include "ring.h"

#include "../probe/irq.h"

void ring_init(struct ring *r, struct vdev *d, u16 index, u32 depth)
{
	*r = (struct ring){.q = vq_new(d, index, 0)};
	must(depth && depth <= r->q->size, "the ring has %u entries", r->q->size);
	r->mask = r->q->size - 1;
	r->event = d->features & F_EVENT_IDX;
	r->vector = VEC_MSI(vd_vector(d, index));
	r->used_event = &r->q->avail->ring[r->q->size];
	r->avail_event = (volatile u16 *)&r->q->used->ring[r->q->size];
}

void ring_publish(struct ring *r)
{
	struct vq *q = r->q;
	u16 old = q->avail->idx;

	if (old == r->avail)
		return;
	barrier();
	q->avail->idx = r->avail;
	mb();
	if (r->event ? (u16)(r->avail - *r->avail_event - 1) >= (u16)(r->avail - old) :
		       q->used->flags & 1)
		return;
	r->bells++;
	if (q->d->notify.io)
		outw(q->doorbell, q->index);
	else
		w16(q->doorbell, q->index);
}

/* Sleeps until something is used; the interrupt comes when `late` more than the next one are. */
void ring_wait(struct ring *r, u16 late)
{
	struct vq *q = r->q;

	*r->used_event = q->seen + late;
	mb();
	for (;;) {
		__asm__ volatile("cli");
		if ((u16)(q->used->idx - q->seen) > late)
			break;
		__asm__ volatile("sti; hlt" ::: "memory");
	}
	__asm__ volatile("sti");
}

/* Fills slot n with an indirect table. */
struct desc *slot_table(struct ring *r, u16 n, u32 pieces)
{
	struct desc *t = alloc(pieces * sizeof(*t), 16);
	volatile struct desc *d = &r->q->desc[n];

	*d = (struct desc){gpa(t), pieces * sizeof(*t), D_INDIRECT, 0};
	for (u32 i = 0; i < pieces; i++)
		t[i] = (struct desc){0, 0, i + 1 < pieces ? D_NEXT : 0, i + 1};
	return t;
}

static struct vdev *find(u8 type)
{
	for (u32 i = 0; i < vdev_count; i++)
		if (vdevs[i].type == type && vdevs[i].modern)
			return &vdevs[i];
	test_fail("", 0, "no such device");
}

struct vdev *fresh(u8 type, u64 features)
{
	struct vdev *d = find(type);

	arena_reset();
	virtio_restore(d);
	irq_reset();
	vd_msix(d);
	vd_begin(d, features | F_INDIRECT | F_EVENT_IDX);
	must(d->features & F_INDIRECT, "no indirect descriptors");
	return d;
}
