// SPDX-License-Identifier: GPL-2.0-only
/*
 * t_gso: what the device says of large packets. tests/probe/reflect makes the host send one to us, and
 * the host's kernel cuts it up unless the device has told it that the driver takes it whole.
 */

#include "drivers.h"

#define MSS     1000
#define PAYLOAD 2800 /* three segments */

enum { TCPV4 = 1, UDP = 3, TCPV6 = 4, UDP_L4 = 5, ECN = 0x80 };

static struct net *open_gso(struct vdev *d, u64 features)
{
	struct net *n;
	u32 peer, own;
	size_t dummy;

	skip_if(!param("probe.reflect", &dummy) || !net_peer(&peer, &own),
		"no probe.reflect on the command line");
	skip_if(features & ~d->offered, "the feature is not offered");
	n = net_open(d, features | NET_F_MRG_RXBUF);
	for (u32 i = 0; i < 12; i++)
		net_post(n, NET_BUF_SIZE);
	vq_kick(n->rx);
	return n;
}

static void put16(u8 *p, u16 v)
{
	p[0] = v >> 8;
	p[1] = v;
}

/* An IP header without options, and what is behind it, up to the payload; returns its length. */
static u32 headers(u8 *f, const u8 *mac, u8 gso)
{
	u8 kind = gso & ~ECN;
	bool six = kind == TCPV6, udp = kind == UDP || kind == UDP_L4;
	u32 ip = six ? 40 : 20, up = udp ? 8 : 20, sum = 0;
	u8 *h = f + 14;

	memcpy(f, mac, 6);
	memcpy(f + 6, "\x02\x00\x00\x00\xbe\xef", 6);
	put16(f + 12, six ? 0x86dd : 0x0800);
	if (six) {
		h[0] = 0x60;
		put16(h + 4, up + PAYLOAD);
		h[6] = 6;
		h[7] = 64;
		h[8] = h[24] = 0xfd;
		h[23] = 1;
		h[39] = 2;
	} else {
		h[0] = 0x45;
		put16(h + 2, ip + up + PAYLOAD);
		h[8] = 64;
		h[9] = udp ? 17 : 6;
		memcpy(h + 12, "\xc0\xa8\x4d\x01\xc0\xa8\x4d\x02", 8);
		for (u32 i = 0; i < 20; i += 2)
			sum += h[i] << 8 | h[i + 1];
		put16(h + 10, ~(sum + (sum >> 16)));
	}
	h += ip;
	put16(h, 4000);
	put16(h + 2, 4001);
	if (udp) {
		put16(h + 4, up + PAYLOAD);
	} else {
		h[12] = 0x50;
		h[13] = gso & ECN ? 0x90 : 0x10; /* CWR, ACK */
		put16(h + 14, 1000);
	}
	return 14 + ip + up;
}

/* Has the host send us one of these. */
static void ask(struct net *n, u8 gso)
{
	u8 *f = alloc(256, 16), *v = f + 16;
	u32 len = headers(f + 26, n->mac, gso);
	bool udp = (gso & ~ECN) == UDP || (gso & ~ECN) == UDP_L4;
	u32 start = len - (udp ? 8 : 20);

	memset(f, 0xff, 6);
	memcpy(f + 6, n->mac, 6);
	put16(f + 12, 0x88b6);
	*(u16 *)(f + 14) = PAYLOAD;
	v[0] = 1; /* NEEDS_CSUM */
	v[1] = gso;
	*(u16 *)(v + 2) = len;
	*(u16 *)(v + 4) = MSS;
	*(u16 *)(v + 6) = start;
	*(u16 *)(v + 8) = udp ? 6 : 16;
	must(net_send(n, f, 26 + len), "the request is not sent");
}

struct seen {
	u32 frames, bytes;
	u8 types[256];
};

/* The stranger's frames, until all of the payload is here. */
static void collect(struct net *n, struct seen *s, bool whole)
{
	u64 end = now_us() + PATIENCE / 2;
	u32 len;
	u8 *f;

	memset(s, 0, sizeof(*s));
	while (s->bytes < PAYLOAD && now_us() < end) {
		struct net_header *h;

		f = net_recv(n, &len, PATIENCE / 4);
		h = n->last;
		if (!f || len < 14 || memcmp(f + 6, "\x02\x00\x00\x00\xbe\xef", 6))
			continue;
		s->frames++;
		s->types[h->gso_type]++;
		if (whole && h->gso_type) {
			must(h->flags & 1, "flags %#x of a packet with gso_type %u", h->flags,
			     h->gso_type);
			must_be(h->gso_size, MSS, "gso_size");
		}
		if (h->gso_type) /* the rest is in the next buffers */
			s->bytes = PAYLOAD;
		else
			s->bytes += len - (f[12] == 8 ? 14 + 20 : 14 + 40);
	}
}

static void must_be_cut(struct net *n, u8 gso)
{
	struct seen s;

	ask(n, gso);
	collect(n, &s, false);
	skip_if(!s.frames && (gso == UDP || gso == UDP_L4),
		"the host's kernel does not send such packets");
	must(s.frames >= 2, "%u frames for %u bytes", s.frames, PAYLOAD);
	must_be(s.types[0], s.frames, "frames with gso_type 0");
}

/* Everything else is accepted, so that it is this bit that matters. */
static void no_tso4(struct vdev *d)
{
	must_be_cut(open_gso(d, NET_F_GUEST_CSUM | NET_F_GUEST_TSO6), TCPV4);
}

static void no_tso6(struct vdev *d)
{
	must_be_cut(open_gso(d, NET_F_GUEST_CSUM | NET_F_GUEST_TSO4), TCPV6);
}

static void no_ufo(struct vdev *d)
{
	must_be_cut(open_gso(d, NET_F_GUEST_CSUM | NET_F_GUEST_TSO4 | NET_F_GUEST_TSO6), UDP);
}

static void no_uso(struct vdev *d)
{
	must_be_cut(open_gso(d, NET_F_GUEST_CSUM | NET_F_GUEST_TSO4 | NET_F_GUEST_TSO6), UDP_L4);
}

static void no_ecn(struct vdev *d)
{
	must_be_cut(open_gso(d, NET_F_GUEST_CSUM | NET_F_GUEST_TSO4), TCPV4 | ECN);
}

static void whole(struct vdev *d)
{
	struct net *n = open_gso(d, NET_F_GUEST_CSUM | NET_F_GUEST_TSO4);
	struct seen s;

	ask(n, TCPV4);
	collect(n, &s, true);
	must_be(s.types[TCPV4], 1, "packets with gso_type TCPV4");
}

static void ecn(struct vdev *d)
{
	struct net *n = open_gso(d, NET_F_GUEST_CSUM | NET_F_GUEST_TSO4 | NET_F_GUEST_ECN);
	struct seen s;

	ask(n, TCPV4 | ECN);
	collect(n, &s, true);
	must_be(s.types[TCPV4 | ECN], 1, "packets with gso_type TCPV4 and ECN");
}

/* Does a plain frame of that length come in? */
static bool plain_arrives(struct net *n, u32 size, u64 patience)
{
	u8 *f = alloc(64, 16), *got;
	u32 len;

	memset(f, 0xff, 6);
	memcpy(f + 6, n->mac, 6);
	put16(f + 12, 0x88b6);
	*(u16 *)(f + 14) = size - 14;
	memcpy(f + 26, n->mac, 6);
	memcpy(f + 32, "\x02\x00\x00\x00\xbe\xef", 6);
	put16(f + 38, 0x88b7);
	must(net_send(n, f, 40), "the request is not sent");
	while ((got = net_recv(n, &len, patience)))
		if (len == size && got[12] == 0x88 && got[13] == 0xb7)
			return true;
	return false;
}

static void mtu(struct vdev *d)
{
	struct net *n = open_gso(d, NET_F_MTU);
	u32 max = reg_r16(&d->config, 10) + 14;

	skip_if(max >= 1514, "the host sends nothing that is larger");
	must(plain_arrives(n, max, PATIENCE / 3), "a frame of %u bytes does not arrive", max);
	must(!plain_arrives(n, max + 1, 30000), "a frame of %u bytes arrives", max + 1);
	must(plain_arrives(n, 100, PATIENCE / 3), "a frame of 100 bytes does not arrive");
	arena_reset();
	n = open_gso(d, 0);
	must(plain_arrives(n, max + 1, PATIENCE / 3), "without MTU %u bytes do not arrive",
	     max + 1);
}

static const struct test tests[] = {
	{"NET-053", "without GUEST_TSO4 large TCP packets come in pieces", no_tso4, NET, 0},
	{"NET-055", "without GUEST_TSO6 those of IPv6 do", no_tso6, NET, 0},
	{"NET-054", "without GUEST_UFO fragments come as such", no_ufo, NET, 0},
	{"NET-056", "without GUEST_USO4 and 6 large UDP packets come in pieces", no_uso, NET, 0},
	{"NET-059", "without GUEST_ECN those with CWR come in pieces", no_ecn, NET, 0},
	{"NET-071,NET-072", "a whole one has NEEDS_CSUM and its segments' size", whole, NET, 0},
	{"NET-013", "no frame above the MTU that was accepted", mtu, NET, 0},
	{"NET-060", "with GUEST_ECN a whole one with CWR says so", ecn, NET, 0},
};

const struct suite suite_gso = {"gso", tests, ARRAY_SIZE(tests)};
