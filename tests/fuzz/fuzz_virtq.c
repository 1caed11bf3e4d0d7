// SPDX-License-Identifier: GPL-2.0-only
/*
 * fuzz_virtq: a driver that does anything at all, and a device that does what a device may.
 *
 * Input: a byte of features, a byte of size, then actions: an opcode each and its operands. RAM is two
 * blocks, so that a byte outside is seen; the ring's areas lie in the first, as may tables and buffers.
 */
#include <stdlib.h>
#include <string.h>

#include "lkvm/virtq.h"

#define BASE	 0x1000
#define RAM_LEN	 4096
#define BASE2	 0x100000
#define RAM2_LEN 512
#define DRIVER	 256 /* offsets of the areas, behind 16 descriptors */
#define DEVICE	 320
#define TABLES	 512
#define KEEP	 16

#define must(cond)                                                                                 \
	do {                                                                                       \
		if (!(cond))                                                                       \
			__builtin_trap();                                                          \
	} while (0)

struct in {
	const uint8_t *p;
	size_t left;
};

struct state {
	struct virtq q;
	struct virtq_conf conf;
	struct gmem mem;
	uint8_t *ram, *ram2;
	struct {
		struct vreq *r;
		unsigned seq;
	} kept[KEEP];
	unsigned n, seq; /* kept; sequence number of the newest popped */
	unsigned fails, staged, unflushed;
};

static uint8_t u8(struct in *in)
{
	if (!in->left)
		return 0;
	in->left--;
	return *in->p++;
}

static uint16_t u16(struct in *in)
{
	uint16_t lo = u8(in);

	return (uint16_t)(lo | u8(in) << 8);
}

static void failed(void *opaque, const char *why)
{
	struct state *s = opaque;

	must(why && *why);
	s->fails++;
}

static void staged(void *opaque)
{
	((struct state *)opaque)->staged++;
}

static void start(struct state *s)
{
	s->fails = s->n = s->seq = s->staged = s->unflushed = 0;
	must(!virtq_start(&s->q, &s->mem, &s->conf));
}

/* --- the driver ------------------------------------------------------------------------------- */

/* A descriptor at off; anything goes, but most addresses are good ones. */
static void put_desc(struct state *s, struct in *in, size_t off)
{
	uint8_t where = u8(in);
	uint64_t addr = u16(in);
	uint32_t len = u16(in);
	uint16_t flags = u16(in), next = u8(in), word[2];

	if (where & 1)
		addr = BASE + addr % RAM_LEN;
	if (where & 2)
		addr += BASE2 - BASE;
	if (where & 4)
		addr |= 0xffffffffffff0000;
	if (where & 8)
		len |= 0xffff0000;
	if (where & 16)
		len &= 0xff;
	if (where & 32)
		len &= ~15U;
	flags &= (where & 64) ? 0xffff : 0x8087;
	if (where & 128) { /* to a table, where action 1 puts them */
		addr = BASE + TABLES + 8 * (addr & 0xff);
		len = 16 * (1 + len % 8);
		flags |= 4;
	}
	word[0] = s->conf.packed ? next : flags;
	word[1] = s->conf.packed ? flags : next;
	if (off + 16 > RAM_LEN)
		return;
	memcpy(s->ram + off, &addr, 8);
	memcpy(s->ram + off + 8, &len, 4);
	memcpy(s->ram + off + 12, word, 4);
}

static void put_avail(struct state *s, uint16_t head)
{
	uint16_t idx;

	memcpy(&idx, s->ram + DRIVER + 2, 2);
	memcpy(s->ram + DRIVER + 4 + 2 * (idx % s->conf.size), &head, 2);
	idx++;
	memcpy(s->ram + DRIVER + 2, &idx, 2);
}

static void driver(struct state *s, struct in *in, uint8_t op)
{
	size_t off;

	switch (op) {
	case 0:
		put_desc(s, in, 16 * (u8(in) % s->conf.size));
		break;
	case 1:
		off = TABLES + 8 * u8(in);
		for (uint8_t n = 1 + u8(in) % 8; n; n--, off += 16)
			put_desc(s, in, off);
		break;
	case 2:
		put_avail(s, u8(in) % (s->conf.size + 1));
		break;
	case 3:
		off = u16(in) % RAM_LEN;
		s->ram[off] = u8(in);
		break;
	}
}

/* --- the device ------------------------------------------------------------------------------- */

static bool inside(const struct state *s, const struct iovec *v)
{
	const uint8_t *p = v->iov_base;

	if (p >= s->ram && p < s->ram + RAM_LEN)
		return v->iov_len <= (size_t)(s->ram + RAM_LEN - p);
	if (p >= s->ram2 && p < s->ram2 + RAM2_LEN)
		return v->iov_len <= (size_t)(s->ram2 + RAM2_LEN - p);
	return false;
}

static void check(const struct state *s, const struct vreq *r)
{
	static struct iovec iov[1024];
	size_t sum = 0;
	int n;

	must(r->n_iov <= 1024 && r->out.left + r->in.left <= UINT32_MAX);
	n = vreader_iov(&r->out, SIZE_MAX, iov, 1024);
	must(n == (int)r->out.n);
	for (int i = 0; i < n; i++, sum += iov[i - 1].iov_len)
		must(inside(s, &iov[i]) && iov[i].iov_len);
	must(sum == r->out.left);
	sum = 0;
	n = vwriter_iov(&r->in, SIZE_MAX, iov, 1024);
	must(n == (int)r->in.n);
	for (int i = 0; i < n; i++, sum += iov[i - 1].iov_len)
		must(inside(s, &iov[i]) && iov[i].iov_len);
	must(sum == r->in.left && !r->in.done);
}

static void pop(struct state *s)
{
	struct vreq *r;

	if (s->n == KEEP)
		return;
	r = virtq_pop(&s->q);
	must(!r || !s->q.broken);
	if (!r)
		return;
	check(s, r);
	r->opaque = s;
	s->kept[s->n].r = r;
	s->kept[s->n++].seq = ++s->seq;
	must(s->conf.in_order || s->n + s->unflushed <= s->conf.size);
}

/* Copies and stores here and there, never more than there is. */
static void use(struct vreq *r, struct in *in)
{
	static uint8_t buf[65536];
	struct vreader tail;
	struct vwriter wtail;
	size_t a = u16(in), b = u8(in), left = r->out.left;

	must(vread(&r->out, buf, a) == (a <= left));
	left = r->out.left;
	if (vreader_split(&r->out, b, &tail))
		must(r->out.left == b && tail.left == left - b && vread_skip(&tail, tail.left));
	left = r->in.left;
	must(vwrite(&r->in, buf, b) == (b <= left));
	left = r->in.left;
	if (vwriter_split(&r->in, a, &wtail)) {
		must(wtail.left == left - a && vwrite_zero(&wtail, wtail.left));
		must(!vwrite_zero(&wtail, 1) && vwriter_commit(&r->in, r->in.left));
		r->len = vwriter_joined(&r->in, &wtail);
		r->len_set = true;
	}
}

static void push(struct state *s, unsigned i)
{
	bool empty = !s->unflushed;
	unsigned staged_before = s->staged;

	must(s->kept[i].r->opaque == s);
	virtq_push(&s->q, s->kept[i].r);
	must(s->staged - staged_before <= empty || s->conf.in_order);
	s->unflushed++;
	s->kept[i] = s->kept[--s->n];
}

/* Only what was popped last, and is still here, may be given back. */
static void unpop(struct state *s)
{
	for (unsigned i = 0; i < s->n; i++)
		if (s->kept[i].seq == s->seq) {
			virtq_unpop(&s->q, s->kept[i].r);
			s->kept[i] = s->kept[--s->n];
			s->seq--;
			return;
		}
}

static void device(struct state *s, struct in *in, uint8_t op)
{
	unsigned had;

	switch (op) {
	case 4:
	case 5:
		pop(s);
		break;
	case 6:
		if (s->n)
			push(s, u8(in) % s->n);
		break;
	case 7:
		if (s->n)
			use(s->kept[u8(in) % s->n].r, in);
		break;
	case 8:
		unpop(s);
		break;
	case 9:
		virtq_flush(&s->q);
		s->unflushed = 0;
		break;
	case 10:
		virtq_quiet(&s->q);
		break;
	case 11:
		/* Whatever the driver does meanwhile, it can't keep us from sleeping for ever. */
		virtq_listen(&s->q);
		must(!virtq_listen(&s->q));
		break;
	case 12:
		had = s->n;
		pop(s);
		must(had == KEEP || s->n != had || virtq_empty(&s->q));
		break;
	case 13:
		if (u8(in) == 0x5a) {
			virtq_stop(&s->q);
			must(!virtq_pop(&s->q));
			start(s);
		}
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct in in = { data, size };
	struct state s = { .mem.fd = -1, .q.name = "fuzz", .q.call = IRQ_NONE };
	uint8_t features = u8(&in), sel = u8(&in);

	s.ram = aligned_alloc(64, RAM_LEN);
	s.ram2 = aligned_alloc(64, RAM2_LEN);
	memset(s.ram, 0, RAM_LEN);
	memset(s.ram2, 0, RAM2_LEN);
	gmem_add(&s.mem, BASE, s.ram, RAM_LEN);
	gmem_add(&s.mem, BASE2, s.ram2, RAM2_LEN);
	s.conf = (struct virtq_conf){
		.size = features & 1 ? 1U + sel % 16 : 1U << sel % 5,
		.desc = BASE,
		.driver = BASE + DRIVER,
		.device = BASE + DEVICE,
		.packed = features & 1,
		.indirect = features & 2,
		.event_idx = features & 4,
		.in_order = features & 8,
		.notify_on_empty = features & 16,
	};
	s.q.fail = failed;
	s.q.staged = staged;
	s.q.opaque = &s;
	start(&s);
	while (in.left) {
		uint8_t op = u8(&in) % 14;

		driver(&s, &in, op);
		device(&s, &in, op);
		must(s.q.in_flight == s.n && s.fails == s.q.broken);
	}
	virtq_flush(&s.q);
	virtq_stop(&s.q);
	free(s.ram);
	free(s.ram2);
	return 0;
}
