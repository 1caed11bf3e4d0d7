/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * net: what the files of the network device share. Virtio 1.x section 5.1.
 *
 * A pair of queues belongs to one loop, and struct net_rx and net_tx with it; struct net itself to the
 * device's home, but for what is constant from accept to reset.
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

/* What the driver chose for all pairs. */
struct net_rules {
	struct net_filter filter;
	uint8_t mac[6];
	uint64_t offload; /* guest offloads in force, a subset of those accepted */
	unsigned pairs;	  /* in use */
};

struct net_rx {
	struct net *net;
	unsigned pair;
	struct loop *loop;
	struct net_rules rules; /* a copy, see net_rules.c ... */
	struct loop_post tell;	/* ... and how another loop's is renewed */
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
	uint64_t packets, dropped;
};

struct net_tx {
	struct net *net;
	unsigned pair;
	bool running, blocked;
	uint8_t *bounce; /* for packets in too many pieces */
	uint64_t packets, dropped;
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
	unsigned ctrl;	    /* index of the control queue, from accept on; or UINT_MAX */
	unsigned hdr_len;   /* 12, or 10: legacy without MRG_RXBUF */
	unsigned max_frame; /* of a packet that is no GSO packet, without VLAN tag */
	struct net_rx *rx;
	struct net_tx *tx;
	struct net_rules rules; /* home's; net_rules.c has the rest */
	struct net_rules told;	/* what the pairs copy; stays as it is while telling */
	bool telling;		/* until home knows that all have */
	bool tell_again;	/* rules have changed meanwhile */
	atomic_uint untold;	/* pairs that have not yet; the loops' among themselves */
	struct loop_post all_told;
	unsigned spread;	/* the back end's queues that take part */
	struct vreq *command;	/* of the control queue, done and not answered; or NULL */
	bool command_ok;
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

enum net_role net_role(const struct net *net, unsigned n); /* net.c */

/* net_rules.c: at home. The set_ ones return 0, or -errno and nothing has changed. */
void net_rules_init(struct net *net);
int net_rules_attach(struct net *net); /* the back end's first queue alone; 0 or -errno */
void net_rules_halt(struct net *net); /* a reset begins ... */
void net_rules_reset(struct net *net); /* ... and the pairs have stopped */
int net_set_offload(struct net *net, uint64_t offload); /* the guest offloads in force */
int net_set_pairs(struct net *net, unsigned n);
void net_set_mac(struct net *net, const uint8_t mac[6]); /* also in the configuration */
/* Has the pairs work by what was set. Unless net->telling it is done; else net_ctrl_go_on() tells when. */
void net_tell(struct net *net);

/* net_features.c */
extern const struct vdev_dep net_deps[];
extern const struct vport_field net_fields[];
extern const struct vdev_word net_words[];
uint64_t net_features(const struct net *net, uint16_t mtu);

/* net_rx.c */
int net_rx_start(struct net_rx *rx, unsigned entries);
void net_rx_stop(struct net_rx *rx);
void net_rx_run(struct net_rx *rx); /* buffers or packets may have come */

/* net_tx.c */
void net_tx_run(struct net_tx *tx);

/* net_ctrl.c */
void net_ctrl_run(struct net *net, unsigned n);
/* All pairs have been told: answers the command that waits for it, if any. */
void net_ctrl_go_on(struct net *net);

/* net_filter.c */
void net_filter_reset(struct net_filter *f, uint64_t features);
bool net_filter_pass(const struct net_filter *f, const uint8_t mac[6], const uint8_t *frame,
		     size_t len);
void net_filter_vlan(struct net_filter *f, uint16_t id, bool add); /* id below 4096 */
