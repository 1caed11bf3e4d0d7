// SPDX-License-Identifier: GPL-2.0-only
/* When a guest counts as stuck, by what its vCPUs are seen to do; and how often they are looked at. */
#include <string.h>

#include "lkvm/watch.h"
#include "tap.h"

#define MS 1000000ULL

static struct loop *loop;
static struct loop_timer end;

/* What the next looks see; each look moves rip by step, and counts. So many vCPUs' time is all theirs: runs. */
static struct guest {
	struct lockup_cpu cpu[2];
	uint64_t step, runs, activity, acts;
	bool hidden;
	unsigned looks, stuck;
	char how[200];
} guest;

static uint64_t ran(void *opaque)
{
	(void)opaque;
	return guest.runs * loop_now();
}

static bool look(void *opaque, struct lockup_cpu *cpus)
{
	(void)opaque;
	guest.looks++;
	memcpy(cpus, guest.cpu, sizeof(guest.cpu));
	guest.cpu[0].rip += guest.step;
	return !guest.hidden;
}

static uint64_t activity(void *opaque)
{
	(void)opaque;
	return guest.activity += guest.acts;
}

static void quit(void *opaque)
{
	(void)opaque;
	loop_quit(loop);
}

static void stuck(void *opaque, const char *how)
{
	guest.stuck++;
	strncpy(guest.how, how, sizeof(guest.how) - 1);
	quit(opaque);
}

/* Is it found to be stuck within ms? */
static bool found(const struct guest *is, uint64_t spin_ms, unsigned ms)
{
	struct lockup_conf conf = { .cpus = 2, .spin = spin_ms * MS, .ran = ran, .look = look,
				    .activity = activity, .stuck = stuck };
	struct lockup *l;

	guest = *is;
	l = lockup_open(loop, &conf);
	end = (struct loop_timer){ .fire = quit };
	loop_timer_set(loop, &end, ms * MS);
	loop_run(loop);
	loop_timer_cancel(loop, &end);
	lockup_close(l);
	return guest.stuck;
}

#define OFF(what, at) { .is = LOCKUP_##what, .rip = (at) }
#define ON(what, at)  { .is = LOCKUP_##what, .irqs = true, .rip = (at) }

static void test_halted(void)
{
	ok(found(&(struct guest){ .cpu = { OFF(HALTED, 0x1234), OFF(WAITING, 0) } }, 0, 1500),
	   "halted with interrupts off, and the other never started");
	is_str(guest.how, "every vCPU is halted with interrupts off, the first at 0x1234", "that is said");
	is(guest.looks, 1, "after one look");
	ok(!found(&(struct guest){ .cpu = { OFF(HALTED, 1), OFF(HALTED, 1) }, .runs = 1 }, 0, 1200),
	   "one that used processor time may go on");
	is(guest.looks, 0, "and isn't looked at at all");
}

static void test_idle(void)
{
	struct guest idle = { .cpu = { OFF(HALTED, 1), ON(HALTED, 1) } };

	ok(!found(&idle, 0, 3300), "an idle vCPU is no stuck one");
	is(guest.looks, 2, "three seconds of silence are worth two looks: they get rarer");
	idle.hidden = true;
	idle.cpu[1].irqs = false;
	ok(!found(&idle, 100, 400), "what can't be seen isn't judged");
	ok(guest.looks > 2, "though it is tried");
}

static void test_turning(void)
{
	struct guest turns = { .cpu = { OFF(RUNNING, 0x5000), OFF(RUNNING, 0x6000) }, .runs = 2 };
	struct guest is;

	ok(found(&turns, 200, 600), "two that turn in place");
	is_str(guest.how, "every vCPU has been turning in place with interrupts off for 0.2 s "
	       "(--lockup-timeout), the first at 0x5000", "that is said");
	is = turns;
	is.step = 10;
	ok(found(&is, 200, 600), "in a loop of a few instructions");
	is.step = 1000;
	ok(!found(&is, 200, 600), "but not in one that leads far");
	is = turns;
	is.cpu[1].irqs = true;
	ok(!found(&is, 200, 600), "nor when the other takes interrupts");
	is = turns;
	is.cpu[1].is = LOCKUP_HALTED;
	ok(found(&is, 200, 600), "the other may as well be halted");
	is = turns;
	is.cpu[1] = (struct lockup_cpu)OFF(WAITING, 0);
	ok(found(&is, 200, 600), "or never have been started");
	is = turns;
	is.runs = 0;
	ok(!found(&is, 200, 600), "one that the host lets wait stays where it is for no fault of its own");
	is = turns;
	is.acts = 1;
	ok(!found(&is, 200, 600), "one that works a device is at work");
	ok(!found(&turns, 800, 600), "and before its time nobody is stuck");
	ok(!found(&turns, 0, 1200) && !guest.looks, "nor without the option");
}

int main(void)
{
	loop = loop_open("lockup");
	test_halted();
	test_idle();
	test_turning();
	loop_close(loop);
	return tap_end();
}
