/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * boot: what a kernel finds when it starts: itself, its initrd, its command line, the memory map,
 * page tables and descriptor tables for the 64-bit entry, and the ACPI tables.
 *
 * Runs on: main, before the first vCPU.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lkvm/gmem.h"
#include "lkvm/pci.h"
#include "lkvm/vm.h"

/* The machine's fixed addresses, shared by the models, the memory map and ACPI. */
#define MAP_HOLE_START	0xc0000000ULL /* RAM stops here ... */
#define MAP_HOLE_END	0x100000000ULL /* ... and goes on here */
#define MAP_PCI_MEM32	0xc0000000ULL
#define MAP_PCI_MEM32_LEN 0x20000000ULL
#define MAP_ECAM	0xe0000000ULL
#define MAP_IOAPIC	0xfec00000ULL
#define MAP_LAPIC	0xfee00000ULL
#define MAP_PCI_IO	0x1000
#define MAP_PCI_IO_LEN	0xf000
#define MAP_ACPI	0x000e0000ULL /* tables, up to the reset vector */
#define MAP_ACPI_LEN	0x1fff0
#define MAP_RESET	0x000ffff0ULL /* where a processor in real mode starts: 16 bytes */

#define PORT_COM1	0x3f8
#define IRQ_COM1	4
#define PORT_COM2	0x2f8	/* only where boot_conf says so */
#define IRQ_COM2	3
#define PORT_RTC	0x70
#define IRQ_RTC		8
#define PORT_I8042	0x60	/* and 0x64 */
#define PORT_POWER	0x600	/* sleep control, sleep status, reset, button status: see power.h */
#define IRQ_POWER	9
#define PORT_DEBUG_EXIT 0x501
#define PORT_PVPANIC	0x505
#define GSI_INTX	16	/* four lines, 16..19 */

struct boot_conf {
	const char *kernel, *initrd; /* paths; initrd may be NULL */
	const void *more_initrd;     /* an archive in memory, behind the one of initrd; may be NULL */
	size_t more_initrd_len;
	const char *cmdline;
	unsigned cpus;
	struct pci_windows windows;
	bool two_serial; /* COM2 is there too */
};

/*
 * Loads all of it and says where to enter. A kernel that is no kernel, is truncated or doesn't fit is
 * refused with one line. 0 or -errno, logged.
 */
int boot_load(const struct boot_conf *conf, struct gmem *mem, struct vm_entry *entry);

/*
 * What `uname -r` will say in this kernel, "" when the file doesn't tell. Nothing is logged: a file that
 * is no kernel is boot_load()'s to refuse.
 */
void boot_kernel_version(const char *kernel, char *version, size_t size);

/* Writes the tables below MAP_ACPI + MAP_ACPI_LEN; *rsdp is where they start. 0 or -errno, logged. */
int acpi_build(const struct boot_conf *conf, struct gmem *mem, uint64_t *rsdp);
