// SPDX-License-Identifier: GPL-2.0-only
/* The devices that tell on a guest: pvpanic on both its ways, and the watchdog's registers and time. */
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "fake_pci.h"
#include "lkvm/boot.h"
#include "lkvm/hw.h"
#include "tap.h"

#define SLOT 5
#define BAR  0xc0001000

static struct fake_pci p;
static struct loop *loop; /* the watchdog's, run by the test itself */

static struct {
	unsigned n;
	enum hw_end how;
	unsigned value;
	char by[32];
} end;

static void ended(void *opaque, enum hw_end how, unsigned value, const char *by)
{
	end.n++;
	end.how = how;
	end.value = value;
	snprintf(end.by, sizeof(end.by), "%s", by);
	if (opaque)
		loop_quit(opaque);
}

/* BAR 0 where we want it, decoded. */
static void place_bar(void)
{
	cfg_write(&p, SLOT, 0x10, 4, BAR);
	cfg_write(&p, SLOT, 4, 2, 2);
}

/* --- pvpanic --------------------------------------------------------------------------------- */

static void said(unsigned n, unsigned value, const char *by, const char *what)
{
	ok(end.n == n && (!n || (end.how == HW_END_PANIC && end.value == value && !strcmp(end.by, by))), "%s",
	   what);
	end.n = 0;
}

static void test_pvpanic(void)
{
	struct hw_power_user user = { .ended = ended };
	struct pvpanic *pv = pvpanic_open(&p.pio, PORT_PVPANIC, p.host, SLOT, &user);

	is(cfg_read(&p, SLOT, 0, 4), 0x00111b36, "the function's ids");
	place_bar();
	is(bus_read(&p.pio, PORT_PVPANIC, 1), 3, "the port tells which events it knows");
	is(bus_read(&p.mmio, BAR, 1), 3, "the BAR too");
	is(bus_read(&p.mmio, BAR + 1, 1), 0, "there is one register");
	bus_write(&p.pio, PORT_PVPANIC, 1, 1);
	said(1, PVPANIC_PANICKED, "pvpanic", "a panic on the port");
	bus_write(&p.mmio, BAR, 1, 1);
	said(1, PVPANIC_PANICKED, "pvpanic-pci", "a panic in the BAR");
	bus_write(&p.mmio, BAR, 1, 0xfe);
	said(1, PVPANIC_CRASH_LOADED, "pvpanic-pci", "a crash kernel, without what is unknown");
	bus_write(&p.mmio, BAR, 1, 0xfc);
	bus_write(&p.mmio, BAR, 1, 0);
	bus_write(&p.mmio, BAR + 4, 4, 1);
	bus_write(&p.pio, PORT_PVPANIC + 1, 1, 1);
	bus_write(&p.pio, PORT_PVPANIC, 2, 1);
	said(0, 0, "", "nothing else is a panic");
	pvpanic_close(pv);
	is(bus_read(&p.pio, PORT_PVPANIC, 1), 0xff, "closed: nobody there");
}

/* --- the watchdog ---------------------------------------------------------------------------- */

static void reload_write(unsigned val)
{
	bus_write(&p.mmio, BAR + 12, 2, val);
}

static void unlock(void)
{
	reload_write(0x80);
	reload_write(0x86);
}

static void set_stages(unsigned ticks)
{
	for (unsigned stage = 0; stage < 2; stage++) {
		unlock();
		bus_write(&p.mmio, BAR + 4 * stage, 4, ticks);
	}
}

static void enable(unsigned lock)
{
	cfg_write(&p, SLOT, 0x68, 1, lock);
}

static struct loop_timer giving_up;

static void give_up(void *opaque)
{
	loop_quit(opaque);
}

/* Runs the loop until the watchdog barks or so many milliseconds are over. Did it? In how many? */
static bool barks(unsigned within_ms, unsigned *after_ms)
{
	uint64_t from = loop_now();

	end.n = 0;
	giving_up = (struct loop_timer){ .fire = give_up, .opaque = loop };
	loop_timer_set(loop, &giving_up, within_ms * 1000000ULL);
	loop_run(loop);
	loop_timer_cancel(loop, &giving_up);
	if (after_ms)
		*after_ms = (unsigned)((loop_now() - from) / 1000000);
	return end.n == 1 && end.how == HW_END_WATCHDOG;
}

static void test_registers(void)
{
	is(cfg_read(&p, SLOT, 0, 4), 0x25ab8086, "the function's ids");
	cfg_write(&p, SLOT, 0x60, 2, 0xffff);
	is(cfg_read(&p, SLOT, 0x60, 2), 0x27, "the configuration's bits");
	cfg_write(&p, SLOT, 0x60, 2, 3);
	enable(2);
	is(cfg_read(&p, SLOT, 0x68, 1), 2, "switched on");
	enable(0);
	is(cfg_read(&p, SLOT, 0x68, 1), 0, "and off");
}

static void test_time(void)
{
	bool barked;
	unsigned ms;

	set_stages(20);
	enable(2);
	barked = barks(3000, &ms);
	ok(barked && ms >= 40, "two stages of 21 ms run out after %u ms", ms);
	is_str(end.by, "i6300esb", "and say whose they are");
	is(bus_read(&p.mmio, BAR + 12, 2), 0x200, "the register says so");
	unlock();
	reload_write(0x200);
	is(bus_read(&p.mmio, BAR + 12, 2), 0, "until it is told");
	ok(!barks(100, NULL), "it runs out once");
	enable(0);

	set_stages(20);
	enable(2);
	enable(0);
	ok(!barks(100, NULL), "switched off it doesn't run out");
	set_stages(281474); /* in nanoseconds times 33 MHz just more than 64 bits hold */
	enable(2);
	ok(!barks(100, NULL), "nine minutes are not over at once");
	enable(0);
	cfg_write(&p, SLOT, 0x60, 2, 0x23);
	enable(2);
	ok(!barks(100, NULL), "without its output nobody hears it");
	enable(0);
	cfg_write(&p, SLOT, 0x60, 2, 3);
	enable(6);
	ok(!barks(100, NULL), "free running it only starts over");
	enable(0);
	cfg_write(&p, SLOT, 0x60, 2, 7);
	set_stages(0x3ffff);
	enable(2);
	barked = barks(20000, &ms);
	ok(barked && ms >= 500, "the fast clock: half a million ticks in %u ms", ms);
	enable(0);
	cfg_write(&p, SLOT, 0x60, 2, 3);
}

static void test_holding(struct watchdog *w)
{
	bool barked;
	unsigned ms;

	set_stages(50);
	enable(2);
	watchdog_hold(w, true);
	watchdog_hold(w, true);
	ok(!barks(250, NULL), "held, it doesn't run out");
	watchdog_hold(w, false);
	barked = barks(3000, &ms);
	ok(barked && ms >= 50, "let go, it does, %u ms later", ms);
	watchdog_hold(w, true);
	watchdog_hold(w, false);
	ok(!barks(200, NULL), "one that has run out stays so");
	enable(0);
}

static void test_feeding(void)
{
	unsigned fed = 0;

	set_stages(300);
	enable(2);
	for (; fed < 20 && !barks(40, NULL); fed++) {
		unlock();
		reload_write(0x100);
	}
	is(fed, 20, "fed, it doesn't run out");
	for (fed = 0; fed < 20 && !barks(40, NULL); fed++)
		reload_write(0x100);
	ok(fed < 20, "food without the magic is none");
	enable(0);

	set_stages(150);
	reload_write(0x80);
	reload_write(0x80);
	reload_write(0x86);
	bus_write(&p.mmio, BAR, 4, 10);
	bus_write(&p.mmio, BAR + 4, 4, 10);
	enable(2);
	ok(!barks(80, NULL), "one unlocking is for one write");
	enable(3);
	enable(0);
	is(cfg_read(&p, SLOT, 0x68, 1), 3, "locked: nobody stops it any more");
	ok(barks(3000, NULL), "and it runs out");
}

static void test_watchdog(void)
{
	struct hw_power_user user = { .ended = ended, .opaque = loop };
	struct watchdog *w = watchdog_open(p.host, SLOT, loop, &user);

	place_bar();
	test_registers();
	test_time();
	test_holding(w);
	test_feeding();
	watchdog_close(w);
	ok(!watchdog_open(p.host, 0, loop, &user), "a slot that is taken is refused");
}

int main(void)
{
	fake_pci_open(&p, NULL);
	loop = loop_open("watchdog");
	test_pvpanic();
	test_watchdog();
	loop_close(loop);
	fake_pci_close(&p);
	return tap_end();
}
