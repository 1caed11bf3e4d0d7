/* SPDX-License-Identifier: GPL-2.0-only */
/* netif_ops: what a back end is to netif.c; each embeds struct netif as its first member. */
#pragma once

#include "lkvm/netif.h"

struct netif_ops {
	void (*close)(struct netif *nif); /* frees it; detached before */
	int (*attach)(struct netif *nif);
	void (*detach)(struct netif *nif);
	void (*want_read)(struct netif *nif, unsigned queue, bool want);
	int (*offload)(struct netif *nif, uint64_t features);
	int (*spread)(struct netif *nif, unsigned n);
	void (*watch)(struct netif *nif, unsigned queue, bool on);
	int (*queue_fd)(const struct netif *nif, unsigned queue); /* NULL, as the next: no tap */
	int (*header)(struct netif *nif, unsigned len);
	ssize_t (*send)(struct netif *nif, unsigned queue, const struct iovec *iov, int n);
	ssize_t (*recv)(struct netif *nif, unsigned queue, const struct iovec *iov, int n);
};

struct netif {
	const struct netif_ops *ops;
	char name[24];
	struct netif_info info;
	struct loop *loop; /* NULL: detached */
	struct loop *place[NETIF_QUEUES_MAX]; /* NULL: there too */
	struct netif_user user;
};

static inline struct loop *netif_loop(const struct netif *nif, unsigned queue)
{
	return nif->place[queue] ? nif->place[queue] : nif->loop;
}

struct netif *tap_open(const char *name, const struct netif_conf *conf);
struct netif *tap_open_fd(const char *name, const struct netif_conf *conf);
struct netif *passt_open(const char *name, const struct netif_conf *conf);

/* Feature bits of section 5.1.3 that depend on the back end. */
enum {
	NETIF_F_CSUM = 0,
	NETIF_F_GUEST_CSUM = 1,
	NETIF_F_GUEST_TSO4 = 7,
	NETIF_F_GUEST_TSO6 = 8,
	NETIF_F_GUEST_ECN = 9,
	NETIF_F_GUEST_UFO = 10,
	NETIF_F_HOST_TSO4 = 11,
	NETIF_F_HOST_TSO6 = 12,
	NETIF_F_HOST_ECN = 13,
	NETIF_F_HOST_UFO = 14,
	NETIF_F_GUEST_USO4 = 54,
	NETIF_F_GUEST_USO6 = 55,
	NETIF_F_HOST_USO = 56,
};

#define NETIF_BIT(n) (1ULL << (n))
