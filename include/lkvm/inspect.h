/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * inspect: what a guest is doing, told from outside: its virtual memory, names for its addresses, a
 * report on every vCPU, a core file.
 *
 * Everything found in the guest is taken for hostile: each access is checked against its RAM, each loop
 * is bounded, and what can't be believed is said to be so. On main, the VM paused (see control.h).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "lkvm/control.h"

/* --- virtual memory, as the tables of one vCPU map it */
struct walk {
	const struct gmem *mem;
	uint64_t cr0, cr3, cr4, efer;
};

struct walk_page {
	uint64_t gpa;  /* of the address asked for */
	uint64_t left; /* bytes from there to the page's end */
	bool write, user, exec;
};

struct walk walk_of(const struct gmem *mem, const struct control_regs *regs);
/* False: not mapped, or a table outside of RAM. What is mapped needn't be RAM. */
bool walk_page(const struct walk *walk, uint64_t va, struct walk_page *page);
/* Bytes copied from the beginning, up to the first that isn't mapped RAM. */
size_t walk_read(const struct walk *walk, uint64_t va, void *dst, size_t len);
size_t walk_write(const struct walk *walk, uint64_t va, const void *src, size_t len);

/* --- the whole */
struct inspect;
/*
 * symbols: vmlinux or System.map; NULL: kernel's own when that is an ELF file with symbols, else what
 * the guest's kernel itself brings (kallsyms, since Linux 6.0). NULL: logged.
 */
struct inspect *inspect_open(const char *symbols, const char *kernel);
void inspect_close(struct inspect *in);

void inspect_report(struct inspect *in, struct vm *vm, FILE *to);
/* Where Linux begins that KASLR has moved. False: it wasn't moved, or nothing tells. */
bool inspect_moved(struct inspect *in, struct vm *vm, uint64_t *text);
/* An ELF core for crash and gdb; 0 or -errno, logged. */
int inspect_dump(struct inspect *in, struct vm *vm, const char *path);
