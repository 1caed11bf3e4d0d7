/* SPDX-License-Identifier: GPL-2.0-only */
/* run_command: the options of `lkvm run` for a command in the guest (docs/commands.md). */
#pragma once

#include "lkvm/config.h"

int set_command(void *dst, int n, char **words);
int set_env(void *dst, const char *what, const char *value);
int set_workdir(void *dst, const char *what, const char *value);
int set_tty(void *dst, const char *what, const char *value);
int set_rootfs(void *dst, const char *what, const char *value);
int set_modules(void *dst, const char *what, const char *value);

/*
 * Once all options are parsed: do they fit together, and is the command there? 0; or -errno, logged,
 * with the exit status in *status.
 */
int run_command_check(struct config *conf, int *status);

/* Rows of the option table. */
#define RUN_COMMAND_OPTIONS                                                                        \
	{ 0, "rootfs", "DIR", "the command's root: this folder, packed into an initramfs", set_rootfs, NULL }, \
	{ 'e', "env", "NAME[=VALUE]", "in the command's environment; without =VALUE as it is here", \
	  set_env, NULL },                                                                         \
	{ 'w', "workdir", "DIR", "the command's working directory (/)", set_workdir, NULL },       \
	{ 't', "tty", NULL, "give the command a terminal", set_tty, NULL },                        \
	{ 0, "modules", "DIR", "the kernel's modules; searched for when not given", set_modules, NULL }
