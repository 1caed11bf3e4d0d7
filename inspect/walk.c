// SPDX-License-Identifier: GPL-2.0-only
/*
 * walk: the guest's page tables, walked as its processor would, but with every entry checked against
 * RAM. KVM_TRANSLATE would do less: no permissions, no huge pages' ends, nothing for tests.
 *
 * Runs on: main
 */
#include <string.h>

#include "lkvm/inspect.h"

#define CR0_PG	 (1ULL << 31)
#define CR4_PSE	 (1ULL << 4)
#define CR4_PAE	 (1ULL << 5)
#define CR4_LA57 (1ULL << 12)
#define EFER_LMA (1ULL << 10)
#define EFER_NXE (1ULL << 11)

#define PTE_P	 (1ULL << 0)
#define PTE_W	 (1ULL << 1)
#define PTE_U	 (1ULL << 2)
#define PTE_PS	 (1ULL << 7)
#define PTE_NX	 (1ULL << 63)
#define PTE_ADDR 0x000ffffffffff000ULL

/* A paging mode: how many levels, how an index is cut, up to which level a page may be huge. */
struct mode {
	unsigned levels, bits, size, huge;
};

struct walk walk_of(const struct gmem *mem, const struct control_regs *regs)
{
	return (struct walk){ mem, regs->cr0, regs->cr3, regs->cr4, regs->efer };
}

static struct mode mode_of(const struct walk *w)
{
	if (w->efer & EFER_LMA)
		return (struct mode){ w->cr4 & CR4_LA57 ? 5 : 4, 9, 8, 2 };
	if (w->cr4 & CR4_PAE)
		return (struct mode){ 3, 9, 8, 1 };
	return (struct mode){ 2, 10, 4, w->cr4 & CR4_PSE ? 1 : 0 };
}

static bool canonical(uint64_t va, const struct mode *m)
{
	unsigned unused = 64 - 12 - m->levels * m->bits;

	return (uint64_t)((int64_t)(va << unused) >> unused) == va;
}

/* Where a leaf of 1 << shift bytes leads. 4 MiB pages of 32-bit tables keep high bits in low places. */
static uint64_t leaf_gpa(uint64_t entry, const struct mode *m, unsigned shift, uint64_t va)
{
	uint64_t base = entry & PTE_ADDR, off = va & ((1ULL << shift) - 1);

	if (m->size == 4 && shift == 22)
		base = (entry & 0xffc00000) | (entry >> 13 & 0xff) << 32;
	return (base & ~((1ULL << shift) - 1)) | off;
}

bool walk_page(const struct walk *w, uint64_t va, struct walk_page *page)
{
	struct mode m = mode_of(w);
	uint64_t table = w->cr3 & (m.size == 8 && m.levels == 3 ? 0xffffffe0ULL : PTE_ADDR);

	if (!(w->efer & EFER_LMA))
		va &= 0xffffffff;
	if (!(w->cr0 & CR0_PG)) {
		*page = (struct walk_page){ va, 4096 - va % 4096, true, true, true };
		return true;
	}
	if (m.levels > 3 && !canonical(va, &m))
		return false;
	*page = (struct walk_page){ .write = true, .user = true, .exec = true };
	for (unsigned level = m.levels; level-- > 0;) {
		unsigned shift = 12 + level * m.bits;
		uint64_t entry = 0, index = va >> shift & ((1ULL << m.bits) - 1);

		if (!gmem_read(w->mem, table + index * m.size, &entry, m.size) || !(entry & PTE_P))
			return false;
		/* PAE's four top entries have no permissions. */
		if (!(m.levels == 3 && level == 2)) {
			page->write = page->write && entry & PTE_W;
			page->user = page->user && entry & PTE_U;
			page->exec = page->exec && !(w->efer & EFER_NXE && entry & PTE_NX);
		}
		if (!level || (level <= m.huge && entry & PTE_PS)) {
			page->gpa = leaf_gpa(entry, &m, shift, va);
			page->left = (1ULL << shift) - (va & ((1ULL << shift) - 1));
			return true;
		}
		table = entry & PTE_ADDR;
	}
	return false;
}

/* One page's share of an access: where it is, and how much of len lies in it. NULL: not RAM. */
static void *piece(const struct walk *w, uint64_t va, size_t len, size_t *n)
{
	struct walk_page page;

	if (!walk_page(w, va, &page))
		return NULL;
	/* Huge pages may begin in RAM and end outside: four kilobytes are either or. */
	*n = 4096 - va % 4096;
	if (*n > len)
		*n = len;
	return gmem_ptr(w->mem, page.gpa, *n);
}

size_t walk_read(const struct walk *w, uint64_t va, void *dst, size_t len)
{
	size_t done, n;

	for (done = 0; done < len; done += n) {
		const void *src = piece(w, va + done, len - done, &n);

		if (!src)
			break;
		memcpy((uint8_t *)dst + done, src, n);
	}
	return done;
}

size_t walk_write(const struct walk *w, uint64_t va, const void *src, size_t len)
{
	size_t done, n;

	for (done = 0; done < len; done += n) {
		void *dst = piece(w, va + done, len - done, &n);

		if (!dst)
			break;
		memcpy(dst, (const uint8_t *)src + done, n);
	}
	return done;
}
