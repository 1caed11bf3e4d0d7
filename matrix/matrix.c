// SPDX-License-Identifier: GPL-2.0-only
/*
 * matrix: the file, from disk to runs, and giving it back.
 *
 * Runs on: main
 */
#include "lkvm/matrix.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "lkvm/log.h"
#include "matrix/plan.h"

#define FILE_MAX (1U << 20)

int matrix_parse(struct matrix *m, const char *path, const char *text, size_t len)
{
	const char *slash = strrchr(path, '/');
	struct toml_error why;
	struct toml doc;
	int err;

	*m = (struct matrix){ .path = path };
	m->dir = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
	err = toml_parse(&doc, text, len, &why);
	if (err)
		log_err(NULL, "%s:%u:%u: %s", path, why.at.line, why.at.column, why.text);
	else
		err = m->dir ? plan_make(m, &doc) : -ENOMEM;
	toml_free(&doc);
	if (err)
		matrix_close(m);
	return err;
}

int matrix_open(struct matrix *m, const char *path)
{
	char *text = malloc(FILE_MAX + 1);
	FILE *f = fopen(path, "re");
	size_t len;
	int err;

	*m = (struct matrix){ 0 };
	if (!f || !text) {
		err = f ? -ENOMEM : -errno;
		log_err(NULL, "cannot open %s: %s", path, strerror(-err));
		goto out_free;
	}
	len = fread(text, 1, FILE_MAX + 1, f);
	if (ferror(f) || len > FILE_MAX) {
		err = ferror(f) ? -errno : -EFBIG;
		log_err(NULL, "cannot read %s: %s", path, strerror(-err));
		goto out_free;
	}
	err = matrix_parse(m, path, text, len);

out_free:
	if (f)
		fclose(f);
	free(text);
	return err;
}

static void free_words(char **words)
{
	for (char **w = words; w && *w; w++)
		free(*w);
	free(words);
}

void matrix_close(struct matrix *m)
{
	for (unsigned i = 0; i < m->n; i++) {
		free(m->run[i].name);
		free(m->run[i].test);
		free(m->run[i].cause);
		free(m->run[i].dir);
		free_words(m->run[i].options);
		free_words(m->run[i].command);
	}
	free(m->run);
	free(m->dir);
	*m = (struct matrix){ 0 };
}

unsigned matrix_count(const struct matrix *m, int state)
{
	unsigned n = 0;

	for (unsigned i = 0; i < m->n; i++)
		n += (int)m->run[i].state == state;
	return n;
}
