// SPDX-License-Identifier: GPL-2.0-only
/*
 * vdev_verbs: the vport's verbs, carried over to the loops that a device runs on.
 *
 * Runs on: a transport's thread (vcpu under slot lock, or main), which calls one loop after the other;
 * the do_* functions on the loop they are called on.
 *
 * A loop never waits for another one: two devices whose queues are spread over the same threads in a
 * different order would soon wait for each other. It is the transport's thread that goes round.
 */
#include <errno.h>
#include <stdlib.h>

#include "virtio/vdev_port.h"

/* A verb with its arguments, on its way to a loop. */
struct verb {
	struct vdev *dev;
	struct loop *loop; /* where it is now */
	unsigned n;
	const struct virtq_conf *conf;
	int kick_fd;
	struct irq call;
	uint64_t features;
	int result;
};

/* Home first: what is begun there (live, nothing more is told to others) holds for the rest. */
static void on_lanes(void (*fn)(void *opaque), struct verb *v)
{
	for (unsigned i = 0; i < v->dev->n_lanes; i++) {
		v->loop = v->dev->lane[i];
		loop_call(v->loop, fn, v);
	}
}

static void at_home(void (*fn)(void *opaque), struct verb *v)
{
	loop_call(v->dev->loop, fn, v);
}

/* --- one queue --------------------------------------------------------------------------------- */

static void do_queue_start(void *opaque)
{
	struct verb *v = opaque;

	v->result = vdev_queue_start(&v->dev->queue[v->n], v->conf, v->kick_fd, v->call);
}

static int port_queue_start(struct vport *port, unsigned n, const struct virtq_conf *conf,
			    int kick_fd, struct irq call)
{
	struct verb v = { .dev = to_vdev(port), .n = n, .conf = conf, .kick_fd = kick_fd,
			  .call = call };

	if (n >= v.dev->nqueues || !v.dev->queue[n].max || conf->size > v.dev->queue[n].max)
		return -EINVAL;
	loop_call(v.dev->queue[n].loop, do_queue_start, &v);
	return v.result;
}

static void do_queue_stop(void *opaque)
{
	struct verb *v = opaque;

	vdev_queue_stop(&v->dev->queue[v->n]);
}

static void port_queue_stop(struct vport *port, unsigned n)
{
	struct verb v = { .dev = to_vdev(port), .n = n };

	if (n < v.dev->nqueues)
		loop_call(v.dev->queue[n].loop, do_queue_stop, &v);
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
		loop_call(v.dev->queue[n].loop, do_queue_call, &v);
}

static unsigned port_queue_max(struct vport *port, unsigned n)
{
	struct vdev *dev = to_vdev(port);

	return n < dev->nqueues ? dev->queue[n].max : 0;
}

/* --- the whole device -------------------------------------------------------------------------- */

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

	at_home(do_accept, &v);
}

/* On each loop; the first is home. */
static void do_start(void *opaque)
{
	struct verb *v = opaque;
	struct vdev *dev = v->dev;

	if (v->loop == dev->loop) {
		dev->live = true;
		if (dev->class->start)
			dev->class->start(dev);
	}
	for (unsigned n = 0; n < dev->nqueues; n++)
		if (dev->queue[n].loop == v->loop && dev->queue[n].enabled)
			vdev_queue_serve(&dev->queue[n]);
}

static void port_start(struct vport *port)
{
	struct verb v = { .dev = to_vdev(port) };

	if (!v.dev->live)
		on_lanes(do_start, &v);
}

static void do_stop(void *opaque)
{
	struct verb *v = opaque;
	struct vdev *dev = v->dev;

	if (v->loop == dev->loop)
		dev->live = false;
	for (unsigned n = 0; n < dev->nqueues; n++) {
		if (dev->queue[n].loop != v->loop)
			continue;
		vdev_queue_stop(&dev->queue[n]);
		if (dev->class->queue_reset)
			dev->class->queue_reset(dev, n);
	}
}

static void do_reset(void *opaque)
{
	struct vdev *dev = ((struct verb *)opaque)->dev;

	if (dev->class->reset)
		dev->class->reset(dev);
	dev->accepted = 0;
	dev->modern = false;
	dev->failed = false;
	vdev_config_restore(dev);
}

static void port_reset(struct vport *port)
{
	struct verb v = { .dev = to_vdev(port) };

	on_lanes(do_stop, &v);
	at_home(do_reset, &v);
}

static void do_queues_close(void *opaque)
{
	struct verb *v = opaque;
	struct vdev *dev = v->dev;

	for (unsigned n = 0; n < dev->nqueues; n++)
		if (dev->queue[n].loop == v->loop)
			dev->class->queue_close(dev, n);
}

static void do_close(void *opaque)
{
	struct vdev *dev = ((struct verb *)opaque)->dev;

	dev->class->close(dev);
}

static void port_close(struct vport *port)
{
	struct verb v = { .dev = to_vdev(port) };

	if (v.dev->class->queue_close)
		on_lanes(do_queues_close, &v);
	at_home(do_close, &v);
}

const struct vport_ops vdev_port_ops = {
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
