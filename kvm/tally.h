/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * kvm/tally.h: how kvm/ counts; include/lkvm/tally.h is what others see of it.
 *
 * A vCPU counts in a table of its own, so that counting takes no lock. Its size is fixed: the guest
 * chooses addresses, and once the table is nearly full new ones count for their device as a whole.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "lkvm/bus.h"
#include "lkvm/tally.h"

#define TALLY_SLOTS   1024 /* a power of two */
#define TALLY_SINGLE  640  /* beyond so many, new rows are whole devices */
#define TALLY_REASONS 64
#define TALLY_CPUS    64

struct tally_table {
	struct tally_row row[TALLY_SLOTS]; /* a hash table; bus NULL: free */
	unsigned used;
	uint64_t lost[2]; /* nowhere left to count */
	uint64_t reason[TALLY_REASONS][2]; /* [0]: KVM_RUN was interrupted */
};

struct stats;

struct tally {
	atomic_int after; /* 1: the mark was passed */
	_Atomic uint64_t coalesced[2];
	struct stats *stats; /* NULL: KVM keeps none */
	struct tally_number *kvm;
	unsigned n_kvm;
	struct tally_table *table[TALLY_CPUS]; /* one per vCPU */
	unsigned cpus;
};

struct tally *tally_open(unsigned cpus, int vm_fd); /* NULL: logged */
int tally_add(struct tally *t, int vcpu_fd);	    /* the next vCPU; 0 or -errno, logged */
void tally_close(struct tally *t);
void tally_reason(struct tally *t, unsigned cpu, unsigned reason);
void tally_collected(struct tally *t); /* a write without an exit; any thread */
void tally_access(struct tally *t, unsigned cpu, struct bus *bus, uint64_t addr, unsigned len, bool write);

/* --- stats.c: KVM's own numbers */
struct stats *stats_open(int vm_fd);		/* NULL: there are none */
int stats_add(struct stats *s, int vcpu_fd);	/* one more vCPU; 0 or -errno */
void stats_close(struct stats *s);
unsigned stats_count(const struct stats *s);
/* Now: the i-th number's name, and its sum, into number[i].count[at]. */
void stats_read(const struct stats *s, struct tally_number *number, unsigned at);
