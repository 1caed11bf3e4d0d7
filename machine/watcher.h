/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * watcher: what each sign means: from the consoles, the panic device, KVM and the clocks to the
 * verdict, and what is done about it (--on-panic, --on-reboot, --on-timeout, --on-expect).
 *
 * Runs on: any thread reports; open, start, finish and close on main, whose loop has the timers.
 */
#pragma once

#include <stdatomic.h>

#include "lkvm/chan.h"
#include "lkvm/config.h"
#include "lkvm/hw.h"
#include "lkvm/vm.h"
#include "lkvm/watch.h"
#include "verdict.h"

#define WATCHER_SCANS 2

struct result;

struct watcher_console {
	struct watcher *watcher;
	struct scan *scan;
};

struct watcher {
	struct verdict verdict;
	const struct config_watch *conf;
	struct loop *loop;
	uint64_t (*activity)(void *opaque);
	void (*userspace)(void *opaque); /* it begins: once, on any thread; set before the guest starts */
	void (*freeze)(void *opaque); /* the vCPUs go no further; on any thread, set before the guest starts */
	void *opaque; /* of these three */
	struct rules *rules;
	struct watcher_console console[WATCHER_SCANS];
	unsigned consoles;
	struct result *result; /* keeps the consoles' last words; NULL: nobody does */
	atomic_bool spoke;     /* there was a byte on a console */
	struct timeouts *timeouts;
	struct loop_fd news; /* a sign that main has to act on; the flags say which */
	atomic_bool panicked, panic_over, expected, booted;
	atomic_bool reported;	  /* a panic, by pvpanic; the log has it */
	atomic_uint reboots;	  /* that didn't end it */
	atomic_bool crash_kernel; /* one takes over: the guest isn't at its end yet */
	atomic_bool dump;	  /* the guest is to be looked into before all is torn down */
	struct loop_timer tick;
	uint64_t panic_at, quiet_at, bytes; /* when it panicked, last said something, and how much */
};

/*
 * activity: a number that changes while the guest's devices work. 0 or -errno, logged; close also
 * after an error.
 */
int watcher_open(struct watcher *w, struct loop *loop, const struct config_watch *conf,
		 uint64_t (*activity)(void *opaque), void *opaque);
/* A scan for one more console. 0 or -errno, logged. */
int watcher_tap(struct watcher *w, struct chan *chan);
/* Userspace is there, as it says itself. Any thread. */
void watcher_booted(struct watcher *w);
void watcher_start(struct watcher *w); /* the clocks run */
/* Nothing runs any more: the consoles' last words. */
void watcher_finish(struct watcher *w);
void watcher_close(struct watcher *w);

/* The clocks that run against the guest stand still with it. On main. */
void watcher_hold(struct watcher *w, bool held);
/* Every vCPU is stuck, as lockup_conf.stuck says it; opaque is the watcher. On main. */
void watcher_stuck(void *opaque, const char *how);
/* A number that changes while the guest's devices work or its consoles speak. */
uint64_t watcher_activity(void *opaque);

/* For vm_conf.ended and hw_power_user.ended; opaque is the watcher. */
void watcher_vm_ended(void *opaque, enum vm_end why, unsigned cpu, const char *detail);
void watcher_hw_ended(void *opaque, enum hw_end how, unsigned value, const char *by);
