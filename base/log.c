// SPDX-License-Identifier: GPL-2.0-only
/*
 * log: one line to stderr for each call, whole also when threads race.
 *
 * Runs on: any thread.
 */
#include "lkvm/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_ 1024
#define GUEST_BURST 10
#define GUEST_WINDOW_S 10

static atomic_int level_now = LOG_WARN;
static atomic_bool raw_now;

static pthread_mutex_t last_lock = PTHREAD_MUTEX_INITIALIZER;
static char last_err[LINE_MAX_];

void log_set_level(enum log_level level)
{
	level_now = (int)level;
}

bool log_enabled(enum log_level level)
{
	return (int)level <= level_now;
}

void log_set_raw(bool raw)
{
	raw_now = raw;
}

int log_level_parse(const char *word)
{
	static const char *const words[] = { "err", "warn", "info", "debug" };

	for (unsigned i = 0; i < 4; i++)
		if (!strcmp(word, words[i]))
			return (int)i;
	return -1;
}

static void keep_err(const char *line, size_t len)
{
	pthread_mutex_lock(&last_lock);
	memcpy(last_err, line, len);
	last_err[len] = '\0';
	pthread_mutex_unlock(&last_lock);
}

void log_last_err(char *to, size_t size)
{
	pthread_mutex_lock(&last_lock);
	snprintf(to, size, "%s", last_err);
	pthread_mutex_unlock(&last_lock);
}

/* One write() a line: the kernel keeps it whole. Control bytes can't come from here. */
static void emit(enum log_level level, const char *tag, const char *fmt, va_list ap)
{
	int saved = errno, n;
	size_t len = 0, room;
	char line[LINE_MAX_];
	ssize_t written;

	/* A tag is short; half the line bounds it all the same. */
	n = tag ? snprintf(line, sizeof(line) / 2, "lkvm: %s: ", tag) :
		  snprintf(line, sizeof(line) / 2, "lkvm: ");
	if (n > 0)
		len = (size_t)n < sizeof(line) / 2 ? (size_t)n : sizeof(line) / 2 - 1;
	room = sizeof(line) - 2 - len; /* "\r\n" goes behind */
	n = vsnprintf(line + len, room, fmt, ap);
	if (n > 0)
		len += (size_t)n < room ? (size_t)n : room - 1;
	if (level == LOG_ERR)
		keep_err(line + strlen("lkvm: "), len - strlen("lkvm: "));
	if (raw_now)
		line[len++] = '\r';
	line[len++] = '\n';
	written = write(STDERR_FILENO, line, len);
	(void)written; /* nobody is left to tell */
	errno = saved;
}

#define DEFINE_LOG(name, level)                                                                    \
	void name(const char *tag, const char *fmt, ...)                                           \
	{                                                                                          \
		va_list ap;                                                                        \
                                                                                                   \
		if (!log_enabled(level))                                                           \
			return;                                                                    \
		va_start(ap, fmt);                                                                 \
		emit(level, tag, fmt, ap);                                                         \
		va_end(ap);                                                                        \
	}

DEFINE_LOG(log_err, LOG_ERR)
DEFINE_LOG(log_warn, LOG_WARN)
DEFINE_LOG(log_info, LOG_INFO)
DEFINE_LOG(log_dbg, LOG_DBG)

/* Ten lines in a window; the eleventh says that the rest is not shown. */
static unsigned guest_count(void)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static time_t began;
	static unsigned count;
	struct timespec now;
	unsigned n;

	clock_gettime(CLOCK_MONOTONIC, &now);
	pthread_mutex_lock(&lock);
	if (!count || now.tv_sec - began >= GUEST_WINDOW_S) {
		began = now.tv_sec;
		count = 0;
	}
	n = count <= GUEST_BURST ? count++ : GUEST_BURST + 1;
	pthread_mutex_unlock(&lock);
	return n;
}

void log_guest(const char *tag, const char *fmt, ...)
{
	unsigned n;
	va_list ap;

	if (!log_enabled(LOG_WARN))
		return;
	n = guest_count();
	if (n == GUEST_BURST)
		log_warn(NULL, "the guest goes on doing wrong; more such lines are left out");
	if (n >= GUEST_BURST)
		return;
	va_start(ap, fmt);
	emit(LOG_WARN, tag, fmt, ap);
	va_end(ap);
}
