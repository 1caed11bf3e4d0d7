/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * matrix: a file of tests, the runs that it stands for, and running them side by side as processes of
 * their own. docs/testing-kernels.md describes the file.
 *
 * Runs on: main
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* --- the plan --------------------------------------------------------------------------------- */

/* One run of lkvm. */
struct matrix_run {
	char *name;	/* "boot [cpus=4]" */
	char *test;	/* "boot" */
	char **options; /* for `lkvm run`; ends with NULL */
	char **command; /* behind `--`; NULL: none */
	int status;	/* the one that passes */
	unsigned timeout; /* seconds */

	/* How it went. */
	enum { RUN_WAITING, RUN_GOING, RUN_PASSED, RUN_FAILED, RUN_ERROR, RUN_STOPPED } state;
	int ended;	/* its status, -N: killed by signal N */
	double seconds;
	char *cause;	/* why not passed; one line */
	char *dir;	/* its files */
};

struct matrix {
	const char *path; /* of the file; the caller's */
	char *dir;	  /* its folder, in which the runs run */
	struct matrix_run *run;
	unsigned n;
};

/* Reads the file. 0 or -errno, logged as `FILE:LINE:COLUMN: ...`. */
int matrix_open(struct matrix *m, const char *path);
/* The same from text. */
int matrix_parse(struct matrix *m, const char *path, const char *text, size_t len);
void matrix_close(struct matrix *m);

/* --- running it ------------------------------------------------------------------------------- */

struct matrix_conf {
	unsigned jobs;
	const char *artifacts; /* a folder, made when it is not there; NULL: a temporary one */
	/* A run has ended; done counts those that have. */
	void (*ended)(void *opaque, const struct matrix *m, const struct matrix_run *run, unsigned done);
	/* All have; their files are still there. */
	void (*finished)(void *opaque, const struct matrix *m);
	void *opaque;
};

/* 0; -EINTR when a signal ended it, which all runs have been; or -errno, logged. */
int matrix_go(struct matrix *m, const struct matrix_conf *conf);
unsigned matrix_count(const struct matrix *m, int state);

/* The results as JUnit's XML, with the ends of the runs' files. 0 or -errno, logged. */
int matrix_junit(const struct matrix *m, const char *path);
