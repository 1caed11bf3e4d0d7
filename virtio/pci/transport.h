/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * transport: what the modern and the legacy face of a virtio PCI device share: status, features,
 * queues, vectors, interrupt status and reset. Virtio 1.x section 4.1.
 *
 * A transitional device has two register sets for one state, and a driver uses one of them. The
 * first that is written to after a reset owns the device until the next reset. Meanwhile the other
 * face is that of a device nobody drives: state reads as 0 (vectors as "none"), constants read as
 * always, writes and doorbell traps are ignored; only a 0 written to its status register is heard,
 * and resets the device, so that an operating system can take over what a boot loader left behind.
 * Reading never claims anything, nor does writing a select register. The in-kernel doorbells of the
 * modern face stay connected: ringing one makes the device look at a ring it may look at anyway.
 *
 * Threads: everything under the function's slot lock, but for what the irq_lock covers.
 */
#pragma once

#include <pthread.h>

#include "lkvm/pci.h"
#include "lkvm/vdev.h"
#include "lkvm/virtio.h"
#include "lkvm/vport.h"

#define VIRTIO_PCI_VENDOR 0x1af4
#define VIRTIO_NO_VECTOR 0xffff
/* Whose vendor data the feature blocks are. We have no vendor id; this one is nobody's: "LK". */
#define VP_BLOCKS_VENDOR 0x4b4c

enum { /* device_status, 2.1 */
	VIRTIO_S_ACKNOWLEDGE = 1,
	VIRTIO_S_DRIVER = 2,
	VIRTIO_S_DRIVER_OK = 4,
	VIRTIO_S_FEATURES_OK = 8,
	VIRTIO_S_NEEDS_RESET = 64,
	VIRTIO_S_FAILED = 128,
};

enum { VIRTIO_ISR_QUEUE = 1, VIRTIO_ISR_CONFIG = 2 }; /* 4.1.4.5 */

enum vp_face { VP_NOBODY, VP_MODERN, VP_LEGACY };

enum { VP_BAR_LEGACY = 0, VP_BAR_MSIX = 1, VP_BAR_MODERN = 4 };

struct vp_queue {
	struct virtio_pci *vp;
	unsigned index;
	int kick_fd; /* what a doorbell rings; its counter is drained at reset */
	struct pci_doorbell doorbell;

	/* The driver's choices; vp_queue_defaults() is the state after reset. */
	uint16_t size;	 /* 0: as many as there can be */
	uint16_t vector; /* MSI-X, or VIRTIO_NO_VECTOR */
	bool enabled;	 /* and served by the port */
	uint64_t desc, driver, device;
	uint32_t pfn;	 /* legacy */
};

struct virtio_pci {
	struct pci_func func;
	struct vport *port;
	enum virtio_layout layout;
	enum vp_face owner;
	struct vp_queue *queue;

	uint8_t status; /* without NEEDS_RESET, which is `failed` */
	uint32_t device_feature_select, driver_feature_select;
	uint32_t driver_feature[4]; /* by window; what is beyond 128 bits can't be accepted */
	uint64_t accepted;	    /* once final (`settled`) */
	bool settled;		    /* the port was told */
	uint16_t queue_select;
	bool msix_on;		    /* as the queues' calls know it */
	bool started;		    /* the port was: it is live, and bus master was on */
	bool halted;		    /* bus master went off after that: no queue runs until reset */
	unsigned window;	    /* of the PCI configuration access capability; 0: none */
	unsigned blocks_len;	    /* of the feature blocks; 0: none */

	/*
	 * The device's thread raises interrupts while a vCPU reads or resets: interrupt status, its
	 * line and the right to notify at all change together. Innermost; never held while
	 * blocking.
	 */
	pthread_mutex_t irq_lock;
	uint8_t isr;
	bool live;	    /* DRIVER_OK: may notify */
	bool failed;	    /* NEEDS_RESET */
	bool changed_early; /* configuration changed before DRIVER_OK: tell then */
	uint16_t config_vector;
};

/* --- register tables ------------------------------------------------------------------------- */

enum {
	VP_CONST = 1 << 0, /* no driver's state: reads the same for a face that isn't in use */
	VP_ONES = 1 << 1,  /* otherwise it reads all-ones there, not 0 */
	VP_SELECT = 1 << 2, /* written in order to read something: does not claim the device */
};

/*
 * One register. Any access works on any part of it, or on several at once: a read puts the bytes
 * together; a write merges its bytes into each register it touches, in ascending order, and sets it
 * once. Bytes that are nobody's read 0. set == NULL: read-only.
 */
struct vp_reg {
	uint8_t off, width, flags;
	const char *name;
	uint64_t (*get)(struct virtio_pci *vp);
	void (*set)(struct virtio_pci *vp, uint64_t val);
};

uint64_t vp_regs_read(struct virtio_pci *vp, enum vp_face face, const struct vp_reg *regs,
		      unsigned n, uint64_t off, unsigned len);
void vp_regs_write(struct virtio_pci *vp, enum vp_face face, const struct vp_reg *regs, unsigned n,
		   uint64_t off, unsigned len, uint64_t val);

/* --- the shared state ------------------------------------------------------------------------ */

/* May this face see and change the device's state? */
static inline bool vp_owns(const struct virtio_pci *vp, enum vp_face face)
{
	return vp->owner == VP_NOBODY || vp->owner == face;
}
/* The same for a write, which claims the device. */
bool vp_claim(struct virtio_pci *vp, enum vp_face face);

uint8_t vp_status(struct virtio_pci *vp);
void vp_reset(struct virtio_pci *vp);
void vp_settle(struct virtio_pci *vp, uint64_t features); /* these are final */
void vp_go_live(struct virtio_pci *vp);			  /* the driver is ready */
void vp_fail(struct virtio_pci *vp, const char *why);	  /* NEEDS_RESET, logged */

static inline uint64_t vp_driver_features(const struct virtio_pci *vp)
{
	return (uint64_t)vp->driver_feature[1] << 32 | vp->driver_feature[0];
}

/* The selected queue; NULL: there is no such queue. */
struct vp_queue *vp_selected(struct virtio_pci *vp);
unsigned vp_queue_max(const struct vp_queue *q);
unsigned vp_queue_size(const struct vp_queue *q);
int vp_queue_start(struct vp_queue *q); /* at desc, driver, device; 0 or -errno */
void vp_queue_stop(struct vp_queue *q);
void vp_queue_defaults(struct vp_queue *q);
void vp_queue_set_vector(struct vp_queue *q, uint16_t vector);
void vp_ring(struct virtio_pci *vp, unsigned n); /* the doorbell's trap; any n */

/* The port's, on any thread. */
void vp_changed(void *opaque);
void vp_failed(void *opaque);
/* The function's, on a vCPU. */
void vp_config_written(void *opaque, unsigned off, unsigned len);

uint16_t vp_config_vector(struct virtio_pci *vp);
void vp_set_config_vector(struct virtio_pci *vp, uint16_t vector);
uint8_t vp_read_isr(struct virtio_pci *vp); /* and clears it */

void vp_legacy_init(struct virtio_pci *vp);   /* legacy.c */
int vp_modern_init(struct virtio_pci *vp);    /* modern.c: 0 or -errno, logged */
/* caps.c */
int vp_caps_init(struct virtio_pci *vp);
void vp_window_read(void *opaque, unsigned off, unsigned len);
void vp_window_write(struct virtio_pci *vp, unsigned off, unsigned len);

int vp_blocks_init(struct virtio_pci *vp); /* blocks.c: 0 or -errno, logged */
uint64_t vp_blocks_read(struct virtio_pci *vp, unsigned off, unsigned len);
void vp_blocks_write(struct virtio_pci *vp, unsigned off, unsigned len, uint64_t val);

/* Where the structures lie in VP_BAR_MODERN: a page each, so that a guest can map them apart. */
enum {
	VP_COMMON_OFF = 0x0000,
	VP_COMMON_LEN = 0x40,
	VP_ISR_OFF = 0x1000,
	VP_ISR_LEN = 1,
	VP_DEVICE_OFF = 0x2000,
	VP_BLOCKS_OFF = 0x3000,
	VP_NOTIFY_OFF = 0x4000,
	VP_NOTIFY_STEP = 4, /* notify_off_multiplier; a multiple of 4 for NOTIFICATION_DATA */
};
