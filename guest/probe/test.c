// SPDX-License-Identifier: GPL-2.0-only
/* test: selects subtests, runs them one by one, each inside a mark and under a deadline, and prints
 * TAP. */

#include "irq.h"
#include "test.h"
#include "virtio.h"

#define DEADLINE 15000000 /* of one subtest on one device, in microseconds */

enum { RUN, PASS, FAIL, SKIP };

static struct mark mark;
static struct vdev *device;
static const char *cmdline = "";
static u64 deadline;
static bool running;
static char reason[96];

void param_init(const char *line)
{
	cmdline = line;
}

const char *param(const char *name, size_t *len)
{
	size_t n = strlen(name);

	for (const char *p = cmdline; *p; p++) {
		if ((p != cmdline && p[-1] != ' ') || memcmp(p, name, n))
			continue;
		if (p[n] && p[n] != ' ' && p[n] != '=')
			continue;
		p += n + (p[n] == '=');
		for (*len = 0; p[*len] && p[*len] != ' ';)
			++*len;
		return p;
	}
	return NULL;
}

void note(const char *fmt, ...)
{
	va_list ap;

	print("#   ");
	va_start(ap, fmt);
	vprint(fmt, ap);
	va_end(ap);
	print("\n");
}

static void leave(int verdict)
{
	if (!running) {
		print("Bail out! a check failed outside any subtest\n");
		for (;;)
			machine_end(1);
	}
	running = false;
	mark_jump(&mark, verdict);
}

void test_fail(const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	print("#   %s:%d", file, line);
	if (device)
		print(" (%s)", device->name);
	print(": ");
	va_start(ap, fmt);
	vprint(fmt, ap);
	va_end(ap);
	print("\n");
	leave(FAIL);
	__builtin_unreachable();
}

void test_skip(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsprint(reason, sizeof(reason), fmt, ap);
	va_end(ap);
	leave(SKIP);
	__builtin_unreachable();
}

void test_abort(const char *why, u64 a, u64 b)
{
	print("#   %s (%#lx %#lx)", why, a, b);
	if (device)
		print(", %s", device->name);
	print("\n");
	leave(FAIL);
	__builtin_unreachable();
}

bool test_deadline_passed(void)
{
	return running && now_us() > deadline;
}

/* One function inside the mark: what it comes back with, straight or by a jump. */
static int guarded(void (*fn)(struct vdev *), struct vdev *d)
{
	int verdict = mark_set(&mark);

	if (verdict != RUN)
		return verdict;
	device = d;
	deadline = now_us() + DEADLINE;
	running = true;
	fn(d);
	running = false;
	return PASS;
}

static void put_back(struct vdev *d)
{
	if (d)
		virtio_restore(d);
}

static int run_on(const struct test *t, struct vdev *d)
{
	int verdict;

	arena_reset();
	irq_reset();
	verdict = guarded(t->run, d);
	if (guarded(put_back, d) != PASS)
		verdict = FAIL;
	if (verdict == PASS && (t->flags & HOSTILE) && d) {
		arena_reset();
		if (guarded(virtio_works, d) == FAIL) {
			note("the device does not work any more");
			verdict = FAIL;
		}
		if (guarded(put_back, d) != PASS)
			verdict = FAIL;
	}
	device = NULL;
	return verdict;
}

/* All devices of the kind: a failure beats a pass, a pass beats a skip. Hostile ones: the first. */
static int run_each(const struct test *t)
{
	int verdict = SKIP, v;

	if (t->on == ONCE)
		return run_on(t, NULL);
	sprint(reason, sizeof(reason), t->flags & LEGACY ? "no legacy device" : "no such device");
	for (u32 i = 0; i < vdev_count; i++) {
		if (t->on != ANY && vdevs[i].type != t->on)
			continue;
		if (t->flags & LEGACY ? !vdevs[i].legacy : t->on != ANY && !vdevs[i].modern)
			continue;
		v = run_on(t, &vdevs[i]);
		if (v == FAIL || verdict == SKIP)
			verdict = v;
		/* The next one is the same device again, and each blow takes its time. */
		if (v != SKIP && t->flags & HOSTILE && t->on != ANY)
			break;
	}
	return verdict;
}

/* "A,B" against "X-*,Y": some glob matches some id, or the suite's name. */
static bool matches(const struct suite *s, const char *ids, const char *pat, size_t patlen)
{
	for (size_t i = 0, j; i < patlen; i = j + 1) {
		for (j = i; j < patlen && pat[j] != ',';)
			j++;
		if (glob(pat + i, j - i, s->name, strlen(s->name)))
			return true;
		for (const char *id = ids; *id;) {
			size_t n = 0;

			while (id[n] && id[n] != ',')
				n++;
			if (glob(pat + i, j - i, id, n))
				return true;
			id += n + (id[n] == ',');
		}
	}
	return false;
}

static bool selected(const struct suite *s, const struct test *t)
{
	size_t len;
	const char *only = param("probe.only", &len);

	if (only && !matches(s, t->ids, only, len))
		return false;
	only = param("probe.skip", &len);
	return !only || !matches(s, t->ids, only, len);
}

u32 test_run(const struct suite *const *suites, u32 n)
{
	u32 count = 0, failed = 0;
	bool list, times;
	size_t len;

	list = param("probe.list", &len);
	times = param("probe.times", &len);
	for (u32 i = 0; i < n; i++) {
		const struct suite *s = suites[i];

		for (u32 j = 0; j < s->n; j++) {
			const struct test *t = &s->tests[j];
			u64 t0 = now_us();
			int verdict;

			if (!selected(s, t))
				continue;
			count++;
			if (list) {
				print("# %s: %s %s\n", s->name, t->ids, t->text);
				continue;
			}
			verdict = run_each(t);
			failed += verdict == FAIL;
			print("%sok %u - %s %s", verdict == FAIL ? "not " : "", count, t->ids,
			      t->text);
			if (verdict == SKIP)
				print(" # SKIP %s", reason);
			print("\n");
			if (times)
				print("# %lu us\n", now_us() - t0);
		}
	}
	print("1..%u\n", list ? 0 : count);
	return failed;
}
