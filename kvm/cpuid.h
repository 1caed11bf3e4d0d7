/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * cpuid: what the guest is told of its processors: what KVM supports, with the topology of one
 * socket of `cpus` cores of one thread each, and with the frequencies, so that nobody has to
 * measure them.
 *
 * cpuid_build() is a pure function of its arguments.
 */
#pragma once

#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>

#define CPUID_ENTRIES_MAX 256 /* KVM takes no more */

struct cpuid_conf {
	unsigned cpus;	   /* 1..64 */
	bool tsc_deadline; /* the LAPIC has the TSC-deadline mode */
	uint32_t tsc_khz;  /* 0: not known */
};

struct kvm_cpuid2 *cpuid_alloc(void); /* room for CPUID_ENTRIES_MAX; free() it. NULL: no memory */
struct kvm_cpuid2 *cpuid_supported(int dev);	/* the same, filled by KVM. NULL: logged */
unsigned cpuid_phys_bits(const struct kvm_cpuid2 *table);

/* vCPU `cpu`'s table into out (from cpuid_alloc()). 0, or -E2BIG. */
int cpuid_build(struct kvm_cpuid2 *out, const struct kvm_cpuid2 *supported,
		const struct cpuid_conf *conf, unsigned cpu);

struct kvm_cpuid_entry2 *cpuid_find(struct kvm_cpuid2 *table, uint32_t function, uint32_t index);
