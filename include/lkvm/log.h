/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * log: one line to stderr, `lkvm: TAG: text`, lower case, no full stop. Any thread.
 *
 * Messages are for the person at the terminal: they name the thing and the fix. What a guest can
 * provoke goes through log_guest(), which is rate-limited, so that a guest can't fill a disk.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

enum log_level { LOG_ERR, LOG_WARN, LOG_INFO, LOG_DBG };

/* TAG may be NULL: the line is lkvm's own. Each call is one line, also when threads race. */
void log_err(const char *tag, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void log_warn(const char *tag, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void log_info(const char *tag, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void log_dbg(const char *tag, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Something the guest did wrong, at LOG_WARN: at most ten lines in any ten seconds, per process. */
void log_guest(const char *tag, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* What is printed: this level and those before it. LOG_WARN at the start. */
void log_set_level(enum log_level level);
bool log_enabled(enum log_level level);

/* "err", "warn", "info", "debug" -> level; -1 for another word. */
int log_level_parse(const char *word);

/* The last line of log_err() so far, without "lkvm: " ("" when there was none); to go with a result. */
void log_last_err(char *to, size_t size);

/* While the terminal is raw a line must end in "\r\n". */
void log_set_raw(bool raw);
