// SPDX-License-Identifier: GPL-2.0-only
/*
 * burst: when port writes are collected instead of each stopping its vCPU.
 *
 * Turning it on or off changes KVM's list of port devices, which costs some exits' time (KVM waits for
 * every vCPU to have seen it). So it takes START bytes within a WINDOW to begin, which are then the price
 * that each burst pays, and fewer than KEEP within one to end.
 *
 * Runs on: burst_byte and burst_allow under the slot's lock (vCPU or loop); the timer on the loop
 */
#include "hw/burst.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define TICK_NS	  10000000ULL /* the longest that a byte stays unseen */
#define TICKS	  10	      /* of a window */
#define WINDOW_NS (TICKS * TICK_NS)
#define START	  64
#define KEEP	  32

/* Under the slot's lock. */
static void turn_off(struct burst *b)
{
	if (b->on)
		bus_coalesce(b->bus, b->port, 1, false);
	b->on = false;
	b->bytes = 0;
}

static void tick(void *opaque)
{
	struct burst *b = opaque;
	bool on;

	bus_collect(b->bus);
	bus_lock(b->slot);
	if (++b->ticks >= TICKS) {
		b->ticks = 0;
		if (b->bytes < KEEP)
			turn_off(b);
		b->bytes = 0;
	}
	on = b->on;
	bus_unlock(b->slot);
	if (on)
		loop_timer_set(b->loop, &b->tick, TICK_NS);
	else
		bus_collect(b->bus); /* what was written while it went off */
}

static void begun(void *opaque, uint32_t events)
{
	struct burst *b = opaque;
	eventfd_t n;

	(void)events;
	eventfd_read(b->begun.fd, &n);
	b->ticks = 0;
	loop_timer_set(b->loop, &b->tick, TICK_NS);
}

void burst_byte(struct burst *b)
{
	uint64_t now;

	if (!b->loop || !b->allowed)
		return;
	b->bytes++;
	if (b->on)
		return;
	now = loop_now();
	if (b->bytes == 1 || now - b->since > WINDOW_NS) {
		b->since = now;
		b->bytes = 1;
	}
	if (b->bytes < START)
		return;
	b->bytes = 0;
	if (bus_coalesce(b->bus, b->port, 1, true)) {
		b->allowed = false; /* it can't be done; burst_allow() asks again, which is rare */
		return;
	}
	b->on = true;
	eventfd_write(b->begun.fd, 1);
}

void burst_allow(struct burst *b, bool allowed)
{
	if (allowed == b->allowed)
		return;
	b->allowed = allowed;
	turn_off(b);
}

int burst_open(struct burst *b, struct bus *bus, uint16_t port, struct loop *loop, struct bus_slot *slot)
{
	int err;

	*b = (struct burst){ .bus = bus, .port = port, .loop = loop, .slot = slot, .allowed = true };
	b->tick = (struct loop_timer){ .fire = tick, .opaque = b };
	b->begun = (struct loop_fd){ .fd = -1, .ready = begun, .opaque = b };
	if (!loop)
		return 0;
	b->begun.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	err = b->begun.fd < 0 ? -errno : loop_add(loop, &b->begun, EPOLLIN);
	if (err && b->begun.fd >= 0)
		close(b->begun.fd);
	return err;
}

void burst_close(struct burst *b)
{
	if (!b->loop)
		return;
	turn_off(b);
	loop_timer_cancel(b->loop, &b->tick);
	loop_del(b->loop, &b->begun);
	close(b->begun.fd);
}
