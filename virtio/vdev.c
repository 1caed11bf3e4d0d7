// SPDX-License-Identifier: GPL-2.0-only
/*
 * vdev: the home of devices that run in this process: their queues on a loop, their configuration
 * bytes, and the vport through which a transport drives them.
 *
 * Runs on: loop; the vport's ops come from a transport on any thread and cross over by loop_call().
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

	if (dev->failed)
		return;
	dev->failed = true;
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

bool vdev_budget(struct vdev *dev)
{
	if (!dev->budget)
		return false;
	dev->budget--;
	return true;
}

static bool served(const struct vdev_queue *vq)
{
	return vq->enabled && vq->dev->live && !vq->dev->failed;
}

void vdev_rekick(struct vdev *dev, unsigned n)
{
	if (served(&dev->queue[n]))
		eventfd_write(dev->queue[n].kick.fd, 1);
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
	dev->budget = TURN_BUDGET;
	virtq_quiet(&vq->ring);
	dev->class->kick(dev, vq->index);
	if (!served(vq))
		return;
	if (!dev->budget)
		vdev_rekick(dev, vq->index);
	else if (virtq_empty(&vq->ring))
		vdev_listen(dev, vq->index);
}

static void staged(void *opaque)
{
	struct vdev_queue *vq = opaque;

	loop_defer(vq->dev->loop, &vq->flush);
}

static void flush(void *opaque)
{
	struct vdev_queue *vq = opaque;

	virtq_flush(&vq->ring);
}

/* --- queues --------------------------------------------------------------------------------- */

static void queue_serve(struct vdev_queue *vq)
{
	/*
	 * Edge-triggered: how often it rang tells nothing, so that isn't worth a read() each time. Every
	 * ring is an edge, whatever the count is at.
	 */
	int err = loop_add(vq->dev->loop, &vq->kick, EPOLLIN | EPOLLET);

	if (err)
		vdev_fail(vq->dev, "queue %u: cannot watch its doorbell: %s", vq->index,
			  strerror(-err));
	/* Buffers made available before DRIVER_OK were not rung for. */
	vdev_rekick(vq->dev, vq->index);
}

static int queue_start(struct vdev_queue *vq, const struct virtq_conf *conf, int kick_fd,
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
		queue_serve(vq);
	return 0;
}

/*
 * What completes while we wait is still published, so that a polling driver finds its buffers, but
 * without a notification: after a reset none may arrive (2.4.1).
 */
static void queue_stop(struct vdev_queue *vq)
{
	struct vdev *dev = vq->dev;

	if (!vq->enabled)
		return;
	loop_del(dev->loop, &vq->kick);
	if (dev->class->queue_stop)
		dev->class->queue_stop(dev, vq->index);
	vq->enabled = false;
	loop_undefer(dev->loop, &vq->flush);
	vq->ring.call = IRQ_NONE;
	if (!vq->ring.broken)
		virtq_flush(&vq->ring);
	virtq_stop(&vq->ring);
}

/* --- the vport's verbs: each crosses to the loop with its arguments in one struct ------------- */

struct verb {
	struct vdev *dev;
	unsigned n;
	const struct virtq_conf *conf;
	int kick_fd;
	struct irq call;
	uint64_t features;
	int result;
};

static void do_queue_start(void *opaque)
{
	struct verb *v = opaque;

	v->result = queue_start(&v->dev->queue[v->n], v->conf, v->kick_fd, v->call);
}

static int port_queue_start(struct vport *port, unsigned n, const struct virtq_conf *conf,
			    int kick_fd, struct irq call)
{
	struct verb v = { .dev = to_vdev(port), .n = n, .conf = conf, .kick_fd = kick_fd,
			  .call = call };

	if (n >= v.dev->nqueues || !v.dev->queue[n].max || conf->size > v.dev->queue[n].max)
		return -EINVAL;
	loop_call(v.dev->loop, do_queue_start, &v);
	return v.result;
}

static void do_queue_stop(void *opaque)
{
	struct verb *v = opaque;

	queue_stop(&v->dev->queue[v->n]);
}

static void port_queue_stop(struct vport *port, unsigned n)
{
	struct verb v = { .dev = to_vdev(port), .n = n };

	if (n < v.dev->nqueues)
		loop_call(v.dev->loop, do_queue_stop, &v);
}

static void do_queue_call(void *opaque)
{
	struct verb *v = opaque;

	if (v->dev->queue[v->n].enabled)
		v->dev->queue[v->n].ring.call = v->call;
}

static void port_queue_call(struct vport *port, unsigned n, struct irq call)
{
	struct verb v = { .dev = to_vdev(port), .n = n, .call = call };

	if (n < v.dev->nqueues)
		loop_call(v.dev->loop, do_queue_call, &v);
}

static void do_accept(void *opaque)
{
	struct verb *v = opaque;

	v->dev->accepted = v->features;
	v->dev->modern = v->features & VBIT(VIRTIO_F_VERSION_1);
	if (v->dev->class->accept)
		v->dev->class->accept(v->dev);
}

static void port_accept(struct vport *port, uint64_t features)
{
	struct verb v = { .dev = to_vdev(port), .features = features };

	loop_call(v.dev->loop, do_accept, &v);
}

static void do_start(void *opaque)
{
	struct vdev *dev = ((struct verb *)opaque)->dev;

	if (dev->live)
		return;
	dev->live = true;
	if (dev->class->start)
		dev->class->start(dev);
	for (unsigned n = 0; n < dev->nqueues; n++)
		if (dev->queue[n].enabled)
			queue_serve(&dev->queue[n]);
}

static void port_start(struct vport *port)
{
	struct verb v = { .dev = to_vdev(port) };

	loop_call(v.dev->loop, do_start, &v);
}

static void do_reset(void *opaque)
{
	struct vdev *dev = ((struct verb *)opaque)->dev;

	for (unsigned n = 0; n < dev->nqueues; n++)
		queue_stop(&dev->queue[n]);
	if (dev->class->reset)
		dev->class->reset(dev);
	dev->accepted = 0;
	dev->modern = dev->live = dev->failed = false;
	vdev_config_restore(dev);
}

static void port_reset(struct vport *port)
{
	struct verb v = { .dev = to_vdev(port) };

	loop_call(v.dev->loop, do_reset, &v);
}

static void do_close(void *opaque)
{
	struct vdev *dev = ((struct verb *)opaque)->dev;

	dev->class->close(dev);
}

static void port_close(struct vport *port)
{
	struct verb v = { .dev = to_vdev(port) };

	loop_call(v.dev->loop, do_close, &v);
}

static unsigned port_queue_max(struct vport *port, unsigned n)
{
	struct vdev *dev = to_vdev(port);

	return n < dev->nqueues ? dev->queue[n].max : 0;
}

/* --- life ----------------------------------------------------------------------------------- */

static const struct vport_ops vdev_port_ops = {
	.acceptable = vdev_port_acceptable,
	.accept = port_accept,
	.config_read = vdev_port_config_read,
	.config_write = vdev_port_config_write,
	.config_generation = vdev_port_config_generation,
	.queue_max = port_queue_max,
	.queue_start = port_queue_start,
	.queue_stop = port_queue_stop,
	.queue_call = port_queue_call,
	.start = port_start,
	.reset = port_reset,
	.close = port_close,
};

static void queue_init(struct vdev *dev, unsigned n, unsigned max)
{
	struct vdev_queue *vq = &dev->queue[n];

	vq->dev = dev;
	vq->index = n;
	vq->max = max;
	snprintf(vq->name, sizeof(vq->name), "%s queue %u", dev->name, n);
	vq->kick = (struct loop_fd){ .fd = -1, .ready = kicked, .opaque = vq };
	vq->flush = (struct loop_task){ .run = flush, .opaque = vq };
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
	if (!dev->queue) {
		log_err(name, "out of memory");
		return -ENOMEM;
	}
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

void vdev_fini(struct vdev *dev)
{
	for (unsigned n = 0; n < dev->nqueues; n++)
		queue_stop(&dev->queue[n]);
	free(dev->queue);
	dev->queue = NULL;
	dev->nqueues = 0;
	pthread_mutex_destroy(&dev->config_lock);
}
