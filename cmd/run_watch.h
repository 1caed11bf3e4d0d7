/* SPDX-License-Identifier: GPL-2.0-only */
/* run_watch: the options of `lkvm run` by which a guest is watched and judged (docs/verdicts.md). */
#pragma once

int set_timeout(void *dst, const char *what, const char *value);
int set_boot_timeout(void *dst, const char *what, const char *value);
int set_idle_timeout(void *dst, const char *what, const char *value);
int set_lockup_timeout(void *dst, const char *what, const char *value);
int set_expect(void *dst, const char *what, const char *value);
int set_fail_on(void *dst, const char *what, const char *value);
int set_allow(void *dst, const char *what, const char *value);
int set_on_panic(void *dst, const char *what, const char *value);
int set_on_reboot(void *dst, const char *what, const char *value);
int set_on_timeout(void *dst, const char *what, const char *value);
int set_on_expect(void *dst, const char *what, const char *value);

/* Rows of the option table. */
#define RUN_WATCH_OPTIONS                                                                          \
	{ 0, "timeout", "T", "end a guest that runs longer, status 124; seconds, or with ms, s, m, h", \
	  set_timeout, NULL },                                                                     \
	{ 0, "boot-timeout", "T", "the same, until the first process starts or --expect is seen",  \
	  set_boot_timeout, NULL },                                                                \
	{ 0, "idle-timeout", "T", "the same, without console output and device I/O",               \
	  set_idle_timeout, NULL },                                                                \
	{ 0, "lockup-timeout", "T", "every vCPU turning in place for so long, interrupts off: status 122", \
	  set_lockup_timeout, NULL },                                                              \
	{ 0, "expect", "REGEX", "a guest that ends without this on its console failed, status 123", \
	  set_expect, NULL },                                                                      \
	{ 0, "fail-on", "WHAT,...", "oops, kasan ..., or NAME=REGEX: seen on the console, status 121", \
	  set_fail_on, NULL },                                                                     \
	{ 0, "allow", "FILE", "regular expressions, one a line, of what --fail-on shall pass over", \
	  set_allow, NULL },                                                                       \
	{ 0, "on-panic", "WHAT", "exit (default), dump or keep the guest", set_on_panic, NULL },   \
	{ 0, "on-reboot", "WHAT", "exit (default), dump or keep", set_on_reboot, NULL },           \
	{ 0, "on-timeout", "WHAT", "exit (default), dump or keep; lockups too", set_on_timeout, NULL }, \
	{ 0, "on-expect", "WHAT", "keep the guest (default), or exit with status 0", set_on_expect, NULL }
