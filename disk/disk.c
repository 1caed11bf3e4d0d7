// SPDX-License-Identifier: GPL-2.0-only
/*
 * disk: opens a raw image or a block device, refuses what can't be one in a line that says why,
 * keeps other writers out, and finds out what it can do.
 *
 * Runs on: main; disk_complain on any thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "disk/disk_priv.h"
#include "lkvm/log.h"

#define SECTOR 512

/* --- refusals -------------------------------------------------------------------------------- */

/* The kinds of file that are no disk, before opening them does anything (a FIFO would block). */
static int check_kind(const char *name, const char *path, mode_t mode)
{
	const char *what = S_ISDIR(mode)    ? "a directory"
			   : S_ISCHR(mode)  ? "a character device"
			   : S_ISFIFO(mode) ? "a FIFO"
			   : S_ISSOCK(mode) ? "a socket"
					    : "not a file";

	if (S_ISREG(mode) || S_ISBLK(mode))
		return 0;
	log_err(name, "cannot open %s: it is %s. Fix: give a disk image or a block device", path,
		what);
	return -EINVAL;
}

static void open_failed(const char *name, const struct disk_conf *conf, int err)
{
	const char *path = conf->path;

	if (err == ENOENT)
		log_err(name, "cannot open %s: %s. Fix: check the path, or make an empty disk with: "
			"truncate -s 10G %s", path, strerror(err), path);
	else if (err == EBUSY)
		log_err(name, "cannot open %s: the host is using it (mounted, or part of another "
			"device). Fix: unmount it", path);
	else if (!conf->readonly && !access(path, R_OK) &&
		 (err == EACCES || err == EPERM || err == EROFS || err == ETXTBSY))
		log_err(name, "cannot open %s for writing: %s. Fix: add readonly=on, or make it "
			"writable", path, strerror(err));
	else if (err == EACCES)
		log_err(name, "cannot open %s: %s. Fix: run as a user who may, or chmod it", path,
			strerror(err));
	else
		log_err(name, "cannot open %s: %s", path, strerror(err));
}

static int check_size(struct disk *disk)
{
	uint64_t size = disk->info.size;

	if (!size) {
		log_err(disk->name, "cannot use %s: it is empty (0 bytes). Fix: truncate -s 10G %s",
			disk->path, disk->path);
		return -EINVAL;
	}
	if (size % SECTOR) {
		log_err(disk->name, "cannot use %s: its size, %llu bytes, is not a multiple of %d. "
			"Fix: truncate -s %%%d %s", disk->path, (unsigned long long)size, SECTOR, SECTOR,
			disk->path);
		return -EINVAL;
	}
	return 0;
}

/* --- opening --------------------------------------------------------------------------------- */

/* O_EXCL on a block device: not while the host has it mounted. Reading may share. */
static int open_flags(const struct disk_conf *conf, mode_t mode)
{
	int flags = O_CLOEXEC | O_NOCTTY | O_NONBLOCK;

	flags |= conf->readonly ? O_RDONLY : O_RDWR;
	if (S_ISBLK(mode) && !conf->readonly)
		flags |= O_EXCL;
	return flags;
}

static int open_file(struct disk *disk, const struct disk_conf *conf, struct stat *st)
{
	int flags, err;

	if (stat(conf->path, st)) {
		err = -errno;
		open_failed(disk->name, conf, -err);
		return err;
	}
	err = check_kind(disk->name, conf->path, st->st_mode);
	if (err)
		return err;
	flags = open_flags(conf, st->st_mode);
	disk->info.direct = conf->direct;
	disk->fd = open(conf->path, flags | (conf->direct ? O_DIRECT : 0));
	if (disk->fd < 0 && errno == EINVAL && conf->direct) {
		log_warn(disk->name, "%s: its file system has no O_DIRECT; going through the host's "
			 "page cache", conf->path);
		disk->info.direct = false;
		disk->fd = open(conf->path, flags);
	}
	if (disk->fd < 0) {
		err = -errno;
		open_failed(disk->name, conf, -err);
		return err;
	}
	/* Once more: the name may have come to mean something else. */
	if (fstat(disk->fd, st))
		st->st_mode = 0;
	disk->device = S_ISBLK(st->st_mode);
	return check_kind(disk->name, conf->path, st->st_mode);
}

/*
 * One writer or many readers. The lock belongs to the open file, so that it also keeps a second
 * disk of our own out, and covers all bytes, so that it meets the ones other VMMs take.
 */
static int lock_file(struct disk *disk)
{
	struct flock lock = { .l_type = disk->info.readonly ? F_RDLCK : F_WRLCK,
			      .l_whence = SEEK_SET };

	if (!fcntl(disk->fd, F_OFD_SETLK, &lock))
		return 0;
	if (errno == EAGAIN || errno == EACCES) {
		log_err(disk->name, "cannot open %s: another virtual machine or disk %s it. Fix: "
			"stop that one, or open it with readonly=on in both", disk->path,
			disk->info.readonly ? "writes to" : "uses");
		return -EBUSY;
	}
	log_warn(disk->name, "cannot lock %s: %s; make sure that nothing else writes to it",
		 disk->path, strerror(errno));
	return 0;
}

/* --- geometry -------------------------------------------------------------------------------- */

static bool power_of_two(uint64_t n)
{
	return n && !(n & (n - 1));
}

static void file_geometry(struct disk *disk, const struct stat *st)
{
	struct disk_info *info = &disk->info;

	info->size = (uint64_t)st->st_size;
	/*
	 * Always 512, also where O_DIRECT wants more: a partition table counts in logical blocks,
	 * and an image must not change its meaning with how it is opened.
	 */
	info->block_size = SECTOR;
	/* st_blksize is a hint, and on network file systems the size of a transfer. */
	info->phys_block = 4096;
	if (power_of_two((uint64_t)st->st_blksize) && st->st_blksize >= SECTOR &&
	    st->st_blksize < 4096)
		info->phys_block = (uint32_t)st->st_blksize;
}

static int device_geometry(struct disk *disk)
{
	struct disk_info *info = &disk->info;
	unsigned phys = 0, opt = 0;
	int logical = 0, readonly = 0;

	if (ioctl(disk->fd, BLKGETSIZE64, &info->size) || ioctl(disk->fd, BLKSSZGET, &logical)) {
		log_err(disk->name, "cannot find the size of %s: %s", disk->path, strerror(errno));
		return -EINVAL;
	}
	if (!info->readonly && !ioctl(disk->fd, BLKROGET, &readonly) && readonly) {
		log_err(disk->name, "cannot write to %s: the device is read-only. Fix: add "
			"readonly=on", disk->path);
		return -EROFS;
	}
	info->block_size = logical >= SECTOR && power_of_two((uint64_t)logical) ? (uint32_t)logical
										: SECTOR;
	info->phys_block = info->block_size;
	if (!ioctl(disk->fd, BLKPBSZGET, &phys) && power_of_two(phys) && phys > info->block_size)
		info->phys_block = phys;
	if (!ioctl(disk->fd, BLKIOOPT, &opt))
		info->opt_io = opt;
	return 0;
}

/*
 * What O_DIRECT asks for is not written anywhere on older kernels, so the disk is asked: the
 * smallest aligned read that it takes.
 */
static int find_alignment(struct disk *disk)
{
	struct disk_info *info = &disk->info;
	void *buf = NULL;

	info->align = 1;
	if (!info->direct)
		return 0;
	if (posix_memalign(&buf, 8192, 4096)) {
		log_err(disk->name, "out of memory");
		return -ENOMEM;
	}
	for (uint32_t align = info->block_size; align <= 4096; align *= 2) {
		/* At an address that is aligned to this much and no more. */
		void *at = (char *)buf + align % 4096;

		if (info->size >= align && pread(disk->fd, at, align, 0) >= 0) {
			info->align = align;
			break;
		}
	}
	free(buf);
	if (info->align > 1 && info->size % info->align == 0) {
		if (info->phys_block < info->align)
			info->phys_block = info->align;
		return 0;
	}
	if (info->align > 1)
		log_warn(disk->name, "%s: O_DIRECT can't reach the end of a size that is not a multiple "
			 "of %u; going through the host's page cache. Fix: truncate -s %%%u %s",
			 disk->path, info->align, info->align, disk->path);
	else
		log_warn(disk->name, "%s: O_DIRECT reads fail; going through the host's page cache",
			 disk->path);
	info->align = 1;
	info->direct = false;
	fcntl(disk->fd, F_SETFL, fcntl(disk->fd, F_GETFL) & ~O_DIRECT);
	return 0;
}

/* --- abilities ------------------------------------------------------------------------------- */

static bool device_discards(dev_t dev)
{
	static const char *const where[] = { "queue", "../queue" }; /* a partition's is its disk's */
	unsigned long long max = 0;
	char path[96];

	for (unsigned i = 0; i < 2 && !max; i++) {
		FILE *f;

		snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%s/discard_max_bytes", major(dev),
			 minor(dev), where[i]);
		f = fopen(path, "re");
		if (!f)
			continue;
		if (fscanf(f, "%llu", &max) != 1)
			max = 0;
		fclose(f);
	}
	return max;
}

/*
 * Holes: asked for past the end, where there is nothing to lose. The file system takes the request
 * for a change all the same, so the file's times are put back.
 */
static bool file_discards(struct disk *disk, const struct stat *st)
{
	struct timespec times[2] = { st->st_atim, st->st_mtim };
	off_t end = (off_t)((disk->info.size + 4095) & ~4095ULL);

	if (fallocate(disk->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, end, 4096))
		return false;
	futimens(disk->fd, times);
	return true;
}

static void find_abilities(struct disk *disk, const struct stat *st)
{
	if (disk->info.readonly)
		return;
	disk->info.discard = disk->device ? device_discards(st->st_rdev) : file_discards(disk, st);
	/*
	 * The kernel zeroes a device by whatever is quickest. For a file without holes it would mean
	 * writing zeroes, which the guest does as well itself.
	 */
	disk->info.write_zeroes = disk->device || disk->info.discard;
}

/* --- life ------------------------------------------------------------------------------------ */

static int disk_setup(struct disk *disk, const struct disk_conf *conf)
{
	struct stat st;
	int err = open_file(disk, conf, &st);

	if (!err)
		err = lock_file(disk);
	if (err)
		return err;
	if (disk->device)
		err = device_geometry(disk);
	else
		file_geometry(disk, &st);
	if (!err)
		err = check_size(disk);
	if (!err)
		err = find_alignment(disk);
	if (err)
		return err;
	find_abilities(disk, &st);
	return 0;
}

struct disk *disk_open(const char *name, const struct disk_conf *conf)
{
	struct disk *disk;

	if (conf->format && strcmp(conf->format, "raw")) {
		log_err(name, "cannot open %s: unknown image format '%s'. Fix: qemu-img convert -O "
			"raw, then format=raw", conf->path, conf->format);
		return NULL;
	}
	disk = calloc(1, sizeof(*disk));
	if (!disk)
		goto no_memory;
	disk->fd = -1;
	snprintf(disk->name, sizeof(disk->name), "%s", name);
	disk->info.readonly = conf->readonly;
	disk->path = strdup(conf->path);
	pthread_mutex_init(&disk->sync_lock, NULL);
	disk_worker_init(disk);
	if (!disk->path)
		goto no_memory;
	if (disk_setup(disk, conf))
		goto out_close;
	return disk;

no_memory:
	log_err(name, "out of memory");
out_close:
	disk_close(disk);
	return NULL;
}

void disk_close(struct disk *disk)
{
	if (!disk)
		return;
	disk_worker_fini(disk);
	pthread_mutex_destroy(&disk->sync_lock);
	if (disk->fd >= 0)
		close(disk->fd);
	free(disk->bounce);
	free(disk->path);
	free(disk);
}

const struct disk_info *disk_info(const struct disk *disk)
{
	return &disk->info;
}

/* --- errors while running -------------------------------------------------------------------- */

static const char *const op_names[] = {
	[DISK_READ] = "read", [DISK_WRITE] = "write", [DISK_FLUSH] = "flush",
	[DISK_DISCARD] = "discard", [DISK_ZERO] = "zero", [DISK_ZERO_UNMAP] = "zero",
};

static bool shortened(const struct disk *disk, const struct disk_io *io)
{
	struct stat st;

	return !disk->device && !fstat(disk->fd, &st) && io->off + io->len > (uint64_t)st.st_size;
}

void disk_complain(struct disk *disk, const struct disk_io *io, int err)
{
	unsigned kind = (unsigned)-err % 256;
	unsigned long long bit = 1ULL << kind % 64;

	/* A guest retries as often as it likes; one line a kind is enough. */
	if (atomic_fetch_or(&disk->told[kind / 64], bit) & bit)
		return;
	log_err(disk->name, "cannot %s %llu bytes at %llu of %s: %s%s", op_names[io->op],
		(unsigned long long)io->len, (unsigned long long)io->off, disk->path,
		err == -EIO && shortened(disk, io) ? "the file has become shorter" : strerror(-err),
		err == -ENOSPC ? ". Fix: make room on the host's file system" : "");
}
