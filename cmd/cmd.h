/* SPDX-License-Identifier: GPL-2.0-only */
/* cmd: the commands, and the one table format that parses options and prints --help and man page. */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "lkvm/machine.h"
#include "lkvm/opt.h"

struct cmd_option {
	char letter;	   /* 0: none */
	const char *name;  /* without the dashes; NULL ends the table */
	const char *arg;   /* the value's name in --help; NULL: takes none */
	const char *help;  /* one sentence, lower case */
	int (*set)(void *dst, const char *what, const char *value);
	const struct opt_key *keys; /* its key=value keys, for --help */
};

struct cmd {
	const char *name, *args, *help;
	const struct cmd_option *options;
	int (*run)(int argc, char **argv); /* argv[0] is the command's name; an exit status */
	/* What stands behind `--`, n words; NULL: arguments like others. 0 or -errno, logged. */
	int (*rest)(void *dst, int n, char **words);
};

extern const struct cmd cmd_run, cmd_version, cmd_help, cmd_doctor, cmd_kconfig, cmd_test;
extern const struct cmd *const cmd_all[]; /* ends with NULL */

const struct cmd *cmd_find(const char *name); /* NULL: none */

/*
 * Parses argv[1..] into dst by cmd's table. What is no option goes to positional() one by one; after
 * `--` all of it, or to cmd->rest() at once. Returns 0; 1 when --help was asked for and printed; or -EINVAL, logged.
 */
int cmd_parse(const struct cmd *cmd, int argc, char **argv, void *dst,
	      int (*positional)(void *dst, const char *value));

/* The exit status of a command that cmd_parse() didn't let begin. */
static inline int cmd_status(int parsed)
{
	return parsed > 0 ? STATUS_OK : STATUS_FAILED;
}

void cmd_print_help(const struct cmd *cmd, FILE *to);
void cmd_print_man(FILE *to);
