// SPDX-License-Identifier: GPL-2.0-only
/* t_common: the common configuration registers, queue by queue, and when a device serves a queue.
 */

#include "drivers.h"
#include "irq.h"

#define C &d->common

static void need_modern(struct vdev *d)
{
	skip_if(!d->modern, "a legacy-only device");
}

static void queue_size_absent(struct vdev *d)
{
	static const u16 more[] = {0, 1, 7, 100, 1000};

	need_modern(d);
	for (u32 i = 0; i < ARRAY_SIZE(more); i++) {
		if (d->offered & F_ADMIN_VQ)
			continue;
		vd_select(d, d->num_queues + more[i]);
		must_be(reg_r16(C, C_QUEUE_SIZE), 0, "size of queue %u", d->num_queues + more[i]);
	}
	vd_select(d, 0xffff);
	must_be(reg_r16(C, C_QUEUE_SIZE), 0, "size of queue 65535");
}

static void queue_size_power(struct vdev *d)
{
	need_modern(d);
	for (u32 q = 0; q < d->num_queues; q++) {
		u16 n;

		vd_select(d, q);
		n = reg_r16(C, C_QUEUE_SIZE);
		must(!(n & (n - 1)) && n <= 32768, "size of queue %u is %u", q, n);
	}
}

static void queue_fields(struct vdev *d)
{
	need_modern(d);
	vd_begin(d, 0);
	for (u32 q = 0; q < d->num_queues && q < 4; q++) {
		vd_select(d, q);
		must_be(reg_r16(C, C_QUEUE_SELECT), q, "queue_select");
		if (!reg_r16(C, C_QUEUE_SIZE))
			continue;
		reg_w64(C, C_QUEUE_DESC, 0x100000010ull * (q + 1));
		reg_w64(C, C_QUEUE_DRIVER, 0x200000020ull * (q + 1));
		reg_w64(C, C_QUEUE_DEVICE, 0x300000040ull * (q + 1));
	}
	for (u32 q = 0; q < d->num_queues && q < 4; q++) {
		vd_select(d, q);
		if (!reg_r16(C, C_QUEUE_SIZE))
			continue;
		must_be(reg_r64(C, C_QUEUE_DESC), 0x100000010ull * (q + 1), "queue %u desc", q);
		must_be(reg_r64(C, C_QUEUE_DRIVER), 0x200000020ull * (q + 1), "queue %u driver", q);
		must_be(reg_r64(C, C_QUEUE_DEVICE), 0x300000040ull * (q + 1), "queue %u device", q);
	}
}

static void address_halves(struct vdev *d)
{
	static const u8 regs[] = {C_QUEUE_DESC, C_QUEUE_DRIVER, C_QUEUE_DEVICE};

	need_modern(d);
	vd_begin(d, 0);
	vd_select(d, 0);
	for (u32 i = 0; i < 3; i++) {
		reg_w32(C, regs[i] + 4, 0x11);
		reg_w32(C, regs[i], 0x22334450);
		must_be(reg_r32(C, regs[i] + 4), 0x11, "high half, written first");
		must_be(reg_r32(C, regs[i]), 0x22334450, "low half");
		reg_w32(C, regs[i], 0x55667780);
		reg_w32(C, regs[i] + 4, 0x99);
		must_be(reg_r64(C, regs[i]), 0x9955667780ull, "low half first");
	}
}

static void read_only_fields(struct vdev *d)
{
	u16 off;

	need_modern(d);
	vd_select(d, 0);
	off = reg_r16(C, C_QUEUE_NOTIFY_OFF);
	reg_w16(C, C_NUM_QUEUES, ~d->num_queues);
	reg_w16(C, C_QUEUE_NOTIFY_OFF, ~off);
	reg_w8(C, C_GENERATION, ~reg_r8(C, C_GENERATION));
	reg_w32(C, C_DEVICE_FEATURE_SELECT, 0);
	reg_w32(C, C_DEVICE_FEATURE, ~(u32)d->offered);
	must_be(reg_r16(C, C_NUM_QUEUES), d->num_queues, "num_queues");
	must_be(reg_r16(C, C_QUEUE_NOTIFY_OFF), off, "queue_notify_off");
	must_be(reg_r32(C, C_DEVICE_FEATURE), (u32)d->offered, "device_feature");
}

static void widths(struct vdev *d)
{
	need_modern(d);
	reg_w32(C, C_DEVICE_FEATURE_SELECT, 0);
	must_be(reg_r32(C, C_DEVICE_FEATURE), (u32)d->offered, "device_feature");
	must_be(reg_r16(C, C_NUM_QUEUES), d->num_queues, "num_queues");
	must_be(reg_r8(C, C_STATUS), 0, "status");
	reg_w32(C, C_DRIVER_FEATURE_SELECT, 1);
	must_be(reg_r32(C, C_DRIVER_FEATURE_SELECT), 1, "driver_feature_select");
	reg_w16(C, C_QUEUE_SELECT, 0x0201);
	must_be(reg_r16(C, C_QUEUE_SELECT), 0x0201, "queue_select");
}

static void size_after_reset(struct vdev *d)
{
	u16 max;

	need_modern(d);
	vd_begin(d, 0);
	vd_select(d, 0);
	max = reg_r16(C, C_QUEUE_SIZE);
	skip_if(max < 4, "queue 0 is too small");
	reg_w16(C, C_QUEUE_SIZE, max / 2);
	must_be(reg_r16(C, C_QUEUE_SIZE), max / 2, "queue_size, written");
	vd_reset(d);
	vd_select(d, 0);
	must_be(reg_r16(C, C_QUEUE_SIZE), max, "queue_size after a reset");
}

/* A size that cannot be must not be taken, nor replaced by one the driver did not ask for. */
static void bad_sizes(struct vdev *d)
{
	u16 max;

	need_modern(d);
	vd_begin(d, 0);
	vd_select(d, 0);
	max = reg_r16(C, C_QUEUE_SIZE);
	for (u32 i = 0; i < 3; i++) {
		u16 bad = i == 0 ? max * 2 : i == 1 ? 3 : 0, now;

		if (i == 0 && max >= 32768)
			continue;
		reg_w16(C, C_QUEUE_SIZE, bad);
		now = reg_r16(C, C_QUEUE_SIZE);
		must(now == max || now == 0 || now == bad, "size %u became %u", bad, now);
		must(now != bad || bad == 0 || vd_status(d) & S_NEEDS_RESET || i == 1,
		     "size %u is taken", bad);
		reg_w16(C, C_QUEUE_SIZE, max);
	}
}

static void enable_bit(struct vdev *d)
{
	struct vq *q;

	need_modern(d);
	vd_begin(d, 0);
	q = vq_new(d, 0, 8);
	must_be(reg_r16(C, C_QUEUE_ENABLE), 1, "queue_enable");
	vd_go(d);
	must_be(reg_r16(C, C_QUEUE_ENABLE), 1, "queue_enable");
	vd_reset(d);
	for (u32 i = 0; i < d->num_queues; i++) {
		vd_select(d, i);
		must_be(reg_r16(C, C_QUEUE_ENABLE), 0, "queue_enable of queue %u after a reset", i);
	}
	(void)q;
}

static void not_before_driver_ok(struct vdev *d)
{
	struct blk_header *h = alloc(16, 16);
	volatile u8 *status = alloc(1, 1);
	struct buf bufs[2] = {{h, 16, false}, {status, 1, true}};
	struct vq *q;

	h->type = BLK_FLUSH;
	*status = BLK_NO_STATUS;
	vd_msix(d);
	vd_begin(d, BLK_F_FLUSH);
	q = vq_new(d, 0, 8);
	vq_offer(q, vq_chain(q, bufs, 2));
	vq_kick(q);
	delay_us(SETTLE);
	must_be(q->used->idx, 0, "used.idx before DRIVER_OK");
	must_be(*status, BLK_NO_STATUS, "the buffer before DRIVER_OK");
	must_be(irq_count[VEC_MSI(1)], 0, "interrupts before DRIVER_OK");
	vd_go(d);
	vq_kick(q);
	vq_wait(q);
	must(*status != BLK_NO_STATUS, "no status");
}

static void disabled_not_served(struct vdev *d)
{
	struct blk *b;
	struct vq *q;
	struct buf bufs[3];

	vd_begin(d, 0);
	q = vq_alloc(d, 0, 8);
	vq_program(q);
	vd_go(d);
	b = alloc(sizeof(*b), 16);
	b->header = alloc(16, 16);
	b->status = alloc(1, 1);
	vq_offer(q, vq_chain(q, bufs, blk_bufs(b, bufs, BLK_IN, 0, alloc(512, 16), 512, true)));
	vq_kick(q);
	delay_us(SETTLE);
	must_be(q->used->idx, 0, "used.idx of a queue that is not enabled");
}

static void reset_stops_ring(struct vdev *d)
{
	struct blk *b = blk_open(d, 0, 16);
	struct buf bufs[3];
	u16 idx;

	must_be(blk_io(b, BLK_IN, 0, b->data, 512, true), BLK_OK, "a read");
	must(vd_reset(d), "no reset");
	idx = b->q->used->idx;
	vq_offer(b->q, vq_chain(b->q, bufs, blk_bufs(b, bufs, BLK_IN, 0, b->data, 512, true)));
	vq_kick(b->q);
	delay_us(SETTLE);
	must_be(b->q->used->idx, idx, "used.idx of a ring before the reset");
	must_be(*b->status, BLK_NO_STATUS, "its buffer");
}

static void reset_in_flight(struct vdev *d)
{
	for (u32 round = 0; round < 6; round++) {
		struct blk *b = blk_open(d, 0, 32);
		u8 *data = alloc(8 * 4096, 4096);
		u16 idx;

		for (u32 i = 0; i < 8; i++) {
			struct buf bufs[3];
			u32 n = blk_bufs(b, bufs, BLK_IN, 0, data + 4096 * i, 4096, true);

			vq_offer(b->q, vq_chain(b->q, bufs, n));
		}
		vq_kick(b->q);
		delay_us(round * 20);
		must(vd_reset(d), "no reset");
		idx = b->q->used->idx;
		*b->status = BLK_NO_STATUS;
		delay_us(SETTLE / 4);
		must_be(b->q->used->idx, idx, "used.idx after the reset");
		must_be(*b->status, BLK_NO_STATUS, "a status byte after the reset");
		arena_reset();
	}
}

static void any_order(struct vdev *d)
{
	skip_if(d->num_queues < 2, "one queue only");
	vd_begin(d, 0);
	for (u32 i = d->num_queues; i-- > 0 && i < 4;)
		vq_new(d, i, 8);
	vd_go(d);
	must(!(vd_status(d) & S_NEEDS_RESET), "needs a reset");
}

static void generation_stable(struct vdev *d)
{
	u8 g;

	need_modern(d);
	skip_if(d->type == CONSOLE, "the console's size may change");
	g = reg_r8(C, C_GENERATION);
	for (u32 i = 0; i < 8; i++) {
		if (d->config.cap)
			reg_r32(&d->config, 0);
		must_be(reg_r8(C, C_GENERATION), g, "config_generation, nothing having changed");
	}
}

static void config_beyond(struct vdev *d)
{
	need_modern(d);
	skip_if(!d->config.cap, "no device structure");
	for (u32 off = 0; off + 4 <= d->config.len && off < 0x200; off += 4)
		reg_r32(&d->config, off);
	for (u32 off = 128; off + 4 <= d->config.len && off < 0x200; off += 4) {
		reg_w32(&d->config, off, 0xffffffff);
		must_be(reg_r32(&d->config, off), 0, "byte %u of the device structure", off);
	}
}

/* Every register at every width and every misalignment, read and written. */
static void odd_accesses(struct vdev *d)
{
	need_modern(d);
	skip_if(d->common.io, "common structure in I/O space");
	for (u32 off = 0; off < d->common.len && off < 0x48; off++) {
		u64 a = d->common.base + off;

		r8(a);
		r16(a);
		r32(a);
		r64(a);
		if (off >= C_STATUS - 7 && off <= C_STATUS)
			continue;
		w8(a, 0xff);
		w16(a, 0xffff);
		w32(a, 0xffffffff);
		w64(a, ~0ull);
	}
	for (u32 off = 0; off < 8; off++) {
		r64(d->isr.base + off);
		w64(d->isr.base + off, ~0ull);
		r64(d->notify.base + off);
	}
	for (u32 off = 0; d->config.cap && off < 0x40; off++) {
		r64(d->config.base + off);
		r16(d->config.base + off);
	}
}

static const struct test tests[] = {
	{"PCI-COMMON-13", "queue_size of an absent queue is 0", queue_size_absent, ANY, 0},
	{"PCI-COMMON-14,SPLIT-02", "queue_size is a power of two", queue_size_power, ANY, 0},
	{"PCI-COMMON-19,PCI-COMMON-20", "queue fields are banked and read back", queue_fields, ANY, 0},
	{"PCI-COMMON-01", "64-bit fields take their halves in any order", address_halves, ANY, 0},
	{"PCI-COMMON-18,PCI-COMMON-21", "read-only fields ignore writes", read_only_fields, ANY, 0},
	{"PCI-COMMON-02", "registers work at their own width", widths, ANY, 0},
	{"PCI-RESET-06,PCI-COMMON-22", "queue_size shows the maximum again after a reset",
	 size_after_reset, ANY, 0},
	{"X-COMMON-01", "a queue size that cannot be is not taken", bad_sizes, ANY, HOSTILE},
	{"PCI-RESET-03", "queue_enable reads 1 once set and 0 after a reset", enable_bit, ANY, 0},
	{"STAT-01,STAT-02", "nothing is served and nothing signalled before DRIVER_OK",
	 not_before_driver_ok, BLK, 0},
	{"PCI-COMMON-23", "a queue that is not enabled is not served", disabled_not_served, BLK,
	 HOSTILE},
	{"RST-03,RST-04", "a ring from before a reset is left alone", reset_stops_ring, BLK, HOSTILE},
	{"PCI-RESET-01,RST-03", "a reset in the middle of I/O", reset_in_flight, BLK, HOSTILE},
	{"PCI-COMMON-25", "queues can be set up in any order", any_order, ANY, 0},
	{"PCI-COMMON-08,CFG-03", "config_generation stays while nothing changes", generation_stable,
	 ANY, 0},
	{"PCI-DEVCFG-03", "beyond the device's fields reads 0", config_beyond, ANY, 0},
	{"X-COMMON-02", "every register at every width and misalignment", odd_accesses, ANY, HOSTILE},
};

const struct suite suite_common = {"common", tests, ARRAY_SIZE(tests)};
