/* SPDX-License-Identifier: GPL-2.0-only */
/* debug: a debugger's way to the vCPUs and their memory. Everything on main, but debug_stopped(). */
#pragma once

#include "lkvm/config.h"
#include "lkvm/gdb.h"
#include "lkvm/inspect.h"

struct debug {
	struct loop *loop;
	struct vm *vm;
	struct inspect *inspect;
	struct gdb *gdb;
	struct loop_fd stops; /* an eventfd: a vCPU came to a stop */
	void (*kill)(void *opaque);
	void (*held)(void *opaque, bool held); /* the guest stands still for the debugger, or goes on */
	void *opaque;
};

/* Does nothing without --gdb. Before vm_start(), which then starts nothing if it shall wait. */
int debug_open(struct debug *d, struct loop *loop, struct vm *vm, const struct config *conf);
void debug_close(struct debug *d);
/* For vm_conf.stopped; opaque is the struct debug. From a vCPU thread. */
void debug_stopped(void *opaque, unsigned cpu);
