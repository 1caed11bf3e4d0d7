/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * TAP for the unit tests, in one header: one result a line, numbered by tests/check.
 *
 *	ok(cond, "what must hold, as a sentence");
 *	is(got, want, "...");                   integers; prints both when they differ
 *	is_str(got, want, "...");
 *	skip("why", "what was not tried");
 *	return tap_end();                       from main(): 0 only when nothing failed
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static int tap_run, tap_failed;

__attribute__((format(printf, 4, 5), unused)) static bool
tap_ok(bool pass, const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	tap_run++;
	printf("%sok %d - ", pass ? "" : "not ", tap_run);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	if (!pass) {
		tap_failed++;
		printf("#   at %s:%d\n", file, line);
	}
	fflush(stdout);
	return pass;
}

static inline int tap_end(void)
{
	printf("1..%d\n", tap_run);
	return tap_failed ? 1 : 0;
}

#define ok(cond, ...) tap_ok((cond), __FILE__, __LINE__, __VA_ARGS__)

#define is(got, want, ...)                                                                         \
	do {                                                                                       \
		long long tap_g = (long long)(got), tap_w = (long long)(want);                     \
		if (!tap_ok(tap_g == tap_w, __FILE__, __LINE__, __VA_ARGS__))                      \
			printf("#   got %lld (%#llx), wanted %lld (%#llx)\n", tap_g,               \
			       (unsigned long long)tap_g, tap_w, (unsigned long long)tap_w);       \
	} while (0)

#define is_str(got, want, ...)                                                                     \
	do {                                                                                       \
		const char *tap_g = (got), *tap_w = (want);                                        \
		if (!tap_ok(tap_g && tap_w && !strcmp(tap_g, tap_w), __FILE__, __LINE__,           \
			    __VA_ARGS__))                                                          \
			printf("#   got \"%s\", wanted \"%s\"\n", tap_g ? tap_g : "(null)", tap_w);  \
	} while (0)

#define skip(why, ...)                                                                             \
	do {                                                                                       \
		tap_run++;                                                                         \
		printf("ok %d - ", tap_run);                                                       \
		printf(__VA_ARGS__);                                                               \
		printf(" # SKIP %s\n", (why));                                                     \
	} while (0)
