/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * net_driver: a network driver in host memory and a back end that records, around one device.
 *
 * All rings and buffers lie in one piece of RAM: struct drv of tests/lib, one for each queue.
 */
#pragma once

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "fakedrv.h"
#include "lkvm/virtio.h"
#include "net/netif_ops.h"
#include "net_host.h"
#include "tap.h"
#include "virtio/net.h"

#define ND_RAM	  (16 << 20)
#define ND_RINGS  (64 << 10) /* for each queue */
#define ND_QUEUES 5
#define ND_SIZE	  64

__attribute__((unused)) static bool nd_vhost; /* the next nd_open() asks for it */
static const uint8_t nd_mac[6] = { 0x52, 0x54, 0, 1, 2, 3 };

/* --- the back end ----------------------------------------------------------------------------- */

#define NB_PACKETS 512

struct nb {
	struct netif nif;
	struct {
		uint8_t *bytes;
		size_t len;
	} in[NB_PACKETS], out[NB_PACKETS];
	unsigned n_in, at_in, n_out;
	bool want[NETIF_QUEUES_MAX];
	bool full, refuse_offload;
	uint64_t offload;
	unsigned spread, recvs, header;
	bool tap, refuse_spread; /* tap: it has descriptors for vhost-net */
	bool beyond; /* iov went past the end of the device's own buffer */
	bool *closed;
};

static void nb_close(struct netif *nif)
{
	struct nb *nb = (struct nb *)nif;

	for (unsigned i = 0; i < NB_PACKETS; i++) {
		free(nb->in[i].bytes);
		free(nb->out[i].bytes);
	}
	if (nb->closed)
		*nb->closed = true;
	free(nb);
}

static int nb_attach(struct netif *nif)
{
	(void)nif;
	return 0;
}

static void nb_detach(struct netif *nif)
{
	(void)nif;
}

static void nb_want_read(struct netif *nif, unsigned queue, bool want)
{
	((struct nb *)nif)->want[queue] = want;
}

static int nb_offload(struct netif *nif, uint64_t features)
{
	if (((struct nb *)nif)->refuse_offload)
		return -EINVAL;
	((struct nb *)nif)->offload = features;
	return 0;
}

static int nb_spread(struct netif *nif, unsigned n)
{
	if (((struct nb *)nif)->refuse_spread)
		return -EINVAL;
	((struct nb *)nif)->spread = n;
	return 0;
}

/* No descriptors, but nobody looks behind them. */
#define NB_FD 9000

static int nb_queue_fd(const struct netif *nif, unsigned queue)
{
	return ((const struct nb *)nif)->tap ? NB_FD + (int)queue : -1;
}

static int nb_header(struct netif *nif, unsigned len)
{
	((struct nb *)nif)->header = len;
	return 0;
}

static ssize_t nb_send(struct netif *nif, unsigned queue, const struct iovec *iov, int n)
{
	struct nb *nb = (struct nb *)nif;
	size_t len = 0;

	(void)queue;
	if (nb->full)
		return -EAGAIN;
	for (int i = 0; i < n; i++)
		len += iov[i].iov_len;
	if (nb->n_out == NB_PACKETS)
		abort();
	nb->out[nb->n_out].bytes = malloc(len);
	nb->out[nb->n_out].len = len;
	len = 0;
	for (int i = 0; i < n; i++) {
		memcpy(nb->out[nb->n_out].bytes + len, iov[i].iov_base, iov[i].iov_len);
		len += iov[i].iov_len;
	}
	nb->n_out++;
	return (ssize_t)len;
}

static ssize_t nb_recv(struct netif *nif, unsigned queue, const struct iovec *iov, int n)
{
	struct nb *nb = (struct nb *)nif;
	size_t room = 0, len, at = 0;

	(void)queue;
	nb->recvs++;
	for (int i = 0; i < n; i++)
		room += iov[i].iov_len;
	if (room < NETIF_HDR + NETIF_FRAME_MAX)
		abort(); /* the contract: nothing may be cut off */
	/* iov[1] begins that buffer, the last one is its end. */
	if ((uint8_t *)iov[n - 1].iov_base + iov[n - 1].iov_len >
	    (uint8_t *)iov[1].iov_base + malloc_usable_size(iov[1].iov_base)) {
		nb->beyond = true;
		return 0;
	}
	if (nb->at_in == nb->n_in)
		return 0;
	len = nb->in[nb->at_in].len;
	for (int i = 0; i < n && at < len; i++) {
		size_t part = len - at < iov[i].iov_len ? len - at : iov[i].iov_len;

		memcpy(iov[i].iov_base, nb->in[nb->at_in].bytes + at, part);
		at += part;
	}
	nb->at_in++;
	return (ssize_t)len;
}

static const struct netif_ops nb_ops = {
	.close = nb_close, .attach = nb_attach, .detach = nb_detach, .want_read = nb_want_read,
	.offload = nb_offload, .spread = nb_spread, .send = nb_send, .recv = nb_recv,
	.queue_fd = nb_queue_fd, .header = nb_header,
};

__attribute__((unused)) static struct nb *nb_new(uint64_t features, uint16_t mtu, unsigned queues)
{
	struct nb *nb = calloc(1, sizeof(*nb));

	nb->nif.ops = &nb_ops;
	nb->nif.info = (struct netif_info){ .features = features, .mtu = mtu, .queues = queues };
	return nb;
}

/* --- the driver ------------------------------------------------------------------------------- */

struct nd {
	struct gmem mem;
	uint8_t *ram;
	uint64_t brk; /* gpa of the next free byte */
	struct loop *loop;
	bool threaded; /* its loops run by themselves */
	struct vport *port;
	struct net *net;
	struct drv q[ND_QUEUES];
	int kick[ND_QUEUES];
	unsigned calls[ND_QUEUES], changed, failed, died;
	bool packed, event_idx;
	unsigned size; /* entries of a ring; 0: ND_SIZE */
};

static void *nd_ptr(struct nd *nd, uint64_t gpa)
{
	return nd->ram + (gpa - DRV_BASE);
}

static uint64_t nd_alloc(struct nd *nd, size_t len)
{
	uint64_t gpa = nd->brk;

	nd->brk += (len + 63) / 64 * 64;
	if (nd->brk > DRV_BASE + ND_RAM)
		abort();
	memset(nd_ptr(nd, gpa), 0xa5, len); /* what isn't written shows */
	return gpa;
}

static void nd_changed(void *opaque)
{
	((struct nd *)opaque)->changed++;
}

static void nd_failed(void *opaque)
{
	((struct nd *)opaque)->failed++;
}

static void nd_died(void *opaque)
{
	((struct nd *)opaque)->died++;
}

static void nd_called(void *opaque, unsigned n)
{
	((struct nd *)opaque)->calls[n]++;
}

/* Over these loops, which are the caller's when there are several. */
static bool nd_open_on(struct nd *nd, struct netif *nif, const char *features, uint16_t mtu,
		       struct loop *const *loops, unsigned n_loops)
{
	struct vdev_conf conf = { .name = "net0", .mem = &nd->mem, .features = features,
				  .loop = loops[0], .loops = loops, .n_loops = n_loops };
	struct net_conf net = { .mtu = mtu, .vhost = nd_vhost, .died = nd_died, .opaque = nd };

	memset(nd, 0, sizeof(*nd));
	nd->mem.fd = -1;
	nd->ram = aligned_alloc(4096, ND_RAM);
	gmem_add(&nd->mem, DRV_BASE, nd->ram, ND_RAM);
	nd->loop = loops[0];
	nd->threaded = n_loops > 1;
	memcpy(net.mac, nd_mac, 6);
	for (unsigned n = 0; n < ND_QUEUES; n++)
		nd->kick[n] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	nd->port = net_open(&conf, nif, &net);
	if (!nd->port)
		return false;
	nd->net = (struct net *)((char *)nd->port - offsetof(struct vdev, port) -
				 offsetof(struct net, dev));
	nd->port->changed = nd_changed;
	nd->port->failed = nd_failed;
	nd->port->opaque = nd;
	return true;
}

__attribute__((unused)) static bool nd_open(struct nd *nd, struct netif *nif, const char *features,
					    uint16_t mtu)
{
	struct loop *loop = loop_open("test");

	return nd_open_on(nd, nif, features, mtu, &loop, 1);
}

static void nd_close(struct nd *nd)
{
	if (nd->port) {
		nd->port->ops->reset(nd->port);
		nd->port->ops->close(nd->port);
	}
	if (!nd->threaded)
		loop_close(nd->loop);
	for (unsigned n = 0; n < ND_QUEUES; n++) {
		close(nd->kick[n]);
		drv_close(&nd->q[n]);
	}
	free(nd->ram);
}

static int nd_queue(struct nd *nd, unsigned n)
{
	const struct virtq_conf conf = { .size = nd->size ? nd->size : ND_SIZE,
					 .indirect = true, .packed = nd->packed,
					 .event_idx = nd->event_idx };
	const struct irq call = { .fd = -1, .fn = nd_called, .opaque = nd, .n = n };
	uint64_t base = DRV_BASE + (uint64_t)n * ND_RINGS;
	struct drv *d = &nd->q[n];

	drv_close(d);
	drv_open_in(d, &conf, base, nd_ptr(nd, base), ND_RINGS);
	return nd->port->ops->queue_start(nd->port, n, &d->conf, nd->kick[n], call);
}

struct nd_turns {
	struct loop *loop;
	struct loop_fd fd; /* always ready, so that no turn waits */
	unsigned left;
};

static void nd_turned(void *opaque, uint32_t events)
{
	struct nd_turns *t = opaque;

	(void)events;
	if (!--t->left)
		loop_quit(t->loop);
}

/* A few turns: enough for what is to do and what that brings. */
static void nd_turn(struct nd *nd)
{
	struct nd_turns t = { .loop = nd->loop, .left = 8 };

	if (nd->threaded) {
		usleep(200);
		return;
	}
	t.fd = (struct loop_fd){ .fd = eventfd(1, EFD_CLOEXEC), .ready = nd_turned, .opaque = &t };
	if (loop_add(nd->loop, &t.fd, EPOLLIN))
		abort();
	loop_run(nd->loop);
	loop_del(nd->loop, &t.fd);
	close(t.fd.fd);
}

/* From reset to DRIVER_OK with these features and the first n queues. */
static void nd_start(struct nd *nd, uint64_t features, unsigned n)
{
	nd->port->ops->reset(nd->port);
	nd->brk = DRV_BASE + ND_QUEUES * ND_RINGS;
	nd->changed = nd->failed = 0;
	nd->port->ops->accept(nd->port, features);
	for (unsigned i = 0; i < n; i++)
		if (nd_queue(nd, i))
			abort();
	nd->port->ops->start(nd->port);
	nd_turn(nd);
}

static void nd_kick(struct nd *nd, unsigned n)
{
	if (drv_publish(&nd->q[n]))
		eventfd_write(nd->kick[n], 1);
	nd_turn(nd);
}

__attribute__((unused)) static void nd_config(struct nd *nd, unsigned off, void *to, unsigned len)
{
	nd->port->ops->config_read(nd->port, off, to, len);
}

/* --- packets ---------------------------------------------------------------------------------- */

/* Ethernet to dst (NULL: us), of a type of nobody's, filled with tag. */
__attribute__((unused)) static size_t nd_frame(uint8_t *frame, const uint8_t *dst, size_t len,
					       uint8_t tag)
{
	memset(frame, tag, len);
	memcpy(frame, dst ? dst : nd_mac, 6);
	memcpy(frame + 6, "\x02\0\0\0\0\x09", 6);
	frame[12] = 0x88;
	frame[13] = 0xb5;
	return len;
}

/* The back end has a packet for the device. */
__attribute__((unused)) static void nb_put(struct nd *nd, struct nb *nb, const struct netif_hdr *hdr,
					   const uint8_t *frame, size_t len)
{
	unsigned i = nb->n_in++;

	if (i == NB_PACKETS)
		abort();
	nb->in[i].len = NETIF_HDR + len;
	nb->in[i].bytes = malloc(NETIF_HDR + len);
	memcpy(nb->in[i].bytes, hdr, NETIF_HDR);
	memcpy(nb->in[i].bytes + NETIF_HDR, frame, len);
	if (nb->want[0])
		nb->nif.user.readable(nb->nif.user.opaque, 0);
	nd_turn(nd);
}

/* An in buffer of n pieces for queue q; the gpa. Published by nd_kick. */
__attribute__((unused)) static uint64_t nd_offer(struct nd *nd, unsigned q, size_t len, unsigned n)
{
	uint64_t gpa = nd_alloc(nd, len);
	struct drv_seg seg[64];

	for (unsigned i = 0; i < n; i++)
		seg[i] = (struct drv_seg){ gpa + len / n * i,
					   (uint32_t)(i < n - 1 ? len / n : len - len / n * i), true };
	drv_add(&nd->q[q], seg, n);
	return gpa;
}

/* A control command; data goes in one descriptor. The answer, or -1: none came. */
__attribute__((unused)) static int nd_command(struct nd *nd, unsigned q, uint8_t class, uint8_t cmd,
					      const void *data, size_t len)
{
	uint64_t head = nd_alloc(nd, 2), body = nd_alloc(nd, len + 1), ack = nd_alloc(nd, 1);
	struct drv_seg seg[3] = { { head, 2, false }, { body, (uint32_t)len, false }, { ack, 1, true } };
	uint32_t used = 0;

	((uint8_t *)nd_ptr(nd, head))[0] = class;
	((uint8_t *)nd_ptr(nd, head))[1] = cmd;
	memcpy(nd_ptr(nd, body), data, len);
	if (!len)
		seg[1] = seg[2];
	drv_add(&nd->q[q], seg, len ? 3 : 2);
	nd_kick(nd, q);
	for (int i = 0; nd->threaded && i < 10000 && !drv_has_used(&nd->q[q]); i++)
		nd_turn(nd);
	if (drv_used(&nd->q[q], &used, NULL) < 0 || used != 1)
		return -1;
	return *(uint8_t *)nd_ptr(nd, ack);
}
