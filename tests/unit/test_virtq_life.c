// SPDX-License-Identifier: GPL-2.0-only
/* test_virtq_life: what a queue can be started with, where it writes, and what a stop leaves. */
#include <errno.h>

#include "ringrig.h"

#define D(g)   ((g)->d.data)
#define END(g) (DRV_BASE + (g)->d.ram_len)

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

/* One chain of every descriptor of the largest ring, whose pieces can't be joined. */
static void test_longest(void)
{
	struct drv_seg *seg = calloc(VIRTQ_SIZE_MAX, sizeof(*seg));

	for (unsigned packed = 0; packed < 2; packed++) {
		struct virtq_conf c = { .size = VIRTQ_SIZE_MAX, .packed = packed };
		struct vreq *r;
		struct rig g;

		rig_open(&g, &c);
		for (unsigned i = 0; i < VIRTQ_SIZE_MAX; i++)
			seg[i] = (struct drv_seg){ g.d.data + 2 * i, 1, i > 9 };
		rig_offer(&g, seg, VIRTQ_SIZE_MAX);
		r = virtq_pop(&g.q);
		ok(r && r->out.left == 10 && r->in.left == VIRTQ_SIZE_MAX - 10 &&
		   r->n_iov == VIRTQ_SIZE_MAX, "%s: a chain of 32768", packed ? "packed" : "split");
		if (r)
			virtq_push(&g.q, r);
		virtq_flush(&g.q);
		ok(drv_used(&g.d, NULL, NULL) >= 0 && rig_works(&g), "comes back");
		rig_close(&g);
	}
	free(seg);
}

int main(void)
{
	static void (*const tests[])(struct rig *) = {
		test_stop, test_extents, test_start,
	};

	rig_each(tests, sizeof(tests) / sizeof(tests[0]));
	test_sizes();
	test_longest();
	return tap_end();
}
