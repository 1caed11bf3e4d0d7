/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * fake_intc: an interrupt controller for unit tests. fake_pump() does what KVM does on its own:
 * takes the events of attached eventfds and counts messages or asserts lines.
 */
#pragma once

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>

#include "lkvm/irq.h"

#define FAKE_PINS 24
#define FAKE_GSIS 2400

struct fake_input {
	bool open;
	int fd, resample_fd; /* fd < 0: nothing attached */
	uint64_t addr;
	uint32_t data;
	bool line;
	unsigned messages, asserts, attaches, sets;
};

struct fake_intc {
	struct intc intc;
	pthread_mutex_t lock;
	struct fake_input in[FAKE_GSIS];
	unsigned opened, limit; /* message inputs; limit 0: as many as fit */
	bool refuse_attach;
};

static inline struct fake_intc *fake_of(struct intc *intc)
{
	return (struct fake_intc *)((char *)intc - offsetof(struct fake_intc, intc));
}

static inline void fake_deliver(struct fake_input *in)
{
	if (in->resample_fd < 0) {
		in->messages++;
	} else {
		in->line = true;
		in->asserts++;
	}
}

static inline void fake_take(struct fake_input *in)
{
	eventfd_t n;

	if (in->fd >= 0 && !eventfd_read(in->fd, &n))
		fake_deliver(in);
}

static inline void fake_pump(struct fake_intc *f)
{
	pthread_mutex_lock(&f->lock);
	for (unsigned i = 0; i < FAKE_GSIS; i++)
		fake_take(&f->in[i]);
	pthread_mutex_unlock(&f->lock);
}

/* The guest's end-of-interrupt on a pin. */
static inline void fake_eoi(struct fake_intc *f, unsigned gsi)
{
	pthread_mutex_lock(&f->lock);
	f->in[gsi].line = false;
	if (f->in[gsi].fd >= 0 && f->in[gsi].resample_fd >= 0)
		eventfd_write(f->in[gsi].resample_fd, 1);
	pthread_mutex_unlock(&f->lock);
}

/* Is there one that its reader hasn't seen yet? */
static inline bool fake_eoi_pending(struct fake_intc *f)
{
	bool pending = false;

	pthread_mutex_lock(&f->lock);
	for (unsigned i = 0; i < FAKE_PINS; i++) {
		struct pollfd pfd = { .fd = f->in[i].fd < 0 ? -1 : f->in[i].resample_fd, .events = POLLIN };

		pending |= poll(&pfd, 1, 0) == 1;
	}
	pthread_mutex_unlock(&f->lock);
	return pending;
}

static inline int fake_msi_open(struct intc *intc, unsigned *gsi)
{
	struct fake_intc *f = fake_of(intc);

	if (f->limit && f->opened >= f->limit)
		return -ENOSPC;
	for (unsigned i = FAKE_PINS; i < FAKE_GSIS; i++) {
		if (f->in[i].open)
			continue;
		f->in[i].open = true;
		f->opened++;
		*gsi = i;
		return 0;
	}
	return -ENOSPC;
}

static inline void fake_msi_close(struct intc *intc, unsigned gsi)
{
	fake_of(intc)->in[gsi].open = false;
	fake_of(intc)->opened--;
}

static inline int fake_msi_set(struct intc *intc, unsigned gsi, uint64_t addr, uint32_t data)
{
	struct fake_intc *f = fake_of(intc);
	struct fake_input *in = &f->in[gsi];

	pthread_mutex_lock(&f->lock);
	in->addr = addr;
	in->data = data;
	in->sets++;
	pthread_mutex_unlock(&f->lock);
	return 0;
}

static inline int fake_attach(struct intc *intc, unsigned gsi, int fd, int resample_fd)
{
	struct fake_intc *f = fake_of(intc);
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	if (f->refuse_attach)
		return -EBUSY;
	if (f->in[gsi].fd >= 0)
		return -EEXIST;
	pthread_mutex_lock(&f->lock);
	f->in[gsi].fd = fd;
	f->in[gsi].resample_fd = resample_fd;
	f->in[gsi].attaches++;
	/* What is pending arrives now, but KVM leaves the counter as it is. */
	if (poll(&pfd, 1, 0) == 1)
		fake_deliver(&f->in[gsi]);
	pthread_mutex_unlock(&f->lock);
	return 0;
}

static inline void fake_detach(struct intc *intc, unsigned gsi, int fd)
{
	struct fake_intc *f = fake_of(intc);
	struct fake_input *in = &f->in[gsi];

	pthread_mutex_lock(&f->lock);
	if (in->fd == fd) {
		fake_take(in); /* KVM takes an event when it is written, so none is left by now */
		in->fd = -1;
		in->line = false;
	}
	pthread_mutex_unlock(&f->lock);
}

static inline void fake_intc_init(struct fake_intc *f)
{
	memset(f, 0, sizeof(*f));
	pthread_mutex_init(&f->lock, NULL);
	for (unsigned i = 0; i < FAKE_GSIS; i++)
		f->in[i].fd = f->in[i].resample_fd = -1;
	f->intc = (struct intc){ fake_msi_open, fake_msi_close, fake_msi_set, fake_attach,
				 fake_detach };
}
