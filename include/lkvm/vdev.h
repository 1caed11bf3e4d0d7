/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * vdev: the core shared by every device that runs in this process, and the vport it shows.
 *
 * A device is a vdev_class and a few verbs, all of which run on the device's loop; it contains no
 * lock, no thread and no signal handler. A device with many queues can have them on several loops
 * (vdev_spread): then what belongs to a queue is touched on the queue's loop only, and what belongs
 * to the device on its home, the first of them. The core does features, configuration bytes with their
 * generation, the kick path (quiet, kick, listen, look again), one flush per turn, failure and reset.
 *
 * A random number device, whole:
 *
 *	static void rng_kick(struct vdev *dev, unsigned n)
 *	{
 *		struct virtq *q = vdev_queue(dev, n);
 *		struct vreq *r;
 *		uint8_t buf[256];
 *
 *		while (vdev_budget(dev, n) && (r = virtq_pop(q))) {
 *			size_t len = r->in.left < sizeof(buf) ? r->in.left : sizeof(buf);
 *
 *			if (getrandom(buf, len, 0) == (ssize_t)len)
 *				vwrite(&r->in, buf, len);
 *			virtq_push(q, r);
 *		}
 *	}
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "lkvm/gmem.h"
#include "lkvm/loop.h"
#include "lkvm/virtq.h"
#include "lkvm/vport.h"

#define VDEV_CONFIG_MAX 256

/* Feature bits of section 6, common to all devices. */
enum {
	VIRTIO_F_NOTIFY_ON_EMPTY = 24, /* legacy */
	VIRTIO_F_ANY_LAYOUT = 27,      /* legacy */
	VIRTIO_F_INDIRECT_DESC = 28,
	VIRTIO_F_EVENT_IDX = 29,
	VIRTIO_F_VERSION_1 = 32,
	VIRTIO_F_ACCESS_PLATFORM = 33,
	VIRTIO_F_RING_PACKED = 34,
	VIRTIO_F_IN_ORDER = 35,
	VIRTIO_F_NOTIFICATION_DATA = 38,
	VIRTIO_F_NOTIF_CONFIG_DATA = 39,
	VIRTIO_F_RING_RESET = 40,
};

#define VBIT(n) (1ULL << (n))

struct vdev;

/* Feature `bit` needs at least one of the bits in any_of. */
struct vdev_dep {
	int bit; /* < 0 ends the table */
	uint64_t any_of;
};

/* A feature's name on the command line, the specification's in lower case: "blk_size". */
struct vdev_word {
	const char *name; /* NULL ends the table */
	int bit;
};

struct vdev_class {
	const char *name;	 /* "blk" */
	uint16_t id;		 /* virtio device type number, section 5 */
	const struct vdev_dep *deps; /* NULL: none beside the ring's own */
	const struct vport_field *fields;
	const struct vdev_word *words; /* its features' names for features=+x,-y; NULL: none */

	/*
	 * Those with a queue's number on the loop of that queue, all others at home; any may be NULL
	 * except kick and close.
	 */
	void (*accept)(struct vdev *dev);			 /* dev->accepted is final */
	int (*queue_start)(struct vdev *dev, unsigned n);	 /* ring n is running; -errno refuses */
	void (*start)(struct vdev *dev);			 /* DRIVER_OK */
	/*
	 * Something may be in ring n: pop until it is empty, or the budget is spent, or the device can't
	 * go on. The core has hushed the doorbell and afterwards does what fits: ring empty: listen,
	 * and look once more; budget spent: kick again next turn; else nothing, as the device goes on
	 * by itself when it can (a packet arrives, the terminal takes bytes again), with vdev_rekick
	 * or by popping there and then, and calls vdev_listen if that leaves it wanting buffers.
	 */
	void (*kick)(struct vdev *dev, unsigned n);
	/* Wait for (or drop) everything in flight of ring n; push nothing after return. */
	void (*queue_stop)(struct vdev *dev, unsigned n);
	/* The device is being reset; queue n, were it ever started, has been stopped. */
	void (*queue_reset)(struct vdev *dev, unsigned n);
	/* Before close: frees what is bound to the queue's loop. */
	void (*queue_close)(struct vdev *dev, unsigned n);
	/*
	 * The driver wrote dev->config[off..off+len): val holds the bytes. The class stores what it
	 * accepts with vdev_config_set(); anything else stays as it was.
	 */
	void (*config_write)(struct vdev *dev, unsigned off, const uint8_t *val, unsigned len);
	void (*reset)(struct vdev *dev); /* all queues have been stopped; back to the state after open */
	void (*close)(struct vdev *dev); /* frees the device, dev included */
};

struct vdev_queue {
	struct virtq ring;
	struct vdev *dev;
	struct loop *loop; /* what follows belongs to it; changes only while the queue is stopped */
	unsigned index;
	unsigned max;	 /* entries; 0: no such queue */
	bool enabled;	 /* queue_start came */
	bool serving;	 /* ... and DRIVER_OK, or legacy's first use */
	unsigned budget; /* what is left of this turn; see vdev_budget */
	char name[48];
	struct loop_fd kick;
	struct loop_task flush; /* end of turn: virtq_flush */
	struct loop_poll poll;	/* on a loop that polls: looks at the ring in place of listening */
};

struct vdev {
	const struct vdev_class *class;
	struct vport port;
	struct loop *loop;	   /* home */
	struct loop **lane;	   /* the queues' loops, home first */
	unsigned n_lanes;
	const struct gmem *mem;
	char name[24];
	uint64_t accepted; /* valid from accept to reset */
	bool modern;	   /* VERSION_1 was accepted: 1.x headers and rules, not the legacy ones */
	bool live;	   /* DRIVER_OK (or legacy's first use) */
	atomic_bool failed;
	uint64_t possible; /* features that `features=+x` may turn on */
	struct vdev_queue *queue;
	unsigned nqueues;

	pthread_mutex_t config_lock;
	uint8_t config[VDEV_CONFIG_MAX];
	uint8_t config_reset[VDEV_CONFIG_MAX]; /* what reset brings back */
	unsigned config_len;
	bool config_dirty; /* changed since the generation was last read */
	uint8_t generation;
};

/*
 * Prepares dev (embedded in the device's struct, zeroed). features are the device type's own bits;
 * the core adds the ring's and VERSION_1, then applies the user's mask (vdev_mask) later. Queues are
 * described by max entries each. Returns 0 or -errno.
 */
int vdev_init(struct vdev *dev, const struct vdev_class *class, const char *name, struct loop *loop,
	      const struct gmem *mem, uint64_t features, const unsigned *queue_max, unsigned nqueues);
void vdev_fini(struct vdev *dev); /* from class->close */

/*
 * Queue n on loops[n % n_loops], in place of all on one; loops[0] is the loop that vdev_init got. 0 or
 * -ENOMEM. Before the device is used. vdev_place moves a queue that is stopped, from accept.
 */
int vdev_spread(struct vdev *dev, struct loop *const *loops, unsigned n_loops);
void vdev_place(struct vdev *dev, unsigned n, unsigned lane);

/*
 * The initial configuration, before the machine runs; reset restores it. len sets config_len.
 */
void vdev_config_init(struct vdev *dev, const void *config, unsigned len);
/* On the loop: changes bytes; tells the driver when notify. */
void vdev_config_set(struct vdev *dev, unsigned off, const void *src, unsigned len, bool notify);
/* The same, but it outlives a reset (link state, capacity, terminal size). */
void vdev_config_keep(struct vdev *dev, unsigned off, const void *src, unsigned len, bool notify);

/* Ring and transport features that are there but not offered unless asked for. */
#define VDEV_OPTIONAL                                                                              \
	(VBIT(VIRTIO_F_RING_PACKED) | VBIT(VIRTIO_F_IN_ORDER) |                                    \
	 VBIT(VIRTIO_F_NOTIFICATION_DATA) | VBIT(VIRTIO_F_NOTIF_CONFIG_DATA))

/*
 * "+packed,-event_idx" on top of what is offered: plus only brings back or enables what the device
 * can do (off by default: see VDEV_OPTIONAL), minus removes a bit and all that depend on it.
 * list may be NULL. Returns 0 or -EINVAL, logged with the words it knows.
 */
int vdev_mask(struct vdev *dev, const char *list);

static inline struct virtq *vdev_queue(struct vdev *dev, unsigned n)
{
	return &dev->queue[n].ring;
}

static inline bool vdev_has(const struct vdev *dev, int bit)
{
	return dev->accepted & VBIT(bit);
}

/*
 * Bounds one turn of queue n: true and one unit taken while there is some left. Else false, and the
 * queue is kicked again on the next turn, after everybody else had theirs.
 */
bool vdev_budget(struct vdev *dev, unsigned n);

/*
 * Outside kick: ring n was found empty and the device wants to hear of the next buffer. Kicks again
 * by itself if one has come in between. On the queue's loop.
 */
void vdev_listen(struct vdev *dev, unsigned n);

/* Kick ring n again on the next turn (work is left that no doorbell will announce). On its loop. */
void vdev_rekick(struct vdev *dev, unsigned n);

/*
 * The driver broke a rule only a reset mends: NEEDS_RESET, logged once, kicks ignored until then. On
 * any of its loops.
 */
void vdev_fail(struct vdev *dev, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
