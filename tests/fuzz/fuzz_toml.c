// SPDX-License-Identifier: GPL-2.0-only
/* The parser of `lkvm test`'s files: any bytes, and every value looked at. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "matrix/toml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t look(const struct toml_value *v)
{
	size_t n = v->text ? strlen(v->text) : 1;

	for (unsigned i = 0; i < v->n; i++)
		n += look(&v->item[i]);
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* A copy without a byte to spare, so that reading beyond it is seen. */
	char *text = malloc(size ? size : 1);
	struct toml_error err;
	struct toml doc;
	size_t n = 0;

	memcpy(text, data, size);
	if (toml_parse(&doc, text, size, &err) && (!err.at.line || !err.at.column || !err.text[0]))
		abort();
	for (unsigned i = 0; i < doc.n; i++)
		for (unsigned k = 0; k < doc.table[i].n; k++)
			n += look(&doc.table[i].entry[k].value);
	if (n > size * 2 + 1)
		abort(); /* more than was written */
	toml_free(&doc);
	free(text);
	return 0;
}
