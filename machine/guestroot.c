// SPDX-License-Identifier: GPL-2.0-only
/*
 * guestroot: the initramfs of a guest that runs a command: which modules its devices need, and where
 * they are.
 *
 * Runs on: main.
 */
#include "guestroot.h"

#include <stdlib.h>

#include "lkvm/boot.h"
#include "lkvm/log.h"

int guestroot_build(const struct config *conf, struct initramfs *out)
{
	struct initramfs_conf ic = { .rootfs = conf->command.rootfs, .program = conf->command.program,
				     .ram = conf->mem };
	char version[128], *modules;
	unsigned n = 0;
	int err;

	/* A command gets along without them; see guest/line.h. */
	ic.wanted[n++] = conf->n_disks || conf->n_nets ? "virtio_pci" : "?virtio_pci";
	ic.wanted[n++] = "?virtio_console";
	if (conf->n_disks)
		ic.wanted[n++] = "virtio_blk";
	if (conf->n_nets)
		ic.wanted[n++] = "virtio_net";
	boot_kernel_version(conf->kernel, version, sizeof(version));
	err = initramfs_find_modules(conf->command.modules, conf->kernel, version, &modules);
	if (err)
		return err;
	if (modules)
		log_info(NULL, "modules of %s from %s", version, modules);
	else
		log_info(NULL, "no modules found for kernel '%s': what it needs has to be built in", version);
	ic.modules = modules;
	err = initramfs_build(&ic, out);
	free(modules);
	return err;
}
