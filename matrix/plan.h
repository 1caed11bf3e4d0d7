/* SPDX-License-Identifier: GPL-2.0-only */
/* plan: the runs that a parsed file stands for. */
#pragma once

#include "lkvm/matrix.h"
#include "matrix/toml.h"

int plan_make(struct matrix *m, const struct toml *doc); /* 0 or -errno; what is wrong was logged */
