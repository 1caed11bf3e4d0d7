// SPDX-License-Identifier: GPL-2.0-only
/* main: from the boot stub to the end of the machine. */

#include "irq.h"
#include "machine.h"
#include "virtio.h"

/* Simple things first: what comes later leans on what came before. */
static const struct suite *const suites[] = {
	&suite_acpi,   &suite_pci, &suite_vcap,	   &suite_common, &suite_msix, &suite_intx,
	&suite_ring,   &suite_blk, &suite_net, &suite_console,
};

void main(u32 how, u64 info);

static void describe(void)
{
	print("# booted by %s, %lu TSC ticks per microsecond, ecam %#lx\n", machine.how, tsc_per_us(), ecam);
	print("# command line: %s\n", machine.cmdline);
	for (u32 i = 0; i < vdev_count; i++) {
		const struct vdev *d = &vdevs[i];

		print("# %s: %s%s, offers %#lx, %u queues, %u vectors\n", d->name, d->modern ? "modern" : "",
		      d->legacy ? " legacy" : "", d->offered, d->num_queues, d->f->msix_n);
	}
}

void main(u32 how, u64 info)
{
	u32 failed;

	serial_init();
	print("TAP version 13\n");
	machine_init(how, info);
	clock_init();
	irq_init();
	pci_init();
	virtio_init();
	describe();
	failed = test_run(suites, ARRAY_SIZE(suites), machine.cmdline);
	print("# %u failed\n", failed);
	machine_end(failed != 0);
}
