// SPDX-License-Identifier: GPL-2.0-only
/*
 * initramfs: puts the archive together.
 *
 * Runs on: main.
 */
#include "lkvm/initramfs.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "guest/command.h"
#include "initramfs/cpio.h"
#include "lkvm/log.h"

#define MIB	   (1ULL << 20)
#define KERNEL_RAM (96 * MIB) /* for a kernel that unpacks itself, and something to run in */

/* What the kernel opens and makes before our first process runs. */
static void add_basics(struct cpio *c)
{
	static const char *const dirs[] = { "dev", "proc", "sys", "tmp", "run", "root" };
	struct cpio_entry console = { .name = "dev/console", .mode = S_IFCHR | 0600,
				      .rdev = 5 << 8 | 1 };

	for (unsigned i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		cpio_file(c, dirs[i], S_IFDIR | 0755, NULL, 0);
	cpio_add(c, &console);
}

static int add_all(struct cpio *c, const struct initramfs_conf *conf)
{
	int err = 0;

	if (conf->rootfs)
		err = tree_add(c, conf->rootfs);
	else if (conf->program)
		add_basics(c);
	if (!err && conf->program)
		err = program_add(c, conf->program);
	if (err)
		return err;
	cpio_file(c, &COMMAND_DIR[1], S_IFDIR | 0700, NULL, 0);
	cpio_file(c, &COMMAND_INIT[1], S_IFREG | 0700, guest_init, guest_init_len);
	return conf->modules ? modules_add(c, conf->modules, conf->wanted) : 0;
}

int initramfs_build(const struct initramfs_conf *conf, struct initramfs *out)
{
	/* The kernel unpacks it before it gives the archive's own pages back. */
	uint64_t limit = conf->ram > KERNEL_RAM + 8 * MIB ? (conf->ram - KERNEL_RAM) / 2 : 4 * MIB;
	struct cpio cpio;
	int err = cpio_open(&cpio, limit);

	if (err)
		return err;
	err = add_all(&cpio, conf);
	cpio_end(&cpio);
	if (!err && cpio.full) {
		log_err(NULL, "%s makes an initramfs of %llu MiB, which the guest's RAM cannot hold twice. "
			"Fix: -m %llu or more, or a disk (-d) instead",
			conf->rootfs ? conf->rootfs : conf->program ? conf->program : "this",
			(unsigned long long)(cpio.len / MIB + 1),
			(unsigned long long)((2 * cpio.len + KERNEL_RAM) / MIB + 8));
		err = -ENOSPC;
	}
	if (err) {
		cpio_close(&cpio);
		return err;
	}
	*out = (struct initramfs){ cpio.buf, cpio.len, cpio.limit };
	return 0;
}

void initramfs_free(struct initramfs *fs)
{
	if (fs->bytes)
		munmap(fs->bytes, fs->mapped);
	*fs = (struct initramfs){ 0 };
}
