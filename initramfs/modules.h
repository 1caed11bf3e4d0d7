/* SPDX-License-Identifier: GPL-2.0-only */
/* modules: a kernel's modules.dep and modules.builtin, and the order that follows from them. */
#pragma once

#include <stdbool.h>

#define MODULES_MAX 128

struct module {
	const char *path;  /* as in modules.dep: relative to its folder, or absolute */
	const char *needs; /* paths, separated by blanks */
	bool seen;	   /* in the list already */
};

struct modules {
	const char *dir;
	char *dep, *builtin; /* the files' text; builtin may be NULL */
	struct module *list;
	unsigned n;
};

struct modules_list {
	const char *path[MODULES_MAX]; /* into struct modules */
	unsigned n;
};

int modules_open(struct modules *m, const char *dir); /* 0 or -errno, logged */
void modules_close(struct modules *m);
/*
 * The wanted ones (up to a NULL) behind what they need; one that isn't there is a warning, unless its
 * name has a ? in front. Once.
 */
int modules_order(struct modules *m, const char *const *wanted, struct modules_list *out);
