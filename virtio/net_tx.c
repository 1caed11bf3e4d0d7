// SPDX-License-Identifier: GPL-2.0-only
/*
 * net_tx: packets from the driver's buffers straight to the back end (5.1.6.2).
 *
 * The header is copied, checked and then passed on; the packet itself is read once, by the kernel.
 *
 * Runs on: the pair's loop.
 */
#include <errno.h>

#include "virtio/net.h"

/* Pieces of a packet that are passed on as they are; a driver rarely has more than twenty. */
#define TX_PIECES 64

/*
 * Is it a packet that the driver may send? Flags that aren't known are ignored, hints are made true,
 * and fields that have no meaning without a flag are cleared, so that nobody behind us reads them.
 */
static bool header_ok(const struct net *net, struct netif_hdr *h, size_t len)
{
	static const struct {
		uint8_t type, feature;
	} gso[] = {
		{ NET_GSO_TCPV4, VIRTIO_NET_F_HOST_TSO4 },
		{ NET_GSO_TCPV6, VIRTIO_NET_F_HOST_TSO6 },
		{ NET_GSO_UDP, VIRTIO_NET_F_HOST_UFO },
		{ NET_GSO_UDP_L4, VIRTIO_NET_F_HOST_USO },
	};
	unsigned i = 0;

	if (h->flags & NET_HDR_UDP_TUNNEL_CSUM) /* never without a tunnel, and those aren't offered */
		return false;
	h->flags &= vdev_has(&net->dev, VIRTIO_NET_F_CSUM) ? NET_HDR_NEEDS_CSUM : 0;
	h->num_buffers = 0;
	if (h->flags) {
		if ((size_t)h->csum_start + h->csum_offset + 2 > len)
			return false;
	} else {
		h->csum_start = h->csum_offset = 0;
	}
	if (h->gso_type == NET_GSO_NONE) {
		h->hdr_len = h->gso_size = 0;
		return true;
	}
	if (h->gso_type & NET_GSO_ECN && !vdev_has(&net->dev, VIRTIO_NET_F_HOST_ECN))
		return false;
	while (i < 4 && gso[i].type != (h->gso_type & ~NET_GSO_ECN))
		i++;
	if (i == 4 || !vdev_has(&net->dev, gso[i].feature) || !h->gso_size || !h->flags)
		return false;
	if (h->hdr_len > len)
		h->hdr_len = (uint16_t)len;
	return true;
}

/* 0: sent or dropped; -EAGAIN: the back end has no room. */
static int send_one(struct net_tx *tx, const struct vreq *r)
{
	struct net *net = tx->net;
	struct iovec iov[1 + TX_PIECES];
	struct vreader rd = r->out; /* r stays as it is, in case it is given back */
	struct netif_hdr h = { 0 };
	size_t len;
	ssize_t sent;
	int n;

	if (!vread(&rd, &h, net->hdr_len))
		goto drop;
	len = rd.left;
	if (len < ETH_HEADER || len > NETIF_FRAME_MAX || !header_ok(net, &h, len))
		goto drop;
	iov[0] = (struct iovec){ &h, sizeof(h) };
	n = vreader_iov(&rd, len, iov + 1, TX_PIECES);
	if (n < 0) {
		vread(&rd, tx->bounce, len);
		iov[1] = (struct iovec){ tx->bounce, len };
		n = 1;
	}
	sent = netif_send(net->nif, tx->pair, iov, 1 + n);
	if (sent == -EAGAIN)
		return -EAGAIN;
	if (sent < 0)
		goto drop;
	tx->packets++;
	return 0;
drop:
	tx->dropped++;
	return 0;
}

void net_tx_run(struct net_tx *tx)
{
	struct net *net = tx->net;
	struct virtq *q = vdev_queue(&net->dev, net_txq(tx->pair));
	struct vreq *r;

	while (!tx->blocked && vdev_budget(&net->dev, net_txq(tx->pair)) && (r = virtq_pop(q))) {
		if (send_one(tx, r)) {
			tx->blocked = true;
			virtq_unpop(q, r);
			return;
		}
		virtq_push(q, r);
	}
}
