// SPDX-License-Identifier: GPL-2.0-only
/*
 * speed: how fast a guest runs here. Hardware does thousands of millions of instructions a second,
 * a KVM that interprets does about one million; /proc/cpuinfo doesn't tell them apart.
 *
 * A guest of its own, away from everything else: it counts a register down, then writes to a port.
 * How far it counts is raised until a run takes long enough to be timed.
 *
 * Runs on: main
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "kvm/kvm.h"
#include "lkvm/log.h"

#define RAM	   4096
#define LOOP_INSNS 2	       /* instructions a round */
#define ENOUGH_NS  10000000ULL /* ten milliseconds */
#define ROUNDS_MAX 1000000000U
#define EXITS_MAX  10000U

/* 1: dec ecx; jnz 1b; out 0x80, al; mov ecx, ebx; jmp 1b */
static const uint8_t code[] = { 0x49, 0x75, 0xfd, 0xe6, 0x80, 0x89, 0xd9, 0xeb, 0xf7 };

struct rig {
	int vm, vcpu;
	uint8_t *ram;
	struct kvm_run *run;
	size_t run_len;
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec;
}

static void rig_close(struct rig *r)
{
	if (r->run != MAP_FAILED)
		munmap(r->run, r->run_len);
	if (r->vcpu >= 0)
		close(r->vcpu);
	if (r->vm >= 0)
		close(r->vm);
	if (r->ram != MAP_FAILED)
		munmap(r->ram, RAM);
}

/* Runs until the next write to the port. */
static int rig_step(struct rig *r)
{
	while (ioctl(r->vcpu, KVM_RUN, 0) < 0)
		if (errno != EINTR && errno != EAGAIN)
			return -errno;
	return r->run->exit_reason == KVM_EXIT_IO ? 0 : -EIO;
}

static int rig_open(struct rig *r, int dev)
{
	struct kvm_userspace_memory_region slot = { .memory_size = RAM };
	struct kvm_regs regs = { .rflags = 2, .rcx = 1, .rbx = 1 };
	struct kvm_sregs sregs;
	int len = ioctl(dev, KVM_GET_VCPU_MMAP_SIZE, 0);
	uint64_t identity = MAP_VMX_PAGES;

	*r = (struct rig){ .vcpu = -1, .run = MAP_FAILED, .run_len = len > 0 ? (size_t)len : 0 };
	r->ram = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	r->vm = dev_create_vm(dev);
	if (r->ram == MAP_FAILED || r->vm < 0)
		return -EIO;
	memcpy(r->ram, code, sizeof(code));
	slot.userspace_addr = (uintptr_t)r->ram;
	/* For old Intel processors; what others answer doesn't matter. */
	ioctl(r->vm, KVM_SET_IDENTITY_MAP_ADDR, &identity);
	ioctl(r->vm, KVM_SET_TSS_ADDR, (unsigned long)(MAP_VMX_PAGES + 0x1000));
	if (ioctl(r->vm, KVM_SET_USER_MEMORY_REGION, &slot) < 0)
		return -errno;
	r->vcpu = ioctl(r->vm, KVM_CREATE_VCPU, 0UL);
	if (r->vcpu < 0)
		return -errno;
	r->run = mmap(NULL, r->run_len, PROT_READ | PROT_WRITE, MAP_SHARED, r->vcpu, 0);
	if (r->run == MAP_FAILED || ioctl(r->vcpu, KVM_GET_SREGS, &sregs) < 0)
		return -errno;
	regs_pvh(&sregs);
	if (ioctl(r->vcpu, KVM_SET_SREGS, &sregs) < 0 || ioctl(r->vcpu, KVM_SET_REGS, &regs) < 0)
		return -errno;
	return rig_step(r);
}

/* From now on each way to the port counts down from rounds. The rest stays: KVM has yet to finish
 * the write it came back for. */
static int rig_begin(struct rig *r, uint32_t rounds)
{
	struct kvm_regs regs;

	if (ioctl(r->vcpu, KVM_GET_REGS, &regs) < 0)
		return -errno;
	regs.rbx = rounds;
	return ioctl(r->vcpu, KVM_SET_REGS, &regs) < 0 ? -errno : 0;
}

static int measure_mips(struct rig *r, double *mips)
{
	uint32_t rounds = 1000;
	uint64_t took;

	for (;;) {
		int ret = rig_begin(r, rounds);
		uint64_t from = now_ns();

		if (!ret)
			ret = rig_step(r);
		took = now_ns() - from;
		if (ret < 0)
			return ret;
		if (took >= ENOUGH_NS || rounds > ROUNDS_MAX / 4)
			break;
		rounds *= 4;
	}
	*mips = took ? (double)rounds * LOOP_INSNS * 1000 / (double)took : 0;
	return 0;
}

static int measure_exits(struct rig *r, double *exits_per_s)
{
	uint64_t from, took = 0;
	unsigned n = 0;
	int ret;

	ret = rig_begin(r, 1);
	from = now_ns();
	while (!ret && n < EXITS_MAX && took < ENOUGH_NS) {
		ret = rig_step(r);
		n++;
		took = now_ns() - from;
	}
	*exits_per_s = took ? (double)n * 1e9 / (double)took : 0;
	return ret;
}

int vm_speed(int dev, double *mips, double *exits_per_s)
{
	struct rig r;
	int ret = rig_open(&r, dev);

	if (!ret)
		ret = measure_mips(&r, mips);
	if (!ret)
		ret = measure_exits(&r, exits_per_s);
	if (ret < 0)
		log_err(NULL, "cannot measure how fast guests run: %s", strerror(-ret));
	rig_close(&r);
	return ret;
}
