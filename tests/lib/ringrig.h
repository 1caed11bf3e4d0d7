/* SPDX-License-Identifier: GPL-2.0-only */
/* ringrig: a fake driver and a queue on the same memory, and counters for what the queue says. */
#pragma once

#include <stdio.h>

#include "fakedrv.h"
#include "tap.h"

struct rig {
	struct drv d;
	struct virtq q;
	unsigned fails, staged, calls;
	char why[160];
};

/* What is tried with every kind of ring. */
static const struct rig_kind {
	const char *name;
	struct virtq_conf conf;
} rig_kinds[] __attribute__((unused)) = {
	{ "split", { .size = 8, .indirect = true } },
	{ "split, event_idx", { .size = 8, .indirect = true, .event_idx = true } },
	{ "split, in_order", { .size = 8, .indirect = true, .in_order = true } },
	{ "packed", { .size = 8, .indirect = true, .packed = true } },
	{ "packed, size 7", { .size = 7, .indirect = true, .packed = true } },
	{ "packed, event_idx", { .size = 8, .indirect = true, .packed = true, .event_idx = true } },
	{ "packed, in_order", { .size = 8, .indirect = true, .packed = true, .in_order = true } },
};
#define RIG_KINDS (sizeof(rig_kinds) / sizeof(rig_kinds[0]))

static inline void rig_failed(void *opaque, const char *why)
{
	struct rig *g = opaque;

	g->fails++;
	snprintf(g->why, sizeof(g->why), "%s", why);
}

static inline void rig_staged(void *opaque)
{
	((struct rig *)opaque)->staged++;
}

static inline void rig_called(void *opaque, unsigned n)
{
	((struct rig *)opaque)->calls += n;
}

static inline void rig_open(struct rig *g, const struct virtq_conf *conf)
{
	memset(g, 0, sizeof(*g));
	drv_open(&g->d, conf, 1 << 20);
	g->q.name = "ring";
	g->q.fail = rig_failed;
	g->q.staged = rig_staged;
	g->q.opaque = g;
	g->q.call = (struct irq){ .fd = -1, .fn = rig_called, .opaque = g, .n = 1 };
	if (virtq_start(&g->q, &g->d.mem, &g->d.conf))
		ok(false, "a good ring starts");
}

/* Both sides from the beginning, on zeroed memory. */
static inline void rig_restart(struct rig *g)
{
	virtq_stop(&g->q);
	drv_reset(&g->d);
	g->fails = g->staged = g->calls = 0;
	if (virtq_start(&g->q, &g->d.mem, &g->d.conf))
		ok(false, "the ring starts again");
}

static inline void rig_close(struct rig *g)
{
	virtq_stop(&g->q);
	drv_close(&g->d);
}

/* One buffer of n pieces, shown. */
static inline int rig_offer(struct rig *g, const struct drv_seg *seg, unsigned n)
{
	int id = drv_add(&g->d, seg, n);

	drv_publish(&g->d);
	return id;
}

/* A buffer of one piece with room for an answer. */
static inline int rig_offer_one(struct rig *g)
{
	return rig_offer(g, &(struct drv_seg){ g->d.data, 16, true }, 1);
}

static inline int rig_offer_table(struct rig *g, uint64_t table, const struct drv_seg *seg,
				  unsigned n)
{
	int id = drv_add_table(&g->d, table, seg, n);

	drv_publish(&g->d);
	return id;
}

/* Does everything offered come back? */
static inline bool rig_works(struct rig *g)
{
	for (unsigned i = 0; i < 3 * g->d.size; i++) {
		int id = rig_offer_one(g);
		struct vreq *r = virtq_pop(&g->q);

		if (!r)
			return false;
		virtq_push(&g->q, r);
		virtq_flush(&g->q);
		if (drv_used(&g->d, NULL, NULL) != id)
			return false;
	}
	return !virtq_pop(&g->q) && !g->fails;
}

/* Every test with every kind of ring. */
static inline void rig_each(void (*const *tests)(struct rig *), size_t n)
{
	for (size_t k = 0; k < RIG_KINDS; k++) {
		printf("# %s\n", rig_kinds[k].name);
		for (size_t t = 0; t < n; t++) {
			struct rig g;

			rig_open(&g, &rig_kinds[k].conf);
			tests[t](&g);
			rig_close(&g);
		}
	}
}
