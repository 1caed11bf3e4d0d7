/* SPDX-License-Identifier: GPL-2.0-only */
/* A machine for a debugger to look at, without KVM: two vCPUs and a page of memory at 0x1000. */
#pragma once

#include <string.h>

#include "gdb/gdb_priv.h"

struct fake {
	struct target cpu[2];
	uint8_t mem[4096];
	struct control_point points[CONTROL_POINTS];
	uint64_t run, step; /* of the last go */
	unsigned goes, stops, kills;
	uint64_t text; /* 0: not moved */
	bool running;
	struct control_stop why[2];
};

static unsigned fake_cpus(void *opaque)
{
	(void)opaque;
	return 2;
}

static int fake_stop(void *opaque)
{
	struct fake *f = opaque;

	f->stops++;
	f->running = false;
	return 0;
}

static int fake_go(void *opaque, uint64_t run, uint64_t step, const struct control_point *points)
{
	struct fake *f = opaque;

	f->goes++;
	f->run = run;
	f->step = step;
	f->running = true;
	memcpy(f->points, points, sizeof(f->points));
	return 0;
}

static struct control_stop fake_why(void *opaque, unsigned cpu)
{
	return ((struct fake *)opaque)->why[cpu];
}

static const char *fake_doing(void *opaque, unsigned cpu)
{
	(void)opaque;
	return cpu ? "halted" : "running";
}

static int fake_get(void *opaque, unsigned cpu, struct control_regs *regs, struct control_fpu *fpu)
{
	struct fake *f = opaque;

	if (f->running)
		return -1;
	*regs = f->cpu[cpu].regs;
	*fpu = f->cpu[cpu].fpu;
	return 0;
}

static int fake_set(void *opaque, unsigned cpu, const struct control_regs *regs,
		    const struct control_fpu *fpu)
{
	struct fake *f = opaque;

	if (regs)
		f->cpu[cpu].regs = *regs;
	if (fpu)
		f->cpu[cpu].fpu = *fpu;
	return 0;
}

static size_t fake_len(uint64_t va, size_t len)
{
	uint64_t off = va - 0x1000;

	return off >= 4096 ? 0 : len < 4096 - off ? len : 4096 - off;
}

static size_t fake_read(void *opaque, unsigned cpu, uint64_t va, void *dst, size_t len)
{
	struct fake *f = opaque;

	(void)cpu;
	len = fake_len(va, len);
	memcpy(dst, f->mem + (len ? va - 0x1000 : 0), len);
	return len;
}

static size_t fake_write(void *opaque, unsigned cpu, uint64_t va, const void *src, size_t len)
{
	struct fake *f = opaque;

	(void)cpu;
	len = fake_len(va, len);
	memcpy(f->mem + (len ? va - 0x1000 : 0), src, len);
	return len;
}

static void fake_kill(void *opaque)
{
	((struct fake *)opaque)->kills++;
}

static bool fake_text(void *opaque, uint64_t *addr)
{
	*addr = ((struct fake *)opaque)->text;
	return *addr;
}

static const struct gdb_ops fake_ops = { fake_cpus, fake_stop, fake_go, fake_why, fake_doing, fake_get,
					 fake_set,  fake_read, fake_write, fake_kill, fake_text };
