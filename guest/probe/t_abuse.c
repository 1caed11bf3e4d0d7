// SPDX-License-Identifier: GPL-2.0-only
/*
 * t_abuse: rings in places where none can be, tables and registers that change under way, doorbells
 * and status bits in any order. As in t_hostile.c, the device must do its work again after a reset.
 */
#include "drivers.h"
#include "irq.h"
#include "machine.h"

#define C &d->common

/* A read request of three descriptors, 0 to 2, not yet offered, in a ring of 8. */
static struct blk *prepared(struct vdev *d, u64 features)
{
	struct blk *b = blk_open(d, features, 8);
	struct buf bufs[3];

	skip_if(features & ~d->features, "the feature is not offered");
	vq_chain(b->q, bufs, blk_bufs(b, bufs, BLK_IN, 0, b->data, 512, true));
	return b;
}

static void expect_calm(struct vdev *d)
{
	u8 s = vd_status(d);

	must(s != 0xff && s & S_DRIVER, "device status %#x", s);
	must_be(reg_r16(C, C_NUM_QUEUES), d->num_queues, "num_queues");
}

/* --- where the rings are */

static void data_over_ring(struct vdev *d)
{
	for (u32 i = 0; i < 3; i++) {
		struct blk *b = prepared(d, 0);
		struct vq *q = b->q;

		q->desc[1].addr = i == 0 ? gpa(q->desc) : i == 1 ? gpa(q->avail) : gpa(q->used);
		vq_offer(q, 0);
		vq_kick(q);
		delay_us(SETTLE);
		must(vd_status(d) & S_DRIVER, "device status %#x", vd_status(d));
		vd_reset(d);
		arena_reset();
	}
}

static void ring_places(struct vdev *d)
{
	struct range r[16];
	u32 n = places_outside_ram(d, r);

	for (u32 i = 0; i < n; i++) {
		for (u32 area = 0; area < 3; area++) {
			struct vq *q;

			vd_begin(d, 0);
			q = vq_alloc(d, 0, 8);
			vq_program(q);
			reg_w64(C, C_QUEUE_DESC + 8 * area, r[i].start & ~15ull);
			vq_enable(q);
			vd_go(d);
			vq_offer(q, 0);
			vq_kick(q);
			delay_us(100);
			must(vd_status(d) & S_DRIVER, "device status %#x", vd_status(d));
			must_be(reg_r16(C, C_NUM_QUEUES), d->num_queues, "num_queues");
			vd_reset(d);
			arena_reset();
		}
	}
}

static void ring_misaligned(struct vdev *d)
{
	for (u32 area = 0; area < 3; area++) {
		struct vq *q;

		vd_begin(d, 0);
		q = vq_alloc(d, 0, 8);
		vq_program(q);
		reg_w64(C, C_QUEUE_DESC + 8 * area, gpa(alloc(256, 64)) + 1);
		vq_enable(q);
		vd_go(d);
		vq_kick(q);
		delay_us(100);
		expect_calm(d);
		vd_reset(d);
	}
}

static void areas_overlap(struct vdev *d)
{
	struct vq *q;

	vd_begin(d, 0);
	q = vq_alloc(d, 0, 8);
	q->avail = (void *)q->desc;
	q->used = (void *)q->desc;
	vq_program(q);
	vq_enable(q);
	vd_go(d);
	q->desc[0] = (struct desc){0x0000000100010000ull, 0, 0, 0};
	vq_kick(q);
	delay_us(SETTLE);
	expect_calm(d);
}

/* --- what changes meanwhile */

static void changing_tables(struct vdev *d)
{
	struct blk *b = prepared(d, 0);
	struct vq *q = b->q;
	u64 good = q->desc[1].addr;

	for (u32 i = 0; i < 60 && !(vd_status(d) & S_NEEDS_RESET); i++) {
		vq_offer(q, 0);
		vq_kick(q);
		for (u32 k = 0; k < 8; k++) {
			q->desc[1].addr = k & 1 ? good : ~0ull - 100;
			q->desc[1].len = k & 2 ? 512 : 0xffffffff;
			q->desc[1].flags = k & 4 ? D_NEXT | D_WRITE : D_NEXT;
			q->desc[0].next = k & 3;
			barrier();
		}
		q->desc[0].next = 1;
	}
	must_be(reg_r16(C, C_NUM_QUEUES), d->num_queues, "num_queues");
}

static void registers_under_way(struct vdev *d)
{
	struct blk *b = prepared(d, 0);

	vq_offer(b->q, 0);
	vq_kick(b->q);
	vd_select(d, 0);
	reg_w64(C, C_QUEUE_DESC, ~0ull);
	reg_w64(C, C_QUEUE_DRIVER, 0);
	reg_w64(C, C_QUEUE_DEVICE, 1);
	reg_w16(C, C_QUEUE_SIZE, 3);
	reg_w16(C, C_QUEUE_ENABLE, 0);
	reg_w16(C, C_QUEUE_ENABLE, 1);
	reg_w16(C, C_QUEUE_ENABLE, 0xffff);
	vq_kick(b->q);
	delay_us(SETTLE);
	expect_calm(d);
}

static void moved_under_load(struct vdev *d)
{
	struct blk *b = blk_open(d, 0, 64);
	u32 n = d->notify.bar;
	u64 here = d->f->bar[n].addr, there = bar_elsewhere(d->f, n);
	u64 bell = b->q->doorbell - here;

	skip_if(d->notify.io, "doorbells in I/O space");
	for (u32 i = 0; i < 16; i++) {
		struct buf bufs[3];

		vq_offer(b->q,
			 vq_chain(b->q, bufs, blk_bufs(b, bufs, BLK_IN, 0, b->data, 512, true)));
		w16(here + bell, 0);
		bar_set(d->f, n, there);
		w16(there + bell, 0);
		bar_set(d->f, n, here);
		w16(here + bell, 0);
		vq_wait(b->q);
		must_be(*b->status, BLK_OK, "status of request %u", i);
	}
}

static void decode_off_under_load(struct vdev *d)
{
	struct blk *b = prepared(d, 0);

	vq_offer(b->q, 0);
	vq_kick(b->q);
	cfg_w16(d->f, PCI_COMMAND, 0);
	delay_us(SETTLE);
	cfg_w16(d->f, PCI_COMMAND, d->f->command);
	expect_calm(d);
}

/* --- doorbells and status */

static void strange_doorbells(struct vdev *d)
{
	static const u16 values[] = {0, 1, 2, 3, 7, 63, 255, 0x7fff, 0xfffe, 0xffff};
	u32 step = d->notify.len > 64 ? d->notify.len / 32 : 2;

	skip_if(!d->modern || d->notify.io, "no doorbells in memory");
	for (u32 round = 0; round < 2; round++) {
		if (round) {
			vd_begin(d, 0);
			vd_go(d);
		}
		for (u32 i = 0; i < ARRAY_SIZE(values); i++)
			w16(d->notify.base, values[i]);
		for (u32 off = 0; off + 4 <= d->notify.len; off += step & ~1u) {
			w16(d->notify.base + off, off / 4);
			w32(d->notify.base + off, 0xffffffff);
			r16(d->notify.base + off);
		}
		w8(d->notify.base, 0);
		w64(d->notify.base, 0);
	}
	must_be(reg_r16(C, C_NUM_QUEUES), d->num_queues, "num_queues");
}

static void status_games(struct vdev *d)
{
	static const u8 games[] = {0xff, 0x04, 0x0f, 0x40, 0x80, 0x10, 0x20,
				   0x08, 0x0c, 0x02, 0x0b, 0x0f, 0x07};

	skip_if(!d->modern, "a legacy-only device");
	for (u32 i = 0; i < ARRAY_SIZE(games); i++) {
		vd_set_status(d, games[i]);
		vd_status(d);
		if (i & 1)
			must(vd_reset(d), "no reset after status %#x", games[i]);
	}
	must(vd_reset(d), "no reset");
	must(vd_negotiate(d, d->offered), "the offer is refused");
}

static void late_queue(struct vdev *d)
{
	struct vq *q;
	struct buf bufs[3];
	struct blk *b = alloc(sizeof(*b), 16);

	vd_begin(d, 0);
	vd_go(d);
	q = vq_new(d, 0, 8); /* after DRIVER_OK: not allowed, and not harmful */
	b->header = alloc(16, 16);
	b->status = alloc(1, 1);
	vq_offer(q, vq_chain(q, bufs, blk_bufs(b, bufs, BLK_IN, 0, alloc(512, 16), 512, true)));
	vq_kick(q);
	wait_until(vq_has_used(q), SETTLE);
	expect_calm(d);
}

static void reset_storm(struct vdev *d)
{
	for (u32 i = 0; i < 12; i++) {
		struct blk *b = prepared(d, 0);

		vq_offer(b->q, 0);
		vq_kick(b->q);
		vd_set_status(d, 0);
		vd_set_status(d, 0);
		vq_kick(b->q);
		arena_reset();
	}
	must(vd_reset(d), "no reset");
}

static const struct test tests[] = {
	{"X-PLACE-01", "data read over the ring itself", data_over_ring, BLK, HOSTILE},
	{"X-PLACE-02", "ring areas outside RAM", ring_places, BLK, HOSTILE},
	{"X-PLACE-03", "ring areas at odd addresses", ring_misaligned, BLK, HOSTILE},
	{"X-PLACE-04", "all three areas on one spot", areas_overlap, BLK, HOSTILE},
	{"X-RACE-01", "descriptors that change while they are read", changing_tables, BLK, HOSTILE},
	{"X-RACE-02", "queue registers rewritten under way", registers_under_way, BLK, HOSTILE},
	{"X-RACE-03", "BARs moved under load lose no doorbell", moved_under_load, BLK, HOSTILE},
	{"X-RACE-04", "decoding and bus mastering off under load", decode_off_under_load, BLK, HOSTILE},
	{"PCI-NOTIFY-17,X-BELL-01", "doorbells of queues that are not there", strange_doorbells, ANY,
	 HOSTILE},
	{"X-STATUS-01", "status bits in any order", status_games, ANY, HOSTILE},
	{"X-STATUS-02", "a queue set up after DRIVER_OK", late_queue, BLK, HOSTILE},
	{"X-STATUS-03", "resets, one after the other, with requests between them", reset_storm, BLK,
	 HOSTILE},
};

const struct suite suite_abuse = {"abuse", tests, ARRAY_SIZE(tests)};
