// SPDX-License-Identifier: GPL-2.0-only
/* t_packed: packed rings, shown with block requests. */

#include "drivers.h"
#include "irq.h"

static struct blk *open_packed(struct vdev *d, u64 features, u16 size)
{
	skip_if(!(d->offered & F_PACKED), "RING_PACKED is not offered");
	skip_if(features & ~d->offered, "the feature is not offered");
	return blk_open(d, F_PACKED | features, size);
}

static void read_one(struct blk *b)
{
	must_be(blk_io(b, BLK_IN, 0, b->data, 512, true), BLK_OK, "a read");
	must_be(b->used_len, 513, "used length of a read");
}

/* The request as bufs, for what goes beyond blk_io(). */
static u32 request(struct blk *b, struct buf *bufs)
{
	return blk_bufs(b, bufs, BLK_IN, 0, b->data, 512, true);
}

static void sizes(struct vdev *d)
{
	static const u16 list[] = {256, 64, 16, 4};

	for (u32 i = 0; i < ARRAY_SIZE(list); i++) {
		struct blk *b = open_packed(d, 0, list[i]);

		for (u32 k = 0; k < 5; k++)
			read_one(b);
		arena_reset();
	}
}

static void odd_sizes(struct vdev *d)
{
	static const u16 list[] = {3, 5, 7, 13, 100, 255};

	for (u32 i = 0; i < ARRAY_SIZE(list); i++) {
		struct blk *b = open_packed(d, 0, list[i]);

		must_be(b->q->size, list[i], "the ring's size");
		for (u32 k = 0; k < 9; k++)
			read_one(b);
		arena_reset();
	}
}

static void one_slot(struct vdev *d)
{
	struct blk *b = open_packed(d, F_INDIRECT, 1);
	struct buf bufs[3];

	for (u32 k = 0; k < 5; k++) {
		request(b, bufs);
		vq_offer(b->q, vq_indirect(b->q, bufs, 3));
		vq_kick(b->q);
		must_be(vq_wait(b->q).len, 513, "used length");
		must_be(*b->status, BLK_OK, "status");
	}
}

static void wraps(struct vdev *d)
{
	struct blk *b = open_packed(d, 0, 8);

	for (u32 i = 0; i < 30; i++)
		read_one(b); /* chains of 3 in a ring of 8 lie across the end in every way */
}

static void used_flags(struct vdev *d)
{
	struct blk *b = open_packed(d, 0, 16);
	struct buf bufs[3];
	u16 head;

	request(b, bufs);
	head = vq_chain(b->q, bufs, 3);
	vq_offer(b->q, head);
	vq_kick(b->q);
	must(wait_until(vq_has_used(b->q), PATIENCE), "nothing comes back");
	must_be(b->q->ring[head].flags & (P_AVAIL | P_USED), P_AVAIL | P_USED,
		"flags in the first lap");
	must_be(b->q->ring[head].len, 513, "len");
	must(b->q->ring[head + 1].flags & D_NEXT, "the second slot has been written");
	must_be(b->q->ring[head + 2].len, 1, "len of the third slot");
	delay_us(SETTLE);
	must_be(b->q->ring[head].len, 513, "len, later");
	must_be(b->q->ring[head].id, head, "id, later");
}

static void used_write(struct vdev *d)
{
	struct blk *b = open_packed(d, 0, 16);

	read_one(b);
	must(b->q->ring[0].flags & D_WRITE, "WRITE is clear, and something was stored");
}

static void id_of_last(struct vdev *d)
{
	struct blk *b = open_packed(d, 0, 16);
	struct buf bufs[3];
	u16 head;

	request(b, bufs);
	head = vq_chain(b->q, bufs, 3);
	b->q->ring[head].id = 7;
	b->q->ring[head + 1].id = 9;
	b->q->ring[head + 2].id = 0xabcd;
	vq_offer(b->q, head);
	vq_kick(b->q);
	must(wait_until(vq_has_used(b->q), PATIENCE), "nothing comes back");
	must_be(b->q->ring[head].id, 0xabcd, "id");
}

static void not_yet(struct vdev *d)
{
	struct blk *b = open_packed(d, 0, 16);
	struct buf bufs[3];
	u16 head;

	request(b, bufs);
	head = vq_chain(b->q, bufs, 3);
	vq_kick(b->q); /* the first descriptor's flags do not say so yet */
	delay_us(SETTLE);
	must_be(*b->status, BLK_NO_STATUS, "the status byte of a request not yet available");
	b->q->ring[head].flags = D_NEXT | P_AVAIL | P_USED; /* looks used */
	vq_kick(b->q);
	delay_us(SETTLE);
	must_be(*b->status, BLK_NO_STATUS, "the status byte of a request that looks used");
	vq_offer(b->q, head);
	vq_kick(b->q);
	must_be(vq_wait(b->q).len, 513, "used length");
}

static void batch(struct vdev *d)
{
	struct blk *b = open_packed(d, 0, 64);
	struct blk_header *h = alloc(16 * 16, 16);
	u8 *status = alloc(16, 16), *data = alloc(512 * 16, 512);
	u16 heads[16], seen = 0;

	memset(status, BLK_NO_STATUS, 16);
	for (u32 i = 0; i < 16; i++) {
		struct buf bufs[3] = {
		    {h + i, 16, false}, {data + 512 * i, 512, true}, {status + i, 1, true}};

		h[i].sector = i;
		heads[i] = vq_chain(b->q, bufs, 3);
	}
	for (u32 i = 16; i-- > 0;)
		vq_offer(b->q, heads[i]); /* the first one last, so that all appear at once */
	vq_kick(b->q);
	for (u32 i = 0; i < 16; i++) {
		struct done x = vq_wait(b->q);

		must_be(x.len, 513, "used length");
		seen |= 1 << x.id / 3;
	}
	must_be(seen, 0xffff, "the ids that came back");
	for (u32 i = 0; i < 16; i++)
		must_be(status[i], BLK_OK, "status of request %u", i);
}

static void untouched(struct vdev *d)
{
	struct blk *b = open_packed(d, 0, 16);
	struct blk_header before;

	read_one(b);
	before = *(struct blk_header *)b->header;
	read_one(b);
	must(!memcmp(&before, (void *)b->header, sizeof(before)), "the header was written to");
}

static void framing(struct vdev *d)
{
	struct blk *b = open_packed(d, 0, 16);
	const u8 *h = (const u8 *)b->header;
	struct buf whole[3], bufs[5];

	for (u32 cut = 1; cut < 16; cut += 5) {
		request(b, whole);
		bufs[0] = (struct buf){h, cut, false};
		bufs[1] = (struct buf){h + cut, 16 - cut, false};
		bufs[2] = (struct buf){b->data, 100 + cut, true};
		bufs[3] = (struct buf){b->data + 100 + cut, 412 - cut, true};
		bufs[4] = whole[2];
		must_be(vq_do(b->q, bufs, 5).len, 513, "used length, header cut at %u", cut);
		must_be(*b->status, BLK_OK, "status, header cut at %u", cut);
	}
}

static void indirect(struct vdev *d)
{
	struct blk *b = open_packed(d, F_INDIRECT, 8);
	struct buf bufs[3];

	for (u32 i = 0; i < 20; i++) {
		u16 head;

		request(b, bufs);
		head = vq_indirect(b->q, bufs, 3);
		if (i & 1)
			b->q->first_flags[head] |= D_WRITE;
		vq_offer(b->q, head);
		vq_kick(b->q);
		must_be(vq_wait(b->q).len, 513, "used length of request %u", i);
		must_be(*b->status, BLK_OK, "status of request %u", i);
	}
}

static void indirect_flags(struct vdev *d)
{
	struct blk *b = open_packed(d, F_INDIRECT, 8);
	struct buf bufs[3];
	struct pdesc *t;
	u16 head;

	request(b, bufs);
	head = vq_indirect(b->q, bufs, 3);
	t = (void *)b->q->ring[head].addr;
	for (u32 i = 0; i < 3; i++) {
		t[i].id = 0x5555;
		t[i].flags |=
		    D_NEXT | P_AVAIL | P_USED; /* of these only WRITE means something in a table */
	}
	vq_offer(b->q, head);
	vq_kick(b->q);
	must_be(vq_wait(b->q).len, 513, "used length");
	must_be(*b->status, BLK_OK, "status");
}

/* --- event suppression */

static struct blk *with_msix(struct vdev *d, u64 features)
{
	vd_msix(d);
	return open_packed(d, features, 16);
}

static void event_flags(struct vdev *d)
{
	struct blk *b = with_msix(d, 0);

	b->q->driver[1] = 1; /* disable */
	read_one(b);
	read_one(b);
	delay_us(SETTLE);
	must_be(irq_count[VEC_MSI(1)], 0, "interrupts while they are disabled");
	b->q->driver[1] = 0;
	read_one(b);
	must(wait_until(irq_count[VEC_MSI(1)] == 1, PATIENCE),
	     "no interrupt once they are enabled");
}

static void event_desc(struct vdev *d)
{
	struct blk *b = with_msix(d, F_EVENT_IDX);

	read_one(b); /* slots 0..2; its interrupt may come */
	wait_until(irq_count[VEC_MSI(1)], PATIENCE / 10);
	irq_reset();
	b->q->driver[0] = 9 | 1 << 15; /* slot 9 in the first lap */
	b->q->driver[1] = 2;
	read_one(b); /* 3..5 */
	read_one(b); /* 6..8 */
	delay_us(SETTLE);
	must_be(irq_count[VEC_MSI(1)], 0, "interrupts before the slot that was named");
	read_one(b); /* 9..11 */
	must(wait_until(irq_count[VEC_MSI(1)] == 1, PATIENCE),
	     "no interrupt for the slot that was named");
	read_one(b);
	delay_us(SETTLE);
	must_be(irq_count[VEC_MSI(1)], 1, "interrupts after the slot that was named");
}

static void device_area(struct vdev *d)
{
	struct blk *b = open_packed(d, F_EVENT_IDX, 16);
	u32 kicks = 0;

	for (u32 i = 0; i < 40; i++) {
		struct buf bufs[3];
		u16 next = b->q->next, off;
		bool wrap = b->q->wrap;

		request(b, bufs);
		vq_offer(b->q, vq_chain(b->q, bufs, 3));
		mb();
		must(b->q->device[1] <= 2, "flags %#x", b->q->device[1]);
		off = b->q->device[0];
		if (b->q->device[1] == 0 ||
		    (b->q->device[1] == 2 && (off & 0x7fff) == next && (off >> 15) == wrap)) {
			vq_kick(b->q);
			kicks++;
		}
		vq_wait(b->q);
		must_be(*b->status, BLK_OK, "status of request %u", i);
	}
	must(kicks, "no kick was ever asked for");
}

/* --- hostile */

static void outcome(struct blk *b, u16 head)
{
	vq_offer(b->q, head);
	vq_kick(b->q);
	wait_until(vd_status(b->d) & S_NEEDS_RESET || *b->status != BLK_NO_STATUS, SETTLE);
	must(vd_status(b->d) & S_DRIVER && vd_status(b->d) != 0xff, "device status %#x",
	     vd_status(b->d));
}

static void endless_chain(struct vdev *d)
{
	struct blk *b = open_packed(d, 0, 8);

	for (u32 i = 0; i < 8; i++)
		b->q->ring[i] = (struct pdesc){gpa(b->data), 16, i, D_NEXT | P_AVAIL};
	b->q->first_flags[0] = D_NEXT | P_AVAIL;
	outcome(b, 0);
}

static void bad_buffers(struct vdev *d)
{
	static const u64 addrs[] = {~0ull, ~0ull - 100, 1ull << 63, 1ull << 40, 0xfee00000};

	for (u32 i = 0; i < ARRAY_SIZE(addrs) * 3; i++) {
		struct blk *b = open_packed(d, 0, 8);
		struct buf bufs[3];

		request(b, bufs);
		bufs[i % 3].p = (void *)addrs[i / 3];
		outcome(b, vq_chain(b->q, bufs, 3));
		must(*b->status != BLK_OK, "a success with a buffer at %#lx", addrs[i / 3]);
		arena_reset();
	}
}

static void bad_tables(struct vdev *d)
{
	static const u32 lens[] = {0, 1, 15, 17, 0xfffffff0, 0xffffffff};

	for (u32 i = 0; i < ARRAY_SIZE(lens) + 3; i++) {
		struct blk *b = open_packed(d, F_INDIRECT, 8);
		struct buf bufs[3];
		u16 head;

		request(b, bufs);
		head = vq_indirect(b->q, bufs, 3);
		if (i < ARRAY_SIZE(lens))
			b->q->ring[head].len = lens[i];
		else if (i == ARRAY_SIZE(lens))
			b->q->ring[head].addr = ~0ull - 20;
		else if (i == ARRAY_SIZE(lens) + 1)
			((struct pdesc *)b->q->ring[head].addr)[1].flags |= D_INDIRECT;
		else
			b->q->first_flags[head] |= D_NEXT;
		outcome(b, head);
		arena_reset();
	}
}

static void bad_events(struct vdev *d)
{
	struct blk *b = with_msix(d, F_EVENT_IDX);

	b->q->driver[1] = 3;
	read_one(b);
	b->q->driver[1] = 0xffff;
	b->q->driver[0] = 0xffff;
	read_one(b);
	b->q->driver[1] = 2;
	b->q->driver[0] = 0x7000;
	read_one(b);
}

static void bad_sizes(struct vdev *d)
{
	skip_if(!(d->offered & F_PACKED), "RING_PACKED is not offered");
	for (u32 size = 0x8000; size <= 0xffff; size += 0x7fff) {
		vd_begin(d, F_PACKED);
		vd_select(d, 0);
		reg_w16(&d->common, C_QUEUE_SIZE, size);
		reg_w16(&d->common, C_QUEUE_ENABLE, 1);
		vd_go(d);
		must(vd_reset(d), "no reset");
	}
}

static const struct test tests[] = {
	{"PACK-10,PACK-11,PACK-12", "rings of every power of two", sizes, BLK, 0},
	{"PACK-19", "rings of other sizes", odd_sizes, BLK, 0},
	{"PACK-19", "a ring of one slot", one_slot, BLK, 0},
	{"PACK-10,PACK-16", "lists lie across the ring's end", wraps, BLK, 0},
	{"PACK-07,PACK-11,PACK-14", "a used descriptor's flags and length", used_flags, BLK, 0},
	{"PACK-13", "a used descriptor says WRITE where something was stored", used_write, BLK, 0},
	{"PACK-15", "the id is the last descriptor's", id_of_last, BLK, 0},
	{"PACK-06", "nothing is taken before its AVAIL flag says so", not_yet, BLK, 0},
	{"PACK-01,PACK-02,PACK-08", "a batch that appears at once", batch, BLK, 0},
	{"PACK-04", "readable buffers are not written", untouched, BLK, 0},
	{"SPLIT-04,PACK-08", "any framing of a request works", framing, BLK, 0},
	{"IND-07,IND-08", "indirect tables, WRITE on their descriptor or not", indirect, BLK, 0},
	{"IND-07", "flags and ids inside a table are ignored", indirect_flags, BLK, 0},
	{"EVIDX-06", "interrupts disabled and enabled", event_flags, BLK, 0},
	{"EVIDX-06", "an interrupt for the slot that was named", event_desc, BLK, 0},
	{"EVIDX-07,SUPP-07,NOTIF-05", "kicks by the device's event area only lose nothing", device_area,
	 BLK, 0},
	{"X-PACK-01", "a list that never ends", endless_chain, BLK, HOSTILE},
	{"X-PACK-02", "buffers outside RAM", bad_buffers, BLK, HOSTILE},
	{"X-PACK-03", "indirect tables that can't be", bad_tables, BLK, HOSTILE},
	{"X-PACK-04", "event areas that mean nothing", bad_events, BLK, HOSTILE},
	{"X-PACK-05", "sizes beyond 32768", bad_sizes, BLK, HOSTILE},
};

const struct suite suite_packed = {"packed", tests, ARRAY_SIZE(tests)};
