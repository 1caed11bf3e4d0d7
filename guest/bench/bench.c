// SPDX-License-Identifier: GPL-2.0-only
/*
 * bench: a guest that does what it is told on the serial port, or on a virtio console when there is
 * one: a line is a job, and a host can count what a VMM does for each request. The same drivers for
 * every VMM with virtio-pci.
 *
 *	b OP DEPTH BYTES COUNT	   disk: OP 0 reads, 1 writes; sectors 4 KiB apart or, from 64 KiB on, in a row
 *	t BYTES DEPTH COUNT	   packets out; above 1514 bytes one TCP segment to be cut up (TSO)
 *	r BYTES DEPTH COUNT	   packets in: BYTES above 1514 asks for merged buffers and whole segments
 *	s COUNT			   bytes to the serial port
 *	c BYTES COUNT		   buffers to a virtio console; what talks on one has no other jobs
 *	n			   nothing: what the conversation itself costs
 *	e			   the end
 *
 * The conversation: `ready` when all is set up, then a byte from the host begins the job; `!` when
 * it is done, and after another byte `ok REQUESTS DOORBELLS INTERRUPTS MICROSECONDS`. So the host
 * can look at its counters while nothing goes on. The rings are driven as Linux drives them:
 * indirect descriptors, EVENT_IDX, all that is used is taken and given back with one doorbell.
 */
#include "../probe/drivers.h"
#include "../probe/irq.h"
#include "../probe/machine.h"
#include "ring.h"
#include "talk.h"

#define DEADLINE_US 60000000ull
#define DATA_SIZE   (2u << 20)
#define SLOTS	    256
#define PIECE	    4096
#define PIECES	    17 /* of a packet: what can be offered for 64 KiB */
#define FRAME_MAX   1514
#define MSS	    1448

static u8 data[DATA_SIZE] NOINIT __attribute__((aligned(4096)));
static u64 deadline;

struct result {
	u32 done, bells, irqs;
	u64 us;
};

/* --- what the probe's library asks of a program ------------------------------------------------ */

void test_fail(const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	print("fail %s:%d: ", file, line);
	va_start(ap, fmt);
	vprint(fmt, ap);
	va_end(ap);
	print("\n");
	for (;;)
		machine_end(1);
}

void test_skip(const char *fmt, ...)
{
	test_fail("", 0, "%s", fmt);
}

void test_abort(const char *why, u64 a, u64 b)
{
	test_fail("", 0, "%s (%#lx %#lx)", why, a, b);
}

bool test_deadline_passed(void)
{
	return deadline && now_us() > deadline;
}

const char *param(const char *name, size_t *len)
{
	(void)name;
	(void)len;
	return NULL;
}

/* --- the conversation -------------------------------------------------------------------------- */

static char read_line(u32 *arg, u32 max)
{
	u32 n = 0;
	u8 c, op = 0;
	bool digits = false;

	memset(arg, 0, max * sizeof(*arg));
	while ((c = talk_get()) != '\n' && c != '\r') {
		if (c >= '0' && c <= '9' && n < max) {
			arg[n] = arg[n] * 10 + c - '0';
			digits = true;
		} else if (c == ' ') {
			n += digits;
			digits = false;
		} else {
			op = c;
		}
	}
	return op;
}

static u64 begin(void)
{
	print("ready\n");
	talk_get();
	deadline = now_us() + DEADLINE_US;
	return now_us();
}

static void finish(struct result *r, u64 began)
{
	r->us = now_us() - began;
	deadline = 0;
	print("!\n");
	talk_get();
	print("ok %u %u %u %lu\n", r->done, r->bells, r->irqs, r->us);
}

/* --- disk -------------------------------------------------------------------------------------- */

struct disk_job {
	struct ring ring;
	struct blk_header *header;
	volatile u8 *status;
	u64 sectors, next;
	u32 step, seed;
};

static void disk_setup(struct disk_job *j, struct vdev *d, u32 op, u32 depth, u32 bytes)
{
	u32 stride = depth * bytes <= DATA_SIZE ? bytes : 0;

	must(bytes <= DATA_SIZE, "too many bytes");
	ring_init(&j->ring, d, 0, depth);
	j->header = alloc(depth * sizeof(*j->header), 16);
	j->status = alloc(depth, 1);
	j->sectors = reg_r64(&d->config, 0);
	j->step = bytes / 512;
	for (u32 i = 0; i < depth; i++) {
		struct desc *t = slot_table(&j->ring, i, 3);

		j->header[i].type = op ? BLK_OUT : BLK_IN;
		t[0].addr = gpa(&j->header[i]);
		t[0].len = sizeof(j->header[i]);
		t[1].addr = gpa(data + i * stride);
		t[1].len = bytes;
		t[1].flags |= op ? 0 : D_WRITE;
		t[2].addr = gpa(&j->status[i]);
		t[2].len = 1;
		t[2].flags |= D_WRITE;
	}
}

/* Small ones here and there, large ones in a row. */
static inline void disk_aim(struct disk_job *j, u16 slot)
{
	if (j->step >= 128) {
		j->header[slot].sector = j->next;
		j->next += j->step;
		if (j->next + j->step > j->sectors)
			j->next = 0;
	} else {
		j->seed = j->seed * 1664525 + 1013904223;
		j->header[slot].sector = ((u64)j->seed * (j->sectors / j->step) >> 32) * j->step;
	}
	ring_add(&j->ring, slot);
}

static void disk(u32 op, u32 depth, u32 bytes, u32 count)
{
	struct vdev *d = fresh(BLK, BLK_F_FLUSH); /* else every write goes to stable storage */
	struct disk_job j = {.seed = 1};
	struct result r = {0};
	u32 issued = 0;
	u64 t;

	disk_setup(&j, d, op, depth, bytes);
	vd_go(d);
	t = begin();
	while (issued < depth && issued < count)
		disk_aim(&j, issued++);
	ring_publish(&j.ring);
	while (r.done < count) {
		ring_wait(&j.ring, 0);
		while (ring_has(&j.ring)) {
			u16 slot = ring_take(&j.ring);

			must(!j.status[slot], "status %u", j.status[slot]);
			r.done++;
			if (issued < count) {
				disk_aim(&j, slot);
				issued++;
			}
		}
		ring_publish(&j.ring);
	}
	r.bells = j.ring.bells;
	r.irqs = irq_count[j.ring.vector];
	finish(&r, t);
}

/* --- packets ----------------------------------------------------------------------------------- */

#define NET_GSO (NET_F_CSUM | NET_F_HOST_TSO4 | NET_F_GUEST_CSUM | NET_F_GUEST_TSO4 | NET_F_MRG_RXBUF)

/* Every frame has a TCP header, so that one that is to be cut up can be. To nobody we know. */
static void make_frame(u8 *f, u32 bytes)
{
	static const u8 head[] = {
		2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 8, 8, 0,
		0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 6, 0, 0, 10, 9, 8, 7, 10, 9, 8, 6,
		0x12, 0x34, 0x56, 0x78, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x10, 0x10, 0, 0, 0, 0, 0,
	};
	u32 ip = bytes - 14 < 0xffff ? bytes - 14 : 0xffff;

	memcpy(f, head, sizeof(head));
	f[16] = ip >> 8;
	f[17] = ip;
}

static void tx_setup(struct ring *r, struct vdev *d, u32 bytes, u32 depth)
{
	u32 first = bytes < FRAME_MAX ? bytes : FRAME_MAX, left = bytes - first;
	u32 pieces = 1 + (left + PIECE - 1) / PIECE;
	struct net_header *h = alloc(sizeof(*h) + first, 16);

	ring_init(r, d, 1, depth);
	make_frame((u8 *)(h + 1), bytes);
	if (left) {
		h->flags = 1; /* NEEDS_CSUM */
		h->gso_type = 1;
		h->gso_size = MSS;
		h->hdr_len = 54;
		h->csum_start = 34;
		h->csum_offset = 16;
	}
	for (u32 i = 0; i < depth; i++) {
		struct desc *t = slot_table(r, i, pieces);

		t[0].addr = gpa(h);
		t[0].len = sizeof(*h) + first;
		for (u32 p = 1; p < pieces; p++) {
			t[p].addr = gpa(data + (p - 1) * PIECE);
			t[p].len = left < p * PIECE ? left - (p - 1) * PIECE : PIECE;
		}
	}
}

/* As Linux does it: an interrupt when three quarters are through. */
static void tx(u32 bytes, u32 depth, u32 count)
{
	struct vdev *d = fresh(NET, bytes > FRAME_MAX ? NET_GSO : 0);
	struct ring ring, rx;
	struct result r = {0};
	u32 issued = 0;
	u64 t;

	must(bytes >= 60 && bytes <= 65535, "a frame of %u bytes", bytes);
	ring_init(&rx, d, 0, 1);
	tx_setup(&ring, d, bytes, depth);
	vd_go(d);
	t = begin();
	while (issued < depth && issued < count)
		ring_add(&ring, issued++);
	ring_publish(&ring);
	while (r.done < count) {
		ring_wait(&ring, (issued - r.done - 1) * 3 / 4);
		while (ring_has(&ring)) {
			u16 slot = ring_take(&ring);

			r.done++;
			if (issued < count) {
				ring_add(&ring, slot);
				issued++;
			}
		}
		ring_publish(&ring);
	}
	r.bells = ring.bells;
	r.irqs = irq_count[ring.vector];
	finish(&r, t);
}

static void rx(u32 bytes, u32 depth, u32 count)
{
	struct vdev *d = fresh(NET, bytes > FRAME_MAX ? NET_GSO : 0);
	u32 size = bytes > FRAME_MAX ? PIECE : 1536, more = 0;
	struct ring ring, tx_ring;
	struct result r = {0};
	u64 t;

	ring_init(&ring, d, 0, depth);
	ring_init(&tx_ring, d, 1, 1);
	must(depth * size <= DATA_SIZE, "too many buffers");
	for (u32 i = 0; i < depth; i++) {
		ring.q->desc[i] = (struct desc){gpa(data + i * size), size, D_WRITE, 0};
		ring_add(&ring, i);
	}
	vd_go(d);
	t = begin();
	ring_publish(&ring);
	while (r.done < count) {
		ring_wait(&ring, 0);
		while (ring_has(&ring)) {
			u16 slot = ring_take(&ring);
			const struct net_header *h = (void *)(data + slot * size);

			if (more) {
				more--;
			} else {
				r.done++;
				more = size == PIECE ? h->num_buffers - 1 : 0;
			}
			ring_add(&ring, slot);
		}
		ring_publish(&ring);
	}
	r.bells = ring.bells;
	r.irqs = irq_count[ring.vector];
	finish(&r, t);
}

/* --- the rest ---------------------------------------------------------------------------------- */

static void serial(u32 count)
{
	struct result r = {0};
	u64 t = begin();

	for (; r.done < count; r.done++)
		putch('x');
	finish(&r, t);
}

static void console(u32 bytes, u32 count)
{
	u8 *text = alloc(bytes, 16);
	struct result r = {0};
	u32 irqs;
	u64 t;

	memset(text, 'x', bytes);
	t = begin();
	irqs = talk_irqs();
	for (; r.done < count; r.done++)
		talk_send(text, bytes);
	r.bells = r.done; /* one each: there is never another one behind it */
	r.irqs = talk_irqs() - irqs;
	finish(&r, t);
}

void main(u32 how, u64 info);

void main(u32 how, u64 info)
{
	u32 arg[4];

	serial_init();
	machine_init(how, info);
	clock_init();
	irq_init();
	pci_init();
	virtio_init();
	talk_open();
	print("hello\n");
	for (;;) {
		switch (read_line(arg, ARRAY_SIZE(arg))) {
		case 'b':
			disk(arg[0], arg[1], arg[2], arg[3]);
			break;
		case 't':
			tx(arg[0], arg[1], arg[2]);
			break;
		case 'r':
			rx(arg[0], arg[1], arg[2]);
			break;
		case 's':
		case 'n':
			serial(arg[0]);
			break;
		case 'c':
			console(arg[0], arg[1]);
			break;
		case 'e':
			machine_end(0);
		}
	}
}
