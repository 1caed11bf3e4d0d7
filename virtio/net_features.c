// SPDX-License-Identifier: GPL-2.0-only
/*
 * net_features: what a network device offers, by its back end, and what needs what (5.1.3).
 *
 * Runs on: main.
 */
#include <stddef.h>

#include "virtio/net.h"

/* 5.1.3.1. GUEST_OFFLOADS can't be used without the queue for it, so it depends on that too. */
const struct vdev_dep net_deps[] = {
	{ VIRTIO_NET_F_GUEST_TSO4, VBIT(VIRTIO_NET_F_GUEST_CSUM) },
	{ VIRTIO_NET_F_GUEST_TSO6, VBIT(VIRTIO_NET_F_GUEST_CSUM) },
	{ VIRTIO_NET_F_GUEST_UFO, VBIT(VIRTIO_NET_F_GUEST_CSUM) },
	{ VIRTIO_NET_F_GUEST_USO4, VBIT(VIRTIO_NET_F_GUEST_CSUM) },
	{ VIRTIO_NET_F_GUEST_USO6, VBIT(VIRTIO_NET_F_GUEST_CSUM) },
	{ VIRTIO_NET_F_GUEST_ECN, VBIT(VIRTIO_NET_F_GUEST_TSO4) | VBIT(VIRTIO_NET_F_GUEST_TSO6) },
	{ VIRTIO_NET_F_HOST_TSO4, VBIT(VIRTIO_NET_F_CSUM) },
	{ VIRTIO_NET_F_HOST_TSO6, VBIT(VIRTIO_NET_F_CSUM) },
	{ VIRTIO_NET_F_HOST_UFO, VBIT(VIRTIO_NET_F_CSUM) },
	{ VIRTIO_NET_F_HOST_USO, VBIT(VIRTIO_NET_F_CSUM) },
	{ VIRTIO_NET_F_HOST_ECN, VBIT(VIRTIO_NET_F_HOST_TSO4) | VBIT(VIRTIO_NET_F_HOST_TSO6) },
	{ VIRTIO_NET_F_CTRL_RX, VBIT(VIRTIO_NET_F_CTRL_VQ) },
	{ VIRTIO_NET_F_CTRL_RX_EXTRA, VBIT(VIRTIO_NET_F_CTRL_VQ) },
	{ VIRTIO_NET_F_CTRL_VLAN, VBIT(VIRTIO_NET_F_CTRL_VQ) },
	{ VIRTIO_NET_F_CTRL_MAC_ADDR, VBIT(VIRTIO_NET_F_CTRL_VQ) },
	{ VIRTIO_NET_F_CTRL_GUEST_OFFLOADS, VBIT(VIRTIO_NET_F_CTRL_VQ) },
	{ VIRTIO_NET_F_MQ, VBIT(VIRTIO_NET_F_CTRL_VQ) },
	{ -1, 0 },
};

const struct vport_field net_fields[] = {
	{ VIRTIO_NET_F_MAC, offsetof(struct net_config, mac), 6 },
	{ VIRTIO_NET_F_STATUS, offsetof(struct net_config, status), 2 },
	{ VIRTIO_NET_F_MQ, offsetof(struct net_config, max_pairs), 2 },
	{ VIRTIO_NET_F_MTU, offsetof(struct net_config, mtu), 2 },
	{ 0, 0, 0 },
};

const struct vdev_word net_words[] = {
	{ "csum", VIRTIO_NET_F_CSUM },
	{ "guest_csum", VIRTIO_NET_F_GUEST_CSUM },
	{ "ctrl_guest_offloads", VIRTIO_NET_F_CTRL_GUEST_OFFLOADS },
	{ "mtu", VIRTIO_NET_F_MTU },
	{ "mac", VIRTIO_NET_F_MAC },
	{ "guest_tso4", VIRTIO_NET_F_GUEST_TSO4 },
	{ "guest_tso6", VIRTIO_NET_F_GUEST_TSO6 },
	{ "guest_ecn", VIRTIO_NET_F_GUEST_ECN },
	{ "guest_ufo", VIRTIO_NET_F_GUEST_UFO },
	{ "host_tso4", VIRTIO_NET_F_HOST_TSO4 },
	{ "host_tso6", VIRTIO_NET_F_HOST_TSO6 },
	{ "host_ecn", VIRTIO_NET_F_HOST_ECN },
	{ "host_ufo", VIRTIO_NET_F_HOST_UFO },
	{ "mrg_rxbuf", VIRTIO_NET_F_MRG_RXBUF },
	{ "status", VIRTIO_NET_F_STATUS },
	{ "ctrl_vq", VIRTIO_NET_F_CTRL_VQ },
	{ "ctrl_rx", VIRTIO_NET_F_CTRL_RX },
	{ "ctrl_vlan", VIRTIO_NET_F_CTRL_VLAN },
	{ "ctrl_rx_extra", VIRTIO_NET_F_CTRL_RX_EXTRA },
	{ "mq", VIRTIO_NET_F_MQ },
	{ "ctrl_mac_addr", VIRTIO_NET_F_CTRL_MAC_ADDR },
	{ "guest_uso4", VIRTIO_NET_F_GUEST_USO4 },
	{ "guest_uso6", VIRTIO_NET_F_GUEST_USO6 },
	{ "host_uso", VIRTIO_NET_F_HOST_USO },
	{ NULL, 0 },
};

uint64_t net_features(const struct net *net, uint16_t mtu)
{
	uint64_t features = netif_info(net->nif)->features | VBIT(VIRTIO_NET_F_MAC) |
			    VBIT(VIRTIO_NET_F_STATUS) | VBIT(VIRTIO_NET_F_MRG_RXBUF) |
			    VBIT(VIRTIO_NET_F_CTRL_VQ) | VBIT(VIRTIO_NET_F_CTRL_RX) |
			    VBIT(VIRTIO_NET_F_CTRL_RX_EXTRA) | VBIT(VIRTIO_NET_F_CTRL_VLAN) |
			    VBIT(VIRTIO_NET_F_CTRL_MAC_ADDR);

	if (features & NET_GUEST_OFFLOADS)
		features |= VBIT(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS);
	if (mtu)
		features |= VBIT(VIRTIO_NET_F_MTU);
	if (net->pairs > 1)
		features |= VBIT(VIRTIO_NET_F_MQ);
	return features;
}
