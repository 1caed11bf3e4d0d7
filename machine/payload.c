// SPDX-License-Identifier: GPL-2.0-only
/*
 * payload: what a guest starts from.
 *
 * Runs on: main.
 */
#include "payload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guestroot.h"
#include "lkvm/boot.h"
#include "lkvm/log.h"

/* With a command the kernel's console isn't on stdout. */
static bool console_shown(const struct config *conf)
{
	return !conf->command.argc || conf->console_log || log_enabled(LOG_DBG);
}

/*
 * What lkvm puts on the kernel's command line by itself: where the console is, and the root disk when
 * there is nothing else to start from. The user's words come behind and win.
 */
static int command_line(const struct config *conf, char **out)
{
	static const char *const consoles[] = {
		[CONSOLE_SERIAL] = "console=ttyS0",
		[CONSOLE_VIRTIO] = "console=hvc0",
		[CONSOLE_NONE] = "console=ttyS0", /* nobody sees it, but it is watched */
	};
	const char *root = "";

	if (conf->command.argc)
		root = " " GUESTROOT_PARAMS;
	else if (!conf->initrd && conf->n_disks && !(conf->params && strstr(conf->params, "root=")))
		root = conf->disk[0].readonly ? " root=/dev/vda ro" : " root=/dev/vda rw";
	/* Of a console nobody looks at, only what may be judged is worth the time it takes. */
	return asprintf(out, "%s%s%s%s%s", consoles[conf->console], root,
			conf->command.argc && !console_shown(conf) ? " loglevel=5" : "",
			conf->params ? " " : "", conf->params ? conf->params : "") < 0 ? -ENOMEM : 0;
}

int payload_load(const struct config *conf, const struct pci_windows *windows, struct gmem *mem,
		 struct vm_entry *entry)
{
	struct boot_conf bc = {
		.kernel = conf->kernel,
		.initrd = conf->initrd,
		.cpus = conf->cpus,
		.windows = *windows,
		.two_serial = conf->command.argc,
	};
	struct initramfs root = { 0 };
	char *cmdline;
	int err;

	err = command_line(conf, &cmdline);
	if (err)
		return err;
	bc.cmdline = cmdline;
	if (conf->command.argc)
		err = guestroot_build(conf, &root);
	bc.more_initrd = root.bytes;
	bc.more_initrd_len = root.len;
	if (!err)
		err = boot_load(&bc, mem, entry);
	initramfs_free(&root);
	free(cmdline);
	return err;
}
