/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * result: `--result FILE`: how a run ended, as JSON. docs/testing-kernels.md lists the members.
 *
 * Runs on: main; result_console from any thread.
 */
#pragma once

#include <stddef.h>

#include "verdict.h"

struct result;

/* Before the machine is built, so that the file can't fail late. NULL: logged. */
struct result *result_open(const char *path);
/* What a console has written; the last of it is kept. */
void result_console(struct result *r, const void *bytes, size_t len);
/* How it ended; the cause is lkvm's last error line, so nothing else may be logged in between. */
void result_judge(struct result *r, int status, const struct verdict *v);
/* The exits that were counted, as JSON; from malloc(), it is the result's now. */
void result_exits(struct result *r, char *json);
int result_write(struct result *r); /* 0 or -errno, logged */
void result_close(struct result *r);

/* "ok", "panic" ...: one word for how it ended. v: all zero when there was no machine. */
const char *result_word(int status, const struct verdict *v);
