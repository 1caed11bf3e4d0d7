/* SPDX-License-Identifier: GPL-2.0-only */
/* floor: what floor.c (files, main) and floor_tap.c (packets) share. */
#pragma once

#include <stddef.h>

#define DEPTH_MAX 256

extern unsigned long calls;

void die(const char *what);

int tap_open(const char *name);
void tap_prepare(int fd, const char *how, size_t bytes);
void tap_run(int fd, unsigned depth, unsigned count);
