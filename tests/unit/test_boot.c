// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loading kernels: made-up bzImages and ELF files, good ones, cut ones, and ones whose headers lie.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kvm/load.h"
#include "lkvm/hw.h"
#include "tap.h"

#define RAM (64ULL << 20)

/* --- bzImage: two sectors of set-up, then the kernel proper */
#define SETUP_LEN 1024
#define CODE_LEN  4096
#define BZ_LEN	  (SETUP_LEN + CODE_LEN)
#define PREF	  0x1000000

static char dir[] = "/tmp/lkvm-boot-XXXXXX";
static struct gmem mem;
static struct vm_entry entry;
static struct boot_conf conf = {
	.cpus = 1,
	.windows = {
		.ecam = MAP_ECAM, .mem32 = MAP_PCI_MEM32, .mem32_len = MAP_PCI_MEM32_LEN,
		.io = MAP_PCI_IO, .io_len = MAP_PCI_IO_LEN, .intx_gsi = { 16, 17, 18, 19 },
	},
};

static const char *in_dir(const char *name)
{
	static char path[2][64];
	static unsigned turn;

	turn = !turn;
	snprintf(path[turn], sizeof(path[turn]), "%s/%s", dir, name);
	return path[turn];
}

static const char *write_file(const char *name, const void *bytes, size_t len)
{
	const char *path = in_dir(name);
	FILE *f;

	unlink(path); /* a truncated file would be written to disk as it is closed */
	f = fopen(path, "w");
	if (!f || (len && fwrite(bytes, 1, len, f) != len) || fclose(f))
		exit(1);
	return path;
}

static unsigned loads, unclear; /* refusals that were not said in exactly one line */

/* The lines boot_load() wrote to stderr, which is a file meanwhile. */
static unsigned lines_of(int fd)
{
	char text[1024];
	ssize_t len = pread(fd, text, sizeof(text), 0);
	unsigned n = 0;

	while (len > 0)
		n += text[--len] == '\n';
	return n;
}

static int load_quietly(void)
{
	int log = memfd_create("log", MFD_CLOEXEC), err = dup(2), ret;

	fflush(stderr);
	dup2(log, 2);
	ret = boot_load(&conf, &mem, &entry);
	fflush(stderr);
	dup2(err, 2);
	close(err);
	loads++;
	unclear += lines_of(log) != (ret < 0);
	close(log);
	return ret;
}

/* boot_load of this kernel into fresh RAM. */
static int load_as(const char *kernel, const char *initrd, const char *cmdline)
{
	/* Where anything is loaded, as if the guest were new. */
	memset(gmem_ptr(&mem, 0, 0x220000), 0, 0x220000);
	memset(gmem_ptr(&mem, PREF, CODE_LEN), 0, CODE_LEN);
	memset(&entry, 0xee, sizeof(entry));
	conf.kernel = kernel;
	conf.initrd = initrd;
	conf.cmdline = cmdline;
	return load_quietly();
}

static int load(const void *bytes, size_t len)
{
	return load_as(write_file("kernel", bytes, len), NULL, "");
}

static uint8_t bz[BZ_LEN];
static struct setup_header *hdr = (struct setup_header *)(bz + 0x1f1);

static void bz_make(void)
{
	memset(bz, 0x11, sizeof(bz));
	memset(bz, 0, SETUP_LEN);
	*hdr = (struct setup_header){
		.setup_sects = 1,
		.boot_flag = 0xaa55,
		.header = 0x53726448,
		.version = 0x020f,
		.jump = 0x6aeb, /* over the header, to 0x26c */
		.loadflags = LOADED_HIGH,
		.syssize = CODE_LEN / 16,
		.initrd_addr_max = 0x7fffffff,
		.kernel_alignment = 0x200000,
		.relocatable_kernel = 1,
		.xloadflags = XLF_KERNEL_64,
		.cmdline_size = 255,
		.pref_address = PREF,
		.init_size = 0x100000,
		.setup_data = 0x1234567,
	};
}

static struct boot_params zero_page(void)
{
	struct boot_params bp;

	gmem_read(&mem, LOW_ZERO_PAGE, &bp, sizeof(bp));
	return bp;
}

static void test_bzimage(void)
{
	static uint8_t initrd[10000];
	struct boot_params bp;
	char text[64] = "";

	bz_make();
	memset(initrd, 0x22, sizeof(initrd));
	write_file("kernel", bz, BZ_LEN);
	write_file("initrd", initrd, sizeof(initrd));
	is(load_as(in_dir("kernel"), in_dir("initrd"), "console=ttyS0"), 0, "a bzImage is loaded");
	is(entry.mode, VM_ENTRY_LONG, "for the 64-bit entry");
	is(entry.rip, PREF + 0x200, "where it prefers to be");
	is(entry.arg, LOW_ZERO_PAGE, "with its parameters' address");
	ok(!memcmp(gmem_ptr(&mem, PREF, CODE_LEN), bz + SETUP_LEN, CODE_LEN), "all of it");
	bp = zero_page();
	is(bp.hdr.type_of_loader, 0xff, "a loader of no name");
	is(bp.hdr.header, 0x53726448, "the header is the file's");
	is(bp.hdr.init_size, 0x100000, "with all of its fields");
	is(bp.hdr.setup_data, 0, "but those that are the loader's");
	gmem_read(&mem, bp.hdr.cmd_line_ptr, text, 14);
	is_str(text, "console=ttyS0", "the command line is where it says");
	is(bp.hdr.ramdisk_size, sizeof(initrd), "the initrd has its length");
	is(bp.hdr.ramdisk_image, (RAM - sizeof(initrd)) & ~4095ULL, "and lies as high as it may");
	ok(!memcmp(gmem_ptr(&mem, bp.hdr.ramdisk_image, sizeof(initrd)), initrd, sizeof(initrd)),
	   "all of it");
	ok(!memcmp(gmem_ptr(&mem, bp.acpi_rsdp_addr, 8), "RSD PTR ", 8), "ACPI's root is named");

	hdr->initrd_addr_max = PREF + 0x17ffff;
	write_file("kernel", bz, BZ_LEN);
	is(load_as(in_dir("kernel"), in_dir("initrd"), ""), 0,
	   "a kernel that wants its initrd low");
	bp = zero_page();
	ok(bp.hdr.ramdisk_image + sizeof(initrd) <= PREF + 0x180000, "has it low");
	hdr->initrd_addr_max = PREF + 0x100fff;
	write_file("kernel", bz, BZ_LEN);
	is(load_as(in_dir("kernel"), in_dir("initrd"), ""), -ENOSPC,
	   "one that has no room between the two is refused");
}

/* Field by field, what a file may say that can't be. */
static void test_bzimage_lies(void)
{
#define LIE(field, value, what)                                                                    \
	do {                                                                                       \
		bz_make();                                                                         \
		hdr->field = value;                                                                \
		ok(load(bz, BZ_LEN) < 0, "refused: " what);                                        \
	} while (0)

	LIE(version, 0x020b, "boot protocol 2.11");
	LIE(xloadflags, 0, "no 64-bit entry");
	LIE(loadflags, 0, "a zImage");
	LIE(setup_sects, 255, "more set-up than file");
	LIE(syssize, CODE_LEN / 16 + 1, "a paragraph more than the file has");
	LIE(syssize, 0xffffffff, "64 GiB more than the file has");
	LIE(syssize, 0, "no code");
	LIE(syssize, 0x20, "code that ends before the entry");
	LIE(pref_address, 0, "a wish to be at 0");
	LIE(pref_address, 0xff000, "a wish to be below 1 MiB");
	LIE(pref_address, RAM, "a wish to be behind RAM");
	LIE(pref_address, RAM - CODE_LEN, "an end behind RAM");
	LIE(pref_address, MAP_HOLE_START - 1, "a wish to be in the hole");
	LIE(pref_address, ~0ULL, "a wish to be at the end of everything");
	LIE(pref_address, ~0ULL - 0xfffff, "a wish whose sum wraps to 0");
	LIE(init_size, RAM, "a need for more than RAM");
	LIE(init_size, 0xffffffff, "a need for 4 GiB");
#undef LIE
	bz_make();
	hdr->cmdline_size = 0xffffffff;
	is(load(bz, BZ_LEN), 0, "a huge command line's promise is no harm");
	hdr->initrd_addr_max = 0;
	is(load_as(write_file("kernel", bz, BZ_LEN), write_file("initrd", "x", 1), ""), -ENOSPC,
	   "no room for an initrd at all");
	bz_make();
	hdr->init_size = 0;
	is(load(bz, BZ_LEN), 0, "no need told is the file's length");
	hdr->syssize = CODE_LEN / 16 - 8;
	is(load(bz, BZ_LEN), 0, "what follows the kernel (a signature) is no harm");
	hdr->syssize = CODE_LEN / 16;
	is(load(bz, BZ_LEN - 15), 0, "the last paragraph may be cut");
}

static void test_bzimage_cut(void)
{
	unsigned len, loaded = 0;

	bz_make();
	/* Each length up to the header's end, then strides. */
	for (len = 0; len <= BZ_LEN - 16; len += len < 0x300 ? 1 : 61)
		loaded += load(bz, len) == 0;
	is(loaded, 0, "a bzImage cut anywhere is refused");
	/* A header that ends early leaves the later fields at zero, which is no place to be. */
	hdr->jump = 0x00eb;
	ok(load(bz, BZ_LEN) < 0, "so is one whose header ends before its fields");
}

static void test_cmdline(void)
{
	char text[257];

	memset(text, 'a', sizeof(text));
	text[255] = '\0';
	bz_make();
	write_file("kernel", bz, BZ_LEN);
	is(load_as(in_dir("kernel"), NULL, text), 0, "a command line as long as the kernel takes");
	text[255] = 'a';
	text[256] = '\0';
	is(load_as(in_dir("kernel"), NULL, text), -E2BIG, "one more is too long");
}

/* --- ELF: header, two program headers, a note, code */
struct elf_file {
	Elf64_Ehdr eh;
	Elf64_Phdr ph[2];
	struct {
		Elf64_Nhdr nh;
		char name[4];
		uint32_t entry;
	} note;
	uint8_t code[256];
	uint8_t end[];
};

static struct elf_file elf;

#define ELF_LEN offsetof(struct elf_file, end)

#define ELF_AT 0x200000

static void elf_make(void)
{
	memset(&elf, 0x33, sizeof(elf));
	elf.eh = (Elf64_Ehdr){
		.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
		.e_type = ET_EXEC,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_entry = ELF_AT + 0x10,
		.e_phoff = offsetof(struct elf_file, ph),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 2,
	};
	elf.ph[0] = (Elf64_Phdr){
		.p_type = PT_LOAD,
		.p_offset = offsetof(struct elf_file, code),
		.p_vaddr = 0xffffffff80200000,
		.p_paddr = ELF_AT,
		.p_filesz = sizeof(elf.code),
		.p_memsz = 0x10000,
	};
	elf.ph[1] = (Elf64_Phdr){
		.p_type = PT_NOTE,
		.p_offset = offsetof(struct elf_file, note),
		.p_filesz = sizeof(elf.note),
	};
	elf.note.nh = (Elf64_Nhdr){ .n_namesz = 4, .n_descsz = 4, .n_type = 18 };
	memcpy(elf.note.name, "Xen", 4);
	elf.note.entry = ELF_AT + 0x20;
}

static int elf_load_it(void)
{
	return load(&elf, ELF_LEN);
}

static void test_elf(void)
{
	struct {
		uint32_t magic, version, flags, modules;
		uint64_t modlist, cmdline, rsdp, memmap;
	} info;
	uint64_t module[2];
	struct boot_params bp;
	char text[8] = "";

	elf_make();
	write_file("kernel", &elf, ELF_LEN);
	write_file("initrd", "abc", 3);
	is(load_as(in_dir("kernel"), in_dir("initrd"), "quiet"), 0,
	   "an ELF file with a PVH note is loaded");
	is(entry.mode, VM_ENTRY_PVH, "for PVH");
	is(entry.rip, ELF_AT + 0x20, "at the note's entry");
	ok(!memcmp(gmem_ptr(&mem, ELF_AT, 256), elf.code, 256), "its segment is in memory");
	is(*(uint8_t *)gmem_ptr(&mem, ELF_AT + 256, 1), 0, "and zero after the file's part");
	gmem_read(&mem, entry.arg, &info, sizeof(info));
	is(info.magic, 0x336ec578, "its information has the magic number");
	is(info.version, 1, "and is of version 1");
	gmem_read(&mem, info.cmdline, text, 6);
	is_str(text, "quiet", "the command line is where it says");
	is(info.modules, 1, "one module");
	gmem_read(&mem, info.modlist, module, sizeof(module));
	is(module[1], 3, "of the initrd's length");
	ok(!memcmp(gmem_ptr(&mem, module[0], 3), "abc", 3), "the initrd is where it says");
	ok(!memcmp(gmem_ptr(&mem, info.rsdp, 8), "RSD PTR ", 8), "ACPI's root is named");

	elf.eh.e_phnum = 1;
	write_file("kernel", &elf, ELF_LEN);
	is(load_as(in_dir("kernel"), NULL, ""), 0, "without a note");
	is(entry.mode, VM_ENTRY_LONG, "it is entered in 64-bit mode");
	is(entry.rip, ELF_AT + 0x10, "at its own entry");
	bp = zero_page();
	is(bp.hdr.header, 0x53726448, "with boot_params");
	is(bp.hdr.ramdisk_size, 0, "and no initrd");
}

static void test_elf_lies(void)
{
	static const uint32_t low[] = { LOW_ZERO_PAGE, MAP_ACPI, KERNEL_MIN - 1 };
	unsigned i;

#define LIE(field, value, what)                                                                    \
	do {                                                                                       \
		elf_make();                                                                        \
		elf.field = value;                                                                 \
		ok(elf_load_it() < 0, "refused: " what);                                           \
	} while (0)

	LIE(eh.e_ident[EI_CLASS], ELFCLASS32, "32-bit ELF");
	LIE(eh.e_ident[EI_DATA], ELFDATA2MSB, "big-endian ELF");
	LIE(eh.e_machine, EM_AARCH64, "another machine");
	LIE(eh.e_type, ET_REL, "an object file");
	LIE(eh.e_phentsize, 32, "program headers of another size");
	LIE(eh.e_phnum, 0, "no program headers");
	LIE(eh.e_phnum, 0xffff, "65535 program headers");
	LIE(eh.e_phoff, ELF_LEN, "program headers behind the end");
	LIE(eh.e_phoff, ~0ULL - 8, "program headers whose sum wraps");
	LIE(ph[0].p_offset, ELF_LEN - 255, "a segment over the file's end");
	LIE(ph[0].p_offset, ~0ULL - 15, "a segment whose sum wraps");
	LIE(ph[0].p_filesz, 0x10001, "more in the file than in memory");
	LIE(ph[0].p_memsz, RAM, "more in memory than RAM");
	LIE(ph[0].p_memsz, ~0ULL, "a length that wraps");
	LIE(ph[0].p_paddr, RAM - 0xffff, "an end one byte behind RAM");
	LIE(ph[0].p_paddr, MAP_HOLE_START, "a segment in the hole");
	LIE(ph[0].p_paddr, ~0ULL - 0xffff, "an address that wraps");
	LIE(ph[0].p_type, PT_NULL, "nothing to load");
	LIE(ph[1].p_offset, ELF_LEN, "notes behind the end");
	LIE(note.entry, ELF_AT - 1, "an entry before the segment");
	LIE(note.entry, ELF_AT + 256, "an entry behind the file's part");
	LIE(note.entry, 0, "an entry at 0");
#undef LIE
	/* These have their entry in them, so that nothing else is wrong with them. */
	for (i = 0; i < 3; i++) {
		elf_make();
		elf.ph[0].p_paddr = low[i];
		elf.note.entry = low[i] + 0x20;
		ok(elf_load_it() < 0, "refused: a segment at %#x, among lkvm's tables", low[i]);
	}
	elf_make();
	elf.ph[0].p_paddr = RAM - 0x10000;
	elf.note.entry = (uint32_t)(RAM - 0x10000);
	is(elf_load_it(), 0, "a segment may end where RAM does");
}

/* What is no PVH note leaves the 64-bit entry; none may lead out of the notes. */
static void test_notes(void)
{
#define OTHER(field, value, what)                                                                  \
	do {                                                                                       \
		elf_make();                                                                        \
		elf.field = value;                                                                 \
		ok(elf_load_it() == 0 && entry.mode == VM_ENTRY_LONG, "not taken for PVH: " what); \
	} while (0)

	OTHER(note.nh.n_type, 17, "a note of another type");
	OTHER(note.name[0], 'Y', "a note of another name");
	OTHER(note.nh.n_descsz, 5, "a description of 5 bytes");
	OTHER(note.nh.n_descsz, 0xffffffff, "a description of 4 GiB");
	OTHER(note.nh.n_namesz, 0xffffffff, "a name of 4 GiB");
	OTHER(note.nh.n_namesz, 0xfffffffd, "a name whose rounding wraps");
	OTHER(ph[1].p_filesz, sizeof(elf.note) - 1, "a note that is cut");
	OTHER(ph[1].p_filesz, 11, "a note's header that is cut");
	OTHER(ph[1].p_filesz, 0, "no note");
#undef OTHER
	/* Behind another note, as in a real vmlinux. */
	elf_make();
	memcpy(elf.code, &elf.note, sizeof(elf.note));
	elf.note.nh.n_type = 1;
	elf.ph[1].p_filesz = 2 * sizeof(elf.note);
	is(elf_load_it(), 0, "two notes");
	is(entry.mode, VM_ENTRY_PVH, "the second is found");
}

static void test_elf_cut(void)
{
	unsigned len, loaded = 0;

	elf_make();
	for (len = 0; len < ELF_LEN; len++)
		loaded += load(&elf, len) == 0;
	is(loaded, 0, "an ELF file cut anywhere is refused");
}

static void test_no_kernels(void)
{
	static const uint8_t zeros[4096];
	char gz[16] = "\x1f\x8b\x08";

	ok(load(zeros, sizeof(zeros)) < 0, "zeros are no kernel");
	ok(load("#!/bin/sh\n", 10) < 0, "nor is a script");
	ok(load(gz, sizeof(gz)) < 0, "nor what gzip made of one");
	ok(load("", 0) < 0, "nor nothing");
	is(load_as(dir, NULL, ""), -EISDIR, "nor a directory");
	is(load_as("/dev/null", NULL, ""), -EINVAL, "nor a device");
	is(load_as(in_dir("absent"), NULL, ""), -ENOENT, "nor what isn't there");
	mkfifo(in_dir("fifo"), 0600);
	is(load_as(in_dir("fifo"), NULL, ""), -EINVAL, "nor a FIFO, which isn't waited for");
	bz_make();
	write_file("kernel", bz, BZ_LEN);
	is(load_as(in_dir("kernel"), in_dir("absent"), ""), -ENOENT, "an initrd must be there");
	write_file("initrd", "", 0);
	is(load_as(in_dir("kernel"), in_dir("initrd"), ""), -EINVAL, "and hold something");
	if (truncate(in_dir("initrd"), RAM * 2) == 0)
		is(load_as(in_dir("kernel"), in_dir("initrd"), ""), -ENOSPC, "and fit into RAM");
}

static bool map_ok(const struct map_entry *map, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (!map[i].len || map[i].gpa > UINT64_MAX - map[i].len)
			return false;
		if (i && map[i - 1].gpa + map[i - 1].len > map[i].gpa)
			return false;
	}
	return true;
}

static uint32_t type_at(const struct map_entry *map, unsigned n, uint64_t gpa)
{
	while (n--)
		if (gpa >= map[n].gpa && gpa - map[n].gpa < map[n].len)
			return map[n].type;
	return 0;
}

static void test_map(void)
{
	struct gmem big = { .n = 2, .fd = -1 };
	struct map_entry map[MAP_ENTRIES];
	unsigned n;

	big.region[0] = (struct gmem_region){ .gpa = 0, .len = MAP_HOLE_START };
	big.region[1] = (struct gmem_region){ .gpa = MAP_HOLE_END, .len = 5ULL << 30 };
	n = params_map(&big, &conf, map);
	ok(n <= MAP_ENTRIES && map_ok(map, n), "the map ascends without overlaps");
	is(type_at(map, n, 0), MAP_RAM, "low memory is usable");
	is(type_at(map, n, 0x9fbff), MAP_RAM, "up to 0x9fc00");
	is(type_at(map, n, 0x9fc00), MAP_RESERVED, "and not beyond");
	is(type_at(map, n, 0xa0000), 0, "where a display would be is nothing");
	is(type_at(map, n, MAP_ACPI), MAP_RESERVED, "the ACPI tables are reserved");
	is(type_at(map, n, MAP_RESET), MAP_RESERVED, "so is the reset vector");
	is(type_at(map, n, 0x100000), MAP_RAM, "memory goes on at 1 MiB");
	is(type_at(map, n, MAP_HOLE_START - 1), MAP_RAM, "up to the hole");
	is(type_at(map, n, MAP_HOLE_START), 0, "where PCI is");
	is(type_at(map, n, MAP_ECAM), MAP_RESERVED, "ECAM is reserved");
	is(type_at(map, n, MAP_ECAM + 0x100000), 0, "for its one bus");
	is(type_at(map, n, 0xfffbc000), MAP_RESERVED, "so are KVM's own pages");
	is(type_at(map, n, MAP_HOLE_END), MAP_RAM, "memory goes on at 4 GiB");
	is(type_at(map, n, MAP_HOLE_END + (5ULL << 30) - 1), MAP_RAM, "to the end");
	is(type_at(map, n, MAP_HOLE_END + (5ULL << 30)), 0, "and no further");
}

/* Walks the page tables as a processor does. */
static void test_longmode(void)
{
	static const uint64_t places[] = { 0, 0x3000, 0x1000200, MAP_HOLE_START,
					   0xfee00000, 0xffffffff };
	unsigned i, bad = 0;
	uint64_t gdt[4];

	bz_make();
	load(bz, BZ_LEN);
	for (i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		uint64_t e = 0, table = entry.cr3, a = places[i];

		gmem_read(&mem, table + (a >> 39 & 511) * 8, &e, 8);
		bad += (e & 3) != 3;
		gmem_read(&mem, (e & ~0xfffULL) + (a >> 30 & 511) * 8, &e, 8);
		bad += (e & 3) != 3;
		gmem_read(&mem, (e & ~0xfffULL) + (a >> 21 & 511) * 8, &e, 8);
		bad += (e & 0x83) != 0x83 || (e & ~0x1fffffULL) != (a & ~0x1fffffULL);
	}
	is(bad, 0, "the first 4 GiB are mapped as themselves");
	gmem_read(&mem, entry.gdt, gdt, sizeof(gdt));
	ok((gdt[2] >> 53 & 1) && (gdt[2] >> 43 & 1), "0x10 is 64-bit code");
	ok(!(gdt[3] >> 43 & 1) && (gdt[3] >> 41 & 1), "0x18 is writable data");
}

static uint64_t reset_value;
static int reset_fd;

static void reset_write(void *opaque, uint64_t off, unsigned len, uint64_t val)
{
	(void)opaque;
	(void)off;
	(void)len;
	reset_value = val;
	eventfd_write(reset_fd, 1);
}

/* Goes to real mode and to the BIOS's start, as Linux does at the end of its wits. */
static const uint8_t to_bios[] = {
	0x0f, 0x01, 0x15, 0x00, 0x09, 0x10, 0x00, /* lgdt [0x100900] */
	0xea, 0x0e, 0x00, 0x00, 0x00, 0x08, 0x00, /* jmp 8:14, 16-bit code from here */
	0x0f, 0x20, 0xc0,			  /* mov eax, cr0 */
	0x24, 0xfe,				  /* and al, ~1 */
	0x0f, 0x22, 0xc0,			  /* mov cr0, eax */
	0xea, 0xf0, 0xff, 0x00, 0xf0,		  /* jmp 0xf000:0xfff0 */
};

static void test_reset_vector(void)
{
	static const uint64_t gdt[2] = { 0, 0x00009b100000ffffULL };
	static const uint8_t gdtr[6] = { 15, 0, 0x00, 0x08, 0x10, 0x00 };
	static const struct bus_ops ops = { NULL, reset_write };
	struct bus_slot slot = BUS_SLOT_INIT;
	struct bus pio, mmio;
	struct bus_range range = { PORT_POWER + POWER_RESET, 1, &ops, NULL, &slot, 1, NULL, false, NULL };
	struct vm_conf vm_conf = { .cpus = 1, .pio = &pio, .mmio = &mmio, .mem = &mem };
	struct vm_entry pvh = { .mode = VM_ENTRY_PVH, .rip = KERNEL_MIN };
	struct pollfd fd;
	struct vm *vm;

	if (access("/dev/kvm", R_OK | W_OK)) {
		skip("no usable /dev/kvm", "the BIOS's start resets the machine");
		return;
	}
	bz_make();
	load(bz, BZ_LEN);
	gmem_write(&mem, KERNEL_MIN, to_bios, sizeof(to_bios));
	gmem_write(&mem, 0x100800, gdt, sizeof(gdt));
	gmem_write(&mem, 0x100900, gdtr, sizeof(gdtr));
	bus_init(&pio, "pio");
	bus_init(&mmio, "mmio");
	bus_map(&pio, &range);
	reset_fd = eventfd(0, EFD_NONBLOCK);
	vm = vm_open(&vm_conf);
	fd = (struct pollfd){ .fd = reset_fd, .events = POLLIN };
	ok(vm && !vm_start(vm, &pvh) && poll(&fd, 1, 10000) == 1,
	   "the BIOS's start resets the machine");
	vm_close(vm);
	is(reset_value, POWER_RESET_VALUE, "with the value that does");
	close(reset_fd);
	bus_fini(&pio);
	bus_fini(&mmio);
}

int main(void)
{
	char cmd[64];

	if (!mkdtemp(dir) || gmem_open(&mem, RAM, MAP_HOLE_START, MAP_HOLE_END, 0) < 0)
		return 1;
	test_bzimage();
	test_bzimage_lies();
	test_cmdline();
	test_elf();
	test_elf_lies();
	test_notes();
	test_no_kernels();
	test_map();
	test_longmode();
	test_reset_vector();
	test_bzimage_cut();
	test_elf_cut();
	is(unclear, 0, "each of %u loads said nothing when it went well and one line when not",
	   loads);
	gmem_close(&mem);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd) ? 1 : tap_end();
}
