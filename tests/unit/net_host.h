/* SPDX-License-Identifier: GPL-2.0-only */
/* net_host: what the network tests need of the host: a namespace of their own, what was logged. */
#pragma once

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tap.h"

static int logged_fd = -1, stderr_copy;

/* From here on what goes to stderr is kept for logged(). */
__attribute__((unused)) static void capture_log(void)
{
	stderr_copy = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
	logged_fd = memfd_create("stderr", MFD_CLOEXEC);
	if (logged_fd < 0 || dup2(logged_fd, STDERR_FILENO) < 0)
		abort();
	lseek(STDERR_FILENO, 0, SEEK_SET);
}

/* What was logged since the last call; the file starts anew. */
__attribute__((unused)) static const char *logged(void)
{
	static char text[8192];
	ssize_t n = pread(logged_fd, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	if (ftruncate(logged_fd, 0) || lseek(STDERR_FILENO, 0, SEEK_SET))
		abort();
	return text;
}

/* Was exactly one line logged, and is `part` in it? */
__attribute__((unused)) static bool logged_line(const char *part)
{
	const char *text = logged();
	const char *end = strchr(text, '\n');
	bool good = end && !end[1] && strstr(text, part);

	if (!good)
		printf("#   wanted one line with \"%s\", got: %s\n", part, text);
	return good;
}

static bool borrowed_root; /* root of a user namespace only */

static bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return good;
}

/* For an ordinary user: root of a user namespace, which may do as it likes to its network. */
static bool borrow_root(void)
{
	char uid[32], gid[32];

	snprintf(uid, sizeof(uid), "0 %u 1", geteuid());
	snprintf(gid, sizeof(gid), "0 %u 1", getegid());
	borrowed_root = !unshare(CLONE_NEWUSER | CLONE_NEWNET) &&
			write_file("/proc/self/setgroups", "deny") &&
			write_file("/proc/self/uid_map", uid) &&
			write_file("/proc/self/gid_map", gid);
	return borrowed_root;
}

/* A network of our own with nothing in it but lo, which is up. NULL, or why not. */
__attribute__((unused)) static const char *own_network(void)
{
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd;

	if (unshare(CLONE_NEWNET) && !borrow_root())
		return "no right to a network namespace of our own";
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &ifr))
		return "cannot bring lo up in a namespace of our own";
	close(fd);
	return NULL;
}

/* The first process whose parent is pid, or 0. */
__attribute__((unused)) static pid_t child_of(pid_t pid)
{
	DIR *proc = opendir("/proc");
	struct dirent *d;
	pid_t found = 0;

	while (!found && proc && (d = readdir(proc))) {
		char path[300], line[512], *paren;
		int fd, parent;
		ssize_t n;

		snprintf(path, sizeof(path), "/proc/%s/stat", d->d_name);
		fd = *d->d_name >= '1' && *d->d_name <= '9' ? open(path, O_RDONLY | O_CLOEXEC) : -1;
		if (fd < 0)
			continue;
		n = read(fd, line, sizeof(line) - 1);
		close(fd);
		line[n > 0 ? n : 0] = '\0';
		paren = strrchr(line, ')');
		if (paren && sscanf(paren + 1, " %*c %d", &parent) == 1 && parent == pid)
			found = atoi(d->d_name);
	}
	if (proc)
		closedir(proc);
	return found;
}

__attribute__((unused)) static void sleep_ms(int ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };

	nanosleep(&ts, NULL);
}

/* Runs the loop until cond holds or ms are over. Needs a struct loop with a quit timer. */
#define TURN_UNTIL(loop, cond, ms)                                                                 \
	do {                                                                                       \
		for (int turn_left = (ms); turn_left > 0 && !(cond); turn_left -= 2)               \
			turn_for(loop, 2);                                                         \
	} while (0)

#include "lkvm/loop.h"

__attribute__((unused)) static void turn_over(void *opaque)
{
	loop_quit(opaque);
}

__attribute__((unused)) static void turn_for(struct loop *loop, int ms)
{
	struct loop_timer timer = { .fire = turn_over, .opaque = loop };

	loop_timer_set(loop, &timer, (uint64_t)ms * 1000000);
	loop_run(loop);
	loop_timer_cancel(loop, &timer);
}
