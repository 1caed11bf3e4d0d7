// SPDX-License-Identifier: GPL-2.0-only
/*
 * child: starts helper programs with posix_spawn: cheap whatever the size of the guest's RAM, right
 * with several threads, and it tells when the program isn't there.
 *
 * Runs on: main, loop.
 */
#include "net/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

/* Descriptors first move out of the way: none of ours may sit where the child's are to be. */
static int set_files(posix_spawn_file_actions_t *fa, int give_fd, int err_fd)
{
	int err = posix_spawn_file_actions_addopen(fa, STDIN_FILENO, "/dev/null", O_RDONLY, 0);

	if (!err)
		err = posix_spawn_file_actions_adddup2(fa, err_fd, STDOUT_FILENO);
	if (!err)
		err = posix_spawn_file_actions_adddup2(fa, err_fd, STDERR_FILENO);
	if (!err && give_fd >= 0)
		err = posix_spawn_file_actions_adddup2(fa, give_fd, CHILD_FD);
	if (!err)
		err = posix_spawn_file_actions_addclosefrom_np(fa, CHILD_FD + (give_fd >= 0));
	return err;
}

/* Signals as a program expects them at its start, whatever we block or ignore. */
static int set_attr(posix_spawnattr_t *attr)
{
	sigset_t none, all;
	int err;

	sigemptyset(&none);
	sigfillset(&all);
	err = posix_spawnattr_setsigmask(attr, &none);
	if (!err)
		err = posix_spawnattr_setsigdefault(attr, &all);
	if (!err)
		err = posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
							     POSIX_SPAWN_SETSID);
	return err;
}

static int spawn(char *const argv[], int give_fd, int err_fd, pid_t *pid)
{
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t attr;
	int err;

	err = posix_spawn_file_actions_init(&fa);
	if (err)
		return -err;
	err = posix_spawnattr_init(&attr);
	if (err)
		goto out_fa;
	err = set_files(&fa, give_fd, err_fd);
	if (!err)
		err = set_attr(&attr);
	if (!err)
		err = posix_spawnp(pid, argv[0], &fa, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
out_fa:
	posix_spawn_file_actions_destroy(&fa);
	return -err;
}

int child_start(char *const argv[], int give_fd, int err_fd, pid_t *pid)
{
	int err, given = -1, errors;

	errors = fcntl(err_fd, F_DUPFD_CLOEXEC, CHILD_FD + 1);
	if (errors < 0)
		return -errno;
	if (give_fd >= 0) {
		given = fcntl(give_fd, F_DUPFD_CLOEXEC, CHILD_FD + 1);
		if (given < 0) {
			err = -errno;
			goto out;
		}
	}
	err = spawn(argv, given, errors, pid);
	if (given >= 0)
		close(given);
out:
	close(errors);
	return err;
}

int child_wait(pid_t pid, int grace_ms)
{
	const struct timespec ms = { .tv_nsec = 1000000 };
	int status = 0;
	pid_t got;

	while (!(got = waitpid(pid, &status, WNOHANG)) && grace_ms-- > 0)
		nanosleep(&ms, NULL);
	if (!got) {
		kill(pid, SIGKILL);
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
	}
	return status;
}

const char *child_verdict(int wait_status)
{
	static _Thread_local char text[64];

	if (WIFSIGNALED(wait_status))
		snprintf(text, sizeof(text), "signal %d (%s)", WTERMSIG(wait_status),
			 strsignal(WTERMSIG(wait_status)));
	else
		snprintf(text, sizeof(text), "status %d", WEXITSTATUS(wait_status));
	return text;
}
