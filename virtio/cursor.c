// SPDX-License-Identifier: GPL-2.0-only
/*
 * cursor: where a device stands in the bytes of a request. The pieces have been checked by the ring;
 * here lengths are only ever compared with what is left, so that nothing can overflow.
 *
 * Runs on: loop.
 */
#include <string.h>

#include "lkvm/virtq.h"

/* The part that readers and writers have in common, taken by reference. */
struct pos {
	const struct iovec **iov;
	unsigned *n;
	size_t *off;
};

#define POS(c) (&(struct pos){ &(c)->iov, &(c)->n, &(c)->off })

/* Steps over the next piece, at most max bytes of it: *p is where it was, the result its length. */
static size_t take(struct pos *pos, size_t max, uint8_t **p)
{
	const struct iovec *v = *pos->iov;
	size_t len = v->iov_len - *pos->off;

	*p = (uint8_t *)v->iov_base + *pos->off;
	if (len > max) {
		*pos->off += max;
		return max;
	}
	++*pos->iov;
	--*pos->n;
	*pos->off = 0;
	return len;
}

static void skip(struct pos *pos, size_t len)
{
	uint8_t *p;

	while (len)
		len -= take(pos, len, &p);
}

bool vread(struct vreader *rd, void *dst, size_t len)
{
	uint8_t *to = dst, *p;

	if (len > rd->left)
		return false;
	rd->left -= len;
	while (len) {
		size_t got = take(POS(rd), len, &p);

		memcpy(to, p, got);
		to += got;
		len -= got;
	}
	return true;
}

bool vread_skip(struct vreader *rd, size_t len)
{
	if (len > rd->left)
		return false;
	rd->left -= len;
	skip(POS(rd), len);
	return true;
}

bool vwrite(struct vwriter *wr, const void *src, size_t len)
{
	const uint8_t *from = src;
	uint8_t *p;

	if (len > wr->left)
		return false;
	wr->left -= len;
	wr->done += len;
	while (len) {
		size_t got = take(POS(wr), len, &p);

		memcpy(p, from, got);
		from += got;
		len -= got;
	}
	return true;
}

bool vwrite_zero(struct vwriter *wr, size_t len)
{
	uint8_t *p;

	if (len > wr->left)
		return false;
	wr->left -= len;
	wr->done += len;
	while (len) {
		size_t got = take(POS(wr), len, &p);

		memset(p, 0, got);
		len -= got;
	}
	return true;
}

bool vwriter_commit(struct vwriter *wr, size_t len)
{
	if (len > wr->left)
		return false;
	wr->left -= len;
	wr->done += len;
	skip(POS(wr), len);
	return true;
}

bool vreader_split(struct vreader *rd, size_t at, struct vreader *tail)
{
	struct vreader rest = *rd;

	if (!vread_skip(&rest, at))
		return false;
	/* A piece that is cut belongs to both. */
	rd->n -= rest.n - (rest.off && at);
	rd->left = at;
	*tail = rest;
	return true;
}

bool vwriter_split(struct vwriter *wr, size_t at, struct vwriter *tail)
{
	struct vwriter rest = *wr;

	if (!vwriter_commit(&rest, at))
		return false;
	wr->n -= rest.n - (rest.off && at);
	wr->left = at;
	rest.done = 0;
	*tail = rest;
	return true;
}

static int fill(struct pos pos, size_t len, struct iovec *iov, int cap)
{
	uint8_t *p;
	int n = 0;

	while (len) {
		size_t got;

		if (n == cap)
			return -1;
		got = take(&pos, len, &p);
		iov[n++] = (struct iovec){ .iov_base = p, .iov_len = got };
		len -= got;
	}
	return n;
}

int vreader_iov(const struct vreader *rd, size_t max, struct iovec *iov, int cap)
{
	struct vreader at = *rd;

	return fill(*POS(&at), max < rd->left ? max : rd->left, iov, cap);
}

int vwriter_iov(const struct vwriter *wr, size_t max, struct iovec *iov, int cap)
{
	struct vwriter at = *wr;

	return fill(*POS(&at), max < wr->left ? max : wr->left, iov, cap);
}
