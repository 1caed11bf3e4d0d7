// SPDX-License-Identifier: GPL-2.0-only
/*
 * doorbell: takes a bus's doorbells out of the vCPU's way: KVM's ioeventfd on port I/O and MMIO.
 *
 * Runs on: any thread; KVM has its own lock
 */
#include <errno.h>
#include <sys/ioctl.h>

#include "kvm/kvm.h"

static int doorbell_set(void *opaque, uint64_t addr, unsigned len, int fd, bool attach)
{
	const struct doorbell *d = opaque;
	struct kvm_ioeventfd req = {
		.addr = addr,
		.len = len,
		.fd = fd,
		.flags = d->flags | (attach ? 0 : KVM_IOEVENTFD_FLAG_DEASSIGN),
	};

	if (!len && !d->any_len)
		return -EOPNOTSUPP;
	return ioctl(d->vm_fd, KVM_IOEVENTFD, &req) < 0 ? -errno : 0;
}

void doorbell_open(struct doorbell *d, struct bus *bus, int vm_fd, bool pio, bool any_len)
{
	*d = (struct doorbell){
		.vm_fd = vm_fd,
		.flags = pio ? KVM_IOEVENTFD_FLAG_PIO : 0,
		.any_len = any_len,
		.bus = bus,
	};
	bus->doorbell_opaque = d;
	bus->doorbell = doorbell_set;
}

void doorbell_close(struct doorbell *d)
{
	if (!d->bus)
		return;
	d->bus->doorbell = NULL;
	d->bus->doorbell_opaque = NULL;
	d->bus = NULL;
}
