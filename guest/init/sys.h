/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * sys: system calls without a C library, and the few functions that a program can't be without.
 * Calls return what the kernel returns: a value, or -errno.
 */
#pragma once

#include <asm/unistd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Constants and layouts only: nothing is linked. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

static inline long sys6(long n, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}

/* sys(read, fd, buf, len): arguments that are left out are 0. */
#define SYS_ARG(x)  ((long)(x))
#define sys(n, ...) SYS_SIX(n, __VA_ARGS__, 0, 0, 0, 0, 0, 0)
#define SYS_SIX(n, a, b, c, d, e, f, ...)                                                          \
	sys6(__NR_##n, SYS_ARG(a), SYS_ARG(b), SYS_ARG(c), SYS_ARG(d), SYS_ARG(e), SYS_ARG(f))

static inline int sys_open(const char *path, int flags)
{
	return (int)sys(openat, AT_FDCWD, path, flags | O_CLOEXEC, 0);
}

static inline void sys_close(int fd)
{
	sys(close, fd);
}

void sleep_ms(unsigned ms);
size_t str_len(const char *s);
bool str_is(const char *a, const char *b);
/* Writes the parts one after the other, cut to size - 1 characters, and a zero. Returns the length. */
size_t str_join(char *dst, size_t size, const char *const *parts);
#define JOIN(dst, ...) str_join(dst, sizeof(dst), (const char *const[]){ __VA_ARGS__, NULL })
/* value in decimal, in buf; returns where it starts. */
const char *str_num(long value, char buf[24]);
const char *str_error(long err);
/* All of a file of at most size - 1 bytes, with a zero behind. Its length or -errno. */
long file_read(const char *path, char *dst, size_t size);

/* The compiler calls these by name. */
void *memcpy(void *dst, const void *src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
