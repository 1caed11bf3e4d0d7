// SPDX-License-Identifier: GPL-2.0-only
/*
 * cpuid: what the guest is told of its processors.
 *
 * APIC ids are the vCPU numbers: one socket, one thread per core, so that "cores" is all the
 * topology.
 *
 * Runs on: main
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "kvm/cpuid.h"
#include "lkvm/log.h"

#define LEAF_KVM	0x40000000U
#define LEAF_KVM_TIMING 0x40000010U
#define APIC_KHZ	1000000U /* the frequency of KVM's LAPIC timer */

#define EDX1_HTT	  (1U << 28)
#define ECX1_X2APIC	  (1U << 21)
#define ECX1_TSC_DEADLINE (1U << 24)
#define ECX1_HYPERVISOR	  (1U << 31)
#define EDX80000007_INVARIANT_TSC (1U << 8)
#define ECX80000001_CMP_LEGACY	  (1U << 1)

struct kvm_cpuid2 *cpuid_alloc(void)
{
	struct kvm_cpuid2 *table;

	table = calloc(1, sizeof(*table) + CPUID_ENTRIES_MAX * sizeof(table->entries[0]));
	if (table)
		table->nent = CPUID_ENTRIES_MAX;
	return table;
}

struct kvm_cpuid2 *cpuid_supported(int dev)
{
	struct kvm_cpuid2 *table = cpuid_alloc();

	if (table && ioctl(dev, KVM_GET_SUPPORTED_CPUID, table) == 0)
		return table;
	log_err(NULL, "cannot ask KVM for the processor's features: %s",
		strerror(table ? errno : ENOMEM));
	free(table);
	return NULL;
}

struct kvm_cpuid_entry2 *cpuid_find(struct kvm_cpuid2 *table, uint32_t function, uint32_t index)
{
	uint32_t i;

	for (i = 0; i < table->nent; i++) {
		struct kvm_cpuid_entry2 *e = &table->entries[i];

		if (e->function != function)
			continue;
		if (!(e->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) || e->index == index)
			return e;
	}
	return NULL;
}

unsigned cpuid_phys_bits(const struct kvm_cpuid2 *table)
{
	const struct kvm_cpuid_entry2 *e =
		cpuid_find((struct kvm_cpuid2 *)table, 0x80000008, 0);
	unsigned bits = e ? e->eax & 0xff : 0, guest = e ? e->eax >> 16 & 0xff : 0;

	if (bits < 32 || bits > 52)
		bits = 36; /* what every 64-bit processor can do */
	return guest >= 32 && guest < bits ? guest : bits;
}

/* The leaf, made when it isn't there. NULL: the table is full. */
static struct kvm_cpuid_entry2 *leaf(struct kvm_cpuid2 *table, uint32_t function, uint32_t index,
				     bool indexed)
{
	struct kvm_cpuid_entry2 *e = cpuid_find(table, function, index);

	if (e)
		return e;
	if (table->nent >= CPUID_ENTRIES_MAX)
		return NULL;
	e = &table->entries[table->nent++];
	*e = (struct kvm_cpuid_entry2){
		.function = function,
		.index = index,
		.flags = indexed ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0,
	};
	return e;
}

/* How many bits the numbers 0 .. n - 1 take. */
static unsigned bits_for(unsigned n)
{
	unsigned bits = 0;

	while (1U << bits < n)
		bits++;
	return bits;
}

static bool vendor_is(struct kvm_cpuid2 *table, const char *name)
{
	const struct kvm_cpuid_entry2 *e = cpuid_find(table, 0, 0);

	return e && !memcmp(&e->ebx, name, 4) && !memcmp(&e->edx, name + 4, 4) &&
	       !memcmp(&e->ecx, name + 8, 4);
}

static void fix_features(struct kvm_cpuid_entry2 *e, const struct cpuid_conf *conf, unsigned cpu)
{
	e->ebx = (e->ebx & 0xffff) | conf->cpus << 16 | cpu << 24;
	e->ecx |= ECX1_HYPERVISOR | ECX1_X2APIC;
	e->ecx &= ~ECX1_TSC_DEADLINE;
	if (conf->tsc_deadline)
		e->ecx |= ECX1_TSC_DEADLINE;
	e->edx &= ~EDX1_HTT;
	if (conf->cpus > 1)
		e->edx |= EDX1_HTT;
}

/*
 * Caches, leaf 4 and AMD's 0x8000001d alike: the first two levels belong to a core, the others to
 * the socket. Intel's also says how many cores there may be.
 */
static void fix_cache(struct kvm_cpuid_entry2 *e, unsigned cpus)
{
	unsigned level = e->eax >> 5 & 7, ids = 1U << bits_for(cpus);
	unsigned sharing = level >= 3 ? ids - 1 : 0;

	if (!(e->eax & 0x1f))
		return;
	e->eax = (e->eax & 0x3fff) | sharing << 14;
	if (e->function == 4)
		e->eax |= (ids - 1) << 26;
}

static void fix_amd_sizes(struct kvm_cpuid_entry2 *e, unsigned cpus)
{
	e->ecx = (e->ecx & ~0xf0ffU) | (cpus - 1) | bits_for(cpus) << 12;
}

static void fix_amd_topology(struct kvm_cpuid_entry2 *e, unsigned cpu)
{
	e->eax = cpu; /* the extended APIC id */
	e->ebx = cpu; /* core number, one thread in it */
	e->ecx = 0;   /* node 0 of one */
	e->edx = 0;
}

static void fix_entry(struct kvm_cpuid_entry2 *e, const struct cpuid_conf *conf, unsigned cpu,
		      bool amd)
{
	switch (e->function) {
	case 1:
		fix_features(e, conf, cpu);
		break;
	case 4:
	case 0x8000001d:
		fix_cache(e, conf->cpus);
		break;
	case 0x80000001:
		e->ecx &= ~ECX80000001_CMP_LEGACY;
		if (amd && conf->cpus > 1)
			e->ecx |= ECX80000001_CMP_LEGACY;
		break;
	case 0x80000008:
		if (amd)
			fix_amd_sizes(e, conf->cpus);
		break;
	case 0x8000001e:
		if (amd)
			fix_amd_topology(e, cpu);
		break;
	default:
		break;
	}
}

/* Leaves 0xb and 0x1f: per index a level, from the threads of a core outwards. */
static int add_levels(struct kvm_cpuid2 *out, uint32_t function, unsigned cpus, unsigned cpu)
{
	const struct { unsigned type, shift, count; } level[] = {
		{ 1, 0, 1 },		      /* threads of a core */
		{ 2, bits_for(cpus), cpus },  /* cores of the socket */
		{ 0, 0, 0 },		      /* that's all */
	};
	unsigned i;

	for (i = 0; i < 3; i++) {
		struct kvm_cpuid_entry2 *e = leaf(out, function, i, true);

		if (!e)
			return -E2BIG;
		e->eax = level[i].shift;
		e->ebx = level[i].count;
		e->ecx = i | level[i].type << 8;
		e->edx = cpu;
	}
	return 0;
}

/* The last fraction p/q before p passes max, on the way to num/den by continued fractions. */
static void ratio_below(uint32_t num, uint32_t den, uint32_t max, uint32_t *p, uint32_t *q)
{
	uint64_t p0 = 0, q0 = 1, p1 = 1, q1 = 0;

	while (den) {
		uint32_t whole = num / den, rest = num % den;
		uint64_t p2 = whole * p1 + p0, q2 = whole * q1 + q0;

		if (p2 > max || q2 > max)
			break;
		p0 = p1;
		q0 = q1;
		p1 = p2;
		q1 = q2;
		num = den;
		den = rest;
	}
	*p = (uint32_t)p1;
	*q = (uint32_t)q1;
}

/*
 * Intel's leaf 0x15: TSC frequency = crystal * ebx / eax, and the LAPIC timer runs at the
 * crystal's. KVM's LAPIC runs at 1 GHz, so that is the crystal. The ratio is kept small as guests
 * multiply kilohertz in 32 bits; that mostly costs less than a millionth, at worst three
 * ten-thousandths.
 */
static int add_intel_timing(struct kvm_cpuid2 *out, uint32_t tsc_khz)
{
	struct kvm_cpuid_entry2 *max = cpuid_find(out, 0, 0), *e = leaf(out, 0x15, 0, false);

	if (!e || !max)
		return -E2BIG;
	ratio_below(tsc_khz, APIC_KHZ, UINT32_MAX / APIC_KHZ, &e->ebx, &e->eax);
	e->ecx = APIC_KHZ * 1000;
	e->edx = 0;
	if (!e->ebx || !e->eax) {
		memset(&e->eax, 0, 4 * sizeof(e->eax));
		return 0;
	}
	if (max->eax < 0x15)
		max->eax = 0x15;
	return 0;
}

/* The same for everybody, where hypervisors have agreed to say it. */
static int add_timing(struct kvm_cpuid2 *out, uint32_t tsc_khz)
{
	struct kvm_cpuid_entry2 *kvm = cpuid_find(out, LEAF_KVM, 0), *e;

	if (!kvm)
		return 0; /* no KVM leaves to extend */
	e = leaf(out, LEAF_KVM_TIMING, 0, false);
	if (!e)
		return -E2BIG;
	e->eax = tsc_khz;
	e->ebx = APIC_KHZ;
	e->ecx = e->edx = 0;
	if (kvm->eax < LEAF_KVM_TIMING)
		kvm->eax = LEAF_KVM_TIMING;
	return 0;
}

static int add_topology(struct kvm_cpuid2 *out, unsigned cpus, unsigned cpu, bool had_1f, bool amd)
{
	struct kvm_cpuid_entry2 *max = cpuid_find(out, 0, 0), *ext = cpuid_find(out, 0x80000001, 0),
				*e;

	if (!max)
		return 0;
	if (max->eax < 0xb)
		max->eax = 0xb;
	if (add_levels(out, 0xb, cpus, cpu) < 0)
		return -E2BIG;
	if (had_1f && max->eax >= 0x1f && add_levels(out, 0x1f, cpus, cpu) < 0)
		return -E2BIG;
	/* TOPOEXT promises leaf 0x8000001e. */
	if (amd && ext && ext->ecx & 1U << 22) {
		e = leaf(out, 0x8000001e, 0, false);
		if (!e)
			return -E2BIG;
		fix_amd_topology(e, cpu);
	}
	return 0;
}

int cpuid_build(struct kvm_cpuid2 *out, const struct kvm_cpuid2 *supported,
		const struct cpuid_conf *conf, unsigned cpu)
{
	bool amd = vendor_is((struct kvm_cpuid2 *)supported, "AuthenticAMD") ||
		   vendor_is((struct kvm_cpuid2 *)supported, "HygonGenuine");
	const struct kvm_cpuid_entry2 *power;
	bool had_1f = false;
	uint32_t i;
	int ret;

	if (supported->nent > CPUID_ENTRIES_MAX)
		return -E2BIG;
	out->nent = 0;
	for (i = 0; i < supported->nent; i++) {
		const struct kvm_cpuid_entry2 *e = &supported->entries[i];

		/* Levels come anew: the host's are not the guest's. */
		had_1f |= e->function == 0x1f;
		if (e->function == 0xb || e->function == 0x1f)
			continue;
		out->entries[out->nent] = *e;
		fix_entry(&out->entries[out->nent++], conf, cpu, amd);
	}
	ret = add_topology(out, conf->cpus, cpu, had_1f, amd);
	if (ret < 0)
		return ret;

	/* A frequency that may change is not worth telling. */
	power = cpuid_find(out, 0x80000007, 0);
	if (!conf->tsc_khz || !power || !(power->edx & EDX80000007_INVARIANT_TSC))
		return 0;
	ret = add_timing(out, conf->tsc_khz);
	if (!ret && vendor_is(out, "GenuineIntel"))
		ret = add_intel_timing(out, conf->tsc_khz);
	return ret;
}
