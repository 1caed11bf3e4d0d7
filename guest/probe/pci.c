// SPDX-License-Identifier: GPL-2.0-only
/* pci: the functions of bus 0, and every register of theirs a subtest may want to turn. */

#include "irq.h"
#include "machine.h"
#include "pci.h"

/* Used only where the machine left BARs empty. */
#define MEM_WINDOW 0xd0000000u
#define IO_WINDOW  0xc000u

struct func funcs[MAX_FUNCS];
u32 func_count;
u64 ecam;

static u64 mem_next = MEM_WINDOW, io_next = IO_WINDOW;

static void select(struct func *f, u32 off)
{
	outl(0xcf8, BIT(31) | (u32)f->slot << 11 | (u32)f->fn << 8 | (off & 0xfc));
}

u8 cfg_r8(struct func *f, u32 off)
{
	select(f, off);
	return inb(0xcfc + (off & 3));
}

u16 cfg_r16(struct func *f, u32 off)
{
	select(f, off);
	return inw(0xcfc + (off & 3));
}

u32 cfg_r32(struct func *f, u32 off)
{
	select(f, off);
	return inl(0xcfc + (off & 3));
}

void cfg_w8(struct func *f, u32 off, u8 v)
{
	select(f, off);
	outb(0xcfc + (off & 3), v);
}

void cfg_w16(struct func *f, u32 off, u16 v)
{
	select(f, off);
	outw(0xcfc + (off & 3), v);
}

void cfg_w32(struct func *f, u32 off, u32 v)
{
	select(f, off);
	outl(0xcfc + (off & 3), v);
}

u64 ecam_at(struct func *f, u32 off)
{
	return ecam + ((u64)f->slot << 15) + ((u64)f->fn << 12) + off;
}

/* A list of 48 links at most fits in the space it lives in: more is a loop. */
u8 cap_next(struct func *f, u8 id, u8 from)
{
	u8 at = from ? cfg_r8(f, from + 1) : cfg_r8(f, PCI_CAP_PTR);

	if (!(cfg_r16(f, PCI_STATUS) & STS_CAPS))
		return 0;
	for (u32 n = 0; at && n < 48; n++, at = cfg_r8(f, at + 1))
		if (!id || cfg_r8(f, at) == id)
			return at;
	return 0;
}

/* One exit instead of two, where only the value matters. */
static u32 get32(struct func *f, u32 off)
{
	return ecam ? r32(ecam_at(f, off)) : cfg_r32(f, off);
}

u64 bar_get(struct func *f, u32 n)
{
	u32 lo = get32(f, PCI_BAR(n));

	if (f->bar[n].kind == BAR_IO)
		return lo & ~3u;
	if (f->bar[n].kind == BAR_MEM64)
		return (u64)get32(f, PCI_BAR(n + 1)) << 32 | (lo & ~15u);
	return lo & ~15u;
}

void bar_set(struct func *f, u32 n, u64 addr)
{
	cfg_w32(f, PCI_BAR(n), addr);
	if (f->bar[n].kind == BAR_MEM64)
		cfg_w32(f, PCI_BAR(n + 1), addr >> 32);
	if (f->bar[n].kind != BAR_IO)
		phys(addr);
}

u64 bar_probe(struct func *f, u32 n)
{
	u32 lo = cfg_r32(f, PCI_BAR(n)), hi = 0, mask, mask_hi = 0xffffffff;
	bool io = lo & 1, wide = !io && (lo & 6) == 4;

	cfg_w32(f, PCI_BAR(n), 0xffffffff);
	mask = cfg_r32(f, PCI_BAR(n)) & (io ? ~3u : ~15u);
	cfg_w32(f, PCI_BAR(n), lo);
	if (wide) {
		hi = cfg_r32(f, PCI_BAR(n + 1));
		cfg_w32(f, PCI_BAR(n + 1), 0xffffffff);
		mask_hi = cfg_r32(f, PCI_BAR(n + 1));
		cfg_w32(f, PCI_BAR(n + 1), hi);
	}
	if (!mask && !(wide && mask_hi))
		return 0;
	if (io)
		return -(mask | 0xffff0000u) & 0xffff;
	return -((u64)mask_hi << 32 | mask);
}

/* A BAR that the machine left at 0 gets a place of ours. */
static void assign(struct func *f, u32 n)
{
	struct bar *b = &f->bar[n];
	u64 *next = b->kind == BAR_IO ? &io_next : &mem_next;

	if (b->addr || !b->size)
		return;
	b->addr = (*next + b->size - 1) & ~(b->size - 1);
	*next = b->addr + b->size;
	bar_set(f, n, b->addr);
	b->raw = cfg_r32(f, PCI_BAR(n));
}

static void size_bars(struct func *f)
{
	u32 bars = (cfg_r8(f, PCI_HEADER) & 0x7f) ? 2 : 6;

	for (u32 n = 0; n < bars; n++) {
		struct bar *b = &f->bar[n];

		b->raw = cfg_r32(f, PCI_BAR(n));
		b->size = bar_probe(f, n);
		if (!b->size)
			continue;
		b->kind = b->raw & 1 ? BAR_IO : (b->raw & 6) == 4 ? BAR_MEM64 : BAR_MEM32;
		b->addr = bar_get(f, n);
		assign(f, n);
		if (b->kind != BAR_IO)
			phys(b->addr);
		if (b->kind == BAR_MEM64)
			f->bar[++n].kind = BAR_UPPER;
	}
}

static void find_msix(struct func *f)
{
	u32 table, pba;

	f->msix = cap_next(f, CAP_MSIX, 0);
	if (!f->msix)
		return;
	f->msix_n = (cfg_r16(f, f->msix + 2) & 0x7ff) + 1;
	table = cfg_r32(f, f->msix + 4);
	pba = cfg_r32(f, f->msix + 8);
	if ((table & 7) < 6)
		f->msix_table = f->bar[table & 7].addr + (table & ~7u);
	if ((pba & 7) < 6)
		f->msix_pba = f->bar[pba & 7].addr + (pba & ~7u);
}

static void add(u8 slot, u8 fn)
{
	struct func *f = &funcs[func_count++];
	u16 command;

	f->slot = slot;
	f->fn = fn;
	f->gsi = -1;
	f->vendor = cfg_r16(f, PCI_VENDOR);
	f->device = cfg_r16(f, PCI_DEVICE);
	f->class = cfg_r16(f, PCI_CLASS);
	command = cfg_r16(f, PCI_COMMAND);
	if (f->class >> 8 == 0x06) /* bridges keep what they decode */
		return;
	cfg_w16(f, PCI_COMMAND, command & ~(CMD_IO | CMD_MEM));
	size_bars(f);
	f->command = f->vendor == 0x1af4 ? CMD_IO | CMD_MEM | CMD_MASTER : command;
	cfg_w16(f, PCI_COMMAND, f->command);
	find_msix(f);
}

void pci_init(void)
{
	struct func f = {0};

	ecam = acpi_ecam();
	for (u32 slot = 0; slot < 32; slot++) {
		for (u32 fn = 0; fn < 8 && func_count < MAX_FUNCS; fn++) {
			f.slot = slot;
			f.fn = fn;
			if (cfg_r16(&f, PCI_VENDOR) == 0xffff) {
				if (!fn)
					break;
				continue;
			}
			add(slot, fn);
			if (!fn && !(cfg_r8(&f, PCI_HEADER) & 0x80))
				break;
		}
	}
}

static bool is_free(u64 addr, u64 size, bool io)
{
	u64 end = addr + size;

	if (io)
		return end <= 0xfff0;
	if (addr < 0xfee00000 + 0x100000 && end > 0xfec00000) /* the APICs */
		return false;
	if (addr < ecam + (256u << 20) && end > ecam)
		return false;
	for (u32 i = 0; i < machine.nram; i++)
		if (addr < machine.ram[i].start + machine.ram[i].len && end > machine.ram[i].start)
			return false;
	return true;
}

/* Just above all BARs of the same kind, or just below them where something else is in the way. */
u64 bar_elsewhere(struct func *f, u32 n)
{
	const struct bar *b = &f->bar[n];
	bool io = b->kind == BAR_IO, high = b->addr >> 32;
	u64 top = 0, bottom = ~0ull, at;

	for (u32 i = 0; i < func_count; i++) {
		for (u32 k = 0; k < 6; k++) {
			const struct bar *o = &funcs[i].bar[k];

			if (o->kind == BAR_NONE || o->kind == BAR_UPPER)
				continue;
			if ((o->kind == BAR_IO) != io || !!(o->addr >> 32) != high)
				continue;
			if (o->addr + o->size > top)
				top = o->addr + o->size;
			if (o->addr < bottom)
				bottom = o->addr;
		}
	}
	at = (top + b->size - 1) & ~(b->size - 1);
	return is_free(at, b->size, io) ? at : (bottom - b->size) & ~(b->size - 1);
}

void func_restore(struct func *f)
{
	if (f->vendor != 0x1af4)
		return;
	for (u32 n = 0; n < 6; n++) {
		if (f->bar[n].kind == BAR_NONE || f->bar[n].kind == BAR_UPPER)
			continue;
		if (bar_get(f, n) != f->bar[n].addr)
			bar_set(f, n, f->bar[n].addr);
	}
	if ((u16)get32(f, PCI_COMMAND) != f->command)
		cfg_w16(f, PCI_COMMAND, f->command);
	if (f->msix && get32(f, f->msix) >> 16 & (MSIX_ENABLE | MSIX_MASK))
		cfg_w16(f, f->msix + 2, 0);
}

void msix_entry(struct func *f, u32 n, u64 addr, u32 data, u32 ctrl)
{
	u64 e = f->msix_table + 16 * n;

	w32(e + 12, 1);
	w32(e, addr);
	w32(e + 4, addr >> 32);
	w32(e + 8, data);
	w32(e + 12, ctrl);
}

void msix_on(struct func *f)
{
	cfg_w16(f, f->msix + 2, MSIX_ENABLE | MSIX_MASK);
	for (u32 i = 0; i < f->msix_n && i < 128; i++)
		msix_entry(f, i, LAPIC | (u64)lapic_id() << 12, VEC_MSI(i), 0);
	cfg_w16(f, f->msix + 2, MSIX_ENABLE);
}

void msix_off(struct func *f)
{
	cfg_w16(f, f->msix + 2, 0);
}

void msix_mask(struct func *f, u32 n, bool masked)
{
	w32(f->msix_table + 16 * n + 12, masked);
}

bool msix_pending(struct func *f, u32 n)
{
	return r32(f->msix_pba + 4 * (n / 32)) >> (n % 32) & 1;
}
