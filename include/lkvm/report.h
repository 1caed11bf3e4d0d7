/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * report: what the files that machines read are made of: strings of JSON and XML out of any bytes, and
 * files that are there as a whole or not at all.
 */
#pragma once

#include <stddef.h>
#include <stdio.h>

/*
 * A string with its quotes. Bytes that are no UTF-8 become U+FFFD, control characters \u00XX; so the
 * result is valid whatever comes.
 */
void report_json(FILE *to, const char *bytes, size_t len);
/* Text, also for between double quotes. What XML 1.0 can't say (control characters) becomes U+FFFD. */
void report_xml(FILE *to, const char *bytes, size_t len);

/*
 * Replaces path by these bytes, in one step: a reader sees the old file or the new one. What is no
 * regular file (a pipe, /dev/stdout) is written to as it is. 0 or -errno, logged as `WHAT PATH`.
 */
int report_write(const char *what, const char *path, const char *bytes, size_t len);
