/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * netif: where a network device's packets go: a tap interface, passt over a socket, or nowhere.
 *
 * Packets carry a struct netif_hdr (virtio's, 12 bytes, little-endian) in front, both ways; a back
 * end without offloads gets and gives it as zeroes. A back end has one or more queues (tap with
 * several descriptors); packets of one flow stay on one. A queue's calls are made on its own loop, which
 * is the one of netif_attach() unless netif_place() gave it another; all others on that one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "lkvm/loop.h"

/* struct virtio_net_hdr of section 5.1.6, as taps speak it too. */
struct netif_hdr {
	uint8_t flags, gso_type;
	uint16_t hdr_len, gso_size, csum_start, csum_offset, num_buffers;
};

#define NETIF_HDR 12
_Static_assert(sizeof(struct netif_hdr) == NETIF_HDR, "the header on the wire");

#define NETIF_QUEUES_MAX 8
/* The longest frame that is moved: an IP packet of 65535 bytes behind Ethernet and two VLAN tags. */
#define NETIF_FRAME_MAX (65535 + 22)

struct netif;

enum netif_mode { NETIF_NONE, NETIF_TAP, NETIF_USER, NETIF_FD };

struct netif_conf {
	enum netif_mode mode;
	const char *tap;     /* interface name; NULL: the kernel picks */
	const char *host_ip; /* tap: address/prefix for the host side, brought up; NULL: left alone */
	const char *script;  /* tap: run with the interface's name; NULL: none */
	int fd;		     /* NETIF_FD: a tap descriptor made ready by the caller; taken over */
	unsigned queues;     /* 0: one */
	char **publish; /* user: [ip:]host:guest[/udp] */
	unsigned n_publish;
	const uint8_t *mac; /* the guest's, for passt's tables; NULL: unknown */
};

/* What the back end can do with virtio-net offloads, as feature bits (VIRTIO_NET_F_*). */
struct netif_info {
	uint64_t features; /* CSUM, GUEST_CSUM, GUEST_TSO4 ... as far as it can */
	uint16_t mtu;	   /* 0: unknown */
	bool link;	   /* has a link state of its own: link() below tells it, first in attach */
	unsigned queues;
};

struct netif_user {
	void (*readable)(void *opaque, unsigned queue); /* a packet may be there */
	void (*writable)(void *opaque, unsigned queue); /* room again after -EAGAIN */
	void (*link)(void *opaque, bool up);
	/* The back end is gone (passt was killed); already logged. Once, on any of its loops. */
	void (*died)(void *opaque);
	void *opaque;
};

struct netif *netif_open(const char *name, const struct netif_conf *conf); /* NULL: logged */
void netif_close(struct netif *nif);
const struct netif_info *netif_info(const struct netif *nif);

/* Before attach: this queue's loop is another one. */
void netif_place(struct netif *nif, unsigned queue, struct loop *loop);
/*
 * Connects to loop; packets are not watched for before netif_want_read(). May wait for passt to be
 * ready. 0 or -errno, logged.
 */
int netif_attach(struct netif *nif, struct loop *loop, const struct netif_user *user);
void netif_detach(struct netif *nif);
/* false leaves packets in the back end (no buffers for them). */
void netif_want_read(struct netif *nif, unsigned queue, bool want);
/* The guest offloads in force, as feature bits: others are done before packets come. 0 or -errno. */
int netif_offload(struct netif *nif, uint64_t features);
/*
 * Spreads packets over the first n queues only. 0 or -errno. All but queue 0 have to be watched as well
 * while they take part, each on its loop: after it joined (spread), until before it leaves.
 */
int netif_spread(struct netif *nif, unsigned n);
void netif_watch(struct netif *nif, unsigned queue, bool on);

/*
 * For vhost-net, which moves a tap's packets itself: the descriptor of a queue (-1: none that the kernel
 * could use), and the length of the header in front of packets, 12 as anywhere else, or 10 for a driver
 * that knows no other. 0 or -errno.
 */
int netif_fd(const struct netif *nif, unsigned queue);
int netif_header(struct netif *nif, unsigned len);

/*
 * One packet with its header, which is iov[0] alone. The bytes moved, -EAGAIN (not taken, wait for
 * writable), or -errno (drop it).
 */
ssize_t netif_send(struct netif *nif, unsigned queue, const struct iovec *iov, int n);
/*
 * The next packet; its header goes to iov[0], and iov holds at least NETIF_HDR + NETIF_FRAME_MAX
 * bytes, so that nothing is cut off. The bytes moved, or 0: none is there.
 */
ssize_t netif_recv(struct netif *nif, unsigned queue, const struct iovec *iov, int n);
