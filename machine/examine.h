/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * examine: the doctor of guests that hang: a report on every vCPU, a core file, and a try at making the
 * guest tell more itself. Everything on main.
 */
#pragma once

#include "lkvm/config.h"
#include "lkvm/hw.h"
#include "lkvm/inspect.h"

struct examine {
	const struct config *conf;
	struct inspect *inspect;
	struct vm *vm;	       /* both set once they are there */
	struct serial *serial;
};

int examine_open(struct examine *e, const struct config *conf); /* 0 or -errno, logged */
void examine_close(struct examine *e);
/* The report, and the core file when one is asked for; the guest goes on afterwards as it was. */
void examine_now(struct examine *e, const char *why);
/* The same for a guest that is about to end, which is then provoked to say what it knows. */
void examine_last(struct examine *e, const char *why);
