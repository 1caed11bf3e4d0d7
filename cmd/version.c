// SPDX-License-Identifier: GPL-2.0-only
/*
 * version: `lkvm version`.
 *
 * Runs on: main.
 */
#include "cmd.h"
#include "lkvm/machine.h"

static const struct cmd_option options[] = { { 0 } };

static int run_version(int argc, char **argv)
{
	int err;

	err = cmd_parse(&cmd_version, argc, argv, NULL, NULL);
	if (err)
		return cmd_status(err);
	printf("lkvm %s\n", LKVM_VERSION);
	return STATUS_OK;
}

const struct cmd cmd_version = {
	.name = "version",
	.args = "",
	.help = "print lkvm's version",
	.options = options,
	.run = run_version,
};
