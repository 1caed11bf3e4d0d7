// SPDX-License-Identifier: GPL-2.0-only
/*
 * A VM on a real /dev/kvm is held still, looked at, stepped and let go again. What this KVM can't do
 * (watchpoints, where it interprets) is skipped, with the reason.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "lkvm/boot.h"
#include "lkvm/control.h"
#include "tap.h"

#define RAM  (4 << 20)
#define CODE 0x100000
#define PORT 0x80

struct rig {
	struct gmem mem;
	struct bus pio, mmio;
	struct bus_slot slot;
	struct bus_range ports;
	struct vm *vm;
	atomic_uint writes, last, reads, stops, died, read_us;
};

static uint64_t port_read(void *opaque, uint64_t off, unsigned len)
{
	struct rig *r = opaque;

	(void)off;
	(void)len;
	atomic_fetch_add(&r->reads, 1);
	/* A pause asked for now must find the value in the register. In pieces: a kick cuts a sleep. */
	for (unsigned us = atomic_load(&r->read_us); us; us -= 1000)
		usleep(1000);
	return 0x5a;
}

static void port_write(void *opaque, uint64_t off, unsigned len, uint64_t val)
{
	struct rig *r = opaque;

	(void)off;
	(void)len;
	atomic_store(&r->last, (unsigned)val);
	atomic_fetch_add(&r->writes, 1);
}

static const struct bus_ops ops = { port_read, port_write };

static void on_stop(void *opaque, unsigned cpu)
{
	struct rig *r = opaque;

	(void)cpu;
	atomic_fetch_add(&r->stops, 1);
}

static void on_end(void *opaque, enum vm_end why, unsigned cpu, const char *detail)
{
	struct rig *r = opaque;

	(void)why;
	(void)cpu;
	(void)detail;
	atomic_fetch_add(&r->died, 1);
}

static bool wait_for(atomic_uint *n, unsigned least)
{
	for (unsigned i = 0; i < 5000 && atomic_load(n) < least; i++)
		usleep(1000);
	return atomic_load(n) >= least;
}

static struct rig *rig_open(const void *code, size_t len, unsigned cpus)
{
	struct rig *r = calloc(1, sizeof(*r));
	struct vm_conf conf = { .cpus = cpus, .ended = on_end, .stopped = on_stop, .opaque = r };

	atomic_store(&r->read_us, 20000);
	if (gmem_open(&r->mem, RAM, MAP_HOLE_START, MAP_HOLE_END, 0) < 0)
		exit(1);
	bus_init(&r->pio, "pio");
	bus_init(&r->mmio, "mmio");
	pthread_mutex_init(&r->slot.lock, NULL);
	r->ports = (struct bus_range){ .base = PORT, .len = 4, .ops = &ops, .opaque = r, .slot = &r->slot,
				       .prio = 1 };
	bus_map(&r->pio, &r->ports);
	conf.pio = &r->pio;
	conf.mmio = &r->mmio;
	conf.mem = &r->mem;
	r->vm = vm_open(&conf);
	if (!r->vm)
		exit(1);
	gmem_write(&r->mem, CODE, code, len);
	return r;
}

static void rig_start(struct rig *r)
{
	struct vm_entry entry = { .mode = VM_ENTRY_PVH, .rip = CODE, .arg = 0x5000 };

	is(vm_start(r->vm, &entry), 0, "the vCPUs start");
}

static void rig_close(struct rig *r)
{
	vm_close(r->vm);
	bus_fini(&r->pio);
	bus_fini(&r->mmio);
	gmem_close(&r->mem);
	free(r);
}

static void test_pause(void)
{
	static const uint8_t code[] = {
		0xe6, PORT,	  /* out PORT, al */
		0xfe, 0xc0,	  /* inc al */
		0xeb, 0xfa,
	};
	struct rig *r = rig_open(code, sizeof(code), 3);
	struct control_regs regs, again;
	unsigned seen, bad = 0;

	rig_start(r);
	ok(wait_for(&r->writes, 10), "a guest runs");
	is(control_pause(r->vm), 0, "three vCPUs are paused, two of which wait for the first");
	is(control_pause(r->vm), 0, "twice");
	ok(control_paused(r->vm), "and known to be");
	seen = atomic_load(&r->writes);
	is(control_regs_get(r->vm, 0, &regs), 0, "registers can be read");
	ok(regs.rip >= CODE && regs.rip < CODE + sizeof(code), "rip is in the loop");
	is(regs.gpr[R_BX], 0x5000, "rbx is what it began with");
	is(control_mp(r->vm, 0), CONTROL_RUNNING, "vCPU 0 runs");
	is(control_mp(r->vm, 2), CONTROL_WAITING, "vCPU 2 waits to be started");
	usleep(20000);
	is(atomic_load(&r->writes), seen, "nothing moves");
	control_regs_get(r->vm, 0, &again);
	ok(!memcmp(&regs, &again, sizeof(regs)), "nor does a register");
	control_resume(r->vm, ~0ULL);
	ok(wait_for(&r->writes, seen + 10), "then it goes on");
	for (unsigned i = 0; i < 200; i++) {
		/* al counts the writes: between out and inc it is the last one's value, else one more. */
		if (control_pause(r->vm) || control_regs_get(r->vm, 0, &regs))
			bad++;
		if ((uint8_t)(regs.gpr[R_AX] - atomic_load(&r->last)) != (regs.rip != CODE + 2))
			bad++;
		control_resume(r->vm, ~0ULL);
	}
	is(bad, 0, "two hundred pauses in a busy guest never found an access half done");
	is(control_regs_get(r->vm, 3, &regs), -ENOENT, "there is no fourth vCPU");
	is(control_pause(r->vm), 0, "a paused VM");
	rig_close(r);
	ok(true, "can be closed");
}

/* The value that a device gives must be in the register, and the instruction over. */
static void test_read_in_progress(void)
{
	static const uint8_t code[] = { 0x31, 0xc0, 0xe4, PORT, 0xeb, 0xfe }; /* xor eax,eax; in al */
	struct rig *r = rig_open(code, sizeof(code), 1);
	struct control_regs regs = { 0 };

	rig_start(r);
	ok(wait_for(&r->reads, 1), "a guest is inside of a read");
	is(control_pause(r->vm), 0, "it is paused");
	control_regs_get(r->vm, 0, &regs);
	is(regs.gpr[R_AX], 0x5a, "the value has arrived");
	is(regs.rip, CODE + 4, "the instruction is over");
	regs.gpr[R_AX] = 0x1234;
	regs.rip = CODE + 4;
	is(control_regs_set(r->vm, 0, &regs), 0, "registers can be written");
	control_regs_get(r->vm, 0, &regs);
	is(regs.gpr[R_AX], 0x1234, "and are read back");
	control_resume(r->vm, 1);
	usleep(1000);
	is(control_pause(r->vm), 0, "paused again");
	control_regs_get(r->vm, 0, &regs);
	is(regs.gpr[R_AX], 0x1234, "the guest runs with what was written");
	rig_close(r);
}

static void test_debug(void)
{
	static const uint8_t code[] = {
		0x90, 0x40,			    /* nop; inc eax */
		0xe6, PORT,			    /* out PORT, al */
		0xa3, 0x00, 0x00, 0x20, 0x00,	    /* mov [0x200000], eax */
		0xeb, 0xf5,
	};
	struct control_point points[CONTROL_POINTS] = { [1] = { CONTROL_EXEC, CODE + 4, 1 } };
	struct rig *r = rig_open(code, sizeof(code), 1);
	struct control_regs regs = { 0 };
	struct control_stop stop;
	uint64_t rip[5];

	is(control_pause(r->vm), 0, "a VM is paused before it starts");
	rig_start(r);
	is(control_pause(r->vm), 0, "its vCPU is out");
	control_regs_get(r->vm, 0, &regs);
	is(regs.rip, CODE, "at its first instruction");
	for (unsigned i = 0; i < 5; i++) {
		is(control_debug(r->vm, NULL, 1), 0, "a step is asked for");
		control_resume(r->vm, 1);
		ok(wait_for(&r->stops, i + 1), "it stops");
		control_pause(r->vm);
		control_regs_get(r->vm, 0, &regs);
		rip[i] = regs.rip - CODE;
	}
	ok(rip[0] == 1 && rip[1] == 2 && rip[2] == 4 && rip[3] == 9 && rip[4] == 0,
	   "five steps, five instructions: %d %d %d %d %d", (int)rip[0], (int)rip[1], (int)rip[2],
	   (int)rip[3], (int)rip[4]);
	stop = control_stop(r->vm, 0);
	ok(stop.stopped && stop.step && stop.point < 0, "a step is said to be one");
	is(atomic_load(&r->writes), 1, "the out was one of them");

	is(control_debug(r->vm, points, 0), 0, "a breakpoint is set");
	control_resume(r->vm, 1);
	ok(wait_for(&r->stops, 6), "it is hit");
	control_pause(r->vm);
	control_regs_get(r->vm, 0, &regs);
	is(regs.rip, CODE + 4, "before its instruction");
	stop = control_stop(r->vm, 0);
	ok(stop.stopped && stop.point == 1, "point 1 is said to be hit");

	is(control_debug(r->vm, NULL, 0), 0, "debugging is over");
	control_resume(r->vm, 1);
	ok(wait_for(&r->writes, 10), "and the guest runs");
	is(atomic_load(&r->stops), 6, "without another stop");

	control_pause(r->vm);
	points[1] = (struct control_point){ CONTROL_WRITE, 0x200000, 4 };
	control_debug(r->vm, points, 0);
	control_resume(r->vm, 1);
	usleep(50000);
	control_pause(r->vm);
	if (atomic_load(&r->stops) == 6) {
		skip("this KVM interprets the guest and has no watchpoints", "a watchpoint");
	} else {
		control_regs_get(r->vm, 0, &regs);
		is(regs.rip, CODE + 9, "a watchpoint stops behind the write");
		is(control_stop(r->vm, 0).point, 1, "and is said to be hit");
	}
	rig_close(r);
}

/* One glance, and what it has to see of vCPU 0; vCPU 1 was never started. */
static bool sees(struct rig *r, enum control_mp mp, bool irqs)
{
	struct control_glance at[VM_CPUS_MAX] = { 0 };

	return control_glance(r->vm, at) && at[0].mp == mp && at[0].irqs == irqs &&
	       at[1].mp == CONTROL_WAITING;
}

static void test_glance(void)
{
	static const uint8_t busy[] = { 0xe6, PORT, 0xeb, 0xfc };
	static const uint8_t halts[] = { 0xe6, PORT, 0xf4, 0xe6, PORT, 0xeb, 0xfe };
	struct control_glance at[VM_CPUS_MAX];
	struct rig *r = rig_open(busy, sizeof(busy), 2);
	uint64_t then;
	unsigned seen;

	rig_start(r);
	ok(wait_for(&r->writes, 10), "a guest runs");
	then = control_ran(r->vm);
	ok(sees(r, CONTROL_RUNNING, false), "a glance sees it running, interrupts off");
	seen = atomic_load(&r->writes);
	ok(wait_for(&r->writes, seen + 10), "it goes on afterwards");
	ok(control_ran(r->vm) > then, "and the clock of its vCPUs as well");
	control_pause(r->vm);
	ok(!control_glance(r->vm, at), "one that is held is not looked at");
	ok(control_paused(r->vm), "and stays held");
	rig_close(r);

	r = rig_open(halts, sizeof(halts), 2);
	rig_start(r);
	ok(wait_for(&r->writes, 1), "a guest that halts");
	usleep(20000);
	ok(sees(r, CONTROL_HALTED, false), "is seen to");
	usleep(20000);
	then = control_ran(r->vm);
	usleep(20000);
	is(control_ran(r->vm), then, "it takes no processor time");
	is(atomic_load(&r->writes), 1, "and a glance does not wake it");
	rig_close(r);
}

/* A read that takes longer than a glance has patience for. */
static void test_glance_in_device(void)
{
	static const uint8_t code[] = { 0xe4, PORT, 0xeb, 0xfc };
	struct rig *r = rig_open(code, sizeof(code), 2);
	struct control_glance at[VM_CPUS_MAX];
	unsigned seen;

	atomic_store(&r->read_us, 300000);
	rig_start(r);
	ok(wait_for(&r->reads, 1), "a guest is inside of a long read");
	ok(!control_glance(r->vm, at), "a glance gives up");
	seen = atomic_load(&r->reads);
	ok(wait_for(&r->reads, seen + 2), "and the guest goes on");
	rig_close(r);
}

static void test_halted(void)
{
	static const uint8_t code[] = { 0xe6, PORT, 0xf4, 0xe6, PORT, 0xeb, 0xfe };
	static const uint8_t ud[] = { 0x0f, 0x0b };
	struct rig *r = rig_open(code, sizeof(code), 1);
	struct control_regs regs = { 0 };

	rig_start(r);
	ok(wait_for(&r->writes, 1), "a guest that halts");
	usleep(20000);
	is(control_pause(r->vm), 0, "is paused");
	is(control_mp(r->vm, 0), CONTROL_HALTED, "it is said to be halted");
	control_regs_get(r->vm, 0, &regs);
	is(regs.rip, CODE + 3, "behind its hlt");
	control_resume(r->vm, 1);
	usleep(20000);
	is(atomic_load(&r->writes), 1, "a pause does not wake it");
	control_pause(r->vm);
	is(control_nmi(r->vm, 0), 0, "it is sent an NMI");
	control_resume(r->vm, 1);
	ok(wait_for(&r->died, 1), "for which it has no handler");
	is(control_pause(r->vm), 0, "a guest that is gone is paused");
	is(control_mp(r->vm, 0), CONTROL_ENDED, "and known to be gone");
	rig_close(r);

	r = rig_open(ud, sizeof(ud), 1);
	rig_start(r);
	ok(wait_for(&r->died, 1), "a guest that dies at once");
	is(control_pause(r->vm), 0, "is paused as well");
	rig_close(r);
}

int main(void)
{
	if (access("/dev/kvm", R_OK | W_OK)) {
		skip("no usable /dev/kvm", "holding a VM");
		return tap_end();
	}
	test_pause();
	test_read_in_progress();
	test_debug();
	test_halted();
	test_glance();
	test_glance_in_device();
	return tap_end();
}
