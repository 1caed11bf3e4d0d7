// SPDX-License-Identifier: GPL-2.0-only
/*
 * poll: a loop that looks at rings for a while before it sleeps, and how long.
 *
 * Runs on: loop.
 *
 * The window follows what would have been worth it. Something that came after the loop had gone to
 * sleep, but within the longest window there may be, would have been caught by a longer one: it
 * doubles. After a longer sleep the polling before was for nothing: it begins again from none at all.
 */
#include "base/loop_priv.h"

#define WINDOW_MIN 4000ULL

/* --- the window ----------------------------------------------------------------------------- */

void poll_begin(struct poll_window *w, uint64_t now)
{
	if (w->polling)
		return;
	w->polling = true;
	w->hit = now;
}

bool poll_more(const struct poll_window *w, uint64_t now)
{
	return now - w->hit < w->window;
}

void poll_end(struct poll_window *w)
{
	w->polling = false;
	w->asleep = true;
}

void poll_woken(struct poll_window *w, uint64_t now)
{
	if (!w->asleep)
		return;
	w->asleep = false;
	if (now - w->hit >= w->max)
		w->window = 0;
	else
		w->window = w->window ? w->window * 2 : WINDOW_MIN;
	if (w->window > w->max)
		w->window = w->max;
}

/* --- the loop ------------------------------------------------------------------------------- */

void loop_set_poll(struct loop *loop, uint64_t max_ns)
{
	loop->window.max = max_ns;
}

bool loop_polls(const struct loop *loop)
{
	return loop->window.max;
}

void loop_poll_add(struct loop *loop, struct loop_poll *poll)
{
	if (poll->link)
		return;
	poll->next = NULL;
	poll->link = loop->polled_end;
	*loop->polled_end = poll;
	loop->polled_end = &poll->next;
}

void loop_poll_del(struct loop *loop, struct loop_poll *poll)
{
	if (!poll->link)
		return;
	*poll->link = poll->next;
	if (poll->next)
		poll->next->link = poll->link;
	else
		loop->polled_end = poll->link;
	poll->link = NULL;
	if (loop->poll_next == poll)
		loop->poll_next = poll->next;
}

/* What is looked at may take itself out, or another. */
static bool look(struct loop *loop)
{
	struct loop_poll *poll;
	bool any = false;

	for (poll = loop->polled; poll; poll = loop->poll_next) {
		loop->poll_next = poll->next;
		any |= poll->look(poll->opaque);
	}
	return any;
}

/* False: at the last look something found work and was added again. */
static bool rest(struct loop *loop)
{
	struct loop_poll *poll;
	unsigned n = 0;

	for (poll = loop->polled; poll; poll = poll->next)
		n++;
	while (n-- && (poll = loop->polled)) {
		loop_poll_del(loop, poll);
		if (poll->rest)
			poll->rest(poll->opaque);
	}
	poll_end(&loop->window);
	return !loop->polled;
}

/*
 * True: there may be more soon, so the loop only looks whether its watches are ready, and comes back.
 * That is so after each longest window, whatever came, as the watches have waited all the time.
 */
bool loop_poll_rings(struct loop *loop)
{
	uint64_t now = loop_now(), end = now + loop->window.max;

	poll_begin(&loop->window, now);
	while (poll_more(&loop->window, now)) {
		/* Before the look: it finds whatever was there when somebody called. */
		bool leave = now >= end || loop->posted || loop->quit;

		if (look(loop)) {
			atomic_fetch_add_explicit(&loop->events, 1, memory_order_relaxed);
			loop_run_tasks(loop);
			loop->window.hit = loop_now();
		}
		if (leave)
			return true;
		__builtin_ia32_pause();
		now = loop_now();
	}
	return !rest(loop);
}
