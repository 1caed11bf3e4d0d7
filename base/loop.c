// SPDX-License-Identifier: GPL-2.0-only
/*
 * loop: epoll, an eventfd for other threads' calls, timers as the epoll timeout, deferred tasks.
 *
 * Runs on: loop; loop_call, loop_post, loop_quit and loop_here on any thread.
 */
#include "lkvm/loop.h"

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

#define TURN_EVENTS 32

/* A call from another thread, on that thread's stack until it is done. */
struct call {
	struct loop_post post;
	struct loop *loop;
	void (*fn)(void *opaque);
	void *opaque;
	bool done;
};

struct loop {
	char name[16];
	int epfd, wakefd;
	struct loop_task *tasks, **tasks_end;
	struct loop_timer *timers; /* soonest first */
	struct epoll_event turn[TURN_EVENTS]; /* what this turn still has to run */
	int turn_n;
	_Atomic uint64_t events;

	pthread_mutex_t lock; /* what follows */
	pthread_cond_t called;
	struct loop_post *posts, **posts_end;
	bool running;
	bool threaded;
	pthread_t thread;
	atomic_bool quit;
};

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

/* --- tasks and timers ----------------------------------------------------------------------- */

void loop_defer(struct loop *loop, struct loop_task *task)
{
	if (task->link)
		return;
	task->next = NULL;
	task->link = loop->tasks_end;
	*loop->tasks_end = task;
	loop->tasks_end = &task->next;
}

void loop_undefer(struct loop *loop, struct loop_task *task)
{
	if (!task->link)
		return;
	*task->link = task->next;
	if (task->next)
		task->next->link = task->link;
	else
		loop->tasks_end = task->link;
	task->link = NULL;
}

/* Tasks that defer others (or themselves) are taken up until none is left: it is one turn's end. */
static void run_tasks(struct loop *loop)
{
	struct loop_task *task;

	while ((task = loop->tasks)) {
		loop_undefer(loop, task);
		task->run(task->opaque);
	}
}

void loop_timer_set(struct loop *loop, struct loop_timer *timer, uint64_t in_ns)
{
	struct loop_timer **link;

	loop_timer_cancel(loop, timer);
	timer->at = loop_now() + in_ns;
	timer->armed = true;
	for (link = &loop->timers; *link && (*link)->at <= timer->at;)
		link = &(*link)->next;
	timer->next = *link;
	*link = timer;
}

void loop_timer_cancel(struct loop *loop, struct loop_timer *timer)
{
	struct loop_timer **link;

	if (!timer->armed)
		return;
	for (link = &loop->timers; *link != timer;)
		link = &(*link)->next;
	*link = timer->next;
	timer->armed = false;
}

static void run_timers(struct loop *loop)
{
	uint64_t now = loop->timers ? loop_now() : 0;
	struct loop_timer *timer;

	while ((timer = loop->timers) && timer->at <= now) {
		loop_timer_cancel(loop, timer);
		timer->fire(timer->opaque);
	}
}

static int timeout_ms(struct loop *loop)
{
	uint64_t now;

	if (loop->tasks)
		return 0;
	if (!loop->timers)
		return -1;
	now = loop_now();
	if (loop->timers->at <= now)
		return 0;
	now = (loop->timers->at - now + 999999) / 1000000;
	return now > 3600000 ? 3600000 : (int)now;
}

/* --- calls from other threads --------------------------------------------------------------- */

bool loop_here(const struct loop *loop)
{
	struct loop *l = (struct loop *)loop;
	bool here;

	pthread_mutex_lock(&l->lock);
	here = !l->running || pthread_equal(l->thread, pthread_self());
	pthread_mutex_unlock(&l->lock);
	return here;
}

static void wake(struct loop *loop)
{
	eventfd_write(loop->wakefd, 1);
}

/* Under the lock. */
static void enqueue(struct loop *loop, struct loop_post *post)
{
	post->next = NULL;
	post->queued = true;
	*loop->posts_end = post;
	loop->posts_end = &post->next;
	wake(loop);
}

static void run_posts(struct loop *loop)
{
	struct loop_post *post;

	pthread_mutex_lock(&loop->lock);
	while ((post = loop->posts)) {
		loop->posts = post->next;
		if (!loop->posts)
			loop->posts_end = &loop->posts;
		post->queued = false; /* from here on it may be posted again */
		pthread_mutex_unlock(&loop->lock);
		post->run(post->opaque);
		pthread_mutex_lock(&loop->lock);
	}
	pthread_mutex_unlock(&loop->lock);
}

void loop_post(struct loop *loop, struct loop_post *post)
{
	pthread_mutex_lock(&loop->lock);
	if (!post->queued)
		enqueue(loop, post);
	pthread_mutex_unlock(&loop->lock);
}

static void run_call(void *opaque)
{
	struct call *call = opaque;
	struct loop *loop = call->loop;

	call->fn(call->opaque);
	pthread_mutex_lock(&loop->lock);
	call->done = true;
	pthread_cond_broadcast(&loop->called);
	pthread_mutex_unlock(&loop->lock);
}

void loop_call(struct loop *loop, void (*fn)(void *opaque), void *opaque)
{
	struct call call = { .post = { .run = run_call, .opaque = &call }, .loop = loop, .fn = fn,
			     .opaque = opaque };
	bool running;

	pthread_mutex_lock(&loop->lock);
	running = loop->running;
	if (!running || pthread_equal(loop->thread, pthread_self())) {
		pthread_mutex_unlock(&loop->lock);
		if (!running)
			run_posts(loop);
		fn(opaque);
		return;
	}
	/* Our stack is fine: we don't return before it is off the list. */
	enqueue(loop, &call.post);
	while (!call.done)
		pthread_cond_wait(&loop->called, &loop->lock);
	pthread_mutex_unlock(&loop->lock);
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
	run_timers(loop);
	if (woken) {
		eventfd_read(loop->wakefd, &n);
		run_posts(loop);
	}
	run_tasks(loop);
}

static int turns(struct loop *loop)
{
	while (!loop->quit) {
		int n = epoll_wait(loop->epfd, loop->turn, TURN_EVENTS, timeout_ms(loop));

		if (n < 0 && errno != EINTR) {
			log_err(NULL, "event loop %s: %s", loop->name, strerror(errno));
			return -errno;
		}
		loop->turn_n = n < 0 ? 0 : n;
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
	run_posts(loop); /* who called while we were leaving must not wait for ever */
	loop->quit = false;
	return err;
}

void loop_quit(struct loop *loop)
{
	loop->quit = true;
	wake(loop);
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
	run_posts(loop);
	loop->quit = false;
}
