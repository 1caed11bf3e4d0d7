// SPDX-License-Identifier: GPL-2.0-only
/*
 * end: takes the first cause for the machine's end, says it once and stops the main loop.
 *
 * Runs on: any thread.
 */
#include "end.h"

#include <stdarg.h>
#include <stdio.h>

#include "lkvm/log.h"

void end_init(struct end *end, struct loop *loop)
{
	*end = (struct end){ .loop = loop };
	pthread_mutex_init(&end->lock, NULL);
}

void end_report(struct end *end, int status, const char *fmt, ...)
{
	char why[512] = "";
	bool first;
	va_list ap;

	pthread_mutex_lock(&end->lock);
	first = !end->ended;
	end->ended = true;
	if (first)
		end->status = status;
	pthread_mutex_unlock(&end->lock);
	if (!first)
		return;
	if (fmt) {
		va_start(ap, fmt);
		vsnprintf(why, sizeof(why), fmt, ap);
		va_end(ap);
		if (status)
			log_err(NULL, "%s", why);
		else
			log_info(NULL, "%s", why);
	}
	loop_quit(end->loop);
}
