// SPDX-License-Identifier: GPL-2.0-only
/* The network device: what it offers, its configuration, sending, and its life. Section 5.1. */
#include "net_driver.h"

#define V1  VBIT(VIRTIO_F_VERSION_1)
#define ALL_HOST                                                                                   \
	(VBIT(VIRTIO_NET_F_CSUM) | VBIT(VIRTIO_NET_F_HOST_TSO4) | VBIT(VIRTIO_NET_F_HOST_TSO6) |   \
	 VBIT(VIRTIO_NET_F_HOST_ECN) | VBIT(VIRTIO_NET_F_HOST_UFO) | VBIT(VIRTIO_NET_F_HOST_USO))
#define ALL (ALL_HOST | NET_GUEST_OFFLOADS)

/* --- what it offers --------------------------------------------------------------------------- */

static const struct {
	int bit;
	uint64_t any_of;
} needs[] = {
	{ 7, 1 << 1 }, { 8, 1 << 1 }, { 10, 1 << 1 }, { 54, 1 << 1 }, { 55, 1 << 1 },
	{ 9, 1 << 7 | 1 << 8 }, { 11, 1 << 0 }, { 12, 1 << 0 }, { 14, 1 << 0 },
	{ 56, 1 << 0 }, { 13, 1 << 11 | 1 << 12 }, { 18, 1 << 17 }, { 19, 1 << 17 },
	{ 20, 1 << 17 }, { 22, 1 << 17 }, { 23, 1 << 17 }, { 2, 1 << 17 },
};

/* The set without what lacks its ground, but for `spare`. */
static uint64_t closed_but(uint64_t set, int spare)
{
	for (unsigned turns = 0; turns < 3; turns++)
		for (unsigned k = 0; k < sizeof(needs) / sizeof(*needs); k++)
			if (needs[k].bit != spare && !(set & needs[k].any_of))
				set &= ~VBIT(needs[k].bit);
	return set;
}

static void test_offered(void)
{
	struct nd nd;
	uint64_t f;

	ok(nd_open(&nd, &nb_new(ALL, 1500, 2)->nif, NULL, 0), "opens");
	f = nd.port->features;
	is(nd.port->device_id, 1, "device type 1");
	is(nd.port->nqueues, 5, "two pairs and the control queue");
	for (unsigned i = 0; i < sizeof(needs) / sizeof(*needs); i++) {
		uint64_t set = f & ~needs[i].any_of;

		ok(f & VBIT(needs[i].bit), "feature %d is offered", needs[i].bit);
		ok(f & needs[i].any_of, "and so is what it needs");
		ok(!nd.port->ops->acceptable(nd.port, closed_but(set, needs[i].bit)),
		   "without that it is refused");
		ok(nd.port->ops->acceptable(nd.port, closed_but(set, -1)), "without both not");
	}
	ok(f & VBIT(3) && f & VBIT(5) && f & VBIT(15) && f & VBIT(16), "MTU, MAC, MRG_RXBUF, STATUS");
	is(f & (VBIT(4) | VBIT(6) | VBIT(21) | VBIT(24) | VBIT(25) | VBIT(26) | VBIT(41) | VBIT(42) |
		0x3fULL << 57 | VBIT(63)), 0, "nothing that isn't there: no GSO, ANNOUNCE, RSS ...");
	nd_close(&nd);

	ok(nd_open(&nd, &nb_new(0, 0, 1)->nif, NULL, 0), "a back end without offloads or MTU");
	is(nd.port->features & (ALL | VBIT(2) | VBIT(3) | VBIT(22)), 0, "none of those, no MQ");
	is(nd.port->nqueues, 3, "three queues");
	nd_close(&nd);
	ok(nd_open(&nd, &nb_new(ALL, 1500, 1)->nif, "-guest_csum,-ctrl_vq", 0), "masked");
	is(nd.port->features & (NET_GUEST_OFFLOADS | 0xbe0004), 0, "and with it what depends on it");
	nd_close(&nd);
}

static void test_config(void)
{
	struct net_config c;
	struct nd nd;
	uint8_t byte = 0x77;
	bool closed = false;
	struct nb *nb = nb_new(ALL, 9000, 1);

	nd_open(&nd, &nb->nif, NULL, 0);
	nb->closed = &closed;
	nd_config(&nd, 0, &c, sizeof(c));
	ok(!memcmp(c.mac, nd_mac, 6), "mac at 0");
	is(c.status, 1, "status at 6: link up");
	is(c.max_pairs, 1, "max_virtqueue_pairs at 8");
	is(c.mtu, 9000, "mtu at 10: the back end's");
	nd.port->ops->config_write(nd.port, 0, &byte, 1);
	nd_start(&nd, nd.port->features, 3);
	for (unsigned i = 0; i < sizeof(c); i++)
		nd.port->ops->config_write(nd.port, i, &byte, 1);
	nd_config(&nd, 0, &c, sizeof(c));
	ok(!memcmp(c.mac, nd_mac, 6) && c.status == 1 && c.mtu == 9000, "a modern driver can't write");
	nb->nif.user.link(nb->nif.user.opaque, false);
	nd_config(&nd, 6, &c.status, 2);
	is(c.status, 0, "the link goes down");
	is(nd.changed, 1, "with a configuration notification");
	nb->nif.user.link(nb->nif.user.opaque, true);
	is(nd.changed, 2, "and up");
	nb->nif.user.link(nb->nif.user.opaque, true);
	is(nd.changed, 2, "no notification when nothing changed");
	nb->nif.user.link(nb->nif.user.opaque, false);
	nd_start(&nd, nd.port->features & ~VBIT(VIRTIO_NET_F_STATUS), 3);
	nd_config(&nd, 6, &c.status, 2);
	is(c.status, 0, "a reset doesn't plug the cable in");
	nb->nif.user.link(nb->nif.user.opaque, true);
	is(nd.changed, 0, "no notification without STATUS");
	nb->nif.user.died(nb->nif.user.opaque);
	nd_config(&nd, 6, &c.status, 2);
	is(c.status, 0, "a dead back end: link down");
	is(nd.died, 1, "and the machine is told");
	nd_close(&nd);
	ok(closed, "the back end is closed with the device");

	nd_open(&nd, &nb_new(ALL, 1500, 1)->nif, NULL, 1400);
	nd_config(&nd, 10, &c.mtu, 2);
	is(c.mtu, 1400, "an MTU that was asked for wins");
	nd_close(&nd);
	nd_open(&nd, &nb_new(ALL, 600, 1)->nif, NULL, 0);
	ok(!(nd.port->features & VBIT(3)), "an MTU below 1280 isn't offered");
	nd_close(&nd);
	ok(!nd_open(&nd, &nb_new(ALL, 1500, 1)->nif, NULL, 67), "an MTU below 68 is an error");
	ok(logged_line("net0: mtu=67: at least 68"), "with a line");
	nd_close(&nd);
	ok(!nd_open(&nd, &nb_new(ALL, 1500, 1)->nif, "+warp", 0), "so is an unknown feature");
	logged();
	nd_close(&nd);
}

static void test_legacy_config(void)
{
	static const uint8_t new_mac[6] = { 2, 9, 8, 7, 6, 5 };
	uint8_t mac[6];
	struct nd nd;

	nd_open(&nd, &nb_new(ALL, 1500, 1)->nif, NULL, 0);
	nd.port->legacy = true;
	for (unsigned i = 0; i < 5; i++)
		nd.port->ops->config_write(nd.port, i, &new_mac[i], 1);
	ok(!memcmp(nd.net->rules.mac, nd_mac, 6), "half an address isn't used");
	nd.port->ops->config_write(nd.port, 5, &new_mac[5], 1);
	nd_config(&nd, 0, mac, 6);
	ok(!memcmp(mac, new_mac, 6) && !memcmp(nd.net->rules.mac, new_mac, 6),
	   "a legacy driver sets the address byte by byte, before it accepts anything");
	nd.port->ops->config_write(nd.port, 6, mac, 6);
	nd_config(&nd, 6, mac, 2);
	is(mac[0], 1, "and nothing else");
	nd.port->ops->reset(nd.port);
	nd_config(&nd, 0, mac, 6);
	ok(!memcmp(mac, nd_mac, 6) && !memcmp(nd.net->rules.mac, nd_mac, 6), "a reset brings ours back");
	nd_close(&nd);
}

/* --- sending ---------------------------------------------------------------------------------- */

/* Sends header and frame, cut after each of the bytes in cuts. The used length, or -1. */
static int send_cut(struct nd *nd, const void *hdr, size_t hdr_len, const uint8_t *frame, size_t len,
		    const size_t *cuts, unsigned n)
{
	uint64_t gpa = nd_alloc(nd, hdr_len + len);
	struct drv_seg seg[64];
	size_t at = 0;
	uint32_t used = 77;

	memcpy(nd_ptr(nd, gpa), hdr, hdr_len);
	memcpy(nd_ptr(nd, gpa + hdr_len), frame, len);
	for (unsigned i = 0; i <= n; i++) {
		size_t end = i < n ? cuts[i] : hdr_len + len;

		seg[i] = (struct drv_seg){ gpa + at, (uint32_t)(end - at), false };
		at = end;
	}
	drv_add(&nd->q[1], seg, n + 1);
	nd_kick(nd, 1);
	return drv_used(&nd->q[1], &used, NULL) < 0 ? -1 : (int)used;
}

static int send_one(struct nd *nd, const struct netif_hdr *hdr, const uint8_t *frame, size_t len)
{
	return send_cut(nd, hdr, NETIF_HDR, frame, len, NULL, 0);
}

static bool sent_is(const struct nb *nb, unsigned i, const uint8_t *frame, size_t len)
{
	return nb->n_out > i && nb->out[i].len == NETIF_HDR + len &&
	       !memcmp(nb->out[i].bytes + NETIF_HDR, frame, len);
}

static void test_framing(bool packed)
{
	static uint8_t frame[9000];
	const struct netif_hdr hdr = { 0 };
	size_t every[60];
	static const size_t cuts[][3] = { { 12, 12, 12 }, { 1, 2, 3 }, { 5, 12, 26 }, { 13, 14, 15 },
					  { 12, 26, 1000 }, { 11, 12, 8000 } };
	struct nb *nb = nb_new(ALL, 1500, 1);
	struct nd nd;
	unsigned n = 0;

	nd_open(&nd, &nb->nif, packed ? "+packed" : NULL, 0);
	nd.packed = packed;
	nd_start(&nd, nd.port->features, 3);
	nd_frame(frame, NULL, sizeof(frame), 0x11);
	for (unsigned i = 0; i < 6; i++) {
		is(send_cut(&nd, &hdr, 12, frame, sizeof(frame), cuts[i], i ? 3 : 1), 0,
		   "cut %u: used with length 0", i);
		ok(sent_is(nb, n++, frame, sizeof(frame)), "and sent whole");
	}
	for (unsigned i = 0; i < 60; i++)
		every[i] = i + 1;
	is(send_cut(&nd, &hdr, 12, frame, 1514, every, 60), 0, "sixty descriptors of one byte");
	ok(sent_is(nb, n++, frame, 1514), "are one packet");
	is(nd.failed, 0, "the device is well");
	nd_close(&nd);
}

/* More pieces than are passed on: by way of an indirect table. */
static void test_many_pieces(void)
{
	static uint8_t frame[500];
	static struct drv_seg seg[128];
	struct nb *nb = nb_new(ALL, 1500, 1);
	struct nd nd;
	uint64_t gpa, table;
	uint32_t used = 1;

	nd_open(&nd, &nb->nif, NULL, 0);
	nd.size = 256;
	nd_start(&nd, nd.port->features, 3);
	nd_frame(frame, NULL, sizeof(frame), 0x12);
	for (unsigned i = 0; i < sizeof(frame); i++)
		frame[i] ^= (uint8_t)i;
	gpa = nd_alloc(&nd, 128 * 16);
	table = nd_alloc(&nd, 128 * 16);
	/* Apart from each other: what adjoins may well count as one. */
	for (unsigned i = 0; i < 128; i++) {
		seg[i] = (struct drv_seg){ gpa + i * 16, 4, false };
		if (i < 3)
			memset(nd_ptr(&nd, seg[i].gpa), 0, 4);
		else
			memcpy(nd_ptr(&nd, seg[i].gpa), frame + i * 4 - 12, 4);
	}
	drv_add_table(&nd.q[1], table, seg, 128);
	nd_kick(&nd, 1);
	ok(drv_used(&nd.q[1], &used, NULL) >= 0 && used == 0, "128 pieces of four bytes");
	ok(sent_is(nb, 0, frame, 500), "are one packet");
	nd_close(&nd);
}

static void test_headers(void)
{
	static const struct {
		const char *what;
		struct netif_hdr h, want;
		bool sent;
	} row[] = {
		{ "unknown flags", { .flags = 0x80 | 0x40 }, { 0 }, true },
		{ "junk in fields that no flag brings",
		  { .flags = 2, .hdr_len = 9, .gso_size = 7, .csum_start = 60000, .csum_offset = 9,
		    .num_buffers = 3 }, { 0 }, true },
		{ "a partial checksum", { .flags = 1, .csum_start = 34, .csum_offset = 6 },
		  { .flags = 1, .csum_start = 34, .csum_offset = 6 }, true },
		{ "a checksum at the very end", { .flags = 1, .csum_start = 990, .csum_offset = 8 },
		  { .flags = 1, .csum_start = 990, .csum_offset = 8 }, true },
		{ "a checksum across the end", { .flags = 1, .csum_start = 990, .csum_offset = 9 },
		  { 0 }, false },
		{ "a checksum far outside", { .flags = 1, .csum_start = 65535, .csum_offset = 65535 },
		  { 0 }, false },
		{ "TSO", { .flags = 1, .gso_type = 1, .hdr_len = 54, .gso_size = 500, .csum_start = 34,
			   .csum_offset = 16 },
		  { .flags = 1, .gso_type = 1, .hdr_len = 54, .gso_size = 500, .csum_start = 34,
		    .csum_offset = 16 }, true },
		{ "TSO with ECN", { .flags = 1, .gso_type = 0x84, .hdr_len = 74, .gso_size = 500 },
		  { .flags = 1, .gso_type = 0x84, .hdr_len = 74, .gso_size = 500 }, true },
		{ "USO", { .flags = 1, .gso_type = 5, .hdr_len = 42, .gso_size = 500 },
		  { .flags = 1, .gso_type = 5, .hdr_len = 42, .gso_size = 500 }, true },
		{ "UFO", { .flags = 1, .gso_type = 3, .hdr_len = 42, .gso_size = 500 },
		  { .flags = 1, .gso_type = 3, .hdr_len = 42, .gso_size = 500 }, true },
		{ "a header length beyond the packet", { .flags = 1, .gso_type = 1, .hdr_len = 65535,
							 .gso_size = 500 },
		  { .flags = 1, .gso_type = 1, .hdr_len = 1000, .gso_size = 500 }, true },
		{ "TSO without a size", { .flags = 1, .gso_type = 1 }, { 0 }, false },
		{ "TSO without a checksum", { .gso_type = 1, .gso_size = 500 }, { 0 }, false },
		{ "an unknown segmentation", { .flags = 1, .gso_type = 2, .gso_size = 9 }, { 0 }, false },
		{ "tunnels that aren't offered", { .flags = 1, .gso_type = 0x61, .gso_size = 9 }, { 0 },
		  false },
		{ "a tunnel checksum without a tunnel", { .flags = 9, .gso_type = 1, .gso_size = 9 },
		  { 0 }, false },
	};
	static uint8_t frame[1000];
	struct nb *nb = nb_new(ALL, 1500, 1);
	const struct netif_hdr tso = { .flags = 1, .gso_type = 1, .gso_size = 500, .csum_start = 34 };
	struct nd nd;
	unsigned n = 0;

	nd_open(&nd, &nb->nif, NULL, 0);
	nd_start(&nd, nd.port->features, 3);
	nd_frame(frame, NULL, sizeof(frame), 0x13);
	for (unsigned i = 0; i < sizeof(row) / sizeof(*row); i++) {
		is(send_one(&nd, &row[i].h, frame, sizeof(frame)), 0, "%s: the buffer comes back",
		   row[i].what);
		is(nb->n_out - n, row[i].sent, "%s: %s", row[i].what, row[i].sent ? "sent" : "dropped");
		if (nb->n_out > n)
			ok(!memcmp(nb->out[nb->n_out - 1].bytes, &row[i].want, NETIF_HDR),
			   "%s: with the right header", row[i].what);
		n = nb->n_out;
	}
	nd_start(&nd, V1, 2);
	send_one(&nd, &row[2].h, frame, sizeof(frame));
	ok(nb->n_out == n + 1 && !nb->out[n].bytes[0], "no checksum is left to us without CSUM");
	send_one(&nd, &tso, frame, sizeof(frame));
	is(nb->n_out, n + 1, "no TSO without HOST_TSO4");
	nd_start(&nd, V1 | 1 << 0 | 1 << 11, 2);
	send_one(&nd, &row[7].h, frame, sizeof(frame));
	is(nb->n_out, n + 1, "no ECN, nor TSO for IPv6, when only IPv4's was accepted");
	send_one(&nd, &tso, frame, sizeof(frame));
	is(nb->n_out, n + 2, "but IPv4's");
	is(nd.failed, 0, "the device is well");
	nd_close(&nd);
}

static void test_lengths(void)
{
	static uint8_t frame[NETIF_FRAME_MAX + 1];
	const struct netif_hdr hdr = { 0 };
	static const struct {
		size_t len;
		bool sent;
	} row[] = { { 0, false }, { 1, false }, { 13, false }, { 14, true }, { 60, true },
		    { NETIF_FRAME_MAX, true }, { NETIF_FRAME_MAX + 1, false } };
	struct nb *nb = nb_new(ALL, 1500, 1);
	uint64_t gpa;
	struct drv_seg seg;
	uint32_t used = 1;
	struct nd nd;

	nd_open(&nd, &nb->nif, NULL, 0);
	nd_start(&nd, nd.port->features, 3);
	nd_frame(frame, NULL, sizeof(frame), 0x14);
	for (unsigned i = 0; i < 7; i++) {
		unsigned n = nb->n_out;

		is(send_one(&nd, &hdr, frame, row[i].len), 0, "%zu bytes: used with 0", row[i].len);
		is(nb->n_out - n, row[i].sent, "%zu bytes: %s", row[i].len,
		   row[i].sent ? "sent" : "dropped");
	}
	gpa = nd_alloc(&nd, 11);
	seg = (struct drv_seg){ gpa, 11, false };
	drv_add(&nd.q[1], &seg, 1);
	nd_kick(&nd, 1);
	ok(drv_used(&nd.q[1], &used, NULL) >= 0 && used == 0, "half a header: comes back");
	seg.write = true;
	drv_add(&nd.q[1], &seg, 1);
	nd_kick(&nd, 1);
	ok(drv_used(&nd.q[1], &used, NULL) >= 0, "nothing to send, and a place to write: comes back");
	is(nd.failed, 0, "the device is well");
	nd_close(&nd);
}

/* 5.1.6.1.1: ten bytes for a legacy driver, twelve when it merges buffers. */
static void test_legacy_header(void)
{
	static uint8_t frame[100];
	static const uint8_t hdr[12] = { 0 };
	struct nb *nb = nb_new(ALL, 1500, 1);
	struct nd nd;

	nd_open(&nd, &nb->nif, NULL, 0);
	nd_frame(frame, NULL, sizeof(frame), 0x15);
	nd_start(&nd, VBIT(VIRTIO_NET_F_CSUM), 2);
	is(send_cut(&nd, hdr, 10, frame, 100, (const size_t[]){ 10 }, 1), 0, "legacy, header apart");
	ok(sent_is(nb, 0, frame, 100), "ten bytes of it");
	is(send_cut(&nd, hdr, 10, frame, 100, NULL, 0), 0, "legacy, in one piece");
	ok(sent_is(nb, 1, frame, 100), "the same");
	nd_start(&nd, VBIT(VIRTIO_NET_F_MRG_RXBUF), 2);
	is(send_cut(&nd, hdr, 12, frame, 100, NULL, 0), 0, "legacy with MRG_RXBUF");
	ok(sent_is(nb, 2, frame, 100), "twelve bytes of it");
	nd_close(&nd);
}

/* A back end that is full: nothing is lost, nothing comes twice, and the device doesn't spin. */
static void test_full(void)
{
	static uint8_t frame[100];
	const struct netif_hdr hdr = { 0 };
	struct nb *nb = nb_new(ALL, 1500, 1);
	struct nd nd;
	int good = 0;

	nd_open(&nd, &nb->nif, NULL, 0);
	nd_start(&nd, nd.port->features, 3);
	nb->full = true;
	for (int i = 0; i < 20; i++) {
		nd_frame(frame, NULL, sizeof(frame), (uint8_t)i);
		is(send_one(&nd, &hdr, frame, sizeof(frame)), -1, "packet %d waits", i);
	}
	nb->full = false;
	nb->nif.user.writable(nb->nif.user.opaque, 0);
	nd_turn(&nd);
	is(nb->n_out, 20, "all go when there is room");
	for (unsigned i = 0; i < nb->n_out; i++)
		good += nb->out[i].bytes[NETIF_HDR + 20] == i;
	is(good, 20, "in order, once each");
	is(nd.calls[1], 1, "one notification for all");
	nb->full = true;
	send_one(&nd, &hdr, frame, sizeof(frame));
	nd_start(&nd, nd.port->features, 3);
	nb->full = false;
	nb->nif.user.writable(nb->nif.user.opaque, 0);
	nd_turn(&nd);
	is(nb->n_out, 20, "what waited is forgotten by a reset");
	send_one(&nd, &hdr, frame, sizeof(frame));
	is(nb->n_out, 21, "and the device sends again");
	nd_close(&nd);
}

/* A burst longer than a turn: all of it, without another doorbell. */
static void test_burst(void)
{
	static uint8_t frame[60];
	struct nb *nb = nb_new(ALL, 1500, 1);
	struct drv_seg seg;
	struct nd nd;

	nd_open(&nd, &nb->nif, NULL, 0);
	nd_start(&nd, nd.port->features, 3);
	nd_frame(frame, NULL, sizeof(frame), 1);
	seg = (struct drv_seg){ nd_alloc(&nd, 72), 72, false };
	memset(nd_ptr(&nd, seg.gpa), 0, 12);
	memcpy(nd_ptr(&nd, seg.gpa + 12), frame, 60);
	for (int i = 0; i < ND_SIZE; i++)
		drv_add(&nd.q[1], &seg, 1);
	nd_kick(&nd, 1);
	is(nb->n_out, ND_SIZE, "a full ring is sent with one doorbell");
	is(nd.calls[1], 1, "and one notification");
	nd_close(&nd);
}

int main(void)
{
	capture_log();
	test_offered();
	test_config();
	test_legacy_config();
	test_framing(false);
	test_framing(true);
	test_many_pieces();
	test_headers();
	test_lengths();
	test_legacy_header();
	test_full();
	test_burst();
	return tap_end();
}
