// SPDX-License-Identifier: GPL-2.0-only
/* test_virtq_split: rules that only a split ring has, each broken once. */
#include "ringrig.h"

#define D(g) ((g)->d.data)

static const struct virtq_conf plain = { .size = 8, .indirect = true };
static const struct virtq_conf event = { .size = 8, .indirect = true, .event_idx = true };
static const struct virtq_conf empty = { .size = 8, .notify_on_empty = true };
static const struct virtq_conf both = { .size = 8, .event_idx = true, .notify_on_empty = true };

static void desc(struct rig *g, unsigned i, uint64_t addr, uint32_t len, unsigned flags, unsigned next)
{
	g->d.desc[i].addr = addr;
	g->d.desc[i].len = len;
	g->d.desc[i].s.flags = (uint16_t)flags;
	g->d.desc[i].s.next = (uint16_t)next;
}

/* Descriptor k of the table at gpa. */
static void entry(struct rig *g, uint64_t gpa, unsigned k, unsigned flags, unsigned next)
{
	struct drv_desc e = { .addr = D(g) + 0x100 + 16 * k, .len = 1 + k };

	e.s.flags = (uint16_t)flags;
	e.s.next = (uint16_t)next;
	memcpy((uint8_t *)drv_ptr(&g->d, gpa) + 16 * k, &e, 16);
}

static void show(struct rig *g, uint16_t head)
{
	g->d.avail[2 + g->d.avail[1] % g->d.size] = head;
	g->d.avail[1]++;
}

static void broken(struct rig *g, const char *what, const char *why)
{
	struct vreq *r = virtq_pop(&g->q);

	ok(!r && g->fails == 1 && strstr(g->why, why), "%s: broken", what);
	if (!g->fails || !strstr(g->why, why))
		printf("#   said: \"%s\"\n", g->fails ? g->why : "");
	rig_restart(g);
	if (!rig_works(g))
		ok(false, "%s: mended by a restart", what);
	rig_restart(g);
}

static void test_indices(struct rig *g)
{
	struct vreq *r;

	show(g, 8);
	broken(g, "head 8 in a ring of 8", "head 8");
	show(g, 0xffff);
	broken(g, "head 65535", "head 65535");
	g->d.avail[1] = 9;
	broken(g, "avail.idx 9 ahead", "jumped 9");
	g->d.avail[1] = 0xffff;
	broken(g, "avail.idx going back", "jumped 65535");

	desc(g, 3, D(g), 4, F_WRITE, 0);
	show(g, 3);
	show(g, 3);
	r = virtq_pop(&g->q);
	ok(r && r->id == 3, "a head once is fine");
	broken(g, "the same head while it is in flight", "in flight");

	desc(g, 3, D(g), 4, F_WRITE, 0);
	show(g, 3);
	virtq_push(&g->q, virtq_pop(&g->q));
	virtq_flush(&g->q);
	show(g, 3);
	r = virtq_pop(&g->q);
	ok(r && !g->fails, "the same head after its completion is fine");
	virtq_unpop(&g->q, r);
	ok(virtq_pop(&g->q) && !g->fails, "and after an unpop");
	rig_restart(g);
}

static void test_chains(struct rig *g)
{
	struct vreq *r;

	desc(g, 0, D(g), 1, F_NEXT, 8);
	show(g, 0);
	broken(g, "next 8 in a ring of 8", "next 8");
	desc(g, 0, D(g), 1, F_NEXT, 0);
	show(g, 0);
	broken(g, "a descriptor that follows itself", "loop");
	desc(g, 0, D(g), 1, F_NEXT, 5);
	desc(g, 5, D(g), 0, F_NEXT, 0);
	show(g, 0);
	broken(g, "a loop of two, one of them empty", "loop");
	desc(g, 0, 0, 0, F_NEXT | F_WRITE, 0);
	show(g, 0);
	broken(g, "a loop of nothing", "loop");

	/* Two heads, one tail: more descriptors in flight than there are, in the end. */
	for (unsigned i = 0; i < 8; i++)
		desc(g, i, D(g), 1, i < 7 ? F_NEXT : 0, i + 1);
	show(g, 4);
	r = virtq_pop(&g->q);
	ok(r && r->out.left == 4, "a chain of four");
	show(g, 3);
	broken(g, "another that runs into it", "more descriptors");

	desc(g, 6, D(g) + 6, 1, F_NEXT, 2);
	desc(g, 2, D(g) + 2, 2, F_NEXT, 7);
	desc(g, 7, D(g) + 7, 4, F_WRITE, 6);
	show(g, 6);
	r = virtq_pop(&g->q);
	ok(r && r->id == 6 && r->out.left == 3 && r->in.left == 4,
	   "descriptors in any order; next without NEXT means nothing");
	rig_restart(g);
}

static void test_tables(struct rig *g)
{
	uint64_t t = D(g) + 0x1003;
	uint8_t want[8], got[8];
	struct vreq *r;

	entry(g, t, 0, F_NEXT, 3);
	entry(g, t, 3, F_NEXT, 1);
	entry(g, t, 1, F_WRITE | F_NEXT, 2);
	entry(g, t, 2, F_WRITE, 77);
	desc(g, 2, t, 64, F_INDIRECT, 99);
	memset(drv_ptr(&g->d, D(g) + 0x100), 'a', 1);
	memset(drv_ptr(&g->d, D(g) + 0x130), 'd', 4);
	show(g, 2);
	r = virtq_pop(&g->q);
	ok(r && r->out.left == 5 && r->in.left == 5, "a table walked by its next words");
	memcpy(want, "adddd", 5);
	ok(r && vread(&r->out, got, 5) && !memcmp(want, got, 5), "in their order");
	ok(r && r->slots == 1, "it takes one entry of the ring");
	rig_restart(g);

	entry(g, t, 0, F_WRITE, 0);
	desc(g, 1, D(g), 8, F_NEXT, 4);
	desc(g, 4, t, 16, F_INDIRECT | F_WRITE, 0);
	show(g, 1);
	r = virtq_pop(&g->q);
	ok(r && r->out.left == 8 && r->in.left == 1 && r->slots == 2,
	   "a direct descriptor, then a table");
	rig_restart(g);

	entry(g, t, 0, 0, 0);
	desc(g, 1, D(g), 8, F_NEXT | F_WRITE, 4);
	desc(g, 4, t, 16, F_INDIRECT, 0);
	show(g, 1);
	broken(g, "a writable descriptor, then a table that reads", "follows");

	desc(g, 0, t, 32, F_INDIRECT, 0);
	entry(g, t, 0, F_NEXT, 2);
	show(g, 0);
	broken(g, "next 2 in a table of 2", "next is 2");
	desc(g, 0, t, 32, F_INDIRECT, 0);
	entry(g, t, 0, F_NEXT, 1);
	entry(g, t, 1, F_NEXT, 0);
	show(g, 0);
	broken(g, "a loop in a table", "loop");
	desc(g, 0, t, 32, F_INDIRECT, 0);
	entry(g, t, 0, F_NEXT, 1);
	entry(g, t, 1, F_INDIRECT, 0);
	show(g, 0);
	broken(g, "a table in a table", "inside");
	desc(g, 0, t, 16, F_INDIRECT | F_NEXT, 1);
	desc(g, 1, D(g), 1, 0, 0);
	show(g, 0);
	broken(g, "a table that has a next", "both");
}

/* The driver's two areas are read only, whatever happens. */
static void test_read_only(struct rig *g)
{
	struct drv_desc table[8];
	uint16_t avail[3 + 8];
	bool same = true;

	for (unsigned i = 0; i < 20; i++) {
		struct drv_seg seg[2] = { { D(g), 8, false }, { D(g) + 64, 8, true } };
		struct vreq *r;

		rig_offer(g, seg, 2);
		memcpy(table, g->d.desc, sizeof(table));
		memcpy(avail, g->d.avail, sizeof(avail));
		virtq_quiet(&g->q);
		r = virtq_pop(&g->q);
		virtq_unpop(&g->q, r);
		r = virtq_pop(&g->q);
		vwrite_zero(&r->in, 8);
		virtq_push(&g->q, r);
		virtq_flush(&g->q);
		virtq_listen(&g->q);
		same &= !memcmp(table, g->d.desc, sizeof(table));
		same &= !memcmp(avail, g->d.avail, sizeof(avail));
		drv_used(&g->d, NULL, NULL);
	}
	ok(same, "descriptors and the available ring are never written");
}

static unsigned one_call(struct rig *g)
{
	g->calls = 0;
	rig_offer_one(g);
	virtq_push(&g->q, virtq_pop(&g->q));
	virtq_flush(&g->q);
	drv_used(&g->d, NULL, NULL);
	return g->calls;
}

static void test_flags(struct rig *g)
{
	uint16_t *used_flags = &g->d.used[0], *used_event = &g->d.avail[2 + 8];
	bool every = true;

	*used_flags = 1;
	virtq_listen(&g->q);
	is(*used_flags, 0, "the first listen clears what the driver left in used.flags");
	virtq_quiet(&g->q);
	is(*used_flags, 1, "quiet is 1");
	virtq_listen(&g->q);
	is(*used_flags, 0, "listen is 0");
	is(g->d.used[2 + 4 * 8], 0, "and avail_event isn't touched");
	for (unsigned i = 0; i < 16; i++) {
		*used_event = (uint16_t)(i * 977);
		every &= one_call(g) == 1;
	}
	ok(every, "without event_idx used_event is ignored");
	g->d.avail[0] = 1;
	is(one_call(g), 0, "avail.flags 1: no interrupt");
	g->d.avail[0] = 0;
	is(one_call(g), 1, "avail.flags 0: one each");
}

static void test_event(struct rig *g)
{
	uint16_t *used_flags = &g->d.used[0], *used_event = &g->d.avail[2 + 8];
	uint16_t *avail_event = &g->d.used[2 + 4 * 8];
	unsigned calls = 0, zero = 1;

	g->d.avail[0] = 1;
	*used_event = 0;
	is(one_call(g), 1, "with event_idx avail.flags is ignored");
	*used_event = 21;
	for (unsigned i = 1; i < 40; i++) {
		unsigned n = one_call(g);

		calls += n;
		if (n)
			is(i, 21, "the interrupt comes with entry 21");
		virtq_quiet(&g->q);
		zero &= !*used_flags;
		virtq_listen(&g->q);
		zero &= !*used_flags && *avail_event == g->d.avail[1];
	}
	is(calls, 1, "and only then");
	ok(zero, "used.flags stays 0 and avail_event names the next entry");
}

static void test_empty(struct rig *g)
{
	struct vreq *a, *b;

	drv_mask(&g->d);
	g->d.avail[2 + 8] = 1000;
	is(one_call(g), 1, "notify_on_empty: the last buffer interrupts, though masked");
	g->calls = 0;
	rig_offer_one(g);
	rig_offer_one(g);
	a = virtq_pop(&g->q);
	virtq_push(&g->q, a);
	virtq_flush(&g->q);
	is(g->calls, 0, "not while another is to be taken");
	b = virtq_pop(&g->q);
	rig_offer_one(g);
	a = virtq_pop(&g->q);
	virtq_push(&g->q, b);
	virtq_flush(&g->q);
	is(g->calls, 0, "nor while one is in flight");
	virtq_push(&g->q, a);
	virtq_flush(&g->q);
	is(g->calls, 1, "but when the last one is done");
}

/* Where the used entries are. */
static void test_used(struct rig *g)
{
	struct vreq *r;

	for (unsigned i = 0; i < 8; i++)
		desc(g, i, D(g), 100, F_WRITE, 0);
	for (unsigned i = 0; i < 11; i++) {
		uint32_t e[2];

		show(g, (uint16_t)(7 - i % 8));
		r = virtq_pop(&g->q);
		vwrite_zero(&r->in, 10 + i);
		virtq_push(&g->q, r);
		memcpy(e, &g->d.used[2 + 4 * (i % 8)], 8);
		if (e[0] != 7 - i % 8 || e[1] != 10 + i || g->d.used[1] != i)
			ok(false, "entry %u is complete before used.idx moves", i);
		virtq_flush(&g->q);
		if (g->d.used[1] != i + 1)
			ok(false, "used.idx is %u", i + 1);
	}
	is(g->d.used[1], 11, "used.idx counts on behind the ring's size");
}

int main(void)
{
	static const struct {
		void (*test)(struct rig *);
		const struct virtq_conf *conf;
	} tests[] = {
		{ test_indices, &plain },   { test_chains, &plain }, { test_tables, &plain },
		{ test_read_only, &plain }, { test_read_only, &event }, { test_flags, &plain },
		{ test_event, &event },	    { test_empty, &empty },  { test_empty, &both },
		{ test_used, &plain },	    { test_used, &event },
	};

	for (unsigned t = 0; t < sizeof(tests) / sizeof(tests[0]); t++) {
		struct rig g;

		rig_open(&g, tests[t].conf);
		tests[t].test(&g);
		rig_close(&g);
	}
	return tap_end();
}
