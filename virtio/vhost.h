/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * vhost: one of the kernel's vhost-net devices: two rings (0: receive, 1: send) that a kernel thread
 * serves, between guest memory and a tap.
 *
 * Errors are logged by open; the others return -errno.
 */
#pragma once

#include <stdint.h>

#include "lkvm/gmem.h"
#include "lkvm/virtq.h"

#define VHOST_RINGS 2

struct vhost {
	int fd; /* -1: not open */
	uint64_t features; /* that the kernel has */
};

/* Takes mem as it is now: addresses in rings are looked up in it by the kernel. */
int vhost_open(struct vhost *v, const char *name, const struct gmem *mem);
void vhost_close(struct vhost *v);
/* With no ring attached. */
int vhost_set_features(struct vhost *v, uint64_t features);

/* Sizes and places are checked before the kernel hears of them. Indices begin at 0. */
int vhost_ring_start(struct vhost *v, unsigned ring, const struct gmem *mem,
		     const struct virtq_conf *conf, int kick_fd, int call_fd, int err_fd);
/* From here on the kernel serves the ring; packets go to and come from tap_fd. */
int vhost_ring_attach(struct vhost *v, unsigned ring, int tap_fd);
/* Back only when the kernel is done with the ring. */
int vhost_ring_detach(struct vhost *v, unsigned ring);
int vhost_ring_call(struct vhost *v, unsigned ring, int call_fd); /* -1: no calls */
/* Forgets what start was told. How many buffers the kernel took (mod 65536), or -errno. */
int vhost_ring_stop(struct vhost *v, unsigned ring);

/* vhost_sys.c: the kernel. Unit tests have their own. */
int vhost_sys_open(void); /* a descriptor or -errno */
int vhost_sys_ioctl(int fd, unsigned long request, void *arg); /* 0 or -errno */
