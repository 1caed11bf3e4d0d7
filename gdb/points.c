// SPDX-License-Identifier: GPL-2.0-only
/*
 * points: break- and watchpoints, all four of them in the processor's debug registers.
 *
 * Breakpoints asked for as software (Z0) are hardware as well: writing int3 into a guest changes what
 * it sees of itself. With more than four gdb is told that there is no room.
 *
 * Runs on: main
 */
#include "gdb/gdb_priv.h"

static enum control_kind kind_of(char type)
{
	switch (type) {
	case '0':
	case '1':
		return CONTROL_EXEC;
	case '2':
		return CONTROL_WRITE;
	default:
		return CONTROL_ACCESS; /* the processor can't watch for reads alone */
	}
}

static bool fits(const struct control_point *p)
{
	return p->kind == CONTROL_EXEC ||
	       ((p->len == 1 || p->len == 2 || p->len == 4 || p->len == 8) && !(p->addr % p->len));
}

/* "type,address,length" */
static bool parse(const char *text, struct point *point)
{
	uint64_t len = 0;

	point->type = *text++;
	point->p.kind = kind_of(point->type);
	if (*text++ != ',' || !hex_number(&text, &point->p.addr) || *text++ != ',' ||
	    !hex_number(&text, &len) || len > 8)
		return false;
	point->p.len = point->p.kind == CONTROL_EXEC ? 1 : (unsigned)len;
	return true;
}

void point_set(struct session *s, const char *text, bool insert)
{
	struct point point = { 0 }, *room = NULL;

	if (*text < '0' || *text > '4')
		return; /* an empty reply: not known */
	if (!parse(text, &point) || !fits(&point.p)) {
		reply_text(s, "E16"); /* EINVAL */
		return;
	}
	for (unsigned i = CONTROL_POINTS; i-- > 0;) {
		struct point *is = &s->point[i];

		if (!is->type) {
			room = is;
		} else if (is->type == point.type && is->p.addr == point.p.addr && is->p.len == point.p.len) {
			if (!insert)
				is->type = 0;
			reply_text(s, "OK");
			return;
		}
	}
	if (insert && room)
		*room = point;
	/* Taking away what isn't there has succeeded. ENOSPC. */
	reply_text(s, insert && !room ? "E1c" : "OK");
}

bool point_is_set(const struct session *s, const struct point *point)
{
	for (unsigned i = 0; i < CONTROL_POINTS; i++)
		if (s->point[i].type == point->type && s->point[i].p.addr == point->p.addr &&
		    s->point[i].p.len == point->p.len)
			return true;
	return false;
}

void points_of(const struct session *s, struct control_point points[CONTROL_POINTS])
{
	for (unsigned i = 0; i < CONTROL_POINTS; i++)
		points[i] = s->point[i].type ? s->point[i].p : (struct control_point){ 0 };
}
