/* SPDX-License-Identifier: GPL-2.0-only */
/* What a program without a libc needs: types, raw port and memory access, printing, time, memory.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define BIT(n)        (1ull << (n))
#define NOINIT        __attribute__((section(".noinit")))

#define barrier() __asm__ volatile("" ::: "memory")
#define mb()      __asm__ volatile("mfence" ::: "memory")

/* Ports. */
static inline u8 inb(u16 port)
{
	u8 v;

	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}

static inline u16 inw(u16 port)
{
	u16 v;

	__asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}

static inline u32 inl(u16 port)
{
	u32 v;

	__asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}

static inline void outb(u16 port, u8 v)
{
	__asm__ volatile("outb %0, %1" ::"a"(v), "Nd"(port) : "memory");
}

static inline void outw(u16 port, u16 v)
{
	__asm__ volatile("outw %0, %1" ::"a"(v), "Nd"(port) : "memory");
}

static inline void outl(u16 port, u32 v)
{
	__asm__ volatile("outl %0, %1" ::"a"(v), "Nd"(port) : "memory");
}

/*
 * Memory-mapped registers, at exactly the width that is named. `a` is a guest physical address,
 * which is also where it is mapped; addresses above 4 GiB go through phys() once first.
 */
static inline u8 r8(u64 a)
{
	u8 v;

	__asm__ volatile("movb (%1), %0" : "=r"(v) : "r"(a) : "memory");
	return v;
}

static inline u16 r16(u64 a)
{
	u16 v;

	__asm__ volatile("movw (%1), %0" : "=r"(v) : "r"(a) : "memory");
	return v;
}

static inline u32 r32(u64 a)
{
	u32 v;

	__asm__ volatile("movl (%1), %0" : "=r"(v) : "r"(a) : "memory");
	return v;
}

static inline u64 r64(u64 a)
{
	u64 v;

	__asm__ volatile("movq (%1), %0" : "=r"(v) : "r"(a) : "memory");
	return v;
}

static inline void w8(u64 a, u8 v)
{
	__asm__ volatile("movb %0, (%1)" ::"r"(v), "r"(a) : "memory");
}

static inline void w16(u64 a, u16 v)
{
	__asm__ volatile("movw %0, (%1)" ::"r"(v), "r"(a) : "memory");
}

static inline void w32(u64 a, u32 v)
{
	__asm__ volatile("movl %0, (%1)" ::"r"(v), "r"(a) : "memory");
}

static inline void w64(u64 a, u64 v)
{
	__asm__ volatile("movq %0, (%1)" ::"r"(v), "r"(a) : "memory");
}

static inline u64 rdtsc(void)
{
	u32 lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (u64)hi << 32 | lo;
}

static inline void cpuid(u32 leaf, u32 sub, u32 out[4])
{
	__asm__ volatile("cpuid"
			 : "=a"(out[0]), "=b"(out[1]), "=c"(out[2]), "=d"(out[3])
			 : "a"(leaf), "c"(sub));
}

/* lib.c: strings and guest memory */
void *memset(void *dst, int c, size_t n);
void *memcpy(void *dst, const void *src, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
bool glob(const char *pattern, size_t len, const char *text, size_t textlen);

/* Identity-maps the page of `a` if it lies above 4 GiB, and returns `a`. */
u64 phys(u64 a);

/*
 * Memory for rings and buffers: zeroed, never crossing the arena's end, all given back together by
 * arena_reset() before each subtest.
 */
void *alloc(size_t len, size_t align);
void arena_reset(void);
static inline u64 gpa(const volatile void *p)
{
	return (u64)p;
}

/* print.c: the first serial port. %s %c %d %u %x %lx %lu, widths and zero padding; no more. */
void serial_init(void);
void print_to(void (*put)(char c)); /* from now on there */
void putch(char c);
void vprint(const char *fmt, va_list ap);
void print(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void vsprint(char *buf, size_t size, const char *fmt, va_list ap);
void sprint(char *buf, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* clock.c: microseconds by the TSC */
void clock_init(void);
u64 now_us(void);
u64 tsc_per_us(void);
void delay_us(u64 us);

/* boot.S: a place to come back to from a failed check, an exception or the watchdog */
struct mark {
	u64 rip, rsp, rbx, rbp, r12, r13, r14, r15;
};
int mark_set(struct mark *m) __attribute__((returns_twice));
void mark_jump(struct mark *m, int value) __attribute__((noreturn));
