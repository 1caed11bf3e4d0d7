// SPDX-License-Identifier: GPL-2.0-only
/* test_virtq: what holds for every kind of ring: requests, completions, doorbells, interrupts. */
#include "ringrig.h"

#define D(g) ((g)->d.data)

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
		test_roundtrip, test_len, test_batch, test_any_order, test_unpop, test_doorbell,
		test_interrupts, test_event_in_batch, test_long_run, test_full,
	};

	rig_each(tests, sizeof(tests) / sizeof(tests[0]));
	return tap_end();
}
