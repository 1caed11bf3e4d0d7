/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * tally: where the guest's exits to user space went, counted by the vCPUs when vm_conf.tally asks for
 * it, and what KVM itself has counted (KVM_GET_STATS_FD).
 *
 * Everything comes in two parts, before and after tally_mark(): the guest's start and its life.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct vm;

#define TALLY_NAME 48

/* A register of a device, or a whole device: what no longer fitted the table. */
struct tally_row {
	const char *bus; /* "pio", "mmio" */
	const char *who; /* the range's name; NULL: nobody is there */
	bool write, rest;
	uint64_t at; /* offset in the range, or, when nobody is there, the address; rest: 0 */
	uint64_t count[2]; /* before and after the mark */
};

/* Exits by KVM's reason, and one of KVM's own numbers, summed up over the vCPUs. */
struct tally_number {
	char name[TALLY_NAME];
	uint64_t count[2]; /* before and after the mark */
};

/* Userspace begins, say. Any thread; only the first call counts. */
void tally_mark(struct vm *vm);

/*
 * The results; the vCPUs have stopped. Arrays that the caller frees, the largest sums first; their
 * lengths are returned, 0 (and NULL) when nothing was counted or there is no memory.
 */
unsigned tally_rows(struct vm *vm, struct tally_row **rows);
unsigned tally_reasons(struct vm *vm, struct tally_number **numbers);
unsigned tally_kvm(struct vm *vm, struct tally_number **numbers);
/* Accesses that came without an exit: out of KVM's ring of coalesced writes. */
void tally_coalesced(struct vm *vm, uint64_t count[2]);
