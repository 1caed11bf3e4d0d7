// SPDX-License-Identifier: GPL-2.0-only
/* t_reset: queues that are reset one by one (RING_RESET), and doorbells that carry data. */

#include "drivers.h"
#include "irq.h"

#define C &d->common

static struct blk *open_reset(struct vdev *d)
{
	skip_if(!(d->offered & F_RING_RESET), "RING_RESET is not offered");
	skip_if(d->common.len < 0x3c, "queue_reset is not there");
	return blk_open(d, F_RING_RESET, 16);
}

static void reset_queue(struct vdev *d, u16 n)
{
	vd_select(d, n);
	reg_w16(C, C_QUEUE_RESET, 1);
	must(wait_until(reg_r16(C, C_QUEUE_RESET) == 0, PATIENCE),
	     "queue_reset does not come to read 0");
}

static void read_one(struct blk *b)
{
	must_be(blk_io(b, BLK_IN, 0, b->data, 512, true), BLK_OK, "a read");
}

static void registers(struct vdev *d)
{
	struct blk *b = open_reset(d);

	must_be(reg_r16(C, C_QUEUE_RESET), 0, "queue_reset at first");
	read_one(b);
	reset_queue(d, 0);
	must_be(reg_r16(C, C_QUEUE_ENABLE), 0, "queue_enable after a queue reset");
	must_be(vd_status(d), 15, "status");
}

static void stops(struct vdev *d)
{
	struct blk *b = open_reset(d);
	struct buf bufs[3];
	u16 idx;

	read_one(b);
	reset_queue(d, 0);
	idx = b->q->used->idx;
	vq_offer(b->q, vq_chain(b->q, bufs, blk_bufs(b, bufs, BLK_IN, 0, b->data, 512, true)));
	vq_kick(b->q);
	delay_us(SETTLE);
	must_be(b->q->used->idx, idx, "used.idx of a queue that was reset");
	must_be(*b->status, BLK_NO_STATUS, "the status byte");
}

static void starts_again(struct vdev *d)
{
	struct blk *b = open_reset(d);
	u16 max;

	for (u32 size = 4; size <= 64; size *= 2) {
		read_one(b);
		reset_queue(d, 0);
		max = reg_r16(C, C_QUEUE_SIZE);
		must(max >= size, "queue_size %u after a queue reset", max);
		b->q = vq_alloc(d, 0, size); /* other memory, another size, indexes from 0 */
		vq_program(b->q);
		vq_enable(b->q);
		must_be(reg_r16(C, C_QUEUE_RESET), 0, "queue_reset after queue_enable");
		must_be(reg_r16(C, C_QUEUE_ENABLE), 1, "queue_enable");
		read_one(b);
		must_be(b->q->used->idx, 1, "used.idx");
	}
}

static void in_flight(struct vdev *d)
{
	struct blk *b = open_reset(d);
	struct buf bufs[3];

	for (u32 round = 0; round < 6; round++) {
		vq_offer(b->q,
			 vq_chain(b->q, bufs, blk_bufs(b, bufs, BLK_IN, 0, b->data, 4096, true)));
		vq_kick(b->q);
		delay_us(round * 15);
		reset_queue(d, 0);
		*b->status = BLK_NO_STATUS;
		delay_us(SETTLE / 4);
		must_be(*b->status, BLK_NO_STATUS, "a status byte after the queue's reset");
		b->q = vq_new(d, 0, 16);
		read_one(b);
	}
}

static void others_run(struct vdev *d)
{
	struct net *n;
	u8 *frame = alloc(64, 16);
	u32 peer = 0, own = 0;

	skip_if(!(d->offered & F_RING_RESET), "RING_RESET is not offered");
	n = net_open(d, F_RING_RESET);
	reset_queue(d, 0);
	vd_select(d, 1);
	must_be(reg_r16(C, C_QUEUE_ENABLE), 1, "queue_enable of the other queue");
	must(net_send(n, frame, net_arp_frame(n, frame, peer, own)),
	     "the other queue does not work");
}

static void not_negotiated(struct vdev *d)
{
	struct blk *b;

	skip_if(!(d->offered & F_RING_RESET), "RING_RESET is not offered");
	b = blk_open(d, 0, 16);
	vd_select(d, 0);
	reg_w16(C, C_QUEUE_RESET, 1);
	must_be(reg_r16(C, C_QUEUE_ENABLE), 1, "queue_enable: a queue reset without the feature");
	read_one(b);
}

static void strange_resets(struct vdev *d)
{
	struct blk *b = open_reset(d);

	reg_w16(C, C_QUEUE_RESET, 0);
	reg_w16(C, C_QUEUE_RESET, 2);
	reg_w16(C, C_QUEUE_RESET, 0xffff);
	vd_select(d, d->num_queues);
	reg_w16(C, C_QUEUE_RESET, 1);
	vd_select(d, 0xffff);
	reg_w16(C, C_QUEUE_RESET, 1);
	vd_select(d, 0);
	for (u32 i = 0; i < 4; i++)
		reg_w16(C, C_QUEUE_RESET, 1);
	must(wait_until(reg_r16(C, C_QUEUE_RESET) == 0, PATIENCE),
	     "queue_reset does not come to read 0");
	vd_reset(d);
	must_be(reg_r16(C, C_QUEUE_RESET), 0, "queue_reset after a device reset");
	(void)b;
}

/* --- NOTIFICATION_DATA, NOTIF_CONFIG_DATA, IN_ORDER */

static void notification_data(struct vdev *d)
{
	for (u32 packed = 0; packed < 2; packed++) {
		struct blk *b;

		skip_if(!(d->offered & F_NOTIFICATION_DATA), "NOTIFICATION_DATA is not offered");
		if (packed && !(d->offered & F_PACKED))
			break;
		b = blk_open(d, F_NOTIFICATION_DATA | (packed ? F_PACKED : 0), 16);
		for (u32 i = 0; i < 20; i++)
			read_one(b);
		for (u32 i = 0; i < 3; i++)
			vq_kick(b->q);
		read_one(b);
		vd_reset(d);
	}
}

static void notification_lies(struct vdev *d)
{
	struct blk *b;

	skip_if(!(d->offered & F_NOTIFICATION_DATA), "NOTIFICATION_DATA is not offered");
	b = blk_open(d, F_NOTIFICATION_DATA, 16);
	for (u32 i = 0; i < 32 && !d->notify.io; i++)
		w32(b->q->doorbell, 1u << i);
	w32(b->q->doorbell, 0xffffffff);
	delay_us(SETTLE);
	must(vd_status(d) & S_DRIVER_OK, "device status %#x", vd_status(d));
}

static void notif_config_data(struct vdev *d)
{
	struct blk *b;
	struct buf bufs[3];
	u16 id;

	skip_if(!(d->offered & F_NOTIF_CONFIG_DATA), "NOTIF_CONFIG_DATA is not offered");
	b = blk_open(d, F_NOTIF_CONFIG_DATA, 16);
	vd_select(d, 0);
	id = reg_r16(C, C_QUEUE_NOTIFY_DATA);
	reg_w16(C, C_QUEUE_NOTIFY_DATA, ~id);
	must_be(reg_r16(C, C_QUEUE_NOTIFY_DATA), id, "queue_notif_config_data after a write");
	vq_offer(b->q, vq_chain(b->q, bufs, blk_bufs(b, bufs, BLK_IN, 0, b->data, 512, true)));
	w16(b->q->doorbell, id);
	vq_wait(b->q);
	must_be(*b->status, BLK_OK, "status");
}

static void in_order(struct vdev *d)
{
	struct blk *b;
	struct buf bufs[3];
	u16 heads[5];

	skip_if(!(d->offered & F_IN_ORDER), "IN_ORDER is not offered");
	b = blk_open(d, F_IN_ORDER, 16);
	for (u32 i = 0; i < 5; i++)
		heads[i] = vq_chain(b->q, bufs, blk_bufs(b, bufs, BLK_IN, i, b->data, 512, true));
	for (u32 i = 0; i < 5; i++)
		vq_offer(b->q, heads[i]);
	vq_kick(b->q);
	must(wait_until(b->q->used->idx == 5, PATIENCE), "used.idx %u", b->q->used->idx);
	must_be(b->q->used->ring[4].id, heads[4], "the last used id");
}

static const struct test tests[] = {
	{"PCI-COMMON-12,PCI-COMMON-11", "a queue reset ends with queue_reset and queue_enable 0",
	 registers, BLK, 0},
	{"QRST-01,QRST-02", "a queue that was reset is not served", stops, BLK, 0},
	{"QRST-03,QRST-04,PCI-COMMON-09", "it starts again, elsewhere and with another size",
	 starts_again, BLK, 0},
	{"QRST-01", "a queue reset with a request in flight", in_flight, BLK, HOSTILE},
	{"PCI-COMMON-10", "other queues go on", others_run, NET, 0},
	{"PCI-COMMON-24", "queue_reset has no effect without the feature", not_negotiated, BLK, 0},
	{"PCI-RESET-04,X-QRST-01", "strange values in queue_reset", strange_resets, BLK, HOSTILE},
	{"NOTIF-01,NOTIF-02,NOTIF-03,PCI-NOTIFY-15", "doorbells that carry data", notification_data,
	 BLK, 0},
	{"X-BELL-02", "doorbells that carry wrong data", notification_lies, BLK, HOSTILE},
	{"PCI-NOTIFY-16,PCI-COMMON-18", "the doorbell takes queue_notif_config_data", notif_config_data,
	 BLK, 0},
	{"FEAT-12,USED-05", "buffers are used in order", in_order, BLK, 0},
};

const struct suite suite_reset = {"reset", tests, ARRAY_SIZE(tests)};
