// SPDX-License-Identifier: GPL-2.0-only
/*
 * sys: where the program starts, and the functions that a C library would have.
 *
 * Runs on: the guest's first process.
 */
#include "sys.h"

#include <time.h>

#include "init.h"

/* The kernel leaves argc, argv and the environment on the stack; rsp is a multiple of 16 there. */
__asm__(".globl _start\n"
	".type _start, @function\n"
	"_start:\n"
	"	xorl %ebp, %ebp\n"
	"	movq (%rsp), %rdi\n"
	"	leaq 8(%rsp), %rsi\n"
	"	call init_main\n"
	"	ud2\n");

void *memcpy(void *dst, const void *src, size_t n)
{
	void *ret = dst;

	__asm__ volatile("rep movsb" : "+D"(dst), "+S"(src), "+c"(n) : : "memory");
	return ret;
}

void *memmove(void *dst, const void *src, size_t n)
{
	uint8_t *d = dst;
	const uint8_t *s = src;

	if (d <= s || d >= s + n)
		return memcpy(dst, src, n);
	while (n--)
		d[n] = s[n];
	return dst;
}

void *memset(void *dst, int c, size_t n)
{
	void *ret = dst;

	__asm__ volatile("rep stosb" : "+D"(dst), "+c"(n) : "a"(c) : "memory");
	return ret;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const uint8_t *x = a, *y = b;

	for (; n; n--, x++, y++)
		if (*x != *y)
			return *x - *y;
	return 0;
}

size_t str_len(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

bool str_is(const char *a, const char *b)
{
	size_t n = str_len(a);

	return n == str_len(b) && !memcmp(a, b, n);
}

size_t str_join(char *dst, size_t size, const char *const *parts)
{
	size_t n = 0;

	for (; *parts; parts++)
		for (const char *s = *parts; *s && n + 1 < size; s++)
			dst[n++] = *s;
	dst[n] = 0;
	return n;
}

const char *str_num(long value, char buf[24])
{
	unsigned long left = value < 0 ? -(unsigned long)value : (unsigned long)value;
	char *at = buf + 23;

	*at = 0;
	do {
		*--at = (char)('0' + left % 10);
	} while (left /= 10);
	if (value < 0)
		*--at = '-';
	return at;
}

const char *str_error(long err)
{
	static const struct {
		int err;
		const char *text;
	} known[] = {
		{ ENOENT, "No such file or directory" },
		{ EACCES, "Permission denied" },
		{ EPERM, "Operation not permitted" },
		{ ENOEXEC, "Exec format error" },
		{ ENOTDIR, "Not a directory" },
		{ EISDIR, "Is a directory" },
		{ ENOMEM, "Cannot allocate memory" },
		{ ENOSPC, "No space left on device" },
		{ ENODEV, "No such device" },
		{ E2BIG, "Argument list too long" },
		{ ELOOP, "Too many levels of symbolic links" },
		{ ETXTBSY, "Text file busy" },
		{ EINVAL, "Invalid argument" },
		{ EIO, "Input/output error" },
	};
	static char other[32], num[24];

	if (err < 0)
		err = -err;
	for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i].err == err)
			return known[i].text;
	JOIN(other, "error ", str_num(err, num));
	return other;
}

void sleep_ms(unsigned ms)
{
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };

	sys(nanosleep, &t, NULL);
}

long file_read(const char *path, char *dst, size_t size)
{
	int fd = sys_open(path, O_RDONLY);
	size_t len = 0;
	long n = 0;

	if (fd < 0)
		return fd;
	while (len < size - 1 && (n = sys(read, fd, dst + len, size - 1 - len)) > 0)
		len += (size_t)n;
	sys_close(fd);
	dst[len] = 0;
	return n < 0 ? n : (long)len;
}
