// SPDX-License-Identifier: GPL-2.0-only
/*
 * tap: packets to and from a tap interface of the host, without a copy of ours in between.
 *
 * Runs on: the queue's loop (want_read, watch, send, recv), home (all else); close on main.
 */
#include "net/tap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lkvm/log.h"

static struct tap *to_tap(struct netif *nif)
{
	return (struct tap *)nif;
}

/* --- data path -------------------------------------------------------------------------------- */

static ssize_t tap_send(struct netif *nif, unsigned queue, const struct iovec *iov, int n)
{
	struct tap_queue *tq = &to_tap(nif)->queue[queue];
	ssize_t len = writev(tq->fd.fd, iov, n);

	if (len >= 0)
		return len;
	if (errno != EAGAIN)
		return -errno;
	tq->blocked = true;
	if (tq->fd.added)
		loop_mod(netif_loop(nif, queue), &tq->fd, (tq->want ? EPOLLIN : 0) | EPOLLOUT);
	return -EAGAIN;
}

static ssize_t tap_recv(struct netif *nif, unsigned queue, const struct iovec *iov, int n)
{
	ssize_t len = readv(to_tap(nif)->queue[queue].fd.fd, iov, n);

	if (len >= 0)
		return len;
	return errno == EAGAIN ? 0 : -errno;
}

static void tap_want_read(struct netif *nif, unsigned queue, bool want)
{
	struct tap_queue *tq = &to_tap(nif)->queue[queue];

	if (tq->want == want)
		return;
	tq->want = want;
	if (tq->fd.added)
		loop_mod(netif_loop(nif, queue), &tq->fd,
			 (want ? EPOLLIN : 0) | (tq->blocked ? EPOLLOUT : 0));
}

/* EPOLLERR: the interface was deleted under us. Each queue sees it, on its own loop. */
static void tap_died(struct tap_queue *tq)
{
	struct tap *tap = tq->tap;

	loop_del(netif_loop(&tap->nif, tq->index), &tq->fd);
	if (atomic_exchange(&tap->dead, true))
		return;
	log_err(tap->nif.name, "the tap interface %s was deleted", tap->ifname);
	tap->nif.user.died(tap->nif.user.opaque);
}

static void tap_ready(void *opaque, uint32_t events)
{
	struct tap_queue *tq = opaque;
	struct tap *tap = tq->tap;
	const struct netif_user *user = &tap->nif.user;

	if (events & EPOLLERR) {
		tap_died(tq);
		return;
	}
	if (events & EPOLLOUT && tq->blocked) {
		tq->blocked = false;
		loop_mod(netif_loop(&tap->nif, tq->index), &tq->fd, tq->want ? EPOLLIN : 0);
		user->writable(user->opaque, tq->index);
	}
	if (events & EPOLLIN && tq->want)
		user->readable(user->opaque, tq->index);
}

/* --- offloads --------------------------------------------------------------------------------- */

/* The kernel takes TSO only with checksums, ECN only with TSO, and USO only for both families. */
static unsigned tun_offload(uint64_t features)
{
	const uint64_t uso = NETIF_BIT(NETIF_F_GUEST_USO4) | NETIF_BIT(NETIF_F_GUEST_USO6);
	unsigned tun = 0;

	if (!(features & NETIF_BIT(NETIF_F_GUEST_CSUM)))
		return 0;
	tun |= TUN_F_CSUM;
	if (features & NETIF_BIT(NETIF_F_GUEST_TSO4))
		tun |= TUN_F_TSO4;
	if (features & NETIF_BIT(NETIF_F_GUEST_TSO6))
		tun |= TUN_F_TSO6;
	if (features & NETIF_BIT(NETIF_F_GUEST_ECN) && tun & (TUN_F_TSO4 | TUN_F_TSO6))
		tun |= TUN_F_TSO_ECN;
	if (features & NETIF_BIT(NETIF_F_GUEST_UFO))
		tun |= TUN_F_UFO;
	if ((features & uso) == uso)
		tun |= TUN_F_USO4 | TUN_F_USO6;
	return tun;
}

static int tap_offload(struct netif *nif, uint64_t features)
{
	return ioctl(to_tap(nif)->queue[0].fd.fd, TUNSETOFFLOAD, tun_offload(features)) ? -errno : 0;
}

/* --- for vhost-net ---------------------------------------------------------------------------- */

static int tap_queue_fd(const struct netif *nif, unsigned queue)
{
	return ((const struct tap *)nif)->queue[queue].fd.fd;
}

/* A tun interface has one for all its queues, a macvtap one for each. */
static int tap_header(struct netif *nif, unsigned len)
{
	const int size = (int)len;

	for (unsigned i = 0; i < to_tap(nif)->n; i++)
		if (!to_tap(nif)->queue[i].detached &&
		    ioctl(to_tap(nif)->queue[i].fd.fd, TUNSETVNETHDRSZ, &size))
			return -errno;
	return 0;
}

/* --- queues ----------------------------------------------------------------------------------- */

static int queue_attach(struct tap_queue *tq)
{
	struct ifreq ifr = { .ifr_flags = IFF_ATTACH_QUEUE };

	if (tq->detached && ioctl(tq->fd.fd, TUNSETQUEUE, &ifr))
		return -errno;
	tq->detached = false;
	return 0;
}

/* A detached queue polls as broken, so it has been unwatched before. */
static int queue_detach(struct tap_queue *tq)
{
	struct ifreq ifr = { .ifr_flags = IFF_DETACH_QUEUE };

	if (tq->detached)
		return 0;
	if (ioctl(tq->fd.fd, TUNSETQUEUE, &ifr))
		return -errno;
	tq->detached = true;
	return 0;
}

static int queue_watch(struct tap_queue *tq)
{
	tq->fd.ready = tap_ready;
	tq->fd.opaque = tq;
	return tq->fd.added ? 0 : loop_add(netif_loop(&tq->tap->nif, tq->index), &tq->fd,
					   (tq->want ? EPOLLIN : 0) |
						   (tq->blocked ? EPOLLOUT : 0));
}

static void watch_failed(struct tap *tap, int err)
{
	log_err(tap->nif.name, "cannot watch the tap interface %s: %s", tap->ifname, strerror(-err));
}

static void tap_watch(struct netif *nif, unsigned queue, bool on)
{
	struct tap *tap = to_tap(nif);
	int err = 0;

	if (!on)
		loop_del(netif_loop(nif, queue), &tap->queue[queue].fd);
	else if (!tap->dead)
		err = queue_watch(&tap->queue[queue]);
	if (err)
		watch_failed(tap, err);
}

static int tap_spread(struct netif *nif, unsigned n)
{
	struct tap *tap = to_tap(nif);
	int err = 0;

	if (tap->dead)
		return -ENODEV;
	for (unsigned i = 1; i < tap->n && !err; i++)
		err = i < n ? queue_attach(&tap->queue[i]) : queue_detach(&tap->queue[i]);
	return err;
}

static void link_changed(void *opaque, bool up)
{
	struct tap *tap = opaque;

	tap->nif.user.link(tap->nif.user.opaque, up);
}

static void tap_detach(struct netif *nif)
{
	struct tap *tap = to_tap(nif);

	for (unsigned i = 0; i < tap->n; i++)
		loop_del(netif_loop(nif, i), &tap->queue[i].fd);
	link_watch_stop(&tap->link);
}

static int tap_attach(struct netif *nif)
{
	struct tap *tap = to_tap(nif);
	int err = queue_watch(&tap->queue[0]);

	if (!err && nif->info.link) {
		tap->link.changed = link_changed;
		tap->link.opaque = tap;
		err = link_watch_start(&tap->link, nif->loop, tap->ifname);
		if (!err)
			link_changed(tap, tap->link.up);
	}
	if (err) {
		watch_failed(tap, err);
		tap_detach(nif);
	}
	return err;
}

static void tap_close(struct netif *nif)
{
	struct tap *tap = to_tap(nif);

	for (unsigned i = 0; i < tap->n; i++)
		close(tap->queue[i].fd.fd);
	free(tap);
}

const struct netif_ops tap_ops = {
	.close = tap_close,
	.attach = tap_attach,
	.detach = tap_detach,
	.want_read = tap_want_read,
	.offload = tap_offload,
	.spread = tap_spread,
	.watch = tap_watch,
	.queue_fd = tap_queue_fd,
	.header = tap_header,
	.send = tap_send,
	.recv = tap_recv,
};
