/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * irq: how a part says "look here" to the guest, as values, so that no part knows the controller.
 *
 * struct irq is an event: raise it once, something arrives once (a message, a queue's call).
 * struct irq_line is a level: it stays as it was set. struct intc is what a bus (PCI) needs of the
 * interrupt controller; kvm/irq.c provides it, unit tests bring their own.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/eventfd.h>

struct irq {
	int fd; /* an eventfd when >= 0: an irqfd, or something another thread polls */
	void (*fn)(void *opaque, unsigned n); /* else called, if not NULL. Any thread; must not block */
	void *opaque;
	unsigned n;
};

#define IRQ_NONE ((struct irq){ .fd = -1 })

static inline void irq_raise(const struct irq *irq)
{
	if (irq->fd >= 0)
		eventfd_write(irq->fd, 1);
	else if (irq->fn)
		irq->fn(irq->opaque, irq->n);
}

struct irq_line {
	void (*set)(void *opaque, unsigned n, bool level); /* any thread; must not block */
	void *opaque;
	unsigned n; /* GSI */
};

static inline void irq_line_set(const struct irq_line *line, bool level)
{
	if (line->set)
		line->set(line->opaque, line->n, level);
}

/*
 * The interrupt controller as seen by pci/. A gsi is an input: pins first, then messages, each
 * allocated once and kept. All calls may come from any thread and take the controller's own lock.
 * They return 0 or -errno.
 */
struct intc {
	/* A new message input; its address and data are set before it is first attached. */
	int (*msi_open)(struct intc *intc, unsigned *gsi);
	void (*msi_close)(struct intc *intc, unsigned gsi);
	int (*msi_set)(struct intc *intc, unsigned gsi, uint64_t addr, uint32_t data);
	/*
	 * Connects an eventfd to a gsi (KVM's irqfd). An event that is already pending in the eventfd
	 * is delivered at once. resample_fd >= 0 makes it level-triggered: an event asserts the
	 * line, the guest's end-of-interrupt drops it and signals resample_fd. Detaching drops it too.
	 */
	int (*irqfd_attach)(struct intc *intc, unsigned gsi, int fd, int resample_fd);
	void (*irqfd_detach)(struct intc *intc, unsigned gsi, int fd);
};
