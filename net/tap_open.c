// SPDX-License-Identifier: GPL-2.0-only
/*
 * tap_open: a tap interface by name, made by the kernel under a free name, or handed over as a
 * descriptor (macvtap too).
 *
 * One that is made here goes when its descriptors are closed, however we end; a persistent one stays.
 *
 * Runs on: main.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lkvm/log.h"
#include "net/child.h"
#include "net/tap.h"

#define TUN_PATH "/dev/net/tun"

/*
 * What the kernel grants is what it can make of a guest's packets too. Asking changes nothing that
 * stays: the last question is for no offloads.
 */
static uint64_t probe_offloads(int fd)
{
	static const struct {
		unsigned tun;
		uint64_t features;
	} step[] = {
		{ TUN_F_CSUM, NETIF_BIT(NETIF_F_CSUM) | NETIF_BIT(NETIF_F_GUEST_CSUM) },
		{ TUN_F_CSUM | TUN_F_TSO4,
		  NETIF_BIT(NETIF_F_GUEST_TSO4) | NETIF_BIT(NETIF_F_HOST_TSO4) },
		{ TUN_F_CSUM | TUN_F_TSO6,
		  NETIF_BIT(NETIF_F_GUEST_TSO6) | NETIF_BIT(NETIF_F_HOST_TSO6) },
		{ TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN,
		  NETIF_BIT(NETIF_F_GUEST_ECN) | NETIF_BIT(NETIF_F_HOST_ECN) },
		{ TUN_F_CSUM | TUN_F_UFO,
		  NETIF_BIT(NETIF_F_GUEST_UFO) | NETIF_BIT(NETIF_F_HOST_UFO) },
		{ TUN_F_CSUM | TUN_F_USO4 | TUN_F_USO6,
		  NETIF_BIT(NETIF_F_GUEST_USO4) | NETIF_BIT(NETIF_F_GUEST_USO6) |
			  NETIF_BIT(NETIF_F_HOST_USO) },
	};
	uint64_t features = 0;

	for (unsigned i = 0; i < sizeof(step) / sizeof(*step); i++)
		if (!ioctl(fd, TUNSETOFFLOAD, step[i].tun))
			features |= step[i].features;
	ioctl(fd, TUNSETOFFLOAD, 0);
	return features;
}

static struct tap *tap_new(const char *name)
{
	struct tap *tap = calloc(1, sizeof(*tap));

	if (!tap) {
		log_err(name, "out of memory");
		return NULL;
	}
	tap->nif.ops = &tap_ops;
	return tap;
}

static void add_queue(struct tap *tap, int fd)
{
	struct tap_queue *tq = &tap->queue[tap->n];

	tq->tap = tap;
	tq->index = tap->n++;
	tq->fd = (struct loop_fd){ .fd = fd };
}

static void explain_device(const char *name, int err)
{
	if (err == ENOENT || err == ENODEV || err == ENXIO)
		log_err(name, "cannot open " TUN_PATH ": %s. Fix: sudo modprobe tun, or use mode=user",
			strerror(err));
	else
		log_err(name, "cannot open " TUN_PATH ": %s. Fix: sudo chmod 666 " TUN_PATH
			", or use mode=user", strerror(err));
}

static void explain_attach(const char *name, const char *tap, int err)
{
	const char *what = tap ? tap : "a new tap interface";

	if (err == EPERM)
		log_err(name, "cannot open %s: %s (it takes CAP_NET_ADMIN or a tap of yours). "
			"Fix: sudo ip tuntap add %s mode tap user $USER", what, strerror(err),
			tap ? tap : "tap0");
	else if (err == EBUSY)
		log_err(name, "cannot open %s: another program has it. Fix: choose another tap=NAME",
			what);
	else if (err == EINVAL)
		log_err(name, "cannot open %s: it is an interface, but no tap, or one for another "
			"number of queues. Fix: choose another tap=NAME", what);
	else
		log_err(name, "cannot open %s: %s", what, strerror(err));
}

/* TUNSETIFF on a fresh descriptor, which is returned, or -errno. ifr comes back with the name. */
static int attach_fd(const char *name, struct ifreq *ifr, bool *no_device)
{
	int fd = open(TUN_PATH, O_RDWR | O_NONBLOCK | O_CLOEXEC), err;

	*no_device = fd < 0;
	if (fd < 0) {
		err = errno;
		explain_device(name, err);
		return -err;
	}
	if (!ioctl(fd, TUNSETIFF, ifr))
		return fd;
	err = errno;
	close(fd);
	return -err;
}

/*
 * A persistent interface was made for one queue or for several, and that can't be asked before: what
 * fits the number of queues is tried first, then, for a single queue, the other kind.
 */
static int open_queues(struct tap *tap, const char *name, const struct netif_conf *conf)
{
	const unsigned n = conf->queues ? conf->queues : 1;
	const short flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
	struct ifreq ifr = { .ifr_flags = (short)(flags | (n > 1 ? IFF_MULTI_QUEUE : 0)) };
	bool no_device;
	int fd;

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", conf->tap ? conf->tap : "lkvm%d");
	while (tap->n < n) {
		fd = attach_fd(name, &ifr, &no_device);
		if (fd == -EINVAL && n == 1 && !(ifr.ifr_flags & IFF_MULTI_QUEUE)) {
			ifr.ifr_flags |= IFF_MULTI_QUEUE;
			continue;
		}
		if (fd < 0) {
			if (!no_device)
				explain_attach(name, conf->tap, -fd);
			return fd;
		}
		add_queue(tap, fd);
	}
	snprintf(tap->ifname, sizeof(tap->ifname), "%s", ifr.ifr_name);
	return 0;
}

/* Header size and offloads of a tap whose queues are open; the same for all of them. */
static int set_headers(struct tap *tap, const char *name)
{
	const int size = NETIF_HDR;

	for (unsigned i = 0; i < tap->n; i++)
		if (ioctl(tap->queue[i].fd.fd, TUNSETVNETHDRSZ, &size)) {
			log_err(name, "%s: cannot set the packet header's size: %s", tap->ifname,
				strerror(errno));
			return -errno;
		}
	tap->nif.info.features = probe_offloads(tap->queue[0].fd.fd);
	tap->nif.info.queues = tap->n;
	if (tap->ours) {
		unsigned mtu = link_mtu(tap->ifname);

		tap->nif.info.mtu = mtu <= 65535 ? (uint16_t)mtu : 0;
		tap->nif.info.link = true;
	}
	return 0;
}

static int set_address(struct tap *tap, const char *name, const char *address)
{
	int err = link_configure(tap->ifname, address);

	if (err == -EINVAL)
		log_err(name, "host-ip=%s is no address. Fix: address/prefix, such as 192.0.2.1/24",
			address);
	else if (err == -EPERM)
		log_err(name, "cannot set host-ip on %s: %s (it takes CAP_NET_ADMIN). Fix: "
			"sudo ip addr add %s dev %s && sudo ip link set %s up", tap->ifname,
			strerror(-err), address, tap->ifname, tap->ifname);
	else if (err)
		log_err(name, "cannot set host-ip=%s on %s: %s", address, tap->ifname,
			strerror(-err));
	return err;
}

static int run_script(struct tap *tap, const char *name, const char *script)
{
	char *argv[] = { (char *)script, tap->ifname, NULL };
	pid_t pid;
	int err = child_start(argv, -1, STDERR_FILENO, &pid);
	int status;

	if (err) {
		log_err(name, "cannot run script %s: %s", script, strerror(-err));
		return err;
	}
	status = child_wait(pid, 60000);
	if (!status)
		return 0;
	log_err(name, "script %s %s failed: %s", script, tap->ifname, child_verdict(status));
	return -EIO;
}

/* The kernel cuts a longer name off, and what it then makes is not what was asked for. */
static bool name_fits(const char *name, const char *tap)
{
	if (tap && (!*tap || strlen(tap) >= IFNAMSIZ || strpbrk(tap, "/%: \t\n"))) {
		log_err(name, "tap=%s is no interface name (1 to %d letters, without '/', '%%', ':')",
			tap, IFNAMSIZ - 1);
		return false;
	}
	return true;
}

struct netif *tap_open(const char *name, const struct netif_conf *conf)
{
	struct tap *tap;

	if (!name_fits(name, conf->tap))
		return NULL;
	if (conf->queues > NETIF_QUEUES_MAX) {
		log_err(name, "queues=%u: at most %d", conf->queues, NETIF_QUEUES_MAX);
		return NULL;
	}
	tap = tap_new(name);
	if (!tap)
		return NULL;
	tap->ours = true;
	if (open_queues(tap, name, conf) ||
	    (conf->host_ip && set_address(tap, name, conf->host_ip)) ||
	    (conf->script && run_script(tap, name, conf->script)) || set_headers(tap, name)) {
		tap_ops.close(&tap->nif);
		return NULL;
	}
	log_info(name, "tap interface %s", tap->ifname);
	return &tap->nif;
}

/*
 * The descriptor may belong to an interface of another network namespace, where a name says nothing
 * to us: it is ours when the interface of that name has the same hardware address.
 */
static bool same_interface(int fd, const char *ifname)
{
	struct ifreq theirs = { 0 }, here = { 0 };
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool same;

	if (sock < 0)
		return false;
	snprintf(here.ifr_name, sizeof(here.ifr_name), "%s", ifname);
	same = !ioctl(fd, SIOCGIFHWADDR, &theirs) && !ioctl(sock, SIOCGIFHWADDR, &here) &&
	       !memcmp(theirs.ifr_hwaddr.sa_data, here.ifr_hwaddr.sa_data, 6);
	close(sock);
	return same;
}

static int check_fd(const char *name, int fd, struct ifreq *ifr)
{
	int flags = fcntl(fd, F_GETFL);

	memset(ifr, 0, sizeof(*ifr));
	if (flags < 0) {
		log_err(name, "fd=%d: %s", fd, strerror(errno));
		return -EBADF;
	}
	if (ioctl(fd, TUNGETIFF, ifr) || !(ifr->ifr_flags & IFF_TAP)) {
		log_err(name, "fd=%d is no tap interface", fd);
		return -EINVAL;
	}
	if (!(ifr->ifr_flags & IFF_VNET_HDR) || !(ifr->ifr_flags & IFF_NO_PI)) {
		log_err(name, "fd=%d: %s was opened without packet headers. Fix: set "
			"IFF_TAP|IFF_NO_PI|IFF_VNET_HDR with TUNSETIFF", fd, ifr->ifr_name);
		return -EINVAL;
	}
	if (fcntl(fd, F_SETFL, flags | O_NONBLOCK) || fcntl(fd, F_SETFD, FD_CLOEXEC)) {
		log_err(name, "fd=%d: %s", fd, strerror(errno));
		return -errno;
	}
	return 0;
}

struct netif *tap_open_fd(const char *name, const struct netif_conf *conf)
{
	struct ifreq ifr;
	struct tap *tap;

	if (check_fd(name, conf->fd, &ifr))
		return NULL;
	tap = tap_new(name);
	if (!tap)
		return NULL;
	snprintf(tap->ifname, sizeof(tap->ifname), "%s", ifr.ifr_name);
	tap->ours = same_interface(conf->fd, tap->ifname);
	add_queue(tap, conf->fd);
	if (set_headers(tap, name)) {
		tap_ops.close(&tap->nif);
		return NULL;
	}
	return &tap->nif;
}
