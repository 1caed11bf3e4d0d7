// SPDX-License-Identifier: GPL-2.0-only
/*
 * net_rx: packets from the back end into the driver's buffers (5.1.6.3, 5.1.6.4).
 *
 * A packet is read straight into guest buffers but for its first bytes, which the filter looks at,
 * and for what the buffers popped so far can't hold. If it is longer than they are, it is gathered in
 * rx->frame and delivered from there when there are buffers enough, so that none is lost to slowness.
 * Buffers are popped ahead into a window: each crosses the ring's door once, whatever the packets.
 *
 * Runs on: the pair's loop.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "virtio/net.h"

/* Packets in one turn, before others on the loop have theirs. */
#define RX_TURN 64
/* Pieces of guest buffers for one read; the rest of a packet goes by way of rx->frame. */
#define RX_PIECES 64
/* How long a packet waits for buffers when the driver has too few, and with it all others. */
#define RX_PATIENCE_NS (50 * 1000000ULL)

static struct virtq *rx_queue(const struct net_rx *rx)
{
	return vdev_queue(&rx->net->dev, net_rxq(rx->pair));
}

/* --- buffers ---------------------------------------------------------------------------------- */

static bool merges(const struct net_rx *rx)
{
	return vdev_has(&rx->net->dev, VIRTIO_NET_F_MRG_RXBUF);
}

/* Pops until the window has room for want bytes; without MRG_RXBUF a packet has one buffer. */
static bool refill(struct net_rx *rx, size_t want)
{
	struct net *net = rx->net;
	struct vreq *r;

	while (rx->room < want && rx->n_window < (merges(rx) ? rx->cap_window : 1)) {
		r = virtq_pop(rx_queue(rx));
		if (!r)
			break;
		if (r->in.left < net->hdr_len) {
			vdev_fail(&net->dev, "receive buffer of %zu bytes, less than a packet header",
				  r->in.left);
			return false;
		}
		rx->window[rx->n_window++] = r;
		rx->room += r->in.left;
	}
	return rx->n_window && !net->dev.failed;
}

/* What is likely to come next: whole TCP segments only when the driver lets us merge them. */
static size_t likely(const struct net_rx *rx)
{
	const struct net *net = rx->net;

	if (rx->rules.offload & (NET_GUEST_OFFLOADS & ~VBIT(VIRTIO_NET_F_GUEST_CSUM)))
		return net->hdr_len + NETIF_FRAME_MAX;
	return net->hdr_len + net->max_frame + VLAN_TAG;
}

/* No buffers: packets stay in the back end until the driver rings. */
static void stall(struct net_rx *rx)
{
	netif_want_read(rx->net->nif, rx->pair, false);
	vdev_listen(&rx->net->dev, net_rxq(rx->pair));
}

/* --- delivery --------------------------------------------------------------------------------- */

/*
 * Stores the next take bytes of header + frame, from byte pos of them, in one buffer. The bytes
 * [RX_HEAD, RX_HEAD + direct) of the frame are there already.
 */
static void store(struct net_rx *rx, struct vwriter *wr, size_t pos, size_t take, size_t direct)
{
	const size_t hdr_len = rx->net->hdr_len, in_place = hdr_len + RX_HEAD;

	while (take) {
		size_t n = take;

		if (pos < hdr_len) {
			n = hdr_len - pos < n ? hdr_len - pos : n;
			vwrite(wr, (uint8_t *)&rx->hdr + pos, n);
		} else if (pos < in_place) {
			n = in_place - pos < n ? in_place - pos : n;
			vwrite(wr, rx->frame + (pos - hdr_len), n);
		} else if (pos < in_place + direct) {
			n = in_place + direct - pos < n ? in_place + direct - pos : n;
			vwriter_commit(wr, n);
		} else {
			vwrite(wr, rx->frame + (pos - hdr_len), n);
		}
		pos += n;
		take -= n;
	}
}

/* A frame of len bytes, which the window has room for: all its buffers become used together. */
static void deliver(struct net_rx *rx, size_t len, size_t direct)
{
	const size_t total = rx->net->hdr_len + len;
	unsigned n = 0;
	size_t pos = 0;

	for (size_t sum = 0; sum < total; n++)
		sum += rx->window[n]->in.left;
	rx->hdr.num_buffers = (uint16_t)n;
	for (unsigned i = 0; i < n; i++) {
		struct vreq *r = rx->window[i];
		size_t take = total - pos < r->in.left ? total - pos : r->in.left;

		rx->room -= r->in.left;
		store(rx, &r->in, pos, take, direct);
		virtq_push(rx_queue(rx), r);
		pos += take;
	}
	rx->n_window -= n;
	for (unsigned i = 0; i < rx->n_window; i++)
		rx->window[i] = rx->window[i + n];
	rx->packets++;
}

/* --- packets ---------------------------------------------------------------------------------- */

static bool gso_allowed(uint64_t offload, uint8_t type)
{
	uint64_t needs;

	switch (type & ~NET_GSO_ECN) {
	case NET_GSO_TCPV4:
		needs = VBIT(VIRTIO_NET_F_GUEST_TSO4);
		break;
	case NET_GSO_TCPV6:
		needs = VBIT(VIRTIO_NET_F_GUEST_TSO6);
		break;
	case NET_GSO_UDP:
		needs = VBIT(VIRTIO_NET_F_GUEST_UFO);
		break;
	case NET_GSO_UDP_L4:
		needs = VBIT(VIRTIO_NET_F_GUEST_USO4) | VBIT(VIRTIO_NET_F_GUEST_USO6);
		break;
	default:
		return false;
	}
	return offload & needs &&
	       (!(type & NET_GSO_ECN) || offload & VBIT(VIRTIO_NET_F_GUEST_ECN));
}

/*
 * A packet may have been queued by the host under offloads that are no longer in force; the driver
 * must not see those, and they can't be undone here.
 */
static bool header_ok(const struct net_rx *rx, struct netif_hdr *h, const uint8_t *frame, size_t len)
{
	uint64_t offload = rx->rules.offload;
	size_t max = rx->net->max_frame;

	if (!(offload & VBIT(VIRTIO_NET_F_GUEST_CSUM))) {
		if (h->flags & NET_HDR_NEEDS_CSUM)
			return false;
		h->flags = 0;
	}
	h->flags &= NET_HDR_NEEDS_CSUM | NET_HDR_DATA_VALID;
	if (h->gso_type != NET_GSO_NONE)
		return gso_allowed(offload, h->gso_type) && h->gso_size &&
		       h->flags & NET_HDR_NEEDS_CSUM && h->hdr_len <= len;
	h->hdr_len = h->gso_size = 0;
	if (frame[12] == 0x81 && frame[13] == 0)
		max += VLAN_TAG;
	return len <= max || !vdev_has(&rx->net->dev, VIRTIO_NET_F_MTU);
}

/* The window's buffers as an iovec, behind what the header and the frame's head take. */
static int window_iov(struct net_rx *rx, struct iovec *iov, int cap, size_t *direct)
{
	size_t skip = rx->net->hdr_len + RX_HEAD;
	int n = 0;

	*direct = 0;
	for (unsigned i = 0; i < rx->n_window && *direct < NETIF_FRAME_MAX; i++) {
		struct vwriter wr = rx->window[i]->in;
		size_t part = skip < wr.left ? skip : wr.left;
		int got;

		vwriter_commit(&wr, part);
		skip -= part;
		if (!wr.left)
			continue;
		part = NETIF_FRAME_MAX - *direct < wr.left ? NETIF_FRAME_MAX - *direct : wr.left;
		got = vwriter_iov(&wr, part, iov + n, cap - n);
		if (got < 0)
			break;
		n += got;
		*direct += part;
	}
	return n;
}

/* The part that went to guest buffers, back into rx->frame: they are too short for the rest. */
static void gather(struct net_rx *rx, const struct iovec *iov, int n)
{
	uint8_t *to = rx->frame + RX_HEAD;

	for (int i = 0; i < n; i++) {
		memcpy(to, iov[i].iov_base, iov[i].iov_len);
		to += iov[i].iov_len;
	}
}

/* Reads one packet and delivers it, drops it, or leaves it pending. False: there was none. */
static bool receive(struct net_rx *rx)
{
	struct net *net = rx->net;
	struct iovec iov[2 + RX_PIECES + 1];
	size_t direct, len;
	ssize_t got;
	int n;

	iov[0] = (struct iovec){ &rx->hdr, NETIF_HDR };
	iov[1] = (struct iovec){ rx->frame, RX_HEAD };
	n = window_iov(rx, iov + 2, RX_PIECES, &direct);
	iov[2 + n] = (struct iovec){ rx->frame + RX_HEAD + direct, NETIF_FRAME_MAX - direct };
	got = netif_recv(net->nif, rx->pair, iov, 3 + n);
	if (got <= 0)
		return false;
	len = (size_t)got - NETIF_HDR;
	if (got < NETIF_HDR + ETH_HEADER || len > NETIF_FRAME_MAX || !rx->running ||
	    !header_ok(rx, &rx->hdr, rx->frame, len) ||
	    !net_filter_pass(&rx->rules.filter, rx->rules.mac, rx->frame, len)) {
		rx->dropped++;
	} else if (net->hdr_len + len <= rx->room) {
		deliver(rx, len, direct);
	} else {
		gather(rx, iov + 2, n);
		rx->pending = len;
	}
	return true;
}

/* Delivers what is pending. False: it still waits. */
static bool settle(struct net_rx *rx)
{
	struct net *net = rx->net;

	if (!rx->pending)
		return true;
	if (refill(rx, net->hdr_len + rx->pending) && net->hdr_len + rx->pending <= rx->room)
		deliver(rx, rx->pending, 0);
	else if (merges(rx) && !net->dev.failed && rx->n_window < rx->cap_window)
		return false;
	else
		rx->dropped++; /* no other buffer can help */
	rx->pending = 0;
	loop_timer_cancel(rx->loop, &rx->patience);
	return true;
}

/* The driver gave no more buffers; perhaps it has none, as all it has are in our window. */
static void give_up(void *opaque)
{
	struct net_rx *rx = opaque;

	rx->pending = 0;
	rx->dropped++;
	vdev_rekick(&rx->net->dev, net_rxq(rx->pair));
}

void net_rx_run(struct net_rx *rx)
{
	struct net *net = rx->net;

	for (int turn = RX_TURN; turn; turn--) {
		if (rx->running && !settle(rx)) {
			if (!rx->patience.armed)
				loop_timer_set(rx->loop, &rx->patience, RX_PATIENCE_NS);
			stall(rx);
			return;
		}
		if (rx->running && !refill(rx, likely(rx))) {
			stall(rx);
			return;
		}
		netif_want_read(net->nif, rx->pair, true);
		if (!receive(rx))
			return;
	}
	if (rx->running)
		vdev_rekick(&net->dev, net_rxq(rx->pair));
}

/* --- life ------------------------------------------------------------------------------------- */

int net_rx_start(struct net_rx *rx, unsigned entries)
{
	rx->window = calloc(entries, sizeof(void *));
	if (!rx->window)
		return -ENOMEM;
	rx->cap_window = entries;
	rx->patience.fire = give_up;
	rx->patience.opaque = rx;
	rx->running = true;
	return 0;
}

/* The buffers in the window go back with the ring, unused. */
void net_rx_stop(struct net_rx *rx)
{
	if (!rx->running)
		return;
	loop_timer_cancel(rx->loop, &rx->patience);
	rx->running = false;
	rx->pending = rx->n_window = 0;
	rx->room = 0;
	free(rx->window);
	rx->window = NULL;
}
