// SPDX-License-Identifier: GPL-2.0-only
/*
 * aio: a disk's queue on a loop. Operations are staged and go out in one io_submit() at the end of
 * the loop's turn; completions ring an eventfd and are taken from the kernel's ring without a system
 * call.
 *
 * Runs on: loop; disk_queue_worked and disk_queue_pos on the disk's worker.
 *
 * What goes the slow way (sync.c): discards and zeroes, which can take long; whatever O_DIRECT
 * can't take as it is; the rest of a short transfer; reads that aren't in the page cache (asked for
 * with RWF_NOWAIT, as a buffered read would hold up everybody on this loop); and operations or flags
 * that this kernel refuses.
 */
#include <errno.h>
#include <libaio.h>
#include <limits.h>
#include <linux/fs.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "disk/aio_ring.h"
#include "disk/disk_priv.h"
#include "lkvm/log.h"

#define IOCB_FLAG_RESFD 1u /* linux/aio_abi.h, which libaio's header doesn't get along with */
#define REAP_BATCH 32
#define RETRY_NS   2000000ULL

struct disk_queue {
	struct disk *disk;
	struct loop *loop;
	io_context_t ctx;
	struct aio_ring *ring; /* NULL: not what we know; ask by system call */
	unsigned depth;
	unsigned in_flight; /* submitted to us and not done */
	unsigned in_kernel; /* of these: taken by io_submit and not reaped */
	unsigned silent;    /* of these: without the eventfd, see rings() */
	struct loop_fd watch;
	struct loop_task submit;
	struct loop_timer retry;
	struct loop_poll poll;

	pthread_mutex_t lock; /* worked */
	struct disk_io *_Atomic worked;

	unsigned n_staged;
	struct iocb *staged[];
};

/* What disk_io.private_ holds. */
struct aio_io {
	struct iocb cb;
	struct disk_queue *q;
	uint64_t pos; /* bytes done before it was handed to the worker */
	int res;      /* the worker's */
};
_Static_assert(sizeof(struct aio_io) <= sizeof(((struct disk_io *)0)->private_), "private_");
_Static_assert(offsetof(struct disk_io, private_) % _Alignof(struct aio_io) == 0, "private_");

static struct aio_io *aio_io(const struct disk_io *io)
{
	return (struct aio_io *)io->private_;
}

uint64_t disk_queue_pos(const struct disk_io *io)
{
	return aio_io(io)->pos;
}

/* --- the slow way and back ------------------------------------------------------------------- */

static void work(struct disk_queue *q, struct disk_io *io, uint64_t pos)
{
	aio_io(io)->pos = pos;
	disk_worker_add(q->disk, io);
}

void disk_queue_worked(struct disk_io *io, int res)
{
	struct disk_queue *q = aio_io(io)->q;

	aio_io(io)->res = res;
	pthread_mutex_lock(&q->lock);
	io->next = q->worked;
	q->worked = io;
	/* Under the lock: once it is dropped the loop may see this last one and close the queue. */
	eventfd_write(q->watch.fd, 1);
	pthread_mutex_unlock(&q->lock);
}

static void finish(struct disk_queue *q, struct disk_io *io, int res)
{
	q->in_flight--;
	if (res)
		disk_complain(q->disk, io, res);
	io->done(io, res);
}

static void reap_worked(struct disk_queue *q)
{
	struct disk_io *io, *next;

	pthread_mutex_lock(&q->lock);
	io = q->worked;
	q->worked = NULL;
	pthread_mutex_unlock(&q->lock);
	for (; io; io = next) {
		next = io->next;
		finish(q, io, aio_io(io)->res);
	}
}

/* --- completions ----------------------------------------------------------------------------- */

/* A transfer or flush that libaio is through with; res as the system call would have it. */
static void completed(struct disk_queue *q, struct disk_io *io, long res)
{
	struct disk *disk = q->disk;

	if (io->op == DISK_FLUSH && (res == -EINVAL || res == -EOPNOTSUPP)) {
		disk->no_fdsync = true;
		work(q, io, 0);
	} else if (res == -EAGAIN || res == -EOPNOTSUPP || res == -EINVAL) {
		/* Not in the cache, or not in this way; what is wrong is so for the worker too. */
		work(q, io, 0);
	} else if (res < 0) {
		finish(q, io, (int)res);
	} else if (disk_op_moves(io->op) && (uint64_t)res < io->len) {
		work(q, io, (uint64_t)res);
	} else if (io->op == DISK_WRITE && io->durable && !aio_io(io)->cb.aio_rw_flags) {
		work(q, io, io->len); /* there was no RWF_DSYNC: nothing but the sync is left */
	} else {
		finish(q, io, 0);
	}
}

static unsigned take_events(struct disk_queue *q, struct io_event *ev)
{
	int got;

	if (q->ring)
		return aio_ring_take(q->ring, ev, REAP_BATCH);
	got = q->in_kernel ? io_getevents(q->ctx, 0, REAP_BATCH, ev, NULL) : 0;
	return got > 0 ? (unsigned)got : 0;
}

static bool rung(const struct disk_io *io)
{
	return aio_io(io)->cb.u.c.flags & IOCB_FLAG_RESFD;
}

static void reap(struct disk_queue *q)
{
	struct io_event ev[REAP_BATCH];
	unsigned n;

	do {
		n = take_events(q, ev);
		q->in_kernel -= n;
		for (unsigned i = 0; i < n; i++) {
			q->silent -= !rung(ev[i].data);
			completed(q, ev[i].data, (long)ev[i].res);
		}
	} while (n == REAP_BATCH);
	reap_worked(q);
}

/* --- submission ------------------------------------------------------------------------------ */

/* io_submit() doesn't want the first one: another way, or an error. */
static void refused(struct disk_queue *q, int err)
{
	struct iocb *cb = q->staged[0];
	struct disk_io *io = cb->data;

	memmove(q->staged, q->staged + 1, --q->n_staged * sizeof(q->staged[0]));
	if (err == -EOPNOTSUPP && cb->aio_rw_flags & RWF_DSYNC)
		q->disk->no_dsync = true;
	if (err == -EOPNOTSUPP && cb->aio_rw_flags & RWF_NOWAIT)
		q->disk->no_nowait = true;
	completed(q, io, err);
}

/*
 * The kernel is out of requests. If some of ours are on their way, one that completes brings us back
 * here; else it is others who have them all, and a timer does.
 */
static void submit_later(struct disk_queue *q)
{
	if (!q->in_kernel && !q->retry.armed)
		loop_timer_set(q->loop, &q->retry, RETRY_NS);
}

static void submit(struct disk_queue *q)
{
	while (q->n_staged) {
		int n = io_submit(q->ctx, q->n_staged, q->staged);

		if (n == -EINTR)
			continue;
		if (n == -EAGAIN || !n) {
			submit_later(q);
			break;
		}
		if (n < 0) {
			refused(q, n);
			continue;
		}
		q->in_kernel += (unsigned)n;
		for (int i = 0; i < n; i++)
			q->silent += !rung(q->staged[i]->data);
		q->n_staged -= (unsigned)n;
		memmove(q->staged, q->staged + n, q->n_staged * sizeof(q->staged[0]));
	}
}

static void ready(void *opaque, uint32_t events)
{
	struct disk_queue *q = opaque;

	(void)events;
	reap(q);
	if (q->n_staged)
		loop_defer(q->loop, &q->submit);
}

/* On a loop that polls, as long as it does. */
static bool poll_look(void *opaque)
{
	struct disk_queue *q = opaque;
	bool any = q->worked || (q->ring && aio_ring_any(q->ring));

	if (any)
		ready(q, 0);
	return any;
}

/* The bell has rung for all that looking found. It is silenced before the last look, not after. */
static void poll_rest(void *opaque)
{
	struct disk_queue *q = opaque;
	eventfd_t n;

	eventfd_read(q->watch.fd, &n);
	ready(q, 0);
}

static void poll_begin(struct disk_queue *q)
{
	if (q->in_flight && loop_polls(q->loop))
		loop_poll_add(q->loop, &q->poll);
}

/*
 * What the page cache has is there already: no need to wait for the eventfd's turn. And what should
 * have been, but is not, comes from a file system that does it in the background after all: then we
 * look for these by the clock, and let all others ring.
 */
static void submit_run(void *opaque)
{
	struct disk_queue *q = opaque;

	submit(q);
	reap(q);
	poll_begin(q);
	if (!q->silent)
		return;
	q->disk->late = true;
	if (!q->retry.armed)
		loop_timer_set(q->loop, &q->retry, RETRY_NS);
}

/*
 * Does it need the eventfd? Reads (with RWF_NOWAIT) and writes by way of the page cache are through
 * when io_submit() returns; the loop would only wake up again for nothing.
 */
static bool rings(const struct disk *disk, const struct disk_io *io, const struct iocb *cb)
{
	if (disk->late || disk->info.direct || !disk_op_moves(io->op))
		return true;
	return io->op == DISK_READ && !(cb->aio_rw_flags & RWF_NOWAIT);
}

/* One buffer is no array, which the kernel would have to copy and check first. */
static void prepare_transfer(struct iocb *cb, int fd, const struct disk_io *io)
{
	bool in = io->op == DISK_READ;
	long long off = (long long)io->off;

	if (io->n_iov == 1)
		(in ? io_prep_pread : io_prep_pwrite)(cb, fd, io->iov->iov_base, io->iov->iov_len, off);
	else
		(in ? io_prep_preadv : io_prep_pwritev)(cb, fd, io->iov, (int)io->n_iov, off);
}

static void prepare(struct disk_queue *q, struct disk_io *io)
{
	struct disk *disk = q->disk;
	struct iocb *cb = &aio_io(io)->cb;

	if (io->op == DISK_FLUSH)
		io_prep_fdsync(cb, disk->fd);
	else
		prepare_transfer(cb, disk->fd, io);
	if (io->op == DISK_READ && !disk->info.direct && !disk->no_nowait)
		cb->aio_rw_flags = RWF_NOWAIT;
	else if (io->op == DISK_WRITE && io->durable && !disk->no_dsync)
		cb->aio_rw_flags = RWF_DSYNC;
	if (rings(disk, io, cb))
		io_set_eventfd(cb, q->watch.fd);
	cb->data = io;
}

static bool goes_slow(const struct disk *disk, const struct disk_io *io)
{
	if (io->op == DISK_FLUSH)
		return disk->no_fdsync;
	return !disk_op_moves(io->op) || io->n_iov > IOV_MAX ||
	       !disk_sync_aligned(disk, io->off, io->iov, io->n_iov);
}

int disk_submit(struct disk_queue *q, struct disk_io *io)
{
	if (q->in_flight == q->depth)
		return -EAGAIN;
	q->in_flight++;
	aio_io(io)->q = q;
	if (goes_slow(q->disk, io)) {
		work(q, io, 0);
		poll_begin(q);
		return 0;
	}
	prepare(q, io);
	q->staged[q->n_staged++] = &aio_io(io)->cb;
	loop_defer(q->loop, &q->submit);
	return 0;
}

/* --- life ------------------------------------------------------------------------------------ */

void disk_drain(struct disk_queue *q)
{
	struct pollfd pfd = { .fd = q->watch.fd, .events = POLLIN };
	eventfd_t n;

	/* Cleared before looking: what comes after the look rings again. */
	for (;;) {
		eventfd_read(q->watch.fd, &n);
		submit(q);
		reap(q);
		if (!q->in_flight)
			break;
		poll(&pfd, 1, q->n_staged || q->silent ? 2 : -1);
	}
	loop_undefer(q->loop, &q->submit);
	loop_timer_cancel(q->loop, &q->retry);
	loop_poll_del(q->loop, &q->poll);
}

static int setup(struct disk_queue *q)
{
	const char *name = q->disk->name;
	int err = io_setup((int)q->depth, &q->ctx);

	if (err == -EAGAIN)
		log_err(name, "no room for %u asynchronous requests on this host. Fix: sysctl -w "
			"fs.aio-max-nr=1048576", q->depth);
	else if (err)
		log_err(name, "no asynchronous I/O: %s%s", strerror(-err),
			err == -ENOSYS ? ". Fix: a host kernel with CONFIG_AIO" : "");
	if (err)
		return err;
	q->ring = aio_ring(q->ctx);
	q->watch.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	/* Edge-triggered: the count tells nothing, so it isn't worth a read() each time. */
	err = q->watch.fd < 0 ? -errno : loop_add(q->loop, &q->watch, EPOLLIN | EPOLLET);
	if (err)
		log_err(name, "cannot watch for completions: %s", strerror(-err));
	return err;
}

struct disk_queue *disk_queue_open(struct disk *disk, struct loop *loop, unsigned depth)
{
	struct disk_queue *q = calloc(1, sizeof(*q) + depth * sizeof(q->staged[0]));

	if (!q) {
		log_err(disk->name, "out of memory");
		return NULL;
	}
	q->disk = disk;
	q->loop = loop;
	q->depth = depth;
	q->watch = (struct loop_fd){ .fd = -1, .ready = ready, .opaque = q };
	q->submit = (struct loop_task){ .run = submit_run, .opaque = q };
	q->retry = (struct loop_timer){ .fire = submit_run, .opaque = q };
	q->poll = (struct loop_poll){ .look = poll_look, .rest = poll_rest, .opaque = q };
	pthread_mutex_init(&q->lock, NULL);
	if (!setup(q))
		return q;
	disk_queue_close(q);
	return NULL;
}

void disk_queue_close(struct disk_queue *q)
{
	if (!q)
		return;
	loop_del(q->loop, &q->watch);
	loop_undefer(q->loop, &q->submit);
	loop_timer_cancel(q->loop, &q->retry);
	loop_poll_del(q->loop, &q->poll);
	if (q->ctx)
		io_destroy(q->ctx);
	if (q->watch.fd >= 0)
		close(q->watch.fd);
	pthread_mutex_destroy(&q->lock);
	free(q);
}
