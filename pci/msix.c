// SPDX-License-Identifier: GPL-2.0-only
/*
 * msix: the MSI-X capability, its table and its pending bits (PCI 3.0, 6.8.2).
 *
 * Runs on: vcpu under slot lock; open and close on main; enabled, count and fd on any thread.
 *
 * A vector is an eventfd that its source writes, whatever the state of the mask. Unmasked, KVM
 * takes the events and sends the message. Masked, nobody takes them: that the counter is not 0 is
 * the pending bit, and attaching again delivers it. So no event passes through this file.
 *
 * Each vector gets one message input of the interrupt controller when it is first unmasked, and
 * keeps it: address and data are rewritten in place. A guest that scribbles on the table costs a
 * bounded amount of routing work per write, and nothing is allocated or lost by it.
 */
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lkvm/log.h"
#include "pci/host.h"

#define PCI_CAP_MSIX 0x11
#define MSIX_CAP_LEN 12
#define MSIX_ENABLE (1 << 15)
#define MSIX_MASK_ALL (1 << 14)
#define MSIX_PAGE 4096U /* table and pending bits can be mapped apart from everything else */
#define MSIX_MAX 2048

struct entry { /* as the guest sees it, little-endian */
	uint32_t addr, addr_hi, data, control;
};
_Static_assert(sizeof(struct entry) == 16, "MSI-X table entry");
#define ENTRY_MASKED 1U

struct vector {
	int fd;
	unsigned gsi;
	bool routed;   /* gsi is ours, with the address and data that follow */
	bool attached; /* fd is an irqfd on gsi */
	uint64_t addr;
	uint32_t data;
};

struct msix {
	struct pci_func *f;
	unsigned n, cap, table_len, pba_off;
	atomic_bool enabled;
	bool on; /* messages_on() as the vectors know it */
	struct vector *vector;
	struct entry *table;
};

static void drain(struct vector *v)
{
	eventfd_t n;

	eventfd_read(v->fd, &n);
}

static bool pending(const struct vector *v)
{
	struct pollfd p = { .fd = v->fd, .events = POLLIN };

	return !v->attached && poll(&p, 1, 0) == 1;
}

/* --- routes ---------------------------------------------------------------------------------- */

static int vector_route(struct msix *m, unsigned i)
{
	struct intc *intc = m->f->host->intc;
	const struct entry *e = &m->table[i];
	struct vector *v = &m->vector[i];
	uint64_t addr = (uint64_t)e->addr_hi << 32 | e->addr;
	bool fresh = !v->routed;
	int err;

	if (v->routed && v->addr == addr && v->data == e->data)
		return 0;
	if (!v->routed) {
		err = intc->msi_open(intc, &v->gsi);
		if (err)
			return err;
		v->routed = true;
	}
	err = intc->msi_set(intc, v->gsi, addr, e->data);
	if (err) {
		if (fresh) {
			intc->msi_close(intc, v->gsi);
			v->routed = false;
		}
		return err;
	}
	v->addr = addr;
	v->data = e->data;
	return 0;
}

/*
 * KVM delivers what is pending when it attaches but leaves the counter as it is; what was delivered
 * must not be pending at the next mask. Events that come later are KVM's at once, so that reading
 * the counter after attaching can't take one away from it.
 */
static void vector_attach(struct msix *m, unsigned i)
{
	struct intc *intc = m->f->host->intc;
	struct vector *v = &m->vector[i];
	int err = vector_route(m, i);

	if (!err && !v->attached) {
		err = intc->irqfd_attach(intc, v->gsi, v->fd, -1);
		if (!err) {
			v->attached = true;
			drain(v);
		}
	}
	if (err)
		log_guest(m->f->name, "MSI-X vector %u cannot be routed: %s", i, strerror(-err));
}

static void vector_detach(struct msix *m, unsigned i)
{
	struct intc *intc = m->f->host->intc;
	struct vector *v = &m->vector[i];

	if (v->attached)
		intc->irqfd_detach(intc, v->gsi, v->fd);
	v->attached = false;
}

/* The function's say: enabled, not masked as a whole, and allowed to write to memory. */
static bool messages_on(const struct msix *m)
{
	unsigned control = pci_config16(m->f, m->cap + 2);

	return control & MSIX_ENABLE && !(control & MSIX_MASK_ALL) &&
	       pci_bus_master(m->f);
}

static void vector_update(struct msix *m, unsigned i)
{
	if (messages_on(m) && !(m->table[i].control & ENTRY_MASKED))
		vector_attach(m, i);
	else
		vector_detach(m, i);
}

/* What came in while MSI-X was off belongs to nobody; turning it on starts with nothing pending. */
void msix_update(struct pci_func *f)
{
	struct msix *m = f->msix;
	bool enabled = pci_config16(f, m->cap + 2) & MSIX_ENABLE;

	if (enabled && !m->enabled)
		for (unsigned i = 0; i < m->n; i++)
			drain(&m->vector[i]);
	m->enabled = enabled;
	if (messages_on(m) == m->on)
		return;
	m->on = !m->on;
	for (unsigned i = 0; i < m->n; i++)
		vector_update(m, i);
}

/* --- the BAR --------------------------------------------------------------------------------- */

/* Pending bits of vectors 8 * byte and following. */
static uint8_t pba_byte(const struct msix *m, unsigned byte)
{
	uint8_t val = 0;

	for (unsigned i = 0; i < 8 && byte * 8 + i < m->n; i++)
		val |= (uint8_t)(pending(&m->vector[byte * 8 + i]) << i);
	return val;
}

static uint64_t msix_read(void *opaque, uint64_t off, unsigned len)
{
	const struct msix *m = opaque;
	uint64_t val = 0;

	for (unsigned i = 0; i < len; i++, off++) {
		uint8_t byte = 0;

		if (off < m->table_len)
			byte = ((const uint8_t *)m->table)[off];
		else if (off >= m->pba_off && off - m->pba_off < (m->n + 7) / 8)
			byte = pba_byte(m, (unsigned)off - m->pba_off);
		val |= (uint64_t)byte << (8 * i);
	}
	return val;
}

/* Any width at any place within the table; pending bits and the rest of the BAR are read-only. */
static void msix_write(void *opaque, uint64_t off, unsigned len, uint64_t val)
{
	struct msix *m = opaque;
	unsigned first, last;

	if (off >= m->table_len)
		return;
	if (len > m->table_len - off)
		len = m->table_len - (unsigned)off;
	memcpy((uint8_t *)m->table + off, &val, len);
	first = (unsigned)off / sizeof(struct entry);
	last = ((unsigned)off + len - 1) / sizeof(struct entry);
	for (unsigned i = first; i <= last; i++) {
		m->table[i].addr &= ~3U;
		m->table[i].control &= ENTRY_MASKED;
		vector_update(m, i);
	}
}

static const struct bus_ops msix_ops = { msix_read, msix_write };

/* --- life ------------------------------------------------------------------------------------ */

static int vectors_open(struct msix *m)
{
	for (unsigned i = 0; i < m->n; i++)
		m->vector[i].fd = -1;
	for (unsigned i = 0; i < m->n; i++) {
		m->vector[i].fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (m->vector[i].fd < 0)
			return -errno;
		m->table[i].control = ENTRY_MASKED;
	}
	return 0;
}

static int cap_init(struct msix *m, unsigned bar)
{
	const uint32_t words[3] = { (m->n - 1) << 16, bar, m->pba_off | bar };
	unsigned cap = pci_func_cap(m->f, PCI_CAP_MSIX, MSIX_CAP_LEN);

	if (!cap)
		return -ENOSPC;
	m->cap = cap;
	pci_config_set(m->f, cap + 2, (const uint8_t *)words + 2, sizeof(words) - 2);
	pci_config_mask(m->f, cap + 3, (MSIX_ENABLE | MSIX_MASK_ALL) >> 8);
	return 0;
}

int msix_open(struct pci_func *f, unsigned bar, unsigned n)
{
	struct msix *m = calloc(1, sizeof(*m));
	uint64_t size = 2UL * MSIX_PAGE;
	int err = -ENOMEM;

	if (!m)
		goto out;
	f->msix = m;
	m->f = f;
	m->n = n < 1 ? 1 : n > MSIX_MAX ? MSIX_MAX : n;
	m->table_len = m->n * (unsigned)sizeof(struct entry);
	m->pba_off = (m->table_len + MSIX_PAGE - 1) / MSIX_PAGE * MSIX_PAGE;
	while (size < m->pba_off + MSIX_PAGE)
		size *= 2;
	m->table = calloc(m->n, sizeof(*m->table));
	m->vector = m->table ? calloc(m->n, sizeof(*m->vector)) : NULL;
	if (!m->vector)
		goto out;
	err = vectors_open(m);
	if (!err)
		err = cap_init(m, bar);
	if (err)
		goto out;
	pci_func_bar(f, bar, PCI_BAR_MEM32, size, &msix_ops, m);
	return 0;
out:
	log_err(f->name, "cannot set up %u MSI-X vectors: %s", n, strerror(-err));
	msix_close(f);
	return err;
}

void msix_close(struct pci_func *f)
{
	struct msix *m = f->msix;

	if (!m)
		return;
	for (unsigned i = 0; m->vector && i < m->n; i++) {
		struct vector *v = &m->vector[i];

		vector_detach(m, i);
		if (v->routed)
			f->host->intc->msi_close(f->host->intc, v->gsi);
		if (v->fd >= 0)
			close(v->fd);
	}
	free(m->vector);
	free(m->table);
	free(m);
	f->msix = NULL;
}

bool msix_enabled(const struct pci_func *f)
{
	return f->msix && f->msix->enabled;
}

unsigned msix_count(const struct pci_func *f)
{
	return f->msix ? f->msix->n : 0;
}

int msix_fd(const struct pci_func *f, unsigned vector)
{
	return vector < msix_count(f) ? f->msix->vector[vector].fd : -1;
}

bool msix_reset(struct pci_func *f, unsigned vector)
{
	eventfd_t n;

	return vector < msix_count(f) && !eventfd_read(f->msix->vector[vector].fd, &n);
}
