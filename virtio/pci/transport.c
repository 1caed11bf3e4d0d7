// SPDX-License-Identifier: GPL-2.0-only
/*
 * transport: the state behind a virtio PCI function's registers.
 *
 * Runs on: vcpu under slot lock; vp_changed, vp_failed and queue_intx on any thread.
 */
#include "virtio/pci/transport.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>

#include "lkvm/log.h"
#include "lkvm/phase.h"

/* --- interrupts ------------------------------------------------------------------------------ */

static void irq_lock(struct virtio_pci *vp)
{
	pthread_mutex_lock(&vp->irq_lock);
}

static void irq_unlock(struct virtio_pci *vp)
{
	pthread_mutex_unlock(&vp->irq_lock);
}

/* Both with irq_lock held. With MSI-X on, pci/ keeps the pin silent whatever its level. */
static void isr_set(struct virtio_pci *vp, uint8_t bit)
{
	vp->isr |= bit;
	pci_intx_set(&vp->func, true);
}

/* The status bit comes first (4.1.4.5.1), with MSI-X as well. */
static void notify_config(struct virtio_pci *vp)
{
	int fd;

	isr_set(vp, VIRTIO_ISR_CONFIG);
	if (!msix_enabled(&vp->func))
		return;
	fd = msix_fd(&vp->func, vp->config_vector);
	if (fd >= 0)
		eventfd_write(fd, 1);
}

void vp_changed(void *opaque)
{
	struct virtio_pci *vp = opaque;

	irq_lock(vp);
	if (vp->live)
		notify_config(vp);
	else
		vp->changed_early = true;
	irq_unlock(vp);
}

void vp_failed(void *opaque)
{
	struct virtio_pci *vp = opaque;

	irq_lock(vp);
	vp->failed = true;
	if (vp->live)
		notify_config(vp);
	irq_unlock(vp);
}

void vp_fail(struct virtio_pci *vp, const char *why)
{
	log_guest(vp->port->name, "%s; the device needs a reset", why);
	vp_failed(vp);
}

/* A queue's call while MSI-X is off. */
static void queue_intx(void *opaque, unsigned n)
{
	struct virtio_pci *vp = opaque;

	(void)n;
	irq_lock(vp);
	if (vp->live)
		isr_set(vp, VIRTIO_ISR_QUEUE);
	irq_unlock(vp);
}

uint8_t vp_read_isr(struct virtio_pci *vp)
{
	uint8_t isr;

	irq_lock(vp);
	isr = vp->isr;
	vp->isr = 0;
	if (isr)
		pci_intx_set(&vp->func, false);
	else
		pci_intx_reset(&vp->func);
	irq_unlock(vp);
	return isr;
}

static struct irq queue_call(const struct vp_queue *q)
{
	struct virtio_pci *vp = q->vp;

	if (msix_enabled(&vp->func))
		return (struct irq){ .fd = msix_fd(&vp->func, q->vector) };
	return (struct irq){ .fd = -1, .fn = queue_intx, .opaque = vp, .n = q->index };
}

/* A vector that isn't in the table is no vector, and reads back as such (4.1.5.1.2.1). */
static uint16_t checked_vector(const struct virtio_pci *vp, uint16_t vector)
{
	return vector < msix_count(&vp->func) ? vector : VIRTIO_NO_VECTOR;
}

void vp_queue_set_vector(struct vp_queue *q, uint16_t vector)
{
	q->vector = checked_vector(q->vp, vector);
	if (q->enabled)
		q->vp->port->ops->queue_call(q->vp->port, q->index, queue_call(q));
}

uint16_t vp_config_vector(struct virtio_pci *vp)
{
	return vp->config_vector;
}

void vp_set_config_vector(struct virtio_pci *vp, uint16_t vector)
{
	irq_lock(vp);
	vp->config_vector = checked_vector(vp, vector);
	irq_unlock(vp);
}

/*
 * MSI-X went on or off under running queues: their calls follow. An event that fell between the
 * vector's detaching and the new call becomes the pin's.
 */
static void msix_switched(struct virtio_pci *vp)
{
	bool missed = false;

	vp->msix_on = msix_enabled(&vp->func);
	for (unsigned n = 0; n < vp->port->nqueues; n++) {
		struct vp_queue *q = &vp->queue[n];

		if (!q->enabled)
			continue;
		vp->port->ops->queue_call(vp->port, n, queue_call(q));
		if (!vp->msix_on && msix_reset(&vp->func, q->vector))
			missed = true;
	}
	if (missed)
		queue_intx(vp, 0);
}

/* --- queues ---------------------------------------------------------------------------------- */

struct vp_queue *vp_selected(struct virtio_pci *vp)
{
	struct vp_queue *q = vp->queue + vp->queue_select;

	return vp->queue_select < vp->port->nqueues && vp_queue_max(q) ? q : NULL;
}

unsigned vp_queue_max(const struct vp_queue *q)
{
	return q->vp->port->ops->queue_max(q->vp->port, q->index);
}

unsigned vp_queue_size(const struct vp_queue *q)
{
	return q->size ? q->size : vp_queue_max(q);
}

static bool has(const struct virtio_pci *vp, int bit)
{
	return vp->accepted & VBIT(bit);
}

int vp_queue_start(struct vp_queue *q)
{
	struct virtio_pci *vp = q->vp;
	const struct virtq_conf conf = {
		.size = vp_queue_size(q),
		.desc = q->desc,
		.driver = q->driver,
		.device = q->device,
		.packed = has(vp, VIRTIO_F_RING_PACKED),
		.indirect = has(vp, VIRTIO_F_INDIRECT_DESC),
		.event_idx = has(vp, VIRTIO_F_EVENT_IDX),
		.in_order = has(vp, VIRTIO_F_IN_ORDER),
		.notify_on_empty =
			!has(vp, VIRTIO_F_VERSION_1) && has(vp, VIRTIO_F_NOTIFY_ON_EMPTY),
	};
	int err;

	if (vp->halted)
		return -EPERM;
	err = vp->port->ops->queue_start(vp->port, q->index, &conf, q->kick_fd, queue_call(q));
	q->enabled = !err;
	return err;
}

/* Rings that were never answered must not reach the queue's next life. */
static void queue_quiet(struct vp_queue *q)
{
	eventfd_t n;

	eventfd_read(q->kick_fd, &n);
}

void vp_queue_stop(struct vp_queue *q)
{
	if (q->enabled)
		q->vp->port->ops->queue_stop(q->vp->port, q->index);
	q->enabled = false;
	queue_quiet(q);
}

void vp_queue_defaults(struct vp_queue *q)
{
	q->size = 0;
	q->vector = VIRTIO_NO_VECTOR;
	q->enabled = false;
	q->desc = q->driver = q->device = 0;
	q->pfn = 0;
}

void vp_ring(struct virtio_pci *vp, unsigned n)
{
	if (n < vp->port->nqueues)
		eventfd_write(vp->queue[n].kick_fd, 1);
}

/* --- status ---------------------------------------------------------------------------------- */

bool vp_claim(struct virtio_pci *vp, enum vp_face face)
{
	if (vp->owner == VP_NOBODY) {
		vp->owner = face;
		vp->port->legacy = face == VP_LEGACY;
	}
	return vp->owner == face;
}

uint8_t vp_status(struct virtio_pci *vp)
{
	uint8_t status = vp->status;

	irq_lock(vp);
	if (vp->failed)
		status |= VIRTIO_S_NEEDS_RESET;
	irq_unlock(vp);
	return status;
}

void vp_settle(struct virtio_pci *vp, uint64_t features)
{
	vp->accepted = features;
	vp->settled = true;
	vp->port->ops->accept(vp->port, features);
}

static void start(struct virtio_pci *vp)
{
	vp->started = true;
	vp->port->ops->start(vp->port);
}

/*
 * The command register was written. Without bus master the device keeps its hands off memory: it
 * does not start, or stops for good. A ring can't be taken up in the middle, so what follows is a
 * reset; every driver does one anyway before it turns bus master on again. What matters is that a
 * kernel which boots after another one (kexec) finds nobody writing into its memory.
 */
static void master_switched(struct virtio_pci *vp)
{
	if (pci_bus_master(&vp->func) ? !vp->live || vp->started : !vp->started || vp->halted)
		return;
	if (!vp->started) {
		start(vp);
		return;
	}
	vp->halted = true;
	for (unsigned n = 0; n < vp->port->nqueues; n++)
		vp_queue_stop(&vp->queue[n]);
	vp_fail(vp, "bus master was turned off under a running device");
}

/* From the first statement on the device may notify, so that a failure to start is told as well. */
void vp_go_live(struct virtio_pci *vp)
{
	phase_mark("%s_driver_ok", vp->port->name);
	irq_lock(vp);
	vp->live = true;
	if (vp->changed_early || vp->failed)
		notify_config(vp);
	vp->changed_early = false;
	irq_unlock(vp);
	if (pci_bus_master(&vp->func))
		start(vp);
}

/*
 * Notifications end first, then the port stops all queues and waits for what is in flight, then the
 * registers go back; so nothing of the old life can show in the new one. Status reads 0 when the
 * write returns.
 */
void vp_reset(struct virtio_pci *vp)
{
	irq_lock(vp);
	vp->live = false;
	irq_unlock(vp);
	vp->port->ops->reset(vp->port);

	for (unsigned n = 0; n < vp->port->nqueues; n++) {
		queue_quiet(&vp->queue[n]);
		vp_queue_defaults(&vp->queue[n]);
	}
	for (unsigned v = 0; v < msix_count(&vp->func); v++)
		msix_reset(&vp->func, v);
	vp->owner = VP_NOBODY;
	vp->port->legacy = false;
	vp->status = 0;
	vp->device_feature_select = vp->driver_feature_select = 0;
	memset(vp->driver_feature, 0, sizeof(vp->driver_feature));
	vp->accepted = 0;
	vp->settled = vp->started = vp->halted = false;
	vp->queue_select = 0;

	irq_lock(vp);
	vp->isr = 0;
	vp->failed = vp->changed_early = false;
	vp->config_vector = VIRTIO_NO_VECTOR;
	irq_unlock(vp);
	pci_intx_reset(&vp->func);
}

/* The guest wrote configuration space: MSI-X, the command register, or the window. */
void vp_config_written(void *opaque, unsigned off, unsigned len)
{
	struct virtio_pci *vp = opaque;

	if (vp->msix_on != msix_enabled(&vp->func))
		msix_switched(vp);
	master_switched(vp);
	vp_window_write(vp, off, len);
}
