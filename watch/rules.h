/* SPDX-License-Identifier: GPL-2.0-only */
/* rules: what the scan asks of a line. */
#pragma once

#include <stdbool.h>

#include "lkvm/watch.h"

/* A line, NUL-terminated, no control characters. head, tail: it has the real beginning, the real end. */
struct rules_line {
	const char *text;
	bool head, tail;
};

/* The name of the rule that the line breaks, or NULL. What is allowed breaks none. */
const char *rules_fail(const struct rules *rules, const struct rules_line *line);
bool rules_expected(const struct rules *rules, const struct rules_line *line);
bool rules_userspace(const struct rules_line *line);
