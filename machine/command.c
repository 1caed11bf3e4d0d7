// SPDX-License-Identifier: GPL-2.0-only
/*
 * command: the host's side of a command in the guest.
 *
 * The order of things at the end: the guest tells the status and how many bytes it has sent; when all of
 * them have been written here (and not before: a pipe may be full for hours) it is told to go, and its
 * power-off ends the machine. A guest that doesn't go is cut off.
 *
 * Runs on: loop
 */
#include "command.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "control.h"
#include "line.h"
#include "lkvm/chan_outside.h"
#include "lkvm/log.h"
#include "lkvm/phase.h"
#include "lkvm/term.h"
#include "order.h"

#define GO_NS	     30000000000ULL /* to sync and switch off */
#define BACKLOG_MAX  (COMMAND_START_MAX + 65536)

/* One of its outputs. */
struct written {
	uint64_t bytes;
	bool gone; /* nobody reads; the guest has been told */
};

struct command {
	struct loop *loop;
	const struct config_command *conf;
	struct command_user user;
	struct term *stdio, *err; /* err is NULL with a terminal */
	struct written out_written, err_written;

	struct chan chan; /* of the control port */
	struct line *line; /* brings the ports over a serial line, if the guest wants that */
	struct loop_fd wake;
	struct control control;
	uint8_t *send; /* not yet in chan */
	size_t send_len;
	struct command_status status;
	bool said_bye;
	atomic_bool runs;
	struct loop_timer go;
};

/* --- to the guest --------------------------------------------------------------------------------- */

static void send_some(struct command *c)
{
	size_t room = chan_in_room(&c->chan, 1);
	size_t n = room < c->send_len ? room : c->send_len;

	if (!n)
		return;
	chan_in_put(&c->chan, c->send, n);
	c->send_len -= n;
	memmove(c->send, c->send + n, c->send_len);
	if (c->send_len)
		chan_in_room(&c->chan, CHAN_IN_SIZE); /* it is full now: a wake when it isn't */
}

/* Queued behind what is already; a guest that doesn't read misses something in the end. */
static int append(struct command *c, const void *bytes, size_t len)
{
	uint8_t *more;

	if (!len)
		return 0;
	if (c->send_len + len > BACKLOG_MAX)
		return -ENOSPC;
	more = realloc(c->send, c->send_len + len);
	if (!more)
		return -ENOMEM;
	memcpy(more + c->send_len, bytes, len);
	c->send = more;
	c->send_len += len;
	return 0;
}

static void send(struct command *c, uint32_t type, const void *payload, uint32_t len)
{
	struct {
		struct command_head head;
		uint8_t payload[sizeof(struct command_total)];
	} msg = { .head = { type, len } };

	if (len)
		memcpy(msg.payload, payload, len);
	if (append(c, &msg, sizeof(msg.head) + len))
		log_warn(NULL, "the guest doesn't listen: a message to the command is lost");
	send_some(c);
}

/* START is the first message, whatever else happens before the guest listens. */
static int queue_start(struct command *c)
{
	uint16_t cols, rows;

	chan_size(term_chan(c->stdio), &cols, &rows);
	return order_make(c->conf, cols, rows, &c->send, &c->send_len);
}

/* --- its end -------------------------------------------------------------------------------------- */

static void look_whether_done(struct command *c)
{
	if (!c->control.has_status || c->said_bye || c->out_written.bytes < c->status.stdout_bytes ||
	    c->err_written.bytes < c->status.stderr_bytes)
		return;
	c->said_bye = true;
	send(c, COMMAND_BYE, NULL, 0);
	loop_timer_set(c->loop, &c->go, GO_NS);
}

static void has_not_gone(void *opaque)
{
	struct command *c = opaque;

	log_warn(NULL, "the command has ended, but the guest does not switch itself off; it is cut off");
	c->user.no_end(c->user.opaque, control_exit_status(&c->status));
}

static void wrote(struct command *c, struct written *w, uint32_t fd, uint64_t total, bool gone)
{
	struct command_closed closed = { fd };

	w->bytes = total;
	if (gone && !w->gone) {
		w->gone = true;
		send(c, COMMAND_CLOSED, &closed, sizeof(closed));
	}
	look_whether_done(c);
}

static void wrote_out(void *opaque, uint64_t total, bool gone)
{
	struct command *c = opaque;

	wrote(c, &c->out_written, 1, total, gone);
}

static void wrote_err(void *opaque, uint64_t total, bool gone)
{
	struct command *c = opaque;

	wrote(c, &c->err_written, 2, total, gone);
}

static void stdin_ended(void *opaque, uint64_t total)
{
	struct command_total end = { total };

	send(opaque, COMMAND_STDIN_END, &end, sizeof(end));
}

static void quit(void *opaque)
{
	struct command *c = opaque;

	c->user.quit(c->user.opaque);
}

/* --- from the guest ------------------------------------------------------------------------------- */

static void got_hello(void *opaque)
{
	struct command *c = opaque;

	c->user.booted(c->user.opaque);
}

static void got_started(void *opaque)
{
	struct command *c = opaque;

	phase_mark("command_start");
	atomic_store(&c->runs, true);
}

static void got_status(void *opaque, const struct command_status *status)
{
	struct command *c = opaque;

	phase_mark("command_end");
	c->status = *status;
	atomic_store(&c->runs, false);
	c->user.done(c->user.opaque, control_exit_status(status));
	look_whether_done(c);
}

static void got_say(void *opaque, const char *text)
{
	(void)opaque;
	log_guest("command", "%s", text);
}

/* Who has begun over the virtio console stays with it. */
static bool line_greeted(void *opaque)
{
	struct command *c = opaque;

	return !c->control.said_hello;
}

static void woken(void *opaque, uint32_t events)
{
	struct command *c = opaque;
	struct iovec iov[2];
	eventfd_t n;
	size_t len;

	(void)events;
	eventfd_read(c->wake.fd, &n);
	send_some(c);
	len = chan_out_peek(&c->chan, iov);
	control_feed(&c->control, iov[0].iov_base, iov[0].iov_len);
	control_feed(&c->control, iov[1].iov_base, iov[1].iov_len);
	chan_out_done(&c->chan, len);
}

/* From chan.c, any thread. */
static void wake(void *opaque)
{
	struct command *c = opaque;

	eventfd_write(c->wake.fd, 1);
}

/* --- from others ---------------------------------------------------------------------------------- */

struct signal_call {
	struct command *command;
	int signo;
};

static void do_signal(void *opaque)
{
	struct signal_call *call = opaque;
	struct command_signal payload = { (uint32_t)call->signo };

	send(call->command, COMMAND_SIGNAL, &payload, sizeof(payload));
}

bool command_signal(struct command *c, int signo)
{
	struct signal_call call = { c, signo };

	if (!atomic_load(&c->runs))
		return false;
	loop_call(c->loop, do_signal, &call);
	return true;
}

static void do_resize(void *opaque)
{
	struct command *c = opaque;
	struct command_size size;

	term_resized(c->stdio);
	chan_size(term_chan(c->stdio), &size.cols, &size.rows);
	if (c->conf->tty)
		send(c, COMMAND_RESIZE, &size, sizeof(size));
}

void command_resized(struct command *c)
{
	loop_call(c->loop, do_resize, c);
}

/* --- the whole ------------------------------------------------------------------------------------ */

void command_ports(struct command *c, struct console_port ports[COMMAND_PORTS])
{
	ports[0] = (struct console_port){ .chan = &c->chan, .name = COMMAND_PORT_CONTROL };
	ports[1] = (struct console_port){ .chan = term_chan(c->stdio), .name = COMMAND_PORT_STDIO };
	ports[2] = (struct console_port){ .chan = c->err ? term_chan(c->err) : NULL,
					  .name = COMMAND_PORT_STDERR };
}

struct chan *command_serial(struct command *c)
{
	return line_chan(c->line);
}

static int open_line(struct command *c)
{
	struct chan *const ports[LINE_PORTS] = {
		[LINE_CONTROL] = &c->chan,
		[LINE_STDIO] = term_chan(c->stdio),
		[LINE_STDERR] = c->err ? term_chan(c->err) : NULL,
	};

	c->line = line_open(c->loop, ports, &(struct line_user){ .greeted = line_greeted, .opaque = c });
	return c->line ? 0 : -ENOMEM;
}

static int open_streams(struct command *c)
{
	struct term_conf out = { .stream = !c->conf->tty, .in = STDIN_FILENO, .out = STDOUT_FILENO,
				 .quit = quit, .in_ended = stdin_ended, .wrote = wrote_out, .opaque = c };
	struct term_conf err = { .stream = true, .in = -1, .out = STDERR_FILENO, .wrote = wrote_err,
				 .opaque = c };

	c->stdio = term_open(c->loop, &out);
	if (c->stdio && !c->conf->tty)
		c->err = term_open(c->loop, &err);
	return c->stdio && (c->err || c->conf->tty) ? 0 : -ENODEV;
}

struct command *command_open(struct loop *loop, const struct config_command *conf,
			     const struct command_user *user)
{
	struct command *c = calloc(1, sizeof(*c));

	if (!c) {
		log_err(NULL, "cannot run a command: out of memory");
		return NULL;
	}
	c->loop = loop;
	c->conf = conf;
	c->user = *user;
	c->go = (struct loop_timer){ .fire = has_not_gone, .opaque = c };
	c->wake = (struct loop_fd){ .ready = woken, .opaque = c };
	chan_init(&c->chan, wake, c);
	control_init(&c->control, &(struct control_user){ .hello = got_hello,
							  .started = got_started,
							  .status = got_status,
							  .say = got_say,
							  .opaque = c });
	/* Signalled: START is sent in the first turn. */
	c->wake.fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->wake.fd < 0 || loop_add(loop, &c->wake, EPOLLIN)) {
		log_err(NULL, "cannot run a command: %s", strerror(errno));
		command_close(c);
		return NULL;
	}
	if (open_streams(c) || queue_start(c) || open_line(c)) {
		command_close(c);
		return NULL;
	}
	return c;
}

void command_close(struct command *c)
{
	if (!c)
		return;
	line_close(c->line);
	term_close(c->stdio);
	term_close(c->err);
	loop_timer_cancel(c->loop, &c->go);
	loop_del(c->loop, &c->wake);
	if (c->wake.fd >= 0)
		close(c->wake.fd);
	chan_fini(&c->chan);
	free(c->send);
	free(c);
}
