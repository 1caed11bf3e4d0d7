/* SPDX-License-Identifier: GPL-2.0-only */
/* poll: how long a loop looks at what is polled before it sleeps. Times in nanoseconds. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct poll_window {
	uint64_t max;	 /* the longest window; 0: never polls */
	uint64_t window; /* how long nothing may come before the loop sleeps; begins at none */
	uint64_t hit;	 /* when something last came, or polling began */
	bool polling;
	bool asleep; /* the polling that ended was followed by a sleep whose end is not known yet */
};

void poll_begin(struct poll_window *w, uint64_t now); /* no-op while polling */
bool poll_more(const struct poll_window *w, uint64_t now);
void poll_end(struct poll_window *w);
void poll_woken(struct poll_window *w, uint64_t now);
