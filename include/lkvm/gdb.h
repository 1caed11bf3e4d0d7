/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * gdb: lets a debugger in by gdb's remote serial protocol. Threads are vCPUs; a stop stops all.
 *
 * Everything on one loop, the one that may pause the VM. The peer is not trusted to be gdb.
 */
#pragma once

#include "lkvm/control.h"
#include "lkvm/loop.h"

/* What a debugger needs of a machine. All but cpus, stop and kill are called while it is stopped. */
struct gdb_ops {
	unsigned (*cpus)(void *opaque);
	int (*stop)(void *opaque); /* all vCPUs; 0 or -errno */
	/* Those in run go on, of them those in step for one instruction; the points hold for all. */
	int (*go)(void *opaque, uint64_t run, uint64_t step,
		  const struct control_point points[CONTROL_POINTS]);
	struct control_stop (*why)(void *opaque, unsigned cpu);
	const char *(*doing)(void *opaque, unsigned cpu); /* "halted" */
	int (*get)(void *opaque, unsigned cpu, struct control_regs *regs, struct control_fpu *fpu);
	int (*set)(void *opaque, unsigned cpu, const struct control_regs *regs,
		   const struct control_fpu *fpu); /* either may be NULL: unchanged */
	size_t (*read)(void *opaque, unsigned cpu, uint64_t va, void *dst, size_t len);
	size_t (*write)(void *opaque, unsigned cpu, uint64_t va, const void *src, size_t len);
	void (*kill)(void *opaque);
	bool (*text)(void *opaque, uint64_t *addr); /* where the kernel begins that was moved; false: it wasn't */
};

struct gdb;
/* at: "unix:PATH" or "tcp:[ADDRESS:]PORT", the loopback's when no address is given. NULL: logged. */
struct gdb *gdb_open(struct loop *loop, const char *at, const struct gdb_ops *ops, void *opaque);
void gdb_stopped(struct gdb *gdb); /* a vCPU has come to a stop by itself */
bool gdb_connected(struct gdb *gdb); /* NULL: no */
void gdb_close(struct gdb *gdb);   /* says good-bye; the path is removed */
