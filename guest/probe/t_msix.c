// SPDX-License-Identifier: GPL-2.0-only
/* t_msix: vectors are mapped, delivered, masked, held pending, and taken away. */

#include "drivers.h"
#include "irq.h"

#define C &d->common

static void read_one(struct blk *b)
{
	must_be(blk_io(b, BLK_IN, 0, b->data, 512, true), BLK_OK, "a read");
}

static void expect_irqs(u32 entry, u32 n)
{
	must(wait_until(irq_count[VEC_MSI(entry)] >= n, PATIENCE),
	     "vector %u: %u interrupts, wanted %u", entry, irq_count[VEC_MSI(entry)], n);
	must_be(irq_count[VEC_MSI(entry)], n, "interrupts of vector %u", entry);
}

static void expect_none(u32 entry)
{
	delay_us(SETTLE);
	must_be(irq_count[VEC_MSI(entry)], 0, "interrupts of vector %u", entry);
}

static struct blk *with_msix(struct vdev *d)
{
	vd_msix(d);
	return blk_open(d, 0, 16);
}

static void table_size(struct vdev *d)
{
	skip_if(!d->f->msix, "no MSI-X");
	must(d->f->msix_n >= 2 && d->f->msix_n <= 0x800, "%u vectors", d->f->msix_n);
	for (u32 i = 0; i < d->f->msix_n && i < 16; i++) {
		msix_entry(d->f, i, 0xfee00000 + (i << 12), i, 1);
		must_be(r32(d->f->msix_table + 16 * i), 0xfee00000 + (i << 12),
			"address of entry %u", i);
		must_be(r32(d->f->msix_table + 16 * i + 8), i, "data of entry %u", i);
	}
}

static void vector_registers(struct vdev *d)
{
	skip_if(!d->modern || !d->f->msix, "no MSI-X");
	vd_msix(d);
	vd_begin(d, 0);
	for (u32 v = 0; v < d->f->msix_n; v++) {
		reg_w16(C, C_CONFIG_VECTOR, v);
		must_be(reg_r16(C, C_CONFIG_VECTOR), v, "config vector");
		for (u32 q = 0; q < d->num_queues && q < 4; q++) {
			vd_select(d, q);
			reg_w16(C, C_QUEUE_VECTOR, v);
			must_be(reg_r16(C, C_QUEUE_VECTOR), v, "vector of queue %u", q);
		}
	}
	reg_w16(C, C_CONFIG_VECTOR, NO_VECTOR);
	must_be(reg_r16(C, C_CONFIG_VECTOR), NO_VECTOR, "config vector, unmapped");
	vd_select(d, 0);
	reg_w16(C, C_QUEUE_VECTOR, NO_VECTOR);
	must_be(reg_r16(C, C_QUEUE_VECTOR), NO_VECTOR, "vector of queue 0, unmapped");
}

static void vector_absent(struct vdev *d)
{
	skip_if(!d->modern || !d->f->msix, "no MSI-X");
	vd_msix(d);
	vd_begin(d, 0);
	vd_select(d, 0);
	for (u32 i = 0; i < 3; i++) {
		u16 bad = i == 0 ? d->f->msix_n : i == 1 ? 0x7ff : 0xfffe;

		if (bad < d->f->msix_n)
			continue;
		reg_w16(C, C_CONFIG_VECTOR, bad);
		must_be(reg_r16(C, C_CONFIG_VECTOR), NO_VECTOR,
			"config vector %u, which is not there", bad);
		reg_w16(C, C_QUEUE_VECTOR, bad);
		must_be(reg_r16(C, C_QUEUE_VECTOR), NO_VECTOR,
			"queue vector %u, which is not there", bad);
	}
}

static void vectors_after_reset(struct vdev *d)
{
	skip_if(!d->modern || !d->f->msix, "no MSI-X");
	vd_msix(d);
	vd_begin(d, 0);
	for (u32 q = 0; q < d->num_queues; q++) {
		vd_select(d, q);
		reg_w16(C, C_QUEUE_VECTOR, 1);
	}
	vd_reset(d);
	must_be(reg_r16(C, C_CONFIG_VECTOR), NO_VECTOR, "config vector");
	for (u32 q = 0; q < d->num_queues; q++) {
		vd_select(d, q);
		must_be(reg_r16(C, C_QUEUE_VECTOR), NO_VECTOR, "vector of queue %u", q);
	}
}

static void delivered(struct vdev *d)
{
	struct blk *b = with_msix(d);

	for (u32 i = 1; i <= 3; i++) {
		read_one(b);
		expect_irqs(1, i);
	}
	must_be(irq_count[VEC_MSI(0)], 0, "interrupts of the config vector");
}

static void any_vector(struct vdev *d)
{
	u32 n;

	vd_msix(d);
	n = d->f->msix_n;
	for (u32 v = 0; v < n && v < 4; v++) {
		struct blk *b = blk_open(d, 0, 16);

		vd_reset(d);
		vd_begin(d, 0);
		b->q = vq_new(d, 0, 16);
		reg_w16(C, C_QUEUE_VECTOR, v);
		vd_go(d);
		read_one(b);
		must(wait_until(irq_count[VEC_MSI(v)], PATIENCE), "vector %u is silent", v);
	}
}

static void unmapped(struct vdev *d)
{
	struct blk *b = with_msix(d);

	vd_select(d, 0);
	reg_w16(C, C_QUEUE_VECTOR, NO_VECTOR);
	read_one(b);
	expect_none(1);
	must_be(irq_count[VEC_MSI(0)], 0, "interrupts of vector 0");
	must_be(cfg_r16(d->f, PCI_STATUS) & STS_INTX, 0, "the INTx status bit");
}

static void remapped_live(struct vdev *d)
{
	struct blk *b = with_msix(d);

	read_one(b);
	expect_irqs(1, 1);
	vd_select(d, 0);
	reg_w16(C, C_QUEUE_VECTOR, 0);
	must_be(reg_r16(C, C_QUEUE_VECTOR), 0, "queue vector, changed under way");
	read_one(b);
	expect_irqs(0, 1);
	must_be(irq_count[VEC_MSI(1)], 1, "interrupts of the old vector");
}

static void masked_entry(struct vdev *d)
{
	struct blk *b = with_msix(d);

	msix_mask(d->f, 1, true);
	read_one(b);
	expect_none(1);
	must(wait_until(msix_pending(d->f, 1), PATIENCE), "the pending bit is clear");
	msix_mask(d->f, 1, false);
	expect_irqs(1, 1);
	must(!msix_pending(d->f, 1), "the pending bit stays set");
	read_one(b);
	expect_irqs(1, 2);
}

static void masked_function(struct vdev *d)
{
	struct blk *b = with_msix(d);

	cfg_w16(d->f, d->f->msix + 2, MSIX_ENABLE | MSIX_MASK);
	read_one(b);
	expect_none(1);
	must(wait_until(msix_pending(d->f, 1), PATIENCE), "the pending bit is clear");
	cfg_w16(d->f, d->f->msix + 2, MSIX_ENABLE);
	expect_irqs(1, 1);
	must(!msix_pending(d->f, 1), "the pending bit stays set");
}

static void pending_collapses(struct vdev *d)
{
	struct blk *b = with_msix(d);

	msix_mask(d->f, 1, true);
	for (u32 i = 0; i < 3; i++)
		read_one(b);
	msix_mask(d->f, 1, false);
	expect_irqs(1, 1);
	delay_us(SETTLE);
	must_be(irq_count[VEC_MSI(1)], 1, "messages for three events held back");
}

static void rewritten(struct vdev *d)
{
	struct blk *b = with_msix(d);

	read_one(b);
	expect_irqs(1, 1);
	msix_mask(d->f, 1, true);
	w32(d->f->msix_table + 16 + 8, VEC_MSI(40));
	msix_mask(d->f, 1, false);
	read_one(b);
	expect_irqs(40, 1);
	must_be(irq_count[VEC_MSI(1)], 1, "interrupts by the old data");
}

static void shared(struct vdev *d)
{
	struct blk *b = with_msix(d);

	vd_select(d, 0);
	reg_w16(C, C_QUEUE_VECTOR, 0);
	reg_w16(C, C_CONFIG_VECTOR, 0);
	must_be(reg_r16(C, C_CONFIG_VECTOR), 0, "config vector, shared");
	read_one(b);
	expect_irqs(0, 1);
}

static void disabled_again(struct vdev *d)
{
	struct blk *b = with_msix(d);

	read_one(b);
	expect_irqs(1, 1);
	msix_off(d->f);
	read_one(b);
	delay_us(SETTLE);
	must_be(irq_count[VEC_MSI(1)], 1, "messages with MSI-X off");
	must(wait_until(cfg_r16(d->f, PCI_STATUS) & STS_INTX, PATIENCE), "the status bit is clear");
	must_be(reg_r8(&d->isr, 0) & 1, 1, "ISR bit 0 with MSI-X off");
}

static void silent_after_reset(struct vdev *d)
{
	struct blk *b = with_msix(d);

	msix_mask(d->f, 1, true);
	read_one(b);
	vd_reset(d);
	vd_begin(d, 0);
	b->q = vq_new(d, 0, 16);
	vd_go(d);
	irq_reset();
	read_one(b);
	msix_mask(d->f, 1, false);
	must(wait_until(irq_count[VEC_MSI(1)], PATIENCE),
	     "no interrupt after a reset and a new start");
}

static void scribbled(struct vdev *d)
{
	struct blk *b = with_msix(d);

	for (u32 i = 0; i < d->f->msix_n && i < 8; i++) {
		u64 e = d->f->msix_table + 16 * i;

		for (u32 k = 0; k < 16; k += 4)
			w32(e + k, 0xffffffff);
		for (u32 k = 0; k < 16; k++)
			w8(e + k, 0xa5);
		w64(e, 0x0123456789abcdefull);
		w64(e + 8, 0x00000000fedcba98ull);
	}
	w32(d->f->msix_pba, 0xffffffff);
	read_one(b);
	w64(d->f->msix_pba, 0);
	msix_on(d->f);
	irq_reset();
	read_one(b);
	must(wait_until(irq_count[VEC_MSI(1)], PATIENCE),
	     "no interrupt once the table is right again");
}

static void config_vector(struct vdev *d)
{
	struct vq *q;

	vd_msix(d);
	vd_begin(d, 0);
	q = vq_new(d, 0, 8);
	vd_go(d);
	q->avail->ring[0] = 0x7fff; /* no such descriptor: only a reset helps */
	barrier();
	q->avail->idx = 1;
	vq_kick(q);
	must(wait_until(vd_status(d) & S_NEEDS_RESET, PATIENCE), "NEEDS_RESET is not set");
	must(wait_until(irq_count[VEC_MSI(0)], PATIENCE), "no configuration change interrupt");
	must(reg_r8(&d->isr, 0) & 2, "ISR bit 1 is clear under MSI-X");
}

static void config_unmapped(struct vdev *d)
{
	struct vq *q;

	vd_msix(d);
	vd_begin(d, 0);
	reg_w16(C, C_CONFIG_VECTOR, NO_VECTOR);
	q = vq_new(d, 0, 8);
	vd_go(d);
	q->avail->ring[0] = 0x7fff;
	barrier();
	q->avail->idx = 1;
	vq_kick(q);
	must(wait_until(vd_status(d) & S_NEEDS_RESET, PATIENCE), "NEEDS_RESET is not set");
	for (u32 v = 0; v < 2; v++)
		expect_none(v);
}

static const struct test tests[] = {
	{"PCI-MSIX-01,PCI-MSIX-02", "the table has as many entries as it says", table_size, ANY, 0},
	{"PCI-MSIX-05,PCI-MSIX-06,PCI-MSIX-08", "vector registers read back what was mapped",
	 vector_registers, ANY, 0},
	{"PCI-MSIX-09", "a vector that is not there reads back as NO_VECTOR", vector_absent, ANY, 0},
	{"PCI-MSIX-07", "all vectors are unmapped after a reset", vectors_after_reset, ANY, 0},
	{"PCI-MSIX-14", "a queue's event sends its vector's message", delivered, BLK, 0},
	{"PCI-MSIX-04", "a queue can be mapped to any vector", any_vector, BLK, 0},
	{"PCI-MSIX-13", "an unmapped queue sends nothing at all", unmapped, BLK, 0},
	{"PCI-MSIX-04", "a queue's vector can change under way", remapped_live, BLK, 0},
	{"PCI-MSIX-11", "a masked entry holds its message until it is unmasked", masked_entry, BLK, 0},
	{"PCI-MSIX-11", "a masked function holds its messages until it is unmasked", masked_function,
	 BLK, 0},
	{"PCI-MSIX-11", "events held back make one message", pending_collapses, BLK, 0},
	{"PCI-MSIX-12", "address and data can be rewritten under way", rewritten, BLK, 0},
	{"PCI-MSIX-04", "queue and configuration share a vector", shared, BLK, 0},
	{"PCI-MSIX-10", "with MSI-X switched off again the ISR is used", disabled_again, BLK, 0},
	{"RST-02", "a message held back before a reset does no harm after it", silent_after_reset, BLK,
	 0},
	{"X-MSIX-01", "a table scribbled on works again once it is right", scribbled, BLK, HOSTILE},
	{"PCI-MSIX-15", "an unmapped configuration vector stays silent", config_unmapped, BLK, HOSTILE},
	{"STAT-03,STAT-04,PCI-MSIX-16,PCI-ISR-02",
	 "a broken ring sets NEEDS_RESET and sends the config vector", config_vector, BLK, HOSTILE},
};

const struct suite suite_msix = {"msix", tests, ARRAY_SIZE(tests)};
