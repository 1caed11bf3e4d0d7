// SPDX-License-Identifier: GPL-2.0-only
/* Counting exits: what is counted where, and that a guest's addresses cost no memory. */
#include <stdlib.h>

#include "kvm/kvm.h"
#include "tap.h"

static struct bus pio, mmio;
static struct bus_slot slot = BUS_SLOT_INIT;
static const struct bus_ops nothing;
static struct bus_range serial = { .base = 0x3f8, .len = 8, .ops = &nothing, .slot = &slot, .name = "serial0" };
static struct bus_range window = { .base = 1 << 20, .len = 1 << 20, .ops = &nothing, .slot = &slot, .name = "window" };
static struct vm vm;

static void setup(unsigned cpus)
{
	bus_init(&pio, "pio");
	bus_init(&mmio, "mmio");
	bus_map(&pio, &serial);
	bus_map(&mmio, &window);
	vm.tally = tally_open(cpus, -1);
}

static void teardown(void)
{
	tally_close(vm.tally);
	bus_unmap(&pio, &serial);
	bus_unmap(&mmio, &window);
	bus_fini(&pio);
	bus_fini(&mmio);
}

static const struct tally_row *row_of(const struct tally_row *rows, unsigned n, const char *who, uint64_t at, bool write)
{
	for (unsigned i = 0; i < n; i++)
		if (rows[i].write == write && rows[i].at == at && !rows[i].rest &&
		    (who ? rows[i].who && !strcmp(rows[i].who, who) : !rows[i].who))
			return &rows[i];
	return NULL;
}

static bool counted(const struct tally_row *row, uint64_t before, uint64_t after)
{
	return row && row->count[0] == before && row->count[1] == after;
}

static void test_rows(void)
{
	struct tally_row *rows;
	unsigned n;

	setup(2);
	for (unsigned i = 0; i < 5; i++)
		tally_access(vm.tally, 0, &pio, 0x3f8, 1, true);
	tally_access(vm.tally, 1, &pio, 0x3f8, 1, true);
	tally_access(vm.tally, 1, &pio, 0x3fd, 1, false);
	tally_mark(&vm);
	tally_mark(&vm);
	tally_access(vm.tally, 0, &pio, 0x3f8, 1, true);
	tally_access(vm.tally, 0, &pio, 0x80, 1, true);
	tally_access(vm.tally, 0, &mmio, (1 << 20) + 0x18000, 4, false);
	n = tally_rows(&vm, &rows);
	is(n, 4, "a row for each register");
	ok(n && counted(&rows[0], 6, 1), "the largest comes first, vCPUs summed up, before and after the mark");
	ok(counted(row_of(rows, n, "serial0", 5, false), 1, 0), "reads and writes, by the offset in the range");
	ok(counted(row_of(rows, n, NULL, 0x80, true), 0, 1), "where nobody is, by the address");
	ok(counted(row_of(rows, n, "window", 0x18000, false), 0, 1), "on the other bus");
	free(rows);
	teardown();
}

static void test_bound(void)
{
	struct tally_row *rows;
	unsigned n, rest = 0;
	uint64_t sum = 0;

	setup(1);
	for (unsigned i = 0; i < 100000; i++)
		tally_access(vm.tally, 0, &mmio, (1 << 20) + 8 * i, 4, i & 1);
	for (unsigned i = 0; i < 3; i++)
		tally_access(vm.tally, 0, &pio, 0x3f8, 1, true);
	n = tally_rows(&vm, &rows);
	ok(n <= TALLY_SINGLE + 3, "a hundred thousand addresses take %u rows", n);
	for (unsigned i = 0; i < n; i++) {
		sum += rows[i].count[0];
		rest += rows[i].rest;
	}
	is(sum, 100003, "and none is lost");
	is(rest, 3, "the rest is counted by who it reached: the window both ways, and the port");
	free(rows);
	teardown();
}

static void test_reasons(void)
{
	struct tally_number *numbers;
	uint64_t coalesced[2];
	unsigned n;

	setup(2);
	tally_reason(vm.tally, 0, KVM_EXIT_IO);
	tally_reason(vm.tally, 1, KVM_EXIT_IO);
	tally_reason(vm.tally, 1, 0);
	tally_mark(&vm);
	tally_reason(vm.tally, 0, 1000000);
	n = tally_reasons(&vm, &numbers);
	is(n, 3, "three reasons");
	ok(n && !strcmp(numbers[0].name, "port access") && numbers[0].count[0] == 2 && !numbers[0].count[1],
	   "by name, summed up");
	free(numbers);
	is(tally_kvm(&vm, &numbers), 0, "without KVM's statistics there are none");
	tally_coalesced(&vm, coalesced);
	ok(!coalesced[0] && !coalesced[1], "nothing was coalesced");
	teardown();
}

static void test_off(void)
{
	struct tally_row *rows;
	struct tally_number *numbers;

	vm.tally = NULL;
	tally_mark(&vm);
	ok(!tally_rows(&vm, &rows) && !rows, "nobody counts: no rows");
	ok(!tally_reasons(&vm, &numbers) && !numbers, "nobody counts: no reasons");
}

int main(void)
{
	test_rows();
	test_bound();
	test_reasons();
	test_off();
	return tap_end();
}
