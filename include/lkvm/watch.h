/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * watch: what is looked for on the guest's consoles, and the clocks that run against it.
 *
 * The rules are made once from the options. Each console stream has a scan of its own, which makes
 * lines of bytes (escape sequences and control characters taken out, bounded memory, whatever comes)
 * and says which rules they meet.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lkvm/loop.h"
#include "lkvm/opt.h"

/* --- rules ----------------------------------------------------------------------------------- */

/* What --fail-on can name; see watch/patterns.c. A panic is always looked for. */
enum watch_group {
	WATCH_OOPS,
	WATCH_WARNING,
	WATCH_KASAN,
	WATCH_LOCKDEP,
	WATCH_RCU_STALL,
	WATCH_HUNG_TASK,
	WATCH_LOCKUP,
	WATCH_GROUPS,
};

#define WATCH_BIT(group)  (1U << (group))
#define WATCH_DEFAULT	  (((1U << WATCH_GROUPS) - 1) & ~WATCH_BIT(WATCH_WARNING))

struct rules_conf {
	unsigned groups;	    /* WATCH_BIT()s */
	const struct opt_list *own; /* "NAME=REGEX" each */
	const char *expect;	    /* a POSIX extended regular expression, or NULL */
	const char *allow;	    /* a file of them: lines that count for nothing; or NULL */
};

struct rules;

/* NULL: logged, with the name of the option or the file and line. Constant afterwards. */
struct rules *rules_open(const struct rules_conf *conf);
void rules_close(struct rules *rules);

/* "oops" -> WATCH_OOPS; -1: no such group. names: for messages, "oops, warning, ..." */
int watch_group(const char *word, size_t len);
const char *watch_group_names(void);

/* --- scan ------------------------------------------------------------------------------------ */

enum scan_sign {
	SCAN_PANIC,	/* the kernel's panic line */
	SCAN_PANIC_END, /* its last words; nothing follows but a reboot, if that was asked for */
	SCAN_FAIL,	/* name: the group or the user's NAME */
	SCAN_EXPECTED,
	SCAN_USERSPACE, /* the kernel starts the first process */
};

/*
 * From the thread that fed, with the scan's lock held: must not call back. line: printable ASCII,
 * without the time stamp; good until the return.
 */
struct scan_user {
	void (*sign)(void *opaque, enum scan_sign what, const char *name, const char *line);
	void *opaque;
};

struct scan;

struct scan *scan_open(const struct rules *rules, const struct scan_user *user); /* NULL: logged */
void scan_close(struct scan *scan);
/* Any thread; the bytes in the order they were written. */
void scan_feed(struct scan *scan, const void *bytes, size_t len);
/* Nothing comes just now: looks at the line as far as it got (a prompt never ends). Any thread. */
void scan_pause(struct scan *scan);
/* Nothing will come any more: the last line counts, also a panic line cut in the middle. */
void scan_finish(struct scan *scan);
uint64_t scan_bytes(struct scan *scan); /* fed so far */

/* --- timeouts -------------------------------------------------------------------------------- */

enum timeout { TIMEOUT_TOTAL, TIMEOUT_BOOT, TIMEOUT_IDLE, TIMEOUTS };

struct timeouts_conf {
	uint64_t after[TIMEOUTS]; /* nanoseconds; 0: none */
	uint64_t (*activity)(void *opaque); /* IDLE: a number that changes while something happens */
	void (*expired)(void *opaque, enum timeout which); /* once for each, on the loop */
	void *opaque;
};

struct timeouts;

struct timeouts *timeouts_open(struct loop *loop, const struct timeouts_conf *conf); /* NULL: logged */
void timeouts_start(struct timeouts *t); /* the clocks run from here; on the loop */
void timeouts_booted(struct timeouts *t); /* BOOT is met; on the loop */
/* Held: no clock runs, as the guest stands still for a debugger; also before the start. On the loop. */
void timeouts_hold(struct timeouts *t, bool held);
void timeouts_close(struct timeouts *t);

/* --- lockup ---------------------------------------------------------------------------------- */

#define LOCKUP_CPUS 64

struct lockup_cpu {
	enum { LOCKUP_RUNNING, LOCKUP_HALTED, LOCKUP_WAITING } is; /* WAITING: never started */
	bool irqs;
	uint64_t rip;
};

/* All on the loop. */
struct lockup_conf {
	unsigned cpus; /* up to LOCKUP_CPUS */
	/* Nanoseconds, in the vCPUs' processor time too, after which turning in place is one; 0: it is none. */
	uint64_t spin;
	uint64_t (*ran)(void *opaque); /* the vCPUs' processor time, all together */
	/* Every vCPU at the same instant; false: it can't be told just now. */
	bool (*look)(void *opaque, struct lockup_cpu *cpus);
	uint64_t (*activity)(void *opaque); /* changes while devices work or consoles speak */
	void (*stuck)(void *opaque, const char *how); /* once: nobody looks any more */
	void *opaque;
};

struct lockup;

struct lockup *lockup_open(struct loop *loop, const struct lockup_conf *conf); /* NULL: logged */
void lockup_close(struct lockup *l);
