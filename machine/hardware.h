/* SPDX-License-Identifier: GPL-2.0-only */
/* hardware: all that is in the machine whatever the user asks for, and is not virtio. */
#pragma once

#include "lkvm/hw.h"
#include "lkvm/pci.h"

struct hardware {
	struct serial *serial, *serial2; /* the second: for a command, or not there */
	struct rtc *rtc;
	struct i8042 *i8042;
	struct power *power;
	struct debug_exit *debug_exit; /* or not there */
	struct pci_host *pci;
	struct pvpanic *pvpanic;
	struct watchdog *watchdog;
};

struct hardware_conf {
	struct bus *pio, *mmio;
	struct vm *vm;
	struct loop *io;
	const struct pci_windows *windows;
	struct chan *console, *command; /* behind the serial ports; command may be NULL */
	bool debug_exit;
	struct hw_power_user user;
};

/* 0 or -errno; whatever it returns, hardware_close() takes away what is there. On main. */
int hardware_open(struct hardware *hw, const struct hardware_conf *conf);
void hardware_close(struct hardware *hw);
