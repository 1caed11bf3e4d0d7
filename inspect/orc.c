// SPDX-License-Identifier: GPL-2.0-only
/*
 * orc: a kernel's own unwind tables (Documentation/arch/x86/orc-unwinder.rst): for each address in the
 * kernel where the caller's stack begins and where its rbp is kept. Two sorted tables, one of addresses,
 * 32 bits each, as the distance from where they are written, and one of what holds from there on.
 *
 * The guest may have written them: what comes out is checked by who asks, and a frame that doesn't lead
 * further up the stack, or to another one, is the last.
 *
 * Runs on: main
 */
#include <stdio.h>
#include <string.h>

#include "inspect/symbols.h"

#define ENTRIES_MAX (16U << 20)
#define ENTRY	    6U

/* What an entry's 16 bits of flags mean is not told by the kernel but by its version. */
enum { TYPE_UNDEFINED, TYPE_END, TYPE_CALL, TYPE_REGS, TYPE_REGS_PARTIAL };
enum { REG_UNDEFINED, REG_PREV_SP, REG_DX, REG_DI, REG_BP, REG_SP, REG_R10, REG_R13, REG_BP_INDIRECT,
       REG_SP_INDIRECT };

/* In struct pt_regs. */
enum { REGS_R13 = 2 * 8, REGS_BP = 4 * 8, REGS_R10 = 7 * 8, REGS_DX = 12 * 8, REGS_DI = 14 * 8,
       REGS_IP = 16 * 8, REGS_CS = 17 * 8, REGS_SP = 19 * 8 };

struct entry {
	int16_t sp_off, bp_off;
	unsigned sp_reg, bp_reg, type;
};

/* 5.0 to 6.17: later ones number the registers differently. */
static unsigned layout_of(const struct walk *walk, const struct symbols *s)
{
	char banner[64] = "";
	unsigned major, minor;
	uint64_t at;

	if (!symbols_addr(s, "linux_banner", &at) ||
	    walk_read(walk, at, banner, sizeof(banner) - 1) != sizeof(banner) - 1 ||
	    sscanf(banner, "Linux version %3u.%3u", &major, &minor) != 2)
		return 0;
	if (major == 5 || (major == 6 && minor <= 2))
		return 1;
	if (major == 6 && minor == 3)
		return 2;
	return major == 6 && minor <= 17 ? 3 : 0;
}

bool orc_open(struct orc *o, const struct walk *walk, const struct symbols *s)
{
	uint64_t stop;

	*o = (struct orc){ .walk = walk };
	if (!s || !symbols_addr(s, "__start_orc_unwind_ip", &o->ips) ||
	    !symbols_addr(s, "__stop_orc_unwind_ip", &stop) ||
	    !symbols_addr(s, "__start_orc_unwind", &o->entries) || stop <= o->ips ||
	    (stop - o->ips) / 4 > ENTRIES_MAX)
		return false;
	o->n = (stop - o->ips) / 4;
	o->layout = layout_of(walk, s);
	return o->layout;
}

static bool word(const struct walk *walk, uint64_t at, uint64_t *val)
{
	return walk_read(walk, at, val, sizeof(*val)) == sizeof(*val);
}

static bool ip_at(const struct orc *o, uint64_t i, uint64_t *ip)
{
	int32_t distance;

	if (walk_read(o->walk, o->ips + 4 * i, &distance, sizeof(distance)) != sizeof(distance))
		return false;
	*ip = o->ips + 4 * i + (uint64_t)(int64_t)distance;
	return true;
}

/* The last entry at or below ip. Behind the last is no kernel, but modules, which have their own. */
static bool lookup(const struct orc *o, uint64_t ip, struct entry *e)
{
	uint64_t low = 0, high = o->n, at;
	uint8_t raw[ENTRY];
	uint16_t flags;

	while (low < high) {
		uint64_t mid = low + (high - low) / 2;

		if (!ip_at(o, mid, &at))
			return false;
		if (at <= ip)
			low = mid + 1;
		else
			high = mid;
	}
	if (!low || low == o->n || walk_read(o->walk, o->entries + ENTRY * (low - 1), raw, ENTRY) != ENTRY)
		return false;
	memcpy(&e->sp_off, raw, 2);
	memcpy(&e->bp_off, raw + 2, 2);
	memcpy(&flags, raw + 4, 2);
	e->sp_reg = flags & 15;
	e->bp_reg = flags >> 4 & 15;
	if (o->layout == 3) {
		e->type = flags >> 8 & 7;
	} else {
		e->type = flags & (o->layout == 1 ? 1U << 10 : 1U << 11) ? TYPE_END :
									    (flags >> 8 & 3U) + TYPE_CALL;
		if (e->sp_reg == REG_UNDEFINED && e->type != TYPE_END)
			e->type = TYPE_UNDEFINED;
	}
	return true;
}

/* A register that calls don't preserve: known in the frame that was interrupted, and only there. */
static bool volatile_reg(const struct orc *o, const struct orc_frame *f, unsigned off, unsigned gpr,
			 uint64_t *val)
{
	if (f->regs)
		return word(o->walk, f->regs + off, val);
	*val = f->gpr ? f->gpr[gpr] : 0;
	return f->gpr;
}

/* Where the caller's stack begins, or the registers that were pushed. */
static bool caller_sp(const struct orc *o, const struct orc_frame *f, const struct entry *e, uint64_t *sp)
{
	uint64_t off = (uint64_t)(int64_t)e->sp_off;
	bool known = true;

	switch (e->sp_reg) {
	case REG_SP:
		*sp = f->sp + off;
		return true;
	case REG_BP:
		*sp = f->bp + off;
		return true;
	case REG_BP_INDIRECT:
		return word(o->walk, f->bp + off, sp);
	case REG_SP_INDIRECT:
		known = word(o->walk, f->sp, sp);
		break;
	case REG_R10:
		known = volatile_reg(o, f, REGS_R10, 10, sp);
		break;
	case REG_R13:
		known = volatile_reg(o, f, REGS_R13, 13, sp);
		break;
	case REG_DI:
		known = volatile_reg(o, f, REGS_DI, R_DI, sp);
		break;
	case REG_DX:
		known = volatile_reg(o, f, REGS_DX, R_DX, sp);
		break;
	default:
		return false;
	}
	*sp += e->sp_reg == REG_SP_INDIRECT ? off : 0;
	return known;
}

static bool caller_bp(const struct orc *o, const struct entry *e, uint64_t cfa, uint64_t was, uint64_t *bp)
{
	uint64_t off = (uint64_t)(int64_t)e->bp_off;

	switch (e->bp_reg) {
	case REG_UNDEFINED:
		return true;
	case REG_PREV_SP:
		return word(o->walk, cfa + off, bp);
	case REG_BP:
		return word(o->walk, was + off, bp);
	default:
		return false;
	}
}

/* Interrupted: all registers are on the stack, or the five that the processor pushes itself. */
static enum orc_step interrupted(const struct orc *o, struct orc_frame *f, uint64_t at, bool partial)
{
	uint64_t regs = partial ? at - REGS_IP : at, cs;

	if (!word(o->walk, regs + REGS_CS, &cs) || !word(o->walk, regs + REGS_IP, &f->ip) ||
	    !word(o->walk, regs + REGS_SP, &f->sp) || (!partial && !word(o->walk, regs + REGS_BP, &f->bp)))
		return ORC_LOST;
	f->regs = partial ? 0 : regs;
	f->exact = true;
	return cs & 3 ? ORC_END : ORC_FRAME;
}

enum orc_step orc_next(const struct orc *o, struct orc_frame *f)
{
	struct orc_frame was = *f;
	struct entry e;
	uint64_t cfa;

	/* What follows a call that never returns may be another function. */
	if (!lookup(o, f->exact ? f->ip : f->ip - 1, &e))
		return ORC_LOST;
	if (e.type == TYPE_END)
		return ORC_END;
	if (e.type == TYPE_UNDEFINED || !caller_sp(o, f, &e, &cfa))
		return ORC_LOST;
	f->gpr = NULL;
	if (e.type != TYPE_CALL)
		return interrupted(o, f, cfa, e.type == TYPE_REGS_PARTIAL);
	f->regs = 0;
	f->exact = false;
	f->sp = cfa;
	if (!word(o->walk, cfa - 8, &f->ip) || !caller_bp(o, &e, cfa, was.bp, &f->bp) ||
	    (cfa <= was.sp && e.sp_reg == REG_SP)) {
		*f = was;
		return ORC_LOST;
	}
	return ORC_FRAME;
}
