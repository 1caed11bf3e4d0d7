// SPDX-License-Identifier: GPL-2.0-only
/*
 * lockup: whether anything can still happen in a guest, seen from outside.
 *
 * Two kinds of lockups. Every vCPU halted with interrupts off: nothing but an NMI or an INIT can wake
 * them, and nobody is left to send one, so a single look is proof. And every vCPU turning round in the
 * same few instructions with interrupts off: proof takes time, and how much is the user's choice, as
 * an early kernel works for a long time like that. It is the vCPUs' processor time, too: one that the
 * host lets wait stays where it is as well.
 *
 * A look takes the vCPUs out of the guest. So it is only taken when no vCPU has used any processor
 * time for a whole tick, and less and less often while that goes on; for the second kind, at every tick.
 *
 * Runs on: the loop it was opened with (main's)
 */
#include <stdio.h>
#include <stdlib.h>

#include "lkvm/log.h"
#include "lkvm/watch.h"

#define TICK	 1000000000ULL
#define TICK_MIN 50000000ULL
#define GAP_MAX	 (8 * TICK)
#define A_LOOK	 1000000ULL /* what a look makes the vCPUs' threads run is less than this */
#define IN_PLACE 1024	    /* bytes of code: a loop that waits, with the little it calls */

struct lockup {
	struct loop *loop;
	struct lockup_conf conf;
	struct loop_timer timer;
	struct lockup_cpu cpu[LOCKUP_CPUS];
	uint64_t ran;
	uint64_t next, gap; /* when a look is due again, though nothing has run; and the time between */
	uint64_t since;	    /* all have been turning in place; 0: they aren't */
	uint64_t ran_before; /* then */
	uint64_t activity;
	uint64_t low[LOCKUP_CPUS], high[LOCKUP_CPUS]; /* where, since then */
};

static bool all_halted(const struct lockup *l)
{
	for (unsigned i = 0; i < l->conf.cpus; i++)
		if (l->cpu[i].is == LOCKUP_RUNNING || (l->cpu[i].is == LOCKUP_HALTED && l->cpu[i].irqs))
			return false;
	return true;
}

/* Takes where they are now into what was seen since; false: one can be interrupted, or has gone on. */
static bool in_place(struct lockup *l)
{
	for (unsigned i = 0; i < l->conf.cpus; i++) {
		const struct lockup_cpu *cpu = &l->cpu[i];

		if (cpu->is == LOCKUP_WAITING)
			continue;
		if (cpu->irqs)
			return false;
		l->low[i] = cpu->rip < l->low[i] ? cpu->rip : l->low[i];
		l->high[i] = cpu->rip > l->high[i] ? cpu->rip : l->high[i];
		if (l->high[i] - l->low[i] >= IN_PLACE)
			return false;
	}
	return true;
}

static unsigned running(const struct lockup *l)
{
	unsigned n = 0;

	for (unsigned i = 0; i < l->conf.cpus; i++)
		n += l->cpu[i].is == LOCKUP_RUNNING;
	return n;
}

/* One that waits for a device, or prints, is on its way. */
static bool all_turning(struct lockup *l, uint64_t now)
{
	uint64_t activity = l->conf.activity(l->conf.opaque);

	if (!in_place(l) || activity != l->activity || !l->since) {
		for (unsigned i = 0; i < l->conf.cpus; i++)
			l->low[i] = l->high[i] = l->cpu[i].rip;
		l->activity = activity;
		l->since = in_place(l) ? now : 0;
		l->ran_before = l->ran;
	}
	return l->since && now - l->since >= l->conf.spin &&
	       l->ran - l->ran_before >= l->conf.spin * running(l);
}

/* True: the guest is stuck, which has been said. */
static bool look(struct lockup *l, uint64_t now)
{
	char how[160];

	if (!l->conf.look(l->conf.opaque, l->cpu)) {
		l->since = 0;
		return false;
	}
	if (all_halted(l))
		snprintf(how, sizeof(how), "every vCPU is halted with interrupts off, the first at %#llx",
			 (unsigned long long)l->cpu[0].rip);
	else if (l->conf.spin && all_turning(l, now))
		snprintf(how, sizeof(how), "every vCPU has been turning in place with interrupts off for "
			 "%g s (--lockup-timeout), the first at %#llx", (double)l->conf.spin / 1e9,
			 (unsigned long long)l->cpu[0].rip);
	else
		return false;
	l->conf.stuck(l->conf.opaque, how);
	return true;
}

static uint64_t tick_of(const struct lockup *l)
{
	uint64_t tick = l->conf.spin ? l->conf.spin / 8 : TICK;

	return tick > TICK ? TICK : tick < TICK_MIN ? TICK_MIN : tick;
}

static bool due(struct lockup *l, uint64_t now)
{
	uint64_t ran = l->conf.ran(l->conf.opaque), more = ran - l->ran;

	l->ran = ran;
	if (more >= A_LOOK)
		l->next = l->gap = 0;
	if (l->conf.spin)
		return true;
	if (more || now < l->next)
		return false;
	l->gap = l->gap ? 2 * l->gap : TICK;
	if (l->gap > GAP_MAX)
		l->gap = GAP_MAX;
	l->next = now + l->gap;
	return true;
}

static void tick(void *opaque)
{
	struct lockup *l = opaque;
	uint64_t now = loop_now();

	if (!due(l, now) || !look(l, now))
		loop_timer_set(l->loop, &l->timer, tick_of(l));
}

struct lockup *lockup_open(struct loop *loop, const struct lockup_conf *conf)
{
	struct lockup *l = calloc(1, sizeof(*l));

	if (!l) {
		log_err(NULL, "cannot watch the vCPUs: out of memory");
		return NULL;
	}
	l->loop = loop;
	l->conf = *conf;
	l->timer = (struct loop_timer){ .fire = tick, .opaque = l };
	l->ran = conf->ran(conf->opaque);
	loop_timer_set(loop, &l->timer, tick_of(l));
	return l;
}

void lockup_close(struct lockup *l)
{
	if (!l)
		return;
	loop_timer_cancel(l->loop, &l->timer);
	free(l);
}
