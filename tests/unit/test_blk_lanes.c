// SPDX-License-Identifier: GPL-2.0-only
/*
 * The block device with several queues, on one loop and spread over several: where each is served,
 * what a reset waits for, failure, the cache mode, and two devices in each other's way.
 */
#include "blk_driver.h"

static void test_multiqueue(void)
{
	unsigned good = 0;

	rig = rig_open(&plain, &split, 4, NULL);
	rig_start(rig, ALL);
	for (on_queue = 0; on_queue < 4; on_queue++) {
		is(write_sectors(10 * on_queue, 5, on_queue), S_OK, "a write on queue %u [BLK-01]",
		   on_queue);
		is(request(T_IN, 10 * on_queue, "", 0, 5 * 512), S_OK, "and a read");
		ok(in_is(image + 5120 * on_queue, 5 * 512), "of it");
	}
	on_queue = 0;
	for (unsigned n = 0; n < 4; n++) {
		load(&rig->q[n], 32);
		drv_publish(&rig->q[n].d);
	}
	for (unsigned n = 0; n < 4; n++)
		eventfd_write(rig->q[n].kick, 1);
	for (unsigned n = 0; n < 4; n++)
		for (unsigned i = 0; i < 32; i++)
			good += wait_used(&rig->q[n], &used_len);
	is(good, 128, "all four at once");
	memset(image, 0, 64 * 512);
	rig->port->ops->queue_stop(rig->port, 2);
	on_queue = 3;
	is(write_sectors(200, 5, 7), S_OK, "one stopped, another goes on");
	on_queue = 0;
	ok(image_same(), "the file is as it should be");
	rig_close(rig);
}

/* --- queues on several threads ---------------------------------------------------------------- */

/* Events on each loop while queue n has one request. */
static void watch_queue(unsigned n, uint64_t events[3])
{
	for (unsigned i = 0; i < threads; i++)
		events[i] = loop_events(rig->loop[i]);
	on_queue = n;
	request(T_IN, 0, "", 0, 512);
	on_queue = 0;
	for (unsigned i = 0; i < threads; i++)
		events[i] = loop_events(rig->loop[i]) - events[i];
}

static void test_places(void)
{
	uint64_t events[3];

	rig = rig_open(&plain, &split, 4, NULL);
	rig_start(rig, ALL);
	for (unsigned n = 0; n < 4; n++)
		watch_queue(n, events); /* what starting left to do */
	for (unsigned n = 0; n < 4; n++) {
		unsigned mine = n % threads, others = 0;

		watch_queue(n, events);
		for (unsigned i = 0; i < threads; i++)
			others += i != mine && events[i];
		ok(events[mine] && !others, "queue %u is on thread %u of %u, and on no other", n, mine,
		   threads);
	}
	rig_close(rig);
}

/* All of a queue's requests have been finished, or (asked before they were taken) none. */
static bool finished(struct ring *r, unsigned n)
{
	uint64_t base = rig->buf + (uint64_t)(r - rig->q) * (1 << 18);
	unsigned used = 0, good = 0;

	while (drv_used(&r->d, &used_len, NULL) >= 0)
		used++;
	for (unsigned i = 0; i < n; i++)
		good += *(uint8_t *)ram(base + i * 8192 + 4112) == (used ? S_OK : 0xff);
	return good == n && (used == n || !used);
}

/* A reset from the transport's thread while every thread has requests of the device in flight. */
static void test_lanes_reset(void)
{
	unsigned rounds = 0, quiet = 0;
	int calls;

	rig = rig_open(&plain, &split, 4, NULL);
	rig_start(rig, ALL);
	for (unsigned delay = 0; delay < 12; delay++) {
		bool good = true;

		seen.slow = 300;
		for (unsigned n = 0; n < 4; n++) {
			load(&rig->q[n], 32);
			drv_publish(&rig->q[n].d);
			eventfd_write(rig->q[n].kick, 1);
		}
		usleep(delay * 20);
		rig->port->ops->reset(rig->port);
		calls = seen.calls;
		for (unsigned n = 0; n < 4; n++)
			good &= finished(&rig->q[n], 32);
		rounds += good;
		usleep(2000);
		for (unsigned n = 0; n < 4; n++)
			good &= !drv_has_used(&rig->q[n].d);
		quiet += good && seen.calls == calls;
		rings_reset(rig);
		rig_start(rig, ALL);
	}
	is(rounds, 12, "a reset waits for the requests of %u threads", threads);
	is(quiet, 12, "... and nothing is done or used afterwards");
	memset(image, 0, 64 * 512);
	for (on_queue = 0; on_queue < 4; on_queue++)
		is(write_sectors(100, 3, on_queue), S_OK, "queue %u works again", on_queue);
	on_queue = 0;
	ok(image_same(), "and the file is as it should be");
	rig_close(rig);
}

/* A driver breaks a rule on one thread: the device fails once, everywhere, until its reset. */
static void test_lanes_fail(void)
{
	rig = rig_open(&plain, &split, 4, NULL);
	rig_start(rig, ALL);
	for (unsigned n = 0; n < 4; n++) {
		struct drv_seg no_status = { rig->buf + n * (1 << 18) + (1 << 17), 16 + 512, false };

		load(&rig->q[n], 16);
		drv_add(&rig->q[n].d, &no_status, 1);
		drv_publish(&rig->q[n].d);
	}
	for (unsigned n = 0; n < 4; n++)
		eventfd_write(rig->q[n].kick, 1);
	for (int i = 0; i < 100 && !rig->failed; i++)
		usleep(10000);
	usleep(20000);
	is(rig->failed, 1, "all queues of %u threads break a rule: the device fails once", threads);
	for (unsigned n = 0; n < 4; n++)
		while (drv_used(&rig->q[n].d, NULL, NULL) >= 0)
			;
	load(&rig->q[3], 1);
	drv_publish(&rig->q[3].d);
	eventfd_write(rig->q[3].kick, 1);
	usleep(20000);
	ok(!drv_has_used(&rig->q[3].d), "... and is served by none of them");
	rig->port->ops->reset(rig->port);
	rings_reset(rig);
	rig_start(rig, ALL);
	for (on_queue = 0; on_queue < 4; on_queue++)
		is(request(T_IN, 0, "", 0, 512), S_OK, "queue %u works again", on_queue);
	on_queue = 0;
	rig_close(rig);
}

/* The cache mode is set at home and holds for what is sent to any thread afterwards. */
static void test_lanes_cache(void)
{
	uint8_t on = 0;

	rig = rig_open(&plain, &split, 4, NULL);
	rig_start(rig, ALL);
	for (on_queue = 0; on_queue < 4; on_queue++) {
		seen_none();
		write_sectors(300, 1, 1);
		ok(!seen.dsyncs && !fdatasyncs, "queue %u: write-back", on_queue);
	}
	rig->port->ops->config_write(rig->port, 32, &on, 1);
	for (on_queue = 0; on_queue < 4; on_queue++) {
		seen_none();
		write_sectors(300, 1, 1);
		ok(seen.dsyncs || fdatasyncs, "queue %u: write-through", on_queue);
	}
	on_queue = 0;
	rig_close(rig);
}

/* Two disks over the same two threads, in opposite order, started and reset at once. */
static void *reset_often(void *opaque)
{
	struct vport *port = opaque;

	for (int i = 0; i < 300; i++) {
		port->ops->accept(port, port->features);
		port->ops->start(port);
		port->ops->reset(port);
	}
	return NULL;
}

static void test_lanes_crossed(void)
{
	struct loop *a = loop_open("a"), *b = loop_open("b"), *ab[] = { a, b }, *ba[] = { b, a };
	struct disk_conf dc = { .path = path, .readonly = true };
	struct disk *disk = disk_open("blk0", &dc), *other = disk_open("blk1", &dc);
	struct vdev_conf vc = { .name = "blk0", .queues = 2, .loop = a, .loops = ab, .n_loops = 2 };
	struct vdev_conf wc = { .name = "blk1", .queues = 2, .loop = b, .loops = ba, .n_loops = 2 };
	struct vport *port = blk_open(&vc, disk, NULL), *second = blk_open(&wc, other, NULL);
	pthread_t t[2];

	loop_set_poll(a, polls);
	loop_set_poll(b, polls);
	loop_start(a);
	loop_start(b);
	pthread_create(&t[0], NULL, reset_often, port);
	pthread_create(&t[1], NULL, reset_often, second);
	pthread_join(t[0], NULL);
	pthread_join(t[1], NULL);
	ok(true, "two disks over two threads in opposite order never wait for each other");
	port->ops->close(port);
	second->ops->close(second);
	loop_stop(a);
	loop_stop(b);
	loop_close(a);
	loop_close(b);
	disk_close(disk);
	disk_close(other);
}

int main(void)
{
	int fd = mkstemp(path);

	if (fd < 0)
		return 1;
	close(fd);
	log_set_level(LOG_ERR);
	image_fresh();
	test_multiqueue();
	for (threads = 2; threads <= 3; threads++) {
		test_multiqueue();
		test_places();
		test_lanes_reset();
		test_lanes_fail();
		test_lanes_cache();
	}
	threads = 2;
	polls = 100000;
	test_multiqueue();
	test_lanes_reset();
	test_lanes_fail();
	test_lanes_cache();
	test_lanes_crossed();
	unlink(path);
	return tap_end();
}
