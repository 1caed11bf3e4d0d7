// SPDX-License-Identifier: GPL-2.0-only
/* test_virtq_bad: buffers no driver may offer, those just on this side of it, and what they may cost. */
#include <sys/mman.h>

#include "ringrig.h"

#define D(g)	 ((g)->d.data)
#define END(g)	 (DRV_BASE + (g)->d.ram_len)
#define HUGE_GPA 0x100000000ULL

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

/* Address space without memory: it is only pointed to. */
static void add_huge(struct rig *g)
{
	static void *huge;

	if (!huge)
		huge = mmap(NULL, UINT32_MAX, PROT_NONE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	gmem_add(&g->d.mem, HUGE_GPA, huge, UINT32_MAX);
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

	add_huge(g);
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

	add_huge(g);
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

int main(void)
{
	static void (*const tests[])(struct rig *) = {
		test_bad_buffers, test_good_buffers, test_merge, test_bound, test_tables,
		test_broken_in_flight,
	};

	rig_each(tests, sizeof(tests) / sizeof(tests[0]));
	return tap_end();
}
