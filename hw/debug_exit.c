// SPDX-License-Identifier: GPL-2.0-only
/*
 * debug_exit: a port through which a test guest ends the machine and says how it went. Four ports
 * wide, so that a value of one, two or four bytes is one write.
 *
 * Runs on: vcpu under slot lock
 */
#include <stdlib.h>

#include "lkvm/hw.h"
#include "lkvm/log.h"

struct debug_exit {
	struct bus *pio;
	struct bus_range range;
	struct bus_slot slot;
	struct hw_power_user user;
};

static uint64_t debug_exit_read(void *opaque, uint64_t off, unsigned len)
{
	(void)opaque;
	(void)off;
	(void)len;
	return 0;
}

static void debug_exit_write(void *opaque, uint64_t off, unsigned len, uint64_t val)
{
	struct debug_exit *d = opaque;

	(void)len;
	if (off == 0 && d->user.ended)
		d->user.ended(d->user.opaque, HW_END_DEBUG, (unsigned)val, "debug-exit");
}

static const struct bus_ops debug_exit_ops = { .read = debug_exit_read, .write = debug_exit_write };

struct debug_exit *debug_exit_open(struct bus *pio, uint16_t port, const struct hw_power_user *user)
{
	struct debug_exit *d = calloc(1, sizeof(*d));

	if (!d) {
		log_err("debug-exit", "out of memory");
		return NULL;
	}
	d->pio = pio;
	d->user = *user;
	pthread_mutex_init(&d->slot.lock, NULL);
	d->range = (struct bus_range){ .base = port, .len = 4, .ops = &debug_exit_ops, .opaque = d,
				       .slot = &d->slot, .prio = 1, .name = "debug-exit" };
	bus_map(pio, &d->range);
	return d;
}

void debug_exit_close(struct debug_exit *d)
{
	if (!d)
		return;
	bus_unmap(d->pio, &d->range);
	pthread_mutex_destroy(&d->slot.lock);
	free(d);
}
