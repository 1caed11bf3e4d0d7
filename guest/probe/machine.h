/* SPDX-License-Identifier: GPL-2.0-only */
/* What the loader told us (command line, RAM) and the ACPI tables. */
#pragma once

#include "lib.h"

struct range {
	u64 start, len;
};

#define MAX_RAM 16

struct machine {
	const char *how; /* "pvh" or "linux" */
	const char *cmdline;
	u64 rsdp; /* 0: none found */
	struct range ram[MAX_RAM];
	u32 nram;
	u64 low_end; /* first byte behind RAM below the PCI window, firmware's part included */
};

extern struct machine machine;

void machine_init(u32 how, u64 info);

struct acpi_table {
	char signature[4];
	u32 length;
	u8 revision, checksum;
	char oem[6], oem_table[8];
	u32 oem_revision, creator, creator_revision;
	u8 body[];
} __attribute__((packed));

/* The n-th table that the root table lists, or NULL. Nothing is checked but what is needed to walk.
 */
const struct acpi_table *acpi_table(u32 n);
/* The first one of that signature; "DSDT" is found through the FADT. */
const struct acpi_table *acpi_find(const char *signature);
u8 acpi_sum(const void *p, size_t len);

/* MCFG's first segment, or 0. */
u64 acpi_ecam(void);
