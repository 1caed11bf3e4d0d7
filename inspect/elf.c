// SPDX-License-Identifier: GPL-2.0-only
/*
 * elf: the symbol table of an ELF file. A file of the user's, but no less checked: only the tables are
 * read, each with its bounds.
 *
 * Runs on: main
 */
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "inspect/symbols.h"
#include "lkvm/log.h"

#define SECTIONS_MAX 65536
#define TABLE_MAX    (512ULL << 20)

struct file {
	int fd;
	const Elf64_Shdr *section;
	unsigned n;
};

/* len bytes at off, malloc'ed with a zero behind them. NULL: not there, or too much. */
static void *get(int fd, uint64_t off, uint64_t len)
{
	char *buf = len && len <= TABLE_MAX && off < INT64_MAX ? malloc(len + 1) : NULL;
	uint64_t done = 0;

	while (buf && done < len) {
		ssize_t n = pread(fd, buf + done, len - done, (off_t)(off + done));

		if (n <= 0) {
			free(buf);
			return NULL;
		}
		done += (uint64_t)n;
	}
	if (buf)
		buf[len] = '\0';
	return buf;
}

static char type_of(const struct file *f, const Elf64_Sym *sym)
{
	bool local = ELF64_ST_BIND(sym->st_info) == STB_LOCAL;
	unsigned kind = ELF64_ST_TYPE(sym->st_info);
	uint64_t flags = 0;

	if (sym->st_shndx == SHN_ABS)
		return local ? 'a' : 'A';
	if (sym->st_shndx && sym->st_shndx < f->n)
		flags = f->section[sym->st_shndx].sh_flags;
	if (kind == STT_FUNC || flags & SHF_EXECINSTR)
		return local ? 't' : 'T';
	return local ? 'd' : 'D';
}

/* The bytes the file has for an address, from the section that holds it. */
static size_t content(const struct file *f, uint64_t addr, void *dst, size_t len)
{
	for (unsigned i = 0; i < f->n; i++) {
		const Elf64_Shdr *sec = &f->section[i];
		uint64_t off = addr - sec->sh_addr;
		ssize_t n;

		if (!(sec->sh_flags & SHF_ALLOC) || sec->sh_type == SHT_NOBITS || off >= sec->sh_size)
			continue;
		if (len > sec->sh_size - off)
			len = sec->sh_size - off;
		n = pread(f->fd, dst, len, (off_t)(sec->sh_offset + off));
		return n < 0 ? 0 : (size_t)n;
	}
	return 0;
}

static int add_all(struct symbols *s, const struct file *f, const Elf64_Shdr *table,
		   const Elf64_Shdr *strings)
{
	Elf64_Sym *sym = get(f->fd, table->sh_offset, table->sh_size);
	char *text = get(f->fd, strings->sh_offset, strings->sh_size);
	int err = sym && text ? 0 : -EINVAL;

	for (uint64_t i = 0; !err && i < table->sh_size / sizeof(*sym); i++) {
		unsigned kind = ELF64_ST_TYPE(sym[i].st_info);
		const char *name = text + sym[i].st_name;

		if (sym[i].st_name >= strings->sh_size || !*name || kind == STT_FILE ||
		    kind == STT_SECTION || sym[i].st_shndx == SHN_UNDEF)
			continue;
		err = symbols_add(s, sym[i].st_value, type_of(f, &sym[i]), name, strlen(name));
	}
	free(sym);
	free(text);
	return err;
}

/* What tells this kernel from others: Linux's banner, or else the code at a function of its own. */
static void samples(struct symbols *s, const struct file *f, uint64_t entry)
{
	uint64_t at;

	s->sample_at = entry;
	if (symbols_addr(s, "linux_banner", &at))
		s->banner[content(f, at, s->banner, sizeof(s->banner) - 1)] = '\0';
	/* Of code that is not entered any more little else may be left: the first function counts. */
	if (symbols_addr(s, "main", &at))
		s->sample_at = at;
	s->sample_len = content(f, s->sample_at, s->sample, sizeof(s->sample));
}

int elf_symbols(struct symbols *s, int fd, const char *path, bool quiet)
{
	struct file f = { .fd = fd };
	Elf64_Shdr *section = NULL;
	const char *what = "not a 64-bit ELF file for x86-64";
	Elf64_Ehdr head;
	int err = -EINVAL;

	if (pread(fd, &head, sizeof(head), 0) != sizeof(head) || head.e_ident[EI_CLASS] != ELFCLASS64 ||
	    head.e_machine != EM_X86_64)
		goto out_say;
	err = -ENOENT;
	what = "it has no symbol table (was it stripped?)";
	if (head.e_shentsize != sizeof(*section) || !head.e_shnum)
		goto out_say;
	section = get(fd, head.e_shoff, (uint64_t)head.e_shnum * sizeof(*section));
	if (!section)
		goto out_say;
	f.section = section;
	f.n = head.e_shnum;
	for (unsigned i = 0; i < f.n; i++) {
		if (section[i].sh_type != SHT_SYMTAB || section[i].sh_link >= f.n)
			continue;
		err = add_all(s, &f, &section[i], &section[section[i].sh_link]);
		what = err == -EINVAL ? "its symbol table is cut off" : strerror(-err);
		break;
	}
	if (!err && s->n)
		samples(s, &f, head.e_entry);
	if (!err && !s->n)
		err = -ENOENT;
out_say:
	if (err && !quiet)
		log_err(NULL, "%s: %s", path, what);
	free(section);
	return err;
}
