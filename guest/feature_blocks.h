/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * feature_blocks: how a driver reads a device's feature blocks (docs/feature-blocks.md).
 * Freestanding: it needs nothing but a way to read two bytes of the region.
 *
 *	struct fblk b = { 0 };
 *
 *	while (fblk_next(&r, &b) > 0)
 *		if (b.feature == VIRTIO_NET_F_MTU && b.length >= 2)
 *			mtu = r.read16(r.opaque, b.payload);
 *
 * A block that the driver doesn't know costs it nothing: fblk_next() goes on to the next one.
 */
#pragma once

#include <stdint.h>

#define FBLK_VENDOR  0x4b4c	/* vendor_id of the VIRTIO_PCI_CAP_VENDOR_CFG capability */
#define FBLK_MAGIC   0x4b4c4246 /* in the capability, and at the start of the region */
#define FBLK_VERSION 1
#define FBLK_ALWAYS  0xffff	/* instead of a feature bit: not tied to one */
#define FBLK_BLOCKS  16		/* where the first block can be */

enum { FBLK_OFFERED, FBLK_ACCEPTED };

struct fblk_reader {
	uint16_t (*read16)(void *opaque, uint32_t off); /* little-endian; off is even */
	void *opaque;
	uint32_t length; /* of the region, as the capability says */
};

struct fblk {
	uint16_t feature, length;
	uint16_t position; /* of the payload's first byte in the standard structure */
	uint16_t payload;  /* offset in the region */
	uint16_t next;	   /* 0: this is the last */
	uint16_t started;
};

/* Is this a list we can read? */
static inline int fblk_valid(const struct fblk_reader *r)
{
	return r->length >= FBLK_BLOCKS &&
	       r->read16(r->opaque, 0) == (FBLK_MAGIC & 0xffff) &&
	       r->read16(r->opaque, 2) == FBLK_MAGIC >> 16 &&
	       r->read16(r->opaque, 4) == FBLK_VERSION;
}

static inline int fblk_view(const struct fblk_reader *r)
{
	return r->read16(r->opaque, 10);
}

/*
 * The first block (b zeroed) or the one after b: 1, 0 at the end, -1 when the list is not one.
 * Offsets only grow, so that it ends whatever a device says.
 */
static inline int fblk_next(const struct fblk_reader *r, struct fblk *b)
{
	uint16_t at = b->started ? b->next : r->read16(r->opaque, 6);
	uint32_t least = b->started ? (uint32_t)b->payload + b->length : FBLK_BLOCKS;

	if (!at)
		return 0;
	if (at & 3 || at < least || at + 8U > r->length)
		return -1;
	b->next = r->read16(r->opaque, at);
	b->feature = r->read16(r->opaque, at + 2U);
	b->length = r->read16(r->opaque, at + 4U);
	b->position = r->read16(r->opaque, at + 6U);
	b->payload = (uint16_t)(at + 8);
	b->started = 1;
	return b->length && (uint32_t)b->payload + b->length <= r->length ? 1 : -1;
}
