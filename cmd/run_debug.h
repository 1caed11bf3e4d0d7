/* SPDX-License-Identifier: GPL-2.0-only */
/* run_debug: the options of `lkvm run` for looking into a guest (docs/debugging.md). */
#pragma once

#include "lkvm/opt.h"

int set_symbols(void *dst, const char *what, const char *value);
int set_dump(void *dst, const char *what, const char *value);
int set_gdb(void *dst, const char *what, const char *value);
int set_debug_exits(void *dst, const char *what, const char *value);
extern const struct opt_key gdb_keys[];

/* Rows of the option table. */
#define RUN_DEBUG_OPTIONS                                                                          \
	{ 0, "symbols", "FILE", "vmlinux or System.map, which name addresses in reports", set_symbols, \
	  NULL },                                                                                  \
	{ 0, "dump", "FILE", "with a report, write the guest's memory there: an ELF core", set_dump, \
	  NULL },                                                                                  \
	{ 0, "gdb", "WHERE[,KEY=VALUE]", "let gdb in: unix:PATH or tcp:[ADDRESS:]PORT", set_gdb, gdb_keys }, \
	{ 0, "debug-exits", NULL, "count the guest's exits to user space, and say at the end what for", \
	  set_debug_exits, NULL }
