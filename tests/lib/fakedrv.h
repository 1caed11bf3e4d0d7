/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * fakedrv: a driver in host memory, for tests of the ring and of devices without KVM: guest RAM, a
 * ring of either kind in it, buffers offered and taken back, events asked for and doorbells decided.
 *
 * It is written from the specification alone (2.7, 2.8) and shares no definition with virtio/, so that
 * a misread layout doesn't cancel out. What is `struct drv_split` or `d->desc` here may be scribbled
 * on by a test that plays a driver gone wrong. drv_* may run in a thread of its own.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lkvm/gmem.h"
#include "lkvm/virtq.h"

#define DRV_BASE 0x100000ULL /* gpa of the first byte of RAM */

enum { F_NEXT = 1, F_WRITE = 2, F_INDIRECT = 4, F_AVAIL = 0x80, F_USED = 0x8000 };
enum { EV_ENABLE, EV_DISABLE, EV_DESC };

/* 16 bytes both; the last two words trade places. */
struct drv_desc {
	uint64_t addr;
	uint32_t len;
	union {
		struct {
			uint16_t flags, next;
		} s;
		struct {
			uint16_t id, flags;
		} p;
	};
};

struct drv_seg {
	uint64_t gpa;
	uint32_t len;
	bool write;
};

struct drv {
	struct gmem mem; /* drv_open only */
	uint8_t *ram;
	size_t ram_len;
	uint64_t base; /* gpa of ram[0] */
	bool own_ram;
	struct virtq_conf conf;
	uint32_t size;
	uint64_t data; /* gpa of the first byte after the ring's areas */

	struct drv_desc *desc;
	uint16_t *avail; /* split: flags, idx, ring[], used_event; packed: off_wrap, flags */
	uint16_t *used;	 /* split: flags, idx, {id32, len32}[], avail_event; packed: as above */

	uint16_t next_avail, next_used; /* free-running (split), slots (packed) */
	bool avail_wrap, used_wrap;	/* packed */
	uint16_t shown;			/* split: avail.idx as last published */
	uint16_t *first;		/* packed: flags held back until publish ... */
	uint16_t first_flags;		/* ... and their value */
	uint16_t added;			/* slots or entries since the last publish */
	uint32_t free;			/* descriptors */
	uint16_t *free_list;		/* FIFO: split descriptors, packed ids */
	uint32_t free_head, free_tail;
	uint16_t *slots; /* by id: how many descriptors it took */
};

static inline void *drv_ptr(struct drv *d, uint64_t gpa)
{
	return d->ram + (gpa - d->base);
}

/* All zero, as after a driver's allocation; the driver's own state back to the start. */
static inline void drv_reset(struct drv *d)
{
	memset(d->ram, 0, d->data - d->base);
	d->next_avail = d->next_used = d->shown = d->added = 0;
	d->avail_wrap = d->used_wrap = true;
	d->first = NULL;
	d->free = d->size;
	d->free_head = d->free_tail = 0;
	for (uint32_t i = 0; i < d->size; i++)
		d->free_list[i] = (uint16_t)i;
}

/* Where the ring's areas lie from base on: the smallest alignments there are, and no gaps but those. */
static inline void drv_layout(struct drv *d, const struct virtq_conf *conf, uint64_t base)
{
	uint64_t n = conf->size, at = base;

	*d = (struct drv){ .conf = *conf, .size = conf->size, .base = base };
	d->mem.fd = -1;
	d->conf.desc = at;
	at += 16 * n;
	at = conf->packed ? at + 4 : at + 2;
	d->conf.driver = at;
	at += conf->packed ? 4 : 6 + 2 * n;
	at = (at + 3) / 4 * 4;
	d->conf.device = at;
	at += conf->packed ? 4 : 6 + 8 * n;
	d->data = (at + 4095) / 4096 * 4096;
}

static inline void drv_attach(struct drv *d, uint8_t *ram, size_t ram_len)
{
	d->ram = ram;
	d->ram_len = ram_len;
	d->desc = drv_ptr(d, d->conf.desc);
	d->avail = drv_ptr(d, d->conf.driver);
	d->used = drv_ptr(d, d->conf.device);
	d->free_list = calloc(d->size, sizeof(*d->free_list));
	d->slots = calloc(65536, sizeof(*d->slots));
	drv_reset(d);
}

/* A ring with RAM of its own: d->mem is a guest with just that. */
static inline void drv_open(struct drv *d, const struct virtq_conf *conf, size_t data_len)
{
	size_t len;
	uint8_t *ram;

	drv_layout(d, conf, DRV_BASE);
	len = d->data - DRV_BASE + (data_len + 4095) / 4096 * 4096;
	ram = aligned_alloc(4096, len);
	memset(ram, 0, len);
	gmem_add(&d->mem, DRV_BASE, ram, len);
	drv_attach(d, ram, len);
	d->own_ram = true;
}

/* One of several rings in a guest's RAM: it has [base, base + len), which lies at ram. */
static inline void drv_open_in(struct drv *d, const struct virtq_conf *conf, uint64_t base,
			       void *ram, size_t len)
{
	drv_layout(d, conf, base);
	drv_attach(d, ram, len);
}

static inline void drv_close(struct drv *d)
{
	if (d->own_ram)
		free(d->ram);
	free(d->free_list);
	free(d->slots);
}

static inline uint16_t drv_get(struct drv *d)
{
	uint16_t v = d->free_list[d->free_head];

	d->free_head = (d->free_head + 1) % d->size;
	d->free--;
	return v;
}

static inline void drv_put(struct drv *d, uint16_t v)
{
	d->free_list[d->free_tail] = v;
	d->free_tail = (d->free_tail + 1) % d->size;
	d->free++;
}

/* --- offering --------------------------------------------------------------------------------- */

static inline int drv_add_split(struct drv *d, const struct drv_seg *seg, unsigned n, int more)
{
	uint16_t i = drv_get(d), head = i;

	d->slots[head] = (uint16_t)n;
	for (unsigned k = 0; k < n; k++) {
		bool last = k == n - 1;
		uint16_t next = last ? 0xdead : drv_get(d); /* stale next must not matter */

		d->desc[i] = (struct drv_desc){ .addr = seg[k].gpa, .len = seg[k].len };
		d->desc[i].s.flags = (uint16_t)((seg[k].write ? F_WRITE : 0) |
						(last ? more : F_NEXT));
		d->desc[i].s.next = next;
		i = next;
	}
	d->avail[2 + d->next_avail % d->size] = head;
	d->next_avail++;
	d->added++;
	return head;
}

static inline int drv_add_packed(struct drv *d, const struct drv_seg *seg, unsigned n, int more)
{
	uint16_t id = d->free_list[d->free_head];

	d->free_head = (d->free_head + 1) % d->size;
	d->free -= n;
	d->slots[id] = (uint16_t)n;
	for (unsigned k = 0; k < n; k++) {
		struct drv_desc *p = &d->desc[d->next_avail];
		uint16_t flags = d->avail_wrap ? F_AVAIL : F_USED;

		flags |= (seg[k].write ? F_WRITE : 0) | (k == n - 1 ? more : F_NEXT);
		p->addr = seg[k].gpa;
		p->len = seg[k].len;
		p->p.id = k == n - 1 ? id : 0xdead;
		if (!d->first) {
			d->first = &p->p.flags;
			d->first_flags = flags;
		} else {
			__atomic_store_n(&p->p.flags, flags, __ATOMIC_RELAXED);
		}
		if (++d->next_avail == d->size) {
			d->next_avail = 0;
			d->avail_wrap = !d->avail_wrap;
		}
		d->added++;
	}
	return id;
}

/* A buffer of n pieces (n <= free), not yet visible. Returns its id. */
static inline int drv_add(struct drv *d, const struct drv_seg *seg, unsigned n)
{
	return d->conf.packed ? drv_add_packed(d, seg, n, 0) : drv_add_split(d, seg, n, 0);
}

/* The same through an indirect table written at gpa `table`; one ring descriptor. */
static inline int drv_add_table(struct drv *d, uint64_t table, const struct drv_seg *seg, unsigned n)
{
	struct drv_desc *t = drv_ptr(d, table), e;
	struct drv_seg one = { table, 16 * n, false };

	for (unsigned k = 0; k < n; k++) {
		e = (struct drv_desc){ .addr = seg[k].gpa, .len = seg[k].len };
		if (d->conf.packed)
			e.p.flags = seg[k].write ? F_WRITE : 0;
		else
			e.s.flags = (uint16_t)((seg[k].write ? F_WRITE : 0) |
					       (k == n - 1 ? 0 : F_NEXT));
		if (!d->conf.packed)
			e.s.next = (uint16_t)(k + 1);
		memcpy(&t[k], &e, sizeof(e));
	}
	return d->conf.packed ? drv_add_packed(d, &one, 1, F_INDIRECT) :
				drv_add_split(d, &one, 1, F_INDIRECT);
}

static inline bool drv_passed(uint16_t event, uint16_t new, uint16_t old)
{
	return (uint16_t)(new - event - 1) < (uint16_t)(new - old);
}

/* Shows what was added; true when the device wants its doorbell rung. */
static inline bool drv_publish(struct drv *d)
{
	uint16_t old, event, off_wrap, flags, added = d->added;

	if (!added)
		return false;
	d->added = 0;
	if (!d->conf.packed) {
		old = d->shown;
		d->shown = d->next_avail;
		__atomic_store_n(&d->avail[1], d->shown, __ATOMIC_RELEASE);
		__atomic_fetch_add(&old, 0, __ATOMIC_SEQ_CST); /* a full barrier TSan accepts */
		if (d->conf.event_idx) {
			event = __atomic_load_n(&d->used[2 + 4 * d->size], __ATOMIC_RELAXED);
			return drv_passed(event, d->shown, old);
		}
		return !__atomic_load_n(&d->used[0], __ATOMIC_RELAXED);
	}
	__atomic_store_n(d->first, d->first_flags, __ATOMIC_RELEASE);
	d->first = NULL;
	old = (uint16_t)(d->next_avail - added);
	__atomic_fetch_add(&old, 0, __ATOMIC_SEQ_CST);
	flags = __atomic_load_n(&d->used[1], __ATOMIC_ACQUIRE) & 3;
	if (flags != EV_DESC)
		return flags != EV_DISABLE;
	off_wrap = __atomic_load_n(&d->used[0], __ATOMIC_RELAXED);
	event = off_wrap & 0x7fff;
	if (off_wrap >> 15 != d->avail_wrap)
		event -= d->size;
	return drv_passed(event, d->next_avail, old);
}

/* --- taking back ------------------------------------------------------------------------------ */

static inline bool drv_has_used(struct drv *d)
{
	uint16_t flags;

	if (!d->conf.packed)
		return __atomic_load_n(&d->used[1], __ATOMIC_ACQUIRE) != d->next_used;
	flags = __atomic_load_n(&d->desc[d->next_used].p.flags, __ATOMIC_ACQUIRE);
	return !!(flags & F_AVAIL) == d->used_wrap && !!(flags & F_USED) == d->used_wrap;
}

/* The next used buffer's id, or -1; *len and *flags (packed) if not NULL. */
static inline int drv_used(struct drv *d, uint32_t *len, uint16_t *flags)
{
	uint32_t id, got;

	if (!drv_has_used(d))
		return -1;
	if (!d->conf.packed) {
		memcpy(&id, &d->used[2 + 4 * (d->next_used % d->size)], 4);
		memcpy(&got, &d->used[4 + 4 * (d->next_used % d->size)], 4);
		d->next_used++;
		if (id < d->size) {
			uint16_t i = (uint16_t)id;

			for (unsigned k = d->slots[id]; k; k--) {
				uint16_t next = d->desc[i].s.next;

				drv_put(d, i);
				i = next;
			}
		}
	} else {
		struct drv_desc *p = &d->desc[d->next_used];

		id = p->p.id;
		got = p->len;
		if (flags)
			*flags = p->p.flags;
		d->free += d->slots[id];
		d->next_used += d->slots[id];
		if (d->next_used >= d->size) {
			d->next_used -= d->size;
			d->used_wrap = !d->used_wrap;
		}
		d->free_list[d->free_tail] = (uint16_t)id;
		d->free_tail = (d->free_tail + 1) % d->size;
	}
	if (len)
		*len = got;
	return (int)id;
}

/* No interrupts, please. */
static inline void drv_mask(struct drv *d)
{
	if (d->conf.packed)
		__atomic_store_n(&d->avail[1], EV_DISABLE, __ATOMIC_RELEASE);
	else if (!d->conf.event_idx)
		__atomic_store_n(&d->avail[0], 1, __ATOMIC_RELAXED);
}

/* An interrupt for the next used buffer; true when one is there already. */
static inline bool drv_unmask(struct drv *d)
{
	uint16_t dummy = 0;

	if (d->conf.packed) {
		if (d->conf.event_idx) {
			uint16_t off_wrap = (uint16_t)(d->next_used | d->used_wrap << 15);

			__atomic_store_n(&d->avail[0], off_wrap, __ATOMIC_RELAXED);
		}
		__atomic_store_n(&d->avail[1], d->conf.event_idx ? EV_DESC : EV_ENABLE,
				 __ATOMIC_RELEASE);
	} else if (d->conf.event_idx) {
		__atomic_store_n(&d->avail[2 + d->size], d->next_used, __ATOMIC_RELAXED);
	} else {
		__atomic_store_n(&d->avail[0], 0, __ATOMIC_RELAXED);
	}
	__atomic_fetch_add(&dummy, 0, __ATOMIC_SEQ_CST);
	return drv_has_used(d);
}
