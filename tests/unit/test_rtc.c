// SPDX-License-Identifier: GPL-2.0-only
/* The CMOS clock through its two ports, with a clock of the test's own behind it. */
#include "hw/rtc.h"
#include "tap.h"

static struct bus bus;
static struct rtc *rtc;
static struct timespec clock_now;

static void test_now(struct timespec *ts)
{
	*ts = clock_now;
}

static unsigned get(unsigned reg)
{
	bus_write(&bus, 0x70, 1, reg);
	return (unsigned)bus_read(&bus, 0x71, 1);
}

static void set(unsigned reg, unsigned val)
{
	bus_write(&bus, 0x70, 1, reg);
	bus_write(&bus, 0x71, 1, val);
}

static void at(int year, int month, int day, int hour, int minute, int second)
{
	struct tm tm = { .tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day,
			 .tm_hour = hour, .tm_min = minute, .tm_sec = second };

	clock_now = (struct timespec){ .tv_sec = timegm(&tm) };
}

static void open_rtc(void)
{
	bus_init(&bus, "pio");
	rtc = rtc_open(&bus, 0x70);
	rtc_set_clock(rtc, test_now);
}

static void close_rtc(void)
{
	rtc_close(rtc);
	bus_fini(&bus);
}

static void test_bcd(void)
{
	open_rtc();
	at(2026, 11, 22, 19, 48, 37); /* a Sunday */
	is(get(0x0b), 0x02, "register B: BCD, 24 hours, no interrupts");
	is(get(0x00), 0x37, "seconds");
	is(get(0x02), 0x48, "minutes");
	is(get(0x04), 0x19, "hours");
	is(get(0x06), 0x01, "day of the week, from Sunday = 1");
	is(get(0x07), 0x22, "day");
	is(get(0x08), 0x11, "month");
	is(get(0x09), 0x26, "year");
	is(get(0x32), 0x20, "century");
	is(get(0x0d), 0x80, "register D: the battery is good");
	is(get(0x80 | 0x02), 0x48, "the NMI bit of the index is ignored");
	is(bus_read(&bus, 0x70, 1), 0xff, "the index can't be read");
	at(1999, 12, 31, 23, 59, 59);
	is(get(0x32) << 8 | get(0x09), 0x1999, "the last second of 1999");
	at(2000, 1, 1, 0, 0, 0);
	is(get(0x32) << 8 | get(0x09), 0x2000, "and the next");
	is(get(0x04), 0x00, "midnight is hour 0");
	close_rtc();
}

static void test_formats(void)
{
	static const struct {
		int hour;
		unsigned bcd, binary;
	} h[] = { { 0, 0x12, 12 },    { 1, 0x01, 1 },	   { 11, 0x11, 11 },
		  { 12, 0x92, 0x8c }, { 13, 0x81, 0x81 }, { 23, 0x91, 0x8b } };

	open_rtc();
	at(2026, 11, 22, 19, 48, 37);
	set(0x0b, 0x06);
	is(get(0x00), 37, "binary seconds");
	is(get(0x04), 19, "binary hours");
	is(get(0x09), 26, "binary year");
	is(get(0x32), 20, "binary century");
	for (size_t i = 0; i < sizeof(h) / sizeof(h[0]); i++) {
		at(2026, 11, 22, h[i].hour, 0, 0);
		set(0x0b, 0x00);
		is(get(0x04), h[i].bcd, "hour %d, 12-hour BCD", h[i].hour);
		set(0x0b, 0x04);
		is(get(0x04), h[i].binary, "hour %d, 12-hour binary", h[i].hour);
	}
	close_rtc();
}

static void test_update(void)
{
	open_rtc();
	at(2026, 1, 1, 0, 0, 0);
	clock_now.tv_nsec = 500000000;
	is(get(0x0a), 0x26, "register A in the middle of a second");
	clock_now.tv_nsec = 999800000;
	is(get(0x0a), 0xa6, "UIP comes up just before the next");
	clock_now.tv_nsec = 999700000;
	is(get(0x0a), 0x26, "not earlier than 244 microseconds");
	clock_now.tv_nsec = 999900000;
	set(0x0b, 0x82);
	is(get(0x0a) & 0x80, 0, "and not while the clock is stopped");
	clock_now.tv_sec += 5;
	is(get(0x00), 0x00, "which then shows the time at which it was stopped");
	set(0x0b, 0x02);
	is(get(0x00), 0x05, "and the right one afterwards");
	set(0x0a, 0x76);
	is(get(0x0a), 0x76, "register A holds what is written");
	set(0x0a, 0xa6);
	clock_now.tv_nsec = 0;
	is(get(0x0a), 0x26, "but for UIP");

	get(0x0c);
	is(get(0x0c), 0x00, "register C: nothing since the last look");
	clock_now.tv_sec++;
	is(get(0x0c), 0x10, "a new second sets the update flag");
	is(get(0x0c), 0x00, "until it is read");
	set(0x0b, 0x12);
	clock_now.tv_sec++;
	is(get(0x0c), 0x90, "with its interrupt enabled, the interrupt flag as well");
	close_rtc();
}

static void test_writes(void)
{
	open_rtc();
	at(2026, 11, 22, 19, 48, 37);
	for (unsigned reg = 0; reg < 0x80; reg++)
		set(reg, 0x5a);
	set(0x0b, 0x02);
	is(get(0x00), 0x37, "the time can't be set");
	is(get(0x32), 0x20, "nor the century");
	is(get(0x0d), 0x80, "nor register D");
	is(get(0x01) | get(0x03) << 8 | get(0x05) << 16, 0x5a5a5a, "alarm registers hold their value");
	is(get(0x0e), 0x5a, "so does RAM");
	is(get(0x7f), 0x5a, "to its last byte");
	set(0xff, 0xa5);
	is(get(0x7f), 0xa5, "whatever the NMI bit");
	bus_write(&bus, 0x70, 2, 0x1120);
	is(get(0x20), 0x11, "index and data may be written as one word");
	close_rtc();
}

static void test_host(void)
{
	time_t now;
	unsigned s0, s1;

	bus_init(&bus, "pio");
	rtc = rtc_open(&bus, 0x70);
	set(0x0b, 0x06);
	do {
		s0 = get(0x00);
		now = time(NULL);
		s1 = get(0x00);
	} while (s0 != s1);
	is(s0, now % 60, "without a test clock it is the host's");
	close_rtc();
}

int main(void)
{
	test_bcd();
	test_formats();
	test_update();
	test_writes();
	test_host();
	return tap_end();
}
