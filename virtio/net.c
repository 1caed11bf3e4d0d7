// SPDX-License-Identifier: GPL-2.0-only
/*
 * net: a network device in front of a netif (virtio 1.x, section 5.1): features, configuration, life.
 *
 * Runs on: loop; net_open on main.
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

/* 5.1.3.1. GUEST_OFFLOADS can't be used without the queue for it, so it depends on that too. */
static const struct vdev_dep net_deps[] = {
	{ VIRTIO_NET_F_GUEST_TSO4, VBIT(VIRTIO_NET_F_GUEST_CSUM) },
	{ VIRTIO_NET_F_GUEST_TSO6, VBIT(VIRTIO_NET_F_GUEST_CSUM) },
	{ VIRTIO_NET_F_GUEST_UFO, VBIT(VIRTIO_NET_F_GUEST_CSUM) },
	{ VIRTIO_NET_F_GUEST_USO4, VBIT(VIRTIO_NET_F_GUEST_CSUM) },
	{ VIRTIO_NET_F_GUEST_USO6, VBIT(VIRTIO_NET_F_GUEST_CSUM) },
	{ VIRTIO_NET_F_GUEST_ECN, VBIT(VIRTIO_NET_F_GUEST_TSO4) | VBIT(VIRTIO_NET_F_GUEST_TSO6) },
	{ VIRTIO_NET_F_HOST_TSO4, VBIT(VIRTIO_NET_F_CSUM) },
	{ VIRTIO_NET_F_HOST_TSO6, VBIT(VIRTIO_NET_F_CSUM) },
	{ VIRTIO_NET_F_HOST_UFO, VBIT(VIRTIO_NET_F_CSUM) },
	{ VIRTIO_NET_F_HOST_USO, VBIT(VIRTIO_NET_F_CSUM) },
	{ VIRTIO_NET_F_HOST_ECN, VBIT(VIRTIO_NET_F_HOST_TSO4) | VBIT(VIRTIO_NET_F_HOST_TSO6) },
	{ VIRTIO_NET_F_CTRL_RX, VBIT(VIRTIO_NET_F_CTRL_VQ) },
	{ VIRTIO_NET_F_CTRL_RX_EXTRA, VBIT(VIRTIO_NET_F_CTRL_VQ) },
	{ VIRTIO_NET_F_CTRL_VLAN, VBIT(VIRTIO_NET_F_CTRL_VQ) },
	{ VIRTIO_NET_F_CTRL_MAC_ADDR, VBIT(VIRTIO_NET_F_CTRL_VQ) },
	{ VIRTIO_NET_F_CTRL_GUEST_OFFLOADS, VBIT(VIRTIO_NET_F_CTRL_VQ) },
	{ VIRTIO_NET_F_MQ, VBIT(VIRTIO_NET_F_CTRL_VQ) },
	{ -1, 0 },
};

static const struct vport_field net_fields[] = {
	{ VIRTIO_NET_F_MAC, offsetof(struct net_config, mac), 6 },
	{ VIRTIO_NET_F_STATUS, offsetof(struct net_config, status), 2 },
	{ VIRTIO_NET_F_MQ, offsetof(struct net_config, max_pairs), 2 },
	{ VIRTIO_NET_F_MTU, offsetof(struct net_config, mtu), 2 },
	{ 0, 0, 0 },
};

static const struct vdev_word net_words[] = {
	{ "csum", VIRTIO_NET_F_CSUM },
	{ "guest_csum", VIRTIO_NET_F_GUEST_CSUM },
	{ "ctrl_guest_offloads", VIRTIO_NET_F_CTRL_GUEST_OFFLOADS },
	{ "mtu", VIRTIO_NET_F_MTU },
	{ "mac", VIRTIO_NET_F_MAC },
	{ "guest_tso4", VIRTIO_NET_F_GUEST_TSO4 },
	{ "guest_tso6", VIRTIO_NET_F_GUEST_TSO6 },
	{ "guest_ecn", VIRTIO_NET_F_GUEST_ECN },
	{ "guest_ufo", VIRTIO_NET_F_GUEST_UFO },
	{ "host_tso4", VIRTIO_NET_F_HOST_TSO4 },
	{ "host_tso6", VIRTIO_NET_F_HOST_TSO6 },
	{ "host_ecn", VIRTIO_NET_F_HOST_ECN },
	{ "host_ufo", VIRTIO_NET_F_HOST_UFO },
	{ "mrg_rxbuf", VIRTIO_NET_F_MRG_RXBUF },
	{ "status", VIRTIO_NET_F_STATUS },
	{ "ctrl_vq", VIRTIO_NET_F_CTRL_VQ },
	{ "ctrl_rx", VIRTIO_NET_F_CTRL_RX },
	{ "ctrl_vlan", VIRTIO_NET_F_CTRL_VLAN },
	{ "ctrl_rx_extra", VIRTIO_NET_F_CTRL_RX_EXTRA },
	{ "mq", VIRTIO_NET_F_MQ },
	{ "ctrl_mac_addr", VIRTIO_NET_F_CTRL_MAC_ADDR },
	{ "guest_uso4", VIRTIO_NET_F_GUEST_USO4 },
	{ "guest_uso6", VIRTIO_NET_F_GUEST_USO6 },
	{ "host_uso", VIRTIO_NET_F_HOST_USO },
	{ NULL, 0 },
};

/* --- state that the driver sets --------------------------------------------------------------- */

int net_set_offload(struct net *net, uint64_t offload)
{
	int err = netif_offload(net->nif, offload);

	if (!err)
		net->offload = offload;
	return err;
}

void net_set_mac(struct net *net, const uint8_t mac[6])
{
	memcpy(net->mac, mac, 6);
	vdev_config_set(&net->dev, offsetof(struct net_config, mac), mac, 6, false);
}

int net_spread(struct net *net, unsigned n)
{
	int err = net->vhost ? vhost_net_spread(net->vhost, n) : netif_spread(net->nif, n);

	if (!err)
		net->cur_pairs = n;
	return err;
}

static void net_accept(struct vdev *dev)
{
	struct net *net = to_net(dev);
	int err;

	net->hdr_len = dev->modern || vdev_has(dev, VIRTIO_NET_F_MRG_RXBUF) ? HDR_LEN :
									       HDR_LEN_LEGACY;
	net->ctrl = UINT_MAX;
	if (vdev_has(dev, VIRTIO_NET_F_CTRL_VQ))
		net->ctrl = vdev_has(dev, VIRTIO_NET_F_MQ) ? 2 * net->pairs : 2;
	net_filter_reset(&net->filter, dev->accepted);
	err = net_set_offload(net, dev->accepted & NET_GUEST_OFFLOADS);
	if (err) /* what was granted when asked is refused now: the interface has gone */
		vdev_fail(dev, "cannot set offloads: %s", strerror(-err));
}

static void net_reset(struct vdev *dev)
{
	struct net *net = to_net(dev);

	for (unsigned i = 0; i < net->pairs; i++)
		netif_want_read(net->nif, i, false);
	net->ctrl = UINT_MAX;
	net_spread(net, 1);
	net_set_offload(net, 0);
	net_filter_reset(&net->filter, 0);
	memcpy(net->mac, net->conf.mac, 6);
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
	if (off + len == 6)
		memcpy(net->mac, dev->config, 6);
}

/* --- queues ----------------------------------------------------------------------------------- */

/* Which queues there are depends on what was accepted; the others do nothing. */
enum net_role net_role(const struct net *net, unsigned n)
{
	if (n == net->ctrl)
		return NET_ROLE_CTRL;
	if (n >= 2 * net->pairs || (n >= 2 && !vdev_has(&net->dev, VIRTIO_NET_F_MQ)))
		return NET_ROLE_NONE;
	return n % 2 ? NET_ROLE_TX : NET_ROLE_RX;
}

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
	default:
		break;
	}
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
	for (unsigned i = 0; net->rx && i < net->pairs; i++)
		free(net->rx[i].frame);
	free(net->rx);
	free(net->tx);
	free(net->bounce);
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
	.config_write = net_config_write,
	.reset = net_reset,
	.close = net_close,
};

static int alloc_pairs(struct net *net)
{
	net->rx = calloc(net->pairs, sizeof(*net->rx));
	net->tx = calloc(net->pairs, sizeof(*net->tx));
	net->bounce = malloc(NETIF_FRAME_MAX);
	if (!net->rx || !net->tx || !net->bounce)
		return -ENOMEM;
	for (unsigned i = 0; i < net->pairs; i++) {
		net->rx[i].net = net->tx[i].net = net;
		net->rx[i].pair = net->tx[i].pair = i;
		net->rx[i].frame = malloc(RX_HEAD + NETIF_FRAME_MAX);
		if (!net->rx[i].frame)
			return -ENOMEM;
	}
	return 0;
}

static uint64_t net_features(const struct net *net, uint16_t mtu)
{
	uint64_t features = netif_info(net->nif)->features | VBIT(VIRTIO_NET_F_MAC) |
			    VBIT(VIRTIO_NET_F_STATUS) | VBIT(VIRTIO_NET_F_MRG_RXBUF) |
			    VBIT(VIRTIO_NET_F_CTRL_VQ) | VBIT(VIRTIO_NET_F_CTRL_RX) |
			    VBIT(VIRTIO_NET_F_CTRL_RX_EXTRA) | VBIT(VIRTIO_NET_F_CTRL_VLAN) |
			    VBIT(VIRTIO_NET_F_CTRL_MAC_ADDR);

	if (features & NET_GUEST_OFFLOADS)
		features |= VBIT(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS);
	if (mtu)
		features |= VBIT(VIRTIO_NET_F_MTU);
	if (net->pairs > 1)
		features |= VBIT(VIRTIO_NET_F_MQ);
	return features;
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
	memcpy(net->mac, net->conf.mac, 6);
	if (net->vhost) {
		net->dev.port.features &= ~vhost_net_lacks(net->vhost);
		net->dev.possible &= ~vhost_net_lacks(net->vhost);
	}
	vdev_config_init(&net->dev, &config, sizeof(config));
	vdev_config_keep(&net->dev, 0, net->mac, 6, false);
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
		a->err = net_spread(net, 1);
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
