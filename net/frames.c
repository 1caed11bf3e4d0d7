// SPDX-License-Identifier: GPL-2.0-only
/*
 * frames: two linear buffers between frames and a stream, so that parts of frames, many frames, and
 * lengths that make no sense are all dealt with in one place.
 *
 * Runs on: loop.
 */
#include "net/frames.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define LEN_BYTES 4

_Static_assert(FRAMES_BUF >= FRAMES_MAX + LEN_BYTES, "a whole frame fits");

int frames_init(struct frames *f, int fd)
{
	*f = (struct frames){ .fd = fd, .in = malloc(FRAMES_BUF), .out = malloc(FRAMES_BUF) };
	if (f->in && f->out)
		return 0;
	frames_fini(f);
	return -ENOMEM;
}

void frames_fini(struct frames *f)
{
	free(f->in);
	free(f->out);
	f->in = f->out = NULL;
}

/* Moves what is left to the front when that makes room for a whole frame; mostly nothing is left. */
static void compact(uint8_t *buf, size_t *start, size_t *end)
{
	if (*start == *end) {
		*start = *end = 0;
	} else if (*start && FRAMES_BUF - *end < FRAMES_MAX + LEN_BYTES) {
		memmove(buf, buf + *start, *end - *start);
		*end -= *start;
		*start = 0;
	}
}

int frames_fill(struct frames *f)
{
	ssize_t n;

	compact(f->in, &f->in_start, &f->in_end);
	if (f->in_end == FRAMES_BUF)
		return -EAGAIN;
	n = recv(f->fd, f->in + f->in_end, FRAMES_BUF - f->in_end, MSG_DONTWAIT);
	if (n < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	if (!n)
		return -EPIPE;
	f->in_end += (size_t)n;
	return 0;
}

ssize_t frames_next(struct frames *f, const uint8_t **frame)
{
	size_t have = f->in_end - f->in_start;
	uint32_t len;

	if (have < LEN_BYTES)
		return 0;
	memcpy(&len, f->in + f->in_start, LEN_BYTES);
	len = ntohl(len);
	if (!len || len > FRAMES_MAX)
		return -EPROTO;
	if (have < LEN_BYTES + len)
		return 0;
	*frame = f->in + f->in_start + LEN_BYTES;
	f->in_start += LEN_BYTES + len;
	return (ssize_t)len;
}

int frames_put(struct frames *f, const struct iovec *iov, int n, size_t len)
{
	uint32_t be = htonl((uint32_t)len);
	uint8_t *to;

	if (!len || len > FRAMES_MAX)
		return -EMSGSIZE;
	compact(f->out, &f->out_start, &f->out_end);
	if (FRAMES_BUF - f->out_end < LEN_BYTES + len)
		return -EAGAIN;
	to = f->out + f->out_end;
	memcpy(to, &be, LEN_BYTES);
	to += LEN_BYTES;
	for (int i = 0; i < n; i++) {
		memcpy(to, iov[i].iov_base, iov[i].iov_len);
		to += iov[i].iov_len;
	}
	f->out_end += LEN_BYTES + len;
	return 0;
}

int frames_flush(struct frames *f)
{
	size_t left = f->out_end - f->out_start;
	ssize_t n;

	if (!left)
		return 0;
	n = send(f->fd, f->out + f->out_start, left, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	f->out_start += (size_t)n;
	return (size_t)n == left ? 0 : -EAGAIN;
}
