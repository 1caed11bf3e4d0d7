// SPDX-License-Identifier: GPL-2.0-only
/*
 * timeouts: the clocks that run against a guest.
 *
 * Runs on: the loop it was opened with (main's)
 */
#include <stdlib.h>

#include "lkvm/log.h"
#include "lkvm/watch.h"

#define LOOK_MAX 1000000000ULL /* between two looks whether something happened */
#define LOOK_MIN 1000000ULL

struct timeouts {
	struct loop *loop;
	struct timeouts_conf conf;
	struct loop_timer timer[TIMEOUTS];
	uint64_t activity, since; /* IDLE: the number, and when it last changed */
	bool held;
	uint64_t held_at, left[TIMEOUTS]; /* held: what was left of each, 0: it didn't run */
};

/* Begins to run, or will when nobody holds the clocks any more. */
static void run(struct timeouts *t, enum timeout which, uint64_t in)
{
	if (t->held)
		t->left[which] = in;
	else if (in)
		loop_timer_set(t->loop, &t->timer[which], in);
}

static void total_over(void *opaque)
{
	struct timeouts *t = opaque;

	t->conf.expired(t->conf.opaque, TIMEOUT_TOTAL);
}

static void boot_over(void *opaque)
{
	struct timeouts *t = opaque;

	t->conf.expired(t->conf.opaque, TIMEOUT_BOOT);
}

/* Looks eight times in the time allowed, so that "idle for T" is never said more than T/8 late. */
static uint64_t look_every(uint64_t after)
{
	uint64_t every = after / 8;

	return every > LOOK_MAX ? LOOK_MAX : every < LOOK_MIN ? LOOK_MIN : every;
}

static void idle_look(void *opaque)
{
	struct timeouts *t = opaque;
	uint64_t activity = t->conf.activity(t->conf.opaque), now = loop_now();

	if (activity != t->activity) {
		t->activity = activity;
		t->since = now;
	}
	if (now - t->since >= t->conf.after[TIMEOUT_IDLE])
		t->conf.expired(t->conf.opaque, TIMEOUT_IDLE);
	else
		run(t, TIMEOUT_IDLE, look_every(t->conf.after[TIMEOUT_IDLE]));
}

struct timeouts *timeouts_open(struct loop *loop, const struct timeouts_conf *conf)
{
	struct timeouts *t = calloc(1, sizeof(*t));

	if (!t) {
		log_err(NULL, "cannot make the timeouts: out of memory");
		return NULL;
	}
	t->loop = loop;
	t->conf = *conf;
	t->timer[TIMEOUT_TOTAL] = (struct loop_timer){ .fire = total_over, .opaque = t };
	t->timer[TIMEOUT_BOOT] = (struct loop_timer){ .fire = boot_over, .opaque = t };
	t->timer[TIMEOUT_IDLE] = (struct loop_timer){ .fire = idle_look, .opaque = t };
	return t;
}

void timeouts_start(struct timeouts *t)
{
	const uint64_t *after = t->conf.after;

	run(t, TIMEOUT_TOTAL, after[TIMEOUT_TOTAL]);
	run(t, TIMEOUT_BOOT, after[TIMEOUT_BOOT]);
	if (after[TIMEOUT_IDLE]) {
		t->activity = t->conf.activity(t->conf.opaque);
		t->since = loop_now();
		run(t, TIMEOUT_IDLE, look_every(after[TIMEOUT_IDLE]));
	}
}

void timeouts_booted(struct timeouts *t)
{
	loop_timer_cancel(t->loop, &t->timer[TIMEOUT_BOOT]);
	t->left[TIMEOUT_BOOT] = 0;
}

static void hold(struct timeouts *t, uint64_t now)
{
	t->held_at = now;
	for (unsigned i = 0; i < TIMEOUTS; i++) {
		const struct loop_timer *timer = &t->timer[i];

		/* One that is over already fires right behind the hold. */
		t->left[i] = !timer->armed ? 0 : timer->at > now ? timer->at - now : 1;
		loop_timer_cancel(t->loop, &t->timer[i]);
	}
}

void timeouts_hold(struct timeouts *t, bool held)
{
	uint64_t now = loop_now();

	if (t->held == held)
		return;
	t->held = held;
	if (held) {
		hold(t, now);
		return;
	}
	t->since += now - t->held_at;
	for (unsigned i = 0; i < TIMEOUTS; i++)
		run(t, (enum timeout)i, t->left[i]);
}

void timeouts_close(struct timeouts *t)
{
	if (!t)
		return;
	for (unsigned i = 0; i < TIMEOUTS; i++)
		loop_timer_cancel(t->loop, &t->timer[i]);
	free(t);
}
