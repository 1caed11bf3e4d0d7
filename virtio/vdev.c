// SPDX-License-Identifier: GPL-2.0-only
/*
 * vdev: the home of devices that run in this process: each queue on its loop, from doorbell to
 * notification.
 *
 * Runs on: the queue's loop; vdev_fail on any of the device's; init and fini on main.
 */
#include "lkvm/vdev.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "lkvm/log.h"
#include "virtio/vdev_port.h"

/* Requests a device may take from its rings before others on the loop have a turn. */
#define TURN_BUDGET 256

/* --- failure -------------------------------------------------------------------------------- */

void vdev_fail(struct vdev *dev, const char *fmt, ...)
{
	char why[256];
	va_list ap;

	if (atomic_exchange(&dev->failed, true))
		return;
	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	log_guest(dev->name, "%s; the device needs a reset", why);
	if (dev->port.failed)
		dev->port.failed(dev->port.opaque);
}

static void ring_failed(void *opaque, const char *why)
{
	struct vdev_queue *vq = opaque;

	vdev_fail(vq->dev, "queue %u: %s", vq->index, why);
}

/* --- the kick path -------------------------------------------------------------------------- */

static bool served(const struct vdev_queue *vq)
{
	return vq->serving && !vq->dev->failed;
}

void vdev_rekick(struct vdev *dev, unsigned n)
{
	if (served(&dev->queue[n]))
		eventfd_write(dev->queue[n].kick.fd, 1);
}

bool vdev_budget(struct vdev *dev, unsigned n)
{
	if (!dev->queue[n].budget) {
		vdev_rekick(dev, n);
		return false;
	}
	dev->queue[n].budget--;
	return true;
}

void vdev_listen(struct vdev *dev, unsigned n)
{
	if (served(&dev->queue[n]) && virtq_listen(&dev->queue[n].ring))
		vdev_rekick(dev, n);
}

/*
 * Quiet, work, listen, look again: between the last empty look and listening the driver may have
 * added a buffer without ringing; virtq_listen() sees it. Its second look is a new turn's, so that
 * a driver that keeps adding can't keep this device at work for ever.
 */
static void kicked(void *opaque, uint32_t events)
{
	struct vdev_queue *vq = opaque;
	struct vdev *dev = vq->dev;

	(void)events;
	if (!served(vq))
		return;
	vq->budget = TURN_BUDGET;
	virtq_quiet(&vq->ring);
	dev->class->kick(dev, vq->index);
	if (!served(vq))
		return;
	if (!virtq_empty(&vq->ring)) {
		/* What the device can't serve now would be found, and not served, at every look. */
		if (vq->budget)
			loop_poll_del(vq->loop, &vq->poll);
		return;
	}
	if (loop_polls(vq->loop))
		loop_poll_add(vq->loop, &vq->poll);
	else
		vdev_listen(dev, vq->index);
}

/* The doorbell stays hushed while the loop looks by itself. */
static bool poll_look(void *opaque)
{
	struct vdev_queue *vq = opaque;

	if (!served(vq) || !virtq_ready(&vq->ring))
		return false;
	kicked(vq, 0);
	return true;
}

static void poll_rest(void *opaque)
{
	struct vdev_queue *vq = opaque;

	vdev_listen(vq->dev, vq->index);
}

static void staged(void *opaque)
{
	struct vdev_queue *vq = opaque;

	loop_defer(vq->loop, &vq->flush);
}

static void flush(void *opaque)
{
	struct vdev_queue *vq = opaque;

	virtq_flush(&vq->ring);
}

/* --- queues --------------------------------------------------------------------------------- */

void vdev_queue_serve(struct vdev_queue *vq)
{
	/*
	 * Edge-triggered: how often it rang tells nothing, so that isn't worth a read() each time. Every
	 * ring is an edge, whatever the count is at.
	 */
	int err = loop_add(vq->loop, &vq->kick, EPOLLIN | EPOLLET);

	if (err)
		vdev_fail(vq->dev, "queue %u: cannot watch its doorbell: %s", vq->index,
			  strerror(-err));
	vq->serving = true;
	/* Buffers made available before DRIVER_OK were not rung for. */
	vdev_rekick(vq->dev, vq->index);
}

int vdev_queue_start(struct vdev_queue *vq, const struct virtq_conf *conf, int kick_fd,
		     struct irq call)
{
	struct vdev *dev = vq->dev;
	int err;

	if (vq->enabled)
		return -EBUSY;
	vq->kick.fd = kick_fd;
	vq->ring.call = call;
	err = virtq_start(&vq->ring, dev->mem, conf);
	if (err)
		return err;
	if (dev->class->queue_start) {
		err = dev->class->queue_start(dev, vq->index);
		if (err) {
			virtq_stop(&vq->ring);
			return err;
		}
	}
	vq->enabled = true;
	if (dev->live)
		vdev_queue_serve(vq);
	return 0;
}

/*
 * What completes while we wait is still published, so that a polling driver finds its buffers, but
 * without a notification: after a reset none may arrive (2.4.1).
 */
void vdev_queue_stop(struct vdev_queue *vq)
{
	struct vdev *dev = vq->dev;

	if (!vq->enabled)
		return;
	vq->serving = false;
	loop_poll_del(vq->loop, &vq->poll);
	loop_del(vq->loop, &vq->kick);
	if (dev->class->queue_stop)
		dev->class->queue_stop(dev, vq->index);
	vq->enabled = false;
	loop_undefer(vq->loop, &vq->flush);
	vq->ring.call = IRQ_NONE;
	if (!vq->ring.broken)
		virtq_flush(&vq->ring);
	virtq_stop(&vq->ring);
}

/* --- life ----------------------------------------------------------------------------------- */

static void queue_init(struct vdev *dev, unsigned n, unsigned max)
{
	struct vdev_queue *vq = &dev->queue[n];

	vq->dev = dev;
	vq->loop = dev->loop;
	vq->index = n;
	vq->max = max;
	snprintf(vq->name, sizeof(vq->name), "%s queue %u", dev->name, n);
	vq->kick = (struct loop_fd){ .fd = -1, .ready = kicked, .opaque = vq };
	vq->flush = (struct loop_task){ .run = flush, .opaque = vq };
	vq->poll = (struct loop_poll){ .look = poll_look, .rest = poll_rest, .opaque = vq };
	vq->ring.name = vq->name;
	vq->ring.call = IRQ_NONE;
	vq->ring.fail = ring_failed;
	vq->ring.staged = staged;
	vq->ring.opaque = vq;
}

int vdev_init(struct vdev *dev, const struct vdev_class *class, const char *name, struct loop *loop,
	      const struct gmem *mem, uint64_t features, const unsigned *queue_max, unsigned nqueues)
{
	uint64_t ring = VBIT(VIRTIO_F_INDIRECT_DESC) | VBIT(VIRTIO_F_EVENT_IDX) |
			VBIT(VIRTIO_F_VERSION_1) | VBIT(VIRTIO_F_RING_RESET);

	dev->queue = calloc(nqueues, sizeof(*dev->queue));
	dev->lane = malloc(sizeof(*dev->lane));
	if (!dev->queue || !dev->lane) {
		log_err(name, "out of memory");
		free(dev->queue);
		free(dev->lane);
		return -ENOMEM;
	}
	dev->lane[0] = loop;
	dev->n_lanes = 1;
	dev->class = class;
	dev->loop = loop;
	dev->mem = mem;
	dev->nqueues = nqueues;
	/* What can be turned off and on again; VERSION_1 can't: it is what makes the device modern. */
	dev->possible = (features | ring | VDEV_OPTIONAL) & ~VBIT(VIRTIO_F_VERSION_1);
	snprintf(dev->name, sizeof(dev->name), "%s", name);
	pthread_mutex_init(&dev->config_lock, NULL);
	for (unsigned n = 0; n < nqueues; n++)
		queue_init(dev, n, queue_max[n]);
	dev->port = (struct vport){ .ops = &vdev_port_ops, .name = dev->name,
				    .device_id = class->id, .nqueues = nqueues,
				    .features = features | ring, .fields = class->fields };
	vdev_set_legacy(dev);
	return 0;
}

int vdev_spread(struct vdev *dev, struct loop *const *loops, unsigned n)
{
	struct loop **lane = malloc(n * sizeof(*lane));

	if (!lane) {
		log_err(dev->name, "out of memory");
		return -ENOMEM;
	}
	memcpy(lane, loops, n * sizeof(*lane));
	free(dev->lane);
	dev->lane = lane;
	dev->n_lanes = n;
	for (unsigned i = 0; i < dev->nqueues; i++)
		vdev_place(dev, i, i);
	return 0;
}

void vdev_place(struct vdev *dev, unsigned n, unsigned lane)
{
	dev->queue[n].loop = dev->lane[lane % dev->n_lanes];
}

void vdev_fini(struct vdev *dev)
{
	for (unsigned n = 0; n < dev->nqueues; n++)
		vdev_queue_stop(&dev->queue[n]);
	free(dev->queue);
	dev->queue = NULL;
	free(dev->lane);
	dev->lane = NULL;
	dev->n_lanes = 0;
	dev->nqueues = 0;
	pthread_mutex_destroy(&dev->config_lock);
}
