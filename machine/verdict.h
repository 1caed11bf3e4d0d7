/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * verdict: what a run is judged to have been, out of everything that was seen of it.
 *
 * The machine ends once, and the first to say so wins; but signs count from the start to the last
 * byte of the console, so the verdict is taken when nothing runs any more. docs/verdicts.md has the
 * order of precedence.
 *
 * Runs on: any thread, except verdict_init and verdict_take: main.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>

#include "lkvm/loop.h"
#include "lkvm/machine.h"

/* What made the machine stop. */
enum verdict_end {
	ENDED_OFF,	/* the guest powered off */
	ENDED_REBOOT,	/* or rebooted */
	ENDED_STATUS,	/* or gave a status of its own */
	ENDED_EXPECTED, /* --on-expect=exit */
	ENDED_GONE,	/* triple fault, KVM's internal errors, the user had enough */
	ENDED_LOCKUP,	/* the watchdog expired, or every vCPU is stuck */
	ENDED_TIMEOUT,
	ENDED_PANIC,	/* ended after a panic, which has been reported */
	ENDED_FAILED,	/* lkvm can't go on; the cause has been logged */
};

#define VERDICT_LINE 400

struct verdict {
	pthread_mutex_t lock;
	struct loop *loop;  /* told to quit */
	const char *expect; /* NULL: nothing is expected */
	bool ended, expected;
	enum verdict_end how;
	int status;			 /* ENDED_STATUS */
	char why[VERDICT_LINE];		 /* of the end */
	char panic[VERDICT_LINE];	 /* the first, and so are the next two; empty: none */
	bool panic_said;		 /* in the guest's own words */
	char failure[VERDICT_LINE];
	bool command, command_done;	 /* one is run in the guest; it has ended, with this: */
	int command_status;
	char late[VERDICT_LINE];	 /* a time-out or lockup that did not end the machine */
	bool late_lockup;		 /* which of them */
};

void verdict_init(struct verdict *v, struct loop *loop, const char *expect);

/* The machine ends. All but the first are ignored. */
void verdict_end(struct verdict *v, enum verdict_end how, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* The machine ends with a status of the guest's own. */
void verdict_end_status(struct verdict *v, int status);

/*
 * Signs: they end nothing by themselves. Of a panic the first report counts, but what the guest itself
 * said of it (said) tells more than that it happened.
 */
void verdict_panic(struct verdict *v, bool said, const char *line);
void verdict_failure(struct verdict *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void verdict_timed_out(struct verdict *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void verdict_locked_up(struct verdict *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void verdict_expected(struct verdict *v);
/* A command is run in the guest, whose status will be the verdict unless something bad is seen ... */
void verdict_command(struct verdict *v);
/* ... and this is it. Ends nothing: the guest has to switch off. */
void verdict_command_done(struct verdict *v, int status);
bool verdict_command_missing(struct verdict *v); /* there is a command, and its status didn't come */

/* The exit status, and its cause as one line on stderr; 0 is silent unless --loglevel info. */
int verdict_take(struct verdict *v);
