// SPDX-License-Identifier: GPL-2.0-only
/*
 * intx: a level-triggered interrupt pin made of two eventfds: one asserts the line, the other tells
 * of the guest's end-of-interrupt.
 *
 * Runs on: any thread (set), vcpu under slot lock (update, polled, reset), loop (resampled).
 *
 * KVM's irqfd with resample knows three steps: an event asserts the line; the guest's EOI drops it;
 * the EOI is reported. A level is made of them by asserting again after each EOI while `level` holds.
 * Nothing here locks; what races is this:
 *
 * - set(true) against an EOI: set stores level, then asserts; resampled forgets `raised`, then looks
 *   at level. Whatever the order, one of the two asserts after the line dropped.
 * - set(false) against an EOI: at worst resampled still sees the old level and asserts once more.
 *   The guest takes one interrupt, finds nothing, and its EOI ends it: PCI allows that of a shared line.
 * - set(true) against a detach (reset, polled, disable): reattach drains the trigger's counter
 *   and looks at level after attaching; set stores level before it writes the trigger. So either the
 *   look sees the level, or the write comes after attaching. Neither can be lost.
 *
 * Lowering does not drop the line by itself: in the usual case the guest is in its handler, has just
 * read the device's interrupt register, and its EOI is about to do so for free. A guest that polls
 * with the line masked sends no EOI, and would find a stale interrupt when it unmasks. Two things
 * take the line down early, by detaching the irqfd: a reset, and a read of the interrupt register
 * which finds nothing although no EOI was seen (polled). A driver that reads just once and unmasks
 * gets one spurious interrupt. Other functions on the same input keep the line up if they need it;
 * when any of them is up, KVM leaves the line alone until their EOI.
 */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lkvm/log.h"
#include "pci/host.h"

static void drain(int fd)
{
	eventfd_t n;

	eventfd_read(fd, &n);
}

static void assert_line(struct pci_func *f)
{
	f->intx.raised = true;
	f->intx.touched = true;
	eventfd_write(f->intx.trigger_fd, 1);
}

static bool wanted(struct pci_func *f)
{
	return f->intx.level && !f->intx.disabled;
}

void pci_intx_set(struct pci_func *f, bool level)
{
	if (!f->intx.open)
		return;
	f->intx.level = level;
	if (level && !f->intx.disabled)
		assert_line(f);
}

/* The guest's end-of-interrupt dropped the line. */
static void resampled(void *opaque, uint32_t events)
{
	struct pci_func *f = opaque;

	(void)events;
	drain(f->intx.resample_fd);
	f->intx.raised = false;
	if (wanted(f))
		assert_line(f);
}

static int attach(struct pci_func *f)
{
	struct intc *intc = f->host->intc;
	int err;

	drain(f->intx.trigger_fd);
	f->intx.raised = f->intx.touched = false;
	err = intc->irqfd_attach(intc, f->intx.gsi, f->intx.trigger_fd, f->intx.resample_fd);
	f->intx.attached = !err;
	if (!err && wanted(f))
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

static void reattach(struct pci_func *f)
{
	int err;

	detach(f);
	err = attach(f);
	if (err)
		log_guest(f->name, "cannot attach interrupt line %u again: %s", f->intx.gsi,
			  strerror(-err));
}

/* A disabled pin is a detached irqfd: no assertion that is already on its way can get through. */
void pci_intx_update(struct pci_func *f)
{
	bool disabled = pci_config16(f, PCI_COMMAND) & PCI_CMD_INTX_OFF || msix_enabled(f);

	if (!f->intx.open || disabled == f->intx.disabled)
		return;
	f->intx.disabled = disabled;
	if (disabled)
		detach(f);
	else
		reattach(f);
}

void pci_intx_polled(struct pci_func *f)
{
	if (f->intx.attached && f->intx.raised && !f->intx.level)
		reattach(f);
}

/* `touched`, not `raised`: an EOI and an assertion that crossed may leave raised wrong. */
void pci_intx_reset(struct pci_func *f)
{
	f->intx.level = false;
	if (f->intx.attached && f->intx.touched)
		reattach(f);
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
	err = attach(f);
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
	detach(f);
	loop_call(f->host->loop, unwatch, f);
	if (f->intx.trigger_fd >= 0)
		close(f->intx.trigger_fd);
	if (f->intx.resample_fd >= 0)
		close(f->intx.resample_fd);
	f->intx.trigger_fd = f->intx.resample_fd = -1;
}
