// SPDX-License-Identifier: GPL-2.0-only
/*
 * The terminal: real ptys, pipes and files. Each case is a child process whose stdin and stdout are
 * what the case is about; for ptys there is a process in between that does what a shell does: it
 * leads the session, puts the child in the foreground, takes the terminal back when it stops.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "lkvm/chan_outside.h"
#include "lkvm/log.h"
#include "lkvm/loop.h"
#include "lkvm/term.h"
#include "tap.h"

static char dir[] = "/tmp/lkvm-term-XXXXXX";

/* --- what runs in the child: a guest that answers ------------------------------------------------ */

static struct loop *loop;
static struct term *term;
static struct chan *chan;

static void quit(void *opaque)
{
	(void)opaque;
	loop_quit(loop);
}

static void say(const char *text)
{
	chan_write(chan, text, strlen(text));
}

static int *volatile nowhere = (int *)64;

/* Answers what it reads in brackets, so that the test sees how the bytes came. */
static void echo(void *opaque)
{
	char got[256], line[600];
	size_t n = chan_read(chan, got, sizeof(got)), at = 0;

	(void)opaque;
	line[at++] = '<';
	for (size_t i = 0; i < n; i++) {
		if (got[i] == 'C')
			*nowhere = 1; /* a crash of lkvm's own */
		if (got[i] == 'E')
			exit(7);
		line[at++] = got[i] < ' ' ? '^' : got[i];
		if (got[i] < ' ')
			line[at++] = (char)(got[i] + '@');
	}
	line[at++] = '>';
	chan_write(chan, line, at);
}

static void tell_size(void *opaque)
{
	char line[32];
	uint16_t cols, rows;

	(void)opaque;
	chan_size(chan, &cols, &rows);
	snprintf(line, sizeof(line), "size %ux%u\n", cols, rows);
	say(line);
}

static struct loop_timer winch;

static void look_at_size(void *opaque)
{
	(void)opaque;
	term_resized(term);
	loop_timer_set(loop, &winch, 20000000);
}

static void open_all(const char *log_path)
{
	struct term_conf conf = { .log_path = log_path, .quit = quit };

	term_hold_std();
	loop = loop_open("main");
	term = term_open(loop, &conf);
	if (!term)
		exit(3);
	chan = term_chan(term);
	chan_attach(chan, &(struct chan_user){ .readable = echo, .resized = tell_size });
}

static void close_all(void)
{
	term_close(term);
	loop_close(loop);
}

static void guest_echo(void)
{
	open_all(NULL);
	winch.fire = look_at_size;
	look_at_size(NULL);
	say("ready\n");
	loop_run(loop);
	close_all();
}

#define SHELLS_OWN 7

/* --- the shell in between -------------------------------------------------------------------- */

struct kid {
	int master;  /* of the pty, which keeps its settings */
	int ctl;     /* socket: words to the shell, reports from it */
	pid_t shell, pid;
};

static void shell(int slave, int ctl, void (*fn)(void), bool background)
{
	int status;
	char word;
	pid_t pid;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setsid();
	ioctl(slave, TIOCSCTTY, 0);
	signal(SIGTTOU, SIG_IGN);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		setpgid(0, 0);
		if (!background)
			tcsetpgrp(slave, getpid());
		signal(SIGTTOU, SIG_DFL);
		dup2(slave, 0);
		dup2(slave, 1);
		fn();
		exit(0);
	}
	setpgid(pid, pid);
	if (write(ctl, &pid, sizeof(pid)) < 0)
		_exit(1);
	for (;;) {
		struct pollfd p = { .fd = ctl, .events = POLLIN };
		struct termios mode;

		if (waitpid(pid, &status, WUNTRACED | WNOHANG) == pid) {
			tcsetpgrp(slave, getpid());
			if (write(ctl, &status, sizeof(status)) < 0 || !WIFSTOPPED(status))
				_exit(0);
		}
		if (poll(&p, 1, 5) < 1)
			continue;
		if (read(ctl, &word, 1) < 1)
			_exit(0);
		if (word == 'f' || word == 't')
			tcsetpgrp(slave, pid);
		if (word == 'f' || word == 'b')
			kill(pid, SIGCONT);
		if (word == 's') { /* takes the terminal away, and sets it up to its own taste */
			tcsetpgrp(slave, getpid());
			tcgetattr(slave, &mode);
			mode.c_cc[VINTR] = SHELLS_OWN;
			tcsetattr(slave, TCSANOW, &mode);
		}
	}
}

static struct kid start(void (*fn)(void), bool background)
{
	struct winsize ws = { .ws_col = 80, .ws_row = 24 };
	struct kid k = { 0 };
	int slave, ctl[2];

	fflush(stdout);
	if (openpty(&k.master, &slave, NULL, NULL, &ws) < 0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ctl) < 0)
		exit(2);
	k.shell = fork();
	if (!k.shell) {
		close(k.master);
		close(ctl[0]);
		shell(slave, ctl[1], fn, background);
	}
	close(slave);
	close(ctl[1]);
	k.ctl = ctl[0];
	if (read(k.ctl, &k.pid, sizeof(k.pid)) < 0)
		exit(2);
	return k;
}

/* How the child ended or stopped; -1 when it didn't within five seconds. */
static int report(struct kid *k)
{
	struct pollfd p = { .fd = k->ctl, .events = POLLIN };
	int status = -1;

	if (poll(&p, 1, 5000) == 1 && read(k->ctl, &status, sizeof(status)) < 0)
		return -1;
	return status;
}

static void finish(struct kid *k)
{
	close(k->ctl);
	kill(k->pid, SIGKILL);
	waitpid(k->shell, NULL, 0);
	close(k->master);
}

static bool is_raw(struct kid *k)
{
	struct termios t;

	return !tcgetattr(k->master, &t) && !(t.c_lflag & (ICANON | ECHO | ISIG));
}

static bool becomes(struct kid *k, bool raw)
{
	for (unsigned i = 0; i < 500 && is_raw(k) != raw; i++)
		usleep(10000);
	return is_raw(k) == raw;
}

static void keys(struct kid *k, const char *text)
{
	if (write(k->master, text, strlen(text)) < 0)
		printf("# cannot type\n");
}

/* Reads until `text` has been seen, for up to five seconds. */
static bool hear(int fd, const char *text)
{
	static char buf[65536];
	size_t used = 0;

	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t n;

		if (poll(&p, 1, 5000) < 1)
			break;
		n = read(fd, buf + used, sizeof(buf) - 1 - used);
		if (n <= 0)
			break;
		used += (size_t)n;
		buf[used] = 0;
		if (strstr(buf, text))
			return true;
	}
	buf[used] = 0;
	printf("# waited for \"%s\", got \"%s\"\n", text, buf);
	return false;
}

/* --- cases with a pty ------------------------------------------------------------------------ */

static void test_pty(void)
{
	struct winsize ws = { .ws_col = 132, .ws_row = 50 };
	struct kid k = start(guest_echo, false);
	int status;

	ok(hear(k.master, "ready\n"), "output arrives, and without a carriage return of the tty's");
	ok(becomes(&k, true), "a foreground terminal is raw");
	keys(&k, "hi\x03\x1a");
	ok(hear(k.master, "<hi^C^Z>"), "keys arrive, Ctrl-c and Ctrl-z like any other");
	ioctl(k.master, TIOCSWINSZ, &ws);
	ok(hear(k.master, "size 132x50"), "a resize is told");
	keys(&k, "\x01" "a");
	ok(hear(k.master, "<^A>"), "Ctrl-a a is one Ctrl-a");
	keys(&k, "\x01\x01");
	ok(hear(k.master, "<^A>"), "so is Ctrl-a Ctrl-a");
	keys(&k, "\x01" "z");
	ok(hear(k.master, "<^Az>"), "Ctrl-a with another key passes both");
	keys(&k, "\x01");
	usleep(50000);
	keys(&k, "x");
	status = report(&k);
	ok(status >= 0 && WIFEXITED(status) && !WEXITSTATUS(status), "Ctrl-a x quits");
	ok(!is_raw(&k), "and the terminal is as before");
	finish(&k);
}

static void test_stop(void)
{
	struct kid k = start(guest_echo, false);
	int status;

	ok(hear(k.master, "ready") && becomes(&k, true), "raw");
	kill(k.pid, SIGTSTP);
	status = report(&k);
	ok(status >= 0 && WIFSTOPPED(status), "SIGTSTP stops it");
	ok(!is_raw(&k), "with the terminal restored");
	if (write(k.ctl, "f", 1) < 0)
		exit(2);
	ok(becomes(&k, true), "in the foreground again it is raw again");
	keys(&k, "one");
	ok(hear(k.master, "<one>"), "and listens");
	kill(k.pid, SIGTSTP);
	status = report(&k);
	ok(status >= 0 && WIFSTOPPED(status) && !is_raw(&k), "a second stop works like the first");
	if (write(k.ctl, "b", 1) < 0)
		exit(2);
	usleep(200000);
	ok(!is_raw(&k), "in the background it leaves the terminal alone");
	kill(k.pid, SIGTERM);
	status = report(&k);
	ok(status >= 0 && WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM, "and can be ended");
	finish(&k);
}

static void test_background(void)
{
	struct kid k = start(guest_echo, true);

	ok(hear(k.master, "ready"), "started in the background it runs and prints");
	keys(&k, "too early\n");
	usleep(100000);
	ok(!is_raw(&k), "the terminal stays as it is");
	is(kill(k.pid, 0), 0, "and the process isn't stopped for reading");
	if (write(k.ctl, "t", 1) < 0)
		exit(2);
	ok(becomes(&k, true), "brought to the foreground it takes the terminal by itself");
	ok(hear(k.master, "<too early"), "and reads what waits there");
	finish(&k);
}

static cc_t interrupt_key(struct kid *k)
{
	struct termios t;

	return tcgetattr(k->master, &t) ? 0 : t.c_cc[VINTR];
}

/* In the background the terminal is somebody else's: it is not for us to restore. */
static void test_taken_away(void)
{
	struct kid k = start(guest_echo, false);
	int status;

	ok(hear(k.master, "ready") && becomes(&k, true), "raw, in the foreground");
	if (write(k.ctl, "s", 1) < 0)
		exit(2);
	for (unsigned i = 0; i < 500 && interrupt_key(&k) != SHELLS_OWN; i++)
		usleep(10000);
	kill(k.pid, SIGTERM);
	status = report(&k);
	ok(status >= 0 && WIFSIGNALED(status), "ended when the terminal had been taken away");
	is(interrupt_key(&k), SHELLS_OWN, "it leaves the terminal as it is");
	finish(&k);
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

static void guest_quiet_echo(void)
{
	struct rlimit none = { 0, 0 };
	int null = open("/dev/null", O_WRONLY);

	setrlimit(RLIMIT_CORE, &none);
	dup2(null, 2); /* the sanitizers' reports of crashes that we want */
	guest_echo();
}

/* Ended by the signal itself, or by the sanitizer's handler that was there before us. */
static bool died(int status, int sig)
{
	if (status < 0)
		return false;
	return (WIFSIGNALED(status) && WTERMSIG(status) == sig) || (SANITIZED && status != 0);
}

static void test_crash(void)
{
	static const struct {
		int sig;
		const char *name;
	} sent[] = {
		{ SIGABRT, "SIGABRT" }, { SIGSEGV, "SIGSEGV" }, { SIGBUS, "SIGBUS" },
		{ SIGILL, "SIGILL" },	{ SIGFPE, "SIGFPE" },	{ SIGTERM, "SIGTERM" },
		{ SIGINT, "SIGINT" },	{ SIGHUP, "SIGHUP" },	{ SIGQUIT, "SIGQUIT" },
		{ SIGSYS, "SIGSYS" },	{ SIGTRAP, "SIGTRAP" },
	};
	struct kid k = start(guest_quiet_echo, false);
	int status;

	ok(hear(k.master, "ready") && becomes(&k, true), "raw before the crash");
	keys(&k, "C");
	status = report(&k);
	ok(died(status, SIGSEGV), "a real segmentation fault ends it");
	ok(!is_raw(&k), "and the terminal is restored");
	finish(&k);

	k = start(guest_quiet_echo, false);
	ok(hear(k.master, "ready") && becomes(&k, true), "raw before exit()");
	keys(&k, "E");
	status = report(&k);
	ok(status >= 0 && WIFEXITED(status) && WEXITSTATUS(status) == 7, "exit() deep inside");
	ok(!is_raw(&k), "restores the terminal too");
	finish(&k);

	for (size_t i = 0; i < sizeof(sent) / sizeof(sent[0]); i++) {
		k = start(guest_quiet_echo, false);
		hear(k.master, "ready");
		becomes(&k, true);
		kill(k.pid, sent[i].sig);
		status = report(&k);
		ok(died(status, sent[i].sig) && !is_raw(&k), "%s ends it and restores the terminal",
		   sent[i].name);
		finish(&k);
	}
}

/* --- cases with pipes and files -------------------------------------------------------------- */

/* fn in a child with these as stdin and stdout (-1: closed). Returns its pid. */
static pid_t run(void (*fn)(void), int in, int out, int err)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (in < 0)
		close(0);
	else
		dup2(in, 0);
	if (out < 0)
		close(1);
	else
		dup2(out, 1);
	if (err >= 0)
		dup2(err, 2);
	fn();
	exit(0);
}

static int ended(pid_t pid)
{
	int status;

	for (unsigned i = 0; i < 1000; i++) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return status;
		usleep(10000);
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	printf("# had to be killed\n");
	return -1;
}

#define MANY 1000000

static unsigned sent_bytes;
static struct loop_timer pusher;

/* Numbered bytes, as many as the channel takes, again whenever it has room. */
static void push(void *opaque)
{
	(void)opaque;
	while (sent_bytes < MANY) {
		uint8_t byte[1000];
		size_t n = MANY - sent_bytes < sizeof(byte) ? MANY - sent_bytes : sizeof(byte), took;

		for (size_t i = 0; i < n; i++)
			byte[i] = (uint8_t)((sent_bytes + i) % 251);
		took = chan_write(chan, byte, n);
		sent_bytes += (unsigned)took;
		if (took < n)
			return;
	}
	loop_quit(loop);
}

static void guest_push(void)
{
	open_all(NULL);
	chan_attach(chan, &(struct chan_user){ .writable = push });
	pusher.fire = push;
	loop_timer_set(loop, &pusher, 0);
	loop_run(loop);
	close_all();
}

/* All of it, in order? Stops reading for a while in the middle. */
static bool take_all(int fd)
{
	unsigned at = 0, wrong = 0;
	uint8_t buf[7000];
	ssize_t n;

	usleep(150000);
	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		for (ssize_t i = 0; i < n; i++)
			wrong += buf[i] != at++ % 251;
		if (at > 300000 && at < 320000)
			usleep(100000);
	}
	if (at != MANY || wrong)
		printf("# %u bytes, %u wrong\n", at, wrong);
	return at == MANY && !wrong;
}

/* Without /proc there is no description of our own: poll and small writes. */
static void guest_push_bare(void)
{
	if (chroot(dir) < 0)
		exit(4);
	guest_push();
	_exit(0); /* the leak checker needs /proc */
}

static void tick(void *opaque)
{
	(void)opaque;
	dprintf(2, "tick\n");
	loop_quit(loop);
}

static void guest_tick(void)
{
	open_all(NULL);
	chan_attach(chan, &(struct chan_user){ .writable = push });
	push(NULL);
	pusher.fire = tick;
	loop_timer_set(loop, &pusher, 200000000);
	loop_run(loop);
	_exit(0);
}

static void guest_tick_bare(void)
{
	if (chroot(dir) < 0)
		exit(4);
	guest_tick();
}

/* A stdout that is full holds up the guest's output, and nothing else on the loop. */
static void test_never_blocks(void)
{
	static const char *const names[] = { "pipe", "pipe without /proc", "socket", "terminal" };
	int null = open("/dev/null", O_RDWR);

	for (unsigned i = 0; i < 4; i++) {
		int p[2], err[2];
		pid_t pid;

		if (i == 1 && geteuid() != 0) {
			skip("chroot needs root", "a full %s doesn't stop the loop", names[i]);
			continue;
		}
		if ((i == 2 ? socketpair(AF_UNIX, SOCK_STREAM, 0, p) :
		     i == 3 ? openpty(&p[0], &p[1], NULL, NULL, NULL) :
			      pipe(p)) < 0 ||
		    pipe(err) < 0)
			exit(2);
		fcntl(p[1], F_SETPIPE_SZ, 4096); /* less than the channel holds */
		pid = run(i == 1 ? guest_tick_bare : guest_tick, null, p[1], err[1]);
		close(p[1]);
		close(err[1]);
		ok(hear(err[0], "tick"), "a full %s doesn't stop the loop", names[i]);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		close(p[0]);
		close(err[0]);
	}
	close(null);
}

static void test_no_proc(void)
{
	int p[2], null = open("/dev/null", O_RDWR);
	pid_t pid;

	if (geteuid() != 0) {
		skip("chroot needs root", "a full pipe without /proc");
		close(null);
		return;
	}
	if (pipe(p) < 0)
		exit(2);
	pid = run(guest_push_bare, null, p[1], -1);
	close(p[1]);
	ok(take_all(p[0]), "without /proc a pipe that fills up loses nothing either");
	is(ended(pid), 0, "and ends");
	close(p[0]);
	close(null);
}

static void test_full_pipe(void)
{
	int p[2], null = open("/dev/null", O_RDWR);
	pid_t pid;

	if (pipe(p) < 0)
		exit(2);
	pid = run(guest_push, null, p[1], -1);
	usleep(50000);
	is(fcntl(p[1], F_GETFL) & O_NONBLOCK, 0, "the shared pipe isn't made non-blocking");
	close(p[1]);
	ok(take_all(p[0]), "a pipe that fills up loses nothing");
	is(ended(pid), 0, "and doesn't keep it from ending");
	close(p[0]);

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, p) < 0)
		exit(2);
	pid = run(guest_push, null, p[1], -1);
	close(p[1]);
	ok(take_all(p[0]), "nor does a socket");
	is(ended(pid), 0, "which ends as well");
	close(p[0]);
	close(null);
}

static void guest_held(void)
{
	int fd;

	close(2);
	term_hold_std();
	fd = open("/dev/zero", O_RDONLY);
	exit(fd > 2 && fcntl(0, F_GETFD) >= 0 && fcntl(2, F_GETFD) >= 0 ? 0 : 1);
}

static void guest_stuck(void)
{
	open_all(NULL);
	for (unsigned i = 0; i < 3000; i++)
		say("a hundred bytes or less, over and over, until it is full of them\n");
	close_all();
}

static void test_stuck_pipe(void)
{
	int p[2], err[2], null = open("/dev/null", O_RDWR);
	uint64_t t0 = loop_now(), took;
	pid_t pid;

	if (pipe(p) < 0 || pipe(err) < 0)
		exit(2);
	fcntl(p[1], F_SETPIPE_SZ, 4096);
	pid = run(guest_stuck, null, p[1], err[1]);
	close(err[1]);
	is(ended(pid), 0, "a pipe that nobody reads doesn't keep it from ending");
	took = (loop_now() - t0) / 1000000;
	ok(took >= 900 && took < 4000, "after a second of patience (%u ms)", (unsigned)took);
	ok(hear(err[0], "are lost"), "and it says that output was lost");
	close(p[0]);
	close(p[1]);
	close(err[0]);
	close(null);
}

static void test_broken(void)
{
	int p[2], err[2], null = open("/dev/null", O_RDWR), full = open("/dev/full", O_WRONLY);
	pid_t pid;

	if (pipe(p) < 0)
		exit(2);
	close(p[0]);
	pid = run(guest_push, null, p[1], null);
	is(ended(pid), 0, "a pipe without a reader swallows the rest");
	close(p[1]);

	if (pipe(err) < 0)
		exit(2);
	pid = run(guest_push, null, full, err[1]);
	close(err[1]);
	is(ended(pid), 0, "/dev/full swallows it all");
	ok(hear(err[0], "cannot write to stdout: No space left on device"), "and that is said");
	close(err[0]);

	pid = run(guest_push, null, -1, null);
	is(ended(pid), 0, "a closed stdout swallows it too");
	pid = run(guest_push, -1, null, null);
	is(ended(pid), 0, "/dev/null and a closed stdin are fine");
	is(ended(run(guest_held, -1, -1, -1)), 0, "closed ones don't become files of ours");
	close(full);
	close(null);
}

static void test_file(void)
{
	char path[64];
	int fd, null = open("/dev/null", O_RDWR);
	pid_t pid;

	snprintf(path, sizeof(path), "%s/out", dir);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	if (write(fd, "x", 1) < 0)
		exit(2);
	pid = run(guest_push, null, fd, -1);
	is(ended(pid), 0, "stdout may be a regular file");
	is(lseek(fd, 0, SEEK_CUR), MANY + 1, "written from where the shell left it");
	lseek(fd, 1, SEEK_SET);
	ok(take_all(fd), "with everything in it");
	close(fd);
	unlink(path);
	close(null);
}

/* Reads as slowly as a busy guest; ends at the letter that the input ends with. */
static unsigned taken, mistaken;

static void sip(void *opaque)
{
	uint8_t byte[100];
	size_t n = chan_read(chan, byte, sizeof(byte));

	(void)opaque;
	for (size_t i = 0; i < n; i++)
		mistaken += byte[i] != taken++ % 251;
	if (taken < MANY)
		loop_timer_set(loop, &pusher, 0);
	else
		loop_quit(loop);
}

static void guest_sip(void)
{
	open_all(NULL);
	chan_attach(chan, &(struct chan_user){ 0 });
	pusher.fire = sip;
	loop_timer_set(loop, &pusher, 0);
	loop_run(loop);
	close_all();
	exit(mistaken ? 9 : 0);
}

static void test_input(void)
{
	static uint8_t all[MANY];
	int p[2], fd, null = open("/dev/null", O_RDWR);
	char path[64];
	size_t at = 0;
	pid_t pid;

	for (size_t i = 0; i < MANY; i++)
		all[i] = (uint8_t)(i % 251); /* Ctrl-a among them */
	if (pipe(p) < 0)
		exit(2);
	pid = run(guest_sip, p[0], null, -1);
	close(p[0]);
	while (at < MANY) {
		ssize_t n = write(p[1], all + at, MANY - at);

		if (n < 0)
			break;
		at += (size_t)n;
	}
	is(at, MANY, "a slow guest holds up who writes to lkvm");
	is(ended(pid), 0, "every byte of a pipe arrives, Ctrl-a and x too");
	close(p[1]);

	snprintf(path, sizeof(path), "%s/in", dir);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	if (write(fd, all, MANY) != MANY)
		exit(2);
	lseek(fd, 0, SEEK_SET);
	pid = run(guest_sip, fd, null, -1);
	is(ended(pid), 0, "every byte of a regular file arrives");
	close(fd);
	unlink(path);
	close(null);
}

static void guest_eof(void)
{
	open_all(NULL);
	say("still here\n");
	pusher.fire = quit;
	loop_timer_set(loop, &pusher, 200000000);
	loop_run(loop);
	close_all();
}

static void test_eof(void)
{
	int p[2], in[2], null = open("/dev/null", O_RDWR);
	struct rusage before, after;
	pid_t pid;

	if (pipe(p) < 0 || pipe(in) < 0)
		exit(2);
	close(in[1]);
	getrusage(RUSAGE_CHILDREN, &before);
	pid = run(guest_eof, in[0], p[1], -1);
	close(p[1]);
	ok(hear(p[0], "still here"), "stdin at its end: it goes on");
	is(ended(pid), 0, "until it ends by itself");
	pid = run(guest_eof, null, null, -1);
	is(ended(pid), 0, "so with /dev/null");
	getrusage(RUSAGE_CHILDREN, &after);
	ok((after.ru_utime.tv_sec - before.ru_utime.tv_sec) * 1000000 + after.ru_utime.tv_usec -
			   before.ru_utime.tv_usec < 150000,
	   "and doesn't spin meanwhile");
	close(p[0]);
	close(in[0]);
	close(null);
}

/* --- batching ----------------------------------------------------------------------------------- */

static void drip(void *opaque)
{
	static unsigned n;

	(void)opaque;
	for (unsigned i = 0; i < 10; i++)
		say("x");
	if (++n == 2000)
		loop_quit(loop);
	else
		loop_timer_set(loop, &pusher, 0);
}

static void guest_drip(void)
{
	open_all(NULL);
	pusher.fire = drip;
	loop_timer_set(loop, &pusher, 0);
	loop_run(loop);
	close_all();
}

static void test_batch(void)
{
	int p[2], null = open("/dev/null", O_RDWR);
	unsigned bytes = 0, packets = 0;
	char buf[4096];
	ssize_t n;
	pid_t pid;

	/* Packets keep write calls apart. */
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, p) < 0)
		exit(2);
	pid = run(guest_drip, null, p[1], -1);
	close(p[1]);
	while ((n = read(p[0], buf, sizeof(buf))) > 0) {
		bytes += (unsigned)n;
		packets++;
	}
	is(ended(pid), 0, "a guest that prints byte by byte");
	ok(bytes && packets * 20 < bytes, "%u bytes took %u writes", bytes, packets);
	close(p[0]);
	close(null);
}

/* --- the log ----------------------------------------------------------------------------------- */

static char log_path[64];

static void guest_logged(void)
{
	char huge[5000], nul[] = "a\0b\n";

	open_all(log_path);
	memset(huge, 'h', sizeof(huge));
	say("first\r\nsec");
	loop_timer_set(loop, &pusher, 50000000);
	pusher.fire = quit;
	loop_run(loop);
	say("ond\r");
	chan_write(chan, nul, 0); /* nothing is nothing */
	loop_timer_set(loop, &pusher, 50000000);
	loop_run(loop);
	say("\nbare\r");
	loop_timer_set(loop, &pusher, 20000000);
	loop_run(loop);
	say("return\n\n");
	chan_write(chan, nul, 4);
	for (unsigned i = 0; i < 10; i++)
		chan_write(chan, huge, sizeof(huge));
	say("\nend");
	close_all();
}

/* The log's text with its stamps checked and cut off. */
static bool unstamp(char *text, size_t *len, double *last)
{
	size_t at = 0, out = 0;

	while (at < *len) {
		char *end = memchr(text + at, '\n', *len - at), stamp[32] = "";
		size_t n = end ? (size_t)(end - text) - at + 1 : *len - at;
		double t;

		if (n < 15 || text[at] != '[' || text[at + 13] != ']' || text[at + 14] != ' ')
			return false;
		memcpy(stamp, text + at + 1, 12);
		t = strtod(stamp, NULL);
		if (t < *last || t > 10)
			return false;
		*last = t;
		memmove(text + out, text + at + 15, n - 15);
		out += n - 15;
		at += n;
	}
	*len = out;
	return true;
}

static void test_log(void)
{
	static char text[70000];
	static const char head[] = "first\nsecond\nbare\rreturn\n\na\0b\n";
	int null = open("/dev/null", O_RDWR), p[2], fd;
	double last = 0;
	size_t len;
	ssize_t n;

	snprintf(log_path, sizeof(log_path), "%s/log", dir);
	is(ended(run(guest_logged, null, null, -1)), 0, "a guest with a console log");
	fd = open(log_path, O_RDONLY);
	n = read(fd, text, sizeof(text));
	close(fd);
	len = n < 0 ? 0 : (size_t)n;
	ok(unstamp(text, &len, &last), "each line has a stamp, and time goes forward");
	ok(last >= 0.09 && last < 5, "in seconds since the start (%f)", last);
	is(len, sizeof(head) - 1 + 50000 + 5, "nothing is missing");
	ok(!memcmp(text, head, sizeof(head) - 1), "line ends are plain, other bytes as they came");
	ok(!memcmp(text + len - 6, "h\nend\n", 6), "a huge line is one line, the last one is closed");

	is(ended(run(guest_logged, -1, -1, null)), 0, "it works with stdin and stdout closed");
	if (pipe(p) < 0)
		exit(2);
	snprintf(log_path, sizeof(log_path), "%s/no/log", dir);
	is(WEXITSTATUS(ended(run(guest_logged, null, null, p[1]))), 3, "a log that can't be is refused");
	ok(hear(p[0], "/no/log: No such file or directory"), "by name");
	snprintf(log_path, sizeof(log_path), "/dev/full");
	is(ended(run(guest_logged, null, null, p[1])), 0, "one that gets full ends");
	ok(hear(p[0], "cannot write console log /dev/full: No space left"), "with a line about it");
	close(p[0]);
	close(p[1]);
	snprintf(log_path, sizeof(log_path), "%s/log", dir);
	unlink(log_path);
	close(null);
}

static void test_null(void)
{
	struct chan *null = chan_null();
	uint16_t cols = 1, rows = 1;
	char c;

	is(chan_write(null, "abc", 3), 3, "the null channel takes everything");
	ok(chan_room(null) > 1000, "and has room");
	is(chan_read(null, &c, 1) + chan_pending(null), 0, "and gives nothing");
	chan_size(null, &cols, &rows);
	is(cols + rows, 0, "and is no terminal");
	chan_attach(null, &(struct chan_user){ 0 });
}

int main(void)
{
	log_set_level(LOG_WARN);
	signal(SIGPIPE, SIG_DFL);
	if (!mkdtemp(dir))
		return 2;
	test_null();
	test_pty();
	test_stop();
	test_background();
	test_taken_away();
	test_crash();
	test_full_pipe();
	test_no_proc();
	test_never_blocks();
	test_stuck_pipe();
	test_broken();
	test_file();
	test_input();
	test_eof();
	test_batch();
	test_log();
	rmdir(dir);
	return tap_end();
}
