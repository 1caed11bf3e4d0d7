// SPDX-License-Identifier: GPL-2.0-only
/*
 * net_ctrl: the commands of the control queue (5.1.6.5): class, command, data; one byte of answer.
 *
 * A command has the length its data need, no more and no less, or it is refused; how it is cut into
 * descriptors doesn't matter. Nothing changes when a command is refused.
 *
 * Runs on: home.
 */
#include <string.h>

#include "virtio/net.h"

enum { ACK_OK = 0, ACK_ERR = 1 };

enum { CLASS_RX = 0, CLASS_MAC = 1, CLASS_VLAN = 2, CLASS_MQ = 4, CLASS_OFFLOADS = 5 };

/* Class RX, one byte of data: on or off. */
static bool rx_mode(struct net *net, uint8_t cmd, struct vreader *rd)
{
	struct net_filter *f = &net->rules.filter;
	const struct {
		bool *mode;
		int feature;
	} modes[] = {
		{ &f->promisc, VIRTIO_NET_F_CTRL_RX },
		{ &f->allmulti, VIRTIO_NET_F_CTRL_RX },
		{ &f->alluni, VIRTIO_NET_F_CTRL_RX_EXTRA },
		{ &f->nomulti, VIRTIO_NET_F_CTRL_RX_EXTRA },
		{ &f->nouni, VIRTIO_NET_F_CTRL_RX_EXTRA },
		{ &f->nobcast, VIRTIO_NET_F_CTRL_RX_EXTRA },
	};
	uint8_t on;

	if (cmd >= sizeof(modes) / sizeof(*modes) || !vdev_has(&net->dev, modes[cmd].feature) ||
	    rd->left != sizeof(on) || !vread(rd, &on, sizeof(on)) || on > 1)
		return false;
	*modes[cmd].mode = on;
	return true;
}

/* One counted table. More than we keep: all of the kind are let in, which the driver can't tell. */
static bool read_addrs(struct vreader *rd, struct net_addrs *a)
{
	uint32_t n;

	memset(a, 0, sizeof(*a));
	if (!vread(rd, &n, sizeof(n)) || n > rd->left / 6)
		return false;
	a->overflow = n > NET_FILTER_MAX;
	if (a->overflow)
		return vread_skip(rd, (size_t)n * 6);
	a->n = n;
	return vread(rd, a->addr, (size_t)n * 6);
}

static bool mac_table_set(struct net *net, uint8_t cmd, struct vreader *rd)
{
	struct net_addrs uni, multi;

	(void)cmd;
	if (!read_addrs(rd, &uni) || !read_addrs(rd, &multi) || rd->left)
		return false;
	net->rules.filter.uni = uni;
	net->rules.filter.multi = multi;
	return true;
}

static bool mac_addr_set(struct net *net, uint8_t cmd, struct vreader *rd)
{
	uint8_t mac[6];

	(void)cmd;
	if (rd->left != sizeof(mac) || !vread(rd, mac, sizeof(mac)))
		return false;
	net_set_mac(net, mac);
	return true;
}

static bool vlan_set(struct net *net, uint8_t cmd, struct vreader *rd)
{
	uint16_t id;

	if (rd->left != sizeof(id) || !vread(rd, &id, sizeof(id)) || id > 0xfff)
		return false;
	net_filter_vlan(&net->rules.filter, id, cmd == 0);
	return true;
}

static bool mq_pairs_set(struct net *net, uint8_t cmd, struct vreader *rd)
{
	uint16_t n;

	(void)cmd;
	if (rd->left != sizeof(n) || !vread(rd, &n, sizeof(n)) || !n || n > net->pairs)
		return false;
	return !net_set_pairs(net, n);
}

static bool offloads_set(struct net *net, uint8_t cmd, struct vreader *rd)
{
	uint64_t set;

	(void)cmd;
	if (rd->left != sizeof(set) || !vread(rd, &set, sizeof(set)) ||
	    set & ~(net->dev.accepted & NET_GUEST_OFFLOADS))
		return false;
	return !net_set_offload(net, set);
}

static const struct command {
	uint8_t class, first, last; /* commands */
	int feature;
	bool (*run)(struct net *net, uint8_t cmd, struct vreader *rd);
} commands[] = {
	{ CLASS_RX, 0, 5, VIRTIO_NET_F_CTRL_RX, rx_mode },
	{ CLASS_MAC, 0, 0, VIRTIO_NET_F_CTRL_RX, mac_table_set },
	{ CLASS_MAC, 1, 1, VIRTIO_NET_F_CTRL_MAC_ADDR, mac_addr_set },
	{ CLASS_VLAN, 0, 1, VIRTIO_NET_F_CTRL_VLAN, vlan_set },
	{ CLASS_MQ, 0, 0, VIRTIO_NET_F_MQ, mq_pairs_set },
	{ CLASS_OFFLOADS, 0, 0, VIRTIO_NET_F_CTRL_GUEST_OFFLOADS, offloads_set },
};

static bool run(struct net *net, struct vreader *rd)
{
	uint8_t head[2]; /* class, command */

	if (!vread(rd, head, sizeof(head)))
		return false;
	for (const struct command *c = commands; c < commands + sizeof(commands) / sizeof(*c); c++)
		if (c->class == head[0] && head[1] >= c->first && head[1] <= c->last)
			return vdev_has(&net->dev, c->feature) && c->run(net, head[1], rd);
	return false;
}

static void answer(struct net *net)
{
	uint8_t ack = net->command_ok ? ACK_OK : ACK_ERR;
	struct vreq *r = net->command;

	net->command = NULL;
	vwrite(&r->in, &ack, sizeof(ack));
	virtq_push(r->q, r);
}

void net_ctrl_go_on(struct net *net)
{
	if (net->command)
		answer(net);
	if (net->ctrl < net->dev.nqueues)
		vdev_rekick(&net->dev, net->ctrl);
}

/* One after the other: what one changed has reached all pairs before the next. */
void net_ctrl_run(struct net *net, unsigned n)
{
	struct virtq *q = vdev_queue(&net->dev, n);

	while (!net->telling && vdev_budget(&net->dev, n) && (net->command = virtq_pop(q))) {
		/* Without room for an answer nothing is done either: the driver couldn't know. */
		net->command_ok = net->command->in.left && run(net, &net->command->out);
		if (net->command_ok)
			net_tell(net);
		if (net->telling)
			break;
		answer(net);
	}
}
