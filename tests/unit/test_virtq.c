// SPDX-License-Identifier: GPL-2.0-only
/* test_virtq: what holds for every kind of ring: requests, completions, life cycle, bad buffers. */
#include <errno.h>
#include <sys/mman.h>

#include "ringrig.h"

#define D(g)	 ((g)->d.data)
#define END(g)	 (DRV_BASE + (g)->d.ram_len)
#define HUGE_GPA 0x100000000ULL

static void test_roundtrip(struct rig *g)
{
	struct drv_seg seg[4] = {
		{ D(g), 3, false }, { D(g) + 100, 5, false }, { D(g) + 200, 4, true },
		{ D(g) + 300, 4, true },
	};
	uint8_t buf[8], *out = drv_ptr(&g->d, D(g));
	struct vreq *r;
	uint32_t len;
	int id;

	ok(virtq_empty(&g->q) && !virtq_pop(&g->q), "nothing offered, nothing popped");
	memcpy(out, "abc", 3);
	memcpy(out + 100, "defgh", 5);
	id = drv_add(&g->d, seg, 4);
	ok(virtq_empty(&g->q) && !virtq_pop(&g->q), "a buffer isn't seen before it is shown");
	drv_publish(&g->d);
	ok(virtq_empty(&g->q), "empty speaks of what was seen, and doesn't look");
	ok(virtq_listen(&g->q) && !virtq_empty(&g->q), "listen does");
	r = virtq_pop(&g->q);
	ok(r && r->out.left == 8 && r->in.left == 8 && !r->opaque, "it has 8 bytes each way");
	ok(vread(&r->out, buf, 8) && !memcmp(buf, "abcdefgh", 8), "the readable part is read");
	ok(vwrite(&r->in, "123456", 6), "an answer is written");
	is(g->q.in_flight, 1, "one request is in flight");
	virtq_push(&g->q, r);
	is(g->q.in_flight, 0, "none after the push");
	is(g->staged, 1, "staged was called");
	is(drv_used(&g->d, NULL, NULL), -1, "the driver sees nothing before the flush");
	virtq_flush(&g->q);
	is(drv_used(&g->d, &len, NULL), id, "then it gets its buffer back");
	is(len, 6, "with the length of the answer");
	ok(!memcmp(out + 200, "1234", 4) && !memcmp(out + 300, "56", 2), "which is there");
	ok(!memcmp(out, "abc", 3) && !memcmp(out + 100, "defgh", 5), "what it sent is unchanged");
	is(g->calls, 1, "and one interrupt");
	virtq_flush(&g->q);
	is(g->calls, 1, "a flush of nothing interrupts nobody");
	ok(rig_works(g), "and so on, three times around the ring");
}

static void test_len(struct rig *g)
{
	struct drv_seg io[2] = { { D(g), 8, false }, { D(g) + 64, 8, true } };
	uint32_t len;
	uint16_t flags = 0;
	struct vreq *r;

	rig_offer(g, io, 2);
	r = virtq_pop(&g->q);
	virtq_push(&g->q, r);
	virtq_flush(&g->q);
	drv_used(&g->d, &len, &flags);
	is(len, 0, "nothing written: length 0");
	ok(!(flags & F_WRITE), "and not marked as written");

	rig_offer(g, io, 2);
	r = virtq_pop(&g->q);
	vwrite(&r->in, "12345678", 8);
	r->len = 3;
	r->len_set = true;
	virtq_push(&g->q, r);
	virtq_flush(&g->q);
	drv_used(&g->d, &len, &flags);
	is(len, 3, "a device can say the length itself");
	ok(!g->d.conf.packed || flags & F_WRITE, "marked as written");

	rig_offer(g, io, 2);
	r = virtq_pop(&g->q);
	ok(!r->len_set && !r->len && !r->opaque, "the next request starts afresh");
	r->len_set = true;
	virtq_push(&g->q, r);
	virtq_flush(&g->q);
	drv_used(&g->d, &len, &flags);
	ok(!g->d.conf.packed || (flags & F_WRITE && !len),
	   "length 0 said by the device: something was stored, behind a gap");

	rig_offer(g, io, 1);
	r = virtq_pop(&g->q);
	r->len_set = true;
	virtq_push(&g->q, r);
	virtq_flush(&g->q);
	drv_used(&g->d, NULL, &flags);
	ok(!g->d.conf.packed || !(flags & F_WRITE), "no room for an answer, never marked written");
}

static void test_batch(struct rig *g)
{
	struct vreq *r[4];
	int id[4];
	bool hidden, same = true;

	for (int i = 0; i < 4; i++)
		id[i] = rig_offer_one(g);
	for (int i = 0; i < 4; i++)
		r[i] = virtq_pop(&g->q);
	ok(r[3] && g->q.in_flight == 4, "four at once");
	for (int i = 0; i < 4; i++)
		virtq_push(&g->q, r[i]);
	is(g->staged, 1, "staged is called for the first of a batch only");
	hidden = !drv_has_used(&g->d);
	ok(hidden, "none of them shows before the flush");
	virtq_flush(&g->q);
	for (int i = 0; i < 4; i++)
		same &= drv_used(&g->d, NULL, NULL) == id[i];
	ok(same, "all four after it, in the order pushed");
	is(g->calls, 1, "one interrupt for all");
	is(g->q.stat.flushes, 1, "one flush counted");
}

static void test_any_order(struct rig *g)
{
	static const int order[4] = { 2, 0, 3, 1 };
	struct drv_seg two[2] = { { D(g), 4, false }, { D(g) + 32, 4, true } };
	bool in_order = g->d.conf.in_order, right = true;
	struct vreq *r[4];
	int id[4];

	for (int round = 0; round < 7; round++) {
		for (int i = 0; i < 4; i++)
			id[i] = rig_offer(g, two, i == 1 ? 2 : 1);
		for (int i = 0; i < 4; i++)
			r[i] = virtq_pop(&g->q);
		for (int i = 0; i < 4; i++) {
			virtq_push(&g->q, r[order[i]]);
			virtq_flush(&g->q);
			if (in_order && !i)
				right &= !drv_has_used(&g->d);
			if (!in_order)
				right &= drv_used(&g->d, NULL, NULL) == id[order[i]];
		}
		for (int i = 0; in_order && i < 4; i++)
			right &= drv_used(&g->d, NULL, NULL) == id[i];
		right &= !drv_has_used(&g->d);
	}
	ok(right, "%s", in_order ? "completions that come early wait for the older ones" :
				   "completions are used in the order they come");
	ok(rig_works(g), "the ring goes on");
}

static void test_unpop(struct rig *g)
{
	struct drv_seg seg[3] = {
		{ D(g), 1, false }, { D(g) + 8, 2, false }, { D(g) + 16, 4, true }
	};
	bool right = true;
	struct vreq *r, *first;
	int a, b;

	for (unsigned i = 0; i < 2 * g->d.size; i++) { /* across the end of the ring too */
		a = rig_offer(g, seg, 2);
		b = rig_offer(g, seg, 3);
		first = virtq_pop(&g->q);
		r = virtq_pop(&g->q);
		right &= first && r && first->id == a && r->id == b;
		virtq_unpop(&g->q, r);
		right &= !virtq_listen(&g->q) && !virtq_empty(&g->q);
		virtq_unpop(&g->q, first);
		right &= !g->q.in_flight;
		first = virtq_pop(&g->q);
		right &= first && first->id == a && first->out.left == 3;
		virtq_push(&g->q, first);
		virtq_flush(&g->q);
		r = virtq_pop(&g->q);
		right &= r && r->id == b && r->out.left == 3 && r->in.left == 4;
		if (!right)
			break;
		virtq_unpop(&g->q, r);
		r = virtq_pop(&g->q);
		virtq_push(&g->q, r);
		virtq_flush(&g->q);
		right &= drv_used(&g->d, NULL, NULL) == a && drv_used(&g->d, NULL, NULL) == b;
	}
	ok(right, "what is unpopped, newest first, is popped again");
	is(g->q.stat.pops, g->q.stat.pushes, "and counted once");
	ok(rig_works(g), "the ring goes on");
}

static void test_doorbell(struct rig *g)
{
	struct drv_seg one = { D(g), 8, true };
	bool event = g->d.conf.event_idx;
	struct vreq *r, *left;

	virtq_quiet(&g->q);
	ok(!virtq_listen(&g->q), "listen on an empty ring: nothing has come");
	drv_add(&g->d, &one, 1);
	ok(drv_publish(&g->d), "the driver rings for the next buffer");
	ok(virtq_listen(&g->q), "listen after a buffer came: look again");
	ok(!virtq_listen(&g->q), "it says so once");
	virtq_quiet(&g->q);
	drv_add(&g->d, &one, 1);
	ok(!drv_publish(&g->d) || (event && !g->d.conf.packed), "quiet: the driver doesn't ring");
	r = virtq_pop(&g->q);
	left = virtq_pop(&g->q);
	ok(!virtq_pop(&g->q) && !virtq_listen(&g->q), "listen after the last pop");
	drv_add(&g->d, &one, 1);
	ok(drv_publish(&g->d), "the driver rings again");
	if (event) {
		drv_add(&g->d, &one, 1);
		ok(!drv_publish(&g->d), "event_idx: but only for the first");
		virtq_push(&g->q, virtq_pop(&g->q));
	}
	virtq_push(&g->q, virtq_pop(&g->q));
	virtq_quiet(&g->q);
	virtq_push(&g->q, r);
	drv_add(&g->d, &one, 1);
	drv_publish(&g->d);
	virtq_unpop(&g->q, virtq_pop(&g->q));
	ok(!virtq_listen(&g->q), "what was looked at and left is no news");
	drv_add(&g->d, &one, 1);
	ok(drv_publish(&g->d), "yet the driver rings for what comes after it");
	virtq_push(&g->q, left);
	while ((r = virtq_pop(&g->q)))
		virtq_push(&g->q, r);
	virtq_flush(&g->q);
	while (drv_used(&g->d, NULL, NULL) >= 0)
		;
	ok(rig_works(g), "the ring goes on");
}

/* Interrupts off, then on again, then after a batch that only contains the awaited one. */
static void test_interrupts(struct rig *g)
{
	bool event = g->d.conf.event_idx, right = true;
	struct vreq *r;

	drv_mask(&g->d);
	if (event && !g->d.conf.packed)
		g->d.avail[0] = 1; /* has no effect with event_idx, see below */
	for (unsigned i = 0; i < 3; i++) {
		rig_offer_one(g);
		virtq_push(&g->q, virtq_pop(&g->q));
		virtq_flush(&g->q);
	}
	is(g->calls, event && !g->d.conf.packed ? 1 : 0, "masked: no interrupt%s",
	   event && !g->d.conf.packed ? " but for the entry asked for" : "");
	while (drv_used(&g->d, NULL, NULL) >= 0)
		;
	g->calls = 0;
	ok(!drv_unmask(&g->d), "the driver waits for the next one");
	rig_offer_one(g);
	virtq_push(&g->q, virtq_pop(&g->q));
	virtq_flush(&g->q);
	is(g->calls, 1, "it is told");
	rig_offer_one(g);
	virtq_push(&g->q, virtq_pop(&g->q));
	virtq_flush(&g->q);
	is(g->calls, event ? 1 : 2, "%s", event ? "once" : "each time");
	while (drv_used(&g->d, NULL, NULL) >= 0)
		;
	for (unsigned i = 0; i < 5 * g->d.size; i++) {
		drv_unmask(&g->d);
		g->calls = 0;
		for (unsigned k = 0; k < 5; k++)
			rig_offer_one(g);
		while ((r = virtq_pop(&g->q)))
			virtq_push(&g->q, r);
		virtq_flush(&g->q);
		right &= g->calls == 1;
		while (drv_used(&g->d, NULL, NULL) >= 0)
			;
	}
	ok(right, "the awaited one at the start of a batch counts, all around the ring");
}

/* Each asks for an offset into the batch and says whether it must be told. */
static void test_event_in_batch(struct rig *g)
{
	bool right = true;
	uint32_t size = g->d.size;

	if (!g->d.conf.event_idx)
		return;
	for (unsigned round = 0; round < 3 * size; round++)
		for (unsigned want = 0; want < 5; want++) {
			uint32_t at = g->d.next_used + want;

			while (virtq_pop(&g->q))
				right = false;
			if (!g->d.conf.packed) {
				g->d.avail[2 + size] = (uint16_t)at;
			} else {
				bool wrap = g->d.used_wrap ^ (at >= size);

				g->d.avail[0] = (uint16_t)((at % size) | wrap << 15);
				g->d.avail[1] = EV_DESC;
			}
			g->calls = 0;
			for (unsigned k = 0; k < 3; k++) {
				rig_offer_one(g);
				virtq_push(&g->q, virtq_pop(&g->q));
			}
			virtq_flush(&g->q);
			right &= g->calls == (want < 3);
			while (drv_used(&g->d, NULL, NULL) >= 0)
				;
		}
	ok(right, "an interrupt exactly when the batch contains the entry asked for");
}

static void test_long_run(struct rig *g)
{
	struct drv_seg seg[3] = {
		{ D(g), 1, false }, { D(g) + 8, 2, false }, { D(g) + 16, 4, true }
	};
	struct vreq *r;
	uint32_t len, n = 70000;
	bool right = true;

	while (n-- && right) {
		int id = rig_offer(g, seg + n % 3, 3 - n % 3);

		r = virtq_pop(&g->q);
		right &= r && vwrite_zero(&r->in, 1 + n % 4);
		if (!right)
			break;
		virtq_push(&g->q, r);
		virtq_flush(&g->q);
		right &= drv_used(&g->d, &len, NULL) == id && len == 1 + n % 4;
	}
	ok(right, "70000 buffers of one to three pieces: indices wrap at 65536");
}

/* --- bad buffers ------------------------------------------------------------------------------ */

/* The ring must be found broken, once, with `why` in the sentence; then it must start again. */
static void expect_broken(struct rig *g, const char *what, const char *why)
{
	struct vreq *r = virtq_pop(&g->q);
	bool quiet;

	ok(!r && g->fails == 1 && strstr(g->why, why), "%s: broken", what);
	if (!g->fails || !strstr(g->why, why))
		printf("#   said: \"%s\"\n", g->fails ? g->why : "");
	quiet = !virtq_pop(&g->q) && !virtq_pop(&g->q) && !virtq_listen(&g->q) &&
		virtq_empty(&g->q) && g->fails == 1;
	rig_restart(g);
	if (!quiet || !rig_works(g))
		ok(false, "%s: said once, then silence, then a restart", what);
	rig_restart(g);
}

static void test_bad_buffers(struct rig *g)
{
	uint64_t d = D(g), end = END(g);
	const struct {
		const char *what, *why;
		unsigned n;
		struct drv_seg seg[3];
	} bad[] = {
		{ "a buffer below RAM", "not RAM", 1, { { DRV_BASE - 1, 2, true } } },
		{ "a buffer behind RAM", "not RAM", 1, { { end, 1, true } } },
		{ "a buffer that ends one byte behind RAM", "not RAM", 1, { { end - 15, 16, false } } },
		{ "a buffer that wraps around", "not RAM", 1, { { UINT64_MAX - 3, 16, false } } },
		{ "a buffer at the top address", "not RAM", 1, { { UINT64_MAX, 1, true } } },
		{ "a bad third piece", "not RAM", 3, { { d, 1, false }, { d, 1, true }, { 0, 1, true } } },
		{ "a readable piece after a writable one", "follows", 2,
		  { { d, 1, true }, { d, 1, false } } },
		{ "an empty readable piece after a writable one", "follows", 2,
		  { { d, 1, true }, { d, 0, false } } },
		{ "a readable piece after an empty writable one", "follows", 2,
		  { { d, 0, true }, { d, 1, false } } },
		{ "4 GiB one way", "4 GiB", 2,
		  { { HUGE_GPA, UINT32_MAX, true }, { d, 1, true } } },
		{ "4 GiB both ways together", "4 GiB", 2,
		  { { HUGE_GPA, 0x80000000, false }, { HUGE_GPA, 0x80000000, true } } },
		{ "a buffer over the end of the second region", "not RAM", 1,
		  { { HUGE_GPA + 1, UINT32_MAX, true } } },
	};

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		rig_offer(g, bad[i].seg, bad[i].n);
		expect_broken(g, bad[i].what, bad[i].why);
		rig_offer_table(g, d + 0x1000, bad[i].seg, bad[i].n);
		expect_broken(g, bad[i].what, bad[i].why);
	}
}

static void test_good_buffers(struct rig *g)
{
	uint64_t d = D(g), end = END(g);
	const struct {
		const char *what;
		unsigned n;
		struct drv_seg seg[4];
		size_t out, in;
	} good[] = {
		{ "the last byte of RAM", 1, { { end - 1, 1, true } }, 0, 1 },
		{ "the first byte of RAM", 1, { { DRV_BASE, 1, false } }, 1, 0 },
		{ "empty pieces anywhere, with any address", 4,
		  { { 7, 0, false }, { d, 5, false }, { UINT64_MAX, 0, true }, { d, 6, true } }, 5, 6 },
		{ "nothing but an empty piece", 1, { { 0, 0, true } }, 0, 0 },
		{ "4 GiB - 1", 2, { { HUGE_GPA, UINT32_MAX - 7, false }, { d, 7, true } },
		  UINT32_MAX - 7, 7 },
	};

	for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct vreq *r;
		int id = rig_offer(g, good[i].seg, good[i].n), idt;

		r = virtq_pop(&g->q);
		ok(r && r->out.left == good[i].out && r->in.left == good[i].in, "%s",
		   good[i].what);
		if (!r)
			return;
		virtq_push(&g->q, r);
		idt = rig_offer_table(g, d + 0x1001, good[i].seg, good[i].n);
		r = virtq_pop(&g->q);
		ok(r && r->out.left == good[i].out && r->in.left == good[i].in,
		   "%s, in an unaligned table", good[i].what);
		if (!r)
			return;
		virtq_push(&g->q, r);
		virtq_flush(&g->q);
		ok(drv_used(&g->d, NULL, NULL) == id && drv_used(&g->d, NULL, NULL) == idt,
		   "and both come back");
	}
}

static void test_merge(struct rig *g)
{
	uint64_t d = D(g);
	struct drv_seg seg[6] = {
		{ d, 4, false },     { d + 4, 4, false }, { d + 9, 1, false },
		{ d + 10, 6, true }, { d + 16, 4, true }, { d + 10, 6, true },
	};
	struct iovec iov[8];
	struct vreq *r;

	rig_offer(g, seg, 6);
	r = virtq_pop(&g->q);
	is(vreader_iov(&r->out, 100, iov, 8), 2, "neighbours are one piece, others are not");
	ok(iov[0].iov_len == 8 && iov[1].iov_len == 1, "of their sum");
	is(vwriter_iov(&r->in, 100, iov, 8), 2, "never across the change of direction");
	ok(iov[0].iov_base == drv_ptr(&g->d, d + 10) && iov[0].iov_len == 10, "right addresses");
	virtq_push(&g->q, r);
	virtq_flush(&g->q);
	drv_used(&g->d, NULL, NULL);
}

/* Many pieces at once, from one table used by all: the bound on our memory. */
static void test_bound(struct rig *g)
{
	unsigned n = 0, size = g->d.size, fits;
	struct drv_seg *seg = calloc(1025, sizeof(*seg));
	struct vreq *r;

	for (unsigned i = 0; i < 1025; i++)
		seg[i] = (struct drv_seg){ D(g) + 0x8000 + 2 * i, 1, true };
	rig_offer_table(g, D(g), seg, 1025);
	expect_broken(g, "a chain of 1025 in a table", "more than 1024");
	rig_offer_table(g, D(g), seg, 1024);
	r = virtq_pop(&g->q);
	ok(r && r->in.left == 1024 && r->n_iov == 1024, "1024 are taken, however short the ring");
	for (n = 1; n < size; n++) {
		rig_offer_table(g, D(g), seg, 1024);
		if (!virtq_pop(&g->q))
			break;
	}
	fits = (size * 256 + 2048) / 1024;
	ok(n == fits && g->fails == 1, "%u of them at once, then the ring is broken", fits);
	rig_restart(g);

	for (unsigned i = 0; i < 3 * size; i++) {
		struct vreq *out[8];

		for (unsigned k = 0; k < size; k++) {
			rig_offer_table(g, D(g), seg, k == i % size ? 1024 : 5);
			out[k] = virtq_pop(&g->q);
		}
		for (unsigned k = 0; k < size && out[k]; k++)
			virtq_push(&g->q, out[k]);
		virtq_flush(&g->q);
		while (drv_used(&g->d, NULL, NULL) >= 0)
			;
	}
	is(g->fails, 0, "what idle requests keep does not count against it");
	free(seg);
}

static void test_tables(struct rig *g)
{
	struct virtq_conf plain = g->d.conf;
	struct drv_seg seg[2] = { { D(g) + 0x2000, 4, false }, { D(g) + 0x2010, 4, true } };
	static const uint32_t len[] = { 0, 1, 15, 17, 31 };
	struct drv_desc *desc;
	struct vreq *r;

	for (unsigned i = 0; i < 5; i++) {
		rig_offer_table(g, D(g), seg, 2);
		g->d.desc[0].len = len[i];
		expect_broken(g, "a table of an odd length", "table of");
	}
	rig_offer_table(g, D(g), seg, 2);
	g->d.desc[0].addr = END(g) - 16;
	expect_broken(g, "a table that ends behind RAM", "table at");
	rig_offer_table(g, D(g), seg, 2);
	g->d.desc[0].len = 0xfffffff0;
	expect_broken(g, "a table of almost 4 GiB", "table at");

	desc = &g->d.desc[0];
	rig_offer_table(g, D(g), seg, 2);
	*(g->d.conf.packed ? &desc->p.flags : &desc->s.flags) |= F_WRITE;
	r = virtq_pop(&g->q);
	ok(r && r->out.left == 4 && r->in.left == 4, "WRITE on the table's descriptor is ignored");
	rig_restart(g);
	rig_offer_table(g, D(g), seg, 2);
	*(g->d.conf.packed ? &desc->p.flags : &desc->s.flags) |= F_NEXT;
	expect_broken(g, "INDIRECT and NEXT", g->d.conf.packed ? "in a list" : "both");

	virtq_stop(&g->q);
	plain.indirect = false;
	drv_reset(&g->d);
	ok(!virtq_start(&g->q, &g->d.mem, &plain), "a ring without INDIRECT_DESC");
	rig_offer_table(g, D(g), seg, 2);
	expect_broken(g, "a table that was not negotiated", "negotiated");
}

/* --- life cycle ------------------------------------------------------------------------------- */

static void test_broken_in_flight(struct rig *g)
{
	struct vreq *r;
	int id = rig_offer_one(g);

	r = virtq_pop(&g->q);
	rig_offer(g, &(struct drv_seg){ 0, 1, true }, 1);
	ok(!virtq_pop(&g->q) && g->fails == 1, "a bad buffer behind a good one");
	virtq_push(&g->q, r);
	virtq_flush(&g->q);
	is(drv_used(&g->d, NULL, NULL), id, "the good one is still completed");
	rig_offer_one(g);
	ok(!virtq_pop(&g->q) && g->fails == 1, "nothing more is taken");
}

static void test_stop(struct rig *g)
{
	uint8_t *copy = malloc(g->d.ram_len);
	struct vreq *r;

	rig_offer_one(g);
	rig_offer_one(g);
	r = virtq_pop(&g->q);
	virtq_pop(&g->q);
	virtq_push(&g->q, r);
	memcpy(copy, g->d.ram, g->d.ram_len);
	virtq_stop(&g->q);
	virtq_flush(&g->q);
	virtq_quiet(&g->q);
	ok(!g->q.running && !virtq_pop(&g->q) && virtq_empty(&g->q) && !virtq_listen(&g->q),
	   "a stopped queue has nothing");
	ok(!memcmp(copy, g->d.ram, g->d.ram_len), "and leaves the memory alone");
	virtq_stop(&g->q);
	free(copy);
	drv_reset(&g->d);
	g->fails = 0;
	ok(!virtq_start(&g->q, &g->d.mem, &g->d.conf) && g->q.running && !g->q.in_flight,
	   "it starts again");
	ok(rig_works(g), "from the beginning");
}

/* One byte around each area is somebody else's. */
static void test_extents(struct rig *g)
{
	uint64_t n = g->d.size, page = D(g) + 0x4000;
	size_t used = g->d.conf.packed ? 4 : 6 + 8 * n, avail = g->d.conf.packed ? 4 : 6 + 2 * n;
	uint8_t *p = drv_ptr(&g->d, page);
	bool guard = true;

	virtq_stop(&g->q);
	memset(p, 0x5a, 0x4000);
	g->d.conf.desc = page + 16;
	g->d.conf.driver = page + 0x1004;
	g->d.conf.device = page + 0x2004;
	g->d.desc = drv_ptr(&g->d, g->d.conf.desc);
	g->d.avail = drv_ptr(&g->d, g->d.conf.driver);
	g->d.used = drv_ptr(&g->d, g->d.conf.device);
	memset(g->d.desc, 0, 16 * n);
	memset(g->d.avail, 0, avail);
	memset(g->d.used, 0, used);
	rig_restart(g);
	virtq_listen(&g->q);
	ok(rig_works(g), "areas apart from each other");
	virtq_quiet(&g->q);
	for (unsigned i = 0; i < 0x4000; i++)
		if (!(i >= 16 && i < 16 + 16 * n) && !(i >= 0x1004 && i < 0x1004 + avail) &&
		    !(i >= 0x2004 && i < 0x2004 + used))
			guard &= p[i] == 0x5a;
	ok(guard, "nothing outside the areas is written");
}

static int try_start(struct rig *g, struct virtq_conf conf)
{
	int err = virtq_start(&g->q, &g->d.mem, &conf);

	if (!err)
		virtq_stop(&g->q);
	return err;
}

static void test_start(struct rig *g)
{
	struct virtq_conf c = g->d.conf, good = c;
	uint64_t top = END(g), n = c.size;
	unsigned align = c.packed ? 4 : 2;
	uint64_t avail = c.packed ? 4 : 6 + 2 * n, used = c.packed ? 4 : 6 + 8 * n;

	virtq_stop(&g->q);
	for (unsigned i = 0; i < 4; i++) {
		static const uint32_t sizes[] = { 0, 32769, 65536, UINT32_MAX };

		c.size = sizes[i];
		is(try_start(g, c), -EINVAL, "size %u is refused", c.size);
	}
	c = good;
	c.desc += 8;
	is(try_start(g, c), -EINVAL, "descriptors at 8 modulo 16 are refused");
	c = good;
	c.driver = (D(g) + 64) + align / 2;
	is(try_start(g, c), -EINVAL, "a driver area at %u modulo %u is refused", align / 2, align);
	c = good;
	c.device = (D(g) + 64) + 2;
	is(try_start(g, c), -EINVAL, "a device area at 2 modulo 4 is refused");

	c = good;
	c.desc = top - 16 * n;
	is(try_start(g, c), 0, "descriptors may end with RAM");
	c.desc += 16;
	is(try_start(g, c), -EINVAL, "but not behind it");
	c.desc = DRV_BASE - 16;
	is(try_start(g, c), -EINVAL, "nor start before it");
	c.desc = UINT64_MAX - 15;
	is(try_start(g, c), -EINVAL, "nor wrap around");
	c = good;
	c.driver = (top - avail) / align * align;
	is(try_start(g, c), 0, "the driver area may end with RAM");
	c.driver += align;
	is(try_start(g, c), -EINVAL, "but not behind it");
	c = good;
	c.device = (top - used) / 4 * 4;
	is(try_start(g, c), 0, "the device area may end with RAM");
	c.device += 4;
	is(try_start(g, c), -EINVAL, "but not behind it");
	ok(!g->q.running && !g->q.ring, "nothing is left of a refused start");
	is(try_start(g, good), 0, "a good one follows");
	virtq_start(&g->q, &g->d.mem, &good);
}

static void test_sizes(void)
{
	static const uint32_t sizes[] = { 1, 2, 3, 4, 5, 16, 100, 255, 256, 32767, 32768 };

	for (unsigned i = 0; i < 2 * sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct virtq_conf c = { .size = sizes[i / 2], .packed = i % 2 };
		bool pow2 = !(c.size & (c.size - 1));
		struct rig g;

		if (c.packed || pow2) {
			rig_open(&g, &c);
			ok(rig_works(&g), "%s, size %u", c.packed ? "packed" : "split", c.size);
		} else {
			memset(&g, 0, sizeof(g));
			drv_open(&g.d, &c, 4096);
			is(virtq_start(&g.q, &g.d.mem, &g.d.conf), -EINVAL,
			   "split, size %u is refused", c.size);
		}
		rig_close(&g);
	}
}

/* A whole ring of heads at once, then one chain as long as the ring. */
static void test_full(struct rig *g)
{
	struct drv_seg seg[8];
	struct vreq *r, *reqs[8];
	unsigned n = 0;

	for (unsigned i = 0; i < g->d.size; i++)
		rig_offer_one(g);
	while (n < 8 && (r = virtq_pop(&g->q)))
		reqs[n++] = r;
	ok(n == g->d.size && !virtq_pop(&g->q) && !g->fails, "as many buffers as the ring has entries");
	for (unsigned i = 0; i < n; i++)
		virtq_push(&g->q, reqs[i]);
	virtq_flush(&g->q);
	n = 0;
	while (drv_used(&g->d, NULL, NULL) >= 0)
		n++;
	is(n, g->d.size, "all of them come back");
	for (unsigned i = 0; i < g->d.size; i++)
		seg[i] = (struct drv_seg){ D(g) + 16 * i, 8, true };
	for (unsigned round = 0; round < 5; round++) {
		rig_offer(g, seg, g->d.size);
		r = virtq_pop(&g->q);
		if (!r || r->in.left != 8 * g->d.size)
			break;
		virtq_push(&g->q, r);
		virtq_flush(&g->q);
		drv_used(&g->d, NULL, NULL);
	}
	ok(r && !g->fails && rig_works(g), "a buffer of as many pieces as the ring has entries");
}

int main(void)
{
	static void (*const tests[])(struct rig *) = {
		test_roundtrip, test_len,	   test_batch,	 test_any_order, test_unpop,
		test_doorbell,	test_interrupts,   test_event_in_batch, test_long_run, test_full,
		test_merge,	test_bad_buffers,  test_good_buffers, test_bound, test_tables,
		test_broken_in_flight, test_stop,  test_extents, test_start,
	};
	void *huge = mmap(NULL, UINT32_MAX, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			  -1, 0);

	for (unsigned k = 0; k < RIG_KINDS; k++) {
		printf("# %s\n", rig_kinds[k].name);
		for (unsigned t = 0; t < sizeof(tests) / sizeof(tests[0]); t++) {
			struct rig g;

			rig_open(&g, &rig_kinds[k].conf);
			gmem_add(&g.d.mem, HUGE_GPA, huge, UINT32_MAX);
			tests[t](&g);
			rig_close(&g);
		}
	}
	test_sizes();
	return tap_end();
}
