/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * netif: where a network device's packets go: a tap interface, passt over a socket, or nowhere.
 *
 * Packets carry a struct virtio_net_hdr_v1 (12 bytes, little-endian) in front, both ways; a back end
 * without offloads gets and gives it as zeroes. Everything runs on the device's loop.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "lkvm/loop.h"

#define NETIF_HDR 12

struct netif;

enum netif_mode { NETIF_NONE, NETIF_TAP, NETIF_USER, NETIF_FD };

struct netif_conf {
	enum netif_mode mode;
	const char *tap;     /* interface name; NULL: the kernel picks */
	const char *host_ip; /* tap: address/prefix for the host side, brought up; NULL: left alone */
	const char *script;  /* tap: run with the interface's name; NULL: none */
	int fd;		     /* NETIF_FD: a tap descriptor made ready by the caller */
	unsigned queues;
	char **publish; /* user: [ip:]host:guest[/udp] */
	unsigned n_publish;
	const uint8_t *mac; /* the guest's, for passt's tables */
};

/* What the back end can do with virtio-net offloads, as feature bits (VIRTIO_NET_F_*). */
struct netif_info {
	uint64_t features; /* CSUM, GUEST_CSUM, GUEST_TSO4 ... as far as it can */
	uint16_t mtu;	   /* 0: unknown */
	bool link;	   /* has a link state of its own */
};

struct netif_user {
	void (*readable)(void *opaque); /* a packet may be there */
	void (*writable)(void *opaque); /* room again after -EAGAIN */
	void (*link)(void *opaque, bool up);
	void (*died)(void *opaque); /* the back end is gone (passt was killed); already logged */
	void *opaque;
};

struct netif *netif_open(const char *name, const struct netif_conf *conf); /* NULL: logged */
void netif_close(struct netif *nif);
const struct netif_info *netif_info(const struct netif *nif);

/* Watches for packets on loop; want_read false leaves them in the back end (no buffers). */
int netif_attach(struct netif *nif, struct loop *loop, const struct netif_user *user);
void netif_detach(struct netif *nif);
void netif_want_read(struct netif *nif, bool want);
/* The guest's accepted features: header handling and offloads (TUNSETOFFLOAD). 0 or -errno. */
int netif_offload(struct netif *nif, uint64_t features);

/* One packet with its header. The bytes moved, -EAGAIN (would block), or -errno (drop it). */
ssize_t netif_send(struct netif *nif, const struct iovec *iov, int n);
/*
 * The next packet's size with its header, 0: none. (tap: unknown before reading; gives 1 when
 * something is readable, netif_recv then takes up to what the iovec holds.)
 */
ssize_t netif_recv(struct netif *nif, const struct iovec *iov, int n);
/* Drops the packet that is next. */
void netif_drop(struct netif *nif);
