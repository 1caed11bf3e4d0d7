// SPDX-License-Identifier: GPL-2.0-only
/*
 * bus: finds the model behind an address and calls it with its slot locked.
 *
 * Runs on: vcpu; any thread that delivers collected writes.
 *
 * The list lock only covers the look-up. It is let go before the slot's lock is taken, so that a
 * model may move its own ranges from inside an access; the price is that an access can arrive just
 * after its range went away, which a model must (and easily can) bear.
 */
#include "lkvm/bus.h"

#include <stddef.h>

void bus_init(struct bus *bus, const char *name)
{
	*bus = (struct bus){ .name = name };
	pthread_rwlock_init(&bus->lock, NULL);
}

void bus_fini(struct bus *bus)
{
	pthread_rwlock_destroy(&bus->lock);
}

/* Kept in the order of preference: the first range that holds an access gets it. */
void bus_map(struct bus *bus, struct bus_range *range)
{
	struct bus_range **link;

	pthread_rwlock_wrlock(&bus->lock);
	if (!range->mapped) {
		for (link = &bus->ranges; *link && (*link)->prio >= range->prio;)
			link = &(*link)->next;
		range->next = *link;
		range->mapped = true;
		*link = range;
	}
	pthread_rwlock_unlock(&bus->lock);
}

void bus_unmap(struct bus *bus, struct bus_range *range)
{
	struct bus_range **link;

	pthread_rwlock_wrlock(&bus->lock);
	if (range->mapped) {
		for (link = &bus->ranges; *link != range;)
			link = &(*link)->next;
		*link = range->next;
		range->mapped = false;
	}
	pthread_rwlock_unlock(&bus->lock);
}

static struct bus_range *find_range(struct bus *bus, uint64_t addr, unsigned len)
{
	struct bus_range *r;

	for (r = bus->ranges; r; r = r->next)
		if (addr - r->base < r->len && len <= r->len - (addr - r->base))
			break;
	return r;
}

const char *bus_who(struct bus *bus, uint64_t addr, unsigned len, uint64_t *off)
{
	const char *name = NULL;
	const struct bus_range *r;

	pthread_rwlock_rdlock(&bus->lock);
	r = find_range(bus, addr, len);
	if (r) {
		name = r->name ? r->name : "unnamed";
		*off = addr - r->base;
	}
	pthread_rwlock_unlock(&bus->lock);
	return name;
}

struct target {
	const struct bus_ops *ops;
	void *opaque;
	struct bus_slot *slot;
	uint64_t off;
};

static bool find(struct bus *bus, uint64_t addr, unsigned len, struct target *t)
{
	const struct bus_range *r;

	pthread_rwlock_rdlock(&bus->lock);
	r = find_range(bus, addr, len);
	if (r)
		*t = (struct target){ r->ops, r->opaque, r->slot, addr - r->base };
	pthread_rwlock_unlock(&bus->lock);
	if (r)
		__atomic_fetch_add(&bus->accesses, 1, __ATOMIC_RELAXED);
	return r;
}

uint64_t bus_read(struct bus *bus, uint64_t addr, unsigned len)
{
	uint64_t ones = ~0ULL >> (64 - 8 * len), val = ones;
	struct target t;

	if (find(bus, addr, len, &t) && t.ops->read) {
		bus_lock(t.slot);
		val = t.ops->read(t.opaque, t.off, len);
		bus_unlock(t.slot);
	}
	return val & ones;
}

void bus_write(struct bus *bus, uint64_t addr, unsigned len, uint64_t val)
{
	struct target t;

	if (!find(bus, addr, len, &t) || !t.ops->write)
		return;
	bus_lock(t.slot);
	t.ops->write(t.opaque, t.off, len, val & (~0ULL >> (64 - 8 * len)));
	bus_unlock(t.slot);
}
