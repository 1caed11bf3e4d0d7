/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The suite: tables of subtests, each a function that returns when all is well.
 *
 * A subtest starts with every device reset, decoding as found and MSI-X off, and with an empty
 * arena; it need not clean up, since the runner puts everything back, also after a failed check.
 * So a check that fails may simply leave, by mark_jump().
 */
#pragma once

#include "lib.h"

struct vdev;

/*
 * What a subtest runs on: once with no device, or once for each device of a kind (one result for
 * all of them together; it is skipped only when all of them skip).
 */
enum test_on {
	ONCE = 0,
	NET = 1, /* virtio type numbers */
	BLK = 2,
	CONSOLE = 3,
	ANY = 0xff,
};

#define HOSTILE 1 /* afterwards the device must do its work again */
#define LEGACY  2 /* for devices with a legacy face; all others of a type need a modern one */

struct test {
	const char
	    *ids; /* "BLK-30" or "PCI-RESET-01,PCI-RESET-02": requirements, or names of our own */
	const char *text; /* what holds, as a sentence */
	void (*run)(struct vdev *d);
	u8 on;
	u8 flags;
};

struct suite {
	const char *name;
	const struct test *tests;
	u32 n;
};

extern const struct suite suite_acpi, suite_pci, suite_vcap, suite_status, suite_common, suite_msix,
	suite_intx, suite_ring, suite_blk, suite_net, suite_mq, suite_filter, suite_console,
	suite_ports, suite_packed, suite_reset, suite_legacy, suite_blocks, suite_gso, suite_hostile,
	suite_abuse;

void test_fail(const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4), noreturn));
void test_skip(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
void test_abort(const char *why, u64 a, u64 b) __attribute__((noreturn));
void note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#define must(cond, ...)                                                  \
	do {                                                             \
		if (!(cond))                                             \
			test_fail(__FILE_NAME__, __LINE__, __VA_ARGS__); \
	} while (0)

#define must_be(got, want, fmt, ...)                                                      \
	do {                                                                              \
		u64 got_ = (u64)(got), want_ = (u64)(want);                               \
		if (got_ != want_)                                                        \
			test_fail(__FILE_NAME__, __LINE__, fmt ": got %#lx, wanted %#lx", \
				  ##__VA_ARGS__, got_, want_);                            \
	} while (0)

#define skip_if(cond, ...)                      \
	do {                                    \
		if (cond)                       \
			test_skip(__VA_ARGS__); \
	} while (0)

/* Looks again and again until `cond` holds; false when `us` microseconds have gone by. */
#define wait_until(cond, us)                                  \
	({                                                    \
		u64 end_ = now_us() + (us);                   \
		bool yes_;                                    \
		while (!(yes_ = !!(cond)) && now_us() < end_) \
			barrier();                            \
		yes_ || (cond);                               \
	})

#define PATIENCE 3000000 /* for what must come, in microseconds */
#define SETTLE   4000    /* for what must not come */

/* Runs what probe.only and probe.skip select; returns the number of failures. */
u32 test_run(const struct suite *const *suites, u32 n);

/* What the next call of param() looks at. */
void param_init(const char *cmdline);
/* The value of `name=` on the kernel command line, or NULL; `len` gets its length. */
const char *param(const char *name, size_t *len);
bool test_deadline_passed(void);
