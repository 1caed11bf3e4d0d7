// SPDX-License-Identifier: GPL-2.0-only
/* test_cursor: all or nothing, however the bytes are cut into pieces. */
#include <stdint.h>
#include <stdlib.h>

#include "lkvm/virtq.h"
#include "tap.h"

#define TOTAL 24

/* 24 bytes 0..23 in pieces of 1, 7, 3, 13; each piece an allocation, so that ASan sees its ends. */
static const size_t cut[] = { 1, 7, 3, 13 };
static struct iovec piece[4];

static void fill_pieces(void)
{
	uint8_t v = 0;

	for (int i = 0; i < 4; i++) {
		free(piece[i].iov_base);
		piece[i].iov_base = malloc(cut[i]);
		piece[i].iov_len = cut[i];
		for (size_t k = 0; k < cut[i]; k++)
			((uint8_t *)piece[i].iov_base)[k] = v++;
	}
}

static struct vreader reader(void)
{
	fill_pieces();
	return (struct vreader){ .iov = piece, .n = 4, .left = TOTAL };
}

static struct vwriter writer(void)
{
	fill_pieces();
	return (struct vwriter){ .iov = piece, .n = 4, .left = TOTAL };
}

static void flat(uint8_t *all)
{
	for (int i = 0; i < 4; i++) {
		memcpy(all, piece[i].iov_base, cut[i]);
		all += cut[i];
	}
}

/* Are p[0..n) the numbers from `from` on? */
static bool counts(const uint8_t *p, size_t n, unsigned from)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != from + i)
			return false;
	return true;
}

static void test_read(void)
{
	struct vreader rd = reader(), was;
	uint8_t buf[TOTAL + 1];
	bool all = true;

	for (size_t a = 0; a <= TOTAL; a++) {
		rd = reader();
		all &= vread(&rd, buf, a) && counts(buf, a, 0) && rd.left == TOTAL - a;
		all &= vread(&rd, buf, TOTAL - a) && counts(buf, TOTAL - a, (unsigned)a);
		all &= !rd.left && !rd.n;
	}
	ok(all, "two reads get all bytes in order wherever they meet");

	rd = reader();
	vread(&rd, buf, 5);
	was = rd;
	memset(buf, 0xee, sizeof(buf));
	ok(!vread(&rd, buf, TOTAL - 4), "a read of one byte more than is left fails");
	ok(!memcmp(&rd, &was, sizeof(rd)) && buf[0] == 0xee, "and moves nothing");
	ok(!vread(&rd, buf, SIZE_MAX), "a read of SIZE_MAX fails");
	ok(!vread_skip(&rd, SIZE_MAX) && !memcmp(&rd, &was, sizeof(rd)), "so does a skip");
	ok(vread_skip(&rd, 6) && vread(&rd, buf, 1) && buf[0] == 11, "skip crosses pieces");
	ok(vread_skip(&rd, 12) && !rd.left && !rd.n, "skip reaches the end");
	ok(vread(&rd, buf, 0) && !vread(&rd, buf, 1), "at the end only nothing can be read");
}

static void test_write(void)
{
	uint8_t src[TOTAL], got[TOTAL];
	struct vwriter wr = writer(), was;
	bool all = true;

	for (int i = 0; i < TOTAL; i++)
		src[i] = (uint8_t)(100 + i);
	for (size_t a = 0; a <= TOTAL; a++) {
		wr = writer();
		all &= vwrite(&wr, src, a) && wr.done == a && wr.left == TOTAL - a;
		flat(got);
		all &= counts(got, a, 100) && counts(got + a, TOTAL - a, (unsigned)a);
		all &= vwrite(&wr, src + a, TOTAL - a) && wr.done == TOTAL && !wr.n;
		flat(got);
		all &= counts(got, TOTAL, 100);
	}
	ok(all, "writes store exactly their bytes, wherever they meet");

	wr = writer();
	vwrite(&wr, src, 3);
	was = wr;
	ok(!vwrite(&wr, src, TOTAL - 2) && !memcmp(&wr, &was, sizeof(wr)),
	   "a write of one byte too many changes nothing");
	flat(got);
	ok(counts(got + 3, TOTAL - 3, 3), "not in memory either");
	ok(!vwrite_zero(&wr, SIZE_MAX) && !vwriter_commit(&wr, SIZE_MAX) && wr.done == 3,
	   "SIZE_MAX is too many for zeroes and for a commit");
	ok(vwrite_zero(&wr, 6) && wr.done == 9, "zeroes count as done");
	flat(got);
	ok(counts(got, 3, 100) && !got[3] && !got[8] && counts(got + 9, 15, 9), "exactly six of them");
	ok(vwriter_commit(&wr, 15) && wr.done == TOTAL && !wr.left && !wr.n,
	   "a commit moves to the end");
	flat(got);
	ok(counts(got + 9, 15, 9), "and stores nothing itself");
}

static void test_split(void)
{
	bool left = true, right = true, entries = true, writers = true;
	uint8_t a[TOTAL], b[TOTAL];

	for (size_t skip = 0; skip <= TOTAL; skip++)
		for (size_t at = 0; at <= TOTAL - skip; at++) {
			struct vreader rd = reader(), tail;
			struct vwriter wr = writer(), wtail;
			struct iovec iov[4];
			size_t rest = TOTAL - skip - at;

			vread_skip(&rd, skip);
			vwriter_commit(&wr, skip);
			if (!vreader_split(&rd, at, &tail) || !vwriter_split(&wr, at, &wtail)) {
				left = false;
				continue;
			}
			entries &= (int)rd.n == vreader_iov(&rd, SIZE_MAX, iov, 4);
			entries &= (int)tail.n == vreader_iov(&tail, SIZE_MAX, iov, 4);
			entries &= wr.n == rd.n && wtail.n == tail.n;
			left &= rd.left == at && !vread(&rd, a, at + 1);
			left &= vread(&rd, a, at) && counts(a, at, (unsigned)skip);
			right &= tail.left == rest && !vread(&tail, b, rest + 1);
			right &= vread(&tail, b, rest) && counts(b, rest, (unsigned)(skip + at));
			writers &= wr.done == skip && !wtail.done && wtail.left == rest;
			memset(a, 200, sizeof(a));
			writers &= vwrite(&wtail, a, rest) && !vwrite(&wr, a, at + 1);
			flat(b);
			writers &= counts(b, skip + at, 0) && (!rest || b[skip + at] == 200);
		}
	ok(left, "the first part of a split ends at the cut");
	ok(right, "the tail starts there and has the rest");
	ok(entries, "each part knows how many pieces it touches");
	ok(writers, "a writer's tail counts for itself and writes behind the cut");

	struct vreader rd = reader(), tail;
	struct vwriter wr = writer(), wtail;

	ok(!vreader_split(&rd, TOTAL + 1, &tail) && rd.left == TOTAL && rd.n == 4,
	   "no cut behind the end of a reader");
	ok(!vwriter_split(&wr, SIZE_MAX, &wtail) && wr.left == TOTAL && wr.n == 4,
	   "nor of a writer");
}

static void test_joined(void)
{
	struct vwriter wr = writer(), tail;

	vwriter_split(&wr, TOTAL - 1, &tail);
	vwrite_zero(&tail, 1);
	is(vwriter_joined(&wr, &tail), 0, "a status byte behind missing data isn't reported");
	vwriter_commit(&wr, 10);
	is(vwriter_joined(&wr, &tail), 10, "only the data before the gap is");
	vwriter_commit(&wr, TOTAL - 11);
	is(vwriter_joined(&wr, &tail), TOTAL, "without a gap all of it is");
	wr = writer();
	vwriter_split(&wr, 0, &tail);
	vwrite_zero(&tail, 1);
	is(vwriter_joined(&wr, &tail), 1, "no data at all: the status byte is the answer");
}

static void test_iov(void)
{
	struct vreader rd = reader(), was;
	struct vwriter wr = writer();
	struct iovec iov[4];
	size_t sum = 0;
	int n;

	vread_skip(&rd, 3);
	was = rd;
	n = vreader_iov(&rd, SIZE_MAX, iov, 4);
	is(n, 3, "an iovec starts in the middle of a piece");
	for (int i = 0; i < n; i++)
		sum += iov[i].iov_len;
	is(sum, TOTAL - 3, "and holds all that is left");
	is(*(uint8_t *)iov[0].iov_base, 3, "from the cursor's byte on");
	ok(!memcmp(&rd, &was, sizeof(rd)), "the cursor stays");
	is(vreader_iov(&rd, SIZE_MAX, iov, 2), -1, "too few entries are refused");
	is(vreader_iov(&rd, 6, iov, 2), 2, "a maximum inside a piece needs only those before it");
	is(iov[1].iov_len, 1, "and cuts that piece");
	is(vreader_iov(&rd, 0, iov, 0), 0, "nothing needs no entry");
	is(vwriter_iov(&wr, 8, iov, 2), 2, "writers likewise");
	is(vwriter_iov(&wr, 9, iov, 2), -1, "one byte more is one entry more");
	vwriter_commit(&wr, TOTAL);
	is(vwriter_iov(&wr, 5, iov, 1), 0, "at the end there is nothing");
}

int main(void)
{
	test_read();
	test_write();
	test_split();
	test_joined();
	test_iov();
	for (int i = 0; i < 4; i++)
		free(piece[i].iov_base);
	return tap_end();
}
