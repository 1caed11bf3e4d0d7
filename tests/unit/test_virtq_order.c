// SPDX-License-Identifier: GPL-2.0-only
/*
 * test_virtq_order: the two places where a store must be seen before a later load is done. Driver and
 * device do their halves at the same instant, again and again: at least one of them must see the
 * other's store. Without the full barrier in virtq_listen or virtq_flush a pair of cores soon sees
 * neither.
 */
#include <pthread.h>
#include <sched.h>
#include <time.h>

#include "ringrig.h"

#define ROUNDS	  100000
#define BUDGET_NS 400000000LL

struct pair {
	struct rig g;
	unsigned arrived; /* at the meeting points so far, by both */
	bool stop;
	bool news, called; /* the device's halves */
	bool rung, seen;   /* the driver's */
	unsigned rounds, lost_bells, lost_calls, wrong;
};

/* Leaves when both have come, as close together as two cores can. */
static void meet(struct pair *p, unsigned *mine)
{
	unsigned all = *mine += 2;

	__atomic_fetch_add(&p->arrived, 1, __ATOMIC_ACQ_REL);
	for (unsigned spin = 1; __atomic_load_n(&p->arrived, __ATOMIC_ACQUIRE) < all; spin++)
		if (!(spin % 4096))
			sched_yield();
}

/* The two don't leave at quite the same time; try all distances. */
static void jitter(unsigned n)
{
	while (n--)
		__asm__ __volatile__("");
}

static void *device(void *opaque)
{
	struct pair *p = opaque;
	struct virtq *q = &p->g.q;
	unsigned mine = 0, calls = 0;

	for (unsigned i = 0;; i++) {
		struct vreq *r;

		virtq_quiet(q);
		meet(p, &mine);
		if (p->stop)
			return NULL;
		jitter(i % 61);
		p->news = virtq_listen(q);
		meet(p, &mine);
		r = virtq_pop(q);
		p->wrong += !r;
		if (r)
			virtq_push(q, r);
		meet(p, &mine);
		jitter(i % 61);
		virtq_flush(q);
		p->called = q->stat.calls != calls;
		calls = (unsigned)q->stat.calls;
		meet(p, &mine);
	}
}

static void driver(struct pair *p)
{
	struct drv *d = &p->g.d;
	struct drv_seg seg = { d->data, 16, true };
	struct timespec t;
	long long end;
	unsigned mine = 0;

	clock_gettime(CLOCK_MONOTONIC, &t);
	end = t.tv_sec * 1000000000LL + t.tv_nsec + BUDGET_NS;
	do {
		drv_mask(d);
		drv_add(d, &seg, 1);
		meet(p, &mine);
		jitter(p->rounds % 59);
		p->rung = drv_publish(d);
		meet(p, &mine);
		p->lost_bells += !p->rung && !p->news;
		meet(p, &mine);
		jitter(p->rounds % 59);
		p->seen = drv_unmask(d);
		meet(p, &mine);
		p->lost_calls += !p->seen && !p->called;
		p->wrong += drv_used(d, NULL, NULL) < 0;
		clock_gettime(CLOCK_MONOTONIC, &t);
	} while (++p->rounds < ROUNDS && t.tv_sec * 1000000000LL + t.tv_nsec < end);
	p->stop = true;
	meet(p, &mine);
}

int main(void)
{
	for (unsigned kind = 0; kind < 4; kind++) {
		struct virtq_conf conf = { .size = 4, .packed = kind & 1, .event_idx = kind & 2 };
		struct pair p = { .rounds = 0 };
		pthread_t thread;

		rig_open(&p.g, &conf);
		p.g.q.staged = NULL;
		p.g.q.call = IRQ_NONE;
		pthread_create(&thread, NULL, device, &p);
		driver(&p);
		pthread_join(thread, NULL);
		printf("# %s%s: %u rounds\n", conf.packed ? "packed" : "split",
		       conf.event_idx ? ", event_idx" : "", p.rounds);
		is(p.lost_bells, 0, "a buffer is rung for, or seen by listen");
		is(p.lost_calls, 0, "a completion interrupts, or is seen by the driver");
		is(p.wrong, 0, "and nothing else goes wrong");
		rig_close(&p.g);
	}
	return tap_end();
}
