// SPDX-License-Identifier: GPL-2.0-only
/*
 * sync: every disk operation done the plain, blocking way: what libaio can't do, what can take long,
 * and the rest of what libaio left unfinished.
 *
 * Runs on: any thread, one operation at a time; normally worker.c's.
 *
 * Under O_DIRECT a transfer whose offset, length or buffers aren't aligned goes through an aligned
 * buffer, a chunk at a time; a write then reads the blocks it changes first. Being one at a time,
 * two such writes can't undo each other.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "disk/disk_priv.h"

#define BOUNCE_LEN (256 << 10)
#define BOUNCE_ALIGN 4096
#define SLICE 64 /* iovecs a system call gets */

/* Where a transfer has got to: io's byte pos is byte `skip` of its iov[i]. */
struct place {
	const struct disk_io *io;
	uint64_t pos;
	unsigned i;
	size_t skip;
};

static void place_advance(struct place *at, uint64_t len)
{
	const struct disk_io *io = at->io;

	at->pos += len;
	while (len && disk_op_moves(io->op) && at->i < io->n_iov) {
		size_t here = io->iov[at->i].iov_len - at->skip;

		if (len < here) {
			at->skip += len;
			return;
		}
		len -= here;
		at->skip = 0;
		at->i++;
	}
}

static unsigned place_slice(const struct place *at, struct iovec *vec)
{
	const struct disk_io *io = at->io;
	size_t skip = at->skip;
	unsigned n = 0;

	for (unsigned i = at->i; i < io->n_iov && n < SLICE; i++, skip = 0) {
		vec[n].iov_base = (char *)io->iov[i].iov_base + skip;
		vec[n++].iov_len = io->iov[i].iov_len - skip;
	}
	return n;
}

/* Copies len bytes from here between the iovecs and buf. */
static void place_copy(const struct place *from, uint8_t *buf, size_t len)
{
	const struct disk_io *io = from->io;
	struct place at = *from;

	while (len && at.i < io->n_iov) {
		uint8_t *here = (uint8_t *)io->iov[at.i].iov_base + at.skip;
		size_t n = io->iov[at.i].iov_len - at.skip;

		if (n > len)
			n = len;
		if (io->op == DISK_READ)
			memcpy(here, buf, n);
		else
			memcpy(buf, here, n);
		place_advance(&at, n);
		buf += n;
		len -= n;
	}
}

bool disk_sync_aligned(const struct disk *disk, uint64_t off, const struct iovec *iov, unsigned n)
{
	uint64_t mask = disk->info.align - 1, all = off;

	for (unsigned i = 0; mask && i < n; i++)
		all |= (uintptr_t)iov[i].iov_base | iov[i].iov_len;
	return !(all & mask);
}

/* All of it or an error. */
static int whole(struct disk *disk, bool write, uint8_t *buf, size_t len, uint64_t off)
{
	while (len) {
		ssize_t n = write ? pwrite(disk->fd, buf, len, (off_t)off)
				  : pread(disk->fd, buf, len, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			return -EIO;
		buf += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

/* One chunk through the aligned buffer: a read, a write, or (no iov) zeroes. */
static int bounce_chunk(struct disk *disk, struct place *at)
{
	const struct disk_io *io = at->io;
	uint64_t align = disk->info.align, end = io->off + io->len;
	uint64_t from = io->off + at->pos, lo = from - from % align, hi = lo + BOUNCE_LEN, to;
	bool write = io->op != DISK_READ;
	int err = 0;

	if (!disk->bounce && posix_memalign((void **)&disk->bounce, BOUNCE_ALIGN, BOUNCE_LEN))
		return -ENOMEM;
	to = hi < end ? hi : end;
	hi = (to + align - 1) / align * align;
	if (!write || lo != from || hi != to)
		err = whole(disk, false, disk->bounce, hi - lo, lo);
	if (err)
		return err;
	if (disk_op_moves(io->op))
		place_copy(at, disk->bounce + (from - lo), to - from);
	else
		memset(disk->bounce + (from - lo), 0, to - from);
	if (write)
		err = whole(disk, true, disk->bounce, hi - lo, lo);
	if (!err)
		place_advance(at, to - from);
	return err;
}

static int transfer_step(struct disk *disk, struct place *at)
{
	const struct disk_io *io = at->io;
	uint64_t off = io->off + at->pos;
	struct iovec vec[SLICE];
	unsigned n = place_slice(at, vec);
	ssize_t done;

	if (!disk_sync_aligned(disk, off, vec, n))
		return bounce_chunk(disk, at);
	done = io->op == DISK_READ ? preadv(disk->fd, vec, (int)n, (off_t)off)
				   : pwritev(disk->fd, vec, (int)n, (off_t)off);
	if (done < 0)
		return errno == EINTR ? 0 : -errno;
	if (!done) /* the end has come nearer since open */
		return -EIO;
	place_advance(at, (uint64_t)done);
	return 0;
}

static int transfer(struct disk *disk, const struct disk_io *io, uint64_t pos)
{
	struct place at = { .io = io };
	int err = 0;

	place_advance(&at, pos);
	while (!err && at.pos < io->len)
		err = transfer_step(disk, &at);
	return err;
}

/* --- holes and zeroes ------------------------------------------------------------------------ */

static int reserve(struct disk *disk, int mode, uint64_t off, uint64_t len)
{
	int r;

	do
		r = fallocate(disk->fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)off, (off_t)len);
	while (r && errno == EINTR);
	return r ? -errno : 0;
}

static int device_range(struct disk *disk, unsigned long request, uint64_t off, uint64_t len)
{
	uint64_t range[2] = { off, len };

	return ioctl(disk->fd, request, range) ? -errno : 0;
}

static int discard(struct disk *disk, const struct disk_io *io)
{
	uint64_t block = disk->info.block_size;
	uint64_t off = (io->off + block - 1) / block * block;
	uint64_t end = (io->off + io->len) / block * block;

	if (!disk->device)
		return reserve(disk, FALLOC_FL_PUNCH_HOLE, io->off, io->len);
	/* A hint: blocks that are only partly meant stay. */
	return off < end ? device_range(disk, BLKDISCARD, off, end - off) : 0;
}

static int zero_by_writing(struct disk *disk, const struct disk_io *io)
{
	struct place at = { .io = io };
	int err = 0;

	while (!err && at.pos < io->len)
		err = bounce_chunk(disk, &at);
	return err;
}

static bool unsupported(int err)
{
	return err == -EOPNOTSUPP || err == -EINVAL || err == -ENOSYS || err == -ENOTTY;
}

/*
 * The quickest way that this file system or device has. Without unmap the blocks stay reserved, so
 * that a later write to them can't run out of space: where there is no ZERO_RANGE, a hole is made
 * and filled with reserved blocks again.
 */
static int zero(struct disk *disk, const struct disk_io *io)
{
	bool unmap = io->op == DISK_ZERO_UNMAP;
	int err = -EOPNOTSUPP;

	if (unmap)
		err = reserve(disk, FALLOC_FL_PUNCH_HOLE, io->off, io->len);
	else if (!disk->device)
		err = reserve(disk, FALLOC_FL_ZERO_RANGE, io->off, io->len);
	if (unsupported(err) && disk->device)
		err = device_range(disk, BLKZEROOUT, io->off, io->len);
	else if (unsupported(err) && !unmap) {
		err = reserve(disk, FALLOC_FL_PUNCH_HOLE, io->off, io->len);
		if (!err)
			err = reserve(disk, 0, io->off, io->len);
	}
	return unsupported(err) ? zero_by_writing(disk, io) : err;
}

int disk_sync_io(struct disk *disk, const struct disk_io *io, uint64_t pos)
{
	bool flush = io->op == DISK_FLUSH || (io->durable && io->op != DISK_READ);
	int err = 0;

	pthread_mutex_lock(&disk->sync_lock);
	if (disk_op_moves(io->op))
		err = transfer(disk, io, pos);
	else if (io->op == DISK_DISCARD && io->len)
		err = discard(disk, io);
	else if (io->op != DISK_FLUSH && io->len)
		err = zero(disk, io);
	if (!err && flush && fdatasync(disk->fd))
		err = -errno;
	pthread_mutex_unlock(&disk->sync_lock);
	return err;
}
