// SPDX-License-Identifier: GPL-2.0-only
/*
 * host: the host bridge and the two ways into configuration space: the address and data ports of
 * mechanism #1 (PCI 3.0, 3.2.2.3.2) and ECAM (PCIe 7.2.2).
 *
 * Runs on: vcpu under the bridge's slot lock; the address port on any thread, under its own; open and
 * close on main.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lkvm/log.h"
#include "pci/host.h"

#define CONF1_PORT 0xcf8
#define CONF1_ENABLE (1U << 31)
#define CONF1_BITS (CONF1_ENABLE | 0x00fffffcU) /* the others read 0 */

/* Red Hat's id for a bridge that is nobody's chip, so that no guest applies a chip's quirks. */
static const struct pci_ids bridge_ids = {
	.vendor = 0x1b36, .device = 0x0008, .subvendor = 0x1af4, .subdevice = 0x1100,
	.class = 0x060000,
};

unsigned pci_intx_gsi(const struct pci_windows *windows, unsigned slot)
{
	return windows->intx_gsi[slot % 4];
}

static uint64_t ones(unsigned len)
{
	return ~0ULL >> (64 - 8 * len);
}

/* devfn has the function in bits 0-2. There is one bus, and every device has one function. */
static struct pci_func *find(struct pci_host *host, unsigned bus, unsigned devfn)
{
	return bus || devfn & 7 ? NULL : host->slot[devfn >> 3];
}

static uint64_t config_read(struct pci_func *f, unsigned off, unsigned len)
{
	uint64_t val;

	if (!f)
		return ones(len);
	bus_lock(&f->lock);
	val = pci_func_read(f, off, len);
	bus_unlock(&f->lock);
	return val;
}

static void config_write(struct pci_func *f, unsigned off, unsigned len, uint64_t val)
{
	if (!f)
		return;
	bus_lock(&f->lock);
	pci_func_write(f, off, len, val);
	bus_unlock(&f->lock);
}

/* --- mechanism #1 ---------------------------------------------------------------------------- */

/*
 * The address register, and only as a whole: a byte written to 0xcf9 is somebody's reset, one written
 * to 0xcfb is a guest that looks for mechanism #2.
 */
static uint64_t address_read(void *opaque, uint64_t off, unsigned len)
{
	struct pci_host *host = opaque;

	return off == 0 && len == 4 ? host->address : ones(len);
}

static void address_write(void *opaque, uint64_t off, unsigned len, uint64_t val)
{
	struct pci_host *host = opaque;

	if (off == 0 && len == 4)
		host->address = (uint32_t)val & CONF1_BITS;
}

static const struct bus_ops address_ops = { address_read, address_write };

/* The selected double word. */
static struct pci_func *data_target(struct pci_host *host, uint64_t off, unsigned *reg)
{
	uint32_t address = host->address;

	*reg = (address & 0xfc) + (unsigned)off;
	return address & CONF1_ENABLE ? find(host, address >> 16 & 0xff, address >> 8 & 0xff) : NULL;
}

static uint64_t data_read(void *opaque, uint64_t off, unsigned len)
{
	unsigned reg;
	struct pci_func *f = data_target(opaque, off, &reg);

	return config_read(f, reg, len);
}

static void data_write(void *opaque, uint64_t off, unsigned len, uint64_t val)
{
	unsigned reg;
	struct pci_func *f = data_target(opaque, off, &reg);

	config_write(f, reg, len, val);
}

static const struct bus_ops data_ops = { data_read, data_write };

/* --- ECAM ------------------------------------------------------------------------------------ */

/*
 * Our functions are conventional ones: past their 256 bytes nobody answers. A guest that sees this once
 * doesn't look there again for each of the extended capabilities that it knows.
 */
static uint64_t ecam_read(void *opaque, uint64_t off, unsigned len)
{
	if ((off & 0xfff) + len > 256)
		return ones(len);
	return config_read(find(opaque, (unsigned)(off >> 20), off >> 12 & 0xff), off & 0xfff, len);
}

static void ecam_write(void *opaque, uint64_t off, unsigned len, uint64_t val)
{
	config_write(find(opaque, (unsigned)(off >> 20), off >> 12 & 0xff), off & 0xfff, len, val);
}

static const struct bus_ops ecam_ops = { ecam_read, ecam_write };

/* --- life ------------------------------------------------------------------------------------ */

struct pci_host *pci_host_open(struct bus *pio, struct bus *mmio, struct intc *intc,
			       struct loop *loop, const struct pci_windows *windows)
{
	struct pci_host *host = calloc(1, sizeof(*host));

	if (!host) {
		log_err("pci", "out of memory");
		return NULL;
	}
	host->pio = pio;
	host->mmio = mmio;
	host->intc = intc;
	host->loop = loop;
	host->win = *windows;
	host->next_io = windows->io;
	host->next_mem32 = windows->mem32;
	host->next_mem64 = windows->mem64;
	pthread_mutex_init(&host->lock.lock, NULL);
	pthread_mutex_init(&host->address_lock.lock, NULL);
	host->conf1_address = (struct bus_range){ .base = CONF1_PORT, .len = 4, .ops = &address_ops,
						  .opaque = host, .slot = &host->address_lock,
						  .name = "pci address" };
	host->conf1_data = (struct bus_range){ .base = CONF1_PORT + 4, .len = 4, .ops = &data_ops,
					       .opaque = host, .slot = &host->lock, .name = "pci data" };
	host->ecam = (struct bus_range){ .base = windows->ecam, .len = 1 << 20, .ops = &ecam_ops,
					 .opaque = host, .slot = &host->lock, .prio = 1,
					 .name = "pci config" };
	pci_func_init(&host->bridge, "pci bridge", &bridge_ids);
	if (pci_func_add(host, &host->bridge, 0)) {
		free(host);
		return NULL;
	}
	/*
	 * The ports have no priority over other fixed hardware, as 0xcf9 may be somebody's; being
	 * the first of their priority is enough against BARs. So this comes before any function.
	 */
	bus_map(pio, &host->conf1_address);
	bus_map(pio, &host->conf1_data);
	bus_map(mmio, &host->ecam);
	/* An address does nothing until data is read or written: it need not stop the vCPU. */
	bus_coalesce(pio, CONF1_PORT, 4, true);
	return host;
}

void pci_host_close(struct pci_host *host)
{
	if (!host)
		return;
	bus_coalesce(host->pio, CONF1_PORT, 4, false);
	bus_unmap(host->pio, &host->conf1_address);
	bus_unmap(host->pio, &host->conf1_data);
	bus_unmap(host->mmio, &host->ecam);
	pci_func_remove(&host->bridge);
	pthread_mutex_destroy(&host->bridge.lock.lock);
	pthread_mutex_destroy(&host->address_lock.lock);
	pthread_mutex_destroy(&host->lock.lock);
	free(host);
}
