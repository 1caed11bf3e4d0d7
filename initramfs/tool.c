// SPDX-License-Identifier: GPL-2.0-only
/*
 * tool: runs a program of the host and takes what it prints: the dynamic loader's list of libraries, a
 * decompressor's output.
 *
 * Runs on: main, before there are threads.
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "initramfs/cpio.h"

static int start(const char *const *argv, int out, pid_t *pid)
{
	/* Nothing of ours may change what a loader prints, but for where its libraries are. */
	static char path[] = "PATH=/usr/local/bin:/usr/bin:/bin";
	char libs[4096];
	char *env[] = { path, NULL, NULL };
	const char *given = getenv("LD_LIBRARY_PATH");
	posix_spawn_file_actions_t files;
	int err;

	if (given && (size_t)snprintf(libs, sizeof(libs), "LD_LIBRARY_PATH=%s", given) < sizeof(libs))
		env[1] = libs;
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
	posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	err = posix_spawnp(pid, argv[0], &files, NULL, (char *const *)argv, env);
	posix_spawn_file_actions_destroy(&files);
	return -err;
}

/* Up to max bytes, until the end of file. */
static int read_all(int fd, size_t max, char **out, size_t *len)
{
	size_t size = 0;
	ssize_t n;

	*out = NULL;
	*len = 0;
	for (;;) {
		if (*len + 1 >= size) {
			char *more;

			size = size ? 2 * size : 65536;
			more = *len < max ? realloc(*out, size) : NULL;
			if (!more)
				return -EFBIG;
			*out = more;
		}
		n = read(fd, *out + *len, size - 1 - *len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		*len += (size_t)n;
	}
	(*out)[*len] = 0;
	return n < 0 ? -errno : 0;
}

int tool_read(const char *const *argv, size_t max, char **out, size_t *len)
{
	int fd[2], status = 0, err;
	bool started;
	pid_t pid;

	*out = NULL;
	if (pipe2(fd, O_CLOEXEC) < 0)
		return -errno;
	err = start(argv, fd[1], &pid);
	close(fd[1]);
	started = !err;
	if (started)
		err = read_all(fd[0], max, out, len);
	close(fd[0]);
	if (started)
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
	if (!err && status)
		err = -EIO;
	if (err) {
		free(*out);
		*out = NULL;
	}
	return err;
}
