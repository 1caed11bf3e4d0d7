/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * virtio: how the machine makes devices and puts them behind a transport. Each *_open returns the
 * vport of a new device (NULL: logged), which the transport then owns.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lkvm/chan.h"
#include "lkvm/disk.h"
#include "lkvm/gmem.h"
#include "lkvm/loop.h"
#include "lkvm/netif.h"
#include "lkvm/pci.h"
#include "lkvm/vport.h"

/* Section 5: device types. */
enum { VIRTIO_ID_NET = 1, VIRTIO_ID_BLK = 2, VIRTIO_ID_CONSOLE = 3, VIRTIO_ID_RNG = 4 };

struct vdev_conf {
	const char *name;     /* "blk0" */
	struct loop *loop;    /* where it runs; all of it, unless its queues are spread: */
	struct loop *const *loops; /* queue (net: pair) n on loops[n % n_loops]; loops[0] is loop */
	unsigned n_loops;	   /* 0: loop alone */
	const struct gmem *mem;
	const char *features; /* "+packed,-event_idx" or NULL */
	unsigned queue_size;  /* 0: the device's default */
	unsigned queues;      /* 0: one (pair) */
};

struct vport *blk_open(const struct vdev_conf *conf, struct disk *disk, const char *serial);

struct net_conf {
	uint8_t mac[6];
	uint16_t mtu; /* 0: the back end's, or not offered */
	bool vhost;   /* the kernel's vhost-net moves the packets; the back end is a tap */
	void (*died)(void *opaque); /* the back end is gone */
	void *opaque;
};
/* Takes nif over. */
struct vport *net_open(const struct vdev_conf *conf, struct netif *nif, const struct net_conf *net);

/* A console with one port. chan may be NULL: output goes nowhere. */
struct vport *console_open(const struct vdev_conf *conf, struct chan *chan);

/* With several ports F_MULTIPORT is offered; a driver without it sees the first, ports[0]. */
struct console_port {
	struct chan *chan;
	const char *name; /* what the guest calls it: /dev/virtio-ports/NAME; NULL: none; not copied */
	bool console;	  /* a terminal, rather than a stream for a program of its own */
};
struct vport *console_open_ports(const struct vdev_conf *conf, const struct console_port *ports,
				 unsigned n);
/* Tells the guest that the host's end of port id was opened or closed; it starts open. Any thread. */
void console_connect(struct vport *console, unsigned id, bool open);

enum virtio_layout { VIRTIO_MODERN, VIRTIO_TRANSITIONAL, VIRTIO_LEGACY };

struct virtio_pci;
/* Takes port over, makes a PCI function of it and adds it to host. NULL: logged, port closed. */
struct virtio_pci *virtio_pci_open(struct pci_host *host, struct vport *port,
				   enum virtio_layout layout);
/* Resets the device and frees it; after the vCPUs have stopped. */
void virtio_pci_close(struct virtio_pci *vp);
