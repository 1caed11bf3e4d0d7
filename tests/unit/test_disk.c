// SPDX-License-Identifier: GPL-2.0-only
/*
 * Disks on real files: what is refused and how, every operation both ways, errors, draining.
 *
 * libaio's calls and fdatasync are wrapped below, so that the kernel's rarer answers can be had.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <libaio.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "disk/disk_priv.h"
#include "lkvm/log.h"
#include "tap.h"

/* --- the kernel, as it sometimes is ---------------------------------------------------------- */

static struct {
	int calls, flags, fdsyncs;     /* seen: io_submit calls, rw flags or'ed, FDSYNCs */
	int eagain;		       /* that many calls get -EAGAIN */
	int refuse_flags, refuse_op;   /* -EOPNOTSUPP for such flags, -EINVAL for such an opcode */
	int error;		       /* an errno for everything */
	bool one_by_one, cut, no_ring; /* take one a call; transfer one iovec only; unknown ring */
	int getevents;
	uint32_t align; /* of a pread */
	bool no_fallocate, no_thread, no_memory; /* no_memory: none that is aligned */
	bool later; /* what is submitted is done in the background, 5 ms later */
	int rings;  /* seen: requests that ring the eventfd */
	int sync_error;
} fake;

static int fdatasyncs;

int io_setup(int n, io_context_t *ctx)
{
	if (syscall(SYS_io_setup, n, ctx))
		return -errno;
	if (fake.no_ring)
		((unsigned *)*ctx)[4] ^= 1;
	return 0;
}

/* A file system that goes on by itself: io_submit() is back before it has done anything. */
static struct background {
	io_context_t ctx;
	long n;
	struct iocb *cb[8];
	pthread_t thread;
	bool started;
} background;

static void *background_main(void *opaque)
{
	struct background *b = opaque;

	usleep(5000);
	syscall(SYS_io_submit, b->ctx, b->n, b->cb);
	return NULL;
}

static int submit_later(io_context_t ctx, long n, struct iocb *cbs[])
{
	background = (struct background){ .ctx = ctx, .n = n < 8 ? n : 8, .started = true };
	memcpy(background.cb, cbs, (size_t)background.n * sizeof(*cbs));
	pthread_create(&background.thread, NULL, background_main, &background);
	return (int)background.n;
}

int io_submit(io_context_t ctx, long n, struct iocb *cbs[])
{
	struct iocb *cb = cbs[0];
	long r;

	fake.calls++;
	if (fake.error)
		return -fake.error;
	if (fake.eagain && fake.eagain--)
		return -EAGAIN;
	if (cb->aio_rw_flags & fake.refuse_flags)
		return -EOPNOTSUPP;
	if (fake.refuse_op && cb->aio_lio_opcode == fake.refuse_op)
		return -EINVAL;
	if (fake.refuse_flags || fake.refuse_op || fake.one_by_one)
		n = 1;
	for (long i = 0; i < n; i++) {
		fake.rings += cbs[i]->u.c.flags & 1;
		fake.flags |= (int)cbs[i]->aio_rw_flags;
		fake.fdsyncs += cbs[i]->aio_lio_opcode == IO_CMD_FDSYNC;
		if (fake.cut && cbs[i]->aio_lio_opcode != IO_CMD_FDSYNC)
			cbs[i]->u.c.nbytes = 1;
	}
	if (fake.later)
		return submit_later(ctx, n, cbs);
	r = syscall(SYS_io_submit, ctx, n, cbs);
	return r < 0 ? -errno : (int)r;
}

static int woken; /* by descriptors, that is */

int epoll_wait(int fd, struct epoll_event *ev, int max, int timeout)
{
	int n = (int)syscall(SYS_epoll_wait, fd, ev, max, timeout);

	woken += n > 0;
	return n;
}

int io_getevents(io_context_t ctx, long min, long n, struct io_event *ev, struct timespec *ts)
{
	long r = syscall(SYS_io_getevents, ctx, min, n, ev, ts);

	fake.getevents++;
	return r < 0 ? -errno : (int)r;
}

ssize_t pread(int fd, void *buf, size_t len, off_t off)
{
	if (fake.align && ((uintptr_t)buf | len | (size_t)off) % fake.align) {
		errno = EINVAL;
		return -1;
	}
	return syscall(SYS_pread64, fd, buf, len, off);
}

int fallocate(int fd, int mode, off_t off, off_t len)
{
	if (fake.no_fallocate) {
		errno = EOPNOTSUPP;
		return -1;
	}
	return (int)syscall(SYS_fallocate, fd, mode, off, len);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
	int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

	if (fake.no_thread)
		return EAGAIN;
	real = dlsym(RTLD_NEXT, "pthread_create");
	return real(thread, attr, fn, arg);
}

int posix_memalign(void **to, size_t align, size_t len)
{
	int (*real)(void **, size_t, size_t);

	if (fake.no_memory)
		return ENOMEM;
	real = dlsym(RTLD_NEXT, "posix_memalign");
	return real(to, align, len);
}

int fdatasync(int fd)
{
	fdatasyncs++;
	if (fake.sync_error) {
		errno = fake.sync_error;
		return -1;
	}
	return (int)syscall(SYS_fdatasync, fd);
}

static void fake_none(void)
{
	memset(&fake, 0, sizeof(fake));
	fdatasyncs = 0;
}

/* --- tools ----------------------------------------------------------------------------------- */

static char dir[] = "/tmp/lkvm-disk-XXXXXX", shm[] = "/dev/shm/lkvm-disk-XXXXXX";
static char said[4096]; /* what went to stderr */
static int said_lines;

static int stderr_fd, capture_fd;

static void listen_in(void)
{
	fflush(stderr);
	stderr_fd = dup(2);
	capture_fd = memfd_create("stderr", 0);
	dup2(capture_fd, 2);
}

static void listen_out(void)
{
	ssize_t n = pread(capture_fd, said, sizeof(said) - 1, 0);

	said[n < 0 ? 0 : n] = 0;
	said_lines = 0;
	for (char *p = said; *p; p++)
		said_lines += *p == '\n';
	dup2(stderr_fd, 2);
	close(stderr_fd);
	close(capture_fd);
}

static char *file(const char *where, const char *name, off_t size)
{
	static char path[2][128];
	static int turn;
	char *p = path[turn ^= 1];
	int fd;

	snprintf(p, 128, "%s/%s", where, name);
	unlink(p);
	fd = open(p, O_RDWR | O_CREAT, 0600);
	if (fd < 0 || ftruncate(fd, size))
		perror(p);
	close(fd);
	return p;
}

static struct disk *try_open(const char *path, bool readonly, bool direct)
{
	struct disk_conf conf = { .path = path, .readonly = readonly, .direct = direct };

	return disk_open("blk0", &conf);
}

static struct loop *loop;
static int pending;

static void done(struct disk_io *io, int res)
{
	*(int *)io->opaque = res;
	if (!--pending)
		loop_quit(loop);
}

/* Runs one io through the loop; what came of it, or the refusal. */
static int run(struct disk_queue *q, struct disk_io *io)
{
	int res = 12345, err;

	io->done = done;
	io->opaque = &res;
	pending = 1;
	err = disk_submit(q, io);
	if (err)
		return err;
	loop_run(loop);
	return res;
}

static int run_rw(struct disk_queue *q, enum disk_op op, uint64_t off, void *buf, size_t len)
{
	struct iovec iov[3] = { { buf, len / 4 }, { (char *)buf + len / 4, len / 4 },
				{ (char *)buf + len / 4 * 2, len - len / 4 * 2 } };
	struct disk_io io = { .op = op, .off = off, .len = len, .iov = iov, .n_iov = 3 };

	return run(q, &io);
}

static int run_range(struct disk_queue *q, enum disk_op op, uint64_t off, uint64_t len, bool durable)
{
	struct disk_io io = { .op = op, .off = off, .len = len, .durable = durable };

	return run(q, &io);
}

static void fill(uint8_t *buf, size_t len, unsigned seed)
{
	for (size_t i = 0; i < len; i++)
		buf[i] = (uint8_t)((i * 31 + (i >> 8) * 7 + seed) | 1);
}

static bool file_has(const char *path, uint64_t off, const uint8_t *want, size_t len)
{
	uint8_t *got = malloc(len);
	int fd = open(path, O_RDONLY);
	bool same = pread(fd, got, len, (off_t)off) == (ssize_t)len && !memcmp(got, want, len);

	close(fd);
	free(got);
	return same;
}

static bool file_zero(const char *path, uint64_t off, size_t len)
{
	uint8_t *zero = calloc(1, len);
	bool same = file_has(path, off, zero, len);

	free(zero);
	return same;
}

static long long blocks(const char *path)
{
	struct stat st;

	return stat(path, &st) ? -1 : (long long)st.st_blocks;
}

/* --- refusals -------------------------------------------------------------------------------- */

static void refused(const char *path, bool readonly, const char *what, const char *text,
		    const char *fix)
{
	struct disk *disk;

	listen_in();
	disk = try_open(path, readonly, false);
	listen_out();
	ok(!disk, "%s is refused", what);
	ok(said_lines == 1 && strstr(said, text) && strstr(said, fix) && strstr(said, path) &&
	   !strncmp(said, "lkvm: blk0: ", 12), "%s: one line with the thing and the fix", what);
	if (said_lines != 1 || !strstr(said, text) || !strstr(said, fix))
		printf("# said: %s\n", said);
	disk_close(disk);
}

static void test_refusals(void)
{
	struct disk_conf qcow = { .path = file(dir, "q", 4096), .format = "qcow2" };
	char path[160];
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(path, sizeof(path), "%s/missing", dir);
	refused(path, false, "a missing file", "No such file or directory", "truncate -s");
	refused(dir, false, "a directory", "a directory", "Fix:");
	refused(dir, true, "a directory, read-only", "a directory", "Fix:");
	refused("/dev/null", false, "a character device", "a character device", "Fix:");
	snprintf(path, sizeof(path), "%s/fifo", dir);
	mkfifo(path, 0600);
	refused(path, true, "a FIFO", "a FIFO", "Fix:");
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/sock", dir);
	ok(!bind(fd, (struct sockaddr *)&sun, sizeof(sun)), "a socket to try");
	close(fd);
	refused(sun.sun_path, false, "a socket", "a socket", "Fix:");
	refused(file(dir, "empty", 0), false, "an empty file", "empty (0 bytes)", "truncate -s 10G");
	refused(file(dir, "odd", 1000), false, "a file of 1000 bytes", "1000 bytes",
		"truncate -s %512");
	listen_in();
	ok(!disk_open("blk0", &qcow), "a format nobody knows is refused");
	listen_out();
	ok(said_lines == 1 && strstr(said, "qcow2") && strstr(said, "Fix:"), "... and named");
	if (!geteuid()) {
		skip("root may open everything", "a file without permission");
	} else {
		chmod(file(dir, "mine", 4096), 0400);
		snprintf(path, sizeof(path), "%s/mine", dir);
		refused(path, false, "a file one may only read", "Permission denied", "readonly=on");
		chmod(path, 0);
		refused(path, true, "an unreadable file", "Permission denied", "Fix:");
	}
}

static void test_locks(void)
{
	const char *path = file(dir, "lock", 4096);
	struct disk *a = try_open(path, false, false), *b;

	ok(a, "a writer");
	refused(path, false, "a second writer", "uses it", "readonly=on");
	refused(path, true, "a reader beside a writer", "writes to it", "Fix:");
	disk_close(a);
	a = try_open(path, true, false);
	b = try_open(path, true, false);
	ok(a && b, "two readers share");
	disk_close(b);
	refused(path, false, "a writer beside a reader", "uses it", "readonly=on");
	disk_close(a);
	a = try_open(path, false, false);
	ok(a, "all locks go with their disks");
	disk_close(a);
}

/* --- operations ------------------------------------------------------------------------------ */

#define SIZE (4u << 20)

static void test_info(const char *where)
{
	const char *path = file(where, "info", SIZE + 512);
	struct stat before, after;
	struct disk *disk;
	const struct disk_info *info;

	stat(path, &before);
	usleep(20000); /* a change now would show in the times */
	disk = try_open(path, false, false);
	info = disk_info(disk);
	is(info->size, SIZE + 512, "size");
	is(info->block_size, 512, "logical block");
	is(info->phys_block, 4096, "physical block");
	is(info->align, 1, "the page cache asks for no alignment");
	ok(!info->readonly && !info->direct && info->discard && info->write_zeroes,
	   "can discard and zero");
	stat(path, &after);
	ok(before.st_size == after.st_size && before.st_blocks == after.st_blocks &&
	   before.st_mtim.tv_nsec == after.st_mtim.tv_nsec, "opening leaves the file as it was");
	disk_close(disk);
	disk = try_open(path, true, false);
	info = disk_info(disk);
	ok(info->readonly && !info->discard && !info->write_zeroes,
	   "a read-only disk neither discards nor zeroes");
	disk_close(disk);
}

static void test_ops(const char *where, bool direct)
{
	const char *path = file(where, "ops", SIZE), *how = direct ? "direct" : "buffered";
	struct disk *disk = try_open(path, false, direct);
	struct disk_queue *q = disk_queue_open(disk, loop, 16);
	uint8_t *a = aligned_alloc(4096, 1 << 20), *b = aligned_alloc(4096, 1 << 20);
	struct stat st;
	long long all;

	ok(disk && q, "%s, %s: open", where, how);
	fill(a, 1 << 20, 1);
	is(run_rw(q, DISK_WRITE, 0, a, 1 << 20), 0, "write");
	is(run_rw(q, DISK_WRITE, 3 << 20, a, 1 << 20), 0, "write up to the end");
	ok(file_has(path, 0, a, 1 << 20) && file_has(path, 3 << 20, a, 1 << 20), "is in the file");
	memset(b, 0, 1 << 20);
	is(run_rw(q, DISK_READ, 3 << 20, b, 1 << 20), 0, "read");
	ok(!memcmp(a, b, 1 << 20), "reads what was written");
	is(run_rw(q, DISK_READ, 1 << 20, b, 4096), 0, "read a hole");
	ok(file_zero(path, 1 << 20, 4096) && !b[0] && !b[4095], "... as zeroes");
	is(run_range(q, DISK_FLUSH, 0, 0, false), 0, "flush");

	all = blocks(path);
	is(run_range(q, DISK_ZERO, 65536, 65536, false), 0, "zero");
	ok(file_zero(path, 65536, 65536) && file_has(path, 0, a, 65536) &&
	   file_has(path, 131072, a + 131072, 65536), "just that range reads as zeroes");
	is(blocks(path), all, "... and stays allocated");
	is(run_range(q, DISK_ZERO_UNMAP, 131072, 65536, false), 0, "zero, unmap");
	ok(file_zero(path, 131072, 65536) && file_has(path, 196608, a + 196608, 65536),
	   "just that range reads as zeroes");
	ok(blocks(path) < all, "... and is given back");
	all = blocks(path);
	is(run_range(q, DISK_DISCARD, 262144, 65536, true), 0, "discard");
	ok(blocks(path) < all && file_has(path, 327680, a + 327680, 65536), "gives it back");
	is(run_range(q, DISK_DISCARD, SIZE - 512, 512, false), 0, "discard the last sector");
	is(run_range(q, DISK_ZERO, 512, 512, false), 0, "zero one sector");
	ok(file_zero(path, 512, 512) && file_has(path, 1024, a + 1024, 512) &&
	   file_has(path, 0, a, 512), "... and nothing beside it");
	stat(path, &st);
	is(st.st_size, SIZE, "the size stays");
	disk_queue_close(q);
	disk_close(disk);
	free(a);
	free(b);
}

static void test_readonly(void)
{
	const char *path = file(dir, "ro", 65536);
	struct disk *disk = try_open(path, true, false);
	struct disk_queue *q = disk_queue_open(disk, loop, 4);
	uint8_t buf[1024];

	fill(buf, sizeof(buf), 3);
	listen_in();
	ok(run_rw(q, DISK_WRITE, 0, buf, 1024) < 0, "a read-only disk can't be written");
	ok(run_range(q, DISK_DISCARD, 0, 4096, false) < 0, "nor discarded");
	ok(run_range(q, DISK_ZERO, 0, 4096, false) < 0, "nor zeroed");
	listen_out();
	ok((fcntl(disk->fd, F_GETFL) & O_ACCMODE) == O_RDONLY, "its file is open for reading only");
	is(run_rw(q, DISK_READ, 0, buf, 1024), 0, "it reads");
	ok(file_zero(path, 0, 65536), "and has not changed");
	is(run_range(q, DISK_FLUSH, 0, 0, false), 0, "it flushes");
	disk_queue_close(q);
	disk_close(disk);
}

/* Every combination of offset, length and address, with O_DIRECT asking for 4096 of all. */
static void test_direct_unaligned(void)
{
	const char *path = file(dir, "direct", SIZE);
	struct disk *disk = try_open(path, false, true);
	struct disk_queue *q = disk_queue_open(disk, loop, 4);
	uint8_t *buf = aligned_alloc(4096, 2 << 20), *want = malloc(SIZE);
	static const struct {
		unsigned off, len, at;
	} cases[] = { { 0, 4096, 1 }, { 512, 512, 0 }, { 4096 - 512, 1024, 3 }, { 8192, 8192, 512 },
		      { 512 * 7, 1 << 20, 7 }, { SIZE - 512, 512, 0 }, { 65536 + 512, 300 * 1024, 64 } };

	if (!disk_info(disk)->direct) {
		skip("no O_DIRECT in /tmp", "unaligned transfers under O_DIRECT");
		goto out;
	}
	ok(disk_info(disk)->align >= 512, "O_DIRECT has an alignment");
	disk->info.align = 4096;
	fill(want, SIZE, 9);
	for (unsigned i = 0; i < 4; i++) {
		memcpy(buf, want + (i << 20), 1 << 20);
		is(run_rw(q, DISK_WRITE, i << 20, buf, 1 << 20), 0, "prepare MiB %u", i);
	}
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		unsigned off = cases[i].off, len = cases[i].len;
		uint8_t *at = buf + cases[i].at;

		fill(at, len, i + 50);
		memcpy(want + off, at, len);
		is(run_rw(q, DISK_WRITE, off, at, len), 0, "write %u at %u from +%u", len, off,
		   cases[i].at);
		memset(at, 0, len);
		is(run_rw(q, DISK_READ, off, at, len), 0, "read it back");
		ok(!memcmp(at, want + off, len), "... the same");
	}
	ok(file_has(path, 0, want, SIZE), "and all around it is as it was");
out:
	disk_queue_close(q);
	disk_close(disk);
	free(buf);
	free(want);
}

static void refused_direct(const char *path, const char *text, const char *what)
{
	struct disk *disk;

	listen_in();
	disk = try_open(path, false, true);
	listen_out();
	ok(!disk && said_lines == 1 && strstr(said, text), "%s: is refused in one line", what);
	disk_close(disk);
}

static void test_direct_fallback(void)
{
	const char *path = "/sys/kernel/uevent_seqnum"; /* a file system without O_DIRECT */
	struct stat st;
	struct disk *disk;

	if (stat(path, &st) || st.st_size != 4096) {
		skip("no /sys here", "O_DIRECT where there is none");
		return;
	}
	listen_in();
	disk = try_open(path, true, true);
	listen_out();
	ok(disk && !disk_info(disk)->direct && disk_info(disk)->align == 1,
	   "no O_DIRECT: goes on without");
	ok(said_lines == 1 && strstr(said, "O_DIRECT"), "... and says so in one line");
	disk_close(disk);

	path = file(dir, "tail", 65536);
	disk = try_open(path, false, true);
	if (!disk_info(disk)->direct) {
		skip("no O_DIRECT in /tmp", "its alignment");
		disk_close(disk);
		return;
	}
	disk_close(disk);
	fake.align = 4096;
	disk = try_open(path, false, true);
	ok(disk_info(disk)->direct && disk_info(disk)->align == 4096 &&
	   disk_info(disk)->phys_block == 4096, "the alignment is found by trying");
	is(disk_info(disk)->block_size, 512, "... and doesn't change the logical block");
	disk_close(disk);
	listen_in();
	path = file(dir, "tail", 65536 + 512);
	disk = try_open(path, false, true);
	fake_none();
	listen_out();
	ok(disk && !disk_info(disk)->direct && disk_info(disk)->align == 1 &&
	   !(fcntl(disk->fd, F_GETFL) & O_DIRECT),
	   "a size whose end O_DIRECT can't reach: goes on without");
	ok(said_lines == 1 && strstr(said, "truncate -s %4096"), "... and says so in one line");
	disk_close(disk);
	fake.no_memory = true;
	refused_direct(path, "out of memory", "... a disk whose alignment there is no memory to find");
	fake_none();
}

/* --- the kernel's rarer answers -------------------------------------------------------------- */

static void many(struct disk_queue *q, const char *path, const char *what)
{
	static uint8_t buf[8][8192];
	struct iovec iov[8][2];
	struct disk_io io[8];
	int res[8];
	bool good = true;

	pending = 8;
	for (unsigned i = 0; i < 8; i++) {
		fill(buf[i], 8192, i + (unsigned)fake.calls * 8);
		iov[i][0] = (struct iovec){ buf[i], 512 };
		iov[i][1] = (struct iovec){ buf[i] + 512, 8192 - 512 };
		io[i] = (struct disk_io){ .op = DISK_WRITE, .off = i * 8192, .len = 8192,
					  .iov = iov[i], .n_iov = 2, .done = done,
					  .opaque = &res[i] };
		res[i] = 1;
		good &= !disk_submit(q, &io[i]);
	}
	loop_run(loop);
	for (unsigned i = 0; i < 8; i++)
		good &= !res[i] && file_has(path, i * 8192, buf[i], 8192);
	ok(good, "%s: eight writes", what);
	pending = 8;
	for (unsigned i = 0; i < 8; i++) {
		memset(buf[i], 0, 8192);
		io[i].op = DISK_READ;
		res[i] = 1;
		good &= !disk_submit(q, &io[i]);
	}
	loop_run(loop);
	for (unsigned i = 0; i < 8; i++)
		good &= !res[i] && file_has(path, i * 8192, buf[i], 8192);
	ok(good, "%s: eight reads", what);
}

static void test_submit(void)
{
	const char *path = file(dir, "many", 65536);
	struct disk *disk = try_open(path, false, false);
	struct disk_queue *q = disk_queue_open(disk, loop, 8);
	struct iovec iov = { (uint8_t[512]){ 0 }, 512 };
	struct disk_io io[9];
	int res[9], before, around = 0;
	uint8_t buf[512];
	uint64_t start;

	fake_none();
	many(q, path, "plain");
	is(fake.calls, 2, "a turn's operations go out in one io_submit");
	is(fake.getevents, 0, "and come back without a system call");
	fake_none();
	fake.one_by_one = true;
	many(q, path, "io_submit takes one at a time");
	is(fake.calls, 16, "in sixteen calls");
	fake_none();
	fake.eagain = 3;
	start = loop_now();
	many(q, path, "io_submit is out of requests");
	is(fake.calls, 5, "asked again each time");
	ok(loop_now() - start > 5000000, "by a timer, not at once");
	fake_none();
	fake.cut = true;
	many(q, path, "short transfers");

	fake_none();
	for (unsigned i = 0; i < 1000; i++)
		around += !run_rw(q, DISK_READ, i % 64 * 512, buf, 512) &&
			  file_has(path, i % 64 * 512, buf, 512);
	is(around, 1000, "around the completion ring a few times");

	pending = 8;
	for (unsigned i = 0; i < 9; i++) {
		io[i] = (struct disk_io){ .op = DISK_READ, .len = 512, .iov = &iov, .n_iov = 1,
					  .done = done, .opaque = &res[i] };
		is(disk_submit(q, &io[i]), i < 8 ? 0 : -EAGAIN, "io %u of a depth of 8", i);
	}
	loop_run(loop);
	is(disk_submit(q, &io[8]), 0, "there is room again");
	pending = 1;
	loop_run(loop);

	fake_none();
	fake.refuse_flags = RWF_NOWAIT;
	many(q, path, "no RWF_NOWAIT");
	ok(disk->no_nowait, "... remembered");
	before = fake.calls;
	many(q, path, "no RWF_NOWAIT, known");
	is(fake.calls - before, 16, "not tried again");
	fake_none();
	disk_queue_close(q);

	fake.no_ring = true;
	q = disk_queue_open(disk, loop, 8);
	many(q, path, "an unknown completion ring");
	ok(fake.getevents > 0, "... asks by io_getevents");
	fake_none();
	disk_queue_close(q);
	disk_close(disk);
}

static void test_durable(void)
{
	const char *path = file(dir, "sync", 65536);
	struct disk *disk = try_open(path, false, false);
	struct disk_queue *q = disk_queue_open(disk, loop, 8);
	uint8_t buf[512] = { 1 };
	struct iovec iov = { buf, 512 };
	struct disk_io io = { .op = DISK_WRITE, .len = 512, .iov = &iov, .n_iov = 1 };

	fake_none();
	is(run(q, &io), 0, "a plain write");
	ok(!fake.flags && !fdatasyncs, "syncs nothing");
	io.durable = true;
	is(run(q, &io), 0, "a durable write");
	ok(fake.flags & RWF_DSYNC, "is an RWF_DSYNC one");
	is(run_range(q, DISK_FLUSH, 0, 0, false), 0, "a flush");
	is(fake.fdsyncs, 1, "is an FDSYNC");
	is(run_range(q, DISK_ZERO, 0, 4096, true), 0, "durable zeroes");
	is(fdatasyncs, 1, "are synced");

	fake_none();
	fake.cut = true;
	iov.iov_len = 256;
	io.n_iov = 2;
	io.iov = (struct iovec[]){ { buf, 256 }, { buf + 256, 256 } };
	is(run(q, &io), 0, "a short durable write is finished");
	is(fdatasyncs, 1, "and the rest synced");

	fake_none();
	fake.refuse_flags = RWF_DSYNC;
	is(run(q, &io), 0, "no RWF_DSYNC: a durable write");
	is(fdatasyncs, 1, "is synced after it");
	is(run(q, &io), 0, "and the next");
	is(fdatasyncs, 2, "too");

	fake_none();
	fake.refuse_op = IO_CMD_FDSYNC;
	is(run_range(q, DISK_FLUSH, 0, 0, false), 0, "no aio FDSYNC: a flush");
	is(fdatasyncs, 1, "is an fdatasync");
	is(run_range(q, DISK_FLUSH, 0, 0, false), 0, "and the next");
	is(fdatasyncs, 2, "too");
	is(fake.calls, 1, "without trying again");
	fake_none();
	disk_queue_close(q);
	disk_close(disk);
}

static void test_errors(void)
{
	const char *path = file(dir, "err", 65536);
	struct disk *disk = try_open(path, false, false);
	struct disk_queue *q = disk_queue_open(disk, loop, 8);
	static uint8_t buf[8192];

	fake_none();
	fake.error = ENOSPC;
	listen_in();
	is(run_rw(q, DISK_WRITE, 0, buf, 4096), -ENOSPC, "ENOSPC comes through");
	is(run_rw(q, DISK_WRITE, 0, buf, 4096), -ENOSPC, "twice");
	fake.error = EIO;
	is(run_rw(q, DISK_READ, 0, buf, 4096), -EIO, "and EIO");
	listen_out();
	ok(said_lines == 2 && strstr(said, path) && strstr(said, "No space left") &&
	   strstr(said, "Input/output"), "each is told once");
	fake_none();
	disk_queue_close(q);
	disk_close(disk);

	disk = try_open(path, false, false);
	q = disk_queue_open(disk, loop, 8);
	ok(!truncate(path, 32768 + 100), "someone truncates the file");
	listen_in();
	is(run_rw(q, DISK_READ, 32768, buf, 4096), -EIO, "a read across its new end is an error");
	is(run_rw(q, DISK_READ, 49152, buf, 4096), -EIO, "and one beyond it");
	listen_out();
	ok(said_lines == 1 && strstr(said, "shorter"), "which is told");
	is(run_rw(q, DISK_READ, 0, buf, 4096), 0, "what is there still reads");
	disk_queue_close(q);
	disk_close(disk);
}

/* More iovecs than a system call takes, and more than one slice of the slow way. */
static void test_many_iovecs(void)
{
	const char *path = file(dir, "iov", SIZE);
	struct disk *disk = try_open(path, false, false);
	struct disk_queue *q = disk_queue_open(disk, loop, 8);
	unsigned n = 1500;
	struct iovec *iov = calloc(n, sizeof(*iov));
	uint8_t *buf = malloc(n * 512);
	struct disk_io io = { .op = DISK_WRITE, .off = 512, .len = n * 512, .iov = iov, .n_iov = n };

	fill(buf, n * 512, 4);
	for (unsigned i = 0; i < n; i++)
		iov[i] = (struct iovec){ buf + i * 512, 512 };
	is(run(q, &io), 0, "a write of %u pieces", n);
	ok(file_has(path, 512, buf, n * 512), "is all there");
	memset(buf, 0, n * 512);
	io.op = DISK_READ;
	is(run(q, &io), 0, "a read of %u pieces", n);
	ok(file_has(path, 512, buf, n * 512), "is all there");
	disk_queue_close(q);
	disk_close(disk);
	free(iov);
	free(buf);
}

static void count_done(struct disk_io *io, int res)
{
	*(int *)io->opaque += res ? 100 : 1;
}

static void test_drain(void)
{
	const char *path = file(dir, "drain", SIZE);
	struct disk *disk = try_open(path, false, false);
	struct disk_queue *q = disk_queue_open(disk, loop, 32);
	static uint8_t buf[4096];
	struct iovec iov = { buf, sizeof(buf) };
	struct disk_io io[32];
	int n = 0;

	disk_drain(q);
	ok(true, "nothing to drain");
	fake_none();
	fake.eagain = 2;
	for (unsigned i = 0; i < 32; i++) {
		static const enum disk_op ops[] = { DISK_WRITE, DISK_READ, DISK_DISCARD, DISK_FLUSH };

		io[i] = (struct disk_io){ .op = ops[i % 4], .off = i * 4096, .len = 4096, .iov = &iov,
					  .n_iov = 1, .done = count_done, .opaque = &n };
		disk_submit(q, &io[i]);
	}
	disk_drain(q);
	is(n, 32, "all done without a turn of the loop");
	fake_none();
	disk_queue_close(q);
	disk_close(disk);
}

/*
 * Reads and writes through the page cache are through when io_submit() is back, and so ring no bell.
 * Where that isn't so, nobody waits for ever, and from then on they do ring.
 */
static void test_late(void)
{
	const char *path = file(dir, "late", 65536);
	struct disk *disk = try_open(path, false, false);
	struct disk_queue *q = disk_queue_open(disk, loop, 8);
	static uint8_t buf[4096], got[4096];
	struct iovec iov = { got, sizeof(got) };
	struct disk_io io = { .op = DISK_READ, .len = 4096, .iov = &iov, .n_iov = 1,
			      .done = count_done };
	int n = 0;

	fake_none();
	fill(buf, 4096, 9);
	is(run_rw(q, DISK_WRITE, 0, buf, 4096), 0, "a write through the page cache");
	ok(!fake.rings && !disk->late, "... needs no bell");
	fake.later = true;
	is(run_rw(q, DISK_READ, 0, got, 4096), 0, "one that is done in the background is found");
	pthread_join(background.thread, NULL);
	ok(!memcmp(got, buf, 4096), "... with its data");
	ok(!fake.rings && disk->late, "... though it had no bell, and that is remembered");
	is(run_rw(q, DISK_READ, 0, got, 4096), 0, "the next one");
	pthread_join(background.thread, NULL);
	is(fake.rings, 1, "... rings");
	disk->late = false;
	fake.rings = 0;
	memset(got, 0, sizeof(got));
	io.opaque = &n;
	is(disk_submit(q, &io), 0, "another without a bell");
	disk_drain(q);
	pthread_join(background.thread, NULL);
	ok(n == 1 && !fake.rings && !memcmp(got, buf, 4096), "... is waited for by a drain");
	fake_none();
	disk_queue_close(q);
	disk_close(disk);
}

struct chain {
	struct disk_queue *q;
	struct disk_io io;
	unsigned n, left;
};

static void chain_done(struct disk_io *io, int res)
{
	struct chain *c = io->opaque;

	c->left = 200 - c->n;
	if (c->n++ == 200 || res || disk_submit(c->q, io))
		loop_quit(loop);
}

/* A loop that polls finds what is done without its eventfd, and all else as before. */
static void test_polled(void)
{
	const char *path = file(dir, "polled", SIZE);
	struct disk *disk = try_open(path, false, true);
	struct disk_queue *q = disk_queue_open(disk, loop, 8);
	uint8_t *buf = aligned_alloc(4096, 65536), *got = aligned_alloc(4096, 65536);
	struct chain c = { .q = q };
	unsigned good = 0;

	fill(buf, 65536, 11);
	for (unsigned i = 0; i < 50; i++) {
		memset(got, 0, 65536);
		good += !run_rw(q, DISK_WRITE, i * 65536, buf, 65536) &&
			!run_rw(q, DISK_READ, i * 65536, got, 65536) && !memcmp(got, buf, 65536) &&
			!run_range(q, DISK_ZERO, i * 65536, 4096, true) &&
			!run_range(q, DISK_FLUSH, 0, 0, false);
	}
	is(good, 50, "what is written is read, on a loop that polls");
	/* By the disk's own thread: each one begins when the one before is done. */
	c.io = (struct disk_io){ .op = DISK_ZERO, .len = 4096, .done = chain_done, .opaque = &c };
	woken = 0;
	chain_done(&c.io, 0);
	loop_run(loop);
	is(c.left, 0, "a chain of requests");
	ok(woken < 100, "... most of which did not have to wake it (%d of 200 did)", woken);
	disk_queue_close(q);
	disk_close(disk);
	free(buf);
	free(got);
}

/* A file system without holes: nothing is offered, and what is asked for all the same is done. */
static void test_no_holes(void)
{
	const char *path = file(dir, "solid", SIZE);
	struct disk_queue *q;
	struct disk *disk;
	uint8_t *buf = malloc(SIZE);

	fake_none();
	fake.no_fallocate = true;
	disk = try_open(path, false, false);
	q = disk_queue_open(disk, loop, 8);
	ok(!disk_info(disk)->discard && !disk_info(disk)->write_zeroes, "no holes, no discard");
	fill(buf, SIZE, 5);
	is(run_rw(q, DISK_WRITE, 0, buf, SIZE), 0, "fill it");
	is(run_range(q, DISK_ZERO, 512, 1 << 20, false), 0, "zero");
	is(run_range(q, DISK_ZERO_UNMAP, 2 << 20, 512, false), 0, "zero, unmap");
	memset(buf + 512, 0, 1 << 20);
	memset(buf + (2 << 20), 0, 512);
	ok(file_has(path, 0, buf, SIZE), "by writing zeroes");
	is(run_range(q, DISK_DISCARD, 0, 4096, false), -EOPNOTSUPP, "discard can't");
	ok(file_has(path, 0, buf, SIZE), "and doesn't");
	fake_none();
	disk_queue_close(q);
	disk_close(disk);
	free(buf);
}

static void test_no_thread(void)
{
	const char *path = file(dir, "alone", 65536);
	struct disk *disk = try_open(path, false, false);
	struct disk_queue *q = disk_queue_open(disk, loop, 8);
	uint8_t buf[4096];

	fake_none();
	fake.no_thread = true;
	fill(buf, 4096, 8);
	is(run_rw(q, DISK_WRITE, 0, buf, 4096), 0, "a write");
	listen_in();
	is(run_range(q, DISK_ZERO, 0, 4096, false), 0, "no thread can be had: zeroes all the same");
	listen_out();
	ok(said_lines == 1 && strstr(said, "thread"), "... and says so");
	ok(file_zero(path, 0, 4096), "... and they are there");
	fake.sync_error = EIO;
	fake.refuse_op = IO_CMD_FDSYNC;
	listen_in();
	is(run_range(q, DISK_FLUSH, 0, 0, false), -EIO, "a sync that fails is an error");
	listen_out();
	fake_none();
	disk_queue_close(q);
	disk_close(disk);
}

/* --- a block device -------------------------------------------------------------------------- */

static int loop_device(const char *path, char *dev)
{
	struct loop_config conf = { .info.lo_flags = LO_FLAGS_AUTOCLEAR };
	int ctl = open("/dev/loop-control", O_RDWR), n, fd;

	if (ctl < 0)
		return -1;
	n = ioctl(ctl, LOOP_CTL_GET_FREE);
	close(ctl);
	sprintf(dev, "/dev/loop%d", n);
	fd = n < 0 ? -1 : open(dev, O_RDWR);
	if (fd < 0)
		return -1;
	conf.fd = (uint32_t)open(path, O_RDWR);
	conf.block_size = 4096;
	n = ioctl(fd, LOOP_CONFIGURE, &conf);
	close((int)conf.fd);
	if (!n)
		return fd;
	close(fd);
	return -1;
}

static void test_device(void)
{
	const char *path = file(dir, "loop", SIZE);
	uint8_t *a = aligned_alloc(4096, 1 << 20);
	char dev[32];
	int fd = loop_device(path, dev);
	struct disk_queue *q;
	struct disk *disk;

	if (fd < 0) {
		skip("no loop device can be had", "a block device");
		goto out;
	}
	for (int direct = 0; direct < 2; direct++) {
		disk = try_open(dev, false, direct);
		ok(disk && disk->device, "a block device opens");
		is(disk_info(disk)->size, SIZE, "its size");
		is(disk_info(disk)->block_size, 4096, "its logical block");
		ok(disk_info(disk)->write_zeroes, "it zeroes");
		ok(!direct || disk_info(disk)->align == 4096, "O_DIRECT asks for its block");
		q = disk_queue_open(disk, loop, 8);
		fill(a, 1 << 20, 77);
		is(run_rw(q, DISK_WRITE, 0, a, 1 << 20), 0, "write");
		is(run_range(q, DISK_ZERO, 4096, 8192, true), 0, "zero");
		is(run_range(q, DISK_ZERO_UNMAP, 16384, 4096, true), 0, "zero, unmap");
		is(run_range(q, DISK_ZERO, 512, 512, true), 0, "zero a piece of a block");
		memset(a + 4096, 0, 8192);
		memset(a + 16384, 0, 4096);
		memset(a + 512, 0, 512);
		is(run_range(q, DISK_FLUSH, 0, 0, false), 0, "flush");
		ok(file_has(dev, 0, a, 1 << 20), "all as it should be");
		is(run_rw(q, DISK_WRITE, 2560, a + 7, 512), 0, "write a piece of a block");
		memmove(a + 2560, a + 7, 512);
		ok(file_has(dev, 0, a, 1 << 20), "and nothing beside it");
		if (disk_info(disk)->discard) {
			is(run_range(q, DISK_DISCARD, 65536, 65536, true), 0, "discard");
			is(run_range(q, DISK_DISCARD, 131072 + 512, 512, true), 0,
			   "discard less than a block");
			ok(file_has(dev, 131072, a + 131072, 65536), "... does nothing");
		} else {
			skip("this one can't", "discard");
		}
		disk_queue_close(q);
		disk_close(disk);
	}
	close(fd);
	fd = open(dev, O_RDWR | O_EXCL);
	close(fd);
out:
	free(a);
}

int main(void)
{
	char cmd[128];

	if (!mkdtemp(dir))
		return 1;
	loop = loop_open("test");
	test_refusals();
	test_locks();
	test_info(dir);
	test_ops(dir, false);
	test_ops(dir, true);
	if (mkdtemp(shm)) {
		test_info(shm);
		test_ops(shm, false);
		test_ops(shm, true);
	} else {
		skip("no /dev/shm", "disks on tmpfs");
	}
	test_readonly();
	test_direct_unaligned();
	test_direct_fallback();
	test_submit();
	test_durable();
	test_errors();
	test_many_iovecs();
	test_drain();
	test_late();
	test_no_holes();
	test_no_thread();
	test_device();
	loop_set_poll(loop, 2000000);
	test_polled();
	test_drain();
	loop_close(loop);
	snprintf(cmd, sizeof(cmd), "rm -rf %s %s", dir, shm);
	if (system(cmd))
		return 1;
	return tap_end();
}
