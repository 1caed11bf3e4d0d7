// SPDX-License-Identifier: GPL-2.0-only
/*
 * regs: the state a vCPU begins in. The first enters the kernel; the others wait for INIT and SIPI.
 *
 * Runs on: main
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "kvm/kvm.h"
#include "lkvm/boot.h"
#include "lkvm/log.h"

#define CR0_PE	(1U << 0)
#define CR0_ET	(1U << 4)
#define CR0_NE	(1U << 5)
#define CR0_WP	(1U << 16)
#define CR0_PG	(1U << 31)
#define CR4_PAE	(1U << 5)
#define EFER_LME (1U << 8)
#define EFER_LMA (1U << 10)

#define MSR_MISC_ENABLE	     0x1a0
#define MISC_FAST_STRINGS    (1U << 0)
#define MSR_MTRR_PHYS_BASE0  0x200
#define MSR_MTRR_PHYS_MASK0  0x201
#define MSR_MTRR_DEF_TYPE    0x2ff
#define MTRR_ENABLE	     (1U << 11)
#define MTRR_UC		     0
#define MTRR_WB		     6

#define APIC_LVT0     0x350
#define APIC_LVT1     0x360
#define APIC_NMI      0x400
#define APIC_EXTINT   0x700

/* The GDT of boot_load(): 0x10 code, 0x18 data, as Linux's boot protocol wants them. */
static struct kvm_segment flat_code(bool is64)
{
	return (struct kvm_segment){
		.selector = 0x10, .limit = 0xffffffff, .type = 0xb, .present = 1, .s = 1, .g = 1,
		.l = is64, .db = !is64,
	};
}

static struct kvm_segment flat_data(void)
{
	return (struct kvm_segment){
		.selector = 0x18, .limit = 0xffffffff, .type = 3, .present = 1, .s = 1, .g = 1,
		.db = 1,
	};
}

static void flat_segments(struct kvm_sregs *sregs, bool is64)
{
	sregs->cs = flat_code(is64);
	sregs->ds = sregs->es = sregs->fs = sregs->gs = sregs->ss = flat_data();
	/* Entering a guest takes a busy TSS and a well-formed LDT, even if nobody uses them. */
	sregs->tr = (struct kvm_segment){ .limit = 0x67, .type = 0xb, .present = 1 };
	sregs->ldt = (struct kvm_segment){ .type = 2, .unusable = 1 };
	memset(&sregs->idt, 0, sizeof(sregs->idt));
	memset(&sregs->gdt, 0, sizeof(sregs->gdt));
}

void regs_pvh(struct kvm_sregs *sregs)
{
	flat_segments(sregs, false);
	sregs->cr0 = CR0_PE | CR0_ET;
	sregs->cr3 = 0;
	sregs->cr4 = 0;
	sregs->efer = 0;
}

static void regs_long(struct kvm_sregs *sregs, const struct vm_entry *entry)
{
	flat_segments(sregs, true);
	sregs->gdt.base = entry->gdt;
	sregs->gdt.limit = 4 * 8 - 1;
	sregs->cr0 = CR0_PE | CR0_ET | CR0_NE | CR0_WP | CR0_PG;
	sregs->cr3 = entry->cr3;
	sregs->cr4 = CR4_PAE;
	sregs->efer = EFER_LME | EFER_LMA;
}

static int set_entry(const struct vcpu *cpu, const struct vm_entry *entry)
{
	struct kvm_regs regs = { .rip = entry->rip, .rflags = 2 };
	struct kvm_sregs sregs;

	if (ioctl(cpu->fd, KVM_GET_SREGS, &sregs) < 0)
		return -errno;
	if (entry->mode == VM_ENTRY_PVH) {
		regs.rbx = entry->arg;
		regs_pvh(&sregs);
	} else {
		regs.rsi = entry->arg;
		regs_long(&sregs, entry);
	}
	if (ioctl(cpu->fd, KVM_SET_SREGS, &sregs) < 0 || ioctl(cpu->fd, KVM_SET_REGS, &regs) < 0)
		return -errno;
	return 0;
}

/* The PIC reaches the first processor through LINT0, as firmware would leave it; NMIs come by
 * LINT1. */
static int set_lapic(const struct vcpu *cpu)
{
	const uint32_t extint = APIC_EXTINT, nmi = APIC_NMI;
	struct kvm_lapic_state lapic;

	if (ioctl(cpu->fd, KVM_GET_LAPIC, &lapic) < 0)
		return -errno;
	memcpy(lapic.regs + APIC_LVT0, &extint, sizeof(extint));
	memcpy(lapic.regs + APIC_LVT1, &nmi, sizeof(nmi));
	return ioctl(cpu->fd, KVM_SET_LAPIC, &lapic) < 0 ? -errno : 0;
}

/* Sets an MSR to value, keeping the bits of keep. */
static void set_msr(const struct vcpu *cpu, uint32_t index, uint64_t keep, uint64_t value)
{
	/* A header and room for its one entry. */
	enum { len = sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry) };
	_Alignas(struct kvm_msrs) uint8_t room[len];
	struct kvm_msrs *msrs = memset(room, 0, sizeof(room));

	msrs->nmsrs = 1;
	msrs->entries[0].index = index;
	/* Which registers there are depends on the processor; a guest can do without these. */
	if (ioctl(cpu->fd, KVM_GET_MSRS, msrs) == 1) {
		msrs->entries[0].data = (msrs->entries[0].data & keep) | value;
		if (ioctl(cpu->fd, KVM_SET_MSRS, msrs) == 1)
			return;
	}
	log_dbg(NULL, "vCPU %u cannot set MSR %#x", cpu->id, index);
}

/*
 * What firmware would set: fast string instructions, and memory that is write-back but for the hole
 * below 4 GiB. Without the latter Linux takes caching attributes (PAT) for broken.
 */
static void set_msrs(const struct vcpu *cpu)
{
	uint64_t bits = cpu->vm->phys_bits;
	uint64_t mask = ((1ULL << bits) - 1) & ~(MAP_HOLE_END - MAP_HOLE_START - 1);

	set_msr(cpu, MSR_MISC_ENABLE, ~0ULL, MISC_FAST_STRINGS);
	set_msr(cpu, MSR_MTRR_PHYS_BASE0, 0, MAP_HOLE_START | MTRR_UC);
	set_msr(cpu, MSR_MTRR_PHYS_MASK0, 0, mask | MTRR_ENABLE);
	set_msr(cpu, MSR_MTRR_DEF_TYPE, 0, MTRR_ENABLE | MTRR_WB);
}

int regs_init(const struct vcpu *cpu, const struct vm_entry *entry)
{
	int ret = set_lapic(cpu);

	set_msrs(cpu);
	/* With KVM's own LAPICs only the first vCPU runs at once. */
	if (!ret && cpu->id == 0)
		ret = set_entry(cpu, entry);
	if (ret < 0)
		log_err(NULL, "cannot set vCPU %u's registers: %s", cpu->id, strerror(-ret));
	return ret;
}
