// SPDX-License-Identifier: GPL-2.0-only
/*
 * table: the configuration symbols by which a kernel drives lkvm's devices. `lkvm doctor -k` checks
 * it and `lkvm kconfig` prints it.
 *
 * A symbol's own dependencies are in the table too, as merge_config.sh adds none.
 *
 * Runs on: main
 */
#include <errno.h>
#include <string.h>

#include "lkvm/kconfig.h"
#include "lkvm/log.h"

const struct kconfig_device kconfig_devices[] = {
	{ "boot", "what every guest needs", true },
	{ "serial", "the console on the serial port", true },
	{ "initrd", "an initial RAM disk (-i)", false },
	{ "disk", "virtio disks (-d)", false },
	{ "net", "virtio network (-n)", false },
	{ "console", "the console on virtio (--console virtio)", false },
	{ "command", "a command of yours in the guest (run ... -- CMD)", false },
	{ "panic", "a panic that is told, not read off the console", false },
	{ "watchdog", "a hang that is noticed", false },
	{ "debug", "a hang that is explained", false },
	{ 0 },
};

_Static_assert(sizeof(kconfig_devices) / sizeof(kconfig_devices[0]) <= KCONFIG_DEVICES_MAX, "a set");

const struct kconfig_need kconfig_needs[] = {
	{ "boot", "64BIT", NULL, NULL, false, "lkvm enters kernels in 64-bit mode", NULL },
	{ "boot", "PCI", NULL, NULL, false, "all devices are PCI functions", NULL },
	{ "boot", "PCI_MSI", NULL, NULL, true,
	  "interrupts by MSI-X; slow shared lines otherwise", NULL },
	{ "boot", "PCI_MMCONFIG", NULL, NULL, true,
	  "PCI configuration by memory; by two exits an access otherwise", NULL },
	{ "boot", "ACPI", NULL, NULL, false,
	  "processors, interrupt lines and power-off are found by it", NULL },
	{ "boot", "SMP", NULL, NULL, true, "more than one CPU (-c)", NULL },
	{ "boot", "HYPERVISOR_GUEST", NULL, NULL, true, NULL, "KVM_GUEST" },
	{ "boot", "PARAVIRT", NULL, NULL, true, NULL, "KVM_GUEST" },
	{ "boot", "KVM_GUEST", NULL, NULL, true,
	  "KVM's clock; the TSC is measured otherwise", NULL },
	{ "boot", "VIRTIO_MENU", NULL, NULL, true, NULL, "VIRTIO_PCI" },

	{ "serial", "PRINTK", NULL, NULL, false, "the kernel's words", NULL },
	{ "serial", "TTY", NULL, NULL, false, NULL, "SERIAL_8250" },
	{ "serial", "SERIAL_8250", NULL, "8250", false, "the serial port", NULL },
	{ "serial", "SERIAL_8250_CONSOLE", NULL, NULL, false,
	  "the kernel's words on the serial port", NULL },

	{ "initrd", "BLK_DEV_INITRD", NULL, NULL, false, "an initial RAM disk", NULL },
	{ "initrd", "RD_GZIP", NULL, NULL, true, "one that is packed by gzip", NULL },

	{ "disk", "BLOCK", NULL, NULL, false, "block devices", NULL },
	{ "disk", "BLK_DEV", NULL, NULL, false, NULL, "VIRTIO_BLK" },
	{ "disk", "VIRTIO_PCI", NULL, "virtio_pci", false, "the bus of every virtio device", NULL },
	{ "disk", "VIRTIO_BLK", NULL, "virtio_blk", false, "the disks", NULL },

	{ "net", "NET", NULL, NULL, false, "any network", NULL },
	{ "net", "INET", NULL, NULL, true, "IP", NULL },
	{ "net", "NETDEVICES", NULL, NULL, false, NULL, "VIRTIO_NET" },
	{ "net", "NET_CORE", NULL, NULL, false, NULL, "VIRTIO_NET" },
	{ "net", "VIRTIO_PCI", NULL, "virtio_pci", false, "the bus of every virtio device", NULL },
	{ "net", "VIRTIO_NET", NULL, "virtio_net", false, "the network device", NULL },

	{ "console", "TTY", NULL, NULL, false, NULL, "VIRTIO_CONSOLE" },
	{ "console", "VIRTIO_PCI", NULL, "virtio_pci", false,
	  "the bus of every virtio device", NULL },
	{ "console", "VIRTIO_CONSOLE", NULL, "virtio_console", false, "the console", NULL },

	{ "command", "BLK_DEV_INITRD", NULL, NULL, false,
	  "lkvm brings the command in an initramfs", NULL },
	{ "command", "BINFMT_ELF", NULL, NULL, false, "programs", NULL },
	{ "command", "DEVTMPFS", NULL, NULL, true, "/dev", NULL },
	{ "command", "PROC_FS", NULL, NULL, true, "/proc", NULL },
	{ "command", "SYSFS", NULL, NULL, true, "/sys", NULL },
	{ "command", "VIRTIO_PCI", NULL, "virtio_pci", true, NULL, "VIRTIO_CONSOLE" },
	{ "command", "VIRTIO_CONSOLE", NULL, "virtio_console", true,
	  "the command's streams, apart from the console", NULL },

	{ "panic", "PVPANIC", NULL, NULL, true, NULL, "PVPANIC_PCI" },
	{ "panic", "PVPANIC_PCI", "PVPANIC_MMIO", "pvpanic-pci", false, "the panic device", NULL },

	{ "watchdog", "WATCHDOG", NULL, NULL, false, NULL, "I6300ESB_WDT" },
	{ "watchdog", "I6300ESB_WDT", NULL, "i6300esb", false, "the watchdog device", NULL },

	{ "debug", "KALLSYMS", NULL, NULL, true, "names in the kernel's own backtraces", NULL },
	{ "debug", "MAGIC_SYSRQ", NULL, NULL, true,
	  "asking a kernel that hangs what it does", NULL },
	{ "debug", "MAGIC_SYSRQ_SERIAL", NULL, NULL, true, "asking so by the serial port", NULL },
	{ 0 },
};

static int device_bit(const char *word, size_t len)
{
	for (int i = 0; kconfig_devices[i].word; i++)
		if (strlen(kconfig_devices[i].word) == len && !memcmp(kconfig_devices[i].word, word, len))
			return i;
	return -1;
}

static int refuse(const char *what, const char *word, size_t len)
{
	char known[256] = "";

	for (unsigned i = 0; kconfig_devices[i].word; i++) {
		strncat(known, i ? ", " : "", sizeof(known) - strlen(known) - 1);
		strncat(known, kconfig_devices[i].word, sizeof(known) - strlen(known) - 1);
	}
	log_err(NULL, "%s: '%.*s' is not one of: %s", what, (int)len, word, known);
	return -EINVAL;
}

int kconfig_device_set(const char *what, const char *words, uint32_t *set)
{
	*set = 0;
	for (unsigned i = 0; kconfig_devices[i].word; i++)
		if (kconfig_devices[i].always)
			*set |= 1U << i;
	for (;;) {
		size_t len = strcspn(words, ",");
		int bit = device_bit(words, len);

		if (bit < 0)
			return refuse(what, words, len);
		*set |= 1U << bit;
		if (!words[len])
			return 0;
		words += len + 1;
	}
}

bool kconfig_wanted(const struct kconfig_need *need, uint32_t set)
{
	int bit = device_bit(need->device, strlen(need->device));

	return bit >= 0 && set & 1U << bit;
}
