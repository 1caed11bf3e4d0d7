/* SPDX-License-Identifier: GPL-2.0-only */
/* rtc: for its test, which brings a clock of its own. */
#pragma once

#include <time.h>

#include "lkvm/hw.h"

/* The clock it shows; CLOCK_REALTIME at the start. */
void rtc_set_clock(struct rtc *rtc, void (*now)(struct timespec *ts));
