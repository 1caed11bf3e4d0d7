/* SPDX-License-Identifier: GPL-2.0-only */
/* host: what the files of pci/ share with each other. */
#pragma once

#include <stdatomic.h>

#include "lkvm/pci.h"

/* The configuration header, type 0 (PCI 3.0, 6.1). */
enum {
	PCI_VENDOR = 0x00,
	PCI_DEVICE = 0x02,
	PCI_COMMAND = 0x04,
	PCI_STATUS = 0x06,
	PCI_REVISION = 0x08,
	PCI_CLASS = 0x09,
	PCI_BAR0 = 0x10,
	PCI_SUBVENDOR = 0x2c,
	PCI_SUBDEVICE = 0x2e,
	PCI_CAP_LIST = 0x34,
	PCI_INT_LINE = 0x3c,
	PCI_INT_PIN = 0x3d,
	PCI_FIRST_CAP = 0x40,
};

enum {
	PCI_CMD_IO = 1 << 0,
	PCI_CMD_MEM = 1 << 1,
	PCI_CMD_MASTER = 1 << 2,
	PCI_CMD_INTX_OFF = 1 << 10,
	PCI_STS_INTX = 1 << 3,
	PCI_STS_CAPS = 1 << 4,
};

#define PCI_FUNC_SPACE 4096 /* of a function in ECAM */

struct pci_host {
	struct bus *pio, *mmio;
	struct intc *intc;
	struct loop *loop;
	struct pci_windows win;
	uint64_t next_io, next_mem32, next_mem64; /* where unassigned room begins */

	/*
	 * Configuration accesses take this lock first, the function's second; nothing takes them
	 * the other way round. So one access at a time, as on a real bus. The address port has a lock of
	 * its own, as its writes are collected (bus_coalesce) and so arrive on loops as well: a loop must not
	 * wait here for a function that is being configured and, for that, waits for the loop.
	 */
	struct bus_slot lock, address_lock;
	struct bus_range conf1_address, conf1_data, ecam;
	atomic_uint address; /* the last write to 0xcf8 */
	struct pci_func *slot[PCI_SLOTS];
	struct pci_func bridge;
};

/* Slot lock held. len 1..8; what lies beyond the space reads all-ones and ignores writes. */
uint64_t pci_func_read(struct pci_func *f, unsigned off, unsigned len);
void pci_func_write(struct pci_func *f, unsigned off, unsigned len, uint64_t val);

/* Does [off, off + len) touch [at, at + n)? */
static inline bool pci_touches(unsigned off, unsigned len, unsigned at, unsigned n)
{
	return off < at + n && at < off + len;
}

static inline uint16_t pci_config16(const struct pci_func *f, unsigned off)
{
	return (uint16_t)(f->config[off] | f->config[off + 1] << 8);
}

/* bar.c */
int pci_bar_assign(struct pci_func *f); /* 0 or -ENOSPC, logged */
void pci_bar_update(struct pci_func *f); /* after the command register or a BAR was written */
void pci_bar_unmap(struct pci_func *f);

/* intx.c */
void pci_intx_update(struct pci_func *f); /* INTx disable was written, MSI-X turned on or off */
void pci_intx_close(struct pci_func *f);

/* msix.c */
void msix_update(struct pci_func *f); /* message control or bus master was written */
