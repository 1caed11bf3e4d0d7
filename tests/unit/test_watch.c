// SPDX-License-Identifier: GPL-2.0-only
/* What lies around the scanner: the consoles' taps, the clocks, and the verdict's order. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lkvm/chan_outside.h"
#include "lkvm/term.h"
#include "lkvm/watch.h"
#include "machine/verdict.h"
#include "tap.h"

/* --- taps ------------------------------------------------------------------------------------ */

static char heard[CHAN_OUT_SIZE * 2];
static size_t heard_len;

static void wrote(void *opaque, const void *bytes, size_t len)
{
	(void)opaque;
	memcpy(heard + heard_len, bytes, len);
	heard_len += len;
}

static void test_taps(void)
{
	static struct chan chan;
	static char much[CHAN_OUT_SIZE + 100];
	struct chan_tap tap = { .wrote = wrote };
	struct chan *null = chan_null_open();

	chan_init(&chan, NULL, NULL);
	chan_tap(&chan, &tap);
	chan_write(&chan, "abc", 3);
	chan_write(&chan, "de", 2);
	ok(heard_len == 5 && !memcmp(heard, "abcde", 5), "a tap hears what is written, when it is");
	heard_len = 0;
	is(chan_write(&chan, much, sizeof(much)), CHAN_OUT_SIZE - 5, "a channel that gets full");
	is(heard_len, CHAN_OUT_SIZE - 5, "the tap hears what was taken, since the rest comes again");
	chan_fini(&chan);

	heard_len = 0;
	chan_tap(null, &tap);
	is(chan_write(null, much, sizeof(much)), sizeof(much), "one that swallows everything");
	is(heard_len, sizeof(much), "is heard as well");
	is(chan_read(null, much, 1) + chan_pending(null), 0, "and gives nothing");
	chan_null_close(null);
	is(chan_write(chan_null(), much, 10), 10, "the one without a tap");
}

/* --- clocks ---------------------------------------------------------------------------------- */

static struct loop *loop;
static unsigned expired[TIMEOUTS];
static uint64_t active;
static struct loop_timer end, work, boot;

static uint64_t activity(void *opaque)
{
	(void)opaque;
	return active;
}

static void expire(void *opaque, enum timeout which)
{
	(void)opaque;
	expired[which]++;
}

static void quit(void *opaque)
{
	(void)opaque;
	loop_quit(loop);
}

static void do_work(void *opaque)
{
	(void)opaque;
	active++;
	loop_timer_set(loop, &work, 20000000);
}

static void do_boot(void *opaque)
{
	timeouts_booted(opaque);
}

/* Which of the three run out in 400 ms, of 150 ms each; working: something goes on all the time. */
static unsigned run_out(uint64_t total, uint64_t booting, uint64_t idle, bool working, bool boots)
{
	struct timeouts_conf conf = { .after = { total, booting, idle }, .activity = activity,
				      .expired = expire };
	struct timeouts *t = timeouts_open(loop, &conf);

	memset(expired, 0, sizeof(expired));
	end = (struct loop_timer){ .fire = quit };
	work = (struct loop_timer){ .fire = do_work };
	boot = (struct loop_timer){ .fire = do_boot, .opaque = t };
	loop_timer_set(loop, &end, 400000000);
	if (working)
		loop_timer_set(loop, &work, 0);
	if (boots)
		loop_timer_set(loop, &boot, 50000000);
	timeouts_start(t);
	loop_run(loop);
	loop_timer_cancel(loop, &work);
	timeouts_close(t);
	return expired[TIMEOUT_TOTAL] | expired[TIMEOUT_BOOT] << 4 | expired[TIMEOUT_IDLE] << 8;
}

/* The same, with 150 ms on each clock, if somebody holds the guest from 50 ms on, or before it starts. */
static struct loop_timer grip, let_go;
static uint64_t held_at, let_at;

static void do_hold(void *opaque)
{
	held_at = loop_now();
	timeouts_hold(opaque, true);
	timeouts_hold(opaque, true);
}

static void do_let_go(void *opaque)
{
	let_at = loop_now();
	timeouts_hold(opaque, false);
}

static uint64_t first_at;

static void expire_at(void *opaque, enum timeout which)
{
	expire(opaque, which);
	if (!first_at)
		first_at = loop_now();
}

/* *ran: how long until the first ran out, the time that it was held not counted. */
static unsigned held_for(bool from_start, uint64_t until, uint64_t *ran)
{
	struct timeouts_conf conf = { .after = { 150000000, 150000000, 150000000 }, .activity = activity,
				      .expired = expire_at };
	struct timeouts *t = timeouts_open(loop, &conf);
	uint64_t began = loop_now();

	memset(expired, 0, sizeof(expired));
	first_at = 0;
	end = (struct loop_timer){ .fire = quit };
	grip = (struct loop_timer){ .fire = do_hold, .opaque = t };
	let_go = (struct loop_timer){ .fire = do_let_go, .opaque = t };
	loop_timer_set(loop, &end, 600000000);
	if (from_start)
		do_hold(t);
	else
		loop_timer_set(loop, &grip, 50000000);
	if (until)
		loop_timer_set(loop, &let_go, until);
	timeouts_start(t);
	loop_run(loop);
	loop_timer_cancel(loop, &grip);
	loop_timer_cancel(loop, &let_go);
	timeouts_close(t);
	*ran = first_at - began - (let_at - held_at);
	return expired[TIMEOUT_TOTAL] + expired[TIMEOUT_BOOT] + expired[TIMEOUT_IDLE];
}

static void test_held(void)
{
	uint64_t ran;

	loop = loop_open("held");
	is(held_for(false, 0, &ran), 0, "clocks that are held don't run out");
	is(held_for(false, 300000000, &ran), 3, "let go, each does");
	ok(ran >= 145000000, "after the time it had left: %llu ms", (unsigned long long)ran / 1000000);
	is(held_for(true, 0, &ran), 0, "held before the start they don't begin");
	is(held_for(true, 300000000, &ran), 3, "but then");
	ok(ran >= 145000000, "with all their time: %llu ms", (unsigned long long)ran / 1000000);
	loop_close(loop);
}

static void test_clocks(void)
{
	const uint64_t t = 150000000;

	loop = loop_open("clocks");
	is(run_out(0, 0, 0, false, false), 0, "no clock, no timeout");
	is(run_out(t, t, t, false, false), 0x111, "each runs out once");
	is(run_out(t, t, t, false, true), 0x101, "booted in time");
	is(run_out(0, 0, t, true, false), 0, "never idle");
	is(run_out(10 * t, 10 * t, 10 * t, false, false), 0, "none is early");
	loop_close(loop);
}

/* --- the verdict ----------------------------------------------------------------------------- */

enum { PANIC = 1, FAIL = 2, EXPECT = 4, SEEN = 8, LATE = 16, STUCK = 32 };

static const struct {
	enum verdict_end how;
	int own; /* ENDED_STATUS */
	unsigned signs;
	int status;
	const char *what;
} order[] = {
	{ ENDED_OFF, 0, 0, 0, "powered off" },
	{ ENDED_REBOOT, 0, 0, 0, "rebooted" },
	{ ENDED_EXPECTED, 0, EXPECT | SEEN, 0, "ended at what was expected" },
	{ ENDED_STATUS, 0, 0, 0, "status 0" },
	{ ENDED_STATUS, 255, 0, 255, "status 255" },
	{ ENDED_GONE, 0, 0, 123, "went away" },
	{ ENDED_LOCKUP, 0, 0, 122, "locked up" },
	{ ENDED_TIMEOUT, 0, 0, 124, "timed out" },
	{ ENDED_FAILED, 0, 0, 125, "lkvm failed" },
	{ ENDED_OFF, 0, PANIC, 120, "panicked, powered off" },
	{ ENDED_PANIC, 0, PANIC, 120, "panicked, ended for it" },
	{ ENDED_STATUS, 0, PANIC, 120, "panicked, status 0" },
	{ ENDED_GONE, 0, PANIC, 120, "panicked, went away" },
	{ ENDED_LOCKUP, 0, PANIC, 120, "panicked, locked up" },
	{ ENDED_TIMEOUT, 0, PANIC | FAIL, 120, "oops, panic, timed out" },
	{ ENDED_FAILED, 0, PANIC, 120, "panicked, then lkvm failed" },
	{ ENDED_EXPECTED, 0, PANIC | EXPECT | SEEN, 120, "panicked, then ended as expected" },
	{ ENDED_OFF, 0, FAIL, 121, "oops, powered off" },
	{ ENDED_GONE, 0, FAIL, 121, "oops, went away" },
	{ ENDED_STATUS, 7, FAIL, 121, "oops, status 7" },
	{ ENDED_EXPECTED, 0, FAIL | EXPECT | SEEN, 121, "oops, ended as expected" },
	{ ENDED_OFF, 0, FAIL | EXPECT, 121, "oops, and not what was expected" },
	{ ENDED_LOCKUP, 0, FAIL, 122, "oops, locked up" },
	{ ENDED_TIMEOUT, 0, FAIL, 124, "oops, timed out" },
	{ ENDED_FAILED, 0, FAIL, 125, "oops, lkvm failed" },
	{ ENDED_OFF, 0, EXPECT, 123, "not what was expected, powered off" },
	{ ENDED_REBOOT, 0, EXPECT, 123, "not what was expected, rebooted" },
	{ ENDED_STATUS, 0, EXPECT, 123, "not what was expected, status 0" },
	{ ENDED_STATUS, 7, EXPECT, 7, "not what was expected, status 7" },
	{ ENDED_OFF, 0, EXPECT | SEEN, 0, "what was expected, powered off" },
	{ ENDED_TIMEOUT, 0, EXPECT | SEEN, 124, "what was expected, timed out" },
	{ ENDED_OFF, 0, LATE, 124, "kept after a timeout, powered off" },
	{ ENDED_GONE, 0, STUCK, 122, "kept after a lockup, ended by the user" },
	{ ENDED_TIMEOUT, 0, STUCK, 122, "the same, timed out" },
	{ ENDED_OFF, 0, STUCK | FAIL, 122, "oops, kept after a lockup, powered off" },
	{ ENDED_GONE, 0, STUCK | PANIC, 120, "panicked, kept after a lockup" },
};

static int judge(unsigned i, struct verdict *v)
{
	verdict_init(v, loop, order[i].signs & EXPECT ? "ready" : NULL);
	if (order[i].signs & FAIL)
		verdict_failure(v, "oops: %s", "BUG: x");
	if (order[i].signs & PANIC)
		verdict_panic(v, false, "pvpanic");
	if (order[i].signs & SEEN)
		verdict_expected(v);
	if (order[i].signs & LATE)
		verdict_timed_out(v, "too long");
	if (order[i].signs & STUCK)
		verdict_locked_up(v, "lockup: every vCPU");
	if (order[i].how == ENDED_STATUS)
		verdict_end_status(v, order[i].own);
	else
		verdict_end(v, order[i].how, "it ended");
	verdict_end(v, ENDED_OFF, "what comes second doesn't count");
	return verdict_take(v);
}

static void test_verdict(void)
{
	struct verdict v;

	loop = loop_open("verdict");
	for (unsigned i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		is(judge(i, &v), order[i].status, "%s: %d", order[i].what, order[i].status);
	verdict_init(&v, loop, NULL);
	is(verdict_take(&v), STATUS_FAILED, "what never ended wasn't run");
	verdict_panic(&v, false, "pvpanic");
	verdict_panic(&v, true, "first words");
	verdict_panic(&v, true, "more words");
	is_str(v.panic, "the guest panicked: first words", "the guest's own first words");
	verdict_failure(&v, "first");
	verdict_failure(&v, "second");
	is_str(v.failure, "first", "the first failure");
	loop_close(loop);
}

int main(void)
{
	test_taps();
	test_clocks();
	test_held();
	test_verdict();
	return tap_end();
}
