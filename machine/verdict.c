// SPDX-License-Identifier: GPL-2.0-only
/*
 * verdict: takes down how the machine ended and what was seen before, and makes one status of it.
 *
 * Runs on: any thread; verdict_init and verdict_take on main.
 */
#include "verdict.h"

#include <stdarg.h>
#include <stdio.h>

#include "lkvm/log.h"

void verdict_init(struct verdict *v, struct loop *loop, const char *expect)
{
	*v = (struct verdict){ .loop = loop, .expect = expect };
	pthread_mutex_init(&v->lock, NULL);
}

/* --- what is reported ------------------------------------------------------------------------ */

static void end_first(struct verdict *v, enum verdict_end how, int status, const char *why)
{
	pthread_mutex_lock(&v->lock);
	if (!v->ended) {
		v->ended = true;
		v->how = how;
		v->status = status;
		snprintf(v->why, sizeof(v->why), "%s", why);
	}
	pthread_mutex_unlock(&v->lock);
	loop_quit(v->loop);
}

void verdict_end(struct verdict *v, enum verdict_end how, const char *fmt, ...)
{
	char why[VERDICT_LINE] = "";
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	end_first(v, how, 0, why);
}

void verdict_end_status(struct verdict *v, int status)
{
	end_first(v, ENDED_STATUS, status, "");
}

/* Stores the first line of its kind. */
static void note(struct verdict *v, char line[VERDICT_LINE], const char *fmt, va_list ap)
{
	pthread_mutex_lock(&v->lock);
	if (!line[0])
		vsnprintf(line, VERDICT_LINE, fmt, ap);
	pthread_mutex_unlock(&v->lock);
}

void verdict_panic(struct verdict *v, bool said, const char *line)
{
	pthread_mutex_lock(&v->lock);
	if (!v->panic[0] || (said && !v->panic_said)) {
		snprintf(v->panic, sizeof(v->panic), said ? "the guest panicked: %s" : "the guest panicked (%s)",
			 line);
		v->panic_said = said;
	}
	pthread_mutex_unlock(&v->lock);
}

void verdict_failure(struct verdict *v, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	note(v, v->failure, fmt, ap);
	va_end(ap);
}

void verdict_timed_out(struct verdict *v, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	note(v, v->late, fmt, ap);
	va_end(ap);
}

void verdict_locked_up(struct verdict *v, const char *fmt, ...)
{
	va_list ap;

	if (!v->late[0])
		v->late_lockup = true;
	va_start(ap, fmt);
	note(v, v->late, fmt, ap);
	va_end(ap);
}

void verdict_expected(struct verdict *v)
{
	pthread_mutex_lock(&v->lock);
	v->expected = true;
	pthread_mutex_unlock(&v->lock);
}

void verdict_command(struct verdict *v)
{
	v->command = true;
}

void verdict_command_done(struct verdict *v, int status)
{
	pthread_mutex_lock(&v->lock);
	v->command_done = true;
	v->command_status = status;
	pthread_mutex_unlock(&v->lock);
}

bool verdict_command_missing(struct verdict *v)
{
	bool missing;

	pthread_mutex_lock(&v->lock);
	missing = v->command && !v->command_done;
	pthread_mutex_unlock(&v->lock);
	return missing;
}

/* --- the verdict ----------------------------------------------------------------------------- */

/* It didn't end by itself: the reason, and what might be the reason for that. */
static int cut_short(const struct verdict *v, int status, const char *why)
{
	if (v->failure[0])
		log_err(NULL, "%s; before that, %s", why, v->failure);
	else
		log_err(NULL, "%s", why);
	return status;
}

static int gone(const struct verdict *v)
{
	log_err(NULL, "%s", v->why);
	return STATUS_GONE;
}

static int fine(const struct verdict *v)
{
	if (v->expect && !v->expected) {
		log_err(NULL, "%s, but '%s' was never seen on its console", v->why, v->expect);
		return STATUS_GONE;
	}
	log_info(NULL, "%s", v->why);
	return STATUS_OK;
}

/* A status of the guest's own says how its work went; 0 must also stand up to what was expected. */
static int own_status(struct verdict *v)
{
	if (v->status || !v->expect)
		return v->status;
	snprintf(v->why, sizeof(v->why), "the guest ended with status 0");
	return fine(v);
}

static int command_status(struct verdict *v)
{
	if (!v->command_done) {
		log_err(NULL, "%s before the command's status came", v->why);
		return STATUS_GONE;
	}
	v->status = v->command_status;
	return own_status(v);
}

/*
 * A panic is a panic whatever came after it. Then what ended the machine from outside, and only then
 * signs on the console: an oops before a hang may be why, but the hang is what is certain.
 */
int verdict_take(struct verdict *v)
{
	if (v->panic[0]) {
		log_err(NULL, "%s", v->panic);
		return STATUS_PANIC;
	}
	if (!v->ended || v->how == ENDED_FAILED)
		return STATUS_FAILED;
	if (v->how == ENDED_LOCKUP)
		return cut_short(v, STATUS_LOCKUP, v->why);
	if (v->late[0])
		return cut_short(v, v->late_lockup ? STATUS_LOCKUP : STATUS_TIMEOUT, v->late);
	if (v->how == ENDED_TIMEOUT)
		return cut_short(v, STATUS_TIMEOUT, v->why);
	if (v->failure[0]) {
		log_err(NULL, "%s", v->failure);
		return STATUS_FAIL_ON;
	}
	if (v->how == ENDED_GONE)
		return gone(v);
	if (v->command && v->how != ENDED_STATUS)
		return command_status(v);
	return v->how == ENDED_STATUS ? own_status(v) : fine(v);
}
