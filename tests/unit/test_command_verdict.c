// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a run is judged to have been when a command was run in the guest.
 */
#include <fcntl.h>
#include <unistd.h>

#include "lkvm/log.h"
#include "machine/verdict.h"
#include "tap.h"

static struct verdict v;
static struct loop *loop;

static void begin(const char *expect)
{
	verdict_init(&v, loop, expect);
	verdict_command(&v);
}

/* The verdict's line goes nowhere. */
static int take(void)
{
	int err = dup(2), null = open("/dev/null", O_WRONLY), status;

	fflush(stderr);
	dup2(null, 2);
	status = verdict_take(&v);
	fflush(stderr);
	dup2(err, 2);
	close(err);
	close(null);
	return status;
}

int main(void)
{
	static const int codes[] = { 0, 1, 119, 120, 125, 127, 139, 255 };

	log_set_level(LOG_WARN);
	loop = loop_open("main");
	for (unsigned i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		begin(NULL);
		verdict_command_done(&v, codes[i]);
		verdict_end(&v, ENDED_OFF, "off");
		is(take(), codes[i], "the command's status %d is the verdict", codes[i]);
	}
	begin(NULL);
	ok(verdict_command_missing(&v), "a status is missing at first");
	verdict_end(&v, ENDED_OFF, "off");
	is(take(), STATUS_GONE, "a guest that powers off before it came has gone");
	begin(NULL);
	verdict_end(&v, ENDED_REBOOT, "reboot");
	is(take(), STATUS_GONE, "so has one that reboots");
	begin(NULL);
	verdict_command_done(&v, 3);
	ok(!verdict_command_missing(&v), "one that came isn't missing");
	verdict_end(&v, ENDED_REBOOT, "reboot");
	is(take(), 3, "after it the guest may reboot, if it can't power off");
	begin(NULL);
	verdict_command_done(&v, 0);
	verdict_panic(&v, true, "Kernel panic");
	verdict_end(&v, ENDED_OFF, "off");
	is(take(), STATUS_PANIC, "a panic is a panic, whatever the command said");
	begin(NULL);
	verdict_command_done(&v, 0);
	verdict_failure(&v, "oops");
	verdict_end(&v, ENDED_OFF, "off");
	is(take(), STATUS_FAIL_ON, "so is a pattern of --fail-on");
	begin(NULL);
	verdict_end(&v, ENDED_TIMEOUT, "late");
	is(take(), STATUS_TIMEOUT, "a time-out before the status is one");
	begin("ready");
	verdict_command_done(&v, 0);
	verdict_end(&v, ENDED_OFF, "off");
	is(take(), STATUS_GONE, "a command that ends well has to stand up to --expect");
	verdict_init(&v, loop, NULL);
	ok(!verdict_command_missing(&v), "without a command none is missing");
	verdict_end(&v, ENDED_OFF, "off");
	is(take(), STATUS_OK, "and a power-off is fine");
	loop_close(loop);
	return tap_end();
}
