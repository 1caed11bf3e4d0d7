// SPDX-License-Identifier: GPL-2.0-only
/*
 * config: the defaults, and giving it all back.
 *
 * Runs on: main.
 */
#include "lkvm/config.h"

#include <stdlib.h>

#define DEFAULT_MEM (512ULL << 20)

void config_init(struct config *conf)
{
	*conf = (struct config){ .cpus = 1, .mem = DEFAULT_MEM, .watch.on_expect = ON_KEEP,
				 .gdb_wait = true };
}

void config_free(struct config *conf)
{
	free(conf->name);
	free(conf->kernel);
	free(conf->initrd);
	free(conf->params);
	free(conf->console_log);
	free(conf->result);
	free(conf->features);
	free(conf->symbols);
	free(conf->dump);
	free(conf->gdb);
	free(conf->watch.expect);
	free(conf->watch.allow);
	opt_list_free(&conf->watch.fail_on_own);
	opt_list_free(&conf->command.env);
	free(conf->command.workdir);
	free(conf->command.rootfs);
	free(conf->command.modules);
	free(conf->command.program);
	for (unsigned i = 0; i < conf->n_disks; i++) {
		struct config_disk *d = &conf->disk[i];

		free(d->path);
		free(d->format);
		free(d->serial);
		free(d->iothread);
		free(d->features);
	}
	for (unsigned i = 0; i < conf->n_nets; i++) {
		struct config_net *n = &conf->net[i];

		free(n->tap);
		free(n->host_ip);
		free(n->script);
		free(n->iothread);
		free(n->features);
		opt_list_free(&n->publish);
	}
}
