/* SPDX-License-Identifier: GPL-2.0-only */
/* guest_pci: a guest's view of a virtio function on the fake machine: BARs, vectors and pin. */
#pragma once

#include <poll.h>

#include "fake_pci.h"
#include "fake_vport.h"
#include "lkvm/virtio.h"

static struct fake_pci p;
static struct fake_vport dev __attribute__((unused)); /* or a device of the test's own */
static struct virtio_pci *vp;
static const unsigned slot = 1;

static inline uint64_t bar_addr(unsigned bar)
{
	uint32_t lo = cfg_read(&p, slot, 0x10 + 4 * bar, 4);
	uint64_t hi = (lo & 7) == 4 ? cfg_read(&p, slot, 0x14 + 4 * bar, 4) : 0;

	return lo & 1 ? lo & ~3U : hi << 32 | (lo & ~0xfU);
}

static inline bool rung(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	return poll(&pfd, 1, 0) == 1;
}

static inline void quiet(int fd)
{
	eventfd_t n;

	eventfd_read(fd, &n);
}

static inline bool line(void)
{
	fake_settle(&p);
	return p.intc.in[pci_intx_gsi(&fake_windows, slot)].line;
}

static inline void set_msix(unsigned bits)
{
	cfg_write(&p, slot, find_cap(&p, slot, 0x11) + 3, 1, bits);
}

/* All vectors unmasked, vector v with data 0x50 + v. */
static inline void msix_on(void)
{
	uint64_t table = bar_addr(1);

	for (unsigned v = 0; v < FAKE_QUEUES + 1; v++) {
		bus_write(&p.mmio, table + 16 * v, 8, 0xfee00000);
		bus_write(&p.mmio, table + 16 * v + 8, 8, 0x50 + v);
	}
	set_msix(0x80);
}

static inline unsigned messages(unsigned v)
{
	fake_pump(&p.intc);
	for (unsigned i = FAKE_PINS; i < FAKE_GSIS; i++)
		if (p.intc.in[i].open && p.intc.in[i].data == 0x50 + v)
			return p.intc.in[i].messages;
	return 0;
}
