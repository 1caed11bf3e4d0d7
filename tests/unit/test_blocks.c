// SPDX-License-Identifier: GPL-2.0-only
/* Feature blocks: what the list holds when, byte by byte, and the driver-side reader. */
#include "guest/feature_blocks.h"
#include "guest_pci.h"
#include "lkvm/log.h"
#include "tap.h"

enum { F_MTU = 3, F_MAC = 5, F_STATUS = 16, F_MQ = 22 };

static const struct vport_field net_fields[] = {
	{ F_MAC, 0, 6 }, { F_STATUS, 6, 2 }, { F_MQ, 8, 2 }, { F_MTU, 10, 2 }, { -1, 0, 0 },
};
static const struct vport_field some_fields[] = {
	{ -1, 0, 8 }, { 0, 12, 1 }, { 1, 13, 3 }, { 0, 20, 4 }, { -1, 0, 0 },
};

static uint64_t region;
static uint32_t region_len;

static uint16_t read16(void *opaque, uint32_t off)
{
	(void)opaque;
	return (uint16_t)bus_read(&p.mmio, region + off, 2);
}

static struct fblk_reader reader = { .read16 = read16 };

static unsigned vendor_cap(void)
{
	unsigned at = cfg_read(&p, slot, 0x34, 1);

	while (at && (cfg_read(&p, slot, at, 1) != 9 || cfg_read(&p, slot, at + 3, 1) != 9))
		at = cfg_read(&p, slot, at + 1, 1);
	return at;
}

static void open_dev(const struct vport_field *fields, uint64_t features, enum virtio_layout layout)
{
	unsigned cap;

	fake_vport_init(&dev, VIRTIO_ID_NET);
	dev.port.fields = fields;
	dev.port.features = features | VBIT(VIRTIO_F_VERSION_1);
	vp = virtio_pci_open(p.host, &dev.port, layout);
	cfg_write(&p, slot, 4, 2, 7);
	cap = vendor_cap();
	region = cap ? bar_addr(cfg_read(&p, slot, cap + 6, 1)) : 0;
	region += cap ? cfg_read(&p, slot, cap + 12, 4) : 0;
	region_len = reader.length = cap ? cfg_read(&p, slot, cap + 16, 4) : 0;
}

static uint64_t mrd(unsigned off, unsigned len)
{
	return bus_read(&p.mmio, bar_addr(4) + off, len);
}

static void accept_features(uint64_t features)
{
	const uint64_t bar = bar_addr(4);

	bus_write(&p.mmio, bar + 0x14, 1, 0);
	bus_write(&p.mmio, bar + 0x14, 1, 3);
	for (unsigned i = 0; i < 2; i++) {
		bus_write(&p.mmio, bar + 0x08, 4, i);
		bus_write(&p.mmio, bar + 0x0c, 4, features >> (32 * i));
	}
	bus_write(&p.mmio, bar + 0x14, 1, 11);
}

static unsigned features_in_list(uint16_t *features, unsigned max)
{
	struct fblk b = { 0 };
	unsigned n = 0;
	int more = 0;

	while (n < max && (more = fblk_next(&reader, &b)) > 0)
		features[n++] = b.feature;
	return more < 0 ? 1000 : n;
}

static void test_capability(void)
{
	unsigned cap = vendor_cap();

	ok(cap, "a vendor data capability");
	is(cfg_read(&p, slot, cap + 2, 1), 20, "of 20 bytes");
	is(cfg_read(&p, slot, cap + 4, 2), FBLK_VENDOR, "whose vendor_id is ours");
	is(cfg_read(&p, slot, cap + 7, 1), FBLK_VERSION, "version");
	is(cfg_read(&p, slot, cap + 8, 4), FBLK_MAGIC, "magic");
	is(cfg_read(&p, slot, cap + 12, 4) & 3, 0, "aligned");
	cfg_write(&p, slot, cap + 12, 4, 0xffffffff);
	is(bar_addr(4) + cfg_read(&p, slot, cap + 12, 4), region, "read-only");
}

/* The example of docs/feature-blocks.md, byte by byte. */
static void test_example(void)
{
	static const uint8_t config[] = { 0x52, 0x54, 0x00, 0x12, 0x34, 0x56, 1, 0, 4, 0, 0xdc, 5 };
	static const uint8_t want[] = {
		0x46, 0x42, 0x4c, 0x4b, 0x01, 0x00, 0x10, 0x00, 0x44, 0, 0, 0, 0, 0, 0, 0,
		0x20, 0x00, 0x05, 0x00, 0x06, 0x00, 0x00, 0x00,
		0x52, 0x54, 0x00, 0x12, 0x34, 0x56, 0x00, 0x00,
		0x2c, 0x00, 0x10, 0x00, 0x02, 0x00, 0x06, 0x00, 0x01, 0x00, 0x00, 0x00,
		0x38, 0x00, 0x16, 0x00, 0x02, 0x00, 0x08, 0x00, 0x04, 0x00, 0x00, 0x00,
		0x00, 0x00, 0x03, 0x00, 0x02, 0x00, 0x0a, 0x00, 0xdc, 0x05, 0x00, 0x00,
	};
	unsigned bad = 0, wide = 0;

	memcpy(dev.config, config, sizeof(config));
	is(region_len, sizeof(want), "the region is as long as the list can get");
	for (unsigned i = 0; i < sizeof(want); i++)
		bad += bus_read(&p.mmio, region + i, 1) != want[i];
	is(bad, 0, "the documented example, byte by byte");
	for (unsigned len = 2; len <= 8; len *= 2)
		for (unsigned i = 0; i + len <= sizeof(want); i++) {
			uint64_t val = 0;

			memcpy(&val, want + i, len);
			wide += bus_read(&p.mmio, region + i, len) != val;
		}
	is(wide, 0, "at any width and alignment");
	is(bus_read(&p.mmio, region + sizeof(want), 8), 0, "behind it 0");
	is(bus_read(&p.mmio, region + 0xff8, 8), 0, "to the end of the page");
}

static void test_views(void)
{
	uint16_t f[8];

	ok(fblk_valid(&reader) && fblk_view(&reader) == FBLK_OFFERED, "at first: offered");
	ok(features_in_list(f, 8) == 4 && f[0] == F_MAC && f[1] == F_STATUS && f[2] == F_MQ &&
		   f[3] == F_MTU, "every block, in the order of the standard structure");
	accept_features(VBIT(F_MAC) | VBIT(F_MTU) | VBIT(40) | VBIT(VIRTIO_F_VERSION_1));
	is(fblk_view(&reader), FBLK_OFFERED, "a refused FEATURES_OK changes nothing");
	is(features_in_list(f, 8), 4, "nor the blocks");
	accept_features(VBIT(F_MAC) | VBIT(F_MTU) | VBIT(VIRTIO_F_VERSION_1));
	is(fblk_view(&reader), FBLK_ACCEPTED, "after FEATURES_OK: accepted");
	ok(features_in_list(f, 8) == 2 && f[0] == F_MAC && f[1] == F_MTU, "only these");
	is(read16(NULL, 8), 0x2c, "the list is shorter");
	is(bus_read(&p.mmio, region + 0x2c, 8), 0, "and what it was longer is 0");
	accept_features(VBIT(VIRTIO_F_VERSION_1));
	ok(features_in_list(f, 8) == 0 && read16(NULL, 6) == 0 && read16(NULL, 8) == 16,
	   "no feature, no block");
	bus_write(&p.mmio, bar_addr(4) + 0x14, 1, 0);
	is(features_in_list(f, 8), 4, "a reset brings the offered view back");
	is(fblk_view(&reader), FBLK_OFFERED, "and says so");
}

static void test_writes(void)
{
	unsigned writes = dev.config_writes;

	bus_write(&p.mmio, region + 0x18, 4, 0xddccbbaa);
	is(mrd(0x2000, 4), 0xddccbbaa, "a write to a payload is one to the configuration");
	bus_write(&p.mmio, region + 0x34, 2, 0x0807);
	is(mrd(0x2008, 2), 0x0807, "in each block at its position");
	is(bus_read(&p.mmio, region + 0x34, 2), 0x0807, "and reads back here");
	is(dev.config_writes, writes + 2, "two writes");
	for (unsigned off = 0; off < 0x18; off++)
		bus_write(&p.mmio, region + off, 1, 0xff);
	bus_write(&p.mmio, region + 0x1c, 4, ~0U); /* the last two bytes and padding */
	bus_write(&p.mmio, region + 0x16, 4, ~0U); /* header and payload */
	bus_write(&p.mmio, region + 0x34, 8, ~0ULL);
	bus_write(&p.mmio, region + 0x44, 4, ~0U);
	bus_write(&p.mmio, region + 0xffc, 4, ~0U);
	is(dev.config_writes, writes + 2, "other writes go nowhere");
	is(mrd(0x2000, 4), 0xddccbbaa, "and change nothing");
	bus_write(&p.mmio, bar_addr(4) + 0x14, 1, 0);
}

static void test_others(void)
{
	struct fblk b = { 0 };
	uint16_t f[8];

	open_dev(some_fields, 3, VIRTIO_MODERN);
	ok(features_in_list(f, 8) == 4 && f[0] == FBLK_ALWAYS && f[1] == 0 && f[2] == 1 &&
		   f[3] == 0,
	   "fields of no feature, and a feature with two blocks");
	fblk_next(&reader, &b);
	ok(b.length == 8 && b.position == 0, "the first");
	is(bus_read(&p.mmio, region + b.payload, 8), 0xa7a6a5a4a3a2a1a0ULL, "its payload");
	fblk_next(&reader, &b);
	fblk_next(&reader, &b);
	ok(b.length == 3 && b.position == 13 && read16(NULL, b.payload) == 0xaead, "odd lengths");
	accept_features(2 | 1 | VBIT(VIRTIO_F_VERSION_1));
	is(features_in_list(f, 8), 4, "all accepted");
	accept_features(VBIT(VIRTIO_F_VERSION_1));
	ok(features_in_list(f, 8) == 1 && f[0] == FBLK_ALWAYS, "what needs no feature stays");
	virtio_pci_close(vp);

	open_dev(NULL, 3, VIRTIO_MODERN);
	ok(!vendor_cap(), "a device without such fields has no such capability");
	is(mrd(0x3000, 4), 0xffffffff, "and nothing in its place");
	virtio_pci_close(vp);

	open_dev(net_fields, VBIT(F_MAC), VIRTIO_TRANSITIONAL);
	bus_write(&p.pio, bar_addr(0) + 18, 1, 7);
	ok(features_in_list(f, 8) == 1 && fblk_view(&reader) == FBLK_OFFERED,
	   "under a legacy driver the view is the offered one");
	bus_write(&p.mmio, region + 0x18, 4, 0);
	is(dev.config_writes, 0, "and can't be written through");
	virtio_pci_close(vp);
	open_dev(net_fields, VBIT(F_MAC), VIRTIO_LEGACY);
	ok(!vendor_cap(), "a legacy device has none");
	virtio_pci_close(vp);
}

/* A list that is broken on purpose must not send the reader around or out. */
static uint16_t broken[16];

static uint16_t read_broken(void *opaque, uint32_t off)
{
	(void)opaque;
	return off < sizeof(broken) ? broken[off / 2] : 0xdead;
}

static void test_broken_lists(void)
{
	static const struct { uint16_t first, next, length; const char *what; } bad[] = {
		{ 2, 0, 2, "a first block inside the header" }, { 18, 0, 2, "a block out of line" },
		{ 28, 0, 2, "a block header beyond the end" }, { 16, 16, 2, "a block in itself" },
		{ 16, 0, 0, "an empty block" }, { 16, 0, 9, "a payload beyond the end" },
		{ 16, 20, 4, "a block inside a payload" },
	};

	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct fblk_reader r = { .read16 = read_broken, .length = sizeof(broken) };
		struct fblk b = { 0 };
		unsigned n = 0;
		int more;

		broken[3] = bad[i].first;
		broken[8] = bad[i].next;
		broken[10] = bad[i].length;
		do
			more = fblk_next(&r, &b);
		while (more > 0 && n++ < 10);
		is(more, -1, "the reader finds %s", bad[i].what);
	}
	ok(!fblk_valid(&(struct fblk_reader){ .read16 = read_broken, .length = sizeof(broken) }),
	   "and that a region is none");
}

int main(void)
{
	fake_pci_open(&p, NULL);
	open_dev(net_fields, VBIT(F_MAC) | VBIT(F_STATUS) | VBIT(F_MQ) | VBIT(F_MTU),
		 VIRTIO_MODERN);
	test_capability();
	test_example();
	test_views();
	test_writes();
	virtio_pci_close(vp);
	test_others();
	test_broken_lists();
	fake_pci_close(&p);
	return tap_end();
}
