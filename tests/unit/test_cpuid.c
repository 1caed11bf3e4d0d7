// SPDX-License-Identifier: GPL-2.0-only
/*
 * What vCPUs are told of themselves, from made-up answers of KVM for either vendor.
 */
#include <errno.h>
#include <stdlib.h>

#include "kvm/cpuid.h"
#include "tap.h"

#define INDEXED KVM_CPUID_FLAG_SIGNIFCANT_INDEX

static struct kvm_cpuid2 *host, *out;

static void add(uint32_t function, uint32_t index, uint32_t flags, uint32_t eax, uint32_t ebx,
		uint32_t ecx, uint32_t edx)
{
	host->entries[host->nent++] = (struct kvm_cpuid_entry2){
		.function = function, .index = index, .flags = flags,
		.eax = eax, .ebx = ebx, .ecx = ecx, .edx = edx,
	};
}

static void begin(uint32_t max, const char *vendor)
{
	uint32_t r[3];

	memcpy(r, vendor, 12);
	host->nent = 0;
	add(0, 0, 0, max, r[0], r[2], r[1]);
	/* The host's id 7 of 16, no hypervisor bit, deadline on. */
	add(1, 0, 0, 0x306a9, 0x07100800, 1U << 24 | 1, 1U << 28 | 0xff);
	add(0x40000000, 0, 0, 0x40000001, 0x4b4d564b, 0x564b4d56, 0x4d);
	add(0x40000001, 0, 0, 0x01000009, 0, 0, 0);
	add(0x80000000, 0, 0, 0x8000001e, 0, 0, 0);
	add(0x80000007, 0, 0, 0, 0, 0, 1U << 8);
	add(0x80000008, 0, 0, 0x3030, 0, 0, 0);
}

static void intel(void)
{
	begin(0x16, "GenuineIntel");
	add(4, 0, INDEXED, 0x1c004121, 0x01c0003f, 0x3f, 0);   /* L1d, 2 sharing in 8 cores */
	add(4, 3, INDEXED, 0x1c03c163, 0x02c0003f, 0x1fff, 6); /* L3, 16 sharing */
	add(4, 4, INDEXED, 0, 0, 0, 0);
	add(0xb, 0, INDEXED, 1, 2, 0x100, 7);
	add(0xb, 1, INDEXED, 4, 16, 0x201, 7);
	add(0xb, 3, INDEXED, 7, 128, 0x503, 7);
	add(0x80000001, 0, 0, 0, 0, 1, 0);
}

static void amd(void)
{
	begin(0x1f, "AuthenticAMD");
	add(0xb, 0, INDEXED, 0, 0, 0, 0);
	add(0x1f, 0, INDEXED, 0, 0, 0, 0);
	add(0x80000001, 0, 0, 0, 0, 1U << 22, 0);
	add(0x8000001d, 0, INDEXED, 0x00004121, 0, 0, 0);
	add(0x8000001d, 3, INDEXED, 0x0003c163, 0, 0, 0);
}

static const struct kvm_cpuid_entry2 *build(unsigned cpus, unsigned cpu, uint32_t khz,
					    uint32_t function, uint32_t index)
{
	static const struct kvm_cpuid_entry2 none;
	struct cpuid_conf conf = { .cpus = cpus, .tsc_deadline = true, .tsc_khz = khz };
	const struct kvm_cpuid_entry2 *e;
	int ret = cpuid_build(out, host, &conf, cpu);

	if (ret)
		printf("# cpuid_build: %d\n", ret);
	e = ret ? NULL : cpuid_find(out, function, index);
	return e ? e : &none;
}

static void test_features(void)
{
	struct cpuid_conf conf = { .cpus = 6 };
	const struct kvm_cpuid_entry2 *e;

	intel();
	e = build(6, 5, 0, 1, 0);
	is(e->ebx >> 24, 5, "the APIC id is the vCPU's number");
	is(e->ebx >> 16 & 0xff, 6, "leaf 1 counts the processors");
	is(e->ebx & 0xffff, 0x0800, "and keeps the cache line's size");
	ok(e->ecx & 1U << 31, "there is a hypervisor");
	ok(e->ecx & 1U << 21, "there is x2APIC");
	ok(e->ecx & 1U << 24, "the deadline timer is there when KVM has it");
	ok(e->edx & 1U << 28, "HTT is set for several processors");
	is(cpuid_build(out, host, &conf, 0), 0, "without the deadline timer");
	ok(!(cpuid_find(out, 1, 0)->ecx & 1U << 24), "it is not there");
	ok(!(build(1, 0, 0, 1, 0)->edx & 1U << 28), "HTT is clear for one processor");
}

/* Leaf 0xb by the rules a guest reads it by, for every size of machine. */
static void test_levels(void)
{
	unsigned cpus, cpu, bad = 0;

	amd();
	for (cpus = 1; cpus <= 64; cpus++) {
		for (cpu = 0; cpu < cpus; cpu++) {
			struct kvm_cpuid_entry2 smt = *build(cpus, cpu, 0, 0xb, 0);
			struct kvm_cpuid_entry2 core = *build(cpus, cpu, 0, 0xb, 1);
			struct kvm_cpuid_entry2 end = *build(cpus, cpu, 0, 0xb, 2);

			bad += smt.eax != 0 || smt.ebx != 1 || smt.ecx != 0x100 || smt.edx != cpu;
			bad += core.ebx != cpus || core.ecx != 0x201 || core.edx != cpu;
			/* One package: nothing of the id is above the shift; no bit is wasted. */
			bad += cpu >> core.eax != 0 || (core.eax && 1U << (core.eax - 1) >= cpus);
			bad += end.eax || end.ebx || end.ecx != 2 || end.edx != cpu;
		}
	}
	is(bad, 0, "leaf 0xb places every vCPU of 1 to 64 in one socket");
	is(build(6, 3, 0, 0x1f, 1)->ebx, 6, "leaf 0x1f says the same when the host has it");
	is(build(6, 3, 0, 0x1f, 1)->edx, 3, "with the vCPU's id");
	intel();
	ok(!build(6, 3, 0, 0x1f, 1)->ebx, "and isn't there when the host has none");
	is(build(6, 3, 0, 0xb, 1)->eax, 3, "the host's own levels don't shine through");
	is(build(6, 3, 0, 0xb, 3)->ebx, 0, "nor do those it has more of");
	host->entries[0].eax = 7;
	is(build(6, 3, 0, 0, 0)->eax, 0xb, "an old processor's highest leaf is raised to reach it");
}

static void test_intel_caches(void)
{
	const struct kvm_cpuid_entry2 *e;

	intel();
	e = build(6, 1, 0, 4, 0);
	is(e->eax >> 26, 7, "leaf 4: room for 8 core ids");
	is(e->eax >> 14 & 0xfff, 0, "an L1 belongs to one core");
	is(e->eax & 0x3fff, 0x0121, "its kind stays");
	e = build(6, 1, 0, 4, 3);
	is(e->eax >> 14 & 0xfff, 7, "the L3 is everybody's");
	is(build(64, 1, 0, 4, 3)->eax >> 26, 63, "64 core ids fit");
	is(build(6, 1, 0, 4, 4)->eax, 0, "the end of the list stays");
}

static void test_amd(void)
{
	const struct kvm_cpuid_entry2 *e;

	amd();
	e = build(6, 5, 0, 0x80000008, 0);
	is(e->ecx & 0xff, 5, "0x80000008: cores less one");
	is(e->ecx >> 12 & 15, 3, "and the bits their ids take");
	is(e->eax, 0x3030, "the address widths stay");
	e = build(6, 5, 0, 0x8000001e, 0);
	is(e->eax, 5, "0x8000001e: the APIC id");
	is(e->ebx, 5, "core 5, one thread");
	is(e->ecx, 0, "one node");
	ok(build(6, 5, 0, 0x80000001, 0)->ecx & 2, "CmpLegacy for several cores");
	is(build(6, 5, 0, 0x8000001d, 0)->eax >> 14 & 0xfff, 0, "an L1 belongs to one core");
	is(build(6, 5, 0, 0x8000001d, 3)->eax >> 14 & 0xfff, 7, "the L3 is everybody's");
	ok(!(build(1, 0, 0, 0x80000001, 0)->ecx & 2), "no CmpLegacy for one");
	intel();
	is(build(6, 5, 0, 0x80000008, 0)->ecx, 0, "Intel's 0x80000008 stays");
	ok(!(build(6, 5, 0, 0x80000001, 0)->ecx & 2), "and has no CmpLegacy");
	is(build(6, 5, 0, 0x8000001e, 0)->ebx, 0, "nor AMD's topology leaf");
}

static void test_timing(void)
{
	static const uint32_t rates[] = { 800000,  1999999, 2096069, 2596096,
					  2893202, 3792874, 4200000 };
	const struct kvm_cpuid_entry2 *e;
	unsigned i;

	intel();
	for (i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		uint32_t khz = rates[i], got32;
		double off;

		e = build(2, 0, khz, 0x15, 0);
		/* As Linux does: kilohertz, in 32 bits. */
		got32 = e->eax ? e->ecx / 1000 * e->ebx / e->eax : 0;
		off = e->eax ? (double)e->ecx * e->ebx / e->eax / 1000.0 / khz - 1 : 1;
		ok(off < 1e-5 && off > -1e-5, "leaf 0x15 tells %u kHz within a hundred-thousandth",
		   khz);
		ok(got32 + khz / 100000 >= khz && got32 <= khz + khz / 100000,
		   "and without overflow in 32 bits");
		is(e->ecx, 1000000000, "the crystal is the LAPIC's 1 GHz");
	}
	e = build(2, 0, 5000123, 0x15, 0);
	ok(e->ebx == 5 && e->eax == 1, "what small numbers can't tell is told nearly");
	e = build(2, 0, 2596096, 0x40000010, 0);
	is(e->eax, 2596096, "0x40000010 tells the TSC's frequency");
	is(e->ebx, 1000000, "and the LAPIC's");
	is(build(2, 0, 2596096, 0x40000000, 0)->eax, 0x40000010,
	   "which the KVM leaf's count reaches");
	is(build(2, 0, 2596096, 0x40000001, 0)->eax, 0x01000009,
	   "KVM's features stay, kvmclock with them");
	is(build(2, 0, 0, 0x40000000, 0)->eax, 0x40000001, "nothing is told that isn't known");
	host->entries[5].edx = 0;
	is(build(2, 0, 2596096, 0x40000010, 0)->eax, 0, "nor of a TSC that isn't invariant");
	amd();
	is(build(2, 0, 2596096, 0x40000010, 0)->eax, 2596096, "AMD has 0x40000010");
	is(build(2, 0, 2596096, 0x15, 0)->ecx, 0, "but no leaf 0x15");
}

static void test_limits(void)
{
	struct cpuid_conf conf = { .cpus = 1, .tsc_khz = 1000 };
	uint32_t i;

	amd();
	is(cpuid_phys_bits(host), 48, "the address width is leaf 0x80000008's");
	host->entries[6].eax = 48 | 40 << 16;
	is(cpuid_phys_bits(host), 40, "a narrower guest width counts");
	host->entries[6].eax = 200;
	is(cpuid_phys_bits(host), 36, "nonsense is taken for 36");
	host->nent = 0;
	is(cpuid_phys_bits(host), 36, "so is nothing");
	amd();
	for (i = host->nent; i < CPUID_ENTRIES_MAX; i++)
		add(0x50000000 + i, 0, 0, 0, 0, 0, 0);
	is(cpuid_build(out, host, &conf, 0), -E2BIG, "a full table is an error, not an overflow");
	host->nent = CPUID_ENTRIES_MAX + 1;
	is(cpuid_build(out, host, &conf, 0), -E2BIG, "so is one that is too long");
}

int main(void)
{
	host = cpuid_alloc();
	out = cpuid_alloc();
	if (!host || !out)
		return 1;
	test_features();
	test_levels();
	test_intel_caches();
	test_amd();
	test_timing();
	test_limits();
	free(host);
	free(out);
	return tap_end();
}
