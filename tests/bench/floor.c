// SPDX-License-Identifier: GPL-2.0-only
/*
 * floor: the I/O of the benchmarks done by the host itself, as the limit to compare with:
 * libaio straight on a file, readv and writev straight on a tap; one JSON object out.
 *
 *	floor FILE OP DEPTH BYTES COUNT		OP 0 reads, 1 writes
 *	floor tap:NAME HOW DEPTH BYTES COUNT	HOW readv or writev, one packet each; io_submit or
 *						io_uring, DEPTH packets out with one call
 */
#include "tests/bench/floor.h"

#include <errno.h>
#include <fcntl.h>
#include <libaio.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

unsigned long calls;

static uint64_t now(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec;
}

void die(const char *what)
{
	fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void disk(int fd, int write, unsigned depth, size_t bytes, unsigned count)
{
	struct iocb cb[DEPTH_MAX], *list[DEPTH_MAX];
	struct io_event ev[DEPTH_MAX];
	unsigned issued = 0, done = 0, n = 0;
	io_context_t ctx = NULL;
	uint32_t seed = 1;
	struct stat st;
	uint64_t blocks;
	char *buf = aligned_alloc(4096, bytes * depth);

	if (fstat(fd, &st) || io_setup((int)depth, &ctx) || !buf)
		die("io_setup");
	memset(buf, 0, bytes * depth);
	blocks = (uint64_t)st.st_size / bytes;
	for (unsigned i = 0; i < depth; i++)
		list[n++] = &cb[i];
	while (done < count) {
		int got;

		if (n > count - issued)
			n = count - issued;
		for (unsigned i = 0; i < n; i++) {
			char *at = buf + (size_t)(list[i] - cb) * bytes;
			uint64_t block = bytes >= 65536 ? issued % blocks : (seed * blocks) >> 32;

			seed = seed * 1664525 + 1013904223;
			if (write)
				io_prep_pwrite(list[i], fd, at, bytes, (long long)(block * bytes));
			else
				io_prep_pread(list[i], fd, at, bytes, (long long)(block * bytes));
			issued++;
		}
		if (n && (calls++, io_submit(ctx, n, list)) != (int)n)
			die("io_submit");
		calls++;
		got = io_getevents(ctx, 1, depth, ev, NULL);
		if (got < 1)
			die("io_getevents");
		for (n = 0; (int)n < got; n++)
			list[n] = ev[n].obj;
		done += (unsigned)got;
	}
	io_destroy(ctx);
	free(buf);
}

int main(int argc, char **argv)
{
	unsigned depth, count;
	uint64_t wall, cpu;
	int tap, fd;

	if (argc != 6)
		return 2;
	depth = (unsigned)atoi(argv[3]);
	count = (unsigned)atoi(argv[5]);
	tap = !strncmp(argv[1], "tap:", 4);
	fd = tap ? tap_open(argv[1] + 4) : open(argv[1], O_RDWR);
	if (fd < 0 || !depth || depth > DEPTH_MAX || !count)
		die(argv[1]);
	if (tap)
		tap_prepare(fd, argv[2], (size_t)atoi(argv[4]));
	wall = now(CLOCK_MONOTONIC);
	cpu = now(CLOCK_PROCESS_CPUTIME_ID);
	if (tap)
		tap_run(fd, depth, count);
	else
		disk(fd, atoi(argv[2]), depth, (size_t)atoi(argv[4]), count);
	cpu = now(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	wall = now(CLOCK_MONOTONIC) - wall;
	printf("{\"per_second\": %.0f, \"system_calls\": %.3f, \"vmm_cpu_ns\": %.0f}\n",
	       count * 1e9 / (double)wall, (double)calls / count, (double)cpu / count);
	close(fd);
	return 0;
}
