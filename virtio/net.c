// SPDX-License-Identifier: GPL-2.0-only
/*
 * net: a network device in front of a netif (virtio 1.x, section 5.1): features, configuration, life.
 *
 * Runs on: a pair's loop (its queues, the back end's readable, writable and died), home (all else);
 * net_open on main.
 */
#include "virtio/net.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "lkvm/log.h"
#include "virtio/vhost_net.h"

#define QUEUE_SIZE 256
/* 5.1.4.1: an MTU that is offered is at least this; a smaller one of the host's is kept to ourselves. */
#define MTU_MIN 1280

#define HDR_LEN	       12 /* 5.1.6.1 */
#define HDR_LEN_LEGACY 10 /* without num_buffers */

static struct net *to_net(struct vdev *dev)
{
	return (struct net *)((char *)dev - offsetof(struct net, dev));
}

/* --- which queue is what ---------------------------------------------------------------------- */

/* Which queues there are depends on what was accepted; the others do nothing. */
enum net_role net_role(const struct net *net, unsigned n)
{
	if (n == net->ctrl)
		return NET_ROLE_CTRL;
	if (n >= 2 * net->pairs || (n >= 2 && !vdev_has(&net->dev, VIRTIO_NET_F_MQ)))
		return NET_ROLE_NONE;
	return n % 2 ? NET_ROLE_TX : NET_ROLE_RX;
}

/* --- state that the driver sets --------------------------------------------------------------- */

static void net_accept(struct vdev *dev)
{
	struct net *net = to_net(dev);
	int err;

	net->hdr_len = dev->modern || vdev_has(dev, VIRTIO_NET_F_MRG_RXBUF) ? HDR_LEN :
									       HDR_LEN_LEGACY;
	net->ctrl = UINT_MAX;
	if (vdev_has(dev, VIRTIO_NET_F_CTRL_VQ))
		net->ctrl = vdev_has(dev, VIRTIO_NET_F_MQ) ? 2 * net->pairs : 2;
	for (unsigned n = 0; n < dev->nqueues; n++)
		vdev_place(dev, n, net_role(net, n) == NET_ROLE_RX || net_role(net, n) == NET_ROLE_TX ? n / 2 : 0);
	net_filter_reset(&net->rules.filter, dev->accepted);
	err = net_set_offload(net, dev->accepted & NET_GUEST_OFFLOADS);
	if (err) /* what was granted when asked is refused now: the interface has gone */
		vdev_fail(dev, "cannot set offloads: %s", strerror(-err));
	net_tell(net);
}

static void net_reset(struct vdev *dev)
{
	struct net *net = to_net(dev);

	net->ctrl = UINT_MAX;
	net_rules_reset(net);
}

/*
 * Only the address, and only by a legacy driver (5.1.4.3). Bytes before the last are kept, so that
 * they read back, but packets are let in by a whole address only.
 */
static void net_config_write(struct vdev *dev, unsigned off, const uint8_t *val, unsigned len)
{
	struct net *net = to_net(dev);

	if (!dev->port.legacy || off >= 6)
		return;
	len = len < 6 - off ? len : 6 - off;
	vdev_config_set(dev, off, val, len, false);
	if (off + len != 6)
		return;
	memcpy(net->rules.mac, dev->config, 6);
	net_tell(net);
}

/* --- queues ----------------------------------------------------------------------------------- */

static int net_queue_start(struct vdev *dev, unsigned n)
{
	struct net *net = to_net(dev);

	switch (net_role(net, n)) {
	case NET_ROLE_RX:
		return net_rx_start(&net->rx[n / 2], vdev_queue(dev, n)->conf.size);
	case NET_ROLE_TX:
		net->tx[n / 2].running = true;
		return 0;
	default:
		return 0;
	}
}

/*
 * A receive queue taken away alone leaves its packets to be dropped (2.6.1), not kept for later.
 * Nothing of a send queue is in flight between turns.
 */
static void net_queue_stop(struct vdev *dev, unsigned n)
{
	struct net *net = to_net(dev);

	switch (net_role(net, n)) {
	case NET_ROLE_RX:
		net_rx_stop(&net->rx[n / 2]);
		netif_want_read(net->nif, n / 2, dev->live && !dev->failed);
		break;
	case NET_ROLE_TX:
		net->tx[n / 2].running = net->tx[n / 2].blocked = false;
		break;
	case NET_ROLE_CTRL:
		net->command = NULL;
		break;
	default:
		break;
	}
}

/* Pair 0 is the back end's way in; the others are there for a driver that asks for them. */
static void net_queue_reset(struct vdev *dev, unsigned n)
{
	struct net *net = to_net(dev);

	if (net_role(net, n) != NET_ROLE_RX)
		return;
	netif_want_read(net->nif, n / 2, false);
	if (n)
		netif_watch(net->nif, n / 2, false);
	else
		net_rules_halt(net);
}

static void net_kick(struct vdev *dev, unsigned n)
{
	struct net *net = to_net(dev);

	switch (net_role(net, n)) {
	case NET_ROLE_RX:
		net_rx_run(&net->rx[n / 2]);
		break;
	case NET_ROLE_TX:
		net_tx_run(&net->tx[n / 2]);
		break;
	case NET_ROLE_CTRL:
		net_ctrl_run(net, n);
		break;
	default:
		break;
	}
}

/* --- what the back end tells ------------------------------------------------------------------ */

static void backend_readable(void *opaque, unsigned queue)
{
	struct net *net = opaque;

	net_rx_run(&net->rx[queue]);
}

static void backend_writable(void *opaque, unsigned queue)
{
	struct net *net = opaque;
	struct net_tx *tx = &net->tx[queue];

	tx->blocked = false;
	if (tx->running)
		vdev_rekick(&net->dev, net_txq(queue));
}

static void set_link(struct net *net, bool up)
{
	uint16_t status = up ? NET_STATUS_LINK_UP : 0;

	vdev_config_keep(&net->dev, offsetof(struct net_config, status), &status, sizeof(status),
			 net->dev.accepted & VBIT(VIRTIO_NET_F_STATUS));
}

static void backend_link(void *opaque, bool up)
{
	set_link(opaque, up);
}

/* The guest sees the cable pulled; what becomes of the machine is for others to decide. */
static void backend_died(void *opaque)
{
	struct net *net = opaque;

	set_link(net, false);
	if (net->conf.died)
		net->conf.died(net->conf.opaque);
}

/* --- life ------------------------------------------------------------------------------------- */

static void net_free(struct net *net)
{
	vhost_net_close(net->vhost); /* it has the tap's descriptors in use */
	netif_close(net->nif);
	for (unsigned i = 0; net->rx && net->tx && i < net->pairs; i++) {
		free(net->rx[i].frame);
		free(net->tx[i].bounce);
	}
	free(net->rx);
	free(net->tx);
	free(net);
}

static void net_close(struct vdev *dev)
{
	vdev_fini(dev);
	net_free(to_net(dev));
}

static const struct vdev_class net_class = {
	.name = "net",
	.id = VIRTIO_ID_NET,
	.deps = net_deps,
	.fields = net_fields,
	.words = net_words,
	.accept = net_accept,
	.queue_start = net_queue_start,
	.kick = net_kick,
	.queue_stop = net_queue_stop,
	.queue_reset = net_queue_reset,
	.config_write = net_config_write,
	.reset = net_reset,
	.close = net_close,
};

static int alloc_pairs(struct net *net)
{
	net->rx = calloc(net->pairs, sizeof(*net->rx));
	net->tx = calloc(net->pairs, sizeof(*net->tx));
	if (!net->rx || !net->tx)
		return -ENOMEM;
	for (unsigned i = 0; i < net->pairs; i++) {
		net->rx[i].net = net->tx[i].net = net;
		net->rx[i].pair = net->tx[i].pair = i;
		net->rx[i].frame = malloc(RX_HEAD + NETIF_FRAME_MAX);
		net->tx[i].bounce = malloc(NETIF_FRAME_MAX);
		if (!net->rx[i].frame || !net->tx[i].bounce)
			return -ENOMEM;
	}
	return 0;
}

/* With vhost it is the kernel's threads that move packets: all of the rest is at home. */
static int place_pairs(struct net *net, const struct vdev_conf *conf)
{
	unsigned n = net->vhost || !conf->n_loops ? 1 : conf->n_loops;

	for (unsigned i = 0; i < net->pairs; i++) {
		net->rx[i].loop = i % n ? conf->loops[i % n] : conf->loop;
		netif_place(net->nif, i, net->rx[i].loop);
	}
	return n > 1 ? vdev_spread(&net->dev, conf->loops, n) : 0;
}

static int net_init(struct net *net, const struct vdev_conf *conf)
{
	const struct netif_info *info = netif_info(net->nif);
	uint16_t mtu = net->conf.mtu ? net->conf.mtu : info->mtu >= MTU_MIN ? info->mtu : 0;
	const struct net_config config = { .status = NET_STATUS_LINK_UP,
					   .max_pairs = (uint16_t)net->pairs, .mtu = mtu };
	unsigned max[2 * NETIF_QUEUES_MAX + 1], n = 2 * net->pairs + 1;
	int err;

	for (unsigned i = 0; i < n; i++)
		max[i] = conf->queue_size ? conf->queue_size : QUEUE_SIZE;
	err = vdev_init(&net->dev, &net_class, conf->name, conf->loop, conf->mem,
			net_features(net, mtu), max, n);
	if (err)
		return err;
	net->max_frame = (mtu ? mtu : info->mtu ? info->mtu : 1500) + ETH_HEADER;
	net->hdr_len = HDR_LEN;
	net->ctrl = UINT_MAX;
	net_rules_init(net);
	if (net->vhost) {
		net->dev.port.features &= ~vhost_net_lacks(net->vhost);
		net->dev.possible &= ~vhost_net_lacks(net->vhost);
	}
	vdev_config_init(&net->dev, &config, sizeof(config));
	vdev_config_keep(&net->dev, 0, net->rules.mac, 6, false);
	err = place_pairs(net, conf);
	if (!err)
		err = vdev_mask(&net->dev, conf->features);
	if (err)
		vdev_fini(&net->dev);
	return err;
}

struct attach {
	struct net *net;
	int err;
};

static void do_attach(void *opaque)
{
	struct attach *a = opaque;
	struct net *net = a->net;
	const struct netif_user user = { .readable = backend_readable, .writable = backend_writable,
					 .link = backend_link, .died = backend_died, .opaque = net };

	a->err = netif_attach(net->nif, net->dev.loop, &user);
	if (!a->err && net->vhost)
		a->err = vhost_net_take_over(net->vhost, net);
	if (!a->err)
		a->err = net_rules_attach(net);
}

struct vport *net_open(const struct vdev_conf *conf, struct netif *nif, const struct net_conf *net_conf)
{
	struct net *net = calloc(1, sizeof(*net));
	struct attach attach = { .net = net };

	if (!net) {
		log_err(conf->name, "out of memory");
		netif_close(nif);
		return NULL;
	}
	net->nif = nif;
	net->conf = *net_conf;
	net->pairs = netif_info(nif)->queues;
	if (net->conf.mtu && net->conf.mtu < 68) {
		log_err(conf->name, "mtu=%u: at least 68", net->conf.mtu);
		goto out;
	}
	if (alloc_pairs(net)) {
		log_err(conf->name, "out of memory");
		goto out;
	}
	if (net->conf.vhost && netif_fd(nif, 0) < 0) {
		log_err(conf->name, "vhost=on: only a tap can be given to the kernel");
		goto out;
	}
	if (net->conf.vhost) {
		net->vhost = vhost_net_open(conf->name, conf->mem, net->pairs);
		if (!net->vhost)
			goto out;
	}
	if (net_init(net, conf))
		goto out;
	loop_call(conf->loop, do_attach, &attach);
	if (!attach.err)
		return &net->dev.port;
	vdev_fini(&net->dev);
out:
	net_free(net);
	return NULL;
}
