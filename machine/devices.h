/* SPDX-License-Identifier: GPL-2.0-only */
/* devices: the virtio devices of a machine, from their options to PCI functions. */
#pragma once

#include "iothreads.h"
#include "lkvm/config.h"

#define DEVICES_MAX (CONFIG_DISKS + CONFIG_NETS + 2)

struct devices {
	/* set by the machine */
	const struct config *conf;
	const struct gmem *mem;
	struct loop *io;      /* devices without an iothread run here */
	struct pci_host *pci;
	struct chan *console; /* NULL: no virtio console */
	const struct console_port *ports; /* of a console for a command; NULL: no command */
	unsigned n_ports;
	void (*died)(void *opaque); /* a back end is gone */
	void *opaque;
	/* ours */
	struct virtio_pci *dev[DEVICES_MAX];
	struct disk *disk[CONFIG_DISKS];
	unsigned n, n_disks;
	struct iothreads threads;
};

int devices_open(struct devices *d);  /* 0 or -errno, logged; close also after an error */
int devices_start(struct devices *d); /* the I/O threads */
void devices_stop(struct devices *d);
void devices_close(struct devices *d);
uint64_t devices_events(struct devices *d); /* loop_events() of the I/O threads */
