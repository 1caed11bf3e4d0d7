// SPDX-License-Identifier: GPL-2.0-only
/*
 * session: the debugger's packets, and stop and go. All stop and all go: one vCPU that stops takes the
 * others with it.
 *
 * Runs on: main
 */
#include <stdio.h>
#include <string.h>

#include "gdb/gdb_priv.h"

/* --- stop and go -------------------------------------------------------------------------------- */

static void stop_text(struct session *s)
{
	static const char *const words[] = { "swbreak:;", "hwbreak:;", "watch:", "rwatch:", "awatch:" };

	reply_start(s);
	reply_fmt(s, "T05thread:%x;", s->stop_cpu + 1);
	if (s->hit.type)
		reply_text(s, words[s->hit.type - '0']);
	if (s->hit.type >= '2')
		reply_fmt(s, "%llx;", (unsigned long long)s->hit.p.addr);
}

static void stop_reply(struct session *s)
{
	stop_text(s);
	reply_send(s);
}

/* What a vCPU that stopped by itself has come to. */
static struct point hit_of(const struct session *s, struct control_stop why)
{
	if (why.point < 0 || why.point >= CONTROL_POINTS)
		return (struct point){ 0 };
	return s->point[why.point];
}

/*
 * Of several that stopped at the same moment one is told. Those at breakpoints come to them again when
 * they go on, and a step is done either way; but a write that was watched for has happened, and must
 * wait to be told.
 */
void session_stopped(struct session *s)
{
	bool one = false;

	if (!s->running || s->ops->stop(s->opaque))
		return;
	for (unsigned i = 0; i < s->ops->cpus(s->opaque); i++) {
		struct control_stop why = s->ops->why(s->opaque, i);

		if (!why.stopped)
			continue;
		if (!one) {
			s->stop_cpu = i;
			s->hit = hit_of(s, why);
		} else if (hit_of(s, why).type >= '2') {
			s->late[i] = hit_of(s, why);
		}
		one = true;
	}
	s->running = false;
	s->cpu = s->stop_cpu;
	stop_reply(s);
}

/* Has a watchpoint been hit that is still of interest, and not told? Then that is the next stop. */
static bool late_stop(struct session *s)
{
	for (unsigned i = 0; i < s->ops->cpus(s->opaque); i++) {
		struct point late = s->late[i];

		s->late[i].type = 0;
		if (!late.type || !point_is_set(s, &late))
			continue;
		s->cpu = s->stop_cpu = i;
		s->hit = late;
		return true;
	}
	return false;
}

void session_interrupt(struct session *s)
{
	if (!s->running || s->ops->stop(s->opaque))
		return;
	s->running = false;
	s->cpu = s->stop_cpu;
	s->hit.type = 0;
	reply_start(s);
	reply_fmt(s, "T02thread:%x;", s->stop_cpu + 1);
	reply_send(s);
}

/* The reply is the next stop, unless it can't be done. */
static void go(struct session *s, uint64_t run, uint64_t step)
{
	struct control_point points[CONTROL_POINTS];

	if (late_stop(s)) {
		stop_text(s);
		return;
	}
	points_of(s, points);
	s->running = !s->ops->go(s->opaque, run, step, points);
	if (!s->running)
		reply_text(s, "E05"); /* EIO */
}

static uint64_t all(const struct session *s)
{
	unsigned n = s->ops->cpus(s->opaque);

	return n >= 64 ? ~0ULL : (1ULL << n) - 1;
}

/* "-1" all, "0" any, else an id. False: no such one. */
static bool parse_thread(const struct session *s, const char **text, int *thread)
{
	uint64_t id;

	if (!strncmp(*text, "-1", 2)) {
		*text += 2;
		*thread = THREAD_ALL;
		return true;
	}
	if (!hex_number(text, &id) || id > s->ops->cpus(s->opaque))
		return false;
	*thread = (int)id;
	return true;
}

/* ";c", ";s:2;c": for each thread the first action that names it or nobody. */
static void vcont(struct session *s, const char *text)
{
	uint64_t run = 0, step = 0, left = all(s);

	while (*text == ';') {
		char action = text[1];
		uint64_t who = left;
		int thread = THREAD_ALL;

		if (!action || !strchr("cCsS", action))
			break;
		text += 2;
		if (action == 'C' || action == 'S') /* with a signal's number; there are none here */
			while (hex_digit(*text) >= 0)
				text++;
		if (*text == ':') {
			text++;
			if (!parse_thread(s, &text, &thread)) {
				run = 0;
				break;
			}
		}
		if (thread > 0)
			who &= 1ULL << (thread - 1);
		left &= ~who;
		run |= who;
		if (action == 's' || action == 'S')
			step |= who;
	}
	if (*text || !run)
		reply_text(s, "E16");
	else
		go(s, run, step);
}

/* "c" or "s", and maybe an address to go on from. */
static void plain_go(struct session *s, const char *text)
{
	uint64_t step = *text == 's' ? 1ULL << s->cpu : 0, addr;
	struct target t;

	text++;
	if (*text) {
		if (!hex_number(&text, &addr) || s->ops->get(s->opaque, s->cpu, &t.regs, &t.fpu)) {
			reply_text(s, "E16");
			return;
		}
		t.regs.rip = addr;
		if (s->ops->set(s->opaque, s->cpu, &t.regs, NULL)) {
			reply_text(s, "E05");
			return;
		}
	}
	go(s, step ? step : all(s), step);
}

/* --- questions ---------------------------------------------------------------------------------- */

static bool begins(const char **text, const char *word)
{
	size_t len = strlen(word);

	if (strncmp(*text, word, len))
		return false;
	*text += len;
	return true;
}

static void threads(struct session *s, bool first)
{
	unsigned n = s->ops->cpus(s->opaque);

	if (first)
		s->listed = 0;
	if (s->listed >= n)
		reply_text(s, "l");
	for (unsigned i = 0; s->listed < n && i < 32; i++)
		reply_fmt(s, "%c%x", i ? ',' : 'm', ++s->listed);
}

static void thread_info(struct session *s, const char *text)
{
	char info[64];
	int thread;

	if (!parse_thread(s, &text, &thread) || thread <= 0) {
		reply_text(s, "E16");
		return;
	}
	snprintf(info, sizeof(info), "vCPU %d, %s", thread - 1,
		 s->ops->doing(s->opaque, (unsigned)thread - 1));
	reply_hex(s, info, strlen(info));
}

/* "target.xml:offset,length" */
static void features(struct session *s, const char *text)
{
	const char *xml = target_xml();
	size_t left, total = strlen(xml);
	uint64_t off, len;

	if (!begins(&text, "target.xml:") || !hex_number(&text, &off) || *text++ != ',' ||
	    !hex_number(&text, &len) || off > total) {
		reply_text(s, "E00");
		return;
	}
	left = total - off;
	if (len > PACKET_MAX / 2 - 1) /* escapes double */
		len = PACKET_MAX / 2 - 1;
	reply_text(s, len < left ? "m" : "l");
	reply_binary(s, xml + off, len < left ? len : left);
}

/* With this gdb moves the symbols of its vmlinux by what KASLR moved the kernel. */
static void offsets(struct session *s)
{
	uint64_t text;

	if (s->ops->text(s->opaque, &text))
		reply_fmt(s, "TextSeg=%llx", (unsigned long long)text);
}

static void query(struct session *s, const char *text)
{
	if (begins(&text, "qSupported"))
		reply_fmt(s, "PacketSize=%x;qXfer:features:read+;QStartNoAckMode+;vContSupported+;swbreak+;"
			  "hwbreak+", PACKET_MAX);
	else if (begins(&text, "qXfer:features:read:"))
		features(s, text);
	else if (begins(&text, "qfThreadInfo"))
		threads(s, true);
	else if (begins(&text, "qsThreadInfo"))
		threads(s, false);
	else if (begins(&text, "qThreadExtraInfo,"))
		thread_info(s, text);
	else if (begins(&text, "qAttached"))
		reply_text(s, "1");
	else if (!strcmp(text, "qC"))
		reply_fmt(s, "QC%x", s->cpu + 1);
	else if (!strcmp(text, "qOffsets"))
		offsets(s);
	else if (begins(&text, "qSymbol"))
		reply_text(s, "OK");
	else if (begins(&text, "QStartNoAckMode")) {
		s->no_ack = true;
		reply_text(s, "OK");
	}
}

static void end(struct session *s, bool kill)
{
	s->over = true;
	if (kill)
		s->ops->kill(s->opaque);
}

static void v_packet(struct session *s, const char *text)
{
	if (!strcmp(text, "vCont?")) {
		reply_text(s, "vCont;c;C;s;S");
	} else if (begins(&text, "vCont")) {
		vcont(s, text);
	} else if (begins(&text, "vKill")) {
		reply_text(s, "OK");
		end(s, true);
	}
}

/* "Hg2", "Hc-1": whom later packets mean. Who goes on is vCont's business, so c is only checked. */
static void choose(struct session *s, const char *text)
{
	char what = *text;
	int thread;

	if (what)
		text++;
	if ((what != 'g' && what != 'c') || !parse_thread(s, &text, &thread)) {
		reply_text(s, "E16");
		return;
	}
	if (what == 'g' && thread > 0)
		s->cpu = (unsigned)thread - 1;
	reply_text(s, "OK");
}

static void alive(struct session *s, const char *text)
{
	int thread;

	reply_text(s, parse_thread(s, &text, &thread) && thread > 0 ? "OK" : "E03");
}

static void detach(struct session *s)
{
	reply_text(s, "OK");
	end(s, false);
}

/* Those of one letter, whose content is registers or memory, are in access.c. */
static void other_packet(struct session *s, const char *text, size_t len)
{
	switch (*text) {
	case 'Z':
	case 'z':
		point_set(s, text + 1, *text == 'Z');
		break;
	case 'c':
	case 's':
		plain_go(s, text);
		break;
	case 'v':
		v_packet(s, text);
		break;
	case 'q':
	case 'Q':
		query(s, text);
		break;
	case 'H':
		choose(s, text + 1);
		break;
	case 'T':
		alive(s, text + 1);
		break;
	case 'D':
		detach(s);
		break;
	default:
		access_packet(s, text, len); /* an empty reply says: not known */
		break;
	}
}

void session_packet(struct session *s, const char *text, size_t len)
{
	reply_start(s);
	if (*text == 'k') {
		end(s, true);
	} else if (s->running && *text != 'D') {
		return; /* a debugger waits for the stop; a guest that moves is not to be looked at */
	} else if (*text == '?') {
		stop_reply(s);
	} else {
		other_packet(s, text, len);
		if (!s->running || s->over)
			reply_send(s);
	}
}

/* --- the beginning and the end ------------------------------------------------------------------ */

void session_open(struct session *s, const struct gdb_ops *ops, void *opaque)
{
	memset(s, 0, sizeof(*s));
	s->ops = ops;
	s->opaque = opaque;
	s->over = ops->stop(opaque) != 0;
}

void session_close(struct session *s)
{
	static const struct control_point none[CONTROL_POINTS];

	if (!s->ops->stop(s->opaque))
		s->ops->go(s->opaque, all(s), 0, none);
}
