// SPDX-License-Identifier: GPL-2.0-only
/*
 * netif: picks the back end for a mode and passes calls on to it; mode none is here: a sink.
 *
 * Runs on: main (open, close), the queue's loop (want_read, watch, send, recv), home (all else).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lkvm/log.h"
#include "net/netif_ops.h"

/* --- none: swallows what is sent, has nothing to receive ------------------------------------- */

static void none_close(struct netif *nif)
{
	free(nif);
}

static int none_attach(struct netif *nif)
{
	(void)nif;
	return 0;
}

static void none_detach(struct netif *nif)
{
	(void)nif;
}

static void none_want_read(struct netif *nif, unsigned queue, bool want)
{
	(void)nif, (void)queue, (void)want;
}

static ssize_t none_send(struct netif *nif, unsigned queue, const struct iovec *iov, int n)
{
	ssize_t len = 0;

	(void)nif, (void)queue;
	for (int i = 0; i < n; i++)
		len += (ssize_t)iov[i].iov_len;
	return len;
}

static ssize_t none_recv(struct netif *nif, unsigned queue, const struct iovec *iov, int n)
{
	(void)nif, (void)queue, (void)iov, (void)n;
	return 0;
}

static const struct netif_ops none_ops = {
	.close = none_close,
	.attach = none_attach,
	.detach = none_detach,
	.want_read = none_want_read,
	.send = none_send,
	.recv = none_recv,
};

static struct netif *none_open(const char *name, const struct netif_conf *conf)
{
	struct netif *nif = calloc(1, sizeof(*nif));

	(void)conf;
	if (!nif) {
		log_err(name, "out of memory");
		return NULL;
	}
	nif->ops = &none_ops;
	nif->info.queues = 1;
	return nif;
}

/* --- dispatch --------------------------------------------------------------------------------- */

struct netif *netif_open(const char *name, const struct netif_conf *conf)
{
	static struct netif *(*const open_mode[])(const char *, const struct netif_conf *) = {
		[NETIF_NONE] = none_open,
		[NETIF_TAP] = tap_open,
		[NETIF_USER] = passt_open,
		[NETIF_FD] = tap_open_fd,
	};
	struct netif *nif = open_mode[conf->mode](name, conf);

	if (!nif)
		return NULL;
	snprintf(nif->name, sizeof(nif->name), "%s", name);
	if (conf->queues > nif->info.queues)
		log_warn(name, "queues=%u: only a tap opened by name can have more than one",
			 conf->queues);
	return nif;
}

void netif_close(struct netif *nif)
{
	if (!nif)
		return;
	netif_detach(nif);
	nif->ops->close(nif);
}

const struct netif_info *netif_info(const struct netif *nif)
{
	return &nif->info;
}

void netif_place(struct netif *nif, unsigned queue, struct loop *loop)
{
	nif->place[queue] = loop;
}

int netif_attach(struct netif *nif, struct loop *loop, const struct netif_user *user)
{
	int err;

	nif->loop = loop;
	nif->user = *user;
	err = nif->ops->attach(nif);
	if (err)
		nif->loop = NULL;
	return err;
}

void netif_detach(struct netif *nif)
{
	if (!nif->loop)
		return;
	nif->ops->detach(nif);
	nif->loop = NULL;
}

void netif_want_read(struct netif *nif, unsigned queue, bool want)
{
	if (nif->loop)
		nif->ops->want_read(nif, queue, want);
}

/* A back end without offloads has none to turn off, and promised none. */
int netif_offload(struct netif *nif, uint64_t features)
{
	return nif->ops->offload ? nif->ops->offload(nif, features) : 0;
}

int netif_spread(struct netif *nif, unsigned n)
{
	if (!n || n > nif->info.queues)
		return -EINVAL;
	return nif->ops->spread ? nif->ops->spread(nif, n) : 0;
}

int netif_fd(const struct netif *nif, unsigned queue)
{
	return nif->ops->queue_fd ? nif->ops->queue_fd(nif, queue) : -1;
}

int netif_header(struct netif *nif, unsigned len)
{
	return nif->ops->header ? nif->ops->header(nif, len) : -EOPNOTSUPP;
}

/* A back end with one queue has nothing to join or leave. */
void netif_watch(struct netif *nif, unsigned queue, bool on)
{
	if (nif->loop && nif->ops->watch)
		nif->ops->watch(nif, queue, on);
}

ssize_t netif_send(struct netif *nif, unsigned queue, const struct iovec *iov, int n)
{
	return nif->ops->send(nif, queue, iov, n);
}

ssize_t netif_recv(struct netif *nif, unsigned queue, const struct iovec *iov, int n)
{
	return nif->ops->recv(nif, queue, iov, n);
}
