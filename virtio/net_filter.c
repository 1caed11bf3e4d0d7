// SPDX-License-Identifier: GPL-2.0-only
/*
 * net_filter: which incoming packets the driver wants: by kind, by address, by VLAN.
 *
 * Runs on: loop.
 */
#include <string.h>

#include "virtio/net.h"

#define ETHERTYPE_VLAN 0x8100

void net_filter_reset(struct net_filter *f, uint64_t features)
{
	memset(f, 0, sizeof(*f));
	f->active = features & VBIT(VIRTIO_NET_F_CTRL_RX);
	f->vlan_active = features & VBIT(VIRTIO_NET_F_CTRL_VLAN);
}

void net_filter_vlan(struct net_filter *f, uint16_t id, bool add)
{
	if (add)
		f->vlan[id / 8] |= (uint8_t)(1 << id % 8);
	else
		f->vlan[id / 8] &= (uint8_t) ~(1 << id % 8);
}

static bool vlan_pass(const struct net_filter *f, const uint8_t *frame, size_t len)
{
	unsigned id;

	if (!f->vlan_active || len < ETH_HEADER + VLAN_TAG ||
	    (frame[12] << 8 | frame[13]) != ETHERTYPE_VLAN)
		return true;
	id = (frame[14] << 8 | frame[15]) & 0xfff;
	return f->vlan[id / 8] >> id % 8 & 1;
}

static bool listed(const struct net_addrs *a, const uint8_t *addr)
{
	if (a->overflow)
		return true;
	for (unsigned i = 0; i < a->n; i++)
		if (!memcmp(a->addr[i], addr, 6))
			return true;
	return false;
}

/* The modes that keep packets out win over those that let them in, but promiscuous over all. */
bool net_filter_pass(const struct net_filter *f, const uint8_t mac[6], const uint8_t *frame,
		     size_t len)
{
	static const uint8_t broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

	if (f->active && f->promisc)
		return true;
	if (!vlan_pass(f, frame, len))
		return false;
	if (!f->active)
		return true;
	if (!memcmp(frame, broadcast, 6))
		return !f->nobcast;
	if (frame[0] & 1)
		return !f->nomulti && (f->allmulti || listed(&f->multi, frame));
	return !f->nouni && (f->alluni || !memcmp(frame, mac, 6) || listed(&f->uni, frame));
}
