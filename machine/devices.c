// SPDX-License-Identifier: GPL-2.0-only
/*
 * devices: opens each device's back end, the device on its loop, and its PCI function.
 *
 * Runs on: main.
 */
#include "devices.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "lkvm/log.h"

/* The loops a device runs on: the shared one, or those of the named threads. */
static int set_loops(struct devices *d, const char *names, struct vdev_conf *vc,
		     struct loop *loops[CONFIG_QUEUES])
{
	int n = 1;

	loops[0] = d->io;
	if (names)
		n = iothreads_find(&d->threads, names, loops, CONFIG_QUEUES);
	if (n < 0)
		return n;
	vc->loop = loops[0];
	vc->loops = loops;
	vc->n_loops = (unsigned)n;
	return 0;
}

/* A device's own features=... come behind those for all devices. */
static int join_features(const struct config *conf, const char *own, char *to, size_t size)
{
	const char *all = conf->features;
	int n = snprintf(to, size, "%s%s%s", all ? all : "", all && own ? "," : "", own ? own : "");

	if (n < 0 || (size_t)n >= size) {
		log_err(NULL, "features: the list is too long");
		return -E2BIG;
	}
	return 0;
}

static int add_function(struct devices *d, struct vport *port, unsigned layout)
{
	enum virtio_layout how = layout == LAYOUT_DEFAULT ? d->conf->virtio :
							    (enum virtio_layout)layout;
	struct virtio_pci *vp = virtio_pci_open(d->pci, port, how);

	if (!vp)
		return -ENODEV;
	d->dev[d->n++] = vp;
	return 0;
}

static int add_disk(struct devices *d, unsigned i)
{
	const struct config_disk *c = &d->conf->disk[i];
	struct disk_conf dc = { .path = c->path, .format = c->format, .readonly = c->readonly,
				.direct = c->direct };
	char name[24], features[256];
	struct vdev_conf vc = { .name = name, .mem = d->mem, .features = features,
				.queues = (unsigned)c->queues, .queue_size = (unsigned)c->queue_size };
	struct loop *loops[CONFIG_QUEUES];
	struct vport *port;
	struct disk *disk;

	snprintf(name, sizeof(name), "blk%u", i);
	if (join_features(d->conf, c->features, features, sizeof(features)))
		return -E2BIG;
	disk = disk_open(name, &dc);
	if (!disk)
		return -ENODEV;
	d->disk[d->n_disks++] = disk;
	port = set_loops(d, c->iothread, &vc, loops) ? NULL : blk_open(&vc, disk, c->serial);
	return port ? add_function(d, port, c->virtio) : -ENODEV;
}

/* Locally administered, and not the same twice: two guests may meet on one bridge. */
static void make_mac(uint8_t mac[6])
{
	static const uint8_t prefix[3] = { 0x52, 0x54, 0x00 };

	memcpy(mac, prefix, sizeof(prefix));
	if (getrandom(mac + 3, 3, 0) != 3)
		mac[5] = 1;
}

static int add_net(struct devices *d, unsigned i)
{
	static const uint8_t none[6];
	const struct config_net *c = &d->conf->net[i];
	char name[24], features[256];
	struct vdev_conf vc = { .name = name, .mem = d->mem, .features = features,
				.queues = (unsigned)c->queues, .queue_size = (unsigned)c->queue_size };
	struct net_conf nc = { .mtu = (uint16_t)c->mtu, .vhost = c->vhost, .died = d->died,
			       .opaque = d->opaque };
	struct netif_conf ic = { .mode = (enum netif_mode)c->mode, .tap = c->tap,
				 .host_ip = c->host_ip, .script = c->script, .fd = (int)c->fd,
				 .queues = c->queues ? (unsigned)c->queues : 1,
				 .publish = c->publish.item, .n_publish = c->publish.n,
				 .mac = nc.mac };
	struct loop *loops[CONFIG_QUEUES];
	struct vport *port;
	struct netif *nif;

	snprintf(name, sizeof(name), "net%u", i);
	if (join_features(d->conf, c->features, features, sizeof(features)))
		return -E2BIG;
	memcpy(nc.mac, c->mac, sizeof(nc.mac));
	if (!memcmp(nc.mac, none, sizeof(none)))
		make_mac(nc.mac);
	if (set_loops(d, c->iothread, &vc, loops))
		return -ENOMEM;
	nif = netif_open(name, &ic);
	if (!nif)
		return -ENODEV;
	port = net_open(&vc, nif, &nc);
	return port ? add_function(d, port, c->virtio) : -ENODEV;
}

/* --virtio-features names what any device may have; the console takes those it knows by itself. */
static int add_console(struct devices *d)
{
	struct vdev_conf vc = { .name = "console0", .loop = d->io, .mem = d->mem,
				.features = d->conf->features };
	struct vport *port = console_open(&vc, d->console);

	return port ? add_function(d, port, LAYOUT_DEFAULT) : -ENODEV;
}

static int add_ports(struct devices *d)
{
	struct vdev_conf vc = { .name = "console1", .loop = d->io, .mem = d->mem,
				.features = d->conf->features };
	struct vport *port = console_open_ports(&vc, d->ports, d->n_ports);

	return port ? add_function(d, port, LAYOUT_DEFAULT) : -ENODEV;
}

int devices_open(struct devices *d)
{
	int err = 0;

	for (unsigned i = 0; i < d->conf->n_disks && !err; i++)
		err = add_disk(d, i);
	for (unsigned i = 0; i < d->conf->n_nets && !err; i++)
		err = add_net(d, i);
	if (!err && d->console)
		err = add_console(d);
	if (!err && d->ports)
		err = add_ports(d);
	return err;
}

int devices_start(struct devices *d)
{
	return iothreads_start(&d->threads);
}

uint64_t devices_events(struct devices *d)
{
	return iothreads_events(&d->threads);
}

void devices_stop(struct devices *d)
{
	iothreads_stop(&d->threads);
}

void devices_close(struct devices *d)
{
	while (d->n)
		virtio_pci_close(d->dev[--d->n]);
	while (d->n_disks)
		disk_close(d->disk[--d->n_disks]);
	iothreads_close(&d->threads);
}
