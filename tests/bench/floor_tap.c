// SPDX-License-Identifier: GPL-2.0-only
/*
 * floor_tap: packets to and from a tap, one with each system call or many.
 */
#include "tests/bench/floor.h"

#include <errno.h>
#include <fcntl.h>
#include <libaio.h>
#include <linux/if_tun.h>
#include <linux/io_uring.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "disk/aio_ring.h"

static uint8_t vnet[12], *frame;
static struct iovec iov[2];
static void (*job)(int fd, unsigned depth, unsigned count);

int tap_open(const char *name)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK), size = 12;

	strncpy(ifr.ifr_name, name, IFNAMSIZ - 1);
	/* A ring that was closed holds its file a moment longer. */
	for (int tries = 0; fd >= 0 && ioctl(fd, TUNSETIFF, &ifr); tries++)
		if (errno != EBUSY || tries == 2000 || usleep(1000))
			die(name);
	if (fd < 0 || ioctl(fd, TUNSETVNETHDRSZ, &size))
		die(name);
	return fd;
}

/* What the guest of the benchmark sends, too. */
static void make_frame(size_t bytes)
{
	static const uint8_t head[] = {
		2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 8, 8, 0, 0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 6, 0, 0,
		10, 9, 8, 7, 10, 9, 8, 6, 0x12, 0x34, 0x56, 0x78, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x10,
	};

	memcpy(frame, head, sizeof(head));
	frame[16] = (uint8_t)((bytes - 14) >> 8);
	frame[17] = (uint8_t)(bytes - 14);
	if (bytes > 1514)
		memcpy(vnet, (uint8_t[]){ 1, 1, 54, 0, 1448 & 255, 1448 >> 8, 34, 0, 16, 0 }, 10);
}

/* --- one with each call ----------------------------------------------------------------------- */

static void out(int fd, unsigned depth, unsigned count)
{
	(void)depth;
	for (unsigned i = 0; i < count; i++)
		if (calls++, writev(fd, iov, 2) < 0)
			die("writev");
}

static void in(int fd, unsigned depth, unsigned count)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	(void)depth;
	while (count) {
		if (calls++, readv(fd, iov, 2) > 0) {
			count--;
			continue;
		}
		if (errno != EAGAIN)
			die("readv");
		calls++;
		poll(&pfd, 1, -1);
	}
}

/* --- many with one ---------------------------------------------------------------------------- */

static void out_aio(int fd, unsigned depth, unsigned count)
{
	struct iocb cb[DEPTH_MAX], *list[DEPTH_MAX];
	struct io_event ev[DEPTH_MAX];
	io_context_t ctx = NULL;
	struct aio_ring *ring;

	if (io_setup((int)depth, &ctx))
		die("io_setup");
	ring = aio_ring(ctx);
	while (ring && count) {
		unsigned n = depth < count ? depth : count;

		for (unsigned i = 0; i < n; i++) {
			io_prep_pwritev(&cb[i], fd, iov, 2, 0);
			list[i] = &cb[i];
		}
		if (calls++, io_submit(ctx, n, list) != (int)n || aio_ring_take(ring, ev, n) != n)
			die("io_submit");
		count -= n;
		for (unsigned i = 0; i < n; i++)
			if ((long)ev[i].res < 0)
				die("a packet by io_submit");
	}
	io_destroy(ctx);
}

struct uring {
	int fd;
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;
	unsigned *sq_tail, *sq_mask, *sq_array, *cq_head, *cq_tail, *cq_mask;
};

static void uring_open(struct uring *u, int tap, unsigned depth)
{
	struct io_uring_params p = { 0 };
	size_t len;
	char *at;

	u->fd = (int)syscall(SYS_io_uring_setup, depth, &p);
	if (u->fd < 0)
		die("io_uring_setup");
	len = p.sq_off.array + p.sq_entries * sizeof(unsigned);
	if (len < p.cq_off.cqes + p.cq_entries * sizeof(*u->cqe))
		len = p.cq_off.cqes + p.cq_entries * sizeof(*u->cqe);
	at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, u->fd, IORING_OFF_SQ_RING);
	u->sqe = mmap(NULL, p.sq_entries * sizeof(*u->sqe), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
		      u->fd, IORING_OFF_SQES);
	if (at == MAP_FAILED || (void *)u->sqe == MAP_FAILED || !(p.features & IORING_FEAT_SINGLE_MMAP))
		die("io_uring's rings");
	if (syscall(SYS_io_uring_register, u->fd, IORING_REGISTER_FILES, &tap, 1))
		die("io_uring_register");
	u->sq_tail = (unsigned *)(void *)(at + p.sq_off.tail);
	u->sq_mask = (unsigned *)(void *)(at + p.sq_off.ring_mask);
	u->sq_array = (unsigned *)(void *)(at + p.sq_off.array);
	u->cq_head = (unsigned *)(void *)(at + p.cq_off.head);
	u->cq_tail = (unsigned *)(void *)(at + p.cq_off.tail);
	u->cq_mask = (unsigned *)(void *)(at + p.cq_off.ring_mask);
	u->cqe = (struct io_uring_cqe *)(void *)(at + p.cq_off.cqes);
}

static void out_uring(int fd, unsigned depth, unsigned count)
{
	struct uring u;

	uring_open(&u, fd, depth);
	while (count) {
		unsigned n = depth < count ? depth : count, tail = *u.sq_tail;

		for (unsigned i = 0; i < n; i++, tail++) {
			u.sqe[tail & *u.sq_mask] = (struct io_uring_sqe){
				.opcode = IORING_OP_WRITEV, .flags = IOSQE_FIXED_FILE,
				.addr = (uintptr_t)iov, .len = 2,
			};
			u.sq_array[tail & *u.sq_mask] = tail & *u.sq_mask;
		}
		__atomic_store_n(u.sq_tail, tail, __ATOMIC_RELEASE);
		if (calls++, syscall(SYS_io_uring_enter, u.fd, n, n, IORING_ENTER_GETEVENTS, NULL, 0) != (int)n)
			die("io_uring_enter");
		count -= n;
		for (; *u.cq_head != __atomic_load_n(u.cq_tail, __ATOMIC_ACQUIRE);
		     __atomic_store_n(u.cq_head, *u.cq_head + 1, __ATOMIC_RELEASE))
			if (u.cqe[*u.cq_head & *u.cq_mask].res < 0)
				die("a packet by io_uring");
	}
	close(u.fd);
}

/* --- which ------------------------------------------------------------------------------------ */

void tap_prepare(int fd, const char *how, size_t bytes)
{
	static const struct {
		const char *name;
		void (*job)(int fd, unsigned depth, unsigned count);
	} jobs[] = { { "readv", in }, { "writev", out }, { "io_submit", out_aio }, { "io_uring", out_uring } };

	for (size_t i = 0; i < sizeof(jobs) / sizeof(*jobs); i++)
		if (!strcmp(how, jobs[i].name))
			job = jobs[i].job;
	frame = calloc(1, 65536);
	if (!job || !frame || bytes > 65536)
		die(how);
	iov[0] = (struct iovec){ vnet, sizeof(vnet) };
	iov[1] = (struct iovec){ frame, job == in ? 65536 : bytes };
	make_frame(bytes);
	/* Whole segments come in only to who says that it takes them. */
	if (job == in && bytes > 1514 && ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4))
		die("TUNSETOFFLOAD");
}

void tap_run(int fd, unsigned depth, unsigned count)
{
	job(fd, depth, count);
}
