// SPDX-License-Identifier: GPL-2.0-only
/*
 * t_hostile: rings no driver would make. The device may end the request with an error, ask for a
 * reset or ignore it; it must not hang, must not touch what it was not given, and must do its work
 * again after a reset, which the runner sees to.
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

/* Offers descriptor 0 and sees what happens. */
static void outcome(struct blk *b)
{
	vq_offer(b->q, 0);
	vq_kick(b->q);
	wait_until(vd_status(b->d) & S_NEEDS_RESET || vq_has_used(b->q), SETTLE);
	expect_calm(b->d);
	for (u32 i = 0; i < 512; i += 64)
		must(b->data[512 + i] == 0, "byte %u behind the buffer has changed", i);
}

/* For what nothing but a reset can mend. */
static void outcome_reset(struct blk *b)
{
	vq_offer(b->q, 0);
	vq_kick(b->q);
	must(wait_until(vd_status(b->d) & S_NEEDS_RESET, PATIENCE / 10), "NEEDS_RESET is not set");
	expect_calm(b->d);
}

static void loop_one(struct vdev *d)
{
	struct blk *b = prepared(d, 0);

	b->q->desc[0].next = 0;
	outcome_reset(b);
}

static void loop_back(struct vdev *d)
{
	struct blk *b = prepared(d, 0);

	b->q->desc[2].flags |= D_NEXT;
	b->q->desc[2].next = 1;
	outcome_reset(b);
}

static void next_beyond(struct vdev *d)
{
	static const u16 nexts[] = {8, 9, 255, 0x7fff, 0xffff};

	for (u32 i = 0; i < ARRAY_SIZE(nexts); i++) {
		struct blk *b = prepared(d, 0);

		b->q->desc[0].next = nexts[i];
		outcome_reset(b);
	}
}

static void head_beyond(struct vdev *d)
{
	static const u16 heads[] = {8, 9, 255, 0x7fff, 0xffff};

	for (u32 i = 0; i < ARRAY_SIZE(heads); i++) {
		struct blk *b = prepared(d, 0);

		vq_offer(b->q, heads[i]);
		vq_kick(b->q);
		must(wait_until(vd_status(d) & S_NEEDS_RESET, PATIENCE / 10),
		     "NEEDS_RESET is not set");
	}
}

static void outside_ram(struct vdev *d)
{
	struct range r[16];
	u32 n = places_outside_ram(d, r);

	for (u32 i = 0; i < n; i++) {
		for (u32 k = 0; k < 3; k++) {
			struct blk *b = prepared(d, 0);

			b->q->desc[k].addr = r[i].start;
			b->q->desc[k].len = r[i].len;
			outcome(b);
			must(!vq_has_used(b->q) || k == 2 || *b->status != BLK_OK,
			     "place %u: a success", i);
			arena_reset();
		}
	}
}

static void huge_lengths(struct vdev *d)
{
	static const u32 lens[] = {0x80000000, 0xfffffe00, 0xffffffff, 64u << 20};

	for (u32 i = 0; i < ARRAY_SIZE(lens); i++) {
		struct blk *b = prepared(d, 0);

		b->q->desc[1].len = lens[i];
		outcome(b);
		must(!vq_has_used(b->q) || *b->status != BLK_OK, "length %#x: a success", lens[i]);
		arena_reset();
	}
}

/* Each descriptor is good, but together they are more than a length can say. */
static void total_overflow(struct vdev *d)
{
	struct blk *b = blk_open(d, 0, 256);
	u64 start = 0x200000, len = machine.low_end - start;
	struct buf bufs[256];
	u32 n = (1ull << 32) / len + 2;

	skip_if(n + 2 > b->q->size, "too little RAM to overflow with");
	blk_bufs(b, bufs, BLK_OUT, 0, b->data, 512, false);
	bufs[n + 1] = (struct buf){b->status, 1, true};
	for (u32 i = 1; i <= n; i++)
		bufs[i] = (struct buf){(void *)start, len, false};
	vq_offer(b->q, vq_chain(b->q, bufs, n + 2));
	vq_kick(b->q);
	wait_until(vd_status(d) & S_NEEDS_RESET || vq_has_used(b->q), PATIENCE / 10);
	expect_calm(d);
	must(!vq_has_used(b->q) || *b->status != BLK_OK, "a success");
}

static void zero_lengths(struct vdev *d)
{
	for (u32 k = 0; k < 3; k++) {
		struct blk *b = prepared(d, 0);

		b->q->desc[k].len = 0;
		outcome(b);
		arena_reset();
	}
}

static void write_first(struct vdev *d)
{
	struct blk *b = prepared(d, 0);

	b->q->desc[0].flags |= D_WRITE;
	b->q->desc[1].flags &= ~D_WRITE;
	outcome(b);
}

static void reserved_flags(struct vdev *d)
{
	struct blk *b = prepared(d, 0);

	for (u32 k = 0; k < 3; k++)
		b->q->desc[k].flags |= 0xfff8;
	outcome(b);
}

static void head_twice(struct vdev *d)
{
	struct blk *b = prepared(d, 0);

	for (u32 i = 0; i < 6; i++)
		vq_offer(b->q, 0);
	vq_kick(b->q);
	wait_until(vd_status(d) & S_NEEDS_RESET || b->q->used->idx == 6, SETTLE * 4);
	expect_calm(d);
	must(b->q->used->idx <= 6, "used.idx %u for 6 requests", b->q->used->idx);
}

static void idx_jumps(struct vdev *d)
{
	static const u16 jumps[] = {9, 16, 100, 0x7fff, 0x8000, 0xffff};

	for (u32 i = 0; i < ARRAY_SIZE(jumps); i++) {
		struct blk *b = prepared(d, 0);

		b->q->avail->idx = jumps[i];
		vq_kick(b->q);
		must(wait_until(vd_status(d) & S_NEEDS_RESET, PATIENCE / 10),
		     "idx %#x: NEEDS_RESET is not set", jumps[i]);
		arena_reset();
	}
}

static void idx_back(struct vdev *d)
{
	struct blk *b = prepared(d, 0);

	vq_offer(b->q, 0);
	vq_kick(b->q);
	vq_wait(b->q);
	b->q->avail->idx--;
	vq_kick(b->q);
	must(wait_until(vd_status(d) & S_NEEDS_RESET, PATIENCE / 10), "NEEDS_RESET is not set");
}

/* --- indirect tables */

static struct blk *with_table(struct vdev *d, struct desc **table)
{
	struct blk *b = prepared(d, F_INDIRECT);
	struct desc *t = alloc(16 * 8, 16);

	memcpy(t, (void *)b->q->desc, 48);
	b->q->desc[0].addr = gpa(t);
	b->q->desc[0].len = 48;
	b->q->desc[0].flags = D_INDIRECT;
	*table = t;
	return b;
}

static void table_lengths(struct vdev *d)
{
	static const u32 lens[] = {0, 1, 15, 17, 47, 0xfffffff0, 0xffffffff, 0x100000};
	struct desc *t;

	for (u32 i = 0; i < ARRAY_SIZE(lens); i++) {
		struct blk *b = with_table(d, &t);

		b->q->desc[0].len = lens[i];
		outcome(b);
		arena_reset();
	}
}

static void table_nested(struct vdev *d)
{
	struct desc *t;
	struct blk *b = with_table(d, &t);

	t[1].flags |= D_INDIRECT;
	outcome(b);
	arena_reset();
	b = with_table(d, &t);
	t[0] = (struct desc){gpa(t), 48, D_INDIRECT, 0}; /* the table is its own entry */
	outcome(b);
}

static void table_next(struct vdev *d)
{
	struct desc *t;
	struct blk *b = with_table(d, &t);

	b->q->desc[0].flags |= D_NEXT;
	b->q->desc[0].next = 1;
	outcome(b);
}

static void table_loop(struct vdev *d)
{
	struct desc *t;
	struct blk *b = with_table(d, &t);

	t[2].flags |= D_NEXT;
	t[2].next = 1;
	outcome_reset(b);
	arena_reset();
	b = with_table(d, &t);
	t[0].next = 3;
	outcome_reset(b);
	arena_reset();
	b = with_table(d, &t);
	t[1].next = 0xffff;
	outcome_reset(b);
}

static void table_outside(struct vdev *d)
{
	struct range r[16];
	u32 n = places_outside_ram(d, r);
	struct desc *t;

	for (u32 i = 0; i < n; i++) {
		struct blk *b = with_table(d, &t);

		if (r[i].len < 512)
			r[i].start -= 16;
		b->q->desc[0].addr = r[i].start;
		b->q->desc[0].len = 512;
		outcome(b);
		must(!vq_has_used(b->q) || *b->status != BLK_OK, "place %u: a success", i);
		arena_reset();
	}
}

static void table_unnegotiated(struct vdev *d)
{
	struct blk *b = prepared(d, 0);
	struct desc *t = alloc(48, 16);

	memcpy(t, (void *)b->q->desc, 48);
	b->q->desc[0] = (struct desc){gpa(t), 48, D_INDIRECT, 0};
	outcome(b);
	must(!vq_has_used(b->q) || *b->status != BLK_OK, "the table is followed");
}

static const struct test tests[] = {
	{"SPLIT-12,X-RING-01", "a descriptor that is its own next", loop_one, BLK, HOSTILE},
	{"SPLIT-12,X-RING-02", "a chain that leads back into itself", loop_back, BLK, HOSTILE},
	{"SPLIT-12,X-RING-03", "next outside the table", next_beyond, BLK, HOSTILE},
	{"SPLIT-12,X-RING-04", "heads outside the table", head_beyond, BLK, HOSTILE},
	{"SPLIT-12,X-RING-05", "buffers outside RAM, across its end, and around 2^64", outside_ram, BLK,
	 HOSTILE},
	{"X-RING-06", "lengths of gigabytes", huge_lengths, BLK, HOSTILE},
	{"X-RING-07", "a chain longer than 4 GiB", total_overflow, BLK, HOSTILE},
	{"X-RING-08", "descriptors of length 0", zero_lengths, BLK, HOSTILE},
	{"X-RING-09", "a writable descriptor in front of a readable one", write_first, BLK, HOSTILE},
	{"X-RING-10", "reserved descriptor flags", reserved_flags, BLK, HOSTILE},
	{"X-RING-11", "one head offered six times", head_twice, BLK, HOSTILE},
	{"X-RING-12", "avail.idx jumps further than the ring is long", idx_jumps, BLK, HOSTILE},
	{"X-RING-13", "avail.idx goes back", idx_back, BLK, HOSTILE},
	{"IND-04,X-IND-01", "indirect tables of strange lengths", table_lengths, BLK, HOSTILE},
	{"IND-04,X-IND-02", "indirect tables in indirect tables", table_nested, BLK, HOSTILE},
	{"IND-04,X-IND-03", "INDIRECT together with NEXT", table_next, BLK, HOSTILE},
	{"IND-04,X-IND-04", "loops and bad links in an indirect table", table_loop, BLK, HOSTILE},
	{"IND-04,X-IND-05", "indirect tables outside RAM", table_outside, BLK, HOSTILE},
	{"IND-06", "indirect tables without the feature", table_unnegotiated, BLK, HOSTILE},
};

const struct suite suite_hostile = {"hostile", tests, ARRAY_SIZE(tests)};
