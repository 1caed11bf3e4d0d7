// SPDX-License-Identifier: GPL-2.0-only
/*
 * vhost_net: the verbs of a network device's port whose packets the kernel's vhost-net moves, and the
 * features that go with it.
 *
 * Runs on: loop; open on main; the port's verbs come on any thread and cross over by loop_call().
 */
#include "virtio/vhost_net.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lkvm/log.h"
#include "virtio/net.h"
#include "virtio/vhost_queue.h"

/* Ring features that the kernel has to know of, as it goes by them. */
#define TOLD                                                                                       \
	(VBIT(VIRTIO_F_NOTIFY_ON_EMPTY) | VBIT(VIRTIO_F_INDIRECT_DESC) |                           \
	 VBIT(VIRTIO_F_EVENT_IDX) | VBIT(VIRTIO_F_VERSION_1) | VBIT(VIRTIO_F_IN_ORDER) |           \
	 VBIT(VIRTIO_NET_F_MRG_RXBUF))

/*
 * It lets every packet in, so there are no filters, and a driver that is offered none does the sorting
 * itself. Packed rings begin at other indices than split ones; no kernel has them yet.
 */
#define NEVER                                                                                      \
	(VBIT(VIRTIO_NET_F_CTRL_RX) | VBIT(VIRTIO_NET_F_CTRL_RX_EXTRA) |                           \
	 VBIT(VIRTIO_NET_F_CTRL_VLAN) | VBIT(VIRTIO_F_RING_PACKED))

static struct vhost_net *to_vhost(struct vport *port)
{
	return (struct vhost_net *)((char *)port->ops - offsetof(struct vhost_net, ops));
}

static void attach_all(struct vhost_net *vn)
{
	for (unsigned n = 0; n < 2 * vn->pairs; n++)
		vhost_queue_attach(&vn->queue[n]);
}

/* A tap's queue leaves after the kernel has let go of it, and joins before. */
int vhost_net_spread(struct vhost_net *vn, unsigned n)
{
	int err;

	for (unsigned i = 2 * n; i < 2 * vn->pairs; i++)
		vhost_queue_detach(&vn->queue[i]);
	err = netif_spread(vn->net->nif, n);
	if (!err)
		vn->used = n;
	attach_all(vn);
	return err;
}

/* --- the port's verbs ------------------------------------------------------------------------- */

struct verb {
	struct vhost_net *vn;
	struct vhost_queue *queue;
	const struct virtq_conf *conf;
	int kick_fd;
	struct irq call;
	uint64_t features;
	int result;
};

/* Which queues there are was settled with the features; NULL: n is the control queue, or none. */
static struct vhost_queue *packets(struct vhost_net *vn, unsigned n)
{
	switch (net_role(vn->net, n)) {
	case NET_ROLE_RX:
	case NET_ROLE_TX:
		return &vn->queue[n];
	default:
		return NULL;
	}
}

static void do_accept(void *opaque)
{
	struct verb *v = opaque;
	struct net *net = v->vn->net;
	int err = netif_header(net->nif, net->hdr_len);

	for (unsigned i = 0; i < v->vn->pairs && !err; i++)
		err = vhost_set_features(&v->vn->kernel[i],
					 v->features & TOLD & v->vn->kernel[i].features);
	if (err)
		vdev_fail(&net->dev, "vhost-net refuses the features: %s", strerror(-err));
}

static void port_accept(struct vport *port, uint64_t features)
{
	struct verb v = { .vn = to_vhost(port), .features = features };

	v.vn->core->accept(port, features);
	loop_call(v.vn->net->dev.loop, do_accept, &v);
}

static void do_queue_start(void *opaque)
{
	struct verb *v = opaque;

	v->result = vhost_queue_start(v->queue, v->conf, v->kick_fd, v->call);
}

static int port_queue_start(struct vport *port, unsigned n, const struct virtq_conf *conf,
			    int kick_fd, struct irq call)
{
	struct vhost_net *vn = to_vhost(port);
	struct verb v = { .vn = vn, .queue = packets(vn, n), .conf = conf, .kick_fd = kick_fd,
			  .call = call };

	if (!v.queue)
		return vn->core->queue_start(port, n, conf, kick_fd, call);
	if (conf->size > vn->core->queue_max(port, n))
		return -EINVAL;
	loop_call(vn->net->dev.loop, do_queue_start, &v);
	return v.result;
}

static void do_queue_stop(void *opaque)
{
	vhost_queue_stop(((struct verb *)opaque)->queue);
}

static void port_queue_stop(struct vport *port, unsigned n)
{
	struct vhost_net *vn = to_vhost(port);
	struct verb v = { .vn = vn, .queue = packets(vn, n) };

	if (v.queue)
		loop_call(vn->net->dev.loop, do_queue_stop, &v);
	else
		vn->core->queue_stop(port, n);
}

static void do_queue_call(void *opaque)
{
	struct verb *v = opaque;

	vhost_queue_call(v->queue, v->call);
}

static void port_queue_call(struct vport *port, unsigned n, struct irq call)
{
	struct vhost_net *vn = to_vhost(port);
	struct verb v = { .vn = vn, .queue = packets(vn, n), .call = call };

	if (v.queue)
		loop_call(vn->net->dev.loop, do_queue_call, &v);
	else
		vn->core->queue_call(port, n, call);
}

static void do_start(void *opaque)
{
	attach_all(((struct verb *)opaque)->vn);
}

static void port_start(struct vport *port)
{
	struct verb v = { .vn = to_vhost(port) };

	v.vn->core->start(port);
	loop_call(v.vn->net->dev.loop, do_start, &v);
}

static void do_reset(void *opaque)
{
	struct vhost_net *vn = ((struct verb *)opaque)->vn;

	for (unsigned n = 0; n < 2 * vn->pairs; n++)
		vhost_queue_stop(&vn->queue[n]);
}

static void port_reset(struct vport *port)
{
	struct verb v = { .vn = to_vhost(port) };

	loop_call(v.vn->net->dev.loop, do_reset, &v);
	v.vn->core->reset(port);
}

/* --- life ------------------------------------------------------------------------------------- */

uint64_t vhost_net_lacks(const struct vhost_net *vn)
{
	return NEVER | (TOLD & ~vn->kernel[0].features);
}

struct vhost_net *vhost_net_open(const char *name, const struct gmem *mem, unsigned n)
{
	struct vhost_net *vn = calloc(1, sizeof(*vn));
	int err = 0;

	if (!vn)
		goto memory;
	vn->kernel = calloc(n, sizeof(*vn->kernel));
	vn->queue = calloc(2UL * n, sizeof(*vn->queue));
	if (!vn->kernel || !vn->queue)
		goto memory;
	vn->pairs = n;
	vn->used = 1;
	for (unsigned i = 0; i < n; i++)
		vn->kernel[i].fd = -1;
	for (unsigned i = 0; i < 2 * n; i++)
		vn->queue[i].relay.fd = vn->queue[i].broken.fd = -1;
	for (unsigned i = 0; i < n && !err; i++)
		err = vhost_open(&vn->kernel[i], name, mem);
	for (unsigned i = 0; i < 2 * n && !err; i++)
		err = vhost_queue_open(&vn->queue[i], vn, i, name);
	if (!err)
		return vn;
	vhost_net_close(vn);
	return NULL;
memory:
	log_err(name, "out of memory");
	vhost_net_close(vn);
	return NULL;
}

void vhost_net_close(struct vhost_net *vn)
{
	if (!vn)
		return;
	for (unsigned i = 0; i < vn->pairs; i++)
		vhost_close(&vn->kernel[i]);
	for (unsigned i = 0; i < 2 * vn->pairs; i++)
		vhost_queue_close(&vn->queue[i]);
	free(vn->queue);
	free(vn->kernel);
	free(vn);
}

int vhost_net_take_over(struct vhost_net *vn, struct net *net)
{
	struct vport *port = &net->dev.port;
	int err = 0;

	vn->net = net;
	vn->core = port->ops;
	vn->ops = *port->ops;
	vn->ops.accept = port_accept;
	vn->ops.queue_start = port_queue_start;
	vn->ops.queue_stop = port_queue_stop;
	vn->ops.queue_call = port_queue_call;
	vn->ops.start = port_start;
	vn->ops.reset = port_reset;
	port->ops = &vn->ops;
	for (unsigned n = 0; n < 2 * vn->pairs && !err; n++)
		err = vhost_queue_watch(&vn->queue[n]);
	if (err)
		log_err(net->dev.name, "cannot watch what vhost-net says: %s", strerror(-err));
	return err;
}
