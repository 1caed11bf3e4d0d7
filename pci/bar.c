// SPDX-License-Identifier: GPL-2.0-only
/*
 * bar: base address registers: where the guest puts them is where their model and doorbells are.
 *
 * Runs on: vcpu under slot lock; declared and assigned on main.
 *
 * A BAR decodes while its command bit is on, except at address 0 (what a guest leaves in a BAR it
 * has not assigned) and where its last byte is the last of the address space (what sizing it by
 * writing all-ones leaves for a moment). Anywhere else is the guest's choice: BARs have the lowest
 * priority on the bus, so over fixed hardware they are simply not seen, and over one another the
 * first one there is.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lkvm/log.h"
#include "pci/host.h"

static unsigned bar_reg(unsigned n)
{
	return PCI_BAR0 + 4 * n;
}

static unsigned bar_len(const struct pci_bar *bar)
{
	return bar->kind == PCI_BAR_MEM64 ? 8 : 4;
}

static struct bus *bar_bus(const struct pci_func *f, unsigned n)
{
	return f->bar[n].kind == PCI_BAR_IO ? f->host->pio : f->host->mmio;
}

void pci_func_bar(struct pci_func *f, unsigned n, enum pci_bar_kind kind, uint64_t size,
		  const struct bus_ops *ops, void *opaque)
{
	static const uint8_t flags[] = { [PCI_BAR_IO] = 0x1, [PCI_BAR_MEM32] = 0x0,
					 [PCI_BAR_MEM64] = 0x4 };
	struct pci_bar *bar = &f->bar[n];
	uint64_t mask = ~(size - 1) & ~(kind == PCI_BAR_IO ? 0x3ULL : 0xfULL);

	*bar = (struct pci_bar){ .kind = kind, .size = size };
	bar->range = (struct bus_range){ .len = size, .ops = ops, .opaque = opaque,
					 .slot = &f->lock, .name = bar->label };
	snprintf(bar->label, sizeof(bar->label), "%s bar %u", f->name, n);
	f->config[bar_reg(n)] = flags[kind];
	for (unsigned i = 0; i < bar_len(bar); i++)
		f->mask[bar_reg(n) + i] = (uint8_t)(mask >> (8 * i));
	f->mask[PCI_COMMAND] |= kind == PCI_BAR_IO ? PCI_CMD_IO : PCI_CMD_MEM;
}

static uint64_t bar_base(const struct pci_func *f, unsigned n)
{
	uint64_t base = 0;

	for (unsigned i = 0; i < bar_len(&f->bar[n]); i++)
		base |= (uint64_t)(f->config[bar_reg(n) + i] & f->mask[bar_reg(n) + i]) << (8 * i);
	return base;
}

static bool bar_decodes(const struct pci_func *f, unsigned n, uint64_t base)
{
	static const uint64_t top[] = { [PCI_BAR_IO] = 0xffff, [PCI_BAR_MEM32] = 0xffffffff,
					[PCI_BAR_MEM64] = ~0ULL };
	const struct pci_bar *bar = &f->bar[n];
	unsigned bit = bar->kind == PCI_BAR_IO ? PCI_CMD_IO : PCI_CMD_MEM;

	if (bar->kind == PCI_BAR_NONE || !(f->config[PCI_COMMAND] & bit))
		return false;
	/* base is aligned to size, so the sum can't wrap. */
	return base && base + (bar->size - 1) < top[bar->kind];
}

/* --- doorbells ------------------------------------------------------------------------------- */

/*
 * KVM asks ioeventfds before anybody else, so one over the bridge's ECAM or another fixed model
 * would swallow its writes. They are used inside the windows only; elsewhere the trap does the
 * same.
 */
static bool in_window(const struct pci_func *f, const struct pci_bar *bar)
{
	const struct pci_windows *w = &f->host->win;
	uint64_t base = bar->range.base;

	if (bar->kind == PCI_BAR_IO)
		return base - w->io < w->io_len;
	return base - w->mem32 < w->mem32_len || base - w->mem64 < w->mem64_len;
}

static void doorbell_attach(struct pci_func *f, unsigned n, struct pci_doorbell *db)
{
	struct pci_bar *bar = &f->bar[n];

	db->attached = in_window(f, bar) && !bus_doorbell(bar_bus(f, n), bar->range.base + db->off,
							  db->len, db->fd, true);
}

static void doorbell_detach(struct pci_func *f, unsigned n, struct pci_doorbell *db)
{
	if (db->attached)
		bus_doorbell(bar_bus(f, n), f->bar[n].range.base + db->off, db->len, db->fd, false);
	db->attached = false;
}

void pci_func_doorbell(struct pci_func *f, unsigned n, struct pci_doorbell *db)
{
	db->attached = false;
	db->next = f->bar[n].doorbells;
	f->bar[n].doorbells = db;
	if (f->bar[n].range.mapped)
		doorbell_attach(f, n, db);
}

/* --- mapping --------------------------------------------------------------------------------- */

static void unmap(struct pci_func *f, unsigned n)
{
	struct pci_bar *bar = &f->bar[n];

	if (!bar->range.mapped)
		return;
	for (struct pci_doorbell *db = bar->doorbells; db; db = db->next)
		doorbell_detach(f, n, db);
	bus_unmap(bar_bus(f, n), &bar->range);
}

static void map(struct pci_func *f, unsigned n, uint64_t base)
{
	struct pci_bar *bar = &f->bar[n];

	bar->range.base = base;
	bus_map(bar_bus(f, n), &bar->range);
	for (struct pci_doorbell *db = bar->doorbells; db; db = db->next)
		doorbell_attach(f, n, db);
}

void pci_bar_update(struct pci_func *f)
{
	for (unsigned n = 0; n < PCI_BARS; n++) {
		struct bus_range *range = &f->bar[n].range;
		uint64_t base;
		bool on;

		if (f->bar[n].kind == PCI_BAR_NONE)
			continue;
		base = bar_base(f, n);
		on = bar_decodes(f, n, base);
		if (range->mapped && (!on || range->base != base))
			unmap(f, n);
		if (on && !range->mapped)
			map(f, n, base);
	}
}

void pci_bar_unmap(struct pci_func *f)
{
	for (unsigned n = 0; n < PCI_BARS; n++)
		unmap(f, n);
}

/* --- assignment ------------------------------------------------------------------------------ */

static bool take(uint64_t *next, uint64_t base, uint64_t len, uint64_t size, uint64_t *at)
{
	uint64_t start = (*next + size - 1) & ~(size - 1);

	if (start < base || start - base > len || size > len - (start - base))
		return false;
	*next = start + size;
	*at = start;
	return true;
}

static bool place(struct pci_host *host, const struct pci_bar *bar, uint64_t *at)
{
	const struct pci_windows *w = &host->win;

	if (bar->kind == PCI_BAR_IO)
		return take(&host->next_io, w->io, w->io_len, bar->size, at);
	/* Below 4 GiB also for 64-bit BARs while there is room: every guest can reach it there. */
	if (take(&host->next_mem32, w->mem32, w->mem32_len, bar->size, at))
		return true;
	return bar->kind == PCI_BAR_MEM64 &&
	       take(&host->next_mem64, w->mem64, w->mem64_len, bar->size, at);
}

/*
 * There is no firmware, so BARs start out with addresses of their own, as firmware would leave
 * them: a guest that wants others moves them. Decoding is off; turning it on is the guest's first
 * step.
 */
int pci_bar_assign(struct pci_func *f)
{
	for (unsigned n = 0; n < PCI_BARS; n++) {
		struct pci_bar *bar = &f->bar[n];
		uint64_t at;

		if (bar->kind == PCI_BAR_NONE)
			continue;
		if (!place(f->host, bar, &at)) {
			log_err(f->name, "no room for its BAR %u: too many PCI devices", n);
			return -ENOSPC;
		}
		for (unsigned i = 0; i < bar_len(bar); i++)
			f->config[bar_reg(n) + i] |= (uint8_t)(at >> (8 * i));
	}
	return 0;
}
