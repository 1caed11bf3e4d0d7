// SPDX-License-Identifier: GPL-2.0-only
/* t_mq: several pairs of network queues, and the control queue behind them. */

#include "drivers.h"

struct pairs {
	struct net n; /* pair 0 and the control queue; n.rx and n.tx are switched between pairs */
	struct vq *rx[2], *tx[2];
	u8 *buf[2][256];
};

static void post(struct pairs *p, u32 pair)
{
	struct buf buf = {alloc(256, 16), 256, true};
	u16 head = vq_chain(p->rx[pair], &buf, 1);

	p->buf[pair][head] = (u8 *)buf.p;
	vq_offer(p->rx[pair], head);
}

static struct pairs *open_pairs(struct vdev *d)
{
	struct pairs *p = alloc(sizeof(*p), 64);
	u32 peer, own, max;

	skip_if(!(d->offered & NET_F_MQ), "MQ is not offered");
	skip_if(!net_peer(&peer, &own), "no probe.peer= and probe.ip= on the command line");
	vd_begin(d, NET_F_MQ | NET_F_CTRL_VQ | NET_F_MAC);
	max = reg_r16(&d->config, 8);
	skip_if(max < 2, "one pair only");
	p->n.d = d;
	for (u32 i = 0; i < 6; i++)
		p->n.mac[i] = reg_r8(&d->config, i);
	for (u32 i = 0; i < 2; i++) {
		p->rx[i] = vq_new(d, 2 * i, 16);
		p->tx[i] = vq_new(d, 2 * i + 1, 16);
	}
	p->n.ctrl = vq_new(d, 2 * max, 16);
	p->n.rx = p->rx[0];
	p->n.tx = p->tx[0];
	vd_go(d);
	for (u32 i = 0; i < 2; i++) {
		for (u32 k = 0; k < NET_RX_BUFS; k++)
			post(p, i);
		vq_kick(p->rx[i]);
	}
	return p;
}

static void set_pairs(struct pairs *p, u16 pairs)
{
	u16 *v = alloc(2, 2);

	*v = pairs;
	must_be(net_command(&p->n, 4, 0, v, 2), 0, "VQ_PAIRS_SET %u", pairs);
}

static bool take_arp(struct pairs *p, u32 pair)
{
	while (vq_has_used(p->rx[pair])) {
		struct done x = vq_take(p->rx[pair]);
		u8 *got = p->buf[pair][x.id] + 12;

		post(p, pair);
		vq_kick(p->rx[pair]);
		if (x.len >= 54 && got[12] == 8 && got[13] == 6 && got[21] == 2)
			return true;
	}
	return false;
}

/* Asks by that pair; which pair brings the answer? */
static int ask(struct pairs *p, u32 pair)
{
	u8 *frame = alloc(64, 16);
	u64 end = now_us() + PATIENCE / 2;
	u32 peer, own;

	net_peer(&peer, &own);
	p->n.tx = p->tx[pair];
	must(net_send(&p->n, frame, net_arp_frame(&p->n, frame, peer, own)),
	     "pair %u does not send", pair);
	while (now_us() < end)
		for (u32 i = 0; i < 2; i++)
			if (take_arp(p, i))
				return i;
	return -1;
}

static void first_only(struct vdev *d)
{
	struct pairs *p = open_pairs(d);

	for (u32 i = 0; i < 3; i++)
		must_be(ask(p, 0), 0, "the pair that brings an answer before any command");
	must(!vq_has_used(p->rx[1]), "something arrives in the second pair");
}

static void both(struct vdev *d)
{
	struct pairs *p = open_pairs(d);

	set_pairs(p, 2);
	for (u32 i = 0; i < 4; i++)
		must(ask(p, i & 1) >= 0, "no answer to a question by pair %u", i & 1);
}

static void back_to_one(struct vdev *d)
{
	struct pairs *p = open_pairs(d);

	set_pairs(p, 2);
	must(ask(p, 1) >= 0, "no answer");
	set_pairs(p, 1);
	while (vq_has_used(p->rx[1]))
		take_arp(p, 1);
	for (u32 i = 0; i < 3; i++)
		must_be(ask(p, 0), 0, "the pair that brings an answer once there is one again");
}

static void after_reset(struct vdev *d)
{
	struct pairs *p = open_pairs(d);

	set_pairs(p, 2);
	arena_reset();
	p = open_pairs(d);
	must_be(ask(p, 0), 0, "the pair that brings an answer after a reset");
}

static void control_without_mq(struct vdev *d)
{
	struct net *n;
	u8 *data = alloc(2, 2);

	skip_if(!(d->offered & NET_F_MQ), "MQ is not offered");
	n = net_open(d, NET_F_CTRL_VQ); /* without MQ the control queue is queue 2 */
	data[0] = 1;
	must_be(net_command(n, 4, 0, data, 2), 1, "VQ_PAIRS_SET without MQ");
}

static void queue_reset(struct vdev *d)
{
	struct pairs *p;

	skip_if(!(d->offered & F_RING_RESET), "RING_RESET is not offered");
	p = open_pairs(d);
	vd_begin(d, NET_F_MQ | NET_F_CTRL_VQ | F_RING_RESET);
	for (u32 i = 0; i < 2; i++)
		p->rx[i] = vq_new(d, 2 * i, 16);
	vd_go(d);
	for (u32 i = 0; i < 2; i++) {
		vd_select(d, 2 * i);
		reg_w16(&d->common, C_QUEUE_RESET, 1);
		must(wait_until(!reg_r16(&d->common, C_QUEUE_RESET), PATIENCE),
		     "queue %u is not reset", 2 * i);
	}
	delay_us(SETTLE);
	must_be(vd_status(d), 15, "status with all rx queues reset");
}

static const struct test tests[] = {
	{"NET-128", "at first packets arrive in the first pair only", first_only, NET, 0},
	{"NET-001,NET-124,NET-126", "with two pairs answers arrive in one of them", both, NET, 0},
	{"NET-127,NET-129", "one pair again: nothing arrives in the second", back_to_one, NET, 0},
	{"NET-128", "a reset brings back the first pair alone", after_reset, NET, HOSTILE},
	{"NET-001,NET-123", "without MQ the control queue is queue 2 and knows no pairs",
	 control_without_mq, NET, 0},
	{"NET-131", "all rx queues reset", queue_reset, NET, HOSTILE},
};

const struct suite suite_mq = {"mq", tests, ARRAY_SIZE(tests)};
