// SPDX-License-Identifier: GPL-2.0-only
/*
 * What home tells a network device's pairs, with loops that turn when this test says so: the driver, or
 * a reset, comes just when the pairs have heard it and home doesn't know yet.
 */
#include "net_driver.h"

#define FEATURES                                                                                   \
	(VBIT(VIRTIO_NET_F_CTRL_VQ) | VBIT(VIRTIO_NET_F_CTRL_RX) | VBIT(VIRTIO_NET_F_MQ))
#define CTRLQ 4

enum { RX = 0, ALLMULTI = 1, MQ = 4 };

static struct loop *a, *b;
static bool second_watched; /* the back end's second queue, by the device */
static unsigned detached;   /* it was taken away while it was */

static void t_watch(struct netif *nif, unsigned queue, bool on)
{
	(void)nif;
	if (queue == 1)
		second_watched = on;
}

static int t_spread(struct netif *nif, unsigned n)
{
	((struct nb *)nif)->spread = n;
	detached += n == 1 && second_watched;
	return 0;
}

static void nothing(void *opaque)
{
	(void)opaque;
}

/* The second pair's loop does what it was told; home's has not turned since. */
static void others_hear(void)
{
	loop_call(b, nothing, NULL);
}

static unsigned submit(struct nd *nd, uint8_t class, uint8_t cmd, const void *data, size_t len)
{
	uint64_t body = nd_alloc(nd, len + 2), ack = nd_alloc(nd, 1);
	uint8_t *head = nd_ptr(nd, body);

	head[0] = class;
	head[1] = cmd;
	memcpy(head + 2, data, len);
	drv_add(&nd->q[CTRLQ], (struct drv_seg[]){ { body, (uint32_t)len + 2, false }, { ack, 1, true } }, 2);
	return drv_publish(&nd->q[CTRLQ]);
}

static void write_mac(struct nd *nd, uint8_t last)
{
	const uint8_t mac[6] = { 2, 0, 0, 0, 0, last };

	nd->port->ops->config_write(nd->port, 0, mac, 6);
}

/* A legacy driver, as that may write the address, with two pairs in use. */
static void ready(struct nd *nd)
{
	uint16_t two = 2;

	nd->port->legacy = true;
	nd_start(nd, FEATURES, 5);
	submit(nd, MQ, 0, &two, 2);
	eventfd_write(nd->kick[CTRLQ], 1);
	nd_turn(nd);
	ok(!drv_has_used(&nd->q[CTRLQ]), "a command isn't answered before the other pair has heard");
	others_hear();
	nd_turn(nd);
	ok(drv_used(&nd->q[CTRLQ], NULL, NULL) >= 0 && second_watched, "but then");
}

static void test_rung_meanwhile(struct nd *nd)
{
	uint8_t on = 1;

	ready(nd);
	submit(nd, RX, ALLMULTI, &on, 1);
	eventfd_write(nd->kick[CTRLQ], 1);
	nd_turn(nd);
	others_hear();
	eventfd_write(nd->kick[CTRLQ], 1);
	nd_turn(nd);
	ok(drv_used(&nd->q[CTRLQ], NULL, NULL) >= 0, "a doorbell in between costs no command its answer");
}

static void test_told_meanwhile(struct nd *nd)
{
	uint16_t one = 1;

	ready(nd);
	write_mac(nd, 1);
	others_hear();
	submit(nd, MQ, 0, &one, 2);
	eventfd_write(nd->kick[CTRLQ], 1);
	nd_turn(nd);
	others_hear();
	nd_turn(nd);
	ok(drv_used(&nd->q[CTRLQ], NULL, NULL) >= 0 && !second_watched, "one pair is in use");
	is(detached, 0, "and the other's queue left after it was looked at for the last time");
}

static void test_reset_meanwhile(struct nd *nd)
{
	ready(nd);
	write_mac(nd, 1);
	write_mac(nd, 2);
	nd->port->ops->reset(nd->port);
	others_hear();
	nd_turn(nd);
	others_hear();
	ok(!second_watched, "after a reset nobody looks at the second queue, whatever was still to be told");
	is(detached, 0, "nor when it left");
	ready(nd);
}

int main(void)
{
	struct nb *nb = nb_new(0, 0, 2);
	struct netif_ops ops = *nb->nif.ops;
	struct nd nd;

	ops.watch = t_watch;
	ops.spread = t_spread;
	nb->nif.ops = &ops;
	a = loop_open("a");
	b = loop_open("b");
	nd_open_on(&nd, &nb->nif, NULL, 0, (struct loop *[]){ a, b }, 2);
	nd.threaded = false;
	test_rung_meanwhile(&nd);
	test_told_meanwhile(&nd);
	test_reset_meanwhile(&nd);
	nd.threaded = true;
	nd_close(&nd);
	loop_close(a);
	loop_close(b);
	return tap_end();
}
