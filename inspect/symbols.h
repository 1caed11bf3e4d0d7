/* SPDX-License-Identifier: GPL-2.0-only */
/* symbols.h: names for addresses, from a file or out of the guest. */
#pragma once

#include "lkvm/inspect.h"

#define SYMBOLS_MAX   (4U << 20)
#define SYMBOL_LENGTH 512
#define SYMBOL_NAMES_MAX (64U << 20) /* bytes of all names; they may be the guest's choice */

struct symbol {
	uint64_t addr;
	uint32_t name; /* in names */
	char type;     /* as nm writes it */
};

struct symbols {
	struct symbol *sym;
	size_t n, max;
	char *names;
	size_t names_len, names_max;
	uint64_t slide;	  /* what to add to each addr: KASLR */
	char banner[512]; /* linux_banner as the file has it; empty: not known */
	/* What the file says is at an address, to compare when there is no banner. */
	uint64_t sample_at;
	uint8_t sample[64];
	size_t sample_len;
};

struct symbol_hit {
	const char *name;
	uint64_t off, size; /* into it, and its length as far as the next symbol tells */
};

int symbols_add(struct symbols *s, uint64_t addr, char type, const char *name, size_t len);
void symbols_sort(struct symbols *s);
void symbols_free(struct symbols *s);
/* vmlinux or System.map, by looking. 0 or -errno, logged; quiet: -ENOENT when there are no symbols. */
int symbols_load(struct symbols *s, const char *path, bool quiet);
/* The nearest text symbol at or below a guest address. */
bool symbols_find(const struct symbols *s, uint64_t addr, struct symbol_hit *hit);
bool symbols_addr(const struct symbols *s, const char *name, uint64_t *addr); /* slid */
/*
 * Finds the slide and checks that these are the guest's symbols; why says what is wrong. release: the
 * guest's, to compare with the banner, or NULL.
 */
bool symbols_match(struct symbols *s, const struct walk *walk, uint64_t lstar, const char **why);

/* --- elf.c */
int elf_symbols(struct symbols *s, int fd, const char *path, bool quiet);

/* --- vmcore.c: VMCOREINFO, with which Linux describes itself to makedumpfile and crash */
struct vmcore {
	char text[4096]; /* lines; empty: not found */
	size_t len;
	uint64_t slide, phys_base;
};

/* Searches RAM for at most a few seconds. */
bool vmcore_find(struct vmcore *v, const struct gmem *mem);
bool vmcore_hex(const struct vmcore *v, const char *key, uint64_t *val); /* "SYMBOL(_stext)" */
const char *vmcore_release(const struct vmcore *v, char *buf, size_t len);
/* The next stretch of a region, from *from on, that holds anything. */
bool vmcore_next_data(const struct gmem_region *r, uint64_t *from, uint64_t *to);
/* The kernel's own symbol table. 0 or -errno. */
int kallsyms_load(struct symbols *s, const struct vmcore *v, const struct gmem *mem);

/* --- orc.c: the kernel's own unwind tables */
struct orc {
	const struct walk *walk;
	uint64_t ips, entries, n;
	unsigned layout; /* of an entry, by the kernel's version */
};

struct orc_frame {
	uint64_t ip, sp, bp;
	bool exact; /* ip is where it was interrupted, not where a call returns to */
	const uint64_t *gpr; /* the vCPU's, in its own frame; else NULL */
	uint64_t regs;	     /* all of them, pushed when it was interrupted; 0: they weren't */
};

enum orc_step { ORC_FRAME, ORC_END, ORC_LOST };

/* False: none, or of a kernel whose tables are not known. */
bool orc_open(struct orc *orc, const struct walk *walk, const struct symbols *s);
/* From a frame to its caller's. LOST: the tables don't say; f's sp is as far as it got. */
enum orc_step orc_next(const struct orc *orc, struct orc_frame *f);

/* --- stack.c */
typedef void stack_line(void *opaque, uint64_t addr, bool sure);
/* Calls line for what looks like return addresses, the surest first where there are frame pointers. */
void stack_trace(const struct walk *walk, const struct control_regs *regs, const struct symbols *s,
		 stack_line *line, void *opaque);
