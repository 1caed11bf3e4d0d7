// SPDX-License-Identifier: GPL-2.0-only
/*
 * t_blocks: feature blocks (docs/feature-blocks.md), read the way a driver would, with
 * guest/feature_blocks.h, and held against the standard structure.
 */

#include "../feature_blocks.h"
#include "drivers.h"

#define ALWAYS    FBLK_ALWAYS
#define MAX_BLOCK 16
#define MAX_LIST  256 /* bytes of a region that are looked at */

/* What the standard structures have for which feature. */
static const struct known {
	u8 type;
	u16 feature, position, length;
} known[] = {
	{NET, 5, 0, 6},     {NET, 16, 6, 2},     {NET, 22, 8, 2},      {NET, 3, 10, 2},
	{NET, 63, 12, 8},   {BLK, ALWAYS, 0, 8}, {BLK, 1, 8, 4},       {BLK, 2, 12, 4},
	{BLK, 4, 16, 4},    {BLK, 6, 20, 4},     {BLK, 10, 24, 8},     {BLK, 11, 32, 1},
	{BLK, 12, 34, 2},   {BLK, 13, 36, 12},   {BLK, 14, 48, 9},     {CONSOLE, 0, 0, 4},
	{CONSOLE, 1, 4, 4}, {CONSOLE, 2, 8, 4},
};

struct list {
	struct vdev *d;
	struct region region;
	struct fblk_reader reader;
	u32 n;
	struct fblk block[MAX_BLOCK];
	u16 hidden; /* the reader sees this block's feature as one that nobody knows; 0: none */
};

static u16 list_read16(void *opaque, u32 off)
{
	struct list *l = opaque;

	return l->hidden && off == l->hidden + 2u ? 0x1fff : reg_r16(&l->region, off);
}

static u8 find_cap(struct vdev *d)
{
	for (u8 at = 0; (at = vcap_next(d, CFG_VENDOR, at));)
		if (cfg_r16(d->f, at + 4) == FBLK_VENDOR && cfg_r32(d->f, at + 8) == FBLK_MAGIC &&
		    cfg_r8(d->f, at + 7) == FBLK_VERSION)
			return at;
	return 0;
}

/* Walks the list as it is now. */
static void walk(struct list *l)
{
	struct fblk b = {0};
	int more;

	must(fblk_valid(&l->reader), "no header at the region's start");
	for (l->n = 0; (more = fblk_next(&l->reader, &b)) > 0;) {
		must(l->n < MAX_BLOCK, "more than %u blocks", MAX_BLOCK);
		l->block[l->n++] = b;
	}
	must(!more, "the list is broken after %u blocks", l->n);
}

static struct list *list_open(struct vdev *d)
{
	struct list *l = alloc(sizeof(*l), 16);
	u8 at = find_cap(d);

	skip_if(!d->modern, "a legacy-only device");
	skip_if(!at, "no feature blocks");
	l->d = d;
	l->region = (struct region){.cap = at,
				    .bar = cfg_r8(d->f, at + 6),
				    .off = cfg_r32(d->f, at + 12),
				    .len = cfg_r32(d->f, at + 16)};
	must(l->region.bar <= 5, "BAR %u", l->region.bar);
	l->region.base = bar_get(d->f, l->region.bar) + l->region.off;
	must(l->region.len >= FBLK_BLOCKS && l->region.len <= MAX_LIST, "a region of %u bytes",
	     l->region.len);
	l->reader = (struct fblk_reader){list_read16, l, l->region.len};
	walk(l);
	return l;
}

static const struct known *knows(struct list *l, const struct fblk *b)
{
	for (u32 i = 0; i < ARRAY_SIZE(known); i++)
		if (known[i].type == l->d->type && known[i].feature == b->feature &&
		    b->position >= known[i].position &&
		    b->position + b->length <= known[i].position + known[i].length)
			return &known[i];
	return NULL;
}

/* Exactly the blocks of these features, and those of none. */
static void must_hold(struct list *l, u64 features, const char *when)
{
	walk(l);
	for (u32 i = 0; i < l->n; i++) {
		const struct fblk *b = &l->block[i];

		must(knows(l, b), "%s: block %u, feature %u, %u bytes at %u", when, i, b->feature,
		     b->length, b->position);
		must(b->feature == ALWAYS || features & BIT(b->feature),
		     "%s: a block of feature %u, of %#lx", when, b->feature, features);
	}
	for (u32 k = 0; k < ARRAY_SIZE(known); k++) {
		u32 bytes = 0;

		if (known[k].type != l->d->type ||
		    (known[k].feature != ALWAYS && !(features & BIT(known[k].feature))))
			continue;
		for (u32 i = 0; i < l->n; i++)
			if (knows(l, &l->block[i]) == &known[k])
				bytes += l->block[i].length;
		must_be(bytes, known[k].length, "%s: bytes of feature %u", when, known[k].feature);
	}
}

static void must_agree(struct list *l)
{
	u8 before, after;

	for (u32 i = 0; i < l->n; i++) {
		const struct fblk *b = &l->block[i];

		for (u32 k = 0; k < b->length; k++) {
			u8 is, want;

			do {
				before = reg_r8(&l->d->common, C_GENERATION);
				is = reg_r8(&l->region, b->payload + k);
				want = reg_r8(&l->d->config, b->position + k);
				after = reg_r8(&l->d->common, C_GENERATION);
			} while (before != after);
			must_be(is, want, "byte %u of feature %u's block", k, b->feature);
		}
	}
}

/* --- subtests */

static void capability(struct vdev *d)
{
	u32 found = 0;

	skip_if(!d->modern, "a legacy-only device");
	for (u8 at = 0; (at = vcap_next(d, CFG_VENDOR, at));) {
		u8 bar = cfg_r8(d->f, at + 6);
		u64 off = cfg_r32(d->f, at + 12), len = cfg_r32(d->f, at + 16);

		if (cfg_r16(d->f, at + 4) != FBLK_VENDOR || cfg_r32(d->f, at + 8) != FBLK_MAGIC)
			continue;
		must(!found++, "a second one at %#x", at);
		must_be(cfg_r8(d->f, at + 2), 20, "cap_len");
		must_be(cfg_r8(d->f, at + 7), FBLK_VERSION, "version");
		must(bar <= 5 && (d->f->bar[bar].kind == BAR_MEM32 ||
				  d->f->bar[bar].kind == BAR_MEM64),
		     "BAR %u is not one of memory", bar);
		must(!(off & 3), "the region is at %#lx", off);
		must(off + len <= d->f->bar[bar].size, "it does not fit the BAR");
		for (u32 i = 4; i < 20; i += 4) {
			u32 v = cfg_r32(d->f, at + i);

			cfg_w32(d->f, at + i, ~v);
			must_be(cfg_r32(d->f, at + i), v, "byte %u after a write", i);
		}
	}
	skip_if(!found, "no feature blocks");
}

static void header(struct vdev *d)
{
	struct list *l = list_open(d);
	u32 end = reg_r16(&l->region, 8);

	must_be(reg_r32(&l->region, 0), FBLK_MAGIC, "magic");
	must_be(fblk_view(&l->reader), FBLK_OFFERED, "view after a reset");
	must_be(reg_r32(&l->region, 12), 0, "reserved");
	must_be(!l->n, !reg_r16(&l->region, 6), "empty is first 0");
	must(end >= FBLK_BLOCKS && end <= l->region.len, "end %u of %u", end, l->region.len);
}

static void order(struct vdev *d)
{
	struct list *l = list_open(d);
	u32 end = FBLK_BLOCKS;

	for (u32 i = 0; i < l->n; i++) {
		const struct fblk *b = &l->block[i];

		must(!(b->payload & 3), "block %u: payload at %u", i, b->payload);
		must(!b->next || b->next > b->payload, "block %u: next is %u", i, b->next);
		must(!i || b->position > l->block[i - 1].position, "block %u: position %u after %u",
		     i, b->position, l->block[i - 1].position);
		for (end = b->payload + b->length; end & 3; end++)
			must_be(reg_r8(&l->region, end), 0, "padding at %u", end);
	}
	must_be(reg_r16(&l->region, 8), end, "end");
	for (u32 off = end; off < l->region.len; off++)
		must_be(reg_r8(&l->region, off), 0, "behind the list, at %u", off);
}

static void offered(struct vdev *d)
{
	struct list *l = list_open(d);

	must_hold(l, d->offered, "offered");
	must_agree(l);
}

static void accepted(struct vdev *d)
{
	struct list *l = list_open(d);

	for (u32 k = 0; k < ARRAY_SIZE(known) + 2; k++) {
		u64 want = k == ARRAY_SIZE(known) ? 0 : d->offered & 0xffffff;
		u32 end;

		if (k < ARRAY_SIZE(known)) {
			if (known[k].type != d->type || known[k].feature == ALWAYS)
				continue;
			want = BIT(known[k].feature);
		}
		if (d->type == NET && want & NET_F_MQ)
			want |= NET_F_CTRL_VQ;
		vd_begin(d, want);
		must_be(fblk_view(&l->reader), FBLK_ACCEPTED, "view with %#lx", d->features);
		must_hold(l, d->features, "accepted");
		must_agree(l);
		end = reg_r16(&l->region, 8);
		for (u32 off = end; off < l->region.len; off++)
			must_be(reg_r8(&l->region, off), 0, "behind the shorter list, at %u", off);
	}
}

static void not_before(struct vdev *d)
{
	struct list *l = list_open(d);
	u64 bad = 1;

	while (bad && bad & d->offered)
		bad <<= 1;
	vd_set_status(d, S_ACKNOWLEDGE);
	vd_set_status(d, S_ACKNOWLEDGE | S_DRIVER);
	vd_accept(d, F_VERSION_1);
	must_be(fblk_view(&l->reader), FBLK_OFFERED, "view after driver_feature");
	must_hold(l, d->offered, "before FEATURES_OK");
	must(!vd_negotiate(d, F_VERSION_1 | bad), "a feature that is not offered is accepted");
	must_be(fblk_view(&l->reader), FBLK_OFFERED, "view after a refusal");
	must_hold(l, d->offered, "after a refusal");
}

static void back_again(struct vdev *d)
{
	struct list *l = list_open(d);

	vd_begin(d, 0);
	vd_go(d);
	must_hold(l, d->features, "after DRIVER_OK");
	must(vd_reset(d), "no reset");
	must_be(fblk_view(&l->reader), FBLK_OFFERED, "view after a reset");
	must_hold(l, d->offered, "after a reset");
}

static const struct fblk *find(struct list *l, u16 feature)
{
	walk(l);
	for (u32 i = 0; i < l->n; i++)
		if (l->block[i].feature == feature)
			return &l->block[i];
	test_fail(__FILE_NAME__, __LINE__, "no block of feature %u", feature);
}

static void writeback(struct vdev *d)
{
	struct list *l = list_open(d);
	const struct fblk *b;

	skip_if(!(d->offered & BLK_F_CONFIG_WCE), "CONFIG_WCE is not offered");
	vd_begin(d, BLK_F_CONFIG_WCE | BLK_F_FLUSH);
	b = find(l, 11);
	for (u32 i = 0; i < 4; i++) {
		reg_w8(i & 2 ? &d->config : &l->region, i & 2 ? b->position : b->payload, i & 1);
		must_be(reg_r8(&d->config, b->position), i & 1, "writeback, standard structure");
		must_be(reg_r8(&l->region, b->payload), i & 1, "writeback, block");
	}
	vd_go(d);
	reg_w8(&l->region, b->payload, 0);
	must_be(reg_r8(&d->config, b->position), 0, "writeback after DRIVER_OK");
	must_agree(l);
}

static void emergency(struct vdev *d)
{
	struct list *l = list_open(d);
	const struct fblk *b;

	skip_if(!(d->offered & CON_F_EMERG_WRITE), "EMERG_WRITE is not offered");
	b = find(l, 2);
	for (const char *s = "[probe: through a block]\n"; *s; s++)
		reg_w32(&l->region, b->payload, *s);
	must_be(vd_status(d), 0, "status");
}

static void widths(struct vdev *d)
{
	struct list *l = list_open(d);
	u8 byte[MAX_LIST + 8] = {0};
	u32 len = l->region.len;

	for (u32 i = 0; i < len; i++)
		byte[i] = reg_r8(&l->region, i);
	for (u32 i = 0; i < len; i++) {
		u64 want = 0, mask = len - i < 8 ? BIT(8 * (len - i)) - 1 : ~0ull;

		for (u32 k = 0; k < 8; k++)
			want |= (u64)byte[i + k] << (8 * k);
		must_be(r64(l->region.base + i) & mask, want, "8 bytes at %u", i);
		must_be(reg_r32(&l->region, i) & mask, (u32)want, "4 bytes at %u", i);
		must_be(reg_r16(&l->region, i) & mask, (u16)want, "2 bytes at %u", i);
	}
}

/* Does it lie within one payload? */
static bool inside(struct list *l, u32 off, u32 len)
{
	for (u32 i = 0; i < l->n; i++)
		if (off >= l->block[i].payload &&
		    off + len <= (u32)l->block[i].payload + l->block[i].length)
			return true;
	return false;
}

static void ignored(struct vdev *d)
{
	struct list *l = list_open(d);
	u8 byte[MAX_LIST];
	u32 len = l->region.len;

	vd_begin(d, d->offered & 0xffffff);
	walk(l);
	for (u32 i = 0; i < len; i++)
		byte[i] = reg_r8(&l->region, i);
	for (u32 i = 0; i < len; i++) {
		/* A device with emerg_wr would print what lies inside its payload. */
		if (!inside(l, i, 1))
			reg_w8(&l->region, i, ~byte[i]);
		if (!inside(l, i, 2))
			reg_w16(&l->region, i, 0);
		if (!inside(l, i, 4))
			reg_w32(&l->region, i, 0);
		if (!inside(l, i, 8) && i + 8 <= len)
			w64(l->region.base + i, 0);
	}
	for (u32 i = 0; i < len; i++)
		must_be(reg_r8(&l->region, i), byte[i], "byte %u after writes to no payload", i);
	must_agree(l);
}

/* What a driver doesn't know is skipped, wherever in the list it is. */
static void unknown(struct vdev *d)
{
	struct list *l = list_open(d);
	u32 n = l->n;
	struct fblk all[MAX_BLOCK];

	skip_if(!n, "an empty list");
	memcpy(all, l->block, sizeof(all));
	for (u32 hide = 0; hide < n; hide++) {
		l->hidden = all[hide].payload - 8;
		walk(l);
		must_be(l->n, n, "blocks with number %u unknown", hide);
		for (u32 i = 0; i < n; i++) {
			must_be(!!knows(l, &l->block[i]), i != hide, "block %u is known", i);
			must_be(l->block[i].payload, all[i].payload, "block %u's payload", i);
		}
	}
}

static void legacy_face(struct vdev *d)
{
	struct list *l;

	if (!d->modern)
		must(!find_cap(d), "a device without a modern face has feature blocks");
	if (!d->modern)
		return;
	l = list_open(d);
	lg_begin(d, ~0u);
	lg_go(d);
	must_be(fblk_view(&l->reader), FBLK_OFFERED, "view under a legacy driver");
	must_hold(l, d->offered, "under a legacy driver");
}

static void scribble(struct vdev *d)
{
	struct list *l = list_open(d);

	vd_begin(d, d->offered & 0xffffff);
	for (u32 i = 0; i < l->region.len + 16; i++) {
		r64(l->region.base + i);
		if (d->type == CONSOLE && inside(l, i, 2))
			continue; /* it would print */
		w64(l->region.base + i, 0);
		reg_w16(&l->region, i, 0xffff);
	}
	walk(l);
	must_agree(l);
	/* A driver that looks in all states, and never at a list that is none. */
	for (u32 s = 0; s < 16; s++) {
		vd_set_status(d, s);
		walk(l);
	}
}

static const struct test tests[] = {
	{"X-BLOCK-01", "one capability, inside a memory BAR, read-only", capability, ANY, 0},
	{"X-BLOCK-02", "the region's header", header, ANY, 0},
	{"X-BLOCK-03", "blocks are aligned, ordered, padded with 0 and come to an end", order, ANY, 0},
	{"X-BLOCK-04", "at first, the blocks of the features offered, with the structure's values",
	 offered, ANY, 0},
	{"X-BLOCK-05", "from FEATURES_OK on, those of the features accepted", accepted, ANY, 0},
	{"X-BLOCK-06", "nothing changes before FEATURES_OK nor when it is refused", not_before, ANY, 0},
	{"X-BLOCK-07", "a reset brings the features offered back", back_again, ANY, 0},
	{"X-BLOCK-08", "a write of writeback in its block is one in the structure", writeback, BLK, 0},
	{"X-BLOCK-08", "emerg_wr can be written in its block", emergency, CONSOLE, 0},
	{"X-BLOCK-09", "every width at every offset reads the same bytes", widths, ANY, 0},
	{"X-BLOCK-10", "writes to anything but one payload are ignored", ignored, ANY, 0},
	{"X-BLOCK-11", "a driver skips a block it does not know", unknown, ANY, 0},
	{"X-BLOCK-12", "a legacy driver changes nothing; a legacy device has none", legacy_face, ANY,
	 LEGACY},
	{"X-BLOCK-13", "reads and writes across it in every state", scribble, ANY, HOSTILE},
};

const struct suite suite_blocks = {"blocks", tests, ARRAY_SIZE(tests)};
