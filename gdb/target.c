// SPDX-License-Identifier: GPL-2.0-only
/*
 * target: the registers as gdb sees them, in one table, out of which comes the description it is given.
 *
 * Runs on: main
 */
#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "gdb/gdb_priv.h"

enum feature { CORE, SSE, SEGMENTS, SYSTEM, FEATURES };

struct reg {
	const char *name;
	enum feature feature;
	uint16_t bits;	   /* as gdb sees it */
	uint16_t at, size; /* in struct target; size 0: always zero */
	bool fixed;	   /* it can't be written */
	const char *type;
};

#define AT(field) offsetof(struct target, field), sizeof(((struct target *)0)->field)
#define GPR(name, n, type) { name, CORE, 64, AT(regs.gpr[n]), false, type }
#define SEL(name, n)	   { name, CORE, 32, AT(regs.seg[n].sel), true, "int32" }
#define ST(n)		   { "st" #n, CORE, 80, offsetof(struct target, fpu.st[n]), 10, false, "i387_ext" }
#define FPU(name, field)   { name, CORE, 32, AT(fpu.field), false, "int" }
#define ZERO(name)	   { name, CORE, 32, 0, 0, true, "int" }
#define XMM(n)		   { "xmm" #n, SSE, 128, AT(fpu.xmm[n]), false, "vec128" }
#define SYS(name, field)   { name, SYSTEM, 64, AT(regs.field), false, "int64" }

/* The order is gdb's own for each feature. */
static const struct reg regs[] = {
	GPR("rax", 0, "int64"), GPR("rbx", 1, "int64"), GPR("rcx", 2, "int64"), GPR("rdx", 3, "int64"),
	GPR("rsi", 4, "int64"), GPR("rdi", 5, "int64"), GPR("rbp", 6, "data_ptr"),
	GPR("rsp", 7, "data_ptr"), GPR("r8", 8, "int64"), GPR("r9", 9, "int64"), GPR("r10", 10, "int64"),
	GPR("r11", 11, "int64"), GPR("r12", 12, "int64"), GPR("r13", 13, "int64"),
	GPR("r14", 14, "int64"), GPR("r15", 15, "int64"),
	{ "rip", CORE, 64, AT(regs.rip), false, "code_ptr" },
	{ "eflags", CORE, 32, offsetof(struct target, regs.rflags), 4, false, "x86_eflags" },
	SEL("cs", SEG_CS), SEL("ss", SEG_SS), SEL("ds", SEG_DS), SEL("es", SEG_ES), SEL("fs", SEG_FS),
	SEL("gs", SEG_GS),
	ST(0), ST(1), ST(2), ST(3), ST(4), ST(5), ST(6), ST(7),
	FPU("fctrl", fcw), FPU("fstat", fsw), FPU("ftag", ftw), ZERO("fiseg"), FPU("fioff", fip),
	ZERO("foseg"), FPU("fooff", fdp), FPU("fop", fop),
	XMM(0), XMM(1), XMM(2), XMM(3), XMM(4), XMM(5), XMM(6), XMM(7), XMM(8), XMM(9), XMM(10), XMM(11),
	XMM(12), XMM(13), XMM(14), XMM(15),
	{ "mxcsr", SSE, 32, AT(fpu.mxcsr), false, "int32" },
	{ "fs_base", SEGMENTS, 64, AT(regs.seg[SEG_FS].base), false, "int64" },
	{ "gs_base", SEGMENTS, 64, AT(regs.seg[SEG_GS].base), false, "int64" },
	{ "k_gs_base", SYSTEM, 64, AT(regs.kernel_gs), true, "int64" },
	SYS("cr0", cr0), SYS("cr2", cr2), SYS("cr3", cr3), SYS("cr4", cr4), SYS("cr8", cr8),
	SYS("efer", efer),
	{ "lstar", SYSTEM, 64, AT(regs.lstar), true, "int64" },
};

#define REGS (sizeof(regs) / sizeof(regs[0]))

unsigned target_regs(void)
{
	return REGS;
}

/* What is narrower here than there is filled with zeroes; what is wider is cut. */
static size_t shared(const struct reg *r)
{
	return r->size < r->bits / 8U ? r->size : r->bits / 8U;
}

/* Both are little-endian, as the protocol is. */
size_t target_get(const struct target *t, unsigned reg, uint8_t bytes[REG_BYTES_MAX])
{
	if (reg >= REGS)
		return 0;
	memset(bytes, 0, REG_BYTES_MAX);
	memcpy(bytes, (const uint8_t *)t + regs[reg].at, shared(&regs[reg]));
	return regs[reg].bits / 8U;
}

bool target_set(struct target *t, unsigned reg, const uint8_t bytes[REG_BYTES_MAX])
{
	uint8_t now[REG_BYTES_MAX];

	if (reg >= REGS)
		return false;
	if (regs[reg].fixed)
		return target_get(t, reg, now) && !memcmp(now, bytes, regs[reg].bits / 8U);
	memcpy((uint8_t *)t + regs[reg].at, bytes, shared(&regs[reg]));
	return true;
}

bool target_is_fpu(unsigned reg)
{
	return reg < REGS && regs[reg].at >= offsetof(struct target, fpu);
}

/* --- the description ---------------------------------------------------------------------------- */

static const char *const feature_names[FEATURES] = {
	[CORE] = "org.gnu.gdb.i386.core",
	[SSE] = "org.gnu.gdb.i386.sse",
	[SEGMENTS] = "org.gnu.gdb.i386.segments",
	[SYSTEM] = "org.lkvm.x86.system",
};

#define FLAG(name, bit) "<field name=\"" name "\" start=\"" bit "\" end=\"" bit "\"/>"
#define VECTOR(id, type, count) "<vector id=\"" id "\" type=\"" type "\" count=\"" count "\"/>"
#define FIELD(name, type) "<field name=\"" name "\" type=\"" type "\"/>"

static const char *const feature_types[FEATURES] = {
	[CORE] = "<flags id=\"x86_eflags\" size=\"4\">" FLAG("CF", "0") FLAG("PF", "2") FLAG("AF", "4")
		FLAG("ZF", "6") FLAG("SF", "7") FLAG("TF", "8") FLAG("IF", "9") FLAG("DF", "10")
		FLAG("OF", "11") FLAG("RF", "16") FLAG("AC", "18") "</flags>",
	[SSE] = VECTOR("v4f", "ieee_single", "4") VECTOR("v2d", "ieee_double", "2")
		VECTOR("v16i8", "int8", "16") VECTOR("v4i32", "int32", "4") "<union id=\"vec128\">"
		FIELD("v4_float", "v4f") FIELD("v2_double", "v2d") FIELD("v16_int8", "v16i8")
		FIELD("v4_int32", "v4i32") FIELD("uint128", "uint128") "</union>",
	[SEGMENTS] = "",
	[SYSTEM] = "",
};

static char xml[12288]; /* about twice what is needed; the unit test checks its end */

__attribute__((format(printf, 2, 3))) static size_t add(size_t at, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(xml + at, sizeof(xml) - at, fmt, ap);
	va_end(ap);
	return n > 0 && (size_t)n < sizeof(xml) - at ? at + (size_t)n : at;
}

static void build_xml(void)
{
	enum feature now = FEATURES;
	size_t at = add(0, "<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\"><target>"
			   "<architecture>i386:x86-64</architecture>");

	for (unsigned i = 0; i < REGS; i++) {
		if (regs[i].feature != now) {
			now = regs[i].feature;
			at = add(at, "%s<feature name=\"%s\">%s", i ? "</feature>" : "",
				 feature_names[now], feature_types[now]);
		}
		at = add(at, "<reg name=\"%s\" bitsize=\"%u\" type=\"%s\"/>", regs[i].name,
			 regs[i].bits, regs[i].type);
	}
	add(at, "</feature></target>");
}

const char *target_xml(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, build_xml);
	return xml;
}
