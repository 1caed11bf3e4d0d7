// SPDX-License-Identifier: GPL-2.0-only
/* Configuration space by both ways, write masks, BARs that are sized and moved, and the pin. */
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "fake_pci.h"
#include "lkvm/log.h"
#include "tap.h"

static struct fake_pci p;

static const struct pci_ids ids = {
	.vendor = 0x1af4, .device = 0x1042, .subvendor = 0x1af4, .subdevice = 0x1042, .revision = 1,
	.class = 0x010203,
};

/* A BAR's model: remembers the last write, answers with its own mark and the offset. */
static struct { uint64_t off, val; unsigned len, writes; } seen;

static uint64_t model_read(void *opaque, uint64_t off, unsigned len)
{
	(void)len;
	return (uintptr_t)opaque + off;
}

static void model_write(void *opaque, uint64_t off, unsigned len, uint64_t val)
{
	(void)opaque;
	seen.off = off;
	seen.val = val;
	seen.len = len;
	seen.writes++;
}

static const struct bus_ops model = { model_read, model_write };

static struct pci_func fn;
static struct pci_doorbell bell;

static void open_func(void)
{
	pci_func_init(&fn, "fn", &ids);
	pci_func_bar(&fn, 0, PCI_BAR_IO, 64, &model, (void *)0x100);
	pci_func_bar(&fn, 1, PCI_BAR_MEM32, 0x2000, &model, (void *)0x10000);
	pci_func_bar(&fn, 4, PCI_BAR_MEM64, 0x4000, &model, (void *)0x20000);
	bell = (struct pci_doorbell){ .off = 0x3000, .fd = eventfd(0, EFD_NONBLOCK) };
	pci_func_doorbell(&fn, 4, &bell);
	is(pci_func_add(p.host, &fn, -1), 0, "a function is added");
	is(pci_intx_open(&fn), 0, "and gets a pin");
}

static void close_func(void)
{
	pci_func_remove(&fn);
	close(bell.fd);
}

static void test_bridge(void)
{
	is(cfg_read(&p, 0, 0x0a, 2), 0x0600, "the host bridge is at 0:0.0");
	is(cfg_read(&p, 0, 0x0e, 1), 0, "with a type 0 header, one function");
	is(cfg_read(&p, 7, 0, 4), 0xffffffff, "an absent device reads all-ones");
	is(cfg_read(&p, 7, 0, 2), 0xffff, "at any width");
	is(bus_read(&p.mmio, ecam(0, 0x1000), 4), 0xffffffff, "function 1 of the bridge too");
}

static void test_conf1(void)
{
	uint32_t a = 0x80000000 | fn.slot << 11;

	is(conf1_read(&p, a, 0, 4), 0x10421af4, "mechanism 1 finds the same function");
	is(conf1_read(&p, a, 2, 2), 0x1042, "a word of it");
	is(conf1_read(&p, a, 1, 1), 0x1a, "a byte of it");
	is(conf1_read(&p, a, 1, 2), 0x421a, "a misaligned word of it");
	is(conf1_read(&p, a | 3, 0, 4), 0x10421af4, "bits 0 and 1 of the address are not there");
	is(bus_read(&p.pio, 0xcf8, 4), a, "and read 0");
	is(conf1_read(&p, a & 0x7fffffff, 0, 4), 0xffffffff, "nothing without the enable bit");
	is(conf1_read(&p, a | 1 << 16, 0, 4), 0xffffffff, "nothing on bus 1");
	is(conf1_read(&p, a | 1 << 8, 0, 4), 0xffffffff, "nothing in function 1");

	bus_write(&p.pio, 0xcf8, 4, a);
	bus_write(&p.pio, 0xcfb, 1, 0x01);
	bus_write(&p.pio, 0xcf8, 2, 0x1234);
	bus_write(&p.pio, 0xcf9, 1, 0x06);
	is(bus_read(&p.pio, 0xcf8, 4), a, "only a double word is a write to the address");
	is(bus_read(&p.pio, 0xcf9, 1), 0xff, "and only a double word reads it");
	is(bus_read(&p.pio, 0xcfa, 4), 0xffffffff, "an access across both ports is nobody's");
	bus_write(&p.pio, 0xcf8, 4, a | 0x3c);
	bus_write(&p.pio, 0xcfc, 1, 0x5a);
	is(cfg_read(&p, fn.slot, 0x3c, 1), 0x5a, "a byte written by mechanism 1 shows by ECAM");
	cfg_write(&p, fn.slot, 0x3c, 1, (uint8_t)fn.intx.gsi);
	bus_write(&p.pio, 0xcf8, 4, a & 0x7fffffff);
	bus_write(&p.pio, 0xcfc, 4, 0);
	is(cfg_read(&p, fn.slot, 0, 4), 0x10421af4, "a disabled address is not written either");
}

static atomic_bool configuring, configured, slow; /* slow: it waited in vain */

/* A model that waits for its loop. */
static void slow_config(void *opaque, unsigned off, unsigned len)
{
	(void)opaque;
	(void)off;
	(void)len;
	configuring = true;
	for (int ms = 0; !configured && ms < 3000; ms++)
		usleep(1000);
	slow = !configured;
}

static void *configure(void *opaque)
{
	cfg_write(&p, fn.slot, 0x3c, 1, cfg_read(&p, fn.slot, 0x3c, 1));
	return opaque;
}

/* Collected writes come on a loop as well, for which the model may just be waiting. */
static void test_address_alone(void)
{
	uint32_t a = 0x80000000 | fn.slot << 11;
	pthread_t t;

	fn.config_write = slow_config;
	pthread_create(&t, NULL, configure, NULL);
	while (!configuring)
		usleep(1000);
	bus_write(&p.pio, 0xcf8, 4, a);
	is(bus_read(&p.pio, 0xcf8, 4), a, "an address is written while a function is being configured");
	configured = true;
	pthread_join(t, NULL);
	ok(!slow, "and neither waits for the other");
	fn.config_write = NULL;
}

static void test_header(void)
{
	unsigned s = fn.slot;

	for (unsigned off = 0; off < 256; off += 4)
		if (off < 0x10 || off >= 0x28)
			cfg_write(&p, s, off, 4, 0xffffffff);
	is(cfg_read(&p, s, 0, 4), 0x10421af4, "ids are read-only");
	is(cfg_read(&p, s, 8, 4), 0x01020301, "so are revision and class");
	is(cfg_read(&p, s, 0x2c, 4), 0x10421af4, "and subsystem ids");
	is(cfg_read(&p, s, 4, 2), 0x0407, "command bits: I/O, memory, master, INTx");
	is(cfg_read(&p, s, 6, 2), 0, "status takes no writes");
	is(cfg_read(&p, s, 0x3c, 1), 0xff, "the interrupt line register is the guest's to write");
	is(cfg_read(&p, s, 0x3d, 1), 1, "the pin is INTA, read-only");
	is(cfg_read(&p, s, 0x40, 4), 0, "bytes that belong to nothing read 0");
	is(bus_read(&p.mmio, ecam(s, 0x100), 4), 0xffffffff, "extended space is nobody's");
	is(bus_read(&p.mmio, ecam(s, 0), 8), 0x0000040710421af4ULL, "eight bytes at once");
	is(bus_read(&p.mmio, ecam(s, 0xfc), 8), -1, "across the end of the 256");
	bus_write(&p.mmio, ecam(s, 0xfc), 8, ~0ULL);
	is(bus_read(&p.mmio, ecam(s, 0xffe), 4), 0xffffffff, "across the end of the function");
	cfg_write(&p, s, 4, 2, 0);
	is(cfg_read(&p, s, 4, 2), 0, "and command bits clear again");

	fn.config[0x50] = 0xff;
	fn.w1c[0x50] = 0x0f;
	fn.mask[0x50] = 0x80;
	cfg_write(&p, s, 0x50, 1, 0x03);
	is(cfg_read(&p, s, 0x50, 1), 0x7c, "ones clear RW1C bits, masked bits are written");
	fn.config[0x50] = fn.w1c[0x50] = fn.mask[0x50] = 0;
}

static uint64_t bar64(unsigned reg)
{
	return (uint64_t)cfg_read(&p, fn.slot, reg + 4, 4) << 32 | cfg_read(&p, fn.slot, reg, 4);
}

static void test_assigned(void)
{
	uint32_t io = cfg_read(&p, fn.slot, 0x10, 4), mem = cfg_read(&p, fn.slot, 0x14, 4);
	uint64_t mem64 = bar64(0x20);

	is(cfg_read(&p, fn.slot, 4, 2), 0, "decoding is off at first");
	ok((io & 3) == 1 && (io & ~3U) >= 0x1000 && !(io & 0x3c), "an I/O BAR in its window");
	ok(mem >= 0xc0000000 && mem < 0xd0000000 && !(mem & 0x1fff), "a 32-bit BAR in its window");
	ok((mem64 & 0xf) == 4 && !(mem64 & 0x3ff0), "a 64-bit BAR says so, aligned");
	is(bus_read(&p.mmio, mem, 4), 0xffffffff, "nothing decodes yet");
	is(p.bells, 0, "no doorbell is attached");

	cfg_write(&p, fn.slot, 4, 2, 2);
	is(bus_read(&p.mmio, mem + 0x10, 4), 0x10010, "memory decoding brings the 32-bit BAR");
	is(bus_read(&p.mmio, (mem64 & ~0xfULL) + 8, 4), 0x20008, "and the 64-bit one");
	is(bus_read(&p.pio, (io & ~3U), 4), 0xffffffff, "but not the I/O BAR");
	ok(p.bells == 1 && fake_has_bell(&p, (mem64 & ~0xfULL) + 0x3000), "and the doorbell");
	cfg_write(&p, fn.slot, 4, 2, 1);
	is(bus_read(&p.pio, (io & ~3U) + 4, 4), 0x104, "I/O decoding brings the I/O BAR");
	is(bus_read(&p.mmio, mem, 4), 0xffffffff, "and memory is gone");
	is(p.bells, 0, "the doorbell too");
	cfg_write(&p, fn.slot, 4, 2, 3);
	bus_write(&p.mmio, mem + 0x20, 2, 0xabcd);
	ok(seen.off == 0x20 && seen.len == 2 && seen.val == 0xabcd, "writes arrive");
}

static void size_bar(unsigned reg, uint32_t want)
{
	uint32_t old = cfg_read(&p, fn.slot, reg, 4);

	cfg_write(&p, fn.slot, reg, 4, 0xffffffff);
	is(cfg_read(&p, fn.slot, reg, 4), want, "BAR register %#x sizes as %#x", reg, want);
	cfg_write(&p, fn.slot, reg, 4, old);
	is(cfg_read(&p, fn.slot, reg, 4), old, "and takes its address back");
}

static void test_sizing(void)
{
	cfg_write(&p, fn.slot, 4, 2, 3); /* decoding stays on */
	size_bar(0x10, 0xffffffc1);
	size_bar(0x14, 0xffffe000);
	size_bar(0x20, 0xffffc004);
	size_bar(0x24, 0xffffffff);
	cfg_write(&p, fn.slot, 0x18, 4, 0xffffffff);
	is(cfg_read(&p, fn.slot, 0x18, 4), 0, "a BAR that isn't there reads 0");
	cfg_write(&p, fn.slot, 0x30, 4, 0xffffffff);
	is(cfg_read(&p, fn.slot, 0x30, 4), 0, "there is no expansion ROM");
}

/* Byte writes too: the BAR is where its bytes say at any moment. */
static void test_moving(void)
{
	uint32_t io = cfg_read(&p, fn.slot, 0x10, 4), mem = cfg_read(&p, fn.slot, 0x14, 4);
	uint64_t mem64 = bar64(0x20) & ~0xfULL;

	cfg_write(&p, fn.slot, 0x14, 4, 0xc8000000);
	is(bus_read(&p.mmio, mem, 4), 0xffffffff, "a moved BAR is gone from its old place");
	is(bus_read(&p.mmio, 0xc8000004, 4), 0x10004, "and is at the new one");
	cfg_write(&p, fn.slot, 0x14, 4, mem);
	cfg_write(&p, fn.slot, 0x10, 2, 0x2000);
	is(bus_read(&p.pio, 0x2001, 1), 0x01, "an I/O BAR is moved by a word");
	cfg_write(&p, fn.slot, 0x10, 4, 0x12340000);
	is(bus_read(&p.pio, 0, 4), 0xffffffff, "an I/O BAR beyond 64 KiB is nowhere");
	cfg_write(&p, fn.slot, 0x10, 4, io);

	cfg_write(&p, fn.slot, 0x24, 4, 0x40);
	is(bus_read(&p.mmio, mem64, 4), 0xffffffff, "half of a 64-bit BAR moves it");
	is(bus_read(&p.mmio, 0x4000000000ULL | mem64, 4), 0x20000, "to what both halves say");
	ok(p.bells == 1 && fake_has_bell(&p, (0x4000000000ULL | mem64) + 0x3000),
	   "its doorbell follows");
	cfg_write(&p, fn.slot, 0x20, 4, 0x00008000);
	is(bus_read(&p.mmio, 0x4000008000ULL, 4), 0x20000, "then the other half");
	bus_write(&p.mmio, ecam(fn.slot, 0x20), 8, 0x4000010000ULL);
	is(bus_read(&p.mmio, 0x4000010000ULL, 4), 0x20000, "or both at once");
	cfg_write(&p, fn.slot, 0x22, 1, 0x55);
	is(bus_read(&p.mmio, 0x4000550000ULL, 4), 0x20000, "or a byte");
	bus_write(&p.mmio, ecam(fn.slot, 0x20), 8, mem64);
	is(bus_read(&p.mmio, mem64, 4), 0x20000, "and back");
}

static uint64_t fixed_read(void *opaque, uint64_t off, unsigned len)
{
	(void)opaque;
	(void)off;
	(void)len;
	return 0xf1;
}

static void test_bad_places(void)
{
	static const struct bus_ops fixed_ops = { fixed_read, NULL };
	static struct bus_slot slot = BUS_SLOT_INIT;
	struct bus_range fixed = { .base = 0xfec00000, .len = 0x1000, .ops = &fixed_ops,
				   .slot = &slot, .prio = 1 };
	uint32_t mem = cfg_read(&p, fn.slot, 0x14, 4);
	uint64_t mem64 = bar64(0x20) & ~0xfULL;

	bus_map(&p.mmio, &fixed);
	cfg_write(&p, fn.slot, 0x14, 4, 0xfec00000);
	is(bus_read(&p.mmio, 0xfec00000, 1), 0xf1, "fixed hardware is not hidden by a BAR");
	is(bus_read(&p.mmio, 0xfec01000, 4), 0x11000, "beside it the BAR is seen");
	bus_unmap(&p.mmio, &fixed);

	bus_write(&p.mmio, ecam(fn.slot, 0x20), 8, fake_windows.ecam);
	is(cfg_read(&p, 0, 0x0a, 2), 0x0600, "ECAM is not hidden by a BAR");
	is(p.bells, 0, "and no doorbell is attached outside the windows");
	bus_write(&p.mmio, ecam(fn.slot, 0x20), 8, 0xc0100000);
	is(bus_read(&p.mmio, 0xc0100000, 4), 0x20000, "the BAR can be moved away again");
	is(p.bells, 1, "with its doorbell");

	bus_write(&p.mmio, ecam(fn.slot, 0x20), 8, 0);
	is(bus_read(&p.mmio, 0, 4), 0xffffffff, "a BAR at 0 is unassigned");
	bus_write(&p.mmio, ecam(fn.slot, 0x20), 8, ~0ULL);
	is(bus_read(&p.mmio, ~0x3fffULL, 4), 0xffffffff, "a BAR at the very top is being sized");
	bus_write(&p.mmio, ecam(fn.slot, 0x20), 8, 0xffffffffffff0000ULL);
	is(bus_read(&p.mmio, 0xffffffffffff0000ULL, 4), 0x20000, "just below it is a place");

	bus_write(&p.mmio, ecam(fn.slot, 0x20), 8, mem64);
	cfg_write(&p, fn.slot, 0x14, 4, (uint32_t)mem64);
	is(bus_read(&p.mmio, mem64, 4), 0x20000, "of two BARs in one place the first is seen");
	cfg_write(&p, fn.slot, 0x14, 4, mem);
	ok(bus_read(&p.mmio, mem64, 4) == 0x20000 && bus_read(&p.mmio, mem, 4) == 0x10000,
	   "and both are whole when they part");

	cfg_write(&p, fn.slot, 0x10, 4, 0xcc0);
	is(conf1_read(&p, 0x80000000, 0, 4), 0x00081b36, "an I/O BAR over 0xcf8 hides nothing");
	cfg_write(&p, fn.slot, 0x10, 4, 0x1000);
}

static void test_doorbell(void)
{
	p.refuse_bells = true;
	cfg_write(&p, fn.slot, 4, 2, 0);
	cfg_write(&p, fn.slot, 4, 2, 3);
	is(bell.attached, false, "a doorbell that is refused is no error");
	seen.writes = 0;
	bus_write(&p.mmio, (bar64(0x20) & ~0xfULL) + 0x3000, 2, 0);
	ok(seen.writes == 1 && seen.off == 0x3000, "the write traps instead");
	p.refuse_bells = false;
}

static unsigned asserts(void)
{
	fake_settle(&p);
	return p.intc.in[fn.intx.gsi].asserts;
}

static bool line(void)
{
	fake_settle(&p);
	return p.intc.in[fn.intx.gsi].line;
}

static void test_intx(void)
{
	unsigned gsi = fn.intx.gsi, s = fn.slot, n;

	is(gsi, pci_intx_gsi(&fake_windows, s), "the pin is wired as the DSDT says");
	cfg_write(&p, s, 4, 2, 0x400);
	pci_intx_set(&fn, true);
	pci_intx_set(&fn, false);
	cfg_write(&p, s, 4, 2, 0);
	pci_intx_reset(&fn);
	is(p.intc.in[gsi].attaches, 0, "no irqfd for a function that never interrupts with it");
	pci_intx_set(&fn, true);
	ok(line(), "level up asserts the line");
	is(p.intc.in[gsi].attaches, 1, "which is where the irqfd is attached");
	is(cfg_read(&p, s, 6, 2) & 8, 8, "interrupt status says so");
	fake_eoi(&p.intc, gsi);
	ok(line(), "while the level holds, an EOI is followed by another assertion");
	pci_intx_set(&fn, false);
	is(cfg_read(&p, s, 6, 2) & 8, 0, "level down shows in the status");
	fake_eoi(&p.intc, gsi);
	ok(!line(), "and after the next EOI the line stays down");

	pci_intx_set(&fn, true);
	ok(line(), "up again");
	cfg_write(&p, s, 4, 2, 0x400);
	ok(!line(), "INTx disable takes the line down without an EOI");
	is(cfg_read(&p, s, 6, 2) & 8, 8, "but the status still shows the level");
	n = asserts();
	pci_intx_set(&fn, true);
	is(asserts(), n, "nothing is asserted while disabled");
	cfg_write(&p, s, 4, 2, 0);
	ok(line(), "enabling asserts what is still wanted");
	cfg_write(&p, s, 4, 2, 0x400);
	pci_intx_set(&fn, false);
	n = asserts();
	cfg_write(&p, s, 4, 2, 0);
	is(asserts(), n, "and nothing that isn't");

	pci_intx_set(&fn, true);
	ok(line(), "up");
	pci_intx_set(&fn, false);
	ok(line(), "lowered, the line waits for the EOI");
	pci_intx_reset(&fn);
	ok(!line(), "or for a read that finds nothing: no stale assertion");
	pci_intx_set(&fn, true);
	ok(line(), "up");
	fake_eoi(&p.intc, gsi);
	ok(line(), "the handler masks, ends the interrupt, and looks later");
	pci_intx_set(&fn, false);
	ok(!line(), "then lowering drops the line, as no EOI will");
	pci_intx_set(&fn, true);
	ok(line(), "up again");
	pci_intx_reset(&fn);
	ok(!line() && !(cfg_read(&p, s, 6, 2) & 8), "a reset leaves level and line low");
	n = p.intc.in[gsi].attaches;
	pci_intx_reset(&fn);
	is(p.intc.in[gsi].attaches, n, "and costs nothing when the line was not used");
}

static void test_many(void)
{
	static struct pci_func many[PCI_SLOTS];
	unsigned n = 0, err = 0;

	log_set_level(LOG_ERR);
	for (; n < PCI_SLOTS; n++) {
		pci_func_init(&many[n], "many", &ids);
		pci_func_bar(&many[n], 0, PCI_BAR_MEM32, 0x1000, &model, NULL);
		err = pci_func_add(p.host, &many[n], -1) != 0;
		if (err)
			break;
	}
	is(n, PCI_SLOTS - 2, "slots fill up");
	is(err, 1, "and the next function is refused");
	while (n--)
		pci_func_remove(&many[n]);
	is(cfg_read(&p, 20, 0, 4), 0xffffffff, "removed functions are gone");
}

static void test_windows_full(void)
{
	struct pci_windows small = fake_windows;
	static struct pci_func f[2];
	struct fake_pci q;

	small.mem32_len = 0x3000;
	small.mem64_len = 0x4000;
	fake_pci_open(&q, &small);
	pci_func_init(&f[0], "a", &ids);
	pci_func_bar(&f[0], 0, PCI_BAR_MEM64, 0x4000, &model, NULL);
	pci_func_bar(&f[0], 2, PCI_BAR_MEM32, 0x2000, &model, NULL);
	is(pci_func_add(q.host, &f[0], 5), 0, "what doesn't fit below 4 GiB goes above");
	is(bus_read(&q.mmio, ecam(5, 0x14), 4), 0x40, "at the other window");
	pci_func_init(&f[1], "b", &ids);
	pci_func_bar(&f[1], 0, PCI_BAR_MEM32, 0x2000, &model, NULL);
	is(pci_func_add(q.host, &f[1], -1), -ENOSPC, "a full window is an error");
	is(pci_func_add(q.host, &f[1], 5), -ENOSPC, "so is a slot that is taken");
	pci_func_remove(&f[0]);
	fake_pci_close(&q);
}

int main(void)
{
	fake_pci_open(&p, NULL);
	open_func();
	test_bridge();
	test_assigned();
	test_conf1();
	test_address_alone();
	test_header();
	test_sizing();
	test_moving();
	test_bad_places();
	test_doorbell();
	test_intx();
	test_many();
	test_windows_full();
	close_func();
	is(p.bells, 0, "removing a function takes its doorbells along");
	is(bus_read(&p.mmio, 0xc0000000, 4), 0xffffffff, "and its ranges");
	is(p.intc.in[17].fd, -1, "and its line");
	fake_pci_close(&p);
	return tap_end();
}
