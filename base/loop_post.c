// SPDX-License-Identifier: GPL-2.0-only
/*
 * loop_post: what other threads want done on a loop: posts, which nobody waits for, and calls.
 *
 * Runs on: any thread; loop_run_posts on the loop.
 */
#include <sys/eventfd.h>

#include "base/loop_priv.h"

bool loop_here(const struct loop *loop)
{
	struct loop *l = (struct loop *)loop;
	bool here;

	pthread_mutex_lock(&l->lock);
	here = !l->running || pthread_equal(l->thread, pthread_self());
	pthread_mutex_unlock(&l->lock);
	return here;
}

/* A call from another thread, on that thread's stack until it is done. */
struct call {
	struct loop_post post;
	struct loop *loop;
	void (*fn)(void *opaque);
	void *opaque;
	bool done;
};

void loop_wake(struct loop *loop)
{
	eventfd_write(loop->wakefd, 1);
}

/* Under the lock. */
static void enqueue(struct loop *loop, struct loop_post *post)
{
	post->next = NULL;
	post->queued = true;
	loop->posted = true;
	*loop->posts_end = post;
	loop->posts_end = &post->next;
	loop_wake(loop);
}

void loop_run_posts(struct loop *loop)
{
	struct loop_post *post;

	pthread_mutex_lock(&loop->lock);
	loop->posted = false;
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
			loop_run_posts(loop);
		fn(opaque);
		return;
	}
	/* Our stack is fine: we don't return before it is off the list. */
	enqueue(loop, &call.post);
	while (!call.done)
		pthread_cond_wait(&loop->called, &loop->lock);
	pthread_mutex_unlock(&loop->lock);
}
