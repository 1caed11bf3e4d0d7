// SPDX-License-Identifier: GPL-2.0-only
/*
 * blk_io: the block device's requests (virtio 1.x, 5.2.6; not zoned): each becomes disk operations
 * on the guest's own pages, any number at a time, in any order.
 *
 * Runs on: the queue's loop.
 *
 * A request is a 16-byte header, data, and one status byte, cut into descriptors as the driver
 * likes: the header is the first 16 readable bytes, the status the last writable one, data the rest.
 * One without room for a status can't be answered, and used it would look like success: it fails the
 * device. One without a whole header ends with IOERR.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "virtio/blk_priv.h"

enum {
	BLK_T_IN = 0,
	BLK_T_OUT = 1,
	BLK_T_FLUSH = 4,
	BLK_T_FLUSH_OUT = 5, /* legacy: the same */
	BLK_T_GET_ID = 8,
	BLK_T_DISCARD = 11,
	BLK_T_WRITE_ZEROES = 13,
};

enum blk_status { BLK_S_OK, BLK_S_IOERR, BLK_S_UNSUPP, BLK_PENDING = -1 };

struct blk_header {
	uint32_t type, reserved;
	uint64_t sector;
};
_Static_assert(sizeof(struct blk_header) == 16, "5.2.6");

#define BLK_RANGE_UNMAP 1u

struct blk_range {
	uint64_t sector;
	uint32_t sectors, flags;
};
_Static_assert(sizeof(struct blk_range) == 16, "5.2.6");

/* A request in flight; one per ring entry, so that there is always one. */
struct blk_req {
	struct disk_io io;
	struct vreq *vr;
	struct vwriter status; /* vr->in's last byte */
	struct blk_queue *bq;
	struct blk_req *next;  /* free */
	struct iovec *spill;   /* an iovec array that neither vr nor this struct could hold */
	unsigned range_n, range_at;
	union {
		struct iovec iov[BLK_RANGES];
		struct blk_range range[BLK_RANGES]; /* checked, in host order */
	};
};

/* --- requests come and go -------------------------------------------------------------------- */

static struct blk_req *req_get(struct blk_queue *bq)
{
	struct blk_req *req = bq->free;

	if (req)
		bq->free = req->next;
	else
		req = &bq->pool[bq->fresh++];
	return req;
}

/*
 * used.len counts from the first writable byte, so that the status is in it only if all data before
 * it is: data and status of a read, 1 of a write, 0 of a read that failed (2.7.8.2).
 */
static void complete(struct blk_req *req, enum blk_status status)
{
	struct blk_queue *bq = req->bq;
	struct vreq *vr = req->vr;
	uint8_t byte = (uint8_t)status;

	vwrite(&req->status, &byte, 1);
	vr->len = vwriter_joined(&vr->in, &req->status);
	vr->len_set = true;
	free(req->spill);
	req->next = bq->free;
	bq->free = req;
	virtq_push(vdev_queue(&bq->blk->dev, bq->n), vr);
}

static enum blk_status next_range(struct blk_req *req);

static void io_done(struct disk_io *io, int res)
{
	struct blk_req *req = io->opaque;
	enum blk_status status = BLK_S_OK;

	if (res == -EOPNOTSUPP && io->op != DISK_READ && io->op != DISK_WRITE)
		status = BLK_S_UNSUPP;
	else if (res)
		status = BLK_S_IOERR;
	else if (io->op == DISK_READ)
		vwriter_commit(&req->vr->in, io->len);
	else if (req->range_at < req->range_n)
		status = next_range(req);
	if (status != BLK_PENDING)
		complete(req, status);
}

static enum blk_status submit(struct blk_req *req, enum disk_op op, uint64_t off, uint64_t len)
{
	req->io.op = op;
	req->io.off = off;
	req->io.len = len;
	return disk_submit(req->bq->dq, &req->io) ? BLK_S_IOERR : BLK_PENDING;
}

/* --- reads and writes ------------------------------------------------------------------------ */

static bool in_capacity(const struct blk *blk, uint64_t sector, uint64_t n)
{
	return sector <= blk->sectors && n <= blk->sectors - sector;
}

/* The pieces of the request's own array that make up len bytes exactly; 0: they are cut otherwise. */
static unsigned whole_pieces(const struct iovec *iov, unsigned n, size_t off, size_t len)
{
	unsigned i;

	if (off)
		return 0;
	for (i = 0; len && i < n && iov[i].iov_len <= len; i++)
		len -= iov[i].iov_len;
	return len ? 0 : i;
}

/*
 * The data as an iovec array. Header and status usually have descriptors of their own and then the
 * array is there already; else it is copied, to the heap only when it is long as well.
 */
static bool set_iov(struct blk_req *req, bool in, size_t len)
{
	const struct vreader *rd = &req->vr->out;
	const struct vwriter *wr = &req->vr->in;
	const struct iovec *iov = in ? wr->iov : rd->iov;
	unsigned pieces = in ? wr->n : rd->n;
	struct iovec *copy = req->iov;
	int cap = BLK_RANGES, n;

	req->io.iov = iov;
	req->io.n_iov = whole_pieces(iov, pieces, in ? wr->off : rd->off, len);
	if (req->io.n_iov)
		return true;
	if (pieces > BLK_RANGES) {
		cap = (int)pieces; /* at most what a chain can have */
		copy = req->spill = calloc(pieces, sizeof(*copy));
		if (!copy)
			return false;
	}
	n = in ? vwriter_iov(wr, len, copy, cap) : vreader_iov(rd, len, copy, cap);
	req->io.iov = copy;
	req->io.n_iov = n < 0 ? 0 : (unsigned)n;
	return n > 0;
}

static enum blk_status transfer(struct blk_req *req, bool in, uint64_t sector)
{
	struct blk *blk = req->bq->blk;
	size_t len = in ? req->vr->in.left : req->vr->out.left;

	if (!in && blk->info->readonly)
		return BLK_S_IOERR;
	if (len % SECTOR || !in_capacity(blk, sector, len / SECTOR))
		return BLK_S_IOERR;
	if (!len)
		return BLK_S_OK;
	if (!set_iov(req, in, len))
		return BLK_S_IOERR;
	req->io.durable = !in && blk->write_through;
	return submit(req, in ? DISK_READ : DISK_WRITE, sector * SECTOR, len);
}

/* --- discard and write zeroes ---------------------------------------------------------------- */

/* The ranges of a request one after the other; they have all been checked before the first. */
static enum blk_status next_range(struct blk_req *req)
{
	const struct blk_range *r = &req->range[req->range_at++];
	enum disk_op op = req->io.op;

	if (op != DISK_DISCARD)
		op = r->flags & BLK_RANGE_UNMAP ? DISK_ZERO_UNMAP : DISK_ZERO;
	return submit(req, op, r->sector * SECTOR, (uint64_t)r->sectors * SECTOR);
}

static enum blk_status check_range(const struct blk *blk, bool discard, const struct blk_range *r)
{
	if (r->flags & ~BLK_RANGE_UNMAP || (discard && r->flags))
		return BLK_S_UNSUPP;
	if (r->sectors > BLK_RANGE_MAX || !in_capacity(blk, r->sector, r->sectors))
		return BLK_S_IOERR;
	return BLK_S_OK;
}

static enum blk_status ranges(struct blk_req *req, bool discard)
{
	struct blk *blk = req->bq->blk;
	struct vreader *rd = &req->vr->out;
	enum blk_status status;

	if (!vdev_has(&blk->dev, discard ? BLK_F_DISCARD : BLK_F_WRITE_ZEROES))
		return BLK_S_UNSUPP;
	if (blk->info->readonly || !rd->left || rd->left % sizeof(struct blk_range) ||
	    rd->left / sizeof(struct blk_range) > BLK_RANGES)
		return BLK_S_IOERR;
	while (rd->left) {
		struct blk_range *r = &req->range[req->range_n++];

		vread(rd, r, sizeof(*r));
		r->sector = le64toh(r->sector);
		r->sectors = le32toh(r->sectors);
		r->flags = le32toh(r->flags);
		status = check_range(blk, discard, r);
		if (status)
			return status;
	}
	req->io.op = discard ? DISK_DISCARD : DISK_ZERO;
	req->io.durable = blk->write_through;
	req->io.n_iov = 0;
	return next_range(req);
}

/* --- the queue ------------------------------------------------------------------------------- */

static enum blk_status get_id(struct blk_req *req)
{
	struct vwriter *in = &req->vr->in;
	size_t len = in->left < BLK_ID_LEN ? in->left : BLK_ID_LEN;

	vwrite(in, req->bq->blk->id, len);
	return BLK_S_OK;
}

static enum blk_status dispatch(struct blk_req *req)
{
	const struct vdev *dev = &req->bq->blk->dev;
	struct blk_header h;

	if (!vread(&req->vr->out, &h, sizeof(h)))
		return BLK_S_IOERR;
	switch (le32toh(h.type)) {
	case BLK_T_IN:
		return transfer(req, true, le64toh(h.sector));
	case BLK_T_OUT:
		return transfer(req, false, le64toh(h.sector));
	case BLK_T_FLUSH_OUT:
		if (dev->modern)
			return BLK_S_UNSUPP;
		/* fall through */
	case BLK_T_FLUSH:
		return submit(req, DISK_FLUSH, 0, 0);
	case BLK_T_GET_ID:
		return get_id(req);
	case BLK_T_DISCARD:
		return ranges(req, true);
	case BLK_T_WRITE_ZEROES:
		return ranges(req, false);
	default:
		return BLK_S_UNSUPP;
	}
}

void blk_io_serve(struct blk_queue *bq, struct vreq *vr)
{
	struct blk_req *req;
	enum blk_status status;

	if (!vr->in.left) {
		vdev_fail(&bq->blk->dev, "queue %u: a request has no room for its status", bq->n);
		return;
	}
	req = req_get(bq);
	req->bq = bq;
	req->vr = vr;
	req->io.done = io_done;
	req->io.opaque = req;
	req->spill = NULL;
	req->range_n = req->range_at = 0;
	vwriter_split(&vr->in, vr->in.left - 1, &req->status);
	status = dispatch(req);
	if (status != BLK_PENDING)
		complete(req, status);
}

/*
 * The submission context outlives the ring: taking one down costs the kernel a grace period, tens of
 * milliseconds, which a driver's reset shall not wait for.
 */
static int open_context(struct blk_queue *bq, unsigned size)
{
	if (bq->dq && bq->depth >= size)
		return 0;
	blk_io_close(bq);
	bq->dq = disk_queue_open(bq->blk->disk, bq->blk->dev.queue[bq->n].loop, size);
	bq->depth = size;
	return bq->dq ? 0 : -ENOMEM;
}

int blk_io_start(struct blk_queue *bq, unsigned size)
{
	bq->free = NULL;
	bq->fresh = 0;
	bq->pool = calloc(size, sizeof(*bq->pool));
	if (bq->pool && !open_context(bq, size))
		return 0;
	free(bq->pool);
	bq->pool = NULL;
	return -ENOMEM;
}

void blk_io_stop(struct blk_queue *bq)
{
	disk_drain(bq->dq);
	free(bq->pool);
	bq->pool = bq->free = NULL;
}

void blk_io_close(struct blk_queue *bq)
{
	if (bq->dq)
		disk_queue_close(bq->dq);
	bq->dq = NULL;
}
