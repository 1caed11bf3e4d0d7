// SPDX-License-Identifier: GPL-2.0-only
/*
 * passt: user-mode networking: packets to and from a passt process over a socket pair, so that
 * neither root nor anything on the file system is needed.
 *
 * passt ends by itself when its socket closes, so it goes with us however we end, SIGKILL included.
 * (A parent-death signal would be lost: passt changes its credentials on the way into its sandbox.)
 *
 * Runs on: loop; open and close on main.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lkvm/log.h"
#include "net/child.h"
#include "net/frames.h"
#include "net/netif_ops.h"
#include "net/passt.h"

/* What passt tells its guests by default: the most that fits a frame of 65535 bytes. */
#define PASST_MTU 65520
#define ETH_HEADER 14
/* passt is ready some ten milliseconds after its start; a slow host gets more. */
#define READY_MS 3000

struct passt {
	struct netif nif;
	int fd;	    /* our end of the socket pair */
	int err_fd; /* what passt says; read for its last words */
	pid_t pid;  /* 0: not running */
	uint8_t mac[6];
	struct frames frames;
	struct loop_fd watch, err_watch;
	struct loop_task flush; /* end of turn: one send for all frames of the turn */
	bool want, blocked, dead;
	char said[256]; /* its last line */
};

static struct passt *to_passt(struct netif *nif)
{
	return (struct passt *)nif;
}

/* --- its words and its end -------------------------------------------------------------------- */

/* Without a system logger passt complains about that for each line: not news. */
static void heard_line(struct passt *p, char *line)
{
	if (!*line || !strncmp(line, "Failed to send ", 15) || strstr(line, "Don't run as root"))
		return;
	for (char *c = line; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = ' ';
	log_dbg(p->nif.name, "passt: %s", line);
	snprintf(p->said, sizeof(p->said), "%s", line);
}

static bool hear(struct passt *p)
{
	char buf[1024], *line = buf, *end;
	ssize_t n = read(p->err_fd, buf, sizeof(buf) - 1);

	if (n <= 0)
		return n < 0 && errno == EAGAIN;
	buf[n] = '\0';
	while ((end = strchr(line, '\n'))) {
		*end = '\0';
		heard_line(p, line);
		line = end + 1;
	}
	heard_line(p, line);
	return true;
}

static void err_ready(void *opaque, uint32_t events)
{
	struct passt *p = opaque;

	(void)events;
	if (!hear(p))
		loop_del(p->nif.loop, &p->err_watch);
}

/* Reaps it and says why it ended. The pipe has all its last words by then. */
static void bury(struct passt *p, const char *consequence)
{
	int status = child_wait(p->pid, 200);

	p->pid = 0;
	for (int i = 0; i < 64 && poll(&(struct pollfd){ .fd = p->err_fd, .events = POLLIN }, 1, 0) > 0;
	     i++)
		if (!hear(p))
			break;
	log_err(p->nif.name, "passt ended (%s)%s%s%s", child_verdict(status), *p->said ? ": " : "",
		p->said, consequence);
}

static void died(struct passt *p)
{
	if (p->dead)
		return;
	p->dead = true;
	loop_undefer(p->nif.loop, &p->flush);
	loop_del(p->nif.loop, &p->watch);
	loop_del(p->nif.loop, &p->err_watch);
	bury(p, "; the guest has no network any more");
	p->nif.user.died(p->nif.user.opaque);
}

/* --- data path -------------------------------------------------------------------------------- */

static void update_watch(struct passt *p)
{
	uint32_t events = (p->want ? EPOLLIN : 0) | (p->frames.out_end > p->frames.out_start ? EPOLLOUT : 0);

	if (p->watch.added)
		loop_mod(p->nif.loop, &p->watch, events);
}

/* What the socket doesn't take now goes when it is writable. */
static void flush_frames(void *opaque)
{
	struct passt *p = opaque;
	int err = p->dead ? 0 : frames_flush(&p->frames);

	if (err == -EAGAIN)
		update_watch(p);
	else if (err)
		died(p);
}

static ssize_t passt_send(struct netif *nif, unsigned queue, const struct iovec *iov, int n)
{
	struct passt *p = to_passt(nif);
	size_t len = 0;
	int err;

	(void)queue;
	if (p->dead)
		return -EPIPE;
	for (int i = 1; i < n; i++) /* iov[0] is the header, which says nothing here */
		len += iov[i].iov_len;
	err = frames_put(&p->frames, iov + 1, n - 1, len);
	if (err == -EAGAIN) {
		frames_flush(&p->frames); /* an error is seen again by the one below */
		err = frames_put(&p->frames, iov + 1, n - 1, len);
	}
	if (err == -EAGAIN) {
		p->blocked = true;
		update_watch(p);
	}
	if (err)
		return err;
	loop_defer(nif->loop, &p->flush);
	return (ssize_t)(NETIF_HDR + len);
}

static ssize_t passt_recv(struct netif *nif, unsigned queue, const struct iovec *iov, int n)
{
	static const struct netif_hdr hdr;
	struct passt *p = to_passt(nif);
	const uint8_t *frame;
	ssize_t len = p->dead ? 0 : frames_next(&p->frames, &frame);
	size_t left;

	(void)queue;
	if (len < 0) {
		log_err(nif->name, "passt sent a frame of no sensible length");
		died(p);
		return 0;
	}
	if (!len)
		return 0;
	memcpy(iov[0].iov_base, &hdr, NETIF_HDR);
	left = (size_t)len;
	for (int i = 1; i < n && left; i++) {
		size_t part = left < iov[i].iov_len ? left : iov[i].iov_len;
		memcpy(iov[i].iov_base, frame, part);
		frame += part;
		left -= part;
	}
	return NETIF_HDR + len;
}

static void passt_want_read(struct netif *nif, unsigned queue, bool want)
{
	struct passt *p = to_passt(nif);

	(void)queue;
	if (p->want == want)
		return;
	p->want = want;
	update_watch(p);
}

static void ready(void *opaque, uint32_t events)
{
	struct passt *p = opaque;
	const struct netif_user *user = &p->nif.user;
	int err = 0;

	if (events & EPOLLOUT) {
		flush_frames(p);
		if (!p->dead)
			update_watch(p);
		if (!p->dead && p->blocked && p->frames.out_end == p->frames.out_start) {
			p->blocked = false;
			user->writable(user->opaque, 0);
		}
	}
	if (!p->dead && events & EPOLLIN && p->want) {
		err = frames_fill(&p->frames);
		user->readable(user->opaque, 0);
	}
	/* Without EPOLLIN being watched a hang-up still shows; what it sent before stays unread. */
	if (!p->dead && ((err && err != -EAGAIN) || (events & (EPOLLHUP | EPOLLERR) && !p->want)))
		died(p);
}

/* --- coming and going ------------------------------------------------------------------------- */

/*
 * passt has no sign for being ready, and one that can't start (a published port is taken) would end
 * some time after the guest began. It answers ARP requests for about any address, so we ask one, from
 * the guest's address, which it thereby learns.
 */
static int ask_arp(struct passt *p)
{
	uint8_t frame[60] = {
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0x08, 0x06, /* Ethernet */
		0, 1, 0x08, 0, 6, 4, 0, 1,					  /* request */
		0, 0, 0, 0, 0, 0, 169, 254, 0, 1,				  /* from */
		0, 0, 0, 0, 0, 0, 169, 254, 0, 2,				  /* about */
	};
	const struct iovec iov = { .iov_base = frame, .iov_len = sizeof(frame) };

	memcpy(frame + 6, p->mac, 6);
	memcpy(frame + 22, p->mac, 6);
	frames_put(&p->frames, &iov, 1, sizeof(frame));
	return frames_flush(&p->frames);
}

static int wait_ready(struct passt *p)
{
	struct pollfd pfd[2] = { { .fd = p->fd, .events = POLLIN },
				 { .fd = p->err_fd, .events = POLLIN } };
	uint64_t end = loop_now() + READY_MS * 1000000ULL, now;
	const uint8_t *frame;
	int err = ask_arp(p);

	while (!err && (now = loop_now()) < end) {
		if (poll(pfd, 2, (int)((end - now) / 1000000) + 1) < 0 && errno != EINTR)
			return -errno;
		if (pfd[1].revents && !hear(p))
			pfd[1].fd = -1;
		if (!pfd[0].revents)
			continue;
		err = frames_fill(&p->frames);
		if (err == -EAGAIN)
			err = 0;
		if (!err && frames_next(&p->frames, &frame) > 0)
			return 0;
	}
	return err; /* 0: slow, or IPv6 only; its end would still be seen */
}

static int passt_attach(struct netif *nif)
{
	struct passt *p = to_passt(nif);
	int err = wait_ready(p);

	if (err) {
		bury(p, strstr(p->said, "bind") ? ". Fix: another port with publish=, or end what has "
						  "this one" : "");
		p->dead = true;
		return -EPIPE;
	}
	p->watch = (struct loop_fd){ .fd = p->fd, .ready = ready, .opaque = p };
	p->err_watch = (struct loop_fd){ .fd = p->err_fd, .ready = err_ready, .opaque = p };
	p->flush = (struct loop_task){ .run = flush_frames, .opaque = p };
	err = loop_add(nif->loop, &p->watch, 0);
	if (!err)
		err = loop_add(nif->loop, &p->err_watch, EPOLLIN);
	if (err) {
		loop_del(nif->loop, &p->watch);
		log_err(nif->name, "cannot watch passt's socket: %s", strerror(-err));
	}
	return err;
}

static void passt_detach(struct netif *nif)
{
	struct passt *p = to_passt(nif);

	loop_undefer(nif->loop, &p->flush);
	loop_del(nif->loop, &p->watch);
	loop_del(nif->loop, &p->err_watch);
}

static void passt_close(struct netif *nif)
{
	struct passt *p = to_passt(nif);

	if (p->fd >= 0)
		close(p->fd);
	if (p->pid)
		child_wait(p->pid, 200);
	if (p->err_fd >= 0)
		close(p->err_fd);
	frames_fini(&p->frames);
	free(p);
}

static const struct netif_ops passt_ops = {
	.close = passt_close,
	.attach = passt_attach,
	.detach = passt_detach,
	.want_read = passt_want_read,
	.send = passt_send,
	.recv = passt_recv,
};

/* A full pipe must stop neither passt nor us: both ends don't block, and what doesn't fit is lost. */
static int start(struct passt *p, const struct passt_args *args)
{
	int sock[2], err_pipe[2], err;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sock))
		return -errno;
	p->fd = sock[0];
	if (pipe2(err_pipe, O_CLOEXEC | O_NONBLOCK)) {
		err = -errno;
		goto out;
	}
	p->err_fd = err_pipe[0];
	err = child_start(args->argv, sock[1], err_pipe[1], &p->pid);
	close(err_pipe[1]);
out:
	close(sock[1]);
	return err;
}

struct netif *passt_open(const char *name, const struct netif_conf *conf)
{
	static const uint8_t some_mac[6] = { 0x02, 0, 0, 0, 0, 1 };
	struct passt_args args = { 0 };
	struct passt *p = calloc(1, sizeof(*p));
	int err;

	if (!p || frames_init(&p->frames, -1)) {
		log_err(name, "out of memory");
		free(p);
		return NULL;
	}
	p->nif.ops = &passt_ops;
	p->nif.info = (struct netif_info){ .mtu = PASST_MTU, .queues = 1 };
	p->fd = p->err_fd = -1;
	memcpy(p->mac, conf->mac ? conf->mac : some_mac, 6);
	err = passt_args(name, conf, &args);
	if (err)
		goto out;
	err = start(p, &args);
	passt_args_free(&args);
	p->frames.fd = p->fd;
	if (!err)
		return &p->nif;
	if (err == -ENOENT)
		log_err(name, "passt is not installed. Fix: sudo apt install passt, or use mode=tap");
	else
		log_err(name, "cannot start passt: %s", strerror(-err));
out:
	passt_close(&p->nif);
	return NULL;
}
