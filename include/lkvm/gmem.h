/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * gmem: the guest's RAM as a list of regions, each one mapping. This is the only place where a
 * guest-physical address becomes a pointer.
 *
 * Guest-physical addresses (gpa) and lengths are in bytes. The list is fixed before the first vCPU
 * runs, so that lookups need no lock and may come from any thread. RAM is zeroed at the start.
 *
 * The layout on x86: [0, low) below the PCI hole and, if there is more, [4 GiB, 4 GiB + rest).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GMEM_REGIONS 4

struct gmem_region {
	uint64_t gpa, len;
	uint8_t *hva;
	int fd;		 /* the file behind it, shared by the regions; -1: anonymous memory */
	uint64_t fd_off; /* where in the file the region starts */
	bool ours;	 /* mapped by gmem_open(): unmapped by gmem_close() */
};

struct gmem {
	struct gmem_region region[GMEM_REGIONS];
	unsigned n;
	int fd; /* of huge pages; owned; -1: none */
};

enum { GMEM_HUGEPAGES = 1 << 0, GMEM_PREALLOC = 1 << 1 };

/*
 * RAM of len bytes (a multiple of 4 KiB), the part above hole_start moved to hole_end.
 * Returns 0 or -errno, already logged.
 */
int gmem_open(struct gmem *mem, uint64_t len, uint64_t hole_start, uint64_t hole_end,
	      unsigned flags);
void gmem_close(struct gmem *mem);

/* Adds memory of the caller's (tests: a fake guest's RAM). Returns 0 or -ENOSPC. */
int gmem_add(struct gmem *mem, uint64_t gpa, void *hva, uint64_t len);

/* [gpa, gpa + len) as a pointer when all of it lies in one region, else NULL. len 0 is NULL. */
void *gmem_ptr(const struct gmem *mem, uint64_t gpa, uint64_t len);

/* Copies; false and nothing moved when the range isn't wholly RAM of one region. */
bool gmem_write(const struct gmem *mem, uint64_t gpa, const void *src, size_t len);
bool gmem_read(const struct gmem *mem, uint64_t gpa, void *dst, size_t len);

uint64_t gmem_size(const struct gmem *mem);
/* One past the highest address of RAM. */
uint64_t gmem_top(const struct gmem *mem);
