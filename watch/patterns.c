// SPDX-License-Identifier: GPL-2.0-only
/*
 * patterns: the table of known complaints of the kernel.
 *
 * Each is as narrow as the kernel's own format string allows, so that a program that prints "debug:"
 * or "no warning: cpu" doesn't fail a boot; tests/unit/test_scan.c has a real sample and a near miss
 * for every row.
 *
 * Runs on: any thread (constant)
 */
#include "watch/patterns.h"

#include <string.h>

/* A word of the kernel's begins its line or follows a blank or the bracket of a time stamp. */
#define START "(^|[] ])"

const char *const pattern_groups[WATCH_GROUPS] = {
	[WATCH_OOPS] = "oops",		 [WATCH_WARNING] = "warning",
	[WATCH_KASAN] = "kasan",	 [WATCH_LOCKDEP] = "lockdep",
	[WATCH_RCU_STALL] = "rcu-stall", [WATCH_HUNG_TASK] = "hung-task",
	[WATCH_LOCKUP] = "lockup",
};

const struct pattern patterns[] = {
	/* the sanitizers: before the BUG of all BUGs */
	{ WATCH_KASAN, "BUG: K", START "BUG: (KASAN|KFENCE|KMSAN|KCSAN): " },
	/* soft lockups say BUG as well */
	{ WATCH_LOCKUP, "soft lockup", START "BUG: soft lockup - CPU#[0-9]+ stuck for " },
	{ WATCH_LOCKUP, "hard LOCKUP", "Watchdog detected hard LOCKUP on cpu" },
	{ WATCH_LOCKUP, "workqueue lockup", START "BUG: workqueue lockup - pool" },
	/* lockdep's words; most say WARNING, the old ones BUG or INFO, some are framed in [ ] */
	{ WATCH_LOCKDEP, "locking", "possible (circular locking dependency|recursive locking) detected" },
	{ WATCH_LOCKDEP, "lock", "possible irq lock inversion dependency detected" },
	{ WATCH_LOCKDEP, "lock", "(WARNING|INFO): (possible )?inconsistent lock state" },
	{ WATCH_LOCKDEP, "lock", "-safe -> [A-Z]+-unsafe lock order detected" },
	{ WATCH_LOCKDEP, "suspicious RCU", START "WARNING: suspicious RCU usage" },
	{ WATCH_LOCKDEP, "suspicious RCU", "INFO: suspicious RCU usage" },
	{ WATCH_LOCKDEP, "unlock balance", "(WARNING|BUG): bad unlock balance detected" },
	{ WATCH_LOCKDEP, "held lock freed", "(WARNING|BUG): held lock freed" },
	{ WATCH_LOCKDEP, "returning to user", "(WARNING|BUG): lock held when returning to user space" },
	{ WATCH_LOCKDEP, "wait context", "BUG: Invalid wait context" },
	{ WATCH_LOCKDEP, "DEBUG_LOCKS", "DEBUG_LOCKS_WARN_ON\\(" },
	{ WATCH_RCU_STALL, "detected ", "INFO: rcu[_a-z]* (self-)?detected (expedited )?stall" },
	{ WATCH_RCU_STALL, "kthread starved", "rcu[_a-z]* kthread starved for [0-9]+ jiffies" },
	{ WATCH_HUNG_TASK, "INFO: task ", "INFO: task .+:[0-9]+ (is )?blocked .*for more than [0-9]+ sec" },
	{ WATCH_OOPS, "kernel BUG at ", START "kernel BUG at [^ ]+:[0-9]+!" },
	/* the die() line: "Oops: 0002 [#1] SMP", "general protection fault, ...: 0000 [#1]" */
	{ WATCH_OOPS, " [#", ": [0-9a-f]{4} \\[#[0-9]+\\]" },
	{ WATCH_OOPS, "BUG: ", START "BUG: [A-Za-z]" },
	{ WATCH_WARNING, "WARNING: CPU: ", START "WARNING: CPU: [0-9]+ PID: [0-9]+ at " },
	{ WATCH_WARNING, ", CPU#", START "WARNING: [^ ]+:[0-9]+ at .*, CPU#[0-9]+: " },
	{ WATCH_WARNING, "UBSAN: ", START "UBSAN: [a-z-]+ in " },
	{ 0, NULL, NULL },
};

int watch_group(const char *word, size_t len)
{
	for (int i = 0; i < WATCH_GROUPS; i++)
		if (strlen(pattern_groups[i]) == len && !memcmp(pattern_groups[i], word, len))
			return i;
	return -1;
}

const char *watch_group_names(void)
{
	return "oops, warning, kasan, lockdep, rcu-stall, hung-task, lockup";
}
