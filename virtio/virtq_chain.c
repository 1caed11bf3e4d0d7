// SPDX-License-Identifier: GPL-2.0-only
/*
 * virtq_chain: requests: the pool they come from, and how one is put together out of descriptors,
 * direct ones and those of an indirect table (2.7.5.3, 2.8.7). Every length and address that a
 * descriptor holds is checked here and nowhere else.
 *
 * Runs on: loop.
 */
#include <stdlib.h>

#include "virtq_ring.h"

struct vreq *pool_get(struct virtq *q)
{
	struct virtq_ring *ring = q->ring;
	struct vreq *r = ring->free;
	struct slot *s;

	if (r) {
		ring->free = r->next;
		return r;
	}
	s = malloc(sizeof(*s));
	if (!s)
		return NULL;
	*s = (struct slot){ .all = ring->all };
	ring->all = s;
	s->req.q = q;
	s->req.iov = s->few;
	s->req.cap_iov = FEW_SEGS;
	return &s->req;
}

void pool_free(struct virtq_ring *ring)
{
	struct slot *s, *all;

	for (s = ring->all; s; s = all) {
		all = s->all;
		if (s->req.iov != s->few)
			free(s->req.iov);
		free(s);
	}
}

void pool_put(struct virtq *q, struct vreq *r)
{
	struct slot *s = slot_of(r);

	if (r->cap_iov > KEEP_SEGS) {
		q->ring->segs -= r->cap_iov;
		free(r->iov);
		r->iov = s->few;
		r->cap_iov = FEW_SEGS;
	}
	r->next = q->ring->free;
	q->ring->free = r;
}

/* Room for twice as many pieces. */
static bool chain_grow(struct chain *c)
{
	struct virtq_ring *ring = c->q->ring;
	struct vreq *r = c->r;
	struct slot *s = slot_of(r);
	bool few = r->iov == s->few;
	uint32_t cap = r->cap_iov * 2U, more = 0;
	struct iovec *iov;

	if (cap > KEEP_SEGS)
		more = r->cap_iov > KEEP_SEGS ? cap - r->cap_iov : cap;
	if (ring->segs + more > ring->segs_max)
		return virtq_break(c->q, "long chains of more than %u pieces at once",
				   ring->segs_max);
	/* cap_iov is never 0: it begins as the size of few. */
	/* NOLINTNEXTLINE(clang-analyzer-optin.portability.UnixAPI) */
	iov = realloc(few ? NULL : r->iov, cap * sizeof(*iov));
	if (!iov)
		return virtq_break(c->q, "no memory for a chain of %u pieces", cap);
	if (few)
		memcpy(iov, s->few, sizeof(s->few));
	ring->segs += more;
	r->iov = iov;
	r->cap_iov = (uint16_t)cap;
	return true;
}

bool chain_add(struct chain *c, uint64_t gpa, uint32_t len, bool write)
{
	struct vreq *r = c->r;
	struct iovec *last;
	void *hva;

	if (c->descs++ == c->q->ring->chain_max)
		return virtq_break(c->q, "a chain of more than %u descriptors",
				   c->q->ring->chain_max);
	if (c->writable && !write)
		return virtq_break(c->q, "a readable descriptor follows a writable one");
	if (write && !c->writable) {
		c->writable = true;
		c->n_out = r->n_iov;
	}
	if (!len)
		return true;
	hva = gmem_ptr(c->q->mem, gpa, len);
	if (!hva)
		return virtq_break(c->q, "%u bytes at %#llx are not RAM", len,
				   (unsigned long long)gpa);
	if (c->out_bytes + c->in_bytes + len > UINT32_MAX)
		return virtq_break(c->q, "a chain of 4 GiB or more");
	*(write ? &c->in_bytes : &c->out_bytes) += len;

	/* Neighbours of the same direction are one piece: fewer of them for readv. */
	if (r->n_iov > (write ? c->n_out : 0)) {
		last = &r->iov[r->n_iov - 1];
		if ((uint8_t *)last->iov_base + last->iov_len == hva) {
			last->iov_len += len;
			return true;
		}
	}
	if (r->n_iov == r->cap_iov && !chain_grow(c))
		return false;
	r->iov[r->n_iov++] = (struct iovec){ .iov_base = hva, .iov_len = len };
	return true;
}

/* The table's first byte; n gets its number of entries. NULL: broken. */
static const uint8_t *table_open(struct chain *c, uint64_t gpa, uint32_t len, uint32_t *n)
{
	const uint8_t *table;

	if (!c->q->conf.indirect) {
		virtq_break(c->q, "an indirect descriptor, but INDIRECT_DESC was not negotiated");
		return NULL;
	}
	if (!len || len % sizeof(struct split_desc)) {
		virtq_break(c->q, "an indirect table of %u bytes", len);
		return NULL;
	}
	table = gmem_ptr(c->q->mem, gpa, len);
	if (!table)
		virtq_break(c->q, "the indirect table at %#llx is not RAM", (unsigned long long)gpa);
	*n = len / sizeof(struct split_desc);
	return table;
}

bool chain_add_split_table(struct chain *c, uint64_t gpa, uint32_t len)
{
	uint32_t n, i = 0, left;
	struct split_desc d;
	const uint8_t *table = table_open(c, gpa, len, &n);

	if (!table)
		return false;
	for (left = n; left; left--) {
		ring_read_desc(&d, table + i * sizeof(d));
		if (d.flags & DESC_INDIRECT)
			return virtq_break(c->q, "an indirect table inside an indirect table");
		if (!chain_add(c, d.addr, d.len, d.flags & DESC_WRITE))
			return false;
		if (!(d.flags & DESC_NEXT))
			return true;
		i = d.next;
		if (i >= n)
			return virtq_break(c->q, "next is %u in an indirect table of %u", i, n);
	}
	return virtq_break(c->q, "a loop in an indirect table");
}

/* The entries follow one another; of their flags only WRITE has a meaning (2.8.7). */
bool chain_add_packed_table(struct chain *c, uint64_t gpa, uint32_t len)
{
	uint32_t n;
	struct packed_desc d;
	const uint8_t *table = table_open(c, gpa, len, &n);

	if (!table)
		return false;
	for (uint32_t i = 0; i < n; i++) {
		ring_read_desc(&d, table + i * sizeof(d));
		if (!chain_add(c, d.addr, d.len, d.flags & DESC_WRITE))
			return false;
	}
	return true;
}

void chain_end(struct chain *c)
{
	struct vreq *r = c->r;

	if (!c->writable)
		c->n_out = r->n_iov;
	slot_of(r)->writable = c->in_bytes;
	r->out = (struct vreader){ .iov = r->iov, .n = c->n_out, .left = c->out_bytes };
	r->in = (struct vwriter){ .iov = r->iov + c->n_out,
				  .n = (unsigned)r->n_iov - c->n_out,
				  .left = c->in_bytes };
}
