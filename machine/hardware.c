// SPDX-License-Identifier: GPL-2.0-only
/*
 * hardware: the serial ports, the clock, the registers that end a machine, and the PCI bus with the
 * two functions that tell of a guest's end.
 *
 * Runs on: main.
 */
#include "hardware.h"

#include <errno.h>

#include "lkvm/boot.h"
#include "lkvm/vm.h"

/* At the far end, so that the user's devices keep the slots they would have without. */
enum { SLOT_PVPANIC = PCI_SLOTS - 2, SLOT_WATCHDOG = PCI_SLOTS - 1 };

static int open_serial(struct hardware *hw, const struct hardware_conf *conf)
{
	hw->serial = serial_open("serial0", conf->pio, PORT_COM1, vm_line(conf->vm, IRQ_COM1),
				 conf->console, conf->io);
	if (!hw->serial)
		return -ENOMEM;
	if (!conf->command)
		return 0;
	hw->serial2 = serial_open("serial1", conf->pio, PORT_COM2, vm_line(conf->vm, IRQ_COM2),
				  conf->command, NULL);
	return hw->serial2 ? 0 : -ENOMEM;
}

static int open_ports(struct hardware *hw, const struct hardware_conf *conf)
{
	hw->rtc = rtc_open(conf->pio, PORT_RTC);
	hw->i8042 = i8042_open(conf->pio, &conf->user);
	hw->power = power_open(conf->pio, PORT_POWER, vm_line(conf->vm, IRQ_POWER), &conf->user);
	if (!hw->rtc || !hw->i8042 || !hw->power)
		return -ENOMEM;
	if (!conf->debug_exit)
		return 0;
	hw->debug_exit = debug_exit_open(conf->pio, PORT_DEBUG_EXIT, &conf->user);
	return hw->debug_exit ? 0 : -ENOMEM;
}

int hardware_open(struct hardware *hw, const struct hardware_conf *conf)
{
	int err = open_serial(hw, conf);

	if (!err)
		err = open_ports(hw, conf);
	if (err)
		return err;
	hw->pci = pci_host_open(conf->pio, conf->mmio, vm_intc(conf->vm), conf->io, conf->windows);
	if (!hw->pci)
		return -ENOMEM;
	hw->pvpanic = pvpanic_open(conf->pio, PORT_PVPANIC, hw->pci, SLOT_PVPANIC, &conf->user);
	hw->watchdog = watchdog_open(hw->pci, SLOT_WATCHDOG, conf->io, &conf->user);
	return hw->pvpanic && hw->watchdog ? 0 : -ENODEV;
}

void hardware_close(struct hardware *hw)
{
	watchdog_close(hw->watchdog);
	pvpanic_close(hw->pvpanic);
	pci_host_close(hw->pci);
	if (hw->debug_exit)
		debug_exit_close(hw->debug_exit);
	if (hw->power)
		power_close(hw->power);
	if (hw->i8042)
		i8042_close(hw->i8042);
	if (hw->rtc)
		rtc_close(hw->rtc);
	serial_close(hw->serial2);
	serial_close(hw->serial);
}
