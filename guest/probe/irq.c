// SPDX-License-Identifier: GPL-2.0-only
/* irq: IDT, exceptions, local APIC, I/O APIC pins and the watchdog. */

#include "irq.h"
#include "test.h"

#define LAPIC_ID     0x20
#define LAPIC_TPR    0x80
#define LAPIC_EOI    0xb0
#define LAPIC_SVR    0xf0
#define LAPIC_TIMER  0x320
#define LAPIC_LINT0  0x350
#define LAPIC_LINT1  0x360
#define LAPIC_COUNT  0x380
#define LAPIC_NOW    0x390
#define LAPIC_DIVIDE 0x3e0
#define PERIODIC     BIT(17)
#define MASKED       BIT(16)
#define LEVEL_LOW    (BIT(15) | BIT(13)) /* also while masked: some I/O APICs latch by it */

#define TICK_US 100000

struct frame {
	u64 r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
	u64 vector, error, rip, cs, rflags, rsp, ss;
};

struct gate {
	u16 low, selector, flags, middle;
	u32 high, zero;
};

volatile u32 irq_count[256];
void (*pin_hook)(u32 pin);
static struct gate idt[256] __attribute__((aligned(16)));

extern char isr_stubs[];
void isr(struct frame *f);

static u32 pin_read(u32 reg)
{
	w32(IOAPIC, reg);
	return r32(IOAPIC + 0x10);
}

static void pin_write(u32 reg, u32 v)
{
	w32(IOAPIC, reg);
	w32(IOAPIC + 0x10, v);
}

void pin_mask(u32 pin)
{
	pin_write(0x10 + 2 * pin, pin_read(0x10 + 2 * pin) | MASKED);
}

/* An interrupt between index and window would move the index: interrupts are off around the pair.
 */
void pin_unmask(u32 pin)
{
	__asm__ volatile("cli");
	pin_write(0x11 + 2 * pin, (u32)lapic_id() << 24);
	pin_write(0x10 + 2 * pin, VEC_PIN(pin) | LEVEL_LOW);
	__asm__ volatile("sti");
}

bool pin_masked(u32 pin)
{
	u32 v;

	__asm__ volatile("cli");
	v = pin_read(0x10 + 2 * pin);
	__asm__ volatile("sti");
	return v & MASKED;
}

static void handle_pin(u32 pin)
{
	if (pin_hook)
		pin_hook(pin);
	else
		pin_mask(pin);
}

void isr(struct frame *f)
{
	u64 cr2;

	if (f->vector < 32) {
		__asm__ volatile("movq %%cr2, %0" : "=r"(cr2));
		print("#   exception %lu, error %#lx\n", f->vector, f->error);
		test_abort("exception at rip, cr2", f->rip, cr2);
	}
	irq_count[f->vector]++;
	if (f->vector == VEC_SPURIOUS)
		return;
	if (f->vector >= VEC_PIN(0) && f->vector < VEC_PIN(PINS))
		handle_pin(f->vector - VEC_PIN(0));
	w32(LAPIC + LAPIC_EOI, 0);
	if (f->vector == VEC_WATCHDOG && test_deadline_passed())
		test_abort("hung: the deadline has passed at rip, rsp", f->rip, f->rsp);
}

u8 lapic_id(void)
{
	return r32(LAPIC + LAPIC_ID) >> 24;
}

void irq_reset(void)
{
	__asm__ volatile("cli");
	pin_hook = NULL;
	for (u32 pin = 0; pin < PINS; pin++)
		if (irq_count[VEC_PIN(pin)] || !(pin_read(0x10 + 2 * pin) & MASKED))
			pin_write(0x10 + 2 * pin, VEC_PIN(pin) | LEVEL_LOW | MASKED);
	for (u32 i = 0x20; i < 256; i++)
		irq_count[i] = 0;
	__asm__ volatile("sti");
}

/* The timer's clock differs between VMMs: see how far it gets in a millisecond. */
static void watchdog_start(void)
{
	u32 gone;

	w32(LAPIC + LAPIC_DIVIDE, 0xb);
	w32(LAPIC + LAPIC_TIMER, MASKED);
	w32(LAPIC + LAPIC_COUNT, 0xffffffff);
	delay_us(1000);
	gone = 0xffffffff - r32(LAPIC + LAPIC_NOW);
	w32(LAPIC + LAPIC_TIMER, VEC_WATCHDOG | PERIODIC);
	w32(LAPIC + LAPIC_COUNT, gone * (TICK_US / 1000));
}

void irq_init(void)
{
	struct {
		u16 limit;
		u64 base;
	} __attribute__((packed)) idtr = {sizeof(idt) - 1, (u64)idt};

	for (u32 i = 0; i < 256; i++) {
		u64 at = (u64)isr_stubs + 16 * i;

		idt[i] = (struct gate){at, 8, 0x8e00, at >> 16, at >> 32, 0};
	}
	__asm__ volatile("lidt %0" ::"m"(idtr));

	outb(0x21, 0xff); /* both 8259s stay silent */
	outb(0xa1, 0xff);
	w32(LAPIC + LAPIC_TPR, 0);
	w32(LAPIC + LAPIC_LINT0, MASKED);
	w32(LAPIC + LAPIC_LINT1, MASKED);
	w32(LAPIC + LAPIC_SVR, 0x100 | VEC_SPURIOUS);
	for (u32 pin = 0; pin < PINS; pin++)
		pin_write(0x10 + 2 * pin, VEC_PIN(pin) | LEVEL_LOW | MASKED);
	watchdog_start();
	__asm__ volatile("sti");
}
