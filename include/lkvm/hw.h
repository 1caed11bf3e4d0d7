/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * hw: the handful of old devices a PC guest expects, all on port I/O. Each is opened onto a bus with
 * the lines it needs and knows nothing of the machine around it.
 *
 * Threads: register accesses come from vCPUs under the model's slot lock; none of these models ever
 * calls loop_call(), so input from a loop takes the same lock.
 */
#pragma once

#include <stdint.h>

#include "lkvm/bus.h"
#include "lkvm/chan.h"
#include "lkvm/irq.h"

/* How a model says that the guest wants to end. From a vCPU thread; returns at once. */
enum hw_end {
	HW_END_POWEROFF,
	HW_END_RESET,
	HW_END_DEBUG,	 /* value: the byte written */
	HW_END_PANIC,	 /* value: PVPANIC_* bits; the guest is about to say more */
	HW_END_WATCHDOG, /* nobody fed it; from the loop */
};
struct hw_power_user {
	void (*ended)(void *opaque, enum hw_end how, unsigned value, const char *by);
	void *opaque;
};

/*
 * 8250/16550A serial port. NULL: logged. chan may be NULL: output goes nowhere. loop is where a timer
 * looks after bytes that KVM collects; NULL: it collects none.
 */
struct loop;
struct serial;
struct serial *serial_open(const char *name, struct bus *pio, uint16_t port, struct irq_line line,
			   struct chan *chan, struct loop *loop);
void serial_close(struct serial *serial);
/* BREAK and a key, which asks Linux for a magic SysRq. Any thread. */
void serial_sysrq(struct serial *serial, char key);

/* CMOS RTC: the host's time in UTC, read-only; a few bytes of CMOS RAM. */
struct rtc;
struct rtc *rtc_open(struct bus *pio, uint16_t port);
void rtc_close(struct rtc *rtc);

/* i8042: no keyboard, but its reset line. */
struct i8042;
struct i8042 *i8042_open(struct bus *pio, const struct hw_power_user *user);
void i8042_close(struct i8042 *i8042);

/* ACPI hardware-reduced sleep and reset registers, and the power button's event register. */
struct power;
struct power *power_open(struct bus *pio, uint16_t port, struct irq_line line,
			 const struct hw_power_user *user);
void power_press(struct power *power); /* the button: an interrupt; any thread */
void power_close(struct power *power);

/* isa-debug-exit: a write of v ends the guest with HW_END_DEBUG, value v. */
struct debug_exit;
struct debug_exit *debug_exit_open(struct bus *pio, uint16_t port, const struct hw_power_user *user);
void debug_exit_close(struct debug_exit *d);

/*
 * pvpanic: the guest's panic handler writes what happened to a register. The same device is an ISA
 * port, described by ACPI, and a PCI function, as kernels bring the driver for one or the other.
 */
enum { PVPANIC_PANICKED = 1 << 0, PVPANIC_CRASH_LOADED = 1 << 1 }; /* 1: a crash kernel takes over */
struct pci_host;
struct pvpanic;
struct pvpanic *pvpanic_open(struct bus *pio, uint16_t port, struct pci_host *pci, int slot,
			     const struct hw_power_user *user); /* NULL: logged */
void pvpanic_close(struct pvpanic *p);

/* i6300ESB watchdog, a PCI function; its timers run on loop. */
struct watchdog;
struct watchdog *watchdog_open(struct pci_host *pci, int slot, struct loop *loop,
			       const struct hw_power_user *user); /* NULL: logged */
/* Held: its time stands still, as the guest does, for a debugger. Any thread, no vCPU running. */
void watchdog_hold(struct watchdog *watchdog, bool held);
void watchdog_close(struct watchdog *w);

/* PORT_POWER's registers (each one byte), also used by ACPI: FADT and the button's event method. */
enum {
	POWER_SLEEP_CONTROL = 0, /* FADT sleep control register: SLP_EN bit 5, SLP_TYP bits 2-4 */
	POWER_SLEEP_STATUS = 1,
	POWER_RESET = 2,	 /* FADT reset register; POWER_RESET_VALUE resets */
	POWER_EVENT = 3,	 /* bit 0: button pressed; reading clears and drops the line */
	POWER_PORTS = 4,
	POWER_RESET_VALUE = 0x01,
	POWER_SLP_TYP_S5 = 5,
};
