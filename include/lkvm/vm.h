/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * vm: the KVM side: the VM with its memory slots, in-kernel irqchip and PIT, and its vCPU threads.
 *
 * Set up and torn down by main. vCPU threads translate exits into bus accesses and report how the
 * guest ended through `ended`, once per cause; everything else is a model's business.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lkvm/bus.h"
#include "lkvm/gmem.h"
#include "lkvm/irq.h"

#define VM_CPUS_MAX 64

/* How KVM says the guest went away. What models see (power off, reset, panic) they say themselves. */
enum vm_end {
	VM_END_TRIPLE_FAULT,  /* KVM_EXIT_SHUTDOWN */
	VM_END_INTERNAL,      /* KVM_EXIT_INTERNAL_ERROR, FAIL_ENTRY, an exit we don't know */
	VM_END_SYSTEM_RESET,  /* KVM_SYSTEM_EVENT_RESET */
	VM_END_SYSTEM_OFF,    /* KVM_SYSTEM_EVENT_SHUTDOWN */
	VM_END_SYSTEM_CRASH,  /* KVM_SYSTEM_EVENT_CRASH */
};

struct vm_conf {
	unsigned cpus;
	struct bus *pio, *mmio;
	struct gmem *mem;
	bool tally; /* exits are counted; see tally.h */
	/* From a vCPU thread, which then waits to be stopped. detail: what KVM said, one line. */
	void (*ended)(void *opaque, enum vm_end why, unsigned cpu, const char *detail);
	/* From a vCPU thread, which is then held: a debug stop, see control.h. NULL: never mind. */
	void (*stopped)(void *opaque, unsigned cpu);
	void *opaque;
};

/* The state a vCPU begins in: 64-bit mode, or 32-bit protected mode for PVH. */
struct vm_entry {
	enum { VM_ENTRY_LONG, VM_ENTRY_PVH } mode;
	uint64_t rip;
	uint64_t arg;	/* gpa of boot_params (rsi) or of hvm_start_info (ebx) */
	uint64_t cr3, gdt; /* LONG: gpa of the page tables and of the GDT boot_load() wrote */
};

struct vm;

struct vm *vm_open(const struct vm_conf *conf);	   /* NULL: logged, with the fix */
struct intc *vm_intc(struct vm *vm);
/* A line of the PIC/IO-APIC pair by number, for ISA models. */
struct irq_line vm_line(struct vm *vm, unsigned gsi);
int vm_start(struct vm *vm, const struct vm_entry *entry); /* creates the vCPU threads; 0 or -errno */
void vm_stop(struct vm *vm);  /* no vCPU runs after return; may be called twice */
void vm_close(struct vm *vm); /* stopped */
unsigned vm_phys_bits(struct vm *vm); /* guest-physical address width told to the guest */

/* What doctor prints: opens /dev/kvm read-only so to speak, changes nothing. See kvm/dev.c. */
struct vm_cap {
	const char *name; /* "irqfd" */
	bool needed, present;
};
int vm_dev_open(void); /* /dev/kvm, or -errno: logged, with the fix */
unsigned vm_caps(int dev, struct vm_cap *caps, unsigned max);
/* Hardware or software KVM: runs a tiny guest and measures. Millions of instructions per second. */
int vm_speed(int dev, double *mips, double *exits_per_s);
