// SPDX-License-Identifier: GPL-2.0-only
/*
 * fuzz_pci: what a guest can do to a virtio PCI function: configuration space both ways, BARs wherever
 * they are by then, every width and offset, between interrupts, failures and end-of-interrupts.
 *
 * The first byte picks the layout; then each eight bytes are one act: what, width, offset, value.
 */
#include <stdlib.h>

#include "lkvm/log.h"
#include "tests/lib/guest_pci.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct act {
	uint8_t what, width;
	uint16_t off;
	uint32_t val;
};
_Static_assert(sizeof(struct act) == 8, "eight bytes an act");

enum { CONFIG, CONF1, LEGACY, MSIX, MODERN, MODERN_HIGH, DEVICE, QUEUE, EOI, PIO, WHAT_MAX };

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void both(struct bus *bus, uint64_t addr, const struct act *a, unsigned len)
{
	if (a->width & 4)
		bus_read(bus, addr, len);
	else
		bus_write(bus, addr, len, (uint64_t)a->val << 32 | a->val);
}

static void play(const struct act *a)
{
	unsigned len = 1U << (a->width & 3), pio_len = len > 4 ? 4 : len;
	struct fake_queue *q = &dev.q[a->off % FAKE_QUEUES];

	switch (a->what % WHAT_MAX) {
	case CONFIG:
		both(&p.mmio, ecam(a->off >> 12 & 1, a->off & 0xfff), a, len);
		break;
	case CONF1:
		bus_write(&p.pio, 0xcf8, 4, 0x80000000 | (a->off & 0xfffc));
		both(&p.pio, 0xcfc + (a->off & 3), a, pio_len);
		break;
	case LEGACY:
		both(&p.pio, bar_addr(0) + a->off % 0x48, a, pio_len);
		break;
	case MSIX:
		both(&p.mmio, bar_addr(1) + a->off % 0x2008, a, len);
		break;
	case MODERN:
		both(&p.mmio, bar_addr(4) + a->off % 0x48, a, len);
		break;
	case MODERN_HIGH:
		both(&p.mmio, bar_addr(4) + a->off, a, len);
		break;
	case DEVICE:
		(a->width & 1 ? dev.port.failed : dev.port.changed)(dev.port.opaque);
		dev.start_error = a->width & 2 ? -EINVAL : 0;
		break;
	case QUEUE:
		if (q->running)
			irq_raise(&q->call);
		break;
	case EOI:
		fake_eoi(&p.intc, pci_intx_gsi(&fake_windows, slot));
		break;
	case PIO:
		both(&p.pio, a->off, a, pio_len);
		break;
	}
}

/* Whatever came before: with BARs in known places, a reset brings it all back. */
static void check_reset(enum virtio_layout layout)
{
	cfg_write(&p, slot, 4, 2, 7);
	cfg_write(&p, slot, 0x10, 4, 0x1000);
	cfg_write(&p, slot, 0x14, 4, 0xc0200000);
	cfg_write(&p, slot, 0x20, 4, 0xc0100000);
	cfg_write(&p, slot, 0x24, 4, 0);
	if (layout == VIRTIO_LEGACY)
		bus_write(&p.pio, 0x1000 + 18, 1, 0);
	else
		bus_write(&p.mmio, 0xc0100000 + 0x14, 1, 0);
	for (unsigned n = 0; n < FAKE_QUEUES; n++)
		must(!dev.q[n].running);
	set_msix(0);
	must(!line() && !(cfg_read(&p, slot, 6, 2) & 8));
	if (layout == VIRTIO_LEGACY)
		must(!bus_read(&p.pio, 0x1000 + 18, 2));
	else
		must(!bus_read(&p.mmio, 0xc0100000 + 0x14, 1) &&
		     !bus_read(&p.mmio, 0xc0100000 + 0x1000, 1) &&
		     bus_read(&p.mmio, 0xc0100000 + 0x18, 2) == 256);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct vport_field fields[] = { { 0, 0, 6 }, { 1, 8, 8 }, { -1, 20, 3 }, { 0 } };
	enum virtio_layout layout = size ? data[0] % 3 : VIRTIO_MODERN;
	struct act act;

	if (!p.host) {
		log_set_level(LOG_ERR);
		fake_pci_open(&p, NULL);
		loop_stop(p.loop); /* its calls run here: one thread, the same every time */
	}
	fake_vport_init(&dev, VIRTIO_ID_NET);
	dev.port.fields = fields;
	pci_host_close(p.host); /* a new one: addresses are given out from the start */
	p.host = pci_host_open(&p.pio, &p.mmio, &p.intc.intc, p.loop, &fake_windows);
	vp = virtio_pci_open(p.host, &dev.port, layout);
	must(vp);
	for (size_t i = 1; i + sizeof(act) <= size && i < 4096; i += sizeof(act)) {
		memcpy(&act, data + i, sizeof(act));
		play(&act);
		must(p.bells <= FAKE_QUEUES && p.intc.opened <= FAKE_QUEUES + 1);
		fake_pump(&p.intc);
	}
	check_reset(layout);
	virtio_pci_close(vp);
	must(dev.closes == 1 && !p.bells && !p.intc.opened);
	return 0;
}
