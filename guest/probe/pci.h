/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * PCI bus 0: configuration space by ports 0xcf8/0xcfc and by ECAM, BARs, capabilities, MSI-X.
 * Functions that are found keep a copy of what the machine gave them, to be put back by
 * func_restore() after a subtest has moved things about.
 */
#pragma once

#include "lib.h"

#define PCI_VENDOR    0x00
#define PCI_DEVICE    0x02
#define PCI_COMMAND   0x04
#define PCI_STATUS    0x06
#define PCI_REVISION  0x08
#define PCI_CLASS     0x0a
#define PCI_HEADER    0x0e
#define PCI_BAR(n)    (0x10 + 4 * (n))
#define PCI_SUBVENDOR 0x2c
#define PCI_SUBSYSTEM 0x2e
#define PCI_ROM       0x30
#define PCI_CAP_PTR   0x34
#define PCI_LINE      0x3c
#define PCI_PIN       0x3d

#define CMD_IO       0x0001
#define CMD_MEM      0x0002
#define CMD_MASTER   0x0004
#define CMD_INTX_OFF 0x0400
#define STS_INTX     0x0008
#define STS_CAPS     0x0010

#define CAP_VENDOR 0x09
#define CAP_MSIX   0x11

#define MSIX_ENABLE 0x8000
#define MSIX_MASK   0x4000

enum bar_kind { BAR_NONE, BAR_IO, BAR_MEM32, BAR_MEM64, BAR_UPPER };

struct bar {
	enum bar_kind kind;
	u64 addr, size;
	u32 raw; /* the register's low half as found */
};

struct func {
	u8 slot, fn;
	u16 vendor, device, class;
	u16 command; /* as the runner leaves it: decoding and bus mastering on */
	struct bar bar[6];
	u8 msix; /* capability offset, 0 without */
	u16 msix_n;
	u64 msix_table, msix_pba;
	int gsi; /* I/O APIC pin of its interrupt line, -1 while unknown */
};

#define MAX_FUNCS 32
extern struct func funcs[MAX_FUNCS];
extern u32 func_count;
extern u64 ecam; /* 0 without MCFG */

void pci_init(void);

/* Configuration space by ports, at the width named; `off` may be misaligned on purpose. */
u8 cfg_r8(struct func *f, u32 off);
u16 cfg_r16(struct func *f, u32 off);
u32 cfg_r32(struct func *f, u32 off);
void cfg_w8(struct func *f, u32 off, u8 v);
void cfg_w16(struct func *f, u32 off, u16 v);
void cfg_w32(struct func *f, u32 off, u32 v);
/* Where ECAM has it. */
u64 ecam_at(struct func *f, u32 off);

/* The next capability of that id after `from` (0: from the start), 0 at the end. id 0: any. */
u8 cap_next(struct func *f, u8 id, u8 from);

/* Reads the size out of a BAR and leaves it as it was; decoding is left alone. */
u64 bar_probe(struct func *f, u32 n);
u64 bar_get(struct func *f, u32 n);
void bar_set(struct func *f, u32 n, u64 addr);
/* An address that nothing decodes, aligned for this BAR, near the others of its kind. */
u64 bar_elsewhere(struct func *f, u32 n);

void func_restore(struct func *f);

/* MSI-X: every entry i (up to 128) gets this CPU's VEC_MSI(i); masked entries stay silent. */
void msix_on(struct func *f);
void msix_off(struct func *f);
void msix_entry(struct func *f, u32 n, u64 addr, u32 data, u32 ctrl);
void msix_mask(struct func *f, u32 n, bool masked);
bool msix_pending(struct func *f, u32 n);
