/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * blk_driver: a block driver in host memory, a block device on an image, its data path on loops with
 * threads of their own, and a look at what it asks of the kernel.
 */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <libaio.h>
#include <linux/fs.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fakedrv.h"
#include "lkvm/log.h"
#include "lkvm/vdev.h"
#include "lkvm/virtio.h"
#include "tap.h"

enum { SEG_MAX = 2, RO = 5, BLK_SIZE = 6, FLUSH = 9, TOPOLOGY = 10, CONFIG_WCE = 11, MQ = 12,
       DISCARD = 13, WRITE_ZEROES = 14 };
enum { T_IN, T_OUT, T_FLUSH = 4, T_FLUSH_OUT, T_GET_ID = 8, T_DISCARD = 11, T_WZ = 13 };
enum { S_OK, S_IOERR, S_UNSUPP };

#define SECTORS 2051 /* of the image: 1 MiB and a bit */
#define SIZE	(SECTORS * 512)
#define ALL	(~0ULL)

/* --- what the device asks of the kernel ------------------------------------------------------ */

static struct {
	atomic_int calls, dsyncs, fdsyncs;
	atomic_int error, slow; /* asked for: an errno, microseconds a fallocate takes */
} seen;
static atomic_int fdatasyncs;

int io_submit(io_context_t ctx, long n, struct iocb *cbs[])
{
	long r;

	seen.calls++;
	if (seen.error)
		return -seen.error;
	for (long i = 0; i < n; i++) {
		seen.dsyncs += !!(cbs[i]->aio_rw_flags & RWF_DSYNC);
		seen.fdsyncs += cbs[i]->aio_lio_opcode == IO_CMD_FDSYNC;
	}
	r = syscall(SYS_io_submit, ctx, n, cbs);
	return r < 0 ? -errno : (int)r;
}

int fallocate(int fd, int mode, off_t off, off_t len)
{
	seen.calls++;
	usleep((useconds_t)seen.slow);
	return (int)syscall(SYS_fallocate, fd, mode, off, len);
}

int fdatasync(int fd)
{
	fdatasyncs++;
	return (int)syscall(SYS_fdatasync, fd);
}

static inline void seen_none(void)
{
	seen.calls = seen.dsyncs = seen.fdsyncs = seen.error = seen.slow = 0;
	fdatasyncs = 0;
}

/* --- the rig --------------------------------------------------------------------------------- */

struct ring {
	struct drv d;
	int kick, call;
};

struct rig {
	struct disk *disk;
	struct loop *loop[3];
	struct vport *port;
	struct ring q[4];
	unsigned nq;
	atomic_int failed;
	uint64_t buf; /* gpa: header and out data; 1 MiB further: in data and status */
};

static unsigned threads = 1; /* that the next rig's queues are spread over ... */
static uint64_t polls;	     /* ... and how long they look before they sleep */

static char path[] = "/tmp/lkvm-blk-XXXXXX";
static uint8_t image[SIZE]; /* what the file should hold */

#define DATA_LEN (4u << 20)

static inline void on_failed(void *opaque)
{
	((struct rig *)opaque)->failed++;
}

static inline void image_fresh(void)
{
	int fd = open(path, O_RDWR | O_TRUNC);

	for (unsigned i = 0; i < SIZE; i++)
		image[i] = (uint8_t)((i * 7 + i / 512) | 1);
	ok(fd >= 0 && pwrite(fd, image, SIZE, 0) == SIZE, "a fresh image");
	close(fd);
}

static inline bool image_same(void)
{
	static uint8_t got[SIZE + 1];
	int fd = open(path, O_RDONLY);
	ssize_t n = read(fd, got, sizeof(got));

	close(fd);
	return n == SIZE && !memcmp(got, image, SIZE);
}

/* A second ring in the same memory: the same offsets, further up. */
static inline void ring_more(struct drv *d, const struct drv *first, unsigned n)
{
	uint64_t up = n * 65536;

	*d = *first;
	d->conf.desc += up + DATA_LEN / 2;
	d->conf.driver += up + DATA_LEN / 2;
	d->conf.device += up + DATA_LEN / 2;
	d->desc = drv_ptr(d, d->conf.desc);
	d->avail = drv_ptr(d, d->conf.driver);
	d->used = drv_ptr(d, d->conf.device);
	d->free_list = calloc(d->size, sizeof(*d->free_list));
	d->slots = calloc(65536, sizeof(*d->slots));
	for (uint32_t i = 0; i < d->size; i++)
		d->free_list[i] = (uint16_t)i;
}

/* drv_reset() clears what is the first ring's. */
static inline void rings_reset(struct rig *rig)
{
	for (unsigned n = rig->nq; n-- > 0;) {
		struct drv *d = &rig->q[n].d;

		memset(d->desc, 0, d->conf.device + 6 + 8 * d->size - d->conf.desc);
		drv_reset(d);
	}
}

static inline void rig_queue(struct rig *rig, unsigned n)
{
	struct ring *r = &rig->q[n];
	struct irq call = { .fd = r->call };

	is(rig->port->ops->queue_start(rig->port, n, &r->d.conf, r->kick, call), 0, "queue %u starts",
	   n);
}

static inline void rig_start(struct rig *rig, uint64_t features)
{
	rig->port->ops->accept(rig->port, features & rig->port->features);
	for (unsigned n = 0; n < rig->nq; n++)
		rig_queue(rig, n);
	rig->port->ops->start(rig->port);
}

/* size of ring; packed or not; the rest as for the command line. */
static inline struct rig *rig_open(const struct disk_conf *dc, const struct virtq_conf *conf, unsigned queues,
			    const char *features)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct vdev_conf vc = { .name = "blk0", .features = features, .queues = queues,
				.queue_size = 256, .mem = &rig->q[0].d.mem,
				.loops = rig->loop, .n_loops = threads };

	rig->nq = queues;
	drv_open(&rig->q[0].d, conf, DATA_LEN);
	rig->buf = rig->q[0].d.data;
	for (unsigned n = 0; n < queues; n++) {
		if (n)
			ring_more(&rig->q[n].d, &rig->q[0].d, n);
		rig->q[n].kick = eventfd(0, EFD_NONBLOCK);
		rig->q[n].call = eventfd(0, EFD_NONBLOCK);
	}
	for (unsigned i = 0; i < threads; i++)
		rig->loop[i] = loop_open("io");
	for (unsigned i = 0; i < threads; i++)
		loop_set_poll(rig->loop[i], polls);
	vc.loop = rig->loop[0];
	rig->disk = disk_open("blk0", dc);
	rig->port = blk_open(&vc, rig->disk, "serial-0123456789");
	rig->port->failed = on_failed;
	rig->port->opaque = rig;
	for (unsigned i = 0; i < threads; i++)
		loop_start(rig->loop[i]);
	return rig;
}

static inline void rig_close(struct rig *rig)
{
	rig->port->ops->reset(rig->port);
	rig->port->ops->close(rig->port);
	for (unsigned i = 0; i < 3 && rig->loop[i]; i++) {
		loop_stop(rig->loop[i]);
		loop_close(rig->loop[i]);
	}
	disk_close(rig->disk);
	for (unsigned n = rig->nq; n-- > 0;) {
		close(rig->q[n].kick);
		close(rig->q[n].call);
		if (n) {
			free(rig->q[n].d.free_list);
			free(rig->q[n].d.slots);
		} else {
			drv_close(&rig->q[0].d);
		}
	}
	free(rig);
}

static const struct disk_conf plain = { .path = path };
static const struct virtq_conf split = { .size = 256, .indirect = true };

static inline struct rig *rig_plain(uint64_t features)
{
	struct rig *rig = rig_open(&plain, &split, 1, NULL);

	rig_start(rig, features);
	return rig;
}

/* --- requests -------------------------------------------------------------------------------- */

/* SHIFTED: the first piece of a write is as long as its data, but isn't its data. */
enum framing { CLASSIC, JOINED, CRUMBS, SHIFTED, INDIRECT, FRAMINGS };
static const char *const framing_names[] = { "classic", "joined", "crumbs", "shifted", "indirect" };

static struct rig *rig;
static unsigned on_queue;
static enum framing framing;

/* A request's bytes as the driver sees them, and the pieces of RAM they lie in. */
static uint8_t out[(1 << 20) + 16], in[(1 << 20) + 64];
static struct drv_seg seg[80];
static unsigned n_seg;

static uint32_t first_piece(uint32_t len, bool write)
{
	switch (framing) {
	case JOINED:
		return len;
	case CRUMBS:
		return 3;
	case SHIFTED:
		return !write && len > 32 ? len - 16 : len;
	default:
		return write ? len - 1 : 16;
	}
}

/* Pieces never touch, as the ring makes one of those that do. */
static inline void cut(uint64_t gpa, uint32_t len, bool write)
{
	uint32_t piece = len ? first_piece(len, write) : 0;

	while (len) {
		if (piece > len || !piece)
			piece = len;
		seg[n_seg++] = (struct drv_seg){ gpa, piece, write };
		gpa += piece + 64;
		len -= piece;
		/* Odd ones, growing, so that anything up to a MiB takes few. */
		piece = framing == CRUMBS ? piece + piece / 2 + 2 : len;
	}
}

/* Copies between RAM and out (at the start) or in (at the end). */
static inline void copy_pieces(bool write)
{
	uint8_t *at = write ? in : out;

	for (unsigned i = 0; i < n_seg; i++) {
		void *p = drv_ptr(&rig->q[0].d, seg[i].gpa);

		if (seg[i].write != write)
			continue;
		if (write)
			memcpy(at, p, seg[i].len);
		else
			memcpy(p, at, seg[i].len);
		at += seg[i].len;
	}
}

/* Readable bytes: the first out_len of out; writable ones: in_len, the status the last of them. */
static inline void offer(struct ring *r, uint32_t out_len, uint32_t in_len)
{
	n_seg = 0;
	cut(rig->buf, out_len, false);
	cut(rig->buf + (3 << 19), in_len, true);
	for (unsigned i = 0; i < n_seg; i++)
		if (seg[i].write)
			memset(drv_ptr(&rig->q[0].d, seg[i].gpa), 0xa5, seg[i].len);
	copy_pieces(false);
	if (framing == INDIRECT)
		drv_add_table(&r->d, rig->buf + DATA_LEN - 4096, seg, n_seg);
	else
		drv_add(&r->d, seg, n_seg);
}

static inline bool wait_used(struct ring *r, uint32_t *len)
{
	for (int tries = 0; tries < 200; tries++) {
		struct pollfd pfd = { .fd = r->call, .events = POLLIN };
		eventfd_t v;

		if (drv_used(&r->d, len, NULL) >= 0)
			return true;
		poll(&pfd, 1, 50);
		eventfd_read(r->call, &v);
	}
	return false;
}

static uint32_t used_len;

static inline void *ram(uint64_t gpa)
{
	return drv_ptr(&rig->q[0].d, gpa);
}

/* The status, or -1: not used. What the device wrote is in `in`, where 0xa5 was before. */
static inline int raw(uint32_t out_len, uint32_t in_len)
{
	struct ring *r = &rig->q[on_queue];

	offer(r, out_len, in_len);
	drv_publish(&r->d);
	eventfd_write(r->kick, 1);
	if (!wait_used(r, &used_len))
		return -1;
	copy_pieces(true);
	return in[in_len - 1];
}

static inline void header(uint32_t type, uint64_t sector)
{
	memset(out, 0, 16);
	memcpy(out, &type, 4);
	memcpy(out + 8, &sector, 8);
}

static inline int request(uint32_t type, uint64_t sector, const void *data, uint32_t out_len,
		   uint32_t in_len)
{
	header(type, sector);
	memcpy(out + 16, data, out_len);
	return raw(16 + out_len, in_len + 1);
}

static inline bool in_is(const void *want, size_t len)
{
	return !memcmp(in, want, len);
}

static inline bool in_poisoned(size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (in[i] != 0xa5)
			return false;
	return true;
}

static inline int write_sectors(uint64_t sector, unsigned n, unsigned seed)
{
	static uint8_t data[1 << 20];

	for (unsigned i = 0; i < n * 512; i++)
		data[i] = (uint8_t)((i * 13 + seed) | 1);
	if (sector + n <= SECTORS)
		memcpy(image + sector * 512, data, n * 512);
	return request(T_OUT, sector, data, n * 512, 0);
}

struct range {
	uint64_t sector;
	uint32_t n, flags;
};

static inline int ranges(uint32_t type, const struct range *r, unsigned n)
{
	return request(type, 0, r, n * 16, 0);
}

static inline int range(uint32_t type, uint64_t sector, uint32_t n, uint32_t flags)
{
	struct range r = { sector, n, flags };

	return ranges(type, &r, 1);
}

/* Requests for ring r: reads, with every fourth one a slow one. */
static inline void load(struct ring *r, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		uint64_t at = rig->buf + (uint64_t)(r - rig->q) * (1 << 18) + i * 8192;
		struct drv_seg zero[] = { { at, 32, false }, { at + 4112, 1, true } };
		struct drv_seg read[] = { { at, 16, false }, { at + 16, 4096, true },
					  { at + 4112, 1, true } };
		struct range range = { 0, 64, 0 };

		memset(ram(at), 0, 16);
		((uint8_t *)ram(at + 4112))[0] = 0xff;
		((uint8_t *)ram(at))[0] = i % 4 ? T_IN : T_WZ;
		if (i % 4) {
			drv_add(&r->d, read, 3);
		} else {
			memcpy(ram(at + 16), &range, 16);
			drv_add(&r->d, zero, 2);
		}
	}
}
