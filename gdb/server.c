// SPDX-License-Identifier: GPL-2.0-only
/*
 * server: the socket a debugger comes by, one at a time. When it goes without a word the guest goes on.
 *
 * Runs on: main
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "gdb/gdb_priv.h"
#include "lkvm/log.h"

struct gdb {
	struct loop *loop;
	const struct gdb_ops *ops;
	void *opaque;
	struct loop_fd listener, peer;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* to remove; empty: none */
	bool connected;
	struct session session;
};

/* --- one conversation --------------------------------------------------------------------------- */

static void hang_up(struct gdb *g)
{
	loop_del(g->loop, &g->peer);
	close(g->peer.fd);
	g->connected = false;
	session_close(&g->session);
	log_info("gdb", "the debugger has gone");
}

/* While something is to be sent nothing is read: who doesn't read doesn't ask either. */
static void flush(struct gdb *g)
{
	struct session *s = &g->session;

	while (s->out_len) {
		ssize_t n = send(g->peer.fd, s->out, s->out_len, MSG_NOSIGNAL);

		if (n > 0) {
			session_sent(s, (size_t)n);
		} else if (n < 0 && errno == EINTR) {
			continue;
		} else if (n < 0 && errno == EAGAIN) {
			break;
		} else {
			s->out_len = 0;
			s->over = true;
		}
	}
	if (s->over)
		hang_up(g);
	else
		loop_mod(g->loop, &g->peer, s->out_len ? EPOLLOUT : EPOLLIN);
}

static void peer_ready(void *opaque, uint32_t events)
{
	struct gdb *g = opaque;
	char bytes[4096];
	ssize_t n;

	if (events & EPOLLOUT || g->session.out_len) {
		if (events & (EPOLLERR | EPOLLHUP))
			g->session.over = true;
		flush(g);
		return;
	}
	n = recv(g->peer.fd, bytes, sizeof(bytes), 0);
	if (n > 0)
		session_feed(&g->session, bytes, (size_t)n);
	else if (!n || (errno != EAGAIN && errno != EINTR))
		g->session.over = true;
	flush(g);
}

static void somebody(void *opaque, uint32_t events)
{
	struct gdb *g = opaque;
	int fd = accept4(g->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), on = 1;

	(void)events;
	if (fd < 0)
		return;
	if (g->connected) {
		log_warn("gdb", "a second debugger was turned away");
		close(fd);
		return;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* no matter on a unix socket */
	g->peer = (struct loop_fd){ .fd = fd, .ready = peer_ready, .opaque = g };
	if (loop_add(g->loop, &g->peer, EPOLLIN)) {
		close(fd);
		return;
	}
	g->connected = true;
	session_open(&g->session, g->ops, g->opaque);
	if (g->session.over)
		hang_up(g);
}

void gdb_stopped(struct gdb *g)
{
	if (!g->connected)
		return;
	session_stopped(&g->session);
	flush(g);
}

/* --- where it listens --------------------------------------------------------------------------- */

static int listen_unix(struct gdb *g, const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct stat st;
	mode_t mask;
	int fd, err;

	if (!*path || strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	memcpy(addr.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	/* One that a killed lkvm left behind; nobody answers there. */
	if (!lstat(path, &st) && S_ISSOCK(st.st_mode) &&
	    connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 && errno == ECONNREFUSED)
		unlink(path);
	mask = umask(077); /* who may connect owns the guest */
	err = bind(fd, (struct sockaddr *)&addr, sizeof(addr)) ? -errno : 0;
	umask(mask);
	if (err) {
		close(fd);
		return err;
	}
	memcpy(g->path, path, strlen(path) + 1);
	return fd;
}

/* "PORT", "ADDRESS:PORT" or "[ADDRESS]:PORT" with numbers only. */
static int listen_tcp(const char *at)
{
	struct sockaddr_in in4 = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	const char *colon = strrchr(at, ':'), *digits = colon ? colon + 1 : at;
	char *end, host[64] = "";
	unsigned long port = strtoul(digits, &end, 10);
	size_t len = colon ? (size_t)(colon - at) : 0;
	bool six = len > 2 && at[0] == '[' && at[len - 1] == ']';
	int fd, on = 1, err;

	if (end == digits || *end || !port || port > 65535 || len >= sizeof(host))
		return -EINVAL;
	memcpy(host, six ? at + 1 : at, six ? len - 2 : len);
	if (len && inet_pton(six ? AF_INET6 : AF_INET, host, six ? (void *)&in6.sin6_addr : &in4.sin_addr) != 1)
		return -EINVAL;
	in4.sin_port = in6.sin6_port = htons((uint16_t)port);
	fd = socket(six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	err = six ? bind(fd, (struct sockaddr *)&in6, sizeof(in6)) :
		    bind(fd, (struct sockaddr *)&in4, sizeof(in4));
	if (err) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

struct gdb *gdb_open(struct loop *loop, const char *at, const struct gdb_ops *ops, void *opaque)
{
	struct gdb *g = calloc(1, sizeof(*g));
	int err;

	if (!g) {
		log_err("gdb", "out of memory");
		return NULL;
	}
	g->loop = loop;
	g->ops = ops;
	g->opaque = opaque;
	g->listener = (struct loop_fd){ .ready = somebody, .opaque = g };
	err = !strncmp(at, "unix:", 5) ? listen_unix(g, at + 5) : listen_tcp(at + 4);
	g->listener.fd = err;
	if (err >= 0)
		err = listen(g->listener.fd, 1) ? -errno : loop_add(loop, &g->listener, EPOLLIN);
	if (!err)
		return g;
	log_err("gdb", "cannot listen at %s: %s", at, strerror(-err));
	gdb_close(g);
	return NULL;
}

bool gdb_connected(struct gdb *g)
{
	return g && g->connected;
}

void gdb_close(struct gdb *g)
{
	static const char good_bye[] = "$X09#f1";

	if (!g)
		return;
	if (g->connected) {
		/* As if killed: whatever ended the guest has been said elsewhere. */
		if (send(g->peer.fd, good_bye, sizeof(good_bye) - 1, MSG_NOSIGNAL) < 0)
			log_dbg("gdb", "no good-bye: %s", strerror(errno));
		loop_del(g->loop, &g->peer);
		close(g->peer.fd);
	}
	loop_del(g->loop, &g->listener);
	if (g->listener.fd >= 0)
		close(g->listener.fd);
	if (g->path[0])
		unlink(g->path);
	free(g);
}
