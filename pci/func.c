// SPDX-License-Identifier: GPL-2.0-only
/*
 * func: the configuration space of one function: bytes, a write mask for each, and what follows a
 * write.
 *
 * Runs on: vcpu under slot lock; init, cap, add and remove on main.
 */
#include <errno.h>
#include <string.h>

#include "lkvm/log.h"
#include "pci/host.h"

static void set16(struct pci_func *f, unsigned off, unsigned val)
{
	f->config[off] = (uint8_t)val;
	f->config[off + 1] = (uint8_t)(val >> 8);
}

void pci_func_init(struct pci_func *f, const char *name, const struct pci_ids *ids)
{
	*f = (struct pci_func){ .name = name, .cap_next = PCI_FIRST_CAP };
	pthread_mutex_init(&f->lock.lock, NULL);
	pthread_mutex_init(&f->intx.lock, NULL);
	f->intx.trigger_fd = f->intx.resample_fd = -1;
	set16(f, PCI_VENDOR, ids->vendor);
	set16(f, PCI_DEVICE, ids->device);
	f->config[PCI_REVISION] = ids->revision;
	f->config[PCI_CLASS] = (uint8_t)ids->class;
	set16(f, PCI_CLASS + 1, ids->class >> 8);
	set16(f, PCI_SUBVENDOR, ids->subvendor);
	set16(f, PCI_SUBDEVICE, ids->subdevice);
	/* I/O and memory become writable with a BAR of their kind, INTx disable with the pin. */
	f->mask[PCI_COMMAND] = PCI_CMD_MASTER;
}

void pci_config_set(struct pci_func *f, unsigned off, const void *src, unsigned len)
{
	memcpy(f->config + off, src, len);
}

void pci_config_mask(struct pci_func *f, unsigned off, uint8_t mask)
{
	f->mask[off] = mask;
}

unsigned pci_func_cap(struct pci_func *f, uint8_t id, unsigned len)
{
	unsigned off = f->cap_next;

	if (len < 2 || len > sizeof(f->config) - off)
		return 0;
	f->config[off] = id;
	f->config[f->cap_last ? f->cap_last + 1U : PCI_CAP_LIST] = (uint8_t)off;
	f->config[PCI_STATUS] |= PCI_STS_CAPS;
	f->cap_last = (uint8_t)off;
	off += (len + 3) & ~3U;
	f->cap_next = (uint8_t)(off < sizeof(f->config) ? off : sizeof(f->config) - 1);
	return f->cap_last;
}

bool pci_bus_master(const struct pci_func *f)
{
	return f->config[PCI_COMMAND] & PCI_CMD_MASTER;
}

void pci_bus_master_on(struct pci_func *f)
{
	f->config[PCI_COMMAND] |= PCI_CMD_MASTER;
	if (f->msix)
		msix_update(f);
}

int pci_func_add(struct pci_host *host, struct pci_func *f, int slot)
{
	int err;

	if (slot < 0)
		for (slot = 1; slot < PCI_SLOTS && host->slot[slot];)
			slot++;
	if (slot >= PCI_SLOTS || host->slot[slot]) {
		log_err(f->name, "no free PCI slot: at most %d devices", PCI_SLOTS - 1);
		return -ENOSPC;
	}
	f->host = host;
	f->slot = (unsigned)slot;
	err = pci_bar_assign(f);
	if (err) {
		f->host = NULL;
		return err;
	}
	bus_lock(&host->lock);
	host->slot[slot] = f;
	bus_unlock(&host->lock);
	return 0;
}

void pci_func_remove(struct pci_func *f)
{
	if (!f->host)
		return;
	bus_lock(&f->host->lock);
	f->host->slot[f->slot] = NULL;
	bus_unlock(&f->host->lock);
	pci_bar_unmap(f);
	pci_intx_close(f);
	msix_close(f);
	f->host = NULL;
}

/* --- the guest's accesses ------------------------------------------------------------------- */

/* Interrupt status is not stored: it is the level the function wants, pin disabled or not. */
static uint8_t config_byte(struct pci_func *f, unsigned off)
{
	if (off >= sizeof(f->config))
		return off < PCI_FUNC_SPACE ? 0 : 0xff;
	if (off == PCI_STATUS && pci_intx_level(f) && !msix_enabled(f))
		return f->config[off] | PCI_STS_INTX;
	return f->config[off];
}

uint64_t pci_func_read(struct pci_func *f, unsigned off, unsigned len)
{
	uint64_t val = 0;

	if (f->config_read && off < sizeof(f->config))
		f->config_read(f->opaque, off, len);
	for (unsigned i = 0; i < len; i++)
		val |= (uint64_t)config_byte(f, off + i) << (8 * i);
	return val;
}

static void store(struct pci_func *f, unsigned off, uint8_t val)
{
	uint8_t old = f->config[off], mask = f->mask[off];

	f->config[off] = (uint8_t)(((old & ~mask) | (val & mask)) & ~(val & f->w1c[off]));
}

void pci_func_write(struct pci_func *f, unsigned off, unsigned len, uint64_t val)
{
	if (off >= sizeof(f->config))
		return;
	if (len > sizeof(f->config) - off)
		len = (unsigned)sizeof(f->config) - off;
	for (unsigned i = 0; i < len; i++)
		store(f, off + i, (uint8_t)(val >> (8 * i)));

	if (pci_touches(off, len, PCI_COMMAND, 2) || pci_touches(off, len, PCI_BAR0, 4 * PCI_BARS))
		pci_bar_update(f);
	if (f->msix)
		msix_update(f);
	pci_intx_update(f);
	if (f->config_write)
		f->config_write(f->opaque, off, len);
}
