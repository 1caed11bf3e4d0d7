/* SPDX-License-Identifier: GPL-2.0-only */
/* vhost_queue: one queue that the kernel serves; what vhost_queue.c and vhost_net.c share. On the loop. */
#pragma once

#include <stdbool.h>

#include "lkvm/irq.h"
#include "lkvm/loop.h"
#include "lkvm/vport.h"
#include "virtio/vhost.h"

struct net;
struct vhost_net;

struct vhost_queue {
	struct vhost_net *vn;
	unsigned index;
	bool started;  /* queue_start came */
	bool attached; /* the kernel serves it */
	int kick_fd;
	struct irq call;
	struct loop_fd relay; /* what the kernel signals while call is no eventfd */
	struct loop_fd broken; /* the kernel found that the ring breaks the rules */
};

struct vhost_net {
	struct vport_ops ops;	      /* the port's: the core's, but for the verbs in this file */
	const struct vport_ops *core; /* what they were */
	struct net *net;
	unsigned pairs, used; /* there are, in use */
	struct vhost *kernel; /* by pair */
	struct vhost_queue *queue;
};

/* On main. 0 or -errno, logged. */
int vhost_queue_open(struct vhost_queue *q, struct vhost_net *vn, unsigned n, const char *name);
void vhost_queue_close(struct vhost_queue *q);
int vhost_queue_watch(struct vhost_queue *q); /* for what the kernel says; until close */

int vhost_queue_start(struct vhost_queue *q, const struct virtq_conf *conf, int kick_fd,
		      struct irq call); /* 0 or -errno: it can't be there */
void vhost_queue_stop(struct vhost_queue *q);
void vhost_queue_call(struct vhost_queue *q, struct irq call);
/* Served from here on, if it was started, the driver is ready and the pair is in use. */
void vhost_queue_attach(struct vhost_queue *q);
void vhost_queue_detach(struct vhost_queue *q);
