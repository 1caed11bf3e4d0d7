/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * vport: what a transport (virtio-pci) sees of a device, wherever the device runs. The verbs are
 * vhost's: features, accept, configuration, queue start and stop, reset. Virtio 1.x chapter 2.
 *
 * The transport owns device_status, the feature windows, the per-queue registers and the doorbell
 * eventfds; the device's home owns what happens behind them. A queue is driven by a kick eventfd
 * (the transport's, given with queue_start; KVM's ioeventfd) and a call (struct irq).
 *
 * Threads: the ops are called by the transport under its slot lock, or by main before and after the
 * vCPUs run. They may block for as long as requests in flight take to finish. changed and failed may
 * come from any thread, never under the transport's slot lock being needed: they touch atomics and
 * eventfds only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lkvm/irq.h"
#include "lkvm/virtq.h"

struct vport;

/* One piece of the device's configuration and the feature that brings it (for feature blocks). */
struct vport_field {
	int feature; /* bit number; -1: always there */
	uint16_t off, len;
};

struct vport_ops {
	/* Could this set be served? Offered, and closed under its dependencies. No side effect. */
	bool (*acceptable)(struct vport *port, uint64_t features);
	/* FEATURES_OK (or, legacy, the first use): the set is final until reset. */
	void (*accept)(struct vport *port, uint64_t features);

	/* Device-specific configuration; off + len may pass the end: reads 0, writes are dropped. */
	void (*config_read)(struct vport *port, unsigned off, void *dst, unsigned len);
	void (*config_write)(struct vport *port, unsigned off, const void *src, unsigned len);
	/* 2.5.1: differs from the last answer if the configuration changed since; can't alias. */
	uint8_t (*config_generation)(struct vport *port);

	/* The most entries queue n can have; 0: there is no such queue. */
	unsigned (*queue_max)(struct vport *port, unsigned n);
	/* Serve queue n from now on. 0, or -errno: the driver's parameters can't be used. */
	int (*queue_start)(struct vport *port, unsigned n, const struct virtq_conf *conf, int kick_fd,
			   struct irq call);
	/* Back only when nothing of the queue is in flight any more. No-op on a stopped queue. */
	void (*queue_stop)(struct vport *port, unsigned n);
	void (*queue_call)(struct vport *port, unsigned n, struct irq call);

	/* DRIVER_OK: queues that were started are served from here on. */
	void (*start)(struct vport *port);
	/* Stops every queue, forgets the features, restores the configuration. */
	void (*reset)(struct vport *port);
	void (*close)(struct vport *port); /* frees the device; after reset */
};

struct vport {
	const struct vport_ops *ops;
	/* Set by the device's home, constant. */
	const char *name;	/* "blk0" */
	uint16_t device_id;	/* virtio device type number */
	unsigned nqueues;	/* the most there can be */
	uint64_t features;	/* offered; bits >= 64 never are */
	uint64_t legacy_features; /* offered on the legacy interface (bits 0-31) */
	unsigned config_len;
	const struct vport_field *fields; /* in ascending order of off; ends with len 0 */
	/* Set by the transport, all but legacy before the machine runs. */
	void (*changed)(void *opaque); /* configuration changed: notify the driver */
	void (*failed)(void *opaque);  /* only a reset helps: DEVICE_NEEDS_RESET */
	void *opaque;
	/* The driver is at the legacy interface, where some configuration fields may be written. */
	bool legacy;
};
