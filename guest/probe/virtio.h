/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A virtio driver's hands: every register of a virtio-pci function and every word of its rings can
 * be read and written raw, and the polite sequence is there as functions for what is not the point
 * of a subtest.
 *
 *	vd_begin(d, features);			reset .. FEATURES_OK
 *	struct vq *q = vq_new(d, 0, 16);	ring allocated, programmed and enabled
 *	vd_go(d);				DRIVER_OK
 *	struct done x = vq_do(q, bufs, n);	chain, offer, kick, wait
 */
#pragma once

#include "pci.h"
#include "test.h"

/* Common configuration structure. */
#define C_DEVICE_FEATURE_SELECT 0x00
#define C_DEVICE_FEATURE        0x04
#define C_DRIVER_FEATURE_SELECT 0x08
#define C_DRIVER_FEATURE        0x0c
#define C_CONFIG_VECTOR         0x10
#define C_NUM_QUEUES            0x12
#define C_STATUS                0x14
#define C_GENERATION            0x15
#define C_QUEUE_SELECT          0x16
#define C_QUEUE_SIZE            0x18
#define C_QUEUE_VECTOR          0x1a
#define C_QUEUE_ENABLE          0x1c
#define C_QUEUE_NOTIFY_OFF      0x1e
#define C_QUEUE_DESC            0x20
#define C_QUEUE_DRIVER          0x28
#define C_QUEUE_DEVICE          0x30
#define C_QUEUE_NOTIFY_DATA     0x38
#define C_QUEUE_RESET           0x3a

/* Legacy registers. */
#define L_DEVICE_FEATURE 0x00
#define L_DRIVER_FEATURE 0x04
#define L_QUEUE_PFN      0x08
#define L_QUEUE_SIZE     0x0c
#define L_QUEUE_SELECT   0x0e
#define L_QUEUE_NOTIFY   0x10
#define L_STATUS         0x12
#define L_ISR            0x13
#define L_CONFIG_VECTOR  0x14
#define L_QUEUE_VECTOR   0x16

#define S_ACKNOWLEDGE 1
#define S_DRIVER      2
#define S_DRIVER_OK   4
#define S_FEATURES_OK 8
#define S_NEEDS_RESET 64
#define S_FAILED      128

#define F_NOTIFY_ON_EMPTY   BIT(24)
#define F_ANY_LAYOUT        BIT(27)
#define F_INDIRECT          BIT(28)
#define F_EVENT_IDX         BIT(29)
#define F_VERSION_1         BIT(32)
#define F_ACCESS_PLATFORM   BIT(33)
#define F_PACKED            BIT(34)
#define F_IN_ORDER          BIT(35)
#define F_ORDER_PLATFORM    BIT(36)
#define F_SR_IOV            BIT(37)
#define F_NOTIFICATION_DATA BIT(38)
#define F_NOTIF_CONFIG_DATA BIT(39)
#define F_RING_RESET        BIT(40)
#define F_ADMIN_VQ          BIT(41)

#define NO_VECTOR 0xffff

enum { CFG_COMMON = 1, CFG_NOTIFY, CFG_ISR, CFG_DEVICE, CFG_PCI, CFG_SHM = 8, CFG_VENDOR = 9 };

/* A structure inside a BAR, memory or I/O. */
struct region {
	u8 cap; /* its capability's offset, 0: absent */
	u8 bar;
	bool io;
	u32 off, len;
	u64 base;
};

u8 reg_r8(const struct region *r, u32 off);
u16 reg_r16(const struct region *r, u32 off);
u32 reg_r32(const struct region *r, u32 off);
u64 reg_r64(const struct region *r, u32 off); /* as two halves */
void reg_w8(const struct region *r, u32 off, u8 v);
void reg_w16(const struct region *r, u32 off, u16 v);
void reg_w32(const struct region *r, u32 off, u32 v);
void reg_w64(const struct region *r, u32 off, u64 v); /* as two halves, low first */

struct vdev {
	struct func *f;
	u8 type;
	char name[24];
	bool modern, legacy;
	struct region common, notify, isr, config;
	struct region io; /* the legacy register block */
	u8 pcicfg;        /* offset of the configuration access capability */
	u32 notify_mul;
	u64 offered;
	u32 num_queues;
	u64 features; /* what vd_begin() had accepted */
	bool msix;    /* vq_new() gives queue n vector n + 1 */
	bool old;     /* driven by the legacy registers, since lg_begin() */
};

#define MAX_VDEVS 16
extern struct vdev vdevs[MAX_VDEVS];
extern u32 vdev_count;

void virtio_init(void);
void virtio_restore(struct vdev *d); /* its function's registers as found, the device reset */
void virtio_works(struct vdev *d);   /* a request goes through, or the check fails */
/* The first capability of that structure type after `from`, 0 without. */
u8 vcap_next(struct vdev *d, u8 type, u8 from);
/* Works out again where the structures are, after a BAR has moved. */
void vd_locate(struct vdev *d);

u8 vd_status(struct vdev *d);
void vd_set_status(struct vdev *d, u8 s);
bool vd_reset(struct vdev *d); /* false when the status never came to read 0 */
u64 vd_offered(struct vdev *d);
void vd_accept(struct vdev *d, u64 features); /* all 64 bits, as they are */
u64 vd_accepted(struct vdev *d);
bool vd_negotiate(struct vdev *d, u64 features); /* reset .. FEATURES_OK; did it stick? */
void vd_begin(struct vdev *d, u64 want); /* those of `want` that are offered, and VERSION_1 */
void vd_go(struct vdev *d);
void vd_msix(struct vdev *d); /* before vd_begin(): MSI-X on, config vector 0, queue n vector n+1 */
void vd_msix_config(struct vdev *d);      /* after a reset: map the config vector again */
u16 vd_vector(struct vdev *d, u16 queue); /* the entry that vq_new() maps a queue to */
void vd_select(struct vdev *d, u16 queue);

/*
 * The legacy face: lg_begin() resets, says 1 and 3 and accepts `want` of what is offered there;
 * lg_queue() gives the device a ring of the size it wants; the vq_* functions do the rest.
 */
struct vq;
u32 lg_begin(struct vdev *d, u32 want);
struct vq *lg_queue(struct vdev *d, u16 index);
void lg_go(struct vdev *d);
void lg_status(struct vdev *d, u8 status);
u16 lg_config(struct vdev *d); /* the port of the first configuration byte, MSI-X or not */

/* Rings. */
#define D_NEXT     1
#define D_WRITE    2
#define D_INDIRECT 4
#define P_AVAIL    BIT(7)
#define P_USED     BIT(15)

struct desc {
	u64 addr;
	u32 len;
	u16 flags, next;
};

struct pdesc {
	u64 addr;
	u32 len;
	u16 id, flags;
};

struct avail {
	u16 flags, idx, ring[];
};

struct used_elem {
	u32 id, len;
};

struct used {
	u16 flags, idx;
	struct used_elem ring[];
};

struct vq {
	struct vdev *d;
	u16 index, size;
	bool packed;
	u64 doorbell; /* guest physical or port address */
	/* split */
	volatile struct desc *desc;
	volatile struct avail *avail;
	volatile struct used *used;
	/* packed: the ring, the driver's and the device's event areas */
	volatile struct pdesc *ring;
	volatile u16 *driver, *device; /* [0] offset and wrap, [1] flags */
	bool wrap, seen_wrap;
	u16 first_flags[256]; /* of a chain that has not been offered yet, by its first slot */
	u16 chain_len[256];
	/* both */
	u16 next; /* descriptor or slot that the next chain begins with */
	u16 seen; /* split: used entries taken; packed: slot of the next one */
};

struct buf {
	const volatile void *p;
	u32 len;
	bool in; /* written by the device */
};

struct done {
	u32 id, len;
};

#define MAX_VQS 16

/* Allocates a ring of `size` (0: the device's maximum, at most 256), programs and enables it. */
struct vq *vq_new(struct vdev *d, u16 index, u16 size);
/* The same in two steps, for what goes between: memory first, then the registers. */
struct vq *vq_alloc(struct vdev *d, u16 index, u16 size);
void vq_program(struct vq *q);
void vq_enable(struct vq *q);
u64 vq_doorbell(struct vdev *d, u16 index);

u16 vq_chain(struct vq *q, const struct buf *bufs, u32 n);
u16 vq_indirect(struct vq *q, const struct buf *bufs, u32 n); /* the same chain, in a table */
void vq_offer(struct vq *q, u16 head);
void vq_kick(struct vq *q);
bool vq_has_used(struct vq *q);
struct done vq_take(struct vq *q); /* the next used one, which must be there */
struct done vq_wait(struct vq *q);
struct done vq_do(struct vq *q, const struct buf *bufs, u32 n);
