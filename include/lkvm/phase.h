/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * phase: the steps of a run, each with the host's time at which it was first reached. Process-wide,
 * like the log: whoever sees a step marks it, and the result file tells them all.
 *
 * Any thread. A mark takes a lock for a moment, so it is for steps, not for requests; what is marked
 * again keeps its first time, and beyond PHASES_MAX steps (a guest can provoke some) no more are kept.
 */
#pragma once

#include <stdint.h>

#define PHASES_MAX 64
#define PHASE_NAME 32

struct phase {
	char name[PHASE_NAME];
	uint64_t at; /* CLOCK_MONOTONIC nanoseconds */
};

/* Words with underscores, a device's name in front: "userspace", "blk0_driver_ok". */
void phase_mark(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The steps so far, in the order of their times; how many were written to to[]. */
unsigned phase_list(struct phase to[], unsigned max);
void phase_reset(void); /* for tests */
