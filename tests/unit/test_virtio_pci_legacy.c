// SPDX-License-Identifier: GPL-2.0-only
/* The legacy face, and a transitional device's two faces that can't be mixed. */
#include "guest_pci.h"
#include "lkvm/log.h"
#include "tap.h"

enum { /* the legacy header, from the specification's text */
	HOST_F = 0, GUEST_F = 4, PFN = 8, SIZE = 12, SELECT = 14, NOTIFY = 16, STATUS = 18,
	ISR = 19, CFG_VEC = 20, Q_VEC = 22,
};

static uint64_t io;

static unsigned in(unsigned off, unsigned len)
{
	return (unsigned)bus_read(&p.pio, io + off, len);
}

static void out(unsigned off, unsigned len, uint32_t val)
{
	bus_write(&p.pio, io + off, len, val);
}

static void open_dev(enum virtio_layout layout, uint16_t type)
{
	fake_vport_init(&dev, type);
	vp = virtio_pci_open(p.host, &dev.port, layout);
	cfg_write(&p, slot, 4, 2, 7);
	io = bar_addr(0);
}

static void begin(uint32_t features)
{
	out(STATUS, 1, 0);
	out(STATUS, 1, 1);
	out(STATUS, 1, 3);
	out(GUEST_F, 4, features);
}

static void set_pfn(unsigned n, uint32_t pfn)
{
	out(SELECT, 2, n);
	out(PFN, 4, pfn);
}

static void test_ids(void)
{
	static const struct { uint16_t type, device; unsigned class; } want[] = {
		{ VIRTIO_ID_NET, 0x1000, 0x020000 }, { VIRTIO_ID_BLK, 0x1001, 0x010000 },
		{ VIRTIO_ID_CONSOLE, 0x1003, 0x078000 }, { VIRTIO_ID_RNG, 0x1005, 0x00ff00 },
	};

	for (unsigned i = 0; i < 4; i++) {
		open_dev(VIRTIO_TRANSITIONAL, want[i].type);
		is(cfg_read(&p, slot, 2, 2), want[i].device, "id of type %u", want[i].type);
		is(cfg_read(&p, slot, 0x2e, 2), want[i].type, "its subsystem id is the type");
		is(cfg_read(&p, slot, 8, 4) >> 8, want[i].class, "its class");
		is(cfg_read(&p, slot, 8, 1), 0, "revision 0");
		is(cfg_read(&p, slot, 0x10, 4) & 3, 1, "BAR 0 is I/O");
		ok(find_cap(&p, slot, 9), "the modern capabilities are there");
		virtio_pci_close(vp);
	}
	log_set_level(LOG_ERR);
	fake_vport_init(&dev, 63);
	ok(!virtio_pci_open(p.host, &dev.port, VIRTIO_LEGACY),
	   "a type without a transitional id has no legacy layout");
	is(dev.closes, 1, "and is closed");
	open_dev(VIRTIO_LEGACY, VIRTIO_ID_NET);
	is(cfg_read(&p, slot, 0, 4), 0x10001af4, "legacy ids");
	is(find_cap(&p, slot, 9), 0, "the legacy layout has no virtio capability");
	ok(find_cap(&p, slot, 0x11), "but MSI-X");
	is(cfg_read(&p, slot, 0x20, 4), 0, "and no modern BAR");
}

static void test_header(void)
{
	is(in(HOST_F, 4), (uint32_t)dev.port.legacy_features, "host features, bits 0-31");
	out(HOST_F, 4, 0);
	is(in(HOST_F, 4), (uint32_t)dev.port.legacy_features, "are read-only");
	begin(0x40000007);
	is(in(GUEST_F, 4), 7, "guest features: what isn't offered isn't accepted");
	is(in(STATUS, 1), 3, "status");
	out(STATUS, 1, 0x3b);
	is(in(STATUS, 1), 3, "FEATURES_OK is not part of it");
	out(SELECT, 2, 1);
	is(in(SIZE, 2), 64, "queue size");
	out(SIZE, 2, 8);
	is(in(SIZE, 2), 64, "is read-only");
	out(SELECT, 2, 2);
	is(in(SIZE, 2), 0, "0 for an absent queue");
	out(PFN, 4, 5);
	is(in(PFN, 4), 0, "which takes no address");
	out(SELECT, 2, 0xffff);
	is(in(SIZE, 2), 0, "0 for a queue that can't be");
	is(in(SELECT, 2), 0xffff, "queue select reads back");
	is(in(SIZE, 4), 0xffff0000, "two registers in one access");
	out(SELECT, 2, 0);
	is(in(HOST_F + 1, 1), dev.port.legacy_features >> 8 & 0xff, "a byte of a register");
}

static void test_ring(void)
{
	const struct virtq_conf *conf = &dev.q[1].conf;

	begin(1 | VBIT(VIRTIO_F_EVENT_IDX) | VBIT(VIRTIO_F_NOTIFY_ON_EMPTY));
	set_pfn(1, 0x123);
	is(in(PFN, 4), 0x123, "PFN reads back");
	ok(!dev.q[1].running && !dev.accepts, "nothing runs yet");
	out(STATUS, 1, 7);
	is(dev.accepted, 1 | VBIT(VIRTIO_F_EVENT_IDX) | VBIT(VIRTIO_F_NOTIFY_ON_EMPTY),
	   "DRIVER_OK makes the features final");
	ok(dev.q[1].running && dev.starts == 1, "and starts the queues");
	is(conf->desc, 0x123000, "descriptors at PFN * 4096");
	is(conf->driver, 0x123000 + 64 * 16, "the available ring behind them");
	is(conf->device, 0x124000, "the used ring on the next page");
	ok(conf->size == 64 && !conf->packed && conf->event_idx && conf->notify_on_empty &&
		   !conf->indirect, "of the queue's size and the accepted features");
	out(GUEST_F, 4, 7);
	is(in(GUEST_F, 4) & 7, 1, "features are final");
	set_pfn(1, 0x123);
	is(dev.q[1].starts, 1, "the same PFN again changes nothing");
	set_pfn(1, 0x200);
	ok(dev.q[1].starts == 2 && dev.q[1].stops == 1 && conf->desc == 0x200000, "another one");
	set_pfn(0, 0xffffffff);
	is(dev.q[0].conf.desc, 0xffffffff000ULL, "the highest PFN");
	is(dev.q[0].conf.device, 0xffffffff000ULL + 0x2000, "and what follows it");
	set_pfn(1, 0);
	ok(!dev.q[1].running && !in(PFN, 4), "PFN 0 gives the queue back");
	out(NOTIFY, 2, 0);
	ok(rung(dev.q[0].kick_fd), "notify");
	quiet(dev.q[0].kick_fd);
	out(NOTIFY, 2, 2);
	out(NOTIFY, 2, 0xffff);
	is(in(NOTIFY, 2), 0, "absent queues can be notified, to no effect");
	out(NOTIFY, 2, 0);
	out(STATUS, 1, 0);
	ok(!rung(dev.q[0].kick_fd) && !in(PFN, 4) && !dev.q[0].running, "a reset ends all");

	dev.start_error = -EINVAL;
	begin(0);
	set_pfn(0, 5);
	out(STATUS, 1, 7);
	is(in(STATUS, 1), 64 | 7, "a ring that can't be there asks for a reset");
	is(in(ISR, 1), 2, "with an interrupt");
	dev.start_error = 0;
	begin(2);
	out(STATUS, 1, 7);
	is(in(STATUS, 1), 64 | 7, "features that don't go together too");
	set_pfn(0, 5);
	ok(!dev.q[0].running && !dev.accepted, "and nothing is served");
	out(STATUS, 1, 0);
}

static void test_early_use(void)
{
	unsigned starts = dev.starts;

	cfg_write(&p, slot, 4, 2, 1);
	begin(1);
	set_pfn(0, 0x10);
	set_pfn(3, 0x20);
	out(NOTIFY, 2, 3);
	ok(dev.q[0].running && dev.q[3].running && dev.starts == starts + 1,
	   "a notification before DRIVER_OK is the first use");
	ok(rung(dev.q[3].kick_fd), "and rings");
	irq_raise(&dev.q[3].call);
	ok(line() && in(ISR, 1) == 1, "its answer interrupts");
	set_pfn(1, 0x30);
	ok(dev.q[1].running, "queues set up from now on start at once");
	is(cfg_read(&p, slot, 4, 2), 5, "bus master is on, as if the driver had said so");
	cfg_write(&p, slot, 4, 2, 7);
	out(STATUS, 1, 7);
	is(dev.starts, starts + 1, "DRIVER_OK is nothing new then");
	is(in(STATUS, 1), 7, "but is seen");
	out(STATUS, 1, 0);
}

static void test_config(void)
{
	is(in(20, 4), 0xa3a2a1a0, "device configuration follows the header");
	is(in(20, 1) | in(21, 1) << 8 | in(22, 2) << 16, 0xa3a2a1a0, "the same at any width");
	is(in(20 + 28, 4), 0xbdbc, "its end");
	out(20 + 3, 2, 0x7788);
	is(in(20, 4) >> 24 | in(24, 1) << 8, 0x7788, "writes at any width, also before features");
	set_msix(0xc0);
	is(in(24, 4), 0x88a2a1a0, "with MSI-X it moves by four");
	is(in(CFG_VEC, 2), 0xffff, "behind the vectors");
	out(CFG_VEC, 2, 5);
	is(in(CFG_VEC, 2), 5, "one for configuration");
	out(CFG_VEC, 2, 6);
	is(in(CFG_VEC, 2), 0xffff, "which must exist");
	out(SELECT, 2, 0);
	out(Q_VEC, 2, 1);
	out(SELECT, 2, 1);
	is(in(Q_VEC, 2), 0xffff, "one for each queue");
	out(SELECT, 2, 0);
	is(in(Q_VEC, 2), 1, "of its own");
	out(STATUS, 1, 0);
	is(in(Q_VEC, 2), 0xffff, "none after reset");
	set_msix(0);
	is(in(20, 4), 0x88a2a1a0, "and back without MSI-X");
	for (unsigned off = 0; off < 0x40; off++)
		for (unsigned len = 1; len <= 4; len *= 2) {
			in(off, len);
			out(off, len, 0x01010101);
		}
	out(STATUS, 1, 0);
	is(in(STATUS, 1), 0, "every width everywhere does no harm");
}

static void test_interrupts(void)
{
	begin(0);
	set_pfn(0, 1);
	out(STATUS, 1, 7);
	irq_raise(&dev.q[0].call);
	dev.port.changed(dev.port.opaque);
	ok(line(), "the pin");
	is(in(ISR, 1), 3, "ISR: queue and configuration");
	is(in(ISR, 1), 0, "cleared by reading");
	ok(!line(), "with the line");
	msix_on();
	out(CFG_VEC, 2, 2);
	out(SELECT, 2, 0);
	out(Q_VEC, 2, 3);
	irq_raise(&dev.q[0].call);
	dev.port.changed(dev.port.opaque);
	ok(messages(3) == 1 && messages(2) == 1 && !line(), "messages with MSI-X");
	out(STATUS, 1, 0);
	set_msix(0);
}

/* --- transitional: two faces, one owner ------------------------------------------------------- */

enum { M_DF = 0x04, M_GFSELECT = 0x08, M_GF = 0x0c, M_CFG_VEC = 0x10, M_NUMQ = 0x12,
       M_STATUS = 0x14, M_SELECT = 0x16, M_SIZE = 0x18, M_Q_VEC = 0x1a, M_ENABLE = 0x1c,
       M_DESC = 0x20 };

static uint64_t mrd(unsigned off, unsigned len)
{
	return bus_read(&p.mmio, bar_addr(4) + off, len);
}

static void mwr(unsigned off, unsigned len, uint64_t val)
{
	bus_write(&p.mmio, bar_addr(4) + off, len, val);
}

static void test_legacy_owns(void)
{
	unsigned accepts = dev.accepts, writes = dev.config_writes;

	is(mrd(M_STATUS, 1) | in(STATUS, 1), 0, "nobody drives it");
	begin(5);
	set_pfn(0, 0x10);
	out(STATUS, 1, 7);
	ok(dev.port.legacy, "the device is told who drives it");
	is(mrd(M_STATUS, 1), 0, "under a legacy driver the modern status reads 0");
	is(mrd(M_DF, 4), (uint32_t)dev.port.features, "features are offered as ever");
	is(mrd(M_NUMQ, 2), FAKE_QUEUES, "num_queues too");
	ok(mrd(M_CFG_VEC, 2) == 0xffff && mrd(M_Q_VEC, 2) == 0xffff, "vectors are none");
	ok(!mrd(M_GF, 4) && !mrd(M_ENABLE, 2) && !mrd(M_DESC, 8), "the rest reads 0");
	mwr(M_STATUS, 1, 15);
	mwr(M_GF, 4, 1);
	mwr(M_SELECT, 2, 3);
	mwr(M_DESC, 8, 0x5000);
	mwr(M_ENABLE, 2, 1);
	mwr(0x2000, 4, 0);
	mwr(0x4000, 2, 0);
	ok(in(STATUS, 1) == 7 && in(GUEST_F, 4) == 5 && in(SELECT, 2) == 0 && in(PFN, 4) == 0x10 &&
		   dev.accepts == accepts + 1 && !dev.q[3].running &&
		   dev.config_writes == writes && !rung(dev.q[0].kick_fd),
	   "modern writes change nothing");
	irq_raise(&dev.q[0].call);
	is(mrd(0x1000, 1), 0, "the modern ISR shows nothing");
	is(in(ISR, 1), 1, "and takes nothing away");
	is(mrd(0x2000, 4), 0xa3a2a1a0, "device configuration can be read");
	mwr(M_STATUS, 1, 0);
	ok(in(STATUS, 1) == 0 && !dev.q[0].running && in(PFN, 4) == 0, "a modern reset resets");
	mwr(M_STATUS, 1, 1);
	is(mrd(M_STATUS, 1), 1, "and lets a modern driver begin");
	ok(!dev.port.legacy, "as the device is told");
}

static void test_modern_owns(void)
{
	mwr(M_STATUS, 1, 0);
	mwr(M_GFSELECT, 4, 1);
	mwr(M_GF, 4, 1);
	mwr(M_STATUS, 1, 11);
	mwr(M_SELECT, 2, 3);
	mwr(M_DESC, 8, 0x5000);
	mwr(M_ENABLE, 2, 1);
	mwr(M_STATUS, 1, 15);
	is(in(STATUS, 1), 0, "under a modern driver the legacy status reads 0");
	is(in(HOST_F, 4), (uint32_t)dev.port.legacy_features, "features are offered as ever");
	ok(!in(GUEST_F, 4) && !in(PFN, 4) && !in(SELECT, 2), "the rest reads 0");
	out(STATUS, 1, 7);
	out(GUEST_F, 4, 1);
	out(SELECT, 2, 0);
	out(PFN, 4, 0x10);
	out(NOTIFY, 2, 3);
	ok(mrd(M_STATUS, 1) == 15 && mrd(M_SELECT, 2) == 3 && !dev.q[0].running &&
		   dev.q[3].running && !rung(dev.q[3].kick_fd), "legacy writes change nothing");
	irq_raise(&dev.q[3].call);
	is(in(ISR, 1), 0, "the legacy ISR shows nothing");
	is(mrd(0x1000, 1), 1, "and takes nothing away");
	set_msix(0xc0);
	ok(in(CFG_VEC, 2) == 0xffff && in(Q_VEC, 2) == 0xffff, "vectors are none");
	set_msix(0);
	out(STATUS, 1, 0);
	ok(!dev.q[3].running && mrd(M_STATUS, 1) == 0, "a legacy reset resets");
}

static void test_reads_claim_nothing(void)
{
	in(STATUS, 1);
	in(HOST_F, 4);
	in(20, 4);
	out(SELECT, 2, 1);
	is(in(SIZE, 2), 64, "a look around with the select registers");
	mrd(M_STATUS, 1);
	mwr(M_STATUS, 1, 1);
	is(mrd(M_STATUS, 1), 1, "and reads by one face leave the device to the other");
	out(SELECT, 2, 3);
	is(mrd(M_SELECT, 2), 1, "which has it for itself from then on");
	mwr(M_STATUS, 1, 0);
	mwr(0x00, 4, 1);
	mwr(M_GFSELECT, 4, 1);
	mwr(M_SELECT, 2, 1);
	out(STATUS, 1, 1);
	is(in(STATUS, 1), 1, "the same the other way round");
	mwr(M_STATUS, 1, 0);
	mwr(M_STATUS, 1, 11);
	is(mrd(M_STATUS, 1), 3, "the modern face wants VERSION_1 also of a transitional device");
	mwr(M_STATUS, 1, 0);
}

int main(void)
{
	fake_pci_open(&p, NULL);
	test_ids();
	test_header();
	test_ring();
	test_early_use();
	test_config();
	test_interrupts();
	virtio_pci_close(vp);
	open_dev(VIRTIO_TRANSITIONAL, VIRTIO_ID_BLK);
	test_legacy_owns();
	test_modern_owns();
	test_reads_claim_nothing();
	virtio_pci_close(vp);
	is(p.bells, 0, "no doorbell is left");
	fake_pci_close(&p);
	return tap_end();
}
