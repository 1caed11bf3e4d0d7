// SPDX-License-Identifier: GPL-2.0-only
/*
 * term: stdin and stdout as a channel.
 *
 * Output is collected: what comes within a millisecond of the last write waits for the next, so that
 * a guest that prints byte by byte costs about a thousand writes a second at most.
 *
 * Runs on: loop
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lkvm/chan_outside.h"
#include "base/conlog.h"
#include "base/outlet.h"
#include "base/tty.h"
#include "lkvm/log.h"
#include "lkvm/term.h"

#define LINGER_NS     1000000ULL    /* between two writes to stdout */
#define FOREGROUND_NS 1000000000ULL /* between two looks whether we may read the terminal */
#define CLOSE_NS      1000000000ULL /* for the last output */
#define ESCAPE	      0x01	    /* Ctrl-a */
#define TAIL_SIZE     8192

struct term {
	struct loop *loop;
	struct term_conf conf;
	struct chan chan;
	struct conlog *log;
	struct loop_fd wake;

	struct loop_fd in;
	bool in_open, in_tty;
	bool in_file;	/* always ready, not pollable */
	bool in_escape; /* Ctrl-a was the last key */
	uint64_t in_total;
	struct loop_timer foreground;

	struct outlet outlet;
	struct loop_fd out; /* added while stdout is full */
	size_t logged;	/* of what is pending, how much the log has */
	uint64_t wrote; /* when stdout was last written to */
	struct loop_timer linger;
	uint64_t out_total;
	char tail[TAIL_SIZE]; /* without an output: the last bytes, at out_total modulo its size */
};

void term_hold_std(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0)
			return; /* the lowest number that is free is this one */
}

/* --- output --------------------------------------------------------------------------------- */

static void out_advance(struct iovec iov[2], size_t n)
{
	size_t first = n < iov[0].iov_len ? n : iov[0].iov_len;

	iov[0].iov_base = (uint8_t *)iov[0].iov_base + first;
	iov[0].iov_len -= first;
	iov[1].iov_base = (uint8_t *)iov[1].iov_base + (n - first);
	iov[1].iov_len -= n - first;
	if (!iov[0].iov_len) {
		iov[0] = iov[1];
		iov[1].iov_len = 0;
	}
}

/* The log gets everything when it is said, also while stdout is stuck. */
static void out_log(struct term *t, const struct iovec peek[2], size_t total)
{
	struct iovec iov[2] = { peek[0], peek[1] };

	if (!t->log || t->logged == total)
		return;
	out_advance(iov, t->logged);
	conlog_write(t->log, iov[0].iov_base, iov[0].iov_len);
	if (iov[1].iov_len)
		conlog_write(t->log, iov[1].iov_base, iov[1].iov_len);
	t->logged = total;
}

static void out_broke(struct term *t, int e)
{
	/* A reader that went away (`lkvm | head`) is nothing to complain about. */
	if (e != -EPIPE)
		log_err(NULL, "cannot write to %s: %s; the guest's output is dropped from here on",
			t->conf.out == STDERR_FILENO ? "stderr" : "stdout", strerror(-e));
	t->outlet.kind = OUTLET_GONE;
	loop_del(t->loop, &t->out);
}

static void out_wait(struct term *t)
{
	if (!t->out.added && loop_add(t->loop, &t->out, EPOLLOUT))
		loop_timer_set(t->loop, &t->linger, 10 * LINGER_NS);
}

static void keep_tail(struct term *t, const struct iovec *iov)
{
	const char *from = iov->iov_base;
	size_t skip = iov->iov_len > TAIL_SIZE ? iov->iov_len - TAIL_SIZE : 0;

	for (size_t i = skip; i < iov->iov_len; i++)
		t->tail[(t->out_total + i) % TAIL_SIZE] = from[i];
}

/* Writes what stdout takes, logs the rest as well, and has the far end woken for more. */
static void out_flush(struct term *t)
{
	struct iovec iov[2];
	size_t total = chan_out_peek(&t->chan, iov), done = 0;

	out_log(t, iov, total);
	while (done < total) {
		ssize_t n = outlet_write(&t->outlet, iov);

		if (t->conf.out < 0) {
			n = (ssize_t)iov[0].iov_len;
			keep_tail(t, &iov[0]);
		}
		if (n == -EINTR)
			continue;
		if (n == -EAGAIN)
			break;
		if (n < 0) {
			out_broke(t, (int)n);
			continue;
		}
		out_advance(iov, (size_t)n);
		done += (size_t)n;
		t->out_total += (uint64_t)n;
	}
	if (done < total)
		out_wait(t);
	else
		loop_del(t->loop, &t->out);
	t->wrote = loop_now();
	t->logged -= t->log ? done : 0;
	chan_out_done(&t->chan, done);
	if (done && t->conf.wrote)
		t->conf.wrote(t->conf.opaque, t->out_total, t->outlet.kind == OUTLET_GONE);
}

size_t term_tail(struct term *t, char *dst, size_t size)
{
	uint64_t n;

	out_flush(t);
	n = t->out_total < TAIL_SIZE ? t->out_total : TAIL_SIZE;

	if (n > size)
		n = size;
	for (uint64_t i = 0; i < n; i++)
		dst[i] = t->tail[(t->out_total - n + i) % TAIL_SIZE];
	return n;
}

static void out_ready(void *opaque, uint32_t events)
{
	(void)events;
	out_flush(opaque);
}

static void linger_over(void *opaque)
{
	out_flush(opaque);
}

/* The guest said something: now, or with what follows within the next millisecond. */
static void out_woken(struct term *t)
{
	size_t pending = chan_out_pending(&t->chan);
	uint64_t since;

	if (!pending)
		return;
	if (t->out.added) {
		struct iovec iov[2];

		/* stdout is full; its watch goes on from there. */
		out_log(t, iov, chan_out_peek(&t->chan, iov));
		return;
	}
	since = loop_now() - t->wrote;
	if (since >= LINGER_NS || pending > CHAN_OUT_SIZE / 2) {
		loop_timer_cancel(t->loop, &t->linger);
		out_flush(t);
	} else if (!t->linger.armed) {
		loop_timer_set(t->loop, &t->linger, LINGER_NS - since);
	}
}

static void out_open(struct term *t)
{
	if (t->conf.out < 0)
		t->outlet = (struct outlet){ .given = -1, .fd = -1, .kind = OUTLET_GONE };
	else
		outlet_open(&t->outlet, t->loop, t->conf.out);
	t->out = (struct loop_fd){ .fd = t->outlet.fd, .ready = out_ready, .opaque = t };
}

/* The last words: everything that stdout takes within a second. */
static void out_close(struct term *t)
{
	uint64_t end = loop_now() + CLOSE_NS, now;
	size_t left;

	out_flush(t);
	while ((left = chan_out_pending(&t->chan)) && (now = loop_now()) < end) {
		struct pollfd p = { .fd = t->out.fd, .events = POLLOUT };

		poll(&p, 1, (int)((end - now) / 1000000) + 1);
		out_flush(t);
	}
	if (left)
		log_warn(NULL, "stdout is stuck: the last %zu bytes of the guest's output are lost", left);
	loop_del(t->loop, &t->out);
	outlet_close(&t->outlet);
}

/* --- input ---------------------------------------------------------------------------------- */

static void help(void)
{
	dprintf(STDERR_FILENO, "\r\nlkvm: Ctrl-a x ends lkvm, Ctrl-a a sends a Ctrl-a to the guest, "
			       "Ctrl-a h shows this; any other key goes there with its Ctrl-a\r\n");
}

/*
 * What goes to the guest of n keys; dst has room for n + 1 bytes. Ctrl-a with any other key passes
 * both, so that nothing that was typed is lost. Returns the bytes; *quit: Ctrl-a x was among them.
 */
static size_t escape(struct term *t, const uint8_t *key, size_t n, uint8_t *dst, bool *quit)
{
	size_t out = 0;

	for (size_t i = 0; i < n; i++) {
		if (!t->in_escape) {
			if (key[i] == ESCAPE)
				t->in_escape = true;
			else
				dst[out++] = key[i];
			continue;
		}
		t->in_escape = false;
		switch (key[i]) {
		case 'x':
			*quit = true;
			break;
		case 'h':
			help();
			break;
		case 'a':
		case ESCAPE:
			dst[out++] = ESCAPE;
			break;
		default:
			dst[out++] = ESCAPE;
			dst[out++] = key[i];
		}
	}
	return out;
}

static void in_close(struct term *t)
{
	loop_del(t->loop, &t->in);
	if (t->in_open && t->conf.in_ended)
		t->conf.in_ended(t->conf.opaque, t->in_total);
	t->in_open = false;
}

/* One read; true when another may find more. */
static bool in_read(struct term *t)
{
	uint8_t key[CHAN_IN_SIZE], dst[CHAN_IN_SIZE + 1];
	size_t room = chan_in_room(&t->chan, 2);
	bool quit = false;
	ssize_t n;

	if (!room) {
		loop_del(t->loop, &t->in); /* in_resume, when the guest has read some */
		return false;
	}
	n = read(t->in.fd, key, room - 1); /* one may become two */
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return false;
	if (n <= 0) {
		in_close(t);
		return false;
	}
	t->in_total += (uint64_t)n;
	if (t->in_tty && !t->conf.stream)
		chan_in_put(&t->chan, dst, escape(t, key, (size_t)n, dst, &quit));
	else
		chan_in_put(&t->chan, key, (size_t)n);
	if (quit && t->conf.quit)
		t->conf.quit(t->conf.opaque);
	return true;
}

/* Starts, or starts again, to listen: at the beginning, after a pause, when we come to the fore. */
static void in_resume(struct term *t)
{
	if (!t->in_open)
		return;
	if (t->in_tty && !tty_foreground(t->conf.in)) {
		loop_del(t->loop, &t->in);
		loop_timer_set(t->loop, &t->foreground, FOREGROUND_NS);
		return;
	}
	if (t->in_file) {
		while (in_read(t))
			; /* until the channel is full or the file ends */
		return;
	}
	if (!t->in.added && chan_in_room(&t->chan, 2) && loop_add(t->loop, &t->in, EPOLLIN))
		in_close(t);
}

static void go_raw(struct term *t)
{
	if (t->in_open && t->in_tty && !t->conf.stream && tty_foreground(t->conf.in))
		tty_raw(t->conf.in);
}

static void in_ready(void *opaque, uint32_t events)
{
	struct term *t = opaque;

	(void)events;
	/* Reading a terminal from the background would stop the whole process. */
	if (t->in_tty && !tty_foreground(t->conf.in))
		in_resume(t);
	else
		in_read(t);
}

static void foreground_again(void *opaque)
{
	struct term *t = opaque;

	go_raw(t);
	in_resume(t);
}

static void in_open(struct term *t)
{
	int fd;

	t->in = (struct loop_fd){ .fd = t->conf.in, .ready = in_ready, .opaque = t };
	t->foreground = (struct loop_timer){ .fire = foreground_again, .opaque = t };
	if (t->conf.in < 0)
		return;
	t->in_open = true;
	t->in_tty = isatty(t->conf.in);
	t->in_file = loop_add(t->loop, &t->in, EPOLLIN) == -EPERM;
	loop_del(t->loop, &t->in);
	if (t->in_file)
		return; /* read once the loop runs; see the wake in term_open */
	fd = outlet_reopen(t->conf.in, O_RDONLY);
	if (fd >= 0)
		t->in.fd = fd;
}

/* --- the whole ------------------------------------------------------------------------------ */

/* From chan.c, any thread. */
static void wake(void *opaque)
{
	struct term *t = opaque;

	eventfd_write(t->wake.fd, 1);
}

static void woken(void *opaque, uint32_t events)
{
	struct term *t = opaque;
	eventfd_t n;

	(void)events;
	eventfd_read(t->wake.fd, &n);
	if (!t->conf.stream && tty_continued())
		go_raw(t);
	in_resume(t);
	out_woken(t);
}

void term_resized(struct term *t)
{
	struct winsize ws = { 0 };

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) < 0 && ioctl(STDIN_FILENO, TIOCGWINSZ, &ws) < 0)
		ws = (struct winsize){ 0 };
	chan_resize(&t->chan, ws.ws_col, ws.ws_row);
}

struct chan *term_chan(struct term *t)
{
	return &t->chan;
}

struct term *term_open(struct loop *loop, const struct term_conf *conf)
{
	struct term *t = calloc(1, sizeof(*t));

	if (!t) {
		log_err(NULL, "cannot open the terminal: out of memory");
		return NULL;
	}
	t->loop = loop;
	t->conf = *conf;
	if (!conf->stream) {
		t->conf.in = STDIN_FILENO;
		t->conf.out = STDOUT_FILENO;
	}
	t->linger = (struct loop_timer){ .fire = linger_over, .opaque = t };
	t->wake = (struct loop_fd){ .ready = woken, .opaque = t };
	/* Signalled: the first turn starts listening, when the console is there to be told. */
	t->wake.fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	if (t->wake.fd < 0 || loop_add(loop, &t->wake, EPOLLIN)) {
		log_err(NULL, "cannot open the terminal: %s", strerror(errno));
		goto out_wake;
	}
	if (conf->log_path) {
		t->log = conlog_open(conf->log_path);
		if (!t->log)
			goto out_wake;
	}
	signal(SIGPIPE, SIG_IGN);
	chan_init(&t->chan, wake, t);
	out_open(t);
	in_open(t);
	if (!conf->stream)
		tty_on_continue(t->wake.fd);
	go_raw(t);
	term_resized(t);
	return t;

out_wake:
	loop_del(loop, &t->wake);
	if (t->wake.fd >= 0)
		close(t->wake.fd);
	free(t);
	return NULL;
}

void term_close(struct term *t)
{
	if (!t)
		return;
	out_close(t);
	conlog_close(t->log);
	if (!t->conf.stream) {
		tty_release();
		tty_on_continue(-1);
	}
	loop_timer_cancel(t->loop, &t->linger);
	loop_timer_cancel(t->loop, &t->foreground);
	loop_del(t->loop, &t->in);
	if (t->in.fd != t->conf.in)
		close(t->in.fd);
	loop_del(t->loop, &t->wake);
	close(t->wake.fd);
	chan_fini(&t->chan);
	free(t);
}
