// SPDX-License-Identifier: GPL-2.0-only
/*
 * gmem: guest RAM: memory of ours, cut into the regions below and above the PCI hole.
 *
 * Ordinary pages are anonymous memory, where the host may put huge pages behind the guest's 4 KiB ones (in
 * a memfd it mostly may not: shmem_enabled is `never` unless somebody has changed it). Each region begins
 * at 2 MiB, so that KVM can map such a page as one. The pool of huge pages is reached by a file.
 *
 * Runs on: main (open, close), any thread (lookups).
 */
#include "lkvm/gmem.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "lkvm/log.h"

#define HUGE_PAGE (2ULL << 20)

/* A file of huge pages for both regions. */
static int open_file(uint64_t len)
{
	int fd = memfd_create("lkvm-ram", MFD_CLOEXEC | MFD_HUGETLB), err;

	if (fd >= 0 && !ftruncate(fd, (off_t)len))
		return fd;
	err = errno;
	log_err(NULL, "cannot create guest memory of %llu MiB in huge pages: %s", (unsigned long long)(len >> 20),
		strerror(err));
	if (fd >= 0)
		close(fd);
	return -err;
}

/* Anonymous memory that begins at a multiple of a huge page; what lies around it goes back. */
static void *map_anonymous(uint64_t len)
{
	size_t room = len + HUGE_PAGE, before;
	uint8_t *at = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED)
		return MAP_FAILED;
	before = -(uintptr_t)at & (HUGE_PAGE - 1);
	if (before)
		munmap(at, before);
	munmap(at + before + len, room - before - len);
	return at + before;
}

static void *map_file(int fd, uint64_t len, uint64_t off)
{
	/* A huge page that isn't there when it is touched is a SIGBUS: they are reserved. */
	return mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)off);
}

/* All of it now; a host before Linux 5.14 has no word for that. Nothing is in it yet. */
static int populate(uint8_t *at, uint64_t len)
{
	if (!madvise(at, len, MADV_POPULATE_WRITE))
		return 0;
	if (errno != EINVAL)
		return -errno;
	for (uint64_t off = 0; off < len; off += 4096)
		*(volatile uint8_t *)(at + off) = 0;
	return 0;
}

static int map_region(struct gmem *mem, uint64_t gpa, uint64_t len, uint64_t off, unsigned flags)
{
	struct gmem_region *r = &mem->region[mem->n];
	bool huge = flags & GMEM_HUGEPAGES;
	void *hva = huge ? map_file(mem->fd, len, off) : map_anonymous(len);
	int err;

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
	*r = (struct gmem_region){ .gpa = gpa, .len = len, .hva = hva, .fd = mem->fd, .fd_off = off, .ours = true };
	mem->n++;
	madvise(hva, len, MADV_HUGEPAGE);
	madvise(hva, len, MADV_DONTDUMP);
	/* A child has no business with it, and a copy of its page tables would cost. */
	madvise(hva, len, MADV_DONTFORK);
	err = flags & GMEM_PREALLOC ? populate(hva, len) : 0;
	if (err)
		log_err(NULL, "cannot take %llu MiB of guest memory at once (prealloc=on): %s",
			(unsigned long long)(len >> 20), strerror(-err));
	return err;
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
	if (flags & GMEM_HUGEPAGES) {
		mem->fd = open_file(len);
		if (mem->fd < 0)
			return mem->fd;
	}
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
		if (mem->region[i].ours)
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
