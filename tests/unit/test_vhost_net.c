// SPDX-License-Identifier: GPL-2.0-only
/*
 * vhost-net: the network device with its packets in the kernel's hands. The kernel is played by this
 * file, at the level of its ioctls, with the rules that the real one has; what it can't play is in
 * tests/boot/scenario/net-vhost.
 */
#include <linux/vhost.h>
#undef VIRTIO_F_NOTIFY_ON_EMPTY
#undef VIRTIO_F_ANY_LAYOUT
#undef VIRTIO_F_VERSION_1
#undef VIRTIO_F_ACCESS_PLATFORM
#undef VIRTIO_F_RING_PACKED
#undef VIRTIO_F_IN_ORDER
#undef VIRTIO_F_NOTIFICATION_DATA
#undef VIRTIO_F_RING_RESET

#include <stdarg.h>

#include "net_driver.h"
#include "virtio/vhost.h"

#define V1    VBIT(VIRTIO_F_VERSION_1)
#define MRG   VBIT(VIRTIO_NET_F_MRG_RXBUF)
#define CTRLQ VBIT(VIRTIO_NET_F_CTRL_VQ)
#define MQ    VBIT(VIRTIO_NET_F_MQ)
#define EVENT VBIT(VIRTIO_F_EVENT_IDX)

/* --- the kernel ------------------------------------------------------------------------------- */

/* What Linux 6.1 answers; bit 27 stands for something else there than in virtio. */
#define NET_HDR VBIT(27)
#define LINUX_6_1                                                                                  \
	(VBIT(24) | NET_HDR | VBIT(28) | VBIT(29) | VBIT(32) | VBIT(33) | MRG | VBIT(26))

#define DEVICES 4

static struct kernel {
	uint64_t features; /* that it has */
	int open_err;
	unsigned fail_at; /* the n-th ioctl fails; 0: none */
	unsigned opened, ioctls;
	char log[4096];
	struct nb *nb; /* whose taps it is given */
	struct device {
		int fd;
		bool owned;
		uint64_t features;
		unsigned regions;
		struct vhost_memory_region region[GMEM_REGIONS];
		struct ring {
			unsigned size, base;
			struct vhost_vring_addr addr;
			int kick, call, err, backend;
		} ring[2];
	} dev[DEVICES];
} k;

static void note(const char *fmt, ...)
{
	size_t at = strlen(k.log);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(k.log + at, sizeof(k.log) - at, fmt, ap);
	va_end(ap);
}

/* What was asked of the kernel since the last look. */
static const char *asked(void)
{
	static char text[sizeof(k.log)];

	memcpy(text, k.log, sizeof(text));
	k.log[0] = '\0';
	return text;
}

int vhost_sys_open(void)
{
	struct device *d = &k.dev[k.opened];

	if (k.open_err || k.opened == DEVICES)
		return k.open_err ? k.open_err : -EMFILE;
	*d = (struct device){ .fd = open("/dev/null", O_RDONLY | O_CLOEXEC) };
	for (unsigned i = 0; i < 2; i++)
		d->ring[i].kick = d->ring[i].call = d->ring[i].err = d->ring[i].backend = -1;
	k.opened++;
	return d->fd;
}

static int set_backend(unsigned n, struct ring *r, unsigned index, int fd)
{
	note(" %u:backend%u=%d", n, index, fd < 0 ? -1 : fd - NB_FD);
	if (fd >= 0 && (!r->size || !r->addr.desc_user_addr))
		return -EFAULT;
	if (fd >= 0 && (unsigned)(fd - NB_FD) >= k.nb->spread)
		return -EINVAL; /* polling it gives an error */
	r->backend = fd;
	return 0;
}

static int set_file(unsigned n, unsigned long request, const struct vhost_vring_file *f)
{
	struct ring *r = &k.dev[n].ring[f->index];

	if (request == VHOST_NET_SET_BACKEND)
		return set_backend(n, r, f->index, f->fd);
	if (request == VHOST_SET_VRING_KICK) {
		note(" %u:kick%u%s", n, f->index, f->fd < 0 ? "-" : "");
		r->kick = f->fd;
	} else if (request == VHOST_SET_VRING_CALL) {
		note(" %u:call%u%s", n, f->index, f->fd < 0 ? "-" : "");
		r->call = f->fd;
	} else {
		note(" %u:err%u", n, f->index);
		r->err = f->fd;
	}
	return 0;
}

static int set_state(unsigned n, unsigned long request, struct vhost_vring_state *s)
{
	struct ring *r = &k.dev[n].ring[s->index];

	if (request == VHOST_GET_VRING_BASE) {
		note(" %u:get%u", n, s->index);
		s->num = r->base;
		return 0;
	}
	if (r->backend >= 0)
		return -EBUSY;
	if (request == VHOST_SET_VRING_NUM) {
		note(" %u:num%u=%u", n, s->index, s->num);
		r->size = s->num;
	} else {
		note(" %u:base%u=%u", n, s->index, s->num);
		r->base = s->num;
	}
	return 0;
}

static int set_memory(unsigned n, const struct vhost_memory *m)
{
	k.dev[n].regions = m->nregions;
	for (unsigned i = 0; i < m->nregions; i++)
		k.dev[n].region[i] = m->regions[i];
	note(" %u:memory", n);
	return 0;
}

static int set_features(unsigned n, uint64_t features)
{
	note(" %u:features", n);
	if (features & ~k.features)
		return -EOPNOTSUPP;
	k.dev[n].features = features;
	return 0;
}

int vhost_sys_ioctl(int fd, unsigned long request, void *arg)
{
	struct vhost_vring_addr *addr = arg;
	unsigned n = 0;

	while (n < k.opened && k.dev[n].fd != fd)
		n++;
	if (n == k.opened)
		return -EBADF;
	if (++k.ioctls == k.fail_at)
		return -ENOMEM;
	if (request == VHOST_SET_OWNER) {
		k.dev[n].owned = true;
		note(" %u:owner", n);
		return 0;
	}
	if (request == VHOST_GET_FEATURES) {
		*(uint64_t *)arg = k.features;
		return 0;
	}
	if (!k.dev[n].owned)
		return -EPERM;
	switch (request) {
	case VHOST_SET_MEM_TABLE:
		return set_memory(n, arg);
	case VHOST_SET_FEATURES:
		return set_features(n, *(uint64_t *)arg);
	case VHOST_SET_VRING_NUM:
	case VHOST_SET_VRING_BASE:
	case VHOST_GET_VRING_BASE:
		return set_state(n, request, arg);
	case VHOST_SET_VRING_ADDR:
		k.dev[n].ring[addr->index].addr = *addr;
		note(" %u:addr%u", n, addr->index);
		return 0;
	case VHOST_SET_VRING_KICK:
	case VHOST_SET_VRING_CALL:
	case VHOST_SET_VRING_ERR:
	case VHOST_NET_SET_BACKEND:
		return set_file(n, request, arg);
	}
	return -ENOTTY;
}

static void kernel_init(void)
{
	memset(&k, 0, sizeof(k));
	k.features = LINUX_6_1;
}

/* --- a device in front of it ------------------------------------------------------------------ */

static bool vhost_open_nd(struct nd *nd, unsigned pairs, const char *features)
{
	uint64_t offloads = VBIT(VIRTIO_NET_F_CSUM) | NET_GUEST_OFFLOADS;

	k.nb = nb_new(offloads, 1500, pairs);
	k.nb->tap = true;
	nd_vhost = true;
	return nd_open(nd, &k.nb->nif, features, 0);
}

static uint64_t counted(int fd)
{
	eventfd_t n = 0;

	return eventfd_read(fd, &n) ? 0 : n;
}

/* --- tests ------------------------------------------------------------------------------------ */

static void test_offer(void)
{
	const uint64_t filters = VBIT(VIRTIO_NET_F_CTRL_RX) | VBIT(VIRTIO_NET_F_CTRL_RX_EXTRA) |
				 VBIT(VIRTIO_NET_F_CTRL_VLAN);
	struct nd nd;

	kernel_init();
	vhost_open_nd(&nd, 1, NULL);
	is_str(asked(), " 0:owner 0:memory", "opening takes one of the kernel's devices and tells it of RAM");
	ok(!(nd.port->features & filters), "filters aren't offered: the kernel has none");
	ok(!(~nd.port->features & (V1 | MRG | CTRLQ | EVENT | VBIT(VIRTIO_F_INDIRECT_DESC) |
				   VBIT(VIRTIO_F_RING_RESET) | VBIT(VIRTIO_NET_F_CTRL_MAC_ADDR) |
				   VBIT(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS))),
	   "what is not the kernel's matter is, and what it can do");
	ok(!(nd.port->legacy_features & filters), "nor are they on the legacy interface");
	nd_close(&nd);

	kernel_init();
	k.features &= ~EVENT;
	vhost_open_nd(&nd, 1, NULL);
	ok(!(nd.port->features & EVENT), "what this kernel lacks isn't offered");
	nd_close(&nd);

	kernel_init();
	ok(!vhost_open_nd(&nd, 1, "+packed"), "packed rings can't be asked for");
	ok(logged_line("features: '+packed' is nothing that can be turned on"), "with a line");
	nd_close(&nd);
	ok(!vhost_open_nd(&nd, 1, "+in_order"), "nor can what this kernel lacks");
	logged();
	nd_close(&nd);
}

static void test_open_fails(void)
{
	static const struct {
		int err;
		const char *line;
	} opens[] = {
		{ -ENOENT, "net0: cannot open /dev/vhost-net: No such file or directory. Fix: sudo "
			   "modprobe vhost_net, or leave out vhost=on" },
		{ -ENODEV, "Fix: sudo modprobe vhost_net" },
		{ -EACCES, "Permission denied. Fix: sudo chmod 666 /dev/vhost-net" },
		{ -EMFILE, "cannot open /dev/vhost-net: Too many open files" },
	};
	struct nd nd;
	bool closed = false;

	for (unsigned i = 0; i < 4; i++) {
		kernel_init();
		k.open_err = opens[i].err;
		ok(!vhost_open_nd(&nd, 1, NULL), "no device when vhost-net gives %d", opens[i].err);
		ok(logged_line(opens[i].line), "and why, in one line");
		nd_close(&nd);
	}
	for (unsigned n = 1; n <= 6; n++) {
		kernel_init();
		k.fail_at = n;
		ok(!vhost_open_nd(&nd, 2, NULL), "no device when step %u of its setting up fails", n);
		ok(logged_line("cannot set up vhost-net: Cannot allocate memory"), "in one line");
		nd_close(&nd);
	}
	kernel_init();
	k.nb = nb_new(0, 1500, 1);
	k.nb->closed = &closed;
	ok(!nd_open(&nd, &k.nb->nif, NULL, 0), "no device in front of what is no tap");
	ok(logged_line("vhost=on: only a tap can be given to the kernel") && closed,
	   "in one line, and the back end is closed");
	nd_close(&nd);
}

/* Both sides of the hole under 4 GiB. */
static void test_memory(void)
{
	static uint8_t low[4096], high[8192];
	struct gmem mem = { .fd = -1 };
	struct vhost v;

	kernel_init();
	gmem_add(&mem, 0, low, sizeof(low));
	gmem_add(&mem, 1ULL << 32, high, sizeof(high));
	is(vhost_open(&v, "net0", &mem), 0, "opens");
	is(k.dev[0].regions, 2, "RAM on both sides of the hole is told");
	ok(k.dev[0].region[0].guest_phys_addr == 0 && k.dev[0].region[0].memory_size == 4096 &&
		   k.dev[0].region[0].userspace_addr == (uintptr_t)low,
	   "what is below it");
	ok(k.dev[0].region[1].guest_phys_addr == 1ULL << 32 &&
		   k.dev[0].region[1].memory_size == 8192 &&
		   k.dev[0].region[1].userspace_addr == (uintptr_t)high,
	   "and what is above");
	vhost_close(&v);
}

static void test_start(void)
{
	const struct irq call = { .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
	struct nd nd;
	struct ring *r;

	kernel_init();
	vhost_open_nd(&nd, 1, NULL);
	asked();
	nd.port->ops->reset(nd.port);
	is_str(asked(), "", "a reset of a new device asks nothing of the kernel");
	nd.port->ops->accept(nd.port, V1 | MRG | EVENT | CTRLQ | VBIT(VIRTIO_NET_F_CSUM));
	is_str(asked(), " 0:features", "features are told once they are final");
	is(k.dev[0].features, V1 | MRG | EVENT, "those that the kernel goes by, no other");
	is(k.nb->header, 12, "the header on the tap is as long as the driver's");

	nd_queue(&nd, 1);
	is_str(asked(), " 0:num1=64 0:base1=0 0:addr1 0:err1 0:call1 0:kick1",
	       "a queue that is started is told, but not served before the driver is ready");
	is(nd_queue(&nd, 1), -EBUSY, "it can't be started twice");
	is_str(asked(), "", "and the kernel isn't asked");
	r = &k.dev[0].ring[1];
	ok(r->addr.desc_user_addr == (uintptr_t)nd_ptr(&nd, nd.q[1].conf.desc) &&
		   r->addr.avail_user_addr == (uintptr_t)nd_ptr(&nd, nd.q[1].conf.driver) &&
		   r->addr.used_user_addr == (uintptr_t)nd_ptr(&nd, nd.q[1].conf.device),
	   "its areas are where the driver put them");
	ok(r->kick == nd.kick[1], "its doorbell is the kernel's");
	nd.port->ops->queue_call(nd.port, 1, call);
	is_str(asked(), " 0:call1", "another call is told");
	ok(r->call == call.fd, "and it is the eventfd itself");
	nd_queue(&nd, 0);
	asked();
	ok(!counted(nd.kick[0]) && !counted(nd.kick[1]), "nobody has rung");
	nd.port->ops->start(nd.port);
	is_str(asked(), " 0:backend0=0 0:backend1=0", "the driver is ready: both are served");
	ok(counted(nd.kick[0]) == 1 && counted(nd.kick[1]) == 1,
	   "and rung for, as there may be buffers in them");
	ok(!nd.failed, "all is well");

	nd.port->ops->queue_stop(nd.port, 0);
	is_str(asked(), " 0:backend0=-1 0:get0 0:kick0- 0:call0-",
	       "a queue that is stopped is let go of before all else");
	nd.port->ops->queue_stop(nd.port, 0);
	is_str(asked(), "", "and stopped once");
	nd_queue(&nd, 0);
	is_str(asked(), " 0:num0=64 0:base0=0 0:addr0 0:err0 0:call0 0:kick0 0:backend0=0",
	       "after its reset it is served from the start again");
	nd.port->ops->reset(nd.port);
	is_str(asked(), " 0:backend0=-1 0:get0 0:kick0- 0:call0- 0:backend1=-1 0:get1 0:kick1- 0:call1-",
	       "a reset stops both");
	nd_close(&nd);
	is_str(asked(), "", "closing has nothing left to stop");
	close(call.fd);
}

static void test_legacy(void)
{
	struct nd nd;

	kernel_init();
	vhost_open_nd(&nd, 1, NULL);
	nd.port->ops->accept(nd.port, VBIT(24) | VBIT(27) | EVENT);
	is(k.nb->header, 10, "a legacy driver's header is the short one");
	is(k.dev[0].features, VBIT(24) | EVENT,
	   "ANY_LAYOUT isn't told: its bit would have the kernel make headers up");
	nd.port->ops->reset(nd.port);
	nd.port->ops->accept(nd.port, V1);
	is(k.nb->header, 12, "and the long one comes back with a modern driver");
	nd_close(&nd);
}

/* Whatever the guest says about a ring is checked before the kernel hears of it. */
static void test_bad_rings(void)
{
	const uint64_t ram = DRV_BASE;
	const struct {
		const char *what;
		struct virtq_conf conf;
	} bad[] = {
#define AT(n, desc_, driver_, device_)                                                             \
	{ .size = (n), .desc = (desc_), .driver = (driver_), .device = (device_) }
		{ "size 0", AT(0, ram, ram + 4096, ram + 8192) },
		{ "size 48", AT(48, ram, ram + 4096, ram + 8192) },
		{ "more entries than there can be", AT(512, ram, ram + 16384, ram + 32768) },
		{ "descriptors at 8", AT(64, ram + 8, ram + 4096, ram + 8192) },
		{ "an odd driver area", AT(64, ram, ram + 4097, ram + 8192) },
		{ "a device area at 2", AT(64, ram, ram + 4096, ram + 8194) },
		{ "descriptors below RAM", AT(64, ram - 16, ram + 4096, ram + 8192) },
		{ "a driver area that ends behind RAM",
		  AT(64, ram, ram + ND_RAM - 6 - 2 * 64 + 2, ram + 8192) },
		{ "a device area that ends behind RAM",
		  AT(64, ram, ram + 4096, ram + ND_RAM - 6 - 8 * 64 + 2) },
		{ "an address that wraps around", AT(64, -16ULL, ram + 4096, ram + 8192) },
		{ "a packed ring",
		  { .size = 64, .desc = ram, .driver = ram + 4096, .device = ram + 8192, .packed = true } },
#undef AT
	};
	struct nd nd;

	kernel_init();
	vhost_open_nd(&nd, 1, NULL);
	nd.port->ops->accept(nd.port, V1);
	asked();
	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		is(nd.port->ops->queue_start(nd.port, 0, &bad[i].conf, nd.kick[0], IRQ_NONE),
		   -EINVAL, "%s is refused", bad[i].what);
		is_str(asked(), "", "and the kernel not asked");
	}
	nd.port->ops->start(nd.port);
	is_str(asked(), "", "none is served");
	k.fail_at = k.ioctls + 3;
	is(nd_queue(&nd, 0), -ENOMEM, "what the kernel refuses is refused");
	nd_close(&nd);
}

static void test_pairs(void)
{
	const uint16_t one = 1, two = 2;
	struct nd nd;

	kernel_init();
	vhost_open_nd(&nd, 2, NULL);
	is_str(asked(), " 0:owner 0:memory 1:owner 1:memory", "one of the kernel's devices for each pair");
	nd_start(&nd, V1 | CTRLQ | MQ, 5);
	ok(strstr(k.log, " 0:features 1:features"), "each is told the features");
	ok(strstr(k.log, " 0:backend0=0 0:backend1=0") && !strstr(k.log, "1:backend"),
	   "the pair in use is served, the other one not yet");
	asked();
	is(nd_command(&nd, 4, 4, 0, &two, 2), 0, "the control queue is ours, and takes two pairs");
	is_str(asked(), " 1:backend0=1 1:backend1=1", "now the second is served, by the tap's second queue");
	is(k.nb->spread, 2, "which takes part");
	is(nd_command(&nd, 4, 4, 0, &one, 2), 0, "one pair again");
	is_str(asked(), " 1:backend0=-1 1:backend1=-1", "the second is let go of");
	is(nd_command(&nd, 4, 4, 0, &one, 2), 0, "one pair once more");
	is_str(asked(), "", "changes nothing");
	k.nb->refuse_spread = true;
	is(nd_command(&nd, 4, 4, 0, &two, 2), 1, "what the tap refuses is refused");
	is(nd.net->rules.pairs, 1, "and changes nothing");
	k.nb->refuse_spread = false;
	nd_command(&nd, 4, 4, 0, &two, 2);
	asked();
	k.nb->refuse_spread = true;
	is(nd_command(&nd, 4, 4, 0, &one, 2), 1, "the way back as well");
	is_str(asked(), " 1:backend0=-1 1:backend1=-1 1:backend0=1 1:backend1=1",
	       "and the queues are served again");
	k.nb->refuse_spread = false;
	is(nd.failed, 0, "nothing of this needs a reset");
	nd.port->ops->reset(nd.port);
	is(k.nb->spread, 1, "after a reset there is one pair");
	asked();

	/* Without MQ the third queue is the control queue, not the second pair's. */
	nd_start(&nd, V1 | CTRLQ | VBIT(VIRTIO_NET_F_CTRL_MAC_ADDR), 3);
	ok(!strstr(k.log, "1:num"), "without MQ only the first pair is the kernel's");
	is(nd_command(&nd, 2, 1, 1, "\x52\0\0\0\0\7", 6), 0, "the control queue is the third");
	nd_close(&nd);
}

static void test_interrupts(void)
{
	const struct irq vector = { .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
	const struct irq pin = { .fd = -1, .fn = nd_called, .n = 1 };
	struct irq line = pin;
	struct nd nd;
	struct ring *r = &k.dev[0].ring[1];

	kernel_init();
	vhost_open_nd(&nd, 1, NULL);
	line.opaque = &nd;
	nd_start(&nd, V1, 2);
	ok(r->call >= 0, "a call that is no eventfd has one of ours");
	eventfd_write(r->call, 1);
	nd_turn(&nd);
	is(nd.calls[1], 1, "through which it arrives");
	eventfd_write(r->call, 3);
	nd_turn(&nd);
	is(nd.calls[1], 2, "several at once are one");
	is(nd.calls[0], 0, "and another queue's it is not");

	eventfd_write(r->call, 1);
	nd.port->ops->queue_call(nd.port, 1, vector);
	is(r->call, vector.fd, "MSI-X is turned on: the vector itself is the kernel's");
	nd_turn(&nd);
	is(counted(vector.fd), 1, "and one that was on its way arrives there");
	nd.port->ops->queue_call(nd.port, 1, IRQ_NONE);
	is(r->call, -1, "no vector: no call");
	nd.port->ops->queue_call(nd.port, 1, line);
	ok(r->call >= 0 && r->call != vector.fd, "MSI-X is turned off: ours again");

	eventfd_write(r->call, 1);
	nd.port->ops->queue_stop(nd.port, 1);
	nd_turn(&nd);
	is(nd.calls[1], 2, "nothing arrives from a queue that was stopped");
	nd.port->ops->queue_call(nd.port, 1, vector);
	is(r->call, -1, "nor is it told of a call");
	nd_close(&nd);
	close(vector.fd);
}

static void test_broken(void)
{
	struct nd nd;

	kernel_init();
	vhost_open_nd(&nd, 2, NULL);
	nd_start(&nd, V1 | CTRLQ | MQ, 5);
	asked();
	logged();
	eventfd_write(k.dev[0].ring[1].err, 1);
	nd_turn(&nd);
	is(nd.failed, 1, "a ring that the kernel finds broken needs a reset");
	ok(logged_line("net0: queue 1: vhost-net found it broken; the device needs a reset"), "in one line");
	is_str(asked(), " 0:backend0=-1 0:backend1=-1", "and no queue is served until then");
	eventfd_write(k.dev[0].ring[0].err, 1);
	nd_turn(&nd);
	is(nd.failed, 1, "it is told once");
	nd_start(&nd, V1 | CTRLQ | MQ, 5);
	ok(strstr(k.log, " 0:backend0=0 0:backend1=0") && !nd.failed, "after the reset all is well");

	nd.port->ops->reset(nd.port);
	k.nb->spread = 0; /* the interface has gone: the kernel takes no queue of it */
	nd.port->ops->accept(nd.port, V1);
	nd_queue(&nd, 0);
	nd.failed = 0;
	nd.port->ops->start(nd.port);
	is(nd.failed, 1, "a queue that the kernel doesn't serve needs a reset");
	ok(logged_line("queue 0: vhost-net refuses it: Invalid argument"), "in one line");
	nd_close(&nd);

	kernel_init();
	vhost_open_nd(&nd, 1, NULL);
	k.fail_at = k.ioctls + 1;
	nd.port->ops->accept(nd.port, V1);
	is(nd.failed, 1, "so does a device whose features the kernel refuses");
	ok(logged_line("vhost-net refuses the features"), "in one line");
	nd_close(&nd);
}

int main(void)
{
	capture_log();
	test_offer();
	test_open_fails();
	test_memory();
	test_start();
	test_legacy();
	test_bad_rings();
	test_pairs();
	test_interrupts();
	test_broken();
	return tap_end();
}
