// SPDX-License-Identifier: GPL-2.0-only
/*
 * link: asks and tells the host's kernel about one interface; addresses and changes by rtnetlink.
 *
 * Runs on: main (set-up), loop (watch).
 */
#include "net/link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static int if_ioctl(unsigned long request, const char *ifname, struct ifreq *ifr)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int err = 0;

	memset(ifr, 0, sizeof(*ifr));
	if (fd < 0)
		return -errno;
	snprintf(ifr->ifr_name, sizeof(ifr->ifr_name), "%s", ifname);
	if (ioctl(fd, request, ifr))
		err = -errno;
	close(fd);
	return err;
}

unsigned link_mtu(const char *ifname)
{
	struct ifreq ifr;

	return if_ioctl(SIOCGIFMTU, ifname, &ifr) || ifr.ifr_mtu < 0 ? 0 : (unsigned)ifr.ifr_mtu;
}

bool link_is_up(const char *ifname)
{
	struct ifreq ifr;

	return !if_ioctl(SIOCGIFFLAGS, ifname, &ifr) && ifr.ifr_flags & IFF_UP;
}

/* --- default routes, as /proc lists them ------------------------------------------------------ */

#define ROUTE_UP     0x1
#define ROUTE_REJECT 0x200

static bool default_route4(void)
{
	FILE *f = fopen("/proc/net/route", "re");
	char line[256], dev[32];
	unsigned dest, gate, flags, mask;
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f))
		if (sscanf(line, "%31s %x %x %x %*d %*d %*d %x", dev, &dest, &gate, &flags, &mask) == 5)
			found = !dest && !mask && flags & ROUTE_UP && !(flags & ROUTE_REJECT);
	if (f)
		fclose(f);
	return found;
}

static bool default_route6(void)
{
	FILE *f = fopen("/proc/net/ipv6_route", "re");
	char line[256], dest[40], dev[32];
	unsigned prefix, flags;
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f))
		if (sscanf(line, "%39s %x %*s %*x %*s %*x %*x %*x %x %31s", dest, &prefix, &flags,
			   dev) == 4)
			found = !prefix && strspn(dest, "0") == 32 && flags & ROUTE_UP &&
				!(flags & ROUTE_REJECT);
	if (f)
		fclose(f);
	return found;
}

bool link_default_route(void)
{
	return default_route4() || default_route6();
}

/* --- address and IFF_UP ----------------------------------------------------------------------- */

struct address {
	int family;
	unsigned prefix;
	size_t len;
	uint8_t bytes[16];
};

static int parse_address(const char *text, struct address *a)
{
	const char *slash = strchr(text, '/');
	char host[INET6_ADDRSTRLEN], *end;
	unsigned long prefix;

	if (!slash || slash == text || (size_t)(slash - text) >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, (size_t)(slash - text));
	host[slash - text] = '\0';
	a->family = strchr(host, ':') ? AF_INET6 : AF_INET;
	a->len = a->family == AF_INET ? 4 : 16;
	errno = 0;
	prefix = strtoul(slash + 1, &end, 10);
	if (slash[1] < '0' || slash[1] > '9' || *end || errno || prefix > a->len * 8)
		return -EINVAL;
	a->prefix = (unsigned)prefix;
	return inet_pton(a->family, host, a->bytes) == 1 ? 0 : -EINVAL;
}

static bool has_address(const char *ifname, const struct address *want)
{
	struct ifaddrs *all, *ifa;
	bool found = false;

	if (getifaddrs(&all))
		return false;
	for (ifa = all; ifa && !found; ifa = ifa->ifa_next) {
		const void *bytes;

		if (strcmp(ifa->ifa_name, ifname) != 0 || !ifa->ifa_addr ||
		    ifa->ifa_addr->sa_family != want->family)
			continue;
		if (want->family == AF_INET)
			bytes = &((struct sockaddr_in *)(void *)ifa->ifa_addr)->sin_addr;
		else
			bytes = &((struct sockaddr_in6 *)(void *)ifa->ifa_addr)->sin6_addr;
		found = !memcmp(bytes, want->bytes, want->len);
	}
	freeifaddrs(all);
	return found;
}

struct addr_request {
	struct nlmsghdr nh;
	struct ifaddrmsg ifa;
	uint8_t attrs[64];
};

static void add_attr(struct nlmsghdr *nh, unsigned short type, const void *data, size_t len)
{
	struct rtattr *rta = (struct rtattr *)(void *)((uint8_t *)nh + NLMSG_ALIGN(nh->nlmsg_len));

	rta->rta_type = type;
	rta->rta_len = (unsigned short)RTA_LENGTH(len);
	memcpy(RTA_DATA(rta), data, len);
	nh->nlmsg_len = NLMSG_ALIGN(nh->nlmsg_len) + RTA_ALIGN(rta->rta_len);
}

/* One request and its acknowledgement. */
static int netlink_ask(struct nlmsghdr *nh)
{
	struct {
		struct nlmsghdr nh;
		struct nlmsgerr e;
		uint8_t more[1024];
	} answer;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	ssize_t n;
	int err;

	if (fd < 0)
		return -errno;
	n = send(fd, nh, nh->nlmsg_len, 0);
	if (n >= 0)
		n = recv(fd, &answer, sizeof(answer), 0);
	if (n < 0)
		err = -errno;
	else if ((size_t)n < sizeof(answer.nh) + sizeof(answer.e) ||
		 answer.nh.nlmsg_type != NLMSG_ERROR)
		err = -EPROTO;
	else
		err = answer.e.error;
	close(fd);
	return err;
}

static int add_address(unsigned index, const struct address *a)
{
	struct addr_request req = {
		.nh = { .nlmsg_len = NLMSG_LENGTH(sizeof(struct ifaddrmsg)),
			.nlmsg_type = RTM_NEWADDR,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL },
		.ifa = { .ifa_family = (uint8_t)a->family, .ifa_prefixlen = (uint8_t)a->prefix,
			 /* The host's own address must not wait for anybody's objection. */
			 .ifa_flags = a->family == AF_INET6 ? IFA_F_NODAD : 0,
			 .ifa_index = index },
	};
	int err;

	add_attr(&req.nh, IFA_LOCAL, a->bytes, a->len);
	add_attr(&req.nh, IFA_ADDRESS, a->bytes, a->len);
	err = netlink_ask(&req.nh);
	return err == -EEXIST ? 0 : err;
}

static int bring_up(const char *ifname)
{
	struct ifreq ifr;
	int err = if_ioctl(SIOCGIFFLAGS, ifname, &ifr);
	int fd;

	if (err)
		return err;
	if (ifr.ifr_flags & IFF_UP)
		return 0;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	ifr.ifr_flags |= IFF_UP;
	if (ioctl(fd, SIOCSIFFLAGS, &ifr))
		err = -errno;
	close(fd);
	return err;
}

int link_configure(const char *ifname, const char *address)
{
	struct address a = { 0 };
	int err = parse_address(address, &a);

	if (err)
		return err;
	/* An address set by an administrator is used without the right to set one. */
	if (!has_address(ifname, &a)) {
		err = add_address(if_nametoindex(ifname), &a);
		if (err)
			return err;
	}
	return bring_up(ifname);
}

/* --- changes ---------------------------------------------------------------------------------- */

static void watch_state(struct link_watch *w, bool up)
{
	if (up == w->up)
		return;
	w->up = up;
	w->changed(w->opaque, up);
}

static void watch_message(struct link_watch *w, const struct nlmsghdr *nh)
{
	const struct ifinfomsg *info = NLMSG_DATA(nh);

	if (nh->nlmsg_type == RTM_NEWLINK && nh->nlmsg_len >= NLMSG_LENGTH(sizeof(*info)) &&
	    info->ifi_index == (int)w->index)
		watch_state(w, info->ifi_flags & IFF_UP);
}

/* One datagram a turn: the rest keeps the socket readable. */
static void watch_ready(void *opaque, uint32_t events)
{
	_Alignas(struct nlmsghdr) uint8_t buf[8192];
	struct link_watch *w = opaque;
	const struct nlmsghdr *nh = (const struct nlmsghdr *)(const void *)buf;
	ssize_t n = recv(w->fd.fd, buf, sizeof(buf), MSG_DONTWAIT);
	unsigned left = n > 0 ? (unsigned)n : 0;
	char ifname[IF_NAMESIZE];

	(void)events;
	if (n < 0 && errno == ENOBUFS && if_indextoname(w->index, ifname))
		watch_state(w, link_is_up(ifname)); /* messages were lost: look for ourselves */
	for (; NLMSG_OK(nh, left); nh = NLMSG_NEXT(nh, left))
		watch_message(w, nh);
}

int link_watch_start(struct link_watch *w, struct loop *loop, const char *ifname)
{
	struct sockaddr_nl nl = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK };
	int fd, err;

	w->index = if_nametoindex(ifname);
	if (!w->index)
		return -ENODEV;
	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (fd < 0)
		return -errno;
	w->loop = loop;
	w->fd = (struct loop_fd){ .fd = fd, .ready = watch_ready, .opaque = w };
	err = bind(fd, (struct sockaddr *)&nl, sizeof(nl)) ? -errno : loop_add(loop, &w->fd, EPOLLIN);
	if (err) {
		close(fd);
		return err;
	}
	w->up = link_is_up(ifname); /* after binding: a change from here on is told */
	return 0;
}

void link_watch_stop(struct link_watch *w)
{
	if (!w->fd.added)
		return;
	loop_del(w->loop, &w->fd);
	close(w->fd.fd);
}
