// SPDX-License-Identifier: GPL-2.0-only
/*
 * modern: the virtio 1.x register structures behind one memory BAR (4.1.4.3 to 4.1.4.7).
 *
 * Runs on: vcpu under slot lock.
 */
#include <errno.h>
#include <string.h>

#include "lkvm/log.h"
#include "virtio/pci/fields.h"

/* --- features -------------------------------------------------------------------------------- */

static uint64_t get_device_feature_select(struct virtio_pci *vp)
{
	return vp->device_feature_select;
}

static void set_device_feature_select(struct virtio_pci *vp, uint64_t val)
{
	vp->device_feature_select = (uint32_t)val;
}

static uint64_t get_device_feature(struct virtio_pci *vp)
{
	uint32_t select = vp_owns(vp, VP_MODERN) ? vp->device_feature_select : 0;

	return select < 2 ? vp->port->features >> (32 * select) & 0xffffffff : 0;
}

static uint64_t get_driver_feature_select(struct virtio_pci *vp)
{
	return vp->driver_feature_select;
}

static void set_driver_feature_select(struct virtio_pci *vp, uint64_t val)
{
	vp->driver_feature_select = (uint32_t)val;
}

static uint64_t get_driver_feature(struct virtio_pci *vp)
{
	return vp->driver_feature_select < 4 ? vp->driver_feature[vp->driver_feature_select] : 0;
}

/* Final after FEATURES_OK. What isn't offered is kept, so that FEATURES_OK is refused. */
static void set_driver_feature(struct virtio_pci *vp, uint64_t val)
{
	if (vp->driver_feature_select < 4 && !vp->settled)
		vp->driver_feature[vp->driver_feature_select] = (uint32_t)val;
}

/* Without VERSION_1 it would be a legacy driver, and those use the other face. */
static bool features_good(struct virtio_pci *vp)
{
	uint64_t features = vp_driver_features(vp);

	return !vp->driver_feature[2] && !vp->driver_feature[3] &&
	       features & VBIT(VIRTIO_F_VERSION_1) && vp->port->ops->acceptable(vp->port, features);
}

static bool negotiated(const struct virtio_pci *vp, int bit)
{
	return vp->accepted & VBIT(bit);
}

/* --- status ---------------------------------------------------------------------------------- */

/*
 * Bits are set one way only; what clears them is a reset. A step that can't be taken leaves its bit
 * 0 for the driver to see: FEATURES_OK for a set we can't serve, DRIVER_OK before FEATURES_OK.
 */
static void set_status(struct virtio_pci *vp, uint64_t val)
{
	uint8_t wanted = (uint8_t)val & ~vp->status;

	if (!(val & 0xff)) {
		vp_reset(vp);
		return;
	}
	vp->status |= wanted & (VIRTIO_S_ACKNOWLEDGE | VIRTIO_S_DRIVER | VIRTIO_S_FAILED);
	if (wanted & VIRTIO_S_FEATURES_OK && features_good(vp)) {
		vp->status |= VIRTIO_S_FEATURES_OK;
		vp_settle(vp, vp_driver_features(vp));
	}
	if (wanted & VIRTIO_S_DRIVER_OK && vp->settled) {
		vp->status |= VIRTIO_S_DRIVER_OK;
		vp_go_live(vp);
	}
}

static uint64_t get_num_queues(struct virtio_pci *vp)
{
	return vp->port->nqueues;
}

static uint64_t get_generation(struct virtio_pci *vp)
{
	return vp->port->ops->config_generation(vp->port);
}

/* --- the selected queue ---------------------------------------------------------------------- */

static uint64_t get_queue_size(struct virtio_pci *vp)
{
	const struct vp_queue *q = vp_selected(vp);

	return q ? vp_queue_size(q) : 0;
}

/* A size that can't be used leaves the old one to be read back. */
static void set_queue_size(struct virtio_pci *vp, uint64_t val)
{
	struct vp_queue *q = vp_selected(vp);

	if (!q || q->enabled || !val || val > vp_queue_max(q))
		return;
	if (val & (val - 1) && !negotiated(vp, VIRTIO_F_RING_PACKED))
		return;
	q->size = (uint16_t)val;
}

static uint64_t get_queue_enable(struct virtio_pci *vp)
{
	const struct vp_queue *q = vp_selected(vp);

	return q && q->enabled;
}

/*
 * Only 1 means anything, and only once features are final: before that nobody knows which kind of
 * ring lies there. A queue that can't be started stays off, and the device asks for a reset.
 */
static void set_queue_enable(struct virtio_pci *vp, uint64_t val)
{
	struct vp_queue *q = vp_selected(vp);

	if (!q || val != 1 || q->enabled || !vp->settled)
		return;
	if (vp_queue_start(q))
		vp_fail(vp, "a queue was enabled with a size or addresses that can't be used");
}

static uint64_t get_queue_notify_off(struct virtio_pci *vp)
{
	return vp_selected(vp) ? vp->queue_select : 0;
}

/* With NOTIF_CONFIG_DATA a driver names a queue by this number; ours is the queue's own. */
static uint64_t get_queue_notif_config_data(struct virtio_pci *vp)
{
	if (!negotiated(vp, VIRTIO_F_NOTIF_CONFIG_DATA) || !vp_selected(vp))
		return 0;
	return vp->queue_select;
}

/* A queue reset is over when the write returns: in progress can't be seen. */
static uint64_t get_queue_reset(struct virtio_pci *vp)
{
	(void)vp;
	return 0;
}

/* 2.6.1: back to what it was after the device's reset; the driver sets it up as at first. */
static void set_queue_reset(struct virtio_pci *vp, uint64_t val)
{
	struct vp_queue *q = vp_selected(vp);

	if (!q || val != 1 || !q->enabled || !negotiated(vp, VIRTIO_F_RING_RESET))
		return;
	vp_queue_stop(q);
	vp_queue_defaults(q);
}

/* Ring addresses can be written until the queue is enabled. */
#define QUEUE_ADDRESS(area)                                                                        \
	static uint64_t get_queue_##area(struct virtio_pci *vp)                                    \
	{                                                                                          \
		const struct vp_queue *q = vp_selected(vp);                                        \
                                                                                                   \
		return q ? q->area : 0;                                                            \
	}                                                                                          \
	static void set_queue_##area(struct virtio_pci *vp, uint64_t val)                          \
	{                                                                                          \
		struct vp_queue *q = vp_selected(vp);                                              \
                                                                                                   \
		if (q && !q->enabled)                                                              \
			q->area = val;                                                             \
	}
QUEUE_ADDRESS(desc)
QUEUE_ADDRESS(driver)
QUEUE_ADDRESS(device)

/* --- the structures -------------------------------------------------------------------------- */

static const struct vp_reg common[] = { /* 4.1.4.3 */
	RW(0x00, 4, VP_SELECT, device_feature_select),
	RO(0x04, 4, VP_CONST, device_feature),
	RW(0x08, 4, VP_SELECT, driver_feature_select),
	RW(0x0c, 4, 0, driver_feature),
	RW(0x10, 2, VP_ONES, config_vector),
	RO(0x12, 2, VP_CONST, num_queues),
	RW(0x14, 1, 0, status),
	RO(0x15, 1, VP_CONST, generation),
	RW(0x16, 2, VP_SELECT, queue_select),
	RW(0x18, 2, 0, queue_size),
	RW(0x1a, 2, VP_ONES, queue_vector),
	RW(0x1c, 2, 0, queue_enable),
	RO(0x1e, 2, 0, queue_notify_off),
	RW(0x20, 8, 0, queue_desc),
	RW(0x28, 8, 0, queue_driver),
	RW(0x30, 8, 0, queue_device),
	RO(0x38, 2, 0, queue_notif_config_data),
	RW(0x3a, 2, 0, queue_reset),
	/* 0x3c, 0x3e: the administration queues', which we don't have */
};
#define N_COMMON (sizeof(common) / sizeof(common[0]))
#define STATUS_OFF 0x14

static const struct vp_reg isr[] = { RO(0x00, 1, 0, isr) };

static uint64_t device_read(struct virtio_pci *vp, unsigned off, unsigned len)
{
	uint64_t val = 0;

	vp->port->ops->config_read(vp->port, off, &val, len);
	return val;
}

static void device_write(struct virtio_pci *vp, unsigned off, unsigned len, uint64_t val)
{
	if (vp_claim(vp, VP_MODERN))
		vp->port->ops->config_write(vp->port, off, &val, len);
}

static uint64_t modern_read(void *opaque, uint64_t off, unsigned len)
{
	struct virtio_pci *vp = opaque;

	switch (off & ~0xfffULL) {
	case VP_COMMON_OFF:
		return vp_regs_read(vp, VP_MODERN, common, N_COMMON, off, len);
	case VP_ISR_OFF:
		return vp_regs_read(vp, VP_MODERN, isr, 1, off - VP_ISR_OFF, len);
	case VP_DEVICE_OFF:
		return device_read(vp, (unsigned)off - VP_DEVICE_OFF, len);
	case VP_BLOCKS_OFF:
		return vp_blocks_read(vp, (unsigned)off - VP_BLOCKS_OFF, len);
	}
	return ~0ULL;
}

static void modern_write(void *opaque, uint64_t off, unsigned len, uint64_t val)
{
	struct virtio_pci *vp = opaque;

	/* The one write that needs no ownership: a reset. */
	if (off == STATUS_OFF && len == 1 && !val) {
		vp_reset(vp);
		return;
	}
	switch (off & ~0xfffULL) {
	case VP_COMMON_OFF:
		vp_regs_write(vp, VP_MODERN, common, N_COMMON, off, len, val);
		return;
	case VP_DEVICE_OFF:
		device_write(vp, (unsigned)off - VP_DEVICE_OFF, len, val);
		return;
	case VP_BLOCKS_OFF:
		vp_blocks_write(vp, (unsigned)off - VP_BLOCKS_OFF, len, val);
		return;
	case VP_ISR_OFF:
		return;
	}
	if (vp_claim(vp, VP_MODERN))
		vp_ring(vp, (unsigned)(off - VP_NOTIFY_OFF) / VP_NOTIFY_STEP);
}

static const struct bus_ops modern_ops = { modern_read, modern_write };

int vp_modern_init(struct virtio_pci *vp)
{
	uint64_t need = VP_NOTIFY_OFF + VP_NOTIFY_STEP * (uint64_t)vp->port->nqueues, size = 0x1000;
	int err;

	while (size < need)
		size *= 2;
	/* 64-bit although small: it may be placed above 4 GiB, but need not be. */
	pci_func_bar(&vp->func, VP_BAR_MODERN, PCI_BAR_MEM64, size, &modern_ops, vp);
	for (unsigned n = 0; n < vp->port->nqueues; n++)
		pci_func_doorbell(&vp->func, VP_BAR_MODERN, &vp->queue[n].doorbell);
	err = vp_caps_init(vp);
	return err ? err : vp_blocks_init(vp);
}
