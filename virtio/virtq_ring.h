/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * virtq_ring: what the ring's own files share: layouts, the state behind struct virtq, the two kinds
 * of ring, the request pool and the chain under construction. Nobody else includes this, but vhost.c,
 * which asks where a split ring lies.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lkvm/virtq.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "ring words are little-endian (1.4)");

enum {
	DESC_NEXT = 1 << 0,
	DESC_WRITE = 1 << 1,
	DESC_INDIRECT = 1 << 2,
	DESC_AVAIL = 1 << 7, /* packed */
	DESC_USED = 1 << 15, /* packed */
};

/* 2.7.5 */
struct split_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};
/* 2.7.6; after ring[size] comes used_event */
struct split_avail {
	uint16_t flags;
	uint16_t idx;
	uint16_t ring[];
};
/* 2.7.8; after ring[size] comes avail_event */
struct split_used {
	uint16_t flags;
	uint16_t idx;
	struct split_used_elem {
		uint32_t id;
		uint32_t len;
	} ring[];
};
/*
 * A split ring's areas as pointers, when its size can be one, they are aligned and all of them is RAM.
 * 0 or -EINVAL.
 */
struct split_areas {
	struct split_desc *desc;
	struct split_avail *avail;
	struct split_used *used;
};
int split_locate(const struct gmem *mem, const struct virtq_conf *conf, struct split_areas *areas);

/* 2.8.13 */
struct packed_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t id;
	uint16_t flags;
};
/* 2.8.14 */
struct packed_event {
	uint16_t off_wrap;
	uint16_t flags;
};

_Static_assert(sizeof(struct split_desc) == 16, "2.7.5");
_Static_assert(sizeof(struct split_avail) == 4, "2.7.6");
_Static_assert(offsetof(struct split_used, ring) == 4, "2.7.8");
_Static_assert(sizeof(struct split_used_elem) == 8, "2.7.8");
_Static_assert(sizeof(struct packed_desc) == 16, "2.8.13");
_Static_assert(sizeof(struct packed_event) == 4, "2.8.14");

/*
 * Bounds on what a guest can make us hold. A chain is as long as the ring, or CHAIN_MIN when the ring
 * is shorter (drivers put long tables into short rings). A request keeps room for up to KEEP_SEGS
 * pieces; more than that is taken for as long as it is out, and all that are out share KEEP_SEGS per
 * ring entry and a bit. So a ring of n entries never holds more than n * 8.4 KiB + 32 KiB, and next
 * to nothing before the first pop; chains of up to KEEP_SEGS pieces are never refused.
 */
#define CHAIN_MIN 1024
#define KEEP_SEGS 256
#define FEW_SEGS  8

/* A request and what the ring knows about it; the device sees the first member. */
struct slot {
	struct vreq req;
	struct slot *all;	      /* every slot of the pool */
	struct slot *older, *newer;   /* in_order: what is out, oldest first */
	uint16_t at;		      /* where next_avail was when it was popped */
	bool done;		      /* in_order: pushed, but something older isn't */
	bool writable;		      /* it has room for an answer */
	struct iovec few[FEW_SEGS];
};

static inline struct slot *slot_of(struct vreq *r)
{
	return (struct slot *)r;
}
_Static_assert(offsetof(struct slot, req) == 0, "slot_of");

/* What differs between split and packed. Each is called with a ring that runs. */
struct ring_kind {
	/* Checks the driver's choice and finds the areas; 0 or -EINVAL. */
	int (*map)(struct virtq *q);
	/* Is something left of what was seen? */
	bool (*left)(struct virtq *q);
	/* Is there something to take? Looks into the ring when nothing is known to be left. */
	bool (*ready)(struct virtq *q);
	/* Has something come since the last look? */
	bool (*news)(struct virtq *q);
	/* After ready: makes the next chain into r. False: nothing taken, the ring is broken. */
	bool (*take)(struct virtq *q, struct vreq *r);
	/* Steps back over r, the newest. */
	void (*untake)(struct virtq *q, struct vreq *r);
	/* Writes r's used entry where the driver doesn't look yet. */
	void (*stage)(struct virtq *q, struct vreq *r);
	/* Shows the driver everything staged. */
	void (*publish)(struct virtq *q);
	/* After publish and a full barrier: does the driver want to hear of this batch? */
	bool (*wants_call)(struct virtq *q);
	/* Asks for doorbells, or asks for silence. */
	void (*doorbell)(struct virtq *q, bool on);
};

extern const struct ring_kind split_ring, packed_ring;

struct virtq_ring {
	const struct ring_kind *kind;
	uint32_t size;
	union {
		struct split_desc *split;
		struct packed_desc *packed;
	} desc;
	union {
		struct split_avail *avail;
		struct packed_event *event;
	} driver;
	union {
		struct split_used *used;
		struct packed_event *event;
	} device;
	uint16_t *used_event, *avail_event; /* split, the driver's word and ours; event_idx */

	/* Positions: free-running (split), slot numbers with a wrap counter each (packed). */
	uint16_t next_avail, next_used;
	bool avail_wrap, used_wrap; /* packed */
	uint16_t seen;		    /* split: avail.idx when last read */
	uint16_t head_flags;	    /* packed: flags of slot next_avail when last read */
	bool known;		    /* packed: head_flags said available */
	uint16_t bell;		    /* flags word last written for the driver */
	bool bell_valid;

	uint32_t busy;		/* descriptors the driver has not got back */
	uint32_t staged;	/* completions not yet published ... */
	uint32_t staged_slots;	/* ... and the descriptors they give back */
	uint16_t first_flags;	/* packed: held back until publish ... */
	uint16_t *first;	/* ... and where they go */

	struct slot *oldest, *newest; /* in_order */

	struct vreq *free;
	struct slot *all;
	uint32_t chain_max; /* descriptors in one chain */
	uint32_t segs;	    /* iovec entries of requests that have more than KEEP_SEGS */
	uint32_t segs_max;

	uint64_t heads[]; /* split: one bit per head that is out */
};

/* --- guest words: read once, into a local --------------------------------------------------- */

#define ring_read(p)	 __atomic_load_n((p), __ATOMIC_RELAXED)
#define ring_acquire(p)	 __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define ring_write(p, v)   __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define ring_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)

/* Our stores before, our loads after; the only order x86 does not give by itself. */
static inline void ring_full_barrier(void)
{
#pragma GCC diagnostic push
#if __GNUC__ >= 11 && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wtsan" /* no data is handed over by it, so TSan needs not know */
#endif
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
#pragma GCC diagnostic pop
}

/* 16 bytes from anywhere (indirect tables need no alignment), never to be fetched again. */
static inline void ring_read_desc(void *dst, const void *src)
{
	memcpy(dst, src, sizeof(struct split_desc));
	__asm__ __volatile__("" ::: "memory");
}

/* 2.7.10: does the step from old to new pass the entry that was asked for? */
static inline bool ring_need_event(uint16_t event, uint16_t new, uint16_t old)
{
	return (uint16_t)(new - event - 1) < (uint16_t)(new - old);
}

/* The driver broke the ring: says so, once. Always false. */
bool virtq_break(struct virtq *q, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* --- virtq_chain.c -------------------------------------------------------------------------- */

/* An empty request, or NULL: no memory. Put takes it back. */
struct vreq *pool_get(struct virtq *q);
void pool_put(struct virtq *q, struct vreq *r);
void pool_free(struct virtq_ring *ring);

/* A request while it is being put together. */
struct chain {
	struct virtq *q;
	struct vreq *r;
	uint32_t descs; /* descriptors so far, tables included */
	uint16_t n_out; /* of r's pieces, those before the first writable one */
	bool writable;	/* a writable one has been seen */
	uint64_t out_bytes, in_bytes;
};

/* Each is false when the ring has been found broken. */
bool chain_add(struct chain *c, uint64_t gpa, uint32_t len, bool write);
bool chain_add_split_table(struct chain *c, uint64_t gpa, uint32_t len);
bool chain_add_packed_table(struct chain *c, uint64_t gpa, uint32_t len);
/* Sets r's cursors. */
void chain_end(struct chain *c);
