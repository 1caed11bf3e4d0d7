// SPDX-License-Identifier: GPL-2.0-only
/*
 * glance: whether the vCPUs run, and one look at all of them: short, silent and without traces, so that
 * it can be done again and again while a guest works.
 *
 * Runs on: main
 */
#include <sys/ioctl.h>
#include <time.h>

#include "kvm/kvm.h"
#include "lkvm/control.h"

#define PATIENCE_NS 50000000L
#define RFLAGS_IF   (1U << 9)

uint64_t control_ran(struct vm *vm)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < vm->cpus; i++) {
		struct timespec ts;
		clockid_t clock;

		if (vm->cpu[i].running && !pthread_getcpuclockid(vm->cpu[i].thread, &clock) &&
		    !clock_gettime(clock, &ts))
			sum += (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec;
	}
	return sum;
}

/* Somebody else's hold is left alone: its vCPU may stay out for hours. */
static bool hold_all(struct vm *vm)
{
	for (unsigned i = 0; i < vm->cpus; i++)
		if (atomic_load(&vm->cpu[i].hold) || vm->cpu[i].ended)
			return false;
	for (unsigned i = 0; i < vm->cpus; i++) {
		atomic_store(&vm->cpu[i].hold, true);
		vcpu_kick(&vm->cpu[i]);
	}
	return true;
}

static bool wait_all(struct vm *vm)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += PATIENCE_NS;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_nsec -= 1000000000L;
		until.tv_sec++;
	}
	for (unsigned i = 0; i < vm->cpus; i++)
		while (vcpu_is_in(&vm->cpu[i]))
			if (pthread_cond_timedwait(&vm->parked, &vm->lock, &until))
				return false;
	return true;
}

static bool look_at(struct vm *vm, unsigned cpu, struct control_glance *g)
{
	struct kvm_vcpu_events events;
	struct kvm_regs regs;

	if (vm->cpu[cpu].stopped || ioctl(vm->cpu[cpu].fd, KVM_GET_REGS, &regs) < 0 ||
	    ioctl(vm->cpu[cpu].fd, KVM_GET_VCPU_EVENTS, &events) < 0)
		return false;
	g->mp = control_mp(vm, cpu);
	g->irqs = regs.rflags & RFLAGS_IF || events.nmi.pending || events.nmi.injected;
	g->rip = regs.rip;
	return true;
}

bool control_glance(struct vm *vm, struct control_glance *cpus)
{
	bool good;

	pthread_mutex_lock(&vm->lock);
	good = hold_all(vm);
	if (!good)
		goto out_unlock;
	good = wait_all(vm);
	for (unsigned i = 0; i < vm->cpus && good; i++)
		good = look_at(vm, i, &cpus[i]);
	/* One that came to a breakpoint just now stays with its debugger. */
	for (unsigned i = 0; i < vm->cpus; i++)
		if (!vm->cpu[i].stopped)
			vcpu_release(&vm->cpu[i]);
	pthread_cond_broadcast(&vm->stopped);
out_unlock:
	pthread_mutex_unlock(&vm->lock);
	return good;
}
