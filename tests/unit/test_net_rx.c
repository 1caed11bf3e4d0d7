// SPDX-License-Identifier: GPL-2.0-only
/* The network device's receiving: buffers, merging, headers, and what happens when there are none. */
#include "net_driver.h"

#define V1    VBIT(VIRTIO_F_VERSION_1)
#define MERGE (V1 | VBIT(VIRTIO_NET_F_MRG_RXBUF))
#define ALL   (NET_GUEST_OFFLOADS | VBIT(VIRTIO_NET_F_CSUM))

#define LARGE 256 /* entries of the larger ring */

static const struct netif_hdr plain;

/* Everything the driver got since the last call, used buffers in order. */
struct got {
	unsigned n;
	uint32_t len[LARGE];
	int id[LARGE];
};

static struct got take(struct nd *nd)
{
	struct got g = { 0 };

	while (g.n < LARGE && (g.id[g.n] = drv_used(&nd->q[0], &g.len[g.n], NULL)) >= 0)
		g.n++;
	return g;
}

static uint16_t num_buffers(struct nd *nd, uint64_t gpa)
{
	uint16_t n;

	memcpy(&n, nd_ptr(nd, gpa + 10), 2);
	return n;
}

static void test_one_buffer(bool packed)
{
	static uint8_t frame[1514];
	struct nb *nb = nb_new(ALL, 1500, 1);
	uint64_t gpa;
	struct got g;
	struct nd nd;

	nd_open(&nd, &nb->nif, packed ? "+packed" : NULL, 0);
	nd.packed = packed;
	nd_start(&nd, V1, 2);
	nd_frame(frame, NULL, sizeof(frame), 0x21);
	for (unsigned pieces = 1; pieces < 50; pieces += 12) {
		gpa = nd_offer(&nd, 0, 1526, pieces);
		nd_kick(&nd, 0);
		nb_put(&nd, nb, &plain, frame, sizeof(frame));
		g = take(&nd);
		is(g.n, 1, "a packet into a buffer of %u pieces", pieces);
		is(g.len[0], 12 + 1514, "used length: header and packet");
		ok(!memcmp(nd_ptr(&nd, gpa + 12), frame, 1514), "the bytes");
		is(num_buffers(&nd, gpa), 1, "num_buffers is 1 without merging");
		is(*(uint8_t *)nd_ptr(&nd, gpa), 0, "flags 0");
	}
	gpa = nd_offer(&nd, 0, 2048, 1);
	nd_kick(&nd, 0);
	nb_put(&nd, nb, &plain, frame, 60);
	g = take(&nd);
	ok(g.n == 1 && g.len[0] == 72, "a short packet in a long buffer");
	ok(!memcmp(nd_ptr(&nd, gpa + 12), frame, 60), "the bytes");
	is(*(uint8_t *)nd_ptr(&nd, gpa + 12 + 60 + 4), 0xa5, "and nothing behind them");
	for (size_t len = 14; len < 20; len++) { /* about as long as what is always copied */
		gpa = nd_offer(&nd, 0, 12 + len, 2);
		nd_kick(&nd, 0);
		nb_put(&nd, nb, &plain, frame, len);
		g = take(&nd);
		ok(g.n == 1 && g.len[0] == 12 + len && !memcmp(nd_ptr(&nd, gpa + 12), frame, len),
		   "a packet of %zu bytes into a buffer that it just fills", len);
	}
	nb_put(&nd, nb, &plain, frame, 13);
	is(take(&nd).n, 0, "one shorter than its header is dropped");
	is(nd.failed, 0, "the device is well");
	nd_close(&nd);
}

/* Without MRG_RXBUF a packet has one buffer: too small means dropped, and the buffer stays. */
static void test_too_small(void)
{
	static uint8_t frame[1514];
	struct nb *nb = nb_new(ALL, 1500, 1);
	uint64_t small;
	struct got g;
	struct nd nd;

	nd_open(&nd, &nb->nif, NULL, 0);
	nd_start(&nd, V1, 2);
	nd_frame(frame, NULL, sizeof(frame), 0x22);
	small = nd_offer(&nd, 0, 64, 1);
	nd_offer(&nd, 0, 2048, 1);
	nd_kick(&nd, 0);
	nb_put(&nd, nb, &plain, frame, 100);
	is(take(&nd).n, 0, "100 bytes don't go into 64, nor into the next");
	nb_put(&nd, nb, &plain, frame, 52);
	g = take(&nd);
	ok(g.n == 1 && g.len[0] == 64, "52 do");
	ok(!memcmp(nd_ptr(&nd, small + 12), frame, 52), "into the same");
	nb_put(&nd, nb, &plain, frame, 1514);
	g = take(&nd);
	ok(g.n == 1 && g.len[0] == 1526, "and the next buffer takes 1514");
	nd_close(&nd);
}

/* Buffers of `size` bytes for a packet of len: counted, filled in order, all at once. */
static void merge(struct nd *nd, struct nb *nb, size_t size, unsigned pieces, size_t len)
{
	static uint8_t frame[NETIF_FRAME_MAX], back[NETIF_FRAME_MAX + 12 + 8192];
	const unsigned want = (unsigned)((12 + len + size - 1) / size);
	uint64_t gpa[LARGE];
	size_t at = 0;
	int full = 1;
	struct got g;

	nd_frame(frame, NULL, len, (uint8_t)size);
	for (size_t i = 14; i < len; i++)
		frame[i] ^= (uint8_t)(i * 7 + i / 256);
	for (unsigned i = 0; i < want; i++)
		gpa[i] = nd_offer(nd, 0, size, pieces);
	nd_kick(nd, 0);
	nb_put(nd, nb, &plain, frame, len);
	g = take(nd);
	is(g.n, want, "%zu bytes into buffers of %zu (%u pieces)", len, size, pieces);
	for (unsigned i = 0; i < g.n; i++) {
		full &= i == g.n - 1 || g.len[i] == size;
		memcpy(back + at, nd_ptr(nd, gpa[i]), g.len[i]);
		at += g.len[i];
	}
	ok(full, "all but the last are full");
	is(at, 12 + len, "the lengths add up to header and packet");
	ok(!memcmp(back + 12, frame, len), "the bytes, without a second header");
	is(num_buffers(nd, gpa[0]), want, "num_buffers");
}

static void test_merging(bool packed)
{
	struct nb *nb = nb_new(ALL, 9000, 1);
	struct nd nd;

	nd_open(&nd, &nb->nif, packed ? "+packed" : NULL, 0);
	nd.packed = packed;
	nd_start(&nd, MERGE | (packed ? VBIT(VIRTIO_F_RING_PACKED) : 0), 2);
	for (int offloads = 0; offloads < 2; offloads++) {
		merge(&nd, nb, 1536, 1, 1514);
		merge(&nd, nb, 1536, 1, 9014);
		merge(&nd, nb, 256, 1, 9014);
		merge(&nd, nb, 256, 1, 244);
		merge(&nd, nb, 256, 1, 245);
		merge(&nd, nb, 4096, 4, 9014);
		merge(&nd, nb, 1500, 1, 65550);
		merge(&nd, nb, 1500, 1, NETIF_FRAME_MAX);
		merge(&nd, nb, 12, 1, 600);
		merge(&nd, nb, 13, 1, 14);
		merge(&nd, nb, 29, 2, 100);
		merge(&nd, nb, 30, 1, 100);
		merge(&nd, nb, 31, 3, 200);
		is(nd.failed, 0, "the device is well");
		nd.net->rx[0].packets = 0;
		nd_start(&nd, MERGE | NET_GUEST_OFFLOADS | (packed ? VBIT(VIRTIO_F_RING_PACKED) : 0),
			 2);
	}
	nd.size = LARGE; /* more buffers than a read takes pieces */
	nd_start(&nd, MERGE | NET_GUEST_OFFLOADS | (packed ? VBIT(VIRTIO_F_RING_PACKED) : 0), 2);
	merge(&nd, nb, 128, 1, 9014);
	merge(&nd, nb, 400, 1, 65550);
	merge(&nd, nb, 1100, 4, 65550);
	merge(&nd, nb, 14, 1, 1514);
	is(nd.failed, 0, "the device is well");
	nd_close(&nd);
}

/* One call for the whole packet: no moment at which part of it is used. */
static void test_at_once(void)
{
	static uint8_t frame[9014];
	struct nb *nb = nb_new(ALL, 9000, 1);
	struct nd nd;

	nd_open(&nd, &nb->nif, NULL, 0);
	nd_start(&nd, MERGE, 2);
	nd_frame(frame, NULL, sizeof(frame), 0x23);
	for (int i = 0; i < 36; i++)
		nd_offer(&nd, 0, 256, 1);
	nd_kick(&nd, 0);
	is(vdev_queue(&nd.net->dev, 0)->stat.flushes, 0, "nothing was published yet");
	nb_put(&nd, nb, &plain, frame, sizeof(frame));
	is(vdev_queue(&nd.net->dev, 0)->stat.flushes, 1, "36 buffers are published at once");
	is(nd.calls[0], 1, "with one notification");
	is(take(&nd).n, 36, "all of them");
	nd_close(&nd);
}

static void test_no_buffers(void)
{
	static uint8_t frame[9014];
	struct nb *nb = nb_new(ALL, 9000, 1);
	struct got g;
	struct nd nd;
	unsigned recvs;

	nd_open(&nd, &nb->nif, NULL, 0);
	ok(!nb->want[0], "nothing is read before DRIVER_OK");
	nd_start(&nd, MERGE, 2);
	ok(!nb->want[0], "nor without buffers");
	nd_frame(frame, NULL, sizeof(frame), 0x24);
	nd_offer(&nd, 0, 1600, 1);
	nd_kick(&nd, 0);
	ok(nb->want[0], "with a buffer it is");
	nb_put(&nd, nb, &plain, frame, 1514);
	ok(take(&nd).n == 1 && !nb->want[0], "after the last buffer reading stops");
	for (int i = 0; i < 5; i++)
		nb_put(&nd, nb, &plain, frame, 100 + (size_t)i);
	recvs = nb->recvs;
	turn_for(nd.loop, 20);
	is(nb->recvs, recvs, "packets are left alone");
	for (int i = 0; i < 10; i++)
		nd_offer(&nd, 0, 1600, 1);
	nd_kick(&nd, 0);
	g = take(&nd);
	is(g.n, 5, "new buffers: all of them come");
	ok(g.len[0] == 112 && g.len[4] == 116, "in order");

	/* One that needs more than there are waits for them, and what comes behind it too. */
	nb_put(&nd, nb, &plain, frame, 9014);
	is(take(&nd).n, 0, "9014 bytes wait for more than five buffers of 1600");
	ok(!nb->want[0], "and nothing else is read");
	nd_offer(&nd, 0, 1600, 1);
	nd_kick(&nd, 0);
	g = take(&nd);
	is(g.n, 6, "six are enough");
	is(g.len[5], 12 + 9014 - 5 * 1600, "the last has the rest");

	/* A driver that has no more buffers to give: that packet is lost, not all others. */
	nd_offer(&nd, 0, 1600, 1);
	nd_kick(&nd, 0);
	nb_put(&nd, nb, &plain, frame, 9014);
	nb_put(&nd, nb, &plain, frame, 200);
	is(take(&nd).n, 0, "9014 bytes wait");
	turn_for(nd.loop, 100);
	g = take(&nd);
	ok(g.n == 1 && g.len[0] == 212, "after a while they are dropped, and the next comes");
	nd_close(&nd);
}

static void test_headers(void)
{
	static const struct {
		const char *what;
		uint64_t features;
		struct netif_hdr h;
		int flags, gso; /* as the driver sees them; -1: dropped */
	} row[] = {
		{ "checked by the host, GUEST_CSUM", 2, { .flags = 2 }, 2, 0 },
		{ "checked by the host, without", 0, { .flags = 2 }, 0, 0 },
		{ "partial, GUEST_CSUM", 2, { .flags = 1, .csum_start = 34, .csum_offset = 6 }, 1, 0 },
		{ "partial, without", 0, { .flags = 1, .csum_start = 34, .csum_offset = 6 }, -1, 0 },
		{ "unknown flags", 2, { .flags = 0xf0 }, 0, 0 },
		{ "TSO4", 0x82, { .flags = 1, .gso_type = 1, .gso_size = 1448, .hdr_len = 66 }, 1, 1 },
		{ "TSO4, only TSO6 accepted", 0x102,
		  { .flags = 1, .gso_type = 1, .gso_size = 1448 }, -1, 0 },
		{ "TSO6", 0x102, { .flags = 1, .gso_type = 4, .gso_size = 1448 }, 1, 4 },
		{ "TSO6, only TSO4 accepted", 0x82,
		  { .flags = 1, .gso_type = 4, .gso_size = 1448 }, -1, 0 },
		{ "TSO4 with ECN", 0x282, { .flags = 1, .gso_type = 0x81, .gso_size = 1448 }, 1, 0x81 },
		{ "TSO4 with ECN, not accepted", 0x82,
		  { .flags = 1, .gso_type = 0x81, .gso_size = 1448 }, -1, 0 },
		{ "UFO, not accepted", 0x82, { .flags = 1, .gso_type = 3, .gso_size = 1448 }, -1, 0 },
		{ "UFO", 0x402, { .flags = 1, .gso_type = 3, .gso_size = 1448 }, 1, 3 },
		{ "USO", 2 | 3ULL << 54, { .flags = 1, .gso_type = 5, .gso_size = 1448 }, 1, 5 },
		{ "USO, not accepted", 0x782, { .flags = 1, .gso_type = 5, .gso_size = 1448 }, -1, 0 },
		{ "TSO without NEEDS_CSUM", 0x82, { .gso_type = 1, .gso_size = 1448 }, -1, 0 },
		{ "TSO without a size", 0x82, { .flags = 1, .gso_type = 1 }, -1, 0 },
		{ "a tunnel", 0x782, { .flags = 1, .gso_type = 0x21, .gso_size = 1448 }, -1, 0 },
	};
	static uint8_t frame[3000];
	struct nb *nb = nb_new(ALL, 9000, 1);
	struct nd nd;

	nd_open(&nd, &nb->nif, NULL, 0);
	nd_frame(frame, NULL, sizeof(frame), 0x25);
	for (unsigned i = 0; i < sizeof(row) / sizeof(*row); i++) {
		struct netif_hdr h;
		struct got g;
		uint64_t gpa;

		nd_start(&nd, V1 | row[i].features, 2);
		is(nb->offload, row[i].features, "%s: the back end is told", row[i].what);
		gpa = nd_offer(&nd, 0, 4096, 1);
		nd_kick(&nd, 0);
		nb_put(&nd, nb, &row[i].h, frame, sizeof(frame));
		g = take(&nd);
		is(g.n, row[i].flags >= 0, "%s: %s", row[i].what,
		   row[i].flags >= 0 ? "delivered" : "dropped");
		if (!g.n)
			continue;
		memcpy(&h, nd_ptr(&nd, gpa), sizeof(h));
		ok(h.flags == row[i].flags && h.gso_type == row[i].gso && h.num_buffers == 1,
		   "%s: with the right header", row[i].what);
		if (h.flags & 1)
			ok(h.csum_start == row[i].h.csum_start && h.csum_offset == row[i].h.csum_offset,
			   "%s: and where the checksum goes", row[i].what);
	}
	nd_start(&nd, V1 | NET_GUEST_OFFLOADS, 2);
	nd.port->ops->reset(nd.port);
	is(nb->offload, 0, "a reset turns offloads off");
	nd_close(&nd);
}

static void test_mtu(void)
{
	static uint8_t frame[3000];
	const struct netif_hdr tso = { .flags = 1, .gso_type = 1, .gso_size = 1448 };
	struct nb *nb = nb_new(ALL, 1500, 1);
	const uint64_t f = MERGE | 2 | 1 << 7;
	struct nd nd;

	nd_open(&nd, &nb->nif, NULL, 0);
	nd_frame(frame, NULL, sizeof(frame), 0x26);
	nd_start(&nd, f | VBIT(VIRTIO_NET_F_MTU), 2);
	for (int i = 0; i < 10; i++)
		nd_offer(&nd, 0, 4096, 1);
	nd_kick(&nd, 0);
	nb_put(&nd, nb, &plain, frame, 1514);
	is(take(&nd).n, 1, "MTU: 1514 bytes come");
	nb_put(&nd, nb, &plain, frame, 1515);
	is(take(&nd).n, 0, "1515 don't");
	nb_put(&nd, nb, &tso, frame, 3000);
	is(take(&nd).n, 1, "unless it is a GSO packet");
	frame[12] = 0x81;
	frame[13] = 0;
	nb_put(&nd, nb, &plain, frame, 1518);
	is(take(&nd).n, 1, "with a VLAN tag 1518 come");
	nb_put(&nd, nb, &plain, frame, 1519);
	is(take(&nd).n, 0, "1519 don't");
	nd_start(&nd, f, 2);
	nd_offer(&nd, 0, 4096, 1);
	nd_kick(&nd, 0);
	nb_put(&nd, nb, &plain, frame, 3000);
	is(take(&nd).n, 1, "without MTU all do");
	nd_close(&nd);
}

static void test_legacy(void)
{
	static uint8_t frame[500];
	struct nb *nb = nb_new(ALL, 1500, 1);
	uint64_t gpa;
	struct got g;
	struct nd nd;

	nd_open(&nd, &nb->nif, NULL, 0);
	nd_frame(frame, NULL, sizeof(frame), 0x27);
	nd_start(&nd, 2, 2);
	gpa = nd_offer(&nd, 0, 2000, 2);
	nd_kick(&nd, 0);
	nb_put(&nd, nb, &plain, frame, 500);
	g = take(&nd);
	ok(g.n == 1 && g.len[0] == 510, "legacy: a header of ten bytes");
	ok(!memcmp(nd_ptr(&nd, gpa + 10), frame, 500), "then the packet");
	nd_start(&nd, VBIT(VIRTIO_NET_F_MRG_RXBUF), 2);
	gpa = nd_offer(&nd, 0, 300, 1);
	nd_offer(&nd, 0, 300, 1);
	nd_kick(&nd, 0);
	nb_put(&nd, nb, &plain, frame, 500);
	g = take(&nd);
	ok(g.n == 2 && g.len[0] + g.len[1] == 512, "legacy with MRG_RXBUF: twelve");
	is(num_buffers(&nd, gpa), 2, "with the number of buffers");
	nd_close(&nd);
}

static void test_broken_driver(void)
{
	static uint8_t frame[500];
	struct nb *nb = nb_new(ALL, 1500, 1);
	struct drv_seg out;
	struct nd nd;

	nd_open(&nd, &nb->nif, NULL, 0);
	nd_frame(frame, NULL, sizeof(frame), 0x28);
	logged();
	nd_start(&nd, MERGE, 2);
	nd_offer(&nd, 0, 11, 1);
	nd_kick(&nd, 0);
	is(nd.failed, 1, "a buffer that can't hold a header: NEEDS_RESET");
	ok(logged_line("net0: receive buffer of 11 bytes, less than a packet header"), "logged once");
	nb_put(&nd, nb, &plain, frame, 100);
	nd_offer(&nd, 0, 2000, 1);
	nd_kick(&nd, 0);
	is(take(&nd).n, 0, "nothing more until a reset");
	ok(!nb->want[0], "nor is anything read");
	nd_start(&nd, MERGE, 2);
	nd_offer(&nd, 0, 2000, 1);
	nd_kick(&nd, 0);
	is(take(&nd).n, 1, "after it packets come");
	out = (struct drv_seg){ nd_alloc(&nd, 2000), 2000, false };
	drv_add(&nd.q[0], &out, 1);
	nd_kick(&nd, 0);
	is(nd.failed, 1, "a buffer that can only be read: NEEDS_RESET");
	nd_close(&nd);
}

/* A back end's frame that is longer than any: dropped, and nothing of ours is written over. */
static void test_too_long(void)
{
	static uint8_t frame[NETIF_FRAME_MAX + 100];
	struct nb *nb = nb_new(ALL, 1500, 1);
	struct nd nd;

	nd_open(&nd, &nb->nif, NULL, 0);
	nd_frame(frame, NULL, sizeof(frame), 0x2a);
	nd_start(&nd, V1, 2);
	nd_offer(&nd, 0, 1600, 1);
	nd_kick(&nd, 0);
	nb_put(&nd, nb, &plain, frame, NETIF_FRAME_MAX + 18);
	ok(!nb->beyond, "what may be received ends where its buffer does");
	is(take(&nd).n, 0, "a frame that is longer than any is dropped");
	nb_put(&nd, nb, &plain, frame, 100);
	is(take(&nd).n, 1, "the next one comes");
	nd_close(&nd);
}

/* Stopping at any moment gives back every buffer; the ring can start again. */
static void test_stop(void)
{
	static uint8_t frame[9014];
	struct nb *nb = nb_new(ALL, 9000, 1);
	uint64_t dropped;
	struct nd nd;

	nd_open(&nd, &nb->nif, NULL, 0);
	nd_frame(frame, NULL, sizeof(frame), 0x29);
	nd_start(&nd, MERGE, 2);
	nd_offer(&nd, 0, 1600, 1);
	nd_kick(&nd, 0);
	nb_put(&nd, nb, &plain, frame, 9014); /* pending, its timer armed */
	nd.port->ops->queue_stop(nd.port, 0);
	nb_put(&nd, nb, &plain, frame, 100);
	nb_put(&nd, nb, &plain, frame, 100);
	is(nb->at_in, nb->n_in, "while the queue is stopped packets are dropped, not kept");
	dropped = nd.net->rx[0].dropped;
	turn_for(nd.loop, 80);
	is(nd.net->rx[0].dropped, dropped, "the one that waited is forgotten, its timer too");
	if (nd_queue(&nd, 0))
		abort();
	nd_offer(&nd, 0, 1600, 1);
	nd_kick(&nd, 0);
	is(take(&nd).n, 0, "a queue that starts anew has nothing old in it");
	nb_put(&nd, nb, &plain, frame, 300);
	is(take(&nd).n, 1, "and receives");
	nd_offer(&nd, 0, 1600, 1);
	nd_kick(&nd, 0);
	nb_put(&nd, nb, &plain, frame, 9014);
	nd.port->ops->reset(nd.port);
	ok(!nb->want[0], "a reset: nothing is read");
	turn_for(nd.loop, 80);
	nd_start(&nd, MERGE, 2);
	nd_offer(&nd, 0, 1600, 1);
	nd_kick(&nd, 0);
	nb_put(&nd, nb, &plain, frame, 300);
	is(take(&nd).n, 1, "then it works again");
	nd_close(&nd);
}

/* More packets than fit a turn, and a back end that speaks of them once. */
static void test_burst(void)
{
	static uint8_t frame[60];
	struct nb *nb = nb_new(ALL, 1500, 1);
	unsigned got = 0;
	struct nd nd;

	nd_open(&nd, &nb->nif, NULL, 0);
	nd_start(&nd, MERGE, 2);
	nd_frame(frame, NULL, sizeof(frame), 0x2a);
	for (int i = 0; i < 300; i++)
		nb_put(&nd, nb, &plain, frame, sizeof(frame));
	for (int round = 0; round < 6; round++) {
		for (int i = 0; i < ND_SIZE; i++)
			nd_offer(&nd, 0, 128, 1);
		nd_kick(&nd, 0);
		turn_for(nd.loop, 10);
		got += take(&nd).n;
	}
	is(got, 300, "300 packets come with nothing but new buffers to drive them");

	nd_start(&nd, MERGE, 2);
	nd_offer(&nd, 0, 128, 1);
	nd_kick(&nd, 0);
	nb->want[0] = false; /* said once, below */
	for (int i = 0; i < 200; i++)
		nb_put(&nd, nb, &plain, frame, 10 + 50 * (i == 199));
	is(take(&nd).n, 0, "200 packets, all but the last too short");
	nb->nif.user.readable(nb->nif.user.opaque, 0);
	nd_turn(&nd);
	is(take(&nd).n, 1, "told of once: the last comes, some turns later");
	nd_close(&nd);
}

int main(void)
{
	capture_log();
	test_one_buffer(false);
	test_one_buffer(true);
	test_too_small();
	test_merging(false);
	test_merging(true);
	test_at_once();
	test_no_buffers();
	test_headers();
	test_mtu();
	test_legacy();
	test_broken_driver();
	test_too_long();
	test_stop();
	test_burst();
	return tap_end();
}
