/* SPDX-License-Identifier: GPL-2.0-only */
/* vdev_port: what the files of the device core share with each other. */
#pragma once

#include "lkvm/vdev.h"

static inline struct vdev *to_vdev(struct vport *port)
{
	return (struct vdev *)((char *)port - offsetof(struct vdev, port));
}

/* vdev.c: on the queue's loop */
int vdev_queue_start(struct vdev_queue *vq, const struct virtq_conf *conf, int kick_fd,
		     struct irq call);
void vdev_queue_serve(struct vdev_queue *vq); /* started, and the device is live */
void vdev_queue_stop(struct vdev_queue *vq);

/* vdev_verbs.c */
extern const struct vport_ops vdev_port_ops;

/* vdev_features.c */
bool vdev_port_acceptable(struct vport *port, uint64_t features);
void vdev_set_legacy(struct vdev *dev);

/* vdev_config.c */
void vdev_port_config_read(struct vport *port, unsigned off, void *dst, unsigned len);
void vdev_port_config_write(struct vport *port, unsigned off, const void *src, unsigned len);
uint8_t vdev_port_config_generation(struct vport *port);
void vdev_config_restore(struct vdev *dev); /* what reset does */
