/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * bus: an address space (one for port I/O, one for memory-mapped I/O): addresses -> models.
 *
 * A model hands in ranges; an access that lies wholly inside one reaches it with the slot's lock
 * held. Nobody there: reads give all-ones, writes go nowhere. Where ranges overlap, the higher prio
 * wins, then the one mapped first; RAM never gets here.
 *
 * Threads: accesses come from vCPU threads, collected writes (see coalesce) also from others. A slot is
 * what shares one lock: usually a device with all its ranges, configuration space included. Ranges may be mapped, moved and unmapped at any time,
 * also by a model from inside an access (a BAR being moved), and from other threads. An access that
 * was already on its way when its range was unmapped still reaches the model; models live until the
 * vCPUs have stopped.
 *
 * The lock rule: a model that calls loop_call() under its slot lock must never have that lock taken
 * by the loop. A model that never does (the serial port, say) may lock its slot on the loop.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct bus_slot {
	pthread_mutex_t lock;
};

#define BUS_SLOT_INIT { PTHREAD_MUTEX_INITIALIZER }

/* off counts from the range's base; len is 1, 2, 4 or 8; values are little-endian, zero-extended. */
struct bus_ops {
	uint64_t (*read)(void *opaque, uint64_t off, unsigned len);
	void (*write)(void *opaque, uint64_t off, unsigned len, uint64_t val);
};

/* Owned by the model; left alone between map and unmap. */
struct bus_range {
	uint64_t base, len;
	const struct bus_ops *ops;
	void *opaque;
	struct bus_slot *slot;
	int prio; /* fixed hardware above (1) what the guest can place anywhere (0) */
	struct bus_range *next;
	bool mapped;
	const char *name; /* for people; as long-lived as the model */
};

struct bus {
	const char *name;
	pthread_rwlock_t lock; /* the list; never held while a model runs */
	struct bus_range *ranges;
	uint64_t accesses; /* that reached a model; see bus_accesses() */
	/*
	 * Takes doorbells out of the vCPU's way (KVM's ioeventfd), set by kvm/ and absent in tests:
	 * a write of any length to addr (len 0) or of just len bytes signals fd and never gets to
	 * the model. Returns 0 or -errno; a refusal is no error, as the model's trap does the same.
	 */
	int (*doorbell)(void *opaque, uint64_t addr, unsigned len, int fd, bool attach);
	void *doorbell_opaque;
	/*
	 * Has writes of len bytes to addr collected while their vCPU goes on (KVM's coalesced I/O), set
	 * by kvm/ and absent in tests. They reach the model later, in their order, and before any access that
	 * a vCPU makes after them; at the latest by collect(). That is on any thread, a loop's too, so by the
	 * lock rule the range's slot must be one whose model never calls loop_call(). Returns 0 or -errno.
	 */
	int (*coalesce)(void *opaque, uint64_t addr, unsigned len, bool on);
	void (*collect)(void *opaque);
	void *coalesce_opaque;
};

void bus_init(struct bus *bus, const char *name);
void bus_fini(struct bus *bus);
void bus_map(struct bus *bus, struct bus_range *range);	  /* does nothing when mapped already */
void bus_unmap(struct bus *bus, struct bus_range *range); /* does nothing when not mapped */

uint64_t bus_read(struct bus *bus, uint64_t addr, unsigned len);
void bus_write(struct bus *bus, uint64_t addr, unsigned len, uint64_t val);

/* For people: the name of the range that this access reaches, its offset there; NULL: nobody's. */
const char *bus_who(struct bus *bus, uint64_t addr, unsigned len, uint64_t *off);

/* A number that grows with every access; any thread. */
static inline uint64_t bus_accesses(struct bus *bus)
{
	return __atomic_load_n(&bus->accesses, __ATOMIC_RELAXED);
}

static inline int bus_doorbell(struct bus *bus, uint64_t addr, unsigned len, int fd, bool attach)
{
	return bus->doorbell ? bus->doorbell(bus->doorbell_opaque, addr, len, fd, attach) : -38;
}

/* For a model, also under its slot's lock. */
static inline int bus_coalesce(struct bus *bus, uint64_t addr, unsigned len, bool on)
{
	return bus->coalesce ? bus->coalesce(bus->coalesce_opaque, addr, len, on) : -38;
}

/* What was collected reaches its models now. Any thread, without a slot's lock. */
static inline void bus_collect(struct bus *bus)
{
	if (bus->collect)
		bus->collect(bus->coalesce_opaque);
}

static inline void bus_lock(struct bus_slot *slot)
{
	pthread_mutex_lock(&slot->lock);
}

static inline void bus_unlock(struct bus_slot *slot)
{
	pthread_mutex_unlock(&slot->lock);
}
