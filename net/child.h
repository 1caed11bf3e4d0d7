/* SPDX-License-Identifier: GPL-2.0-only */
/* child: starts helper programs (passt, a tap script) with nothing of ours but what is named. */
#pragma once

#include <sys/types.h>

/* The descriptor under which the child finds what it was given. */
#define CHILD_FD 3

/*
 * Runs argv (argv[0] looked up on PATH) in a session of its own, so that Ctrl-C on our terminal is not
 * for it. Its stdin is /dev/null; stdout and stderr are err_fd; give_fd, when >= 0, is its CHILD_FD.
 * Everything else is closed. Returns 0 or -errno (-ENOENT: no such program), not logged.
 */
int child_start(char *const argv[], int give_fd, int err_fd, pid_t *pid);

/* Its wait status; kills it first when it hasn't ended after grace_ms. */
int child_wait(pid_t pid, int grace_ms);

/* "status 1", "signal 9 (Killed)"; in a static buffer of the calling thread. */
const char *child_verdict(int wait_status);
