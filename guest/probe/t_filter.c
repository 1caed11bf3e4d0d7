// SPDX-License-Identifier: GPL-2.0-only
/*
 * t_filter: which packets the device lets in. An ARP request that claims to come from some address
 * makes the peer answer to that address, so the guest chooses itself where the answers go.
 */

#include "drivers.h"

#define MULTICAST "\x01\x00\x5e\x00\x00\x05"
#define BROADCAST "\xff\xff\xff\xff\xff\xff"
#define STRANGER  "\x02\x00\x00\x00\xbe\xef"

#define SILENCE 30000 /* no answer within this time, in microseconds, means that it was dropped */

static struct net *open_filter(struct vdev *d, u64 features)
{
	struct net *n;
	u32 peer, own;

	skip_if(!net_peer(&peer, &own), "no probe.peer= and probe.ip= on the command line");
	n = net_open(d, NET_F_CTRL_VQ | features);
	skip_if((NET_F_CTRL_VQ | features) & ~d->features, "the feature is not offered");
	for (u32 i = 0; i < NET_RX_BUFS; i++)
		net_post(n, NET_BUF_SIZE);
	vq_kick(n->rx);
	return n;
}

static void mode(struct net *n, u8 command, u8 on)
{
	u8 *p = alloc(1, 1);

	*p = on;
	must_be(net_command(n, 0, command, p, 1), 0, "rx command %u, %u", command, on);
}

enum { PROMISC, ALLMULTI, ALLUNI, NOMULTI, NOUNI, NOBCAST };

/* Does an answer sent to `mac` come in? */
static bool arrives(struct net *n, const void *mac, u64 patience)
{
	u8 own[6], *frame = alloc(64, 16), *got;
	u32 peer, ip, len;
	u64 end;

	net_peer(&peer, &ip);
	memcpy(own, n->mac, 6);
	memcpy(n->mac, mac, 6);
	net_arp_frame(n, frame, peer, ip);
	memcpy(n->mac, own, 6);
	if (*(u8 *)mac & 1)
		memcpy(frame + 6, own, 6); /* no packet comes from a group */
	must(net_send(n, frame, 60), "the request is not sent");
	end = now_us() + patience;
	while ((got = net_recv(n, &len, patience)) && now_us() < end)
		if (len >= 42 && got[12] == 8 && got[13] == 6 && got[21] == 2 &&
		    !memcmp(got, mac, 6))
			return true;
	return false;
}

static void must_arrive(struct net *n, const void *mac, const char *what)
{
	must(arrives(n, mac, PATIENCE / 3), "%s does not arrive", what);
}

static void must_not_arrive(struct net *n, const void *mac, const char *what)
{
	must(!arrives(n, mac, SILENCE), "%s arrives", what);
}

static void strangers(struct vdev *d)
{
	struct net *n = open_filter(d, NET_F_CTRL_RX);

	mode(n, PROMISC, 0);
	must_arrive(n, n->mac, "our own");
	must_not_arrive(n, STRANGER, "a stranger's");
}

static void promiscuous(struct vdev *d)
{
	struct net *n = open_filter(d, NET_F_CTRL_RX);

	mode(n, PROMISC, 1);
	must_arrive(n, STRANGER, "a stranger's, with PROMISC");
	mode(n, PROMISC, 0);
	must_not_arrive(n, STRANGER, "a stranger's, without PROMISC");
}

static void table(struct vdev *d)
{
	struct net *n = open_filter(d, NET_F_CTRL_RX);
	u8 *t = alloc(16, 4);

	mode(n, PROMISC, 0);
	*(u32 *)t = 1;
	memcpy(t + 4, STRANGER, 6);
	must_be(net_command(n, 1, 0, t, 14), 0, "MAC_TABLE_SET");
	must_arrive(n, STRANGER, "an address of the table");
	must_arrive(n, n->mac, "our own, with a table");
	arena_reset();
	n = open_filter(d, NET_F_CTRL_RX); /* a reset between */
	mode(n, PROMISC, 0);
	must_not_arrive(n, STRANGER, "an address of the table before the reset");
}

static void own_address(struct vdev *d)
{
	struct net *n = open_filter(d, NET_F_CTRL_RX | NET_F_CTRL_MAC_ADDR);
	u8 *mac = alloc(6, 2);

	mode(n, PROMISC, 0);
	memcpy(mac, STRANGER, 6);
	must_be(net_command(n, 1, 1, mac, 6), 0, "MAC_ADDR_SET");
	must_arrive(n, STRANGER, "the new address's");
	must_not_arrive(n, n->mac, "the old address's");
}

static void groups(struct vdev *d)
{
	struct net *n = open_filter(d, NET_F_CTRL_RX);

	skip_if(!arrives(n, BROADCAST, PATIENCE / 10), "the peer does not answer to groups");
	mode(n, PROMISC, 0);
	must_arrive(n, BROADCAST, "a broadcast");
	mode(n, ALLMULTI, 1);
	must_arrive(n, MULTICAST, "a multicast, with ALLMULTI");
}

static void unicast_modes(struct vdev *d)
{
	struct net *n = open_filter(d, NET_F_CTRL_RX | NET_F_CTRL_RX_EXTRA);

	mode(n, PROMISC, 0);
	mode(n, ALLUNI, 1);
	must_arrive(n, STRANGER, "a stranger's, with ALLUNI");
	mode(n, NOUNI, 1);
	must_not_arrive(n, STRANGER, "a stranger's, with ALLUNI and NOUNI");
	must_not_arrive(n, n->mac, "our own, with NOUNI");
	mode(n, NOUNI, 0);
	mode(n, ALLUNI, 0);
	must_arrive(n, n->mac, "our own");
}

static void group_modes(struct vdev *d)
{
	struct net *n = open_filter(d, NET_F_CTRL_RX | NET_F_CTRL_RX_EXTRA);

	skip_if(!arrives(n, BROADCAST, PATIENCE / 10), "the peer does not answer to groups");
	mode(n, PROMISC, 0);
	mode(n, ALLMULTI, 1);
	mode(n, NOMULTI, 1);
	must_not_arrive(n, MULTICAST, "a multicast, with NOMULTI");
	must_arrive(n, BROADCAST, "a broadcast, with NOMULTI");
	mode(n, NOMULTI, 0);
	mode(n, NOBCAST, 1);
	must_not_arrive(n, BROADCAST, "a broadcast, with NOBCAST and ALLMULTI");
}

static void promiscuous_wins(struct vdev *d)
{
	struct net *n = open_filter(d, NET_F_CTRL_RX | NET_F_CTRL_RX_EXTRA);

	mode(n, NOUNI, 1);
	mode(n, PROMISC, 1);
	must_arrive(n, STRANGER, "a stranger's, with PROMISC and NOUNI");
}

/* --- frames that the host sends back to us, whatever they are: see tests/probe/reflect */

#define TAG 0x8100

/* A frame with a VLAN tag of that id, or none (0), sent to us: does it come in? */
static bool tagged_arrives(struct net *n, u16 id, u64 patience)
{
	static u8 serial;
	u8 *f = alloc(96, 16), *in = f + 14, *got;
	u32 len, at = 12;
	size_t dummy;

	skip_if(!param("probe.reflect", &dummy), "no probe.reflect on the command line");
	memset(f, 0xff, 6);
	memcpy(f + 6, n->mac, 6);
	f[12] = 0x88;
	f[13] = 0xb5;
	memcpy(in, n->mac, 6);
	memcpy(in + 6, STRANGER, 6);
	if (id) {
		in[at++] = TAG >> 8;
		in[at++] = TAG & 0xff;
		in[at++] = id >> 8;
		in[at++] = id;
	}
	in[at++] = 0x88;
	in[at++] = 0xb6;
	in[at] = ++serial;
	must(net_send(n, f, 90), "the frame is not sent");
	while ((got = net_recv(n, &len, patience)))
		if (len > at && got[at - 2] == 0x88 && got[at - 1] == 0xb6 && got[at] == serial)
			return true;
	return false;
}

static void tags_without_filter(struct vdev *d)
{
	struct net *n = open_filter(d, 0);

	must(tagged_arrives(n, 0, PATIENCE / 3), "an untagged frame does not arrive");
	must(tagged_arrives(n, 5, PATIENCE / 3), "a tagged frame does not arrive");
	must(tagged_arrives(n, 4094, PATIENCE / 3), "a tagged frame does not arrive");
}

static void vlan(struct net *n, u8 command, u16 id)
{
	u16 *v = alloc(2, 2);

	*v = id;
	must_be(net_command(n, 2, command, v, 2), 0, "VLAN command %u, id %u", command, id);
}

static void tags_with_filter(struct vdev *d)
{
	struct net *n = open_filter(d, NET_F_CTRL_VLAN);

	must(tagged_arrives(n, 0, PATIENCE / 3), "an untagged frame does not arrive");
	must(!tagged_arrives(n, 5, SILENCE), "id 5 arrives with an empty table");
	vlan(n, 0, 5);
	must(tagged_arrives(n, 5, PATIENCE / 3), "id 5 does not arrive");
	must(!tagged_arrives(n, 6, SILENCE), "id 6 arrives");
	vlan(n, 0, 6);
	vlan(n, 1, 5);
	must(!tagged_arrives(n, 5, SILENCE), "id 5 arrives once deleted");
	must(tagged_arrives(n, 6, PATIENCE / 3), "id 6 does not arrive");
	arena_reset();
	n = open_filter(d, NET_F_CTRL_VLAN);
	must(!tagged_arrives(n, 6, SILENCE), "id 6 arrives after a reset");
}

/* --- what is asked of the peer: an echo, whose answer proves that the packet came out whole */

static u16 sum16(const u8 *p, u32 len)
{
	u32 sum = 0;

	for (u32 i = 0; i < len; i += 2)
		sum += p[i] << 8 | p[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/* An Ethernet frame with an ICMP echo request of 32 bytes; 74 bytes in all. */
static void echo_frame(struct net *n, u8 *f, const u8 *to)
{
	static const u8 ip[] = {0x45, 0, 0, 60, 0, 1, 0, 0, 64, 1};
	u32 peer, own;
	u16 sum;

	net_peer(&peer, &own);
	memset(f, 0, 74);
	memcpy(f, to, 6);
	memcpy(f + 6, n->mac, 6);
	f[12] = 8;
	memcpy(f + 42, "an echo of thirty-two bytes, yes", 32);
	memcpy(f + 14, ip, sizeof(ip));
	for (u32 i = 0; i < 4; i++) {
		f[26 + i] = own >> (24 - 8 * i);
		f[30 + i] = peer >> (24 - 8 * i);
	}
	sum = sum16(f + 14, 20);
	f[24] = sum >> 8;
	f[25] = sum;
	f[34] = 8;
	sum = sum16(f + 34, 40);
	f[36] = sum >> 8;
	f[37] = sum;
}

static u8 *echo_answer(struct net *n)
{
	u8 *got;
	u32 len;

	while ((got = net_recv(n, &len, PATIENCE / 3)))
		if (len >= 74 && got[12] == 8 && got[13] == 0 && got[23] == 1 && got[34] == 0)
			return got;
	return NULL;
}

static struct net *open_echo(struct vdev *d, u64 features, u8 *peer_mac)
{
	struct net *n = open_filter(d, features);
	u32 len;
	u8 *answer = net_arp(n, &len);

	must(answer, "no answer to ARP");
	memcpy(peer_mac, answer + 22, 6);
	return n;
}

static void echo(struct vdev *d)
{
	u8 mac[6], *f = alloc(80, 16), *got;
	struct net *n = open_echo(d, 0, mac);

	echo_frame(n, f, mac);
	must(net_send(n, f, 74), "the request is not sent");
	got = echo_answer(n);
	must(got, "no answer");
	must_be(sum16(got + 34, 40), 0, "sum of the answer");
}

static void mtu_stays(struct vdev *d)
{
	u16 mtu;

	skip_if(!(d->offered & NET_F_MTU), "MTU is not offered");
	mtu = reg_r16(&d->config, 10);
	for (u32 i = 0; i < 3; i++) {
		vd_begin(d, i & 1 ? NET_F_MTU : 0);
		vd_go(d);
		must_be(reg_r16(&d->config, 10), mtu, "mtu");
	}
}

static void full_size(struct vdev *d)
{
	u8 mac[6], *f = alloc(1514, 16), *got;
	struct net *n = open_echo(d, NET_F_MTU, mac);
	u16 sum;

	skip_if(reg_r16(&d->config, 10) < 1500, "an MTU of less than 1500");
	echo_frame(n, f, mac);
	f[16] = 1500 >> 8;
	f[17] = 1500 & 0xff;
	f[24] = f[25] = f[36] = f[37] = 0;
	sum = sum16(f + 14, 20);
	f[24] = sum >> 8;
	f[25] = sum;
	sum = sum16(f + 34, 1480);
	f[36] = sum >> 8;
	f[37] = sum;
	must(net_send(n, f, 1514), "the request is not sent");
	got = echo_answer(n);
	must(got, "no answer");
	must_be(n->last_len, 1526, "used length of the answer");
}

/* Header fields that mean nothing must change nothing. */
static void strange_header(struct vdev *d)
{
	u8 mac[6], *p = alloc(12 + 80, 16);
	struct net *n = open_echo(d, 0, mac);
	struct net_header *h = (void *)p;
	struct buf buf = {p, 12 + 74, false};

	for (u32 i = 0; i < 3; i++) {
		*h = (struct net_header){0};
		if (i == 0)
			*h = (struct net_header){.csum_start = 0xffff, .csum_offset = 0xfff0};
		else if (i == 1)
			*h =
			    (struct net_header){.hdr_len = 0xffff, .gso_size = 7, .num_buffers = 9};
		else
			h->flags = 0x80;
		echo_frame(n, p + 12, mac);
		must_be(vq_do(n->tx, &buf, 1).len, 0, "used length");
		must(echo_answer(n), "no answer to a packet with header %u", i);
	}
}

/* The device, or who is behind it, finishes a checksum of which the guest left the pseudo-header's
 * sum. */
static void unfinished_checksum(struct vdev *d)
{
	u8 mac[6], *p = alloc(12 + 80, 16), *got = NULL;
	struct net *n = open_echo(d, NET_F_CSUM, mac);
	struct net_header *h = (void *)p;
	struct buf buf = {p, 12 + 74, false};
	u8 *f = p + 12;
	u8 pseudo[12] = {0};
	u32 len;
	u16 sum;

	echo_frame(n, f, mac);
	f[23] = 17; /* UDP to a port nobody listens on */
	f[24] = f[25] = 0;
	sum = sum16(f + 14, 20);
	f[24] = sum >> 8;
	f[25] = sum;
	f[34] = 0x30;
	f[35] = 0x39;
	f[36] = 0xfe;
	f[37] = 0xdc;
	f[38] = 0;
	f[39] = 40;
	memcpy(pseudo, f + 26, 8);
	pseudo[9] = 17;
	pseudo[11] = 40;
	sum = ~sum16(pseudo, 12);
	f[40] = sum >> 8;
	f[41] = sum;
	*h = (struct net_header){.flags = 1, .csum_start = 34, .csum_offset = 6};
	must_be(vq_do(n->tx, &buf, 1).len, 0, "used length");
	while ((got = net_recv(n, &len, PATIENCE / 3)))
		if (len >= 42 && got[12] == 8 && got[13] == 0 && got[23] == 1 && got[34] == 3)
			return;
	test_fail(__FILE_NAME__, __LINE__,
		  "no \"port unreachable\": the packet did not come out right");
}

static void guest_checksum(struct vdev *d)
{
	u8 mac[6], *f = alloc(80, 16), *got;
	struct net *n = open_echo(d, NET_F_GUEST_CSUM, mac);

	echo_frame(n, f, mac);
	must(net_send(n, f, 74), "the request is not sent");
	got = echo_answer(n);
	must(got, "no answer");
	must(!(n->last->flags & ~7), "flags %#x", n->last->flags);
	must_be(n->last->gso_type, 0, "gso_type without a GUEST segmentation feature");
	if (n->last->flags & 1)
		must(n->last->csum_start + n->last->csum_offset + 2 <= 74, "csum_start %u",
		     n->last->csum_start);
	else
		must_be(sum16(got + 34, 40), 0, "sum of the answer");
}

static void bad_offloads(struct vdev *d)
{
	static const struct net_header bad[] = {
	    {.flags = 1, .csum_start = 0xffff, .csum_offset = 0xffff},
	    {.flags = 1, .csum_start = 72, .csum_offset = 1},
	    {.gso_type = 1, .gso_size = 0, .hdr_len = 0xffff},
	    {.gso_type = 1,
	     .flags = 1,
	     .gso_size = 1,
	     .hdr_len = 54,
	     .csum_start = 34,
	     .csum_offset = 16},
	    {.gso_type = 0x7f, .gso_size = 100},
	    {.gso_type = 4, .gso_size = 0xffff},
	};
	u8 *p = alloc(12 + 80, 16);
	struct buf buf = {p, 12 + 74, false};
	struct net *n;

	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		n = net_open(d, i & 1 ? NET_F_CSUM | NET_F_HOST_TSO4 : 0);
		memset(p + 12, 0xff, 6);
		memcpy(p, &bad[i], 12);
		vq_offer(n->tx, vq_chain(n->tx, &buf, 1));
		vq_kick(n->tx);
		wait_until(vq_has_used(n->tx), SETTLE);
		must(vd_status(d) & S_DRIVER_OK, "device status %#x", vd_status(d));
	}
}

static const struct test tests[] = {
	{"NET-115", "without PROMISC only our own address's packets arrive", strangers, NET, 0},
	{"NET-100,NET-099", "PROMISC lets in everything", promiscuous, NET, 0},
	{"NET-101", "PROMISC wins over other modes", promiscuous_wins, NET, 0},
	{"NET-112,NET-113,NET-116", "the table's addresses arrive, until a reset", table, NET, 0},
	{"NET-114,NET-115", "MAC_ADDR_SET moves the filter", own_address, NET, 0},
	{"NET-102", "ALLMULTI lets in multicast", groups, NET, 0},
	{"NET-104,NET-108,NET-109", "ALLUNI and NOUNI", unicast_modes, NET, 0},
	{"NET-105,NET-106,NET-107,NET-110,NET-111", "NOMULTI and NOBCAST", group_modes, NET, 0},
	{"NET-117", "without CTRL_VLAN every tag arrives", tags_without_filter, NET, 0},
	{"NET-118,NET-119,NET-120", "with CTRL_VLAN only tags of the table arrive", tags_with_filter, NET,
	 0},
	{"NET-012", "mtu stays", mtu_stays, NET, 0},
	{"NET-014", "a packet as long as the MTU goes out and comes back", full_size, NET, 0},
	{"NET-029,NET-052", "an echo comes back whole", echo, NET, 0},
	{"NET-030,NET-031,NET-036", "header fields that mean nothing change nothing", strange_header,
	 NET, 0},
	{"NET-041", "a checksum left unfinished is finished", unfinished_checksum, NET, 0},
	{"NET-064,NET-065,NET-066,NET-077,NET-074", "with GUEST_CSUM the header tells the truth",
	 guest_checksum, NET, 0},
	{"X-NET-02", "offload headers that can't be", bad_offloads, NET, HOSTILE},
};

const struct suite suite_filter = {"filter", tests, ARRAY_SIZE(tests)};
