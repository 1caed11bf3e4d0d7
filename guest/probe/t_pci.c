// SPDX-License-Identifier: GPL-2.0-only
/* t_pci: configuration space both ways, command bits, and BARs sized and moved under way. */

#include "drivers.h"
#include "irq.h"

static void both_ways(struct vdev *d)
{
	(void)d;
	skip_if(!ecam, "no ECAM");
	for (u32 i = 0; i < func_count; i++)
		for (u32 off = 0; off < 256; off += 4) {
			struct func *f = &funcs[i];
			u32 a = cfg_r32(f, off), b = r32(ecam_at(f, off));

			must(a == b, "%02x:%x register %#x: %#x by ports, %#x by ECAM", f->slot,
			     f->fn, off, a, b);
		}
}

static void widths(struct vdev *d)
{
	struct func *f = d->f;

	for (u32 off = 0; off < 64; off += 4) {
		u32 v = cfg_r32(f, off);

		for (u32 i = 0; i < 4; i++) {
			must_be(cfg_r8(f, off + i), v >> 8 * i & 0xff, "byte %#x", off + i);
			if (ecam)
				must_be(r8(ecam_at(f, off + i)), v >> 8 * i & 0xff, "ECAM byte %#x",
					off + i);
		}
		for (u32 i = 0; i < 4; i += 2) {
			must_be(cfg_r16(f, off + i), v >> 8 * i & 0xffff, "word %#x", off + i);
			if (ecam)
				must_be(r16(ecam_at(f, off + i)), v >> 8 * i & 0xffff,
					"ECAM word %#x", off + i);
		}
	}
}

/* The interrupt line is a byte that software may use as it likes. */
static void byte_writes(struct vdev *d)
{
	u32 before = cfg_r32(d->f, PCI_LINE);

	cfg_w8(d->f, PCI_LINE, ~before);
	must_be(cfg_r32(d->f, PCI_LINE), before ^ 0xff, "a byte written by port");
	if (ecam)
		w8(ecam_at(d->f, PCI_LINE), before);
	else
		cfg_w8(d->f, PCI_LINE, before);
	must_be(cfg_r32(d->f, PCI_LINE), before, "a byte written by ECAM");
}

static void enable_bit(struct vdev *d)
{
	struct func *f = &funcs[0];
	u32 ids = cfg_r32(f, 0);

	(void)d;
	outl(0xcf8, 0);
	must(inl(0xcfc) != ids, "configuration space answers with bit 31 of the address clear");
	outl(0xcf8, BIT(31));
	must_be(inl(0xcfc), ids, "with it set");
}

static void address_port(struct vdev *d)
{
	(void)d;
	outl(0xcf8, 0x80001234);
	must_be(inl(0xcf8) & 0x80fffffc, 0x80001234, "0xcf8 reads back");
	outl(0xcf8, 0x80000000);
	outb(0xcf8, 0xff); /* only whole words reach the address register */
	must_be(inl(0xcf8) & 0x80ffff00, 0x80000000, "0xcf8 after a byte write");
}

static void absent(struct vdev *d)
{
	struct func f = {.slot = 31, .fn = 7};

	(void)d;
	for (u32 slot = 1; slot < 32; slot++) {
		f.slot = slot;
		for (u32 i = 0; i < func_count; i++)
			if (funcs[i].slot == slot)
				f.slot = 0;
		if (f.slot)
			break;
	}
	skip_if(!f.slot, "every slot is taken");
	must_be(cfg_r32(&f, 0), 0xffffffff, "an absent function by ports");
	must_be(cfg_r16(&f, 2), 0xffff, "its device ID");
	cfg_w32(&f, PCI_BAR(0), 0x12345678);
	if (!ecam)
		return;
	must_be(r32(ecam_at(&f, 0)), 0xffffffff, "an absent function by ECAM");
	w32(ecam_at(&f, PCI_BAR(0)), 0x12345678);
}

static void read_only(struct vdev *d)
{
	static const u8 offs[] = {0x00, 0x08, 0x2c, 0x34};

	for (u32 i = 0; i < ARRAY_SIZE(offs); i++) {
		u32 v = cfg_r32(d->f, offs[i]);

		cfg_w32(d->f, offs[i], ~v);
		must_be(cfg_r32(d->f, offs[i]), v, "read-only register %#x", offs[i]);
	}
	must_be(cfg_r8(d->f, PCI_HEADER) & 0x7f, 0, "header type");
}

static void cap_list(struct vdev *d)
{
	u32 n = 0;
	u8 seen[64] = {0};

	must(cfg_r16(d->f, PCI_STATUS) & STS_CAPS, "no capability list");
	for (u8 at = cfg_r8(d->f, PCI_CAP_PTR); at; at = cfg_r8(d->f, at + 1)) {
		must(at >= 0x40 && !(at & 3), "a capability at %#x", at);
		must(!seen[at / 4]++, "the list comes back to %#x", at);
		must(++n < 48, "the list does not end");
	}
	must(n, "the list is empty");
}

static void command_bits(struct vdev *d)
{
	struct func *f = d->f;
	u16 all = CMD_IO | CMD_MEM | CMD_MASTER | CMD_INTX_OFF;

	cfg_w16(f, PCI_COMMAND, CMD_MEM | CMD_MASTER | CMD_INTX_OFF);
	must_be(cfg_r16(f, PCI_COMMAND) & all & ~CMD_IO, CMD_MEM | CMD_MASTER | CMD_INTX_OFF,
		"command");
	cfg_w16(f, PCI_COMMAND, 0);
	must_be(cfg_r16(f, PCI_COMMAND), 0, "command");
}

/* What tells whether a structure is decoded at some place: registers with a known, odd value. */
static void expect_alive(struct vdev *d)
{
	must_be(reg_r16(&d->common, C_NUM_QUEUES), d->num_queues, "num_queues at %#lx",
		d->common.base);
}

static bool answers(struct vdev *d, u64 common)
{
	return r16(common + C_NUM_QUEUES) == d->num_queues;
}

static void decode_bit(struct vdev *d)
{
	skip_if(!d->modern || d->common.io, "no common structure in memory");
	cfg_w16(d->f, PCI_COMMAND, CMD_MASTER);
	must(!answers(d, d->common.base), "memory is decoded with the command bit off");
	cfg_w16(d->f, PCI_COMMAND, CMD_MASTER | CMD_MEM);
	expect_alive(d);
}

static void sized_live(struct vdev *d)
{
	for (u32 n = 0; n < 6; n++) {
		struct bar *b = &d->f->bar[n];

		if (b->kind == BAR_NONE || b->kind == BAR_UPPER)
			continue;
		must(!(b->size & (b->size - 1)), "BAR %u: size %#lx", n, b->size);
		must(b->size >= (b->kind == BAR_IO ? 4 : 16), "BAR %u: size %#lx", n, b->size);
		must_be(bar_probe(d->f, n), b->size, "BAR %u sized while it decodes", n);
		must_be(cfg_r32(d->f, PCI_BAR(n)), b->raw, "BAR %u afterwards", n);
	}
	if (d->modern)
		expect_alive(d);
}

static void unused_bars(struct vdev *d)
{
	for (u32 n = 0; n < 6; n++) {
		if (d->f->bar[n].kind != BAR_NONE)
			continue;
		cfg_w32(d->f, PCI_BAR(n), 0xffffffff);
		must_be(cfg_r32(d->f, PCI_BAR(n)), 0, "BAR %u, which is not there", n);
	}
}

static void moved(struct vdev *d, u32 n)
{
	u64 old = d->common.base, to = bar_elsewhere(d->f, n);

	bar_set(d->f, n, to);
	must_be(bar_get(d->f, n), to, "BAR %u reads back", n);
	vd_locate(d);
	expect_alive(d);
	must(d->common.io || !answers(d, old), "the old place still answers");
	bar_set(d->f, n, d->f->bar[n].addr);
	vd_locate(d);
	expect_alive(d);
}

static void move_common(struct vdev *d)
{
	skip_if(!d->modern, "a legacy-only device");
	for (u32 round = 0; round < 4; round++)
		moved(d, d->common.bar);
}

/* A 64-bit BAR crosses the 4 GiB line, half by half, as Linux writes it. */
static void move_high(struct vdev *d)
{
	u32 n = d->common.bar, r[4];
	u64 to = 0x800000000ull;

	skip_if(!d->modern || d->f->bar[n].kind != BAR_MEM64, "no 64-bit BAR");
	cpuid(0x80000008, 0, r);
	skip_if((r[0] & 0xff) < 36, "addresses have less than 36 bits");
	bar_set(d->f, n, to);
	must_be(bar_get(d->f, n), to, "BAR %u reads back", n);
	vd_locate(d);
	expect_alive(d);
	bar_set(d->f, n, d->f->bar[n].addr);
	vd_locate(d);
	expect_alive(d);
}

static void move_io(struct vdev *d)
{
	u32 n;
	u64 to;
	u8 v;

	for (n = 0; n < 6 && d->f->bar[n].kind != BAR_IO;)
		n++;
	skip_if(n == 6, "no I/O BAR");
	skip_if(!d->legacy || n, "its I/O BAR is not the legacy block");
	to = bar_elsewhere(d->f, n);
	outb(d->f->bar[n].addr + L_STATUS, S_ACKNOWLEDGE);
	bar_set(d->f, n, to);
	v = inb(to + L_STATUS);
	bar_set(d->f, n, d->f->bar[n].addr);
	must_be(v, S_ACKNOWLEDGE, "status at the new place");
	must_be(inb(d->f->bar[n].addr + L_STATUS), S_ACKNOWLEDGE, "status at the old place again");
	outb(d->f->bar[n].addr + L_STATUS, 0);
}

/* Doorbells are a different mechanism from registers in most VMMs: both must follow. */
static void doorbell_follows(struct vdev *d)
{
	struct blk *b = blk_open(d, 0, 16);
	u32 n = d->notify.bar;

	for (u32 round = 0; round < 4; round++) {
		bar_set(d->f, n, round & 1 ? d->f->bar[n].addr : bar_elsewhere(d->f, n));
		vd_locate(d);
		b->q->doorbell = vq_doorbell(d, 0);
		must_be(blk_io(b, BLK_IN, 0, b->data, 512, true), BLK_OK, "a read");
	}
	cfg_w16(d->f, PCI_COMMAND, CMD_MASTER);
	cfg_w16(d->f, PCI_COMMAND, CMD_MASTER | CMD_MEM);
	must_be(blk_io(b, BLK_IN, 0, b->data, 512, true), BLK_OK, "a read after decoding was off");
}

static void msix_follows(struct vdev *d)
{
	u32 bir = d->f->msix ? cfg_r32(d->f, d->f->msix + 4) & 7 : 0;
	u64 to, table;
	u32 v;

	skip_if(!d->f->msix, "no MSI-X");
	msix_on(d->f);
	table = d->f->msix_table;
	to = bar_elsewhere(d->f, bir);
	bar_set(d->f, bir, to);
	v = r32(table - d->f->bar[bir].addr + to + 8);
	bar_set(d->f, bir, d->f->bar[bir].addr);
	must_be(v, VEC_MSI(0), "entry 0 at the new place");
	must_be(r32(table + 8), VEC_MSI(0), "entry 0 at the old place again");
}

/* Two functions on one address: which one answers is open, but nothing must break. */
static void overlapping(struct vdev *d)
{
	struct vdev *o = NULL;

	for (u32 i = 0; i < vdev_count; i++)
		if (&vdevs[i] != d && vdevs[i].modern && d->modern &&
		    vdevs[i].f->bar[vdevs[i].common.bar].size == d->f->bar[d->common.bar].size)
			o = &vdevs[i];
	skip_if(!o || d->common.io, "no second device with such a BAR");
	bar_set(d->f, d->common.bar, o->f->bar[o->common.bar].addr);
	r16(o->common.base + C_NUM_QUEUES);
	bar_set(d->f, d->common.bar, d->f->bar[d->common.bar].addr);
	expect_alive(d);
	expect_alive(o);
}

static const struct test tests[] = {
	{"PCI-01", "ports and ECAM show the same configuration space", both_ways, ONCE, 0},
	{"PCI-02", "bytes, words and double words of it agree", widths, ANY, 0},
	{"PCI-03", "a byte write changes that byte only", byte_writes, ANY, 0},
	{"PCI-04", "0xcfc answers only while 0xcf8's enable bit is set", enable_bit, ONCE, 0},
	{"PCI-05", "0xcf8 reads back and ignores narrow writes", address_port, ONCE, 0},
	{"PCI-06", "an absent function reads all ones", absent, ONCE, 0},
	{"PCI-07", "IDs, class and capability pointer ignore writes", read_only, ANY, 0},
	{"PCI-DISC-01", "the capability list is well formed", cap_list, ANY, 0},
	{"PCI-DISC-01", "command bits read back", command_bits, ANY, HOSTILE},
	{"PCI-DISC-01", "the memory command bit switches decoding", decode_bit, ANY, HOSTILE},
	{"PCI-DISC-01", "BARs can be sized while they decode", sized_live, ANY, HOSTILE},
	{"PCI-DISC-01", "BARs that are not there read 0", unused_bars, ANY, 0},
	{"PCI-08", "a memory BAR can be moved while it decodes", move_common, ANY, HOSTILE},
	{"PCI-09", "a 64-bit BAR can be moved above 4 GiB", move_high, ANY, HOSTILE},
	{"PCI-10", "an I/O BAR can be moved while it decodes", move_io, ANY, HOSTILE},
	{"PCI-11", "doorbells follow their BAR", doorbell_follows, BLK, HOSTILE},
	{"PCI-12", "the MSI-X table follows its BAR", msix_follows, ANY, HOSTILE},
	{"PCI-13", "a BAR laid over another function's and back leaves both at work", overlapping, ANY,
	 HOSTILE},
};

const struct suite suite_pci = {"pci", tests, ARRAY_SIZE(tests)};
