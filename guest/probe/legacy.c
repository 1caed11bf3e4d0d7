// SPDX-License-Identifier: GPL-2.0-only
/* legacy: a virtio function driven by the I/O registers of before 1.0. */

#include "virtio.h"

#define PAGE 4096

void lg_status(struct vdev *d, u8 status)
{
	reg_w8(&d->io, L_STATUS, status);
}

u32 lg_begin(struct vdev *d, u32 want)
{
	d->old = true;
	lg_status(d, 0);
	must(wait_until(vd_status(d) == 0, PATIENCE),
	     "status does not come to read 0 after a reset");
	lg_status(d, S_ACKNOWLEDGE);
	lg_status(d, S_ACKNOWLEDGE | S_DRIVER);
	want &= reg_r32(&d->io, L_DEVICE_FEATURE);
	reg_w32(&d->io, L_DRIVER_FEATURE, want);
	d->features = want;
	return want;
}

/* Descriptors, available ring, and on the next page the used ring: one piece, found by its page
 * number. */
struct vq *lg_queue(struct vdev *d, u16 index)
{
	struct vq *q = alloc(sizeof(*q), 64);
	u32 avail, used;
	u8 *ring;

	q->d = d;
	q->index = index;
	q->doorbell = d->io.base + L_QUEUE_NOTIFY;
	reg_w16(&d->io, L_QUEUE_SELECT, index);
	q->size = reg_r16(&d->io, L_QUEUE_SIZE);
	must(q->size, "queue %u does not exist", index);
	skip_if(q->size > 256, "a ring of more than 256 descriptors");
	avail = 16 * q->size;
	used = (avail + 6 + 2 * q->size + PAGE - 1) & ~(PAGE - 1);
	ring = alloc(used + 6 + 8 * q->size, PAGE);
	q->desc = (void *)ring;
	q->avail = (void *)(ring + avail);
	q->used = (void *)(ring + used);
	reg_w32(&d->io, L_QUEUE_PFN, gpa(ring) / PAGE);
	must_be(reg_r32(&d->io, L_QUEUE_PFN), gpa(ring) / PAGE, "the page number of queue %u",
		index);
	if (d->msix) {
		reg_w16(&d->io, L_QUEUE_VECTOR, vd_vector(d, index));
		must_be(reg_r16(&d->io, L_QUEUE_VECTOR), vd_vector(d, index),
			"the vector of queue %u", index);
	}
	return q;
}

void lg_go(struct vdev *d)
{
	lg_status(d, S_ACKNOWLEDGE | S_DRIVER | S_DRIVER_OK);
}

u16 lg_config(struct vdev *d)
{
	return d->io.base + (d->f->msix && cfg_r16(d->f, d->f->msix + 2) & MSIX_ENABLE ? 24 : 20);
}
