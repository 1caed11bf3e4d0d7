/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * frames: Ethernet frames over a stream socket, each behind its length in four bytes, big-endian
 * (the protocol of QEMU's stream sockets, which passt speaks). Many frames go with one system call.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

/* What passt takes and gives at most; a longer length is a broken peer. */
#define FRAMES_MAX 65535
#define FRAMES_BUF ((size_t)128 << 10)

struct frames {
	int fd; /* a non-blocking stream socket; not owned */
	uint8_t *in, *out;
	size_t in_start, in_end, out_start, out_end;
};

int frames_init(struct frames *f, int fd); /* 0 or -ENOMEM */
void frames_fini(struct frames *f);

/*
 * One recv(). 0: something came; -EAGAIN: nothing there, or no room before frames are taken;
 * -EPIPE: the peer is gone; or another -errno.
 */
int frames_fill(struct frames *f);
/* The next whole frame in *frame, good until the next fill, and its size; 0: none yet; -EPROTO. */
ssize_t frames_next(struct frames *f, const uint8_t **frame);
/* Queues a frame of len bytes (the sum of iov). 0, -EMSGSIZE, or -EAGAIN: flush first. */
int frames_put(struct frames *f, const struct iovec *iov, int n, size_t len);
/* One send() of all that is queued. 0: all gone; -EAGAIN: some is left; or another -errno. */
int frames_flush(struct frames *f);
