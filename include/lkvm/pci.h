/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * pci: one bus of functions behind a host bridge at 0:0.0, reached by 0xcf8/0xcfc and by ECAM.
 *
 * A function is its 256 bytes of configuration space (4096 by ECAM, the rest reads 0) with a write
 * mask for every byte, up to six BARs with a bus model behind each, and its capabilities. The guest
 * may size and move BARs at any time, also while decoding is on: ranges and doorbells follow.
 *
 * Threads: set up by main before the vCPUs run; afterwards everything happens under the function's
 * slot lock, except pci_intx_* and msix_* where noted.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "lkvm/bus.h"
#include "lkvm/irq.h"
#include "lkvm/loop.h"

#define PCI_BARS 6
#define PCI_SLOTS 32

enum pci_bar_kind { PCI_BAR_NONE, PCI_BAR_IO, PCI_BAR_MEM32, PCI_BAR_MEM64 };

struct pci_host;
struct pci_func;
struct msix;

/* What the machine's map gives to PCI; the same numbers go into ACPI. */
struct pci_windows {
	uint64_t ecam;			/* 1 MiB: bus 0 only */
	uint64_t mem32, mem32_len;
	uint64_t mem64, mem64_len;
	uint16_t io, io_len;
	uint8_t intx_gsi[4];		/* GSI of the bridge's four inputs; see pci_intx_gsi */
};

struct pci_ids {
	uint16_t vendor, device, subvendor, subdevice;
	uint8_t revision;
	uint32_t class; /* 24 bits: base, sub, interface */
};

struct pci_doorbell {
	struct pci_doorbell *next;
	uint64_t off; /* into the BAR */
	unsigned len; /* 0: a write of any length */
	int fd;
	bool attached;
};

struct pci_bar {
	enum pci_bar_kind kind;
	uint64_t size;
	struct bus_range range;
	char label[32]; /* the range's name: "blk0 bar 2" */
	struct pci_doorbell *doorbells;
};

struct pci_func {
	struct pci_host *host;
	const char *name;
	unsigned slot;
	struct bus_slot lock;
	uint8_t config[256], mask[256], w1c[256];
	struct pci_bar bar[PCI_BARS];
	uint8_t cap_last, cap_next; /* where the capability list ends, where room begins */
	struct msix *msix;

	/* The owner's hooks, under the slot lock; may be NULL. config_read runs before the bytes are
	 * taken, config_write after they were stored (masked). */
	void (*config_read)(void *opaque, unsigned off, unsigned len);
	void (*config_write)(void *opaque, unsigned off, unsigned len);
	void *opaque;

	struct {
		unsigned gsi;
		int trigger_fd, resample_fd; /* irqfd, level-triggered */
		struct loop_fd resample;
		bool open;
		pthread_mutex_t lock; /* what follows; innermost but for the interrupt controller's */
		bool level;	      /* what the function wants */
		bool disabled;	      /* command register, bit 10, or MSI-X is in use */
		bool attached;
		bool touched; /* asserted since it was attached */
		bool again;   /* and once more after an end-of-interrupt */
	} intx;
};

/* --- host bridge ---------------------------------------------------------------------------- */
struct pci_host *pci_host_open(struct bus *pio, struct bus *mmio, struct intc *intc,
			       struct loop *loop, const struct pci_windows *windows);
void pci_host_close(struct pci_host *host); /* functions have been closed */
/* The GSI of a slot's INTA, as the DSDT's _PRT says: pins swizzle over the four inputs. */
unsigned pci_intx_gsi(const struct pci_windows *windows, unsigned slot);

/* --- a function ----------------------------------------------------------------------------- */
/* Prepares f with its ids and an empty capability list. */
void pci_func_init(struct pci_func *f, const char *name, const struct pci_ids *ids);
/*
 * BAR n of size bytes (a power of two); a MEM64 takes n + 1 as well. None is prefetchable: what lies
 * behind them are registers, and some of those change when they are read.
 */
void pci_func_bar(struct pci_func *f, unsigned n, enum pci_bar_kind kind, uint64_t size,
		  const struct bus_ops *ops, void *opaque);
/* Appends a capability of len bytes, the two of the header included; returns its offset, 0: full. */
unsigned pci_func_cap(struct pci_func *f, uint8_t id, unsigned len);
/* Puts f on the bus (slot < 0: the next free one), gives its BARs addresses. 0 or -errno, logged. */
int pci_func_add(struct pci_host *host, struct pci_func *f, int slot);
void pci_func_remove(struct pci_func *f); /* unmaps all; after the vCPUs have stopped */

/* A write at off in BAR n signals fd; follows the BAR. db is the caller's and stays in place. */
void pci_func_doorbell(struct pci_func *f, unsigned n, struct pci_doorbell *db);

/* Copies into the configuration space, past the masks (the owner's own doing). */
void pci_config_set(struct pci_func *f, unsigned off, const void *src, unsigned len);
/* Lets the guest write these bits of the byte at off. */
void pci_config_mask(struct pci_func *f, unsigned off, uint8_t mask);

/* May f write to memory? on: as if the driver had said so, for drivers too old to know they must. */
bool pci_bus_master(const struct pci_func *f);
void pci_bus_master_on(struct pci_func *f);

/* --- INTx: any thread ------------------------------------------------------------------------ */
/* Gives f an interrupt pin (INTA) on its slot's line. 0 or -errno, logged. */
int pci_intx_open(struct pci_func *f);
/*
 * The level the function wants; the status register shows it, the line follows unless it is disabled.
 * An irqfd with resample: after each end-of-interrupt the line is asserted again while level holds.
 */
void pci_intx_set(struct pci_func *f, bool level);
bool pci_intx_level(struct pci_func *f);
/*
 * The line goes with the guest's end-of-interrupt, not always with the level; a driver that polls
 * never sends one. pci_intx_reset: low, and the line down, whatever happened before. For a reset, and
 * for a read of the owner's interrupt register that finds nothing.
 */
void pci_intx_reset(struct pci_func *f);

/* --- MSI-X ----------------------------------------------------------------------------------- */
/*
 * A table of n vectors and its pending bits in BAR bar. Each vector is an eventfd with one route of
 * its own: unmasked it is KVM's irqfd; masked it is detached and its counter is the pending bit,
 * which attaching delivers. A message is a memory write: bus master off holds it back like a mask.
 * Before pci_func_add, whose BAR addresses it needs. 0 or -errno, logged.
 */
int msix_open(struct pci_func *f, unsigned bar, unsigned n);
void msix_close(struct pci_func *f);
bool msix_enabled(const struct pci_func *f);	     /* any thread */
unsigned msix_count(const struct pci_func *f);
int msix_fd(const struct pci_func *f, unsigned vector); /* -1: no such vector; any thread */
bool msix_reset(struct pci_func *f, unsigned vector);   /* forgets what is pending; was anything? */
