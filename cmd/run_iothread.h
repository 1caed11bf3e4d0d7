/* SPDX-License-Identifier: GPL-2.0-only */
/* run_iothread: the options of `lkvm run` for the threads that devices run on. */
#pragma once

#include <stdint.h>

#include "cmd.h"
#include "lkvm/config.h"

#define RUN_IOTHREAD_OPTIONS                                                                       \
	{ 0, "poll-us", "N", "I/O threads look for N microseconds before they sleep, less when it " \
	  "seldom pays (0: not at all)", set_poll_us, NULL }

int set_poll_us(void *dst, const char *what, const char *value);

/* Is iothread=NAMES right for a device with so many queues (pairs)? 0 or -EINVAL, logged. */
int check_iothreads(const char *what, const char *names, uint64_t queues);
int check_net_iothreads(const char *what, const struct config_net *net); /* it is given */
