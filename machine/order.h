/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * order: what the guest's first process is told to run: the message START of guest/command.h.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lkvm/config.h"

/* *bytes is malloc'ed, head included. 0 or -errno, logged: -E2BIG when it is more than goes through. */
int order_make(const struct config_command *conf, uint16_t cols, uint16_t rows, uint8_t **bytes, size_t *len);
