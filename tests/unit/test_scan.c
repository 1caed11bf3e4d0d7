// SPDX-License-Identifier: GPL-2.0-only
/*
 * The console's scanner: every pattern with a line that a kernel really printed and one that is
 * nearly it, and streams that come in every kind of pieces.
 */
#include <malloc.h>
#include <stdlib.h>
#include <unistd.h>

#include "lkvm/log.h"
#include "lkvm/watch.h"
#include "tap.h"
#include "watch/patterns.h"

static struct {
	unsigned n[SCAN_USERSPACE + 1];
	char name[64], fail[256], panic[256];
} seen;

static void sign(void *opaque, enum scan_sign what, const char *name, const char *line)
{
	(void)opaque;
	seen.n[what]++;
	if (what == SCAN_FAIL && seen.n[what] == 1) {
		snprintf(seen.name, sizeof(seen.name), "%s", name);
		snprintf(seen.fail, sizeof(seen.fail), "%s", line);
	}
	if (what == SCAN_PANIC && seen.n[what] == 1)
		snprintf(seen.panic, sizeof(seen.panic), "%s", line);
}

static const struct scan_user user = { .sign = sign };

static struct rules *make_rules(unsigned groups, const char *own, const char *expect, const char *allow)
{
	char *item[] = { (char *)own };
	struct opt_list list = { .item = item, .n = own != NULL };
	struct rules_conf conf = { .groups = groups, .own = &list, .expect = expect, .allow = allow };

	return rules_open(&conf);
}

static struct rules *everything;

static void scan_with(const struct rules *rules, const char *text, size_t len, size_t piece)
{
	struct scan *s = scan_open(rules, &user);

	memset(&seen, 0, sizeof(seen));
	for (size_t at = 0; at < len; at += piece)
		scan_feed(s, text + at, piece < len - at ? piece : len - at);
	scan_finish(s);
	scan_close(s);
}

static void scan_text(const char *text)
{
	scan_with(everything, text, strlen(text), strlen(text) + !*text);
}

/* --- the patterns -------------------------------------------------------------------------------- */

static const struct {
	enum watch_group group;
	const char *line, *near;
} samples[] = {
	{ WATCH_OOPS, "[    3.141592] BUG: kernel NULL pointer dereference, address: 0000000000000008",
	  "[    3.141592] systemd[1]: DEBUG: kernel NULL pointer test skipped" },
	{ WATCH_OOPS, "[   12.3] BUG: unable to handle page fault for address: ffffc90000a1d000",
	  "[   12.3] firmware: [Firmware Bug]: unable to handle page fault" },
	{ WATCH_OOPS, "[    1.0][    T1] BUG: sleeping function called from invalid context at mm/page_alloc.c:5",
	  "[    1.0][    T1] note: BUG:none" },
	{ WATCH_OOPS, "BUG: Bad page state in process swapper  pfn:12345", "a BUG : Bad page state" },
	{ WATCH_OOPS, "[    1.0] kernel BUG at lib/list_debug.c:59!", "[    1.0] no kernel BUG at all today!" },
	{ WATCH_OOPS, "[    1.0] Oops: 0002 [#1] PREEMPT SMP NOPTI", "Oops: I did it again" },
	{ WATCH_OOPS, "[    1.0] Oops: general protection fault, probably for non-canonical address "
		      "0xdead000000000100: 0000 [#1] SMP",
	  "myOops: 12 [#none]" },
	{ WATCH_OOPS, "[    1.0] general protection fault, probably for non-canonical address "
		      "0xdffffc0000000000: 0000 [#1] SMP KASAN",
	  "[    1.0] traps: a.out[12] general protection fault ip:401000 sp:7ffc error:0 in a.out" },
	{ WATCH_OOPS, "[    1.0] invalid opcode: 0000 [#2] PREEMPT SMP", "chapter: 0000 [#]" },
	{ WATCH_OOPS, "[    1.0] int3: 0000 [#1] SMP", "issue 12: see [#12]" },
	{ WATCH_KASAN, "[    1.0] BUG: KASAN: slab-out-of-bounds in kmalloc_oob_right+0x1a/0x2b",
	  "[    1.0] kasan: KernelAddressSanitizer initialized" },
	{ WATCH_KASAN, "[    1.0] BUG: KFENCE: use-after-free read in test_use_after_free_read+0xa/0x1",
	  "[    1.0] kfence: initialized - using 2097152 bytes for 255 objects" },
	{ WATCH_KASAN, "[    1.0] BUG: KCSAN: data-race in a / b", "DEBUG: KCSAN: data-race" },
	{ WATCH_LOCKDEP, "[    1.0] WARNING: possible circular locking dependency detected",
	  "[    1.0] impossible circular lock" },
	{ WATCH_LOCKDEP, "WARNING: possible recursive locking detected", "possibly recursive locking, undetected" },
	{ WATCH_LOCKDEP, "WARNING: possible irq lock inversion dependency detected", "a possible irq lock inversion" },
	{ WATCH_LOCKDEP, "WARNING: inconsistent lock state", "WARNING: inconsistent locking policy" },
	{ WATCH_LOCKDEP, "WARNING: HARDIRQ-safe -> HARDIRQ-unsafe lock order detected",
	  "HARDIRQ-safe lock order kept" },
	{ WATCH_LOCKDEP, "WARNING: suspicious RCU usage", "a most suspicious RCU usage" },
	{ WATCH_LOCKDEP, "[ INFO: suspicious RCU usage. ]", "INFO suspicious RCU usage" },
	{ WATCH_LOCKDEP, "WARNING: bad unlock balance detected!", "bad unlock balance? not here" },
	{ WATCH_LOCKDEP, "WARNING: held lock freed!", "a held lock freed itself" },
	{ WATCH_LOCKDEP, "WARNING: lock held when returning to user space!", "a lock held when returning to user land" },
	{ WATCH_LOCKDEP, "[ BUG: Invalid wait context ]", "an Invalid wait context" },
	{ WATCH_LOCKDEP, "DEBUG_LOCKS_WARN_ON(lock->magic != lock)", "CONFIG_DEBUG_LOCKS=y" },
	{ WATCH_RCU_STALL, "[   61.0] rcu: INFO: rcu_sched self-detected stall on CPU",
	  "[    0.0] rcu: RCU CPU stall warnings timeout set to 60 (rcu_cpu_stall_timeout)." },
	{ WATCH_RCU_STALL, "rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:", "INFO: ncu detected stalls" },
	{ WATCH_RCU_STALL, "rcu: INFO: rcu_preempt detected expedited stalls on CPUs/tasks: { 1-... }",
	  "rcu detected nothing" },
	{ WATCH_RCU_STALL, "rcu: rcu_preempt kthread starved for 5250 jiffies! g1 f0x0", "kthread starved for air" },
	{ WATCH_HUNG_TASK, "[  242.0] INFO: task kworker/u4:1:12 blocked for more than 120 seconds.",
	  "INFO: task 12 blocked for more than expected" },
	{ WATCH_HUNG_TASK, "INFO: task dd:77 is blocked on a mutex likely owned by task cp:3, for more than 12 secs",
	  "INFO: task dd finished after more than 12 seconds" },
	{ WATCH_LOCKUP, "[   28.0] watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [stress:99]",
	  "[    0.1] watchdog: soft lockup detector enabled" },
	{ WATCH_LOCKUP, "NMI watchdog: Watchdog detected hard LOCKUP on cpu 3", "hard LOCKUP detector on cpu 3" },
	{ WATCH_LOCKUP, "BUG: workqueue lockup - pool cpus=0 node=0 flags=0x0 nice=0 stuck for 30s!",
	  "a workqueue lockup - in a pool" },
	{ WATCH_WARNING, "[    1.0] WARNING: CPU: 1 PID: 12 at kernel/workqueue.c:1000 f+0x1/0x2 [mod]",
	  "WARNING: CPU: hot" },
	{ WATCH_WARNING, "[    1.0] WARNING: kernel/time/timer.c:12 at f+0x1/0x2, CPU#0: swapper/0/1",
	  "WARNING: disk full, CPU#0 idle" },
	{ WATCH_WARNING, "[    1.0] UBSAN: shift-out-of-bounds in drivers/x.c:12:13", "UBSAN: off" },
};

static void test_patterns(void)
{
	bool tried[WATCH_GROUPS] = { false };
	unsigned rows = 0, used = 0;

	for (unsigned i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		const char *group = pattern_groups[samples[i].group];

		scan_text(samples[i].line);
		ok(seen.n[SCAN_FAIL] == 1 && !strcmp(seen.name, group), "%s: %s", group, samples[i].line);
		scan_text(samples[i].near);
		is(seen.n[SCAN_FAIL], 0, "near miss: %s", samples[i].near);
		tried[samples[i].group] = true;
	}
	for (unsigned g = 0; g < WATCH_GROUPS; g++)
		ok(tried[g] && strstr(watch_group_names(), pattern_groups[g]), "%s is tried and documented",
		   pattern_groups[g]);
	/* Each row of the table alone: some sample needs it. */
	for (const struct pattern *p = patterns; p->hint; p++, rows++)
		for (unsigned i = 0; i < sizeof(samples) / sizeof(samples[0]); i++)
			if (samples[i].group == (enum watch_group)p->group && strstr(samples[i].line, p->hint)) {
				used++;
				break;
			}
	is(used, rows, "every row of the table has a sample with its hint");
}

static void test_groups(void)
{
	struct rules *oops = make_rules(WATCH_BIT(WATCH_OOPS), NULL, NULL, NULL);
	const char *kasan = "BUG: KASAN: use-after-free in f+0x1/0x2", *oopsy = "BUG: Bad page map";

	scan_with(oops, kasan, strlen(kasan), 100);
	is(seen.n[SCAN_FAIL], 0, "a group that isn't asked for doesn't count as another");
	scan_with(oops, oopsy, strlen(oopsy), 100);
	is(seen.n[SCAN_FAIL], 1, "one that is counts");
	rules_close(oops);
	is(watch_group("rcu-stall", 9), WATCH_RCU_STALL, "a group by its name");
	is(watch_group("rcu", 3), -1, "not by a part of it");
}

/* --- panics -------------------------------------------------------------------------------------- */

#define SAID "Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b"

static void is_panic(const char *text, const char *line)
{
	scan_text(text);
	is_str(seen.panic, line, "a panic: %s", text);
}

static void no_panic(const char *text)
{
	scan_text(text);
	is(seen.n[SCAN_PANIC] + seen.n[SCAN_PANIC_END], 0, "no panic: %s", text);
}

static void test_panic(void)
{
	is_panic("[    1.0] " SAID "\n", SAID);
	is_panic(SAID, SAID);
	is_panic("[    1.0][    T1] " SAID "\r\n", SAID);
	is_panic("localhost login: [    1.0] " SAID "\n", SAID);
	scan_text("[    1.0] ---[ end " SAID " ]---\n");
	is(seen.n[SCAN_PANIC_END], 1, "the panic's last words");
	no_panic("Kernel panicked once\n");
	no_panic("kernel panic - not syncing\n");
	no_panic("Kernel panic - not today\n");
	no_panic("Kernel panic - n\n");
	is_panic("Kernel panic - n", "Kernel panic - n");
	no_panic("Kernel panic -");
	is_panic("Kernel panic - not sy\n", "Kernel panic - not sy");
	is_panic("Kernel panic - not [    1.0] cpu1: up\nsyncing: x\n", "Kernel panic - not syncing: x");
	is_panic("Kernel pa[    1.0] cpu1: up\nKernel panic[    1.0] cpu2: up\n - not syncing: x\n",
		 "Kernel panic - not syncing: x");
	is_panic("Kernel panic - not <noise>syncing: x\n", "Kernel panic - not syncing: x");
	no_panic("Kernel panic - not \na\nb\nc\nd\ne\nf\ng\nh\ni\nsyncing: x\n");
	is_panic("Kernel panic - not \na\nb\nc\nd\ne\nf\ng\nsyncing: x\n", "Kernel panic - not syncing: x");
	no_panic("Kernel panic - not \nnot syncing: x\n");
}

/* --- streams ------------------------------------------------------------------------------------- */

static void test_escapes(void)
{
	is_panic("\033[31mKernel \033[0;1mpanic\033[m - not syncing: a\033[Kb\n", "Kernel panic - not syncing: ab");
	is_panic("Kernel\033]0;a title\007 panic\033]2;another\033\\ - not\033(B syncing: x\n",
		 "Kernel panic - not syncing: x");
	is_panic("\033]never ends\nKernel panic - not syncing: x\n", "Kernel panic - not syncing: x");
	is_panic("\033[1;2;3\nKernel panic - not syncing: x\n", "Kernel panic - not syncing: x");
	is_panic("Kernel\b panic\a - not\177 syncing: \tx\n", "Kernel panic - not syncing:  x");
	is_panic("Kernel panic - not syncing: caf\303\251\n", "Kernel panic - not syncing: caf??");
	scan_text("BUG: KA\033(BSA\177N\010: x\n");
	is_str(seen.name, "kasan", "a word with an escape, a DEL and a backspace in it");
	scan_with(everything, "Kernel\0 panic - not\0 syncing: x\n", 32, 32);
	is(seen.n[SCAN_PANIC], 1, "NULs in between");
}

/* The same stream in pieces of every size says the same. */
static void test_pieces(void)
{
	static const char text[] = "[    0.1] Linux\r\n\033[32mok\033[0m\r\n[    1.0] BUG: Bad page map\n"
				   "Run /init as init process\n[    2.0] " SAID "\n---[ end " SAID " ]---\nlogin: ";
	struct rules *rules = make_rules(WATCH_DEFAULT, NULL, "login: $", NULL);
	unsigned same = 0;

	for (size_t piece = 1; piece < sizeof(text); piece++) {
		scan_with(rules, text, sizeof(text) - 1, piece);
		same += seen.n[SCAN_FAIL] == 1 && seen.n[SCAN_PANIC] == 1 && seen.n[SCAN_PANIC_END] == 1 &&
			seen.n[SCAN_EXPECTED] == 1 && seen.n[SCAN_USERSPACE] == 1;
	}
	is(same, sizeof(text) - 1, "every size of piece finds the same signs");
	rules_close(rules);
}

/* A sentence at every place of a line that is longer than any window. */
static void test_long_lines(void)
{
	static const char words[] = "BUG: KASAN: use-after-free in f";
	static char line[5000];
	unsigned found = 0, expected = 0, tries = 0;
	struct rules *rules = make_rules(WATCH_DEFAULT, NULL, "^x*y$", NULL);

	for (size_t at = 0; at < sizeof(line) - sizeof(words); at += 13, tries++) {
		memset(line, ' ', sizeof(line));
		memcpy(line + at, words, sizeof(words) - 1);
		scan_with(rules, line, sizeof(line), 777);
		found += seen.n[SCAN_FAIL] > 0;
	}
	is(found, tries, "found wherever it is in a line of 5000 bytes");
	for (size_t n = 1000; n < 1300; n++) {
		memset(line, 'x', n);
		line[n] = 'y';
		scan_with(rules, line, n + 1, 100);
		expected += seen.n[SCAN_EXPECTED];
	}
	/* ^ and $ in one expression: only where all of the line is in one window, 1023 and a y at most. */
	is(expected, 24, "^ and $ mean the line's, not a window's");
	rules_close(rules);
	rules = make_rules(WATCH_DEFAULT, NULL, "xy$", NULL);
	for (size_t n = 1000; n < 1300; n++) {
		memset(line, 'x', sizeof(line));
		line[n] = 'y';
		scan_with(rules, line, sizeof(line), 100);
		expected += seen.n[SCAN_EXPECTED];
	}
	is(expected, 24, "$ alone as well");
	rules_close(rules);
}

static void test_much(void)
{
	static char block[1 << 20];
	struct scan *s = scan_open(everything, &user);
	unsigned seed = 1;
	size_t before, after;

	memset(&seen, 0, sizeof(seen));
	for (size_t i = 0; i < sizeof(block); i++) {
		seed = seed * 1664525 + 1013904223;
		block[i] = (char)(seed >> 24);
	}
	scan_feed(s, block, sizeof(block));
	before = mallinfo2().uordblks;
	for (unsigned i = 0; i < 99; i++)
		scan_feed(s, block, sizeof(block));
	after = mallinfo2().uordblks;
	is(seen.n[SCAN_PANIC] + seen.n[SCAN_FAIL], 0, "100 MB of noise mean nothing");
	ok(after <= before + 4096, "and take no memory (%zu bytes, then %zu)", before, after);
	is(scan_bytes(s), 100LL << 20, "every byte was looked at");
	scan_feed(s, "\n" SAID "\n", sizeof(SAID) + 1);
	is(seen.n[SCAN_PANIC], 1, "and behind them a panic is still one");
	scan_close(s);
}

/* --- what the user asks for ---------------------------------------------------------------------- */

static void test_expect(void)
{
	struct rules *rules = make_rules(0, "mine=^\\[.*(lost|gone), (now|later)$", "login: $", NULL);
	struct scan *s = scan_open(rules, &user);

	memset(&seen, 0, sizeof(seen));
	scan_feed(s, "host login: ", 12);
	is(seen.n[SCAN_EXPECTED], 0, "a line that isn't finished isn't looked at for each byte");
	scan_pause(s);
	is(seen.n[SCAN_EXPECTED], 1, "but in a pause");
	scan_pause(s);
	is(seen.n[SCAN_EXPECTED], 1, "once");
	scan_feed(s, "root\n", 5);
	scan_pause(s);
	is(seen.n[SCAN_EXPECTED], 1, "$ is where the line ended then");
	scan_feed(s, "[    1.0] link lost, now\n", 25);
	is_str(seen.name, "mine", "an expression of the user's, by its name");
	is_str(seen.fail, "link lost, now", "the line without its time stamp");
	scan_close(s);
	rules_close(rules);
}

static void test_userspace(void)
{
	static const char *const no[] = { "Run /init as initial process", "I Run /a b as init process",
					  "Rerun /init as init process", "as init process" };

	scan_text("[    1.0] Run /sbin/init as init process\n");
	is(seen.n[SCAN_USERSPACE], 1, "the kernel starts the first process");
	for (unsigned i = 0; i < 4; i++) {
		scan_text(no[i]);
		is(seen.n[SCAN_USERSPACE], 0, "not so: %s", no[i]);
	}
}

static void test_allow(void)
{
	char path[] = "/tmp/lkvm-allow-XXXXXX";
	static const char text[] = "# known\r\n\r\nBad page map\r\n  \n^panic$\n";
	int fd = mkstemp(path);
	struct rules *rules;

	ok(write(fd, text, sizeof(text) - 1) == sizeof(text) - 1, "an --allow file");
	rules = make_rules(WATCH_DEFAULT, "p=panic", NULL, path);
	scan_with(rules, "BUG: Bad page map\n" SAID "\npanic\n", 18 + sizeof(SAID) + 6, 9);
	is(seen.n[SCAN_FAIL], 1, "what is allowed counts for nothing, the next line does");
	is(seen.n[SCAN_PANIC], 1, "a panic can't be allowed");
	rules_close(rules);

	log_set_level(LOG_ERR);
	ok(!make_rules(0, NULL, NULL, "/no/such/file"), "a file that isn't there is refused");
	ok(!make_rules(0, NULL, "(", NULL), "a wrong --expect is refused");
	ok(!make_rules(0, NULL, "", NULL), "an empty one too");
	ok(!make_rules(0, "x=[", NULL, NULL), "a wrong --fail-on is refused");
	ok(pwrite(fd, "[", 1, 0) == 1 && !make_rules(0, NULL, NULL, path), "a wrong line of a file is refused");
	close(fd);
	unlink(path);
}

int main(void)
{
	everything = make_rules((1U << WATCH_GROUPS) - 1, NULL, NULL, NULL);
	test_patterns();
	test_groups();
	test_panic();
	test_escapes();
	test_pieces();
	test_long_lines();
	test_much();
	test_expect();
	test_userspace();
	test_allow();
	rules_close(everything);
	return tap_end();
}
