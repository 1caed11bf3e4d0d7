// SPDX-License-Identifier: GPL-2.0-only
/*
 * debug: a debugger's way to the vCPUs and their memory.
 *
 * Runs on: main, except debug_stopped: a vCPU's thread
 */
#include "debug.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lkvm/log.h"

static unsigned cpus(void *opaque)
{
	return control_cpus(((struct debug *)opaque)->vm);
}

static int stop(void *opaque)
{
	struct debug *d = opaque;
	int err = control_pause(d->vm);

	if (!err)
		d->held(d->opaque, true);
	return err;
}

static int go(void *opaque, uint64_t run, uint64_t step,
	      const struct control_point points[CONTROL_POINTS])
{
	struct debug *d = opaque;
	int err = control_debug(d->vm, points, step);

	if (err)
		return err;
	d->held(d->opaque, false);
	control_resume(d->vm, run);
	return 0;
}

static struct control_stop why(void *opaque, unsigned cpu)
{
	return control_stop(((struct debug *)opaque)->vm, cpu);
}

static const char *doing(void *opaque, unsigned cpu)
{
	static const char *const words[] = { "running", "halted", "not started", "gone" };

	return words[control_mp(((struct debug *)opaque)->vm, cpu)];
}

static int get(void *opaque, unsigned cpu, struct control_regs *regs, struct control_fpu *fpu)
{
	struct debug *d = opaque;
	int err = control_regs_get(d->vm, cpu, regs);

	return err ? err : control_fpu_get(d->vm, cpu, fpu);
}

static int set(void *opaque, unsigned cpu, const struct control_regs *regs,
	       const struct control_fpu *fpu)
{
	struct debug *d = opaque;
	int err = regs ? control_regs_set(d->vm, cpu, regs) : 0;

	return err || !fpu ? err : control_fpu_set(d->vm, cpu, fpu);
}

static bool tables(struct debug *d, unsigned cpu, struct walk *walk)
{
	struct control_regs regs;

	if (control_regs_get(d->vm, cpu, &regs))
		return false;
	*walk = walk_of(control_mem(d->vm), &regs);
	return true;
}

static size_t read_mem(void *opaque, unsigned cpu, uint64_t va, void *dst, size_t len)
{
	struct walk walk;

	return tables(opaque, cpu, &walk) ? walk_read(&walk, va, dst, len) : 0;
}

static size_t write_mem(void *opaque, unsigned cpu, uint64_t va, const void *src, size_t len)
{
	struct walk walk;

	return tables(opaque, cpu, &walk) ? walk_write(&walk, va, src, len) : 0;
}

static void kill_guest(void *opaque)
{
	struct debug *d = opaque;

	d->kill(d->opaque);
}

static bool text(void *opaque, uint64_t *addr)
{
	struct debug *d = opaque;

	return inspect_moved(d->inspect, d->vm, addr);
}

static const struct gdb_ops ops = { cpus, stop, go, why, doing, get, set, read_mem, write_mem,
				    kill_guest, text };

static void stops_ready(void *opaque, uint32_t events)
{
	struct debug *d = opaque;
	eventfd_t n;

	(void)events;
	eventfd_read(d->stops.fd, &n);
	gdb_stopped(d->gdb);
}

void debug_stopped(void *opaque, unsigned cpu)
{
	struct debug *d = opaque;

	(void)cpu;
	eventfd_write(d->stops.fd, 1);
}

int debug_open(struct debug *d, struct loop *loop, struct vm *vm, const struct config *conf)
{
	int err;

	d->loop = loop;
	d->vm = vm;
	d->stops = (struct loop_fd){ .fd = -1, .ready = stops_ready, .opaque = d };
	if (!conf->gdb)
		return 0;
	d->stops.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	err = d->stops.fd < 0 ? -errno : loop_add(loop, &d->stops, EPOLLIN);
	if (err) {
		log_err("gdb", "cannot wait for stops: %s", strerror(-err));
		return err;
	}
	d->gdb = gdb_open(loop, conf->gdb, &ops, d);
	if (!d->gdb)
		return -EINVAL;
	if (!conf->gdb_wait)
		return 0;
	log_warn("gdb", "the guest waits for a debugger at %s", conf->gdb);
	return stop(d);
}

void debug_close(struct debug *d)
{
	gdb_close(d->gdb);
	if (!d->loop)
		return;
	loop_del(d->loop, &d->stops);
	if (d->stops.fd >= 0)
		close(d->stops.fd);
}
