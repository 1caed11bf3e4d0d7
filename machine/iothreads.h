/* SPDX-License-Identifier: GPL-2.0-only */
/* iothreads: the I/O threads that devices share by name (iothread=NAME, iothread=A+B). */
#pragma once

#include "lkvm/loop.h"

#define IOTHREADS_MAX 64

struct iothreads {
	struct iothread {
		char *name;
		struct loop *loop;
	} thread[IOTHREADS_MAX];
	unsigned n;
	uint64_t poll_ns; /* set by the user of this: how long they poll */
};

/*
 * The loops of the threads named in "A+B", in that order, made at first mention: at most max of them
 * go to loops. How many, or -errno, logged.
 */
int iothreads_find(struct iothreads *set, const char *names, struct loop **loops, unsigned max);
int iothreads_start(struct iothreads *set);
void iothreads_stop(struct iothreads *set);
void iothreads_close(struct iothreads *set);
uint64_t iothreads_events(const struct iothreads *set);
