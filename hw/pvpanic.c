// SPDX-License-Identifier: GPL-2.0-only
/*
 * pvpanic: one byte that a panicking kernel writes, on a port and in a PCI function's BAR.
 *
 * Reading tells which events are understood; a driver reports no others.
 *
 * Runs on: vcpu under slot lock; open and close on main
 */
#include <stdlib.h>

#include "lkvm/hw.h"
#include "lkvm/log.h"
#include "lkvm/pci.h"

enum { PVPANIC_BAR_LEN = 16, PVPANIC_EVENTS = PVPANIC_PANICKED | PVPANIC_CRASH_LOADED };

struct pvpanic {
	struct bus *pio;
	struct bus_range range;
	struct bus_slot slot;
	struct pci_func func;
	struct hw_power_user user;
};

static uint64_t pvpanic_read(void *opaque, uint64_t off, unsigned len)
{
	(void)opaque;
	(void)len;
	return off ? 0 : PVPANIC_EVENTS;
}

static void report(struct pvpanic *p, uint64_t off, uint64_t val, const char *by)
{
	unsigned events = (unsigned)val & PVPANIC_EVENTS;

	if (!off && events && p->user.ended)
		p->user.ended(p->user.opaque, HW_END_PANIC, events, by);
}

static void port_write(void *opaque, uint64_t off, unsigned len, uint64_t val)
{
	(void)len;
	report(opaque, off, val, "pvpanic");
}

static void bar_write(void *opaque, uint64_t off, unsigned len, uint64_t val)
{
	(void)len;
	report(opaque, off, val, "pvpanic-pci");
}

static const struct bus_ops port_ops = { .read = pvpanic_read, .write = port_write };
static const struct bus_ops bar_ops = { .read = pvpanic_read, .write = bar_write };

struct pvpanic *pvpanic_open(struct bus *pio, uint16_t port, struct pci_host *pci, int slot,
			     const struct hw_power_user *user)
{
	static const struct pci_ids ids = { .vendor = 0x1b36, .device = 0x0011, .subvendor = 0x1af4,
					    .subdevice = 0x1100, .revision = 1, .class = 0x088000 };
	struct pvpanic *p = calloc(1, sizeof(*p));

	if (!p) {
		log_err("pvpanic", "out of memory");
		return NULL;
	}
	p->pio = pio;
	p->user = *user;
	pthread_mutex_init(&p->slot.lock, NULL);
	p->range = (struct bus_range){ .base = port, .len = 1, .ops = &port_ops, .opaque = p,
				       .slot = &p->slot, .prio = 1, .name = "pvpanic" };
	bus_map(pio, &p->range);
	pci_func_init(&p->func, "pvpanic", &ids);
	pci_func_bar(&p->func, 0, PCI_BAR_MEM32, PVPANIC_BAR_LEN, &bar_ops, p);
	if (!pci_func_add(pci, &p->func, slot))
		return p;
	pvpanic_close(p);
	return NULL;
}

void pvpanic_close(struct pvpanic *p)
{
	if (!p)
		return;
	pci_func_remove(&p->func);
	bus_unmap(p->pio, &p->range);
	pthread_mutex_destroy(&p->slot.lock);
	free(p);
}
