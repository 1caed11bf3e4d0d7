// SPDX-License-Identifier: GPL-2.0-only
/*
 * The network device with its pairs on two loops that run: who calls what on which of them, what is
 * true once a command has been answered, a reset in the middle of everything, two devices crossed.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "net_driver.h"

#define FEATURES                                                                                   \
	(VBIT(VIRTIO_F_VERSION_1) | VBIT(VIRTIO_NET_F_CTRL_VQ) | VBIT(VIRTIO_NET_F_CTRL_RX) |      \
	 VBIT(VIRTIO_NET_F_MQ))
#define CTRLQ	4
#define BUFFERS 256

enum { RX = 0, ALLMULTI = 1, MQ = 4 };

static struct loop *a, *b;

/* --- a back end of two queues ------------------------------------------------------------------ */

struct lane_queue {
	struct loop_fd fd;
	struct netif *nif;
	unsigned i;
	atomic_bool flows; /* packets come, to a group, one in some 60 us */
	atomic_uint recvs, sends;
};

struct lanes {
	struct netif nif;
	struct lane_queue q[2];
};

static atomic_uint misplaced; /* calls that came on another loop than the queue's, or home */

static void on_loop_of(const struct netif *nif, unsigned i)
{
	misplaced += !loop_here(netif_loop(nif, i));
}

static void lanes_ready(void *opaque, uint32_t events)
{
	struct lane_queue *q = opaque;

	(void)events;
	q->nif->user.readable(q->nif->user.opaque, q->i);
}

static void lanes_watch(struct netif *nif, unsigned i, bool on)
{
	struct lane_queue *q = &((struct lanes *)nif)->q[i];

	on_loop_of(nif, i);
	if (on && !q->fd.added && loop_add(netif_loop(nif, i), &q->fd, 0))
		abort();
	if (!on)
		loop_del(netif_loop(nif, i), &q->fd);
}

static int lanes_attach(struct netif *nif)
{
	lanes_watch(nif, 0, true);
	return 0;
}

static void lanes_detach(struct netif *nif)
{
	lanes_watch(nif, 0, false);
}

static void lanes_want_read(struct netif *nif, unsigned i, bool want)
{
	struct lane_queue *q = &((struct lanes *)nif)->q[i];

	on_loop_of(nif, i);
	if (q->fd.added)
		loop_mod(netif_loop(nif, i), &q->fd, want ? EPOLLIN : 0);
}

/* By the contract nobody looks at a queue that takes no part. */
static int lanes_spread(struct netif *nif, unsigned n)
{
	on_loop_of(nif, 0);
	misplaced += n == 1 && ((struct lanes *)nif)->q[1].fd.added;
	return 0;
}

static ssize_t lanes_send(struct netif *nif, unsigned i, const struct iovec *iov, int n)
{
	ssize_t len = 0;

	on_loop_of(nif, i);
	((struct lanes *)nif)->q[i].sends++;
	while (n--)
		len += (ssize_t)iov[n].iov_len;
	return len;
}

static ssize_t lanes_recv(struct netif *nif, unsigned i, const struct iovec *iov, int n)
{
	static const uint8_t group[6] = { 0x33, 0x33, 0, 0, 0, 1 };
	struct lane_queue *q = &((struct lanes *)nif)->q[i];
	uint8_t packet[NETIF_HDR + 64] = { 0 };
	size_t at = 0;

	on_loop_of(nif, i);
	/* A pause now and then, or a turn of the loop would be long. */
	if (!q->flows || q->recvs++ % 8 == 7)
		return 0;
	usleep(10);
	nd_frame(packet + NETIF_HDR, group, 64, 7);
	for (int k = 0; k < n && at < sizeof(packet); k++) {
		size_t part = sizeof(packet) - at < iov[k].iov_len ? sizeof(packet) - at : iov[k].iov_len;

		memcpy(iov[k].iov_base, packet + at, part);
		at += part;
	}
	return (ssize_t)at;
}

static void lanes_close(struct netif *nif)
{
	for (unsigned i = 0; i < 2; i++)
		close(((struct lanes *)nif)->q[i].fd.fd);
	free(nif);
}

static const struct netif_ops lanes_ops = {
	.close = lanes_close, .attach = lanes_attach, .detach = lanes_detach,
	.want_read = lanes_want_read, .spread = lanes_spread, .watch = lanes_watch,
	.send = lanes_send, .recv = lanes_recv,
};

static struct lanes *lanes_new(void)
{
	struct lanes *l = calloc(1, sizeof(*l));

	l->nif.ops = &lanes_ops;
	l->nif.info.queues = 2;
	for (unsigned i = 0; i < 2; i++) {
		l->q[i].nif = &l->nif;
		l->q[i].i = i;
		l->q[i].fd = (struct loop_fd){ .fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC),
					       .ready = lanes_ready, .opaque = &l->q[i] };
	}
	return l;
}

static void flow(struct lane_queue *q, bool on)
{
	eventfd_t n;

	q->flows = on;
	if (on)
		eventfd_write(q->fd.fd, 1);
	else
		eventfd_read(q->fd.fd, &n);
}

/* --- the driver -------------------------------------------------------------------------------- */

static void nd_ready(struct nd *nd, unsigned pairs)
{
	uint16_t n = (uint16_t)pairs;

	nd->size = BUFFERS;
	nd_start(nd, FEATURES, 5);
	is(nd_command(nd, CTRLQ, MQ, 0, &n, 2), 0, "%u pair%s, please", pairs, pairs > 1 ? "s" : "");
	for (unsigned q = 0; q < 4; q += 2) {
		for (unsigned i = 0; i < BUFFERS; i++)
			nd_offer(nd, q, 256, 1);
		nd_kick(nd, q);
	}
}

/* Buffers that were filled go back; how many. */
static unsigned again(struct nd *nd, unsigned q)
{
	struct drv *d = &nd->q[q];
	unsigned n = 0;
	int id;

	while ((id = drv_used(d, NULL, NULL)) >= 0) {
		struct drv_seg seg = { d->desc[id].addr, 256, true };

		drv_add(d, &seg, 1);
		n++;
	}
	if (drv_publish(d))
		eventfd_write(nd->kick[q], 1);
	return n;
}

static unsigned again_within(struct nd *nd, unsigned q, int ms)
{
	unsigned n = 0;

	for (int i = 0; !n && i < ms; i++) {
		n = again(nd, q);
		usleep(n ? 0 : 1000);
	}
	return n;
}

static int allmulti(struct nd *nd, uint8_t on)
{
	return nd_command(nd, CTRLQ, RX, ALLMULTI, &on, 1);
}

/* --- tests ------------------------------------------------------------------------------------- */

static void test_places(struct nd *nd, struct lanes *l)
{
	nd_ready(nd, 1);
	allmulti(nd, 1);
	flow(&l->q[1], true);
	ok(!again_within(nd, 2, 20), "with one pair nobody looks at the second queue of the back end");
	flow(&l->q[1], false);
	nd_ready(nd, 2);
	allmulti(nd, 1);
	for (unsigned i = 0; i < 2; i++) {
		struct drv_seg seg = { nd_alloc(nd, 128), 128, false };

		flow(&l->q[i], true);
		ok(again_within(nd, 2 * i, 2000), "pair %u receives", i);
		flow(&l->q[i], false);
		l->q[i].sends = 0;
		memset(nd_ptr(nd, seg.gpa), 0, 128);
		drv_add(&nd->q[2 * i + 1], &seg, 1);
		nd_kick(nd, 2 * i + 1);
		for (int t = 0; t < 2000 && !drv_has_used(&nd->q[2 * i + 1]); t++)
			usleep(1000);
		is(l->q[i].sends, 1, "and sends, over its own queue");
	}
	is(misplaced, 0, "all of it on the loops that the queues are on");
}

/* No packet is let in by the old filter once the driver has read that there is a new one. */
static void test_exact(struct nd *nd, struct lanes *l)
{
	unsigned came = 0, after = 0, left = 0, rounds = 12;

	nd_ready(nd, 2);
	flow(&l->q[1], true);
	for (unsigned i = 0; i < rounds; i++) {
		allmulti(nd, 1);
		came += again_within(nd, 2, 2000) > 0;
		allmulti(nd, 0);
		left += again(nd, 2) < BUFFERS; /* or none could come anyway */
		usleep(3000);
		after += again(nd, 2);
	}
	flow(&l->q[1], false);
	is(came, rounds, "each time that packets to groups are wanted some come");
	is(left, rounds, "... and there is room for more");
	is(after, 0, "... but none after the answer to the command that they aren't");
	is(misplaced, 0, "all of it in its place");
}

static void test_reset(struct nd *nd, struct lanes *l)
{
	unsigned quiet = 0;

	for (unsigned i = 0; i < 10; i++) {
		uint64_t head;
		unsigned recvs;

		nd_ready(nd, 2);
		allmulti(nd, 1);
		flow(&l->q[0], true);
		flow(&l->q[1], true);
		/* One more command, whose answer nobody waits for. */
		head = nd_alloc(nd, 4);
		memcpy(nd_ptr(nd, head), "\0\1\0", 4);
		drv_add(&nd->q[CTRLQ], (struct drv_seg[]){ { head, 3, false }, { head + 3, 1, true } }, 2);
		if (drv_publish(&nd->q[CTRLQ]))
			eventfd_write(nd->kick[CTRLQ], 1);
		usleep(i * 300);
		if (i & 1) /* packets are dropped until the reset */
			nd->port->ops->queue_stop(nd->port, 0);
		nd->port->ops->reset(nd->port);
		recvs = l->q[0].recvs + l->q[1].recvs;
		again(nd, 0);
		again(nd, 2);
		usleep(3000);
		quiet += recvs == l->q[0].recvs + l->q[1].recvs && !again(nd, 0) && !again(nd, 2);
		flow(&l->q[0], false);
		flow(&l->q[1], false);
	}
	is(quiet, 10, "after a reset no packet is taken from either queue, nor any buffer used");
	nd_ready(nd, 2);
	is(allmulti(nd, 1), 0, "and the next driver's commands are answered");
	is(misplaced, 0, "all of it in its place");
}

static void *command_often(void *opaque)
{
	struct nd *nd = opaque;
	uintptr_t good = 0;

	for (unsigned i = 0; i < 200; i++)
		good += !allmulti(nd, i & 1);
	return (void *)good;
}

/* Each device's home tells the other's home something, all the time. */
static void test_crossed(struct nd *nd)
{
	struct nd other;
	pthread_t t[2];
	void *good[2];

	nd_open_on(&other, &lanes_new()->nif, NULL, 0, (struct loop *[]){ b, a }, 2);
	nd_ready(nd, 2);
	nd_ready(&other, 2);
	pthread_create(&t[0], NULL, command_often, nd);
	pthread_create(&t[1], NULL, command_often, &other);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(t[i], &good[i]);
	ok((uintptr_t)good[0] == 200 && (uintptr_t)good[1] == 200,
	   "two devices on the same loops in opposite order: all commands of both are answered");
	nd_close(&other);
}

int main(void)
{
	struct lanes *l = lanes_new();
	struct nd nd;

	a = loop_open("a");
	b = loop_open("b");
	loop_start(a);
	loop_start(b);
	nd_open_on(&nd, &l->nif, NULL, 0, (struct loop *[]){ a, b }, 2);
	test_places(&nd, l);
	test_exact(&nd, l);
	test_reset(&nd, l);
	test_crossed(&nd);
	nd_close(&nd);
	is(misplaced, 0, "closing too");
	loop_stop(a);
	loop_stop(b);

	loop_set_poll(a, 50000); /* now one that looks before it sleeps, and one that doesn't */
	l = lanes_new();
	loop_start(a);
	loop_start(b);
	nd_open_on(&nd, &l->nif, NULL, 0, (struct loop *[]){ a, b }, 2);
	test_reset(&nd, l);
	test_crossed(&nd);
	nd_close(&nd);
	loop_stop(a);
	loop_stop(b);
	loop_close(a);
	loop_close(b);
	return tap_end();
}
