/* SPDX-License-Identifier: GPL-2.0-only */
/* link: a host interface by name: its state, its address, and word of changes (rtnetlink). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lkvm/loop.h"

unsigned link_mtu(const char *ifname); /* 0: can't be told */
bool link_is_up(const char *ifname);
/* Is there a route to anywhere, of either family? */
bool link_default_route(void);

/*
 * Sets address/prefix ("192.0.2.1/24", "fd00::1/64") and brings the interface up; what is already so
 * is left. 0 or -errno: -EINVAL is a bad address.
 */
int link_configure(const char *ifname, const char *address);

struct link_watch {
	void (*changed)(void *opaque, bool up);
	void *opaque;
	unsigned index;
	bool up;
	struct loop *loop;
	struct loop_fd fd;
};

/* Calls changed when the interface goes up or down. up is the state at the start. 0 or -errno. */
int link_watch_start(struct link_watch *w, struct loop *loop, const char *ifname);
void link_watch_stop(struct link_watch *w);
