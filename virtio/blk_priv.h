/* SPDX-License-Identifier: GPL-2.0-only */
/* blk_priv: what the block device (blk.c) and its requests (blk_io.c) share. */
#pragma once

#include <stddef.h>

#include "lkvm/disk.h"
#include "lkvm/vdev.h"

enum {
	BLK_F_SEG_MAX = 2,
	BLK_F_RO = 5,
	BLK_F_BLK_SIZE = 6,
	BLK_F_FLUSH = 9,
	BLK_F_TOPOLOGY = 10,
	BLK_F_CONFIG_WCE = 11,
	BLK_F_MQ = 12,
	BLK_F_DISCARD = 13,
	BLK_F_WRITE_ZEROES = 14,
};

#define SECTOR		512
#define BLK_ID_LEN	20
#define BLK_RANGES	8	   /* of a discard or write zeroes request */
#define BLK_RANGE_MAX	(1u << 21) /* sectors of each: 1 GiB */

struct blk_req;

struct blk_queue {
	struct blk *blk;
	unsigned n;
	struct disk_queue *dq; /* from the first start to close */
	unsigned depth;	       /* the most ios in flight that dq takes */
	struct blk_req *pool, *free;
	unsigned fresh; /* of pool: never used so far, so that an idle queue costs no memory */
};

struct blk {
	struct vdev dev;
	struct disk *disk;
	const struct disk_info *info;
	uint64_t sectors;
	char id[BLK_ID_LEN];
	/* Each write is durable before it completes. Set at home, where the driver's writes arrive. */
	atomic_bool write_through;
	struct blk_queue queue[];
};

/* --- blk_io.c: on the queue's loop ---------------------------------------------------------- */

int blk_io_start(struct blk_queue *bq, unsigned size); /* 0 or -ENOMEM */
void blk_io_serve(struct blk_queue *bq, struct vreq *vr);
void blk_io_stop(struct blk_queue *bq); /* back when nothing is in flight */
void blk_io_close(struct blk_queue *bq); /* stopped, or never started */
