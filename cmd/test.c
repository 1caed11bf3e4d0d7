// SPDX-License-Identifier: GPL-2.0-only
/*
 * test: `lkvm test FILE`: a matrix of runs, a line for each as it ends, and one for all.
 *
 * Runs on: main.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"
#include "lkvm/log.h"
#include "lkvm/machine.h"
#include "lkvm/matrix.h"

#define STATUS_SOME_FAILED 1
#define JOBS_MAX 256

struct test {
	char *file, *junit, *artifacts;
	unsigned jobs;
	bool tap, list, junit_failed;
};

/* --- what is printed -------------------------------------------------------------------------- */

/* The guest has its part in these words: what would move the cursor becomes a question mark. */
static void print_text(const char *text)
{
	for (; *text; text++)
		putchar((unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text);
}

static void print_tap(const struct matrix_run *run, unsigned done)
{
	printf("%sok %u - ", run->state == RUN_PASSED ? "" : "not ", done);
	for (const char *c = run->name; *c; c++) {
		char one[2] = { *c, '\0' };

		/* "#" begins a directive. */
		if (*c == '#' || *c == '\\')
			putchar('\\');
		print_text(one);
	}
	printf(" (%.2f s)\n", run->seconds);
	if (run->cause) {
		printf("# ");
		print_text(run->cause);
		putchar('\n');
	}
}

static void print_line(const struct matrix_run *run)
{
	printf("%-4s  %7.2f s  ", run->state == RUN_PASSED ? "ok" : "FAIL", run->seconds);
	print_text(run->name);
	if (run->cause) {
		printf(": ");
		print_text(run->cause);
	}
	putchar('\n');
}

static void ended(void *opaque, const struct matrix *m, const struct matrix_run *run, unsigned done)
{
	const struct test *test = opaque;

	(void)m;
	if (test->tap)
		print_tap(run, done);
	else
		print_line(run);
	fflush(stdout);
}

static void finished(void *opaque, const struct matrix *m)
{
	struct test *test = opaque;
	unsigned passed = matrix_count(m, RUN_PASSED), bad = matrix_count(m, RUN_FAILED) +
							     matrix_count(m, RUN_ERROR);

	if (test->junit && matrix_junit(m, test->junit))
		test->junit_failed = true;
	printf("%s%u passed, %u failed", test->tap ? "# " : "", passed, bad);
	if (m->n - passed - bad)
		printf(", %u not run to their end", m->n - passed - bad);
	putchar('\n');
	if (test->artifacts && bad)
		printf("%sfiles: %s\n", test->tap ? "# " : "", test->artifacts);
}

/* --- the options ------------------------------------------------------------------------------ */

static int set_jobs(void *dst, const char *what, const char *value)
{
	uint64_t n;
	int err = opt_uint(what, value, 1, JOBS_MAX, &n);

	if (!err)
		((struct test *)dst)->jobs = (unsigned)n;
	return err;
}

static int set_junit(void *dst, const char *what, const char *value)
{
	(void)what;
	return opt_replace(&((struct test *)dst)->junit, value);
}

static int set_artifacts(void *dst, const char *what, const char *value)
{
	(void)what;
	return opt_replace(&((struct test *)dst)->artifacts, value);
}

static int set_tap(void *dst, const char *what, const char *value)
{
	(void)what;
	(void)value;
	((struct test *)dst)->tap = true;
	return 0;
}

static int set_list(void *dst, const char *what, const char *value)
{
	(void)what;
	(void)value;
	((struct test *)dst)->list = true;
	return 0;
}

static int positional(void *dst, const char *value)
{
	struct test *test = dst;

	if (test->file) {
		log_err(NULL, "'%s': there is a file already (%s)", value, test->file);
		return -EINVAL;
	}
	return opt_replace(&test->file, value);
}

static const struct cmd_option options[] = {
	{ 'j', "jobs", "N", "so many runs side by side (1)", set_jobs, NULL },
	{ 0, "junit", "FILE", "write the results there, as JUnit's XML", set_junit, NULL },
	{ 0, "tap", NULL, "print the results as TAP", set_tap, NULL },
	{ 0, "artifacts", "DIR", "keep each run's console, output and result there", set_artifacts, NULL },
	{ 0, "list", NULL, "print the runs' names, and run none", set_list, NULL },
	{ 0 },
};

/* --- the whole -------------------------------------------------------------------------------- */

static int go(struct test *test, struct matrix *m)
{
	struct matrix_conf conf = { .jobs = test->jobs, .artifacts = test->artifacts, .ended = ended,
				    .finished = finished, .opaque = test };

	if (test->list) {
		for (unsigned i = 0; i < m->n; i++)
			puts(m->run[i].name);
		return STATUS_OK;
	}
	if (test->tap)
		printf("TAP version 13\n1..%u\n", m->n);
	if (matrix_go(m, &conf) || test->junit_failed)
		return STATUS_FAILED;
	return matrix_count(m, RUN_PASSED) == m->n ? STATUS_OK : STATUS_SOME_FAILED;
}

static int run_test(int argc, char **argv)
{
	struct test test = { .jobs = 1 };
	int status = STATUS_FAILED, err;
	struct matrix m;

	err = cmd_parse(&cmd_test, argc, argv, &test, positional);
	if (err == 1) {
		status = STATUS_OK;
	} else if (!err && !test.file) {
		log_err(NULL, "which tests? `lkvm test FILE`; docs/testing-kernels.md describes the file");
	} else if (!err && !matrix_open(&m, test.file)) {
		status = go(&test, &m);
		matrix_close(&m);
	}
	free(test.file);
	free(test.junit);
	free(test.artifacts);
	return status;
}

const struct cmd cmd_test = {
	.name = "test",
	.args = "[OPTIONS] FILE",
	.help = "run the tests that a file lists, every combination; 0: all passed, 1: some failed",
	.options = options,
	.run = run_test,
};
