/* SPDX-License-Identifier: GPL-2.0-only */
/* fake_vport: a device that records what a transport does to it. */
#pragma once

#include <errno.h>
#include <string.h>

#include "lkvm/vdev.h"
#include "lkvm/vport.h"

#define FAKE_QUEUES 5

struct fake_queue {
	unsigned max;
	bool running;
	unsigned starts, stops, calls;
	struct virtq_conf conf;
	int kick_fd;
	struct irq call;
};

struct fake_vport {
	struct vport port;
	struct fake_queue q[FAKE_QUEUES];
	uint64_t accepted;
	unsigned accepts, starts, resets, closes;
	int start_error; /* queue_start refuses with it */
	uint8_t config[64];
	uint8_t generation;
	unsigned config_writes;
	bool fail_on_start;
	uint64_t need; /* a dependency: bit 1 needs these */
};

static inline struct fake_vport *fake_port_of(struct vport *port)
{
	return (struct fake_vport *)port;
}

static inline bool fake_acceptable(struct vport *port, uint64_t features)
{
	return !(features & ~port->features) &&
	       (!(features & 2) || features & fake_port_of(port)->need);
}

static inline void fake_accept(struct vport *port, uint64_t features)
{
	fake_port_of(port)->accepted = features;
	fake_port_of(port)->accepts++;
}

static inline void fake_config_read(struct vport *port, unsigned off, void *dst, unsigned len)
{
	struct fake_vport *f = fake_port_of(port);

	for (unsigned i = 0; i < len; i++)
		((uint8_t *)dst)[i] = off + i < port->config_len ? f->config[off + i] : 0;
}

static inline void fake_config_write(struct vport *port, unsigned off, const void *src,
				     unsigned len)
{
	struct fake_vport *f = fake_port_of(port);

	for (unsigned i = 0; i < len; i++)
		if (off + i < port->config_len)
			f->config[off + i] = ((const uint8_t *)src)[i];
	f->config_writes++;
}

static inline uint8_t fake_generation(struct vport *port)
{
	return fake_port_of(port)->generation;
}

static inline unsigned fake_queue_max(struct vport *port, unsigned n)
{
	return n < port->nqueues ? fake_port_of(port)->q[n].max : 0;
}

static inline int fake_queue_start(struct vport *port, unsigned n, const struct virtq_conf *conf,
				   int kick_fd, struct irq call)
{
	struct fake_queue *q = &fake_port_of(port)->q[n];

	if (fake_port_of(port)->start_error)
		return fake_port_of(port)->start_error;
	q->running = true;
	q->starts++;
	q->conf = *conf;
	q->kick_fd = kick_fd;
	q->call = call;
	return 0;
}

static inline void fake_queue_stop(struct vport *port, unsigned n)
{
	struct fake_queue *q = &fake_port_of(port)->q[n];

	if (q->running)
		q->stops++;
	q->running = false;
}

static inline void fake_queue_call(struct vport *port, unsigned n, struct irq call)
{
	fake_port_of(port)->q[n].call = call;
	fake_port_of(port)->q[n].calls++;
}

static inline void fake_start(struct vport *port)
{
	fake_port_of(port)->starts++;
	if (fake_port_of(port)->fail_on_start)
		port->failed(port->opaque);
}

static inline void fake_reset(struct vport *port)
{
	for (unsigned n = 0; n < port->nqueues; n++)
		fake_queue_stop(port, n);
	fake_port_of(port)->accepted = 0;
	fake_port_of(port)->resets++;
}

static inline void fake_close(struct vport *port)
{
	fake_port_of(port)->closes++;
}

static const struct vport_ops fake_vport_ops = {
	fake_acceptable, fake_accept,	   fake_config_read, fake_config_write, fake_generation,
	fake_queue_max,	 fake_queue_start, fake_queue_stop,  fake_queue_call,	fake_start,
	fake_reset,	 fake_close,
};

/* Queue 2 does not exist, the others hold 256, 64, 0, 256, 8. */
static inline void fake_vport_init(struct fake_vport *f, uint16_t device_id)
{
	static const unsigned max[FAKE_QUEUES] = { 256, 64, 0, 256, 8 };

	memset(f, 0, sizeof(*f));
	f->port = (struct vport){
		.ops = &fake_vport_ops, .name = "fake0", .device_id = device_id,
		.nqueues = FAKE_QUEUES, .config_len = 30,
		.features = 0x37 | VBIT(VIRTIO_F_VERSION_1) | VBIT(VIRTIO_F_EVENT_IDX) |
			    VBIT(VIRTIO_F_INDIRECT_DESC) | VBIT(VIRTIO_F_RING_PACKED) |
			    VBIT(VIRTIO_F_IN_ORDER) | VBIT(VIRTIO_F_RING_RESET) |
			    VBIT(VIRTIO_F_NOTIFICATION_DATA) | VBIT(VIRTIO_F_NOTIF_CONFIG_DATA),
		.legacy_features = 0x37 | VBIT(VIRTIO_F_NOTIFY_ON_EMPTY) |
				   VBIT(VIRTIO_F_ANY_LAYOUT) | VBIT(VIRTIO_F_INDIRECT_DESC) |
				   VBIT(VIRTIO_F_EVENT_IDX),
	};
	f->need = 1;
	for (unsigned n = 0; n < FAKE_QUEUES; n++)
		f->q[n].max = max[n];
	for (unsigned i = 0; i < sizeof(f->config); i++)
		f->config[i] = (uint8_t)(0xa0 + i);
}
