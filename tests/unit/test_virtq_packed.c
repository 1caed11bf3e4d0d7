// SPDX-License-Identifier: GPL-2.0-only
/* test_virtq_packed: rules that only a packed ring has, each broken once. */
#include "ringrig.h"

#define D(g) ((g)->d.data)

static const struct virtq_conf plain = { .size = 5, .packed = true, .indirect = true };
static const struct virtq_conf event = { .size = 5, .packed = true, .event_idx = true };

static void desc(struct rig *g, unsigned i, uint64_t addr, uint32_t len, unsigned id, unsigned flags)
{
	g->d.desc[i].addr = addr;
	g->d.desc[i].len = len;
	g->d.desc[i].p.id = (uint16_t)id;
	g->d.desc[i].p.flags = (uint16_t)flags;
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

static bool round_trip(struct rig *g)
{
	struct vreq *r;

	rig_offer_one(g);
	r = virtq_pop(&g->q);
	if (!r)
		return false;
	virtq_push(&g->q, r);
	virtq_flush(&g->q);
	return drv_used(&g->d, NULL, NULL) >= 0;
}

static void test_available(struct rig *g)
{
	/* Of the four ways to set the two flags one means available, and it changes with the lap. */
	static const uint16_t flags[4] = { 0, F_AVAIL, F_USED, F_AVAIL | F_USED };

	for (unsigned lap = 0; lap < 2; lap++) {
		for (unsigned i = 0; i < 4; i++) {
			bool avail = flags[i] == (lap ? F_USED : F_AVAIL);
			struct vreq *r;

			desc(g, 0, D(g), 8, 1, flags[i] | F_WRITE);
			r = virtq_pop(&g->q);
			is(!!r, avail, "lap %u, flags %#x are %savailable", lap + 1, flags[i],
			   avail ? "" : "not ");
			if (r)
				virtq_unpop(&g->q, r);
		}
		desc(g, 0, 0, 0, 0, lap ? F_AVAIL | F_USED : 0);
		for (unsigned i = 0; !lap && i < 5; i++)
			if (!round_trip(g))
				ok(false, "one lap of good buffers");
	}
	is(g->fails, 0, "and none of it breaks the ring");
	rig_restart(g);
}

static void test_ids(struct rig *g)
{
	static const uint16_t id[4] = { 65535, 5, 77, 77 };
	bool same = true;

	for (unsigned i = 0; i < 4; i++)
		desc(g, i, D(g), 8, id[i], F_AVAIL | F_WRITE);
	for (unsigned i = 0; i < 4; i++) {
		struct vreq *r = virtq_pop(&g->q);

		same &= r && r->id == id[i];
	}
	ok(same && !g->fails, "an id is the driver's own: any value, twice if it likes");
	rig_restart(g);
}

static void test_lists(struct rig *g)
{
	struct vreq *r;

	desc(g, 0, D(g), 1, 9, F_AVAIL | F_NEXT);
	desc(g, 1, D(g) + 8, 2, 8, F_AVAIL | F_NEXT | F_WRITE);
	desc(g, 2, D(g) + 16, 4, 3, F_AVAIL | F_WRITE);
	r = virtq_pop(&g->q);
	ok(r && r->id == 3 && r->slots == 3, "the id of a list is its last descriptor's");
	ok(r && r->out.left == 1 && r->in.left == 6, "a list of three");
	rig_restart(g);

	desc(g, 0, D(g), 1, 0, F_AVAIL | F_NEXT);
	broken(g, "a list whose second slot is not available", "slot 1");
	desc(g, 0, D(g), 1, 0, F_AVAIL | F_NEXT);
	desc(g, 1, D(g), 1, 0, F_USED);
	broken(g, "a list whose second slot is of another lap", "slot 1");
	for (unsigned i = 0; i < 5; i++)
		desc(g, i, D(g), 1, 0, F_AVAIL | F_NEXT);
	broken(g, "a list without end", "slot 0");

	for (unsigned i = 0; i < 5; i++)
		desc(g, i, D(g), 1, i, F_AVAIL);
	for (unsigned i = 0; i < 5; i++)
		virtq_pop(&g->q);
	desc(g, 0, D(g), 1, 0, F_USED);
	broken(g, "a sixth buffer in a ring of five", "more descriptors");

	/* The same with a list: three in flight, a list of three behind them. */
	for (unsigned i = 0; i < 3; i++)
		desc(g, i, D(g), 1, i, F_AVAIL);
	for (unsigned i = 0; i < 3; i++)
		virtq_pop(&g->q);
	desc(g, 3, D(g), 1, 3, F_AVAIL | F_NEXT);
	desc(g, 4, D(g), 1, 3, F_AVAIL | F_NEXT);
	desc(g, 0, D(g), 1, 3, F_USED);
	broken(g, "a list that runs into buffers in flight", "more descriptors");
}

static void test_tables(struct rig *g)
{
	struct drv_desc e[3];
	struct vreq *r;
	uint64_t t = D(g) + 0x1001;

	for (unsigned i = 0; i < 3; i++) {
		e[i] = (struct drv_desc){ .addr = D(g) + 0x100 * i, .len = 1U << i };
		e[i].p.id = (uint16_t)(0xff00 + i);
		e[i].p.flags = F_NEXT | F_INDIRECT | F_AVAIL | F_USED | (i ? F_WRITE : 0);
	}
	memcpy(drv_ptr(&g->d, t), e, sizeof(e));
	desc(g, 0, t, sizeof(e), 4, F_AVAIL | F_INDIRECT | F_WRITE);
	r = virtq_pop(&g->q);
	ok(r && r->out.left == 1 && r->in.left == 6, "in a table only WRITE has a meaning");
	ok(r && r->id == 4 && r->slots == 1, "the id is the ring's");
	rig_restart(g);

	memcpy(drv_ptr(&g->d, t), e, sizeof(e));
	desc(g, 0, D(g), 1, 4, F_AVAIL | F_NEXT);
	desc(g, 1, t, sizeof(e), 4, F_AVAIL | F_INDIRECT);
	broken(g, "a table at the end of a list", "in a list");
	memcpy(drv_ptr(&g->d, t), e, sizeof(e));
	desc(g, 0, t, sizeof(e), 4, F_AVAIL | F_INDIRECT | F_NEXT);
	desc(g, 1, D(g), 1, 4, F_AVAIL);
	broken(g, "a table at the start of a list", "in a list");
}

/* Where used descriptors are written, and what is in them. */
static void test_used(struct rig *g)
{
	struct vreq *a, *b, *c;

	desc(g, 0, D(g), 64, 10, F_AVAIL | F_WRITE);
	desc(g, 1, D(g), 64, 99, F_AVAIL | F_NEXT);
	desc(g, 2, D(g) + 64, 64, 11, F_AVAIL | F_WRITE);
	desc(g, 3, D(g), 64, 12, F_AVAIL);
	a = virtq_pop(&g->q);
	b = virtq_pop(&g->q);
	c = virtq_pop(&g->q);
	vwrite_zero(&b->in, 7);
	virtq_push(&g->q, b);
	is(g->d.desc[0].p.flags, F_AVAIL | F_WRITE, "the first of a batch shows nothing");
	virtq_push(&g->q, c);
	is(g->d.desc[0].p.flags, F_AVAIL | F_WRITE, "nor does it when more are staged");
	virtq_flush(&g->q);
	is(g->d.desc[0].p.flags, F_AVAIL | F_USED | F_WRITE, "then both flags are the lap's");
	ok(g->d.desc[0].p.id == 11 && g->d.desc[0].len == 7, "first come, first used: slot 0");
	ok(g->d.desc[2].p.id == 12 && g->d.desc[2].p.flags == (F_AVAIL | F_USED),
	   "the next one after the two slots it had; nothing stored, not marked so");
	is(g->d.desc[1].p.flags, F_AVAIL | F_NEXT, "slots in between are skipped");
	desc(g, 4, D(g), 64, 13, F_AVAIL | F_WRITE);
	desc(g, 0, D(g), 64, 14, F_USED | F_WRITE);
	b = virtq_pop(&g->q);
	c = virtq_pop(&g->q);
	vwrite_zero(&c->in, 3);
	virtq_push(&g->q, a);
	virtq_push(&g->q, b);
	virtq_push(&g->q, c);
	virtq_flush(&g->q);
	ok(g->d.desc[3].p.id == 10 && g->d.desc[3].p.flags == (F_AVAIL | F_USED), "slot 3");
	ok(g->d.desc[4].p.id == 13 && g->d.desc[4].p.flags == (F_AVAIL | F_USED), "slot 4");
	ok(g->d.desc[0].p.id == 14 && g->d.desc[0].p.flags == F_WRITE,
	   "slot 0 again, in the second lap with both flags clear");
	rig_restart(g);
}

static unsigned one_call(struct rig *g)
{
	g->calls = 0;
	round_trip(g);
	return g->calls;
}

static void test_driver_event(struct rig *g)
{
	bool idx = g->d.conf.event_idx;

	for (unsigned junk = 0; junk < 2; junk++) {
		uint16_t high = junk ? 0xfffc : 0;

		g->d.avail[0] = (uint16_t)(4 | !g->d.used_wrap << 15); /* nowhere near */
		g->d.avail[1] = high | EV_ENABLE;
		is(one_call(g), 1, "event flags 0: an interrupt");
		g->d.avail[1] = high | EV_DISABLE;
		is(one_call(g), 0, "event flags 1: none");
		g->d.avail[1] = high | 3;
		is(one_call(g), 1, "event flags 3, reserved: better one too many");
	}
	for (unsigned i = 0; i < 15; i++) {
		g->d.avail[0] = (uint16_t)(g->d.next_used | g->d.used_wrap << 15);
		g->d.avail[1] = EV_DESC;
		if (one_call(g) != 1)
			ok(false, "event flags 2, the slot to be used: an interrupt");
		/* The slot just used, once more: it comes again in the next lap only. */
		g->d.avail[0] = (uint16_t)(g->d.next_used ? g->d.next_used - 1 : 4);
		g->d.avail[0] |= (g->d.next_used ? g->d.used_wrap : !g->d.used_wrap) << 15;
		if (one_call(g) != !idx)
			ok(false, "event flags 2, a slot that is past");
	}
	ok(true, "event flags 2: %s", idx ? "for that slot only" : "not negotiated, so always");
	g->d.avail[0] = 0x7fff;
	g->d.avail[1] = EV_DESC;
	for (unsigned i = 0; i < 11; i++)
		round_trip(g);
	is(g->fails, 0, "a slot that doesn't exist harms nobody");
}

/* A list takes several slots; to pass any of them is to pass the one asked for. */
static void test_event_in_list(struct rig *g)
{
	struct drv_seg seg[3] = { { D(g), 1, false }, { D(g) + 8, 1, false }, { D(g), 1, true } };
	bool right = true;

	for (unsigned i = 0; i < 40; i++) {
		unsigned want = i % 4, at = g->d.next_used + want;
		bool wrap = g->d.used_wrap ^ (at >= g->d.size);

		g->d.avail[0] = (uint16_t)(at % g->d.size | wrap << 15);
		g->d.avail[1] = EV_DESC;
		g->calls = 0;
		rig_offer(g, seg, 3);
		virtq_push(&g->q, virtq_pop(&g->q));
		virtq_flush(&g->q);
		drv_used(&g->d, NULL, NULL);
		right &= g->calls == (want < 3);
	}
	ok(right, "event flags 2: a list passes all its slots, and no other");
}

static void test_device_event(struct rig *g)
{
	uint16_t *off_wrap = &g->d.used[0], *flags = &g->d.used[1];
	bool right = true;

	*flags = EV_DISABLE;
	virtq_listen(&g->q);
	is(*flags, g->d.conf.event_idx ? EV_DESC : EV_ENABLE, "listen writes over what was there");
	for (unsigned i = 0; i < 17; i++) {
		virtq_quiet(&g->q);
		right &= *flags == EV_DISABLE;
		round_trip(g);
		virtq_listen(&g->q);
		right &= *flags == (g->d.conf.event_idx ? EV_DESC : EV_ENABLE);
		if (g->d.conf.event_idx)
			right &= *off_wrap == (g->d.next_avail | g->d.avail_wrap << 15);
		else
			right &= !*off_wrap;
	}
	ok(right, "the device's event area says 1, then %s",
	   g->d.conf.event_idx ? "2 and the next slot" : "0");
	rig_offer_one(g);
	virtq_listen(&g->q);
	virtq_listen(&g->q);
	is(*flags, EV_ENABLE, "with something left behind, any slot rings");
	rig_restart(g);
}

int main(void)
{
	static const struct {
		void (*test)(struct rig *);
		const struct virtq_conf *conf;
	} tests[] = {
		{ test_available, &plain },    { test_ids, &plain },	      { test_lists, &plain },
		{ test_tables, &plain },       { test_used, &plain },	      { test_used, &event },
		{ test_driver_event, &plain }, { test_driver_event, &event },
		{ test_event_in_list, &event },  { test_device_event, &plain }, { test_device_event, &event },
	};

	for (unsigned t = 0; t < sizeof(tests) / sizeof(tests[0]); t++) {
		struct rig g;

		rig_open(&g, tests[t].conf);
		tests[t].test(&g);
		rig_close(&g);
	}
	return tap_end();
}
