// SPDX-License-Identifier: GPL-2.0-only
/*
 * Polling: how the window follows what comes, and a loop that polls, both by a clock that is made up:
 * each look at it takes a microsecond.
 */
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/poll.h"
#include "fakedrv.h"
#include "lkvm/loop.h"
#include "lkvm/vdev.h"
#include "tap.h"

#define US 1000ULL

static uint64_t now; /* nanoseconds */

int clock_gettime(clockid_t id, struct timespec *ts)
{
	(void)id;
	now += US;
	*ts = (struct timespec){ (time_t)(now / 1000000000), (long)(now % 1000000000) };
	return 0;
}

/* --- the window -------------------------------------------------------------------------------- */

/* Polls, sleeps, and is woken this long after the last hit. */
static void woken_after(struct poll_window *w, uint64_t us)
{
	poll_begin(w, now);
	poll_end(w);
	now += us * US;
	poll_woken(w, now);
}

static void test_window(void)
{
	struct poll_window w = { .max = 50 * US };

	poll_begin(&w, now);
	ok(!poll_more(&w, now), "at first it doesn't poll");
	poll_end(&w);
	woken_after(&w, 10);
	is(w.window, 4 * US, "what polling would have caught makes it poll");
	woken_after(&w, 49);
	is(w.window, 8 * US, "... for longer");
	for (int i = 0; i < 9; i++)
		woken_after(&w, 20);
	is(w.window, 50 * US, "... but not longer than allowed");
	poll_begin(&w, now);
	now += 49 * US;
	ok(poll_more(&w, now), "nothing has come for 49 of 50 us: it goes on");
	poll_begin(&w, now);
	now += US;
	ok(!poll_more(&w, now), "... and at 50 it ends");
	poll_end(&w);
	now += US;
	poll_woken(&w, now);
	is(w.window, 0, "what came later than the longest window would have: it begins again");
	poll_woken(&w, now);
	is(w.window, 0, "a turn that wasn't a sleep's end says nothing");
}

/* --- a loop ------------------------------------------------------------------------------------ */

static struct loop *loop;
static struct loop_fd bell;

/* Has something every `every`th look, `left` times. */
static struct source {
	struct loop_poll poll;
	unsigned looks, every, left, hits, rests, rings, tasks;
	uint64_t rested, sleeps; /* us from rest until the loop is woken, and ended */
	struct loop_task task;
} src;

static bool source_look(void *opaque)
{
	struct source *s = opaque;

	s->looks++;
	if (!s->left || s->looks % s->every)
		return false;
	s->left--;
	s->hits++;
	loop_defer(loop, &s->task);
	return true;
}

static void source_task(void *opaque)
{
	((struct source *)opaque)->tasks++;
}

static void source_rest(void *opaque)
{
	struct source *s = opaque;

	s->rests++;
	s->rested = now;
	now += s->sleeps * US;
	loop_quit(loop);
}

/* Some work, after which the loop looks by itself. */
static void rung(void *opaque, uint32_t events)
{
	struct source *s = opaque;
	eventfd_t n;

	(void)events;
	eventfd_read(bell.fd, &n);
	s->rings++;
	loop_poll_add(loop, &s->poll);
	loop_poll_add(loop, &s->poll);
}

static void quit(void *opaque)
{
	loop_quit(opaque);
}

static void run_for(uint64_t us)
{
	struct loop_timer end = { .fire = quit, .opaque = loop };

	loop_timer_set(loop, &end, us * US);
	loop_run(loop);
}

/* n times: rings, and lets the loop look until it sleeps, for so long. */
static void train(unsigned n, uint64_t us)
{
	src.sleeps = us;
	while (n--) {
		eventfd_write(bell.fd, 1);
		loop_run(loop);
	}
}

/* Work appears without a bell, and then somebody calls the loop: the call finds the work done. */
static struct late {
	struct loop_poll poll;
	struct loop_post post;
	unsigned looks;
	bool there, done, in_time;
} late;

static bool late_look(void *opaque)
{
	struct late *l = opaque;
	bool any = l->there;

	l->done |= any;
	l->there = false;
	if (++l->looks == 5) {
		l->there = true;
		loop_post(loop, &l->post);
	}
	return any;
}

static void late_call(void *opaque)
{
	((struct late *)opaque)->in_time = ((struct late *)opaque)->done;
	loop_quit(loop);
}

static void test_call(void)
{
	late.poll = (struct loop_poll){ .look = late_look, .opaque = &late };
	late.post = (struct loop_post){ .run = late_call, .opaque = &late };
	train(5, 10);
	loop_poll_add(loop, &late.poll);
	loop_run(loop);
	ok(late.in_time, "a call finds done what was there before it, though no bell has rung");
	loop_poll_del(loop, &late.poll);
}

static void test_loop(void)
{
	uint64_t began, events;

	loop = loop_open("test");
	ok(!loop_polls(loop), "a loop doesn't poll unless it is asked to");
	loop_set_poll(loop, 100 * US);
	ok(loop_polls(loop), "... then it does");
	bell = (struct loop_fd){ .fd = eventfd(0, EFD_NONBLOCK), .ready = rung, .opaque = &src };
	src = (struct source){ .poll = { .look = source_look, .rest = source_rest, .opaque = &src },
			       .task = { .run = source_task, .opaque = &src }, .every = 3 };
	loop_add(loop, &bell, EPOLLIN);
	train(1, 10);
	ok(src.rests == 1 && !src.looks, "the first time it only says that it doesn't look");
	train(4, 10);
	is(src.rests, src.rings, "each time that it goes to sleep it says so");
	ok(src.looks > 0, "it looks when the next always comes soon");

	src.looks = src.rests = src.rings = 0;
	src.left = 500;
	events = loop_events(loop);
	began = now;
	train(1, 10);
	is(src.hits, 500, "all that comes is seen");
	is(src.tasks, 500, "... and what follows from it is done before the next look");
	is(src.rings, 1, "... without ringing again");
	is(loop_events(loop) - events, 501, "... and counts as much as if it had rung");
	is(src.rests, 1, "... and in one go");
	ok(src.rested - began > 500 * 3 * US, "... as long as something comes (%llu us)",
	   (unsigned long long)(src.rested - began) / US);

	train(1, 1000);
	train(1, 1000);
	src.looks = 0;
	train(1, 10);
	is(src.looks, 0, "when nothing comes for long it doesn't look any more");

	train(5, 10);
	src.left = 1000000; /* always something: other watches must be seen all the same */
	src.every = 1;
	src.rings = 0;
	began = now;
	eventfd_write(bell.fd, 1);
	run_for(3000);
	ok(now - began < 3000 * US + 300 * US, "a timer is late by no more than the longest window or two");
	ok(src.rings, "... and a watch is seen though there is always something to find");
	src.left = 0;
	test_call();
	loop_poll_del(loop, &src.poll);
	loop_poll_del(loop, &src.poll);
	loop_del(loop, &bell);
	close(bell.fd);
	loop_close(loop);
}

/* Once, at its last look, it finds something and stays. */
static bool nothing(void *opaque)
{
	(void)opaque;
	return false;
}

static void stay(void *opaque)
{
	struct source *s = opaque;

	if (s->rests++ < 3)
		loop_poll_add(loop, &s->poll);
	else
		loop_quit(loop);
}

static void test_stay(void)
{
	struct source s = { .poll = { .look = nothing, .rest = stay, .opaque = &s } };

	loop = loop_open("test");
	loop_set_poll(loop, 100 * US);
	loop_poll_add(loop, &s.poll);
	loop_run(loop);
	is(s.rests, 4, "what finds something at its last look is looked at again before the loop sleeps");
	loop_close(loop);
}

/* --- a queue ----------------------------------------------------------------------------------- */

static unsigned kicks;
static bool full; /* it has no use for a buffer now */

static void echo_kick(struct vdev *dev, unsigned n)
{
	struct vreq *r;

	kicks++;
	while (!full && vdev_budget(dev, n) && (r = virtq_pop(vdev_queue(dev, n))))
		virtq_push(vdev_queue(dev, n), r);
}

static void echo_close(struct vdev *dev)
{
	vdev_fini(dev);
}

static const struct vdev_class echo_class = { .name = "echo", .id = 42, .kick = echo_kick,
					      .close = echo_close };

static struct drv drv;
static int kick_fd;

/* Every 20 us another buffer, with the doorbell only if the device wants it. */
static struct driver {
	struct loop_poll poll;
	uint64_t at;
	unsigned bells, left;
	bool fills; /* the last one finds the device full */
} driver;

static bool driver_look(void *opaque)
{
	struct driver *d = opaque;

	if (!d->left || now < d->at)
		return false;
	while (drv_used(&drv, NULL, NULL) >= 0)
		;
	d->left--;
	d->at = now + 20 * US;
	if (!d->left && d->fills) {
		full = true;
		kicks = 0;
	}
	drv_add(&drv, &(struct drv_seg){ drv.data, 16, true }, 1);
	if (drv_publish(&drv)) {
		d->bells++;
		eventfd_write(kick_fd, 1);
	}
	return false;
}

static void driver_rest(void *opaque)
{
	(void)opaque;
	loop_quit(loop);
}

/* It gets to know how soon the next one comes. */
static void train_queue(void)
{
	for (int i = 0; i < 12; i++) {
		drv_add(&drv, &(struct drv_seg){ drv.data, 16, true }, 1);
		if (drv_publish(&drv))
			eventfd_write(kick_fd, 1);
		run_for(1);
		now += 10 * US;
		while (drv_used(&drv, NULL, NULL) >= 0)
			;
	}
}

static void test_queue(bool event_idx, bool packed)
{
	const struct virtq_conf conf = { .size = 16, .event_idx = event_idx, .packed = packed };
	struct vdev dev = { 0 };
	unsigned max = 16;

	drv_open(&drv, &conf, 4096);
	loop = loop_open("test");
	loop_set_poll(loop, 100 * US);
	kick_fd = eventfd(0, EFD_NONBLOCK);
	vdev_init(&dev, &echo_class, "echo", loop, &drv.mem, 0, &max, 1);
	dev.port.ops->accept(&dev.port, VBIT(VIRTIO_F_VERSION_1));
	dev.port.ops->queue_start(&dev.port, 0, &drv.conf, kick_fd, (struct irq){ .fd = -1 });
	dev.port.ops->start(&dev.port);
	train_queue();
	driver = (struct driver){ .poll = { .look = driver_look, .rest = driver_rest,
						    .opaque = &driver }, .left = 100 };
	kicks = 0;
	eventfd_write(kick_fd, 1);
	loop_poll_add(loop, &driver.poll);
	loop_run(loop);
	while (drv_used(&drv, NULL, NULL) >= 0)
		;
	is(drv.free, 16, "%s%s: every buffer is served", packed ? "packed" : "split",
	   event_idx ? ", event_idx" : "");
	is(driver.left, 0, "... all hundred of them");
	ok(driver.bells <= 1, "... almost without doorbells (%u)", driver.bells);
	drv_add(&drv, &(struct drv_seg){ drv.data, 16, true }, 1);
	ok(drv_publish(&drv), "and once the loop sleeps it wants to be rung");
	eventfd_write(kick_fd, 1);
	train_queue();
	driver.left = 100;
	driver.fills = true;
	eventfd_write(kick_fd, 1);
	loop_poll_add(loop, &driver.poll);
	run_for(5000);
	full = false;
	ok(!driver.left && kicks && kicks < 10, "what can't be served is not tried at each look (%u times)", kicks);
	dev.port.ops->reset(&dev.port);
	loop_poll_del(loop, &driver.poll);
	dev.port.ops->close(&dev.port);
	loop_close(loop);
	close(kick_fd);
	drv_close(&drv);
}

int main(void)
{
	test_window();
	test_loop();
	test_stay();
	test_queue(false, false);
	test_queue(true, false);
	test_queue(false, true);
	test_queue(true, true);
	return tap_end();
}
