/* SPDX-License-Identifier: GPL-2.0-only */
/* Just enough of a driver for each device type to let a subtest do real work in a few lines. */
#pragma once

#include "virtio.h"

/* --- block */
#define BLK_F_SIZE_MAX     BIT(1)
#define BLK_F_SEG_MAX      BIT(2)
#define BLK_F_GEOMETRY     BIT(4)
#define BLK_F_RO           BIT(5)
#define BLK_F_BLK_SIZE     BIT(6)
#define BLK_F_FLUSH        BIT(9)
#define BLK_F_TOPOLOGY     BIT(10)
#define BLK_F_CONFIG_WCE   BIT(11)
#define BLK_F_MQ           BIT(12)
#define BLK_F_DISCARD      BIT(13)
#define BLK_F_WRITE_ZEROES BIT(14)
#define BLK_F_LIFETIME     BIT(15)
#define BLK_F_SECURE_ERASE BIT(16)
#define BLK_F_ZONED        BIT(17)

enum {
	BLK_IN = 0,
	BLK_OUT = 1,
	BLK_FLUSH = 4,
	BLK_GET_ID = 8,
	BLK_GET_LIFETIME = 10,
	BLK_DISCARD = 11,
	BLK_WRITE_ZEROES = 13,
	BLK_SECURE_ERASE = 14,
};

enum { BLK_OK, BLK_IOERR, BLK_UNSUPP, BLK_NO_STATUS = 0xee };

struct blk_header {
	u32 type, reserved;
	u64 sector;
};

struct blk {
	struct vdev *d;
	struct vq *q;
	volatile struct blk_header *header;
	volatile u8 *status;
	u8 *data; /* 4 KiB */
	u32 used_len;
	u64 capacity;
};

/* Negotiates `features` of those offered, makes queue 0 of `size` and goes. */
struct blk *blk_open(struct vdev *d, u64 features, u16 size);
/* The same for a disk that takes writes; skips otherwise. */
struct blk *blk_open_rw(struct vdev *d, u64 features);
/* One request of header, data, status; returns the status byte. */
u8 blk_io(struct blk *b, u32 type, u64 sector, void *data, u32 len, bool in);
/* The parts of it, for what goes between. */
u32 blk_bufs(struct blk *b, struct buf *bufs, u32 type, u64 sector, void *data, u32 len, bool in);
void blk_works(struct vdev *d);

/* --- net */
#define NET_F_CSUM           BIT(0)
#define NET_F_GUEST_CSUM     BIT(1)
#define NET_F_GUEST_OFFLOADS BIT(2)
#define NET_F_MTU            BIT(3)
#define NET_F_MAC            BIT(5)
#define NET_F_GUEST_TSO4     BIT(7)
#define NET_F_GUEST_TSO6     BIT(8)
#define NET_F_GUEST_ECN      BIT(9)
#define NET_F_GUEST_UFO      BIT(10)
#define NET_F_HOST_TSO4      BIT(11)
#define NET_F_HOST_TSO6      BIT(12)
#define NET_F_HOST_ECN       BIT(13)
#define NET_F_HOST_UFO       BIT(14)
#define NET_F_MRG_RXBUF      BIT(15)
#define NET_F_STATUS         BIT(16)
#define NET_F_CTRL_VQ        BIT(17)
#define NET_F_CTRL_RX        BIT(18)
#define NET_F_CTRL_VLAN      BIT(19)
#define NET_F_CTRL_RX_EXTRA  BIT(20)
#define NET_F_ANNOUNCE       BIT(21)
#define NET_F_MQ             BIT(22)
#define NET_F_CTRL_MAC_ADDR  BIT(23)
#define NET_F_GUEST_USO4     BIT(54)
#define NET_F_GUEST_USO6     BIT(55)
#define NET_F_HOST_USO       BIT(56)
#define NET_F_RSS            BIT(60)
#define NET_F_SPEED_DUPLEX   BIT(63)

struct net_header {
	u8 flags, gso_type;
	u16 hdr_len, gso_size, csum_start, csum_offset, num_buffers;
};

#define NET_RX_BUFS  8
#define NET_BUF_SIZE 1536

struct net {
	struct vdev *d;
	struct vq *rx, *tx, *ctrl;
	u8 mac[6];
	u8 *rx_buf[256];         /* by head */
	u32 rx_len;              /* of each */
	struct net_header *last; /* header of the packet that net_recv() returned */
	u32 last_len;            /* its used length */
};

struct net *net_open(struct vdev *d, u64 features);
/* One rx buffer of that many bytes more. */
void net_post(struct net *n, u32 len);
/* A whole Ethernet frame; true when it came back as used. */
bool net_send(struct net *n, const void *frame, u32 len);
/* The next frame or NULL; its buffer is posted again at the next call. */
u8 *net_recv(struct net *n, u32 *len, u64 us);
/* probe.peer=A.B.C.D and probe.ip=: whom to ask and as whom; false without them. */
bool net_peer(u32 *peer, u32 *own);
/* Asks who has the peer's address, and returns its answer's frame, or NULL. */
u8 *net_arp(struct net *n, u32 *len);
u32 net_arp_frame(struct net *n, u8 *frame, u32 peer, u32 own);
/* A command; returns its ack byte. */
u8 net_command(struct net *n, u8 class, u8 cmd, const void *data, u32 len);
void net_works(struct vdev *d);

/* --- console */
#define CON_F_SIZE        BIT(0)
#define CON_F_MULTIPORT   BIT(1)
#define CON_F_EMERG_WRITE BIT(2)

struct con {
	struct vdev *d;
	struct vq *rx, *tx;
	u8 *in; /* the rx buffer, 64 bytes */
};

struct con *con_open(struct vdev *d, u64 features);
struct done con_send(struct con *c, const void *data, u32 len);
void console_works(struct vdev *d);

/* Places that are not RAM, or not all of it; the last three wrap around. r has room for 16. */
struct range;
u32 places_outside_ram(struct vdev *d, struct range *r);
