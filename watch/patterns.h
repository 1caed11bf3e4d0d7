/* SPDX-License-Identifier: GPL-2.0-only */
/* patterns: the sentences by which a kernel says that something is wrong. */
#pragma once

#include <stddef.h>

#include "lkvm/watch.h"

struct pattern {
	int group;	  /* enum watch_group */
	const char *hint; /* a line without it can't match; cheaper to look for than the expression */
	const char *ere;
};

extern const struct pattern patterns[]; /* the more special first; hint NULL ends */
extern const char *const pattern_groups[WATCH_GROUPS];

#define PANIC_PHRASE	 "Kernel panic - not syncing"
#define PANIC_END_PHRASE "---[ end Kernel panic"
#define USERSPACE_HINT	 " as init process"
