// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest's first process, run on the host: its ports are socket pairs, lkvm's side is played here. And
 * once more with its ports on a line, which lkvm's own machine/line.c takes apart.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "guest/command.h"
#include "lkvm/initramfs.h"
#include "line_host.h"
#include "machine/control.h"
#include "tap.h"

#define BIG (3u << 20)
#define SECONDS 10

static int image = -1; /* the program, as a file */
static bool on_line;   /* its ports are on a line */

struct guest {
	pid_t pid, host; /* host: between a line and our ports */
	int port[3]; /* control, stdio, err: our ends */
	struct control control;
	struct command_status status;
	bool started, done;
	char say[512];
	uint8_t *out, *err;
	size_t out_len, err_len;
	const uint8_t *in; /* for its stdin */
	size_t in_len;
};

static void on_hello(void *opaque)
{
	(void)opaque;
}

static void on_started(void *opaque)
{
	((struct guest *)opaque)->started = true;
}

static void on_status(void *opaque, const struct command_status *status)
{
	struct guest *g = opaque;

	g->status = *status;
	g->done = true;
}

static void on_say(void *opaque, const char *text)
{
	struct guest *g = opaque;

	snprintf(g->say, sizeof(g->say), "%s", text);
}

/* --- starting -------------------------------------------------------------------------------- */

static void make_image(void)
{
	size_t len = guest_init_len;

	image = memfd_create("init", MFD_CLOEXEC);
	if (write(image, guest_init, len) != (ssize_t)len)
		exit(1);
}

/*
 * A kernel starts its first process with nothing ignored; a shell or make its jobs not always, and
 * signal() will not speak of the two signals that the C library keeps to itself.
 */
static void default_signals(void)
{
	uint64_t action[4] = { 0 }; /* the kernel's struct sigaction: SIG_DFL, no flags, no mask */

	for (int sig = 1; sig < NSIG; sig++)
		syscall(SYS_rt_sigaction, sig, action, NULL, 8);
}

static void boot(struct guest *g)
{
	char *argv[] = { "init", on_line ? "line" : "ports", NULL }, *env[] = { NULL };
	int pair[3][2];

	memset(g, 0, sizeof(*g));
	control_init(&g->control, &(struct control_user){ on_hello, on_started, on_status, on_say, g });
	g->out = malloc(BIG + 1);
	g->err = malloc(BIG + 1);
	for (int i = 0; i < 3; i++) {
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair[i]))
			exit(1);
		g->port[i] = pair[i][0];
	}
	if (on_line)
		g->host = line_host(pair);
	g->pid = fork();
	if (!g->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		default_signals();
		/* Out of the way of 3, 4 and 5 first. */
		for (int i = 0; i < 3; i++)
			if (pair[i][1] >= 0)
				pair[i][1] = fcntl(pair[i][1], F_DUPFD, 50);
		image = fcntl(image, F_DUPFD_CLOEXEC, 60);
		for (int i = 0; i < 3; i++) {
			close(3 + i);
			if (pair[i][1] >= 0)
				dup2(pair[i][1], 3 + i);
			close(pair[i][1]);
		}
		close_range(6, ~0U, CLOSE_RANGE_CLOEXEC);
		signal(SIGPIPE, SIG_DFL);
		fexecve(image, argv, env);
		_exit(99);
	}
	for (int i = 0; i < 3; i++)
		close(pair[i][1]);
}

static void order_message(struct guest *g, uint32_t type, const void *payload, uint32_t len)
{
	struct command_head head = { type, len };

	if (write(g->port[0], &head, sizeof(head)) != sizeof(head) ||
	    (len && write(g->port[0], payload, len) != (ssize_t)len))
		exit(1);
}

/* argv and env end with NULL. */
static void order(struct guest *g, const char *path, const char *cwd, const char *const *argv,
		  const char *const *env, uint32_t flags)
{
	struct command_start start = { .version = COMMAND_VERSION, .flags = flags };
	static char payload[65536];
	size_t n = sizeof(start);

	n += (size_t)snprintf(payload + n, 4096, "%s", path) + 1;
	n += (size_t)snprintf(payload + n, 4096, "%s", cwd) + 1;
	for (; argv[start.argc]; start.argc++)
		n += (size_t)snprintf(payload + n, 4096, "%s", argv[start.argc]) + 1;
	for (; env && env[start.envc]; start.envc++)
		n += (size_t)snprintf(payload + n, 4096, "%s", env[start.envc]) + 1;
	memcpy(payload, &start, sizeof(start));
	order_message(g, COMMAND_START, payload, (uint32_t)n);
}

#define ARGV(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define SH(text)  ARGV("/bin/sh", "-c", text)

/* --- running --------------------------------------------------------------------------------- */

static void take(int fd, uint8_t *to, size_t *len)
{
	ssize_t n = read(fd, to + *len, BIG - *len);

	if (n > 0)
		*len += (size_t)n;
}

static void turn(struct guest *g)
{
	struct pollfd p[3] = { { g->port[0], POLLIN, 0 },
			       { g->port[1], POLLIN | (g->in_len ? POLLOUT : 0), 0 },
			       { g->port[2], POLLIN, 0 } };
	uint8_t msg[4096];
	ssize_t n;

	poll(p, 3, 100);
	if (p[0].revents & POLLIN && (n = read(g->port[0], msg, sizeof(msg))) > 0)
		control_feed(&g->control, msg, (size_t)n);
	if (p[1].revents & POLLIN)
		take(g->port[1], g->out, &g->out_len);
	if (p[2].revents & POLLIN)
		take(g->port[2], g->err, &g->err_len);
	if (g->in_len && p[1].revents & POLLOUT && (n = write(g->port[1], g->in, g->in_len)) > 0) {
		g->in += n;
		g->in_len -= (size_t)n;
	}
}

static void close_ports(struct guest *g)
{
	for (int i = 0; i < 3; i++)
		close(g->port[i]);
	if (g->host)
		waitpid(g->host, NULL, 0); /* the ports have gone: it ends */
}

/* Until the status has come and with it all bytes; then BYE. */
static void finish(struct guest *g)
{
	time_t end = time(NULL) + SECONDS;

	while (time(NULL) < end &&
	       (!g->done || g->out_len < g->status.stdout_bytes || g->err_len < g->status.stderr_bytes))
		turn(g);
	order_message(g, COMMAND_BYE, NULL, 0);
	if (!g->done)
		kill(g->pid, SIGKILL); /* it has had its time */
	waitpid(g->pid, NULL, 0);
	close_ports(g);
	g->out[g->out_len] = 0;
	g->err[g->err_len] = 0;
}

static void release(struct guest *g)
{
	free(g->out);
	free(g->err);
}

/* One command from beginning to end, with nothing on its stdin; its exit status. */
static int run_with(struct guest *g, const char *path, const char *cwd, const char *const *argv,
		    const char *const *env, uint32_t flags)
{
	struct command_total none = { 0 };

	boot(g);
	order(g, path, cwd, argv, env, flags);
	order_message(g, COMMAND_STDIN_END, &none, sizeof(none));
	finish(g);
	return g->done ? control_exit_status(&g->status) : -1;
}

static int run(struct guest *g, const char *const *argv)
{
	static const char *const env[] = { "PATH=/usr/bin:/bin", NULL };
	int status = run_with(g, "", "/", argv, env, 0);

	return status;
}

/* --- the tests ------------------------------------------------------------------------------- */

static void statuses(void)
{
	static const int codes[] = { 0, 1, 7, 119, 120, 121, 122, 123, 124, 125, 126, 127, 128, 255 };
	static const int signals[] = { SIGSEGV, SIGKILL, SIGABRT, SIGTERM };
	struct guest g;
	char text[64];

	for (unsigned i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		snprintf(text, sizeof(text), "exit %d", codes[i]);
		is(run(&g, SH(text)), codes[i], "%s is the status", text);
		is(g.status.how, COMMAND_EXITED, "and that of a command that exited");
		release(&g);
	}
	for (unsigned i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		snprintf(text, sizeof(text), "ulimit -c 0; kill -%d $$", signals[i]);
		is(run(&g, SH(text)), 128 + signals[i], "signal %d gives 128 and its number", signals[i]);
		release(&g);
	}
}

static void not_started(void)
{
	struct guest g;

	is(run(&g, ARGV("no-such-command")), 127, "a name that isn't in PATH");
	ok(!g.started && strstr(g.say, "no-such-command: not found"), "is said to be missing");
	release(&g);
	is(run(&g, ARGV("/no/such/command")), 127, "a path that isn't there");
	release(&g);
	is(run(&g, ARGV("/etc/passwd")), 126, "a file that is no program");
	release(&g);
	is(run(&g, ARGV("/tmp")), 126, "a folder");
	release(&g);
	is(run_with(&g, "", "/no/such/dir", ARGV("/bin/true"), NULL, 0), 125, "a directory that isn't there");
	ok(strstr(g.say, "/no/such/dir"), "is named");
	release(&g);
	is(run_with(&g, "/bin/true", "/", ARGV("anything"), NULL, 0), 0, "a path given apart wins over argv[0]");
	release(&g);
}

static void order_is_kept(void)
{
	static const char *const env[] = { "A=1", "B=two words", "PATH=/bin", NULL };
	struct guest g;

	is(run_with(&g, "", "/usr", ARGV("sh", "-c", "pwd; env | sort; printf '%s|' \"$@\"", "-", "", "x  y"),
		    env, 0), 0, "a command with an order");
	ok(!strncmp((char *)g.out, "/usr\n", 5), "runs in its directory");
	ok(strstr((char *)g.out, "\nA=1\nB=two words\n"), "with its environment");
	ok(strstr((char *)g.out, "|x  y|"), "and its arguments, empty ones too");
	release(&g);
	is(run(&g, SH("echo out; echo err >&2")), 0, "a command that speaks twice");
	is_str((char *)g.out, "out\n", "says one thing on stdout");
	is_str((char *)g.err, "err\n", "and the other on stderr");
	release(&g);
	is(run(&g, SH("grep -E '^Sig(Blk|Ign)' /proc/self/status")), 0, "signals");
	ok(strstr((char *)g.out, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000"),
	   "are neither blocked nor ignored");
	release(&g);
	is(run(&g, SH("ls /proc/self/fd | tr '\\n' ' '")), 0, "of descriptors");
	is_str((char *)g.out, "0 1 2 3 ", "it has three, and ls its own");
	release(&g);
}

static void big_streams(void)
{
	uint8_t *data = malloc(BIG);
	struct command_total total = { BIG };
	struct guest g;

	for (unsigned i = 0; i < BIG; i++)
		data[i] = (uint8_t)(i * 2654435761u >> 13);
	boot(&g);
	/* STDIN_END comes first: it is a number, not a place in the stream. */
	order(&g, "", "/", ARGV("/bin/cat"), NULL, 0);
	order_message(&g, COMMAND_STDIN_END, &total, sizeof(total));
	g.in = data;
	g.in_len = BIG;
	finish(&g);
	is(g.status.stdout_bytes, BIG, "3 MiB go through cat");
	ok(g.out_len == BIG && !memcmp(g.out, data, BIG), "as they were");
	release(&g);

	boot(&g);
	order(&g, "", "/", SH("head -c 1000 | wc -c; exec 0<&-; sleep 0.2; echo more"), NULL, 0);
	g.in = data;
	g.in_len = BIG;
	finish(&g);
	is_str((char *)g.out, "1000\nmore\n", "a command that doesn't read all of its stdin goes on");
	release(&g);
	free(data);
}

static void daemons(void)
{
	struct guest g;
	time_t start = time(NULL);

	is(run(&g, SH("(sleep 60; echo late) & echo now; exit 3")), 3, "a command with a daemon ends");
	is_str((char *)g.out, "now\n", "with what it said");
	ok(time(NULL) - start < SECONDS, "and without waiting for the daemon");
	release(&g);
	is(run(&g, SH("(while echo y; do :; done) & sleep 0.1; exit 4")), 4,
	   "nor does a daemon that never stops talking keep it");
	release(&g);
	is(run(&g, SH("for i in 1 2 3 4 5; do (true &) ; done; sleep 0.1; exit 5")), 5,
	   "orphans are not taken for the command");
	release(&g);
}

static void messages(void)
{
	struct command_signal sig = { SIGTERM };
	struct command_closed closed = { 1 };
	struct guest g;

	boot(&g);
	order(&g, "", "/", SH("trap 'exit 9' TERM; echo on; while :; do sleep 0.05; done"), NULL, 0);
	for (time_t end = time(NULL) + SECONDS; time(NULL) < end && g.out_len < 3;)
		turn(&g);
	order_message(&g, COMMAND_SIGNAL, &sig, sizeof(sig));
	finish(&g);
	is(control_exit_status(&g.status), 9, "a signal reaches the command");
	release(&g);

	boot(&g);
	order(&g, "", "/", ARGV("/usr/bin/yes"), NULL, 0);
	for (time_t end = time(NULL) + SECONDS; time(NULL) < end && g.out_len < 100;)
		turn(&g);
	order_message(&g, COMMAND_CLOSED, &closed, sizeof(closed));
	finish(&g);
	is(control_exit_status(&g.status), 128 + SIGPIPE, "a reader that has gone is SIGPIPE to the command");
	release(&g);
}

static void terminal(void)
{
	struct command_total total = { 5 };
	struct guest g;

	is(run_with(&g, "", "/", SH("test -t 0 && test -t 1 && test -t 2 && tty && : </dev/tty && exit 6"), NULL,
		    COMMAND_TTY), 6, "a command with a terminal");
	ok(!strncmp((char *)g.out, "/dev/pts/", 9), "has one, and controls it");
	release(&g);

	boot(&g);
	order(&g, "", "/", SH("stty -echo; echo go; cat"), NULL, COMMAND_TTY);
	for (time_t end = time(NULL) + SECONDS; time(NULL) < end && g.out_len < 4;)
		turn(&g);
	g.in = (const uint8_t *)"line\n";
	g.in_len = 5;
	order_message(&g, COMMAND_STDIN_END, &total, sizeof(total));
	finish(&g);
	is_str((char *)g.out, "go\r\nline\r\n", "reads from it, and sees the end of the input");
	release(&g);
}

static void nonsense(void)
{
	struct command_head head = { COMMAND_START, COMMAND_START_MAX + 1 };
	struct command_start start = { .version = COMMAND_VERSION, .argc = 5 };
	struct guest g;
	int status;

	boot(&g);
	order_message(&g, COMMAND_START, &start, sizeof(start));
	finish(&g);
	is(control_exit_status(&g.status), 125, "an order without its words is refused");
	release(&g);

	boot(&g);
	ok(write(g.port[0], &head, sizeof(head)) == sizeof(head), "a message that is too long");
	waitpid(g.pid, &status, 0);
	ok(WIFEXITED(status), "ends it");
	close_ports(&g);
	release(&g);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	make_image();
	for (unsigned i = 0; i < 2; i++) {
		on_line = i;
		printf("# ports %s\n", on_line ? "on a line" : "of their own");
		statuses();
		not_started();
		order_is_kept();
		big_streams();
		daemons();
		messages();
		terminal();
		nonsense();
	}
	ok(guest_init_len < 65536, "all this in less than 64 KiB");
	return tap_end();
}
