// SPDX-License-Identifier: GPL-2.0-only
/*
 * rtc: an MC146818 clock behind an index and a data port.
 *
 * It shows the host's time in UTC and can't be set: writes to the time registers are ignored. There
 * is no interrupt line, so alarms don't ring; the other registers and the CMOS RAM hold what is
 * written.
 *
 * Runs on: any thread under slot lock: the index's writes are collected (bus_coalesce)
 */
#include "hw/rtc.h"

#include <stdlib.h>

#include "lkvm/log.h"

enum rtc_reg {
	RTC_SECONDS = 0x00,
	RTC_MINUTES = 0x02,
	RTC_HOURS = 0x04,
	RTC_WEEKDAY = 0x06, /* 1: Sunday */
	RTC_DAY = 0x07,
	RTC_MONTH = 0x08,
	RTC_YEAR = 0x09,
	RTC_A = 0x0a,
	RTC_B = 0x0b,
	RTC_C = 0x0c,
	RTC_D = 0x0d,
	RTC_CENTURY = 0x32,
	RTC_REGS = 0x80,
};

enum {
	A_UIP = 0x80,	  /* an update is about to happen */
	A_RESET = 0x60, /* both: the divider is held in reset */
	A_DEFAULT = 0x26,
	B_SET = 0x80, /* the time stands still */
	B_INTERRUPTS = 0x70,
	B_BINARY = 0x04, /* else BCD */
	B_24H = 0x02,	 /* else 1 to 12, bit 7: afternoon */
	C_IRQ = 0x80,
	C_UPDATE = 0x10,
	D_VALID = 0x80,
	HOUR_PM = 0x80,
};

/* How long before a new second UIP is up: whoever saw it down has that long to read everything. */
#define UIP_NS 244000

struct rtc {
	struct bus *pio;
	struct bus_range range;
	struct bus_slot slot;
	void (*now)(struct timespec *ts);
	uint8_t index;
	uint8_t reg[RTC_REGS];
	time_t stopped; /* what is shown while B_SET */
	time_t updated; /* the second in which C was last read */
};

static void host_now(struct timespec *ts)
{
	clock_gettime(CLOCK_REALTIME, ts);
}

static uint8_t encode(const struct rtc *rtc, int val)
{
	return (uint8_t)(rtc->reg[RTC_B] & B_BINARY ? val : val / 10 << 4 | val % 10);
}

static uint8_t encode_hour(const struct rtc *rtc, int hour)
{
	if (rtc->reg[RTC_B] & B_24H)
		return encode(rtc, hour);
	return encode(rtc, hour % 12 ? hour % 12 : 12) | (hour >= 12 ? HOUR_PM : 0);
}

static uint8_t read_time(struct rtc *rtc, unsigned index)
{
	struct timespec ts;
	struct tm tm;

	rtc->now(&ts);
	if (rtc->reg[RTC_B] & B_SET)
		ts.tv_sec = rtc->stopped;
	if (!gmtime_r(&ts.tv_sec, &tm))
		return 0xff;
	switch (index) {
	case RTC_SECONDS: /* 60 in a leap second is no value of this chip's */
		return encode(rtc, tm.tm_sec < 59 ? tm.tm_sec : 59);
	case RTC_MINUTES:
		return encode(rtc, tm.tm_min);
	case RTC_HOURS:
		return encode_hour(rtc, tm.tm_hour);
	case RTC_WEEKDAY:
		return encode(rtc, tm.tm_wday + 1);
	case RTC_DAY:
		return encode(rtc, tm.tm_mday);
	case RTC_MONTH:
		return encode(rtc, tm.tm_mon + 1);
	case RTC_YEAR:
		return encode(rtc, tm.tm_year % 100);
	default:
		return encode(rtc, (1900 + tm.tm_year) / 100);
	}
}

static bool is_time(unsigned index)
{
	return index == RTC_CENTURY || (index <= RTC_YEAR && index != 1 && index != 3 && index != 5);
}

static uint8_t read_a(const struct rtc *rtc)
{
	bool runs = (rtc->reg[RTC_A] & A_RESET) != A_RESET && !(rtc->reg[RTC_B] & B_SET);
	struct timespec ts;

	rtc->now(&ts);
	return rtc->reg[RTC_A] | (runs && ts.tv_nsec >= 1000000000 - UIP_NS ? A_UIP : 0);
}

/* Flags since the last read; reading clears them. Only the end of an update ever comes. */
static uint8_t read_c(struct rtc *rtc)
{
	struct timespec ts;
	uint8_t c;

	rtc->now(&ts);
	c = ts.tv_sec != rtc->updated && !(rtc->reg[RTC_B] & B_SET) ? C_UPDATE : 0;
	rtc->updated = ts.tv_sec;
	return c | (c & rtc->reg[RTC_B] & B_INTERRUPTS ? C_IRQ : 0);
}

static void write_b(struct rtc *rtc, uint8_t val)
{
	struct timespec ts;

	if ((val & ~rtc->reg[RTC_B]) & B_SET) {
		rtc->now(&ts);
		rtc->stopped = ts.tv_sec;
	}
	rtc->reg[RTC_B] = val;
}

static uint8_t reg_read(struct rtc *rtc)
{
	unsigned index = rtc->index;

	if (is_time(index))
		return read_time(rtc, index);
	switch (index) {
	case RTC_A:
		return read_a(rtc);
	case RTC_C:
		return read_c(rtc);
	case RTC_D:
		return D_VALID;
	default:
		return rtc->reg[index];
	}
}

static void reg_write(struct rtc *rtc, uint8_t val)
{
	unsigned index = rtc->index;

	if (index == RTC_A)
		rtc->reg[RTC_A] = val & (uint8_t)~A_UIP;
	else if (index == RTC_B)
		write_b(rtc, val);
	else if (!is_time(index) && index != RTC_C && index != RTC_D)
		rtc->reg[index] = val;
}

/* Two byte-wide ports: the index, which can't be read back, and the data. */
static uint64_t rtc_read(void *opaque, uint64_t off, unsigned len)
{
	uint64_t val = 0;

	for (unsigned i = 0; i < len; i++)
		val |= (uint64_t)(off + i == 1 ? reg_read(opaque) : 0xff) << (8 * i);
	return val;
}

static void rtc_write(void *opaque, uint64_t off, unsigned len, uint64_t val)
{
	struct rtc *rtc = opaque;

	for (unsigned i = 0; i < len; i++, val >>= 8) {
		if (off + i == 1)
			reg_write(rtc, (uint8_t)val);
		else
			rtc->index = val & (RTC_REGS - 1); /* bit 7 masks NMIs on real boards */
	}
}

static const struct bus_ops rtc_ops = { .read = rtc_read, .write = rtc_write };

void rtc_set_clock(struct rtc *rtc, void (*now)(struct timespec *ts))
{
	rtc->now = now;
}

struct rtc *rtc_open(struct bus *pio, uint16_t port)
{
	struct rtc *rtc = calloc(1, sizeof(*rtc));

	if (!rtc) {
		log_err("rtc", "out of memory");
		return NULL;
	}
	rtc->pio = pio;
	rtc->now = host_now;
	rtc->reg[RTC_A] = A_DEFAULT;
	rtc->reg[RTC_B] = B_24H;
	pthread_mutex_init(&rtc->slot.lock, NULL);
	rtc->range = (struct bus_range){ .base = port, .len = 2, .ops = &rtc_ops, .opaque = rtc,
					 .slot = &rtc->slot, .prio = 1, .name = "rtc" };
	bus_map(pio, &rtc->range);
	/* The index does nothing until data is read or written: it need not stop the vCPU. */
	bus_coalesce(pio, port, 1, true);
	return rtc;
}

void rtc_close(struct rtc *rtc)
{
	if (!rtc)
		return;
	bus_coalesce(rtc->pio, rtc->range.base, 1, false);
	bus_unmap(rtc->pio, &rtc->range);
	pthread_mutex_destroy(&rtc->slot.lock);
	free(rtc);
}
