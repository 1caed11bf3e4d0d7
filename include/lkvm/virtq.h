/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * virtq: one virtqueue, device side; the checked door through which every guest buffer comes.
 * Virtio 1.x section 2.7 (split) and 2.8 (packed) behind the same verbs.
 *
 * A device sees requests, not descriptors. virtq_pop() reads each guest word once, checks it, and
 * hands out a request whose every byte lies in RAM, readable part before writable part, total below
 * 4 GiB; or it finds the ring broken, says so once through fail, and gives NULL from then on.
 *
 * Threads: a queue belongs to one loop from start to stop; nothing here locks.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "lkvm/gmem.h"
#include "lkvm/irq.h"

#define VIRTQ_SIZE_MAX 32768

/* Guest-readable bytes: what the driver sent. Copies out, so that nothing is read twice. */
struct vreader {
	const struct iovec *iov;
	unsigned n;  /* entries left, the current one included */
	size_t off;  /* into the current entry */
	size_t left; /* bytes left */
};

/* Guest-writable bytes: the device's answer. done counts what was written, from the first byte. */
struct vwriter {
	const struct iovec *iov;
	unsigned n;
	size_t off;
	size_t left;
	size_t done;
};

struct vreq {
	struct vreader out; /* driver -> device */
	struct vwriter in;  /* device -> driver */
	struct virtq *q;
	/*
	 * What virtq_push() reports as used.len: the number of bytes stored, counted from the first
	 * writable one (2.7.8.2). Set by push from in.done, unless the device set len_set.
	 */
	uint32_t len;
	bool len_set;
	void *opaque; /* the device's own, NULL when popped */
	/* the rest is virtq.c's */
	uint16_t id;	/* head index (split) or buffer id (packed) */
	uint16_t slots; /* ring slots it takes (packed) */
	uint16_t n_iov, cap_iov;
	struct iovec *iov;
	struct vreq *next;
};

/* Everything the driver chose; kept by the transport, copied by virtq_start. */
struct virtq_conf {
	uint32_t size;			/* entries; power of two unless packed */
	uint64_t desc, driver, device;	/* gpa of the three areas */
	bool packed;			/* F_RING_PACKED */
	bool indirect;			/* F_INDIRECT_DESC negotiated */
	bool event_idx;			/* F_EVENT_IDX negotiated */
	bool in_order;			/* F_IN_ORDER negotiated */
	bool notify_on_empty;		/* legacy F_NOTIFY_ON_EMPTY negotiated */
};

struct virtq {
	const struct gmem *mem;
	struct virtq_conf conf;
	const char *name; /* for messages: "blk0 queue 1" */
	struct irq call;  /* used-buffer notification; may be changed on the loop at any time */
	/*
	 * Called once, from virtq_pop(), when the ring is found broken, with a sentence about it that
	 * doesn't contain the name. Then pop gives NULL; what is in flight can still be pushed and
	 * flushed. Must not stop the queue itself.
	 */
	void (*fail)(void *opaque, const char *why);
	/* Called when the first completion is staged after a flush: time to arrange for one. */
	void (*staged)(void *opaque);
	void *opaque;

	unsigned in_flight; /* popped and not yet pushed */
	bool running, broken;
	struct {
		uint64_t pops, pushes, flushes, calls; /* for tests and benches */
	} stat;
	struct virtq_ring *ring; /* virtq.c's: pointers, indices, request pool */
};

/*
 * Checks sizes, alignment and that the three areas are RAM, then takes ring state from the start
 * (indices 0, wrap counters 1). 0, or -EINVAL with nothing allocated (a driver's mistake: the caller
 * makes it visible), or -ENOMEM. fail, staged, opaque, name and call are set by the caller before.
 */
int virtq_start(struct virtq *q, const struct gmem *mem, const struct virtq_conf *conf);

/*
 * Frees all, and touches guest memory no more: what was staged and not flushed is never shown.
 * Requests still out become invalid, so the device has dropped them before.
 */
void virtq_stop(struct virtq *q);

/* The next request, fully checked, or NULL: empty, or broken and already reported. */
struct vreq *virtq_pop(struct virtq *q);
/*
 * Gives the newest popped request back untouched (throttled, no room yet). Newest first; something
 * popped later must not have been pushed in between.
 */
void virtq_unpop(struct virtq *q, struct vreq *r);
/*
 * Stages a completion: any order, any later turn. r is gone. With in_order negotiated it is held back
 * until everything popped before it has been pushed.
 */
void virtq_push(struct virtq *q, struct vreq *r);
/* Publishes what was staged: one index store, one interrupt decision, at most one event. */
void virtq_flush(struct virtq *q);

/*
 * Doorbells. virtq_quiet: I am looking, don't ring. virtq_listen: ring again from now on; true when
 * more has arrived in between, so that the caller looks once more instead of sleeping (2.7.10, 2.8.10).
 *
 * "More" is what this side has not seen yet. A device that stops before pop gives NULL (throttled, out
 * of budget, no packet for the buffers there) knows that there is more, must come back by itself, and
 * isn't told again; so listen never keeps a caller spinning.
 */
void virtq_quiet(struct virtq *q);
bool virtq_listen(struct virtq *q);

/*
 * Has everything been taken that this side has seen? Doesn't look itself: `if (virtq_empty(q) &&
 * virtq_listen(q)) look again` loses nothing, however late a buffer comes.
 */
bool virtq_empty(struct virtq *q);

/* Something to pop, as far as this side can see by looking now? For who polls: quiet, look, listen. */
bool virtq_ready(struct virtq *q);

/* --- cursors: all of it or nothing, except where a count is returned ------------------------- */

bool vread(struct vreader *rd, void *dst, size_t len); /* all of len, or false and nothing moved */
bool vread_skip(struct vreader *rd, size_t len);
bool vwrite(struct vwriter *wr, const void *src, size_t len);
bool vwrite_zero(struct vwriter *wr, size_t len);

/* Cuts rd / wr at `at` bytes from here: the first part stays, tail gets the rest. False: shorter. */
bool vreader_split(struct vreader *rd, size_t at, struct vreader *tail);
bool vwriter_split(struct vwriter *wr, size_t at, struct vwriter *tail);

/*
 * The next bytes (at most max of them) as an iovec, for readv, writev and io_submit only. Returns the
 * entries filled in; -1 when cap entries don't hold them. Doesn't move the cursor: reading is
 * followed by vread_skip, writing by vwriter_commit(n) with what was really stored.
 */
int vreader_iov(const struct vreader *rd, size_t max, struct iovec *iov, int cap);
int vwriter_iov(const struct vwriter *wr, size_t max, struct iovec *iov, int cap);
bool vwriter_commit(struct vwriter *wr, size_t len);

/*
 * used.len of an answer that was split in two: tail's bytes count only when none before them is
 * missing. A block device with its status byte in tail sets r->len = vwriter_joined(&r->in, &tail)
 * and r->len_set: data and status for a read that went well, 1 for a write, and no status counted
 * after data that fell short.
 */
static inline uint32_t vwriter_joined(const struct vwriter *wr, const struct vwriter *tail)
{
	return (uint32_t)(wr->done + (wr->left ? 0 : tail->done));
}
