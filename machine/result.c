// SPDX-License-Identifier: GPL-2.0-only
/*
 * result: the run's end as a JSON file.
 *
 * Runs on: main; result_console on any thread.
 */
#include "result.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lkvm/log.h"
#include "lkvm/phase.h"
#include "lkvm/report.h"

#define TAIL 16384 /* bytes of console that are kept, a power of two */

struct result {
	char *path;
	time_t started;
	uint64_t start;
	int status;
	const char *word;
	char cause[VERDICT_LINE + 200];
	char *exits; /* JSON; NULL: not counted */
	pthread_mutex_t lock; /* the tail */
	uint64_t bytes;	      /* ever written */
	char tail[TAIL];      /* byte n is at n % TAIL */
};

struct result *result_open(const char *path)
{
	struct result *r = calloc(1, sizeof(*r));
	char *dir = strdup(path), *slash = dir ? strrchr(dir, '/') : NULL;
	const char *where = "."; /* no slash: here */

	if (r)
		r->path = strdup(path);
	if (!r || !dir || !r->path) {
		log_err(NULL, "cannot write result %s: out of memory", path);
		goto out_free;
	}
	if (slash) {
		slash[slash == dir] = '\0';
		where = dir;
	}
	if (access(where, W_OK | X_OK) && access(path, W_OK)) {
		log_err(NULL, "cannot write result %s: %s", path, strerror(errno));
		goto out_free;
	}
	pthread_mutex_init(&r->lock, NULL);
	r->started = time(NULL);
	r->start = loop_now();
	free(dir);
	return r;

out_free:
	free(dir);
	if (r)
		free(r->path);
	free(r);
	return NULL;
}

void result_close(struct result *r)
{
	if (!r)
		return;
	pthread_mutex_destroy(&r->lock);
	free(r->exits);
	free(r->path);
	free(r);
}

void result_console(struct result *r, const void *bytes, size_t len)
{
	const char *from = bytes;

	pthread_mutex_lock(&r->lock);
	if (len > TAIL) {
		r->bytes += len - TAIL;
		from += len - TAIL;
		len = TAIL;
	}
	while (len) {
		size_t at = r->bytes % TAIL, n = TAIL - at < len ? TAIL - at : len;

		memcpy(r->tail + at, from, n);
		r->bytes += n;
		from += n;
		len -= n;
	}
	pthread_mutex_unlock(&r->lock);
}

/* --- the words -------------------------------------------------------------------------------- */

/* Is this status the guest's own: the command's, or one by the debug port? */
static bool guests_own(int status, const struct verdict *v)
{
	if (!v->ended || v->panic[0] || v->failure[0] || v->late[0])
		return false;
	if (v->how == ENDED_STATUS)
		return status == v->status;
	return v->command && v->command_done && status == v->command_status &&
	       (v->how == ENDED_OFF || v->how == ENDED_REBOOT || v->how == ENDED_EXPECTED);
}

const char *result_word(int status, const struct verdict *v)
{
	if (status == STATUS_OK)
		return "ok";
	if (guests_own(status, v))
		return "status";
	switch (status) {
	case STATUS_PANIC:
		return "panic";
	case STATUS_FAIL_ON:
		return "fail-on";
	case STATUS_LOCKUP:
		return "lockup";
	case STATUS_GONE:
		return "gone";
	case STATUS_TIMEOUT:
		return "timeout";
	default:
		return status == STATUS_FAILED ? "failed" : "status";
	}
}

/* The cause is the line that lkvm printed, where it printed one. */
void result_judge(struct result *r, int status, const struct verdict *v)
{
	r->status = status;
	r->word = result_word(status, v);
	if (guests_own(status, v) && v->command_done)
		snprintf(r->cause, sizeof(r->cause), "the command ended with status %d", status);
	else if (status == STATUS_OK && v->why[0])
		snprintf(r->cause, sizeof(r->cause), "%s", v->why);
	else if (status == STATUS_OK || guests_own(status, v))
		snprintf(r->cause, sizeof(r->cause), "the guest ended with status %d", status);
	else
		log_last_err(r->cause, sizeof(r->cause));
}

void result_exits(struct result *r, char *json)
{
	free(r->exits);
	r->exits = json;
}

/* --- the file --------------------------------------------------------------------------------- */

static void member(FILE *f, const char *name, const char *text)
{
	fprintf(f, "  \"%s\": ", name);
	report_json(f, text, strlen(text));
	fputs(",\n", f);
}

static void put_phases(FILE *f, uint64_t start)
{
	struct phase list[PHASES_MAX];
	unsigned n = phase_list(list, PHASES_MAX);

	fputs("  \"phases\": [", f);
	for (unsigned i = 0; i < n; i++) {
		uint64_t ns = list[i].at > start ? list[i].at - start : 0;

		fprintf(f, "%s\n    { \"name\": ", i ? "," : "");
		report_json(f, list[i].name, strlen(list[i].name));
		fprintf(f, ", \"seconds\": %llu.%06llu }", (unsigned long long)(ns / 1000000000),
			(unsigned long long)(ns / 1000 % 1000000));
	}
	fputs("\n  ],\n", f);
}

/* From the first whole line on, when the beginning is lost. */
static void put_console(FILE *f, struct result *r)
{
	char *text = malloc(TAIL);
	size_t n = 0, skip = 0;

	if (!text)
		return;
	pthread_mutex_lock(&r->lock);
	for (uint64_t i = r->bytes > TAIL ? r->bytes - TAIL : 0; i < r->bytes; i++)
		text[n++] = r->tail[i % TAIL];
	if (r->bytes > TAIL) {
		const char *nl = memchr(text, '\n', n);

		skip = nl ? (size_t)(nl - text) + 1 : 0;
	}
	fprintf(f, "  \"console_bytes\": %llu,\n  \"console_tail\": ", (unsigned long long)r->bytes);
	pthread_mutex_unlock(&r->lock);
	report_json(f, text + skip, n - skip);
	fputs(",\n", f);
	free(text);
}

/* A word as a shell reads it back. */
static void put_quoted(FILE *f, const char *word)
{
	if (*word && !word[strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
					"_-+=./,:@%")]) {
		fputs(word, f);
		return;
	}
	putc('\'', f);
	for (; *word; word++) {
		if (*word == '\'')
			fputs("'\\''", f);
		else
			putc(*word, f);
	}
	putc('\'', f);
}

/* As the kernel keeps it: NULs between the words. NULL: none. */
static char *own_words(size_t *len)
{
	int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
	char *words = NULL;
	FILE *f = open_memstream(&words, len);
	char part[4096];
	ssize_t n;

	while (fd >= 0 && f && (n = read(fd, part, sizeof(part))) > 0)
		fwrite(part, 1, (size_t)n, f);
	if (fd >= 0)
		close(fd);
	if (f)
		fclose(f);
	return words;
}

static void put_command(FILE *f)
{
	char *line = NULL, *words, cwd[PATH_MAX];
	size_t len = 0, line_len = 0;
	FILE *shell = open_memstream(&line, &line_len);

	words = own_words(&len);
	fputs("  \"argv\": [", f);
	if (shell && getcwd(cwd, sizeof(cwd))) {
		fputs("cd ", shell);
		put_quoted(shell, cwd);
		fputs(" &&", shell);
	}
	for (size_t at = 0; words && at < len; at += strlen(words + at) + 1) {
		fputs(at ? ", " : "", f);
		report_json(f, words + at, strlen(words + at));
		if (shell) {
			putc(' ', shell);
			put_quoted(shell, words + at);
		}
	}
	fputs("],\n", f);
	if (shell && !fclose(shell))
		member(f, "reproduce", line);
	free(line);
	free(words);
}

int result_write(struct result *r)
{
	char *json = NULL, stamp[32];
	uint64_t ns = loop_now() - r->start;
	struct tm tm;
	size_t len = 0;
	FILE *f = open_memstream(&json, &len);
	int err;

	if (!f)
		return -ENOMEM;
	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&r->started, &tm));
	fputs("{\n", f);
	member(f, "verdict", r->word);
	member(f, "cause", r->cause);
	fprintf(f, "  \"status\": %d,\n", r->status);
	member(f, "started", stamp);
	fprintf(f, "  \"seconds\": %llu.%06llu,\n", (unsigned long long)(ns / 1000000000),
		(unsigned long long)(ns / 1000 % 1000000));
	put_phases(f, r->start);
	if (r->exits)
		fprintf(f, "  \"exits\": %s,\n", r->exits);
	put_console(f, r);
	put_command(f);
	fputs("  \"lkvm\": ", f);
	report_json(f, LKVM_VERSION, strlen(LKVM_VERSION));
	fputs("\n}\n", f);
	err = fclose(f) ? -ENOMEM : report_write("result", r->path, json, len);
	free(json);
	return err;
}
