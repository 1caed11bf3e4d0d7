// SPDX-License-Identifier: GPL-2.0-only
/*
 * vcpu: a vCPU's thread: runs the guest, turns its exits into bus accesses, says how it ended.
 *
 * Runs on: the vCPU's own thread, except vcpu_open, _start, _kick, _join and _close: main
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "kvm/exit.h"
#include "kvm/kvm.h"
#include "lkvm/log.h"

/* Interrupts KVM_RUN. Taken from the real-time signals, so that no library claims it. */
#define KICK_SIGNAL SIGRTMIN

static void kick_handler(int sig)
{
	(void)sig;
}

static void vcpu_pio(const struct vcpu *cpu)
{
	const struct kvm_run *run = cpu->run;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	struct bus *bus = cpu->vm->conf.pio;
	unsigned len = run->io.size;
	uint32_t i;

	if (cpu->vm->tally)
		tally_access(cpu->vm->tally, cpu->id, bus, run->io.port, len,
			     run->io.direction == KVM_EXIT_IO_OUT);
	/* A string instruction comes as one exit with count items, in the guest's order. */
	for (i = 0; i < run->io.count; i++, data += len) {
		uint64_t val = 0;

		if (run->io.direction == KVM_EXIT_IO_OUT) {
			memcpy(&val, data, len);
			bus_write(bus, run->io.port, len, val);
		} else {
			val = bus_read(bus, run->io.port, len);
			memcpy(data, &val, len);
		}
	}
}

/* Models know 1, 2, 4 and 8 bytes; an access over a page's end comes in odd pieces. */
static unsigned mmio_piece(uint64_t addr, unsigned left)
{
	unsigned piece = 8;

	if (left == 1 || left == 2 || left == 4 || left == 8)
		return left;
	while (piece > left || addr % piece)
		piece /= 2;
	return piece;
}

static void vcpu_mmio(const struct vcpu *cpu)
{
	struct kvm_run *run = cpu->run;
	struct bus *bus = cpu->vm->conf.mmio;
	unsigned at, piece, len = run->mmio.len;

	if (len > sizeof(run->mmio.data))
		len = sizeof(run->mmio.data);
	if (cpu->vm->tally)
		tally_access(cpu->vm->tally, cpu->id, bus, run->mmio.phys_addr, len,
			     run->mmio.is_write);
	for (at = 0; at < len; at += piece) {
		uint64_t addr = run->mmio.phys_addr + at, val = 0;

		piece = mmio_piece(addr, len - at);
		if (run->mmio.is_write) {
			memcpy(&val, run->mmio.data + at, piece);
			bus_write(bus, addr, piece, val);
		} else {
			val = bus_read(bus, addr, piece);
			memcpy(run->mmio.data + at, &val, piece);
		}
	}
}

static void vcpu_ended(struct vcpu *cpu, enum vm_end why, const char *detail)
{
	struct vm *vm = cpu->vm;

	if (vm->conf.ended)
		vm->conf.ended(vm->conf.opaque, why, cpu->id, detail);
	pthread_mutex_lock(&vm->lock);
	cpu->out = cpu->ended = true;
	pthread_cond_broadcast(&vm->parked);
	while (!atomic_load(&vm->stopping))
		pthread_cond_wait(&vm->stopped, &vm->lock);
	pthread_mutex_unlock(&vm->lock);
}

/* Out of KVM_RUN until control_resume() or the end. */
static void vcpu_park(struct vcpu *cpu)
{
	struct vm *vm = cpu->vm;

	pthread_mutex_lock(&vm->lock);
	cpu->out = true;
	pthread_cond_broadcast(&vm->parked);
	while (atomic_load(&cpu->hold) && !atomic_load(&vm->stopping))
		pthread_cond_wait(&vm->stopped, &vm->lock);
	cpu->out = false;
	pthread_mutex_unlock(&vm->lock);
}

/* A breakpoint, a watchpoint or the end of a step: the debugger decides how to go on. */
static void vcpu_stopped(struct vcpu *cpu, const struct kvm_debug_exit_arch *why)
{
	struct vm *vm = cpu->vm;

	if (!vm->conf.stopped)
		return;
	pthread_mutex_lock(&vm->lock);
	atomic_store(&cpu->hold, true);
	cpu->stopped = true;
	cpu->why = *why;
	pthread_mutex_unlock(&vm->lock);
	vm->conf.stopped(vm->conf.opaque, cpu->id);
	vcpu_park(cpu);
}

/*
 * A step over an access: KVM may complete it without a stop and go on to the next instruction. So
 * KVM_RUN shall do no more than complete it, and vcpu_interrupted() makes the stop.
 */
static void vcpu_accessed(struct vcpu *cpu)
{
	if (!cpu->step)
		return;
	cpu->accessed = true;
	__atomic_store_n(&cpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
}

/*
 * KVM_RUN did not enter the guest. Only here is nothing half done: KVM_RUN first completes the access
 * it last came back for, and only then looks at immediate_exit.
 */
static void vcpu_interrupted(struct vcpu *cpu)
{
	static const struct kvm_debug_exit_arch stepped = { .dr6 = 0x4000 };

	if (cpu->accessed && !atomic_load(&cpu->vm->stopping)) {
		cpu->accessed = false;
		vcpu_stopped(cpu, &stepped);
	} else if (atomic_load(&cpu->hold)) {
		vcpu_park(cpu);
	}
}

/* What KVM_RUN came back for. False: the guest can't go on, which has been said. */
static bool vcpu_exit(struct vcpu *cpu)
{
	char detail[200];
	enum vm_end why;

	if (cpu->vm->tally)
		tally_reason(cpu->vm->tally, cpu->id, cpu->run->exit_reason);
	switch (cpu->run->exit_reason) {
	case KVM_EXIT_IO:
		vcpu_pio(cpu);
		vcpu_accessed(cpu);
		return true;
	case KVM_EXIT_MMIO:
		vcpu_mmio(cpu);
		vcpu_accessed(cpu);
		return true;
	case KVM_EXIT_INTR:
		return true;
	case KVM_EXIT_DEBUG:
		cpu->accessed = false;
		vcpu_stopped(cpu, &cpu->run->debug.arch);
		return true;
	default:
		why = exit_explain(cpu->fd, cpu->run, detail, sizeof(detail));
		vcpu_ended(cpu, why, detail);
		return false;
	}
}

static void *vcpu_main(void *opaque)
{
	struct vcpu *cpu = opaque;
	char detail[120];
	sigset_t set;
	char name[16];

	/* Its own name: another thread's would go by way of /proc, which makes the exit slower. */
	snprintf(name, sizeof(name), "vcpu%u", cpu->id);
	prctl(PR_SET_NAME, name);
	/* Only the kick may interrupt: every other signal is for the threads that wait for it. */
	sigfillset(&set);
	sigdelset(&set, KICK_SIGNAL);
	pthread_sigmask(SIG_SETMASK, &set, NULL);

	while (!atomic_load(&cpu->vm->stopping)) {
		int err;

		err = ioctl(cpu->fd, KVM_RUN, 0) < 0 ? errno : 0;
		/* What was written before it came out is seen before what it came out for. */
		ring_collect(&cpu->vm->ring);
		if (!err) {
			if (!vcpu_exit(cpu))
				break;
			continue;
		}
		if (cpu->vm->tally)
			tally_reason(cpu->vm->tally, cpu->id, 0);
		/* EAGAIN: a vCPU that waited for its start-up message got one. */
		if (err == EAGAIN)
			continue;
		if (err == EINTR) {
			vcpu_interrupted(cpu);
			continue;
		}
		exit_explain_error(cpu->fd, err, detail, sizeof(detail));
		vcpu_ended(cpu, VM_END_INTERNAL, detail);
		break;
	}
	return NULL;
}

int vcpu_open(struct vcpu *cpu, struct vm *vm, unsigned id)
{
	int len = ioctl(vm->dev, KVM_GET_VCPU_MMAP_SIZE, 0), err;

	cpu->vm = vm;
	cpu->id = id;
	cpu->fd = ioctl(vm->fd, KVM_CREATE_VCPU, (unsigned long)id);
	if (cpu->fd < 0 || len <= 0) {
		err = cpu->fd < 0 ? errno : EPROTO;
		goto err_log;
	}
	cpu->run_len = (size_t)len;
	cpu->run = mmap(NULL, cpu->run_len, PROT_READ | PROT_WRITE, MAP_SHARED, cpu->fd, 0);
	if (cpu->run == MAP_FAILED) {
		err = errno;
		goto err_log;
	}
	return 0;

err_log:
	log_err(NULL, "cannot create vCPU %u: %s", id, strerror(err));
	cpu->run = NULL;
	if (cpu->fd >= 0)
		close(cpu->fd);
	return -err;
}

int vcpu_start(struct vcpu *cpu)
{
	/* Restart whatever the signal interrupts; KVM_RUN never restarts. */
	struct sigaction kick = { .sa_handler = kick_handler, .sa_flags = SA_RESTART };
	sigset_t all, old;
	int err;

	sigemptyset(&kick.sa_mask);
	if (sigaction(KICK_SIGNAL, &kick, NULL) < 0)
		return -errno;

	/* Held from the start: not one instruction. */
	if (atomic_load(&cpu->hold))
		__atomic_store_n(&cpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	/* The thread must never run with the creator's mask: a signal for main would be its. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&cpu->thread, NULL, vcpu_main, cpu);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (err) {
		log_err(NULL, "cannot start vCPU %u's thread: %s", cpu->id, strerror(err));
		return -err;
	}
	cpu->running = true;
	return 0;
}

/*
 * No wake-up can be lost: `stopping` or `hold` is set already. A thread that read it before then
 * finds immediate_exit when it enters KVM_RUN; one that is past that check, or blocked as a signal
 * comes in before KVM_RUN, is or will be thrown out by the signal, which stays pending until then.
 */
void vcpu_kick(struct vcpu *cpu)
{
	if (!cpu->running)
		return;
	__atomic_store_n(&cpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	pthread_kill(cpu->thread, KICK_SIGNAL);
}

void vcpu_release(struct vcpu *cpu)
{
	/* Before the hold goes: from then on its thread may be in KVM_RUN. */
	if (cpu->run && !atomic_load(&cpu->vm->stopping))
		__atomic_store_n(&cpu->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
	atomic_store(&cpu->hold, false);
}

bool vcpu_is_in(const struct vcpu *cpu)
{
	return cpu->running && !cpu->out;
}

void vcpu_join(struct vcpu *cpu)
{
	if (!cpu->running)
		return;
	pthread_join(cpu->thread, NULL);
	cpu->running = false;
}

void vcpu_close(struct vcpu *cpu)
{
	if (cpu->run)
		munmap(cpu->run, cpu->run_len);
	if (cpu->fd >= 0)
		close(cpu->fd);
}
