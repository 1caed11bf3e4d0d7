/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * vhost_net: the network device's packets moved by the kernel. The device stays as net.c has it, with
 * its features, its configuration and its control queue; its port's verbs for the queues with packets
 * in them are taken over, so that those never come to our rings.
 */
#pragma once

#include <stdint.h>

#include "lkvm/gmem.h"
#include "lkvm/vport.h"

struct net;
struct vhost_net;

/* One of the kernel's devices for each of n pairs of queues. NULL: logged. Main. */
struct vhost_net *vhost_net_open(const char *name, const struct gmem *mem, unsigned n);
void vhost_net_close(struct vhost_net *vn); /* NULL is fine; on the loop, once it was taken over */
/* Features of the network device, and of rings, that can't be had with this kernel's vhost. */
uint64_t vhost_net_lacks(const struct vhost_net *vn);
/* net's port is served from here on. On its loop. 0 or -errno, logged. */
int vhost_net_take_over(struct vhost_net *vn, struct net *net);
/* Packets go over the first n pairs from here on. On the loop. 0 or -errno. */
int vhost_net_spread(struct vhost_net *vn, unsigned n);
