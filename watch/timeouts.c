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
	struct loop_timer total, boot, idle;
	uint64_t activity, since; /* IDLE: the number, and when it last changed */
};

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
		loop_timer_set(t->loop, &t->idle, look_every(t->conf.after[TIMEOUT_IDLE]));
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
	t->total = (struct loop_timer){ .fire = total_over, .opaque = t };
	t->boot = (struct loop_timer){ .fire = boot_over, .opaque = t };
	t->idle = (struct loop_timer){ .fire = idle_look, .opaque = t };
	return t;
}

void timeouts_start(struct timeouts *t)
{
	const uint64_t *after = t->conf.after;

	if (after[TIMEOUT_TOTAL])
		loop_timer_set(t->loop, &t->total, after[TIMEOUT_TOTAL]);
	if (after[TIMEOUT_BOOT])
		loop_timer_set(t->loop, &t->boot, after[TIMEOUT_BOOT]);
	if (after[TIMEOUT_IDLE]) {
		t->activity = t->conf.activity(t->conf.opaque);
		t->since = loop_now();
		loop_timer_set(t->loop, &t->idle, look_every(after[TIMEOUT_IDLE]));
	}
}

void timeouts_booted(struct timeouts *t)
{
	loop_timer_cancel(t->loop, &t->boot);
}

void timeouts_close(struct timeouts *t)
{
	if (!t)
		return;
	loop_timer_cancel(t->loop, &t->total);
	loop_timer_cancel(t->loop, &t->boot);
	loop_timer_cancel(t->loop, &t->idle);
	free(t);
}
