/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * burst: notices when a guest writes one byte after the other to a port, and has KVM collect them
 * (bus_coalesce) for as long as that lasts.
 *
 * What is collected is not seen before somebody looks. So a timer does, every few milliseconds, while
 * collecting is on, and it ends when the bytes become few: an idle guest wakes nobody.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lkvm/bus.h"
#include "lkvm/loop.h"

struct burst {
	struct bus *bus;
	uint16_t port;
	struct loop *loop; /* NULL: there are no bursts */
	struct bus_slot *slot;
	struct loop_fd begun;
	struct loop_timer tick;
	unsigned ticks; /* the loop's own */

	/* under the slot's lock */
	bool allowed, on;
	unsigned bytes; /* in this window of time */
	uint64_t since; /* when it began, while collecting is off */
};

/* loop may be NULL. 0 or -errno. The slot is the model's; its lock is held where said. */
int burst_open(struct burst *b, struct bus *bus, uint16_t port, struct loop *loop, struct bus_slot *slot);
void burst_close(struct burst *b);		 /* the loop and the vCPUs have stopped */
void burst_byte(struct burst *b);		 /* locked: one was written */
void burst_allow(struct burst *b, bool allowed); /* locked: does it not matter when a byte is seen? */
