// SPDX-License-Identifier: GPL-2.0-only
/* The event loop: watches, calls from other threads, tasks, timers. */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lkvm/loop.h"
#include "tap.h"

static struct loop *loop;
static unsigned hits, order;
static struct loop_fd w1, w2;

static void ready(void *opaque, uint32_t events)
{
	struct loop_fd *self = opaque;
	eventfd_t n;

	(void)events;
	eventfd_read(self->fd, &n);
	hits++;
}

/* Whichever runs first takes the other out: it must not run any more. */
static void ready_del(void *opaque, uint32_t events)
{
	(void)events;
	hits++;
	loop_del(loop, opaque);
}

static void count(void *opaque)
{
	++*(unsigned *)opaque;
}

static void *caller(void *opaque)
{
	for (int i = 0; i < 1000; i++)
		loop_call(loop, count, opaque);
	return NULL;
}

static void test_calls(void)
{
	pthread_t t[4];
	unsigned n = 0;

	is(loop_start(loop), 0, "the loop starts in a thread");
	ok(!loop_here(loop), "... which is not this one");
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, caller, &n);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	is(n, 4000, "every call of four threads ran on it, one at a time");
	loop_stop(loop);
	loop_stop(loop);
	ok(loop_here(loop), "after the stop the caller counts as the loop");
	loop_call(loop, count, &n);
	is(n, 4001, "... and runs calls itself");
}

/* Two loops that answer each other: with loop_call() they would soon wait for each other. */
static struct pong {
	struct loop *to;
	struct loop_post post;
	struct pong *other;
	atomic_uint runs;
	unsigned left;
} ping, pong;

static void answer(void *opaque)
{
	struct pong *p = opaque;

	p->runs++;
	if (p->left && p->left--)
		loop_post(p->other->to, &p->other->post);
}

static void test_posts(void)
{
	struct loop *other = loop_open("other");

	ping = (struct pong){ loop, { answer, &ping, NULL, false }, &pong, 0, 2000 };
	pong = (struct pong){ other, { answer, &pong, NULL, false }, &ping, 0, 2000 };
	loop_post(loop, &ping.post);
	loop_post(loop, &ping.post);
	is(ping.runs, 0, "a post waits for its loop");
	ping.left = 0;
	loop_call(loop, count, &hits);
	is(ping.runs, 1, "... runs before a call that came later, and once though posted twice");
	loop_start(loop);
	loop_start(other);
	ping.left = 2000;
	loop_post(loop, &ping.post);
	loop_post(other, &pong.post);
	for (int i = 0; i < 2000 && (ping.runs < 1000 || pong.runs < 1000); i++)
		usleep(1000);
	ok(ping.runs >= 1000 && pong.runs >= 1000, "two loops post to each other at once");
	loop_stop(loop);
	loop_stop(other);
	loop_close(other);
}

static void quit(void *opaque)
{
	loop_quit(opaque);
}

static void add_watches(void *opaque)
{
	(void)opaque;
	loop_add(loop, &w1, EPOLLIN);
	loop_add(loop, &w2, EPOLLIN);
}

static void test_watches(void)
{
	struct loop_timer end = { .fire = quit, .opaque = loop };

	w1 = (struct loop_fd){ .fd = eventfd(1, 0), .ready = ready_del, .opaque = &w2 };
	w2 = (struct loop_fd){ .fd = eventfd(1, 0), .ready = ready_del, .opaque = &w1 };
	add_watches(NULL);
	hits = 0;
	/* The survivor is level-triggered and would run for ever: stop after the first turn. */
	loop_quit(loop);
	loop_run(loop);
	is(hits, 0, "a loop told to quit before it ran does nothing");
	loop_timer_set(loop, &end, 0);
	loop_run(loop);
	ok(!w1.added || !w2.added, "a watch can take out another");
	ok(w1.added || w2.added, "... which then doesn't run in the same turn");
	loop_del(loop, &w1);
	loop_del(loop, &w2);
	close(w1.fd);
	close(w2.fd);

	w1 = (struct loop_fd){ .fd = eventfd(0, 0), .ready = ready, .opaque = &w1 };
	is(loop_add(loop, &w1, EPOLLIN), 0, "an eventfd can be watched");
	hits = 0;
	loop_timer_set(loop, &end, 2000000);
	loop_run(loop);
	is(hits, 0, "silent while nothing was written");
	eventfd_write(w1.fd, 3);
	loop_timer_set(loop, &end, 2000000);
	loop_run(loop);
	is(hits, 1, "ready once after a write");
	loop_del(loop, &w1);
	loop_del(loop, &w1);
	close(w1.fd);
}

struct step {
	struct loop_task task;
	struct loop_timer timer;
	unsigned at;
};

static void step(void *opaque)
{
	struct step *s = opaque;

	s->at = ++order;
}

static void test_tasks(void)
{
	struct step a = { .task = { .run = step, .opaque = &a } };
	struct step b = { .task = { .run = step, .opaque = &b } };
	struct step c = { .task = { .run = step, .opaque = &c } };
	struct loop_timer end = { .fire = quit, .opaque = loop };

	loop_defer(loop, &a.task);
	loop_defer(loop, &b.task);
	loop_defer(loop, &c.task);
	loop_defer(loop, &a.task);
	loop_undefer(loop, &b.task);
	loop_undefer(loop, &b.task);
	loop_timer_set(loop, &end, 0);
	loop_run(loop);
	is(a.at, 1, "a task deferred twice runs once, in order");
	is(b.at, 0, "one taken back doesn't run");
	is(c.at, 2, "the others do");
}

static void test_timers(void)
{
	struct step a = { .timer = { .fire = step, .opaque = &a } };
	struct step b = { .timer = { .fire = step, .opaque = &b } };
	struct step c = { .timer = { .fire = step, .opaque = &c } };
	struct loop_timer end = { .fire = quit, .opaque = loop };
	uint64_t began = loop_now();

	order = 0;
	loop_timer_set(loop, &a.timer, 1000000);
	loop_timer_set(loop, &b.timer, 4000000);
	loop_timer_set(loop, &c.timer, 2000000);
	loop_timer_set(loop, &a.timer, 3000000); /* moved behind c */
	loop_timer_cancel(loop, &b.timer);
	loop_timer_set(loop, &end, 6000000);
	loop_run(loop);
	is(c.at, 1, "the soonest timer fires first");
	is(a.at, 2, "one that was moved fires at its new time");
	is(b.at, 0, "one that was cancelled doesn't");
	ok(loop_now() - began >= 6000000, "none fires early");
}

int main(void)
{
	loop = loop_open("test");
	ok(loop, "a loop can be made");
	test_watches();
	test_tasks();
	test_timers();
	test_calls();
	test_posts();
	loop_close(loop);
	return tap_end();
}
