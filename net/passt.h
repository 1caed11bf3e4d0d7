/* SPDX-License-Identifier: GPL-2.0-only */
/* passt: its command line, made by passt_args.c. */
#pragma once

#include "lkvm/netif.h"

#define PASST_ARGS 64

struct passt_args {
	char *argv[PASST_ARGS + 1];
	unsigned n;
};

/* The command line for conf. 0 or -errno, logged; free it then. */
int passt_args(const char *name, const struct netif_conf *conf, struct passt_args *args);
void passt_args_free(struct passt_args *args);
