/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * loop: one thread, its epoll set, its end-of-turn list and its timers.
 *
 * What belongs to a loop (file watches, timers, the data path of its devices) is touched on that
 * loop's thread only; other threads reach it by eventfd or by loop_call(). Until the thread has been
 * started, and after it was stopped, the caller's thread counts as the loop's.
 *
 * One turn: wait, run every ready watch, run due timers, run the calls of other threads, run the
 * deferred tasks until none is left. A watch that finds more work than fits a turn re-arms itself (an
 * eventfd write) instead of looping, so that others have their turn.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

struct loop;

/*
 * A watch, level-triggered unless EPOLLET is among its events; owned by the caller, which keeps it in
 * place between add and del.
 */
struct loop_fd {
	int fd;
	void (*ready)(void *opaque, uint32_t events);
	void *opaque;
	bool added;
};

/* Runs once, at the end of the turn in which it was deferred. Zero-initialise, set run and opaque. */
struct loop_task {
	void (*run)(void *opaque);
	void *opaque;
	struct loop_task *next, **link; /* link != NULL: queued */
};

/* What one thread wants done on another's loop. Zero-initialise, set run and opaque. */
struct loop_post {
	void (*run)(void *opaque);
	void *opaque;
	struct loop_post *next;
	bool queued;
};

/*
 * Something that can be looked at without a system call. Zero-initialise, set look, rest (or NULL) and
 * opaque.
 */
struct loop_poll {
	bool (*look)(void *opaque); /* does what there is to do; was there anything? */
	void (*rest)(void *opaque); /* is looked at no more: ring from here on */
	void *opaque;
	struct loop_poll *next, **link; /* link != NULL: looked at */
};

struct loop_timer {
	void (*fire)(void *opaque);
	void *opaque;
	uint64_t at; /* CLOCK_MONOTONIC nanoseconds */
	struct loop_timer *next;
	bool armed;
};

struct loop *loop_open(const char *name); /* NULL: logged */
void loop_close(struct loop *loop);	  /* its thread has been stopped */

int loop_start(struct loop *loop); /* in a thread of its own; signals are blocked there */
void loop_stop(struct loop *loop); /* waits for the thread; no-op when none runs */
int loop_run(struct loop *loop);   /* or in the caller's, until loop_quit() */
void loop_quit(struct loop *loop); /* any thread */
bool loop_here(const struct loop *loop); /* is this the loop's thread? */

/* loop_add: 0 or -errno (-EPERM: a regular file, always ready, not pollable). del is a no-op twice. */
int loop_add(struct loop *loop, struct loop_fd *w, uint32_t events);
int loop_mod(struct loop *loop, struct loop_fd *w, uint32_t events);
void loop_del(struct loop *loop, struct loop_fd *w);

/* On the loop's thread. A task deferred twice runs once. */
void loop_defer(struct loop *loop, struct loop_task *task);
void loop_undefer(struct loop *loop, struct loop_task *task);

/*
 * A loop that polls looks, before it sleeps, at everything added until nothing has come for a while:
 * for max_ns at the most, and less when that seldom pays. Other watches wait that long too, not longer.
 * Set before the loop runs; 0: it doesn't poll, and nothing may be added.
 */
void loop_set_poll(struct loop *loop, uint64_t max_ns);
bool loop_polls(const struct loop *loop);
/* On the loop's thread. From now until rest: what was added is taken out again when the loop sleeps. */
void loop_poll_add(struct loop *loop, struct loop_poll *poll);
void loop_poll_del(struct loop *loop, struct loop_poll *poll);

/* On the loop's thread. Setting an armed timer moves it. */
void loop_timer_set(struct loop *loop, struct loop_timer *timer, uint64_t in_ns);
void loop_timer_cancel(struct loop *loop, struct loop_timer *timer);

/*
 * Runs fn(opaque) on the loop's thread and waits until it has returned; direct when already there.
 * For start, stop, reset and configuration, never per request. The loop must not wait for anything
 * the caller holds.
 */
void loop_call(struct loop *loop, void (*fn)(void *opaque), void *opaque);

/*
 * Runs post->run on the loop's thread, without waiting for it; any thread. Posted again before it ran
 * it runs once. Posts and calls of one thread run in their order. The post stays in place until it ran.
 * A loop tells another one something in this way, as two that wait for each other would for ever.
 */
void loop_post(struct loop *loop, struct loop_post *post);

/* A number that grows with every watch that was ready, and with what polling finds; any thread. */
uint64_t loop_events(struct loop *loop);

uint64_t loop_now(void); /* CLOCK_MONOTONIC nanoseconds */
