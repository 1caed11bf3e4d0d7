/* SPDX-License-Identifier: GPL-2.0-only */
/* run_iothread: the options of `lkvm run` for the threads that devices run on. */
#pragma once

#include <stdint.h>

#include "lkvm/config.h"

/* Is iothread=NAMES right for a device with so many queues (pairs)? 0 or -EINVAL, logged. */
int check_iothreads(const char *what, const char *names, uint64_t queues);
int check_net_iothreads(const char *what, const struct config_net *net); /* it is given */
