// SPDX-License-Identifier: GPL-2.0-only
/*
 * report: what every vCPU is doing, for a person who asks why nothing happens.
 *
 * Runs on: main
 */
#include <stdlib.h>
#include <string.h>

#include "inspect/inspect_priv.h"
#include "lkvm/log.h"

#define RFLAGS_IF (1U << 9)
#define EFER_LMA  (1U << 10)

/* Where Linux puts modules, or the end of an image that KASLR moved: but that has symbols. */
#define MODULES	    0xffffffffa0000000ULL
#define MODULES_END 0xffffffffff000000ULL

struct inspect *inspect_open(const char *symbols, const char *kernel)
{
	struct inspect *in = calloc(1, sizeof(*in));

	if (!in) {
		log_err(NULL, "out of memory");
		return NULL;
	}
	if (symbols) {
		in->source = symbols;
		if (symbols_load(&in->file, symbols, false)) {
			free(in);
			return NULL;
		}
	} else if (kernel && !symbols_load(&in->file, kernel, true)) {
		in->source = kernel;
	}
	return in;
}

void inspect_close(struct inspect *in)
{
	if (!in)
		return;
	symbols_free(&in->file);
	symbols_free(&in->own);
	free(in);
}

/* --- whose symbols ------------------------------------------------------------------------------ */

/*
 * The tables and the system call entry of any vCPU that fits. In user space, with page-table isolation,
 * a vCPU's tables hold next to nothing of the kernel; the kernel's are then one page below.
 */
static bool match_any(struct symbols *s, struct vm *vm, const char **why)
{
	struct control_regs regs;

	for (unsigned i = 0; i < control_cpus(vm); i++) {
		struct walk walk;

		if (control_regs_get(vm, i, &regs))
			continue;
		walk = walk_of(control_mem(vm), &regs);
		if (symbols_match(s, &walk, regs.lstar, why))
			return true;
		walk.cr3 &= ~0x1000ULL;
		if (symbols_match(s, &walk, regs.lstar, why))
			return true;
	}
	return false;
}

const struct symbols *inspect_symbols(struct inspect *in, struct vm *vm, FILE *to)
{
	const char *why = "no vCPU tells";

	if (in->file.n && match_any(&in->file, vm, &why)) {
		if (to && in->file.slide)
			fprintf(to, "symbols from %s, KASLR offset %#llx\n", in->source,
				(unsigned long long)in->file.slide);
		else if (to)
			fprintf(to, "symbols from %s\n", in->source);
		return &in->file;
	}
	if (in->file.n && to)
		fprintf(to, "the symbols of %s do not fit this guest: %s\n", in->source, why);
	if (!in->vmcore.len)
		vmcore_find(&in->vmcore, control_mem(vm));
	if (in->vmcore.len && !in->own.n && !kallsyms_load(&in->own, &in->vmcore, control_mem(vm)) &&
	    !match_any(&in->own, vm, &why))
		symbols_free(&in->own);
	if (in->own.n) {
		char release[80];

		if (to)
			fprintf(to, "symbols from the guest's own kallsyms (Linux %s, KASLR offset %#llx)\n",
				vmcore_release(&in->vmcore, release, sizeof(release)),
				(unsigned long long)in->vmcore.slide);
		return &in->own;
	}
	if (to)
		fprintf(to, "no symbols: addresses are as they are%s\n",
			in->file.n ? "" : "; --symbols vmlinux or System.map names them");
	return NULL;
}

bool inspect_moved(struct inspect *in, struct vm *vm, uint64_t *text)
{
	const struct symbols *s = inspect_symbols(in, vm, NULL);

	return s && (s == &in->own ? in->vmcore.slide : s->slide) && symbols_addr(s, "_text", text);
}

/* --- one vCPU ----------------------------------------------------------------------------------- */

struct lines {
	FILE *to;
	const struct symbols *s;
	unsigned n;
};

/* back: a return address may lie behind the end of a function whose last deed was a call; then 1. */
static void print_addr(FILE *to, const struct symbols *s, uint64_t addr, unsigned back)
{
	struct symbol_hit hit;

	if (s && symbols_find(s, addr - back, &hit))
		fprintf(to, "%s+%#llx/%#llx", hit.name, (unsigned long long)hit.off + back,
			(unsigned long long)hit.size);
	else
		fprintf(to, "%#llx%s", (unsigned long long)addr,
			s && addr >= MODULES && addr < MODULES_END ? " (a module)" : "");
}

static void print_line(void *opaque, uint64_t addr, bool sure)
{
	struct lines *l = opaque;

	if (!l->n++)
		fprintf(l->to, "  call trace (?: found on the stack, perhaps left over):\n");
	fprintf(l->to, "   %s ", sure ? " " : "?");
	print_addr(l->to, l->s, addr, 1);
	fprintf(l->to, "\n");
}

static void print_regs(const struct control_regs *r, FILE *to)
{
	static const char *const names[R_GPRS] = { "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp",
						   "r8 ", "r9 ", "r10", "r11", "r12", "r13", "r14", "r15" };

	for (unsigned i = 0; i < R_GPRS; i++)
		fprintf(to, "%s%s %016llx%s", i % 4 ? " " : "  ", names[i], (unsigned long long)r->gpr[i],
			i % 4 == 3 ? "\n" : "");
	fprintf(to, "  rflags %08llx cs %04x ss %04x gs %016llx\n", (unsigned long long)r->rflags,
		r->seg[SEG_CS].sel, r->seg[SEG_SS].sel, (unsigned long long)r->seg[SEG_GS].base);
	fprintf(to, "  cr0 %08llx cr2 %016llx cr3 %016llx cr4 %08llx efer %04llx\n",
		(unsigned long long)r->cr0, (unsigned long long)r->cr2, (unsigned long long)r->cr3,
		(unsigned long long)r->cr4, (unsigned long long)r->efer);
}

/* The instruction's bytes in brackets, what is around it before and behind. */
static void print_code(const struct walk *walk, uint64_t rip, FILE *to)
{
	uint8_t byte;

	fprintf(to, "  code:");
	for (uint64_t at = rip - 16; at != rip + 16; at++) {
		if (walk_read(walk, at, &byte, 1) != 1)
			fprintf(to, at == rip ? " <-->" : " --");
		else
			fprintf(to, at == rip ? " <%02x>" : " %02x", byte);
	}
	fprintf(to, "\n");
}

static void print_cpu(struct vm *vm, unsigned cpu, const struct symbols *s, FILE *to)
{
	static const char *const doing[] = { "running", "halted", "not started", "gone" };
	enum control_mp mp = control_mp(vm, cpu);
	struct lines lines = { .to = to, .s = s };
	struct control_regs regs;
	struct walk walk;
	bool user, wide;

	if (control_regs_get(vm, cpu, &regs)) {
		fprintf(to, "vCPU %u: KVM does not give its registers\n", cpu);
		return;
	}
	if (mp == CONTROL_WAITING) {
		fprintf(to, "vCPU %u: not started by the guest\n", cpu);
		return;
	}
	walk = walk_of(control_mem(vm), &regs);
	user = (regs.seg[SEG_CS].sel & 3) == 3;
	wide = regs.efer & EFER_LMA;
	fprintf(to, "vCPU %u: %s, interrupts %s, %s, at ", cpu, doing[mp],
		regs.rflags & RFLAGS_IF ? "on" : "off",
		user ? "in user space" : wide ? "in the kernel" : "before 64-bit mode");
	print_addr(to, user ? NULL : s, regs.rip, 0);
	fprintf(to, " (rip %#llx)\n", (unsigned long long)regs.rip);
	print_regs(&regs, to);
	print_code(&walk, regs.rip, to);
	if (user || !wide)
		return;
	stack_trace(&walk, &regs, s, print_line, &lines);
	if (!lines.n)
		fprintf(to, "  call trace: nothing that looks like one on the stack\n");
}

void inspect_report(struct inspect *in, struct vm *vm, FILE *to)
{
	const struct symbols *s = inspect_symbols(in, vm, to);

	for (unsigned i = 0; i < control_cpus(vm); i++)
		print_cpu(vm, i, s, to);
}
