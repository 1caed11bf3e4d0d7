// SPDX-License-Identifier: GPL-2.0-only
/* t_status: device status and feature negotiation. */
#include "drivers.h"

#define C &d->common

static void need_modern(struct vdev *d)
{
	skip_if(!d->modern, "a legacy-only device");
}

static u64 everything(struct vdev *d)
{
	return d->type == BLK ? ~BLK_F_ZONED : ~0ull;
}

/* --- status */

static void status_zero(struct vdev *d)
{
	need_modern(d);
	must_be(vd_status(d), 0, "status");
	vd_set_status(d, S_ACKNOWLEDGE | S_DRIVER);
	vd_set_status(d, 0);
	must_be(vd_status(d), 0, "status after a reset");
}

static void status_bits(struct vdev *d)
{
	static const u8 steps[] = {S_ACKNOWLEDGE, S_ACKNOWLEDGE | S_DRIVER,
				   S_ACKNOWLEDGE | S_DRIVER | S_FAILED};

	need_modern(d);
	for (u32 i = 0; i < ARRAY_SIZE(steps); i++) {
		vd_set_status(d, steps[i]);
		must_be(vd_status(d), steps[i], "status");
	}
	vd_begin(d, 0);
	must_be(vd_status(d), S_ACKNOWLEDGE | S_DRIVER | S_FEATURES_OK, "status");
	vd_go(d);
	must_be(vd_status(d) & ~S_NEEDS_RESET, 15, "status");
}

static void reset_any_stage(struct vdev *d)
{
	need_modern(d);
	for (u32 stage = 0; stage < 5; stage++) {
		if (stage >= 1)
			vd_set_status(d, S_ACKNOWLEDGE);
		if (stage >= 2)
			vd_set_status(d, S_ACKNOWLEDGE | S_DRIVER);
		if (stage >= 3)
			vd_begin(d, everything(d));
		if (stage >= 4)
			vd_go(d);
		must(vd_reset(d), "stage %u: status does not come to read 0", stage);
	}
}

/* --- features */

static void version_1(struct vdev *d)
{
	need_modern(d);
	must(d->offered & F_VERSION_1, "VERSION_1 is not offered");
}

static void feature_windows(struct vdev *d)
{
	need_modern(d);
	for (u32 sel = 2; sel; sel = sel < 0x80000000 ? sel * 8 : 0) {
		reg_w32(C, C_DEVICE_FEATURE_SELECT, sel);
		must_be(reg_r32(C, C_DEVICE_FEATURE_SELECT), sel, "device_feature_select");
		if (sel > 3)
			must_be(reg_r32(C, C_DEVICE_FEATURE), 0, "features of window %#x", sel);
	}
	must_be(vd_offered(d), d->offered, "the offer, read again");
}

/* Bits without a meaning, and those that only other transports or types have. */
static void no_strange_features(struct vdev *d)
{
	u64 common = BIT(24) | BIT(27) | BIT(28) | BIT(29) | BIT(30) | BIT(32) | BIT(33) | BIT(34) |
		     BIT(35) | BIT(36) | BIT(37) | BIT(38) | BIT(39) | BIT(40) | BIT(41) | BIT(43);
	u64 type = ~0ull;

	need_modern(d);
	if (d->type == BLK)
		type = 0x3fe77 | (d->legacy ? BIT(0) | BIT(7) : 0);
	else if (d->type == CONSOLE)
		type = 7;
	else if (d->type == NET)
		type = 0xffffaf | BIT(0) | (d->legacy ? BIT(6) : 0) | 0xfffffull << 50 | BIT(42) |
		       BIT(62) | BIT(63);
	must_be(d->offered & ~(common | type), 0, "bits without a meaning");
	if (d->offered & F_SR_IOV)
		must(ecam && r32(ecam_at(d->f, 0x100)), "SR_IOV without extended capabilities");
	must(!(d->offered & F_ADMIN_VQ) || d->common.len >= 0x40, "ADMIN_VQ without its fields");
}

static void prerequisites(struct vdev *d)
{
	static const struct {
		u8 type;
		u64 bit, needs; /* any of `needs` */
	} deps[] = {
	    {NET, NET_F_GUEST_TSO4, NET_F_GUEST_CSUM},
	    {NET, NET_F_GUEST_TSO6, NET_F_GUEST_CSUM},
	    {NET, NET_F_GUEST_UFO, NET_F_GUEST_CSUM},
	    {NET, NET_F_GUEST_USO4, NET_F_GUEST_CSUM},
	    {NET, NET_F_GUEST_USO6, NET_F_GUEST_CSUM},
	    {NET, NET_F_HOST_TSO4, NET_F_CSUM},
	    {NET, NET_F_HOST_TSO6, NET_F_CSUM},
	    {NET, NET_F_HOST_UFO, NET_F_CSUM},
	    {NET, NET_F_HOST_USO, NET_F_CSUM},
	    {NET, NET_F_CTRL_RX, NET_F_CTRL_VQ},
	    {NET, NET_F_CTRL_VLAN, NET_F_CTRL_VQ},
	    {NET, NET_F_CTRL_RX_EXTRA, NET_F_CTRL_VQ},
	    {NET, NET_F_ANNOUNCE, NET_F_CTRL_VQ},
	    {NET, NET_F_MQ, NET_F_CTRL_VQ},
	    {NET, NET_F_CTRL_MAC_ADDR, NET_F_CTRL_VQ},
	    {NET, NET_F_RSS, NET_F_CTRL_VQ},
	    {NET, NET_F_GUEST_OFFLOADS, NET_F_CTRL_VQ},
	    {NET, NET_F_GUEST_ECN, NET_F_GUEST_TSO4 | NET_F_GUEST_TSO6},
	    {NET, NET_F_HOST_ECN, NET_F_HOST_TSO4 | NET_F_HOST_TSO6},
	    {BLK, BLK_F_CONFIG_WCE, BLK_F_FLUSH},
	};

	need_modern(d);
	for (u32 i = 0; i < ARRAY_SIZE(deps); i++)
		if (deps[i].type == d->type && d->offered & deps[i].bit)
			must(d->offered & deps[i].needs, "%#lx is offered without %#lx",
			     deps[i].bit, deps[i].needs);
}

static void accept_all(struct vdev *d)
{
	need_modern(d);
	must(vd_negotiate(d, d->offered), "the whole offer %#lx is refused", d->offered);
}

static void accept_each(struct vdev *d)
{
	need_modern(d);
	must(vd_negotiate(d, F_VERSION_1), "VERSION_1 alone is refused");
	for (u32 n = 24; n < 41; n++)
		if (d->offered & BIT(n))
			must(vd_negotiate(d, F_VERSION_1 | BIT(n)),
			     "VERSION_1 and bit %u are refused", n);
	for (u32 n = 0; n < 64; n++)
		if (d->offered & BIT(n) && n != 32 && d->type != NET)
			must(vd_negotiate(d, d->offered & ~BIT(n)),
			     "the offer without bit %u is refused", n);
}

static void refuse_unoffered(struct vdev *d)
{
	need_modern(d);
	for (u32 n = 0; n < 64; n += 1 + (n % 3))
		if (!(d->offered & BIT(n)))
			must(!vd_negotiate(d, F_VERSION_1 | BIT(n)),
			     "bit %u is accepted without an offer", n);
	vd_reset(d);
	vd_set_status(d, 3);
	vd_accept(d, F_VERSION_1);
	reg_w32(C, C_DRIVER_FEATURE_SELECT, 2);
	reg_w32(C, C_DRIVER_FEATURE, 0xffffffff);
	vd_set_status(d, 3 | S_FEATURES_OK);
	must(!(vd_status(d) & S_FEATURES_OK) || !reg_r32(C, C_DRIVER_FEATURE),
	     "bits 64 and up are accepted");
}

static void refuse_without_needed(struct vdev *d)
{
	need_modern(d);
	skip_if(d->type != NET, "no feature of this type needs another");
	skip_if(!(d->offered & NET_F_GUEST_TSO4) && !(d->offered & NET_F_CTRL_RX),
		"nothing to try with");
	if (d->offered & NET_F_CTRL_RX)
		must(!vd_negotiate(d, F_VERSION_1 | NET_F_CTRL_RX),
		     "CTRL_RX without CTRL_VQ is accepted");
	if (d->offered & NET_F_GUEST_TSO4)
		must(!vd_negotiate(d, F_VERSION_1 | NET_F_GUEST_TSO4),
		     "GUEST_TSO4 without GUEST_CSUM is accepted");
	if (d->offered & NET_F_HOST_TSO4)
		must(!vd_negotiate(d, F_VERSION_1 | NET_F_HOST_TSO4),
		     "HOST_TSO4 without CSUM is accepted");
}

static void driver_feature_back(struct vdev *d)
{
	need_modern(d);
	vd_set_status(d, 3);
	vd_accept(d, d->offered);
	must_be(vd_accepted(d), d->offered, "driver_feature");
	vd_accept(d, F_VERSION_1);
	must_be(vd_accepted(d), F_VERSION_1, "driver_feature, written again");
}

static void features_final(struct vdev *d)
{
	need_modern(d);
	must(vd_negotiate(d, F_VERSION_1), "VERSION_1 alone is refused");
	vd_accept(d, d->offered);
	vd_go(d);
	must_be(vd_accepted(d), F_VERSION_1, "driver_feature written after FEATURES_OK");
}

static void features_gone(struct vdev *d)
{
	need_modern(d);
	vd_begin(d, everything(d));
	vd_reset(d);
	must_be(vd_accepted(d), 0, "driver_feature after a reset");
}

static void features_again(struct vdev *d)
{
	need_modern(d);
	for (u32 i = 0; i < 3; i++)
		must(vd_negotiate(d, d->offered), "round %u: the offer is refused", i);
}

static void config_before_features(struct vdev *d)
{
	u64 before;

	need_modern(d);
	skip_if(!d->config.cap, "no device structure");
	before = reg_r64(&d->config, 0);
	skip_if(d->type == CONSOLE, "the console's size may change");
	vd_begin(d, 0);
	vd_go(d);
	must_be(reg_r64(&d->config, 0), before,
		"the first config bytes, before and after negotiation");
}

static const struct test tests[] = {
	{"STAT-05,RST-01,PCI-RESET-02", "status reads 0 at first and after a reset", status_zero, ANY,
	 0},
	{"STAT-06", "status bits read back", status_bits, ANY, 0},
	{"PCI-RESET-01", "a reset works at every stage", reset_any_stage, ANY, HOSTILE},
	{"FEAT-08", "VERSION_1 is offered", version_1, ANY, 0},
	{"PCI-COMMON-05", "device_feature has a window for every select, 0 where nothing is",
	 feature_windows, ANY, 0},
	{"FEAT-04,FEAT-07,FEAT-17,NET-002,BLK-02,CON-03", "no bit without a meaning is offered",
	 no_strange_features, ANY, 0},
	{"FEAT-01,NET-004,NET-005,NET-007,NET-022,BLK-09", "nothing is offered without what it needs",
	 prerequisites, ANY, 0},
	{"FEAT-02", "the whole offer is accepted", accept_all, ANY, 0},
	{"FEAT-02", "each feature alone, and all without one, is accepted", accept_each, ANY, 0},
	{"FEAT-03", "a feature that was not offered is refused", refuse_unoffered, ANY, HOSTILE},
	{"FEAT-03", "a feature without the one it needs is refused", refuse_without_needed, ANY,
	 HOSTILE},
	{"PCI-COMMON-06", "driver_feature reads back", driver_feature_back, ANY, 0},
	{"FEAT-06", "features are final after FEATURES_OK", features_final, ANY, 0},
	{"PCI-RESET-05", "no accepted feature survives a reset", features_gone, ANY, 0},
	{"FEAT-05", "what was accepted once is accepted after each reset", features_again, ANY, 0},
	{"CFG-01", "device configuration reads the same before negotiation", config_before_features,
	 ANY, 0},
};

const struct suite suite_status = {"status", tests, ARRAY_SIZE(tests)};
