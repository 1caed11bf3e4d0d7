// SPDX-License-Identifier: GPL-2.0-only
/*
 * irq: KVM's interrupt controllers as an intc: pins, messages, irqfds and the route table.
 *
 * Pins 0..23 are the PIC/IO-APIC pair as on a PC: 0..15 reach both, the timer's line 0 is the
 * IO-APIC's input 2. Messages come after. KVM takes the route table only as a whole, and waits for
 * readers each time; so changes to a message nobody is attached to are kept until somebody
 * attaches.
 *
 * Runs on: any thread, under the chip's own lock
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "kvm/kvm.h"
#include "lkvm/log.h"

#define PINS	   24
#define PIC_PINS   16
#define PIN_ROUTES (PIC_PINS + PINS) /* at most */
#define MSI_MAX	   4096

/* An MSI is a write into this megabyte; anything else would be a write to memory. */
#define MSI_ADDR_BASE 0xfeeULL

struct msi_route {
	uint64_t addr;
	uint32_t data;
	unsigned attached; /* irqfds */
	bool used, set;
};

/* One model's share in a line. */
struct line_source {
	struct irqchip *chip;
	struct line_source *next;
	unsigned gsi;
	bool level;
};

struct irqchip {
	struct intc intc;
	int vm_fd;
	pthread_mutex_t lock;
	struct msi_route *msi; /* of gsi PINS and up */
	unsigned msi_n, msi_max;
	bool dirty; /* KVM's table is behind */
	unsigned commits;
	struct line_source *sources;
	unsigned asserted[PINS]; /* sources with level set */
};

static struct irqchip *chip_of(struct intc *intc)
{
	return (struct irqchip *)((char *)intc - offsetof(struct irqchip, intc));
}

static struct msi_route *msi_of(struct irqchip *chip, unsigned gsi)
{
	struct msi_route *msi;

	if (gsi < PINS || gsi - PINS >= chip->msi_n)
		return NULL;
	msi = &chip->msi[gsi - PINS];
	return msi->used ? msi : NULL;
}

static void add_pin(struct kvm_irq_routing *table, unsigned gsi, unsigned chip, unsigned pin)
{
	struct kvm_irq_routing_entry *e = &table->entries[table->nr++];

	e->gsi = gsi;
	e->type = KVM_IRQ_ROUTING_IRQCHIP;
	e->u.irqchip.irqchip = chip;
	e->u.irqchip.pin = pin;
}

static void add_pins(struct kvm_irq_routing *table)
{
	unsigned gsi;

	for (gsi = 0; gsi < PINS; gsi++) {
		/* The PIC's input 2 is where its second half comes in; nothing else is there. */
		if (gsi < PIC_PINS && gsi != 2)
			add_pin(table, gsi,
				gsi < 8 ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE, gsi % 8);
		if (gsi != 2)
			add_pin(table, gsi, KVM_IRQCHIP_IOAPIC, gsi ? gsi : 2);
	}
}

/* Hands the whole table to KVM when it has changed. */
static int commit(struct irqchip *chip)
{
	size_t max = PIN_ROUTES + chip->msi_n;
	struct kvm_irq_routing *table;
	unsigned i;
	int ret = 0;

	if (!chip->dirty)
		return 0;
	table = calloc(1, sizeof(*table) + max * sizeof(table->entries[0]));
	if (!table)
		return -ENOMEM;
	add_pins(table);
	for (i = 0; i < chip->msi_n; i++) {
		const struct msi_route *msi = &chip->msi[i];
		struct kvm_irq_routing_entry *e = &table->entries[table->nr];

		if (!msi->used || !msi->set || msi->addr >> 20 != MSI_ADDR_BASE)
			continue;
		e->gsi = PINS + i;
		e->type = KVM_IRQ_ROUTING_MSI;
		e->u.msi.address_lo = (uint32_t)msi->addr;
		e->u.msi.data = msi->data;
		table->nr++;
	}
	if (ioctl(chip->vm_fd, KVM_SET_GSI_ROUTING, table) < 0)
		ret = -errno;
	else
		chip->dirty = false;
	chip->commits++;
	free(table);
	return ret;
}

/* Room for one more message; -ENOSPC when KVM can't route that many. */
static int msi_grow(struct irqchip *chip)
{
	unsigned n = chip->msi_n ? chip->msi_n * 2 : 32;
	struct msi_route *msi;

	if (n > chip->msi_max)
		n = chip->msi_max;
	if (n <= chip->msi_n)
		return -ENOSPC;
	msi = realloc(chip->msi, n * sizeof(*msi));
	if (!msi)
		return -ENOMEM;
	memset(msi + chip->msi_n, 0, (n - chip->msi_n) * sizeof(*msi));
	chip->msi = msi;
	chip->msi_n = n;
	return 0;
}

static int chip_msi_open(struct intc *intc, unsigned *gsi)
{
	struct irqchip *chip = chip_of(intc);
	unsigned i = 0;
	int ret = 0;

	pthread_mutex_lock(&chip->lock);
	while (i < chip->msi_n && chip->msi[i].used)
		i++;
	if (i == chip->msi_n)
		ret = msi_grow(chip);
	if (!ret) {
		chip->msi[i] = (struct msi_route){ .used = true };
		*gsi = PINS + i;
	}
	pthread_mutex_unlock(&chip->lock);
	return ret;
}

static void chip_msi_close(struct intc *intc, unsigned gsi)
{
	struct irqchip *chip = chip_of(intc);
	struct msi_route *msi;

	pthread_mutex_lock(&chip->lock);
	msi = msi_of(chip, gsi);
	if (msi) {
		chip->dirty |= msi->set;
		*msi = (struct msi_route){ 0 };
	}
	pthread_mutex_unlock(&chip->lock);
}

static int chip_msi_set(struct intc *intc, unsigned gsi, uint64_t addr, uint32_t data)
{
	struct irqchip *chip = chip_of(intc);
	struct msi_route *msi;
	int ret = 0;

	pthread_mutex_lock(&chip->lock);
	msi = msi_of(chip, gsi);
	if (!msi) {
		ret = -EINVAL;
	} else if (!msi->set || msi->addr != addr || msi->data != data) {
		msi->addr = addr;
		msi->data = data;
		msi->set = true;
		chip->dirty = true;
		if (msi->attached)
			ret = commit(chip);
	}
	pthread_mutex_unlock(&chip->lock);
	return ret;
}

static int chip_attach(struct intc *intc, unsigned gsi, int fd, int resample_fd)
{
	struct irqchip *chip = chip_of(intc);
	struct kvm_irqfd req = { .fd = (uint32_t)fd, .gsi = gsi };
	struct msi_route *msi;
	int ret;

	if (resample_fd >= 0) {
		req.flags = KVM_IRQFD_FLAG_RESAMPLE;
		req.resamplefd = (uint32_t)resample_fd;
	}
	pthread_mutex_lock(&chip->lock);
	msi = msi_of(chip, gsi);
	if (gsi >= PINS && !msi)
		ret = -EINVAL;
	else
		ret = commit(chip);
	/* KVM looks at the eventfd as it attaches: what is pending there arrives now. */
	if (!ret && ioctl(chip->vm_fd, KVM_IRQFD, &req) < 0)
		ret = -errno;
	if (!ret && msi)
		msi->attached++;
	pthread_mutex_unlock(&chip->lock);
	return ret;
}

static void chip_detach(struct intc *intc, unsigned gsi, int fd)
{
	struct irqchip *chip = chip_of(intc);
	struct kvm_irqfd req = {
		.fd = (uint32_t)fd,
		.gsi = gsi,
		.flags = KVM_IRQFD_FLAG_DEASSIGN,
	};
	struct msi_route *msi;

	pthread_mutex_lock(&chip->lock);
	msi = msi_of(chip, gsi);
	/* KVM waits until an injection that is under way is done. */
	if (ioctl(chip->vm_fd, KVM_IRQFD, &req) < 0)
		log_dbg("irq", "cannot detach an irqfd from %u: %s", gsi, strerror(errno));
	else if (msi && msi->attached)
		msi->attached--;
	pthread_mutex_unlock(&chip->lock);
}

/* Several models may share a line: it is up while any of them wants it up. */
static void line_set(void *opaque, unsigned n, bool level)
{
	struct line_source *source = opaque;
	struct irqchip *chip = source->chip;
	struct kvm_irq_level req = { .irq = n, .level = level };

	pthread_mutex_lock(&chip->lock);
	if (source->level != level) {
		unsigned before = chip->asserted[n], after = level ? before + 1 : before - 1;

		source->level = level;
		chip->asserted[n] = after;
		if (!before != !after && ioctl(chip->vm_fd, KVM_IRQ_LINE, &req) < 0)
			log_err("irq", "cannot set line %u: %s", n, strerror(errno));
	}
	pthread_mutex_unlock(&chip->lock);
}

struct irq_line irqchip_line(struct irqchip *chip, unsigned gsi)
{
	struct line_source *source = NULL;

	if (gsi < PINS)
		source = calloc(1, sizeof(*source));
	if (!source) {
		log_err("irq", "no line %u", gsi);
		return (struct irq_line){ .set = NULL };
	}
	source->chip = chip;
	source->gsi = gsi;
	pthread_mutex_lock(&chip->lock);
	source->next = chip->sources;
	chip->sources = source;
	pthread_mutex_unlock(&chip->lock);
	return (struct irq_line){ .set = line_set, .opaque = source, .n = gsi };
}

/*
 * As firmware would leave them, the PICs are silent until somebody sets them up. They come out of
 * reset with every input open, as vectors 0 to 15, which are exceptions: a system that only knows
 * the IO-APIC never closes them.
 */
static int mask_pics(int vm_fd)
{
	static const uint32_t ids[] = { KVM_IRQCHIP_PIC_MASTER, KVM_IRQCHIP_PIC_SLAVE };
	unsigned i;

	for (i = 0; i < 2; i++) {
		struct kvm_irqchip pic = { .chip_id = ids[i] };

		if (ioctl(vm_fd, KVM_GET_IRQCHIP, &pic) < 0)
			return -errno;
		pic.chip.pic.imr = 0xff;
		if (ioctl(vm_fd, KVM_SET_IRQCHIP, &pic) < 0)
			return -errno;
	}
	return 0;
}

struct irqchip *irqchip_open(int vm_fd, unsigned routes_max)
{
	struct irqchip *chip = calloc(1, sizeof(*chip));
	int ret;

	if (!chip) {
		log_err("irq", "out of memory");
		return NULL;
	}
	chip->intc = (struct intc){
		.msi_open = chip_msi_open,
		.msi_close = chip_msi_close,
		.msi_set = chip_msi_set,
		.irqfd_attach = chip_attach,
		.irqfd_detach = chip_detach,
	};
	chip->vm_fd = vm_fd;
	pthread_mutex_init(&chip->lock, NULL);
	/* KVM counts routes and bounds gsi numbers by the same figure. */
	chip->msi_max = routes_max > PIN_ROUTES ? routes_max - PIN_ROUTES : 0;
	if (chip->msi_max > MSI_MAX)
		chip->msi_max = MSI_MAX;
	chip->dirty = true;
	ret = commit(chip);
	if (!ret)
		ret = mask_pics(vm_fd);
	if (ret < 0) {
		log_err("irq", "cannot set up interrupt routes: %s", strerror(-ret));
		irqchip_close(chip);
		return NULL;
	}
	return chip;
}

void irqchip_close(struct irqchip *chip)
{
	if (!chip)
		return;
	while (chip->sources) {
		struct line_source *next = chip->sources->next;

		free(chip->sources);
		chip->sources = next;
	}
	pthread_mutex_destroy(&chip->lock);
	free(chip->msi);
	free(chip);
}

struct intc *irqchip_intc(struct irqchip *chip)
{
	return &chip->intc;
}

unsigned irqchip_commits(struct irqchip *chip)
{
	unsigned n;

	pthread_mutex_lock(&chip->lock);
	n = chip->commits;
	pthread_mutex_unlock(&chip->lock);
	return n;
}
