/* SPDX-License-Identifier: GPL-2.0-only */
/* end: how the machine ends: the first cause wins, whoever reports it. */
#pragma once

#include <pthread.h>
#include <stdbool.h>

#include "lkvm/loop.h"

struct end {
	pthread_mutex_t lock;
	struct loop *loop; /* told to quit */
	bool ended;
	int status;
};

void end_init(struct end *end, struct loop *loop);
/*
 * Any thread; returns at once. Status 0 is said at info level, all others as an error; fmt may be
 * NULL when the cause has been logged already.
 */
void end_report(struct end *end, int status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
