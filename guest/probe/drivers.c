// SPDX-License-Identifier: GPL-2.0-only
/* drivers: polite little drivers for blk, net and console. */

#include "drivers.h"
#include "machine.h"

/* --- block */

struct blk *blk_open(struct vdev *d, u64 features, u16 size)
{
	struct blk *b = alloc(sizeof(*b), 16);

	b->d = d;
	b->header = alloc(sizeof(*b->header), 16);
	b->status = alloc(1, 1);
	b->data = alloc(4096, 512);
	vd_begin(d, features);
	b->capacity = reg_r64(&d->config, 0);
	b->q = vq_new(d, 0, size);
	vd_go(d);
	return b;
}

struct blk *blk_open_rw(struct vdev *d, u64 features)
{
	skip_if(d->offered & BLK_F_RO, "no writable disk");
	return blk_open(d, features, 16);
}

u32 blk_bufs(struct blk *b, struct buf *bufs, u32 type, u64 sector, void *data, u32 len, bool in)
{
	u32 n = 0;

	b->header->type = type;
	b->header->reserved = 0;
	b->header->sector = sector;
	*b->status = BLK_NO_STATUS;
	bufs[n++] = (struct buf){b->header, sizeof(*b->header), false};
	if (len)
		bufs[n++] = (struct buf){data, len, in};
	bufs[n++] = (struct buf){b->status, 1, true};
	return n;
}

u8 blk_io(struct blk *b, u32 type, u64 sector, void *data, u32 len, bool in)
{
	struct buf bufs[3];
	u32 n = blk_bufs(b, bufs, type, sector, data, len, in);

	b->used_len = vq_do(b->q, bufs, n).len;
	return *b->status;
}

void blk_works(struct vdev *d)
{
	struct blk *b = blk_open(d, 0, 8);

	must_be(blk_io(b, BLK_IN, 0, b->data, 512, true), BLK_OK, "a read");
	must_be(b->used_len, 513, "length of a read");
}

/* --- net */

static bool parse_ip(const char *name, u32 *ip)
{
	size_t len;
	const char *s = param(name, &len);

	if (!s || !len)
		return false;
	*ip = 0;
	for (u32 part = 0; len; s++, len--) {
		if (*s == '.')
			part = 0;
		else
			part = part * 10 + *s - '0';
		*ip = *s == '.' ? *ip << 8 : (*ip & ~0xffu) | part;
	}
	return true;
}

bool net_peer(u32 *peer, u32 *own)
{
	return parse_ip("probe.peer", peer) && parse_ip("probe.ip", own);
}

void net_post(struct net *n, u32 len)
{
	struct buf buf = {alloc(len, 16), len, true};
	u16 head = vq_chain(n->rx, &buf, 1);

	n->rx_buf[head] = (u8 *)buf.p;
	vq_offer(n->rx, head);
}

struct net *net_open(struct vdev *d, u64 features)
{
	struct net *n = alloc(sizeof(*n), 16);
	u16 ctrl = 2;

	n->d = d;
	vd_begin(d, features | NET_F_MAC);
	for (u32 i = 0; i < 6; i++)
		n->mac[i] = d->offered & NET_F_MAC ? reg_r8(&d->config, i) : "\x02lkvm"[i];
	n->rx = vq_new(d, 0, 16);
	n->tx = vq_new(d, 1, 16);
	if (d->features & NET_F_CTRL_VQ) {
		if (d->features & (NET_F_MQ | NET_F_RSS))
			ctrl = 2 * reg_r16(&d->config, 8);
		n->ctrl = vq_new(d, ctrl, 16);
	}
	n->rx_len = NET_BUF_SIZE;
	vd_go(d);
	return n;
}

bool net_send(struct net *n, const void *frame, u32 len)
{
	struct net_header *h = alloc(sizeof(*h), 16);
	struct buf bufs[2] = {{h, sizeof(*h), false}, {frame, len, false}};

	vq_offer(n->tx, vq_chain(n->tx, bufs, 2));
	vq_kick(n->tx);
	if (!wait_until(vq_has_used(n->tx), PATIENCE))
		return false;
	return vq_take(n->tx).len == 0;
}

u8 *net_recv(struct net *n, u32 *len, u64 us)
{
	struct done x;

	if (!wait_until(vq_has_used(n->rx), us))
		return NULL;
	x = vq_take(n->rx);
	must(x.len >= sizeof(struct net_header), "a packet of %u bytes, header included", x.len);
	must(x.id < 256 && n->rx_buf[x.id], "used id %u is none of ours", x.id);
	n->last = (void *)n->rx_buf[x.id];
	n->last_len = x.len;
	*len = x.len - sizeof(struct net_header);
	net_post(n, n->rx_len);
	vq_kick(n->rx);
	return (u8 *)(n->last + 1);
}

static void put32(u8 *p, u32 v)
{
	for (u32 i = 0; i < 4; i++)
		p[i] = v >> (24 - 8 * i);
}

u32 net_arp_frame(struct net *n, u8 *f, u32 peer, u32 own)
{
	static const u8 head[] = {0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1};

	memset(f, 0xff, 6);
	memcpy(f + 6, n->mac, 6);
	memcpy(f + 12, head, sizeof(head));
	memcpy(f + 22, n->mac, 6);
	put32(f + 28, own);
	memset(f + 32, 0, 6);
	put32(f + 38, peer);
	memset(f + 42, 0, 18);
	return 60;
}

u8 *net_arp(struct net *n, u32 *len)
{
	u8 *frame = alloc(64, 16), want[4], *got;
	u32 peer, own;

	skip_if(!net_peer(&peer, &own), "no probe.peer= and probe.ip= on the command line");
	put32(want, peer);
	must(net_send(n, frame, net_arp_frame(n, frame, peer, own)), "the request is not sent");
	for (u32 tries = 0; tries < 20 && (got = net_recv(n, len, PATIENCE / 3)); tries++)
		if (*len >= 42 && got[12] == 8 && got[13] == 6 && got[21] == 2 &&
		    !memcmp(got + 28, want, 4))
			return got;
	return NULL;
}

u8 net_command(struct net *n, u8 class, u8 cmd, const void *data, u32 len)
{
	u8 *head = alloc(2, 2);
	volatile u8 *ack = alloc(1, 1);
	struct buf bufs[3] = {{head, 2, false}, {data, len, false}, {ack, 1, true}};

	head[0] = class;
	head[1] = cmd;
	*ack = 0xee;
	if (!len)
		bufs[1] = bufs[2];
	must_be(vq_do(n->ctrl, bufs, len ? 3 : 2).len, 1, "used length of a command");
	return *ack;
}

/* A frame to nobody: an unassigned EtherType from our address to our address. */
void net_works(struct vdev *d)
{
	struct net *n = net_open(d, 0);
	u8 *frame = alloc(64, 16);

	memcpy(frame, n->mac, 6);
	memcpy(frame + 6, n->mac, 6);
	frame[12] = 0x88;
	frame[13] = 0xb5;
	must(net_send(n, frame, 60), "a packet is not sent");
}

/* --- console */

struct con *con_open(struct vdev *d, u64 features)
{
	struct con *c = alloc(sizeof(*c), 16);

	c->d = d;
	vd_begin(d, features);
	c->rx = vq_new(d, 0, 16);
	c->tx = vq_new(d, 1, 16);
	c->in = alloc(64, 16);
	vd_go(d);
	return c;
}

struct done con_send(struct con *c, const void *data, u32 len)
{
	struct buf buf = {data, len, false};

	return vq_do(c->tx, &buf, 1);
}

void console_works(struct vdev *d)
{
	struct con *c = con_open(d, 0);
	char *text = alloc(2, 1);

	text[0] = '.';
	must_be(con_send(c, text, 1).id, 0, "id of a used buffer");
}

u32 places_outside_ram(struct vdev *d, struct range *r)
{
	u64 end = machine.low_end;
	u32 n = 0;

	r[n++] = (struct range){end, 512};
	r[n++] = (struct range){end - 256, 512};
	r[n++] = (struct range){end - 1, 2};
	r[n++] = (struct range){0xfee00000, 512};
	r[n++] = (struct range){d->common.io ? end : d->common.base, 512};
	r[n++] = (struct range){1ull << 40, 512};
	r[n++] = (struct range){1ull << 63, 512};
	r[n++] = (struct range){~0ull, 1};
	r[n++] = (struct range){~0ull - 511, 512};
	r[n++] = (struct range){~0ull - 255, 512};
	r[n++] = (struct range){~0ull, 512};
	return n;
}
