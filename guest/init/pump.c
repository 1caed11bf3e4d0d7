// SPDX-License-Identifier: GPL-2.0-only
/*
 * pump: bytes between the ports and the command, until it has ended.
 *
 * Each stream has one buffer that is filled only when it is empty, so that whoever is slow slows down
 * whoever writes, all the way from the host's pipe to the command's and back.
 *
 * Runs on: the guest's first process.
 */
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include "init.h"

#define DRAIN_MS 50 /* of silence on a terminal that somebody else still holds */

struct stream {
	char buf[32768];
	size_t at, len;
	int from, to;	/* NO_FD: ended */
	uint64_t total; /* bytes that `to` has taken */
	uint64_t left;	/* bytes that are still to be read */
};

static struct stream in, out, err;

static bool empty(const struct stream *s)
{
	return s->at == s->len;
}

/* Returns false when the source has ended. */
static bool stream_read(struct stream *s)
{
	size_t max = s->left < sizeof(s->buf) ? (size_t)s->left : sizeof(s->buf);
	long n;

	if (s->from == NO_FD || !empty(s) || !max)
		return true;
	n = fd_read(s->from, s->buf, max);
	if (n == -EAGAIN || n == -EINTR)
		return true;
	if (n <= 0)
		return false;
	s->at = 0;
	s->len = (size_t)n;
	s->left -= (uint64_t)n;
	return true;
}

/* Returns false when nobody reads any more. What was to be written is dropped then. */
static bool stream_write(struct stream *s)
{
	long n;

	if (empty(s))
		return true;
	n = s->to == NO_FD ? -EPIPE : fd_write(s->to, s->buf + s->at, s->len - s->at);
	if (n > 0) {
		s->at += (size_t)n;
		s->total += (uint64_t)n;
	}
	if (n >= 0 || n == -EAGAIN || n == -EINTR)
		return true;
	s->at = s->len;
	return false;
}

/* --- stdin ---------------------------------------------------------------------------------------- */

static void close_in(struct child *child)
{
	static const char end_of_file = 4;

	if (in.to == NO_FD)
		return;
	if (child->tty) {
		sys(write, in.to, &end_of_file, 1);
	} else {
		sys_close(child->in);
		child->in = NO_FD;
	}
	in.to = NO_FD;
}

static void pump_in(struct child *child)
{
	/* A hang-up is not the end: that is a number, which comes on the control port. */
	stream_read(&in);
	if (!stream_write(&in))
		close_in(child);
	if (!in.left && empty(&in))
		close_in(child);
}

/* --- stdout, stderr ----------------------------------------------------------------------------- */

static void pump_out(struct stream *s)
{
	if (!stream_read(s))
		s->from = NO_FD;
	stream_write(s);
}

static bool done(const struct stream *s)
{
	return empty(s) && (s->from == NO_FD || !s->left);
}

/* --- the loop ----------------------------------------------------------------------------------- */

static void watch(struct pollfd *p, struct stream *s)
{
	p[0] = (struct pollfd){ .fd = empty(s) && s->left ? s->from : NO_FD, .events = POLLIN };
	p[1] = (struct pollfd){ .fd = empty(s) ? NO_FD : s->to, .events = POLLOUT };
}

/* Waits for something to do; the number of descriptors that are ready. */
static long wait_for(int children, int ms)
{
	struct pollfd p[POLL_MAX];
	long n;

	p[0] = (struct pollfd){ .fd = ports.control, .events = POLLIN };
	p[1] = (struct pollfd){ .fd = children, .events = POLLIN };
	watch(p + 2, &in);
	watch(p + 4, &out);
	watch(p + 6, &err);
	n = fd_poll(p, POLL_MAX, ms);
	if ((p[0].revents | p[2].revents) & POLLHUP)
		sleep_ms(10); /* lkvm is gone, or the port is being reset: always ready */
	return n;
}

/* The command learns it as it would from a pipe, by SIGPIPE, or from its terminal, by SIGHUP. */
static void reader_gone(struct child *child, struct stream *s)
{
	if (child->tty)
		sys(kill, -child->pid, SIGHUP);
	else if (s->from != NO_FD)
		sys_close(s->from);
	s->from = NO_FD;
	s->at = s->len;
}

static void obey(struct child *child, const struct message *msg)
{
	struct command_total total;
	struct command_size size;
	struct command_signal signal;
	struct command_closed closed;

	if (msg->type == COMMAND_STDIN_END && msg->len == sizeof(total)) {
		memcpy(&total, msg->payload, sizeof(total));
		/* left began as everything there is: what has been read was taken off it. */
		in.left -= UINT64_MAX - total.bytes;
	} else if (msg->type == COMMAND_RESIZE && msg->len == sizeof(size)) {
		memcpy(&size, msg->payload, sizeof(size));
		spawn_resize(child, size.cols, size.rows);
	} else if (msg->type == COMMAND_SIGNAL && msg->len == sizeof(signal)) {
		memcpy(&signal, msg->payload, sizeof(signal));
		sys(kill, -child->pid, signal.signo);
	} else if (msg->type == COMMAND_CLOSED && msg->len == sizeof(closed)) {
		memcpy(&closed, msg->payload, sizeof(closed));
		reader_gone(child, closed.fd == 1 ? &out : &err);
	}
}

/* Every process that has ended, ours or an orphan; true when the command is among them. */
static bool reap(const struct child *child, struct command_status *status)
{
	bool ended = false;
	int code;
	long pid;

	while ((pid = sys(wait4, -1, &code, WNOHANG, NULL)) > 0) {
		if (pid != child->pid)
			continue;
		ended = true;
		status->how = WIFEXITED(code) ? COMMAND_EXITED : COMMAND_KILLED;
		status->value = (uint32_t)(WIFEXITED(code) ? WEXITSTATUS(code) : WTERMSIG(code));
	}
	return ended;
}

/*
 * The command has ended; what it wrote before that is in the pipes. Only so much is read: a daemon that
 * it left behind may write for ever.
 */
static void last_words(struct stream *s)
{
	int n = 0;

	if (s->from != NO_FD && sys(ioctl, s->from, FIONREAD, &n) >= 0)
		s->left = n > 0 ? (uint64_t)n : 0;
}

static void drain(const struct child *child)
{
	if (child->tty)
		out.left = 1 << 20; /* some of it may still be on its way through the terminal */
	else
		last_words(&out);
	last_words(&err);
	in.from = in.to = NO_FD;
	in.at = in.len;
	while (!done(&out) || !done(&err)) {
		struct message msg;

		pump_out(&out);
		pump_out(&err);
		while (control_receive(&msg))
			; /* too late for anything */
		if ((!done(&out) || !done(&err)) &&
		    !wait_for(NO_FD, child->tty && empty(&out) ? DRAIN_MS : -1))
			break;
	}
}

void pump(struct child *child, struct command_status *status)
{
	uint64_t set = 1ULL << (SIGCHLD - 1);
	int children = (int)sys(signalfd4, -1, &set, sizeof(set), SFD_NONBLOCK | SFD_CLOEXEC);
	struct signalfd_siginfo info;
	struct message msg;

	in = (struct stream){ .from = ports.stdio, .to = child->in, .left = UINT64_MAX };
	out = (struct stream){ .from = child->out, .to = ports.stdio, .left = UINT64_MAX };
	err = (struct stream){ .from = child->err, .to = ports.err, .left = UINT64_MAX };
	for (;;) {
		while (sys(read, children, &info, sizeof(info)) > 0)
			; /* one signal may stand for many */
		if (reap(child, status))
			break;
		while (control_receive(&msg))
			obey(child, &msg);
		pump_in(child);
		pump_out(&out);
		pump_out(&err);
		wait_for(children, -1);
	}
	drain(child);
	sys_close(children);
	status->stdout_bytes = out.total;
	status->stderr_bytes = err.total;
}
