// SPDX-License-Identifier: GPL-2.0-only
/*
 * watchdog: the watchdog of Intel's 6300ESB I/O controller (its datasheet, chapter 16), which Linux
 * drives with i6300esb_wdt.
 *
 * Two stages: timer 1 runs out and would interrupt, timer 2 runs out and would reset the board. There
 * is no interrupt here (Linux switches it off); after the second stage the machine is told. Registers
 * in memory must be unlocked by two magic writes before each write.
 *
 * Runs on: vcpu under slot lock; the end of the time on the loop, which takes the same lock
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "lkvm/hw.h"
#include "lkvm/log.h"
#include "lkvm/loop.h"
#include "lkvm/pci.h"

/* Configuration space. */
enum {
	CONFIG = 0x60,	     /* 16 bits */
	CONFIG_FAST = 0x04,  /* count at 1 MHz instead of 1 kHz */
	CONFIG_NO_OUT = 0x20, /* the second stage does nothing */
	CONFIG_MASK = 0x27,
	LOCK = 0x68, /* 8 bits */
	LOCK_LOCKED = 0x01,
	LOCK_ENABLE = 0x02,
	LOCK_FREE = 0x04, /* free running: starts over instead of resetting */
	LOCK_MASK = 0x07,
};

/* The BAR. */
enum {
	TIMER1 = 0x00, /* 20 bits each */
	TIMER2 = 0x04,
	INTERRUPT = 0x08,
	RELOAD = 0x0c, /* 16 bits; also takes the magic */
	RELOAD_NOW = 0x100,
	RELOAD_EXPIRED = 0x200, /* stays until 1 is written */
	MAGIC1 = 0x80,
	MAGIC2 = 0x86,
	TIMER_MASK = 0xfffff,
	BAR_LEN = 16,
};

#define PCI_CLOCK 33000000ULL

struct watchdog {
	struct pci_func func;
	struct loop *loop;
	struct loop_fd timer; /* a timerfd: vCPUs set it, the loop waits for it */
	struct hw_power_user user;
	uint32_t stage[2];
	unsigned unlocked; /* how many of the magic bytes have come */
	uint8_t lock;	   /* LOCK, as it counts: once locked it stays */
	bool expired;
	uint64_t at; /* when it runs out; 0: not running */
	uint64_t left; /* of its time, while it is held; 0: it isn't, or wasn't running */
};

/* Ticks of the PCI clock through a divider of 2^15 or 2^5; a timer of n counts n + 1. */
static uint64_t duration(const struct watchdog *w)
{
	uint64_t ticks = (uint64_t)w->stage[0] + w->stage[1] + 2;
	uint64_t clocks = ticks * (w->func.config[CONFIG] & CONFIG_FAST ? 1U << 5 : 1U << 15);

	/* Whole seconds apart: up to 2^36 clocks times 10^9 are more than 64 bits hold. */
	return clocks / PCI_CLOCK * 1000000000ULL + clocks % PCI_CLOCK * 1000000000ULL / PCI_CLOCK;
}

/* 0: not at all. */
static void arm_in(struct watchdog *w, uint64_t in)
{
	struct itimerspec when = { .it_value = { .tv_sec = (time_t)(in / 1000000000ULL),
						 .tv_nsec = (long)(in % 1000000000ULL) } };

	w->at = in ? loop_now() + in : 0;
	timerfd_settime(w->timer.fd, 0, &when, NULL);
}

static void arm(struct watchdog *w)
{
	arm_in(w, w->lock & LOCK_ENABLE ? duration(w) : 0);
}

static void ran_out(void *opaque, uint32_t events)
{
	struct watchdog *w = opaque;
	bool tell = false;
	uint64_t n;

	(void)events;
	bus_lock(&w->func.lock);
	/* It may have been fed between the timer's end and here. */
	if (read(w->timer.fd, &n, sizeof(n)) == sizeof(n) && w->at && loop_now() >= w->at) {
		w->expired = true;
		tell = !(w->func.config[CONFIG] & CONFIG_NO_OUT) && !(w->lock & LOCK_FREE);
		w->at = 0;
		if (w->lock & LOCK_FREE)
			arm(w);
	}
	bus_unlock(&w->func.lock);
	if (tell && w->user.ended)
		w->user.ended(w->user.opaque, HW_END_WATCHDOG, 0, "i6300esb");
}

/* --- configuration space --------------------------------------------------------------------- */

static void config_write(void *opaque, unsigned off, unsigned len)
{
	struct watchdog *w = opaque;
	uint8_t val = w->func.config[LOCK], was = w->lock;

	if (off > LOCK || off + len <= LOCK)
		return;
	/* The word is that nobody stops a locked watchdog. */
	w->lock = was & LOCK_LOCKED ? was : val & LOCK_MASK;
	w->func.config[LOCK] = w->lock;
	if ((w->lock ^ was) & LOCK_ENABLE)
		arm(w);
}

/* --- registers in memory --------------------------------------------------------------------- */

static uint64_t bar_read(void *opaque, uint64_t off, unsigned len)
{
	const struct watchdog *w = opaque;

	(void)len;
	return off == RELOAD && w->expired ? RELOAD_EXPIRED : 0;
}

static void write_reload(struct watchdog *w, uint16_t val)
{
	if (val & RELOAD_EXPIRED)
		w->expired = false;
	if (val & RELOAD_NOW)
		arm(w);
}

static void bar_write(void *opaque, uint64_t off, unsigned len, uint64_t val)
{
	struct watchdog *w = opaque;
	unsigned unlocked = w->unlocked;

	(void)len;
	w->unlocked = 0;
	if (unlocked < 2) {
		if (off == RELOAD && val == (unlocked ? MAGIC2 : MAGIC1))
			w->unlocked = unlocked + 1;
		else if (off == RELOAD && val == MAGIC1)
			w->unlocked = 1;
	} else if (off == TIMER1 || off == TIMER2) {
		w->stage[off == TIMER2] = (uint32_t)val & TIMER_MASK;
	} else if (off == RELOAD) {
		write_reload(w, (uint16_t)val);
	}
}

static const struct bus_ops bar_ops = { .read = bar_read, .write = bar_write };

/* --- the whole ------------------------------------------------------------------------------- */

static void make_function(struct watchdog *w)
{
	static const struct pci_ids ids = { .vendor = 0x8086, .device = 0x25ab, .subvendor = 0x1af4,
					    .subdevice = 0x1100, .class = 0x088000 };

	pci_func_init(&w->func, "watchdog", &ids);
	pci_func_bar(&w->func, 0, PCI_BAR_MEM32, BAR_LEN, &bar_ops, w);
	pci_config_mask(&w->func, CONFIG, CONFIG_MASK);
	pci_config_mask(&w->func, LOCK, LOCK_MASK);
	w->func.config_write = config_write;
	w->func.opaque = w;
	w->stage[0] = w->stage[1] = TIMER_MASK;
}

struct watchdog *watchdog_open(struct pci_host *pci, int slot, struct loop *loop,
			       const struct hw_power_user *user)
{
	struct watchdog *w = calloc(1, sizeof(*w));

	if (!w) {
		log_err("watchdog", "out of memory");
		return NULL;
	}
	w->loop = loop;
	w->user = *user;
	w->timer = (struct loop_fd){ .ready = ran_out, .opaque = w };
	w->timer.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (w->timer.fd < 0 || loop_add(loop, &w->timer, EPOLLIN)) {
		log_err("watchdog", "cannot make a timer: %s", strerror(errno));
		goto out_free;
	}
	make_function(w);
	if (pci_func_add(pci, &w->func, slot))
		goto out_timer;
	return w;

out_timer:
	loop_del(loop, &w->timer);
out_free:
	if (w->timer.fd >= 0)
		close(w->timer.fd);
	free(w);
	return NULL;
}

void watchdog_hold(struct watchdog *w, bool held)
{
	uint64_t now = loop_now();

	bus_lock(&w->func.lock);
	if (held && w->at) {
		w->left = w->at > now ? w->at - now : 1;
		arm_in(w, 0);
	} else if (!held && w->left) {
		arm_in(w, w->left);
		w->left = 0;
	}
	bus_unlock(&w->func.lock);
}

void watchdog_close(struct watchdog *w)
{
	if (!w)
		return;
	pci_func_remove(&w->func);
	loop_del(w->loop, &w->timer);
	close(w->timer.fd);
	free(w);
}
