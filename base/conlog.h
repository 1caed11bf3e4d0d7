/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * conlog: a file that receives what the guest printed, each line with the host's time since the log
 * was opened: `[    1.234567] text`. Any bytes and any line length; carriage returns at the end of a
 * line are left out.
 */
#pragma once

#include <stddef.h>

struct conlog;

struct conlog *conlog_open(const char *path); /* NULL: logged */
void conlog_write(struct conlog *log, const void *src, size_t len);
void conlog_close(struct conlog *log); /* NULL is fine */
