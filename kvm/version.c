// SPDX-License-Identifier: GPL-2.0-only
/*
 * version: which kernel a file is: by the header of a bzImage, or the banner in a vmlinux.
 *
 * Runs on: main
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "kvm/load.h"

#define VERSION_AT  0x20e /* in the setup header: where the text is, less 0x200 */
#define BANNER	    "Linux version "
#define BANNER_LEN  (sizeof(BANNER) - 1)
#define SCAN_BLOCK  (1u << 20)
#define VERSION_MAX 128

/* The first word of text, if it can be a folder's name. */
static void first_word(const char *text, size_t len, char *version, size_t size)
{
	size_t n = 0;

	while (n < len && n + 1 < size && text[n] > ' ' && text[n] < 0x7f && text[n] != '/')
		n++;
	memcpy(version, text, n);
	version[n] = 0;
	if (version[0] == '.')
		version[0] = 0;
}

/* The format strings that print the banner have a % where it has a digit. */
static bool find_banner(const char *buf, size_t len, char *version, size_t size)
{
	for (const char *at = buf; (at = memmem(at, len - (size_t)(at - buf), BANNER, BANNER_LEN)); at++) {
		const char *text = at + BANNER_LEN;
		size_t left = len - (size_t)(text - buf);

		if (left < VERSION_MAX || *text < '0' || *text > '9')
			continue;
		first_word(text, left, version, size);
		return true;
	}
	return false;
}

/* Block by block, each with the end of the one before. */
static void scan_elf(int fd, char *version, size_t size)
{
	static char buf[SCAN_BLOCK + BANNER_LEN + VERSION_MAX];
	size_t kept = 0;
	off_t off = 0;
	ssize_t n;

	while ((n = pread(fd, buf + kept, SCAN_BLOCK, off)) > 0) {
		size_t have = kept + (size_t)n, keep = sizeof(buf) - SCAN_BLOCK;

		if (find_banner(buf, have, version, size))
			return;
		if (keep > have)
			keep = have;
		memmove(buf, buf + have - keep, keep);
		kept = keep;
		off += n;
	}
}

void boot_kernel_version(const char *kernel, char *version, size_t size)
{
	int fd = open(kernel, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	uint8_t head[4096];
	char text[VERSION_MAX];
	uint16_t at;
	ssize_t n;

	*version = 0;
	n = fd < 0 ? -1 : pread(fd, head, sizeof(head), 0);
	if (n == sizeof(head) && elf_is(head, sizeof(head))) {
		scan_elf(fd, version, size);
	} else if (n == sizeof(head) && bzimage_is(head, sizeof(head))) {
		memcpy(&at, head + VERSION_AT, sizeof(at));
		n = at ? pread(fd, text, sizeof(text), (off_t)at + 0x200) : 0;
		if (n > 0)
			first_word(text, (size_t)n, version, size);
	}
	if (fd >= 0)
		close(fd);
}
