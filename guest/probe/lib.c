// SPDX-License-Identifier: GPL-2.0-only
/* lib: memory and strings without a libc. */

#include "lib.h"

#define ARENA_SIZE (3u << 20)

extern u64 pdpt[512];

static u8 arena[ARENA_SIZE] NOINIT __attribute__((aligned(4096)));
static size_t arena_used;
static u64 high_pds[4][512] NOINIT __attribute__((aligned(4096)));
static u32 high_pds_used;

void *memset(void *dst, int c, size_t n)
{
	u64 word = 0x0101010101010101ull * (u8)c;
	void *d = dst;
	size_t words = n / 8, bytes = n % 8;

	__asm__ volatile("rep stosq" : "+D"(d), "+c"(words) : "a"(word) : "memory");
	__asm__ volatile("rep stosb" : "+D"(d), "+c"(bytes) : "a"(word) : "memory");
	return dst;
}

void *memcpy(void *dst, const void *src, size_t n)
{
	void *d = dst;
	size_t words = n / 8, bytes = n % 8;

	__asm__ volatile("rep movsq" : "+D"(d), "+S"(src), "+c"(words)::"memory");
	__asm__ volatile("rep movsb" : "+D"(d), "+S"(src), "+c"(bytes)::"memory");
	return dst;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const u8 *x = a, *y = b;

	for (; n >= 8 && *(const u64 *)x == *(const u64 *)y; n -= 8, x += 8, y += 8)
		barrier();
	for (; n; n--, x++, y++)
		if (*x != *y)
			return *x - *y;
	return 0;
}

size_t strlen(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

/* `*` stands for any run of characters, `?` for one; a pattern has few of them, so recursion. */
bool glob(const char *pattern, size_t len, const char *text, size_t textlen)
{
	for (; len; pattern++, len--, text++, textlen--) {
		if (*pattern == '*') {
			for (size_t i = 0; i <= textlen; i++)
				if (glob(pattern + 1, len - 1, text + i, textlen - i))
					return true;
			return false;
		}
		if (!textlen || (*pattern != '?' && *pattern != *text))
			return false;
	}
	return !textlen;
}

u64 phys(u64 a)
{
	u32 gib = a >> 30, regs[4];
	u64 *pd;

	if (gib >= 512 || pdpt[gib])
		return a;
	cpuid(0x80000001, 0, regs);
	if (regs[3] & BIT(26)) { /* 1 GiB pages */
		pdpt[gib] = (u64)gib << 30 | 0x83;
	} else if (high_pds_used < ARRAY_SIZE(high_pds)) {
		pd = high_pds[high_pds_used++];
		for (u32 i = 0; i < 512; i++)
			pd[i] = ((u64)gib << 30) | ((u64)i << 21) | 0x83;
		pdpt[gib] = (u64)pd | 3;
	}
	return a;
}

void *alloc(size_t len, size_t align)
{
	size_t at = (arena_used + align - 1) & ~(align - 1);

	if (at + len > ARENA_SIZE) {
		print("Bail out! the arena is too small\n");
		return arena;
	}
	arena_used = at + len;
	return memset(arena + at, 0, len);
}

void arena_reset(void)
{
	arena_used = 0;
}
