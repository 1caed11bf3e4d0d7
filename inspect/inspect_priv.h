/* SPDX-License-Identifier: GPL-2.0-only */
/* inspect_priv.h: the whole, as its own files see it. */
#pragma once

#include "inspect/symbols.h"

struct inspect {
	const char *source; /* where file is from; the caller's */
	struct symbols file, own;
	struct vmcore vmcore;
};

/* Those that fit the guest, or NULL; says which to `to`, when given. */
const struct symbols *inspect_symbols(struct inspect *in, struct vm *vm, FILE *to);
