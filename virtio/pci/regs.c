// SPDX-License-Identifier: GPL-2.0-only
/*
 * regs: reads and writes of any width and alignment on a table of registers.
 *
 * Runs on: vcpu under slot lock.
 */
#include "virtio/pci/transport.h"

static bool touches(const struct vp_reg *r, uint64_t off, unsigned len)
{
	return off < (uint64_t)r->off + r->width && r->off < off + len;
}

static uint64_t ones(unsigned bytes)
{
	return ~0ULL >> (64 - 8 * bytes);
}

static uint8_t byte_of(uint64_t val, unsigned i)
{
	return (uint8_t)(val >> (8 * i));
}

uint64_t vp_regs_read(struct virtio_pci *vp, enum vp_face face, const struct vp_reg *regs,
		      unsigned n, uint64_t off, unsigned len)
{
	uint64_t val = 0;

	for (const struct vp_reg *r = regs; r < regs + n; r++) {
		uint64_t reg;

		if (!touches(r, off, len))
			continue;
		if (vp_owns(vp, face) || r->flags & VP_CONST)
			reg = r->get(vp);
		else
			reg = r->flags & VP_ONES ? ones(r->width) : 0;
		for (unsigned i = 0; i < len; i++) {
			unsigned at = (unsigned)(off + i - r->off);

			if (off + i >= r->off && at < r->width)
				val |= (uint64_t)byte_of(reg, at) << (8 * i);
		}
	}
	return val;
}

void vp_regs_write(struct virtio_pci *vp, enum vp_face face, const struct vp_reg *regs, unsigned n,
		   uint64_t off, unsigned len, uint64_t val)
{
	for (const struct vp_reg *r = regs; r < regs + n; r++) {
		uint64_t reg;

		if (!touches(r, off, len) || !r->set)
			continue;
		if (!(r->flags & VP_SELECT ? vp_owns(vp, face) : vp_claim(vp, face)))
			continue;
		reg = r->get(vp);
		for (unsigned i = 0; i < len; i++) {
			unsigned at = (unsigned)(off + i - r->off);

			if (off + i < r->off || at >= r->width)
				continue;
			reg &= ~(0xffULL << (8 * at));
			reg |= (uint64_t)byte_of(val, i) << (8 * at);
		}
		r->set(vp, reg);
	}
}
