// SPDX-License-Identifier: GPL-2.0-only
/* The base room: guest memory look-ups, bus routing, option values. */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lkvm/bus.h"
#include "lkvm/gmem.h"
#include "lkvm/log.h"
#include "lkvm/opt.h"
#include "tap.h"

#define MIB (1ULL << 20)

static void test_gmem(void)
{
	struct gmem mem;
	uint32_t word = 0x12345678;
	unsigned char there[4 * MIB / 4096] = { 0 };

	is(gmem_open(&mem, 8 * MIB, 4 * MIB, 16 * MIB, 0), 0, "8 MiB of RAM with a hole at 4..16 MiB");
	is(mem.n, 2, "... are two regions");
	is(gmem_size(&mem), 8 * MIB, "... of 8 MiB together");
	is(gmem_top(&mem), 20 * MIB, "... that end at 20 MiB");
	ok(!((uintptr_t)mem.region[0].hva % (2 * MIB)) && !((uintptr_t)mem.region[1].hva % (2 * MIB)),
	   "both begin where a huge page can");
	ok(gmem_ptr(&mem, 0, 1) == mem.region[0].hva, "address 0 is the first byte");
	ok(gmem_ptr(&mem, 4 * MIB - 1, 1), "the last byte below the hole is RAM");
	ok(!gmem_ptr(&mem, 4 * MIB - 1, 2), "a range that runs into the hole is not");
	ok(!gmem_ptr(&mem, 4 * MIB, 1), "the hole is not RAM");
	ok(!gmem_ptr(&mem, 16 * MIB - 1, 1), "the last byte of the hole is not");
	ok(gmem_ptr(&mem, 16 * MIB, 4 * MIB) == mem.region[1].hva, "all above the hole is one range");
	ok(!gmem_ptr(&mem, 16 * MIB, 4 * MIB + 1), "one byte more is not");
	ok(!gmem_ptr(&mem, 20 * MIB - 8, ~0ULL), "a length that wraps around is not");
	ok(!gmem_ptr(&mem, ~0ULL, 2), "an address that wraps around is not");
	ok(!gmem_ptr(&mem, 0, 0), "nothing is not a range");
	ok(gmem_write(&mem, 16 * MIB, &word, 4), "a word can be written");
	word = 0;
	ok(gmem_read(&mem, 16 * MIB, &word, 4) && word == 0x12345678, "and is read back");
	ok(!gmem_write(&mem, 4 * MIB - 2, &word, 4), "a write across the edge moves nothing");
	gmem_close(&mem);
	is(mem.n, 0, "closed, nothing is left");
	is(gmem_open(&mem, 4 * MIB, 8 * MIB, 16 * MIB, GMEM_PREALLOC), 0, "all of it at once");
	ok(!mincore(mem.region[0].hva, 4 * MIB, there) && there[0] & 1 && there[4 * MIB / 4096 - 1] & 1,
	   "... is there before it is touched");
	gmem_close(&mem);
	is(gmem_open(&mem, 1ULL << 60, 1ULL << 59, 1ULL << 61, 0), -ENOMEM,
	   "more RAM than the host has is refused");
}

struct fake {
	uint64_t off, val;
	unsigned len, reads, writes;
	struct bus *bus;
	struct bus_range *move; /* to be moved by the next write */
};

static uint64_t fake_read(void *opaque, uint64_t off, unsigned len)
{
	struct fake *f = opaque;

	f->reads++;
	f->off = off;
	f->len = len;
	return 0x1122334455667788;
}

static void fake_write(void *opaque, uint64_t off, unsigned len, uint64_t val)
{
	struct fake *f = opaque;

	f->writes++;
	f->off = off;
	f->len = len;
	f->val = val;
	if (f->move) {
		bus_unmap(f->bus, f->move);
		f->move->base += 0x1000;
		bus_map(f->bus, f->move);
	}
}

static const struct bus_ops fake_ops = { fake_read, fake_write };

static void test_bus(void)
{
	struct bus_slot slot = BUS_SLOT_INIT;
	struct fake a = { 0 }, b = { 0 };
	struct bus bus;
	struct bus_range ra = { .base = 0x1000, .len = 0x100, .ops = &fake_ops, .opaque = &a,
				.slot = &slot };
	struct bus_range rb = { .base = 0x1080, .len = 0x10, .ops = &fake_ops, .opaque = &b,
				.slot = &slot, .prio = 1 };

	bus_init(&bus, "test");
	is(bus_read(&bus, 0x1000, 4), 0xffffffff, "nobody there: all-ones of the width");
	is(bus_read(&bus, 0x1000, 8), -1, "... also of eight bytes");
	bus_map(&bus, &ra);
	bus_map(&bus, &ra);
	bus_map(&bus, &rb);
	is(bus_read(&bus, 0x1004, 2), 0x7788, "a read reaches the model, cut to its width");
	is(a.off, 4, "... with an offset from the range's base");
	is(bus_read(&bus, 0x10fe, 4), 0xffffffff, "an access across the end reaches nobody");
	is(a.reads, 1, "... indeed");
	bus_write(&bus, 0x1080, 1, 0xabcd);
	is(b.val, 0xcd, "the higher prio wins where ranges overlap");
	is(a.writes, 0, "... and the other sees nothing");
	a.bus = &bus;
	a.move = &ra;
	bus_write(&bus, 0x1000, 4, 1);
	is(a.writes, 1, "a model may move its range from inside an access");
	is(bus_read(&bus, 0x1000, 1), 0xff, "... the old place is empty");
	is(bus_read(&bus, 0x2000, 1), 0x88, "... the new one answers");
	bus_unmap(&bus, &ra);
	bus_unmap(&bus, &ra);
	is(bus_read(&bus, 0x2000, 1), 0xff, "an unmapped range is gone, also when done twice");
	is(bus_doorbell(&bus, 0, 0, 0, true), -ENOSYS, "a bus without KVM has no doorbells");
	bus_unmap(&bus, &rb);
	bus_fini(&bus);
}

struct values {
	char *path;
	bool ro;
	uint64_t n;
	unsigned mode;
	uint8_t mac[6];
	struct opt_list list;
	char *features;
};

static const char *const modes[] = { "none", "tap", NULL };
static const struct opt_key keys[] = {
	{ .name = "path", .kind = OPT_STRING, .at = offsetof(struct values, path) },
	{ .name = "readonly", .alias = "ro", .kind = OPT_BOOL, .at = offsetof(struct values, ro) },
	{ .name = "n", .kind = OPT_UINT, .at = offsetof(struct values, n), .min = 1, .max = 8 },
	{ .name = "mode", .kind = OPT_CHOICE, .at = offsetof(struct values, mode), .words = modes },
	{ .name = "mac", .kind = OPT_MAC, .at = offsetof(struct values, mac) },
	{ .name = "publish", .kind = OPT_LIST, .at = offsetof(struct values, list) },
	{ .name = "features", .kind = OPT_FEATURES, .at = offsetof(struct values, features) },
	{ 0 },
};

static int parse(struct values *v, const char *text)
{
	free(v->path);
	free(v->features);
	opt_list_free(&v->list);
	*v = (struct values){ 0 };
	return opt_parse("--x", text, keys, v, NULL);
}

static void test_opt(void)
{
	struct values v = { 0 };
	uint64_t n;

	is(opt_size("m", "512", MIB, &n), 0, "a bare size");
	is(n, 512 * MIB, "... counts in its unit");
	is(opt_size("m", "2g", MIB, &n), 0, "a size with a suffix");
	is(n, 2048 * MIB, "... counts in that");
	is(opt_size("m", "2GB", 1, &n), -EINVAL, "2GB is no size");
	is(opt_size("m", "-1", 1, &n), -EINVAL, "-1 is no size");
	is(opt_size("m", "", 1, &n), -EINVAL, "nothing is no size");
	is(opt_size("m", "99999999999T", 1, &n), -EINVAL, "a size beyond 64 bits is refused");
	is(opt_uint("n", "0", 1, 8, &n), -EINVAL, "a number below the range is refused");
	is(opt_uint("n", "8x", 1, 8, &n), -EINVAL, "a number with a tail is refused");

	is(parse(&v, "a.img,ro"), 0, "first key left out, bare boolean");
	is_str(v.path, "a.img", "... the path");
	ok(v.ro, "... the alias of readonly");
	is(parse(&v, "ro,path=a,,b"), 0, "a doubled comma");
	is_str(v.path, "a,b", "... is one comma of the value");
	is(parse(&v, "x,n=9"), -EINVAL, "a number out of range is refused");
	is(parse(&v, "x,color=red"), -EINVAL, "an unknown key is refused");
	is(parse(&v, "color=red"), -EINVAL, "... also in front");
	is(parse(&v, "x,n"), -EINVAL, "a number without a value is refused");
	is(parse(&v, "x,,"), 0, "a doubled comma at the end");
	is(parse(&v, "x,ro,"), -EINVAL, "a comma with nothing behind it is refused");
	is(parse(&v, "x,=1"), -EINVAL, "an empty key is refused");
	is(parse(&v, "x,ro=maybe"), -EINVAL, "a boolean that is none is refused");
	is(parse(&v, "x,path=y"), -EINVAL, "a key given twice is refused");
	is(parse(&v, "x,mode=tap,mac=52:54:00:12:34:5f"), 0, "choice and MAC");
	is(v.mode, 1, "... the choice");
	is(v.mac[5], 0x5f, "... the MAC");
	is(parse(&v, "x,mac=53:54:00:12:34:5f"), -EINVAL, "a multicast MAC is refused");
	is(parse(&v, "x,mac=52:54:00:12:34:5f:00"), -EINVAL, "a MAC with a tail is refused");
	is(parse(&v, "x,publish=80:80,publish=81:81"), 0, "a list key may come again");
	is(v.list.n, 2, "... and keeps both");
	is(parse(&v, "x,features=+a,-b,ro"), 0, "a feature list");
	is_str(v.features, "+a,-b", "... takes the items with a sign");
	ok(v.ro, "... and leaves the next key alone");
	is(parse(&v, "x,ro,-b"), -EINVAL, "an item with a sign elsewhere is refused");
	parse(&v, "x");
	free(v.path);
}

int main(void)
{
	log_set_level(LOG_ERR);
	if (!freopen("/dev/null", "w", stderr))
		return 1;
	test_gmem();
	test_bus();
	test_opt();
	return tap_end();
}
