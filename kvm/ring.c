// SPDX-License-Identifier: GPL-2.0-only
/*
 * ring: KVM's ring of coalesced port writes (Documentation/virt/kvm/api.rst, 4.116).
 *
 * Runs on: ring_deliver on any thread, without a slot's lock; open to close on main
 */
#include "kvm/ring.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "kvm/kvm.h"

#define RING_PAGE    4096
#define RING_ENTRIES ((RING_PAGE - sizeof(struct kvm_coalesced_mmio_ring)) / \
		      sizeof(struct kvm_coalesced_mmio))

static void deliver_one(struct ring *r, const struct kvm_coalesced_mmio *entry)
{
	uint64_t val = 0;

	memcpy(&val, entry->data, sizeof(val));
	if (entry->pio && (entry->len == 1 || entry->len == 2 || entry->len == 4))
		bus_write(r->bus, entry->phys_addr, entry->len, val);
	if (r->tally)
		tally_collected(r->tally);
}

/* What was in it when we began; a guest that goes on writing shall not keep this thread here. */
void ring_deliver(struct ring *r)
{
	uint32_t at, last;

	pthread_mutex_lock(&r->lock);
	at = r->page->first;
	/* Pairs with KVM's write barrier between an entry and `last`. */
	last = __atomic_load_n(&r->page->last, __ATOMIC_ACQUIRE);
	while (at != last && at < RING_ENTRIES) {
		deliver_one(r, &r->page->coalesced_mmio[at]);
		at = (at + 1) % RING_ENTRIES;
		__atomic_store_n(&r->page->first, at, __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&r->lock);
}

static void collect(void *opaque)
{
	ring_collect(opaque);
}

static int coalesce(void *opaque, uint64_t addr, unsigned len, bool on)
{
	const struct ring *r = opaque;
	struct kvm_coalesced_mmio_zone zone = { .addr = addr, .size = len, .pio = 1 };

	if (!r->off)
		return -EOPNOTSUPP;
	return ioctl(r->vm_fd, on ? KVM_REGISTER_COALESCED_MMIO : KVM_UNREGISTER_COALESCED_MMIO, &zone) < 0 ?
	       -errno : 0;
}

/* Whether it can be done is known from the start: models ask before there is a vCPU. */
void ring_open(struct ring *r, struct bus *pio, int dev, int vm_fd, struct tally *tally)
{
	int page = dev_cap(dev, KVM_CAP_COALESCED_MMIO), len = ioctl(dev, KVM_GET_VCPU_MMAP_SIZE, 0);

	r->vm_fd = vm_fd;
	r->bus = pio;
	r->tally = tally;
	if (page > 0 && (page + 1) * RING_PAGE <= len && dev_cap(dev, KVM_CAP_COALESCED_PIO) > 0)
		r->off = (size_t)page * RING_PAGE;
	pthread_mutex_init(&r->lock, NULL);
	pio->coalesce_opaque = r;
	pio->collect = collect;
	pio->coalesce = coalesce;
}

/* The ring is one for the VM; every vCPU's mapping shows it, at the page that the capability says. */
void ring_attach(struct ring *r, const struct vcpu *first)
{
	if (r->off)
		r->page = (void *)((char *)first->run + r->off);
}

void ring_close(struct ring *r)
{
	if (!r->bus)
		return;
	r->bus->coalesce = NULL;
	r->bus->collect = NULL;
	r->bus = NULL;
	r->page = NULL;
	pthread_mutex_destroy(&r->lock);
}
