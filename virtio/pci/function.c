// SPDX-License-Identifier: GPL-2.0-only
/*
 * function: makes a PCI function of a virtio device: ids, queues, BARs, capabilities, interrupts.
 *
 * Runs on: main.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lkvm/log.h"
#include "virtio/pci/transport.h"

/* Section 5, table of device types; 4.1.2.1 for the ids of transitional devices. */
static const struct kind {
	uint16_t type, transitional;
	uint32_t class;
} kinds[] = {
	{ VIRTIO_ID_NET, 0x1000, 0x020000 },
	{ VIRTIO_ID_BLK, 0x1001, 0x010000 },
	{ VIRTIO_ID_CONSOLE, 0x1003, 0x078000 },
	{ VIRTIO_ID_RNG, 0x1005, 0x00ff00 },
};

static int init_ids(struct virtio_pci *vp)
{
	const struct vport *port = vp->port;
	struct pci_ids ids = {
		.vendor = VIRTIO_PCI_VENDOR, .device = 0x1040 + port->device_id,
		.subvendor = VIRTIO_PCI_VENDOR, .subdevice = 0x1040 + port->device_id,
		.revision = 1, .class = 0x00ff00,
	};
	const struct kind *kind = NULL;

	for (unsigned i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (kinds[i].type == port->device_id)
			kind = &kinds[i];
	if (kind)
		ids.class = kind->class;
	if (vp->layout != VIRTIO_MODERN) {
		if (!kind) {
			log_err(port->name, "this device has no legacy layout; use virtio=modern");
			return -EINVAL;
		}
		ids.device = kind->transitional;
		ids.subdevice = port->device_id;
		ids.revision = 0;
	}
	pci_func_init(&vp->func, port->name, &ids);
	return 0;
}

static int init_queues(struct virtio_pci *vp)
{
	vp->queue = calloc(vp->port->nqueues, sizeof(*vp->queue));
	if (!vp->queue) {
		log_err(vp->port->name, "out of memory");
		return -ENOMEM;
	}
	for (unsigned n = 0; n < vp->port->nqueues; n++)
		vp->queue[n] = (struct vp_queue){ .vp = vp, .index = n, .kick_fd = -1 };
	for (unsigned n = 0; n < vp->port->nqueues; n++) {
		struct vp_queue *q = &vp->queue[n];

		vp_queue_defaults(q);
		q->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (q->kick_fd < 0) {
			log_err(vp->port->name, "cannot make a doorbell: %s", strerror(errno));
			return -errno;
		}
		q->doorbell = (struct pci_doorbell){ .off = VP_NOTIFY_OFF + VP_NOTIFY_STEP * n,
						     .fd = q->kick_fd };
	}
	return 0;
}

static int init_function(struct virtio_pci *vp, struct pci_host *host)
{
	int err;

	vp->func.opaque = vp;
	vp->func.config_read = vp_window_read;
	vp->func.config_write = vp_config_written;
	err = msix_open(&vp->func, VP_BAR_MSIX, vp->port->nqueues + 1);
	if (vp->layout != VIRTIO_MODERN)
		vp_legacy_init(vp);
	if (!err && vp->layout != VIRTIO_LEGACY)
		err = vp_modern_init(vp);
	if (!err)
		err = pci_func_add(host, &vp->func, -1);
	if (!err)
		err = pci_intx_open(&vp->func);
	return err;
}

struct virtio_pci *virtio_pci_open(struct pci_host *host, struct vport *port,
				   enum virtio_layout layout)
{
	struct virtio_pci *vp = calloc(1, sizeof(*vp));

	if (!vp) {
		log_err(port->name, "out of memory");
		port->ops->close(port);
		return NULL;
	}
	vp->port = port;
	vp->layout = layout;
	vp->config_vector = VIRTIO_NO_VECTOR;
	pthread_mutex_init(&vp->irq_lock, NULL);
	port->changed = vp_changed;
	port->failed = vp_failed;
	port->opaque = vp;
	if (init_ids(vp) || init_queues(vp) || init_function(vp, host)) {
		virtio_pci_close(vp);
		return NULL;
	}
	return vp;
}

void virtio_pci_close(struct virtio_pci *vp)
{
	unsigned nqueues;

	if (!vp)
		return;
	nqueues = vp->port->nqueues;
	if (vp->func.host)
		vp_reset(vp);
	pci_func_remove(&vp->func);
	msix_close(&vp->func);
	vp->port->ops->close(vp->port); /* before the eventfds it may still be watching */
	for (unsigned n = 0; vp->queue && n < nqueues; n++)
		if (vp->queue[n].kick_fd >= 0)
			close(vp->queue[n].kick_fd);
	free(vp->queue);
	pthread_mutex_destroy(&vp->irq_lock);
	free(vp);
}
