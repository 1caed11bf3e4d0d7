// SPDX-License-Identifier: GPL-2.0-only
/*
 * bzimage: loads Linux's bzImage for its 64-bit entry (boot protocol 2.12 and later).
 *
 * The real-mode part is not run: only its header is read. The rest goes to the address it prefers,
 * where it unpacks itself without having to move first. Nothing in the header is trusted.
 *
 * Runs on: main
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "kvm/load.h"

#define SETUP_AT     0x1f1 /* setup_header in the file, and in boot_params */
#define SETUP_MAX    (0x290 - SETUP_AT)
#define HDRS	     0x53726448 /* "HdrS" */
#define ENTRY_64     0x200
#define SECTOR	     512
#define PARAGRAPH    16

_Static_assert(offsetof(struct boot_params, hdr) == SETUP_AT, "boot_params");
_Static_assert(sizeof(struct setup_header) <= SETUP_MAX, "setup_header");
_Static_assert(offsetof(struct setup_header, jump) == 0x200 - SETUP_AT, "setup_header.jump");

bool bzimage_is(const uint8_t *head, uint64_t len)
{
	return len >= 0x206 && head[0x1fe] == 0x55 && head[0x1ff] == 0xaa &&
	       !memcmp(head + 0x202, "HdrS", 4);
}

/* The header, as much of it as this kernel has and we know. */
static int read_setup(const struct image *img, struct setup_header *setup)
{
	uint64_t len = sizeof(*setup), end;
	uint8_t jump[2];
	int ret;

	ret = image_read(img, 0x200, jump, sizeof(jump));
	if (ret < 0)
		return ret;
	/* The header ends where the jump over it goes to. */
	end = 0x202 + (uint64_t)jump[1] - SETUP_AT;
	if (end < len)
		len = end;
	memset(setup, 0, sizeof(*setup));
	return image_read(img, SETUP_AT, setup, len);
}

static int check_setup(const struct image *img, const struct setup_header *setup)
{
	if (setup->version < 0x020c)
		return image_refuse(img,
				    "it speaks boot protocol %u.%02u; lkvm needs 2.12 or later "
				    "(Linux 3.8)",
				    setup->version >> 8, setup->version & 0xff);
	if (!(setup->xloadflags & XLF_KERNEL_64))
		return image_refuse(img, "it is a 32-bit kernel. Fix: one built for x86-64");
	if (!(setup->loadflags & LOADED_HIGH))
		return image_refuse(img, "it is a zImage, which loads below 1 MiB. Fix: a bzImage");
	return 0;
}

int bzimage_load(const struct image *img, struct gmem *mem, struct kernel *kernel)
{
	struct setup_header *setup = &kernel->setup;
	uint64_t span, at, top = ram_low_end(mem);
	unsigned long long off, len;
	int ret;

	ret = read_setup(img, setup);
	if (!ret)
		ret = check_setup(img, setup);
	if (ret < 0)
		return ret;

	off = ((setup->setup_sects ? setup->setup_sects : 4) + 1ULL) * SECTOR;
	len = (uint64_t)setup->syssize * PARAGRAPH;
	/* The last paragraph may be cut short. What comes after it (a signature) is loaded too. */
	if (len <= ENTRY_64)
		return image_refuse(img, "it has no code to enter");
	if (img->size < off || img->size - off + PARAGRAPH <= len)
		return image_refuse(img, "it is truncated: it has %llu bytes and should have %llu",
				    (unsigned long long)img->size, off + len);
	len = img->size - off;

	at = setup->pref_address;
	span = len > setup->init_size ? len : setup->init_size;
	if (at < KERNEL_MIN || at >= MAP_HOLE_START || span > MAP_HOLE_START - at)
		return image_refuse(img,
				    "it wants %#llx bytes at %#llx; it can have 1 MiB to 3 GiB",
				    (unsigned long long)span, (unsigned long long)at);
	if (at + span > top)
		return image_refuse(img,
				    "it does not fit into the guest's RAM. Fix: -m %llu or more",
				    (unsigned long long)ram_needed_mib(at + span));
	ret = image_load(img, off, mem, at, len);
	if (ret < 0)
		return ret;

	kernel->entry.mode = VM_ENTRY_LONG;
	kernel->entry.rip = at + ENTRY_64;
	kernel->end = at + span;
	kernel->cmdline_max = setup->cmdline_size;
	kernel->initrd_max = setup->initrd_addr_max;
	return 0;
}
