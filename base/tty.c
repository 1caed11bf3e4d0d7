// SPDX-License-Identifier: GPL-2.0-only
/*
 * tty: raw mode and the signal handlers that see to its end.
 *
 * There is one terminal per process, and signal handlers have no argument: so this is one of the few
 * places with state of its own.
 *
 * Runs on: main, a loop, and signal handlers in any thread
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <termios.h>
#include <unistd.h>

#include "base/tty.h"
#include "lkvm/log.h"

static struct {
	int fd;
	struct termios cooked;
	bool taken;	   /* cooked is valid, signals are ours */
	atomic_bool raw;   /* the terminal is raw by our doing */
	atomic_bool continued;
	atomic_int wake;   /* eventfd + 1; 0: none */
} tty;

/*
 * `fault`: comes again by itself when its handler returns. `polite`: left alone when somebody already
 * handles or ignores it.
 */
static struct tty_signal {
	int sig;
	bool fault, polite;
	bool ours;
	struct sigaction old;
} signals[] = {
	{ .sig = SIGSEGV, .fault = true },  { .sig = SIGBUS, .fault = true },
	{ .sig = SIGILL, .fault = true },   { .sig = SIGFPE, .fault = true },
	{ .sig = SIGABRT },		    { .sig = SIGSYS },
	{ .sig = SIGTRAP },		    { .sig = SIGTERM, .polite = true },
	{ .sig = SIGINT, .polite = true },  { .sig = SIGHUP, .polite = true },
	{ .sig = SIGQUIT, .polite = true }, { .sig = SIGTSTP, .polite = true },
	{ .sig = SIGCONT, .polite = true },
};
#define N_SIGNALS (sizeof(signals) / sizeof(signals[0]))

bool tty_foreground(int fd)
{
	pid_t group = tcgetpgrp(fd);

	return group < 0 || group == getpgrp();
}

/* SIGTTOU is blocked meanwhile: it would stop us if another process came to the fore just now. */
static int tty_set(int fd, const struct termios *mode)
{
	sigset_t ttou, old;
	int e = 0;

	sigemptyset(&ttou);
	sigaddset(&ttou, SIGTTOU);
	pthread_sigmask(SIG_BLOCK, &ttou, &old);
	while (tcsetattr(fd, TCSANOW, mode) < 0) {
		if (errno != EINTR) {
			e = -errno;
			break;
		}
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return e;
}

void tty_restore(void)
{
	int saved = errno;

	/* In the background the terminal is the shell's, which has already set it as it likes. */
	if (atomic_exchange(&tty.raw, false) && tty_foreground(tty.fd))
		tty_set(tty.fd, &tty.cooked);
	errno = saved;
}

/* Ends the process as the signal would have, with the terminal given back. */
static void tty_fatal(int sig, siginfo_t *info, void *context)
{
	bool again = false;

	(void)context;
	tty_restore();
	for (size_t i = 0; i < N_SIGNALS; i++) {
		if (signals[i].sig != sig)
			continue;
		sigaction(sig, &signals[i].old, NULL);
		/* A fault of the processor's, with its address for whoever handles it next. */
		again = signals[i].fault && info->si_code > 0;
	}
	if (!again)
		raise(sig);
}

static void tty_stop(int sig, siginfo_t *info, void *context);
static void tty_continue(int sig, siginfo_t *info, void *context);

static int tty_handle(int sig, struct sigaction *old)
{
	struct sigaction sa = { .sa_sigaction = tty_fatal, .sa_flags = SA_SIGINFO | SA_RESTART };

	if (sig == SIGTSTP)
		sa.sa_sigaction = tty_stop;
	else if (sig == SIGCONT)
		sa.sa_sigaction = tty_continue;
	sigemptyset(&sa.sa_mask);
	return sigaction(sig, &sa, old);
}

static void tty_stop(int sig, siginfo_t *info, void *context)
{
	struct sigaction dfl = { .sa_handler = SIG_DFL };
	int saved = errno;
	sigset_t set, old;

	(void)info;
	(void)context;
	tty_restore();
	sigaction(sig, &dfl, NULL);
	sigemptyset(&set);
	sigaddset(&set, sig);
	raise(sig);
	pthread_sigmask(SIG_UNBLOCK, &set, &old); /* stopped here, until SIGCONT */
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	tty_handle(sig, NULL);
	errno = saved;
}

static void tty_continue(int sig, siginfo_t *info, void *context)
{
	int saved = errno, wake = atomic_load(&tty.wake);

	(void)sig;
	(void)info;
	(void)context;
	atomic_store(&tty.continued, true);
	if (wake)
		eventfd_write(wake - 1, 1);
	errno = saved;
}

void tty_on_continue(int eventfd)
{
	atomic_store(&tty.wake, eventfd + 1);
}

bool tty_continued(void)
{
	return atomic_exchange(&tty.continued, false);
}

static void tty_take_signals(void)
{
	for (size_t i = 0; i < N_SIGNALS; i++) {
		struct tty_signal *s = &signals[i];

		if (sigaction(s->sig, NULL, &s->old) < 0)
			continue;
		if (s->polite && ((s->old.sa_flags & SA_SIGINFO) || s->old.sa_handler != SIG_DFL))
			continue;
		s->ours = !tty_handle(s->sig, NULL);
	}
}

static void tty_at_exit(void)
{
	tty_restore();
}

int tty_raw(int fd)
{
	static bool at_exit;
	struct termios raw;
	int e;

	if (!tty.taken) {
		if (tcgetattr(fd, &tty.cooked) < 0)
			return -errno;
		if (!at_exit)
			at_exit = !atexit(tty_at_exit);
		tty.fd = fd;
		tty.taken = true;
		tty_take_signals();
	}
	raw = tty.cooked;
	cfmakeraw(&raw);
	/* First, so that a signal between the two finds something to restore. */
	atomic_store(&tty.raw, true);
	e = tty_set(fd, &raw);
	if (e)
		atomic_store(&tty.raw, false);
	else
		log_set_raw(true);
	return e;
}

void tty_release(void)
{
	if (!tty.taken)
		return;
	tty_restore();
	log_set_raw(false);
	for (size_t i = 0; i < N_SIGNALS; i++) {
		struct tty_signal *s = &signals[i];
		struct sigaction now;

		/* Only while it is still ours: main may have put its own in the meantime. */
		if (!s->ours || sigaction(s->sig, NULL, &now) < 0)
			continue;
		if (now.sa_sigaction == tty_fatal || now.sa_sigaction == tty_stop ||
		    now.sa_sigaction == tty_continue)
			sigaction(s->sig, &s->old, NULL);
		s->ours = false;
	}
	tty.taken = false;
	tty_on_continue(-1);
}
