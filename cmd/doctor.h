/* SPDX-License-Identifier: GPL-2.0-only */
/* doctor: the lines of `lkvm doctor`, and its part that looks at a kernel. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * "ok" works; "note" works less well or not at all but isn't needed; "FAIL" stops a run.
 */
void doctor_say(const char *verdict, const char *what, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

struct doctor_kernel {
	char *path;
	bool initrd;	  /* there is one, to bring modules */
	bool asked;	  /* devices: by the user; else all that lkvm has, none of them needed */
	uint32_t devices; /* a set as in lkvm/kconfig.h */
};

/* 0 or -errno, logged: the configuration could not be read. */
int doctor_look_at_kernel(const struct doctor_kernel *kernel);
