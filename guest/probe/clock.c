// SPDX-License-Identifier: GPL-2.0-only
/* clock: how fast the TSC runs, told by CPUID or measured against the PIT. */

#include "lib.h"

#define PIT_HZ    1193182u
#define PIT_DATA0 0x40
#define PIT_MODE  0x43

static u64 tsc_us = 2500; /* a guess that keeps deadlines sane when nothing can be measured */

static u16 pit_count(void)
{
	u8 lo;

	outb(PIT_MODE, 0x00); /* latch channel 0 */
	lo = inb(PIT_DATA0);
	return lo | inb(PIT_DATA0) << 8;
}

/* Counter 0 counts down from 65536 again and again; 2 ms of it are enough here. */
static u64 by_pit(void)
{
	const u16 want = PIT_HZ / 500;
	u16 first, gone = 0;
	u64 t0, t1 = 0;

	outb(PIT_MODE, 0x34); /* channel 0, both bytes, rate generator */
	outb(PIT_DATA0, 0);
	outb(PIT_DATA0, 0);
	first = pit_count();
	t0 = rdtsc();
	for (u32 tries = 0; tries < 20000 && gone < want; tries++) {
		gone = first - pit_count();
		t1 = rdtsc();
	}
	return gone < want ? 0 : (t1 - t0) * PIT_HZ / gone / 1000000;
}

static u64 by_cpuid(void)
{
	u32 r[4];

	cpuid(0x40000000, 0, r);
	if (r[0] >= 0x40000010 && r[0] < 0x40000100) {
		cpuid(0x40000010, 0, r);
		if (r[0])
			return r[0] / 1000;
	}
	cpuid(0, 0, r);
	if (r[0] >= 0x15) {
		cpuid(0x15, 0, r);
		if (r[0] && r[1] && r[2])
			return (u64)r[2] * r[1] / r[0] / 1000000;
	}
	return 0;
}

void clock_init(void)
{
	u64 v = by_cpuid();

	if (!v)
		v = by_pit();
	if (v)
		tsc_us = v;
}

u64 tsc_per_us(void)
{
	return tsc_us;
}

u64 now_us(void)
{
	return rdtsc() / tsc_us;
}

void delay_us(u64 us)
{
	u64 end = rdtsc() + us * tsc_us;

	while (rdtsc() < end)
		barrier();
}
