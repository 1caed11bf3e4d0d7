// SPDX-License-Identifier: GPL-2.0-only
/*
 * The device core: a device that answers every buffer, a driver in host memory, a real loop between
 * them, and the vport's verbs from the outside, as a transport calls them.
 */
#include <errno.h>
#include <stdatomic.h>
#include <unistd.h>

#include "fakedrv.h"
#include "lkvm/log.h"
#include "lkvm/vdev.h"
#include "tap.h"

enum { F_A = 0, F_B = 1, F_C = 2 };

static struct toy {
	struct vdev dev;
	unsigned kicks, starts, stops, resets, closes;
	bool hold; /* takes requests and keeps them */
	struct vreq *held[64];
	unsigned n_held;
} toy;

static atomic_uint calls, changes, failures;

static void toy_kick(struct vdev *dev, unsigned n)
{
	struct vreq *r;

	toy.kicks++;
	while (vdev_budget(dev, n) && (r = virtq_pop(vdev_queue(dev, n)))) {
		if (toy.hold) {
			toy.held[toy.n_held++] = r;
			continue;
		}
		vwrite(&r->in, "answer", r->in.left < 6 ? r->in.left : 6);
		virtq_push(vdev_queue(dev, n), r);
	}
}

static void toy_start(struct vdev *dev)
{
	(void)dev;
	toy.starts++;
}

static void toy_queue_stop(struct vdev *dev, unsigned n)
{
	toy.stops++;
	while (toy.n_held)
		virtq_push(vdev_queue(dev, n), toy.held[--toy.n_held]);
}

static void toy_reset(struct vdev *dev)
{
	(void)dev;
	toy.resets++;
}

/* Byte 0 may be written by the driver, the others not. */
static void toy_config_write(struct vdev *dev, unsigned off, const uint8_t *val, unsigned len)
{
	(void)len;
	if (off == 0)
		vdev_config_set(dev, 0, val, 1, false);
}

static void toy_close(struct vdev *dev)
{
	toy.closes++;
	vdev_fini(dev);
}

static const struct vdev_dep toy_deps[] = { { F_B, VBIT(F_A) }, { F_C, VBIT(F_B) }, { -1, 0 } };
static const struct vdev_word toy_words[] = { { "a", F_A }, { "b", F_B }, { "c", F_C }, { NULL, 0 } };
static const struct vdev_class toy_class = {
	.name = "toy",
	.id = 42,
	.deps = toy_deps,
	.words = toy_words,
	.start = toy_start,
	.kick = toy_kick,
	.queue_stop = toy_queue_stop,
	.config_write = toy_config_write,
	.reset = toy_reset,
	.close = toy_close,
};

static struct drv drv;
static struct loop *loop;
static struct vport *port;
static int kick_fd;

static void called(void *opaque, unsigned n)
{
	(void)opaque;
	(void)n;
	calls++;
}

static void changed(void *opaque)
{
	(void)opaque;
	changes++;
}

static void failed(void *opaque)
{
	(void)opaque;
	failures++;
}

static void nothing(void *opaque)
{
	(void)opaque;
}

/* Enough turns for a kick and what follows from it. */
static void settle(void)
{
	for (int i = 0; i < 6; i++) {
		loop_call(loop, nothing, NULL);
		usleep(2000);
	}
}

static struct irq call_irq(void)
{
	return (struct irq){ .fd = -1, .fn = called };
}

static void start(void)
{
	drv_reset(&drv);
	port->ops->accept(port, VBIT(VIRTIO_F_VERSION_1));
	is(port->ops->queue_start(port, 0, &drv.conf, kick_fd, call_irq()), 0, "queue 0 starts");
}

static void offer(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		drv_add(&drv, &(struct drv_seg){ drv.data, 16, true }, 1);
	drv_publish(&drv);
}

static unsigned take(void)
{
	unsigned n = 0;

	while (drv_used(&drv, NULL, NULL) >= 0)
		n++;
	return n;
}

static void test_life(void)
{
	calls = 0;
	start();
	offer(2);
	eventfd_write(kick_fd, 1);
	settle();
	is(take(), 0, "nothing is served before DRIVER_OK, also when kicked");
	is(calls, 0, "... and nothing notified");
	port->ops->start(port);
	settle();
	is(take(), 2, "DRIVER_OK serves what was there, without another kick");
	is(calls, 1, "... with one notification for both");
	is(toy.starts, 1, "the class heard of it once");
	offer(1);
	eventfd_write(kick_fd, 1);
	settle();
	is(take(), 1, "a kick serves what came later");
	is(port->ops->queue_start(port, 0, &drv.conf, kick_fd, call_irq()), -EBUSY,
	   "a queue that runs can't be started");
	is(port->ops->queue_start(port, 1, &drv.conf, kick_fd, call_irq()), -EINVAL,
	   "a queue of size 0 isn't there");
	is(port->ops->queue_start(port, 7, &drv.conf, kick_fd, call_irq()), -EINVAL,
	   "nor one beyond the last");

	calls = 0;
	toy.hold = true;
	offer(3);
	eventfd_write(kick_fd, 1);
	settle();
	is(toy.n_held, 3, "three requests in flight");
	port->ops->reset(port);
	is(toy.n_held, 0, "a reset waits for them");
	is(take(), 3, "... and what completed meanwhile is shown");
	is(calls, 0, "... without a notification");
	is(toy.resets, 1, "the class hears of the reset");
	toy.hold = false;
	offer(1);
	eventfd_write(kick_fd, 1);
	settle();
	is(take(), 0, "after a reset no queue is served");
	start();
	port->ops->start(port);
	offer(1);
	eventfd_write(kick_fd, 1);
	settle();
	is(take(), 1, "until it was set up again");
	port->ops->reset(port);
}

static void test_call_moves(void)
{
	calls = 0;
	start();
	port->ops->start(port);
	port->ops->queue_call(port, 0, IRQ_NONE);
	offer(1);
	eventfd_write(kick_fd, 1);
	settle();
	is(take(), 1, "a queue without a vector is served");
	is(calls, 0, "... and notifies nobody");
	port->ops->queue_call(port, 0, call_irq());
	offer(1);
	eventfd_write(kick_fd, 1);
	settle();
	is(calls, 1, "a vector given while it runs is used");
	port->ops->queue_call(port, 7, call_irq());
	port->ops->reset(port);
}

static void test_failure(void)
{
	struct drv_desc *d = drv.desc;

	failures = 0;
	start();
	port->ops->start(port);
	offer(1);
	d[0].addr = ~0ULL;
	eventfd_write(kick_fd, 1);
	settle();
	is(failures, 1, "a broken ring fails the device, once");
	offer(1);
	eventfd_write(kick_fd, 1);
	settle();
	is(take(), 0, "a failed device ignores kicks");
	is(failures, 1, "... and doesn't say it again");
	port->ops->reset(port);
	start();
	port->ops->start(port);
	offer(2);
	eventfd_write(kick_fd, 1);
	settle();
	is(take(), 2, "after a reset it works again");
	port->ops->reset(port);
}

static void test_budget(void)
{
	unsigned rounds = 0;

	start();
	port->ops->start(port);
	settle();
	toy.kicks = 0;
	for (unsigned i = 0; i < 20; i++) {
		offer(drv.size);
		eventfd_write(kick_fd, 1);
		settle();
		rounds += take();
	}
	is(rounds, 20 * drv.size, "everything offered is served");
	ok(toy.kicks >= 20, "kick by kick");
	port->ops->reset(port);
}

static void test_features(void)
{
	uint64_t v1 = VBIT(VIRTIO_F_VERSION_1);

	ok(port->features & v1, "VERSION_1 is offered");
	ok(port->ops->acceptable(port, v1), "the smallest set is acceptable");
	ok(port->ops->acceptable(port, port->features), "so is all that is offered");
	ok(!port->ops->acceptable(port, 0), "a set without VERSION_1 is not");
	ok(!port->ops->acceptable(port, v1 | VBIT(9)), "nor one with a bit that wasn't offered");
	ok(!port->ops->acceptable(port, v1 | VBIT(F_B)), "nor one with a bit whose ground is missing");
	ok(port->ops->acceptable(port, v1 | VBIT(F_A) | VBIT(F_B)), "with its ground it is");
	ok(!(port->features & VBIT(VIRTIO_F_RING_PACKED)), "packed rings are not offered at first");
	is(vdev_mask(&toy.dev, "+packed,-a"), 0, "a mask is taken");
	ok(port->features & VBIT(VIRTIO_F_RING_PACKED), "... turns packed rings on");
	ok(!(port->features & (VBIT(F_A) | VBIT(F_B) | VBIT(F_C))),
	   "... and takes away a bit with all that stand on it");
	is(vdev_mask(&toy.dev, "+a,+b,+c,-packed"), 0, "and back");
	is(vdev_mask(&toy.dev, "x"), -EINVAL, "a word without a sign is refused");
	is(vdev_mask(&toy.dev, "+colour"), -EINVAL, "so is one that nobody knows");
	is(vdev_mask(&toy.dev, "-"), -EINVAL, "and a sign alone");
	is(port->legacy_features >> 32, 0, "the legacy face has 32 bits");
}

static uint8_t generation(void)
{
	return port->ops->config_generation(port);
}

static void set_byte(void *opaque)
{
	vdev_config_set(&toy.dev, 1, opaque, 1, true);
}

static void keep_byte(void *opaque)
{
	vdev_config_keep(&toy.dev, 2, opaque, 1, true);
}

static void test_config(void)
{
	uint8_t b[8], g, v = 7;

	changes = 0;
	memset(b, 0xee, sizeof(b));
	port->ops->config_read(port, 2, b, 8);
	is(b[0], 3, "configuration is read from an offset");
	is(b[2], 0, "... and as zeroes behind its end");
	port->ops->config_read(port, 1000, b, 8);
	is(b[0], 0, "... also far behind");
	g = generation();
	is(generation(), g, "the generation stands still while nothing changes");
	for (unsigned i = 0; i < 257; i++) {
		v = (uint8_t)(100 + i);
		loop_call(loop, set_byte, &v);
	}
	ok(generation() != g, "256 and more changes move it to another number");
	is(changes, 257, "each is notified");
	loop_call(loop, set_byte, &v);
	is(changes, 257, "what stays the same is not");
	port->ops->config_write(port, 0, "\x55\x66", 2);
	port->ops->config_read(port, 0, b, 2);
	is(b[0], 0x55, "the driver's write is kept where the class takes it");
	is(b[1], 100, "... and elsewhere not (256 changes on)");
	port->ops->config_write(port, 1000, "x", 1);
	v = 9;
	loop_call(loop, keep_byte, &v);
	port->ops->reset(port);
	port->ops->config_read(port, 0, b, 3);
	is(b[0], 1, "a reset restores the configuration");
	is(b[2], 9, "... but not what outlives it");
}

int main(void)
{
	unsigned max[2] = { 256, 0 };
	struct virtq_conf conf = { .size = 64, .indirect = true };

	log_set_level(LOG_ERR);
	if (!freopen("/dev/null", "w", stderr))
		return 1;
	drv_open(&drv, &conf, 1 << 16);
	loop = loop_open("test");
	kick_fd = eventfd(0, EFD_NONBLOCK);
	if (vdev_init(&toy.dev, &toy_class, "toy0", loop, &drv.mem,
		      VBIT(F_A) | VBIT(F_B) | VBIT(F_C), max, 2))
		return 1;
	vdev_config_init(&toy.dev, "\1\2\3\4", 4);
	port = &toy.dev.port;
	port->changed = changed;
	port->failed = failed;
	is(port->ops->queue_max(port, 0), 256, "queue 0 has its size");
	is(port->ops->queue_max(port, 1), 0, "queue 1 isn't there");
	is(port->ops->queue_max(port, 2), 0, "nor is queue 2");
	loop_start(loop);
	test_life();
	test_call_moves();
	test_failure();
	test_budget();
	test_features();
	test_config();
	loop_stop(loop);
	port->ops->close(port);
	is(toy.closes, 1, "close gets to the class");
	loop_close(loop);
	close(kick_fd);
	drv_close(&drv);
	return tap_end();
}
