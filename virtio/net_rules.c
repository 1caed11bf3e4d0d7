// SPDX-License-Identifier: GPL-2.0-only
/*
 * net_rules: what the driver chose for all pairs (offloads in force, filter, address, how many pairs are
 * in use), and how the pairs hear of it.
 *
 * Runs on: home; rules_told on the pair's loop.
 *
 * Home changes net->rules. Each pair works by a copy, on its own loop, and net_tell() brings it up to
 * date: at home there and then, elsewhere by a post. What they copy from stays as it is until all have,
 * and a command is answered only then: once the driver reads "ok", nobody works by the old rules. For home
 * it isn't over before the last pair's post came: what belongs to this round would meet the next one's.
 */
#include <string.h>

#include "virtio/net.h"
#include "virtio/vhost_net.h"

int net_set_offload(struct net *net, uint64_t offload)
{
	int err = netif_offload(net->nif, offload);

	if (!err)
		net->rules.offload = offload;
	return err;
}

void net_set_mac(struct net *net, const uint8_t mac[6])
{
	memcpy(net->rules.mac, mac, 6);
	vdev_config_set(&net->dev, offsetof(struct net_config, mac), mac, 6, false);
}

static int spread(struct net *net, unsigned n)
{
	int err = net->vhost ? vhost_net_spread(net->vhost, n) : netif_spread(net->nif, n);

	if (!err)
		net->spread = n;
	return err;
}

int net_rules_attach(struct net *net)
{
	return spread(net, 1);
}

/* More queues take part before the pairs are told to look at them, fewer after they look away. */
int net_set_pairs(struct net *net, unsigned n)
{
	int err = n > net->spread ? spread(net, n) : 0;

	if (!err)
		net->rules.pairs = n;
	return err;
}

/* Nobody looks at the queues that are to leave any more. If they can't, all is as it was. */
static void leave(struct net *net)
{
	if (net->rules.pairs == net->spread || !spread(net, net->rules.pairs))
		return;
	net->command_ok = false;
	net->rules.pairs = net->spread;
	net->tell_again = net->dev.live;
}

static void take(struct net_rx *rx)
{
	rx->rules = rx->net->told;
	if (rx->pair)
		netif_watch(rx->net->nif, rx->pair, rx->pair < rx->rules.pairs);
}

static void rules_told(void *opaque)
{
	struct net_rx *rx = opaque;
	struct net *net = rx->net;

	take(rx);
	/* What came in under the old ones is seen before the answer to the command. */
	virtq_flush(vdev_queue(&net->dev, net_rxq(rx->pair)));
	if (atomic_fetch_sub(&net->untold, 1) == 1)
		loop_post(net->dev.loop, &net->all_told);
}

static void all_told(void *opaque)
{
	struct net *net = opaque;

	net->telling = false;
	leave(net);
	if (net->tell_again)
		net_tell(net);
	if (!net->telling)
		net_ctrl_go_on(net);
}

void net_tell(struct net *net)
{
	unsigned pairs = vdev_has(&net->dev, VIRTIO_NET_F_MQ) ? net->pairs : 1, others = 0;

	net->tell_again = net->telling;
	if (net->telling)
		return;
	net->told = net->rules;
	for (unsigned i = 0; i < pairs; i++)
		others += net->rx[i].loop != net->dev.loop;
	net->untold = others;
	net->telling = others;
	for (unsigned i = 0; i < pairs; i++)
		if (net->rx[i].loop == net->dev.loop)
			take(&net->rx[i]);
		else
			loop_post(net->rx[i].loop, &net->rx[i].tell);
	if (others)
		return;
	leave(net);
	if (net->tell_again)
		net_tell(net); /* at most once: all that are in use are to be used */
}

void net_rules_init(struct net *net)
{
	net->rules.pairs = net->spread = 1;
	memcpy(net->rules.mac, net->conf.mac, 6);
	net->all_told = (struct loop_post){ .run = all_told, .opaque = net };
	for (unsigned i = 0; i < net->pairs; i++)
		net->rx[i].tell = (struct loop_post){ .run = rules_told, .opaque = &net->rx[i] };
}

/* Comes first: the pairs are about to look away from the back end's queues, and shall not look again. */
void net_rules_halt(struct net *net)
{
	net->tell_again = false;
}

/* The pairs' queues have been stopped, and they look at none of the back end's but the first. */
void net_rules_reset(struct net *net)
{
	net->rules.pairs = 1;
	if (net->spread != 1)
		spread(net, 1);
	net_set_offload(net, 0);
	net_filter_reset(&net->rules.filter, 0);
	memcpy(net->rules.mac, net->conf.mac, 6);
}
