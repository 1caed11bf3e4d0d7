// SPDX-License-Identifier: GPL-2.0-only
/* t_intx: the interrupt line, the ISR register that lowers it, and the bits that gate it. */

#include "drivers.h"
#include "irq.h"

static void read_one(struct blk *b)
{
	must_be(blk_io(b, BLK_IN, 0, b->data, 512, true), BLK_OK, "a read");
}

static const u8 candidates[] = {16, 17, 18, 19, 20, 21, 22, 23, 5, 9, 10, 11};

static int any_pin(void)
{
	int pin = -1;

	for (u32 i = 0; i < ARRAY_SIZE(candidates); i++)
		if (irq_count[VEC_PIN(candidates[i])] && (int)candidates[i] > pin)
			pin = candidates[i];
	return pin;
}

/*
 * Which pin a function's line ends at is written down in AML, which we don't read: raise the line
 * and see who answers. Where a line reaches two pins (one for the 8259s), the higher one is taken.
 */
static int find_pin(struct blk *b)
{
	struct func *f = b->d->f;
	int pin;

	skip_if(!cfg_r8(f, PCI_PIN), "no interrupt pin");
	if (f->gsi >= 0)
		return f->gsi;
	read_one(b);
	for (u32 i = 0; i < ARRAY_SIZE(candidates); i++)
		pin_unmask(candidates[i]);
	wait_until(any_pin() >= 0, PATIENCE);
	delay_us(SETTLE); /* for a second one */
	pin = any_pin();
	reg_r8(&b->d->isr, 0);
	delay_us(SETTLE / 4);
	irq_reset();
	must(pin >= 0, "an interrupt is asserted, and none of the pins sees it");
	f->gsi = pin;
	return pin;
}

static struct blk *open_line(struct vdev *d, int *pin)
{
	struct blk *b = blk_open(d, 0, 16);

	*pin = find_pin(b);
	return b;
}

static void isr_bit(struct vdev *d)
{
	struct blk *b = blk_open(d, 0, 16);

	must_be(reg_r8(&d->isr, 0), 0, "ISR at first");
	read_one(b);
	must(wait_until(cfg_r16(d->f, PCI_STATUS) & STS_INTX, PATIENCE), "the status bit is clear");
	must_be(reg_r8(&d->isr, 0), 1, "ISR");
	must_be(reg_r8(&d->isr, 0), 0, "ISR, read again");
	must_be(cfg_r16(d->f, PCI_STATUS) & STS_INTX, 0, "the status bit once ISR was read");
}

static struct vdev *hooked;
static volatile u8 isr_seen;
static volatile u32 spurious;

/* What a driver's handler does: ISR says whether it was this device, and lowers the line. */
static void read_isr(u32 pin)
{
	u8 v = reg_r8(&hooked->isr, 0);

	isr_seen |= v;
	if (v)
		return;
	if (++spurious > 20)
		pin_mask(pin);
}

static void line_raised(struct vdev *d)
{
	int pin;
	struct blk *b = open_line(d, &pin);

	hooked = d;
	spurious = 0;
	pin_hook = read_isr;
	pin_unmask(pin);
	for (u32 i = 1; i <= 5; i++) {
		isr_seen = 0;
		read_one(b);
		must(wait_until(isr_seen, PATIENCE), "no interrupt at pin %d", pin);
		must_be(isr_seen, 1, "ISR in the handler");
	}
	delay_us(SETTLE);
	must(spurious <= 5, "the line is up %u times with ISR 0", spurious);
}

/*
 * How often a line that is up interrupts is between the VMM and its interrupt controller. One more
 * after ISR was read is allowed too, as on any shared line; a line that stays is not.
 */
static void level_stays(struct vdev *d)
{
	int pin;
	struct blk *b = open_line(d, &pin);
	u32 seen;

	pin_unmask(pin);
	read_one(b);
	must(wait_until(irq_count[VEC_PIN(pin)], PATIENCE), "no interrupt at pin %d", pin);
	delay_us(SETTLE / 4);
	seen = irq_count[VEC_PIN(pin)];
	pin_unmask(pin); /* ISR has not been read: the line is still up */
	must(wait_until(irq_count[VEC_PIN(pin)] > seen, PATIENCE),
	     "the line does not stay up until ISR is read");
	delay_us(SETTLE / 4);
	must_be(reg_r8(&d->isr, 0), 1, "ISR");
	delay_us(SETTLE / 4);
	seen = irq_count[VEC_PIN(pin)];
	pin_unmask(pin);
	delay_us(SETTLE / 4);
	must_be(reg_r8(&d->isr, 0), 0, "ISR, read again");
	delay_us(SETTLE / 4);
	must(irq_count[VEC_PIN(pin)] <= seen + 1, "%u interrupts, %u before",
	     irq_count[VEC_PIN(pin)], seen);
	seen = irq_count[VEC_PIN(pin)];
	pin_unmask(pin);
	delay_us(SETTLE);
	must_be(irq_count[VEC_PIN(pin)], seen, "interrupts once ISR was read twice");
}

static void disable_bit(struct vdev *d)
{
	int pin;
	struct blk *b = open_line(d, &pin);

	cfg_w16(d->f, PCI_COMMAND, d->f->command | CMD_INTX_OFF);
	pin_unmask(pin);
	read_one(b);
	delay_us(SETTLE);
	must_be(irq_count[VEC_PIN(pin)], 0, "interrupts with Interrupt Disable set");
	must(wait_until(cfg_r16(d->f, PCI_STATUS) & STS_INTX, PATIENCE), "the status bit is clear");
	cfg_w16(d->f, PCI_COMMAND, d->f->command);
	must(wait_until(irq_count[VEC_PIN(pin)], PATIENCE), "no interrupt once it is clear again");
	must_be(reg_r8(&d->isr, 0), 1, "ISR");
}

static void reset_lowers(struct vdev *d)
{
	int pin;
	struct blk *b = open_line(d, &pin);

	read_one(b);
	must(wait_until(cfg_r16(d->f, PCI_STATUS) & STS_INTX, PATIENCE), "the status bit is clear");
	must(vd_reset(d), "no reset");
	must_be(cfg_r16(d->f, PCI_STATUS) & STS_INTX, 0, "the status bit after a reset");
	must_be(reg_r8(&d->isr, 0), 0, "ISR after a reset");
	pin_unmask(pin);
	delay_us(SETTLE);
	must_be(irq_count[VEC_PIN(pin)], 0, "interrupts after a reset");
}

static void msix_takes_over(struct vdev *d)
{
	int pin;
	struct blk *b = open_line(d, &pin);

	skip_if(!d->f->msix, "no MSI-X");
	vd_msix(d);
	b = blk_open(d, 0, 16);
	pin_unmask(pin);
	read_one(b);
	must(wait_until(irq_count[VEC_MSI(1)], PATIENCE), "no message");
	must_be(irq_count[VEC_PIN(pin)], 0, "line interrupts under MSI-X");
}

static void config_change(struct vdev *d)
{
	int pin;
	struct blk *b = open_line(d, &pin);

	pin_unmask(pin);
	b->q->avail->ring[b->q->avail->idx % b->q->size] = 0x7fff;
	barrier();
	b->q->avail->idx++;
	vq_kick(b->q);
	must(wait_until(irq_count[VEC_PIN(pin)], PATIENCE), "no interrupt for NEEDS_RESET");
	must(reg_r8(&d->isr, 0) & 2, "ISR bit 1");
	must_be(reg_r8(&d->isr, 0), 0, "ISR, read again");
}

static const struct test tests[] = {
	{"PCI-ISR-03,PCI-ISR-04,PCI-ISR-05,PCI-ISR-06",
	 "ISR and the status bit show a queue's event until ISR is read", isr_bit, BLK, 0},
	{"PCI-ISR-09", "a queue's event raises the line", line_raised, BLK, 0},
	{"PCI-ISR-06", "the line stays up until ISR is read", level_stays, BLK, 0},
	{"PCI-ISR-07", "Interrupt Disable holds the line down", disable_bit, BLK, 0},
	{"PCI-RESET-07", "a reset lowers the line and clears ISR", reset_lowers, BLK, 0},
	{"PCI-MSIX-10", "with MSI-X on the line is silent", msix_takes_over, BLK, 0},
	{"PCI-ISR-11", "a configuration change sets ISR bit 1 and raises the line", config_change, BLK,
	 HOSTILE},
};

const struct suite suite_intx = {"intx", tests, ARRAY_SIZE(tests)};
