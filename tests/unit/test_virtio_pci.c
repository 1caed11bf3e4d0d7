// SPDX-License-Identifier: GPL-2.0-only
/* The modern face: capabilities, common registers, doorbells, interrupts, window, reset. */
#include "guest_pci.h"
#include "lkvm/log.h"
#include "tap.h"

enum { /* struct virtio_pci_common_cfg, from the specification's text */
	DFSELECT = 0x00, DF = 0x04, GFSELECT = 0x08, GF = 0x0c, CFG_VEC = 0x10, NUMQ = 0x12,
	STATUS = 0x14, GENERATION = 0x15, Q_SELECT = 0x16, Q_SIZE = 0x18, Q_VEC = 0x1a,
	Q_ENABLE = 0x1c, Q_NOFF = 0x1e, Q_DESC = 0x20, Q_DRIVER = 0x28, Q_DEVICE = 0x30,
	Q_NDATA = 0x38, Q_RESET = 0x3a,
};

static struct where {
	unsigned cap, bar, len;
	uint64_t addr;
	uint32_t offset, length;
} at[16]; /* by cfg_type */

static void walk(void)
{
	unsigned cap = cfg_read(&p, slot, 0x34, 1);

	memset(at, 0, sizeof(at));
	for (; cap; cap = cfg_read(&p, slot, cap + 1, 1)) {
		unsigned type = cfg_read(&p, slot, cap + 3, 1) & 15;

		if (cfg_read(&p, slot, cap, 1) != 9 || at[type].cap)
			continue;
		at[type].cap = cap;
		at[type].len = cfg_read(&p, slot, cap + 2, 1);
		at[type].bar = cfg_read(&p, slot, cap + 4, 1);
		at[type].offset = cfg_read(&p, slot, cap + 8, 4);
		at[type].length = cfg_read(&p, slot, cap + 12, 4);
		if (type != 5 && type < 9)
			at[type].addr = bar_addr(at[type].bar) + at[type].offset;
	}
}

static uint64_t rd(unsigned off, unsigned len)
{
	return bus_read(&p.mmio, at[1].addr + off, len);
}

static void wr(unsigned off, unsigned len, uint64_t val)
{
	bus_write(&p.mmio, at[1].addr + off, len, val);
}

static unsigned status(void)
{
	return (unsigned)rd(STATUS, 1);
}

static void select_queue(unsigned n)
{
	wr(Q_SELECT, 2, n);
}

static void accept_features(uint64_t features)
{
	wr(STATUS, 1, 0);
	wr(STATUS, 1, 1);
	wr(STATUS, 1, 3);
	wr(GFSELECT, 4, 0);
	wr(GF, 4, (uint32_t)features);
	wr(GFSELECT, 4, 1);
	wr(GF, 4, features >> 32);
	wr(STATUS, 1, 11);
}

static void enable(unsigned n)
{
	select_queue(n);
	wr(Q_DESC, 8, 0x10000 + n * 0x4000);
	wr(Q_DRIVER, 8, 0x11000 + n * 0x4000);
	wr(Q_DEVICE, 8, 0x12000 + n * 0x4000);
	wr(Q_ENABLE, 2, 1);
}

#define V1 VBIT(VIRTIO_F_VERSION_1)

static uint8_t read_isr(void)
{
	return (uint8_t)bus_read(&p.mmio, at[3].addr, 1);
}

static void open_dev(enum virtio_layout layout)
{
	fake_vport_init(&dev, VIRTIO_ID_NET);
	vp = virtio_pci_open(p.host, &dev.port, layout);
	cfg_write(&p, slot, 4, 2, 7);
	walk();
}

static void test_discovery(void)
{
	static const unsigned min[] = { 0, 16, 20, 16, 16, 20 };

	is(cfg_read(&p, slot, 0, 4), 0x10411af4, "vendor 1af4, device 1040 + type");
	is(cfg_read(&p, slot, 8, 1), 1, "revision 1");
	is(cfg_read(&p, slot, 0x2e, 2) >= 0x40, true, "subsystem id 0x40 or more");
	is(cfg_read(&p, slot, 9, 1) | cfg_read(&p, slot, 10, 2) << 8, 0x020000, "class: Ethernet");
	for (unsigned t = 1; t <= 5; t++)
		ok(at[t].cap && at[t].len == min[t], "capability of type %u, length %u", t, min[t]);
	is(at[1].length >= 0x3c, true, "the common structure covers what is offered");
	is(at[1].offset & 3 || at[2].offset & 3 || at[4].offset & 3, 0, "structures are aligned");
	is(cfg_read(&p, slot, at[2].cap + 16, 4), 4, "notify_off_multiplier is 4");
	is(at[2].length, 4 * FAKE_QUEUES, "a doorbell for every queue");
	is(at[4].length, 32, "device configuration, whole words");
	cfg_write(&p, slot, at[1].cap + 8, 4, 0xffffffff);
	is(cfg_read(&p, slot, at[1].cap + 8, 4), at[1].offset, "a capability is read-only");
	is(cfg_read(&p, slot, 0x10, 4), 0, "no legacy BAR");
	is((cfg_read(&p, slot, find_cap(&p, slot, 0x11) + 2, 2) & 0x7ff) + 1, FAKE_QUEUES + 1,
	   "as many vectors as queues and one");
}

static void test_features(void)
{
	wr(STATUS, 1, 0);
	is(status(), 0, "status is 0 at first");
	for (unsigned i = 0; i < 2; i++) {
		wr(DFSELECT, 4, i);
		is(rd(DF, 4), dev.port.features >> (32 * i) & 0xffffffff, "offered, window %u", i);
	}
	for (unsigned i = 0; i < 5; i++) {
		static const uint32_t sel[] = { 2, 3, 4, 0x80000000, 0xffffffff };

		wr(DFSELECT, 4, sel[i]);
		is(rd(DF, 4), 0, "nothing offered in window %#x", sel[i]);
		is(rd(DFSELECT, 4), sel[i], "which reads back");
	}
	wr(DF, 4, 0xffffffff);
	is(rd(DF, 4), 0, "what is offered is read-only");

	accept_features(V1 | 5);
	is(status(), 11, "a set that is offered and closed is accepted");
	is(dev.accepted, V1 | 5, "and handed to the device");
	wr(GFSELECT, 4, 0);
	is(rd(GF, 4), 5, "the driver's bits read back, window 0");
	wr(GF, 4, 7);
	is(rd(GF, 4), 5, "and are final");
	wr(GFSELECT, 4, 1);
	is(rd(GF, 4), 1, "window 1");
	wr(GFSELECT, 4, 7);
	is(rd(GF, 4), 0, "window 7");
	wr(STATUS, 1, 11);
	is(dev.accepts, 1, "FEATURES_OK is accepted once");

	accept_features(V1 | 8);
	is(status(), 3, "a bit that isn't offered: FEATURES_OK stays 0");
	accept_features(V1 | 2);
	is(status(), 3, "a bit without what it needs");
	wr(GFSELECT, 4, 0);
	wr(GF, 4, 3);
	wr(STATUS, 1, 11);
	is(status(), 11, "the set can be mended without a reset");
	accept_features(5);
	is(status(), 3, "without VERSION_1");
	accept_features(V1 | VBIT(50));
	is(status(), 3, "a high bit");
	wr(STATUS, 1, 0);
	wr(GFSELECT, 4, 1);
	wr(GF, 4, 1);
	wr(GFSELECT, 4, 2);
	wr(GF, 4, 0x100);
	wr(STATUS, 1, 11);
	is(status(), 3, "a bit of window 2");
	wr(GF, 4, 0);
	wr(STATUS, 1, 11);
	is(status(), 11, "and taken back");
	wr(STATUS, 1, 0);
	wr(GFSELECT, 4, 0);
	is(rd(GF, 4), 0, "a reset forgets them");
	is(dev.accepted, 0, "in the device too");
}

static void test_status(void)
{
	unsigned starts = dev.starts;

	wr(STATUS, 1, 0);
	wr(STATUS, 1, 1);
	is(status(), 1, "ACKNOWLEDGE");
	wr(STATUS, 1, 2);
	is(status(), 3, "bits only add up");
	wr(STATUS, 1, 3 | 4);
	is(status(), 3, "DRIVER_OK before FEATURES_OK does not stick");
	is(dev.starts, starts, "and starts nothing");
	wr(STATUS, 1, 3 | 16 | 32 | 64);
	is(status(), 3, "unknown bits and NEEDS_RESET can't be written");
	wr(STATUS, 1, 128);
	is(status(), 131, "FAILED sticks");
	wr(STATUS, 1, 0);
	is(status(), 0, "until the reset");
	wr(GFSELECT, 4, 1);
	wr(GF, 4, 1);
	wr(STATUS, 1, 15);
	is(status(), 15, "everything in one write");
	is(dev.starts, starts + 1, "starts the device");
	wr(STATUS, 1, 15);
	is(dev.starts, starts + 1, "once");
}

static void test_queues(void)
{
	accept_features(V1);
	is(rd(NUMQ, 2), FAKE_QUEUES, "num_queues");
	select_queue(0);
	is(rd(Q_SIZE, 2), 256, "queue_size is the most there can be");
	is(rd(Q_NOFF, 2), 0, "queue 0 rings at 0");
	select_queue(3);
	is(rd(Q_NOFF, 2), 3, "queue 3 at 3");
	for (unsigned i = 0; i < 4; i++) {
		static const unsigned absent[] = { 2, FAKE_QUEUES, 0x7fff, 0xffff };

		select_queue(absent[i]);
		is(rd(Q_SELECT, 2), absent[i], "queue_select holds %#x", absent[i]);
		is(rd(Q_SIZE, 2), 0, "there is no such queue");
		wr(Q_SIZE, 2, 8);
		wr(Q_VEC, 2, 0);
		wr(Q_DESC, 8, 0x1000);
		wr(Q_ENABLE, 2, 1);
		ok(!rd(Q_SIZE, 2) && rd(Q_VEC, 2) == 0xffff && !rd(Q_DESC, 8) && !rd(Q_ENABLE, 2),
		   "and writing doesn't make one");
	}
	select_queue(0);
	for (unsigned i = 0; i < 5; i++) {
		static const unsigned bad[] = { 0, 3, 255, 257, 0x8000 };

		wr(Q_SIZE, 2, bad[i]);
		is(rd(Q_SIZE, 2), 256, "a size of %u is refused", bad[i]);
	}
	wr(Q_SIZE, 2, 8);
	is(rd(Q_SIZE, 2), 8, "a smaller one is taken");
	select_queue(1);
	is(rd(Q_SIZE, 2), 64, "and is not the next queue's");
	wr(Q_DESC, 4, 0x11110000);
	wr(Q_DESC + 4, 4, 0x2);
	wr(Q_DRIVER + 4, 4, 0x3);
	wr(Q_DRIVER, 4, 0x22220000);
	wr(Q_DEVICE, 8, 0x433330000ULL);
	select_queue(0);
	is(rd(Q_DESC, 8) | rd(Q_DRIVER, 8) | rd(Q_DEVICE, 8), 0, "nor are addresses");
	wr(Q_DESC, 8, 0x5000);
	select_queue(1);
	is(rd(Q_DESC, 8), 0x211110000ULL, "an address in halves, low first");
	is(rd(Q_DRIVER, 8), 0x322220000ULL, "high first");
	is(rd(Q_DEVICE + 4, 4), 4, "whole, read in halves");
	is(rd(Q_DEVICE + 1, 2), 0x3300, "or in pieces");
	select_queue(0);
	wr(Q_ENABLE, 2, 0);
	is(rd(Q_ENABLE, 2), 0, "enabling with 0 is nothing");
	wr(Q_ENABLE, 2, 1);
	is(rd(Q_ENABLE, 2), 1, "with 1 it is on");
	ok(dev.q[0].running && dev.q[0].conf.size == 8 && dev.q[0].conf.desc == 0x5000,
	   "as the driver said");
	wr(Q_ENABLE, 2, 0);
	ok(rd(Q_ENABLE, 2) == 1 && dev.q[0].running, "it can't be turned off like that");
	wr(Q_SIZE, 2, 16);
	wr(Q_DESC, 8, 0x6000);
	ok(rd(Q_SIZE, 2) == 8 && rd(Q_DESC, 8) == 0x5000, "nor changed under way");
	wr(Q_ENABLE, 2, 1);
	is(dev.q[0].starts, 1, "enabling twice is once");
	ok(!dev.q[1].running && !dev.q[3].running, "other queues stay off");
	is(dev.starts, 1, "(the last test's start)");
	wr(STATUS, 1, 15);
	is(dev.starts, 2, "DRIVER_OK starts the device");
	enable(4);
	ok(dev.q[4].running && dev.q[4].conf.size == 8, "a queue enabled later starts at once");

	wr(STATUS, 1, 0);
	is(dev.q[0].stops, 1, "a reset stops queues");
	for (unsigned n = 0; n < FAKE_QUEUES; n++) {
		select_queue(n);
		ok(!rd(Q_ENABLE, 2) && !rd(Q_DESC, 8) && !rd(Q_DRIVER, 8) && !rd(Q_DEVICE, 8) &&
			   rd(Q_VEC, 2) == 0xffff && rd(Q_SIZE, 2) == dev.q[n].max,
		   "queue %u is as at first", n);
	}
	select_queue(0);
	wr(Q_ENABLE, 2, 1);
	is(rd(Q_ENABLE, 2), 0, "before FEATURES_OK no queue can be enabled");
}

static void test_ring_kinds(void)
{
	const struct virtq_conf *conf = &dev.q[0].conf;

	accept_features(V1 | VBIT(VIRTIO_F_RING_PACKED) | VBIT(VIRTIO_F_EVENT_IDX));
	select_queue(0);
	wr(Q_SIZE, 2, 77);
	is(rd(Q_SIZE, 2), 77, "a packed ring can have any size");
	wr(Q_SIZE, 2, 257);
	is(rd(Q_SIZE, 2), 77, "but not more than the most");
	enable(0);
	ok(conf->packed && conf->event_idx && !conf->indirect && !conf->in_order &&
		   conf->size == 77 && !conf->notify_on_empty, "packed, event index");
	accept_features(V1 | VBIT(VIRTIO_F_INDIRECT_DESC) | VBIT(VIRTIO_F_IN_ORDER));
	enable(0);
	ok(!conf->packed && !conf->event_idx && conf->indirect && conf->in_order &&
		   conf->size == 256, "split, indirect, in order");
	ok(conf->desc == 0x10000 && conf->driver == 0x11000 && conf->device == 0x12000,
	   "the three areas are where they were put");
}

static void test_refused_queue(void)
{
	log_set_level(LOG_ERR);
	accept_features(V1);
	dev.start_error = -EINVAL;
	enable(0);
	is(rd(Q_ENABLE, 2), 0, "a queue that can't be used stays off");
	is(status(), 64 | 11, "and the device needs a reset");
	is(read_isr(), 0, "without an interrupt before DRIVER_OK");
	wr(STATUS, 1, 15);
	is(read_isr(), 2, "but with one as soon as the driver is ready");
	dev.start_error = 0;
	accept_features(V1);
	enable(0);
	ok(rd(Q_ENABLE, 2) == 1 && status() == 11, "after a reset it works");
	dev.fail_on_start = true;
	wr(STATUS, 1, 15);
	is(status(), 79, "a device that fails to start says so");
	is(read_isr(), 2, "with a configuration interrupt");
	dev.fail_on_start = false;
}

static void test_widths(void)
{
	wr(STATUS, 1, 0);
	wr(DFSELECT, 8, 0xffffffff00000001ULL);
	is(rd(DFSELECT, 4), 1, "a write across registers writes the ones that can be written");
	is(rd(DFSELECT, 8), (dev.port.features & 0xffffffff00000000ULL) | 1, "a read gives all");
	wr(Q_SELECT, 4, 256 << 16 | 3);
	is(rd(Q_SELECT, 4), 256 << 16 | 3, "queue_select and queue_size in one");
	wr(Q_SELECT + 1, 1, 0x12);
	is(rd(Q_SELECT, 2), 0x1203, "a byte of a register");
	wr(Q_SELECT, 2, 0);
	wr(Q_SIZE + 1, 1, 0);
	is(rd(Q_SIZE, 2), 256, "a byte that makes a bad value is refused as a whole");
	wr(Q_DESC + 3, 4, 0xaabbccdd);
	is(rd(Q_DESC, 8), 0xaabbccdd000000ULL, "a misaligned write");
	is(rd(Q_DESC + 5, 8), 0xaabb, "a misaligned read across two");
	is(rd(0x3c, 4), 0, "no administration queues");
	is(bus_read(&p.mmio, at[1].addr + 0x40, 8), 0, "beyond the structure");
	is(bus_read(&p.mmio, at[1].addr + 0xffc, 8), 0, "across its page");
	is(bus_read(&p.mmio, bar_addr(4) + 0x3000, 4), 0xffffffff, "nothing there");
	is(bus_read(&p.mmio, at[2].addr, 4), 0xffffffff, "doorbells can't be read");
	for (unsigned len = 1; len <= 8; len *= 2)
		for (uint64_t off = 0; off < 0x8000; off += off < 0x60 ? 1 : 61) {
			bus_read(&p.mmio, bar_addr(4) + off, len);
			if (off != STATUS)
				bus_write(&p.mmio, bar_addr(4) + off, len, 0x0101010101010101ULL);
		}
	wr(STATUS, 1, 0);
	is(status(), 0, "every width everywhere does no harm");
}

static void test_device_config(void)
{
	uint64_t cfg = at[4].addr;

	is(bus_read(&p.mmio, cfg, 8), 0xa7a6a5a4a3a2a1a0ULL, "device configuration, 8 bytes");
	is(bus_read(&p.mmio, cfg + 3, 1), 0xa3, "1 byte");
	is(bus_read(&p.mmio, cfg + 28, 4), 0xbdbc, "the padding reads 0");
	is(bus_read(&p.mmio, cfg + 64, 8), 0, "beyond reads 0");
	is(bus_read(&p.mmio, cfg + 0xffc, 8), 0, "to the end of the page");
	bus_write(&p.mmio, cfg + 2, 2, 0x5566);
	is(bus_read(&p.mmio, cfg, 4), 0x5566a1a0, "writes reach the device");
	dev.generation = 42;
	is(rd(GENERATION, 1), 42, "the generation is the device's");
	wr(GENERATION, 1, 9);
	is(rd(GENERATION, 1), 42, "and read-only");
}

static void test_doorbells(void)
{
	uint64_t bell = at[2].addr;

	accept_features(V1);
	enable(0);
	enable(3);
	ok(fake_has_bell(&p, bell) && fake_has_bell(&p, bell + 12), "doorbells are ioeventfds");
	is(p.bell[0].len, 0, "of any length");
	bus_write(&p.mmio, bell + 12, 2, 3);
	ok(rung(dev.q[3].kick_fd) && !rung(dev.q[0].kick_fd), "the trap rings queue 3 alone");
	quiet(dev.q[3].kick_fd);
	bus_write(&p.mmio, bell, 4, 0x80120000);
	ok(rung(dev.q[0].kick_fd), "a 32-bit write with notification data");
	quiet(dev.q[0].kick_fd);
	bus_write(&p.mmio, bell + 8, 2, 2);
	bus_write(&p.mmio, bell + 4, 2, 1);
	bus_write(&p.mmio, bell + 4 * FAKE_QUEUES, 2, 1);
	bus_write(&p.mmio, bar_addr(4) + 0x7ffc, 4, 1);
	ok(!rung(dev.q[0].kick_fd) && !rung(dev.q[3].kick_fd), "other queues' doorbells");
	bus_write(&p.mmio, bell, 2, 0);
	wr(STATUS, 1, 0);
	ok(!rung(dev.q[0].kick_fd), "a reset drains what was rung");
}

static void test_intx(void)
{
	accept_features(V1);
	enable(0);
	irq_raise(&dev.q[0].call);
	ok(!line() && !read_isr(), "no interrupt before DRIVER_OK");
	wr(STATUS, 1, 15);
	irq_raise(&dev.q[0].call);
	ok(line(), "a queue's call raises the pin");
	is(cfg_read(&p, slot, 6, 2) & 8, 8, "interrupt status");
	is(read_isr(), 1, "and ISR bit 0");
	is(read_isr(), 0, "which reading clears");
	is(cfg_read(&p, slot, 6, 2) & 8, 0, "with the interrupt status");
	ok(!line(), "and the line is down, although no EOI was sent");
	dev.port.changed(dev.port.opaque);
	irq_raise(&dev.q[0].call);
	is(bus_read(&p.mmio, at[3].addr, 4), 3, "a configuration change is bit 1, by 4 bytes");
	dev.port.changed(dev.port.opaque);
	ok(line(), "up");
	fake_eoi(&p.intc, pci_intx_gsi(&fake_windows, slot));
	ok(line(), "an EOI before ISR was read brings it back");
	wr(STATUS, 1, 0);
	ok(!line() && !read_isr(), "a reset takes line and ISR down");
	dev.port.changed(dev.port.opaque);
	dev.port.failed(dev.port.opaque);
	ok(!line() && !read_isr(), "and nothing comes after it");
	is(status(), 64, "(though it shows)");
	wr(STATUS, 1, 0);

	accept_features(V1);
	dev.port.changed(dev.port.opaque);
	ok(!read_isr(), "a change before DRIVER_OK waits");
	wr(STATUS, 1, 15);
	is(read_isr(), 2, "and is told with it");
	dev.port.failed(dev.port.opaque);
	is(status(), 79, "a failure shows in the status");
	is(read_isr(), 2, "and is told");
}

static void test_msix(void)
{
	accept_features(V1);
	msix_on();
	is(rd(CFG_VEC, 2), 0xffff, "no vector at first");
	for (unsigned v = 0; v <= FAKE_QUEUES; v++) {
		wr(CFG_VEC, 2, v);
		is(rd(CFG_VEC, 2), v, "configuration can have vector %u", v);
	}
	select_queue(0);
	for (unsigned i = 0; i < 3; i++) {
		static const unsigned bad[] = { FAKE_QUEUES + 1, 0x7ff, 0xffff };

		wr(Q_VEC, 2, 1);
		is(rd(Q_VEC, 2), 1, "a queue's vector");
		wr(Q_VEC, 2, bad[i]);
		is(rd(Q_VEC, 2), 0xffff, "vector %#x reads back as none", bad[i]);
		wr(CFG_VEC, 2, bad[i]);
		is(rd(CFG_VEC, 2), 0xffff, "also for configuration");
	}
	wr(CFG_VEC, 2, 0);
	wr(Q_VEC, 2, 1);
	enable(0);
	wr(STATUS, 1, 15);
	irq_raise(&dev.q[0].call);
	is(messages(1), 1, "a queue's call is its vector's message");
	ok(!line() && !read_isr(), "and no pin, no ISR bit");
	dev.port.changed(dev.port.opaque);
	is(messages(0), 1, "so is a configuration change");
	ok(!line(), "without a pin");
	is(cfg_read(&p, slot, 6, 2) & 8, 0, "or interrupt status");
	is(read_isr(), 2, "but with its ISR bit");

	select_queue(0);
	wr(Q_VEC, 2, 5);
	irq_raise(&dev.q[0].call);
	ok(messages(1) == 1 && messages(5) == 1, "a vector can be changed under way");
	wr(Q_VEC, 2, 0);
	irq_raise(&dev.q[0].call);
	is(messages(0), 2, "and shared");
	wr(Q_VEC, 2, 0xffff);
	wr(CFG_VEC, 2, 0xffff);
	irq_raise(&dev.q[0].call);
	dev.port.changed(dev.port.opaque);
	ok(messages(0) == 2 && messages(1) == 1 && !line(), "without a vector there is silence");
	is(read_isr(), 2, "but for the ISR bit");

	wr(Q_VEC, 2, 1);
	wr(CFG_VEC, 2, 0);
	set_msix(0);
	irq_raise(&dev.q[0].call);
	ok(line() && read_isr() == 1 && messages(1) == 1, "MSI-X off: the pin again");
	ok(rd(Q_VEC, 2) == 1, "the vector is remembered");
	set_msix(0xc0);
	irq_raise(&dev.q[0].call);
	ok(!line() && messages(1) == 1, "on, all masked: pending");
	set_msix(0);
	ok(line() && read_isr() == 1, "turned off, the pending event becomes the pin's");
	set_msix(0x80);
	is(messages(1), 1, "and not a message too");
	set_msix(0xc0);
	irq_raise(&dev.q[0].call);
	wr(STATUS, 1, 0);
	set_msix(0x80);
	is(messages(1), 1, "a reset forgets pending messages");
	is(rd(CFG_VEC, 2), 0xffff, "and vectors");
	dev.port.changed(dev.port.opaque);
	ok(messages(0) == 2 && !read_isr(), "and nothing follows");
	set_msix(0);
}

static void test_queue_reset(void)
{
	accept_features(V1);
	enable(0);
	wr(STATUS, 1, 15);
	wr(Q_RESET, 2, 1);
	ok(dev.q[0].running && rd(Q_ENABLE, 2), "without RING_RESET there is no queue reset");
	is(rd(Q_NDATA, 2), 0, "and without NOTIF_CONFIG_DATA no data");

	accept_features(V1 | VBIT(VIRTIO_F_RING_RESET) | VBIT(VIRTIO_F_NOTIF_CONFIG_DATA));
	enable(0);
	enable(3);
	is(rd(Q_NDATA, 2), 3, "notification data names the queue");
	wr(STATUS, 1, 15);
	bus_write(&p.mmio, at[2].addr + 12, 2, 3);
	wr(Q_RESET, 2, 0);
	ok(dev.q[3].running, "writing 0 is nothing");
	wr(Q_RESET, 2, 1);
	ok(!dev.q[3].running && !rd(Q_RESET, 2) && !rd(Q_ENABLE, 2), "1 resets the queue");
	ok(!rung(dev.q[3].kick_fd), "with its doorbell");
	ok(dev.q[0].running, "that one alone");
	ok(rd(Q_SIZE, 2) == 256 && !rd(Q_DESC, 8) && rd(Q_VEC, 2) == 0xffff, "it is as at first");
	wr(Q_SIZE, 2, 16);
	enable(3);
	ok(dev.q[3].running && dev.q[3].conf.size == 16 && rd(Q_ENABLE, 2) == 1 && !rd(Q_RESET, 2),
	   "and can be enabled anew, smaller");
	select_queue(2);
	wr(Q_RESET, 2, 1);
	is(rd(Q_RESET, 2), 0, "an absent queue can't be reset");
}

static uint32_t window(unsigned bar, uint32_t off, uint32_t len)
{
	cfg_write(&p, slot, at[5].cap + 4, 1, bar);
	cfg_write(&p, slot, at[5].cap + 8, 4, off);
	cfg_write(&p, slot, at[5].cap + 12, 4, len);
	return cfg_read(&p, slot, at[5].cap + 16, 4);
}

static void window_write(unsigned bar, uint32_t off, uint32_t len, uint32_t val)
{
	cfg_write(&p, slot, at[5].cap + 4, 1, bar);
	cfg_write(&p, slot, at[5].cap + 8, 4, off);
	cfg_write(&p, slot, at[5].cap + 12, 4, len);
	cfg_write(&p, slot, at[5].cap + 16, 4, val);
}

static void test_window(void)
{
	static const struct { unsigned bar; uint32_t off, len; } bad[] = {
		{ 0, 0, 4 }, { 2, 0, 4 }, { 6, 0, 4 }, { 255, 0, 4 }, { 4, 0, 0 }, { 4, 0, 3 },
		{ 4, 0, 8 }, { 4, 0, 0xffffffff }, { 4, 2, 4 }, { 4, 0x8000, 4 },
		{ 4, 0xfffffffc, 4 }, { 1, 0x2000, 1 }, { 5, 0, 4 },
	};
	uint32_t common = at[1].offset;
	unsigned resets;

	cfg_write(&p, slot, 4, 2, 0); /* it works without decoding */
	window_write(4, common + STATUS, 1, 0);
	window_write(4, common + STATUS, 1, 0xffffff01);
	is(window(4, common + STATUS, 1) & 0xff, 1, "the window writes and reads a byte");
	window_write(4, common + Q_SELECT, 2, 1);
	is(window(4, common + Q_SIZE, 2) & 0xffff, 64, "a word");
	is(window(4, common + DF, 4), (uint32_t)dev.port.features, "a double word");
	is(window(4, at[4].offset + 4, 4), 0xa7a6a5a4, "device configuration");
	is(window(1, 12, 4), 0, "the MSI-X table (unmasked by now)");
	is(cfg_read(&p, slot, at[5].cap + 8, 4), 12, "its fields read back");
	window_write(4, common + GFSELECT, 4, 1);
	window_write(4, common + GF, 4, 1);
	window_write(4, common + STATUS, 1, 11);
	window_write(4, common + Q_ENABLE, 2, 1);
	ok(dev.q[1].running, "a device can be set up by the window alone");
	window_write(4, at[2].offset + 4, 2, 1);
	ok(rung(dev.q[1].kick_fd), "and rung");
	window_write(4, common + STATUS, 1, 15);
	irq_raise(&dev.q[1].call);
	is(window(4, at[3].offset, 1) & 0xff, 1, "ISR by the window");
	is(window(4, at[3].offset, 1) & 0xff, 0, "is cleared by reading");
	resets = dev.resets;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		is(window(bad[i].bar, bad[i].off, bad[i].len), 0xffffffff,
		   "bar %u offset %#x length %u is nowhere", bad[i].bar, bad[i].off, bad[i].len);
		window_write(bad[i].bar, bad[i].off, bad[i].len, 0);
	}
	ok(dev.resets == resets && (window(4, common + STATUS, 1) & 0xff) == 15, "all harmless");
	window_write(4, common + STATUS, 1, 0);
	is(dev.resets, resets + 1, "a reset by the window");
	cfg_write(&p, slot, 4, 2, 7);
}

static void test_bus_master(void)
{
	unsigned starts = dev.starts;

	cfg_write(&p, slot, 4, 2, 2);
	accept_features(V1);
	enable(0);
	enable(3);
	wr(STATUS, 1, 15);
	ok(status() == 15 && dev.starts == starts, "without bus master nothing is served");
	cfg_write(&p, slot, 4, 2, 6);
	is(dev.starts, starts + 1, "turning it on starts the device");
	cfg_write(&p, slot, 4, 2, 6);
	is(dev.starts, starts + 1, "once");
	cfg_write(&p, slot, 4, 2, 2);
	ok(!dev.q[0].running && !dev.q[3].running, "turning it off stops every queue");
	is(status(), 79, "and the device needs a reset");
	cfg_write(&p, slot, 4, 2, 6);
	enable(0);
	ok(!dev.q[0].running && !rd(Q_ENABLE, 2), "nothing runs before that");
	accept_features(V1);
	enable(0);
	wr(STATUS, 1, 15);
	ok(dev.q[0].running && dev.starts == starts + 2, "afterwards it is as new");
	wr(STATUS, 1, 0);
	cfg_write(&p, slot, 4, 2, 2);
	is(status(), 0, "a device that is off does not mind");
	cfg_write(&p, slot, 4, 2, 7);
	is(dev.starts, starts + 2, "and isn't started by it");
}

static void test_early_reset(void)
{
	wr(STATUS, 1, 0);
	wr(STATUS, 1, 3);
	wr(Q_SELECT, 2, 3);
	wr(DFSELECT, 4, 1);
	wr(GFSELECT, 4, 1);
	wr(GF, 4, 1);
	wr(CFG_VEC, 2, 1);
	wr(STATUS, 1, 11);
	enable(3);
	wr(STATUS, 1, 0);
	ok(!status() && !rd(Q_SELECT, 2) && !rd(DFSELECT, 4) && !rd(GFSELECT, 4) &&
		   rd(CFG_VEC, 2) == 0xffff && !dev.q[3].running,
	   "a reset before DRIVER_OK clears everything");
	wr(STATUS, 1, 0);
	is(status(), 0, "and another one");
}

int main(void)
{
	fake_pci_open(&p, NULL);
	open_dev(VIRTIO_MODERN);
	test_discovery();
	test_features();
	test_status();
	dev.starts = 1;
	test_queues();
	test_ring_kinds();
	test_refused_queue();
	test_widths();
	test_device_config();
	test_doorbells();
	test_intx();
	test_msix();
	test_queue_reset();
	virtio_pci_close(vp);
	is(dev.closes, 1, "closing closes the device");
	is(p.bells, 0, "and leaves no doorbell");
	is(p.intc.opened, 0, "nor route");
	open_dev(VIRTIO_MODERN);
	msix_on();
	set_msix(0);
	test_window();
	test_bus_master();
	test_early_reset();
	virtio_pci_close(vp);
	fake_pci_close(&p);
	return tap_end();
}
