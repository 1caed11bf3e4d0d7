// SPDX-License-Identifier: GPL-2.0-only
/* vring: split and packed rings from the driver's side. */

#include "virtio.h"

static struct vq *new_vq(void)
{
	return alloc(sizeof(struct vq), 64);
}

u64 vq_doorbell(struct vdev *d, u16 index)
{
	vd_select(d, index);
	return d->notify.base + (u64)reg_r16(&d->common, C_QUEUE_NOTIFY_OFF) * d->notify_mul;
}

struct vq *vq_alloc(struct vdev *d, u16 index, u16 size)
{
	struct vq *q = new_vq();
	u16 max;

	q->d = d;
	q->index = index;
	q->packed = d->features & F_PACKED;
	q->doorbell = vq_doorbell(d, index);
	max = reg_r16(&d->common, C_QUEUE_SIZE);
	must(max, "queue %u does not exist", index);
	if (!size || size > max)
		size = max;
	if (size > 256)
		size = 256;
	q->size = size;
	if (q->packed) {
		q->ring = alloc(16 * size, 16);
		q->driver = alloc(4, 4);
		q->device = alloc(4, 4);
		q->wrap = q->seen_wrap = true;
	} else {
		q->desc = alloc(16 * size, 16);
		q->avail = alloc(6 + 2 * size, 2);
		q->used = alloc(6 + 8 * size, 4);
	}
	return q;
}

void vq_program(struct vq *q)
{
	struct region *c = &q->d->common;

	vd_select(q->d, q->index);
	reg_w16(c, C_QUEUE_SIZE, q->size);
	must_be(reg_r16(c, C_QUEUE_SIZE), q->size, "queue %u: the size is not taken", q->index);
	reg_w64(c, C_QUEUE_DESC, q->packed ? gpa(q->ring) : gpa(q->desc));
	reg_w64(c, C_QUEUE_DRIVER, q->packed ? gpa(q->driver) : gpa(q->avail));
	reg_w64(c, C_QUEUE_DEVICE, q->packed ? gpa(q->device) : gpa(q->used));
	if (q->d->msix) {
		u16 v = vd_vector(q->d, q->index);

		reg_w16(c, C_QUEUE_VECTOR, v);
		must_be(reg_r16(c, C_QUEUE_VECTOR), v, "queue %u: the vector is not taken",
			q->index);
	}
}

void vq_enable(struct vq *q)
{
	vd_select(q->d, q->index);
	reg_w16(&q->d->common, C_QUEUE_ENABLE, 1);
}

struct vq *vq_new(struct vdev *d, u16 index, u16 size)
{
	struct vq *q = vq_alloc(d, index, size);

	vq_program(q);
	vq_enable(q);
	return q;
}

/* The slot's flags say "available" when AVAIL equals the driver's wrap counter and USED does not.
 */
static u16 packed_flags(struct vq *q, u16 flags)
{
	return flags | (q->wrap ? P_AVAIL : P_USED);
}

static u16 packed_chain(struct vq *q, const struct buf *bufs, u32 n)
{
	u16 head = q->next;

	for (u32 i = 0; i < n; i++) {
		volatile struct pdesc *s = &q->ring[q->next];
		u16 flags = (i + 1 < n ? D_NEXT : 0) | (bufs[i].in ? D_WRITE : 0);

		s->addr = gpa(bufs[i].p);
		s->len = bufs[i].len;
		s->id = head;
		if (i)
			s->flags = packed_flags(q, flags);
		else
			q->first_flags[head] = packed_flags(q, flags);
		if (++q->next == q->size) {
			q->next = 0;
			q->wrap = !q->wrap;
		}
	}
	q->chain_len[head] = n;
	return head;
}

u16 vq_chain(struct vq *q, const struct buf *bufs, u32 n)
{
	u16 head = q->next;

	must(n && n <= q->size, "the subtest's chain does not fit the ring");
	if (q->packed)
		return packed_chain(q, bufs, n);
	for (u32 i = 0; i < n; i++) {
		volatile struct desc *s = &q->desc[q->next];

		q->next = (q->next + 1) % q->size;
		s->addr = gpa(bufs[i].p);
		s->len = bufs[i].len;
		s->flags = (i + 1 < n ? D_NEXT : 0) | (bufs[i].in ? D_WRITE : 0);
		s->next = q->next;
	}
	return head;
}

u16 vq_indirect(struct vq *q, const struct buf *bufs, u32 n)
{
	struct desc *table = alloc(16 * n, 16);
	struct pdesc *ptable = (void *)table;
	struct buf one = {table, 16 * n, false};
	u16 head;

	for (u32 i = 0; i < n; i++) {
		if (q->packed)
			ptable[i] = (struct pdesc){gpa(bufs[i].p), bufs[i].len, 0,
						   bufs[i].in ? D_WRITE : 0};
		else
			table[i] = (struct desc){
			    gpa(bufs[i].p), bufs[i].len,
			    (bufs[i].in ? D_WRITE : 0) | (i + 1 < n ? D_NEXT : 0), i + 1};
	}
	head = vq_chain(q, &one, 1);
	if (q->packed)
		q->first_flags[head] |= D_INDIRECT;
	else
		q->desc[head].flags |= D_INDIRECT;
	return head;
}

/* The descriptors before the index, or before the first one's flags: stores stay in order on x86.
 */
void vq_offer(struct vq *q, u16 head)
{
	barrier();
	if (q->packed) {
		q->ring[head].flags = q->first_flags[head];
	} else {
		q->avail->ring[q->avail->idx % q->size] = head;
		barrier();
		q->avail->idx++;
	}
	barrier();
}

void vq_kick(struct vq *q)
{
	u32 data = q->index;

	mb();
	if (q->d->old) {
		outw(q->doorbell, data);
	} else if (q->d->features & F_NOTIFICATION_DATA) {
		if (q->packed)
			data |= (u32)q->next << 16 | (u32)q->wrap << 31;
		else
			data |= (u32)q->avail->idx << 16;
		if (q->d->notify.io)
			outl(q->doorbell, data);
		else
			w32(q->doorbell, data);
	} else if (q->d->notify.io) {
		outw(q->doorbell, data);
	} else {
		w16(q->doorbell, data);
	}
}

bool vq_has_used(struct vq *q)
{
	if (q->packed) {
		u16 flags = q->ring[q->seen].flags;

		return !!(flags & P_AVAIL) == q->seen_wrap && !!(flags & P_USED) == q->seen_wrap;
	}
	return q->used->idx != q->seen;
}

struct done vq_take(struct vq *q)
{
	struct done x;

	must(vq_has_used(q), "queue %u: nothing has been used", q->index);
	barrier();
	if (q->packed) {
		x.id = q->ring[q->seen].id;
		x.len = q->ring[q->seen].len;
		must(x.id < q->size, "queue %u: used id %u is none of ours", q->index, x.id);
		q->seen += q->chain_len[x.id];
		if (q->seen >= q->size) {
			q->seen -= q->size;
			q->seen_wrap = !q->seen_wrap;
		}
		return x;
	}
	x.id = q->used->ring[q->seen % q->size].id;
	x.len = q->used->ring[q->seen % q->size].len;
	q->seen++;
	return x;
}

struct done vq_wait(struct vq *q)
{
	must(wait_until(vq_has_used(q), PATIENCE),
	     "queue %u: nothing comes back, device status %#x", q->index, vd_status(q->d));
	return vq_take(q);
}

struct done vq_do(struct vq *q, const struct buf *bufs, u32 n)
{
	vq_offer(q, vq_chain(q, bufs, n));
	vq_kick(q);
	return vq_wait(q);
}
