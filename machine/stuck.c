// SPDX-License-Identifier: GPL-2.0-only
/*
 * stuck: looks at the vCPUs for watch/lockup.c, which knows no vCPUs.
 *
 * Runs on: main
 */
#include "stuck.h"

#include <errno.h>

#include "lkvm/control.h"

_Static_assert(LOCKUP_CPUS >= VM_CPUS_MAX, "every vCPU is looked at");

static uint64_t ran(void *opaque)
{
	return control_ran(((struct stuck *)opaque)->vm);
}

static bool look(void *opaque, struct lockup_cpu *cpus)
{
	struct control_glance at[VM_CPUS_MAX];
	struct stuck *s = opaque;

	/* What stands still under a debugger's eyes is the debugger's business. */
	if (gdb_connected(s->debug->gdb) || !control_glance(s->vm, at))
		return false;
	for (unsigned i = 0; i < control_cpus(s->vm); i++)
		cpus[i] = (struct lockup_cpu){
			.is = at[i].mp == CONTROL_WAITING ? LOCKUP_WAITING :
			      at[i].mp == CONTROL_HALTED ? LOCKUP_HALTED : LOCKUP_RUNNING,
			.irqs = at[i].irqs,
			.rip = at[i].rip,
		};
	return true;
}

static uint64_t activity(void *opaque)
{
	return watcher_activity(((struct stuck *)opaque)->watcher);
}

static void is_stuck(void *opaque, const char *how)
{
	watcher_stuck(((struct stuck *)opaque)->watcher, how);
}

int stuck_open(struct stuck *s, struct loop *loop, struct vm *vm, struct debug *debug,
	       struct watcher *watcher)
{
	struct lockup_conf conf = {
		.cpus = control_cpus(vm),
		.spin = watcher->conf->lockup_timeout,
		.ran = ran,
		.look = look,
		.activity = activity,
		.stuck = is_stuck,
		.opaque = s,
	};

	*s = (struct stuck){ .vm = vm, .debug = debug, .watcher = watcher };
	s->lockup = lockup_open(loop, &conf);
	return s->lockup ? 0 : -ENOMEM;
}

void stuck_close(struct stuck *s)
{
	lockup_close(s->lockup);
}
