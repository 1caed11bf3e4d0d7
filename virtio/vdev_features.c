// SPDX-License-Identifier: GPL-2.0-only
/*
 * vdev_features: which features a device offers, and which sets of them it accepts.
 *
 * Runs on: main (masks), vcpu under slot lock (acceptable: reads constants only).
 */
#include <errno.h>
#include <string.h>

#include "lkvm/log.h"
#include "virtio/vdev_port.h"

/* Is the set closed: does every accepted bit have what it needs? */
static bool closed(const struct vdev *dev, uint64_t features)
{
	for (const struct vdev_dep *d = dev->class->deps; d && d->bit >= 0; d++)
		if (features & VBIT(d->bit) && !(features & d->any_of))
			return false;
	return true;
}

/* Without VERSION_1 there is no modern driver (6.1: a device may refuse, and this one does). */
bool vdev_port_acceptable(struct vport *port, uint64_t features)
{
	return !(features & ~port->features) && features & VBIT(VIRTIO_F_VERSION_1) &&
	       closed(to_vdev(port), features);
}

static const struct vdev_word ring_words[] = {
	{ "indirect_desc", VIRTIO_F_INDIRECT_DESC },
	{ "event_idx", VIRTIO_F_EVENT_IDX },
	{ "packed", VIRTIO_F_RING_PACKED },
	{ "in_order", VIRTIO_F_IN_ORDER },
	{ "notification_data", VIRTIO_F_NOTIFICATION_DATA },
	{ "notif_config_data", VIRTIO_F_NOTIF_CONFIG_DATA },
	{ "ring_reset", VIRTIO_F_RING_RESET },
	{ NULL, 0 },
};

static const struct vdev_word *find_word(const struct vdev_word *words, const char *name, size_t len)
{
	for (; words && words->name; words++)
		if (strlen(words->name) == len && !memcmp(words->name, name, len))
			return words;
	return NULL;
}

static void list_words(char *to, size_t size, const struct vdev_word *words, uint64_t possible)
{
	for (; words && words->name; words++)
		if (possible & VBIT(words->bit)) {
			strncat(to, " ", size - strlen(to) - 1);
			strncat(to, words->name, size - strlen(to) - 1);
		}
}

static int mask_unknown(struct vdev *dev, const char *word, int len)
{
	char known[512] = "";

	list_words(known, sizeof(known), dev->class->words, dev->possible);
	list_words(known, sizeof(known), ring_words, dev->possible);
	log_err(dev->name, "features: '%.*s' is nothing that can be turned on or off here; known are:%s",
		len, word, known);
	return -EINVAL;
}

static int mask_word(struct vdev *dev, const char *item, size_t len)
{
	const struct vdev_word *word;

	if (len < 2 || (*item != '+' && *item != '-'))
		return mask_unknown(dev, item, (int)len);
	word = find_word(dev->class->words, item + 1, len - 1);
	if (!word)
		word = find_word(ring_words, item + 1, len - 1);
	if (!word || !(dev->possible & VBIT(word->bit)))
		return mask_unknown(dev, item, (int)len);
	if (*item == '+')
		dev->port.features |= VBIT(word->bit);
	else
		dev->port.features &= ~VBIT(word->bit);
	return 0;
}

/* The legacy interface shows bits 0-31 of the same set, with two of its own. */
void vdev_set_legacy(struct vdev *dev)
{
	dev->port.legacy_features = (dev->port.features & 0xffffffff) |
				    VBIT(VIRTIO_F_NOTIFY_ON_EMPTY) | VBIT(VIRTIO_F_ANY_LAYOUT);
}

int vdev_mask(struct vdev *dev, const char *list)
{
	const struct vdev_dep *d;

	while (list && *list) {
		size_t len = strcspn(list, ",");
		int err = mask_word(dev, list, len);

		if (err)
			return err;
		list += len + (list[len] == ',');
	}
	/* What lost its ground goes too, until nothing changes any more. */
	while (!closed(dev, dev->port.features))
		for (d = dev->class->deps; d->bit >= 0; d++)
			if (!(dev->port.features & d->any_of))
				dev->port.features &= ~VBIT(d->bit);
	vdev_set_legacy(dev);
	return 0;
}
