// SPDX-License-Identifier: GPL-2.0-only
/*
 * vdev_config: a device's configuration bytes and their generation (virtio 1.x, 2.5).
 *
 * Runs on: loop (set, keep), vcpu under slot lock (read, generation); a lock of its own between them.
 */
#include <string.h>

#include "virtio/vdev_port.h"

void vdev_port_config_read(struct vport *port, unsigned off, void *dst, unsigned len)
{
	struct vdev *dev = to_vdev(port);
	unsigned n = off < dev->config_len ? dev->config_len - off : 0;

	memset(dst, 0, len);
	pthread_mutex_lock(&dev->config_lock);
	memcpy(dst, dev->config + (n ? off : 0), n < len ? n : len);
	pthread_mutex_unlock(&dev->config_lock);
}

struct config_write {
	struct vdev *dev;
	unsigned off, len;
	const uint8_t *src;
};

static void do_config_write(void *opaque)
{
	struct config_write *w = opaque;

	w->dev->class->config_write(w->dev, w->off, w->src, w->len);
}

void vdev_port_config_write(struct vport *port, unsigned off, const void *src, unsigned len)
{
	struct config_write w = { to_vdev(port), off, len, src };

	if (!w.dev->class->config_write || off >= w.dev->config_len)
		return;
	if (len > w.dev->config_len - off)
		w.len = w.dev->config_len - off;
	loop_call(w.dev->loop, do_config_write, &w);
}

/*
 * Moves at most once between two readings of it, and always when something changed in between: a
 * driver that compares two readings can't be fooled by a number that came around.
 */
uint8_t vdev_port_config_generation(struct vport *port)
{
	struct vdev *dev = to_vdev(port);
	uint8_t generation;

	pthread_mutex_lock(&dev->config_lock);
	dev->generation += dev->config_dirty;
	dev->config_dirty = false;
	generation = dev->generation;
	pthread_mutex_unlock(&dev->config_lock);
	return generation;
}

static void config_store(struct vdev *dev, unsigned off, const void *src, unsigned len, bool keep,
			 bool notify)
{
	bool differs;

	if (off > dev->config_len || len > dev->config_len - off)
		return;
	pthread_mutex_lock(&dev->config_lock);
	differs = memcmp(dev->config + off, src, len) != 0;
	if (differs)
		dev->config_dirty = true;
	memcpy(dev->config + off, src, len);
	if (keep)
		memcpy(dev->config_reset + off, src, len);
	pthread_mutex_unlock(&dev->config_lock);
	if (differs && notify && dev->port.changed)
		dev->port.changed(dev->port.opaque);
}

void vdev_config_set(struct vdev *dev, unsigned off, const void *src, unsigned len, bool notify)
{
	config_store(dev, off, src, len, false, notify);
}

void vdev_config_keep(struct vdev *dev, unsigned off, const void *src, unsigned len, bool notify)
{
	config_store(dev, off, src, len, true, notify);
}

void vdev_config_init(struct vdev *dev, const void *config, unsigned len)
{
	if (len > VDEV_CONFIG_MAX)
		len = VDEV_CONFIG_MAX;
	memcpy(dev->config, config, len);
	memcpy(dev->config_reset, config, len);
	dev->config_len = dev->port.config_len = len;
}

void vdev_config_restore(struct vdev *dev)
{
	pthread_mutex_lock(&dev->config_lock);
	if (memcmp(dev->config, dev->config_reset, sizeof(dev->config)) != 0)
		dev->config_dirty = true;
	memcpy(dev->config, dev->config_reset, sizeof(dev->config));
	pthread_mutex_unlock(&dev->config_lock);
}
