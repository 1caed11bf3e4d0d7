// SPDX-License-Identifier: GPL-2.0-only
/*
 * stack: who called whom, as far as a stack tells. Where the kernel's unwind tables lead is certain, and
 * so is a chain of frame pointers. From where both end every word is looked at, and one that points
 * behind a call instruction counts as a return address, perhaps a stale one.
 *
 * Runs on: main
 */
#include "inspect/symbols.h"

#define STACK	   (16U << 10) /* of a task, and its alignment */
#define STACKS_MAX 4
#define LINES_MAX  64
#define CPL	   3

struct trace {
	const struct walk *walk;
	const struct symbols *s; /* NULL: none that fit */
	bool user;
	uint64_t fp;
	unsigned lines;
	stack_line *line;
	void *opaque;
};

/* call rel32, or call by register or memory, ends right before addr. */
static bool after_call(const struct walk *walk, uint64_t addr)
{
	uint8_t b[7];

	if (walk_read(walk, addr - sizeof(b), b, sizeof(b)) != sizeof(b))
		return false;
	if (b[2] == 0xe8)
		return true;
	for (unsigned len = 2; len <= 7; len++)
		if (b[7 - len] == 0xff && (b[8 - len] >> 3 & 7) == 2)
			return true;
	return false;
}

static bool is_return(const struct trace *t, uint64_t addr)
{
	struct walk_page page;
	struct symbol_hit hit;

	if (!walk_page(t->walk, addr, &page) || !page.exec || (page.user && !t->user && t->s == NULL))
		return false;
	if (!after_call(t->walk, addr))
		return false;
	/* Modules have no symbols here; they are in the upper half, and nothing else that isn't known. */
	return !t->s || symbols_find(t->s, addr - 1, &hit) || addr >= 0xffffffffa0000000ULL;
}

/* Scans one stack from sp up. Where it ends by leading to another, that one's pointer; else 0. */
static uint64_t scan(struct trace *t, uint64_t sp)
{
	uint64_t end = (sp | (STACK - 1)) + 1, at, word = 0, last[5] = { 0 };

	for (at = sp & ~7ULL; at < end && t->lines < LINES_MAX; at += 8) {
		if (walk_read(t->walk, at, &word, sizeof(word)) != sizeof(word))
			break;
		for (unsigned i = 0; i < 4; i++)
			last[i] = last[i + 1];
		last[4] = word;
		if (!is_return(t, word))
			continue;
		if (at == t->fp + 8) {
			uint64_t next = 0;

			walk_read(t->walk, t->fp, &next, sizeof(next));
			t->fp = next > t->fp ? next : 0;
			t->line(t->opaque, word, true);
		} else {
			t->line(t->opaque, word, false);
		}
		t->lines++;
	}
	/* An interrupt's stack keeps the interrupted one's in its last word, an exception's in its frame. */
	if ((last[1] & 3) == 0 && last[1] < 0x100 && last[4] < 0x100 && last[1])
		return last[3];
	return last[4];
}

/* True: to the very end. Else from is where to go on looking. */
static bool by_tables(struct trace *t, const struct control_regs *regs, uint64_t *from)
{
	struct orc_frame f = { .ip = regs->rip, .sp = regs->gpr[R_SP], .bp = regs->gpr[R_BP],
			       .exact = true, .gpr = regs->gpr };
	struct orc orc;

	if (t->user || !orc_open(&orc, t->walk, t->s))
		return false;
	while (t->lines < LINES_MAX) {
		enum orc_step step = orc_next(&orc, &f);

		/* What can't be a return address isn't one, whatever the tables say. */
		if (step == ORC_FRAME && !f.exact && !is_return(t, f.ip))
			step = ORC_LOST;
		if (step != ORC_FRAME)
			return step == ORC_END;
		*from = f.sp;
		t->line(t->opaque, f.ip, true);
		t->lines++;
	}
	return true;
}

void stack_trace(const struct walk *walk, const struct control_regs *regs, const struct symbols *s,
		 stack_line *line, void *opaque)
{
	struct trace t = { .walk = walk, .s = s, .user = regs->seg[SEG_CS].sel & CPL,
			   .fp = regs->gpr[R_BP], .line = line, .opaque = opaque };
	uint64_t sp = regs->gpr[R_SP], seen[STACKS_MAX];

	if (by_tables(&t, regs, &sp))
		return;
	for (unsigned n = 0; n < STACKS_MAX && t.lines < LINES_MAX; n++) {
		seen[n] = sp | (STACK - 1);
		sp = scan(&t, sp);
		for (unsigned i = 0; i <= n; i++)
			if ((sp | (STACK - 1)) == seen[i])
				return;
		/* Kernel stacks are in the upper half; elsewhere nothing ends in a pointer on purpose. */
		if (sp % 8 || sp < 1ULL << 63)
			return;
	}
}
