// SPDX-License-Identifier: GPL-2.0-only
/*
 * vm: the VM as KVM keeps it: memory slots, irqchip, PIT, doorbells, and its vCPUs' life.
 *
 * Runs on: main
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "kvm/cpuid.h"
#include "kvm/kvm.h"
#include "lkvm/log.h"

static int vm_memory(struct vm *vm)
{
	const struct gmem *mem = vm->conf.mem;
	unsigned i;

	for (i = 0; i < mem->n; i++) {
		struct kvm_userspace_memory_region slot = {
			.slot = i,
			.guest_phys_addr = mem->region[i].gpa,
			.memory_size = mem->region[i].len,
			.userspace_addr = (uintptr_t)mem->region[i].hva,
		};

		if (ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &slot) < 0) {
			int err = errno;

			log_err(NULL, "cannot give the guest %llu MiB of memory at %#llx: %s",
				slot.memory_size >> 20, slot.guest_phys_addr, strerror(err));
			return -err;
		}
	}
	return 0;
}

/* Needed by Intel processors only, and there before the first vCPU; ignored by the others. */
static int vm_vmx_pages(struct vm *vm)
{
	uint64_t identity = MAP_VMX_PAGES;

	if (dev_cap(vm->dev, KVM_CAP_SET_IDENTITY_MAP_ADDR) &&
	    ioctl(vm->fd, KVM_SET_IDENTITY_MAP_ADDR, &identity) < 0)
		goto err_log;
	if (dev_cap(vm->dev, KVM_CAP_SET_TSS_ADDR) &&
	    ioctl(vm->fd, KVM_SET_TSS_ADDR, (unsigned long)(MAP_VMX_PAGES + 0x1000)) < 0)
		goto err_log;
	return 0;
err_log:
	log_err(NULL, "cannot place KVM's real-mode pages: %s", strerror(errno));
	return -EIO;
}

static int vm_chips(struct vm *vm)
{
	/* The dummy speaker answers port 0x61, which guests use to time the PIT's channel 2. */
	struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };

	if (ioctl(vm->fd, KVM_CREATE_IRQCHIP, 0) < 0) {
		int err = errno;

		log_err(NULL, "cannot create KVM's interrupt controllers: %s", strerror(err));
		return -err;
	}
	if (ioctl(vm->fd, KVM_CREATE_PIT2, &pit) < 0) {
		int err = errno;

		log_err(NULL, "cannot create KVM's timer (PIT): %s", strerror(err));
		return -err;
	}
	vm->irqchip = irqchip_open(vm->fd, (unsigned)dev_cap(vm->dev, KVM_CAP_IRQ_ROUTING));
	return vm->irqchip ? 0 : -EIO;
}

static int vm_check_cpus(struct vm *vm)
{
	unsigned max = (unsigned)dev_cap(vm->dev, KVM_CAP_MAX_VCPUS);

	/* An old KVM that does not tell means four. */
	if (!max)
		max = 4;
	if (max > VM_CPUS_MAX)
		max = VM_CPUS_MAX;
	if (vm->conf.cpus >= 1 && vm->conf.cpus <= max)
		return 0;
	log_err(NULL, "%u vCPUs asked for. Fix: give 1 to %u", vm->conf.cpus, max);
	return -EINVAL;
}

struct vm *vm_open(const struct vm_conf *conf)
{
	struct vm *vm = calloc(1, sizeof(*vm));
	bool any_len;

	if (!vm) {
		log_err(NULL, "out of memory");
		return NULL;
	}
	vm->conf = *conf;
	vm->fd = -1;
	pthread_mutex_init(&vm->lock, NULL);
	pthread_cond_init(&vm->stopped, NULL);
	pthread_cond_init(&vm->parked, NULL);

	vm->dev = vm_dev_open();
	if (vm->dev < 0 || dev_check(vm->dev) < 0 || vm_check_cpus(vm) < 0)
		goto err_close;
	vm->cpuid = cpuid_supported(vm->dev);
	if (!vm->cpuid)
		goto err_close;
	vm->phys_bits = cpuid_phys_bits(vm->cpuid);
	vm->fd = dev_create_vm(vm->dev);
	/*
	 * Memory before the chips: handing it over waits for KVM's readers, which is nothing as long as
	 * there are none, but many milliseconds behind the registrations of the chips.
	 */
	if (vm->fd < 0 || vm_vmx_pages(vm) < 0 || vm_memory(vm) < 0 || vm_chips(vm) < 0)
		goto err_close;

	if (conf->tally) {
		vm->tally = tally_open(conf->cpus, vm->fd);
		if (!vm->tally)
			goto err_close;
	}
	any_len = dev_cap(vm->dev, KVM_CAP_IOEVENTFD_ANY_LENGTH) > 0;
	doorbell_open(&vm->pio_bell, conf->pio, vm->fd, true, any_len);
	doorbell_open(&vm->mmio_bell, conf->mmio, vm->fd, false, any_len);
	ring_open(&vm->ring, conf->pio, vm->dev, vm->fd, vm->tally);
	return vm;

err_close:
	vm_close(vm);
	return NULL;
}

struct intc *vm_intc(struct vm *vm)
{
	return irqchip_intc(vm->irqchip);
}

struct irq_line vm_line(struct vm *vm, unsigned gsi)
{
	return irqchip_line(vm->irqchip, gsi);
}

unsigned vm_phys_bits(struct vm *vm)
{
	return vm->phys_bits;
}

/* What the guest is told of the processor; the frequency is known once a vCPU exists. */
static int vm_cpuid(struct vm *vm, struct vcpu *cpu)
{
	struct cpuid_conf conf = {
		.cpus = vm->conf.cpus,
		.tsc_deadline = dev_cap(vm->dev, KVM_CAP_TSC_DEADLINE_TIMER) > 0,
	};
	struct kvm_cpuid2 *table = cpuid_alloc();
	int khz = 0, ret = -ENOMEM;

	if (!table)
		goto out_log;
	if (dev_cap(vm->dev, KVM_CAP_GET_TSC_KHZ))
		khz = ioctl(cpu->fd, KVM_GET_TSC_KHZ, 0);
	conf.tsc_khz = khz > 0 ? (uint32_t)khz : 0;
	ret = cpuid_build(table, vm->cpuid, &conf, cpu->id);
	if (!ret && ioctl(cpu->fd, KVM_SET_CPUID2, table) < 0)
		ret = -errno;
out_log:
	if (ret < 0)
		log_err(NULL, "cannot set vCPU %u's CPUID: %s", cpu->id, strerror(-ret));
	free(table);
	return ret;
}

int vm_start(struct vm *vm, const struct vm_entry *entry)
{
	unsigned i;
	int ret;

	if (vm->cpus)
		return -EBUSY;
	for (i = 0; i < vm->conf.cpus; i++) {
		ret = vcpu_open(&vm->cpu[i], vm, i);
		if (ret < 0)
			return ret;
		vm->cpus++;
		ret = vm_cpuid(vm, &vm->cpu[i]);
		if (ret < 0)
			return ret;
		ret = regs_init(&vm->cpu[i], entry);
		if (!ret && vm->tally)
			ret = tally_add(vm->tally, vm->cpu[i].fd);
		if (ret < 0)
			return ret;
	}
	ring_attach(&vm->ring, &vm->cpu[0]);
	for (i = 0; i < vm->cpus; i++) {
		ret = vcpu_start(&vm->cpu[i]);
		if (ret < 0) {
			vm_stop(vm);
			return ret;
		}
	}
	return 0;
}

void vm_stop(struct vm *vm)
{
	unsigned i;

	pthread_mutex_lock(&vm->lock);
	atomic_store(&vm->stopping, true);
	pthread_cond_broadcast(&vm->stopped);
	pthread_mutex_unlock(&vm->lock);

	for (i = 0; i < vm->cpus; i++)
		vcpu_kick(&vm->cpu[i]);
	for (i = 0; i < vm->cpus; i++)
		vcpu_join(&vm->cpu[i]);
}

void vm_close(struct vm *vm)
{
	unsigned i;

	if (!vm)
		return;
	vm_stop(vm);
	doorbell_close(&vm->pio_bell);
	doorbell_close(&vm->mmio_bell);
	ring_close(&vm->ring);
	irqchip_close(vm->irqchip);
	for (i = 0; i < vm->cpus; i++)
		vcpu_close(&vm->cpu[i]);
	tally_close(vm->tally);
	free(vm->cpuid);
	if (vm->fd >= 0)
		close(vm->fd);
	if (vm->dev >= 0)
		close(vm->dev);
	pthread_cond_destroy(&vm->parked);
	pthread_cond_destroy(&vm->stopped);
	pthread_mutex_destroy(&vm->lock);
	free(vm);
}
