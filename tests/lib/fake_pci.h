/* SPDX-License-Identifier: GPL-2.0-only */
/* fake_pci: two real buses, a host bridge, a fake interrupt controller, and a guest's accesses. */
#pragma once

#include <unistd.h>

#include "fake_intc.h"
#include "lkvm/bus.h"
#include "lkvm/loop.h"
#include "lkvm/pci.h"

#define FAKE_BELLS 64

struct fake_bell {
	uint64_t addr;
	unsigned len;
	int fd;
	bool used;
};

struct fake_pci {
	struct bus pio, mmio;
	struct fake_intc intc;
	struct loop *loop;
	struct pci_host *host;
	struct fake_bell bell[FAKE_BELLS];
	unsigned bells;
	bool refuse_bells;
};

static const struct pci_windows fake_windows = {
	.ecam = 0xe0000000,
	.mem32 = 0xc0000000, .mem32_len = 0x10000000,
	.mem64 = 0x4000000000, .mem64_len = 0x1000000000,
	.io = 0x1000, .io_len = 0x8000,
	.intx_gsi = { 16, 17, 18, 19 },
};

static inline int fake_doorbell(void *opaque, uint64_t addr, unsigned len, int fd, bool attach)
{
	struct fake_pci *p = opaque;

	if (attach && p->refuse_bells)
		return -ENOSPC;
	for (unsigned i = 0; i < FAKE_BELLS; i++) {
		struct fake_bell *b = &p->bell[i];

		if (attach ? b->used : !b->used || b->addr != addr || b->fd != fd)
			continue;
		*b = (struct fake_bell){ addr, len, fd, attach };
		p->bells += attach ? 1 : -1U;
		return 0;
	}
	return -ENOSPC;
}

static inline bool fake_has_bell(const struct fake_pci *p, uint64_t addr)
{
	for (unsigned i = 0; i < FAKE_BELLS; i++)
		if (p->bell[i].used && p->bell[i].addr == addr)
			return true;
	return false;
}

static inline void fake_pci_open(struct fake_pci *p, const struct pci_windows *windows)
{
	memset(p, 0, sizeof(*p));
	bus_init(&p->pio, "pio");
	bus_init(&p->mmio, "mmio");
	p->mmio.doorbell = p->pio.doorbell = fake_doorbell;
	p->mmio.doorbell_opaque = p->pio.doorbell_opaque = p;
	fake_intc_init(&p->intc);
	p->loop = loop_open("test");
	loop_start(p->loop);
	p->host = pci_host_open(&p->pio, &p->mmio, &p->intc.intc, p->loop,
				windows ? windows : &fake_windows);
}

static inline void fake_pci_close(struct fake_pci *p)
{
	loop_stop(p->loop);
	pci_host_close(p->host);
	loop_close(p->loop);
	bus_fini(&p->pio);
	bus_fini(&p->mmio);
}

static inline void fake_nothing(void *opaque)
{
	(void)opaque;
}

/*
 * Everything the loop was told before this call has been done. For an EOI a call alone is not enough:
 * it may be answered at the end of a turn that began before.
 */
static inline void fake_settle(struct fake_pci *p)
{
	for (int tries = 0; fake_eoi_pending(&p->intc) && tries < 10000; tries++)
		usleep(100);
	loop_call(p->loop, fake_nothing, NULL);
	fake_pump(&p->intc);
}

static inline uint64_t ecam(unsigned slot, unsigned off)
{
	return fake_windows.ecam + slot * 0x8000 + off;
}

static inline uint32_t cfg_read(struct fake_pci *p, unsigned slot, unsigned off, unsigned len)
{
	return (uint32_t)bus_read(&p->mmio, ecam(slot, off), len);
}

static inline void cfg_write(struct fake_pci *p, unsigned slot, unsigned off, unsigned len,
			     uint32_t val)
{
	bus_write(&p->mmio, ecam(slot, off), len, val);
}

static inline uint32_t conf1_read(struct fake_pci *p, uint32_t address, unsigned byte, unsigned len)
{
	bus_write(&p->pio, 0xcf8, 4, address);
	return (uint32_t)bus_read(&p->pio, 0xcfc + byte, len);
}

static inline unsigned find_cap(struct fake_pci *p, unsigned slot, uint8_t id)
{
	unsigned at = cfg_read(p, slot, 0x34, 1);

	while (at && cfg_read(p, slot, at, 1) != id)
		at = cfg_read(p, slot, at + 1, 1);
	return at;
}
