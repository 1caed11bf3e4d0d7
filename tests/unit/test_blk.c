// SPDX-License-Identifier: GPL-2.0-only
/*
 * The block device, driven through its vport by a driver in host memory, its data path on a loop with
 * a thread of its own. Names in brackets are the rules of virtio 1.x, 5.2, that a line checks.
 */
#include "blk_driver.h"

/* --- configuration and features -------------------------------------------------------------- */

static uint64_t config(unsigned off, unsigned len)
{
	uint64_t val = 0;

	rig->port->ops->config_read(rig->port, off, &val, len);
	return val;
}

static void set_config(unsigned off, uint8_t val)
{
	rig->port->ops->config_write(rig->port, off, &val, 1);
}

static void test_config(void)
{
	uint64_t bits;

	rig = rig_open(&plain, &split, 4, NULL);
	bits = rig->port->features & 0xffffff;
	is(bits, VBIT(SEG_MAX) | VBIT(BLK_SIZE) | VBIT(FLUSH) | VBIT(TOPOLOGY) | VBIT(CONFIG_WCE) |
	   VBIT(MQ) | VBIT(DISCARD) | VBIT(WRITE_ZEROES), "features [BLK-02 -08 -09 -12 -61]");
	is(rig->port->legacy_features & 0xffffff, bits,
	   "no BARRIER, SCSI or ZONED on the legacy interface either [LBLK-01 BLK-13]");
	is(rig->port->device_id, 2, "device type");
	is(config(0, 8), SECTORS, "capacity in sectors, before any negotiation [BLK-03 CFG-01]");
	is(config(8, 4), 0, "size_max");
	is(config(12, 4), 254, "seg_max: a ring less header and status");
	is(config(16, 4), 0, "geometry");
	is(config(20, 4), 512, "blk_size");
	is(config(24, 1), 3, "physical_block_exp: 4096");
	is(config(25, 1), 0, "alignment_offset");
	is(config(26, 2), 8, "min_io_size in blocks");
	is(config(28, 4), 0, "opt_io_size");
	is(config(32, 1), 1, "writeback");
	is(config(33, 1), 0, "unused0 [BLK-11]");
	is(config(34, 2), 4, "num_queues [BLK-01]");
	is(config(36, 4), 1 << 21, "max_discard_sectors");
	is(config(40, 4), 8, "max_discard_seg");
	is(config(44, 4), 8, "discard_sector_alignment in sectors [BLK-05]");
	is(config(48, 4), 1 << 21, "max_write_zeroes_sectors");
	is(config(52, 4), 8, "max_write_zeroes_seg");
	is(config(56, 1), 1, "write_zeroes_may_unmap [BLK-53]");
	is(config(57, 3), 0, "unused1 [BLK-11]");
	for (unsigned off = 60; off < 100; off += 8)
		is(config(off, 8), 0, "nothing at %u [BLK-14]", off);
	is(rig->port->config_len, 60, "its length");
	is(rig->port->ops->queue_max(rig->port, 3), 256, "four queues");
	is(rig->port->ops->queue_max(rig->port, 4), 0, "and no fifth");
	ok(rig->port->ops->acceptable(rig->port, VBIT(32) | VBIT(CONFIG_WCE)),
	   "CONFIG_WCE without FLUSH is acceptable [BLK-10]");
	ok(!rig->port->ops->acceptable(rig->port, VBIT(32) | VBIT(RO)), "RO isn't: not offered");
	rig_close(rig);
}

static void test_fields(void)
{
	unsigned end = 0, n = 0;

	rig = rig_open(&plain, &split, 1, NULL);
	for (const struct vport_field *f = rig->port->fields; f->len; f++, n++) {
		ok(f->off >= end && f->off + f->len <= 60, "field of bit %d at %u", f->feature, f->off);
		end = f->off + f->len;
	}
	is(n, 8, "eight feature blocks");
	ok(!(rig->port->features & VBIT(MQ)), "one queue: no MQ [BLK-01]");
	rig_close(rig);
}

static char said[2048];

static int hear(const struct vdev_conf *vc, const char *serial)
{
	int old = dup(2), fd = memfd_create("stderr", 0), lines = 0;
	struct vport *port;
	ssize_t n;

	dup2(fd, 2);
	port = blk_open(vc, rig->disk, serial);
	dup2(old, 2);
	n = pread(fd, said, sizeof(said) - 1, 0);
	said[n < 0 ? 0 : n] = 0;
	for (char *p = said; *p; p++)
		lines += *p == '\n';
	close(old);
	close(fd);
	if (port)
		port->ops->close(port);
	return port ? -1 : lines;
}

static void test_open(void)
{
	struct vdev_conf vc;
	struct vport *port;

	rig = rig_open(&plain, &split, 1, NULL);
	vc = (struct vdev_conf){ .name = "blk1", .loop = rig->loop[0], .mem = &rig->q[0].d.mem };
	vc.queue_size = 100;
	ok(hear(&vc, NULL) == 1 && strstr(said, "100"), "a queue size of 100 is refused in one line");
	vc.queue_size = 65536;
	ok(hear(&vc, NULL) == 1 && strstr(said, "65536"), "one of 65536 too");
	vc.queue_size = 0;
	vc.queues = 65;
	ok(hear(&vc, NULL) == 1 && strstr(said, "65"), "65 queues too");
	vc.queues = 0;
	ok(hear(&vc, "123456789012345678901") == 1 && strstr(said, "20 bytes"),
	   "a serial of 21 bytes too");
	vc.features = "-flush,-nonsense";
	ok(hear(&vc, NULL) == 1 && strstr(said, "nonsense") && strstr(said, "config_wce"),
	   "an unknown feature too, with the known ones");
	vc.features = "-flush";
	port = blk_open(&vc, rig->disk, NULL);
	ok(port && !(port->features & (VBIT(FLUSH) | VBIT(CONFIG_WCE))) &&
	   !(port->legacy_features & (VBIT(FLUSH) | VBIT(CONFIG_WCE))),
	   "without FLUSH there is no CONFIG_WCE [BLK-09]");
	port->ops->close(port);
	vc.features = NULL;
	vc.queue_size = 1;
	port = blk_open(&vc, rig->disk, NULL);
	ok(port && port->ops->queue_max(port, 0) == 1, "a ring of one entry");
	port->ops->close(port);
	rig_close(rig);
}

/* --- requests that go well ------------------------------------------------------------------- */

static void rw(const struct virtq_conf *conf)
{
	static const struct {
		unsigned sector, n;
	} cases[] = { { 0, 1 }, { 7, 8 }, { 1, 255 }, { SECTORS - 1, 1 }, { 512, 1024 }, { 3, 3 } };

	rig = rig_open(&plain, conf, 1, "+packed");
	rig_start(rig, conf->packed ? ALL : ~VBIT(VIRTIO_F_RING_PACKED));
	for (framing = 0; framing < FRAMINGS; framing++)
		for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			unsigned sector = cases[i].sector, n = cases[i].n;
			const char *how = framing_names[framing];

			is(write_sectors(sector, n, framing * 9 + i), S_OK, "%s%s: write %u at %u",
			   conf->packed ? "packed, " : "", how, n, sector);
			is(used_len, 1, "... stores the status only [BLK-35]");
			ok(image_same(), "... is in the file and nothing else [BLK-29]");
			is(request(T_IN, sector, "", 0, n * 512), S_OK, "read %u at %u", n, sector);
			is(used_len, n * 512 + 1, "... stores data and status [BLK-35]");
			ok(in_is(image + sector * 512, n * 512), "... is what was written");
		}
	framing = CLASSIC;
	ok(!rig->failed, "no failure");
	rig_close(rig);
}

static void test_rw(void)
{
	struct virtq_conf conf = split;

	rw(&conf);
	conf.packed = true;
	conf.size = 200;
	rw(&conf);
}

static void test_get_id(void)
{
	static const char id[20] = "serial-0123456789";

	rig = rig_plain(ALL);
	for (framing = 0; framing < FRAMINGS; framing++) {
		is(request(T_GET_ID, 0, "", 0, 20), S_OK, "GET_ID, %s", framing_names[framing]);
		ok(in_is(id, 20), "20 bytes, padded with NUL [BLK-32]");
		is(used_len, 21, "and the status");
	}
	framing = CLASSIC;
	is(request(T_GET_ID, 0, "", 0, 10), S_OK, "GET_ID into 10 bytes");
	ok(in_is(id, 10), "the first 10");
	is(request(T_GET_ID, 0, "", 0, 40), S_OK, "GET_ID into 40 bytes");
	ok(in_is(id, 20) && in[20] == 0xa5, "20, and no more");
	is(used_len, 20, "used.len doesn't claim what wasn't stored");
	rig_close(rig);
}

static void test_many(void)
{
	struct ring *r;
	unsigned good = 0;
	eventfd_t calls = 0;

	rig = rig_plain(ALL);
	r = &rig->q[0];
	request(T_IN, 0, "", 0, 512);
	usleep(10000);
	eventfd_read(r->call, &calls);
	seen_none();
	for (unsigned i = 0; i < 64; i++) {
		uint64_t at = rig->buf + i * 8192;
		struct drv_seg write[] = { { at, 16, false }, { at + 16, 4096, false },
					   { at + 4112, 1, true } };

		memset(ram(at), 0, 16);
		((uint8_t *)ram(at))[0] = T_OUT;
		((uint8_t *)ram(at))[8] = (uint8_t)(i * 8 & 255);
		((uint8_t *)ram(at))[9] = (uint8_t)(i * 8 >> 8);
		memset(ram(at + 16), (int)i + 1, 4096);
		memset(image + i * 4096, (int)i + 1, 4096);
		drv_add(&r->d, write, 3);
	}
	drv_publish(&r->d);
	eventfd_write(r->kick, 1);
	while (good < 64 && wait_used(r, &used_len))
		good++;
	is(good, 64, "64 requests at once");
	ok(image_same(), "all written");
	is(seen.calls, 1, "by one io_submit");
	rig_close(rig);
	rig = NULL;
}

static void test_flush(void)
{
	rig = rig_plain(ALL);
	seen_none();
	is(request(T_FLUSH, 0, "", 0, 0), S_OK, "FLUSH");
	is(seen.fdsyncs + fdatasyncs, 1, "is a sync of the file [BLK-58]");
	is(used_len, 1, "stores the status");
	is(write_sectors(5, 1, 1), S_OK, "a write");
	is(seen.dsyncs + fdatasyncs, 0, "isn't synced: write-back");
	rig_close(rig);
}

/* Which writes are durable, and what byte 32 shows. */
static void test_cache(void)
{
	uint64_t wce = VBIT(CONFIG_WCE), flush = VBIT(FLUSH), base = VBIT(32) | VBIT(WRITE_ZEROES);

	rig = rig_plain(base);
	is(config(32, 1), 0, "neither FLUSH nor CONFIG_WCE: write-through shows [BLK-06]");
	seen_none();
	is(write_sectors(5, 1, 2), S_OK, "a write");
	is(seen.dsyncs, 1, "is durable [BLK-56]");
	is(range(T_WZ, 9, 1, 0), S_OK, "zeroes");
	memset(image + 9 * 512, 0, 512);
	is(fdatasyncs, 1, "are too");
	set_config(32, 1);
	is(config(32, 1), 0, "writeback can't be written without CONFIG_WCE");

	rig->port->ops->reset(rig->port);
	is(config(32, 1), 1, "reset brings writeback back");
	drv_reset(&rig->q[0].d);
	rig_start(rig, base | wce);
	is(config(32, 1), 0, "CONFIG_WCE without FLUSH starts with 0 [BLK-10]");
	seen_none();
	write_sectors(5, 1, 3);
	is(seen.dsyncs, 1, "a write is durable");

	rig->port->ops->reset(rig->port);
	drv_reset(&rig->q[0].d);
	rig_start(rig, base | wce | flush);
	is(config(32, 1), 1, "both: starts with 1");
	seen_none();
	write_sectors(5, 1, 4);
	is(seen.dsyncs, 0, "a write is not durable by itself");
	set_config(32, 0);
	is(config(32, 1), 0, "writeback=0");
	write_sectors(5, 1, 5);
	is(seen.dsyncs, 1, "now it is [BLK-57]");
	set_config(32, 2);
	is(config(32, 1), 0, "2 is no mode");
	set_config(32, 1);
	write_sectors(5, 1, 6);
	ok(config(32, 1) == 1 && seen.dsyncs == 1, "and back");
	set_config(0, 9);
	set_config(34, 9);
	ok(config(0, 8) == SECTORS && config(34, 2) == 1, "no other field can be written");
	ok(image_same(), "all of them wrote");
	rig_close(rig);

	rig = rig_plain(base | flush);
	is(config(32, 1), 1, "FLUSH alone: write-back");
	set_config(32, 0);
	is(config(32, 1), 1, "and not to be changed");
	rig_close(rig);
}

static void test_legacy(void)
{
	struct virtq_conf conf = { .size = 256 };

	rig = rig_open(&plain, &conf, 1, NULL);
	set_config(32, 0);
	is(config(32, 1), 0, "legacy: writeback can be set before features are known [LBLK-03]");
	rig_start(rig, VBIT(CONFIG_WCE) | VBIT(FLUSH));
	is(config(32, 1), 0, "CONFIG_WCE: status and features leave it [LBLK-03 -04]");
	rig->port->ops->reset(rig->port);
	drv_reset(&rig->q[0].d);
	rig->port->ops->accept(rig->port, 0);
	is(config(32, 1), 1, "no CONFIG_WCE: the features leave it [LBLK-04]");
	rig_queue(rig, 0);
	rig->port->ops->start(rig->port);
	is(config(32, 1), 0, "and DRIVER_OK sets it [LBLK-03]");
	seen_none();
	is(write_sectors(6, 1, 1), S_OK, "a legacy write [LBLK-05]");
	is(seen.dsyncs, 1, "is durable");
	is(request(T_FLUSH_OUT, 0, "", 0, 0), S_OK, "FLUSH_OUT");
	is(seen.fdsyncs, 1, "is a flush [LBLK-06]");
	is(request(2, 0, "", 0, 0), S_UNSUPP, "SCSI commands aren't there [LBLK-08]");
	is(request(T_OUT | 1u << 31, 0, image, 512, 0), S_UNSUPP, "nor barriers [LBLK-07]");
	ok(image_same(), "which did nothing");
	rig_close(rig);
}

static void test_discard(void)
{
	struct range eight[9];
	struct stat before, after;

	rig = rig_plain(ALL);
	for (framing = 0; framing < FRAMINGS; framing++) {
		is(range(T_WZ, 40 + framing * 3, 3, 0), S_OK, "WRITE_ZEROES, %s", framing_names[framing]);
		memset(image + (40 + framing * 3) * 512, 0, 3 * 512);
		is(used_len, 1, "stores the status");
		ok(image_same(), "zeroes just that [BLK-52]");
	}
	framing = CLASSIC;
	stat(path, &before);
	is(range(T_WZ, 64, 64, 1), S_OK, "WRITE_ZEROES with unmap");
	memset(image + 64 * 512, 0, 64 * 512);
	ok(image_same(), "zeroes [BLK-52]");
	stat(path, &after);
	ok(after.st_blocks < before.st_blocks, "and gives back [BLK-51]");
	is(range(T_DISCARD, 128, 64, 0), S_OK, "DISCARD");
	memset(image + 128 * 512, 0, 64 * 512);
	stat(path, &before);
	ok(before.st_blocks < after.st_blocks && image_same(), "gives back [BLK-50]");
	is(range(T_WZ, SECTORS - 1, 1, 0), S_OK, "the last sector");
	memset(image + SIZE - 512, 0, 512);
	is(range(T_DISCARD, 5, 0, 0), S_OK, "no sectors at all");
	for (unsigned i = 0; i < 9; i++)
		eight[i] = (struct range){ 1000 + i * 10, i == 3 ? 0 : 5, i & 1 };
	is(ranges(T_WZ, eight, 8), S_OK, "as many ranges as there may be");
	for (unsigned i = 0; i < 8; i++)
		memset(image + (1000 + i * 10) * 512, 0, i == 3 ? 0 : 5 * 512);
	ok(image_same(), "zeroes all of them [BLK-34]");
	is(ranges(T_WZ, eight, 9), S_IOERR, "one more is too many [BLK-34]");
	ok(image_same(), "and does nothing");
	rig_close(rig);
}

/* --- requests that don't --------------------------------------------------------------------- */

static void test_errors(void)
{
	static const uint32_t types[] = { 2, 3, 5, 6, 7, 9, 10, 14, 15, 16, 18, 20, 22, 24, 26, 0x77,
					  0x80000001, 0xffffffff };
	static const struct {
		uint64_t sector;
		uint32_t len;
		const char *what;
	} rows[] = {
		{ SECTORS, 512, "at capacity" },
		{ SECTORS - 1, 1024, "across it" },
		{ SECTORS - 7, 4096, "across it" },
		{ ~0ULL, 512, "at the last sector there can be" },
		{ ~0ULL - 7, 4096, "whose end wraps" },
		{ 1ULL << 55, 512, "whose offset wraps" },
		{ (1ULL << 55) + 1, 512, "whose offset wraps to 512" },
		{ 0, 513, "of 513 bytes" },
		{ 0, 1, "of one byte" },
		{ 0, 511, "of 511 bytes" },
		{ SECTORS, 0, "" },
	};

	rig = rig_plain(ALL);
	seen_none();
	for (unsigned i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		is(request(types[i], 0, image, 512, 64), S_UNSUPP, "type %#x [BLK-30 -63]", types[i]);
		ok(in_poisoned(64) && used_len == 0, "... stores nothing before its status");
	}
	is(request(0x77, 0, "", 0, 0), S_UNSUPP, "an unknown one without data");
	is(used_len, 1, "... counts its status");
	for (framing = 0; framing < FRAMINGS; framing++)
		for (unsigned i = 0; rows[i].len; i++) {
			static uint8_t data[8192];

			is(request(T_IN, rows[i].sector, "", 0, rows[i].len), S_IOERR,
			   "%s: a read %s [BLK-31]", framing_names[framing], rows[i].what);
			ok(in_poisoned(rows[i].len) && used_len == 0, "... stores nothing");
			is(request(T_OUT, rows[i].sector, data, rows[i].len, 0), S_IOERR, "a write %s",
			   rows[i].what);
		}
	framing = CLASSIC;
	is(request(T_IN, SECTORS, "", 0, 0), S_OK, "no sectors, at capacity");
	is(request(T_IN, SECTORS + 1, "", 0, 0), S_IOERR, "no sectors, beyond");
	is(request(T_OUT, 0, "", 0, 0), S_OK, "a write of nothing");
	header(T_IN, 0);
	is(raw(15, 513), S_IOERR, "a header of 15 bytes");
	is(raw(0, 513), S_IOERR, "none at all");
	is(seen.calls, 0, "none of it got to the disk");
	ok(image_same(), "none of it wrote");
	ok(!rig->failed, "none of it failed the device");
	rig_close(rig);
}

static void test_range_errors(void)
{
	struct range two[] = { { 0, 8, 0 }, { 8, 8, 2 } };

	rig = rig_plain(ALL);
	seen_none();
	for (unsigned i = 0; i < 2; i++) {
		uint32_t type = i ? T_DISCARD : T_WZ;
		const char *what = i ? "DISCARD" : "WRITE_ZEROES";

		is(range(type, 0, 8, 2), S_UNSUPP, "%s with flag 1 [BLK-48]", what);
		is(range(type, 0, 8, 1u << 31), S_UNSUPP, "with flag 31 [BLK-48]");
		is(range(type, SECTORS - 7, 8, 0), S_IOERR, "across the end");
		is(range(type, SECTORS + 1, 0, 0), S_IOERR, "beyond it");
		is(range(type, ~0ULL, 8, 0), S_IOERR, "whose end wraps");
		is(range(type, 1ULL << 55, 8, 0), S_IOERR, "whose offset wraps");
		is(range(type, 0, ~0u, 0), S_IOERR, "of more sectors than there may be [BLK-05]");
		is(request(type, 0, two, 17, 0), S_IOERR, "of a range and a byte");
		is(request(type, 0, two, 15, 0), S_IOERR, "of less than a range");
		is(request(type, 0, two, 0, 0), S_IOERR, "of no range");
		is(ranges(type, two, 2), S_UNSUPP, "whose second range is bad");
		ok(image_same(), "does nothing at all");
	}
	is(range(T_DISCARD, 0, 8, 1), S_UNSUPP, "DISCARD with unmap [BLK-49]");
	is(seen.calls, 0, "none of it gets to the disk");
	is(range(T_WZ, 300, 2, 0), S_OK, "a good one after the bad ones");
	memset(image + 300 * 512, 0, 1024);
	ok(image_same(), "does just what it says");
	rig_close(rig);

	rig = rig_plain(VBIT(32) | VBIT(FLUSH));
	is(range(T_DISCARD, 0, 8, 0), S_UNSUPP, "DISCARD not negotiated");
	is(range(T_WZ, 0, 8, 0), S_UNSUPP, "WRITE_ZEROES not negotiated");
	ok(image_same(), "do nothing");
	rig_close(rig);
}

static void test_limit(void)
{
	char large[] = "/tmp/lkvm-blk-large-XXXXXX";
	struct disk_conf conf = { .path = large };
	int fd = mkstemp(large);

	ok(!ftruncate(fd, 4LL << 30), "a sparse image of 4 GiB");
	close(fd);
	rig = rig_open(&conf, &split, 1, NULL);
	rig_start(rig, ALL);
	is(range(T_DISCARD, 8, 1 << 21, 0), S_OK, "a discard at the limit [BLK-05]");
	is(range(T_DISCARD, 8, (1 << 21) + 1, 0), S_IOERR, "and one above");
	is(range(T_WZ, 8, 1 << 21, 1), S_OK, "zeroes at the limit");
	is(range(T_WZ, 8, (1 << 21) + 1, 1), S_IOERR, "and above");
	rig_close(rig);
	unlink(conf.path);
}

static void test_readonly(void)
{
	struct disk_conf conf = { .path = path, .readonly = true };

	for (unsigned accept = 0; accept < 2; accept++) {
		rig = rig_open(&conf, &split, 1, NULL);
		ok(rig->port->features & VBIT(RO) &&
		   !(rig->port->features & (VBIT(DISCARD) | VBIT(WRITE_ZEROES))), "RO is offered");
		rig_start(rig, accept ? ALL : ~VBIT(RO));
		seen_none();
		is(request(T_OUT, 0, image + 512, 512, 0), S_IOERR,
		   "a write is an error, RO accepted or not [BLK-46]");
		ok(range(T_WZ, 0, 8, 0) != S_OK && range(T_DISCARD, 0, 8, 0) != S_OK,
		   "zeroes and discards too");
		is(seen.calls, 0, "they don't get to the disk");
		ok(image_same(), "and nothing is written [BLK-47]");
		is(request(T_IN, 3, "", 0, 512), S_OK, "reads read");
		ok(in_is(image + 3 * 512, 512), "what is there");
		is(request(T_FLUSH, 0, "", 0, 0), S_OK, "flushes flush");
		rig_close(rig);
	}
}

static void test_host_errors(void)
{
	int old = dup(2), fd = memfd_create("stderr", 0), lines = 0;
	char text[2048];
	ssize_t n;

	rig = rig_plain(ALL);
	dup2(fd, 2);
	seen_none();
	seen.error = ENOSPC;
	is(request(T_OUT, 0, image, 512, 0), S_IOERR, "ENOSPC is an IOERR");
	is(request(T_OUT, 0, image, 512, 0), S_IOERR, "each time");
	seen.error = EIO;
	is(request(T_FLUSH, 0, "", 0, 0), S_IOERR, "a flush that fails too");
	seen.error = 0;
	ok(!truncate(path, 65536), "the image is truncated under us");
	is(request(T_IN, 1024, "", 0, 4096), S_IOERR, "a read beyond is an IOERR, not a hang");
	is(request(T_IN, 120, "", 0, 8192), S_IOERR, "one across the end too");
	is(used_len, 0, "and counts nothing");
	is(request(T_IN, 0, "", 0, 4096), S_OK, "what is there reads");
	dup2(old, 2);
	n = pread(fd, text, sizeof(text) - 1, 0);
	text[n < 0 ? 0 : n] = 0;
	for (char *p = text; *p; p++)
		lines += *p == '\n';
	is(lines, 2, "one line for each kind");
	close(old);
	close(fd);
	ok(!rig->failed, "none failed the device");
	rig_close(rig);
	image_fresh();
}

static void test_no_status(void)
{
	struct ring *r;

	rig = rig_plain(ALL);
	r = &rig->q[0];
	header(T_OUT, 0);
	offer(r, 16 + 512, 0);
	offer(r, 16 + 512, 1);
	drv_publish(&r->d);
	eventfd_write(r->kick, 1);
	for (int i = 0; i < 100 && !rig->failed; i++)
		usleep(10000);
	is(rig->failed, 1, "a request without room for a status fails the device");
	usleep(20000);
	ok(!drv_has_used(&r->d), "neither it nor what follows is used");
	ok(image_same(), "nothing was written");
	rig->port->ops->reset(rig->port);
	drv_reset(&r->d);
	rig_start(rig, ALL);
	is(write_sectors(0, 4, 1), S_OK, "after a reset it works again");
	ok(image_same(), "and writes");
	rig_close(rig);
}

/* --- stopping -------------------------------------------------------------------------------- */

static void test_stop(void)
{
	struct ring *r;
	eventfd_t calls;
	unsigned used, rounds = 0, taken = 0;
	int left;

	rig = rig_plain(ALL);
	r = &rig->q[0];
	memset(image, 0, 64 * 512);
	for (unsigned delay = 0; delay < 10; delay++) {
		bool good = true;

		seen.slow = 300;
		load(r, 64);
		drv_publish(&r->d);
		eventfd_write(r->kick, 1);
		usleep(delay * 20);
		if (delay & 1)
			rig->port->ops->reset(rig->port);
		else
			rig->port->ops->queue_stop(rig->port, 0);
		left = seen.calls;
		eventfd_read(r->call, &calls);
		for (used = 0; drv_used(&r->d, &used_len, NULL) >= 0;)
			used++;
		/* One doorbell's requests: all of them taken and finished, or none. */
		for (unsigned i = 0; i < 64; i++)
			good &= *(uint8_t *)ram(rig->buf + i * 8192 + 4112) ==
				(used ? S_OK : 0xff);
		good &= used == 64 || used == 0;
		taken += used > 0;
		usleep(2000);
		rounds += good && !drv_has_used(&r->d) && eventfd_read(r->call, &calls) &&
			  seen.calls == left;
		drv_reset(&r->d);
		if (delay & 1)
			rig_start(rig, ALL);
		else
			rig_queue(rig, 0);
	}
	is(rounds, 10, "stopped under load: nothing is done, used or called for afterwards [RST-03]");
	ok(taken, "what was taken is finished before");
	is(write_sectors(100, 3, 1), S_OK, "it still works");
	ok(image_same(), "and the file is as it should be");
	rig_close(rig);
}

int main(void)
{
	int fd = mkstemp(path);

	if (fd < 0)
		return 1;
	close(fd);
	log_set_level(LOG_ERR);
	image_fresh();
	test_config();
	test_fields();
	test_open();
	test_rw();
	test_get_id();
	test_many();
	test_flush();
	test_cache();
	test_legacy();
	test_discard();
	test_errors();
	test_range_errors();
	test_limit();
	test_readonly();
	test_host_errors();
	test_no_status();
	test_stop();
	unlink(path);
	return tap_end();
}
