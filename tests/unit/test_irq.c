// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupt routing on a real /dev/kvm: messages and lines reach a 64-bit guest of a hundred bytes,
 * whose handlers write their vector to a port; and the route table is handed over no more often
 * than needed.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "kvm/kvm.h"
#include "kvm/load.h"
#include "lkvm/boot.h"
#include "tap.h"

#define CODE	 0x100000
#define HANDLERS 0x102000
#define IDT	 0x103000
#define PORT_VEC 0x80
#define PORT_UP	 0x81
#define MSI_ADDR 0xfee00000ULL
#define VEC	 0x40 /* the first of the vectors that have handlers */
#define VECS	 16

struct rig {
	struct gmem mem;
	struct bus pio, mmio;
	struct bus_slot slot;
	struct bus_range ports;
	struct vm *vm;
	struct intc *intc;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	unsigned got[256], total;
	bool up;
};

static void port_write(void *opaque, uint64_t off, unsigned len, uint64_t val)
{
	struct rig *r = opaque;

	(void)len;
	pthread_mutex_lock(&r->lock);
	if (off == PORT_UP - PORT_VEC) {
		r->up = true;
	} else {
		r->got[val & 0xff]++;
		r->total++;
	}
	pthread_cond_broadcast(&r->cond);
	pthread_mutex_unlock(&r->lock);
}

static const struct bus_ops port_ops = { NULL, port_write };

static bool wait_for(struct rig *r, const unsigned *what, unsigned least, unsigned ms)
{
	struct timespec until;
	bool held;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	until.tv_sec += ms / 1000 + until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&r->lock);
	while (!(held = r->up && (!what || *what >= least)))
		if (pthread_cond_timedwait(&r->cond, &r->lock, &until))
			break;
	pthread_mutex_unlock(&r->lock);
	return held;
}

static unsigned count_of(struct rig *r, unsigned vector)
{
	unsigned n;

	pthread_mutex_lock(&r->lock);
	n = r->got[vector];
	pthread_mutex_unlock(&r->lock);
	return n;
}

static void put32(struct rig *r, uint64_t gpa, uint32_t v)
{
	gmem_write(&r->mem, gpa, &v, sizeof(v));
}

/*
 * The handlers: push rax; mov al, vector; out 0x80, al; mov dword [rbx + 0xb0], 0 (end of
 * interrupt); pop rax; iretq. rbx is the LAPIC, rdi the IO-APIC, always.
 */
static void write_handlers(struct rig *r)
{
	uint8_t code[] = { 0x50, 0xb0, 0, 0xe6, 0x80, 0xc7, 0x83, 0xb0, 0x00, 0x00, 0x00,
			   0, 0, 0, 0, 0x58, 0x48, 0xcf };
	unsigned i;

	for (i = 0; i < VECS; i++) {
		uint32_t at = HANDLERS + i * 32, gate = IDT + (VEC + i) * 16;

		code[2] = (uint8_t)(VEC + i);
		gmem_write(&r->mem, at, code, sizeof(code));
		/* An interrupt gate in boot's code segment. */
		put32(r, gate, 0x10 << 16 | (at & 0xffff));
		put32(r, gate + 4, (at & 0xffff0000) | 0x8e00);
	}
}

/* IO-APIC inputs 4 and 16 as level-triggered vectors 0x44 and 0x45 to LAPIC 0. */
static const uint8_t guest[] = {
	0x0f, 0x01, 0x1c, 0x25, 0x00, 0x08, 0x10, 0x00,		  /* lidt [0x100800] */
	0xbc, 0x00, 0x00, 0x20, 0x00,				  /* mov esp, 0x200000 */
	0xbb, 0x00, 0x00, 0xe0, 0xfe,				  /* mov ebx, 0xfee00000 */
	0xbf, 0x00, 0x00, 0xc0, 0xfe,				  /* mov edi, 0xfec00000 */
	0xc7, 0x83, 0xf0, 0x00, 0x00, 0x00, 0xff, 0x01, 0, 0,	  /* LAPIC on, spurious 0xff */
	0xc7, 0x07, 0x18, 0, 0, 0,				  /* input 4, low: */
	0xc7, 0x47, 0x10, 0x44, 0x80, 0, 0,			  /* level, vector 0x44 */
	0xc7, 0x07, 0x30, 0, 0, 0,				  /* input 16, low: */
	0xc7, 0x47, 0x10, 0x45, 0x80, 0, 0,			  /* level, vector 0x45 */
	0xe6, 0x81,						  /* out 0x81, al: ready */
	0xfb, 0xf4, 0xeb, 0xfc,					  /* sti, hlt, for ever */
};

static void on_end(void *opaque, enum vm_end why, unsigned cpu, const char *detail)
{
	(void)opaque;
	printf("# the guest ended (%u) on vCPU %u: %s\n", why, cpu, detail);
	fflush(stdout);
}

static struct rig *rig_open(void)
{
	struct vm_entry entry = { .mode = VM_ENTRY_LONG, .rip = CODE };
	struct rig *r = calloc(1, sizeof(*r));
	struct vm_conf conf = { .cpus = 1, .pio = &r->pio, .mmio = &r->mmio, .mem = &r->mem,
				.ended = on_end };

	if (gmem_open(&r->mem, 4 << 20, MAP_HOLE_START, MAP_HOLE_END, 0) < 0)
		exit(1);
	bus_init(&r->pio, "pio");
	bus_init(&r->mmio, "mmio");
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->cond, NULL);
	pthread_mutex_init(&r->slot.lock, NULL);
	r->ports = (struct bus_range){ PORT_VEC, 2, &port_ops, r, &r->slot, 1, NULL, false, NULL };
	bus_map(&r->pio, &r->ports);
	r->vm = vm_open(&conf);
	if (!r->vm)
		exit(1);
	r->intc = vm_intc(r->vm);
	gmem_write(&r->mem, CODE, guest, sizeof(guest));
	put32(r, 0x100800, (IDT & 0xffff) << 16 | 0xfff);
	put32(r, 0x100804, IDT >> 16);
	if (longmode_build(&r->mem, &entry) < 0)
		exit(1);
	write_handlers(r);
	if (vm_start(r->vm, &entry) < 0)
		exit(1);
	return r;
}

static void rig_close(struct rig *r)
{
	vm_close(r->vm);
	bus_fini(&r->pio);
	bus_fini(&r->mmio);
	gmem_close(&r->mem);
	free(r);
}

static void test_messages(struct rig *r)
{
	int fd = eventfd(0, EFD_NONBLOCK), early = eventfd(3, EFD_NONBLOCK);
	struct intc *intc = r->intc;
	unsigned a = 0, b = 0;

	is(intc->msi_open(intc, &a), 0, "a message input is opened");
	is(intc->msi_open(intc, &b), 0, "another one");
	ok(a >= 24 && b >= 24 && a != b, "they come after the pins, and differ");
	is(intc->msi_set(intc, a, MSI_ADDR, VEC), 0, "its message is set");
	is(intc->irqfd_attach(intc, a, fd, -1), 0, "an eventfd is attached");
	eventfd_write(fd, 1);
	ok(wait_for(r, &r->got[VEC], 1, 5000), "a write to it reaches the guest's handler");
	is(intc->msi_set(intc, a, MSI_ADDR, VEC + 1), 0, "the message changes while attached");
	eventfd_write(fd, 1);
	ok(wait_for(r, &r->got[VEC + 1], 1, 5000), "the next one has the new vector");
	intc->irqfd_detach(intc, a, fd);
	eventfd_write(fd, 1);
	ok(!wait_for(r, &r->got[VEC + 1], 2, 50), "detached it is silent");
	is(intc->irqfd_attach(intc, a, fd, -1), 0, "attached again");
	ok(wait_for(r, &r->got[VEC + 1], 2, 5000), "what was pending is delivered at once");

	is(intc->msi_set(intc, b, MSI_ADDR, VEC + 2), 0, "the second message");
	is(intc->irqfd_attach(intc, b, early, -1), 0, "attached with an event that came earlier");
	ok(wait_for(r, &r->got[VEC + 2], 1, 5000), "which arrives");
	is(count_of(r, VEC + 2), 1, "once, however often it was signalled");

	is(intc->msi_set(intc, b, 0x12300000, VEC + 2), 0, "a message to an address that is RAM");
	eventfd_write(early, 1);
	ok(!wait_for(r, &r->got[VEC + 2], 2, 50), "interrupts nobody");
	eventfd_write(fd, 1);
	ok(wait_for(r, &r->got[VEC + 1], 3, 5000), "and spoils no other route");

	intc->irqfd_detach(intc, a, fd);
	intc->irqfd_detach(intc, b, early);
	intc->msi_close(intc, a);
	intc->msi_close(intc, b);
	ok(intc->irqfd_attach(intc, a, fd, -1) < 0, "a closed input takes no eventfd");
	is(intc->msi_set(intc, a, MSI_ADDR, VEC), -EINVAL, "nor a message");
	is(intc->msi_open(intc, &b), 0, "its number");
	is(b, a, "is given out again");
	intc->msi_close(intc, b);
	close(fd);
	close(early);
}

static void test_commits(struct rig *r)
{
	struct intc *intc = r->intc;
	unsigned gsi[32], before = irqchip_commits(r->vm->irqchip), i, bad = 0;
	int fd = eventfd(0, EFD_NONBLOCK), other = eventfd(0, EFD_NONBLOCK);

	for (i = 0; i < 32; i++) {
		bad += intc->msi_open(intc, &gsi[i]) != 0;
		bad += intc->msi_set(intc, gsi[i], MSI_ADDR, VEC + i % VECS) != 0;
	}
	is(bad, 0, "32 messages are set");
	is(irqchip_commits(r->vm->irqchip), before, "nobody listens, so KVM isn't told");
	bad += intc->irqfd_attach(intc, gsi[7], fd, -1) != 0;
	bad += intc->irqfd_attach(intc, gsi[9], other, -1) != 0;
	is(irqchip_commits(r->vm->irqchip), before + 1,
	   "at the first eventfd it is told of all, once");
	bad += intc->msi_set(intc, gsi[7], MSI_ADDR, VEC + 7) != 0;
	is(irqchip_commits(r->vm->irqchip), before + 1, "a message that doesn't change isn't told");
	eventfd_write(other, 1);
	ok(wait_for(r, &r->got[VEC + 9], 1, 5000), "they work");
	is(bad, 0, "nothing failed");
	intc->irqfd_detach(intc, gsi[7], fd);
	intc->irqfd_detach(intc, gsi[9], other);
	for (i = 0; i < 32; i++)
		intc->msi_close(intc, gsi[i]);
	close(fd);
	close(other);
}

/* There is an end to them, and running into it breaks nothing. */
static void test_many(struct rig *r)
{
	static unsigned gsi[8192];
	struct intc *intc = r->intc;
	int fd = eventfd(0, EFD_NONBLOCK), ret = 0;
	unsigned n = 0, last;

	while (n < 8192 && !(ret = intc->msi_open(intc, &gsi[n])))
		intc->msi_set(intc, gsi[n++], MSI_ADDR, VEC + 3);
	is(ret, -ENOSPC, "the inputs run out at some time (%u)", n);
	ok(n >= 64 * 3, "but are enough for 32 devices and their vectors");
	last = count_of(r, VEC + 3);
	is(n ? intc->irqfd_attach(intc, gsi[n - 1], fd, -1) : -1, 0, "KVM takes that many");
	eventfd_write(fd, 1);
	ok(wait_for(r, &r->got[VEC + 3], last + 1, 5000), "and the last one works");
	intc->irqfd_detach(intc, gsi[n - 1], fd);
	while (n)
		intc->msi_close(intc, gsi[--n]);
	close(fd);
}

/*
 * Level-triggered with resample: an end-of-interrupt drops the line and says so; asserted again, it
 * comes again.
 */
static void test_resample(struct rig *r)
{
	int fd = eventfd(0, EFD_NONBLOCK), resample = eventfd(0, EFD_NONBLOCK);
	struct intc *intc = r->intc;
	eventfd_t n = 0;
	unsigned i;

	is(intc->irqfd_attach(intc, GSI_INTX, fd, resample), 0, "a line's irqfd with resample");
	eventfd_write(fd, 1);
	ok(wait_for(r, &r->got[0x45], 1, 5000), "asserts the line");
	for (i = 0; i < 100 && eventfd_read(resample, &n); i++)
		usleep(10000);
	ok(n > 0, "the end of interrupt is told");
	is(count_of(r, 0x45), 1, "and the line was dropped: one interrupt came");
	eventfd_write(fd, 1);
	ok(wait_for(r, &r->got[0x45], 2, 5000), "asserted again it comes again");
	intc->irqfd_detach(intc, GSI_INTX, fd);
	close(fd);
	close(resample);
}

/* Two models on one line: it is up while either wants it. */
static void test_lines(struct rig *r)
{
	struct irq_line one = vm_line(r->vm, 4), two = vm_line(r->vm, 4), none = vm_line(r->vm, 99);
	unsigned at;

	is(one.n, 4, "a line knows its number");
	irq_line_set(&one, true);
	ok(wait_for(r, &r->got[0x44], 3, 5000), "while it is up it interrupts again and again");
	irq_line_set(&two, true);
	irq_line_set(&one, false);
	at = count_of(r, 0x44);
	ok(wait_for(r, &r->got[0x44], at + 3, 5000), "also when the other model holds it");
	irq_line_set(&two, false);
	irq_line_set(&two, false);
	usleep(20000);
	at = count_of(r, 0x44);
	ok(!wait_for(r, &r->got[0x44], at + 1, 50), "and falls silent when nobody does");
	irq_line_set(&none, true);
	ok(!none.set, "a line that isn't there goes nowhere");
}

int main(void)
{
	struct rig *r;

	if (access("/dev/kvm", R_OK | W_OK)) {
		skip("no usable /dev/kvm", "interrupts on KVM");
		return tap_end();
	}
	r = rig_open();
	if (ok(wait_for(r, NULL, 0, 10000), "the guest is ready")) {
		test_messages(r);
		test_commits(r);
		test_many(r);
		test_resample(r);
		test_lines(r);
	}
	rig_close(r);
	return tap_end();
}
