// SPDX-License-Identifier: GPL-2.0-only
/* t_net: packets out and in, headers, and the control queue. */

#include "drivers.h"
#include "irq.h"

static void config_fields(struct vdev *d)
{
	u32 v;

	if (d->offered & NET_F_MAC)
		must(!(reg_r8(&d->config, 0) & 1), "the MAC address is a multicast one");
	if (d->offered & NET_F_STATUS)
		must(reg_r16(&d->config, 6) <= 3, "status %#x", reg_r16(&d->config, 6));
	if (d->offered & (NET_F_MQ | NET_F_RSS)) {
		v = reg_r16(&d->config, 8);
		must(v >= 1 && v <= 0x8000, "max_virtqueue_pairs %u", v);
		must(d->num_queues >= 2 * v + !!(d->offered & NET_F_CTRL_VQ), "%u queues",
		     d->num_queues);
	}
	if (d->offered & NET_F_MTU) {
		v = reg_r16(&d->config, 10);
		must(v >= 68, "mtu %u", v);
		must(v >= 1280, "mtu %u is less than IPv6 asks for", v);
	}
	if (d->offered & NET_F_SPEED_DUPLEX) {
		v = reg_r32(&d->config, 12);
		must(v <= 0x7fffffff || v == 0xffffffff, "speed %#x", v);
		v = reg_r8(&d->config, 16);
		must(v <= 1 || v == 0xff, "duplex %#x", v);
	}
}

static void config_read_only(struct vdev *d)
{
	u8 mac[6];

	skip_if(!(d->offered & NET_F_MAC), "MAC is not offered");
	vd_begin(d, NET_F_MAC);
	for (u32 i = 0; i < 6; i++) {
		mac[i] = reg_r8(&d->config, i);
		reg_w8(&d->config, i, ~mac[i]);
	}
	for (u32 i = 0; i < 6; i++)
		must_be(reg_r8(&d->config, i), mac[i], "byte %u of the MAC address", i);
}

static void transmit(struct vdev *d)
{
	struct net *n = net_open(d, 0);
	u8 *frame = alloc(1514, 16);

	memset(frame, 0xff, 6);
	memcpy(frame + 6, n->mac, 6);
	frame[12] = 0x88;
	frame[13] = 0xb5;
	for (u32 len = 60; len <= 1514; len += 727)
		must(net_send(n, frame, len), "a packet of %u bytes is not used, or with a length",
		     len);
}

static void tx_framing(struct vdev *d)
{
	struct net *n = net_open(d, 0);
	u8 *p = alloc(128, 16);

	memset(p + 12, 0xff, 6);
	memcpy(p + 18, n->mac, 6);
	p[24] = 0x88;
	p[25] = 0xb5;
	for (u32 cut = 0; cut < 72; cut += 5) {
		struct buf bufs[3] = {{p, cut + !cut, false},
				      {p + cut + !cut, 5, false},
				      {p + cut + !cut + 5, 66 - cut, false}};

		if (cut > 60)
			bufs[2].len = 1;
		must_be(vq_do(n->tx, bufs, 3).len, 0, "used length, cut at %u", cut);
	}
}

static void tx_interrupt(struct vdev *d)
{
	struct net *n;
	u8 *frame = alloc(64, 16);

	vd_msix(d);
	n = net_open(d, 0);
	memset(frame, 0xff, 6);
	memcpy(frame + 6, n->mac, 6);
	must(net_send(n, frame, 60), "a packet is not sent");
	must(wait_until(irq_count[VEC_MSI(vd_vector(d, 1))], PATIENCE),
	     "no interrupt of the tx queue");
}

static void receive(struct vdev *d)
{
	struct net *n = net_open(d, 0);
	u32 len;

	for (u32 i = 0; i < NET_RX_BUFS; i++)
		net_post(n, NET_BUF_SIZE);
	vq_kick(n->rx);
	for (u32 i = 0; i < 3; i++) {
		must(net_arp(n, &len), "round %u: no answer", i);
		must_be(n->last->flags, 0, "flags without GUEST_CSUM");
		must_be(n->last->gso_type, 0, "gso_type without a GUEST feature");
		must(n->last_len >= 54, "used length %u", n->last_len);
	}
}

static void num_buffers_one(struct vdev *d)
{
	struct net *n = net_open(d, 0);
	u32 len;

	for (u32 i = 0; i < NET_RX_BUFS; i++)
		net_post(n, NET_BUF_SIZE);
	vq_kick(n->rx);
	must(net_arp(n, &len), "no answer");
	must_be(n->last->num_buffers, 1, "num_buffers");
}

static void rx_interrupt(struct vdev *d)
{
	struct net *n;
	u32 len;

	vd_msix(d);
	n = net_open(d, 0);
	for (u32 i = 0; i < NET_RX_BUFS; i++)
		net_post(n, NET_BUF_SIZE);
	vq_kick(n->rx);
	must(net_arp(n, &len), "no answer");
	must(wait_until(irq_count[VEC_MSI(1)], PATIENCE), "no interrupt of the rx queue");
}

static void rx_late_buffers(struct vdev *d)
{
	struct net *n = net_open(d, 0);
	u8 *frame = alloc(64, 16);
	u32 peer, own, len;

	skip_if(!net_peer(&peer, &own), "no probe.peer= and probe.ip= on the command line");
	must(net_send(n, frame, net_arp_frame(n, frame, peer, own)), "the request is not sent");
	delay_us(SETTLE);
	for (u32 i = 0; i < NET_RX_BUFS; i++)
		net_post(n, NET_BUF_SIZE);
	vq_kick(n->rx);
	must(net_arp(n, &len), "no answer once there are buffers");
}

static void rx_mergeable(struct vdev *d)
{
	struct net *n = net_open(d, NET_F_MRG_RXBUF);
	u32 len, bufs;

	skip_if(!(d->features & NET_F_MRG_RXBUF), "MRG_RXBUF is not offered");
	n->rx_len = 32; /* the header, and 20 bytes of the packet */
	for (u32 i = 0; i < 15; i++)
		net_post(n, n->rx_len);
	vq_kick(n->rx);
	for (u32 tries = 0; tries < 3; tries++) {
		u8 *frame = alloc(64, 16);
		u32 peer, own;

		skip_if(!net_peer(&peer, &own), "no probe.peer= and probe.ip= on the command line");
		must(net_send(n, frame, net_arp_frame(n, frame, peer, own)),
		     "the request is not sent");
		must(net_recv(n, &len, PATIENCE), "no answer");
		bufs = n->last->num_buffers;
		must(bufs >= 2 && bufs < 15, "num_buffers %u", bufs);
		must_be(n->last_len, 32, "bytes in the first buffer");
		for (u32 i = 1; i < bufs; i++) {
			struct done x;

			must(vq_has_used(n->rx), "buffer %u is not used together with the first",
			     i);
			x = vq_take(n->rx);
			must(x.len && (x.len == 32 || i + 1 == bufs), "buffer %u holds %u bytes", i,
			     x.len);
			net_post(n, n->rx_len);
		}
		vq_kick(n->rx);
	}
}

static void rx_too_small(struct vdev *d)
{
	struct net *n = net_open(d, 0);
	u8 *frame = alloc(64, 16);
	u32 peer, own;

	skip_if(!net_peer(&peer, &own), "no probe.peer= and probe.ip= on the command line");
	for (u32 i = 0; i < 4; i++)
		net_post(n, 20);
	vq_kick(n->rx);
	must(net_send(n, frame, net_arp_frame(n, frame, peer, own)), "the request is not sent");
	delay_us(SETTLE * 4);
	for (u32 i = 0; i < 4 && vq_has_used(n->rx); i++)
		must(vq_take(n->rx).len <= 20, "more was written than the buffer holds");
}

static struct net *open_ctrl(struct vdev *d, u64 features)
{
	struct net *n = net_open(d, NET_F_CTRL_VQ | features);

	skip_if(!n->ctrl, "CTRL_VQ is not offered");
	skip_if(features & ~d->features, "the feature is not offered");
	return n;
}

static void ctrl_unknown(struct vdev *d)
{
	static const u8 bad[][2] = {{9, 0}, {0x7f, 1}, {0xff, 0xff}, {0, 200}, {1, 99}};
	struct net *n = open_ctrl(d, 0);
	u8 *data = alloc(8, 8);

	for (u32 i = 0; i < ARRAY_SIZE(bad); i++)
		must_be(net_command(n, bad[i][0], bad[i][1], data, 4), 1, "class %u command %u",
			bad[i][0], bad[i][1]);
}

static void ctrl_rx(struct vdev *d)
{
	struct net *n = open_ctrl(d, NET_F_CTRL_RX);
	u8 *on = alloc(1, 1);

	for (u32 cmd = 0; cmd < 2; cmd++)
		for (*on = 0; *on < 2; ++*on)
			must_be(net_command(n, 0, cmd, on, 1), 0, "command %u, %u", cmd, *on);
}

static void ctrl_rx_extra(struct vdev *d)
{
	struct net *n = open_ctrl(d, NET_F_CTRL_RX | NET_F_CTRL_RX_EXTRA);
	u8 *on = alloc(1, 1);

	for (u32 cmd = 2; cmd < 6; cmd++)
		for (*on = 0; *on < 2; ++*on)
			must_be(net_command(n, 0, cmd, on, 1), 0, "command %u, %u", cmd, *on);
}

static void ctrl_mac(struct vdev *d)
{
	struct net *n = open_ctrl(d, NET_F_CTRL_MAC_ADDR);
	u8 *mac = alloc(6, 2), old[6];

	for (u32 i = 0; i < 6; i++)
		old[i] = reg_r8(&d->config, i);
	memcpy(mac, "\x02\x11\x22\x33\x44\x55", 6);
	must_be(net_command(n, 1, 1, mac, 6), 0, "MAC_ADDR_SET");
	for (u32 i = 0; i < 6; i++)
		must_be(reg_r8(&d->config, i), mac[i], "byte %u of the MAC address", i);
	memcpy(mac, old, 6);
	must_be(net_command(n, 1, 1, mac, 6), 0, "MAC_ADDR_SET back");
	must_be(net_command(n, 1, 1, mac, 5), 1, "MAC_ADDR_SET of five bytes");
}

static void ctrl_mac_table(struct vdev *d)
{
	struct net *n = open_ctrl(d, NET_F_CTRL_RX);
	u8 *table = alloc(32, 4);

	*(u32 *)table = 1;
	memcpy(table + 4, n->mac, 6);
	must_be(net_command(n, 1, 0, table, 14), 0, "MAC_TABLE_SET, one and none");
	*(u32 *)table = 0;
	*(u32 *)(table + 4) = 1;
	memcpy(table + 8, "\x01\x00\x5e\x00\x00\x01", 6);
	must_be(net_command(n, 1, 0, table, 14), 0, "MAC_TABLE_SET, none and one");
	*(u32 *)table = 0xffffffff;
	must_be(net_command(n, 1, 0, table, 14), 1, "MAC_TABLE_SET with a count beyond the buffer");
}

static void ctrl_vlan(struct vdev *d)
{
	struct net *n = open_ctrl(d, NET_F_CTRL_VLAN);
	u16 *id = alloc(2, 2);

	for (u32 i = 0; i < 4096; i += 1365) {
		*id = i;
		must_be(net_command(n, 2, 0, id, 2), 0, "VLAN_ADD %u", i);
		must_be(net_command(n, 2, 1, id, 2), 0, "VLAN_DEL %u", i);
	}
	must_be(net_command(n, 2, 0, id, 1), 1, "VLAN_ADD of one byte");
}

static void ctrl_mq(struct vdev *d)
{
	struct net *n = open_ctrl(d, NET_F_MQ);
	u32 max = reg_r16(&d->config, 8);
	u16 *pairs = alloc(2, 2);

	*pairs = 1;
	must_be(net_command(n, 4, 0, pairs, 2), 0, "one pair");
	*pairs = 0;
	must_be(net_command(n, 4, 0, pairs, 2), 1, "no pair");
	*pairs = max + 1;
	must_be(net_command(n, 4, 0, pairs, 2), 1, "one pair more than there are");
}

static void ctrl_offloads(struct vdev *d)
{
	struct net *n = open_ctrl(d, NET_F_GUEST_OFFLOADS | NET_F_GUEST_CSUM);
	u64 *set = alloc(8, 8);

	*set = 0;
	must_be(net_command(n, 5, 0, set, 8), 0, "no offload");
	*set = NET_F_GUEST_CSUM;
	must_be(net_command(n, 5, 0, set, 8), 0, "GUEST_CSUM");
	*set = NET_F_GUEST_CSUM | NET_F_GUEST_TSO4;
	must_be(net_command(n, 5, 0, set, 8), 1, "GUEST_TSO4, which was not negotiated");
}

static void ctrl_framing(struct vdev *d)
{
	struct net *n = open_ctrl(d, NET_F_CTRL_RX);
	u8 *cmd = alloc(4, 4);
	volatile u8 *ack = alloc(1, 1);

	for (u32 shape = 0; shape < 3; shape++) {
		struct buf parts[4] = {
		    {cmd, 1, false}, {cmd + 1, 1, false}, {cmd + 2, 1, false}, {ack, 1, true}};
		struct buf one[2] = {{cmd, 3, false}, {ack, 1, true}};
		struct buf two[3] = {{cmd, 1, false}, {cmd + 1, 2, false}, {ack, 1, true}};

		*ack = 0xee;
		if (shape == 0)
			vq_do(n->ctrl, parts, 4);
		else if (shape == 1)
			vq_do(n->ctrl, one, 2);
		else
			vq_do(n->ctrl, two, 3);
		must_be(*ack, 0, "PROMISC off, shape %u", shape);
	}
}

static void reset_in_flight(struct vdev *d)
{
	for (u32 round = 0; round < 4; round++) {
		struct net *n = net_open(d, 0);
		u8 *frame = alloc(64, 16);
		u32 peer = 0, own = 0;
		u16 rx, tx;

		net_peer(&peer, &own);
		for (u32 i = 0; i < NET_RX_BUFS; i++)
			net_post(n, NET_BUF_SIZE);
		vq_kick(n->rx);
		must(net_send(n, frame, net_arp_frame(n, frame, peer, own)),
		     "the request is not sent");
		must(vd_reset(d), "no reset");
		rx = n->rx->used->idx;
		tx = n->tx->used->idx;
		delay_us(SETTLE / 2);
		must_be(n->rx->used->idx, rx, "rx used.idx after the reset");
		must_be(n->tx->used->idx, tx, "tx used.idx after the reset");
		arena_reset();
	}
}

static void tx_malformed(struct vdev *d)
{
	struct net *n;
	u8 *p = alloc(64, 16);

	for (u32 i = 0; i < 4; i++) {
		struct buf bufs[2] = {{p, 12, false}, {p, 60, false}};

		n = net_open(d, 0);
		if (i == 0)
			bufs[0].len = 5; /* half a header and nothing */
		else if (i == 3)
			bufs[0].in = true; /* nothing to read at all */
		vq_offer(n->tx, vq_chain(n->tx, bufs, i == 2 ? 2 : 1));
		vq_kick(n->tx);
		delay_us(SETTLE / 2);
		net_works(d);
	}
}

static const struct test tests[] = {
	{"NET-009,NET-010,NET-011,NET-018,NET-019,NET-023", "configuration fields make sense",
	 config_fields, NET, 0},
	{"NET-024", "configuration is read-only", config_read_only, NET, 0},
	{"NET-029", "packets of any length are sent and used with length 0", transmit, NET, 0},
	{"NET-029,SPLIT-04", "header and packet cut up anyhow", tx_framing, NET, 0},
	{"USED-07", "sending raises the tx queue's interrupt", tx_interrupt, NET, 0},
	{"NET-044,NET-046,NET-051,NET-070", "an answer arrives in one buffer with a plain header",
	 receive, NET, 0},
	{"NET-047", "num_buffers is 1 without MRG_RXBUF", num_buffers_one, NET, 0},
	{"USED-07", "an arriving packet raises the rx queue's interrupt", rx_interrupt, NET, 0},
	{"NET-044", "packets before there are buffers do no harm", rx_late_buffers, NET, 0},
	{"NET-043,NET-045,NET-048,NET-049,NET-050",
	 "mergeable buffers are filled in turn and used together", rx_mergeable, NET, 0},
	{"NET-044", "a buffer that is too small is not overrun", rx_too_small, NET, HOSTILE},
	{"NET-097", "unknown commands get ERR", ctrl_unknown, NET, 0},
	{"NET-098", "a command cut up anyhow", ctrl_framing, NET, 0},
	{"NET-099", "PROMISC and ALLMULTI on and off", ctrl_rx, NET, 0},
	{"NET-103", "ALLUNI, NOMULTI, NOUNI and NOBCAST on and off", ctrl_rx_extra, NET, 0},
	{"NET-114", "MAC_ADDR_SET shows in the configuration at once", ctrl_mac, NET, 0},
	{"NET-113,NET-116", "MAC_TABLE_SET takes two counted tables", ctrl_mac_table, NET, 0},
	{"NET-120", "VLAN ids are added and deleted", ctrl_vlan, NET, 0},
	{"NET-127", "queue pairs out of range get ERR", ctrl_mq, NET, 0},
	{"NET-142,NET-143", "offloads are switched; one that was not negotiated gets ERR",
	 ctrl_offloads, NET, 0},
	{"PCI-RESET-01,RST-03", "a reset with packets under way", reset_in_flight, NET, HOSTILE},
	{"X-NET-01", "packets too short to be any", tx_malformed, NET, HOSTILE},
};

const struct suite suite_net = {"net", tests, ARRAY_SIZE(tests)};
