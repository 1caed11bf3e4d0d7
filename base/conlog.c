// SPDX-License-Identifier: GPL-2.0-only
/*
 * conlog: the copy of the guest's console with host timestamps.
 *
 * Runs on: loop (the terminal's)
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/conlog.h"
#include "lkvm/log.h"
#include "lkvm/loop.h"

struct conlog {
	char *path;
	int fd; /* < 0: writing failed, and that was said */
	uint64_t start;
	bool mid_line; /* the current line has its stamp */
	bool held_cr;  /* a '\r' that is dropped if '\n' follows */
	size_t used;
	char buf[16384];
};

struct conlog *conlog_open(const char *path)
{
	struct conlog *log = calloc(1, sizeof(*log));

	if (log)
		log->path = strdup(path);
	if (!log || !log->path) {
		log_err(NULL, "cannot open %s: out of memory", path);
		free(log);
		return NULL;
	}
	/* O_NONBLOCK: a named pipe that nobody reads is an error now, not a hang later. */
	log->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0644);
	if (log->fd < 0) {
		log_err(NULL, "cannot open console log %s: %s", path, strerror(errno));
		free(log->path);
		free(log);
		return NULL;
	}
	log->start = loop_now();
	return log;
}

static void conlog_flush(struct conlog *log)
{
	size_t at = 0;

	while (log->fd >= 0 && at < log->used) {
		ssize_t n = write(log->fd, log->buf + at, log->used - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			log_err(NULL, "cannot write console log %s: %s; it ends here", log->path,
				strerror(errno));
			close(log->fd);
			log->fd = -1;
			break;
		}
		at += n;
	}
	log->used = 0;
}

static void conlog_put(struct conlog *log, const char *src, size_t len)
{
	while (len) {
		size_t n = sizeof(log->buf) - log->used;

		if (n > len)
			n = len;
		memcpy(log->buf + log->used, src, n);
		log->used += n;
		src += n;
		len -= n;
		if (log->used == sizeof(log->buf))
			conlog_flush(log);
	}
}

static void conlog_stamp(struct conlog *log, uint64_t now)
{
	uint64_t us = (now - log->start) / 1000;
	char stamp[48];
	int n = snprintf(stamp, sizeof(stamp), "[%5" PRIu64 ".%06" PRIu64 "] ", us / 1000000,
			 us % 1000000);

	conlog_put(log, stamp, n);
	log->mid_line = true;
}

/* A stretch of one line: no '\n' except as its last byte. */
static void conlog_piece(struct conlog *log, const char *src, size_t len, uint64_t now)
{
	bool whole = src[len - 1] == '\n';
	size_t text = len - whole;
	bool cr;

	if (!log->mid_line)
		conlog_stamp(log, now);
	if (log->held_cr && text)
		conlog_put(log, "\r", 1);
	cr = text ? src[text - 1] == '\r' : log->held_cr;
	conlog_put(log, src, text && cr ? text - 1 : text);
	log->held_cr = cr && !whole;
	if (whole) {
		conlog_put(log, "\n", 1);
		log->mid_line = false;
	}
}

void conlog_write(struct conlog *log, const void *src, size_t len)
{
	uint64_t now = loop_now();
	const char *at = src;

	while (len) {
		const char *end = memchr(at, '\n', len);
		size_t n = end ? (size_t)(end - at) + 1 : len;

		conlog_piece(log, at, n, now);
		at += n;
		len -= n;
	}
	conlog_flush(log);
}

void conlog_close(struct conlog *log)
{
	if (!log)
		return;
	if (log->held_cr)
		conlog_put(log, "\r", 1);
	if (log->mid_line)
		conlog_put(log, "\n", 1);
	conlog_flush(log);
	if (log->fd >= 0)
		close(log->fd);
	free(log->path);
	free(log);
}
