// SPDX-License-Identifier: GPL-2.0-only
/*
 * legacy: the register block of before 1.0 at the start of an I/O BAR (4.1.4.10), for the drivers
 * that know no other: 32 feature bits, one ring at PFN * 4096, no FEATURES_OK.
 *
 * Runs on: vcpu under slot lock.
 *
 * A legacy driver may use a queue before it says DRIVER_OK (3.1.2), but never says when its
 * features are final. So both are taken from its first use of the device: the first notification,
 * or DRIVER_OK if that comes first. Until then a PFN is only remembered.
 */
#include "virtio/pci/fields.h"

#define RING_ALIGN 4096
#define PFN_SHIFT 12

/* --- the ring -------------------------------------------------------------------------------- */

/* 2.7.2: the available ring follows the descriptors, the used ring starts on the next page. */
static void place_ring(struct vp_queue *q)
{
	uint64_t size = vp_queue_size(q);

	q->desc = (uint64_t)q->pfn << PFN_SHIFT;
	q->driver = q->desc + 16 * size;
	q->device = (q->driver + 6 + 2 * size + RING_ALIGN - 1) & ~(RING_ALIGN - 1ULL);
}

static void start_queue(struct vp_queue *q)
{
	if (!q->pfn || q->enabled)
		return;
	place_ring(q);
	if (vp_queue_start(q))
		vp_fail(q->vp, "a queue was put where its ring can't be");
}

/* Is the set closed under its dependencies? The port judges modern sets: it is asked about one. */
static bool features_good(struct virtio_pci *vp)
{
	uint64_t features = vp->driver_feature[0] & vp->port->features;

	return vp->port->ops->acceptable(vp->port, features | VBIT(VIRTIO_F_VERSION_1));
}

/* The first use. */
static void go_live(struct virtio_pci *vp)
{
	if (vp->settled)
		return;
	if (!features_good(vp)) {
		vp->settled = true;
		vp_fail(vp, "a legacy driver accepted features that can't be used together");
		return;
	}
	vp_settle(vp, vp->driver_feature[0]);
	pci_bus_master_on(&vp->func); /* drivers of that time did not always say so */
	for (unsigned n = 0; n < vp->port->nqueues; n++)
		start_queue(&vp->queue[n]);
	vp_go_live(vp);
}

/* --- registers ------------------------------------------------------------------------------- */

static uint64_t get_host_features(struct virtio_pci *vp)
{
	return vp->port->legacy_features & 0xffffffff;
}

static uint64_t get_guest_features(struct virtio_pci *vp)
{
	return vp->driver_feature[0];
}

/* What was not offered can't be refused here, so it is not accepted. */
static void set_guest_features(struct virtio_pci *vp, uint64_t val)
{
	if (!vp->settled)
		vp->driver_feature[0] = (uint32_t)val & (uint32_t)vp->port->legacy_features;
}

static uint64_t get_queue_pfn(struct virtio_pci *vp)
{
	const struct vp_queue *q = vp_selected(vp);

	return q ? q->pfn : 0;
}

/* 0 gives the queue back; another place than the one in use is a new start there. */
static void set_queue_pfn(struct virtio_pci *vp, uint64_t val)
{
	struct vp_queue *q = vp_selected(vp);

	if (!q || q->pfn == (uint32_t)val)
		return;
	vp_queue_stop(q);
	q->pfn = (uint32_t)val;
	if (vp->live)
		start_queue(q);
}

static uint64_t get_queue_size(struct virtio_pci *vp)
{
	const struct vp_queue *q = vp_selected(vp);

	return q ? vp_queue_max(q) : 0;
}

static uint64_t get_queue_notify(struct virtio_pci *vp)
{
	(void)vp;
	return 0;
}

static void set_queue_notify(struct virtio_pci *vp, uint64_t val)
{
	go_live(vp);
	vp_ring(vp, (unsigned)val);
}

static void set_status(struct virtio_pci *vp, uint64_t val)
{
	if (!(val & 0xff)) {
		vp_reset(vp);
		return;
	}
	vp->status |= (uint8_t)val & (VIRTIO_S_ACKNOWLEDGE | VIRTIO_S_DRIVER | VIRTIO_S_DRIVER_OK |
				      VIRTIO_S_FAILED);
	if (val & VIRTIO_S_DRIVER_OK)
		go_live(vp);
}

static const struct vp_reg legacy[] = {
	RO(0, 4, VP_CONST, host_features),
	RW(4, 4, 0, guest_features),
	RW(8, 4, 0, queue_pfn),
	RO(12, 2, 0, queue_size),
	RW(14, 2, VP_SELECT, queue_select),
	RW(16, 2, 0, queue_notify),
	RW(18, 1, 0, status),
	RO(19, 1, 0, isr),
	/* The following are there while MSI-X is enabled; else device configuration begins here. */
	RW(20, 2, VP_ONES, config_vector),
	RW(22, 2, VP_ONES, queue_vector),
};
#define N_LEGACY (sizeof(legacy) / sizeof(legacy[0]))
#define N_WITHOUT_MSIX (N_LEGACY - 2)
#define HEADER_LEN 24
#define HEADER_WITHOUT_MSIX 20
#define STATUS_OFF 18

static unsigned header_len(const struct virtio_pci *vp)
{
	return vp->msix_on ? HEADER_LEN : HEADER_WITHOUT_MSIX;
}

/* An access that begins in the header ends with it; its other bytes read 0. */
static uint64_t legacy_read(void *opaque, uint64_t off, unsigned len)
{
	struct virtio_pci *vp = opaque;
	unsigned header = header_len(vp);
	uint64_t val = 0;

	if (off < header)
		return vp_regs_read(vp, VP_LEGACY, legacy, vp->msix_on ? N_LEGACY : N_WITHOUT_MSIX,
				    off, len);
	vp->port->ops->config_read(vp->port, (unsigned)off - header, &val, len);
	return val;
}

static void legacy_write(void *opaque, uint64_t off, unsigned len, uint64_t val)
{
	struct virtio_pci *vp = opaque;
	unsigned header = header_len(vp);

	if (off == STATUS_OFF && len == 1 && !val)
		vp_reset(vp);
	else if (off < header)
		vp_regs_write(vp, VP_LEGACY, legacy, vp->msix_on ? N_LEGACY : N_WITHOUT_MSIX, off,
			      len, val);
	else if (vp_claim(vp, VP_LEGACY))
		vp->port->ops->config_write(vp->port, (unsigned)off - header, &val, len);
}

static const struct bus_ops legacy_ops = { legacy_read, legacy_write };

void vp_legacy_init(struct virtio_pci *vp)
{
	unsigned size = 32;

	/* 256 bytes are the most an I/O BAR can be. */
	while (size < HEADER_LEN + vp->port->config_len && size < 256)
		size *= 2;
	pci_func_bar(&vp->func, VP_BAR_LEGACY, PCI_BAR_IO, size, &legacy_ops, vp);
}
