// SPDX-License-Identifier: GPL-2.0-only
/*
 * phase: the steps of a run and when they were reached.
 *
 * Runs on: any thread.
 */
#include "lkvm/phase.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lkvm/loop.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct phase phases[PHASES_MAX];
static unsigned n_phases;

void phase_mark(const char *fmt, ...)
{
	char name[PHASE_NAME];
	unsigned i;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(name, sizeof(name), fmt, ap);
	va_end(ap);
	pthread_mutex_lock(&lock);
	for (i = 0; i < n_phases && strcmp(phases[i].name, name); i++)
		;
	if (i == n_phases && i < PHASES_MAX) {
		memcpy(phases[i].name, name, sizeof(name));
		phases[i].at = loop_now(); /* under the lock, so that they come in order */
		n_phases++;
	}
	pthread_mutex_unlock(&lock);
}

unsigned phase_list(struct phase to[], unsigned max)
{
	unsigned n;

	pthread_mutex_lock(&lock);
	n = n_phases < max ? n_phases : max;
	memcpy(to, phases, n * sizeof(to[0]));
	pthread_mutex_unlock(&lock);
	return n;
}

void phase_reset(void)
{
	pthread_mutex_lock(&lock);
	n_phases = 0;
	pthread_mutex_unlock(&lock);
}
