/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * fields: the registers that mean the same in both layouts, and how a table of registers is written.
 *
 * Runs on: vcpu under slot lock.
 */
#pragma once

#include "virtio/pci/transport.h"

#define RW(off, width, flags, field) { off, width, flags, #field, get_##field, set_##field }
#define RO(off, width, flags, field) { off, width, flags, #field, get_##field, NULL }

static inline uint64_t get_status(struct virtio_pci *vp)
{
	return vp_status(vp);
}

static inline uint64_t get_isr(struct virtio_pci *vp)
{
	return vp_read_isr(vp);
}

static inline uint64_t get_config_vector(struct virtio_pci *vp)
{
	return vp_config_vector(vp);
}

static inline void set_config_vector(struct virtio_pci *vp, uint64_t val)
{
	vp_set_config_vector(vp, (uint16_t)val);
}

static inline uint64_t get_queue_select(struct virtio_pci *vp)
{
	return vp->queue_select;
}

static inline void set_queue_select(struct virtio_pci *vp, uint64_t val)
{
	vp->queue_select = (uint16_t)val;
}

static inline uint64_t get_queue_vector(struct virtio_pci *vp)
{
	const struct vp_queue *q = vp_selected(vp);

	return q ? q->vector : VIRTIO_NO_VECTOR;
}

static inline void set_queue_vector(struct virtio_pci *vp, uint64_t val)
{
	struct vp_queue *q = vp_selected(vp);

	if (q)
		vp_queue_set_vector(q, (uint16_t)val);
}
