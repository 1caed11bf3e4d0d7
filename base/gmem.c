// SPDX-License-Identifier: GPL-2.0-only
/*
 * gmem: guest RAM: one memfd, mapped once, cut into the regions below and above the PCI hole.
 *
 * Runs on: main (open, close), any thread (lookups).
 */
#include "lkvm/gmem.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "lkvm/log.h"

static int open_file(uint64_t len, unsigned flags)
{
	unsigned mfd = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int fd, err;

	if (flags & GMEM_HUGEPAGES)
		mfd |= MFD_HUGETLB;
	fd = memfd_create("lkvm-ram", mfd);
	if (fd < 0) {
		err = errno;
		log_err(NULL, "cannot create guest memory: %s", strerror(err));
		return -err;
	}
	if (ftruncate(fd, (off_t)len)) {
		err = errno;
		log_err(NULL, "cannot size guest memory to %llu MiB: %s",
			(unsigned long long)(len >> 20), strerror(err));
		close(fd);
		return -err;
	}
	/* Nobody it is shared with can take it away from under us (SIGBUS). */
	fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	return fd;
}

static int map_region(struct gmem *mem, uint64_t gpa, uint64_t len, uint64_t off, unsigned flags)
{
	int prot = PROT_READ | PROT_WRITE, how = MAP_SHARED | MAP_NORESERVE, err;
	bool huge = flags & GMEM_HUGEPAGES;
	struct gmem_region *r = &mem->region[mem->n];
	void *hva;

	/* A huge page that isn't there when it is touched is a SIGBUS: they are reserved. */
	if (huge)
		how = MAP_SHARED;
	if (flags & GMEM_PREALLOC)
		how = MAP_SHARED | MAP_POPULATE;
	hva = mmap(NULL, len, prot, how, mem->fd, (off_t)off);
	if (hva == MAP_FAILED) {
		err = errno;
		if (huge)
			log_err(NULL, "cannot map %llu MiB of guest memory: too few free huge pages. Fix: "
				"sudo sysctl vm.nr_hugepages=N, or no hugepages", (unsigned long long)(len >> 20));
		else
			log_err(NULL, "cannot map %llu MiB of guest memory: %s. Fix: a smaller -m, or "
				"ulimit -v unlimited", (unsigned long long)(len >> 20), strerror(err));
		return -err;
	}
	madvise(hva, len, MADV_HUGEPAGE);
	madvise(hva, len, MADV_DONTDUMP);
	*r = (struct gmem_region){ .gpa = gpa, .len = len, .hva = hva, .fd = mem->fd, .fd_off = off };
	mem->n++;
	return 0;
}

/* More RAM than the host has would end in the OOM killer, minutes later and with no explanation. */
static int check_fits(uint64_t len)
{
	struct sysinfo si;
	uint64_t have;

	if (sysinfo(&si))
		return 0;
	have = (uint64_t)si.totalram * si.mem_unit;
	if (len <= have)
		return 0;
	log_err(NULL, "--mem: %llu MiB is more than this machine has (%llu MiB); ask for less",
		(unsigned long long)(len >> 20), (unsigned long long)(have >> 20));
	return -ENOMEM;
}

int gmem_open(struct gmem *mem, uint64_t len, uint64_t hole_start, uint64_t hole_end,
	      unsigned flags)
{
	uint64_t low = len < hole_start ? len : hole_start;
	int err;

	*mem = (struct gmem){ .fd = -1 };
	err = check_fits(len);
	if (err)
		return err;
	mem->fd = open_file(len, flags);
	if (mem->fd < 0)
		return mem->fd;
	err = map_region(mem, 0, low, 0, flags);
	if (!err && len > low)
		err = map_region(mem, hole_end, len - low, low, flags);
	if (err)
		gmem_close(mem);
	return err;
}

void gmem_close(struct gmem *mem)
{
	for (unsigned i = 0; i < mem->n; i++)
		if (mem->region[i].fd >= 0)
			munmap(mem->region[i].hva, mem->region[i].len);
	if (mem->fd >= 0)
		close(mem->fd);
	*mem = (struct gmem){ .fd = -1 };
}

int gmem_add(struct gmem *mem, uint64_t gpa, void *hva, uint64_t len)
{
	if (mem->n == GMEM_REGIONS)
		return -ENOSPC;
	mem->region[mem->n++] = (struct gmem_region){ .gpa = gpa, .len = len, .hva = hva, .fd = -1 };
	return 0;
}

void *gmem_ptr(const struct gmem *mem, uint64_t gpa, uint64_t len)
{
	for (unsigned i = 0; i < mem->n; i++) {
		const struct gmem_region *r = &mem->region[i];
		uint64_t off = gpa - r->gpa; /* wraps to something huge when gpa lies below */

		if (off < r->len)
			return len && len <= r->len - off ? r->hva + off : NULL;
	}
	return NULL;
}

bool gmem_write(const struct gmem *mem, uint64_t gpa, const void *src, size_t len)
{
	void *dst = gmem_ptr(mem, gpa, len);

	if (dst)
		memcpy(dst, src, len);
	return dst;
}

bool gmem_read(const struct gmem *mem, uint64_t gpa, void *dst, size_t len)
{
	const void *src = gmem_ptr(mem, gpa, len);

	if (src)
		memcpy(dst, src, len);
	return src;
}

uint64_t gmem_size(const struct gmem *mem)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < mem->n; i++)
		sum += mem->region[i].len;
	return sum;
}

uint64_t gmem_top(const struct gmem *mem)
{
	uint64_t top = 0;

	for (unsigned i = 0; i < mem->n; i++)
		if (mem->region[i].gpa + mem->region[i].len > top)
			top = mem->region[i].gpa + mem->region[i].len;
	return top;
}
