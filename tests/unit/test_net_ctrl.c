// SPDX-License-Identifier: GPL-2.0-only
/* The network device's control queue: every command, every way it can be wrong, and what it does. */
#include "net_driver.h"

#define V1   VBIT(VIRTIO_F_VERSION_1)
#define BASE (V1 | VBIT(VIRTIO_NET_F_MRG_RXBUF) | VBIT(VIRTIO_NET_F_CTRL_VQ))
#define ALL  (NET_GUEST_OFFLOADS | VBIT(VIRTIO_NET_F_CSUM))
#define CTRLQ 2

enum { RX = 0, MAC = 1, VLAN = 2, ANNOUNCE = 3, MQ = 4, OFFLOADS = 5 };
enum { PROMISC, ALLMULTI, ALLUNI, NOMULTI, NOUNI, NOBCAST };

static const uint8_t broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
static const uint8_t group[6] = { 0x33, 0x33, 0, 0, 0, 1 };
static const uint8_t group2[6] = { 1, 0, 0x5e, 0, 0, 1 };
static const uint8_t other[6] = { 2, 0, 0, 0, 0, 0x77 };
static const uint8_t other2[6] = { 2, 0, 0, 0, 0, 0x78 };

/* Does a frame to dst (with a VLAN tag when vlan >= 0) reach the driver? */
static bool reaches(struct nd *nd, struct nb *nb, const uint8_t *dst, int vlan)
{
	static const struct netif_hdr plain;
	uint8_t frame[100];

	while (drv_used(&nd->q[0], NULL, NULL) >= 0)
		;
	nd_offer(nd, 0, 256, 1);
	nd_kick(nd, 0);
	nd_frame(frame, dst, sizeof(frame), 1);
	if (vlan >= 0) {
		frame[12] = 0x81;
		frame[13] = 0;
		frame[14] = (uint8_t)(0xe0 | vlan >> 8); /* some priority */
		frame[15] = (uint8_t)vlan;
	}
	nb_put(nd, nb, &plain, frame, sizeof(frame));
	return drv_used(&nd->q[0], NULL, NULL) >= 0;
}

static void expect(struct nd *nd, struct nb *nb, const char *when, bool us, bool bcast, bool multi,
		   bool foreign)
{
	is(reaches(nd, nb, NULL, -1), us, "%s: our own address", when);
	is(reaches(nd, nb, broadcast, -1), bcast, "%s: broadcast", when);
	is(reaches(nd, nb, group, -1), multi, "%s: multicast", when);
	is(reaches(nd, nb, other, -1), foreign, "%s: a foreign address", when);
}

static int mode(struct nd *nd, uint8_t cmd, uint8_t on)
{
	return nd_command(nd, CTRLQ, RX, cmd, &on, 1);
}

/* --- receive modes ---------------------------------------------------------------------------- */

static void test_modes(void)
{
	struct nb *nb = nb_new(ALL, 1500, 1);
	struct nd nd;
	const uint64_t rx = BASE | VBIT(VIRTIO_NET_F_CTRL_RX);
	uint8_t byte = 1;

	nd_open(&nd, &nb->nif, NULL, 0);
	nd_start(&nd, BASE, 3);
	expect(&nd, nb, "without CTRL_RX", true, true, true, true);
	is(mode(&nd, PROMISC, 0), 1, "and commands for it are refused");

	nd_start(&nd, rx, 3);
	expect(&nd, nb, "at the start", true, true, false, false);
	is(mode(&nd, ALLMULTI, 1), 0, "ALLMULTI on");
	expect(&nd, nb, "ALLMULTI", true, true, true, false);
	is(mode(&nd, ALLMULTI, 0), 0, "ALLMULTI off");
	expect(&nd, nb, "off again", true, true, false, false);
	is(mode(&nd, PROMISC, 1), 0, "PROMISC on");
	expect(&nd, nb, "PROMISC", true, true, true, true);
	is(mode(&nd, PROMISC, 0), 0, "PROMISC off");
	expect(&nd, nb, "off again", true, true, false, false);
	for (uint8_t cmd = ALLUNI; cmd <= NOBCAST; cmd++)
		is(mode(&nd, cmd, 1), 1, "command %u needs CTRL_RX_EXTRA", cmd);

	nd_start(&nd, rx | VBIT(VIRTIO_NET_F_CTRL_RX_EXTRA), 3);
	is(mode(&nd, ALLUNI, 1), 0, "ALLUNI on");
	expect(&nd, nb, "ALLUNI", true, true, false, true);
	is(mode(&nd, NOUNI, 1), 0, "NOUNI on");
	expect(&nd, nb, "NOUNI wins over ALLUNI", false, true, false, false);
	is(mode(&nd, NOUNI, 0), 0, "NOUNI off");
	is(mode(&nd, ALLUNI, 0), 0, "ALLUNI off");
	is(mode(&nd, ALLMULTI, 1), 0, "ALLMULTI on");
	is(mode(&nd, NOMULTI, 1), 0, "NOMULTI on");
	expect(&nd, nb, "NOMULTI wins over ALLMULTI, not over broadcast", true, true, false, false);
	is(mode(&nd, NOMULTI, 0), 0, "NOMULTI off");
	is(mode(&nd, NOBCAST, 1), 0, "NOBCAST on");
	expect(&nd, nb, "NOBCAST wins over ALLMULTI", true, false, true, false);
	is(mode(&nd, NOUNI, 1), 0, "NOUNI on");
	is(mode(&nd, NOMULTI, 1), 0, "NOMULTI on");
	expect(&nd, nb, "nothing at all", false, false, false, false);
	is(mode(&nd, PROMISC, 1), 0, "PROMISC on");
	expect(&nd, nb, "PROMISC wins over all", true, true, true, true);
	nd_start(&nd, rx, 3);
	expect(&nd, nb, "after a reset", true, true, false, false);

	is(mode(&nd, PROMISC, 2), 1, "neither on nor off");
	is(mode(&nd, 6, 1), 1, "no such mode");
	is(nd_command(&nd, CTRLQ, RX, PROMISC, &byte, 0), 1, "no data");
	is(nd_command(&nd, CTRLQ, RX, PROMISC, "\1\1", 2), 1, "a byte too many");
	expect(&nd, nb, "after refused commands", true, true, false, false);
	nd_close(&nd);
}

/* --- addresses -------------------------------------------------------------------------------- */

/* A MAC table command with u and m addresses, both counted from addr; extra bytes behind. */
static int mac_table(struct nd *nd, uint32_t u, uint32_t m, const uint8_t *uni, const uint8_t *multi,
		     int extra)
{
	static uint8_t data[16384];
	size_t len = 0;

	memset(data, 0, sizeof(data));
	memcpy(data, &u, 4);
	len = 4;
	for (uint32_t i = 0; i < u && i < 1000; i++, len += 6) {
		memcpy(data + len, uni, 6);
		data[len + 4] = (uint8_t)(uni[4] ^ (u - 1 - i)); /* the last one is uni itself */
	}
	memcpy(data + len, &m, 4);
	len += 4;
	for (uint32_t i = 0; i < m && i < 1000; i++, len += 6) {
		memcpy(data + len, multi, 6);
		data[len + 4] = (uint8_t)(multi[4] ^ (m - 1 - i));
	}
	return nd_command(nd, CTRLQ, MAC, 0, data, len + (size_t)extra);
}

static void test_addresses(void)
{
	const uint64_t f = BASE | VBIT(VIRTIO_NET_F_CTRL_RX) | VBIT(VIRTIO_NET_F_CTRL_MAC_ADDR) |
			   VBIT(VIRTIO_NET_F_MAC);
	struct nb *nb = nb_new(ALL, 1500, 1);
	uint8_t mac[6];
	struct nd nd;

	nd_open(&nd, &nb->nif, NULL, 0);
	nd_start(&nd, f, 3);
	is(mac_table(&nd, 1, 1, other, group, 0), 0, "a table of one and one");
	expect(&nd, nb, "in the table", true, true, true, true);
	ok(!reaches(&nd, nb, other2, -1) && !reaches(&nd, nb, group2, -1), "others aren't let in");
	is(mac_table(&nd, 3, 64, other, group, 0), 0, "three and sixty-four");
	expect(&nd, nb, "the last ones", true, true, true, true);
	ok(!reaches(&nd, nb, other2, -1) && !reaches(&nd, nb, group2, -1), "others aren't let in");
	is(mac_table(&nd, 0, 65, other, group, 0), 0, "more groups than we keep");
	ok(reaches(&nd, nb, group2, -1), "then all groups are let in");
	ok(!reaches(&nd, nb, other, -1), "but no foreign address");
	is(mac_table(&nd, 1000, 0, other, group, 0), 0, "a thousand addresses");
	ok(reaches(&nd, nb, other2, -1) && !reaches(&nd, nb, group, -1), "the other way round");
	is(mac_table(&nd, 0, 0, other, group, 0), 0, "an empty table");
	expect(&nd, nb, "nothing in the table", true, true, false, false);

	is(mac_table(&nd, 1, 1, other, group, 0), 0, "filled");
	is(mac_table(&nd, 0, 0, other, group, 1), 1, "a byte too many");
	is(mac_table(&nd, 1, 1, other2, group2, -1), 1, "a byte too few");
	is(mac_table(&nd, 2000, 0, other2, group2, 0), 1, "fewer addresses than counted");
	is(nd_command(&nd, CTRLQ, MAC, 0, "\xff\xff\xff\xff\0\0\0\0", 8), 1, "2^32 - 1 addresses");
	is(nd_command(&nd, CTRLQ, MAC, 0, "\0\0\0\0\xab\xaa\xaa\x2a", 8), 1, "a count times six that wraps");
	is(nd_command(&nd, CTRLQ, MAC, 0, "\0\0\0\0", 4), 1, "one table only");
	is(nd_command(&nd, CTRLQ, MAC, 0, "\0\0\0", 3), 1, "half a count");
	is(nd_command(&nd, CTRLQ, MAC, 2, "\0\0\0\0\0\0\0\0", 8), 1, "no such command");
	expect(&nd, nb, "refused commands change nothing", true, true, true, true);
	nd_start(&nd, f, 3);
	expect(&nd, nb, "a reset empties the table", true, true, false, false);

	is(nd_command(&nd, CTRLQ, MAC, 1, other, 6), 0, "a new address");
	nd_config(&nd, 0, mac, 6);
	ok(!memcmp(mac, other, 6), "is in the configuration when the command comes back");
	ok(reaches(&nd, nb, other, -1) && !reaches(&nd, nb, NULL, -1), "and in force");
	is(nd_command(&nd, CTRLQ, MAC, 1, other2, 5), 1, "an address of five bytes");
	is(nd_command(&nd, CTRLQ, MAC, 1, "\2\0\0\0\0\x79\0", 7), 1, "one of seven");
	nd_config(&nd, 0, mac, 6);
	ok(!memcmp(mac, other, 6), "are refused");
	nd_start(&nd, BASE, 3);
	nd_config(&nd, 0, mac, 6);
	ok(!memcmp(mac, nd_mac, 6), "a reset brings ours back");
	is(nd_command(&nd, CTRLQ, MAC, 1, other, 6), 1, "no new address without CTRL_MAC_ADDR");
	is(mac_table(&nd, 0, 0, other, group, 0), 1, "no table without CTRL_RX");
	nd_close(&nd);
}

/* --- VLANs ------------------------------------------------------------------------------------ */

static void test_vlan(void)
{
	struct nb *nb = nb_new(ALL, 1500, 1);
	const uint64_t f = BASE | VBIT(VIRTIO_NET_F_CTRL_VLAN);
	uint16_t id = 5;
	struct nd nd;

	nd_open(&nd, &nb->nif, NULL, 0);
	nd_start(&nd, BASE, 3);
	ok(reaches(&nd, nb, NULL, 5), "without CTRL_VLAN tagged packets come");
	is(nd_command(&nd, CTRLQ, VLAN, 0, &id, 2), 1, "and there is no table");
	nd_start(&nd, f, 3);
	ok(!reaches(&nd, nb, NULL, 5), "with it none at the start");
	ok(reaches(&nd, nb, NULL, -1), "untagged ones do");
	is(nd_command(&nd, CTRLQ, VLAN, 0, &id, 2), 0, "add 5");
	ok(reaches(&nd, nb, NULL, 5), "5 comes");
	ok(!reaches(&nd, nb, NULL, 6) && !reaches(&nd, nb, NULL, 4) && !reaches(&nd, nb, NULL, 13) &&
	   !reaches(&nd, nb, NULL, 0), "others don't");
	is(nd_command(&nd, CTRLQ, VLAN, 0, "\xff\x0f", 2), 0, "add 4095");
	ok(reaches(&nd, nb, NULL, 4095) && reaches(&nd, nb, NULL, 5), "both come");
	is(nd_command(&nd, CTRLQ, VLAN, 1, &id, 2), 0, "delete 5");
	ok(!reaches(&nd, nb, NULL, 5) && reaches(&nd, nb, NULL, 4095), "4095 is left");
	is(nd_command(&nd, CTRLQ, VLAN, 1, &id, 2), 0, "delete what isn't there");
	is(nd_command(&nd, CTRLQ, VLAN, 0, "\0\x10", 2), 1, "4096 is no VLAN");
	is(nd_command(&nd, CTRLQ, VLAN, 0, "\xff\xff", 2), 1, "nor is 65535");
	is(nd_command(&nd, CTRLQ, VLAN, 0, "\5", 1), 1, "a byte too few");
	is(nd_command(&nd, CTRLQ, VLAN, 0, "\5\0\0", 3), 1, "a byte too many");
	is(nd_command(&nd, CTRLQ, VLAN, 2, &id, 2), 1, "no such command");
	ok(!reaches(&nd, nb, NULL, 5), "refused commands change nothing");
	nd_start(&nd, f, 3);
	ok(!reaches(&nd, nb, NULL, 4095), "a reset empties the table");
	nd_close(&nd);
}

/* --- offloads, pairs, the rest ---------------------------------------------------------------- */

static int offloads(struct nd *nd, uint64_t set)
{
	return nd_command(nd, CTRLQ, OFFLOADS, 0, &set, 8);
}

static void test_offloads(void)
{
	struct nb *nb = nb_new(ALL, 1500, 1);
	const uint64_t f = 1 << 1 | 1 << 7 | 1 << 8;
	uint64_t set = 0;
	struct nd nd;

	nd_open(&nd, &nb->nif, NULL, 0);
	nd_start(&nd, BASE | f | VBIT(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS), 3);
	is(nb->offload, f, "all that were accepted are in force");
	is(offloads(&nd, 1 << 1), 0, "fewer");
	is(nb->offload, 1 << 1, "the back end is told");
	is(offloads(&nd, 0), 0, "none");
	is(nb->offload, 0, "told");
	is(offloads(&nd, f), 0, "all again");
	is(offloads(&nd, f | 1 << 10), 1, "one that wasn't accepted");
	is(offloads(&nd, 1ULL << 40), 1, "one that is none");
	is(offloads(&nd, 1 << 0), 1, "one of the host's");
	is(nd_command(&nd, CTRLQ, OFFLOADS, 0, &set, 7), 1, "a byte too few");
	is(nd_command(&nd, CTRLQ, OFFLOADS, 0, "\0\0\0\0\0\0\0\0", 9), 1, "a byte too many");
	is(nd_command(&nd, CTRLQ, OFFLOADS, 1, &set, 8), 1, "no such command");
	is(nb->offload, f, "refused commands change nothing");
	nb->refuse_offload = true;
	is(offloads(&nd, 0), 1, "what the back end refuses is refused");
	is(nd.net->rules.offload, f, "and not taken for done");
	nb->refuse_offload = false;
	nd_start(&nd, BASE | f, 3);
	is(offloads(&nd, 0), 1, "not without CTRL_GUEST_OFFLOADS");
	nd_close(&nd);
}

static void test_pairs(void)
{
	struct nb *nb = nb_new(ALL, 1500, 2);
	const uint64_t f = BASE | VBIT(VIRTIO_NET_F_MQ);
	static const struct netif_hdr plain;
	uint8_t frame[100], mac[6];
	uint16_t n;
	struct nd nd;

	nd_open(&nd, &nb->nif, NULL, 0);
	is(nb->spread, 1, "one pair in use at the start");
	nd_config(&nd, 8, &n, 2);
	is(n, 2, "max_virtqueue_pairs 2");
	nd_start(&nd, BASE, 3);
	is(nd_command(&nd, 2, RX, 200, mac, 1), 1, "without MQ the control queue is 2");
	is(nd_command(&nd, 2, MQ, 0, "\1\0", 2), 1, "and has no MQ commands");
	nd_start(&nd, f, 5);
	is(nd_command(&nd, 4, RX, 200, mac, 1), 1, "with MQ it is 4");
	is(nd_command(&nd, 4, MQ, 0, "\2\0", 2), 0, "two pairs");
	is(nb->spread, 2, "the back end is told");
	is(nd_command(&nd, 4, MQ, 0, "\1\0", 2), 0, "one");
	is(nb->spread, 1, "told");
	is(nd_command(&nd, 4, MQ, 0, "\0\0", 2), 1, "none is refused");
	is(nd_command(&nd, 4, MQ, 0, "\3\0", 2), 1, "three are refused");
	is(nd_command(&nd, 4, MQ, 0, "\1", 1), 1, "a byte too few");
	is(nd_command(&nd, 4, MQ, 0, "\1\0\0", 3), 1, "a byte too many");
	is(nd_command(&nd, 4, MQ, 0, "\2\0", 2), 0, "two again");
	nd_offer(&nd, 2, 256, 1);
	nd_kick(&nd, 2);
	ok(nb->want[1], "the second pair receives");
	nd_frame(frame, NULL, sizeof(frame), 1);
	nb_put(&nd, nb, &plain, frame, sizeof(frame));
	nb->nif.user.readable(nb->nif.user.opaque, 1);
	nd_turn(&nd);
	ok(drv_used(&nd.q[2], NULL, NULL) >= 0, "into its own buffers");
	nd.port->ops->reset(nd.port);
	is(nb->spread, 1, "a reset: one pair");
	nd_close(&nd);
}

/* 5.1.6.5: any framing; an unknown command is an error and not a failure. */
static void test_framing(void)
{
	struct nb *nb = nb_new(ALL, 1500, 1);
	const uint64_t f = BASE | VBIT(VIRTIO_NET_F_CTRL_RX) | VBIT(VIRTIO_NET_F_CTRL_MAC_ADDR);
	struct drv_seg seg[20];
	uint32_t used;
	uint64_t gpa, ack;
	struct nd nd;

	nd_open(&nd, &nb->nif, NULL, 0);
	nd_start(&nd, f, 3);
	gpa = nd_alloc(&nd, 16);
	ack = nd_alloc(&nd, 16);
	memcpy(nd_ptr(&nd, gpa), "\1\1\2\0\0\0\0\x55", 8);
	for (unsigned i = 0; i < 8; i++)
		seg[i] = (struct drv_seg){ gpa + i, 1, false };
	seg[8] = (struct drv_seg){ ack, 1, true };
	drv_add(&nd.q[CTRLQ], seg, 9);
	nd_kick(&nd, CTRLQ);
	ok(drv_used(&nd.q[CTRLQ], &used, NULL) >= 0 && used == 1, "a command in bytes");
	is(*(uint8_t *)nd_ptr(&nd, ack), 0, "is taken");
	is(nd.net->rules.mac[5], 0x55, "and done");

	((uint8_t *)nd_ptr(&nd, gpa))[7] = 0x66;
	seg[0] = (struct drv_seg){ gpa, 8, false };
	seg[1] = (struct drv_seg){ ack, 16, true };
	drv_add(&nd.q[CTRLQ], seg, 2);
	nd_kick(&nd, CTRLQ);
	ok(drv_used(&nd.q[CTRLQ], &used, NULL) >= 0 && used == 1, "in one piece, with room to spare");
	is(*(uint8_t *)nd_ptr(&nd, ack), 0, "is taken");
	is(nd.net->rules.mac[5], 0x66, "and done");

	((uint8_t *)nd_ptr(&nd, gpa))[7] = 0x77;
	drv_add(&nd.q[CTRLQ], seg, 1);
	nd_kick(&nd, CTRLQ);
	ok(drv_used(&nd.q[CTRLQ], &used, NULL) >= 0 && used == 0, "without room for the answer: comes back");
	is(nd.net->rules.mac[5], 0x66, "and isn't done");
	drv_add(&nd.q[CTRLQ], seg + 1, 1);
	nd_kick(&nd, CTRLQ);
	ok(drv_used(&nd.q[CTRLQ], &used, NULL) >= 0 && used == 1, "no command at all: an answer");
	is(*(uint8_t *)nd_ptr(&nd, ack), 1, "an error");
	seg[0].len = 1;
	drv_add(&nd.q[CTRLQ], seg, 2);
	nd_kick(&nd, CTRLQ);
	ok(drv_used(&nd.q[CTRLQ], &used, NULL) >= 0 && *(uint8_t *)nd_ptr(&nd, ack) == 1, "half a command");

	for (int class = 0; class < 256; class++) {
		int bad = 0;

		for (int cmd = class < 2 ? 16 : 0; cmd < 256; cmd += 5)
			bad += nd_command(&nd, CTRLQ, (uint8_t)class, (uint8_t)cmd, "\0", 1) != 1;
		if (bad || class % 51 == 0)
			is(bad, 0, "class %d: nothing unknown is taken", class);
		nd.brk = DRV_BASE + ND_QUEUES * ND_RINGS + 4096;
	}
	is(nd_command(&nd, CTRLQ, ANNOUNCE, 0, "", 0), 1, "no ANNOUNCE_ACK without ANNOUNCE");
	is(nd.failed, 0, "the device is well");
	nd_close(&nd);
}

/* Queues that the accepted features don't bring are there and do nothing. */
static void test_unused_queues(void)
{
	struct nb *nb = nb_new(ALL, 1500, 2);
	struct nd nd;

	nd_open(&nd, &nb->nif, NULL, 0);
	nd_start(&nd, V1 | VBIT(VIRTIO_NET_F_MRG_RXBUF), 5);
	for (unsigned n = 2; n < 5; n++) {
		nd_offer(&nd, n, 256, 1);
		nd_kick(&nd, n);
		is(drv_used(&nd.q[n], NULL, NULL), -1, "queue %u does nothing", n);
	}
	ok(reaches(&nd, nb, NULL, -1), "the first works");
	is(nd.failed, 0, "the device is well");
	nd_close(&nd);
}

int main(void)
{
	capture_log();
	test_modes();
	test_addresses();
	test_vlan();
	test_offloads();
	test_pairs();
	test_framing();
	test_unused_queues();
	return tap_end();
}
