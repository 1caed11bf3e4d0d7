// SPDX-License-Identifier: GPL-2.0-only
/* t_vcap: IDs and the capabilities that say where the virtio structures are. */

#include "drivers.h"

static void ids(struct vdev *d)
{
	static const u16 transitional[] = {0, 0x1000, 0x1001, 0x1003, 0x1005, 0x1002};

	must_be(cfg_r16(d->f, PCI_VENDOR), 0x1af4, "vendor");
	if (d->f->device >= 0x1040)
		must_be(d->f->device, 0x1040 + d->type, "device");
	else if (d->type < ARRAY_SIZE(transitional))
		must_be(d->f->device, transitional[d->type], "device");
}

static void modern_ids(struct vdev *d)
{
	skip_if(d->legacy, "a transitional device");
	must(d->f->device >= 0x1040 && d->f->device <= 0x107f, "device %#x", d->f->device);
	must(cfg_r8(d->f, PCI_REVISION) >= 1, "revision 0");
	must(cfg_r16(d->f, PCI_SUBSYSTEM) >= 0x40, "subsystem device %#x",
	     cfg_r16(d->f, PCI_SUBSYSTEM));
}

static void cap_lengths(struct vdev *d)
{
	for (u8 at = 0; (at = cap_next(d->f, CAP_VENDOR, at));) {
		u8 type = cfg_r8(d->f, at + 3), len = cfg_r8(d->f, at + 2);
		u8 want = type == CFG_NOTIFY || type == CFG_PCI ? 20 : type == CFG_SHM ? 24 : 16;

		if (type == CFG_VENDOR)
			want = 8;
		must(len >= want, "capability at %#x, type %u: length %u", at, type, len);
		must(at + len <= 256, "capability at %#x: runs over the end", at);
	}
}

static void cap_types(struct vdev *d)
{
	for (u8 at = 0; (at = cap_next(d->f, CAP_VENDOR, at));) {
		u8 type = cfg_r8(d->f, at + 3);

		must((type >= 1 && type <= 5) || type == 8 || type == 9, "type %u", type);
	}
}

static void inside_bars(struct vdev *d)
{
	for (u8 at = 0; (at = cap_next(d->f, CAP_VENDOR, at));) {
		u8 type = cfg_r8(d->f, at + 3), bar = cfg_r8(d->f, at + 4);
		u64 off = cfg_r32(d->f, at + 8), len = cfg_r32(d->f, at + 12);

		if (type == CFG_PCI || type == CFG_VENDOR)
			continue;
		if (type == CFG_SHM) {
			off |= (u64)cfg_r32(d->f, at + 16) << 32;
			len |= (u64)cfg_r32(d->f, at + 20) << 32;
		}
		must(bar <= 5, "type %u is in BAR %u", type, bar);
		must(d->f->bar[bar].size, "type %u is in BAR %u, which is not there", type, bar);
		must(off + len <= d->f->bar[bar].size, "type %u does not fit BAR %u", type, bar);
	}
}

static void caps_read_only(struct vdev *d)
{
	for (u8 at = 0; (at = cap_next(d->f, CAP_VENDOR, at));) {
		bool window = cfg_r8(d->f, at + 3) == CFG_PCI;

		for (u32 i = 0; i < (window ? 4 : 16); i += 4) {
			u32 v = cfg_r32(d->f, at + i);

			cfg_w32(d->f, at + i, ~v);
			must_be(cfg_r32(d->f, at + i), v, "capability at %#x, byte %u", at, i);
		}
	}
}

static void common_there(struct vdev *d)
{
	skip_if(!d->modern, "a legacy-only device");
	must(d->common.cap, "no common structure");
	must(!(d->common.off & 3), "it begins at %#x", d->common.off);
	must(d->common.len >= 0x38, "it is %#x long", d->common.len);
	if (d->offered & F_NOTIF_CONFIG_DATA)
		must(d->common.len >= 0x3a, "queue_notif_config_data is beyond its %#x bytes",
		     d->common.len);
	if (d->offered & F_RING_RESET)
		must(d->common.len >= 0x3c, "queue_reset is beyond its %#x bytes", d->common.len);
	if (d->offered & F_ADMIN_VQ)
		must(d->common.len >= 0x40, "the admin fields are beyond its %#x bytes",
		     d->common.len);
}

static void notify_there(struct vdev *d)
{
	bool data = d->offered & F_NOTIFICATION_DATA;
	u32 mul = d->notify_mul, width = data ? 4 : 2;

	skip_if(!d->modern, "a legacy-only device");
	must(d->notify.cap, "no notification structure");
	must(!(d->notify.off & (width - 1)), "it begins at %#x", d->notify.off);
	must(!(mul & (mul - 1)) && mul != 1 && (!data || !(mul & 3)), "multiplier %u", mul);
	must(d->notify.len >= width, "it is %u long", d->notify.len);
	for (u32 q = 0; q < d->num_queues; q++) {
		u32 off;

		vd_select(d, q);
		off = reg_r16(&d->common, C_QUEUE_NOTIFY_OFF);
		must(d->notify.len >= (u64)off * mul + width, "queue %u's doorbell is beyond it",
		     q);
	}
}

static void notify_data_there(struct vdev *d)
{
	skip_if(!(d->offered & F_NOTIFICATION_DATA), "NOTIFICATION_DATA is not offered");
	notify_there(d);
}

static void isr_there(struct vdev *d)
{
	skip_if(!d->modern, "a legacy-only device");
	must(d->isr.cap, "no ISR structure");
	must(d->isr.len >= 1, "it is empty");
}

static void config_there(struct vdev *d)
{
	skip_if(!d->modern, "a legacy-only device");
	skip_if(d->type == 4, "this type has no configuration");
	must(d->config.cap, "no device structure");
	must(!(d->config.off & 3), "it begins at %#x", d->config.off);
}

static void pcicfg_there(struct vdev *d)
{
	skip_if(!d->modern, "a legacy-only device");
	must(d->pcicfg, "no configuration access capability");
}

/* Every instance of a structure must work, not only the first. */
static void all_instances(struct vdev *d)
{
	skip_if(!d->modern, "a legacy-only device");
	for (u8 at = 0; (at = cap_next(d->f, CAP_VENDOR, at));) {
		u8 type = cfg_r8(d->f, at + 3), bar = cfg_r8(d->f, at + 4);
		struct region r = {.cap = at, .io = d->f->bar[bar > 5 ? 0 : bar].kind == BAR_IO};

		if (bar > 5 || type != CFG_COMMON)
			continue;
		r.base = d->f->bar[bar].addr + cfg_r32(d->f, at + 8);
		must_be(reg_r16(&r, C_NUM_QUEUES), d->num_queues, "the common structure at %#x",
			at);
	}
}

static void padding(struct vdev *d)
{
	u8 status;

	skip_if(!d->modern, "a legacy-only device");
	vd_set_status(d, S_ACKNOWLEDGE);
	for (u32 off = 0x38; off < d->common.len && off < 0x100; off += 2)
		reg_r16(&d->common, off);
	status = vd_status(d);
	must_be(status, S_ACKNOWLEDGE, "status after reading the whole structure");
}

/* Vendor data: never virtio's own vendor ID, a multiple of 4 long, and only data. */
static void vendor_data(struct vdev *d)
{
	u32 found = 0;

	for (u8 at = 0; (at = cap_next(d->f, CAP_VENDOR, at));) {
		u8 len = cfg_r8(d->f, at + 2);

		if (cfg_r8(d->f, at + 3) != CFG_VENDOR)
			continue;
		found++;
		must(cfg_r16(d->f, at + 4) != 0x1af4, "vendor_id is virtio's");
		must(!(len & 3), "length %u", len);
		for (u32 i = 0; i < len; i += 4)
			must_be(cfg_r32(d->f, at + i), cfg_r32(d->f, at + i), "byte %u read twice",
				i);
	}
	skip_if(!found, "no vendor data capability");
}

static void shared_memory(struct vdev *d)
{
	u8 seen[256] = {0};
	u32 found = 0;

	for (u8 at = 0; (at = cap_next(d->f, CAP_VENDOR, at));) {
		if (cfg_r8(d->f, at + 3) != CFG_SHM)
			continue;
		found++;
		must(!seen[cfg_r8(d->f, at + 5)]++, "id %u is there twice", cfg_r8(d->f, at + 5));
	}
	skip_if(!found, "no shared memory");
}

/* --- the window in configuration space */

static u32 window_read(struct vdev *d, const struct region *r, u32 off, u32 len)
{
	cfg_w8(d->f, d->pcicfg + 4, r->bar);
	cfg_w32(d->f, d->pcicfg + 8, r->off + off);
	cfg_w32(d->f, d->pcicfg + 12, len);
	return len == 1   ? cfg_r8(d->f, d->pcicfg + 16)
	       : len == 2 ? cfg_r16(d->f, d->pcicfg + 16)
			  : cfg_r32(d->f, d->pcicfg + 16);
}

static void window_write(struct vdev *d, const struct region *r, u32 off, u32 len, u32 v)
{
	cfg_w8(d->f, d->pcicfg + 4, r->bar);
	cfg_w32(d->f, d->pcicfg + 8, r->off + off);
	cfg_w32(d->f, d->pcicfg + 12, len);
	if (len == 1)
		cfg_w8(d->f, d->pcicfg + 16, v);
	else if (len == 2)
		cfg_w16(d->f, d->pcicfg + 16, v);
	else
		cfg_w32(d->f, d->pcicfg + 16, v);
}

static void window_reads(struct vdev *d)
{
	skip_if(!d->pcicfg, "no configuration access capability");
	must_be(window_read(d, &d->common, C_NUM_QUEUES, 2), d->num_queues, "num_queues");
	vd_set_status(d, S_ACKNOWLEDGE);
	must_be(window_read(d, &d->common, C_STATUS, 1), S_ACKNOWLEDGE, "status");
	reg_w32(&d->common, C_DEVICE_FEATURE_SELECT, 1);
	must_be(window_read(d, &d->common, C_DEVICE_FEATURE, 4), d->offered >> 32,
		"device_feature");
	if (d->config.cap && d->type == BLK)
		must_be(window_read(d, &d->config, 0, 4), reg_r32(&d->config, 0), "capacity");
}

static void window_writes(struct vdev *d)
{
	skip_if(!d->pcicfg, "no configuration access capability");
	window_write(d, &d->common, C_STATUS, 1, S_ACKNOWLEDGE);
	must_be(vd_status(d), S_ACKNOWLEDGE, "status, a byte");
	window_write(d, &d->common, C_QUEUE_SELECT, 2, 0x0123);
	must_be(reg_r16(&d->common, C_QUEUE_SELECT), 0x0123, "queue_select, a word");
	window_write(d, &d->common, C_DEVICE_FEATURE_SELECT, 4, 0x89abcdef);
	must_be(reg_r32(&d->common, C_DEVICE_FEATURE_SELECT), 0x89abcdef,
		"device_feature_select, four bytes");
}

static void window_fields(struct vdev *d)
{
	u8 at = d->pcicfg;

	skip_if(!at, "no configuration access capability");
	for (u32 len = 1; len <= 4; len *= 2) {
		cfg_w8(d->f, at + 4, d->common.bar);
		cfg_w32(d->f, at + 8, d->common.off + 0x14);
		cfg_w32(d->f, at + 12, len);
		must_be(cfg_r8(d->f, at + 4), d->common.bar, "bar");
		must_be(cfg_r32(d->f, at + 8), d->common.off + 0x14, "offset");
		must_be(cfg_r32(d->f, at + 12), len, "length");
	}
}

static void window_doorbell(struct vdev *d)
{
	struct blk *b = blk_open(d, 0, 16);
	struct buf bufs[3];
	u32 n = blk_bufs(b, bufs, BLK_IN, 0, b->data, 512, true);

	skip_if(!d->pcicfg, "no configuration access capability");
	vq_offer(b->q, vq_chain(b->q, bufs, n));
	window_write(d, &d->notify, b->q->doorbell - d->notify.base, 2, 0);
	must_be(vq_wait(b->q).len, 513, "length of a read");
}

static void window_hostile(struct vdev *d)
{
	static const u32 offs[] = {0, 1, 0x7fffffff, 0xfffffffc, 0xffffffff};
	static const u32 lens[] = {0, 1, 3, 4, 5, 0xffffffff};
	const u8 bars[] = {d->common.bar, 5, 6, 0xff};

	skip_if(!d->pcicfg, "no configuration access capability");
	for (u32 i = 0; i < ARRAY_SIZE(bars); i++) {
		for (u32 k = 0; k < ARRAY_SIZE(offs); k++) {
			struct region r = {.bar = bars[i],
					   .off = offs[k] + (i ? 0 : d->f->bar[bars[0]].size)};

			for (u32 m = 0; m < ARRAY_SIZE(lens); m++) {
				window_read(d, &r, 0, lens[m]);
				window_write(d, &r, 0, lens[m], 0);
			}
		}
	}
	must_be(reg_r16(&d->common, C_NUM_QUEUES), d->num_queues, "num_queues afterwards");
}

static const struct test tests[] = {
	{"PCI-DISC-03,PCI-DISC-04", "vendor and device ID name a virtio device", ids, ANY, 0},
	{"PCI-DISC-06,PCI-DISC-07,PCI-DISC-08", "a modern device's ID, revision and subsystem",
	 modern_ids, ANY, 0},
	{"PCI-DISC-09", "cap_len covers all fields", cap_lengths, ANY, 0},
	{"PCI-DISC-14", "cfg_type is one of the known ones", cap_types, ANY, 0},
	{"PCI-DISC-15,PCI-DISC-17,PCI-DISC-19", "every structure lies inside an implemented BAR",
	 inside_bars, ANY, 0},
	{"PCI-DISC-16", "capability fields ignore writes", caps_read_only, ANY, 0},
	{"PCI-DISC-12", "every instance of the common structure works", all_instances, ANY, 0},
	{"PCI-DISC-13", "fields beyond the known ones read harmlessly", padding, ANY, 0},
	{"PCI-COMMON-03,PCI-COMMON-04,PCI-COMMON-17",
	 "the common structure is there, aligned and long enough", common_there, ANY, 0},
	{"PCI-NOTIFY-01,PCI-NOTIFY-02,PCI-NOTIFY-03,PCI-NOTIFY-04,PCI-NOTIFY-05,PCI-NOTIFY-06",
	 "the notification structure is there, aligned, and holds every doorbell", notify_there, ANY,
	 0},
	{"PCI-NOTIFY-07,PCI-NOTIFY-08,PCI-NOTIFY-09,PCI-NOTIFY-10,PCI-NOTIFY-11",
	 "with NOTIFICATION_DATA every doorbell has room for four bytes", notify_data_there, ANY, 0},
	{"PCI-ISR-01,PCI-ISR-08", "the ISR structure is there", isr_there, ANY, 0},
	{"PCI-DEVCFG-01,PCI-DEVCFG-04", "the device structure is there and aligned", config_there, ANY,
	 0},
	{"PCI-CFGACC-01", "the configuration access capability is there", pcicfg_there, ANY, 0},
	{"PCI-CFGACC-03", "the window reads 1, 2 and 4 bytes", window_reads, ANY, 0},
	{"PCI-CFGACC-02", "the window writes 1, 2 and 4 bytes", window_writes, ANY, 0},
	{"PCI-CFGACC-02", "the window rings doorbells", window_doorbell, BLK, 0},
	{"PCI-CFGACC-04", "the window's bar, offset and length read back", window_fields, ANY, 0},
	{"PCI-CFGACC-05", "the window survives bad bars, offsets and lengths", window_hostile, ANY,
	 HOSTILE},
	{"PCI-DISC-18", "shared memory ids are unique", shared_memory, ANY, 0},
	{"PCI-DISC-22,PCI-DISC-23,PCI-DISC-24", "vendor data carries a foreign ID and only data",
	 vendor_data, ANY, 0},
};

const struct suite suite_vcap = {"vcap", tests, ARRAY_SIZE(tests)};
