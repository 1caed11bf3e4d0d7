/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * aio_ring: completions taken from the ring that the kernel maps at a context's address
 * (linux/aio.c), without a system call.
 */
#pragma once

#include <libaio.h>
#include <stdbool.h>
#include <stddef.h>

struct aio_ring {
	unsigned id, nr;
	unsigned head; /* ours */
	unsigned tail; /* the kernel's */
	unsigned magic, compat, incompat, header_len;
	struct io_event event[];
};
#define AIO_RING_MAGIC 0xa10a10a1U

/* NULL: not what we know; ask by system call. */
static inline struct aio_ring *aio_ring(io_context_t ctx)
{
	struct aio_ring *ring = (struct aio_ring *)ctx;

	if (ring->magic == AIO_RING_MAGIC && !ring->incompat && ring->header_len == sizeof(*ring))
		return ring;
	return NULL;
}

static inline bool aio_ring_any(const struct aio_ring *ring)
{
	return ring->head != __atomic_load_n(&ring->tail, __ATOMIC_RELAXED);
}

static inline unsigned aio_ring_take(struct aio_ring *ring, struct io_event *ev, unsigned max)
{
	unsigned head = ring->head, n = 0;
	/* Pairs with the kernel's barrier between an event and the tail that covers it. */
	unsigned tail = __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE);

	while (head != tail && n < max) {
		ev[n++] = ring->event[head];
		head = head + 1 == ring->nr ? 0 : head + 1;
	}
	/* After the copies: from here on the kernel may write the entries again. */
	__atomic_store_n(&ring->head, head, __ATOMIC_RELEASE);
	return n;
}
