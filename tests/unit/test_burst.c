// SPDX-License-Identifier: GPL-2.0-only
/*
 * When the serial port's bytes are collected: the port between a bus whose collecting is this test's, and
 * a channel whose far end is this test.
 */
#include <pthread.h>
#include <unistd.h>

#include "lkvm/chan_outside.h"
#include "lkvm/hw.h"
#include "lkvm/loop.h"
#include "tap.h"

enum { THR = 0, IER = 1, LCR = 3, MCR = 4, LSR = 5 };

#define COM   0x3f8
#define START 64

static struct bus bus;
static struct chan chan;
static struct loop *loop;
static struct serial *port;

/* The ring, as KVM and kvm/ring.c have it. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint8_t ring[256];
static unsigned in_ring;
static _Atomic bool on;
static _Atomic unsigned ons, offs, looks;
static int refuse;

static int coalesce(void *opaque, uint64_t addr, unsigned len, bool want)
{
	(void)opaque;
	if (addr != COM || len != 1 || want == on)
		return -22;
	if (want && refuse) {
		refuse++;
		return -95;
	}
	on = want;
	*(want ? &ons : &offs) += 1;
	return 0;
}

static void collect(void *opaque)
{
	(void)opaque;
	looks++;
	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < in_ring; i++)
		bus_write(&bus, COM, 1, ring[i]);
	in_ring = 0;
	pthread_mutex_unlock(&lock);
}

static void setup(void)
{
	bus_init(&bus, "pio");
	bus.coalesce = coalesce;
	bus.collect = collect;
	chan_init(&chan, NULL, NULL);
	loop = loop_open("test");
	on = false;
	ons = offs = looks = in_ring = 0;
	refuse = 0;
	port = serial_open("ttyS0", &bus, COM, (struct irq_line){ 0 }, &chan, loop);
	loop_start(loop);
}

static void teardown(void)
{
	loop_stop(loop);
	serial_close(port);
	ok(!on, "nothing is collected when the port is gone");
	loop_close(loop);
	chan_fini(&chan);
	bus_fini(&bus);
}

/* As a vCPU does it: into the ring, or, when that is off, an exit. */
static void out(unsigned reg, uint8_t val)
{
	if (reg == THR && on) {
		pthread_mutex_lock(&lock);
		ring[in_ring++ % sizeof(ring)] = val;
		pthread_mutex_unlock(&lock);
		return;
	}
	bus_collect(&bus);
	bus_write(&bus, COM + reg, 1, val);
}

static void print(unsigned n)
{
	while (n--)
		out(THR, 'x');
}

static size_t printed(void)
{
	return chan_out_pending(&chan);
}

static void test_begin_and_end(void)
{
	unsigned then;

	setup();
	print(START - 1);
	is(ons, 0, "a few bytes are not a burst");
	print(1);
	is(ons, 1, "64 are");
	print(3);
	is(printed(), START, "what comes now is collected");
	usleep(60000);
	is(printed(), START + 3, "and seen a little later, though the guest does nothing more");
	usleep(400000);
	is(offs, 1, "a burst ends by itself");
	then = looks;
	usleep(100000);
	is(looks, then, "after that nobody looks any more");
	print(1);
	is(printed(), START + 4, "and a byte is seen at once");
	print(START);
	is(ons, 2, "it can begin again");
	teardown();
}

static void test_slow(void)
{
	setup();
	for (unsigned i = 0; i < 2 * START; i++) {
		print(1);
		usleep(2500);
	}
	is(ons, 0, "a byte now and then is no burst");
	teardown();
}

static void test_goes_on(void)
{
	setup();
	for (unsigned i = 0; i < 50; i++) {
		print(START);
		usleep(10000);
	}
	usleep(30000);
	is(ons, 1, "for as long as bytes come it stays on");
	is(printed(), 50 * START, "and none is lost");
	teardown();
}

static void test_not_safe(const char *what, unsigned reg, uint8_t val)
{
	setup();
	out(reg, val);
	print(3 * START);
	is(ons, 0, "never with %s", what);
	out(reg, 0);
	print(START);
	is(ons, 1, "without it, yes");
	print(5);
	out(reg, val);
	is(offs, 1, "switching it on ends it");
	print(START);
	usleep(60000);
	is(ons, 1, "until it is switched off");
	out(reg, 0);
	is(printed(), reg == MCR ? START + 5 : 5 * START + 5, "bytes from before the switch are seen before it");
	teardown();
}

static void test_dlab(void)
{
	setup();
	print(START);
	out(THR, 'a');
	out(LCR, 0x80);
	out(THR, 7); /* the divisor, by way of the ring */
	out(LCR, 0x03);
	out(THR, 'b');
	bus_collect(&bus);
	is(printed(), START + 2, "what is written with DLAB set is not sent, and what is before and after is");
	out(LCR, 0x80);
	is(bus_read(&bus, COM, 1), 7, "it is the divisor");
	teardown();
}

static void test_refused(void)
{
	setup();
	refuse = 1;
	print(10 * START);
	is(refuse, 2, "where it can't be done it is asked for once");
	is(printed(), 10 * START, "and everything is sent");
	teardown();
}

int main(void)
{
	test_begin_and_end();
	test_slow();
	test_goes_on();
	test_not_safe("the transmitter's interrupt", IER, 0x02);
	test_not_safe("loopback", MCR, 0x10);
	test_dlab();
	test_refused();
	return tap_end();
}
