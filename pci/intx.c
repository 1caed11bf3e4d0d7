// SPDX-License-Identifier: GPL-2.0-only
/*
 * intx: a level-triggered interrupt pin made of two eventfds: one asserts the line, the other tells
 * of the guest's end-of-interrupt.
 *
 * Runs on: any thread (set, level, reset), vcpu under slot lock (update), loop (resampled).
 *
 * KVM's irqfd with resample knows three steps: an event asserts the line; the guest's EOI drops it;
 * the EOI is reported. A level is made of them by asserting again after each EOI while `level`
 * holds. Our own threads are kept apart by a lock; what is left are races with KVM, which works on
 * its own:
 *
 * - The level rises just as an EOI drops the line. Whoever of set and resampled comes second finds
 *   level true and asserts, and the EOI's report comes after the drop; so the line ends up.
 * - The level falls just as an EOI is being reported. resampled finds it false: the line stays
 *   down.
 * - An assertion is on its way in KVM (it is queued there) as the level falls. The guest takes one
 *   interrupt, finds nothing, and its EOI ends it; PCI expects that of lines that can be shared.
 * - Detaching waits for what is on its way and drops the line. The trigger is written only while
 *   it is attached, so nothing is left in it; after attaching again level decides.
 *
 * Most functions use MSI-X and never have a level: the irqfd is attached when the first one rises.
 *
 * Lowering does not always drop the line. Mostly the guest is in its handler, has just read the
 * device's interrupt register, and its EOI is about to do so for free, while detaching costs KVM
 * two grace periods. But a guest can also have masked the line at the interrupt controller: then
 * there is no EOI for the assertion, and the guest would find a stale interrupt when it unmasks. So
 * the irqfd is detached and attached again when there is a sign of that: the line was asserted anew
 * after an EOI (the handler masks, ends the interrupt, and looks later); the interrupt register was
 * read and nothing was there (the driver polls); a reset. What remains is a driver that never took
 * the interrupt, reads the register just once and unmasks: it gets one interrupt that is spurious.
 * Functions share the inputs: while another one holds it, KVM leaves the line up until their EOI.
 */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lkvm/log.h"
#include "pci/host.h"

/* From here on with the lock held, where it is not taken. */
static void assert_line(struct pci_func *f)
{
	if (!f->intx.level || !f->intx.attached)
		return;
	f->intx.touched = true;
	eventfd_write(f->intx.trigger_fd, 1);
}

static int attach(struct pci_func *f)
{
	struct intc *intc = f->host->intc;
	int err;

	f->intx.touched = f->intx.again = false;
	err = intc->irqfd_attach(intc, f->intx.gsi, f->intx.trigger_fd, f->intx.resample_fd);
	f->intx.attached = !err;
	assert_line(f);
	return err;
}

static void detach(struct pci_func *f)
{
	struct intc *intc = f->host->intc;

	if (f->intx.attached)
		intc->irqfd_detach(intc, f->intx.gsi, f->intx.trigger_fd);
	f->intx.attached = false;
}

/* From here on there may be no interrupts, if it fails; a guest that polls wouldn't notice. */
static void try_attach(struct pci_func *f)
{
	int err = attach(f);

	if (err)
		log_guest(f->name, "cannot attach interrupt line %u: %s", f->intx.gsi,
			  strerror(-err));
}

static void reattach(struct pci_func *f)
{
	detach(f);
	try_attach(f);
}

void pci_intx_set(struct pci_func *f, bool level)
{
	if (!f->intx.open)
		return;
	pthread_mutex_lock(&f->intx.lock);
	f->intx.level = level;
	if (level && !f->intx.attached && !f->intx.disabled)
		try_attach(f);
	else
		assert_line(f);
	if (!level && f->intx.attached && f->intx.again)
		reattach(f);
	pthread_mutex_unlock(&f->intx.lock);
}

bool pci_intx_level(struct pci_func *f)
{
	bool level;

	if (!f->intx.open)
		return false;
	pthread_mutex_lock(&f->intx.lock);
	level = f->intx.level;
	pthread_mutex_unlock(&f->intx.lock);
	return level;
}

void pci_intx_reset(struct pci_func *f)
{
	if (!f->intx.open)
		return;
	pthread_mutex_lock(&f->intx.lock);
	f->intx.level = false;
	if (f->intx.attached && f->intx.touched)
		reattach(f);
	pthread_mutex_unlock(&f->intx.lock);
}

/* The guest's end-of-interrupt dropped the line. */
static void resampled(void *opaque, uint32_t events)
{
	struct pci_func *f = opaque;
	eventfd_t n;

	(void)events;
	pthread_mutex_lock(&f->intx.lock);
	eventfd_read(f->intx.resample_fd, &n);
	f->intx.again = f->intx.level;
	assert_line(f);
	pthread_mutex_unlock(&f->intx.lock);
}

/* A disabled pin is a detached irqfd: no assertion that is already on its way can get through. */
void pci_intx_update(struct pci_func *f)
{
	bool disabled = pci_config16(f, PCI_COMMAND) & PCI_CMD_INTX_OFF || msix_enabled(f);

	if (!f->intx.open)
		return;
	pthread_mutex_lock(&f->intx.lock);
	if (disabled != f->intx.disabled) {
		f->intx.disabled = disabled;
		if (disabled)
			detach(f);
		else if (f->intx.level)
			try_attach(f);
	}
	pthread_mutex_unlock(&f->intx.lock);
}

int pci_intx_open(struct pci_func *f)
{
	int err;

	f->intx.gsi = pci_intx_gsi(&f->host->win, f->slot);
	f->intx.trigger_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	f->intx.resample_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (f->intx.trigger_fd < 0 || f->intx.resample_fd < 0) {
		err = -errno;
		goto out;
	}
	f->intx.resample = (struct loop_fd){ .fd = f->intx.resample_fd, .ready = resampled,
					     .opaque = f };
	err = loop_add(f->host->loop, &f->intx.resample, EPOLLIN);
	if (err)
		goto out;
	f->config[PCI_INT_LINE] = (uint8_t)f->intx.gsi;
	f->config[PCI_INT_PIN] = 1;
	pci_config_mask(f, PCI_INT_LINE, 0xff);
	pci_config_mask(f, PCI_COMMAND + 1, PCI_CMD_INTX_OFF >> 8);
	f->intx.open = true;
	return 0;
out:
	log_err(f->name, "cannot set up interrupt line %u: %s", f->intx.gsi, strerror(-err));
	pci_intx_close(f);
	return err;
}

static void unwatch(void *opaque)
{
	struct pci_func *f = opaque;

	loop_del(f->host->loop, &f->intx.resample);
}

void pci_intx_close(struct pci_func *f)
{
	f->intx.open = false;
	loop_call(f->host->loop, unwatch, f);
	detach(f);
	if (f->intx.trigger_fd >= 0)
		close(f->intx.trigger_fd);
	if (f->intx.resample_fd >= 0)
		close(f->intx.resample_fd);
	f->intx.trigger_fd = f->intx.resample_fd = -1;
}
