// SPDX-License-Identifier: GPL-2.0-only
/*
 * watcher: turns signs into notes for the verdict and decides when the machine has to end for them.
 *
 * Signs come from vCPUs and loops with locks held; they leave a note and a flag, and main acts.
 *
 * Runs on: watcher_tap's callbacks and the *_ended functions on any thread, the rest on main
 */
#include "watcher.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lkvm/log.h"
#include "lkvm/phase.h"
#include "result.h"

#define REBOOTS_TOLD 10 /* of those that are kept */
#define TICK_NS	 100000000ULL
#define QUIET_NS 1000000000ULL	/* a panicked guest that has been silent so long has said it all */
#define WORDS_NS 10000000000ULL /* and it gets no longer than this */

static void tell_main(struct watcher *w)
{
	eventfd_write(w->news.fd, 1);
}

/* --- signs ----------------------------------------------------------------------------------- */

static void panicked(struct watcher *w, bool said, const char *line)
{
	phase_mark("panic");
	verdict_panic(&w->verdict, said, line);
	atomic_store(&w->panicked, true);
	tell_main(w);
}

void watcher_booted(struct watcher *w)
{
	phase_mark("userspace");
	if (!atomic_exchange(&w->booted, true) && w->userspace)
		w->userspace(w->opaque);
	tell_main(w);
}

static void sign(void *opaque, enum scan_sign what, const char *name, const char *line)
{
	struct watcher *w = opaque;

	switch (what) {
	case SCAN_PANIC:
		panicked(w, true, line);
		break;
	case SCAN_PANIC_END:
		atomic_store(&w->panic_over, true);
		panicked(w, true, line);
		break;
	case SCAN_FAIL:
		verdict_failure(&w->verdict, "%s: %s", name, line);
		break;
	case SCAN_EXPECTED:
		phase_mark("expected");
		verdict_expected(&w->verdict);
		atomic_store(&w->expected, true);
		tell_main(w);
		break;
	case SCAN_USERSPACE:
		watcher_booted(w);
		break;
	}
}

/* On the vCPU whose access ends the guest, and which otherwise would be somewhere else by the time of the look. */
static void dump_as_it_stands(struct watcher *w)
{
	w->dump = true;
	if (w->freeze)
		w->freeze(w->opaque);
}

/* One that has panicked and goes before it has said it all (panic=-1, no pvpanic driver). */
static void dump_panicked(struct watcher *w)
{
	if (w->conf->on_panic == ON_DUMP && atomic_load(&w->panicked))
		dump_as_it_stands(w);
}

void watcher_vm_ended(void *opaque, enum vm_end why, unsigned cpu, const char *detail)
{
	struct watcher *w = opaque;

	switch (why) {
	case VM_END_SYSTEM_OFF:
		watcher_hw_ended(w, HW_END_POWEROFF, 0, "kvm");
		break;
	case VM_END_SYSTEM_RESET:
		watcher_hw_ended(w, HW_END_RESET, 0, "kvm");
		break;
	case VM_END_SYSTEM_CRASH:
		verdict_panic(&w->verdict, false, "KVM system event: crash");
		verdict_end(&w->verdict, ENDED_PANIC, "the guest crashed");
		break;
	case VM_END_TRIPLE_FAULT:
	case VM_END_INTERNAL:
		dump_panicked(w);
		verdict_end(&w->verdict, ENDED_GONE, "the guest went away: vCPU %u: %s", cpu, detail);
		break;
	}
}

static void pvpanic(struct watcher *w, unsigned events, const char *by)
{
	if (events & PVPANIC_CRASH_LOADED)
		atomic_store(&w->crash_kernel, true);
	/* It can report as many as it likes. */
	if (!atomic_exchange(&w->reported, true))
		log_info(NULL, "the guest reports a panic (%s)", by);
	panicked(w, false, by);
	/* Here its stack still says why. What else it has to say it says after the look. */
	if (w->conf->on_panic != ON_DUMP || atomic_load(&w->crash_kernel))
		return;
	dump_as_it_stands(w);
	verdict_end(&w->verdict, ENDED_PANIC, "the guest panicked");
}

static void reboot(struct watcher *w, const char *by)
{
	if (w->conf->on_reboot == ON_KEEP && !atomic_load(&w->panicked)) {
		if (atomic_fetch_add(&w->reboots, 1) < REBOOTS_TOLD)
			log_info(NULL, "the guest rebooted (%s) and is kept", by);
		return;
	}
	if (w->conf->on_reboot == ON_DUMP)
		dump_as_it_stands(w);
	dump_panicked(w);
	verdict_end(&w->verdict, ENDED_REBOOT, "the guest rebooted (%s)", by);
}

static void locked_up(struct watcher *w, const char *by)
{
	if (w->conf->on_timeout == ON_DUMP)
		w->dump = true;
	verdict_end(&w->verdict, ENDED_LOCKUP, "lockup: nobody fed the guest's watchdog (%s)", by);
}

void watcher_hw_ended(void *opaque, enum hw_end how, unsigned value, const char *by)
{
	struct watcher *w = opaque;

	switch (how) {
	case HW_END_POWEROFF:
		dump_panicked(w);
		verdict_end(&w->verdict, ENDED_OFF, "the guest powered off (%s)", by);
		break;
	case HW_END_RESET:
		reboot(w, by);
		break;
	case HW_END_DEBUG:
		verdict_end_status(&w->verdict, (int)(value & 0xff));
		break;
	case HW_END_PANIC:
		pvpanic(w, value, by);
		break;
	case HW_END_WATCHDOG:
		locked_up(w, by);
		break;
	}
}

/* Whose panic is on record is dead for that, and perhaps kept; but a crash kernel can hang as well. */
void watcher_stuck(void *opaque, const char *how)
{
	struct watcher *w = opaque;

	if (atomic_load(&w->panicked) && !atomic_load(&w->crash_kernel))
		return;
	if (w->conf->on_timeout == ON_KEEP) {
		log_warn(NULL, "lockup: %s; the guest is kept", how);
		verdict_locked_up(&w->verdict, "lockup: %s", how);
		return;
	}
	if (w->conf->on_timeout == ON_DUMP)
		w->dump = true;
	verdict_end(&w->verdict, ENDED_LOCKUP, "lockup: %s", how);
}

/* --- clocks ---------------------------------------------------------------------------------- */

static void expired(void *opaque, enum timeout which)
{
	static const struct {
		const char *what, *option;
	} words[TIMEOUTS] = {
		[TIMEOUT_TOTAL] = { "the guest had not ended after", "--timeout" },
		[TIMEOUT_BOOT] = { "the guest had not reached userspace after", "--boot-timeout" },
		[TIMEOUT_IDLE] = { "no console output and no device I/O for", "--idle-timeout" },
	};
	struct watcher *w = opaque;
	const uint64_t after[TIMEOUTS] = {
		[TIMEOUT_TOTAL] = w->conf->timeout,
		[TIMEOUT_BOOT] = w->conf->boot_timeout,
		[TIMEOUT_IDLE] = w->conf->idle_timeout,
	};
	char line[160];

	snprintf(line, sizeof(line), "%s %g s (%s)", words[which].what, (double)after[which] / 1e9,
		 words[which].option);
	if (w->conf->on_timeout == ON_KEEP) {
		log_warn(NULL, "%s; the guest is kept", line);
		verdict_timed_out(&w->verdict, "%s", line);
		return;
	}
	if (w->conf->on_timeout == ON_DUMP)
		w->dump = true;
	verdict_end(&w->verdict, ENDED_TIMEOUT, "%s", line);
}

static uint64_t console_bytes(struct watcher *w)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < w->consoles; i++)
		bytes += scan_bytes(w->console[i].scan);
	return bytes;
}

uint64_t watcher_activity(void *opaque)
{
	struct watcher *w = opaque;

	return console_bytes(w) + w->activity(w->opaque);
}

static void panic_look(struct watcher *w)
{
	uint64_t bytes = console_bytes(w), now = loop_now();

	if (!w->panic_at)
		w->panic_at = now;
	if (bytes != w->bytes || !w->quiet_at) {
		w->bytes = bytes;
		w->quiet_at = now;
	}
	if (!atomic_load(&w->panic_over) && now - w->quiet_at < QUIET_NS && now - w->panic_at < WORDS_NS)
		return;
	if (w->conf->on_panic == ON_DUMP)
		w->dump = true;
	verdict_end(&w->verdict, ENDED_PANIC, "the guest panicked");
}

/* A panicked guest has more to say (registers, a trace), so it isn't cut off at the first word. */
static bool panic_ends_it(const struct watcher *w)
{
	return w->conf->on_panic != ON_KEEP && atomic_load(&w->panicked) && !atomic_load(&w->crash_kernel);
}

static void tick(void *opaque)
{
	struct watcher *w = opaque;

	for (unsigned i = 0; w->conf->expect && i < w->consoles; i++)
		scan_pause(w->console[i].scan);
	if (panic_ends_it(w))
		panic_look(w);
	if (w->conf->expect || panic_ends_it(w))
		loop_timer_set(w->loop, &w->tick, TICK_NS);
}

static void read_news(void *opaque, uint32_t events)
{
	struct watcher *w = opaque;
	eventfd_t n;

	(void)events;
	eventfd_read(w->news.fd, &n);
	if (atomic_load(&w->expected) || atomic_load(&w->booted))
		timeouts_booted(w->timeouts);
	if (atomic_load(&w->expected) && w->conf->on_expect == ON_EXIT)
		verdict_end(&w->verdict, ENDED_EXPECTED, "'%s' was seen", w->conf->expect);
	if (panic_ends_it(w) && !w->tick.armed)
		tick(w);
}

/* --- the whole ------------------------------------------------------------------------------- */

int watcher_open(struct watcher *w, struct loop *loop, const struct config_watch *conf,
		 uint64_t (*activity)(void *opaque), void *opaque)
{
	struct rules_conf rc = {
		.groups = conf->fail_on_given ? conf->fail_on : WATCH_DEFAULT,
		.own = &conf->fail_on_own,
		.expect = conf->expect,
		.allow = conf->allow,
	};
	struct timeouts_conf tc = {
		.after = { conf->timeout, conf->boot_timeout, conf->idle_timeout },
		.activity = watcher_activity,
		.expired = expired,
		.opaque = w,
	};
	int err;

	verdict_init(&w->verdict, loop, conf->expect);
	w->conf = conf;
	w->loop = loop;
	w->activity = activity;
	w->opaque = opaque;
	w->tick = (struct loop_timer){ .fire = tick, .opaque = w };
	w->news = (struct loop_fd){ .ready = read_news, .opaque = w };
	w->news.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	err = w->news.fd < 0 ? -errno : loop_add(loop, &w->news, EPOLLIN);
	if (err) {
		log_err(NULL, "cannot watch the guest: %s", strerror(-err));
		return err;
	}
	w->rules = rules_open(&rc);
	if (!w->rules)
		return -EINVAL;
	w->timeouts = timeouts_open(loop, &tc);
	return w->timeouts ? 0 : -ENOMEM;
}

static void wrote(void *opaque, const void *bytes, size_t len)
{
	struct watcher_console *console = opaque;
	struct watcher *w = console->watcher;

	if (!atomic_exchange_explicit(&w->spoke, true, memory_order_relaxed))
		phase_mark("first_console_byte");
	if (w->result)
		result_console(w->result, bytes, len);
	scan_feed(console->scan, bytes, len);
}

int watcher_tap(struct watcher *w, struct chan *chan)
{
	struct scan_user user = { .sign = sign, .opaque = w };
	struct scan *scan = scan_open(w->rules, &user);

	if (!scan)
		return -ENOMEM;
	w->console[w->consoles] = (struct watcher_console){ .watcher = w, .scan = scan };
	chan_tap(chan, &(struct chan_tap){ .wrote = wrote, .opaque = &w->console[w->consoles++] });
	return 0;
}

void watcher_start(struct watcher *w)
{
	timeouts_start(w->timeouts);
	if (w->conf->expect)
		loop_timer_set(w->loop, &w->tick, TICK_NS);
}

void watcher_hold(struct watcher *w, bool held)
{
	timeouts_hold(w->timeouts, held);
}

void watcher_finish(struct watcher *w)
{
	for (unsigned i = 0; i < w->consoles; i++)
		scan_finish(w->console[i].scan);
}

void watcher_close(struct watcher *w)
{
	timeouts_close(w->timeouts);
	while (w->consoles)
		scan_close(w->console[--w->consoles].scan);
	rules_close(w->rules);
	loop_timer_cancel(w->loop, &w->tick);
	loop_del(w->loop, &w->news);
	if (w->news.fd >= 0)
		close(w->news.fd);
}
