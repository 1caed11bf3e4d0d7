/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * net: what the files of the network device share. Virtio 1.x section 5.1.
 *
 * Everything here runs on the device's loop.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lkvm/netif.h"
#include "lkvm/vdev.h"
#include "lkvm/virtio.h"

/* Feature bits, 5.1.3. */
enum {
	VIRTIO_NET_F_CSUM = 0,
	VIRTIO_NET_F_GUEST_CSUM = 1,
	VIRTIO_NET_F_CTRL_GUEST_OFFLOADS = 2,
	VIRTIO_NET_F_MTU = 3,
	VIRTIO_NET_F_MAC = 5,
	VIRTIO_NET_F_GUEST_TSO4 = 7,
	VIRTIO_NET_F_GUEST_TSO6 = 8,
	VIRTIO_NET_F_GUEST_ECN = 9,
	VIRTIO_NET_F_GUEST_UFO = 10,
	VIRTIO_NET_F_HOST_TSO4 = 11,
	VIRTIO_NET_F_HOST_TSO6 = 12,
	VIRTIO_NET_F_HOST_ECN = 13,
	VIRTIO_NET_F_HOST_UFO = 14,
	VIRTIO_NET_F_MRG_RXBUF = 15,
	VIRTIO_NET_F_STATUS = 16,
	VIRTIO_NET_F_CTRL_VQ = 17,
	VIRTIO_NET_F_CTRL_RX = 18,
	VIRTIO_NET_F_CTRL_VLAN = 19,
	VIRTIO_NET_F_CTRL_RX_EXTRA = 20,
	VIRTIO_NET_F_MQ = 22,
	VIRTIO_NET_F_CTRL_MAC_ADDR = 23,
	VIRTIO_NET_F_GUEST_USO4 = 54,
	VIRTIO_NET_F_GUEST_USO6 = 55,
	VIRTIO_NET_F_HOST_USO = 56,
};

/* struct netif_hdr: flags and gso_type, 5.1.6. */
enum { NET_HDR_NEEDS_CSUM = 1, NET_HDR_DATA_VALID = 2, NET_HDR_UDP_TUNNEL_CSUM = 8 };
enum {
	NET_GSO_NONE = 0,
	NET_GSO_TCPV4 = 1,
	NET_GSO_UDP = 3,
	NET_GSO_TCPV6 = 4,
	NET_GSO_UDP_L4 = 5,
	NET_GSO_ECN = 0x80,
};

struct net_config {
	uint8_t mac[6];
	uint16_t status, max_pairs, mtu;
} __attribute__((packed));
_Static_assert(sizeof(struct net_config) == 12, "5.1.4");

enum { NET_STATUS_LINK_UP = 1 };

#define ETH_HEADER     14
#define VLAN_TAG       4
/* The beginning of a frame that is always received into rx->frame: addresses, a VLAN tag, the type. */
#define RX_HEAD	       (ETH_HEADER + VLAN_TAG)
#define NET_FILTER_MAX 64 /* addresses of each kind; more: all of the kind are let in */

/* Which incoming packets the driver asked for, 5.1.6.5.1 to 5.1.6.5.3. */
struct net_filter {
	bool active; /* CTRL_RX: without it the driver can't say, and gets everything */
	bool vlan_active;
	bool promisc, allmulti, alluni, nomulti, nouni, nobcast;
	struct net_addrs {
		unsigned n;
		bool overflow;
		uint8_t addr[NET_FILTER_MAX][6];
	} uni, multi;
	uint8_t vlan[4096 / 8];
};

struct net_rx {
	struct net *net;
	unsigned pair;
	bool running; /* the queue is there; else packets are dropped */
	/* Buffers popped ahead, oldest first, so that each is popped once. */
	struct vreq **window;
	unsigned n_window, cap_window;
	size_t room; /* bytes in them */
	/* Where a packet goes as far as it isn't in guest buffers; pending bytes wait there. */
	struct netif_hdr hdr;
	uint8_t *frame; /* RX_HEAD bytes more than the longest frame: one that is longer shows */
	size_t pending;
	struct loop_timer patience;
};

struct net_tx {
	struct net *net;
	unsigned pair;
	bool running, blocked;
};

/* What a queue is for; it depends on what was accepted. */
enum net_role { NET_ROLE_NONE, NET_ROLE_RX, NET_ROLE_TX, NET_ROLE_CTRL };

struct vhost_net;

struct net {
	struct vdev dev;
	struct netif *nif;
	struct vhost_net *vhost; /* moves the packets; NULL: rx and tx do */
	struct net_conf conf;
	unsigned pairs;	    /* there are */
	unsigned cur_pairs; /* in use */
	unsigned ctrl;	    /* index of the control queue, from accept on; or UINT_MAX */
	unsigned hdr_len;   /* 12, or 10: legacy without MRG_RXBUF */
	unsigned max_frame; /* of a packet that is no GSO packet, without VLAN tag */
	uint64_t offload;   /* guest offloads in force, a subset of those accepted */
	uint8_t mac[6];
	struct net_filter filter;
	struct net_rx *rx;
	struct net_tx *tx;
	uint8_t *bounce; /* for packets in too many pieces */
	struct {
		uint64_t rx, rx_dropped, tx, tx_dropped;
	} stat;
};

/* Features by which the guest lets the back end leave work to it. */
#define NET_GUEST_OFFLOADS                                                                         \
	(VBIT(VIRTIO_NET_F_GUEST_CSUM) | VBIT(VIRTIO_NET_F_GUEST_TSO4) |                           \
	 VBIT(VIRTIO_NET_F_GUEST_TSO6) | VBIT(VIRTIO_NET_F_GUEST_ECN) |                            \
	 VBIT(VIRTIO_NET_F_GUEST_UFO) | VBIT(VIRTIO_NET_F_GUEST_USO4) |                            \
	 VBIT(VIRTIO_NET_F_GUEST_USO6))

static inline unsigned net_rxq(unsigned pair)
{
	return 2 * pair;
}

static inline unsigned net_txq(unsigned pair)
{
	return 2 * pair + 1;
}

/* net.c: sets the guest offloads in force. 0 or -errno, and then nothing changed. */
int net_set_offload(struct net *net, uint64_t offload);
/* net.c: packets go over the first n pairs. 0 or -errno, and then nothing changed. */
int net_spread(struct net *net, unsigned n);
enum net_role net_role(const struct net *net, unsigned n);
/* net.c: the device's address, also in the configuration. */
void net_set_mac(struct net *net, const uint8_t mac[6]);

/* net_rx.c */
int net_rx_start(struct net_rx *rx, unsigned entries);
void net_rx_stop(struct net_rx *rx);
void net_rx_run(struct net_rx *rx); /* buffers or packets may have come */

/* net_tx.c */
void net_tx_run(struct net_tx *tx);

/* net_ctrl.c */
void net_ctrl_run(struct net *net, unsigned n);

/* net_filter.c */
void net_filter_reset(struct net_filter *f, uint64_t features);
bool net_filter_pass(const struct net_filter *f, const uint8_t mac[6], const uint8_t *frame,
		     size_t len);
void net_filter_vlan(struct net_filter *f, uint16_t id, bool add); /* id below 4096 */
