// SPDX-License-Identifier: GPL-2.0-only
/* main: from the boot stub to the end of the machine. */

#include "irq.h"
#include "machine.h"
#include "drivers.h"

/* Simple things first: what comes later leans on what came before. */
static const struct suite *const suites[] = {
	&suite_acpi,  &suite_pci,    &suite_vcap,    &suite_status, &suite_common,
	&suite_msix,  &suite_intx,   &suite_ring,    &suite_blk,    &suite_net,
	&suite_mq,    &suite_filter, &suite_gso, &suite_console, &suite_ports,  &suite_packed,
	&suite_reset, &suite_legacy, &suite_blocks,  &suite_hostile, &suite_abuse,
};

void main(u32 how, u64 info);

static struct vdev *emergency;

static void emergency_put(char c)
{
	reg_w32(&emergency->config, 8, c);
}

/* probe.out=emerg: TAP by way of the first virtio console, where the VMM shows no serial port. */
static void choose_output(void)
{
	size_t len;
	const char *out = param("probe.out", &len);

	for (u32 i = 0; out && i < vdev_count; i++) {
		if (vdevs[i].type != CONSOLE || !(vdevs[i].offered & CON_F_EMERG_WRITE))
			continue;
		emergency = &vdevs[i];
		print_to(emergency_put);
		return;
	}
}

static void describe(void)
{
	print("# booted by %s, %lu TSC ticks per microsecond, ecam %#lx\n", machine.how,
	      tsc_per_us(), ecam);
	print("# command line: %s\n", machine.cmdline);
	for (u32 i = 0; i < vdev_count; i++) {
		const struct vdev *d = &vdevs[i];

		print("# %s: %s%s, offers %#lx, %u queues, %u vectors\n", d->name,
		      d->modern ? "modern" : "", d->legacy ? " legacy" : "", d->offered,
		      d->num_queues, d->f->msix_n);
	}
}

void main(u32 how, u64 info)
{
	u32 failed;

	serial_init();
	machine_init(how, info);
	param_init(machine.cmdline);
	clock_init();
	irq_init();
	pci_init();
	virtio_init();
	choose_output();
	print("TAP version 13\n");
	describe();
	failed = test_run(suites, ARRAY_SIZE(suites));
	print("# %u failed\n", failed);
	machine_end(failed != 0);
}
