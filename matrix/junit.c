// SPDX-License-Identifier: GPL-2.0-only
/*
 * junit: the results in the XML that CI systems read.
 *
 * Runs on: main
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "lkvm/matrix.h"
#include "lkvm/report.h"

#define TAIL_MAX 8192

static void put(FILE *f, const char *text)
{
	report_xml(f, text, strlen(text));
}

/* The last of a file, when there is something in it. */
static void put_tail(FILE *to, const struct matrix_run *run, const char *name, const char *element)
{
	char path[PATH_MAX], text[TAIL_MAX];
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "%s/%s", run->dir ? run->dir : "", name);
	f = run->dir ? fopen(path, "re") : NULL;
	if (!f)
		return;
	if (fseek(f, -TAIL_MAX, SEEK_END))
		rewind(f);
	n = fread(text, 1, sizeof(text), f);
	fclose(f);
	if (!n)
		return;
	fprintf(to, "      <%s>", element);
	report_xml(to, text, n);
	fprintf(to, "</%s>\n", element);
}

static void put_case(FILE *f, const struct matrix_run *run)
{
	fputs("    <testcase classname=\"", f);
	put(f, run->test);
	fputs("\" name=\"", f);
	put(f, run->name);
	fprintf(f, "\" time=\"%.3f\">\n", run->seconds);
	if (run->state == RUN_FAILED || run->state == RUN_ERROR) {
		const char *element = run->state == RUN_ERROR ? "error" : "failure";

		fprintf(f, "      <%s message=\"", element);
		put(f, run->cause ? run->cause : "");
		fputs("\"/>\n", f);
	} else if (run->state != RUN_PASSED) {
		fputs("      <skipped message=\"stopped\"/>\n", f);
	}
	if (run->state != RUN_PASSED) {
		/* What a command wrote says more than its kernel does. */
		if (run->command)
			put_tail(f, run, "stdout", "system-out");
		put_tail(f, run, "stderr", "system-err");
		put_tail(f, run, "console.log", run->command ? "system-err" : "system-out");
	}
	fputs("    </testcase>\n", f);
}

int matrix_junit(const struct matrix *m, const char *path)
{
	unsigned failed = matrix_count(m, RUN_FAILED), errors = matrix_count(m, RUN_ERROR),
		 skipped = m->n - failed - errors - matrix_count(m, RUN_PASSED);
	double seconds = 0;
	char *xml = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&xml, &len);
	int err;

	if (!f)
		return -ENOMEM;
	for (unsigned i = 0; i < m->n; i++)
		seconds += m->run[i].seconds;
	fprintf(f, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite name=\"");
	put(f, m->path);
	fprintf(f, "\" tests=\"%u\" failures=\"%u\" errors=\"%u\" skipped=\"%u\" time=\"%.3f\">\n", m->n,
		failed, errors, skipped, seconds);
	for (unsigned i = 0; i < m->n; i++)
		put_case(f, &m->run[i]);
	fputs("  </testsuite>\n</testsuites>\n", f);
	err = fclose(f) ? -ENOMEM : report_write("JUnit file", path, xml, len);
	free(xml);
	return err;
}
