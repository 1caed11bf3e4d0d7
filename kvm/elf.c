// SPDX-License-Identifier: GPL-2.0-only
/*
 * elf: loads a 64-bit ELF kernel (vmlinux, or a bare-metal guest) to its physical addresses.
 *
 * With a PVH note it is entered there, in 32-bit mode; without one at e_entry, in 64-bit mode.
 * Nothing in the file is trusted: sums are checked before they are made.
 *
 * Runs on: main
 */
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kvm/load.h"

#define PHDRS_MAX	 128
#define NOTES_MAX	 (64 << 10) /* bytes of notes looked at per segment */
#define NOTE_PVH_ENTRY	 18	    /* XEN_ELFNOTE_PHYS32_ENTRY */
#define ELF_CMDLINE_MAX	 2047	    /* what Linux on x86 takes */

bool elf_is(const uint8_t *head, uint64_t len)
{
	return len >= SELFMAG && !memcmp(head, ELFMAG, SELFMAG);
}

static int check_header(const struct image *img, const Elf64_Ehdr *eh)
{
	if (eh->e_ident[EI_CLASS] != ELFCLASS64)
		return image_refuse(img, "it is a 32-bit ELF file; lkvm loads 64-bit ones");
	if (eh->e_ident[EI_DATA] != ELFDATA2LSB || eh->e_machine != EM_X86_64)
		return image_refuse(img, "it is an ELF file for another machine than x86-64");
	if (eh->e_type != ET_EXEC && eh->e_type != ET_DYN)
		return image_refuse(img, "it is an ELF file, but no executable");
	if (eh->e_phentsize != sizeof(Elf64_Phdr) || !eh->e_phnum || eh->e_phnum > PHDRS_MAX)
		return image_refuse(img, "its ELF program headers make no sense (%u of %u bytes)",
				    eh->e_phnum, eh->e_phentsize);
	return 0;
}

static int load_segment(const struct image *img, struct gmem *mem, const Elf64_Phdr *ph,
			struct kernel *kernel)
{
	unsigned long long gpa = ph->p_paddr, len = ph->p_memsz;
	uint64_t top = ram_low_end(mem);

	if (ph->p_filesz > len)
		return image_refuse(img, "a segment at %#llx is longer in the file than in memory",
				    gpa);
	if (!len)
		return 0;
	if (gpa < KERNEL_MIN)
		return image_refuse(img, "a segment at %#llx lies below 1 MiB, which lkvm fills",
				    gpa);
	if (gpa > UINT64_MAX - len || gpa + len > MAP_HOLE_START)
		return image_refuse(img, "a segment of %#llx bytes at %#llx lies beyond 3 GiB", len,
				    gpa);
	if (gpa + len > top)
		return image_refuse(img,
				    "it does not fit into the guest's RAM. Fix: -m %llu or more",
				    (unsigned long long)ram_needed_mib(gpa + len));
	if (gpa + len > kernel->end)
		kernel->end = gpa + len;
	/* RAM is zero at the start, so that the rest of the segment is as it must be. */
	return image_load(img, ph->p_offset, mem, gpa, ph->p_filesz);
}

/* Finds the PVH entry among the notes; false when it isn't there. */
static bool notes_find_pvh(const uint8_t *notes, uint64_t len, uint64_t *entry)
{
	uint64_t at = 0;

	while (len - at >= sizeof(Elf64_Nhdr)) {
		uint64_t name, desc, next;
		Elf64_Nhdr nh;

		memcpy(&nh, notes + at, sizeof(nh));
		name = at + sizeof(nh);
		/* Both lengths have 32 bits: in 64 the sums can't wrap. */
		desc = name + ((nh.n_namesz + 3ULL) & ~3ULL);
		next = desc + ((nh.n_descsz + 3ULL) & ~3ULL);
		if (desc + nh.n_descsz > len)
			return false;
		if (nh.n_type == NOTE_PVH_ENTRY && nh.n_namesz == 4 &&
		    !memcmp(notes + name, "Xen", 4) && (nh.n_descsz == 4 || nh.n_descsz == 8)) {
			*entry = 0;
			memcpy(entry, notes + desc, nh.n_descsz);
			return true;
		}
		if (next > len)
			return false;
		at = next;
	}
	return false;
}

static int read_notes(const struct image *img, const Elf64_Phdr *ph, bool *found, uint64_t *entry)
{
	uint64_t len = ph->p_filesz < NOTES_MAX ? ph->p_filesz : NOTES_MAX;
	uint8_t *notes;
	int ret;

	if (*found || !ph->p_filesz)
		return 0;
	notes = malloc(len);
	if (!notes)
		return image_refuse(img, "out of memory");
	ret = image_read(img, ph->p_offset, notes, len);
	if (!ret)
		*found = notes_find_pvh(notes, len, entry);
	free(notes);
	return ret;
}

/* The entry must be code that was loaded, not something that happens to be in RAM. */
static bool entry_loaded(const Elf64_Phdr *ph, unsigned n, uint64_t entry)
{
	unsigned i;

	for (i = 0; i < n; i++)
		if (ph[i].p_type == PT_LOAD && entry >= ph[i].p_paddr &&
		    entry - ph[i].p_paddr < ph[i].p_filesz)
			return true;
	return false;
}

int elf_load(const struct image *img, struct gmem *mem, struct kernel *kernel)
{
	Elf64_Phdr ph[PHDRS_MAX] = { 0 };
	uint64_t entry = 0;
	bool pvh = false;
	Elf64_Ehdr eh;
	unsigned i;
	int ret;

	ret = image_read(img, 0, &eh, sizeof(eh));
	if (!ret)
		ret = check_header(img, &eh);
	if (!ret)
		ret = image_read(img, eh.e_phoff, ph, eh.e_phnum * sizeof(ph[0]));
	if (ret < 0)
		return ret;
	for (i = 0; i < eh.e_phnum && !ret; i++) {
		if (ph[i].p_type == PT_LOAD)
			ret = load_segment(img, mem, &ph[i], kernel);
		else if (ph[i].p_type == PT_NOTE)
			ret = read_notes(img, &ph[i], &pvh, &entry);
	}
	if (ret < 0)
		return ret;
	if (!pvh)
		entry = eh.e_entry;
	if (!entry_loaded(ph, eh.e_phnum, entry))
		return image_refuse(img, "its entry %#llx lies in none of its segments",
				    (unsigned long long)entry);
	kernel->entry.mode = pvh ? VM_ENTRY_PVH : VM_ENTRY_LONG;
	kernel->entry.rip = entry;
	kernel->cmdline_max = ELF_CMDLINE_MAX;
	kernel->initrd_max = MAP_HOLE_START - 1;
	return 0;
}
