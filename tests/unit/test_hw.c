// SPDX-License-Identifier: GPL-2.0-only
/* The small ones: keyboard controller, power registers, debug exit. */
#include <pthread.h>

#include "lkvm/boot.h"
#include "lkvm/hw.h"
#include "tap.h"

static struct bus bus;
static bool line;
static unsigned rises;

static struct {
	unsigned n;
	enum hw_end how;
	unsigned value;
	const char *by;
} end;

static void ended(void *opaque, enum hw_end how, unsigned value, const char *by)
{
	(void)opaque;
	end.n++;
	end.how = how;
	end.value = value;
	end.by = by;
}

static const struct hw_power_user user = { .ended = ended };

static void set_line(void *opaque, unsigned n, bool level)
{
	(void)opaque;
	(void)n;
	rises += level && !line;
	line = level;
}

static unsigned in(unsigned port)
{
	return (unsigned)bus_read(&bus, port, 1);
}

static void out(unsigned port, unsigned val)
{
	bus_write(&bus, port, 1, val);
}

static void test_i8042(void)
{
	struct i8042 *i8042;
	unsigned n = 0;

	bus_init(&bus, "pio");
	i8042 = i8042_open(&bus, &user);
	while ((in(0x64) & 0x01) && n++ < 16)
		in(0x60);
	is(n, 17, "a driver that empties the buffer soon sees that nothing is there");
	is(in(0x64) & 0x02, 0, "but commands can be written at once");
	end.n = 0;
	out(0x64, 0xd1);
	out(0x60, 0xdf);
	out(0x64, 0xdd);
	out(0x64, 0xdf);
	out(0x64, 0x20);
	out(0x60, 0xfe);
	is(end.n, 0, "A20 and other commands do nothing");
	is(in(0x61), 0xff, "port 0x61 is somebody else's");
	out(0x64, 0xfe);
	is(end.n, 1, "0xfe ends the guest");
	is(end.how, HW_END_RESET, "with a reset");
	is_str(end.by, "i8042", "by name");
	i8042_close(i8042);
	is(in(0x64), 0xff, "closed, nobody answers");
	bus_fini(&bus);
}

static struct power *power;

static void *press(void *opaque)
{
	for (unsigned i = 0; i < 1000; i++)
		power_press(power);
	return opaque;
}

static void test_power(void)
{
	struct irq_line irq = { .set = set_line, .n = IRQ_POWER };
	unsigned seen = 0;
	pthread_t thread;

	bus_init(&bus, "pio");
	end.n = 0;
	power = power_open(&bus, PORT_POWER, irq, &user);
	for (unsigned typ = 0; typ < 8; typ++) {
		out(PORT_POWER + POWER_SLEEP_CONTROL, typ << 2);
		if (typ != POWER_SLP_TYP_S5)
			out(PORT_POWER + POWER_SLEEP_CONTROL, typ << 2 | 0x20);
	}
	is(end.n, 0, "no sleep type but S5's ends anything, nor S5's without SLP_EN");
	is(in(PORT_POWER + POWER_SLEEP_CONTROL), 0x1c, "SLP_EN reads as 0, the type as written");
	is(in(PORT_POWER + POWER_SLEEP_STATUS), 0x80, "another sleep state wakes at once");
	out(PORT_POWER + POWER_SLEEP_STATUS, 0x7f);
	is(in(PORT_POWER + POWER_SLEEP_STATUS), 0x80, "WAK stays");
	out(PORT_POWER + POWER_SLEEP_STATUS, 0x80);
	is(in(PORT_POWER + POWER_SLEEP_STATUS), 0x00, "until a 1 is written to it");
	out(PORT_POWER + POWER_SLEEP_CONTROL, POWER_SLP_TYP_S5 << 2 | 0x20);
	ok(end.n == 1 && end.how == HW_END_POWEROFF, "S5 powers off");
	out(PORT_POWER + POWER_RESET, 0x02);
	is(end.n, 1, "another value than the reset value does nothing");
	out(PORT_POWER + POWER_RESET, POWER_RESET_VALUE);
	ok(end.n == 2 && end.how == HW_END_RESET, "the reset value resets");
	is_str(end.by, "acpi", "by name");

	is(in(PORT_POWER + POWER_EVENT), 0, "nobody has pressed the button");
	power_press(power);
	ok(line, "pressing it raises the line");
	power_press(power);
	is(rises, 1, "pressing it again changes nothing");
	out(PORT_POWER + POWER_EVENT, 0xff);
	ok(line, "nor does writing the register");
	is(in(PORT_POWER + POWER_EVENT), 1, "the event register tells");
	ok(!line, "and drops the line");
	is(in(PORT_POWER + POWER_EVENT), 0, "once");

	pthread_create(&thread, NULL, press, NULL);
	for (unsigned i = 0; i < 1000; i++)
		seen += in(PORT_POWER + POWER_EVENT);
	pthread_join(thread, NULL);
	seen += in(PORT_POWER + POWER_EVENT);
	ok(seen >= 1 && !line, "from another thread as well, none is lost");
	power_close(power);
	bus_fini(&bus);
}

static void test_debug_exit(void)
{
	struct debug_exit *d;

	bus_init(&bus, "pio");
	end.n = 0;
	d = debug_exit_open(&bus, PORT_DEBUG_EXIT, &user);
	is(in(PORT_DEBUG_EXIT), 0, "reading does nothing");
	out(PORT_DEBUG_EXIT + 1, 9);
	is(end.n, 0, "nor do the other ports of a wide access");
	out(PORT_DEBUG_EXIT, 0x2a);
	ok(end.n == 1 && end.how == HW_END_DEBUG && end.value == 0x2a, "a byte ends the guest");
	bus_write(&bus, PORT_DEBUG_EXIT, 4, 0x12345678);
	is(end.value, 0x12345678, "so does a long word, all of it");
	is_str(end.by, "debug-exit", "by name");
	debug_exit_close(d);
	bus_fini(&bus);
}

int main(void)
{
	test_i8042();
	test_power();
	test_debug_exit();
	return tap_end();
}
