// SPDX-License-Identifier: GPL-2.0-only
/* A stack unwound by the kernel's own tables, which are made up here: right, of other versions, wrong. */
#include <stdlib.h>
#include <string.h>

#include "inspect/symbols.h"
#include "tap.h"

#define RAM	(2 << 20)
#define BANNER	0x7000
#define IPS	0x8000
#define ENTRIES 0x9000
#define STACK	0x103000

/* Registers of an entry, and its type before 6.4. */
enum { NONE, PREV_SP, DX, DI, BP, SP, R10, R13, BP_IND, SP_IND };
enum { CALL, REGS, PARTIAL };
#define END 0x400

static uint8_t ram[RAM] __attribute__((aligned(4096)));
static struct gmem mem;
static struct symbols syms;
static struct walk walk;
static unsigned entries;

static void add(uint64_t ip, int sp_off, int bp_off, unsigned sp_reg, unsigned bp_reg, unsigned type)
{
	uint64_t at = IPS + 4 * entries;
	int32_t distance = (int32_t)(ip - at);
	int16_t off[2] = { (int16_t)sp_off, (int16_t)bp_off };
	uint16_t flags = (uint16_t)(sp_reg | bp_reg << 4 | type);

	memcpy(ram + at, &distance, 4);
	memcpy(ram + ENTRIES + 6 * entries, off, 4);
	memcpy(ram + ENTRIES + 6 * entries + 4, &flags, 2);
	entries++;
}

static void name(uint64_t addr, char type, const char *text)
{
	symbols_add(&syms, addr, type, text, strlen(text));
}

static void fresh(const char *version)
{
	memset(ram, 0, sizeof(ram));
	mem = (struct gmem){ .fd = -1 };
	gmem_add(&mem, 0, ram, RAM);
	walk = (struct walk){ .mem = &mem };
	entries = 0;
	symbols_free(&syms);
	strcpy((char *)ram + BANNER, version);
	/* Each of the functions has a call, which returns to ...5. */
	for (uint64_t at = 0x1000; at < 0x2000; at += 0x40)
		ram[at + 0x10] = 0xe8;
}

static void names(void)
{
	name(0x1000, 'T', "code");
	name(BANNER, 'D', "linux_banner");
	name(IPS, 'd', "__start_orc_unwind_ip");
	name(IPS + 4 * entries, 'd', "__stop_orc_unwind_ip");
	name(ENTRIES, 'd', "__start_orc_unwind");
	symbols_sort(&syms);
}

static void put(uint64_t at, uint64_t val)
{
	memcpy(ram + at, &val, 8);
}

/* "1055 1095?": what is found, and whether it is certain. */
static char trail[400];

static void found(void *opaque, uint64_t addr, bool sure)
{
	size_t len = strlen(trail);

	(void)opaque;
	snprintf(trail + len, sizeof(trail) - len, "%s%llx%s", len ? " " : "", (unsigned long long)addr,
		 sure ? "" : "?");
}

static const char *trace(uint64_t rip, uint64_t bp, uint64_t r10)
{
	struct control_regs regs = { .rip = rip, .gpr = { [R_SP] = STACK, [R_BP] = bp, [10] = r10 } };

	trail[0] = '\0';
	stack_trace(&walk, &regs, &syms, found, NULL);
	return trail;
}

/* Three functions, by their stack pointer, by it, by rbp; and where threads begin. kind: of a CALL. */
static void four(const char *version, unsigned kind, unsigned end)
{
	fresh(version);
	add(0x1000, 8, 0, SP, NONE, kind);
	add(0x1040, 32, -16, SP, PREV_SP, kind);
	add(0x1080, 16, -16, BP, PREV_SP, kind);
	add(0x10c0, 0, 0, NONE, NONE, end);
	add(0x1100, 0, 0, NONE, NONE, 0);
	names();
	put(STACK, 0x1055);
	put(STACK + 8, 0x1455); /* left over */
	put(STACK + 0x18, STACK + 0x100);
	put(STACK + 0x20, 0x1095);
	put(STACK + 0x28, 0x1415); /* left over */
	put(STACK + 0x108, 0x10d5);
	put(STACK + 0x110, 0x1495); /* left over */
}

static void test_calls(void)
{
	four("Linux version 6.1.0-56-cloud-amd64 (debian-kernel@lists.debian.org) (gcc-12)", CALL << 8, END);
	is_str(trace(0x1020, 0, 0), "1055 1095 10d5", "callers by the tables, and nothing else");
	put(STACK + 0x108, 0x1999);
	is_str(trace(0x1020, 0, 0), "1055 1095 1415? 1495?", "where they lead to no call the stack is searched");
	put(STACK + 0x108, 0xffffffffc0001235);
	is_str(trace(0x1020, 0, 0), "1055 1095 1415? 1495?", "as it is where they end: in a module, say");
	is_str(trace(0x5000, 0, 0), "1055? 1455? 1095? 1415? 1495?", "or when it begins there");
	put(STACK + 0x18, UINT64_MAX - 3);
	is_str(trace(0x1020, 0, 0), "1055 1095 1415? 1495?", "or with an rbp that leads nowhere");
}

static void test_versions(void)
{
	static const char all[] = "1055? 1455? 1095? 1415? 10d5? 1495?", tables[] = "1055 1095 10d5";

	four("Linux version 5.10.0 (somebody@somewhere) (gcc of some version or other, 12.2.0)", CALL << 8, END);
	is_str(trace(0x1020, 0, 0), tables, "5.10");
	four("Linux version 6.3.1 (somebody@somewhere) (gcc of some version or other, 12.2.0)", CALL << 8, 0x800);
	is_str(trace(0x1020, 0, 0), tables, "6.3, whose end is another bit");
	four("Linux version 6.12.3 (somebody@somewhere) (gcc of some version or other, 12.2.0)", 2 << 8, 1 << 8);
	is_str(trace(0x1020, 0, 0), tables, "6.12, whose types are others");
	four("Linux version 7.0.0 (somebody@somewhere) (gcc of some version or other, 12.2.0)", 2 << 8, 1 << 8);
	is_str(trace(0x1020, 0, 0), all, "one that nobody knows yet is not unwound by guess");
	four("Linux version x (somebody@somewhere) (gcc of some version or other, 12.2.0 .....)", 2 << 8, 1 << 8);
	is_str(trace(0x1020, 0, 0), all, "nor one without a number");
}

static void test_interrupts(void)
{
	fresh("Linux version 6.1.0-56-cloud-amd64 (debian-kernel@lists.debian.org) (gcc-12)");
	add(0x1000, 0, 0, SP, NONE, REGS << 8);	       /* the entry of an interrupt */
	add(0x1040, 0, 0, R10, NONE, CALL << 8);       /* one that knows its caller's stack by r10 */
	add(0x1080, 0, 0, SP, NONE, PARTIAL << 8);     /* an exception's, just entered */
	add(0x10c0, 16, 0, SP_IND, NONE, CALL << 8);   /* on another stack */
	add(0x1100, 0, 0, NONE, NONE, END);
	add(0x1140, 0, 0, NONE, NONE, 0);
	names();
	/* pt_regs: r10 at 7, ip at 16, cs at 17, sp at 19 */
	put(STACK + 7 * 8, STACK + 0x200);
	put(STACK + 16 * 8, 0x1044);
	put(STACK + 17 * 8, 0x10);
	put(STACK + 19 * 8, STACK + 0x180);
	put(STACK + 0x200 - 8, 0x1115);
	is_str(trace(0x1020, 0, 0), "1044 1115", "an interrupt's registers, and its r10 leads on");
	put(STACK + 17 * 8, 0x33);
	is_str(trace(0x1020, 0, 0), "", "one that came from a program is the end");

	fresh("Linux version 6.1.0-56-cloud-amd64 (debian-kernel@lists.debian.org) (gcc-12)");
	add(0x1000, 0, 0, SP, NONE, PARTIAL << 8);
	add(0x1040, 0, 0, R10, NONE, CALL << 8);
	add(0x1080, 0, 0, NONE, NONE, 0);
	names();
	put(STACK, 0x1044);
	put(STACK + 8, 0x10);
	put(STACK + 24, STACK + 0x40);
	is_str(trace(0x1020, 0, STACK + 0x80), "1044", "where r10 wasn't pushed it isn't guessed");
	put(STACK, 0x1055);
	is_str(trace(0x1050, 0, STACK + 8), "1055", "the vCPU's own is known");
}

/* Whatever is in them, they end. */
static void test_hostile(void)
{
	fresh("Linux version 6.1.0-56-cloud-amd64 (debian-kernel@lists.debian.org) (gcc-12)");
	add(0x1000, 8, 0, BP, NONE, CALL << 8);
	add(0x1040, 0, 0, NONE, NONE, 0);
	names();
	put(STACK, 0x1015);
	trace(0x1020, STACK, 0);
	ok(strlen(trail) > 60 * 5 && strlen(trail) < 70 * 5, "a frame that is its own caller is told 64 times");
	memset(ram + IPS, 0xff, 0x2000);
	ok(!strchr(trace(0x1020, STACK, 0), ' '), "tables of nonsense: the stack alone counts");
	symbols_free(&syms);
	entries = 1 << 30;
	names();
	trace(0x1020, STACK, 0);
	ok(true, "tables that are longer than RAM");
	srand(1);
	for (unsigned i = 0; i < 2000; i++) {
		fresh("Linux version 6.1.0-56-cloud-amd64 (debian-kernel@lists.debian.org) (gcc-12)");
		for (unsigned at = IPS; at < ENTRIES + 0x800; at++)
			ram[at] = (uint8_t)rand();
		for (unsigned n = 0; n < 64; n++)
			add(0x1000 + 0x40ULL * n, rand() % 64 - 16, rand() % 64 - 48, (unsigned)rand() % 16,
			    (unsigned)rand() % 16, (unsigned)rand() & 0x700);
		for (unsigned at = STACK; at < STACK + 0x1000; at += 8)
			put(at, rand() % 2 ? 0x1015 + 0x40U * (rand() % 64) : STACK + 8U * (rand() % 512));
		names();
		trace(0x1020 + 0x40U * (rand() % 64), STACK + 8U * (rand() % 512), STACK);
	}
	ok(true, "two thousand at random");
}

int main(void)
{
	test_calls();
	test_versions();
	test_interrupts();
	test_hostile();
	symbols_free(&syms);
	return tap_end();
}
