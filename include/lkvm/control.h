/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * control: a VM held still and looked at from outside: its vCPUs out of KVM_RUN, their registers, debug
 * stops, NMIs. For the debugger and for reports on a guest that hangs.
 *
 * All of it on main's thread (the one that calls vm_start and vm_stop) unless said. Where `paused` is asked for,
 * control_pause() must have returned 0 and control_resume() not have been called for that vCPU since.
 * Errors: 0 or -errno, not logged unless said.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lkvm/vm.h"

/* As gdb numbers them, which is also what prints well. */
enum { R_AX, R_BX, R_CX, R_DX, R_SI, R_DI, R_BP, R_SP, R_GPRS = 16 };
enum { SEG_CS, SEG_SS, SEG_DS, SEG_ES, SEG_FS, SEG_GS, SEG_TR, SEG_LDT, SEGS };

enum control_mp {
	CONTROL_RUNNING,
	CONTROL_HALTED,	  /* hlt, until an interrupt comes */
	CONTROL_WAITING,  /* for the first vCPU to start it */
	CONTROL_ENDED,	  /* it can't go on: a triple fault, an error of KVM's */
};

struct control_regs {
	uint64_t gpr[R_GPRS]; /* R_AX ... R_SP, r8 ... r15 */
	uint64_t rip, rflags;
	struct {
		uint16_t sel;
		uint64_t base;
		uint32_t limit;
		uint16_t attr; /* type, s, dpl, present, avl, l, db, g as bits 0-3, 4, 5-6, 7, 12-15 */
	} seg[SEGS];
	uint64_t cr0, cr2, cr3, cr4, cr8, efer;
	uint64_t idt, gdt;
	uint16_t idt_limit, gdt_limit;
	uint64_t lstar, kernel_gs; /* MSRs; 0 when KVM doesn't tell; not written back */
};

struct control_fpu {
	uint8_t st[8][16], xmm[16][16];
	uint16_t fcw, fsw, fop;
	uint8_t ftw; /* abridged: a bit for each register that is in use */
	uint64_t fip, fdp;
	uint32_t mxcsr;
};

/* Hardware breakpoints and watchpoints, by linear address. */
enum control_kind { CONTROL_FREE, CONTROL_EXEC, CONTROL_WRITE, CONTROL_ACCESS };
#define CONTROL_POINTS 4

struct control_point {
	enum control_kind kind;
	uint64_t addr;
	unsigned len; /* 1, 2, 4 or 8, addr a multiple of it; 1 for EXEC */
};

/* Why a vCPU stopped by itself. */
struct control_stop {
	bool stopped;	/* false: it didn't, it was paused */
	bool step;	/* a single step is done */
	int point;	/* index of the point hit, -1: none */
};

/*
 * Every vCPU out of KVM_RUN, with no access half done: a register read shows the instruction after the
 * last complete one. Waits up to two seconds for vCPUs that are inside a device; -ETIMEDOUT: logged,
 * and all of them run again. Calling it twice is once. Before vm_start(): they start paused.
 */
int control_pause(struct vm *vm);
/*
 * The same, not waited for, on any thread: a vCPU's own goes no further than the access it is in.
 * control_pause() then has only to see them all out.
 */
void control_hold(struct vm *vm);
/* The vCPUs in mask (bit n: vCPU n) run again; others stay. Forgets why they had stopped. */
void control_resume(struct vm *vm, uint64_t mask);
bool control_paused(struct vm *vm); /* is every vCPU out, or about to come out? */

unsigned control_cpus(struct vm *vm);
struct gmem *control_mem(struct vm *vm);

/* Paused. */
int control_regs_get(struct vm *vm, unsigned cpu, struct control_regs *regs);
int control_regs_set(struct vm *vm, unsigned cpu, const struct control_regs *regs);
int control_fpu_get(struct vm *vm, unsigned cpu, struct control_fpu *fpu);
int control_fpu_set(struct vm *vm, unsigned cpu, const struct control_fpu *fpu);
enum control_mp control_mp(struct vm *vm, unsigned cpu);
int control_nmi(struct vm *vm, unsigned cpu); /* delivered when it runs again */

/*
 * Paused. The points hold for every vCPU, those in step stop after one instruction (in which no
 * interrupt is taken, where KVM can do that). points NULL and step 0: debugging is over.
 */
int control_debug(struct vm *vm, const struct control_point points[CONTROL_POINTS], uint64_t step);
struct control_stop control_stop(struct vm *vm, unsigned cpu);

/* --- is it stuck? ---------------------------------------------------------------------------- */

struct control_glance {
	enum control_mp mp;
	bool irqs; /* interrupts are on, or an NMI is on its way: it may go on when it is halted */
	uint64_t rip;
};

/* Grows whenever a vCPU runs: the processor time of their threads, in nanoseconds. The VM has started. */
uint64_t control_ran(struct vm *vm);
/*
 * Every vCPU at one and the same instant, then all go on. False, with nothing said and nothing changed,
 * when they don't come out of KVM_RUN at once: one is inside a device, or a debugger holds it.
 */
bool control_glance(struct vm *vm, struct control_glance *cpus);
