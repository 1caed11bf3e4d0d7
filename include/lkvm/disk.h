/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * disk: the bytes behind a block device: a raw file or a block device, read and written with libaio.
 *
 * A disk is opened once with its geometry; a disk_queue is one submission context on one loop.
 * Requests are staged and submitted together at the end of the loop's turn; completions arrive on
 * the loop. Offsets and lengths are in bytes.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "lkvm/loop.h"

struct disk;
struct disk_queue;

struct disk_conf {
	const char *path;
	const char *format; /* NULL or "raw" */
	bool readonly, direct;
};

struct disk_info {
	uint64_t size;	      /* bytes; a multiple of 512 */
	uint32_t block_size;  /* logical block: 512 or 4096 */
	uint32_t phys_block;  /* physical block; >= block_size */
	uint32_t opt_io;      /* optimal transfer, 0: unknown */
	uint32_t align;	      /* of addresses and offsets, under direct; else 1 */
	bool readonly, direct, discard, write_zeroes;
};

enum disk_op { DISK_READ, DISK_WRITE, DISK_FLUSH, DISK_DISCARD, DISK_ZERO, DISK_ZERO_UNMAP };

/* One operation; the caller's, in place until done has been called. */
struct disk_io {
	enum disk_op op;
	uint64_t off, len;
	const struct iovec *iov; /* READ, WRITE; lives as long as the io */
	unsigned n_iov;
	bool durable; /* WRITE: on stable storage before done (FUA) */
	/* On the loop: res is 0, or -errno. A short transfer has been finished or made an error. */
	void (*done)(struct disk_io *io, int res);
	void *opaque;
	struct disk_io *next;	  /* disk's */
	uint8_t private_[128];	  /* disk's: the kernel's control block */
} __attribute__((aligned(16)));

/* NULL: logged as `NAME: cannot open PATH: ...`, with the fix. */
struct disk *disk_open(const char *name, const struct disk_conf *conf);
void disk_close(struct disk *disk);
const struct disk_info *disk_info(const struct disk *disk);

/* depth: the most ios in flight. NULL: logged. */
struct disk_queue *disk_queue_open(struct disk *disk, struct loop *loop, unsigned depth);
/* Stages; 0, or -EAGAIN when depth ios are in flight. Bounds and read-only are the caller's too. */
int disk_submit(struct disk_queue *q, struct disk_io *io);
/* Runs completions until nothing is in flight. On the loop. */
void disk_drain(struct disk_queue *q);
void disk_queue_close(struct disk_queue *q); /* drained */
