// SPDX-License-Identifier: GPL-2.0-only
/*
 * caps: the vendor capabilities that tell where the structures are (4.1.4), and the window through
 * which a driver reaches BARs by configuration space alone (4.1.4.9).
 *
 * Runs on: vcpu under slot lock; init on main.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "lkvm/log.h"
#include "virtio/pci/transport.h"

#define PCI_CAP_VENDOR 0x09

enum cfg_type { CFG_COMMON = 1, CFG_NOTIFY, CFG_ISR, CFG_DEVICE, CFG_PCI };

struct vp_cap { /* little-endian, as is the host */
	uint8_t id, next, len;
	uint8_t cfg_type, bar, index, padding[2];
	uint32_t offset, length;
	uint32_t extra; /* notify: the multiplier; pci: the data */
};
_Static_assert(sizeof(struct vp_cap) == 20, "struct virtio_pci_notify_cap");
_Static_assert(offsetof(struct vp_cap, extra) == 16, "struct virtio_pci_cap");

static unsigned add(struct virtio_pci *vp, enum cfg_type type, uint32_t offset, uint32_t length)
{
	uint8_t len = type == CFG_NOTIFY || type == CFG_PCI ? 20 : 16;
	unsigned at = pci_func_cap(&vp->func, PCI_CAP_VENDOR, len);
	struct vp_cap cap = { .len = len, .cfg_type = (uint8_t)type, .offset = offset,
			      .length = length };

	if (type != CFG_PCI)
		cap.bar = VP_BAR_MODERN;
	if (type == CFG_NOTIFY)
		cap.extra = VP_NOTIFY_STEP;
	if (at)
		pci_config_set(&vp->func, at + 2, (uint8_t *)&cap + 2, len - 2U);
	return at;
}

static void window_init(struct virtio_pci *vp, unsigned at)
{
	vp->window = at;
	pci_config_mask(&vp->func, at + offsetof(struct vp_cap, bar), 0xff);
	for (unsigned i = offsetof(struct vp_cap, offset); i < sizeof(struct vp_cap); i++)
		pci_config_mask(&vp->func, at + i, 0xff);
}

int vp_caps_init(struct virtio_pci *vp)
{
	const struct vport *port = vp->port;
	unsigned window;

	if (!add(vp, CFG_COMMON, VP_COMMON_OFF, VP_COMMON_LEN) ||
	    !add(vp, CFG_ISR, VP_ISR_OFF, VP_ISR_LEN) ||
	    !add(vp, CFG_NOTIFY, VP_NOTIFY_OFF, VP_NOTIFY_STEP * port->nqueues))
		goto full;
	/* A device without configuration has no such structure, rather than one of length 0. */
	if (port->config_len && !add(vp, CFG_DEVICE, VP_DEVICE_OFF, (port->config_len + 3) & ~3U))
		goto full;
	window = add(vp, CFG_PCI, 0, 0);
	if (!window)
		goto full;
	window_init(vp, window);
	return 0;
full:
	log_err(port->name, "no room left for PCI capabilities");
	return -ENOSPC;
}

/* --- the window ------------------------------------------------------------------------------ */

/*
 * The driver puts bar, offset and length into the capability, then touches its data: that access
 * becomes one of that length to the BAR, whether or not the BAR decodes. A place that is not in a
 * BAR, or not aligned to a length of 1, 2 or 4, is nowhere: reads give all-ones, writes vanish.
 */
static const struct bus_range *window_target(struct virtio_pci *vp, struct vp_cap *cap)
{
	const struct pci_bar *bar;

	memcpy(cap, vp->func.config + vp->window, sizeof(*cap));
	if (cap->bar >= PCI_BARS || (cap->length != 1 && cap->length != 2 && cap->length != 4))
		return NULL;
	bar = &vp->func.bar[cap->bar];
	if (bar->kind == PCI_BAR_NONE || cap->offset % cap->length || cap->offset >= bar->size)
		return NULL;
	return &bar->range;
}

static bool is_data(const struct virtio_pci *vp, unsigned off, unsigned len)
{
	unsigned data = vp->window + offsetof(struct vp_cap, extra);

	return vp->window && off < data + 4 && data < off + len;
}

void vp_window_read(void *opaque, unsigned off, unsigned len)
{
	struct virtio_pci *vp = opaque;
	const struct bus_range *range;
	uint32_t val = ~0U;
	struct vp_cap cap;

	if (!is_data(vp, off, len))
		return;
	range = window_target(vp, &cap);
	if (range)
		val = (uint32_t)range->ops->read(range->opaque, cap.offset, cap.length);
	pci_config_set(&vp->func, vp->window + offsetof(struct vp_cap, extra), &val,
		       range ? cap.length : 4);
}

void vp_window_write(struct virtio_pci *vp, unsigned off, unsigned len)
{
	const struct bus_range *range;
	struct vp_cap cap;

	if (!is_data(vp, off, len))
		return;
	range = window_target(vp, &cap);
	if (range)
		range->ops->write(range->opaque, cap.offset, cap.length,
				  cap.extra & (~0U >> (32 - 8 * cap.length)));
}
