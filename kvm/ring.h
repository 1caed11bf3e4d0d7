/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ring: writes that KVM collects without the vCPU stopping (its coalesced I/O), handed to the bus in the
 * order in which they were made.
 *
 * The rule that makes it invisible to a model: whoever comes out of KVM_RUN calls ring_collect() before
 * anything else. So an access that stops its vCPU comes after all writes that this vCPU made before it,
 * and after those of other vCPUs that it could know of. When the ring is full KVM stops the vCPU.
 */
#pragma once

#include <linux/kvm.h>
#include <pthread.h>
#include <stdbool.h>

#include "lkvm/bus.h"

struct vcpu;

struct ring {
	int vm_fd;
	struct bus *bus;
	struct tally *tally;
	size_t off; /* of the page in a vCPU's mapping; 0: KVM can't do it for ports */
	struct kvm_coalesced_mmio_ring *page; /* NULL: no vCPU yet */
	pthread_mutex_t lock; /* held while entries are delivered; their models' slots are taken inside it */
};

void ring_open(struct ring *r, struct bus *pio, int dev, int vm_fd, struct tally *tally);
void ring_attach(struct ring *r, const struct vcpu *first); /* before the first vCPU runs */
void ring_close(struct ring *r);
void ring_deliver(struct ring *r);

/*
 * Entries go from the ring only once they have been delivered, so that this test also sees the one that
 * another thread is just delivering, and waits for it. Pairs with the release in ring_deliver().
 */
static inline void ring_collect(struct ring *r)
{
	if (r->page && __atomic_load_n(&r->page->first, __ATOMIC_ACQUIRE) !=
			       __atomic_load_n(&r->page->last, __ATOMIC_ACQUIRE))
		ring_deliver(r);
}
