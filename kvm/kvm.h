/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * kvm.h: what the files of kvm/ know of each other. Nobody outside includes it.
 */
#pragma once

#include <linux/kvm.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "kvm/ring.h"
#include "kvm/tally.h"
#include "lkvm/vm.h"

/*
 * Four pages that Intel processors without "unrestricted guest" need for real mode, in the hole
 * where nothing else is. The memory map tells the guest that they are taken.
 */
#define MAP_VMX_PAGES	  0xfffbc000ULL
#define MAP_VMX_PAGES_LEN 0x4000ULL

struct vcpu {
	struct vm *vm;
	unsigned id;
	int fd;
	struct kvm_run *run;
	size_t run_len;
	pthread_t thread;
	bool running; /* its thread exists and has not been joined */

	/* Under the VM's lock; hold is also read without it, between two runs. */
	atomic_bool hold; /* it shall stay out of KVM_RUN */
	bool out;	  /* it is out, and waits */
	bool ended;	  /* for good */
	bool step;	  /* it shall stop after an instruction; written while it is out */
	bool accessed;	  /* and that was an access, which is being completed; its thread's own */
	bool stopped;	  /* it came out by itself, and this is why: */
	struct kvm_debug_exit_arch why;
};

/* A bus with its ioeventfd hook; see doorbell.c. */
struct doorbell {
	int vm_fd;
	uint32_t flags; /* KVM_IOEVENTFD_FLAG_PIO, or 0 for MMIO */
	bool any_len;	/* KVM_CAP_IOEVENTFD_ANY_LENGTH */
	struct bus *bus;
};

struct vm {
	struct vm_conf conf;
	int dev, fd;
	struct irqchip *irqchip;
	struct doorbell pio_bell, mmio_bell;
	struct ring ring; /* port writes that were made without an exit */
	struct kvm_cpuid2 *cpuid; /* what KVM supports */
	unsigned phys_bits;
	struct tally *tally; /* NULL: nobody counts */
	struct vcpu cpu[VM_CPUS_MAX];
	unsigned cpus; /* created so far */

	/* Set once, before any kick; read by the vCPU threads between two runs. */
	atomic_bool stopping;
	pthread_mutex_t lock;
	pthread_cond_t stopped; /* stopping or a hold changed: for vCPUs that are out */
	pthread_cond_t parked;	/* a vCPU came out: for control.c */
};

/* --- dev.c: /dev/kvm itself */
int dev_open_at(const char *path); /* vm_dev_open() for any path */
int dev_check(int dev);		   /* version and needed capabilities; 0 or -errno, logged */
int dev_cap(int dev, int cap);	   /* KVM_CHECK_EXTENSION, never negative */
int dev_create_vm(int dev);	   /* the VM's fd or -errno, logged */

/* --- vcpu.c */
int vcpu_open(struct vcpu *cpu, struct vm *vm, unsigned id); /* 0 or -errno, logged */
int vcpu_start(struct vcpu *cpu);			      /* its thread; 0 or -errno, logged */
void vcpu_kick(struct vcpu *cpu);			      /* out of KVM_RUN, to look around */
void vcpu_release(struct vcpu *cpu); /* no more held; with the VM's lock, then tell `stopped` */
bool vcpu_is_in(const struct vcpu *cpu); /* not out yet, though held; with the VM's lock */
void vcpu_join(struct vcpu *cpu);
void vcpu_close(struct vcpu *cpu);

/* --- regs.c */
int regs_init(const struct vcpu *cpu, const struct vm_entry *entry); /* 0 or -errno, logged */
/* 32-bit protected mode with flat segments, as PVH wants it. */
void regs_pvh(struct kvm_sregs *sregs);

/* --- irq.c */
struct irqchip;
struct irqchip *irqchip_open(int vm_fd, unsigned routes_max); /* NULL: logged */
void irqchip_close(struct irqchip *chip);
struct intc *irqchip_intc(struct irqchip *chip);
struct irq_line irqchip_line(struct irqchip *chip, unsigned gsi);
unsigned irqchip_commits(struct irqchip *chip); /* how often the table was handed to KVM */

/* --- doorbell.c */
void doorbell_open(struct doorbell *d, struct bus *bus, int vm_fd, bool pio, bool any_len);
void doorbell_close(struct doorbell *d);
