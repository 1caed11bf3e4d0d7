// SPDX-License-Identifier: GPL-2.0-only
/*
 * signals: a signalfd on the main loop, so that no code ever runs in signal context.
 *
 * Runs on: main.
 */
#include "signals.h"

#include <errno.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "lkvm/log.h"

static void readable(void *opaque, uint32_t events)
{
	struct signals *s = opaque;
	struct signalfd_siginfo info;

	(void)events;
	while (read(s->watch.fd, &info, sizeof(info)) == sizeof(info))
		s->got(s->opaque, (int)info.ssi_signo);
}

int signals_open(struct signals *s, struct loop *loop)
{
	sigset_t set;
	int err;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGQUIT);
	sigaddset(&set, SIGWINCH);
	sigaddset(&set, SIGUSR1);
	signal(SIGPIPE, SIG_IGN);
	sigprocmask(SIG_BLOCK, &set, NULL);
	s->loop = loop;
	s->watch = (struct loop_fd){ .fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK),
				     .ready = readable, .opaque = s };
	err = s->watch.fd < 0 ? -errno : loop_add(loop, &s->watch, EPOLLIN);
	if (err)
		log_err(NULL, "cannot listen to signals: %s", strerror(-err));
	return err;
}

void signals_close(struct signals *s)
{
	loop_del(s->loop, &s->watch);
	if (s->watch.fd >= 0)
		close(s->watch.fd);
}
