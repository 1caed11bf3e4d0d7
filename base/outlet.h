/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * outlet: a file descriptor that we were given and share with other programs, written to without
 * ever blocking and without setting O_NONBLOCK on what is shared.
 */
#pragma once

#include <sys/types.h>
#include <sys/uio.h>

#include "lkvm/loop.h"

enum outlet_kind {
	OUTLET_GONE,   /* broken: everything is swallowed */
	OUTLET_FILE,   /* always ready: regular files, /dev/null */
	OUTLET_OWN,    /* a non-blocking description of our own */
	OUTLET_SOCKET, /* non-blocking call by call */
	OUTLET_SHARED, /* poll, then little enough not to block */
};

struct outlet {
	int given; /* not ours to close */
	int fd;	   /* what is written to and watched; the same or our own */
	enum outlet_kind kind;
};

/* loop is only asked whether fd can be watched. */
void outlet_open(struct outlet *outlet, struct loop *loop, int fd);
void outlet_close(struct outlet *outlet);

/* Bytes taken, or -errno (-EAGAIN: full). A regular file takes as long as it takes. */
ssize_t outlet_write(struct outlet *outlet, const struct iovec iov[2]);

/* Another description of what fd is, non-blocking and ours alone; -1: it can't be had. */
int outlet_reopen(int fd, int mode);
