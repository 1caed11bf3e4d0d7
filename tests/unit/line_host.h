/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * line_host: lkvm's end of a line, in a process of its own, between a socket pair that stands for the
 * wire and three that stand for the command's ports.
 */
#pragma once

#include <errno.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lkvm/chan_outside.h"
#include "machine/line.h"

/* A channel's outside and the socket it goes to. */
struct line_end {
	struct chan chan;
	struct loop_fd wake, sock;
};

static struct loop *line_loop;
static struct chan *line_wire;
static struct loop_fd line_sock;

static void line_end_wake(void *opaque)
{
	eventfd_write(((struct line_end *)opaque)->wake.fd, 1);
}

static void line_end_out(struct line_end *e)
{
	struct iovec iov[2];
	size_t n = chan_out_peek(&e->chan, iov);
	ssize_t done = n ? writev(e->sock.fd, iov, 2) : 0;

	if (done < 0 && errno != EAGAIN)
		done = (ssize_t)n;
	chan_out_done(&e->chan, done > 0 ? (size_t)done : 0);
	loop_del(line_loop, &e->sock);
	loop_add(line_loop, &e->sock, (chan_in_room(&e->chan, 1) ? EPOLLIN : 0) |
					      (chan_out_pending(&e->chan) ? EPOLLOUT : 0));
}

static void line_end_ready(void *opaque, uint32_t events)
{
	struct line_end *e = opaque;
	uint8_t buf[4096];
	size_t room = chan_in_room(&e->chan, 1);
	ssize_t n = events & (EPOLLIN | EPOLLHUP) && room ? read(e->sock.fd, buf, room) : -1;

	if (!n)
		_exit(0);
	if (n > 0)
		chan_in_put(&e->chan, buf, (size_t)n);
	line_end_out(e);
}

static void line_end_woken(void *opaque, uint32_t events)
{
	struct line_end *e = opaque;
	eventfd_t n;

	(void)events;
	eventfd_read(e->wake.fd, &n);
	line_end_out(e);
}

static void line_end_open(struct line_end *e, int sock)
{
	chan_init(&e->chan, line_end_wake, e);
	e->sock = (struct loop_fd){ .fd = sock, .ready = line_end_ready, .opaque = e };
	e->wake = (struct loop_fd){ .fd = eventfd(1, EFD_NONBLOCK), .ready = line_end_woken, .opaque = e };
	loop_add(line_loop, &e->wake, EPOLLIN);
}

/* The serial port's part: nothing is lost, whoever is slow. Called again and again. */
static void line_wire_ready(void *opaque, uint32_t events)
{
	uint8_t buf[512];
	ssize_t n;

	(void)opaque;
	(void)events;
	while (chan_room(line_wire) >= sizeof(buf) && (n = read(line_sock.fd, buf, sizeof(buf))) > 0)
		chan_write(line_wire, buf, (size_t)n);
	while ((n = (ssize_t)chan_pending(line_wire)) > 0) {
		int unsent = 0;

		/* Only so much may be under way, as on a terminal. */
		if (ioctl(line_sock.fd, SIOCOUTQ, &unsent) || unsent > 65536)
			break;
		n = (ssize_t)chan_read(line_wire, buf, sizeof(buf));
		if (send(line_sock.fd, buf, (size_t)n, MSG_NOSIGNAL) != n)
			break;
	}
}

static bool line_greeted(void *opaque)
{
	(void)opaque;
	return true;
}

static void line_again(void *opaque)
{
	line_wire_ready(NULL, 0);
	loop_timer_set(line_loop, opaque, 1000000);
}

/*
 * Starts it: pair[i][1] become ours, and pair[0][1] the guest's end of the wire. It ends when the ports'
 * other ends are closed.
 */
static pid_t line_host(int pair[3][2])
{
	static struct line_end end[LINE_PORTS];
	struct chan *ports[LINE_PORTS];
	struct loop_timer again = { .fire = line_again, .opaque = &again };
	int wire[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, wire))
		exit(1);
	pid = fork();
	if (pid) {
		for (int i = 0; i < 3; i++) {
			close(pair[i][1]);
			pair[i][1] = -1;
		}
		pair[0][1] = wire[1];
		close(wire[0]);
		return pid;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(wire[1]);
	for (int i = 0; i < 3; i++)
		close(pair[i][0]);
	line_loop = loop_open("line");
	for (int i = 0; i < 3; i++) {
		line_end_open(&end[i], pair[i][1]);
		ports[i] = &end[i].chan;
	}
	line_wire = line_chan(line_open(line_loop, ports, &(struct line_user){ .greeted = line_greeted }));
	line_sock = (struct loop_fd){ .fd = wire[0], .ready = line_wire_ready };
	loop_add(line_loop, &line_sock, EPOLLIN | EPOLLET);
	line_again(&again);
	loop_run(line_loop);
	_exit(0);
}
