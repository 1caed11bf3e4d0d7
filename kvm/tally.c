// SPDX-License-Identifier: GPL-2.0-only
/*
 * tally: counts a guest's exits by what they were for.
 *
 * Runs on: tally_reason and tally_access on the vCPU's own thread, tally_mark on any, the rest on main
 */
#include "kvm/tally.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kvm/kvm.h"
#include "lkvm/log.h"

struct tally *tally_open(unsigned cpus, int vm_fd)
{
	struct tally *t = calloc(1, sizeof(*t));

	if (!t)
		goto err_log;
	t->stats = stats_open(vm_fd);
	for (; t->cpus < cpus && t->cpus < TALLY_CPUS; t->cpus++) {
		t->table[t->cpus] = calloc(1, sizeof(*t->table[0]));
		if (!t->table[t->cpus])
			goto err_log;
	}
	return t;

err_log:
	tally_close(t);
	log_err(NULL, "cannot count exits: out of memory");
	return NULL;
}

void tally_close(struct tally *t)
{
	if (!t)
		return;
	stats_close(t->stats);
	free(t->kvm);
	for (unsigned i = 0; i < t->cpus; i++)
		free(t->table[i]);
	free(t);
}

int tally_add(struct tally *t, int vcpu_fd)
{
	int err = t->stats ? stats_add(t->stats, vcpu_fd) : 0;

	if (!err && t->stats && !t->kvm) {
		t->n_kvm = stats_count(t->stats);
		t->kvm = calloc(t->n_kvm + 1, sizeof(*t->kvm));
		err = t->kvm ? 0 : -ENOMEM;
	}
	if (err)
		log_err(NULL, "cannot read KVM's statistics: %s", strerror(-err));
	return err;
}

/* --- counting -------------------------------------------------------------------------------- */

static unsigned hash(const struct tally_row *key)
{
	uint64_t h = (uintptr_t)key->who ^ (uintptr_t)key->bus << 7 ^ key->at << 1 ^ key->write;

	h *= 0x9e3779b97f4a7c15ULL;
	return (unsigned)(h >> 32) & (TALLY_SLOTS - 1);
}

static bool same(const struct tally_row *a, const struct tally_row *b)
{
	return a->bus == b->bus && a->who == b->who && a->at == b->at && a->write == b->write &&
	       a->rest == b->rest;
}

/* The row of this key, made if there are fewer than `room` in use. NULL: it isn't there. */
static struct tally_row *find(struct tally_table *table, const struct tally_row *key, unsigned room)
{
	unsigned i = hash(key);

	/* It ends: there is always a free row. */
	while (table->row[i].bus && !same(&table->row[i], key))
		i = (i + 1) & (TALLY_SLOTS - 1);
	if (table->row[i].bus)
		return &table->row[i];
	if (table->used >= room)
		return NULL;
	table->used++;
	table->row[i] = *key;
	return &table->row[i];
}

void tally_reason(struct tally *t, unsigned cpu, unsigned reason)
{
	int part = atomic_load_explicit(&t->after, memory_order_relaxed);

	t->table[cpu]->reason[reason < TALLY_REASONS ? reason : TALLY_REASONS - 1][part]++;
}

void tally_access(struct tally *t, unsigned cpu, struct bus *bus, uint64_t addr, unsigned len, bool write)
{
	struct tally_table *table = t->table[cpu];
	int part = atomic_load_explicit(&t->after, memory_order_relaxed);
	struct tally_row key = { .bus = bus->name, .write = write, .at = addr }, *row;

	key.who = bus_who(bus, addr, len, &key.at);
	row = find(table, &key, TALLY_SINGLE);
	if (!row) {
		key.at = 0;
		key.rest = true;
		row = find(table, &key, TALLY_SLOTS - 1);
	}
	if (row)
		row->count[part]++;
	else
		table->lost[part]++;
}

void tally_collected(struct tally *t)
{
	int part = atomic_load_explicit(&t->after, memory_order_relaxed);

	atomic_fetch_add_explicit(&t->coalesced[part], 1, memory_order_relaxed);
}

void tally_mark(struct vm *vm)
{
	struct tally *t = vm->tally;
	int none = 0;

	if (!t || !atomic_compare_exchange_strong(&t->after, &none, 1))
		return;
	if (t->stats)
		stats_read(t->stats, t->kvm, 0);
}

/* --- results --------------------------------------------------------------------------------- */

static int more(uint64_t a, uint64_t b)
{
	return (a < b) - (a > b);
}

static int compare_rows(const void *a, const void *b)
{
	const struct tally_row *x = a, *y = b;

	return more(x->count[0] + x->count[1], y->count[0] + y->count[1]);
}

static int compare_numbers(const void *a, const void *b)
{
	const struct tally_number *x = a, *y = b;

	return more(x->count[0] + x->count[1], y->count[0] + y->count[1]);
}

static int compare_keys(const void *a, const void *b)
{
	const struct tally_row *x = a, *y = b;
	int order = more((uintptr_t)x->bus, (uintptr_t)y->bus);

	if (!order)
		order = more((uintptr_t)x->who, (uintptr_t)y->who);
	if (!order)
		order = more(x->at, y->at);
	return order ? order : (x->write * 2 + x->rest) - (y->write * 2 + y->rest);
}

/* Rows of the same key, which lie side by side, become one. */
static unsigned unite(struct tally_row *row, unsigned n)
{
	unsigned to = 0;

	for (unsigned i = 1; i < n; i++) {
		if (same(&row[to], &row[i])) {
			row[to].count[0] += row[i].count[0];
			row[to].count[1] += row[i].count[1];
		} else {
			row[++to] = row[i];
		}
	}
	return n ? to + 1 : 0;
}

unsigned tally_rows(struct vm *vm, struct tally_row **rows)
{
	const struct tally *t = vm->tally;
	struct tally_row lost = { .bus = "?", .rest = true };
	unsigned n = 0;

	*rows = t ? malloc((t->cpus * TALLY_SLOTS + 1) * sizeof(**rows)) : NULL;
	if (!*rows)
		return 0;
	for (unsigned cpu = 0; cpu < t->cpus; cpu++) {
		for (unsigned i = 0; i < TALLY_SLOTS; i++)
			if (t->table[cpu]->row[i].bus)
				(*rows)[n++] = t->table[cpu]->row[i];
		lost.count[0] += t->table[cpu]->lost[0];
		lost.count[1] += t->table[cpu]->lost[1];
	}
	qsort(*rows, n, sizeof(**rows), compare_keys);
	n = unite(*rows, n);
	if (lost.count[0] + lost.count[1])
		(*rows)[n++] = lost;
	qsort(*rows, n, sizeof(**rows), compare_rows);
	return n;
}

static void name_reason(char name[TALLY_NAME], unsigned reason)
{
	static const char *const names[TALLY_REASONS] = {
		[0] = "interrupted",
		[KVM_EXIT_IO] = "port access",
		[KVM_EXIT_MMIO] = "memory access",
		[KVM_EXIT_DEBUG] = "debug stop",
		[KVM_EXIT_INTR] = "signal",
		[KVM_EXIT_SHUTDOWN] = "shutdown",
		[KVM_EXIT_INTERNAL_ERROR] = "internal error",
		[KVM_EXIT_FAIL_ENTRY] = "failed entry",
		[KVM_EXIT_SYSTEM_EVENT] = "system event",
	};

	if (names[reason])
		snprintf(name, TALLY_NAME, "%s", names[reason]);
	else
		snprintf(name, TALLY_NAME, "reason %u", reason);
}

unsigned tally_reasons(struct vm *vm, struct tally_number **numbers)
{
	const struct tally *t = vm->tally;
	unsigned n = 0;

	*numbers = t ? calloc(TALLY_REASONS, sizeof(**numbers)) : NULL;
	for (unsigned i = 0; *numbers && i < TALLY_REASONS; i++) {
		struct tally_number *number = &(*numbers)[n];

		for (unsigned cpu = 0; cpu < t->cpus; cpu++)
			for (unsigned part = 0; part < 2; part++)
				number->count[part] += t->table[cpu]->reason[i][part];
		if (!number->count[0] && !number->count[1])
			continue;
		name_reason(number->name, i);
		n++;
	}
	if (*numbers)
		qsort(*numbers, n, sizeof(**numbers), compare_numbers);
	return n;
}

/* KVM's numbers only grow: after the mark is what they have grown since. */
unsigned tally_kvm(struct vm *vm, struct tally_number **numbers)
{
	struct tally *t = vm->tally;
	unsigned n = 0;

	*numbers = t && t->stats ? calloc(t->n_kvm, sizeof(**numbers)) : NULL;
	if (!*numbers)
		return 0;
	stats_read(t->stats, t->kvm, 1);
	for (unsigned i = 0; i < t->n_kvm; i++) {
		struct tally_number *now = &(*numbers)[n];

		*now = t->kvm[i];
		if (!now->count[1])
			continue;
		n++;
		if (atomic_load(&t->after)) {
			now->count[1] -= now->count[0];
		} else {
			now->count[0] = now->count[1];
			now->count[1] = 0;
		}
	}
	qsort(*numbers, n, sizeof(**numbers), compare_numbers);
	return n;
}

void tally_coalesced(struct vm *vm, uint64_t count[2])
{
	for (unsigned part = 0; part < 2; part++)
		count[part] = vm->tally ? atomic_load(&vm->tally->coalesced[part]) : 0;
}
