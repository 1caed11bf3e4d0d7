/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Interrupts: the local APIC by MMIO, the I/O APIC, and a count per vector. Handlers only count;
 * a handler of a level-triggered line also masks its pin, so that a line that is never lowered
 * cannot hang the guest, unless a hook lowers it.
 */
#pragma once

#include "lib.h"

#define LAPIC  0xfee00000ull
#define IOAPIC 0xfec00000ull

#define VEC_PIN(pin) (0x30 + (pin)) /* I/O APIC pins 0..23 */
#define VEC_MSI(n)   (0x50 + (n))   /* MSI-X table entries 0..127 */
#define VEC_WATCHDOG 0xf0
#define VEC_SPURIOUS 0xff
#define PINS         24

extern volatile u32 irq_count[256];

void irq_init(void);

/* Between subtests: all pins masked, all counts zero. */
void irq_reset(void);

u8 lapic_id(void);

/* Level-triggered, active low, to this CPU: what PCI interrupt lines are. */
void pin_unmask(u32 pin);
void pin_mask(u32 pin);
bool pin_masked(u32 pin);

/* Called for a pin's interrupt before its EOI, where a driver would read ISR; NULL between
 * subtests. */
extern void (*pin_hook)(u32 pin);

/* Ends the virtual machine, by whatever way this VMM has: 0 means all is well. */
void machine_end(u8 status);
