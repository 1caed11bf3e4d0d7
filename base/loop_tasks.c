// SPDX-License-Identifier: GPL-2.0-only
/*
 * loop_tasks: deferred tasks, which end a loop's turn, and timers, which end its sleep.
 *
 * Runs on: loop.
 */
#include "base/loop_priv.h"

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
void loop_run_tasks(struct loop *loop)
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

void loop_run_timers(struct loop *loop)
{
	uint64_t now = loop->timers ? loop_now() : 0;
	struct loop_timer *timer;

	while ((timer = loop->timers) && timer->at <= now) {
		loop_timer_cancel(loop, timer);
		timer->fire(timer->opaque);
	}
}

int loop_timeout_ms(struct loop *loop)
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
