/* SPDX-License-Identifier: GPL-2.0-only */
/* signals: the signals lkvm listens to, as events on the main loop. */
#pragma once

#include <signal.h>

#include "lkvm/loop.h"

struct signals {
	struct loop *loop;
	struct loop_fd watch;
	void (*got)(void *opaque, int signo);
	void *opaque;
};

/* Blocks them for this thread and all it makes from now on. 0 or -errno, logged. */
int signals_open(struct signals *s, struct loop *loop);
void signals_close(struct signals *s);
