// SPDX-License-Identifier: GPL-2.0-only
/* virtio: finds the virtio functions and drives their registers, modern layout. */

#include "drivers.h"
#include "irq.h"
#include "virtio.h"

struct vdev vdevs[MAX_VDEVS];
u32 vdev_count;

u8 reg_r8(const struct region *r, u32 off)
{
	return r->io ? inb(r->base + off) : r8(r->base + off);
}

u16 reg_r16(const struct region *r, u32 off)
{
	return r->io ? inw(r->base + off) : r16(r->base + off);
}

u32 reg_r32(const struct region *r, u32 off)
{
	return r->io ? inl(r->base + off) : r32(r->base + off);
}

u64 reg_r64(const struct region *r, u32 off)
{
	u32 lo = reg_r32(r, off);

	return (u64)reg_r32(r, off + 4) << 32 | lo;
}

void reg_w8(const struct region *r, u32 off, u8 v)
{
	if (r->io)
		outb(r->base + off, v);
	else
		w8(r->base + off, v);
}

void reg_w16(const struct region *r, u32 off, u16 v)
{
	if (r->io)
		outw(r->base + off, v);
	else
		w16(r->base + off, v);
}

void reg_w32(const struct region *r, u32 off, u32 v)
{
	if (r->io)
		outl(r->base + off, v);
	else
		w32(r->base + off, v);
}

void reg_w64(const struct region *r, u32 off, u64 v)
{
	reg_w32(r, off, v);
	reg_w32(r, off + 4, v >> 32);
}

u8 vcap_next(struct vdev *d, u8 type, u8 from)
{
	u8 at = from;

	while ((at = cap_next(d->f, CAP_VENDOR, at)))
		if (cfg_r8(d->f, at + 3) == type)
			return at;
	return 0;
}

static void locate(struct vdev *d, struct region *r, u8 type)
{
	*r = (struct region){.cap = vcap_next(d, type, 0)};
	if (!r->cap)
		return;
	r->bar = cfg_r8(d->f, r->cap + 4);
	r->off = cfg_r32(d->f, r->cap + 8);
	r->len = cfg_r32(d->f, r->cap + 12);
	if (r->bar > 5) {
		r->cap = 0;
		return;
	}
	r->io = d->f->bar[r->bar].kind == BAR_IO;
}

void vd_locate(struct vdev *d)
{
	struct region *r[] = {&d->common, &d->notify, &d->isr, &d->config};
	u8 bar = 0xff;
	u64 base = 0;

	for (u32 i = 0; i < ARRAY_SIZE(r); i++) {
		if (!r[i]->cap)
			continue;
		if (r[i]->bar != bar)
			base = bar_get(d->f, bar = r[i]->bar);
		r[i]->base = base + r[i]->off;
	}
}

static const char *type_name(u8 type)
{
	static const char *const names[] = {"virtio", "net", "blk", "console", "rng", "balloon"};

	return names[type < ARRAY_SIZE(names) ? type : 0];
}

static void add(struct func *f)
{
	struct vdev *d = &vdevs[vdev_count];

	d->f = f;
	d->type = f->device >= 0x1040 ? f->device - 0x1040 : cfg_r16(f, PCI_SUBSYSTEM);
	sprint(d->name, sizeof(d->name), "%s %02x:%x", type_name(d->type), f->slot, f->fn);
	locate(d, &d->common, CFG_COMMON);
	locate(d, &d->notify, CFG_NOTIFY);
	locate(d, &d->isr, CFG_ISR);
	locate(d, &d->config, CFG_DEVICE);
	vd_locate(d);
	d->modern = d->common.cap && d->notify.cap && d->isr.cap;
	d->pcicfg = vcap_next(d, CFG_PCI, 0);
	if (d->notify.cap)
		d->notify_mul = cfg_r32(f, d->notify.cap + 16);
	if (f->device < 0x1040 && f->bar[0].kind == BAR_IO) {
		d->legacy = true;
		d->io = (struct region){
		    .cap = 1, .io = true, .len = f->bar[0].size, .base = f->bar[0].addr};
	}
	vdev_count++;
	if (!d->modern)
		return;
	vd_reset(d);
	d->offered = vd_offered(d);
	d->num_queues = reg_r16(&d->common, C_NUM_QUEUES);
}

void virtio_init(void)
{
	for (u32 i = 0; i < func_count && vdev_count < MAX_VDEVS; i++)
		if (funcs[i].vendor == 0x1af4 && funcs[i].device >= 0x1000 &&
		    funcs[i].device < 0x1080)
			add(&funcs[i]);
}

void virtio_restore(struct vdev *d)
{
	func_restore(d->f);
	d->msix = false;
	d->features = 0;
	d->old = false;
	if (d->legacy)
		lg_status(d, 0);
	if (!d->modern)
		return;
	vd_locate(d);
	/* The reset comes last: a transitional device may hold on to the face that was used since.
	 */
	reg_w16(&d->common, C_QUEUE_SELECT, 0);
	must(vd_reset(d), "it does not come back from a reset");
	reg_r8(&d->isr, 0);
}

void virtio_works(struct vdev *d)
{
	if (!d->modern)
		return;
	switch (d->type) {
	case BLK:
		blk_works(d);
		break;
	case NET:
		net_works(d);
		break;
	case CONSOLE:
		console_works(d);
		break;
	}
}

u8 vd_status(struct vdev *d)
{
	return d->old ? reg_r8(&d->io, L_STATUS) : reg_r8(&d->common, C_STATUS);
}

void vd_set_status(struct vdev *d, u8 s)
{
	reg_w8(&d->common, C_STATUS, s);
}

bool vd_reset(struct vdev *d)
{
	vd_set_status(d, 0);
	return wait_until(vd_status(d) == 0, PATIENCE);
}

static u32 feature_half(struct vdev *d, u32 n)
{
	reg_w32(&d->common, C_DEVICE_FEATURE_SELECT, n);
	return reg_r32(&d->common, C_DEVICE_FEATURE);
}

u64 vd_offered(struct vdev *d)
{
	u64 lo = feature_half(d, 0);

	return (u64)feature_half(d, 1) << 32 | lo;
}

void vd_accept(struct vdev *d, u64 features)
{
	for (u32 n = 0; n < 2; n++) {
		reg_w32(&d->common, C_DRIVER_FEATURE_SELECT, n);
		reg_w32(&d->common, C_DRIVER_FEATURE, features >> (32 * n));
	}
}

u64 vd_accepted(struct vdev *d)
{
	u64 v = 0;

	for (u32 n = 0; n < 2; n++) {
		reg_w32(&d->common, C_DRIVER_FEATURE_SELECT, n);
		v |= (u64)reg_r32(&d->common, C_DRIVER_FEATURE) << (32 * n);
	}
	return v;
}

bool vd_negotiate(struct vdev *d, u64 features)
{
	must(vd_reset(d), "status does not come to read 0 after a reset");
	vd_set_status(d, S_ACKNOWLEDGE);
	vd_set_status(d, S_ACKNOWLEDGE | S_DRIVER);
	vd_accept(d, features);
	vd_set_status(d, S_ACKNOWLEDGE | S_DRIVER | S_FEATURES_OK);
	d->features = features;
	return vd_status(d) & S_FEATURES_OK;
}

void vd_begin(struct vdev *d, u64 want)
{
	u64 features = (want & d->offered) | F_VERSION_1;

	skip_if(!d->modern, "a legacy-only device");
	must(vd_negotiate(d, features), "features %#lx are not accepted", features);
	if (d->msix)
		vd_msix_config(d);
}

void vd_go(struct vdev *d)
{
	vd_set_status(d, S_ACKNOWLEDGE | S_DRIVER | S_FEATURES_OK | S_DRIVER_OK);
}

void vd_msix(struct vdev *d)
{
	skip_if(!d->f->msix, "no MSI-X");
	skip_if(d->f->msix_n < 2, "too few vectors");
	msix_on(d->f);
	d->msix = true;
}

void vd_msix_config(struct vdev *d)
{
	reg_w16(&d->common, C_CONFIG_VECTOR, 0);
	must_be(reg_r16(&d->common, C_CONFIG_VECTOR), 0, "config vector 0 is not taken");
}

/* One each, or all on entry 1 when there are not enough. */
u16 vd_vector(struct vdev *d, u16 queue)
{
	return queue + 1u < d->f->msix_n ? queue + 1 : 1;
}

void vd_select(struct vdev *d, u16 queue)
{
	reg_w16(&d->common, C_QUEUE_SELECT, queue);
}
