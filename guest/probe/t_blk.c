// SPDX-License-Identifier: GPL-2.0-only
/*
 * t_blk: block requests. Sectors 0..7 of the first disk belong to the host's check: sector 0 is
 * never written, sectors 8..15 are left with a pattern that tests/probe/run looks for.
 */

#include "drivers.h"

#define HOST_SECTOR 8  /* what the host looks at afterwards */
#define PLAY        64 /* sectors from here on are ours to spoil */

static void fill(u8 *p, u32 len, u32 seed)
{
	for (u32 i = 0; i < len; i += 4)
		*(u32 *)(p + i) = seed + i;
}

static void must_fill(const u8 *p, u32 len, u32 seed, const char *what)
{
	for (u32 i = 0; i < len; i += 4)
		must(*(u32 *)(p + i) == seed + i, "%s: byte %u is %#x", what, i, *(u32 *)(p + i));
}

static void write_at(struct blk *b, u64 sector, u32 len, u32 seed)
{
	fill(b->data, len, seed);
	must_be(blk_io(b, BLK_OUT, sector, b->data, len, false), BLK_OK, "a write at %lu", sector);
	must_be(b->used_len, 1, "used length of a write");
}

static void read_at(struct blk *b, u64 sector, u32 len)
{
	memset(b->data, 0xaa, len);
	must_be(blk_io(b, BLK_IN, sector, b->data, len, true), BLK_OK, "a read at %lu", sector);
	must_be(b->used_len, len + 1, "used length of a read");
}

static void read_write(struct vdev *d)
{
	struct blk *b = blk_open_rw(d, 0);

	skip_if(b->capacity < PLAY + 16, "the disk is too small");
	write_at(b, PLAY, 4096, 0x11110000);
	write_at(b, PLAY + 8, 512, 0x22220000);
	read_at(b, PLAY, 4096);
	must_fill(b->data, 4096, 0x11110000, "8 sectors");
	read_at(b, PLAY + 8, 512);
	must_fill(b->data, 512, 0x22220000, "the next one");
	read_at(b, PLAY + 7, 512);
	must_fill(b->data, 512, 0x11110000 + 7 * 512, "the eighth alone");
}

/* tests/probe/run reads this pattern out of the file: 0x6b766d00 + i in each 32-bit word. */
static void for_the_host(struct vdev *d)
{
	struct blk *b = blk_open_rw(d, BLK_F_FLUSH);

	skip_if(b->capacity < PLAY, "the disk is too small");
	write_at(b, HOST_SECTOR, 4096, 0x6b766d00);
	if (d->features & BLK_F_FLUSH)
		must_be(blk_io(b, BLK_FLUSH, 0, NULL, 0, false), BLK_OK, "a flush");
}

/* The host put "lkvm probe disk" and a number at the start of each disk, if it is tests/probe/run.
 */
static void from_the_host(struct vdev *d)
{
	struct blk *b = blk_open(d, 0, 16);

	read_at(b, 0, 512);
	skip_if(memcmp(b->data, "lkvm probe disk", 15), "the disk has no label of tests/probe/run");
	must(b->data[511] == 0x5a, "the label's last byte is %#x", b->data[511]);
}

static void flush(struct vdev *d)
{
	struct blk *b = blk_open(d, BLK_F_FLUSH, 16);

	skip_if(!(d->features & BLK_F_FLUSH), "FLUSH is not offered");
	must_be(blk_io(b, BLK_FLUSH, 0, NULL, 0, false), BLK_OK, "a flush");
	must_be(b->used_len, 1, "used length of a flush");
	must_be(blk_io(b, BLK_FLUSH, 12345, NULL, 0, false), BLK_OK, "a flush that names a sector");
}

static void flush_offered(struct vdev *d)
{
	must(d->offered & BLK_F_FLUSH, "FLUSH is not offered");
}

static void get_id(struct vdev *d)
{
	struct blk *b = blk_open(d, 0, 16);
	u32 n;

	memset(b->data, 0xaa, 21);
	must_be(blk_io(b, BLK_GET_ID, 0, b->data, 20, true), BLK_OK, "GET_ID");
	must_be(b->data[20], 0xaa, "the byte behind the id");
	for (n = 0; n < 20 && b->data[n]; n++)
		must(b->data[n] >= 0x20 && b->data[n] < 0x7f, "character %u is %#x", n, b->data[n]);
	for (; n < 20; n++)
		must(!b->data[n], "byte %u behind the end is %#x", n, b->data[n]);
}

static void unknown_type(struct vdev *d)
{
	static const u32 types[] = {6, 7, 9, 17, 25, 0x7f, 0x12345678, 0xffffffff};
	struct blk *b = blk_open(d, 0, 16);

	for (u32 i = 0; i < ARRAY_SIZE(types); i++) {
		must_be(blk_io(b, types[i], 0, b->data, 512, true), BLK_UNSUPP, "type %#x",
			types[i]);
		must_be(blk_io(b, types[i], 0, NULL, 0, true), BLK_UNSUPP, "type %#x without data",
			types[i]);
	}
}

static void out_of_range(struct vdev *d)
{
	struct blk *b = blk_open(d, 0, 16);
	const u64 bad[] = {b->capacity,      b->capacity + 1, 1ull << 54,
			   (1ull << 55) - 1, 1ull << 63,      ~0ull};

	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		must_be(blk_io(b, BLK_IN, bad[i], b->data, 512, true), BLK_IOERR, "a read at %#lx",
			bad[i]);
		if (!(d->offered & BLK_F_RO))
			must_be(blk_io(b, BLK_OUT, bad[i], b->data, 512, false), BLK_IOERR,
				"a write at %#lx", bad[i]);
	}
	must_be(blk_io(b, BLK_IN, b->capacity - 1, b->data, 1024, true), BLK_IOERR,
		"a read across the end");
	must_be(blk_io(b, BLK_IN, b->capacity - 1, b->data, 512, true), BLK_OK,
		"a read of the last sector");
}

static void odd_lengths(struct vdev *d)
{
	static const u32 lens[] = {1, 100, 511, 513, 1000};
	struct blk *b = blk_open(d, 0, 16);

	for (u32 i = 0; i < ARRAY_SIZE(lens); i++) {
		must_be(blk_io(b, BLK_IN, 0, b->data, lens[i], true), BLK_IOERR,
			"a read of %u bytes", lens[i]);
		if (!(d->offered & BLK_F_RO))
			must_be(blk_io(b, BLK_OUT, PLAY, b->data, lens[i], false), BLK_IOERR,
				"a write of %u bytes", lens[i]);
	}
}

static void read_only(struct vdev *d)
{
	struct blk *b;
	u8 *copy = alloc(512, 16);

	skip_if(!(d->offered & BLK_F_RO), "no read-only disk");
	for (u32 round = 0; round < 2; round++) {
		b = blk_open(d, round ? BLK_F_RO : 0, 16);
		read_at(b, 0, 512);
		memcpy(copy, b->data, 512);
		fill(b->data, 512, 0x33330000);
		must_be(blk_io(b, BLK_OUT, 0, b->data, 512, false), BLK_IOERR,
			"a write to a read-only disk");
		read_at(b, 0, 512);
		must(!memcmp(copy, b->data, 512), "a read-only disk has changed");
	}
}

struct segment {
	u64 sector;
	u32 sectors, flags;
};

static u8 segment_io(struct blk *b, u32 type, u64 sector, u32 sectors, u32 flags)
{
	struct segment *s = alloc(16, 16);

	*s = (struct segment){sector, sectors, flags};
	return blk_io(b, type, 0, s, 16, false);
}

static void write_zeroes(struct vdev *d)
{
	struct blk *b = blk_open_rw(d, BLK_F_WRITE_ZEROES);

	skip_if(!(d->features & BLK_F_WRITE_ZEROES), "WRITE_ZEROES is not offered");
	for (u32 unmap = 0; unmap < 2; unmap++) {
		write_at(b, PLAY, 4096, 0x44440000);
		must_be(segment_io(b, BLK_WRITE_ZEROES, PLAY + 2, 3, unmap), BLK_OK,
			"write zeroes, unmap %u", unmap);
		must_be(b->used_len, 1, "used length");
		read_at(b, PLAY, 4096);
		must_fill(b->data, 1024, 0x44440000, "in front");
		for (u32 i = 1024; i < 2560; i += 4)
			must(!*(u32 *)(b->data + i), "byte %u is not zero", i);
		must_fill(b->data + 2560, 4096 - 2560, 0x44440000 + 2560, "behind");
	}
	must_be(segment_io(b, BLK_WRITE_ZEROES, b->capacity - 1, 2, 0), BLK_IOERR,
		"across the end");
	must_be(segment_io(b, BLK_WRITE_ZEROES, ~0ull, 1, 0), BLK_IOERR, "at a sector that wraps");
	must_be(segment_io(b, BLK_WRITE_ZEROES, PLAY, 1, 2), BLK_UNSUPP, "an unknown flag");
	must_be(segment_io(b, BLK_WRITE_ZEROES, PLAY, 1, 0x80000000), BLK_UNSUPP,
		"an unknown flag");
}

static void discard(struct vdev *d)
{
	struct blk *b = blk_open_rw(d, BLK_F_DISCARD);
	u8 got;

	skip_if(!(d->features & BLK_F_DISCARD), "DISCARD is not offered");
	write_at(b, PLAY, 4096, 0x55550000);
	must_be(segment_io(b, BLK_DISCARD, PLAY + 8, 8, 0), BLK_OK, "discard");
	read_at(b, PLAY, 4096);
	must_fill(b->data, 4096, 0x55550000, "what was not discarded");
	must_be(segment_io(b, BLK_DISCARD, PLAY, 1, 1), BLK_UNSUPP, "the unmap flag");
	must_be(segment_io(b, BLK_DISCARD, PLAY, 1, 4), BLK_UNSUPP, "an unknown flag");
	must_be(segment_io(b, BLK_DISCARD, b->capacity, 1, 0), BLK_IOERR, "past the end");
	got = segment_io(b, BLK_DISCARD, PLAY, 0xffffffff, 0);
	must(got == BLK_IOERR || got == BLK_UNSUPP, "too many sectors: status %u", got);
}

static void not_negotiated(struct vdev *d)
{
	struct blk *b = blk_open_rw(d, 0);

	must(segment_io(b, BLK_SECURE_ERASE, PLAY, 1, 0) != BLK_OK,
	     "SECURE_ERASE works unnegotiated");
	for (u32 type = 15; type <= 24; type++)
		if (type != 17 && type != 19 && type != 21 && type != 23)
			must_be(blk_io(b, type, 0, NULL, 0, true), BLK_UNSUPP, "zone request %u",
				type);
}

static void config_fields(struct vdev *d)
{
	u64 capacity = reg_r64(&d->config, 0);
	u32 v;

	must(capacity, "capacity is 0");
	must_be(reg_r16(&d->config, 0) | (u64)reg_r16(&d->config, 2) << 16, (u32)capacity,
		"capacity as words");
	must_be(reg_r8(&d->config, 0), capacity & 0xff, "capacity's first byte");
	if (d->offered & BLK_F_BLK_SIZE) {
		v = reg_r32(&d->config, 20);
		must(v >= 512 && !(v & (v - 1)), "blk_size %u", v);
	}
	if (d->offered & BLK_F_SEG_MAX)
		must(reg_r32(&d->config, 12), "seg_max is 0");
	if (d->offered & BLK_F_MQ)
		must(reg_r16(&d->config, 34) == d->num_queues, "num_queues %u",
		     reg_r16(&d->config, 34));
	else
		must_be(d->num_queues, 1, "queues without MQ");
	if (d->offered & BLK_F_WRITE_ZEROES) {
		must(reg_r32(&d->config, 48) && reg_r32(&d->config, 52), "write-zeroes limits");
		must(reg_r8(&d->config, 56) <= 1, "write_zeroes_may_unmap");
	}
	if (d->offered & BLK_F_DISCARD)
		must(reg_r32(&d->config, 36) && reg_r32(&d->config, 40), "discard limits");
}

static void unused_fields(struct vdev *d)
{
	must_be(reg_r8(&d->config, 33), 0, "unused0");
	if (d->offered & BLK_F_WRITE_ZEROES)
		must_be(reg_r8(&d->config, 57) | reg_r16(&d->config, 58), 0, "unused1");
}

static void config_read_only(struct vdev *d)
{
	u64 capacity = reg_r64(&d->config, 0);

	vd_begin(d, 0);
	reg_w32(&d->config, 0, ~(u32)capacity);
	reg_w32(&d->config, 4, ~(u32)(capacity >> 32));
	must_be(reg_r64(&d->config, 0), capacity, "capacity");
}

static void writeback(struct vdev *d)
{
	struct blk *b;

	skip_if(!(d->offered & BLK_F_CONFIG_WCE), "CONFIG_WCE is not offered");
	b = blk_open(d, BLK_F_CONFIG_WCE | BLK_F_FLUSH, 16);
	for (u32 v = 0; v < 2; v++) {
		reg_w8(&d->config, 32, v);
		must_be(reg_r8(&d->config, 32), v, "writeback");
		must_be(blk_io(b, BLK_IN, 0, b->data, 512, true), BLK_OK, "a read");
	}
}

static void writeback_first(struct vdev *d)
{
	skip_if(!(d->offered & BLK_F_CONFIG_WCE), "CONFIG_WCE is not offered");
	vd_begin(d, BLK_F_CONFIG_WCE);
	must_be(reg_r8(&d->config, 32), 0, "writeback without FLUSH");
}

static void multi_queue(struct vdev *d)
{
	struct blk *b = blk_open(d, BLK_F_MQ, 8);
	struct vq *q[4];
	u32 n = d->num_queues < 4 ? d->num_queues : 4;

	skip_if(!(d->features & BLK_F_MQ) || n < 2, "one queue only");
	vd_begin(d, BLK_F_MQ);
	for (u32 i = 0; i < n; i++)
		q[i] = vq_new(d, i, 8);
	vd_go(d);
	for (u32 i = 0; i < 2 * n; i++) {
		b->q = q[i % n];
		read_at(b, 0, 512);
	}
}

/* Requests too short to be any: the device may answer or ask for a reset, but stays alive. */
static void malformed(struct vdev *d)
{
	struct blk *b = blk_open(d, 0, 16);
	struct buf bufs[3];

	for (u32 i = 0; i < 6; i++) {
		b = blk_open(d, 0, 16);
		blk_bufs(b, bufs, BLK_IN, 0, b->data, 512, true);
		switch (i) {
		case 0: /* a header only */
			vq_offer(b->q, vq_chain(b->q, bufs, 1));
			break;
		case 1: /* half a header */
			bufs[0].len = 8;
			vq_offer(b->q, vq_chain(b->q, bufs, 3));
			break;
		case 2: /* a status only */
			vq_offer(b->q, vq_chain(b->q, bufs + 2, 1));
			break;
		case 3: /* an empty status */
			bufs[2].len = 0;
			vq_offer(b->q, vq_chain(b->q, bufs, 3));
			break;
		case 4: /* a status that cannot be written */
			bufs[1].in = bufs[2].in = false;
			vq_offer(b->q, vq_chain(b->q, bufs, 3));
			break;
		case 5: /* a header that is to be written */
			bufs[0].in = true;
			vq_offer(b->q, vq_chain(b->q, bufs, 3));
		}
		vq_kick(b->q);
		delay_us(SETTLE / 2);
		blk_works(d);
	}
}

/* A device that has no figures to give doesn't offer to. */
static void lifetime(struct vdev *d)
{
	struct blk *b = blk_open(d, BLK_F_LIFETIME, 16);
	u8 want = d->offered & BLK_F_LIFETIME ? BLK_OK : BLK_UNSUPP;

	must_be(blk_io(b, BLK_GET_LIFETIME, 0, b->data, 24, true), want, "GET_LIFETIME");
}

static const struct test tests[] = {
	{"BLK-01,BLK-03,BLK-04,BLK-05,CFG-02", "configuration fields make sense", config_fields, BLK,
	 0},
	{"BLK-11", "unused bytes are 0", unused_fields, BLK, 0},
	{"PCI-DEVCFG-02", "configuration is read-only", config_read_only, BLK, 0},
	{"BLK-29", "the host's label is read", from_the_host, BLK, 0},
	{"BLK-28,BLK-29,BLK-35", "what is written is read back", read_write, BLK, 0},
	{"BLK-29,BLK-58", "a pattern is left for the host to find", for_the_host, BLK, 0},
	{"BLK-08", "FLUSH is offered", flush_offered, BLK, 0},
	{"BLK-58", "FLUSH completes", flush, BLK, 0},
	{"BLK-32", "GET_ID gives at most 20 characters, padded with zeroes", get_id, BLK, 0},
	{"BLK-30", "an unknown type ends with UNSUPP", unknown_type, BLK, 0},
	{"BLK-31", "sectors out of range end with IOERR", out_of_range, BLK, 0},
	{"BLK-31", "lengths that are no whole sectors end with IOERR", odd_lengths, BLK, 0},
	{"BLK-46,BLK-47", "a read-only disk refuses writes", read_only, BLK, 0},
	{"BLK-48,BLK-52", "WRITE_ZEROES zeroes its range and nothing else", write_zeroes, BLK, 0},
	{"BLK-48,BLK-49", "DISCARD takes its segment and refuses flags", discard, BLK, 0},
	{"BLK-63", "zone and erase requests are refused unnegotiated", not_negotiated, BLK, 0},
	{"BLK-61", "LIFETIME is offered with figures or not at all", lifetime, BLK, 0},
	{"BLK-06", "writeback shows the mode in force", writeback, BLK, 0},
	{"BLK-10", "writeback begins as 0 without FLUSH", writeback_first, BLK, 0},
	{"BLK-01", "all queues are equal", multi_queue, BLK, 0},
	{"X-BLK-01", "requests too short to be any", malformed, BLK, HOSTILE},
};

const struct suite suite_blk = {"blk", tests, ARRAY_SIZE(tests)};
