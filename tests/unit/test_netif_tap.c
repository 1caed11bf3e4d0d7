// SPDX-License-Identifier: GPL-2.0-only
/* Tap interfaces, in a network namespace of our own: opening, going, packets, link, and what fails. */
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <linux/capability.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/ethernet.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "lkvm/netif.h"
#include "net_host.h"

struct seen {
	int readable, died, link_calls;
	bool up;
};

static void on_readable(void *opaque, unsigned queue)
{
	(void)queue;
	((struct seen *)opaque)->readable++;
}

static void on_link(void *opaque, bool up)
{
	((struct seen *)opaque)->link_calls++;
	((struct seen *)opaque)->up = up;
}

static void on_died(void *opaque)
{
	((struct seen *)opaque)->died++;
}

static struct netif *open_tap(const char *tap, const char *host_ip, const char *script,
			      unsigned queues)
{
	const struct netif_conf conf = { .mode = NETIF_TAP, .tap = tap, .host_ip = host_ip,
					 .script = script, .queues = queues };

	return netif_open("net0", &conf);
}

static bool attach(struct netif *nif, struct loop *loop, struct seen *s)
{
	const struct netif_user user = { .readable = on_readable, .link = on_link, .died = on_died,
					 .opaque = s };

	memset(s, 0, sizeof(*s));
	return !netif_attach(nif, loop, &user);
}

static short if_flags(const char *ifname)
{
	struct ifreq ifr = { 0 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", ifname);
	if (ioctl(fd, SIOCGIFFLAGS, &ifr))
		ifr.ifr_flags = 0;
	close(fd);
	return ifr.ifr_flags;
}

static void set_up(const char *ifname, bool up)
{
	struct ifreq ifr = { 0 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", ifname);
	ifr.ifr_flags = up ? IFF_UP : 0;
	if (ioctl(fd, SIOCSIFFLAGS, &ifr))
		abort();
	close(fd);
}

static void set_mtu(const char *ifname, int mtu)
{
	struct ifreq ifr = { .ifr_mtu = mtu };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", ifname);
	if (ioctl(fd, SIOCSIFMTU, &ifr))
		abort();
	close(fd);
}

static bool has_address(const char *ifname, const char *text)
{
	struct ifaddrs *all, *a;
	char name[INET6_ADDRSTRLEN];
	bool found = false;

	if (getifaddrs(&all))
		abort();
	for (a = all; a; a = a->ifa_next) {
		int family = a->ifa_addr ? a->ifa_addr->sa_family : 0;

		if (strcmp(a->ifa_name, ifname) || (family != AF_INET && family != AF_INET6))
			continue;
		inet_ntop(family,
			  family == AF_INET ?
				  (void *)&((struct sockaddr_in *)(void *)a->ifa_addr)->sin_addr :
				  (void *)&((struct sockaddr_in6 *)(void *)a->ifa_addr)->sin6_addr,
			  name, sizeof(name));
		found |= !strcmp(name, text);
	}
	freeifaddrs(all);
	return found;
}

/* --- coming and going ------------------------------------------------------------------------- */

static int raw_tap(const char *name, short flags, bool persist)
{
	struct ifreq ifr = { .ifr_flags = (short)(flags | IFF_TAP) };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr) || (persist && ioctl(fd, TUNSETPERSIST, 1)))
		abort();
	return fd;
}

static void test_life(void)
{
	struct netif *nif = open_tap(NULL, NULL, NULL, 1), *other;
	int fd;

	ok(nif && if_nametoindex("lkvm0"), "the kernel picks a name");
	other = open_tap(NULL, NULL, NULL, 1);
	ok(other && if_nametoindex("lkvm1"), "and another for the next");
	netif_close(other);
	netif_close(nif);
	ok(!if_nametoindex("lkvm0") && !if_nametoindex("lkvm1"), "both are gone after close");

	nif = open_tap("vm", "192.0.2.1/24", NULL, 1);
	ok(nif && if_nametoindex("vm"), "a name of our choice");
	ok(has_address("vm", "192.0.2.1") && if_flags("vm") & IFF_UP, "address set, interface up");
	is(netif_info(nif)->mtu, 1500, "its MTU is known");
	ok(!open_tap("vm", NULL, NULL, 1), "the same again: refused");
	ok(logged_line("lkvm: net0: cannot open vm: another program has it"), "in one line");
	netif_close(nif);

	nif = open_tap("vm", "fd00:1::1/64", NULL, 1);
	ok(nif && has_address("vm", "fd00:1::1") && if_flags("vm") & IFF_UP, "an IPv6 address");
	netif_close(nif);

	close(raw_tap("keep", 0, true));
	nif = open_tap("keep", "192.0.2.1/24", NULL, 1);
	ok(nif, "a persistent tap is used");
	netif_close(nif);
	ok(if_nametoindex("keep"), "and stays");
	nif = open_tap("keep", "192.0.2.1/24", NULL, 1);
	ok(nif, "again, with the address it has already");
	netif_close(nif);
	fd = raw_tap("keep", 0, false);
	ioctl(fd, TUNSETPERSIST, 0);
	close(fd);

	close(raw_tap("multi", IFF_MULTI_QUEUE, true));
	nif = open_tap("multi", NULL, NULL, 1);
	ok(nif, "a persistent tap for several queues serves one as well");
	netif_close(nif);
	nif = open_tap("multi", NULL, NULL, 4);
	is(nif ? netif_info(nif)->queues : 0, 4, "and four");
	netif_close(nif);
	fd = raw_tap("multi", IFF_MULTI_QUEUE, false);
	ioctl(fd, TUNSETPERSIST, 0);
	close(fd);
	is_str(logged(), "", "nothing else was said");
}

static void test_refusals(void)
{
	static const char *const bad_ip[] = { "192.0.2.1", "192.0.2.1/33", "192.0.2/24", "x/24",
					      "192.0.2.1/", "/24", "fd00::1/129", "192.0.2.1/2x" };
	static const char *const bad_name[] = { "", "a-name-that-is-too-long", "a/b", "a%d", "a b" };
	int fd;

	for (unsigned i = 0; i < 8; i++) {
		ok(!open_tap(NULL, bad_ip[i], NULL, 1), "host-ip=%s is refused", bad_ip[i]);
		ok(logged_line("Fix: address/prefix"), "with what is right");
	}
	for (unsigned i = 0; i < 5; i++) {
		ok(!open_tap(bad_name[i], NULL, NULL, 1), "tap='%s' is refused", bad_name[i]);
		ok(logged_line("is no interface name"), "in one line");
	}
	ok(!open_tap("lo", NULL, NULL, 1), "an interface that is no tap");
	ok(logged_line("it is an interface, but no tap"), "in one line");
	close(raw_tap("single", 0, true));
	ok(!open_tap("single", NULL, NULL, 2), "a persistent tap for one queue isn't one for two");
	ok(logged_line("for another number of queues"), "in one line");
	ok(!open_tap(NULL, NULL, NULL, NETIF_QUEUES_MAX + 1), "too many queues");
	ok(logged_line("queues=9: at most 8"), "in one line");
	ok(!if_nametoindex("lkvm0"), "nothing is left of them");
	fd = raw_tap("single", 0, false);
	ioctl(fd, TUNSETPERSIST, 0);
	close(fd);
}

/* Without the right to make interfaces; in a child, which loses it. */
static void test_rights(void)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct caps[2];
	int status;
	pid_t pid;

	close(raw_tap("ready", 0, true));
	fflush(stdout);
	pid = fork();
	if (!pid) {
		int bad = 0;

		if (syscall(SYS_capget, &head, caps))
			_exit(99);
		caps[0].effective &= ~(1U << CAP_NET_ADMIN);
		if (syscall(SYS_capset, &head, caps))
			_exit(99);
		bad |= open_tap("mine", NULL, NULL, 1) != NULL;
		bad |= !logged_line("Fix: sudo ip tuntap add mine mode tap user $USER") << 1;
		bad |= (open_tap("ready", "192.0.2.9/24", NULL, 1) != NULL) << 2;
		bad |= !logged_line("Fix: sudo ip addr add 192.0.2.9/24 dev ready && sudo ip link") << 3;
		_exit(bad);
	}
	waitpid(pid, &status, 0);
	is(status, 0, "without CAP_NET_ADMIN: refused, with the command that helps");
	logged();
}

static void test_script(const char *dir)
{
	char good[128], bad[128], out[128], line[64] = "";
	struct netif *nif;
	FILE *f;

	snprintf(good, sizeof(good), "%s/good", dir);
	snprintf(bad, sizeof(bad), "%s/bad", dir);
	snprintf(out, sizeof(out), "%s/out", dir);
	f = fopen(good, "we");
	fprintf(f, "#!/bin/sh\necho noise\necho \"$# $1\" >%s\n", out);
	fclose(f);
	f = fopen(bad, "we");
	fprintf(f, "#!/bin/sh\nexit 3\n");
	fclose(f);
	chmod(good, 0700);
	chmod(bad, 0700);

	nif = open_tap("vm", NULL, good, 1);
	ok(nif, "a script that ends well");
	f = fopen(out, "re");
	ok(f && fgets(line, sizeof(line), f), "was run");
	is_str(line, "1 vm\n", "with the interface's name");
	if (f)
		fclose(f);
	is_str(logged(), "noise\n", "its output goes to stderr, as stdout is the guest's");
	netif_close(nif);
	ok(!open_tap("vm", NULL, bad, 1), "one that fails: no interface");
	ok(logged_line("bad vm failed: status 3"), "in one line");
	ok(!open_tap("vm", NULL, "/nonexistent/script", 1), "one that isn't there");
	ok(logged_line("cannot run script /nonexistent/script: No such file"), "in one line");
	ok(!if_nametoindex("vm"), "no interface is left");
	unlink(good);
	unlink(bad);
	unlink(out);
}

static void test_fd(void)
{
	struct netif_conf conf = { .mode = NETIF_FD };
	struct netif *nif;
	int sock = socket(AF_INET, SOCK_DGRAM, 0);

	conf.fd = 999;
	ok(!netif_open("net0", &conf), "a closed descriptor");
	ok(logged_line("fd=999: Bad file descriptor"), "in one line");
	conf.fd = sock;
	ok(!netif_open("net0", &conf), "a descriptor of something else");
	ok(logged_line("is no tap interface"), "in one line");
	close(sock);
	conf.fd = raw_tap("bare", IFF_NO_PI, false);
	ok(!netif_open("net0", &conf), "a tap without packet headers");
	ok(logged_line("bare was opened without packet headers. Fix: set IFF_TAP|IFF_NO_PI|IFF_VNET_HDR"),
	   "in one line");
	close(conf.fd);
	conf.fd = raw_tap("ready0", IFF_NO_PI | IFF_VNET_HDR, false);
	nif = netif_open("net0", &conf);
	ok(nif, "one that is right");
	is(nif ? netif_info(nif)->mtu : 0, 1500, "its MTU is known");
	is(fcntl(conf.fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK, "it doesn't block from now on");
	is(fcntl(conf.fd, F_GETFD), FD_CLOEXEC, "and no program we start gets it");
	netif_close(nif);
	ok(!if_nametoindex("ready0"), "it was taken over and is closed");
}

/* --- packets and link ------------------------------------------------------------------------- */

/* A socket that sees and makes Ethernet frames on the host's side. */
static int host_side(const char *ifname)
{
	struct sockaddr_ll ll = { .sll_family = AF_PACKET, .sll_protocol = htons(0x88b5),
				  .sll_ifindex = (int)if_nametoindex(ifname) };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(0x88b5));

	if (fd < 0 || bind(fd, (struct sockaddr *)&ll, sizeof(ll)))
		abort();
	return fd;
}

static void test_packets(struct loop *loop)
{
	static uint8_t frame[1514], back[NETIF_FRAME_MAX];
	struct netif_hdr hdr = { 0 };
	struct iovec out[3] = { { &hdr, sizeof(hdr) }, { frame, 100 }, { frame + 100, 1414 } };
	struct iovec in[3] = { { &hdr, sizeof(hdr) }, { back, 50 }, { back + 50, sizeof(back) - 50 } };
	struct netif *nif = open_tap("vm", "192.0.2.1/24", NULL, 1);
	struct seen s;
	int fd = host_side("vm");
	ssize_t n = 0;

	memset(frame, 0xff, 6);
	frame[12] = 0x88; /* "local experimental": nobody else speaks it */
	frame[13] = 0xb5;
	for (int i = 14; i < 1514; i++)
		frame[i] = (uint8_t)i;
	ok(attach(nif, loop, &s), "attached");
	is(s.link_calls, 1, "the link's state is told at once");
	ok(s.up, "it is up");
	is(netif_offload(nif, 0), 0, "no offloads");
	is(netif_send(nif, 0, out, 3), NETIF_HDR + 1514, "a packet goes out in three pieces");
	TURN_UNTIL(loop, (n = recv(fd, back, sizeof(back), 0)) > 0, 1000);
	is(n, 1514, "and arrives");
	ok(!memcmp(back, frame, 1514), "as it was");
	is(netif_send(nif, 0, out, 1), -EINVAL, "a packet that is none is refused");

	is(send(fd, frame, 1514, 0), 1514, "the host sends");
	turn_for(loop, 20);
	is(s.readable, 0, "not told unless wanted");
	netif_want_read(nif, 0, true);
	TURN_UNTIL(loop, s.readable, 1000);
	ok(s.readable, "told");
	memset(back, 0, sizeof(back));
	hdr.flags = 0xff;
	do /* the host has things of its own to say as well */
		n = netif_recv(nif, 0, in, 3);
	while (n > 0 && (back[12] != 0x88 || back[13] != 0xb5));
	is(n, NETIF_HDR + 1514, "comes in, in three pieces");
	ok(!memcmp(back, frame, 1514) && !hdr.flags && !hdr.gso_type, "whole, with a plain header");
	while (n > 0)
		n = netif_recv(nif, 0, in, 3);
	is(n, 0, "then there is none");

	set_up("vm", false);
	TURN_UNTIL(loop, !s.up, 1000);
	ok(!s.up, "the host takes it down: told");
	is(netif_send(nif, 0, out, 3), -EIO, "sending is refused, without waiting");
	set_up("vm", true);
	TURN_UNTIL(loop, s.up, 1000);
	ok(s.up && s.link_calls == 3, "and up again: told once each");
	set_mtu("vm", 1400);
	turn_for(loop, 20);
	is(s.link_calls, 3, "other changes aren't told");

	if (system("ip link del vm 2>/dev/null")) {
		skip("no ip command", "the interface is deleted");
	} else {
		TURN_UNTIL(loop, s.died, 1000);
		is(s.died, 1, "the interface is deleted: told");
		ok(strstr(logged(), "net0: the tap interface vm was deleted"), "and logged");
	}
	close(fd);
	netif_close(nif);
}

static void test_queues(struct loop *loop)
{
	static uint8_t back[NETIF_FRAME_MAX];
	struct netif_hdr hdr;
	struct iovec in[2] = { { &hdr, sizeof(hdr) }, { back, sizeof(back) } };
	struct netif *nif = open_tap("vm", "192.0.2.1/24", NULL, 2);
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0xc00002ff) };
	int got[2] = { 0 }, on = 1, fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct loop *second = loop_open("second");
	struct seen s;

	setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof(on));
	netif_place(nif, 1, second);
	ok(nif && attach(nif, loop, &s), "two queues");
	for (unsigned use = 2; use; use--) {
		is(netif_spread(nif, use), 0, "%u in use", use);
		for (unsigned q = 0; q < 2; q++)
			while (netif_recv(nif, q, in, 2) > 0)
				;
		got[0] = got[1] = 0;
		for (int port = 1; port <= 64; port++) { /* each its own flow */
			to.sin_port = htons((uint16_t)(1000 + port));
			if (sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)) != 1)
				abort();
		}
		for (unsigned q = 0; q < 2; q++)
			while (netif_recv(nif, q, in, 2) > 0)
				got[q] += back[12] == 8 && back[13] == 0;
		is(got[0] + got[1], 64, "all flows arrive");
		if (use == 2)
			ok(got[0] && got[1], "on both (%d, %d)", got[0], got[1]);
		else
			is(got[1], 0, "on the first only");
	}
	is(netif_spread(nif, 3), -EINVAL, "more than there are: refused");
	is(netif_spread(nif, 0), -EINVAL, "none: refused");
	is(netif_spread(nif, 2), 0, "two again");
	netif_watch(nif, 1, true);
	netif_watch(nif, 1, true);
	netif_want_read(nif, 0, true); /* or nothing wakes us */
	netif_want_read(nif, 1, true);
	if (system("ip link del vm 2>/dev/null")) {
		skip("no ip command", "the interface is deleted");
	} else {
		uint64_t events;

		TURN_UNTIL(loop, s.died, 1000);
		ok(netif_spread(nif, 2) < 0, "without an interface there is nothing to spread over");
		events = loop_events(loop) + loop_events(second);
		turn_for(loop, 20);
		turn_for(second, 20);
		ok(loop_events(loop) + loop_events(second) - events < 10,
		   "nor to be told of again and again, on either queue's loop");
		is(s.died, 1, "... nor twice");
		netif_watch(nif, 1, true);
		events = loop_events(second);
		turn_for(second, 20);
		is(loop_events(second) - events, 0, "and it is watched no more");
	}
	close(fd);
	netif_close(nif);
	loop_close(second);
}

/* The host's UDP checksum: left to the guest when it may be, complete when not. */
static void test_checksum(struct loop *loop)
{
	static uint8_t back[NETIF_FRAME_MAX];
	struct netif_hdr hdr;
	struct iovec in[2] = { { &hdr, sizeof(hdr) }, { back, sizeof(back) } };
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9),
				  .sin_addr.s_addr = htonl(0xc00002ff) };
	int on = 1, fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct netif *nif = open_tap("vm", "192.0.2.1/24", NULL, 1);
	struct seen s;
	ssize_t n;

	setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof(on));
	ok(nif && attach(nif, loop, &s), "attached");
	ok(netif_info(nif)->features & 2, "the kernel grants GUEST_CSUM");
	for (int partial = 0; partial < 2; partial++) {
		is(netif_offload(nif, partial ? 2 : 0), 0, "GUEST_CSUM %s", partial ? "on" : "off");
		if (sendto(fd, "hello", 5, 0, (struct sockaddr *)&to, sizeof(to)) != 5)
			abort();
		do
			n = netif_recv(nif, 0, in, 2);
		while (n > 0 && (back[12] != 8 || back[23] != 17));
		ok(n > 0, "the host's packet comes");
		is(hdr.flags & 1, partial, "NEEDS_CSUM is %s", partial ? "set" : "clear");
		if (partial)
			ok(hdr.csum_start == 34 && hdr.csum_offset == 6, "and says where");
	}
	is(netif_offload(nif, 2 | 1 << 7 | 1 << 8 | 1 << 9), 0, "TSO and ECN are granted");
	close(fd);
	netif_close(nif);
}

int main(void)
{
	char dir[] = "/tmp/lkvm-tap-XXXXXX";
	const char *why = own_network();
	struct loop *loop = loop_open("test");

	if (!why && access("/dev/net/tun", R_OK | W_OK))
		why = "no /dev/net/tun";
	if (why) {
		skip(why, "tap interfaces");
		loop_close(loop);
		return tap_end();
	}
	if (!mkdtemp(dir))
		return 1;
	capture_log();
	test_life();
	test_refusals();
	test_rights();
	test_script(dir);
	test_fd();
	test_packets(loop);
	test_queues(loop);
	test_checksum(loop);
	rmdir(dir);
	loop_close(loop);
	return tap_end();
}
