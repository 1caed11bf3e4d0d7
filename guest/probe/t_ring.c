// SPDX-License-Identifier: GPL-2.0-only
/* t_ring: split rings, indirect tables and event indexes, shown with block requests. */

#include "drivers.h"
#include "irq.h"

static void read_one(struct blk *b)
{
	must_be(blk_io(b, BLK_IN, 0, b->data, 512, true), BLK_OK, "a read");
	must_be(b->used_len, 513, "used length of a read");
}

static void sizes(struct vdev *d)
{
	for (u32 size = 256; size >= 2; size /= 4) {
		struct blk *b = blk_open(d, 0, size);

		for (u32 i = 0; i < 3 && size >= 4; i++)
			read_one(b);
		arena_reset();
	}
}

/* The smallest ring holds one request if the table is indirect. */
static void smallest(struct vdev *d)
{
	struct blk *b = blk_open(d, F_INDIRECT, 1);
	struct buf bufs[3];

	skip_if(!(d->features & F_INDIRECT), "INDIRECT_DESC is not offered");
	for (u32 i = 0; i < 5; i++) {
		blk_bufs(b, bufs, BLK_IN, 0, b->data, 512, true);
		vq_offer(b->q, vq_indirect(b->q, bufs, 3));
		vq_kick(b->q);
		must_be(vq_wait(b->q).len, 513, "used length");
		must_be(*b->status, BLK_OK, "status");
	}
}

static void wraps(struct vdev *d)
{
	struct blk *b = blk_open(d, 0, 4);

	for (u32 i = 0; i < 11; i++)
		read_one(b);
	must_be(b->q->used->idx, 11, "used.idx after 11 requests in a ring of 4");
}

static void used_ids(struct vdev *d)
{
	struct blk *b = blk_open(d, 0, 32);
	struct buf bufs[3];
	u16 heads[4];
	bool seen[32] = {false};

	must_be(b->q->used->idx, 0, "used.idx at first");
	for (u32 i = 0; i < 4; i++)
		heads[i] = vq_chain(b->q, bufs, blk_bufs(b, bufs, BLK_IN, 0, b->data, 512, true));
	vq_offer(b->q, heads[2]);
	vq_offer(b->q, heads[0]);
	vq_offer(b->q, heads[3]);
	vq_kick(b->q);
	for (u32 i = 0; i < 3; i++)
		seen[vq_wait(b->q).id % 32] = true;
	must(seen[heads[2]] && seen[heads[0]] && seen[heads[3]],
	     "the heads do not come back as used ids");
	must(!seen[heads[1]], "a head that was never offered comes back");
}

/* An unusual place for each area, at its smallest alignment. */
static void alignment(struct vdev *d)
{
	struct blk *b = blk_open(d, 0, 8);
	struct vq *q;

	vd_begin(d, 0);
	q = b->q = vq_alloc(d, 0, 8);
	q->desc = (void *)((u8 *)alloc(4096 + 256, 4096) + 4096 - 16);
	q->avail = (void *)((u8 *)alloc(4096 + 256, 4096) + 4096 - 6);
	q->used = (void *)((u8 *)alloc(4096 + 256, 4096) + 4096 - 4);
	vq_program(q);
	vq_enable(q);
	vd_go(d);
	for (u32 i = 0; i < 10; i++)
		read_one(b);
}

/* The same request, cut up in every way: header and data may share or split descriptors. */
static void framing(struct vdev *d)
{
	struct blk *b = blk_open(d, 0, 32);
	const u8 *h = (const u8 *)b->header;
	struct buf whole[3], bufs[12];
	u8 first[512];
	u32 n;

	read_one(b);
	memcpy(first, b->data, 512);
	for (u32 cut = 1; cut < 16; cut += 6) {
		memset(b->data, 0, 512);
		blk_bufs(b, whole, BLK_IN, 0, b->data, 512, true);
		n = 0;
		bufs[n++] = (struct buf){h, cut, false};
		bufs[n++] = (struct buf){h + cut, 16 - cut, false};
		bufs[n++] = (struct buf){b->data, 1, true};
		bufs[n++] = (struct buf){b->data + 1, 300 + cut, true};
		bufs[n++] = (struct buf){b->data + 301 + cut, 211 - cut, true};
		bufs[n++] = (struct buf){b->status, 1, true};
		must_be(vq_do(b->q, bufs, n).len, 513, "used length, header cut at %u", cut);
		must_be(*b->status, BLK_OK, "status, header cut at %u", cut);
		must(!memcmp(b->data, first, 512), "other data, header cut at %u", cut);
	}
	/* data and status in one descriptor */
	memset(b->data, 0, 514);
	blk_bufs(b, whole, BLK_IN, 0, b->data, 513, true);
	b->data[512] = BLK_NO_STATUS;
	bufs[0] = whole[0];
	bufs[1] = (struct buf){b->data, 513, true};
	must_be(vq_do(b->q, bufs, 2).len, 513, "used length, status behind the data");
	must_be(b->data[512], BLK_OK, "status behind the data");
	must(!memcmp(b->data, first, 512), "other data, status behind the data");
}

static void long_chain(struct vdev *d)
{
	struct blk *b = blk_open(d, 0, 64);
	struct buf bufs[64];
	u32 seg_max = 126;

	if (d->offered & BLK_F_SEG_MAX)
		seg_max = reg_r32(&d->config, 12);
	skip_if(b->q->size < 64 || seg_max < 62, "chains are limited to less than 64");
	blk_bufs(b, bufs, BLK_IN, 0, b->data, 512, true);
	for (u32 i = 0; i < 62; i++)
		bufs[1 + i] = (struct buf){b->data + 8 * i, i == 61 ? 512 - 61 * 8 : 8, true};
	bufs[63] = (struct buf){b->status, 1, true};
	must_be(vq_do(b->q, bufs, 64).len, 513, "used length of a chain as long as the ring");
	must_be(*b->status, BLK_OK, "status");
}

static void untouched(struct vdev *d)
{
	struct blk *b = blk_open(d, 0, 8);
	struct blk_header h;
	struct desc before[3];

	read_one(b);
	b->q->next = 0;
	h = *(struct blk_header *)b->header;
	read_one(b);
	memcpy(before, (void *)b->q->desc, sizeof(before));
	must(!memcmp(&h, (void *)b->header, sizeof(h)), "the header was written to");
	delay_us(SETTLE / 4);
	must(!memcmp(before, (void *)b->q->desc, sizeof(before)),
	     "the descriptor table was written to");
	must_be(b->q->desc[0].addr, gpa(b->header), "descriptor 0");
}

static void empty_kicks(struct vdev *d)
{
	struct blk *b = blk_open(d, 0, 8);

	for (u32 i = 0; i < 5; i++)
		vq_kick(b->q);
	read_one(b);
	for (u32 i = 0; i < 5; i++)
		vq_kick(b->q);
	delay_us(SETTLE);
	must_be(b->q->used->idx, 1, "used.idx");
	must(!(vd_status(d) & S_NEEDS_RESET), "needs a reset");
}

static void used_before_index(struct vdev *d)
{
	struct blk *b = blk_open(d, 0, 16);
	struct buf bufs[3];
	volatile u32 *len;

	for (u32 i = 0; i < 10; i++) {
		u32 n = blk_bufs(b, bufs, BLK_IN, 0, b->data, 512, true);
		u16 head = vq_chain(b->q, bufs, n);

		len = &b->q->used->ring[b->q->used->idx % b->q->size].len;
		*len = 0xdead;
		vq_offer(b->q, head);
		vq_kick(b->q);
		must(wait_until(vq_has_used(b->q), PATIENCE), "nothing comes back");
		must_be(*len, 513, "used.len when used.idx moves");
		must_be(*b->status, BLK_OK, "the status byte when used.idx moves");
		vq_take(b->q);
	}
}

static void batch(struct vdev *d)
{
	struct blk *b = blk_open(d, 0, 64);
	struct blk_header *h = alloc(16 * 16, 16);
	u8 *status = alloc(16, 16), *data = alloc(512 * 16, 512);

	memset(status, BLK_NO_STATUS, 16);
	for (u32 i = 0; i < 16; i++) {
		struct buf bufs[3] = {
		    {h + i, 16, false}, {data + 512 * i, 512, true}, {status + i, 1, true}};

		h[i].sector = i;
		vq_offer(b->q, vq_chain(b->q, bufs, 3));
	}
	vq_kick(b->q);
	for (u32 i = 0; i < 16; i++)
		must_be(vq_wait(b->q).len, 513, "used length of request %u", i);
	for (u32 i = 0; i < 16; i++)
		must_be(status[i], BLK_OK, "status of request %u", i);
}

/* --- indirect tables */

static struct blk *open_indirect(struct vdev *d)
{
	struct blk *b = blk_open(d, F_INDIRECT, 16);

	skip_if(!(d->features & F_INDIRECT), "INDIRECT_DESC is not offered");
	return b;
}

static void finish(struct blk *b, u16 head, const char *what)
{
	vq_offer(b->q, head);
	vq_kick(b->q);
	must_be(vq_wait(b->q).len, 513, "used length, %s", what);
	must_be(*b->status, BLK_OK, "status, %s", what);
}

static void indirect(struct vdev *d)
{
	struct blk *b = open_indirect(d);
	struct buf bufs[3];

	for (u32 i = 0; i < 20; i++)
		finish(b, vq_indirect(b->q, bufs, blk_bufs(b, bufs, BLK_IN, 0, b->data, 512, true)),
		       "indirect");
}

static void indirect_write_flag(struct vdev *d)
{
	struct blk *b = open_indirect(d);
	struct buf bufs[3];
	u16 head = vq_indirect(b->q, bufs, blk_bufs(b, bufs, BLK_IN, 0, b->data, 512, true));

	b->q->desc[head].flags |= D_WRITE;
	finish(b, head, "WRITE on the table's descriptor");
}

static void direct_then_indirect(struct vdev *d)
{
	struct blk *b = open_indirect(d);
	struct buf bufs[3], parts[2];
	struct desc *table = alloc(32, 16);
	u16 head;

	blk_bufs(b, bufs, BLK_IN, 0, b->data, 512, true);
	table[0] = (struct desc){gpa(bufs[1].p), 512, D_WRITE | D_NEXT, 1};
	table[1] = (struct desc){gpa(bufs[2].p), 1, D_WRITE, 0};
	parts[0] = bufs[0];
	parts[1] = (struct buf){table, 32, false};
	head = vq_chain(b->q, parts, 2);
	b->q->desc[head + 1].flags |= D_INDIRECT;
	finish(b, head, "a direct descriptor before the table");
}

/* Entries of a table need not be in the order of the chain. */
static void indirect_shuffled(struct vdev *d)
{
	struct blk *b = open_indirect(d);
	struct desc *t = alloc(16 * 5, 16);
	struct buf bufs[3], one = {t, 16 * 5, false};
	u16 head;

	blk_bufs(b, bufs, BLK_IN, 0, b->data, 512, true);
	t[0] = (struct desc){gpa(bufs[0].p), 16, D_NEXT, 4};
	t[4] = (struct desc){gpa(bufs[1].p), 512, D_NEXT | D_WRITE, 2};
	t[2] = (struct desc){gpa(bufs[2].p), 1, D_WRITE, 77};
	head = vq_chain(b->q, &one, 1);
	b->q->desc[head].flags |= D_INDIRECT;
	finish(b, head, "a table out of order");
}

/* --- suppression */

static struct blk *with_msix(struct vdev *d, u64 features)
{
	struct blk *b;

	vd_msix(d);
	b = blk_open(d, features, 16);
	skip_if(features & ~d->features, "the feature is not offered");
	return b;
}

static void no_interrupt(struct vdev *d)
{
	struct blk *b = with_msix(d, 0);

	b->q->avail->flags = 1;
	for (u32 i = 0; i < 3; i++)
		read_one(b);
	delay_us(SETTLE);
	must_be(irq_count[VEC_MSI(1)], 0, "interrupts with NO_INTERRUPT set");
	b->q->avail->flags = 0;
	for (u32 i = 1; i <= 3; i++) {
		read_one(b);
		must(wait_until(irq_count[VEC_MSI(1)] == i, PATIENCE), "request %u: no interrupt",
		     i);
	}
}

static volatile u16 *used_event(struct vq *q)
{
	return &q->avail->ring[q->size];
}

static volatile u16 *avail_event(struct vq *q)
{
	return (volatile u16 *)&q->used->ring[q->size];
}

static void used_event_ignored(struct vdev *d)
{
	struct blk *b = with_msix(d, 0);

	*used_event(b->q) = 1000;
	for (u32 i = 1; i <= 3; i++) {
		read_one(b);
		must(wait_until(irq_count[VEC_MSI(1)] == i, PATIENCE), "request %u: no interrupt",
		     i);
	}
}

static void used_flags(struct vdev *d)
{
	struct blk *b = with_msix(d, 0);

	for (u32 i = 0; i < 4; i++) {
		must(b->q->used->flags <= 1, "used.flags %#x", b->q->used->flags);
		read_one(b);
	}
	vd_reset(d);
	b = blk_open(d, F_EVENT_IDX, 16);
	skip_if(!(d->features & F_EVENT_IDX), "EVENT_IDX is not offered");
	for (u32 i = 0; i < 4; i++) {
		read_one(b);
		must_be(b->q->used->flags, 0, "used.flags with EVENT_IDX");
	}
}

static void event_idx(struct vdev *d)
{
	struct blk *b = with_msix(d, F_EVENT_IDX);

	read_one(b); /* a device may well signal the first one, whatever used_event says */
	wait_until(irq_count[VEC_MSI(1)], PATIENCE / 10);
	irq_reset();
	*used_event(b->q) = 3; /* the fourth used entry */
	for (u32 i = 0; i < 2; i++)
		read_one(b);
	delay_us(SETTLE);
	must_be(irq_count[VEC_MSI(1)], 0, "interrupts before the entry at used_event");
	read_one(b);
	must(wait_until(irq_count[VEC_MSI(1)] == 1, PATIENCE),
	     "no interrupt for the entry at used_event");
	read_one(b);
	delay_us(SETTLE);
	must_be(irq_count[VEC_MSI(1)], 1, "interrupts after the entry at used_event");
}

static void event_idx_flags(struct vdev *d)
{
	struct blk *b = with_msix(d, F_EVENT_IDX);

	b->q->avail->flags = 1;
	*used_event(b->q) = 0;
	read_one(b);
	must(wait_until(irq_count[VEC_MSI(1)] == 1, PATIENCE),
	     "NO_INTERRUPT is heeded with EVENT_IDX");
}

static void event_idx_batch(struct vdev *d)
{
	struct blk *b = with_msix(d, F_EVENT_IDX);
	struct buf bufs[3];

	*used_event(b->q) = 1;
	for (u32 i = 0; i < 4; i++)
		vq_offer(b->q,
			 vq_chain(b->q, bufs, blk_bufs(b, bufs, BLK_IN, 0, b->data, 512, true)));
	vq_kick(b->q);
	for (u32 i = 0; i < 4; i++)
		vq_wait(b->q);
	must(wait_until(irq_count[VEC_MSI(1)], PATIENCE),
	     "no interrupt for an entry inside a batch");
	delay_us(SETTLE);
	must_be(irq_count[VEC_MSI(1)], 1, "interrupts of a batch of 4 with one event");
}

/* A driver that kicks only when avail_event says so must never wait in vain. */
static void avail_event_honest(struct vdev *d)
{
	struct blk *b = with_msix(d, F_EVENT_IDX);
	struct buf bufs[3];
	u32 kicks = 0;

	for (u32 i = 0; i < 40; i++) {
		u16 old = b->q->avail->idx;

		vq_offer(b->q,
			 vq_chain(b->q, bufs, blk_bufs(b, bufs, BLK_IN, 0, b->data, 512, true)));
		mb();
		if (*avail_event(b->q) == old) {
			vq_kick(b->q);
			kicks++;
		}
		vq_wait(b->q);
		must_be(*b->status, BLK_OK, "status of request %u", i);
	}
	must(kicks, "no kick was ever asked for");
}

static const struct test tests[] = {
	{"SPLIT-03,PCI-COMMON-22", "a ring of each size works", sizes, BLK, 0},
	{"SPLIT-02", "a ring of one descriptor works", smallest, BLK, 0},
	{"SPLIT-13,USED-01", "indexes run on past the ring's size", wraps, BLK, 0},
	{"USED-01,Q-01", "used ids are the heads that were offered", used_ids, BLK, 0},
	{"SPLIT-01", "each area at its smallest alignment, across pages", alignment, BLK, 0},
	{"SPLIT-04,SPLIT-10", "any framing of a request works", framing, BLK, 0},
	{"SPLIT-11", "a chain may be as long as the ring", long_chain, BLK, 0},
	{"SPLIT-06,SPLIT-09", "readable buffers and the descriptor table are not written", untouched,
	 BLK, 0},
	{"NOTIF-04,NOTIF-03", "kicks without new buffers do nothing", empty_kicks, BLK, 0},
	{"USED-02,USED-03", "length and data are in place before used.idx moves", used_before_index,
	 BLK, 0},
	{"Q-01,Q-03,PCI-NOTIFY-12,PCI-NOTIFY-14,FEAT-18", "a batch behind one kick comes back whole", batch, BLK, 0},
	{"IND-03,IND-05", "indirect tables", indirect, BLK, 0},
	{"IND-01", "WRITE on a table's descriptor is ignored", indirect_write_flag, BLK, 0},
	{"IND-02", "direct descriptors before an indirect one", direct_then_indirect, BLK, 0},
	{"IND-03", "a table's entries in any order", indirect_shuffled, BLK, 0},
	{"SUPP-02,SUPP-03,USED-07", "avail.flags switches interrupts off and on", no_interrupt, BLK, 0},
	{"SUPP-01", "used_event is ignored without EVENT_IDX", used_event_ignored, BLK, 0},
	{"SUPP-04,EVIDX-04", "used.flags is 0 or 1, and 0 with EVENT_IDX", used_flags, BLK, 0},
	{"EVIDX-02,EVIDX-03", "an interrupt for the entry at used_event and no other", event_idx, BLK,
	 0},
	{"EVIDX-01", "avail.flags has no effect with EVENT_IDX", event_idx_flags, BLK, 0},
	{"EVIDX-02", "an event inside a batch gives one interrupt", event_idx_batch, BLK, 0},
	{"EVIDX-05,NOTIF-05", "kicks by avail_event only lose nothing", avail_event_honest, BLK, 0},
};

const struct suite suite_ring = {"ring", tests, ARRAY_SIZE(tests)};
