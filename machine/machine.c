// SPDX-License-Identifier: GPL-2.0-only
/*
 * machine: the virtual machine, built from top to bottom, run, and torn down in reverse. The only
 * file that knows every part.
 *
 * Runs on: main.
 */
#include "lkvm/machine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "command.h"
#include "debug.h"
#include "devices.h"
#include "examine.h"
#include "exits.h"
#include "hardware.h"
#include "lkvm/boot.h"
#include "lkvm/log.h"
#include "lkvm/phase.h"
#include "lkvm/tally.h"
#include "lkvm/term.h"
#include "payload.h"
#include "result.h"
#include "signals.h"
#include "stuck.h"
#include "watcher.h"

#define GIB (1ULL << 30)
#define MEM64_MAX (64 * GIB)
#define FILES_MAX 65536
#define SIGTERM_APART_NS 100000000ULL

struct machine {
	const struct config *conf;
	struct watcher watcher;
	struct loop *main, *io;
	struct gmem mem;
	struct bus pio, mmio;
	struct vm *vm;
	struct vm_entry entry;
	struct pci_windows windows;
	struct term *term;
	struct chan *nobody; /* reads the serial port when the terminal doesn't; it is watched all the same */
	struct hardware hw;
	struct command *command; /* NULL: none is run in the guest */
	struct devices devices;
	struct examine examine;
	struct debug debug;
	struct stuck stuck;
	struct signals signals;
	unsigned sigterms;
	uint64_t sigterm_at; /* the first */
};

/* --- how it ends ------------------------------------------------------------------------------ */

static void user_quit(void *opaque)
{
	struct machine *m = opaque;

	verdict_end(&m->watcher.verdict, ENDED_GONE, "ended by Ctrl-a x before the guest had powered off");
}

static void killed(void *opaque)
{
	struct machine *m = opaque;

	verdict_end(&m->watcher.verdict, ENDED_GONE, "ended by the debugger");
}

static void held(void *opaque, bool is_held)
{
	struct machine *m = opaque;

	watcher_hold(&m->watcher, is_held);
	watchdog_hold(m->hw.watchdog, is_held);
}

static void backend_died(void *opaque)
{
	struct machine *m = opaque;

	verdict_end(&m->watcher.verdict, ENDED_FAILED, "a back end died");
}

static void command_booted(void *opaque)
{
	struct machine *m = opaque;

	watcher_booted(&m->watcher);
}

static void command_done(void *opaque, int status)
{
	struct machine *m = opaque;

	verdict_command_done(&m->watcher.verdict, status);
}

static void command_no_end(void *opaque, int status)
{
	struct machine *m = opaque;

	verdict_end_status(&m->watcher.verdict, status);
}

static void resize(void *opaque)
{
	term_resized(opaque);
}

/* timeout(1) sends its SIGTERM to the process and to the group it is in: that is one request. */
static bool same_request(struct machine *m, int signo)
{
	uint64_t now = loop_now();

	if (signo != SIGTERM)
		return false;
	if (m->sigterm_at)
		return now - m->sigterm_at < SIGTERM_APART_NS;
	m->sigterm_at = now;
	return false;
}

/* The first SIGTERM asks the guest nicely; the second, like any other signal, doesn't ask. */
static void got_signal(void *opaque, int signo)
{
	struct machine *m = opaque;

	if (same_request(m, signo))
		return;
	if (signo == SIGWINCH && m->command) {
		command_resized(m->command);
	} else if (signo == SIGWINCH) {
		loop_call(m->io, resize, m->term);
	} else if (signo == SIGUSR1) {
		examine_now(&m->examine, "SIGUSR1");
	} else if (m->command && !m->sigterms && command_signal(m->command, signo)) {
		m->sigterms++;
	} else if (signo == SIGTERM && !m->sigterms++) {
		log_info(NULL, "SIGTERM: pressing the guest's power button; a second one ends it");
		power_press(m->hw.power);
	} else {
		verdict_end(&m->watcher.verdict, ENDED_GONE,
			    "ended by SIG%s before the guest had powered off", sigabbrev_np(signo));
	}
}

static void vm_ended(void *opaque, enum vm_end why, unsigned cpu, const char *detail)
{
	struct machine *m = opaque;

	watcher_vm_ended(&m->watcher, why, cpu, detail);
}

static void freeze(void *opaque)
{
	struct machine *m = opaque;

	control_hold(m->vm);
}

static void userspace(void *opaque)
{
	struct machine *m = opaque;

	tally_mark(m->vm);
}

static void vm_stopped(void *opaque, unsigned cpu)
{
	struct machine *m = opaque;

	debug_stopped(&m->debug, cpu);
}

/* What an idle guest doesn't do: touch a device, or have one done with its work. */
static uint64_t activity(void *opaque)
{
	struct machine *m = opaque;

	return bus_accesses(&m->pio) + bus_accesses(&m->mmio) + loop_events(m->io) +
	       devices_events(&m->devices);
}

/* --- building --------------------------------------------------------------------------------- */

/* The 64-bit window begins above RAM and ends where the guest's addresses do. */
static void place_windows(struct machine *m)
{
	uint64_t end = 1ULL << vm_phys_bits(m->vm), base = gmem_top(&m->mem);

	m->windows = (struct pci_windows){
		.ecam = MAP_ECAM,
		.mem32 = MAP_PCI_MEM32,
		.mem32_len = MAP_PCI_MEM32_LEN,
		.io = MAP_PCI_IO,
		.io_len = MAP_PCI_IO_LEN,
		.intx_gsi = { GSI_INTX, GSI_INTX + 1, GSI_INTX + 2, GSI_INTX + 3 },
	};
	if (base < MAP_HOLE_END)
		base = MAP_HOLE_END;
	base = (base + GIB - 1) & ~(GIB - 1);
	if (base >= end)
		return;
	m->windows.mem64 = base;
	m->windows.mem64_len = end - base < MEM64_MAX ? end - base : MEM64_MAX;
}

static int build_core(struct machine *m)
{
	struct vm_conf vc = {
		.cpus = m->conf->cpus,
		.pio = &m->pio,
		.mmio = &m->mmio,
		.mem = &m->mem,
		.tally = m->conf->debug_exits,
		.ended = vm_ended,
		.stopped = m->conf->gdb ? vm_stopped : NULL,
		.opaque = m,
	};
	int err;

	m->main = loop_open("lkvm");
	m->io = loop_open("io");
	if (!m->main || !m->io)
		return -ENOMEM;
	loop_set_poll(m->io, m->conf->poll_ns);
	err = watcher_open(&m->watcher, m->main, &m->conf->watch, activity, m);
	if (!err)
		err = examine_open(&m->examine, m->conf);
	if (err)
		return err;
	m->signals.got = got_signal;
	m->signals.opaque = m;
	err = signals_open(&m->signals, m->main);
	if (err)
		return err;
	err = gmem_open(&m->mem, m->conf->mem, MAP_HOLE_START, MAP_HOLE_END, m->conf->mem_flags);
	if (err)
		return err;
	m->vm = vm_open(&vc);
	if (!m->vm)
		return -ENODEV;
	m->examine.vm = m->vm;
	m->watcher.userspace = userspace;
	m->watcher.freeze = freeze;
	place_windows(m);
	return 0;
}

/* The kernel's console: on the terminal, or, where that is a command's or nobody's, only watched. */
static int build_console(struct machine *m)
{
	bool stdio = m->conf->console != CONSOLE_NONE;
	struct term_conf tc = { .log_path = m->conf->console_log, .quit = user_quit, .opaque = m,
				.stream = m->conf->command.argc || !stdio, .in = -1,
				.out = stdio && log_enabled(LOG_DBG) ? STDERR_FILENO : -1 };

	m->term = term_open(m->io, &tc);
	m->nobody = chan_null_open();
	if (!m->term || !m->nobody || watcher_tap(&m->watcher, term_chan(m->term)) ||
	    watcher_tap(&m->watcher, m->nobody))
		return -ENODEV;
	return 0;
}

static int build_command(struct machine *m)
{
	struct command_user user = { .booted = command_booted, .done = command_done,
				     .no_end = command_no_end, .quit = user_quit, .opaque = m };

	m->command = command_open(m->io, &m->conf->command, &user);
	if (!m->command)
		return -ENODEV;
	verdict_command(&m->watcher.verdict);
	return 0;
}

static int build_hardware(struct machine *m)
{
	struct hardware_conf hc = {
		.pio = &m->pio,
		.mmio = &m->mmio,
		.vm = m->vm,
		.io = m->io,
		.windows = &m->windows,
		.console = m->conf->console == CONSOLE_VIRTIO ? m->nobody : term_chan(m->term),
		.command = m->command ? command_serial(m->command) : NULL,
		.debug_exit = m->conf->debug_exit,
		.user = { .ended = watcher_hw_ended, .opaque = &m->watcher },
	};
	int err = hardware_open(&m->hw, &hc);

	m->examine.serial = m->hw.serial;
	return err;
}

static int build_devices(struct machine *m)
{
	struct console_port ports[COMMAND_PORTS];

	if (m->command)
		command_ports(m->command, ports);
	m->devices = (struct devices){
		.conf = m->conf,
		.threads.poll_ns = m->conf->poll_ns,
		.mem = &m->mem,
		.io = m->io,
		.pci = m->hw.pci,
		.console = m->conf->console == CONSOLE_VIRTIO ? term_chan(m->term) : NULL,
		.ports = m->command ? ports : NULL,
		.n_ports = COMMAND_PORTS,
		.died = backend_died,
		.opaque = m,
	};
	return devices_open(&m->devices);
}

static int build(struct machine *m)
{
	int err;

	bus_init(&m->pio, "pio");
	bus_init(&m->mmio, "mmio");
	err = build_core(m);
	if (!err)
		err = payload_load(m->conf, &m->windows, &m->mem, &m->entry);
	if (!err)
		err = build_console(m);
	if (!err && m->conf->command.argc)
		err = build_command(m);
	if (!err)
		err = build_hardware(m);
	if (!err)
		err = build_devices(m);
	return err;
}

/* --- running ---------------------------------------------------------------------------------- */

static void nothing(void *opaque)
{
	(void)opaque;
}

/* The kernel's last words, when there is no status and nobody has seen them. On the loop. */
static void show_console(void *opaque)
{
	struct machine *m = opaque;
	char text[2048];
	size_t n = term_tail(m->term, text, sizeof(text)), to = 0;

	for (size_t i = 0; i < n; i++)
		if (text[i] == '\n' || text[i] == '\t' || (text[i] >= ' ' && text[i] < 0x7f))
			text[to++] = text[i];
	if (to)
		dprintf(STDERR_FILENO, "lkvm: the end of the guest's console:\n%.*s%s", (int)to, text,
			text[to - 1] == '\n' ? "" : "\n");
}

/*
 * The verdict is taken of all that the guest has done: what it had put into a queue before it ended
 * (the last words on a virtio console) has been seen once the loop has gone round.
 */
static int verdict(struct machine *m)
{
	if (m->watcher.dump)
		examine_last(&m->examine, m->watcher.verdict.why);
	vm_stop(m->vm);
	loop_call(m->io, nothing, NULL);
	watcher_finish(&m->watcher);
	if (m->conf->debug_exits)
		exits_report(m->vm, m->watcher.result);
	if (verdict_command_missing(&m->watcher.verdict) && !log_enabled(LOG_DBG))
		loop_call(m->io, show_console, m);
	return verdict_take(&m->watcher.verdict);
}

static int run(struct machine *m)
{
	int err;

	m->debug.kill = killed;
	m->debug.held = held;
	m->debug.inspect = m->examine.inspect;
	m->debug.opaque = m;
	err = debug_open(&m->debug, m->main, m->vm, m->conf);
	if (!err)
		err = loop_start(m->io);
	if (!err)
		err = devices_start(&m->devices);
	phase_mark("first_instruction");
	if (!err)
		err = vm_start(m->vm, &m->entry);
	if (err)
		return STATUS_FAILED;
	watcher_start(&m->watcher);
	if (stuck_open(&m->stuck, m->main, m->vm, &m->debug, &m->watcher))
		return STATUS_FAILED;
	err = loop_run(m->main);
	phase_mark("end");
	return err ? STATUS_FAILED : verdict(m);
}

/*
 * vCPUs first, as they may be waiting for a loop; then the loops, after which everything that is left
 * belongs to this thread.
 */
static void tear_down(struct machine *m)
{
	if (m->vm)
		vm_stop(m->vm);
	stuck_close(&m->stuck);
	debug_close(&m->debug);
	devices_stop(&m->devices);
	if (m->io)
		loop_stop(m->io);
	devices_close(&m->devices);
	hardware_close(&m->hw);
	command_close(m->command);
	if (m->term)
		term_close(m->term);
	chan_null_close(m->nobody);
	if (m->vm)
		vm_close(m->vm);
	gmem_close(&m->mem);
	watcher_close(&m->watcher);
	examine_close(&m->examine);
	signals_close(&m->signals);
	loop_close(m->io);
	loop_close(m->main);
	bus_fini(&m->mmio);
	bus_fini(&m->pio);
}

/* Each queue and each vector is a file or three: what the user may have, a big machine needs. */
static void raise_limits(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) || files.rlim_cur >= FILES_MAX)
		return;
	files.rlim_cur = files.rlim_max < FILES_MAX ? files.rlim_max : FILES_MAX;
	setrlimit(RLIMIT_NOFILE, &files);
}

int machine_run(const struct config *conf)
{
	struct machine m = { .conf = conf, .mem.fd = -1, .signals.watch.fd = -1, .watcher.news.fd = -1 };
	struct result *result = NULL;
	int status = STATUS_FAILED;

	if (conf->name)
		prctl(PR_SET_NAME, conf->name);
	raise_limits();
	if (conf->result) {
		result = result_open(conf->result);
		if (!result)
			return STATUS_FAILED;
	}
	m.watcher.result = result;
	if (!build(&m))
		status = run(&m);
	if (result)
		result_judge(result, status, &m.watcher.verdict);
	tear_down(&m);
	/* A run that promised a file and has none did not do its job. */
	if (result && result_write(result) && status == STATUS_OK)
		status = STATUS_FAILED;
	result_close(result);
	return status;
}

void machine_not_run(const struct config *conf, int status)
{
	struct verdict none = { 0 };
	struct result *result = NULL;

	if (conf->result)
		result = result_open(conf->result);
	if (!result)
		return;
	result_judge(result, status, &none);
	result_write(result);
	result_close(result);
}
