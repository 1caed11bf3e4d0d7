// SPDX-License-Identifier: GPL-2.0-only
/*
 * test_virtq_race: a driver and a device, each in a thread that sleeps until it is told. A doorbell or
 * an interrupt lost in the window between "nothing there" and "tell me" leaves both asleep, which a
 * deadline turns into a failure. Then a driver that scribbles over everything while the device looks.
 */
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "fakedrv.h"
#include "tap.h"

#if defined(__SANITIZE_THREAD__)
#define TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TSAN 1
#endif
#endif
#ifndef TSAN
#define TSAN 0
#endif

#define DEADLINE_MS 5000
#define DEPTH	    64 /* requests that the device keeps for a while */

struct race {
	struct drv d;
	struct virtq q;
	int kick, call, quit;
	uint32_t buffers; /* that the driver sends */
	/* What came of it. */
	bool stuck, wrong;	/* the driver's findings */
	bool unanswered;	/* the device's */
	uint32_t kicks, fails, served;
};

static uint32_t rnd(uint32_t *state)
{
	*state = *state * 1664525 + 1013904223;
	return *state >> 8;
}

/* Waits for an eventfd; false after the deadline, or when the other side has given up. */
static bool wait_for(struct race *c, int fd)
{
	struct pollfd p[2] = { { fd, POLLIN, 0 }, { c->quit, POLLIN, 0 } };
	eventfd_t n;

	if (poll(p, 2, DEADLINE_MS) <= 0)
		return false;
	if (p[0].revents)
		eventfd_read(fd, &n);
	return p[0].revents;
}

static void failed(void *opaque, const char *why)
{
	struct race *c = opaque;

	printf("#   broken: %s\n", why);
	c->fails++;
}

/* Answers a request: the sum of what came, in every byte that goes. */
static bool answer(struct vreq *r)
{
	uint8_t buf[64], sum = 0;
	size_t n = r->out.left;

	if (n > sizeof(buf) || !vread(&r->out, buf, n))
		return false;
	while (n--)
		sum += buf[n];
	memset(buf, sum, sizeof(buf));
	return vwrite(&r->in, buf, r->in.left);
}

static void *device(void *opaque)
{
	struct race *c = opaque;
	struct virtq *q = &c->q;
	struct vreq *kept[DEPTH], *r;
	uint32_t seed = 1, n = 0;

	while (wait_for(c, c->kick))
		do {
			virtq_quiet(q);
			while ((r = virtq_pop(q))) {
				if (rnd(&seed) % 16 == 0) {
					virtq_unpop(q, r);
					r = virtq_pop(q);
				}
				c->unanswered |= !answer(r);
				c->served++;
				kept[n++] = r;
				if (rnd(&seed) % 4 && n < DEPTH)
					continue;
				while (n) { /* in any order */
					uint32_t i = rnd(&seed) % n;

					virtq_push(q, kept[i]);
					kept[i] = kept[--n];
				}
				if (rnd(&seed) % 2)
					virtq_flush(q);
			}
			while (n)
				virtq_push(q, kept[--n]);
			virtq_flush(q);
		} while (virtq_empty(q) && virtq_listen(q));
	return NULL;
}

/* A buffer of up to three pieces of 16 bytes, at a place that its id makes its own. */
static void offer(struct race *c, uint32_t *seed)
{
	struct drv *d = &c->d;
	unsigned n = 1 + rnd(seed) % 3;
	struct drv_seg seg[3];
	uint64_t at;
	uint8_t *p;

	if (n > d->free)
		n = 1;
	at = d->data + 64 * d->free_list[d->free_head];
	p = drv_ptr(d, at);
	for (unsigned i = 0; i < n; i++)
		seg[i] = (struct drv_seg){ at + 16 * i, 16, i == n - 1 };
	for (unsigned i = 0; i < 16 * (n - 1); i++)
		p[i] = (uint8_t)rnd(seed);
	memset(p + 16 * (n - 1), 0xee, 16);
	drv_add(d, seg, n);
}

static bool check(struct race *c, int id, uint32_t len)
{
	unsigned n = c->d.slots[id];
	uint8_t *p = drv_ptr(&c->d, c->d.data + 64 * (unsigned)id), sum = 0;

	for (unsigned i = 0; i < 16 * (n - 1); i++)
		sum += p[i];
	return len == 16 && p[16 * (n - 1)] == sum && p[16 * n - 1] == sum;
}

static bool reap(struct race *c, uint32_t *back)
{
	uint32_t len, before = *back;
	int id;

	while ((id = drv_used(&c->d, &len, NULL)) >= 0) {
		c->wrong |= !check(c, id, len);
		++*back;
	}
	return *back != before;
}

/* Sleeps only after asking for an interrupt and looking once more. */
static void drive(struct race *c)
{
	uint32_t sent = 0, back = 0, seed = 2;

	while (back < c->buffers) {
		unsigned batch = 1 + rnd(&seed) % 8;

		while (batch-- && sent < c->buffers && c->d.free) {
			offer(c, &seed);
			sent++;
		}
		if (drv_publish(&c->d)) {
			eventfd_write(c->kick, 1);
			c->kicks++;
		}
		drv_mask(&c->d);
		if (reap(c, &back) || (sent < c->buffers && c->d.free))
			continue;
		if (drv_unmask(&c->d))
			continue;
		if (!wait_for(c, c->call)) {
			c->stuck = true;
			break;
		}
	}
}

static void race(const struct virtq_conf *conf, uint32_t buffers)
{
	struct race c = { .buffers = buffers };
	pthread_t thread;

	drv_open(&c.d, conf, 64UL * conf->size);
	c.kick = eventfd(0, 0);
	c.call = eventfd(0, EFD_NONBLOCK);
	c.quit = eventfd(0, 0);
	c.q.call = (struct irq){ .fd = c.call };
	c.q.fail = failed;
	c.q.opaque = &c;
	virtq_start(&c.q, &c.d.mem, &c.d.conf);
	pthread_create(&thread, NULL, device, &c);
	drive(&c);
	eventfd_write(c.quit, 1);
	pthread_join(thread, NULL);
	ok(!c.stuck && !c.wrong && !c.unanswered && !c.fails && c.served == buffers &&
	   !c.q.in_flight,
	   "%s%s%s, size %u: %u buffers, nothing lost", conf->packed ? "packed" : "split",
	   conf->event_idx ? ", event_idx" : "", conf->in_order ? ", in_order" : "", conf->size,
	   buffers);
	printf("#   %u doorbells, %llu flushes, %llu interrupts%s%s\n", c.kicks,
	       (unsigned long long)c.q.stat.flushes, (unsigned long long)c.q.stat.calls,
	       c.stuck ? ", stuck" : "", c.wrong ? ", wrong answers" : "");
	virtq_stop(&c.q);
	close(c.kick);
	close(c.call);
	close(c.quit);
	drv_close(&c.d);
}

/* --- a driver that changes everything while we look ------------------------------------------- */

static void *scribble(void *opaque)
{
	struct race *c = opaque;
	struct drv *d = &c->d;
	uint32_t seed = 3;

	while (!__atomic_load_n(&c->stuck, __ATOMIC_RELAXED)) {
		struct drv_desc *e = &d->desc[rnd(&seed) % (d->size + 16)]; /* a table follows */
		uint16_t flags = (uint16_t)(rnd(&seed) & (F_NEXT | F_WRITE));

		if (d->conf.packed)
			flags |= rnd(&seed) % 2 ? F_AVAIL : F_USED;
		if (rnd(&seed) % 8 == 0)
			flags |= F_INDIRECT;
		e->addr = rnd(&seed) % 8 ? d->data + rnd(&seed) % 4096 : d->conf.desc + 16 * d->size;
		if (rnd(&seed) % 32 == 0)
			e->addr = rnd(&seed);
		e->len = rnd(&seed) % 4 ? rnd(&seed) % 512 : 16 * (rnd(&seed) % 17);
		if (d->conf.packed)
			e->p.flags = flags;
		else
			e->s.flags = flags;
		if (!d->conf.packed) {
			e->s.next = (uint16_t)(rnd(&seed) % (d->size + 1));
			d->avail[2 + rnd(&seed) % d->size] = (uint16_t)(rnd(&seed) % d->size);
			d->avail[1] = (uint16_t)(d->used[1] + rnd(&seed) % d->size);
		}
	}
	return NULL;
}

static void hostile(const struct virtq_conf *conf, unsigned ms)
{
	struct race c = { 0 };
	uint8_t *lo, *hi;
	unsigned restarts = 0;
	uint64_t taken = 0, bad = 0;
	struct timespec t;
	pthread_t thread;
	uint64_t end;

	drv_open(&c.d, conf, 8192);
	lo = c.d.ram;
	hi = lo + c.d.ram_len;
	c.q.call = IRQ_NONE;
	virtq_start(&c.q, &c.d.mem, &c.d.conf);
	pthread_create(&thread, NULL, scribble, &c);
	clock_gettime(CLOCK_MONOTONIC, &t);
	end = (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000 + ms;
	do {
		struct vreq *r = virtq_pop(&c.q);

		if (r) {
			struct iovec *v = r->iov;

			taken++;
			bad += r->n_iov > 1024;
			for (unsigned i = 0; i < r->n_iov; i++, v++)
				bad += (uint8_t *)v->iov_base < lo || v->iov_len > (size_t)(hi - lo) ||
				       (uint8_t *)v->iov_base + v->iov_len > hi;
			virtq_push(&c.q, r);
			virtq_flush(&c.q);
		} else if (c.q.broken) {
			virtq_stop(&c.q);
			restarts += !virtq_start(&c.q, &c.d.mem, &c.d.conf);
		}
		clock_gettime(CLOCK_MONOTONIC, &t);
	} while ((uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000 < end);
	__atomic_store_n(&c.stuck, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	ok(!bad && taken && restarts, "%s: what is handed out lies in RAM while the driver scribbles",
	   conf->packed ? "packed" : "split");
	printf("#   %llu requests, broken %u times\n", (unsigned long long)taken, restarts);
	virtq_stop(&c.q);
	drv_close(&c.d);
}

int main(void)
{
	static const uint32_t sizes[] = { 1, 2, 3, 5, 16, 100, 256, 32768 };

	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		for (unsigned kind = 0; kind < 8; kind++) {
			struct virtq_conf conf = { .size = sizes[i],
						   .packed = kind & 1,
						   .event_idx = kind & 2,
						   .in_order = kind & 4 };

			if (!conf.packed && sizes[i] & (sizes[i] - 1))
				continue;
			race(&conf, TSAN ? 2000 : 8000);
		}
	for (unsigned kind = 0; kind < 2; kind++) {
		struct virtq_conf conf = { .size = 16, .packed = kind, .indirect = true };

		if (TSAN)
			skip("a hostile driver races on purpose", "a driver that scribbles");
		else
			hostile(&conf, 300);
	}
	return tap_end();
}
