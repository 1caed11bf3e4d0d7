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
#define PAGE	   4096ULL
#define FILE_RAM   1024ULL /* of a file beside its bytes */

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

/*
 * The kernel unpacks the archive before it gives its pages back, into a tmpfs, which takes half of the
 * RAM at most and as many files as half of the RAM has pages.
 */
static uint64_t ram_needed(const struct cpio *c)
{
	uint64_t unpacked = c->pages * PAGE + c->files * FILE_RAM, needed = c->len + unpacked;

	if (needed < 2 * c->pages * PAGE)
		needed = 2 * c->pages * PAGE;
	if (needed < 2 * c->files * PAGE)
		needed = 2 * c->files * PAGE;
	return needed + KERNEL_RAM;
}

static int too_big(const struct initramfs_conf *conf, const struct cpio *c)
{
	log_err(NULL, "%s makes an initramfs of %llu MiB and %llu files, which the guest's RAM cannot hold "
		"unpacked. Fix: -m %llu or more, or a disk (-d) instead",
		conf->rootfs ? conf->rootfs : conf->program ? conf->program : "this",
		(unsigned long long)(c->len / MIB + 1), (unsigned long long)c->files,
		(unsigned long long)(ram_needed(c) / MIB + 8));
	return -ENOSPC;
}

int initramfs_build(const struct initramfs_conf *conf, struct initramfs *out)
{
	/* A small one is tried in a guest of any size. */
	bool small = conf->ram <= KERNEL_RAM + 8 * MIB;
	uint64_t limit = small ? 4 * MIB : (conf->ram - KERNEL_RAM) / 2;
	struct cpio cpio;
	int err = cpio_open(&cpio, limit);

	if (err)
		return err;
	err = add_all(&cpio, conf);
	cpio_end(&cpio);
	if (!err && (cpio.full || (!small && ram_needed(&cpio) > conf->ram)))
		err = too_big(conf, &cpio);
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
