// SPDX-License-Identifier: GPL-2.0-only
/* The MSI-X table at every width, masks, pending bits, and what a guest can do to the routes. */
#include <unistd.h>

#include "fake_pci.h"
#include "lkvm/log.h"
#include "tap.h"

#define VECTORS 11
#define ENABLE 0x80
#define MASK_ALL 0x40
#define PBA 0x1000

static struct fake_pci p;
static struct pci_func fn;
static uint64_t bar;
static unsigned cap;

static const struct pci_ids ids = { .vendor = 1, .device = 2 };

static void control(unsigned bits)
{
	cfg_write(&p, fn.slot, cap + 3, 1, bits);
}

static uint32_t table(unsigned v, unsigned word)
{
	return (uint32_t)bus_read(&p.mmio, bar + 16 * v + 4 * word, 4);
}

static void set(unsigned v, unsigned word, uint32_t val)
{
	bus_write(&p.mmio, bar + 16 * v + 4 * word, 4, val);
}

static void program(unsigned v, uint32_t data, bool masked)
{
	set(v, 0, 0xfee00000);
	set(v, 1, 0);
	set(v, 2, data);
	set(v, 3, masked);
}

static void raise_vector(unsigned v)
{
	eventfd_write(msix_fd(&fn, v), 1);
	fake_pump(&p.intc);
}

/* Messages with this data so far. */
static unsigned messages(uint32_t data)
{
	unsigned n = 0;

	fake_pump(&p.intc);
	for (unsigned i = FAKE_PINS; i < FAKE_GSIS; i++)
		if (p.intc.in[i].open && p.intc.in[i].data == data)
			n += p.intc.in[i].messages;
	return n;
}

static unsigned pba(void)
{
	return (unsigned)bus_read(&p.mmio, bar + PBA, 2);
}

static void test_capability(void)
{
	is(cfg_read(&p, fn.slot, cap, 1), 0x11, "there is an MSI-X capability");
	is(cfg_read(&p, fn.slot, cap + 2, 2), VECTORS - 1, "of the table's size, off");
	is(cfg_read(&p, fn.slot, cap + 4, 4), 1, "table at the start of BAR 1");
	is(cfg_read(&p, fn.slot, cap + 8, 4), PBA | 1, "pending bits in a page of their own");
	cfg_write(&p, fn.slot, cap + 2, 2, 0xffff);
	is(cfg_read(&p, fn.slot, cap + 2, 2), 0xc000 | (VECTORS - 1), "enable and mask");
	cfg_write(&p, fn.slot, cap + 4, 4, 0xffffffff);
	is(cfg_read(&p, fn.slot, cap + 4, 4), 1, "where the table is can't be written");
	control(0);
	is(msix_count(&fn), VECTORS, "the owner sees as many vectors");
	is(msix_fd(&fn, VECTORS), -1, "and no more");
	is(msix_fd(&fn, 0xffff), -1, "no-vector is none");
}

static void test_widths(void)
{
	is(table(0, 3), 1, "vectors start masked");
	is(table(VECTORS - 1, 3), 1, "the last one too");
	bus_write(&p.mmio, bar + 16, 8, 0x1122334455667788ULL);
	is(bus_read(&p.mmio, bar + 16, 8), 0x1122334455667788ULL, "eight bytes at once");
	is(table(1, 0), 0x55667788, "are two words");
	bus_write(&p.mmio, bar + 20, 1, 0xab);
	bus_write(&p.mmio, bar + 22, 2, 0xcdef);
	is(table(1, 1), 0xcdef33ab, "bytes and words are stored where they belong");
	set(1, 0, 0xffffffff);
	is(table(1, 0), 0xfffffffc, "the low bits of an address read 0");
	set(1, 3, 0xffffffff);
	is(table(1, 3), 1, "of the control word there is the mask only");
	bus_write(&p.mmio, bar + 16 * 2 - 2, 4, 0);
	is(table(1, 3), 1, "a write across two entries touches its bytes of both");
	set(1, 3, 1);
	bus_write(&p.mmio, bar + 16 * VECTORS - 4, 8, 0);
	is(table(VECTORS - 1, 3), 0, "a write across the table's end writes the part inside");
	set(VECTORS - 1, 3, 1);
	is(bus_read(&p.mmio, bar + 16 * VECTORS, 4), 0, "beyond the table reads 0");
	bus_write(&p.mmio, bar + PBA, 8, ~0ULL);
	is(bus_read(&p.mmio, bar + PBA, 8), 0, "pending bits are read-only");
	is(bus_read(&p.mmio, bar + 0x1ffc, 4), 0, "the end of the BAR");
	is(p.intc.opened, 0, "none of this needed a route");
}

static void test_delivery(void)
{
	cfg_write(&p, fn.slot, 4, 2, 6);
	program(3, 0x43, false);
	is(p.intc.opened, 0, "while MSI-X is off nothing is routed");
	control(ENABLE);
	is(p.intc.opened, 1, "turned on, the unmasked vector gets a route");
	raise_vector(3);
	is(messages(0x43), 1, "and an event is a message");
	is(p.intc.in[FAKE_PINS].addr, 0xfee00000, "to the table's address");

	set(3, 3, 1);
	raise_vector(3);
	raise_vector(3);
	is(messages(0x43), 1, "masked, no message goes");
	is(pba(), 1 << 3, "the pending bit shows instead");
	is(pba(), 1 << 3, "and reading it changes nothing");
	set(3, 3, 0);
	is(messages(0x43), 2, "unmasking delivers it, once");
	is(pba(), 0, "and clears the pending bit");
	set(3, 3, 1);
	is(pba(), 0, "which does not come back with the mask");
	set(3, 3, 0);
	is(messages(0x43), 2, "nor does the message");

	control(ENABLE | MASK_ALL);
	raise_vector(3);
	ok(messages(0x43) == 2 && pba() == 1 << 3, "the function mask masks every vector");
	set(3, 3, 1);
	control(ENABLE);
	is(messages(0x43), 2, "both masks must be off");
	set(3, 3, 0);
	is(messages(0x43), 3, "then it goes");

	cfg_write(&p, fn.slot, 4, 2, 2);
	raise_vector(3);
	ok(messages(0x43) == 3 && pba() == 1 << 3, "without bus master a message waits");
	cfg_write(&p, fn.slot, 4, 2, 6);
	is(messages(0x43), 4, "until the function may write to memory");

	set(3, 3, 1);
	raise_vector(3);
	is(msix_reset(&fn, 3), true, "a reset says that something was pending");
	is(pba(), 0, "and forgets it");
	is(msix_reset(&fn, 3), false, "nothing is left");
	set(3, 3, 0);
	is(messages(0x43), 4, "to deliver");
}

static void test_rewrite(void)
{
	eventfd_write(msix_fd(&fn, 3), 1);
	is(pba(), 0, "what an unmasked vector is about to send is not pending");
	is(messages(0x43), 5, "and is sent");
	set(3, 2, 0x99);
	raise_vector(3);
	is(p.intc.in[FAKE_PINS].data, 0x99, "data rewritten while unmasked reaches the route");
	set(3, 0, 0xfee01000);
	is(p.intc.in[FAKE_PINS].addr, 0xfee01000, "so does an address");
	bus_write(&p.mmio, bar + 16 * 3 - 4, 8, 0xfee0200000000001ULL);
	is(p.intc.in[FAKE_PINS].addr, 0xfee02000, "also by a write that begins in another entry");
	is(p.intc.opened, 1, "which is still the same one");
	is(p.intc.in[FAKE_PINS].attaches >= 4, true, "(attached and detached with the masks)");
}

static void test_off_and_on(void)
{
	control(0);
	ok(!msix_enabled(&fn), "off");
	raise_vector(3);
	control(ENABLE);
	ok(msix_enabled(&fn), "on");
	is(messages(0x99), 6, "what came in while MSI-X was off is not delivered later");
	raise_vector(3);
	is(messages(0x99), 7, "what comes now is");
}

static void test_scribble(void)
{
	unsigned x = 1, sets = p.intc.in[FAKE_PINS].sets;

	set(3, 2, 0x99);
	is(p.intc.in[FAKE_PINS].sets, sets, "rewriting the same words costs no routing work");
	for (unsigned i = 0; i < 200000; i++) {
		x = x * 1103515245 + 12345;
		bus_write(&p.mmio, bar + (x >> 8) % 0x1100, 1U << (x >> 28 & 3), x * 0x9e3779b9ULL);
		if (i % 64 == 0)
			control(x >> 16 & 0xff);
	}
	ok(p.intc.opened <= VECTORS, "scribbling takes one route a vector and no more");
	for (unsigned v = 0; v < VECTORS; v++)
		program(v, 0x60 + v, false);
	control(ENABLE);
	fake_pump(&p.intc);
	raise_vector(10);
	ok(messages(0x6a) >= 1, "and afterwards vectors work");
}

static void test_exhausted(void)
{
	for (unsigned v = 0; v < VECTORS; v++)
		set(v, 3, 1);
	p.intc.refuse_attach = true;
	log_set_level(LOG_ERR);
	program(0, 0x70, false);
	raise_vector(0);
	is(pba(), 1, "a vector that can't be attached keeps its event");
	p.intc.refuse_attach = false;
	program(0, 0x70, true);
	program(0, 0x70, false);
	is(messages(0x70) > 0, true, "and delivers it when it can");
}

static void test_no_routes(void)
{
	struct fake_pci q;
	struct pci_func f;
	uint64_t at;

	fake_pci_open(&q, NULL);
	q.intc.limit = 1;
	pci_func_init(&f, "big", &ids);
	is(msix_open(&f, 1, 2048), 0, "2048 vectors");
	is(pci_func_add(q.host, &f, 3), 0, "fit a function");
	cfg_write(&q, 3, 4, 2, 6);
	at = cfg_read(&q, 3, 0x14, 4);
	cfg_write(&q, 3, find_cap(&q, 3, 0x11) + 3, 1, ENABLE);
	is(cfg_read(&q, 3, find_cap(&q, 3, 0x11) + 2, 2) & 0x7ff, 2047, "and its size field");
	bus_write(&q.mmio, at + 12, 4, 0);
	bus_write(&q.mmio, at + 28, 4, 0);
	is(q.intc.opened, 1, "when routes run out the vector goes without");
	eventfd_write(msix_fd(&f, 1), 1);
	is(bus_read(&q.mmio, at + 0x8000, 1), 2, "and shows as pending");
	bus_write(&q.mmio, at + 16 * 2047 + 12, 4, 0);
	eventfd_write(msix_fd(&f, 2047), 1);
	is(bus_read(&q.mmio, at + 0x8000 + 255, 1), 0x80, "the last vector's pending bit");
	pci_func_remove(&f);
	is(q.intc.opened, 0, "closing gives the routes back");
	fake_pci_close(&q);
}

int main(void)
{
	fake_pci_open(&p, NULL);
	pci_func_init(&fn, "fn", &ids);
	is(msix_open(&fn, 1, VECTORS), 0, "vectors");
	is(pci_func_add(p.host, &fn, 1), 0, "on the bus");
	cap = find_cap(&p, 1, 0x11);
	bar = cfg_read(&p, 1, 0x14, 4);
	cfg_write(&p, 1, 4, 2, 6);
	test_capability();
	test_widths();
	test_delivery();
	test_rewrite();
	test_off_and_on();
	test_scribble();
	test_exhausted();
	pci_func_remove(&fn);
	is(p.intc.opened, 0, "removing the function gives its routes back");
	fake_pci_close(&p);
	test_no_routes();
	return tap_end();
}
