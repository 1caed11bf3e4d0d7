// SPDX-License-Identifier: GPL-2.0-only
/*
 * longmode: the GDT and the page tables a 64-bit entry begins with: the first 4 GiB as themselves.
 *
 * No more than that: everything a kernel is handed lies below, and it makes its own tables at once.
 *
 * Runs on: main
 */
#include <errno.h>
#include <string.h>

#include "kvm/load.h"

#define PAGE	  4096ULL
#define LARGE	  (2ULL << 20)
#define ENTRIES	  512
#define GIBS	  4
#define TABLES	  (2 + GIBS)
#define PTE_TABLE 0x03ULL /* present, writable */
#define PTE_LARGE 0x83ULL

_Static_assert(LOW_TABLES + TABLES * PAGE <= LOW_CMDLINE,
	       "page tables end before the command line");

/* Null, null, flat 64-bit code, flat data: selectors 0x10 and 0x18. */
static const uint64_t gdt[4] = { 0, 0, 0x00af9b000000ffffULL, 0x00cf93000000ffffULL };

int longmode_build(struct gmem *mem, struct vm_entry *entry)
{
	uint64_t *pml4 = gmem_ptr(mem, LOW_TABLES, TABLES * PAGE);
	uint64_t *pdpt, *pd;
	unsigned i;

	if (!pml4 || !gmem_write(mem, LOW_GDT, gdt, sizeof(gdt)))
		return -EFAULT;
	pdpt = pml4 + ENTRIES;
	pd = pdpt + ENTRIES;
	memset(pml4, 0, 2 * PAGE);
	pml4[0] = (LOW_TABLES + PAGE) | PTE_TABLE;
	for (i = 0; i < GIBS; i++)
		pdpt[i] = (LOW_TABLES + (2 + i) * PAGE) | PTE_TABLE;
	for (i = 0; i < GIBS * ENTRIES; i++)
		pd[i] = (i * LARGE) | PTE_LARGE;
	entry->cr3 = LOW_TABLES;
	entry->gdt = LOW_GDT;
	return 0;
}
