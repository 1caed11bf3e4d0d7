/* SPDX-License-Identifier: GPL-2.0-only */
/* stuck: has the whole machine locked up? Brings vCPUs, debugger and watcher together. On main. */
#pragma once

#include "debug.h"
#include "watcher.h"

struct stuck {
	struct vm *vm;
	struct debug *debug;
	struct watcher *watcher;
	struct lockup *lockup;
};

/* After vm_start(). 0 or -errno, logged. */
int stuck_open(struct stuck *s, struct loop *loop, struct vm *vm, struct debug *debug,
	       struct watcher *watcher);
void stuck_close(struct stuck *s);
