/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * machine: the virtual machine as a whole: built from a config, run until it ends, torn down.
 */
#pragma once

#include "lkvm/config.h"

/* Exit statuses, shaped by `git bisect run`: 125 skips a commit. */
enum {
	STATUS_OK = 0,	      /* powered off, or rebooted, and nothing bad was seen */
	STATUS_PANIC = 120,   /* the kernel panicked, whatever came last */
	STATUS_FAIL_ON = 121, /* the guest ended, but a --fail-on pattern was seen */
	STATUS_LOCKUP = 122,  /* the watchdog expired, or every vCPU is stuck */
	STATUS_GONE = 123,    /* the guest went away without a verdict */
	STATUS_TIMEOUT = 124, /* --timeout, --boot-timeout, --idle-timeout */
	STATUS_FAILED = 125,  /* lkvm could not do its job */
	/* of a command in the guest, as a shell has them */
	STATUS_NOT_EXECUTABLE = 126,
	STATUS_NOT_FOUND = 127,
};

/* Builds, runs and tears down; returns an exit status. All that has to be said has been logged. */
int machine_run(const struct config *conf);
/* There won't be a machine, lkvm ends with that status: the result file says why, if there is to be one. */
void machine_not_run(const struct config *conf, int status);
