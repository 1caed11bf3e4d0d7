// SPDX-License-Identifier: GPL-2.0-only
/*
 * outlet: non-blocking writes to a shared description.
 *
 * stdin and stdout are open file descriptions that the shell and other programs share, and
 * O_NONBLOCK belongs to the description: set here, it would surprise them all. A pipe or terminal is
 * opened once more through /proc/self/fd, which gives a description of our own; sockets have a flag
 * for each call; where neither works, poll(2) comes before each small write.
 *
 * Runs on: loop
 */
#include "base/outlet.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

int outlet_reopen(int fd, int mode)
{
	char path[32];
	struct stat st;
	int pty;

	if (fstat(fd, &st) < 0)
		return -1;
	/* Opening the master side of a pty would make another pty. */
	if (!S_ISFIFO(st.st_mode) && (!isatty(fd) || !ioctl(fd, TIOCGPTN, &pty)))
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, mode | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

void outlet_open(struct outlet *o, struct loop *loop, int fd)
{
	struct loop_fd probe = { .fd = fd };
	struct stat st = { 0 };
	int e = loop_add(loop, &probe, EPOLLOUT);

	loop_del(loop, &probe);
	fstat(fd, &st);
	*o = (struct outlet){ .given = fd, .fd = fd, .kind = OUTLET_SHARED };
	if (e == -EPERM) {
		o->kind = OUTLET_FILE;
	} else if (S_ISSOCK(st.st_mode)) {
		o->kind = OUTLET_SOCKET;
	} else {
		int own = outlet_reopen(fd, O_WRONLY);

		if (own >= 0) {
			o->kind = OUTLET_OWN;
			o->fd = own;
		}
	}
}

void outlet_close(struct outlet *o)
{
	if (o->fd != o->given)
		close(o->fd);
	o->kind = OUTLET_GONE;
	o->fd = o->given;
}

static ssize_t write_little(int fd, const struct iovec *iov)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	if (poll(&p, 1, 0) < 1) {
		errno = EAGAIN;
		return -1;
	}
	/* A pipe that is ready has room for PIPE_BUF bytes, at least. */
	return write(fd, iov->iov_base, iov->iov_len < PIPE_BUF ? iov->iov_len : PIPE_BUF);
}

ssize_t outlet_write(struct outlet *o, const struct iovec iov[2])
{
	struct msghdr msg = { .msg_iov = (struct iovec *)iov, .msg_iovlen = 2 };
	ssize_t n;

	switch (o->kind) {
	case OUTLET_FILE:
	case OUTLET_OWN:
		n = writev(o->fd, iov, 2);
		break;
	case OUTLET_SOCKET:
		n = sendmsg(o->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
		break;
	case OUTLET_SHARED:
		n = write_little(o->fd, &iov[0]);
		break;
	default:
		n = (ssize_t)(iov[0].iov_len + iov[1].iov_len);
	}
	return n < 0 ? -errno : n;
}
