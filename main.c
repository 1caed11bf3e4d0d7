// SPDX-License-Identifier: GPL-2.0-only
/*
 * main: finds the command and turns its result into the exit status.
 *
 * Nothing else in lkvm ends the process.
 */
#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"
#include "lkvm/log.h"
#include "lkvm/machine.h"
#include "lkvm/term.h"

#define OWN_PAGES 32768

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : NULL;
	const struct cmd *cmd;
	int status;

	/* Buffers and pools get pages of their own, which are nothing until they are written to. */
	mallopt(M_MMAP_THRESHOLD, OWN_PAGES);
	term_hold_std();
	if (!name) {
		log_err(NULL, "which command? `lkvm help` lists them; `lkvm run -k KERNEL` boots one");
		return STATUS_FAILED;
	}
	if (!strcmp(name, "--help") || !strcmp(name, "-h"))
		name = "help";
	else if (!strcmp(name, "--version"))
		name = "version";
	cmd = cmd_find(name);
	if (!cmd) {
		log_err(NULL, "there is no command '%s'; `lkvm help` lists them", name);
		return STATUS_FAILED;
	}
	status = cmd->run(argc - 1, argv + 1);
	if (fflush(stdout) && status == STATUS_OK) {
		log_err(NULL, "cannot write to standard output");
		status = STATUS_FAILED;
	}
	return status;
}
