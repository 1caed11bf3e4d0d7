// SPDX-License-Identifier: GPL-2.0-only
/* t_legacy: transitional and legacy devices, driven the way drivers did before 1.0. */

#include "drivers.h"
#include "irq.h"

#define IO &d->io

static struct blk *open_blk(struct vdev *d, u32 features)
{
	struct blk *b = alloc(sizeof(*b), 16);

	b->d = d;
	b->header = alloc(16, 16);
	b->status = alloc(1, 1);
	b->data = alloc(4096, 512);
	skip_if(features & ~lg_begin(d, features), "the feature is not offered");
	b->capacity = inl(lg_config(d)) | (u64)inl(lg_config(d) + 4) << 32;
	b->q = lg_queue(d, 0);
	lg_go(d);
	return b;
}

static void read_one(struct blk *b)
{
	must_be(blk_io(b, BLK_IN, 0, b->data, 512, true), BLK_OK, "a read");
	must_be(b->used_len, 513, "used length of a read");
}

static struct net *open_net(struct vdev *d, u32 features)
{
	struct net *n = alloc(sizeof(*n), 16);

	n->d = d;
	skip_if(features & ~lg_begin(d, features | NET_F_MAC), "the feature is not offered");
	for (u32 i = 0; i < 6; i++)
		n->mac[i] = inb(lg_config(d) + i);
	n->rx = lg_queue(d, 0);
	n->tx = lg_queue(d, 1);
	if (features & NET_F_CTRL_VQ)
		n->ctrl = lg_queue(d, 2);
	n->rx_len = NET_BUF_SIZE;
	lg_go(d);
	return n;
}

/* --- what it looks like */

static void ids(struct vdev *d)
{
	must_be(cfg_r8(d->f, PCI_REVISION), 0, "revision");
	must_be(cfg_r16(d->f, PCI_SUBSYSTEM), d->type, "subsystem device");
	must(d->f->device >= 0x1000 && d->f->device <= 0x103f, "device %#x", d->f->device);
	must(cfg_r32(d->f, PCI_BAR(0)) & 1, "BAR 0 is not an I/O BAR");
}

static void both_faces(struct vdev *d)
{
	skip_if(!d->modern, "a legacy-only device");
	must(d->common.cap && d->notify.cap && d->isr.cap && d->pcicfg,
	     "a virtio capability is missing");
}

static void registers(struct vdev *d)
{
	u32 offered = reg_r32(IO, L_DEVICE_FEATURE);

	reg_w32(IO, L_DEVICE_FEATURE, ~offered);
	must_be(reg_r32(IO, L_DEVICE_FEATURE), offered, "host features after a write");
	lg_begin(d, 0);
	must_be(reg_r8(IO, L_STATUS), 3, "status");
	offered &= ~BIT(30); /* a trap for drivers that take what they do not know */
	reg_w32(IO, L_DRIVER_FEATURE, offered);
	must_be(reg_r32(IO, L_DRIVER_FEATURE), offered, "guest features");
	reg_w16(IO, L_QUEUE_SELECT, 1);
	must_be(reg_r16(IO, L_QUEUE_SELECT), 1, "queue select");
	must_be(reg_r8(IO, L_ISR), 0, "ISR");
}

static void registers_by_bytes(struct vdev *d)
{
	u32 offered = reg_r32(IO, L_DEVICE_FEATURE);

	for (u32 i = 0; i < 4; i++)
		must_be(reg_r8(IO, L_DEVICE_FEATURE + i), offered >> 8 * i & 0xff,
			"byte %u of the host features", i);
}

static void old_features(struct vdev *d)
{
	u32 offered = reg_r32(IO, L_DEVICE_FEATURE);

	if (d->type == BLK)
		must(!(offered & BLK_F_ZONED), "ZONED is offered");
	if (d->modern)
		must_be(offered & ~(F_NOTIFY_ON_EMPTY | F_ANY_LAYOUT | BIT(30) | BIT(0) | BIT(6) | BIT(7)) &
			    ~(u32)d->offered,
			0, "features that the modern face lacks");
}

static void test_bit(struct vdev *d)
{
	must_be(reg_r32(IO, L_DEVICE_FEATURE) & BIT(30), 0, "bit 30");
}

static void any_layout(struct vdev *d)
{
	must(reg_r32(IO, L_DEVICE_FEATURE) & F_ANY_LAYOUT, "ANY_LAYOUT is not offered");
}

static void queue_size(struct vdev *d)
{
	u16 n;

	reg_w16(IO, L_QUEUE_SELECT, 0);
	n = reg_r16(IO, L_QUEUE_SIZE);
	must(n && !(n & (n - 1)), "size %u", n);
	reg_w16(IO, L_QUEUE_SIZE, n / 2);
	must_be(reg_r16(IO, L_QUEUE_SIZE), n, "size after a write");
	reg_w16(IO, L_QUEUE_SELECT, 0x3ff);
	must_be(reg_r16(IO, L_QUEUE_SIZE), 0, "size of an absent queue");
	reg_w16(IO, L_QUEUE_SELECT, 0xffff);
	must_be(reg_r16(IO, L_QUEUE_SIZE), 0, "size of queue 65535");
}

static void page_number(struct vdev *d)
{
	lg_begin(d, 0);
	lg_queue(d, 0);
	reg_w32(IO, L_QUEUE_PFN, 0);
	must_be(reg_r32(IO, L_QUEUE_PFN), 0, "page number, given back");
	lg_queue(d, 0);
	lg_status(d, 0);
	reg_w16(IO, L_QUEUE_SELECT, 0);
	must_be(reg_r32(IO, L_QUEUE_PFN), 0, "page number after a reset");
}

static void msix_shift(struct vdev *d)
{
	u32 first;

	skip_if(!d->f->msix, "no MSI-X");
	first = inl(d->io.base + 20);
	msix_on(d->f);
	must_be(inw(d->io.base + L_CONFIG_VECTOR), NO_VECTOR, "config vector at first");
	must_be(inl(d->io.base + 24), first, "the first config bytes with MSI-X on");
	outw(d->io.base + L_CONFIG_VECTOR, 0);
	must_be(inw(d->io.base + L_CONFIG_VECTOR), 0, "config vector");
	outw(d->io.base + L_QUEUE_SELECT, 0);
	outw(d->io.base + L_QUEUE_VECTOR, 1);
	must_be(inw(d->io.base + L_QUEUE_VECTOR), 1, "queue vector");
	outw(d->io.base + L_QUEUE_VECTOR, d->f->msix_n);
	must_be(inw(d->io.base + L_QUEUE_VECTOR), NO_VECTOR, "a vector that is not there");
	msix_off(d->f);
	must_be(inl(d->io.base + 20), first, "the first config bytes with MSI-X off again");
}

static void config_widths(struct vdev *d)
{
	u16 at = lg_config(d);
	u32 v = inl(at);

	for (u32 i = 0; i < 4; i++)
		must_be(inb(at + i), v >> 8 * i & 0xff, "byte %u", i);
	must_be(inw(at), v & 0xffff, "word 0");
	must_be(inw(at + 2), v >> 16, "word 1");
	if (d->modern && d->config.cap)
		must_be(v, reg_r32(&d->config, 0), "the modern face's");
}

/* --- blk */

static void read_write(struct vdev *d)
{
	struct blk *b = open_blk(d, 0);

	read_one(b);
	skip_if(reg_r32(IO, L_DEVICE_FEATURE) & BLK_F_RO, "no writable disk");
	for (u32 i = 0; i < 512; i += 4)
		*(u32 *)(b->data + i) = 0x77770000 + i;
	must_be(blk_io(b, BLK_OUT, 80, b->data, 512, false), BLK_OK, "a write");
	must_be(b->used_len, 1, "used length of a write");
	memset(b->data, 0, 512);
	must_be(blk_io(b, BLK_IN, 80, b->data, 512, true), BLK_OK, "a read");
	for (u32 i = 0; i < 512; i += 4)
		must_be(*(u32 *)(b->data + i), 0x77770000 + i, "word %u", i);
}

static void ring_wraps(struct vdev *d)
{
	struct blk *b = open_blk(d, 0);
	u32 n = b->q->size;

	for (u32 i = 0; i <= n; i++) {
		struct buf bufs[3];

		vq_offer(b->q,
			 vq_chain(b->q, bufs, blk_bufs(b, bufs, BLK_IN, 0, b->data, 512, true)));
		vq_kick(b->q);
		vq_wait(b->q);
	}
	must_be(*b->status, BLK_OK, "status");
	must_be(b->q->used->idx, n + 1, "used.idx");
}

static void before_driver_ok(struct vdev *d)
{
	struct blk *b = open_blk(d, 0);

	lg_begin(d, 0);
	b->q = lg_queue(d, 0);
	read_one(b); /* status is 3 */
	lg_go(d);
	read_one(b);
}

static void one_descriptor(struct vdev *d)
{
	struct blk *b = open_blk(d, F_ANY_LAYOUT);
	struct buf bufs[2];

	blk_bufs(b, bufs, BLK_IN, 0, NULL, 0, true);
	b->data[512] = BLK_NO_STATUS;
	bufs[1] = (struct buf){b->data, 513, true};
	must_be(vq_do(b->q, bufs, 2).len, 513, "used length");
	must_be(b->data[512], BLK_OK, "status behind the data");
}

static void old_types(struct vdev *d)
{
	struct blk *b = open_blk(d, 0);

	must_be(blk_io(b, 2, 0, NULL, 0, true), BLK_UNSUPP, "a SCSI command");
	must_be(blk_io(b, 0x42, 0, NULL, 0, true), BLK_UNSUPP, "an unknown type");
}

static void flush_out(struct vdev *d)
{
	struct blk *b = open_blk(d, BLK_F_FLUSH);

	must_be(blk_io(b, BLK_FLUSH, 0, NULL, 0, false), BLK_OK, "FLUSH");
	must_be(blk_io(b, 5, 0, NULL, 0, false), BLK_OK, "FLUSH_OUT");
}

static void writeback_stays(struct vdev *d)
{
	u8 v;

	skip_if(!(reg_r32(IO, L_DEVICE_FEATURE) & BLK_F_CONFIG_WCE), "CONFIG_WCE is not offered");
	lg_begin(d, BLK_F_CONFIG_WCE | BLK_F_FLUSH);
	v = inb(lg_config(d) + 32);
	lg_status(d, 3);
	must_be(inb(lg_config(d) + 32), v, "writeback after a status write");
	reg_w32(IO, L_DRIVER_FEATURE, BLK_F_FLUSH);
	must_be(inb(lg_config(d) + 32), v, "writeback after a feature write");
}

static void by_msix(struct vdev *d)
{
	struct blk *b;

	vd_msix(d);
	b = open_blk(d, 0);
	for (u32 i = 1; i <= 3; i++) {
		read_one(b);
		must(wait_until(irq_count[VEC_MSI(1)] == i, PATIENCE), "request %u: no message", i);
	}
}

static void by_isr(struct vdev *d)
{
	struct blk *b = open_blk(d, 0);

	read_one(b);
	must(wait_until(cfg_r16(d->f, PCI_STATUS) & STS_INTX, PATIENCE), "the status bit is clear");
	must_be(reg_r8(IO, L_ISR), 1, "ISR");
	must_be(reg_r8(IO, L_ISR), 0, "ISR, read again");
}

static void on_empty(struct vdev *d)
{
	struct blk *b;

	vd_msix(d);
	b = open_blk(d, F_NOTIFY_ON_EMPTY);
	b->q->avail->flags = 1;
	read_one(b);
	must(wait_until(irq_count[VEC_MSI(1)], PATIENCE), "no interrupt when the ring ran dry");
}

/* --- net */

static void header_sizes(struct vdev *d)
{
	u8 *p = alloc(128, 16);
	u32 peer = 0, own = 0;

	for (u32 merge = 0; merge < 2; merge++) {
		struct net *n;
		u32 head = merge ? 12 : 10;
		struct buf bufs[2] = {{p, head, false}, {p + head, 60, false}};
		struct done x;
		bool found = false;

		if (merge && !(reg_r32(IO, L_DEVICE_FEATURE) & NET_F_MRG_RXBUF))
			break;
		n = open_net(d, merge ? NET_F_MRG_RXBUF : 0);
		memset(p, 0, 128);
		must_be(vq_do(n->tx, bufs, 2).len, 0, "used length of a packet sent");
		if (!net_peer(&peer, &own))
			continue;
		for (u32 i = 0; i < 4 * NET_RX_BUFS; i++)
			net_post(n, 256);
		vq_kick(n->rx);
		net_arp_frame(n, p + head, peer, own);
		vq_do(n->tx, bufs, 2);
		for (u32 i = 0; i < 4 * NET_RX_BUFS && !found; i++) {
			x = vq_wait(n->rx);
			found = x.len >= head + 42 && n->rx_buf[x.id][head + 12] == 8 &&
				n->rx_buf[x.id][head + 13] == 6;
		}
		must(found, "no ARP behind a header of %u bytes", head);
	}
}

static void mac_writable(struct vdev *d)
{
	u16 at;

	lg_begin(d, NET_F_MAC);
	at = lg_config(d);
	for (u32 i = 0; i < 6; i++) {
		u8 old = inb(at + i);

		outb(at + i, old ^ 0x10);
		must_be(inb(at + i), old ^ 0x10, "byte %u of the MAC address", i);
		outb(at + i, old);
		must_be(inb(at + i), old, "byte %u of the MAC address", i);
	}
}

static void commands(struct vdev *d)
{
	struct net *n = open_net(d, NET_F_CTRL_VQ | NET_F_CTRL_RX);
	u8 *table = alloc(16, 4);

	must_be(net_command(n, 0, 0, table, 1), 0, "PROMISC off");
	*(u32 *)table = 1;
	memcpy(table + 4, n->mac, 6);
	must_be(net_command(n, 1, 0, table, 14), 0, "MAC_TABLE_SET");
	must_be(net_command(n, 0x70, 0, table, 1), 1, "an unknown class");
}

static void vlan_command(struct vdev *d)
{
	struct net *n = open_net(d, NET_F_CTRL_VQ | NET_F_CTRL_VLAN);
	u16 *id = alloc(2, 2);

	*id = 5;
	must_be(net_command(n, 2, 0, id, 2), 0, "VLAN_ADD");
	must_be(net_command(n, 2, 1, id, 2), 0, "VLAN_DEL");
}

static void offload_command(struct vdev *d)
{
	struct net *n = open_net(d, NET_F_CTRL_VQ | NET_F_GUEST_OFFLOADS | NET_F_GUEST_CSUM);
	u64 *set = alloc(8, 8);

	*set = NET_F_GUEST_CSUM;
	must_be(net_command(n, 5, 0, set, 8), 0, "GUEST_OFFLOADS_SET");
	*set = NET_F_GUEST_CSUM | NET_F_GUEST_TSO6;
	must_be(net_command(n, 5, 0, set, 8), 1, "GUEST_OFFLOADS_SET of what was not negotiated");
}

static void output(struct vdev *d)
{
	struct buf buf = {alloc(8, 1), 2, false};
	struct vq *q;

	lg_begin(d, 0);
	lg_queue(d, 0);
	q = lg_queue(d, 1);
	lg_go(d);
	memset((void *)buf.p, '.', 1);
	memset((u8 *)buf.p + 1, '\n', 1);
	must_be(vq_do(q, &buf, 1).len, 0, "used length of output");
}

/* --- hostile */

static void odd_accesses(struct vdev *d)
{
	for (u32 off = 0; off < d->io.len && off < 0x40; off++) {
		u16 at = d->io.base + off;

		inb(at);
		if (off + 2 <= d->io.len)
			inw(at);
		if (off + 4 <= d->io.len)
			inl(at);
		if (off >= 0x0f && off <= 0x12)
			continue;
		outb(at, 0xff);
		if (off + 2 <= d->io.len)
			outw(at, 0xffff);
		if (off + 4 <= d->io.len)
			outl(at, 0xffffffff);
	}
	lg_status(d, 0);
	must_be(vd_status(d), 0, "status after a reset");
}

static void bad_places(struct vdev *d)
{
	static const u32 pages[] = {0xffffffff, 0xfffffffe, 0x000fee00, 0x00100000, 0x7fffffff};

	for (u32 i = 0; i < ARRAY_SIZE(pages); i++) {
		lg_begin(d, 0);
		reg_w16(IO, L_QUEUE_SELECT, 0);
		reg_w32(IO, L_QUEUE_PFN, pages[i]);
		lg_go(d);
		for (u32 n = 0; n < 4; n++)
			outw(d->io.base + L_QUEUE_NOTIFY, n == 3 ? 0xffff : n);
		delay_us(100);
		must(vd_status(d) != 0xff, "device status %#x", vd_status(d));
	}
	lg_status(d, 0);
	must(wait_until(vd_status(d) == 0, PATIENCE), "no reset");
}

/* A driver that turns from one face to the other without a reset between. */
static void mixed(struct vdev *d)
{
	struct vq *q;

	skip_if(!d->modern, "a legacy-only device");
	lg_begin(d, 0);
	q = lg_queue(d, 0);
	vd_accept(d, d->offered);
	reg_w8(&d->common, C_STATUS, 0x0f);
	vd_select(d, 0);
	reg_w64(&d->common, C_QUEUE_DESC, 0x1000);
	reg_w16(&d->common, C_QUEUE_ENABLE, 1);
	vq_kick(q);
	lg_go(d);
	vq_kick(q);
	w16(vq_doorbell(d, 0), 0);
	delay_us(SETTLE);
	d->old = false;
	must(vd_reset(d), "no reset");
	vd_begin(d, 0);
	vd_go(d);
	reg_w32(IO, L_QUEUE_PFN, 0x123);
	outw(d->io.base + L_QUEUE_NOTIFY, 0);
	must(vd_reset(d), "no reset");
}

static const struct test tests[] = {
	{"LPCI-01,LPCI-02,LPCI-03,LPCI-04,PCI-DISC-02", "revision, IDs and BAR 0", ids, ANY, LEGACY},
	{"LPCI-16", "a transitional device has the modern structures too", both_faces, ANY, LEGACY},
	{"LPCI-06,LPCI-11,LPCI-15", "registers are where they were", registers, ANY, LEGACY},
	{"LPCI-07", "registers are little-endian, byte by byte", registers_by_bytes, ANY, LEGACY},
	{"LFEAT-07", "bit 30 is not offered", test_bit, ANY, LEGACY},
	{"LNET-01,LBLK-01,BLK-13", "no feature that neither face knows", old_features, ANY, LEGACY},
	{"LFEAT-06", "ANY_LAYOUT is offered", any_layout, ANY, LEGACY},
	{"LPCI-18", "queue size is read-only, and 0 where there is none", queue_size, ANY, LEGACY},
	{"LPCI-17,LPCI-19", "page numbers read back, and 0 after a reset", page_number, ANY, LEGACY},
	{"LPCI-08,LPCI-09,LPCI-10", "MSI-X moves the configuration by four bytes", msix_shift, ANY,
	 LEGACY},
	{"LPCI-05,LCFG-01,LBLK-02,LNET-02,LCON-01", "configuration reads the same at every width",
	 config_widths, ANY, LEGACY},
	{"LFEAT-01,LFEAT-02,LSTAT-03,LBLK-05,LBLK-09,LRING-05", "a legacy driver reads and writes",
	 read_write, BLK, LEGACY},
	{"LRING-01,LRING-02,LRING-03", "the ring wraps", ring_wraps, BLK, LEGACY},
	{"LSTAT-02", "queues work before DRIVER_OK", before_driver_ok, BLK, LEGACY},
	{"LRING-04", "any framing once ANY_LAYOUT is accepted", one_descriptor, BLK, LEGACY},
	{"LBLK-08", "SCSI commands end with UNSUPP", old_types, BLK, LEGACY},
	{"LBLK-06", "FLUSH_OUT flushes", flush_out, BLK, LEGACY},
	{"LBLK-03,LBLK-04", "status and feature writes leave writeback alone", writeback_stays, BLK,
	 LEGACY},
	{"LPCI-08", "MSI-X", by_msix, BLK, LEGACY},
	{"LPCI-06", "ISR", by_isr, BLK, LEGACY},
	{"LFEAT-05", "NOTIFY_ON_EMPTY interrupts in spite of NO_INTERRUPT", on_empty, BLK, LEGACY},
	{"LNET-04,LNET-05,LNET-11", "packet headers of 10 bytes, 12 with MRG_RXBUF", header_sizes, NET,
	 LEGACY},
	{"LNET-03,LSTAT-01", "the MAC address can be written", mac_writable, NET, LEGACY},
	{"LNET-06,LNET-12", "control commands", commands, NET, LEGACY},
	{"LNET-08", "VLAN commands", vlan_command, NET, LEGACY},
	{"LNET-10", "offload commands", offload_command, NET, LEGACY},
	{"CON-08", "console output", output, CONSOLE, LEGACY},
	{"X-LEGACY-01", "every legacy register at every width", odd_accesses, ANY, LEGACY | HOSTILE},
	{"X-LEGACY-02", "rings outside RAM", bad_places, ANY, LEGACY | HOSTILE},
	{"X-LEGACY-03", "both faces at once", mixed, ANY, LEGACY | HOSTILE},
};

const struct suite suite_legacy = {"legacy", tests, ARRAY_SIZE(tests)};
