// SPDX-License-Identifier: GPL-2.0-only
/*
 * kconfig: `lkvm kconfig`: a fragment for scripts/kconfig/merge_config.sh with all that lkvm's devices
 * need of a kernel.
 *
 * Runs on: main.
 */
#include <string.h>

#include "cmd.h"
#include "lkvm/kconfig.h"
#include "lkvm/machine.h"

static int set_for(void *dst, const char *what, const char *value)
{
	return kconfig_device_set(what, value, dst);
}

static const struct cmd_option options[] = {
	{ .name = "for",
	  .arg = "DEVICE[,...]",
	  .help = "only for these: initrd, disk, net, console, command, panic, watchdog, debug",
	  .set = set_for },
	{ 0 },
};

static bool printed_before(const struct kconfig_need *need, uint32_t set)
{
	for (const struct kconfig_need *n = kconfig_needs; n != need; n++)
		if (!strcmp(n->symbol, need->symbol) && kconfig_wanted(n, set))
			return true;
	return false;
}

static int run_kconfig(int argc, char **argv)
{
	int err;
	uint32_t set = UINT32_MAX;

	err = cmd_parse(&cmd_kconfig, argc, argv, &set, NULL);
	if (err)
		return cmd_status(err);
	printf("# What a kernel needs as a guest of lkvm, all of it built in. In the kernel's tree:\n"
	       "#   lkvm kconfig > lkvm.config\n"
	       "#   scripts/kconfig/merge_config.sh .config lkvm.config\n");
	for (unsigned i = 0; kconfig_devices[i].word; i++) {
		if (!(set & 1U << i))
			continue;
		printf("\n# %s: %s\n", kconfig_devices[i].word, kconfig_devices[i].help);
		for (const struct kconfig_need *n = kconfig_needs; n->symbol; n++)
			if (!strcmp(n->device, kconfig_devices[i].word) && !printed_before(n, set))
				printf("CONFIG_%s=y\n", n->symbol);
	}
	return STATUS_OK;
}

const struct cmd cmd_kconfig = {
	.name = "kconfig",
	.args = "[--for DEVICE,...]",
	.help = "print what to add to a kernel's configuration",
	.options = options,
	.run = run_kconfig,
};
