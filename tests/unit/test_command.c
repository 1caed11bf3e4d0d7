// SPDX-License-Identifier: GPL-2.0-only
/*
 * A command in the guest, as lkvm's side of it goes: the order, the streams' ends, signals, and when the
 * guest may go. The guest is played here, at the ports; stdin, stdout and stderr are pipes.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "lkvm/chan_outside.h"
#include "machine/command.h"
#include "guest/command.h"
#include "tap.h"

#define TURN_NS 20000000ULL

static struct loop *loop;
static struct command *command;
static struct console_port ports[COMMAND_PORTS];
static int to_stdin, from_stdout, from_stderr;
static unsigned boots, ends, ended_with;
static uint8_t told[8192]; /* on the control port */
static size_t told_len, told_at;

static void on_booted(void *opaque)
{
	(void)opaque;
	boots++;
}

static void on_done(void *opaque, int status)
{
	(void)opaque;
	ends++;
	ended_with = (unsigned)status;
}

static void on_no_end(void *opaque, int status)
{
	on_done(opaque, status);
}

static void on_quit(void *opaque)
{
	(void)opaque;
}

static void stop(void *opaque)
{
	(void)opaque;
	loop_quit(loop);
}

static void turn(void)
{
	struct loop_timer timer = { .fire = stop };

	loop_timer_set(loop, &timer, TURN_NS);
	loop_run(loop);
	told_len += chan_read(ports[0].chan, told + told_len, sizeof(told) - told_len);
}

/* Our end of a pipe whose other one becomes fd. */
static int stand_in(int fd, unsigned ours)
{
	int pipe_fd[2];

	if (pipe(pipe_fd) || dup2(pipe_fd[!ours], fd) < 0)
		exit(1);
	close(pipe_fd[!ours]);
	fcntl(pipe_fd[ours], F_SETFL, O_NONBLOCK);
	return pipe_fd[ours];
}

static char *words[] = { "prog", "", "two words" };
static char *env_item[] = { "A=1", "HOME=/x" };

static void begin(void)
{
	static const struct command_user user = { on_booted, on_done, on_no_end, on_quit, NULL };
	static struct config_command conf;

	conf = (struct config_command){ .argv = words, .argc = 3, .workdir = "/w",
					.env = { .item = env_item, .n = 2 } };
	to_stdin = stand_in(0, 1);
	from_stdout = stand_in(1, 0);
	from_stderr = stand_in(2, 0);
	boots = ends = 0;
	told_len = told_at = 0;
	loop = loop_open("main");
	command = command_open(loop, &conf, &user);
	command_ports(command, ports);
	turn();
}

static void end(void)
{
	command_close(command);
	loop_close(loop);
	close(to_stdin);
	close(from_stdout);
	close(from_stderr);
}

static void say(uint32_t type, const void *payload, uint32_t len)
{
	struct command_head head = { type, len };

	chan_write(ports[0].chan, &head, sizeof(head));
	chan_write(ports[0].chan, payload, len);
	turn();
}

static void hello(void)
{
	struct command_hello hello = { COMMAND_VERSION };

	say(COMMAND_HELLO, &hello, sizeof(hello));
}

/* The type of lkvm's next message, its payload in *payload; 0: none. */
static uint32_t next(const uint8_t **payload, uint32_t *len)
{
	struct command_head head;

	if (told_len - told_at < sizeof(head))
		return 0;
	memcpy(&head, told + told_at, sizeof(head));
	*payload = told + told_at + sizeof(head);
	*len = head.len;
	told_at += sizeof(head) + head.len;
	return told_at <= told_len ? head.type : 0;
}

static bool next_is(uint32_t type, uint64_t value)
{
	const uint8_t *payload;
	uint64_t said = 0;
	uint32_t len;

	if (next(&payload, &len) != type || len > sizeof(said))
		return false;
	memcpy(&said, payload, len);
	return said == value;
}

static bool silent(void)
{
	return told_at == told_len;
}

static bool pipe_has(int fd, const char *text)
{
	char buf[64];
	ssize_t n = read(fd, buf, sizeof(buf));

	return n == (ssize_t)strlen(text) && !memcmp(buf, text, (size_t)n);
}

/* --- the tests ------------------------------------------------------------------------------- */

static void order(void)
{
	static const char all[] = "\0/w\0prog\0\0two words\0"
				  "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\0A=1\0HOME=/x";
	struct command_start start;
	const uint8_t *payload;
	uint32_t len;

	begin();
	is(next(&payload, &len), COMMAND_START, "the order is there before anybody asks");
	memcpy(&start, payload, sizeof(start));
	ok(start.version == COMMAND_VERSION && !start.flags && start.argc == 3 && start.envc == 3, "its head");
	ok(len == sizeof(start) + sizeof(all) && !memcmp(payload + sizeof(start), all, sizeof(all)),
	   "where, the arguments, the environment with what is missing in it");
	ok(silent() && !boots, "and nothing else yet");
	hello();
	is(boots, 1, "the first process greets");
	end();
}

static void streams(void)
{
	struct command_status status = { COMMAND_EXITED, 7, 5, 2 };
	char buf[16];

	begin();
	told_at = told_len;
	hello();
	if (write(to_stdin, "abc", 3) != 3)
		exit(1);
	turn();
	ok(chan_read(ports[1].chan, buf, sizeof(buf)) == 3 && !memcmp(buf, "abc", 3), "stdin goes in");
	ok(silent(), "and hasn't ended");
	close(to_stdin);
	turn();
	ok(next_is(COMMAND_STDIN_END, 3), "until it has, after so many bytes");

	chan_write(ports[1].chan, "out", 3);
	say(COMMAND_STATUS, &status, sizeof(status));
	ok(ends == 1 && ended_with == 7, "the status is told at once");
	ok(pipe_has(from_stdout, "out"), "output comes out");
	ok(silent(), "but the guest must wait for the rest");
	chan_write(ports[1].chan, "!!", 2);
	turn();
	ok(silent(), "of both streams");
	chan_write(ports[2].chan, "er", 2);
	turn();
	ok(next_is(COMMAND_BYE, 0), "before it may go");
	ok(pipe_has(from_stdout, "!!") && pipe_has(from_stderr, "er"), "each on its own");
	end();
}

/* A pipe that is full, and one that nobody reads. */
static void readers(void)
{
	struct command_status status = { COMMAND_EXITED, 0, 0, 0 };
	static uint8_t much[1 << 17];
	char buf[4096];
	ssize_t n;

	begin();
	told_at = told_len;
	hello();
	for (unsigned i = 0; i < 4; i++) {
		status.stdout_bytes += chan_write(ports[1].chan, much, sizeof(much));
		turn();
	}
	say(COMMAND_STATUS, &status, sizeof(status));
	ok(silent(), "as long as a pipe is full the guest waits");
	ok(status.stdout_bytes > CHAN_OUT_SIZE, "for what has gone into it and what hasn't");
	for (unsigned i = 0; i < 10; i++) {
		while ((n = read(from_stdout, buf, sizeof(buf))) > 0)
			status.stdout_bytes -= (uint64_t)n;
		turn();
	}
	ok(!status.stdout_bytes && next_is(COMMAND_BYE, 0), "until it has all been read");
	end();

	begin();
	told_at = told_len;
	hello();
	close(from_stdout);
	chan_write(ports[1].chan, "out", 3);
	turn();
	ok(next_is(COMMAND_CLOSED, 1), "the guest learns that nobody reads");
	chan_write(ports[1].chan, "out", 3);
	turn();
	ok(silent(), "once");
	status.stdout_bytes = 6;
	say(COMMAND_STATUS, &status, sizeof(status));
	ok(next_is(COMMAND_BYE, 0), "and needn't wait for them to");
	end();
}

static void signals(void)
{
	struct command_status status = { COMMAND_KILLED, SIGHUP, 0, 0 };

	begin();
	told_at = told_len;
	hello();
	ok(!command_signal(command, SIGINT), "before the command runs signals are not its");
	say(COMMAND_STARTED, NULL, 0);
	ok(command_signal(command, SIGHUP), "then they are");
	turn();
	ok(next_is(COMMAND_SIGNAL, SIGHUP), "and are sent on");
	command_resized(command);
	turn();
	ok(silent(), "a window is nothing to a command without a terminal");
	say(COMMAND_STATUS, &status, sizeof(status));
	ok(ended_with == 129 && !command_signal(command, SIGINT), "until it has ended");
	end();
}

int main(void)
{
	/* Results go where stdout was. */
	stdout = fdopen(fcntl(1, F_DUPFD_CLOEXEC, 50), "w");
	order();
	streams();
	readers();
	signals();
	return tap_end();
}
