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

#include "lkvm/log.h"

/* The loop a device runs on: the shared one, or that of the named thread, made at first mention. */
static struct loop *find_loop(struct devices *d, const char *name)
{
	struct iothread *t = d->thread;

	if (!name)
		return d->io;
	for (; t != d->thread + d->n_threads; t++)
		if (!strcmp(t->name, name))
			return t->loop;
	t->loop = loop_open(name);
	if (!t->loop)
		return NULL;
	t->name = name;
	d->n_threads++;
	return t->loop;
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

static int add_function(struct devices *d, struct vport *port, struct loop *loop, unsigned layout)
{
	enum virtio_layout how = layout == LAYOUT_DEFAULT ? d->conf->virtio :
							    (enum virtio_layout)layout;
	struct virtio_pci *vp = virtio_pci_open(d->pci, port, loop, how);

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
	struct vport *port;
	struct disk *disk;

	snprintf(name, sizeof(name), "blk%u", i);
	if (join_features(d->conf, c->features, features, sizeof(features)))
		return -E2BIG;
	disk = disk_open(name, &dc);
	if (!disk)
		return -ENODEV;
	d->disk[d->n_disks++] = disk;
	vc.loop = find_loop(d, c->iothread);
	port = vc.loop ? blk_open(&vc, disk, c->serial) : NULL;
	return port ? add_function(d, port, vc.loop, c->virtio) : -ENODEV;
}

int devices_open(struct devices *d)
{
	int err = 0;

	for (unsigned i = 0; i < d->conf->n_disks && !err; i++)
		err = add_disk(d, i);
	if (!err && (d->conf->n_nets || d->console)) {
		log_err(NULL, "network devices and the virtio console are not built in yet");
		err = -ENOSYS;
	}
	return err;
}

int devices_start(struct devices *d)
{
	int err = 0;

	for (unsigned i = 0; i < d->n_threads && !err; i++)
		err = loop_start(d->thread[i].loop);
	return err;
}

void devices_stop(struct devices *d)
{
	for (unsigned i = 0; i < d->n_threads; i++)
		loop_stop(d->thread[i].loop);
}

void devices_close(struct devices *d)
{
	while (d->n)
		virtio_pci_close(d->dev[--d->n]);
	while (d->n_disks)
		disk_close(d->disk[--d->n_disks]);
	while (d->n_threads)
		loop_close(d->thread[--d->n_threads].loop);
}
