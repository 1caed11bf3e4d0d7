// SPDX-License-Identifier: GPL-2.0-only
/*
 * loop: a thread, its epoll set and its turns. What runs in a turn beside the watches is in
 * loop_tasks.c, loop_post.c and poll.c.
 *
 * Runs on: loop; loop_quit on any thread.
 */
#include "base/loop_priv.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "lkvm/log.h"

uint64_t loop_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec;
}

struct loop *loop_open(const char *name)
{
	struct loop *loop = calloc(1, sizeof(*loop));
	struct epoll_event ev = { .events = EPOLLIN }; /* data.ptr NULL: the wake-up */

	if (!loop)
		goto out;
	strncpy(loop->name, name, sizeof(loop->name) - 1);
	loop->tasks_end = &loop->tasks;
	loop->posts_end = &loop->posts;
	loop->polled_end = &loop->polled;
	pthread_mutex_init(&loop->lock, NULL);
	pthread_cond_init(&loop->called, NULL);
	loop->epfd = epoll_create1(EPOLL_CLOEXEC);
	loop->wakefd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (loop->epfd >= 0 && loop->wakefd >= 0 &&
	    !epoll_ctl(loop->epfd, EPOLL_CTL_ADD, loop->wakefd, &ev))
		return loop;
	loop_close(loop);
out:
	log_err(NULL, "cannot make an event loop: %s", strerror(errno));
	return NULL;
}

void loop_close(struct loop *loop)
{
	if (!loop)
		return;
	if (loop->epfd >= 0)
		close(loop->epfd);
	if (loop->wakefd >= 0)
		close(loop->wakefd);
	pthread_cond_destroy(&loop->called);
	pthread_mutex_destroy(&loop->lock);
	free(loop);
}

uint64_t loop_events(struct loop *loop)
{
	return atomic_load_explicit(&loop->events, memory_order_relaxed);
}

/* --- watches -------------------------------------------------------------------------------- */

int loop_add(struct loop *loop, struct loop_fd *w, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = w };

	if (epoll_ctl(loop->epfd, EPOLL_CTL_ADD, w->fd, &ev))
		return -errno;
	w->added = true;
	return 0;
}

int loop_mod(struct loop *loop, struct loop_fd *w, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = w };

	return epoll_ctl(loop->epfd, EPOLL_CTL_MOD, w->fd, &ev) ? -errno : 0;
}

void loop_del(struct loop *loop, struct loop_fd *w)
{
	if (!w->added)
		return;
	w->added = false;
	epoll_ctl(loop->epfd, EPOLL_CTL_DEL, w->fd, NULL);
	/* It may be ready in this very turn and not have run yet; its memory may go away now. */
	for (int i = 0; i < loop->turn_n; i++)
		if (loop->turn[i].data.ptr == w)
			loop->turn[i].events = 0;
}

/* --- turns ---------------------------------------------------------------------------------- */

static void run_ready(struct loop *loop)
{
	bool woken = false;
	eventfd_t n;

	for (int i = 0; i < loop->turn_n; i++) {
		struct loop_fd *w = loop->turn[i].data.ptr;

		if (!w) {
			woken = true;
		} else if (loop->turn[i].events) {
			atomic_fetch_add_explicit(&loop->events, 1, memory_order_relaxed);
			w->ready(w->opaque, loop->turn[i].events);
		}
	}
	loop->turn_n = 0;
	loop_run_timers(loop);
	if (woken) {
		eventfd_read(loop->wakefd, &n);
		loop_run_posts(loop);
	}
	loop_run_tasks(loop);
}

static int turns(struct loop *loop)
{
	while (!loop->quit) {
		bool polls = loop->polled && loop_poll_rings(loop);
		int n = epoll_wait(loop->epfd, loop->turn, TURN_EVENTS, polls ? 0 : loop_timeout_ms(loop));

		if (n < 0 && errno != EINTR) {
			log_err(NULL, "event loop %s: %s", loop->name, strerror(errno));
			return -errno;
		}
		loop->turn_n = n < 0 ? 0 : n;
		if (n > 0 && loop->window.asleep)
			poll_woken(&loop->window, loop_now());
		run_ready(loop);
	}
	return 0;
}

static void set_running(struct loop *loop, bool running)
{
	pthread_mutex_lock(&loop->lock);
	loop->running = running;
	if (running)
		loop->thread = pthread_self();
	pthread_mutex_unlock(&loop->lock);
}

int loop_run(struct loop *loop)
{
	int err;

	set_running(loop, true);
	err = turns(loop);
	set_running(loop, false);
	loop_run_posts(loop); /* who called while we were leaving must not wait for ever */
	loop->quit = false;
	return err;
}

void loop_quit(struct loop *loop)
{
	loop->quit = true;
	loop_wake(loop);
}

static void *thread_main(void *opaque)
{
	struct loop *loop = opaque;

	prctl(PR_SET_NAME, loop->name);
	turns(loop);
	return NULL;
}

int loop_start(struct loop *loop)
{
	sigset_t all, old;
	int err;

	sigfillset(&all);
	sigdelset(&all, SIGSEGV);
	sigdelset(&all, SIGBUS);
	sigdelset(&all, SIGILL);
	sigdelset(&all, SIGFPE);
	sigdelset(&all, SIGABRT);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	pthread_mutex_lock(&loop->lock); /* nobody calls before `running` and `thread` are true */
	err = pthread_create(&loop->thread, NULL, thread_main, loop);
	loop->running = loop->threaded = !err;
	pthread_mutex_unlock(&loop->lock);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (err) {
		log_err(NULL, "cannot start thread %s: %s", loop->name, strerror(err));
		return -err;
	}
	return 0;
}

void loop_stop(struct loop *loop)
{
	if (!loop->threaded)
		return;
	loop_quit(loop);
	pthread_join(loop->thread, NULL);
	loop->threaded = false;
	set_running(loop, false);
	loop_run_posts(loop);
	loop->quit = false;
}
