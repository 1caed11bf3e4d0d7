// SPDX-License-Identifier: GPL-2.0-only
/*
 * control: holds the vCPUs still, and reads and writes what they are made of.
 *
 * Runs on: main; hold on any thread
 */
#include "lkvm/control.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#include "kvm/kvm.h"
#include "lkvm/log.h"

#define PATIENCE_S 2 /* for a vCPU that is inside a device */

#define MSR_LSTAR     0xc0000082
#define MSR_KERNEL_GS 0xc0000102

#define DR6_POINTS 0x000f
#define DR6_STEP   0x4000
#define DR7_FIXED  0x0400

unsigned control_cpus(struct vm *vm)
{
	return vm->cpus;
}

struct gmem *control_mem(struct vm *vm)
{
	return vm->conf.mem;
}

/* --- out of KVM_RUN, and back ---------------------------------------------------------------- */

static struct vcpu *still_in(struct vm *vm)
{
	for (unsigned i = 0; i < vm->cpus; i++)
		if (vcpu_is_in(&vm->cpu[i]))
			return &vm->cpu[i];
	return NULL;
}

/* Under the VM's lock. */
static void hold_all(struct vm *vm)
{
	for (unsigned i = 0; i < VM_CPUS_MAX; i++) {
		atomic_store(&vm->cpu[i].hold, true);
		if (i < vm->cpus && !vm->cpu[i].out)
			vcpu_kick(&vm->cpu[i]);
	}
}

void control_hold(struct vm *vm)
{
	pthread_mutex_lock(&vm->lock);
	hold_all(vm);
	pthread_mutex_unlock(&vm->lock);
}

int control_pause(struct vm *vm)
{
	struct timespec until;
	const struct vcpu *late;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PATIENCE_S;
	pthread_mutex_lock(&vm->lock);
	hold_all(vm);
	while (still_in(vm))
		if (pthread_cond_timedwait(&vm->parked, &vm->lock, &until) == ETIMEDOUT)
			break;
	late = still_in(vm);
	pthread_mutex_unlock(&vm->lock);
	if (!late)
		return 0;
	log_err(NULL, "vCPU %u did not stop within %u s: it is inside a device that waits", late->id,
		PATIENCE_S);
	control_resume(vm, ~0ULL);
	return -ETIMEDOUT;
}

void control_resume(struct vm *vm, uint64_t mask)
{
	pthread_mutex_lock(&vm->lock);
	for (unsigned i = 0; i < VM_CPUS_MAX; i++) {
		if (!(mask >> i & 1))
			continue;
		vm->cpu[i].stopped = false;
		/* So that the guest's own lockup detector, when it has one, doesn't count the pause. */
		if (vm->cpu[i].out && !vm->cpu[i].ended)
			ioctl(vm->cpu[i].fd, KVM_KVMCLOCK_CTRL, 0);
		vcpu_release(&vm->cpu[i]);
	}
	pthread_cond_broadcast(&vm->stopped);
	pthread_mutex_unlock(&vm->lock);
}

bool control_paused(struct vm *vm)
{
	for (unsigned i = 0; i < vm->cpus; i++)
		if (!atomic_load(&vm->cpu[i].hold))
			return false;
	return true;
}

/* --- registers ------------------------------------------------------------------------------- */

static int do_ioctl(struct vm *vm, unsigned cpu, unsigned long request, void *arg)
{
	if (cpu >= vm->cpus)
		return -ENOENT;
	return ioctl(vm->cpu[cpu].fd, request, arg) < 0 ? -errno : 0;
}

static uint64_t get_msr(struct vm *vm, unsigned cpu, uint32_t index)
{
	_Alignas(struct kvm_msrs) uint8_t room[sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)];
	struct kvm_msrs *msrs = memset(room, 0, sizeof(room));

	msrs->nmsrs = 1;
	msrs->entries[0].index = index;
	return ioctl(vm->cpu[cpu].fd, KVM_GET_MSRS, msrs) == 1 ? msrs->entries[0].data : 0;
}

/* KVM's order of registers against ours; both ways by one table. */
#define GPR_LIST(X)                                                                                 \
	X(0, rax) X(1, rbx) X(2, rcx) X(3, rdx) X(4, rsi) X(5, rdi) X(6, rbp) X(7, rsp)             \
	X(8, r8) X(9, r9) X(10, r10) X(11, r11) X(12, r12) X(13, r13) X(14, r14) X(15, r15)
#define SEG_LIST(X)                                                                                 \
	X(SEG_CS, cs) X(SEG_SS, ss) X(SEG_DS, ds) X(SEG_ES, es) X(SEG_FS, fs) X(SEG_GS, gs)         \
	X(SEG_TR, tr) X(SEG_LDT, ldt)

static uint16_t attributes(const struct kvm_segment *s)
{
	return (uint16_t)((s->type & 15) | (s->s & 1) << 4 | (s->dpl & 3) << 5 | (s->present & 1) << 7 |
			  (s->avl & 1) << 12 | (s->l & 1) << 13 | (s->db & 1) << 14 | (s->g & 1) << 15);
}

int control_regs_get(struct vm *vm, unsigned cpu, struct control_regs *regs)
{
	struct kvm_regs k;
	struct kvm_sregs s;
	int err = do_ioctl(vm, cpu, KVM_GET_REGS, &k);

	if (!err)
		err = do_ioctl(vm, cpu, KVM_GET_SREGS, &s);
	if (err)
		return err;
	*regs = (struct control_regs){
		.rip = k.rip, .rflags = k.rflags,
		.cr0 = s.cr0, .cr2 = s.cr2, .cr3 = s.cr3, .cr4 = s.cr4, .cr8 = s.cr8, .efer = s.efer,
		.idt = s.idt.base, .idt_limit = s.idt.limit, .gdt = s.gdt.base, .gdt_limit = s.gdt.limit,
		.lstar = get_msr(vm, cpu, MSR_LSTAR),
		.kernel_gs = get_msr(vm, cpu, MSR_KERNEL_GS),
	};
#define X(n, name) regs->gpr[n] = k.name;
	GPR_LIST(X)
#undef X
#define X(n, name)                                                                                  \
	regs->seg[n].sel = s.name.selector;                                                         \
	regs->seg[n].base = s.name.base;                                                            \
	regs->seg[n].limit = s.name.limit;                                                          \
	regs->seg[n].attr = attributes(&s.name);
	SEG_LIST(X)
#undef X
	return 0;
}

/* What a debugger may write: general registers, control registers and the bases of segments. */
int control_regs_set(struct vm *vm, unsigned cpu, const struct control_regs *regs)
{
	struct kvm_regs k = { .rip = regs->rip, .rflags = regs->rflags };
	struct kvm_sregs s, old;
	int err = do_ioctl(vm, cpu, KVM_GET_SREGS, &s);

	if (err)
		return err;
	old = s;
#define X(n, name) k.name = regs->gpr[n];
	GPR_LIST(X)
#undef X
	s.cr0 = regs->cr0;
	s.cr2 = regs->cr2;
	s.cr3 = regs->cr3;
	s.cr4 = regs->cr4;
	s.cr8 = regs->cr8;
	s.efer = regs->efer;
	s.fs.base = regs->seg[SEG_FS].base;
	s.gs.base = regs->seg[SEG_GS].base;
	/* Writing them has side effects in KVM (a TLB flush, a check of every bit): only when needed. */
	if (memcmp(&s, &old, sizeof(s)))
		err = do_ioctl(vm, cpu, KVM_SET_SREGS, &s);
	return err ? err : do_ioctl(vm, cpu, KVM_SET_REGS, &k);
}

int control_fpu_get(struct vm *vm, unsigned cpu, struct control_fpu *fpu)
{
	struct kvm_fpu k;
	int err = do_ioctl(vm, cpu, KVM_GET_FPU, &k);

	if (err)
		return err;
	*fpu = (struct control_fpu){ .fcw = k.fcw, .fsw = k.fsw, .fop = k.last_opcode, .ftw = k.ftwx,
				     .fip = k.last_ip, .fdp = k.last_dp, .mxcsr = k.mxcsr };
	memcpy(fpu->st, k.fpr, sizeof(fpu->st));
	memcpy(fpu->xmm, k.xmm, sizeof(fpu->xmm));
	return 0;
}

int control_fpu_set(struct vm *vm, unsigned cpu, const struct control_fpu *fpu)
{
	struct kvm_fpu k = { .fcw = fpu->fcw, .fsw = fpu->fsw, .last_opcode = fpu->fop, .ftwx = fpu->ftw,
			     .last_ip = fpu->fip, .last_dp = fpu->fdp, .mxcsr = fpu->mxcsr };

	memcpy(k.fpr, fpu->st, sizeof(k.fpr));
	memcpy(k.xmm, fpu->xmm, sizeof(k.xmm));
	return do_ioctl(vm, cpu, KVM_SET_FPU, &k);
}

enum control_mp control_mp(struct vm *vm, unsigned cpu)
{
	struct kvm_mp_state mp;

	if (cpu < vm->cpus && vm->cpu[cpu].ended)
		return CONTROL_ENDED;
	if (do_ioctl(vm, cpu, KVM_GET_MP_STATE, &mp))
		return CONTROL_RUNNING;
	switch (mp.mp_state) {
	case KVM_MP_STATE_HALTED:
		return CONTROL_HALTED;
	case KVM_MP_STATE_UNINITIALIZED:
	case KVM_MP_STATE_INIT_RECEIVED:
	case KVM_MP_STATE_SIPI_RECEIVED:
		return CONTROL_WAITING;
	default:
		return CONTROL_RUNNING;
	}
}

int control_nmi(struct vm *vm, unsigned cpu)
{
	return do_ioctl(vm, cpu, KVM_NMI, NULL);
}

/* --- debugging ------------------------------------------------------------------------------- */

/* DR7: an enable bit, and two fields of two bits: what to stop on, and the length. */
static void add_point(struct kvm_guest_debug *dbg, unsigned n, const struct control_point *p)
{
	static const uint8_t rw[] = { [CONTROL_EXEC] = 0, [CONTROL_WRITE] = 1, [CONTROL_ACCESS] = 3 };
	static const uint8_t lens[] = { [1] = 0, [2] = 1, [4] = 3, [8] = 2 };

	if (p->kind == CONTROL_FREE)
		return;
	dbg->control |= KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP;
	dbg->arch.debugreg[n] = p->addr;
	dbg->arch.debugreg[7] |= DR7_FIXED | 2ULL << (2 * n) | (uint64_t)rw[p->kind] << (16 + 4 * n);
	if (p->kind != CONTROL_EXEC && p->len <= 8)
		dbg->arch.debugreg[7] |= (uint64_t)lens[p->len] << (18 + 4 * n);
}

int control_debug(struct vm *vm, const struct control_point points[CONTROL_POINTS], uint64_t step)
{
	int flags = dev_cap(vm->dev, KVM_CAP_SET_GUEST_DEBUG2), err = 0;

	for (unsigned i = 0; i < vm->cpus && !err; i++) {
		struct kvm_guest_debug dbg = { 0 };

		for (unsigned n = 0; points && n < CONTROL_POINTS; n++)
			add_point(&dbg, n, &points[n]);
		if (step >> i & 1)
			dbg.control |= KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP |
				       ((unsigned)flags & KVM_GUESTDBG_BLOCKIRQ);
		vm->cpu[i].step = step >> i & 1;
		err = do_ioctl(vm, i, KVM_SET_GUEST_DEBUG, &dbg);
	}
	return err;
}

struct control_stop control_stop(struct vm *vm, unsigned cpu)
{
	struct control_stop stop = { .point = -1 };
	uint64_t dr6;

	if (cpu >= vm->cpus)
		return stop;
	pthread_mutex_lock(&vm->lock);
	stop.stopped = vm->cpu[cpu].stopped;
	dr6 = vm->cpu[cpu].why.dr6;
	pthread_mutex_unlock(&vm->lock);
	if (!stop.stopped)
		return stop;
	stop.step = dr6 & DR6_STEP;
	for (unsigned n = 0; n < CONTROL_POINTS && stop.point < 0; n++)
		if (dr6 & DR6_POINTS & 1U << n)
			stop.point = (int)n;
	return stop;
}
