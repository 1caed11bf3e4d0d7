/* SPDX-License-Identifier: GPL-2.0-only */
/* loop_priv: what the event loop's own files share. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "base/poll.h"
#include "lkvm/loop.h"

#define TURN_EVENTS 32

struct loop {
	char name[16];
	int epfd, wakefd;
	struct loop_task *tasks, **tasks_end;
	struct loop_timer *timers; /* soonest first */
	struct epoll_event turn[TURN_EVENTS]; /* what this turn still has to run */
	int turn_n;
	struct poll_window window;
	struct loop_poll *polled, **polled_end, *poll_next;
	_Atomic uint64_t events;

	pthread_mutex_t lock; /* what follows */
	pthread_cond_t called;
	struct loop_post *posts, **posts_end;
	bool running;
	bool threaded;
	pthread_t thread;
	atomic_bool quit;
	atomic_bool posted; /* there are posts; for a look without the lock */
};

/* loop_tasks.c */
void loop_run_tasks(struct loop *loop);
void loop_run_timers(struct loop *loop);
int loop_timeout_ms(struct loop *loop);

/* loop_post.c */
void loop_run_posts(struct loop *loop);
void loop_wake(struct loop *loop);

/* poll.c: true: there may be more soon, don't sleep. With something added. */
bool loop_poll_rings(struct loop *loop);
