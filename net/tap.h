/* SPDX-License-Identifier: GPL-2.0-only */
/* tap: what tap.c (packets) and tap_open.c (the interface) share. */
#pragma once

#include <linux/if_tun.h>
#include <net/if.h>
#include <stdatomic.h>

#include "net/link.h"
#include "net/netif_ops.h"

/* Since Linux 6.2; older headers lack them. */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

struct tap;

struct tap_queue {
	struct tap *tap;
	unsigned index;
	struct loop_fd fd;
	bool want;     /* packets are wanted */
	bool blocked;  /* a packet was refused: tell when there is room */
	bool detached; /* takes no part: fewer queues are in use; home's, like all of struct tap */
};

struct tap {
	struct netif nif;
	char ifname[IFNAMSIZ];
	bool ours; /* the name is an interface that this process can see */
	unsigned n;
	struct tap_queue queue[NETIF_QUEUES_MAX];
	struct link_watch link;
	atomic_bool dead; /* found out by the first queue that looks */
};

extern const struct netif_ops tap_ops;
