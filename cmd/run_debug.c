// SPDX-License-Identifier: GPL-2.0-only
/*
 * run_debug: the options of `lkvm run` for looking into a guest.
 *
 * Runs on: main.
 */
#include "run_debug.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "lkvm/config.h"
#include "lkvm/log.h"

int set_symbols(void *dst, const char *what, const char *value)
{
	(void)what;
	return opt_replace(&((struct config *)dst)->symbols, value);
}

int set_dump(void *dst, const char *what, const char *value)
{
	(void)what;
	return opt_replace(&((struct config *)dst)->dump, value);
}

int set_debug_exits(void *dst, const char *what, const char *value)
{
	(void)what;
	(void)value;
	((struct config *)dst)->debug_exits = true;
	return 0;
}

const struct opt_key gdb_keys[] = {
	{ .name = "at", .kind = OPT_STRING, .at = offsetof(struct config, gdb),
	  .help = "unix:PATH, or tcp:PORT on the loopback" },
	{ .name = "wait", .kind = OPT_BOOL, .at = offsetof(struct config, gdb_wait),
	  .help = "the guest begins stopped (on)" },
	{ 0 },
};

int set_gdb(void *dst, const char *what, const char *value)
{
	struct config *conf = dst;
	int err;

	free(conf->gdb);
	conf->gdb = NULL;
	err = opt_parse(what, value, gdb_keys, conf, NULL);
	if (!err && (!conf->gdb || (strncmp(conf->gdb, "unix:", 5) && strncmp(conf->gdb, "tcp:", 4)))) {
		log_err(NULL, "%s: '%s': where? write unix:PATH or tcp:[ADDRESS:]PORT", what, value);
		err = -EINVAL;
	}
	return err;
}
