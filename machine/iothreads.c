// SPDX-License-Identifier: GPL-2.0-only
/*
 * iothreads: the I/O threads that devices share by name; each is a loop with a thread of its own.
 *
 * Runs on: main; iothreads_events on any thread.
 */
#include "iothreads.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lkvm/log.h"

static struct loop *find(struct iothreads *set, const char *name, size_t len)
{
	struct iothread *t = set->thread;

	for (; t != set->thread + set->n; t++)
		if (strlen(t->name) == len && !memcmp(t->name, name, len))
			return t->loop;
	if (set->n == IOTHREADS_MAX) {
		log_err(NULL, "more than %d I/O threads", IOTHREADS_MAX);
		return NULL;
	}
	t->name = strndup(name, len);
	t->loop = t->name ? loop_open(t->name) : NULL;
	if (!t->loop) {
		free(t->name);
		return NULL;
	}
	loop_set_poll(t->loop, set->poll_ns);
	set->n++;
	return t->loop;
}

int iothreads_find(struct iothreads *set, const char *names, struct loop **loops, unsigned max)
{
	unsigned n = 0;

	while (n < max) {
		size_t len = strcspn(names, "+");

		loops[n] = find(set, names, len);
		if (!loops[n++])
			return -ENOMEM;
		if (!names[len])
			break;
		names += len + 1;
	}
	return (int)n;
}

int iothreads_start(struct iothreads *set)
{
	int err = 0;

	for (unsigned i = 0; i < set->n && !err; i++)
		err = loop_start(set->thread[i].loop);
	return err;
}

void iothreads_stop(struct iothreads *set)
{
	for (unsigned i = 0; i < set->n; i++)
		loop_stop(set->thread[i].loop);
}

void iothreads_close(struct iothreads *set)
{
	while (set->n) {
		struct iothread *t = &set->thread[--set->n];

		loop_close(t->loop);
		free(t->name);
	}
}

uint64_t iothreads_events(const struct iothreads *set)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < set->n; i++)
		n += loop_events(set->thread[i].loop);
	return n;
}
