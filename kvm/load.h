/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * load.h: what the loading files know of each other, and the map of low memory they share.
 *
 *	0x000000  a page nobody uses: the real-mode vectors
 *	0x001000  GDT
 *	0x002000  PVH: hvm_start_info, its module list and memory map
 *	0x003000  boot_params ("zero page")
 *	0x004000  page tables: PML4, PDPT and four directories: 4 GiB as themselves, in 2 MiB pages
 *	0x010000  command line, up to 64 KiB
 *	0x09fc00  end of usable low memory, as on a PC (reserved up to 0xa0000)
 *	0x0e0000  ACPI tables (MAP_ACPI), reserved
 *	0x0ffff0  what a processor in real mode would start with (MAP_RESET), reserved
 *	0x100000  kernels begin here or above; a bzImage where it prefers to be, often 16 MiB
 *	   ...
 *	   top    the initrd, as high as it may be, below the hole
 */
#pragma once

#include <asm/bootparam.h>
#include <stdbool.h>
#include <stdint.h>

#include "lkvm/boot.h"

#define LOW_GDT		0x1000
#define LOW_PVH		0x2000
#define LOW_PVH_LEN	0x1000
#define LOW_ZERO_PAGE	0x3000
#define LOW_TABLES	0x4000
#define LOW_CMDLINE	0x10000
#define LOW_CMDLINE_LEN 0x10000
#define LOW_END		0x9fc00
#define KERNEL_MIN	0x100000

/* --- image.c: a file being loaded */
struct image {
	const char *what; /* "kernel", "initrd" */
	const char *path;
	int fd;
	uint64_t size;
};

int image_open(struct image *img, const char *what, const char *path); /* 0 or -errno, logged */
void image_close(struct image *img);
/* All of [off, off + len) into dst; 0 or -errno, logged: a file that ends before is truncated. */
int image_read(const struct image *img, uint64_t off, void *dst, uint64_t len);
/* The same into guest RAM, which must hold all of it. */
int image_load(const struct image *img, uint64_t off, struct gmem *mem, uint64_t gpa, uint64_t len);
/* One line about the image; returns -ENOEXEC. */
int image_refuse(const struct image *img, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* --- bzimage.c, elf.c: a kernel in memory */
struct kernel {
	struct vm_entry entry;	   /* mode and rip */
	struct setup_header setup; /* of a bzImage, else zero */
	uint64_t end;		   /* one past what the kernel takes */
	uint64_t initrd_max;	   /* highest address of an initrd's last byte */
	uint64_t cmdline_max;	   /* characters, without the terminating zero */
};

bool bzimage_is(const uint8_t *head, uint64_t len); /* the file's first bytes, len of them */
int bzimage_load(const struct image *img, struct gmem *mem, struct kernel *kernel);
bool elf_is(const uint8_t *head, uint64_t len);
int elf_load(const struct image *img, struct gmem *mem, struct kernel *kernel);
/* Any of them. 0 or -errno, logged. */
int kernel_load(const char *path, struct gmem *mem, struct kernel *kernel);
/* One past the RAM that begins at 0. */
uint64_t ram_low_end(const struct gmem *mem);
/* "N MiB", what -m must at least be for RAM up to end. */
uint64_t ram_needed_mib(uint64_t end);

/* --- params.c: what the kernel is told */
struct initrd {
	uint64_t gpa, len; /* len 0: none */
};

struct map_entry {
	uint64_t gpa, len;
	uint32_t type; /* E820_TYPE_...: the numbers of e820, which PVH shares */
};

enum { MAP_RAM = 1, MAP_RESERVED = 2 };
#define MAP_ENTRIES 12

unsigned params_map(const struct gmem *mem, const struct boot_conf *conf, struct map_entry *map);
int params_linux(struct gmem *mem, const struct boot_conf *conf, const struct kernel *kernel,
		 const struct initrd *initrd, uint64_t rsdp);
int params_pvh(struct gmem *mem, const struct boot_conf *conf, const struct initrd *initrd,
	       uint64_t rsdp);

/* --- longmode.c: page tables and GDT */
int longmode_build(struct gmem *mem, struct vm_entry *entry);
