// SPDX-License-Identifier: GPL-2.0-only
/*
 * The network device in front of the real things, in a network namespace of our own: a tap whose other
 * end is this kernel's, and passt where it is installed.
 */
#include <arpa/inet.h>

#include "net_driver.h"

#define V1  VBIT(VIRTIO_F_VERSION_1)
#define ARP 0x0806
#define IP  0x0800

static const struct netif_hdr plain;
static const uint8_t broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

static uint16_t checksum(const uint8_t *p, size_t len, uint32_t sum)
{
	for (size_t i = 0; i < len; i++)
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* --- the driver's way of sending and receiving ------------------------------------------------ */

static void transmit(struct nd *nd, const struct netif_hdr *hdr, const uint8_t *frame, size_t len)
{
	uint64_t gpa;
	struct drv_seg seg;

	if (nd->brk > DRV_BASE + ND_RAM / 2) /* nothing is kept: start over */
		nd->brk = DRV_BASE + ND_QUEUES * ND_RINGS + (4 << 20);
	gpa = nd_alloc(nd, NETIF_HDR + len);
	seg = (struct drv_seg){ gpa, (uint32_t)(NETIF_HDR + len), false };
	memcpy(nd_ptr(nd, gpa), hdr, NETIF_HDR);
	memcpy(nd_ptr(nd, gpa + NETIF_HDR), frame, len);
	drv_add(&nd->q[1], &seg, 1);
	nd_kick(nd, 1);
	while (drv_used(&nd->q[1], NULL, NULL) >= 0)
		;
}

#define SLOT 4096
static uint64_t slot_of[65536]; /* rx buffer by id */

static void post(struct nd *nd, uint64_t gpa)
{
	struct drv_seg seg = { gpa, SLOT, true };

	slot_of[drv_add(&nd->q[0], &seg, 1)] = gpa;
}

static void post_all(struct nd *nd)
{
	for (int i = 0; i < ND_SIZE; i++)
		post(nd, nd_alloc(nd, SLOT));
	nd_kick(nd, 0);
}

/* The next packet, merged; its length without header, or 0 after ms. */
static size_t receive(struct nd *nd, struct netif_hdr *hdr, uint8_t *frame, int ms)
{
	uint64_t gpa;
	size_t at = 0;
	uint32_t len;
	int id;

	TURN_UNTIL(nd->loop, drv_has_used(&nd->q[0]), ms);
	id = drv_used(&nd->q[0], &len, NULL);
	if (id < 0)
		return 0;
	gpa = slot_of[id];
	memcpy(hdr, nd_ptr(nd, gpa), NETIF_HDR);
	memcpy(frame, nd_ptr(nd, gpa + NETIF_HDR), len - NETIF_HDR);
	at = len - NETIF_HDR;
	post(nd, gpa);
	for (int more = hdr->num_buffers; more > 1; more--) {
		id = drv_used(&nd->q[0], &len, NULL);
		gpa = slot_of[id < 0 ? 0 : id];
		memcpy(frame + at, nd_ptr(nd, gpa), len);
		at += len;
		post(nd, gpa);
	}
	nd_kick(nd, 0);
	return at;
}

static unsigned type_of(const uint8_t *frame)
{
	return (unsigned)frame[12] << 8 | frame[13];
}

static void ethernet(uint8_t *frame, const uint8_t *dst, unsigned type)
{
	memcpy(frame, dst, 6);
	memcpy(frame + 6, nd_mac, 6);
	put16(frame + 12, type);
}

/* Asks who has ip; the answer's address into mac. */
static bool arp(struct nd *nd, uint32_t from, uint32_t ip, uint8_t mac[6])
{
	static uint8_t back[NETIF_FRAME_MAX];
	uint8_t frame[60] = { 0 };
	struct netif_hdr hdr;
	size_t len;

	ethernet(frame, broadcast, ARP);
	memcpy(frame + 14, "\0\1\x08\0\6\4\0\1", 8);
	memcpy(frame + 22, nd_mac, 6);
	put32(frame + 28, from);
	put32(frame + 38, ip);
	transmit(nd, &plain, frame, sizeof(frame));
	for (int i = 0; i < 20; i++) {
		len = receive(nd, &hdr, back, 1000);
		if (len >= 42 && type_of(back) == ARP && back[21] == 2 && get32(back + 28) == ip) {
			memcpy(mac, back + 22, 6);
			return true;
		}
	}
	return false;
}

/* An IP header for len bytes of payload at frame + 14. */
static void ip_header(uint8_t *frame, uint8_t proto, uint32_t from, uint32_t to, size_t len)
{
	uint8_t *ip = frame + 14;

	memset(ip, 0, 20);
	ip[0] = 0x45;
	put16(ip + 2, (unsigned)(20 + len));
	ip[8] = 64;
	ip[9] = proto;
	put32(ip + 12, from);
	put32(ip + 16, to);
	put16(ip + 10, checksum(ip, 20, 0));
}

/* The sum over the pseudo-header, as a start for checksum(). */
static uint32_t pseudo(const uint8_t *frame, uint8_t proto, size_t len)
{
	uint16_t sum = (uint16_t)~checksum(frame + 26, 8, (uint32_t)proto + (uint32_t)len);

	return sum;
}

/* --- tap -------------------------------------------------------------------------------------- */

#define HOST  0xc0000201 /* 192.0.2.1 */
#define GUEST 0xc0000202

static bool ping(struct nd *nd, const uint8_t *host, size_t len)
{
	static uint8_t frame[NETIF_FRAME_MAX], back[NETIF_FRAME_MAX];
	struct netif_hdr hdr;

	ethernet(frame, host, IP);
	ip_header(frame, 1, GUEST, HOST, 8 + len);
	memset(frame + 34, 0, 8);
	frame[34] = 8; /* echo request */
	for (size_t i = 0; i < len; i++)
		frame[42 + i] = (uint8_t)(i * 31);
	put16(frame + 36, checksum(frame + 34, 8 + len, 0));
	transmit(nd, &plain, frame, 42 + len);
	for (int i = 0; i < 20; i++) {
		size_t n = receive(nd, &hdr, back, 1000);

		if (n == 42 + len && type_of(back) == IP && back[23] == 1 && back[34] == 0)
			return !memcmp(back + 42, frame + 42, len);
	}
	return false;
}

static void test_ping(struct nd *nd)
{
	uint8_t host[6];

	ok(arp(nd, GUEST, HOST, host), "the host answers an ARP request");
	for (size_t len = 0; len <= 1472; len += 368)
		ok(ping(nd, host, len), "and a ping of %zu bytes", len);
}

/* A UDP datagram whose checksum, or segmentation, is left to the host. */
static void test_send_offloads(struct nd *nd, const uint8_t *host)
{
	static uint8_t frame[14 + 20 + 8 + 6000], got[7000];
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(7777),
				   .sin_addr.s_addr = htonl(HOST) };
	struct netif_hdr hdr = { .flags = 1, .csum_start = 34, .csum_offset = 6 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	ssize_t n = -1;
	int good = 0;

	if (bind(fd, (struct sockaddr *)&sin, sizeof(sin)))
		abort();
	ethernet(frame, host, IP);
	for (size_t i = 42; i < sizeof(frame); i++)
		frame[i] = (uint8_t)(i * 13);
	ip_header(frame, 17, GUEST, HOST, 8 + 1000);
	put16(frame + 34, 5555);
	put16(frame + 36, 7777);
	put16(frame + 38, 8 + 1000);
	put16(frame + 40, (uint16_t)pseudo(frame, 17, 8 + 1000));
	transmit(nd, &hdr, frame, 42 + 1000);
	TURN_UNTIL(nd->loop, (n = recv(fd, got, sizeof(got), 0)) > 0, 1000);
	is(n, 1000, "a datagram with a partial checksum arrives");
	ok(n == 1000 && !memcmp(got, frame + 42, 1000), "as it was sent");
	frame[1000] ^= 1;
	transmit(nd, &plain, frame, 42 + 1000);
	turn_for(nd->loop, 30);
	ok(recv(fd, got, sizeof(got), 0) < 0, "the same without NEEDS_CSUM is a wrong checksum");

	if (!vdev_has(&nd->net->dev, VIRTIO_NET_F_HOST_USO)) {
		skip("this kernel has no USO for taps", "segmentation");
		close(fd);
		return;
	}
	hdr.gso_type = 5;
	hdr.gso_size = 1000;
	hdr.hdr_len = 0xffff; /* a hint, and a wrong one */
	ip_header(frame, 17, GUEST, HOST, 8 + 6000);
	put16(frame + 38, 8 + 6000);
	put16(frame + 40, (uint16_t)pseudo(frame, 17, 8 + 6000));
	transmit(nd, &hdr, frame, sizeof(frame));
	for (int i = 0; i < 6; i++) {
		TURN_UNTIL(nd->loop, (n = recv(fd, got, sizeof(got), 0)) > 0, 1000);
		good += n == 1000 && !memcmp(got, frame + 42 + 1000 * i, 1000);
	}
	is(good, 6, "6000 bytes to be segmented arrive as six datagrams, in order");
	close(fd);
}

/* The host sends UDP: is the checksum what the driver accepted? */
static void test_receive_offloads(struct nd *nd, bool guest_csum)
{
	static uint8_t back[NETIF_FRAME_MAX];
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(5555),
				  .sin_addr.s_addr = htonl(GUEST) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct netif_hdr hdr;
	size_t len = 0;
	uint16_t sum;

	if (sendto(fd, "hello host", 10, 0, (struct sockaddr *)&to, sizeof(to)) != 10)
		abort();
	close(fd);
	for (int i = 0; i < 20; i++) {
		len = receive(nd, &hdr, back, 1000);
		if (len && type_of(back) == IP && back[23] == 17)
			break;
	}
	ok(len >= 42 + 10 && !memcmp(back + 42, "hello host", 10), "a datagram of the host's comes");
	sum = checksum(back + 34, 18, pseudo(back, 17, 18));
	if (guest_csum) {
		ok(hdr.flags & 1 && hdr.csum_start == 34 && hdr.csum_offset == 6, "NEEDS_CSUM");
		sum = (uint16_t)~pseudo(back, 17, 18);
		is(back[40] << 8 | back[41], (uint16_t)~sum, "the pseudo-header's sum is there");
	} else {
		is(hdr.flags, 0, "no flags without GUEST_CSUM");
		is(sum, 0, "the checksum is right");
	}
}

/* One TCP stream from the host, with a driver that does just enough of TCP. */
static void test_tso(struct nd *nd, const uint8_t *host, bool tso)
{
	static uint8_t back[NETIF_FRAME_MAX], data[40000], got[sizeof(data)];
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(6666),
				   .sin_addr.s_addr = htonl(HOST) };
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), conn;
	static uint16_t port = 4000;
	uint32_t seq = 1000, peer = 0;
	size_t at = 0, largest = 0, len;
	struct netif_hdr hdr;
	uint8_t f[54];
	int state = 0, bad = 0;

	port++;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&sin, sizeof(sin)) || listen(fd, 1))
		abort();
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 17 + i / 251);
	for (int turn = 0; turn < 200 && at < sizeof(data); turn++) {
		memset(f, 0, sizeof(f));
		ethernet(f, host, IP);
		ip_header(f, 6, GUEST, HOST, 20);
		put16(f + 34, port);
		put16(f + 36, 6666);
		put32(f + 38, seq);
		put32(f + 42, peer);
		f[46] = 5 << 4;
		f[47] = state ? 0x10 : 0x02; /* ACK or SYN */
		put16(f + 48, 65535);
		put16(f + 50, checksum(f + 34, 20, pseudo(f, 6, 20)));
		transmit(nd, &plain, f, sizeof(f));
		if (state == 1) {
			state = 2;
			conn = accept(fd, NULL, NULL);
			if (send(conn, data, sizeof(data), MSG_DONTWAIT) < 0)
				abort();
			close(conn);
		}
		len = receive(nd, &hdr, back, 1000);
		while (len && (type_of(back) != IP || back[23] != 6))
			len = receive(nd, &hdr, back, 1000);
		if (!len)
			break;
		if (!state) {
			peer = get32(back + 38) + 1;
			seq++;
			state = 1;
			continue;
		}
		if (get32(back + 38) != peer)
			continue; /* sent again: we have it */
		/* The frame may be longer than the packet; its own length counts. */
		len = ((size_t)back[16] << 8 | back[17]) - 20 - (size_t)(back[46] >> 4) * 4;
		memcpy(got + at, back + 34 + (back[46] >> 4) * 4, at + len <= sizeof(got) ? len : 0);
		at += len;
		peer += (uint32_t)len;
		largest = len > largest ? len : largest;
		bad += tso ? len > 1460 && (hdr.gso_type & 0x7f) != 1 : hdr.gso_type != 0;
	}
	is(at, sizeof(data), "40000 bytes of TCP come from the host, TSO %s", tso ? "on" : "off");
	ok(!memcmp(got, data, sizeof(data)), "as they were sent");
	is(bad, 0, "segments are marked as what they are");
	if (tso)
		ok(largest > 1460, "some longer than a packet (%zu)", largest);
	else
		ok(largest <= 1460, "none longer than a packet (%zu)", largest);
	close(fd);
}

static void test_tap(void)
{
	const struct netif_conf conf = { .mode = NETIF_TAP, .tap = "vm", .host_ip = "192.0.2.1/24" };
	const uint64_t host_offloads = VBIT(0) | VBIT(11) | VBIT(12) | VBIT(VIRTIO_NET_F_HOST_USO);
	uint8_t host[6] = { 0 };
	struct netif *nif = netif_open("net0", &conf);
	struct nd nd;
	uint64_t base;

	if (!ok(nif && nd_open(&nd, nif, NULL, 0), "a device in front of a tap"))
		return;
	base = nd.port->features & ~NET_GUEST_OFFLOADS & ~VBIT(VIRTIO_F_RING_RESET);
	ok((base & host_offloads & ~VBIT(VIRTIO_NET_F_HOST_USO)) == (VBIT(0) | VBIT(11) | VBIT(12)),
	   "CSUM and TSO are offered");
	ok(nd.port->features & VBIT(VIRTIO_NET_F_MTU), "and the MTU");
	nd.event_idx = true;
	nd_start(&nd, base, 3);
	post_all(&nd);
	test_ping(&nd);
	arp(&nd, GUEST, HOST, host);
	test_send_offloads(&nd, host);
	test_receive_offloads(&nd, false);
	test_tso(&nd, host, false);
	nd_start(&nd, base | (nd.port->features & NET_GUEST_OFFLOADS), 3);
	post_all(&nd);
	test_ping(&nd);
	test_receive_offloads(&nd, true);
	test_tso(&nd, host, true);
	is(nd.failed, 0, "the device is well");
	nd_close(&nd);
	ok(!if_nametoindex("vm"), "the tap went with it");
}

/* --- passt ------------------------------------------------------------------------------------ */

/* Option 53 of a DHCP message. */
static int dhcp_type(const uint8_t *m, size_t len)
{
	for (size_t at = 240; at + 2 < len && m[at] != 255; at += m[at] ? 2U + m[at + 1] : 1U)
		if (m[at] == 53)
			return m[at + 2];
	return -1;
}

/* The gateway's address stands for the host's own: a server on 127.0.0.1 is in reach. */
static void test_gateway(struct nd *nd, const uint8_t *gateway)
{
	static uint8_t back[NETIF_FRAME_MAX];
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(8000),
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct netif_hdr hdr;
	uint8_t f[54] = { 0 };
	size_t len = 0;

	if (bind(fd, (struct sockaddr *)&sin, sizeof(sin)) || listen(fd, 1))
		abort();
	ethernet(f, gateway, IP);
	ip_header(f, 6, 0x0a00020f, 0x0a000202, 20);
	put16(f + 34, 4000);
	put16(f + 36, 8000);
	f[46] = 5 << 4;
	f[47] = 0x02; /* SYN */
	put16(f + 48, 65535);
	put16(f + 50, checksum(f + 34, 20, pseudo(f, 6, 20)));
	transmit(nd, &plain, f, sizeof(f));
	for (int i = 0; i < 20; i++) {
		len = receive(nd, &hdr, back, 2000);
		if (!len || (type_of(back) == IP && back[23] == 6))
			break;
	}
	ok(len >= 54 && get32(back + 26) == 0x0a000202 && (back[47] & 0x3f) == 0x12,
	   "a server on the host's lo answers at the gateway's address");
	close(fd);
}

static void test_passt(void)
{
	static uint8_t frame[14 + 20 + 8 + 300], back[NETIF_FRAME_MAX];
	const struct netif_conf conf = { .mode = NETIF_USER, .mac = nd_mac };
	struct netif *nif = netif_open("net0", &conf);
	uint8_t *bootp = frame + 42, host[6];
	struct netif_hdr hdr = { 0 };
	struct nd nd;
	size_t len = 0;

	if (!ok(nif && nd_open(&nd, nif, NULL, 0), "a device in front of passt"))
		return;
	ok(!(nd.port->features & (VBIT(0) | NET_GUEST_OFFLOADS)), "offers no offloads");
	nd_start(&nd, nd.port->features & ~VBIT(VIRTIO_F_RING_RESET) & ~VBIT(VIRTIO_F_EVENT_IDX), 3);
	post_all(&nd);
	ethernet(frame, broadcast, IP);
	ip_header(frame, 17, 0, 0xffffffff, 308);
	put16(frame + 34, 68);
	put16(frame + 36, 67);
	put16(frame + 38, 308);
	memcpy(bootp, "\1\1\6\0\1\2\3\4", 8);
	memcpy(bootp + 28, nd_mac, 6);
	memcpy(bootp + 236, "\x63\x82\x53\x63\x35\1\1\xff", 8); /* DISCOVER */
	transmit(&nd, &plain, frame, sizeof(frame));
	for (int i = 0; i < 20; i++) {
		len = receive(&nd, &hdr, back, 2000);
		if (!len || (type_of(back) == IP && back[23] == 17 && back[37] == 68))
			break;
	}
	ok(len > 42 + 240 && !memcmp(back + 42 + 4, "\1\2\3\4", 4), "DISCOVER is answered");
	is(get32(back + 42 + 16), 0x0a00020f, "with an address: 10.0.2.15");
	is(dhcp_type(back + 42, len - 42), 2, "as an OFFER");
	ok(!hdr.flags && !hdr.gso_type, "behind a plain header");
	ok(arp(&nd, 0x0a00020f, 0x0a000202, host), "the gateway answers ARP");
	test_gateway(&nd, host);
	is(nd.died, 0, "it lives");
	kill(child_of(getpid()), SIGKILL);
	TURN_UNTIL(nd.loop, nd.died, 2000);
	is(nd.died, 1, "killed: the machine is told");
	nd_config(&nd, 6, back, 2);
	is(back[0], 0, "and the guest's link is down");
	transmit(&nd, &plain, frame, sizeof(frame));
	is(nd.failed, 0, "the device is well");
	nd_close(&nd);
}

int main(void)
{
	const char *why = own_network();

	capture_log();
	if (why || access("/dev/net/tun", R_OK | W_OK))
		skip(why ? why : "no /dev/net/tun", "a device in front of a tap");
	else
		test_tap();
	if (why || system("command -v passt >/dev/null 2>&1"))
		skip(why ? why : "passt is not installed", "a device in front of passt");
	else
		test_passt();
	return tap_end();
}
