// SPDX-License-Identifier: GPL-2.0-only
/*
 * fuzz_scan: a console that prints anything. What comes in one piece and what comes byte by byte must
 * say the same; what is quoted must be printable.
 */
#include <stdlib.h>
#include <string.h>

#include "lkvm/watch.h"

#define must(cond)                                                                                 \
	do {                                                                                       \
		if (!(cond))                                                                       \
			__builtin_trap();                                                          \
	} while (0)

static unsigned count[SCAN_USERSPACE + 1];

static void sign(void *opaque, enum scan_sign what, const char *name, const char *line)
{
	(void)opaque;
	count[what]++;
	must((what == SCAN_FAIL) == (name != NULL));
	for (; *line; line++)
		must(*line >= ' ' && *line <= '~');
}

static const struct rules *make_rules(void)
{
	static struct rules *rules;
	char *own[] = { "mine=^(a|b)*c$" };
	struct opt_list list = { .item = own, .n = 1 };
	struct rules_conf conf = { .groups = (1U << WATCH_GROUPS) - 1, .own = &list, .expect = "log(in)?: $" };

	if (!rules)
		rules = rules_open(&conf);
	return rules;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct scan_user user = { .sign = sign };
	struct scan *whole = scan_open(make_rules(), &user), *bytes = scan_open(make_rules(), &user);
	unsigned first[SCAN_USERSPACE + 1];

	memset(count, 0, sizeof(count));
	scan_feed(whole, data, len);
	scan_finish(whole);
	memcpy(first, count, sizeof(first));
	memset(count, 0, sizeof(count));
	for (size_t i = 0; i < len; i++)
		scan_feed(bytes, data + i, 1);
	scan_finish(bytes);
	must(!memcmp(first, count, sizeof(first)));
	must(scan_bytes(bytes) == len);
	scan_pause(whole);
	scan_close(whole);
	scan_close(bytes);
	return 0;
}
