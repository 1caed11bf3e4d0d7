// SPDX-License-Identifier: GPL-2.0-only
/*
 * kernel: finds out what a kernel file is and has it loaded.
 *
 * Runs on: main
 */
#include <errno.h>
#include <string.h>

#include "kvm/load.h"

#define HEAD 4096

uint64_t ram_low_end(const struct gmem *mem)
{
	unsigned i;

	for (i = 0; i < mem->n; i++)
		if (!mem->region[i].gpa)
			return mem->region[i].len;
	return 0;
}

uint64_t ram_needed_mib(uint64_t end)
{
	return (end >> 20) + ((end & 0xfffff) != 0);
}

/* A guess at what else it is, to save the next question. */
static const char *kind_of(const uint8_t *head, uint64_t len)
{
	if (len >= 2 && head[0] == 0x1f && head[1] == 0x8b)
		return "it is compressed with gzip. Fix: gunzip it first";
	if (len >= 4 && !memcmp(head, "\x28\xb5\x2f\xfd", 4))
		return "it is compressed with zstd. Fix: unzstd it first";
	if (len >= 6 && !memcmp(head, "\xfd" "7zXZ", 6))
		return "it is compressed with xz. Fix: unxz it first";
	if (len >= 64 && !memcmp(head + 56, "ARM\x64", 4))
		return "it is a kernel for arm64, not for x86-64";
	return "it is no kernel: neither a bzImage (vmlinuz) nor an ELF vmlinux";
}

int kernel_load(const char *path, struct gmem *mem, struct kernel *kernel)
{
	uint8_t head[HEAD];
	struct image img;
	uint64_t len;
	int ret;

	memset(kernel, 0, sizeof(*kernel));
	ret = image_open(&img, "kernel", path);
	if (ret < 0)
		return ret;
	len = img.size < HEAD ? img.size : HEAD;
	ret = image_read(&img, 0, head, len);
	if (ret < 0)
		goto out_close;
	if (elf_is(head, len))
		ret = elf_load(&img, mem, kernel);
	else if (bzimage_is(head, len))
		ret = bzimage_load(&img, mem, kernel);
	else
		ret = image_refuse(&img, "%s", kind_of(head, len));
out_close:
	image_close(&img);
	return ret;
}
