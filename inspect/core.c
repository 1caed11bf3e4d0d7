// SPDX-License-Identifier: GPL-2.0-only
/*
 * core: the guest as an ELF core file: RAM by physical address, and by virtual where that is known, the
 * registers of each vCPU as a thread's, and VMCOREINFO, which tells crash the rest.
 *
 * The file is sparse: what the memory file has no pages for, and pages of zeroes, are holes.
 *
 * Runs on: main
 */
#define _FILE_OFFSET_BITS 64
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/procfs.h>
#include <sys/user.h>
#include <unistd.h>

#include "inspect/inspect_priv.h"
#include "lkvm/log.h"

#define PAGE		 4096ULL
#define START_KERNEL_MAP 0xffffffff80000000ULL
#define KERNEL_IMAGE	 (1ULL << 30)
#define STACK_PAGES	 4 /* Linux's: of 16 KiB, and aligned so */
#define LOADS_MAX	 (GMEM_REGIONS + 1 + VM_CPUS_MAX * STACK_PAGES)
#define EFER_LMA	 (1U << 10)

/* The kernel's layout of a thread's note; ours comes from the same headers gdb was built with. */
_Static_assert(sizeof(struct elf_prstatus) == 336 && offsetof(struct elf_prstatus, pr_reg) == 112 &&
	       sizeof(struct user_regs_struct) == 216, "prstatus");

struct core {
	const char *path;
	int fd;
	const struct gmem *mem;
	uint8_t *notes;
	size_t notes_len, notes_max;
	Elf64_Phdr load[LOADS_MAX];
	unsigned loads;
};

static int put(const struct core *c, const void *src, size_t len, uint64_t off)
{
	const uint8_t *from = src;

	while (len) {
		ssize_t n = pwrite(c->fd, from, len, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		from += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

/* --- notes -------------------------------------------------------------------------------------- */

/* Name and content are each filled up to four bytes; notes_max has room for all, see notes_open(). */
static void note(struct core *c, const char *name, uint32_t type, const void *desc, size_t len)
{
	Elf64_Nhdr head = { .n_namesz = (uint32_t)strlen(name) + 1, .n_descsz = (uint32_t)len, .n_type = type };
	size_t name_room = (head.n_namesz + 3U) & ~3U, room = sizeof(head) + name_room + ((len + 3) & ~3UL);

	if (room > c->notes_max - c->notes_len)
		return;
	memcpy(c->notes + c->notes_len, &head, sizeof(head));
	memcpy(c->notes + c->notes_len + sizeof(head), name, head.n_namesz);
	memcpy(c->notes + c->notes_len + sizeof(head) + name_room, desc, len);
	c->notes_len += room;
}

static void note_cpu(struct core *c, unsigned cpu, const struct control_regs *r)
{
	struct elf_prstatus status = { .pr_pid = (int)cpu + 1 };
	struct user_regs_struct u = {
		.rax = r->gpr[R_AX], .rbx = r->gpr[R_BX], .rcx = r->gpr[R_CX], .rdx = r->gpr[R_DX],
		.rsi = r->gpr[R_SI], .rdi = r->gpr[R_DI], .rbp = r->gpr[R_BP], .rsp = r->gpr[R_SP],
		.r8 = r->gpr[8], .r9 = r->gpr[9], .r10 = r->gpr[10], .r11 = r->gpr[11],
		.r12 = r->gpr[12], .r13 = r->gpr[13], .r14 = r->gpr[14], .r15 = r->gpr[15],
		.orig_rax = ~0ULL, .rip = r->rip, .eflags = r->rflags,
		.cs = r->seg[SEG_CS].sel, .ss = r->seg[SEG_SS].sel, .ds = r->seg[SEG_DS].sel,
		.es = r->seg[SEG_ES].sel, .fs = r->seg[SEG_FS].sel, .gs = r->seg[SEG_GS].sel,
		.fs_base = r->seg[SEG_FS].base, .gs_base = r->seg[SEG_GS].base,
	};

	memcpy(&status.pr_reg, &u, sizeof(u));
	note(c, "CORE", NT_PRSTATUS, &status, sizeof(status));
}

static int notes_open(struct core *c, const struct inspect *in, struct vm *vm)
{
	struct control_regs regs;

	c->notes_max = control_cpus(vm) * (sizeof(struct elf_prstatus) + 64) + in->vmcore.len + 64;
	c->notes = calloc(1, c->notes_max);
	if (!c->notes)
		return -ENOMEM;
	for (unsigned i = 0; i < control_cpus(vm); i++)
		if (!control_regs_get(vm, i, &regs))
			note_cpu(c, i, &regs);
	if (in->vmcore.len)
		note(c, "VMCOREINFO", 0, in->vmcore.text, in->vmcore.len);
	return 0;
}

/* --- where RAM lies in virtual memory ----------------------------------------------------------- */

/* All of Linux's RAM is mapped from here on; checked against the tables before it is believed. */
static uint64_t direct_map(struct inspect *in, struct vm *vm)
{
	const struct symbols *s = inspect_symbols(in, vm, NULL);
	struct control_regs regs;
	struct walk_page page;
	uint64_t at, base = 0;

	if (!s || !symbols_addr(s, "page_offset_base", &at))
		return 0;
	for (unsigned i = 0; i < control_cpus(vm); i++) {
		struct walk walk;

		if (control_regs_get(vm, i, &regs) || !(regs.efer & EFER_LMA))
			continue;
		walk = walk_of(control_mem(vm), &regs);
		walk.cr3 &= ~0x1000ULL;
		if (walk_read(&walk, at, &base, sizeof(base)) == sizeof(base) &&
		    walk_page(&walk, base + 0x10000, &page) && page.gpa == 0x10000)
			return base;
	}
	return 0;
}

/* One more mapping of RAM, as far as its region goes: the same bytes of the file. The regions' loads come first. */
static void load_again(struct core *c, uint64_t va, uint64_t gpa, uint64_t len)
{
	for (unsigned i = 0; i < c->mem->n; i++) {
		uint64_t off = gpa - c->load[i].p_paddr;

		if (off >= c->load[i].p_memsz)
			continue;
		if (len > c->load[i].p_memsz - off)
			len = c->load[i].p_memsz - off;
		c->load[c->loads++] = (Elf64_Phdr){ .p_type = PT_LOAD, .p_flags = PF_R | PF_W | PF_X,
						    .p_offset = c->load[i].p_offset + off, .p_vaddr = va,
						    .p_paddr = gpa, .p_filesz = len, .p_memsz = len };
		return;
	}
}

/*
 * The kernel's image has a second mapping, which is what its symbols mean.
 * p_align is 0 for all, as in a kdump: crash tells by it that VMCOREINFO, and so KASLR's offset, is there.
 */
static void load_image(struct core *c, const struct vmcore *v)
{
	uint64_t gpa, va, len = KERNEL_IMAGE;

	if (!v->len || !vmcore_hex(v, "SYMBOL(_stext)", &va) || va < START_KERNEL_MAP)
		return;
	va &= ~(PAGE - 1);
	gpa = va - START_KERNEL_MAP + v->phys_base;
	load_again(c, va, gpa, len < -va ? len : -va);
}

static const Elf64_Phdr *load_of(const struct core *c, uint64_t va)
{
	for (unsigned i = 0; i < c->loads; i++)
		if (va - c->load[i].p_vaddr < c->load[i].p_memsz)
			return &c->load[i];
	return NULL;
}

/* The stacks are in neither mapping (VMAP_STACK). crash walks the tables; gdb has only what is here. */
static void load_stack(struct core *c, struct vm *vm, unsigned cpu)
{
	struct control_regs regs;
	struct walk_page page;
	struct walk walk;
	uint64_t va;

	if (control_regs_get(vm, cpu, &regs) || !(regs.efer & EFER_LMA))
		return;
	walk = walk_of(control_mem(vm), &regs);
	va = regs.gpr[R_SP] & ~(STACK_PAGES * PAGE - 1);
	for (unsigned i = 0; i < STACK_PAGES; i++, va += PAGE)
		if (!load_of(c, va) && walk_page(&walk, va, &page))
			load_again(c, va, page.gpa & ~(PAGE - 1), PAGE);
}

static void loads_plan(struct core *c, struct inspect *in, struct vm *vm, uint64_t off)
{
	uint64_t base = direct_map(in, vm);

	for (unsigned i = 0; i < c->mem->n; i++) {
		const struct gmem_region *r = &c->mem->region[i];

		c->load[c->loads++] = (Elf64_Phdr){ .p_type = PT_LOAD, .p_flags = PF_R | PF_W | PF_X,
						    .p_offset = off, .p_vaddr = base + r->gpa,
						    .p_paddr = r->gpa, .p_filesz = r->len,
						    .p_memsz = r->len };
		off += r->len;
	}
	load_image(c, &in->vmcore);
	for (unsigned i = 0; i < control_cpus(vm); i++)
		load_stack(c, vm, i);
}

/* --- RAM ---------------------------------------------------------------------------------------- */

static bool is_zero(const uint8_t *page)
{
	return !page[0] && !memcmp(page, page + 1, PAGE - 1);
}

/* One stretch without holes: runs of pages that aren't zero, each in one write. */
static int put_data(const struct core *c, const uint8_t *hva, uint64_t len, uint64_t off)
{
	uint64_t at = 0, from;
	int err = 0;

	while (at < len && !err) {
		while (at < len && is_zero(hva + at))
			at += PAGE;
		for (from = at; at < len && at - from < (4U << 20) && !is_zero(hva + at); at += PAGE)
			;
		err = put(c, hva + from, at - from, off + from);
	}
	return err;
}

static int put_region(const struct core *c, const struct gmem_region *r, uint64_t off)
{
	uint64_t from = 0, to;
	int err = 0;

	for (; !err && vmcore_next_data(r, &from, &to); from = to) {
		from &= ~(PAGE - 1);
		to = (to + PAGE - 1) & ~(PAGE - 1);
		err = put_data(c, r->hva + from, to - from, off + from);
	}
	return err;
}

static int put_head(const struct core *c)
{
	Elf64_Ehdr head = {
		.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
		.e_type = ET_CORE, .e_machine = EM_X86_64, .e_version = EV_CURRENT,
		.e_phoff = sizeof(head), .e_ehsize = sizeof(head), .e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = (Elf64_Half)(1 + c->loads),
	};
	Elf64_Phdr notes = { .p_type = PT_NOTE, .p_offset = sizeof(head) + (1 + LOADS_MAX) * sizeof(notes),
			     .p_filesz = c->notes_len, .p_memsz = c->notes_len, .p_align = 4 };
	int err = put(c, &head, sizeof(head), 0);

	if (!err)
		err = put(c, &notes, sizeof(notes), sizeof(head));
	if (!err)
		err = put(c, c->load, c->loads * sizeof(c->load[0]), sizeof(head) + sizeof(notes));
	return err ? err : put(c, c->notes, c->notes_len, notes.p_offset);
}

int inspect_dump(struct inspect *in, struct vm *vm, const char *path)
{
	struct core c = { .path = path, .fd = -1, .mem = control_mem(vm) };
	uint64_t off = sizeof(Elf64_Ehdr) + (1 + LOADS_MAX) * sizeof(Elf64_Phdr);
	int err;

	/* A guest's memory is nobody else's business. */
	c.fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (c.fd < 0) {
		err = -errno;
		goto out_say;
	}
	if (!in->vmcore.len)
		vmcore_find(&in->vmcore, c.mem);
	err = notes_open(&c, in, vm);
	if (err)
		goto out_close;
	off = (off + c.notes_len + PAGE - 1) & ~(PAGE - 1);
	loads_plan(&c, in, vm, off);
	/* The length first: what is never written is a hole. */
	if (ftruncate(c.fd, (off_t)(off + gmem_size(c.mem))) < 0)
		err = -errno;
	for (unsigned i = 0; i < c.mem->n && !err; i++)
		err = put_region(&c, &c.mem->region[i], c.load[i].p_offset);
	if (!err)
		err = put_head(&c);
	free(c.notes);
out_close:
	if (close(c.fd) < 0 && !err)
		err = -errno;
out_say:
	if (err)
		log_err(NULL, "cannot write the dump %s: %s", path, strerror(-err));
	return err;
}
