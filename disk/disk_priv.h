/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * disk_priv: what the files of this room share: the open disk, the blocking way to do an operation,
 * and the thread that does it.
 *
 * An operation goes the fast way (aio.c: batched libaio on the loop) or, when that can't do it or
 * could block for long, the slow way (sync.c on worker.c's thread). A fast one that turns out not to
 * be finished (a short transfer, a refused flag) is handed over with the bytes it has done.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "lkvm/disk.h"

struct disk_worker {
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct disk_io *head, **tail;
	pthread_t thread;
	bool started, quit;
};

struct disk {
	char name[24]; /* of the device, for messages */
	char *path;
	int fd;
	bool device;   /* a block device, not a file */
	struct disk_info info;
	/* What this kernel or file system turned out not to do; set once, from any queue's loop. */
	atomic_bool no_dsync, no_nowait, no_fdsync, late;
	atomic_ullong told[4]; /* a bit per errno that has been logged */

	pthread_mutex_t sync_lock; /* sync.c: one blocking operation at a time, and its buffer */
	uint8_t *bounce;

	struct disk_worker worker;
};

static inline bool disk_op_moves(enum disk_op op)
{
	return op == DISK_READ || op == DISK_WRITE;
}

/* --- disk.c ---------------------------------------------------------------------------------- */

/* Says once per kind of error what the host did not do. Any thread. */
void disk_complain(struct disk *disk, const struct disk_io *io, int err);

/* --- sync.c: any thread ---------------------------------------------------------------------- */

/*
 * Does all of io after the first `pos` bytes, blocking; durable is seen to here too. 0 or -errno.
 */
int disk_sync_io(struct disk *disk, const struct disk_io *io, uint64_t pos);

/* Can the file take these as they are, or does O_DIRECT ask for an aligned copy? */
bool disk_sync_aligned(const struct disk *disk, uint64_t off, const struct iovec *iov, unsigned n);

/* --- aio.c ----------------------------------------------------------------------------------- */

/* On the worker: io is done with res; its queue's loop hears of it. */
void disk_queue_worked(struct disk_io *io, int res);
uint64_t disk_queue_pos(const struct disk_io *io); /* bytes the fast way has done */

/* --- worker.c -------------------------------------------------------------------------------- */

void disk_worker_init(struct disk *disk);
void disk_worker_fini(struct disk *disk); /* idle */
/* Queues io; if no thread can be had, does it here and now. */
void disk_worker_add(struct disk *disk, struct disk_io *io);
