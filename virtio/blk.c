// SPDX-License-Identifier: GPL-2.0-only
/*
 * blk: the virtio block device (virtio 1.x, 5.2): what it offers, its configuration and cache mode,
 * its queues. What becomes of a request is in blk_io.c.
 *
 * Runs on: the queue's loop (kick, queue_*), home (all else); blk_open on main.
 */
#include <endian.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "lkvm/log.h"
#include "lkvm/virtio.h"
#include "virtio/blk_priv.h"

#define BLK_QUEUE_SIZE 256
#define BLK_QUEUES_MAX 64

struct blk_config {
	uint64_t capacity;
	uint32_t size_max, seg_max;
	uint8_t geometry[4];
	uint32_t blk_size;
	uint8_t physical_block_exp, alignment_offset;
	uint16_t min_io_size;
	uint32_t opt_io_size;
	uint8_t writeback, unused0;
	uint16_t num_queues;
	uint32_t max_discard_sectors, max_discard_seg, discard_sector_alignment;
	uint32_t max_write_zeroes_sectors, max_write_zeroes_seg;
	uint8_t write_zeroes_may_unmap, unused1[3];
} __attribute__((packed));
#define AT(field) offsetof(struct blk_config, field)
_Static_assert(AT(blk_size) == 20 && AT(physical_block_exp) == 24 && AT(writeback) == 32 &&
	       AT(num_queues) == 34 && AT(max_discard_sectors) == 36 &&
	       AT(max_write_zeroes_sectors) == 48 && AT(write_zeroes_may_unmap) == 56 &&
	       sizeof(struct blk_config) == 60, "5.2.4");

static const struct vport_field blk_fields[] = {
	{ -1, AT(capacity), 8 },
	{ BLK_F_SEG_MAX, AT(seg_max), 4 },
	{ BLK_F_BLK_SIZE, AT(blk_size), 4 },
	{ BLK_F_TOPOLOGY, AT(physical_block_exp), 8 },
	{ BLK_F_CONFIG_WCE, AT(writeback), 1 },
	{ BLK_F_MQ, AT(num_queues), 2 },
	{ BLK_F_DISCARD, AT(max_discard_sectors), 12 },
	{ BLK_F_WRITE_ZEROES, AT(max_write_zeroes_sectors), 9 },
	{ -1, 0, 0 },
};

static const struct vdev_word blk_words[] = {
	{ "seg_max", BLK_F_SEG_MAX },	{ "ro", BLK_F_RO },
	{ "blk_size", BLK_F_BLK_SIZE }, { "flush", BLK_F_FLUSH },
	{ "topology", BLK_F_TOPOLOGY }, { "config_wce", BLK_F_CONFIG_WCE },
	{ "mq", BLK_F_MQ },		{ "discard", BLK_F_DISCARD },
	{ "write_zeroes", BLK_F_WRITE_ZEROES }, { NULL, 0 },
};

static struct blk *to_blk(struct vdev *dev)
{
	return (struct blk *)((char *)dev - offsetof(struct blk, dev));
}

/* --- queues ---------------------------------------------------------------------------------- */

static void blk_kick(struct vdev *dev, unsigned n)
{
	struct blk_queue *bq = &to_blk(dev)->queue[n];
	struct virtq *q = vdev_queue(dev, n);
	struct vreq *vr;

	while (!dev->failed && vdev_budget(dev, n) && (vr = virtq_pop(q)))
		blk_io_serve(bq, vr);
}

static int blk_queue_start(struct vdev *dev, unsigned n)
{
	return blk_io_start(&to_blk(dev)->queue[n], vdev_queue(dev, n)->conf.size);
}

static void blk_queue_stop(struct vdev *dev, unsigned n)
{
	blk_io_stop(&to_blk(dev)->queue[n]);
}

/* --- the cache mode -------------------------------------------------------------------------- */

/*
 * 5.2.6.2: without FLUSH the driver can't ask for its writes to be made durable, so each one is;
 * with CONFIG_WCE it is the driver's choice.
 */
static void set_mode(struct vdev *dev)
{
	bool writeback = vdev_has(dev, BLK_F_CONFIG_WCE) ? dev->config[AT(writeback)]
							 : vdev_has(dev, BLK_F_FLUSH);

	to_blk(dev)->write_through = !writeback;
}

static void set_writeback(struct vdev *dev, uint8_t on)
{
	vdev_config_set(dev, AT(writeback), &on, 1, false);
	set_mode(dev);
}

/* 5.2.5.2: what the field shows after negotiation; also 0 with CONFIG_WCE if there is no FLUSH. */
static void blk_accept(struct vdev *dev)
{
	if (dev->modern)
		set_writeback(dev, vdev_has(dev, BLK_F_FLUSH));
	set_mode(dev);
}

/* 5.2.5.3: a legacy driver's status and feature writes leave it alone, with this one exception. */
static void blk_start(struct vdev *dev)
{
	if (!dev->modern && !vdev_has(dev, BLK_F_CONFIG_WCE))
		set_writeback(dev, vdev_has(dev, BLK_F_FLUSH));
}

/* writeback is the only field a driver may write: 0 or 1, and only with CONFIG_WCE. */
static void blk_config_write(struct vdev *dev, unsigned off, const uint8_t *val, unsigned len)
{
	/* A legacy driver may write it before its features are known to be final. */
	bool early = !dev->live && !dev->modern && dev->port.features & VBIT(BLK_F_CONFIG_WCE);

	if (off > AT(writeback) || off + len <= AT(writeback))
		return;
	if ((early || vdev_has(dev, BLK_F_CONFIG_WCE)) && val[AT(writeback) - off] <= 1)
		set_writeback(dev, val[AT(writeback) - off]);
}

/* --- life ------------------------------------------------------------------------------------ */

static void blk_queue_close(struct vdev *dev, unsigned n)
{
	blk_io_close(&to_blk(dev)->queue[n]);
}

static void blk_close(struct vdev *dev)
{
	vdev_fini(dev);
	free(to_blk(dev));
}

static const struct vdev_class blk_class = {
	.name = "blk",
	.id = VIRTIO_ID_BLK,
	.fields = blk_fields,
	.words = blk_words,
	.accept = blk_accept,
	.queue_start = blk_queue_start,
	.start = blk_start,
	.kick = blk_kick,
	.queue_stop = blk_queue_stop,
	.queue_close = blk_queue_close,
	.config_write = blk_config_write,
	.close = blk_close,
};

static uint64_t blk_features(const struct disk_info *info, unsigned queues)
{
	return VBIT(BLK_F_SEG_MAX) | VBIT(BLK_F_BLK_SIZE) | VBIT(BLK_F_TOPOLOGY) |
	       VBIT(BLK_F_FLUSH) | VBIT(BLK_F_CONFIG_WCE) |
	       (queues > 1 ? VBIT(BLK_F_MQ) : 0) | (info->readonly ? VBIT(BLK_F_RO) : 0) |
	       (info->discard ? VBIT(BLK_F_DISCARD) : 0) |
	       (info->write_zeroes ? VBIT(BLK_F_WRITE_ZEROES) : 0);
}

static void blk_set_config(struct blk *blk, unsigned size, unsigned queues)
{
	const struct disk_info *info = blk->info;
	uint32_t ratio = info->phys_block / info->block_size, opt = info->opt_io / info->block_size;
	struct blk_config c = { .capacity = htole64(blk->sectors), .writeback = 1 };

	/* Header and status take two of a chain's descriptors. */
	c.seg_max = htole32(size > 2 ? (size > IOV_MAX ? IOV_MAX : size) - 2 : 1);
	c.blk_size = htole32(info->block_size);
	c.physical_block_exp = (uint8_t)__builtin_ctz(ratio);
	c.min_io_size = htole16((uint16_t)ratio);
	c.opt_io_size = htole32(opt);
	c.num_queues = htole16((uint16_t)queues);
	if (info->discard) {
		c.max_discard_sectors = htole32(BLK_RANGE_MAX);
		c.max_discard_seg = htole32(BLK_RANGES);
		c.discard_sector_alignment = htole32(info->phys_block / SECTOR);
	}
	if (info->write_zeroes) {
		c.max_write_zeroes_sectors = htole32(BLK_RANGE_MAX);
		c.max_write_zeroes_seg = htole32(BLK_RANGES);
		c.write_zeroes_may_unmap = info->discard;
	}
	vdev_config_init(&blk->dev, &c, sizeof(c));
}

static bool blk_check(const char *name, unsigned size, unsigned queues, const char *serial)
{
	if (size > VIRTQ_SIZE_MAX || size & (size - 1))
		log_err(name, "queue-size %u is not a power of two up to %d", size, VIRTQ_SIZE_MAX);
	else if (queues > BLK_QUEUES_MAX)
		log_err(name, "%u queues are too many; the most is %d", queues, BLK_QUEUES_MAX);
	else if (strlen(serial) > BLK_ID_LEN)
		log_err(name, "serial '%s' is longer than %d bytes", serial, BLK_ID_LEN);
	else
		return true;
	return false;
}

struct vport *blk_open(const struct vdev_conf *conf, struct disk *disk, const char *serial)
{
	unsigned size = conf->queue_size ? conf->queue_size : BLK_QUEUE_SIZE;
	unsigned queues = conf->queues ? conf->queues : 1, max[BLK_QUEUES_MAX];
	struct blk *blk;

	if (!serial)
		serial = conf->name;
	if (!blk_check(conf->name, size, queues, serial))
		return NULL;
	blk = calloc(1, sizeof(*blk) + queues * sizeof(blk->queue[0]));
	if (!blk) {
		log_err(conf->name, "out of memory");
		return NULL;
	}
	blk->disk = disk;
	blk->info = disk_info(disk);
	blk->sectors = blk->info->size / SECTOR;
	memcpy(blk->id, serial, strnlen(serial, BLK_ID_LEN));
	for (unsigned n = 0; n < queues; n++) {
		max[n] = size;
		blk->queue[n] = (struct blk_queue){ .blk = blk, .n = n };
	}
	if (vdev_init(&blk->dev, &blk_class, conf->name, conf->loop, conf->mem,
		      blk_features(blk->info, queues), max, queues))
		goto out_free;
	blk_set_config(blk, size, queues);
	if (conf->n_loops > 1 && vdev_spread(&blk->dev, conf->loops, conf->n_loops))
		goto out_close;
	if (vdev_mask(&blk->dev, conf->features))
		goto out_close;
	/* 5.2.5.2: CONFIG_WCE isn't offered without FLUSH, though it may be accepted so. */
	if (!(blk->dev.port.features & VBIT(BLK_F_FLUSH))) {
		blk->dev.port.features &= ~VBIT(BLK_F_CONFIG_WCE);
		blk->dev.port.legacy_features &= ~VBIT(BLK_F_CONFIG_WCE);
	}
	return &blk->dev.port;

out_close:
	vdev_fini(&blk->dev);
out_free:
	free(blk);
	return NULL;
}
