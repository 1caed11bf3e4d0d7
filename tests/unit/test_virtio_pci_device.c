// SPDX-License-Identifier: GPL-2.0-only
/*
 * The transport with a real device behind it, on a loop of its own: doorbells, interrupts, failure,
 * reset in the middle of I/O, through the modern and the legacy face.
 */
#include "echo_device.h"
#include "lkvm/log.h"
#include "tap.h"

/* --- modern ----------------------------------------------------------------------------------- */

static uint64_t mrd(unsigned off, unsigned len)
{
	return bus_read(&p.mmio, bar_addr(4) + off, len);
}

static void mwr(unsigned off, unsigned len, uint64_t val)
{
	bus_write(&p.mmio, bar_addr(4) + off, len, val);
}

static void modern_begin(void)
{
	clear_ring();
	mwr(0x14, 1, 0);
	mwr(0x14, 1, 3);
	mwr(0x08, 4, 1);
	mwr(0x0c, 4, 1);
	mwr(0x14, 1, 11);
	mwr(0x20, 8, RING);
	mwr(0x28, 8, AVAIL);
	mwr(0x30, 8, USED);
	mwr(0x1c, 2, 1);
}

static bool modern_echo(uint8_t byte)
{
	offer(byte, DATA + 1);
	mwr(0x4000, 2, 0);
	return answered() && ram[DATA + 1] == (uint8_t)(byte + 1);
}

static void change_config(void *opaque)
{
	(void)opaque;
	vdev_config_set(&echo->dev, 0, "A", 1, true);
}

static void test_modern(void)
{
	unsigned before = echo->answered;

	modern_begin();
	is(mrd(0x14, 1), 11, "a real device accepts VERSION_1");
	is(mrd(0x1c, 2), 1, "and a ring");
	offer(1, DATA + 1);
	mwr(0x4000, 2, 0);
	loop_call(p.loop, fake_nothing, NULL);
	ok(!get16(USED + 2) && echo->answered == before, "nothing is served before DRIVER_OK");
	mwr(0x14, 1, 15);
	ok(answered() && ram[DATA + 1] == 2, "what was offered before is served with it");
	ok(pin_up() && mrd(0x1000, 1) == 1, "and interrupts");
	ok(modern_echo(7), "a doorbell, an answer");
	ok(pin_up() && mrd(0x1000, 1) == 1, "an interrupt");
	loop_call(p.loop, change_config, NULL);
	is(mrd(0x1000, 1), 2, "the device changes its configuration");
	is(mrd(0x2000, 1), 'A', "and it can be read");
	mwr(0x14, 1, 0);
	is(mrd(0x2000, 1), 'a', "a reset brings the old one back");
}

static void test_modern_failure(void)
{
	modern_begin();
	mwr(0x14, 1, 15);
	offer(1, 0x7fffffff0000ULL);
	mwr(0x4000, 2, 0);
	ok(pin_up() && mrd(0x1000, 1) == 2, "a bad ring ends in a configuration interrupt");
	is(mrd(0x14, 1), 64 | 15, "and NEEDS_RESET");
	modern_begin();
	mwr(0x14, 1, 15);
	ok(mrd(0x14, 1) == 15 && modern_echo(9), "a reset mends it");
	mwr(0x14, 1, 0);
	modern_begin();
	mwr(0x14, 1, 0);
	mwr(0x14, 1, 3);
	mwr(0x08, 4, 1);
	mwr(0x0c, 4, 1);
	mwr(0x14, 1, 11);
	mwr(0x20, 8, RING + 1);
	mwr(0x28, 8, AVAIL);
	mwr(0x30, 8, USED);
	mwr(0x1c, 2, 1);
	ok(!mrd(0x1c, 2) && mrd(0x14, 1) == (64 | 11), "a misaligned ring is refused");
	mwr(0x14, 1, 0);
}

static void test_modern_reset(void)
{
	unsigned bad = 0;

	modern_begin();
	mwr(0x14, 1, 15);
	echo->hold = true;
	offer(5, DATA + 1);
	mwr(0x4000, 2, 0);
	for (unsigned i = 0; i < 2000 && !echo->held; i++)
		usleep(1000);
	ok(echo->held, "a request is in flight");
	mwr(0x14, 1, 0);
	ok(!echo->held && echo->dropped == 1 && mrd(0x14, 1) == 0, "a reset waits for it to end");
	echo->hold = false;
	for (unsigned i = 0; i < 50; i++) {
		modern_begin();
		mwr(0x14, 1, 15);
		offer((uint8_t)i, DATA + 1);
		mwr(0x4000, 2, 0); /* and reset at once, whatever the device is doing */
		mwr(0x14, 1, 0);
		bad += mrd(0x14, 1) != 0 || mrd(0x1000, 1) != 0;
		put16(USED + 2, 0x5555);
		usleep(100);
		bad += get16(USED + 2) != 0x5555 || mrd(0x1000, 1) != 0;
	}
	is(bad, 0, "after a reset memory is not touched and nothing interrupts");
	modern_begin();
	mwr(0x14, 1, 15);
	ok(modern_echo(3), "and the device works again");
	cfg_write(&p, slot, 4, 2, 3);
	offer(4, DATA + 1);
	mwr(0x4000, 2, 0);
	loop_call(p.loop, fake_nothing, NULL);
	ok(get16(USED + 2) == 1, "without bus master memory is not touched either");
	cfg_write(&p, slot, 4, 2, 7);
	mwr(0x14, 1, 0);
}

static void test_modern_msix(void)
{
	uint16_t was;

	set_msix(0);
	msix_on();
	modern_begin();
	mwr(0x10, 2, 0);
	mwr(0x1a, 2, 1);
	mwr(0x14, 1, 15);
	was = (uint16_t)messages(1);
	ok(modern_echo(1), "with MSI-X");
	for (unsigned i = 0; i < 2000 && messages(1) == was; i++)
		usleep(1000);
	ok(messages(1) == was + 1U && !line(), "an answer is a message");
	set_msix(0);
	ok(modern_echo(2) && pin_up(), "MSI-X turned off under way: the pin");
	is(mrd(0x1000, 1), 1, "as ISR says");
	mwr(0x14, 1, 0);
}

/* --- legacy ------------------------------------------------------------------------------------ */

static uint64_t io;

static bool legacy_echo(uint8_t byte)
{
	offer(byte, DATA + 1);
	bus_write(&p.pio, io + 16, 2, 0);
	return answered() && ram[DATA + 1] == (uint8_t)(byte + 1);
}

static void test_legacy(void)
{
	unsigned features;

	io = bar_addr(0);
	clear_ring();
	bus_write(&p.pio, io + 18, 1, 0);
	bus_write(&p.pio, io + 18, 1, 3);
	features = (unsigned)bus_read(&p.pio, io, 4);
	ok(features & 1U << 27, "ANY_LAYOUT is offered to legacy drivers");
	bus_write(&p.pio, io + 4, 4, features & ~(1U << 29));
	is(bus_read(&p.pio, io + 12, 2), N, "the ring's size");
	bus_write(&p.pio, io + 8, 4, RING >> 12);
	ok(legacy_echo(1), "a queue is served before DRIVER_OK");
	ok(pin_up() && bus_read(&p.pio, io + 19, 1) == 1, "and interrupts");
	bus_write(&p.pio, io + 18, 1, 7);
	ok(legacy_echo(2), "and after it");
	is(bus_read(&p.pio, io + 18, 1), 7, "nothing went wrong");
	is(echo->dev.modern, false, "the device knows whom it serves");
	bus_write(&p.pio, io + 18, 1, 0);
	clear_ring();
	bus_write(&p.pio, io + 18, 1, 3);
	bus_write(&p.pio, io + 8, 4, 0xfffff);
	bus_write(&p.pio, io + 18, 1, 7);
	is(bus_read(&p.pio, io + 18, 1), 64 | 7, "a ring outside RAM is refused");
	bus_write(&p.pio, io + 18, 1, 0);
}

int main(void)
{
	log_set_level(LOG_ERR);
	mem.fd = -1;
	gmem_add(&mem, 0, ram, sizeof(ram));
	fake_pci_open(&p, NULL);
	open_echo(VIRTIO_TRANSITIONAL);
	test_modern();
	test_modern_failure();
	test_modern_reset();
	test_modern_msix();
	test_legacy();
	test_modern();
	virtio_pci_close(vp);
	open_echo(VIRTIO_LEGACY);
	test_legacy();
	virtio_pci_close(vp);
	fake_pci_close(&p);
	return tap_end();
}
