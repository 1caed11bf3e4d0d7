// SPDX-License-Identifier: GPL-2.0-only
/*
 * blocks: the device's configuration once more, as a linked list of blocks that holds only what the
 * driver's features bring. docs/feature-blocks.md is the specification.
 *
 * Runs on: vcpu under slot lock; init on main.
 *
 * Nothing is stored: the list is made anew for each access out of the port's fields, a few dozen
 * bytes of work. So it can't fall behind FEATURES_OK or a reset.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "lkvm/log.h"
#include "virtio/pci/transport.h"

#define BLOCKS_MAGIC 0x4b4c4246 /* "FBLK" */
#define BLOCKS_VERSION 1
#define FEATURE_ALWAYS 0xffff
#define LIST_MAX 2048 /* two pages hold twice what VDEV_CONFIG_MAX can make */

enum { VIEW_OFFERED, VIEW_ACCEPTED };

struct blocks_cap { /* after the generic part: the vendor's own */
	uint8_t id, next, len, cfg_type;
	uint16_t vendor;
	uint8_t bar, version;
	uint32_t magic, offset, length;
};
_Static_assert(sizeof(struct blocks_cap) == 20 && offsetof(struct blocks_cap, offset) == 12,
	       "docs/feature-blocks.md, the capability");

struct blocks_header {
	uint32_t magic;
	uint16_t version, first, end, view;
	uint32_t reserved;
};
_Static_assert(sizeof(struct blocks_header) == 16, "docs/feature-blocks.md, the region");

struct block {
	uint16_t next, feature, length, position;
};
_Static_assert(sizeof(struct block) == 8, "docs/feature-blocks.md, a block");

static unsigned padded(unsigned len)
{
	return (len + 3) & ~3U;
}

/* Accepted once they are final and the driver is a modern one; until then what it could accept. */
static bool accepted_view(const struct virtio_pci *vp)
{
	return vp->settled && vp->owner == VP_MODERN;
}

static bool shown(const struct virtio_pci *vp, const struct vport_field *field)
{
	uint64_t features = accepted_view(vp) ? vp->accepted : vp->port->features;

	return field->feature < 0 || features & VBIT(field->feature);
}

/* The next field to be shown, from `field` on; NULL: none. */
static const struct vport_field *next_shown(const struct virtio_pci *vp,
					    const struct vport_field *field)
{
	for (; field && field->len; field++)
		if (shown(vp, field))
			return field;
	return NULL;
}

static unsigned block_len(const struct vport_field *field)
{
	return (unsigned)sizeof(struct block) + padded(field->len);
}

/* --- access ---------------------------------------------------------------------------------- */

static unsigned build(struct virtio_pci *vp, uint8_t *list)
{
	const struct vport_field *field = next_shown(vp, vp->port->fields), *next;
	struct blocks_header header = { .magic = BLOCKS_MAGIC, .version = BLOCKS_VERSION,
					.view = accepted_view(vp) ? VIEW_ACCEPTED : VIEW_OFFERED };
	unsigned at = sizeof(header);

	header.first = field ? sizeof(header) : 0;
	for (; field; field = next) {
		unsigned end = at + block_len(field);
		struct block block = { .length = field->len, .position = field->off };

		next = next_shown(vp, field + 1);
		block.next = next ? (uint16_t)end : 0;
		block.feature = field->feature < 0 ? FEATURE_ALWAYS : (uint16_t)field->feature;
		memcpy(list + at, &block, sizeof(block));
		vp->port->ops->config_read(vp->port, field->off, list + at + sizeof(block),
					   field->len);
		at = end;
	}
	header.end = (uint16_t)at;
	memcpy(list, &header, sizeof(header));
	return at;
}

uint64_t vp_blocks_read(struct virtio_pci *vp, unsigned off, unsigned len)
{
	uint8_t list[LIST_MAX] = { 0 };
	uint64_t val = 0;
	unsigned end;

	if (!vp->blocks_len)
		return ~0ULL;
	end = build(vp, list);
	for (unsigned i = 0; i < len; i++)
		if (off + i < end)
			val |= (uint64_t)list[off + i] << (8 * i);
	return val;
}

/* What lies within one block's payload is a write to the configuration; nothing else is. */
void vp_blocks_write(struct virtio_pci *vp, unsigned off, unsigned len, uint64_t val)
{
	const struct vport_field *field;
	unsigned at = sizeof(struct blocks_header);

	if (!vp->blocks_len || !vp_claim(vp, VP_MODERN))
		return;
	for (field = next_shown(vp, vp->port->fields); field; field = next_shown(vp, field + 1)) {
		unsigned payload = at + sizeof(struct block);

		if (off >= payload && len <= field->len && off - payload <= field->len - len) {
			vp->port->ops->config_write(vp->port, field->off + off - payload, &val,
						    len);
			return;
		}
		at += block_len(field);
	}
}

/* --- life ------------------------------------------------------------------------------------ */

/* As long as it can get: every field of every feature the device could have. */
static unsigned longest(const struct vport *port)
{
	unsigned len = sizeof(struct blocks_header);

	for (const struct vport_field *field = port->fields; field && field->len; field++)
		len += block_len(field);
	return len;
}

int vp_blocks_init(struct virtio_pci *vp)
{
	struct blocks_cap cap = { .len = sizeof(cap), .cfg_type = 9, .vendor = VP_BLOCKS_VENDOR,
				  .bar = VP_BAR_MODERN, .version = BLOCKS_VERSION,
				  .magic = BLOCKS_MAGIC, .offset = VP_BLOCKS_OFF };
	unsigned at;

	if (!vp->port->fields || !vp->port->fields->len)
		return 0;
	cap.length = longest(vp->port);
	if (cap.length > LIST_MAX) {
		log_err(vp->port->name, "its configuration is too long for feature blocks");
		return -ENOSPC;
	}
	at = pci_func_cap(&vp->func, 0x09, sizeof(cap));
	if (!at) {
		log_err(vp->port->name, "no room left for PCI capabilities");
		return -ENOSPC;
	}
	pci_config_set(&vp->func, at + 2, (uint8_t *)&cap + 2, sizeof(cap) - 2);
	vp->blocks_len = cap.length;
	return 0;
}
