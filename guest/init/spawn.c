// SPDX-License-Identifier: GPL-2.0-only
/*
 * spawn: the command's process: its streams, directory, environment, and execve by PATH.
 *
 * Runs on: the guest's first process, and for a moment in the command's.
 */
#include <sys/ioctl.h>
#include <termios.h>

#include "init.h"

#define PATH_DEFAULT "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* What START says, its strings in place. */
struct order {
	struct command_start start;
	char *path, *cwd;
	char *word[COMMAND_WORDS_MAX + 2]; /* argv, NULL, environment, NULL */
	char **argv, **env;
};

static char *next_word(char **at, const char *end)
{
	char *word = *at;

	for (char *p = word; p < end; p++)
		if (!*p) {
			*at = p + 1;
			return word;
		}
	return NULL;
}

static bool parse(struct message *msg, struct order *o)
{
	char *at = msg->payload, *end = at + msg->len;
	size_t n = 0;

	if (msg->len < sizeof(o->start))
		return false;
	memcpy(&o->start, at, sizeof(o->start));
	at += sizeof(o->start);
	if (o->start.version != COMMAND_VERSION || o->start.argc < 1 ||
	    o->start.argc > COMMAND_WORDS_MAX || o->start.envc > COMMAND_WORDS_MAX - o->start.argc)
		return false;
	o->path = next_word(&at, end);
	o->cwd = o->path ? next_word(&at, end) : NULL;
	if (!o->cwd)
		return false;
	o->argv = o->word;
	for (uint32_t i = 0; i < o->start.argc; i++)
		if (!(o->word[n++] = next_word(&at, end)))
			return false;
	o->word[n++] = NULL;
	o->env = o->word + n;
	for (uint32_t i = 0; i < o->start.envc; i++)
		if (!(o->word[n++] = next_word(&at, end)))
			return false;
	o->word[n] = NULL;
	return true;
}

/* --- streams ------------------------------------------------------------------------------------ */

/* A pipe with our end non-blocking; [0] is read from. */
static bool make_pipe(int fd[2], unsigned ours)
{
	if (sys(pipe2, fd, O_CLOEXEC) < 0)
		return false;
	sys(fcntl, fd[ours], F_SETFL, O_NONBLOCK | (ours ? O_WRONLY : O_RDONLY));
	return true;
}

/* The command's ends in theirs[0..2]. */
static bool make_pipes(struct child *child, int theirs[3])
{
	int in[2], out[2], err[2];

	if (!make_pipe(in, 1) || !make_pipe(out, 0) || !make_pipe(err, 0))
		return false;
	child->in = in[1];
	child->out = out[0];
	child->err = err[0];
	theirs[0] = in[0];
	theirs[1] = out[1];
	theirs[2] = err[1];
	return true;
}

static bool make_terminal(struct child *child, int theirs[3], const struct command_start *start)
{
	int master = sys_open("/dev/ptmx", O_RDWR | O_NONBLOCK | O_NOCTTY), slave, unlock = 0;
	unsigned number;
	char path[32], num[24];

	if (master < 0)
		master = sys_open("/dev/pts/ptmx", O_RDWR | O_NONBLOCK | O_NOCTTY);
	if (master < 0 || sys(ioctl, master, TIOCSPTLCK, &unlock) < 0 ||
	    sys(ioctl, master, TIOCGPTN, &number) < 0)
		return false;
	JOIN(path, "/dev/pts/", str_num(number, num));
	slave = sys_open(path, O_RDWR | O_NOCTTY);
	if (slave < 0)
		return false;
	*child = (struct child){ .in = master, .out = master, .err = NO_FD, .tty = true };
	spawn_resize(child, start->cols, start->rows);
	theirs[0] = theirs[1] = theirs[2] = slave;
	return true;
}

void spawn_resize(const struct child *child, uint16_t cols, uint16_t rows)
{
	struct winsize size = { .ws_col = cols, .ws_row = rows };

	if (child->tty && cols && rows)
		sys(ioctl, child->out, TIOCSWINSZ, &size);
}

/* --- in the command's process --------------------------------------------------------------------- */

static const char *search_path(char *const *env)
{
	for (; *env; env++)
		if (!memcmp(*env, "PATH=", 5))
			return *env + 5;
	return PATH_DEFAULT;
}

static bool has_slash(const char *s)
{
	for (; *s; s++)
		if (*s == '/')
			return true;
	return false;
}

/* As execvp does: the first that can be run; one that may not be is remembered. Returns -errno. */
static long exec_by_path(struct order *o)
{
	const char *name = o->argv[0], *at = search_path(o->env);
	long ret = -ENOENT;

	if (!*name)
		return -ENOENT;
	while (at) {
		const char *dir = at;
		char path[4096];
		size_t n = 0;
		long err;

		for (; *at && *at != ':'; at++)
			if (n < sizeof(path) / 2)
				path[n++] = *at;
		at = *at ? at + 1 : NULL;
		if (dir[0] == ':' || !n)
			path[n++] = '.';
		path[n++] = '/';
		if (n + str_len(name) >= sizeof(path))
			continue;
		memcpy(path + n, name, str_len(name) + 1);
		err = sys(execve, path, o->argv, o->env);
		if (err != -ENOENT && err != -ENOTDIR)
			ret = err;
		if (ret != -ENOENT && ret != -EACCES)
			break;
	}
	return ret;
}

/* What the child says when it could not become the command. */
struct report {
	bool chdir; /* that was it */
	long err;
};

static void in_child(struct order *o, const int theirs[3], struct report *report)
{
	uint64_t none = 0;

	sys(setsid, 0);
	if (o->start.flags & COMMAND_TTY)
		sys(ioctl, theirs[0], TIOCSCTTY, 0);
	for (int i = 0; i < 3; i++)
		sys(dup2, theirs[i], i);
	sys(rt_sigprocmask, 2 /* SIG_SETMASK */, &none, NULL, sizeof(none));
	report->err = sys(chdir, o->cwd);
	report->chdir = report->err < 0;
	if (report->chdir)
		return;
	if (*o->path)
		report->err = sys(execve, o->path, o->argv, o->env);
	else if (has_slash(o->argv[0]))
		report->err = sys(execve, o->argv[0], o->argv, o->env);
	else
		report->err = exec_by_path(o);
}

/* --- the whole ------------------------------------------------------------------------------------ */

static void fail(struct command_status *status, uint32_t how, long err)
{
	status->how = how;
	status->value = (uint32_t)-err;
}

/* Which of the statuses that a shell would have given. */
static void not_started(const struct order *o, const struct report *report,
			struct command_status *status)
{
	long err = report->err;
	const char *name = *o->path ? o->path : o->argv[0];

	if (report->chdir) {
		SAY("cannot change to ", o->cwd, ": ", str_error(err));
		fail(status, COMMAND_FAILED, err);
	} else if (err == -ENOENT || err == -ENOTDIR) {
		SAY(name, sys(faccessat, AT_FDCWD, name, 0) < 0 || !has_slash(name) ?
			      ": not found in the guest" :
			      ": is there, but the interpreter or loader that it names is not");
		fail(status, COMMAND_NOT_FOUND, err);
	} else {
		SAY(name, ": cannot be executed in the guest: ", str_error(err));
		fail(status, COMMAND_NOT_EXECUTABLE, err);
	}
}

/* Runs the child; its execve's error comes through a pipe that closes when all is well. */
static bool fork_exec(struct order *o, struct child *child, const int theirs[3],
		      struct command_status *status)
{
	struct report report = { 0 };
	int pipe[2];
	long err, got;

	if ((err = sys(pipe2, pipe, O_CLOEXEC)) < 0 || (err = sys(fork, 0)) < 0) {
		SAY("cannot make a process: ", str_error(err));
		fail(status, COMMAND_FAILED, err);
		return false;
	}
	if (!err) {
		/* 0, 1 and 2 are ours at the start, so none of theirs has such a number. */
		in_child(o, theirs, &report);
		sys(write, pipe[1], &report, sizeof(report));
		sys(exit_group, 127);
	}
	child->pid = err;
	sys_close(pipe[1]);
	do {
		got = sys(read, pipe[0], &report, sizeof(report));
	} while (got == -EINTR);
	sys_close(pipe[0]);
	if (got != sizeof(report))
		return true;
	sys(wait4, child->pid, NULL, 0, NULL);
	not_started(o, &report, status);
	return false;
}

bool spawn(struct message *start, struct child *child, struct command_status *status)
{
	static struct order o;
	int theirs[3];
	bool made;

	if (!parse(start, &o)) {
		SAY("lkvm's order makes no sense to this init: are they of one version?");
		fail(status, COMMAND_FAILED, -EINVAL);
		return false;
	}
	made = o.start.flags & COMMAND_TTY ? make_terminal(child, theirs, &o.start) :
					     make_pipes(child, theirs);
	if (!made) {
		SAY(o.start.flags & COMMAND_TTY ? "cannot make a terminal: this kernel needs "
						  "CONFIG_UNIX98_PTYS" :
						  "cannot make pipes");
		fail(status, COMMAND_FAILED, -ENODEV);
		return false;
	}
	made = fork_exec(&o, child, theirs, status);
	for (int i = 0; i < (child->tty ? 1 : 3); i++)
		sys_close(theirs[i]);
	return made;
}
