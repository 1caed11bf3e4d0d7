// SPDX-License-Identifier: GPL-2.0-only
/*
 * Looking into a guest, with RAM made up for it: page tables that are right and wrong, symbol files,
 * the kernel's own symbol table, stacks.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "inspect/symbols.h"
#include "lkvm/log.h"
#include "tap.h"

#define RAM	 (8 << 20)
#define P	 1ULL
#define PW	 3ULL
#define PWU	 7ULL
#define PS	 0x80ULL
#define NX	 (1ULL << 63)
#define LONG     0xd00 /* EFER: NXE, LMA, LME */
#define PG	 (1ULL << 31)

static uint8_t ram[RAM] __attribute__((aligned(4096)));
static struct gmem mem;

static void entry(uint64_t table, unsigned index, uint64_t val)
{
	gmem_write(&mem, table + index * 8, &val, 8);
}

static void fresh(void)
{
	memset(ram, 0, sizeof(ram));
	mem = (struct gmem){ .fd = -1 };
	gmem_add(&mem, 0, ram, RAM);
}

/* --- page tables -------------------------------------------------------------------------------- */

static void test_walk_long(void)
{
	struct walk w = { &mem, PG, 0x1000, 0x20, LONG };
	struct walk_page page;
	uint64_t val = 0;

	fresh();
	entry(0x1000, 511, 0x2000 | PWU);
	entry(0x2000, 510, 0x3000 | PWU);
	entry(0x3000, 8, 0x4000 | PW);		      /* ffffffff81000000 */
	entry(0x4000, 1, 0x200000 | P | NX);	      /* + 0x1000 */
	entry(0x4000, 2, 0x7ff000 | PW);	      /* + 0x2000: the last page of RAM */
	entry(0x4000, 3, 0x800000 | PW);	      /* + 0x3000: outside of RAM */
	entry(0x3000, 9, 0x400000 | PW | PS);	      /* ffffffff81200000, 2 MiB */
	entry(0x2000, 511, 0 | PWU | PS);	      /* ffffffffc0000000, 1 GiB */
	ok(walk_page(&w, 0xffffffff81001234, &page) && page.gpa == 0x200234, "a page of 4 KiB");
	is(page.left, 4096 - 0x234, "with so many bytes left");
	ok(!page.write && !page.user && !page.exec, "permissions are the least of all levels");
	ok(walk_page(&w, 0xffffffff81200000 + 0x12345, &page) && page.gpa == 0x412345, "a page of 2 MiB");
	ok(page.write && page.exec && !page.user && page.left == 0x200000 - 0x12345, "as it is mapped");
	ok(walk_page(&w, 0xffffffffc0654321, &page) && page.gpa == 0x654321, "a page of 1 GiB");
	ok(!walk_page(&w, 0xffffffff81000000, &page), "what isn't present isn't there");
	ok(!walk_page(&w, 0x0000ffff81001000, &page), "an address that isn't canonical isn't there");
	ok(!walk_page(&w, 0x1000, &page), "nor is the lower half");

	memcpy(ram + 0x7ffff8, "\1\2\3\4\5\6\7\10", 8);
	is(walk_read(&w, 0xffffffff81002ff8, &val, 8), 8, "the last bytes of RAM are read");
	is(val, 0x0807060504030201, "and are right");
	is(walk_read(&w, 0xffffffff81002ffc, &val, 8), 4, "a read over RAM's end stops there");
	is(walk_read(&w, 0xffffffff81003000, &val, 8), 0, "outside of RAM nothing is read");
	is(walk_write(&w, 0xffffffff81001ffc, "abcdefgh", 8), 8, "a write over a page's end");
	ok(!memcmp(ram + 0x200ffc, "abcd", 4) && !memcmp(ram + 0x7ff000, "efgh", 4),
	   "goes where each page is");
	is(walk_read(&w, 0xffffffffc0000000 + RAM - 2, &val, 8), 2, "a huge page may end outside of RAM");
	is(walk_read(&w, UINT64_MAX - 3, &val, 8), 0, "an access over the end of all addresses ends");
}

static void test_walk_hostile(void)
{
	struct walk w = { &mem, PG, 0x1000, 0x20, LONG };
	struct walk_page page;
	unsigned found = 0;

	fresh();
	for (unsigned i = 0; i < 512; i++)
		entry(0x1000, i, 0x1000 | PWU); /* a table that is its own child */
	ok(walk_page(&w, 0x123456789abc & 0x7fffffffffff, &page) && page.gpa == 0x1abc,
	   "a table that points to itself is walked to its end");
	entry(0x1000, 0, 0x000ffffffffff000 | PWU);
	ok(!walk_page(&w, 0, &page), "a table beyond RAM is not read");
	w.cr3 = RAM;
	ok(!walk_page(&w, 0, &page), "nor a root");
	w.cr3 = 0x1000;
	srand(1);
	for (unsigned i = 0; i < RAM; i += 4)
		*(uint32_t *)(ram + i) = (uint32_t)rand();
	for (unsigned i = 0; i < 100000; i++) {
		uint64_t va = (uint64_t)rand() << 32 ^ (uint64_t)rand() << 12, val;

		w.cr4 = (unsigned)rand();
		w.efer = (unsigned)rand();
		found += walk_page(&w, va, &page);
		walk_read(&w, va - 4, &val, 8);
	}
	ok(found > 0, "a hundred thousand walks through noise (%u found something)", found);
}

static void test_walk_modes(void)
{
	struct walk w = { &mem, 0, 0, 0, 0 };
	struct walk_page page;
	uint32_t small;

	fresh();
	ok(walk_page(&w, 0x123456, &page) && page.gpa == 0x123456, "without paging addresses are as they are");
	w = (struct walk){ &mem, PG, 0x1000, 0x10, 0 };
	small = 0x2007;
	memcpy(ram + 0x1000 + 4 * 768, &small, 4);
	small = 0x345007;
	memcpy(ram + 0x2000 + 4 * 5, &small, 4);
	small = 0x00402087; /* 4 MiB at 0x100400000 */
	memcpy(ram + 0x1000 + 4 * 769, &small, 4);
	ok(walk_page(&w, 0xc0005678, &page) && page.gpa == 0x345678, "32-bit tables");
	ok(walk_page(&w, 0xc0401234, &page) && page.gpa == 0x100401234, "and their pages of 4 MiB");
	w = (struct walk){ &mem, PG, 0x1020, 0x20, 0 };
	entry(0x1020, 3, 0x3000 | P);
	entry(0x3000, 0, 0x600000 | PW | PS);
	ok(walk_page(&w, 0xc0001234, &page) && page.gpa == 0x601234, "PAE");
	w = (struct walk){ &mem, PG, 0x1000, 0x1020, LONG };
	memset(ram + 0x1000, 0, 4096);
	entry(0x1000, 0x110, 0x4000 | PW); /* ff11000000000000 */
	entry(0x4000, 0, 0x5000 | PW);
	entry(0x5000, 0, 0 | PW | PS);
	ok(walk_page(&w, 0xff10000000123456, &page) && page.gpa == 0x123456, "five levels");
}

/* --- symbols ------------------------------------------------------------------------------------ */

static const char *file_with(const char *text)
{
	static char path[64];
	int fd;

	snprintf(path, sizeof(path), "/tmp/lkvm-symbols.XXXXXX");
	fd = mkstemp(path);
	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		exit(1);
	close(fd);
	return path;
}

static void find_is(const struct symbols *s, uint64_t addr, const char *name, uint64_t off)
{
	struct symbol_hit hit = { "(none)", 0, 0 };

	symbols_find(s, addr, &hit);
	is_str(hit.name, name, "%#llx is in %s", (unsigned long long)addr, name);
	is(hit.off, off, "at its byte %llu", (unsigned long long)off);
}

static void test_map(void)
{
	static const char *const bad[] = {
		"", "ffffffffffffffff B The real System.map is in the linux-image-6.1-dbg package\n",
		"nonsense\nmore of it\nand more\nand more\nand on\nand on\n", "\177ELF, but only just",
	};
	struct symbols s;
	struct symbol_hit hit;
	const char *path = file_with("0000000000000000 A fixed_percpu_data\n"
				     "ffffffff81000000 T _stext\n"
				     "ffffffff81000000 T startup_64\n"
				     "ffffffff81000100 t helper\n"
				     "ffffffff81000180 d not_code\n"
				     "ffffffff81000200 T last [module]\n"
				     "ffffffff82000000 R linux_banner\n"
				     "ffffffff81000140 T entry_SYSCALL_64\n");
	uint64_t addr;

	is(symbols_load(&s, path, false), 0, "a System.map is read");
	is(s.n, 8, "all of its lines");
	find_is(&s, 0xffffffff81000010, "_stext", 0x10);
	find_is(&s, 0xffffffff81000190, "entry_SYSCALL_64", 0x50);
	find_is(&s, 0xffffffff81000208, "last", 8);
	ok(!symbols_find(&s, 0x1000, &hit), "below the first function is none");
	ok(!symbols_find(&s, 0xffffffffa0000000, &hit), "far behind the last is none");
	ok(symbols_addr(&s, "helper", &addr) && addr == 0xffffffff81000100, "a name has an address");
	ok(!symbols_addr(&s, "help", &addr), "half a name has none");
	unlink(path);

	/* KASLR: the banner at its place plus what LSTAR is off by. */
	struct walk w = { &mem, PG, 0x1000, 0x20, LONG };
	const char *why = NULL;

	fresh();
	entry(0x1000, 511, 0x2000 | PW);
	entry(0x2000, 510, 0x3000 | PW);
	entry(0x3000, 0x60 + 16, 0 | PW | PS); /* ffffffff82000000 + 0xc000000 */
	strcpy((char *)ram, "Linux version 6.1.0 (somebody)\n");
	ok(symbols_match(&s, &w, 0xffffffff8d000140, &why), "the slide is found by LSTAR");
	is(s.slide, 0xc000000, "and is right");
	find_is(&s, 0xffffffff8d000108, "helper", 8);
	ok(!symbols_match(&s, &w, 0xffffffff8e000140, &why) && why, "another one is refused: %s", why);
	snprintf(s.banner, sizeof(s.banner), "Linux version 6.2.0");
	ok(!symbols_match(&s, &w, 0xffffffff8d000140, &why), "so is the banner of another kernel");
	symbols_free(&s);

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		path = file_with(bad[i]);
		ok(symbols_load(&s, path, false) < 0, "no symbols in file %u, which is said", i);
		unlink(path);
	}
	ok(symbols_load(&s, "/nonexistent", false) < 0, "a file that isn't there");
	ok(symbols_load(&s, "/tmp", false) < 0, "a folder");
}

/* This very program, which is an ELF file with symbols, cut at every kilobyte or so. */
static void test_elf(void)
{
	static uint8_t image[1 << 20];
	struct symbols s;
	uint64_t addr;
	FILE *f = fopen("/proc/self/exe", "r");
	size_t len = f ? fread(image, 1, sizeof(image), f) : 0;
	char path[] = "/tmp/lkvm-elf.XXXXXX";
	int fd = mkstemp(path);
	unsigned cut = 0, loaded = 0;

	if (f)
		fclose(f);
	is(symbols_load(&s, "/proc/self/exe", false), 0, "an ELF file is read");
	ok(symbols_addr(&s, "symbols_load", &addr) && symbols_addr(&s, "main", &addr), "functions are found");
	find_is(&s, addr, "main", 0);
	is(s.sample_len, 64, "code is kept to compare");
	symbols_free(&s);
	if (fd < 0 || write(fd, image, len) != (ssize_t)len)
		exit(1);
	srand(2);
	/* Noise over the headers; then cuts. */
	for (unsigned i = 0; i < 200; i++) {
		uint8_t noise = (uint8_t)rand();

		if (pwrite(fd, &noise, 1, 16 + rand() % 48) == 1 && !symbols_load(&s, path, true)) {
			loaded++;
			symbols_free(&s);
		}
		if (pwrite(fd, image, 64, 0) != 64)
			exit(1);
	}
	for (size_t at = len; at > 4096; at -= at / 16, cut++) {
		if (ftruncate(fd, (off_t)at - 1) < 0)
			break;
		if (!symbols_load(&s, path, true))
			symbols_free(&s);
	}
	ok(cut > 10, "%u cut files and 200 with noise in the header (%u of them read) are survived", cut,
	   loaded);
	close(fd);
	unlink(path);
}

/* --- what the kernel leaves in memory ----------------------------------------------------------- */

#define KERNEL(gpa) (0xffffffff81000000ULL + (gpa))

static size_t names_at(uint64_t gpa)
{
	/* Tokens 1: "T_s", 2: "text", 3: "Tmain", 4: "dlinux_", 5: "banner". */
	static const uint8_t names[] = { 2, 1, 2, 1, 3, 2, 4, 5 };

	memcpy(ram + gpa, names, sizeof(names));
	return sizeof(names);
}

static void kernel_build(void)
{
	static const char tokens[] = "\0T_s\0text\0Tmain\0dlinux_\0banner";
	static const uint16_t at[] = { 0, 1, 5, 10, 16, 24 };
	static const int32_t offsets[] = { -1, -1 - 0x100, -1 - 0x5000 };
	uint32_t n = 3;
	uint64_t base = KERNEL(0);

	fresh();
	snprintf((char *)ram + 0x300000, 4096,
		 "OSRELEASE=6.1.0-test\nSYMBOL(_stext)=%llx\nKERNELOFFSET=0\nNUMBER(phys_base)=%lld\n"
		 "SYMBOL(kallsyms_num_syms)=%llx\nSYMBOL(kallsyms_names)=%llx\n"
		 "SYMBOL(kallsyms_token_table)=%llx\nSYMBOL(kallsyms_token_index)=%llx\n"
		 "SYMBOL(kallsyms_offsets)=%llx\nSYMBOL(kallsyms_relative_base)=%llx\n",
		 KERNEL(0), -0x1000000LL, KERNEL(0x10000), KERNEL(0x11000), KERNEL(0x12000), KERNEL(0x13000),
		 KERNEL(0x14000), KERNEL(0x15000));
	memcpy(ram + 0x10000, &n, 4);
	names_at(0x11000);
	memcpy(ram + 0x12000, tokens, sizeof(tokens));
	memcpy(ram + 0x13000, at, sizeof(at));
	memcpy(ram + 0x14000, offsets, sizeof(offsets));
	memcpy(ram + 0x15000, &base, 8);
}

/* A guest makes its names as long, and as many, as it likes. */
static void test_many_names(void)
{
	char name[SYMBOL_LENGTH];
	struct symbols s = { 0 };
	int err = 0;

	memset(name, 'x', sizeof(name));
	for (unsigned i = 0; i < SYMBOLS_MAX && !err; i++)
		err = symbols_add(&s, i, 'T', name, sizeof(name) - 1);
	is(err, -E2BIG, "names without an end are too many");
	ok(s.names_max <= SYMBOL_NAMES_MAX, "and take up %zu MiB", s.names_max >> 20);
	symbols_free(&s);
}

static void test_kallsyms(void)
{
	static const uint32_t plain[] = { 0, 0x100, 0x5000 };
	struct symbols s;
	struct vmcore v;
	char release[32];
	uint64_t addr;
	unsigned loaded = 0;

	kernel_build();
	ok(vmcore_find(&v, &mem), "VMCOREINFO is found");
	is_str(vmcore_release(&v, release, sizeof(release)), "6.1.0-test", "the release");
	is(v.phys_base, -0x1000000LL, "the physical base");
	is(kallsyms_load(&s, &v, &mem), 0, "the kernel's own symbols");
	is(s.n, 3, "all three");
	find_is(&s, KERNEL(0x108), "main", 8);
	ok(symbols_addr(&s, "linux_banner", &addr) && addr == KERNEL(0x5000), "the banner");
	symbols_free(&s);
	memcpy(ram + 0x14000, plain, sizeof(plain));
	is(kallsyms_load(&s, &v, &mem), 0, "the newer way to keep addresses");
	find_is(&s, KERNEL(0x108), "main", 8);
	symbols_free(&s);
	ram[0x14000] = 1;
	ok(kallsyms_load(&s, &v, &mem) < 0, "with _stext somewhere else it is not believed");

	for (unsigned i = 0; i < 20000; i++) {
		kernel_build();
		srand(i);
		for (unsigned k = 0; k < 4; k++)
			ram[0x10000 + (rand() % 6) * 0x1000 + rand() % 16] = (uint8_t)rand();
		if (i % 2)
			memset(ram + 0x11000, rand(), 64);
		if (i % 5 == 0)
			snprintf((char *)ram + 0x300100, 80, "SYMBOL(kallsyms_names)=%llx\n", KERNEL(RAM - 3));
		if (!kallsyms_load(&s, &v, &mem)) {
			loaded++;
			symbols_free(&s);
		}
		i += 19;
	}
	ok(loaded < 1000, "a thousand broken tables are survived, %u of which were not broken", loaded);
	fresh();
	ok(!vmcore_find(&v, &mem), "no VMCOREINFO in empty RAM");
	memcpy(ram + RAM - 4096, "OSRELEASE=", 10);
	memset(ram + RAM - 4086, 'x', 4086);
	ok(!vmcore_find(&v, &mem), "nor in a page of a guest that says so");
}

/* --- stacks ------------------------------------------------------------------------------------- */

struct found {
	uint64_t addr[80];
	bool sure[80];
	unsigned n;
};

static void found(void *opaque, uint64_t addr, bool sure)
{
	struct found *f = opaque;

	f->addr[f->n] = addr;
	f->sure[f->n++] = sure;
}

static void test_stack(void)
{
	struct walk w = { &mem, 0, 0, 0, 0 };
	struct control_regs regs = { .gpr[R_SP] = 0x103f00, .gpr[R_BP] = 0x103f10,
				     .seg[SEG_CS].sel = 3 };
	uint64_t *sp;
	struct found f = { .n = 0 };

	fresh();
	w.cr0 = 0;
	memcpy(ram + 0x1000, "\xe8\0\0\0\0", 5);      /* call rel32 */
	memcpy(ram + 0x1010, "\xff\xd0", 2);	      /* call *%rax */
	memcpy(ram + 0x1020, "\xff\x15\0\0\0\0", 6); /* call *0(%rip) */
	sp = (uint64_t *)(ram + 0x103f00);
	sp[0] = 0x1005;
	sp[1] = 0x1006; /* not behind a call */
	sp[2] = 0x103f40; /* saved rbp */
	sp[3] = 0x1012; /* its return address */
	sp[4] = UINT64_MAX;
	sp[5] = 0x1026;
	stack_trace(&w, &regs, NULL, found, &f);
	is(f.n, 3, "three return addresses");
	ok(f.addr[0] == 0x1005 && f.addr[1] == 0x1012 && f.addr[2] == 0x1026, "in their order");
	ok(!f.sure[0] && f.sure[1] && !f.sure[2], "of which the chain of frame pointers makes one sure");

	for (unsigned i = 0; i < 0x4000; i += 8)
		memcpy(ram + 0x100000 + i, &(uint64_t){ 0x1005 }, 8);
	f.n = 0;
	regs.gpr[R_SP] = 0x100000;
	stack_trace(&w, &regs, NULL, found, &f);
	is(f.n, 64, "of a full stack no more than 64");
	f.n = 0;
	regs.gpr[R_SP] = UINT64_MAX - 4;
	regs.gpr[R_BP] = UINT64_MAX - 4;
	stack_trace(&w, &regs, NULL, found, &f);
	is(f.n, 0, "a stack at the end of all addresses");
}

/* What a dump and the search for a kernel's notes look at: what the guest has touched. */
static void test_touched(void)
{
	struct gmem own;
	uint64_t from = 0, to, seen = 0;
	bool first = false, far = false;

	if (gmem_open(&own, 64 << 20, 1 << 30, 4ULL << 30, 0))
		exit(1);
	ok(!vmcore_next_data(&own.region[0], &from, &to), "memory that nobody has touched is a hole");
	own.region[0].hva[0] = 1;
	own.region[0].hva[(40 << 20) + 5] = 1;
	for (from = 0; vmcore_next_data(&own.region[0], &from, &to); from = to) {
		seen += to - from;
		first |= from == 0;
		far |= from <= (40 << 20) && to > (40 << 20);
	}
	ok(first && far, "what was touched is seen");
	ok(seen <= 4 << 20, "and little else: %llu KiB of 64 MiB", (unsigned long long)seen >> 10);
	gmem_close(&own);
}

int main(void)
{
	log_set_level(LOG_ERR);
	test_walk_long();
	test_walk_hostile();
	test_walk_modes();
	test_map();
	test_elf();
	test_kallsyms();
	test_many_names();
	test_stack();
	test_touched();
	return tap_end();
}
