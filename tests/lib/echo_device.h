/* SPDX-License-Identifier: GPL-2.0-only */
/* echo_device: a real device (a vdev on a loop) behind the transport, and a driver's ring for it. */
#pragma once

#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "guest_pci.h"

#define N 8	     /* ring entries */
#define RING 0x10000 /* gpa of the ring: descriptors, then by the legacy layout */
#define AVAIL (RING + 16 * N)
#define USED (RING + 0x1000)
#define DATA 0x20000
#define RAM 0x40000

static _Alignas(4096) uint8_t ram[RAM];
static struct gmem mem;

/* A device that answers each request with its first byte plus one; it may hold requests back. */
static struct echo {
	struct vdev dev;
	atomic_bool hold;
	_Atomic(struct vreq *) held;
	atomic_uint answered, dropped;
} *echo;

static inline struct echo *to_echo(struct vdev *d)
{
	return (struct echo *)d;
}

static inline void echo_kick(struct vdev *d, unsigned n)
{
	struct echo *e = to_echo(d);
	struct vreq *r;

	while (vdev_budget(d, n) && (!e->hold || !e->held) && (r = virtq_pop(vdev_queue(d, n)))) {
		uint8_t byte = 0;

		if (e->hold) {
			e->held = r;
			break;
		}
		vread(&r->out, &byte, 1);
		byte++;
		vwrite(&r->in, &byte, 1);
		virtq_push(vdev_queue(d, n), r);
		e->answered++;
	}
}

static inline void echo_queue_stop(struct vdev *d, unsigned n)
{
	(void)n;
	if (to_echo(d)->held)
		to_echo(d)->dropped++;
	to_echo(d)->held = NULL;
}

static inline void echo_close(struct vdev *d)
{
	vdev_fini(d);
	free(to_echo(d));
}

static const struct vdev_class echo_class = {
	.name = "echo", .id = VIRTIO_ID_CONSOLE, .kick = echo_kick, .queue_stop = echo_queue_stop,
	.close = echo_close,
};

static inline void open_echo(enum virtio_layout layout)
{
	static const unsigned max[] = { N };

	echo = calloc(1, sizeof(*echo));
	vdev_init(&echo->dev, &echo_class, "echo0", p.loop, &mem, 0, max, 1);
	vdev_config_init(&echo->dev, "abcd", 4);
	vp = virtio_pci_open(p.host, &echo->dev.port, layout);
	cfg_write(&p, slot, 4, 2, 7);
}

/* --- a driver's ring -------------------------------------------------------------------------- */

static uint16_t avail_idx;

static inline void put16(uint64_t gpa, uint16_t val)
{
	__atomic_store_n((uint16_t *)(ram + gpa), val, __ATOMIC_RELEASE);
}

static inline uint16_t get16(uint64_t gpa)
{
	return __atomic_load_n((uint16_t *)(ram + gpa), __ATOMIC_ACQUIRE);
}

static inline void clear_ring(void)
{
	memset(ram + RING, 0, 0x2000);
	avail_idx = 0;
}

/* One byte out, one in; the head is always descriptor 0, so one request at a time. */
static inline void offer(uint8_t byte, uint64_t in)
{
	const struct {
		uint64_t addr;
		uint32_t len;
		uint16_t flags, next;
	} desc[2] = { { DATA, 1, 1, 1 }, { in, 1, 2, 0 } };

	ram[DATA] = byte;
	memcpy(ram + RING, desc, sizeof(desc));
	put16(AVAIL + 4 + 2 * (avail_idx % N), 0);
	put16(AVAIL + 2, ++avail_idx);
}

static inline bool answered(void)
{
	for (unsigned i = 0; i < 2000 && get16(USED + 2) != avail_idx; i++)
		usleep(1000);
	return get16(USED + 2) == avail_idx;
}

/* The store of the used index comes before the interrupt, so that has to be waited for as well. */
static inline bool pin_up(void)
{
	for (unsigned i = 0; i < 2000 && !(cfg_read(&p, slot, 6, 2) & 8); i++)
		usleep(1000);
	return line();
}
