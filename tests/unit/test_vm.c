// SPDX-License-Identifier: GPL-2.0-only
/*
 * The VM on a real /dev/kvm, with guests of a few bytes: their accesses reach the buses, doorbells
 * and interrupts take their ways past them, and every way to end is reported.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kvm/kvm.h"
#include "lkvm/boot.h"
#include "lkvm/log.h"
#include "tap.h"

#define RAM	   (4 << 20)
#define CODE	   0x100000
#define PORT_TEST  0x80
#define PORT_END   PORT_DEBUG_EXIT
#define MMIO_TEST  0xd0000000ULL
#define ACCESSES   64

struct access {
	bool mmio, write;
	uint64_t off, val;
	unsigned len;
};

/* A VM with a model on some ports and some memory that writes down what it sees. */
struct rig {
	struct gmem mem;
	struct bus pio, mmio;
	struct bus_slot slot;
	struct bus_range ports, end, window;
	struct vm *vm;

	pthread_mutex_t lock;
	pthread_cond_t cond;
	struct access seen[ACCESSES];
	unsigned n, reads;
	bool finished, died;
	unsigned end_value, died_cpu, deaths;
	enum vm_end why;
	char detail[256];
};

static void note(struct rig *r, struct access a)
{
	pthread_mutex_lock(&r->lock);
	if (r->n < ACCESSES)
		r->seen[r->n++] = a;
	pthread_cond_broadcast(&r->cond);
	pthread_mutex_unlock(&r->lock);
}

static uint64_t port_read(void *opaque, uint64_t off, unsigned len)
{
	struct rig *r = opaque;

	note(r, (struct access){ false, false, off, 0, len });
	return 0xa1a2a3a4a5a6a7a8ULL + r->reads++;
}

static void port_write(void *opaque, uint64_t off, unsigned len, uint64_t val)
{
	note(opaque, (struct access){ false, true, off, val, len });
}

static uint64_t window_read(void *opaque, uint64_t off, unsigned len)
{
	note(opaque, (struct access){ true, false, off, 0, len });
	return 0x0807060504030201ULL << (off % 8);
}

static void window_write(void *opaque, uint64_t off, unsigned len, uint64_t val)
{
	note(opaque, (struct access){ true, true, off, val, len });
}

static void end_write(void *opaque, uint64_t off, unsigned len, uint64_t val)
{
	struct rig *r = opaque;

	(void)off;
	(void)len;
	pthread_mutex_lock(&r->lock);
	r->finished = true;
	r->end_value = (unsigned)val;
	pthread_cond_broadcast(&r->cond);
	pthread_mutex_unlock(&r->lock);
}

static const struct bus_ops port_ops = { port_read, port_write };
static const struct bus_ops window_ops = { window_read, window_write };
static const struct bus_ops end_ops = { NULL, end_write };

static void on_end(void *opaque, enum vm_end why, unsigned cpu, const char *detail)
{
	struct rig *r = opaque;

	pthread_mutex_lock(&r->lock);
	r->died = true;
	r->deaths++;
	r->why = why;
	r->died_cpu = cpu;
	snprintf(r->detail, sizeof(r->detail), "%s", detail);
	pthread_cond_broadcast(&r->cond);
	pthread_mutex_unlock(&r->lock);
}

static struct rig *rig_open(unsigned cpus)
{
	struct rig *r = calloc(1, sizeof(*r));
	struct vm_conf conf = { .cpus = cpus, .ended = on_end, .opaque = r };

	if (gmem_open(&r->mem, RAM, MAP_HOLE_START, MAP_HOLE_END, 0) < 0)
		exit(1);
	bus_init(&r->pio, "pio");
	bus_init(&r->mmio, "mmio");
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->cond, NULL);
	pthread_mutex_init(&r->slot.lock, NULL);
	r->ports = (struct bus_range){ PORT_TEST, 16, &port_ops, r, &r->slot, 1, NULL, false, NULL };
	r->end = (struct bus_range){ PORT_END, 1, &end_ops, r, &r->slot, 1, NULL, false, NULL };
	r->window = r->ports;
	r->window.base = MMIO_TEST;
	r->window.len = 0x2000;
	r->window.ops = &window_ops;
	bus_map(&r->pio, &r->ports);
	bus_map(&r->pio, &r->end);
	bus_map(&r->mmio, &r->window);
	conf.pio = &r->pio;
	conf.mmio = &r->mmio;
	conf.mem = &r->mem;
	r->vm = vm_open(&conf);
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

static void rig_run(struct rig *r, const void *code, size_t len)
{
	struct vm_entry entry = { .mode = VM_ENTRY_PVH, .rip = CODE, .arg = 0x5000 };

	gmem_write(&r->mem, CODE, code, len);
	is(vm_start(r->vm, &entry), 0, "the vCPUs start");
}

/* Waits until cond holds, at most ten seconds. */
static bool rig_wait(struct rig *r, bool (*cond)(struct rig *r))
{
	struct timespec until;
	bool held;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 10;
	pthread_mutex_lock(&r->lock);
	while (!(held = cond(r)))
		if (pthread_cond_timedwait(&r->cond, &r->lock, &until))
			break;
	pthread_mutex_unlock(&r->lock);
	return held;
}

static bool finished(struct rig *r)
{
	return r->finished;
}

static bool died(struct rig *r)
{
	return r->died;
}

static bool saw_one(struct rig *r)
{
	return r->n > 0;
}

static bool same(const struct access *a, bool mmio, bool write, uint64_t off, unsigned len,
		 uint64_t val)
{
	bool as = a->mmio == mmio && a->write == write && a->off == off && a->len == len &&
		  a->val == val;

	if (!as)
		printf("# got %s %s off %#llx len %u val %#llx\n", a->mmio ? "mmio" : "pio",
		       a->write ? "write" : "read", (unsigned long long)a->off, a->len,
		       (unsigned long long)a->val);
	return as;
}

static void test_accesses(void)
{
	static const uint8_t code[] = {
		0xb8, 0x44, 0x33, 0x22, 0x11,	    /* mov eax, 0x11223344 */
		0x66, 0xba, 0x80, 0x00,		    /* mov dx, 0x80 */
		0xef,				    /* out dx, eax */
		0x66, 0xef,			    /* out dx, ax */
		0xed,				    /* in eax, dx */
		0xa3, 0x00, 0x00, 0x00, 0xd0,	    /* mov [0xd0000000], eax */
		0x66, 0xa3, 0x06, 0x00, 0x00, 0xd0, /* mov [0xd0000006], ax */
		0xa0, 0x01, 0x00, 0x00, 0xd0,	    /* mov al, [0xd0000001] */
		0x88, 0xd8,			    /* mov al, bl: the argument's low byte */
		0x66, 0xba, 0x01, 0x05,		    /* mov dx, 0x501 */
		0xee,				    /* out dx, al */
		0xf4, 0xeb, 0xfd,		    /* hlt, for ever */
	};
	struct rig *r = rig_open(1);

	rig_run(r, code, sizeof(code));
	ok(rig_wait(r, finished), "the guest ends by a port");
	is(r->n, 6, "six accesses arrived");
	ok(same(&r->seen[0], false, true, 0, 4, 0x11223344), "out of four bytes");
	ok(same(&r->seen[1], false, true, 0, 2, 0x3344), "out of two bytes");
	ok(same(&r->seen[2], false, false, 0, 4, 0), "in of four bytes");
	ok(same(&r->seen[3], true, true, 0, 4, 0xa5a6a7a8),
	   "a write of four bytes with what was read");
	ok(same(&r->seen[4], true, true, 6, 2, 0xa7a8), "a write of two bytes");
	ok(same(&r->seen[5], true, false, 1, 1, 0), "a read of one byte");
	is(r->end_value, 0x00, "ebx was the argument");
	vm_stop(r->vm);
	ok(!r->died, "nothing was reported as an end");
	rig_close(r);
}

/* A string of 300 bytes takes more than one exit or one long one; all must come, in order. */
static void test_strings(void)
{
	static const uint8_t code[] = {
		0xfc,				    /* cld */
		0xbe, 0x00, 0x00, 0x20, 0x00,	    /* mov esi, 0x200000 */
		0xb9, 0x05, 0x00, 0x00, 0x00,	    /* mov ecx, 5 */
		0x66, 0xba, 0x80, 0x00,		    /* mov dx, 0x80 */
		0xf3, 0x66, 0x6f,		    /* rep outsw */
		0xbf, 0x00, 0x10, 0x20, 0x00,	    /* mov edi, 0x201000 */
		0xb9, 0x03, 0x00, 0x00, 0x00,	    /* mov ecx, 3 */
		0xf3, 0x6d,			    /* rep insd */
		0x66, 0xba, 0x01, 0x05,		    /* mov dx, 0x501 */
		0xee,				    /* out dx, al */
		0xf4, 0xeb, 0xfd,
	};
	static const uint16_t words[5] = { 0x0101, 0x0202, 0x0303, 0x0404, 0x0505 };
	struct rig *r = rig_open(1);
	uint32_t got[3] = { 0 };
	unsigned i, in_order = 0;

	gmem_write(&r->mem, 0x200000, words, sizeof(words));
	rig_run(r, code, sizeof(code));
	ok(rig_wait(r, finished), "the guest with string instructions ends");
	for (i = 0; i < 5; i++)
		in_order += same(&r->seen[i], false, true, 0, 2, words[i]);
	is(in_order, 5, "rep outsw: each word arrived, in order");
	gmem_read(&r->mem, 0x201000, got, sizeof(got));
	/* KVM may read ahead; what the guest has must be the first three, in order. */
	ok(got[0] == 0xa5a6a7a8 && got[1] == 0xa5a6a7a9 && got[2] == 0xa5a6a7aa,
	   "rep insd: each value landed, in order");
	rig_close(r);
}

/* An access over a page's end comes from KVM in pieces of odd lengths. */
static void test_odd(void)
{
	static const uint8_t code[] = {
		0xb8, 0x44, 0x33, 0x22, 0x11,	    /* mov eax, 0x11223344 */
		0xa3, 0xfd, 0x0f, 0x00, 0xd0,	    /* mov [0xd0000ffd], eax */
		0x66, 0xba, 0x01, 0x05, 0xee,	    /* end */
		0xf4, 0xeb, 0xfd,
	};
	struct rig *r = rig_open(1);
	uint8_t bytes[4] = { 0 };
	unsigned i, bad = 0;

	rig_run(r, code, sizeof(code));
	ok(rig_wait(r, finished), "the guest that writes over a page's end ends");
	for (i = 0; i < r->n; i++) {
		const struct access *a = &r->seen[i];
		uint64_t at = a->off - 0xffd;

		if (a->len & (a->len - 1) || at + a->len > 4)
			bad++;
		else
			memcpy(bytes + at, &a->val, a->len);
	}
	is(bad, 0, "every piece has a length models know");
	ok(!memcmp(bytes, "\x44\x33\x22\x11", 4), "all bytes arrived where they belong");
	rig_close(r);
}

static void test_triple_fault(void)
{
	static const uint8_t code[] = { 0x0f, 0x0b }; /* ud2, and no IDT */
	struct rig *r = rig_open(2);

	rig_run(r, code, sizeof(code));
	ok(rig_wait(r, died), "a triple fault is reported");
	is(r->why, VM_END_TRIPLE_FAULT, "as a triple fault");
	is(r->died_cpu, 0, "of vCPU 0");
	ok(strstr(r->detail, "triple fault") && !strchr(r->detail, '\n'), "in one line: %s",
	   r->detail);
	vm_stop(r->vm);
	is(r->deaths, 1, "once");
	rig_close(r);
}

static void test_stop(const char *what, const uint8_t *code, size_t len, unsigned cpus)
{
	struct rig *r = rig_open(cpus);

	rig_run(r, code, len);
	ok(rig_wait(r, saw_one), "the guest runs (%s)", what);
	vm_stop(r->vm);
	vm_stop(r->vm);
	ok(!r->died, "it stops (%s), twice", what);
	rig_close(r);
}

static void test_stops(void)
{
	static const uint8_t running[] = { 0x66, 0xba, 0x80, 0x00, 0xee, 0xeb, 0xfe };
	static const uint8_t halted[] = { 0x66, 0xba, 0x80, 0x00, 0xee, 0xf4, 0xeb, 0xfd };
	static const uint8_t exiting[] = { 0x66, 0xba, 0x80, 0x00, 0xee, 0xeb, 0xfd };
	unsigned i;

	test_stop("busy", running, sizeof(running), 1);
	test_stop("halted", halted, sizeof(halted), 1);
	test_stop("exiting, 4 vCPUs", exiting, sizeof(exiting), 4);
	/* At once: before, while and after the threads enter the guest. */
	for (i = 0; i < 20; i++) {
		struct rig *r = rig_open(2);
		struct vm_entry entry = { .mode = VM_ENTRY_PVH, .rip = CODE };

		gmem_write(&r->mem, CODE, halted, sizeof(halted));
		if (vm_start(r->vm, &entry) < 0)
			break;
		usleep(i * 20);
		rig_close(r);
	}
	is(i, 20, "twenty VMs stopped as they started");
}

static void test_doorbells(void)
{
	static const uint8_t code[] = {
		0x66, 0xba, 0x84, 0x00,		    /* mov dx, 0x84 */
		0xef,				    /* out dx, eax */
		0xa3, 0x10, 0x00, 0x00, 0xd0,	    /* mov [0xd0000010], eax */
		0x66, 0xa3, 0x10, 0x00, 0x00, 0xd0, /* mov [0xd0000010], ax */
		0x66, 0xa3, 0x20, 0x00, 0x00, 0xd0, /* mov [0xd0000020], ax */
		0x66, 0xba, 0x01, 0x05, 0xee,	    /* end */
		0xf4, 0xeb, 0xfd,
	};
	int fd[3] = { eventfd(0, EFD_NONBLOCK), eventfd(0, EFD_NONBLOCK),
		      eventfd(0, EFD_NONBLOCK) };
	struct rig *r = rig_open(1);
	eventfd_t count[3] = { 0 };
	unsigned i;

	is(bus_doorbell(&r->pio, PORT_TEST + 4, 4, fd[0], true), 0, "a doorbell on a port");
	is(bus_doorbell(&r->mmio, MMIO_TEST + 0x10, 0, fd[1], true), 0,
	   "one of any length in memory");
	is(bus_doorbell(&r->mmio, MMIO_TEST + 0x20, 4, fd[2], true), 0,
	   "one of four bytes in memory");
	is(bus_doorbell(&r->mmio, MMIO_TEST + 0x10, 0, fd[2], true), -EEXIST,
	   "a second one is refused");
	rig_run(r, code, sizeof(code));
	ok(rig_wait(r, finished), "the guest that rings ends");
	for (i = 0; i < 3; i++)
		eventfd_read(fd[i], &count[i]);
	is(count[0], 1, "the port's was rung");
	is(count[1], 2, "the one of any length was rung by two lengths");
	is(count[2], 0, "two bytes don't ring the one of four");
	is(r->n, 1, "only that write reached the model");
	is(bus_doorbell(&r->mmio, MMIO_TEST + 0x10, 0, fd[1], false), 0,
	   "a doorbell can be taken away");
	ok(bus_doorbell(&r->mmio, MMIO_TEST + 0x10, 0, fd[1], false) < 0, "but not twice");
	rig_close(r);
	for (i = 0; i < 3; i++)
		close(fd[i]);
}

static void test_refusals(void)
{
	struct rig *r = rig_open(0);

	ok(!r->vm, "no vCPU is refused");
	rig_close(r);
	r = rig_open(VM_CPUS_MAX + 1);
	ok(!r->vm, "%u vCPUs are refused", VM_CPUS_MAX + 1);
	rig_close(r);
	r = rig_open(VM_CPUS_MAX);
	ok(r->vm != NULL, "%u are not", VM_CPUS_MAX);
	ok(r->vm && vm_phys_bits(r->vm) >= 32 && vm_phys_bits(r->vm) <= 52,
	   "the guest's addresses have a sane width");
	rig_close(r);
}

static void test_device(void)
{
	struct vm_cap caps[64];
	int dev = vm_dev_open();
	unsigned n = vm_caps(dev, caps, 64), i, missing = 0;

	ok(n > 10, "capabilities are listed");
	for (i = 0; i < n; i++)
		missing += caps[i].needed && !caps[i].present;
	is(missing, 0, "none that is needed is missing");
	is(vm_caps(dev, caps, 3), 3, "no more are listed than asked for");
	is(dev_check(dev), 0, "the device passes its check");
	close(dev);
	dev = dev_open_at("/dev/null");
	is(dev_check(dev), -ENOTTY, "/dev/null is no KVM");
	close(dev);
	is(dev_open_at("/nonexistent/kvm"), -ENOENT, "an absent device is an error");
}

static void test_speed(void)
{
	double mips = 0, exits = 0;
	int dev = vm_dev_open();

	is(vm_speed(dev, &mips, &exits), 0, "the speed can be measured");
	ok(mips > 0.01 && mips < 100000, "it is believable: %.1f million instructions a second",
	   mips);
	ok(exits > 100 && exits < 1e8, "so is that of exits: %.0f a second", exits);
	close(dev);
}

int main(void)
{
	int dev = access("/dev/kvm", R_OK | W_OK) ? -1 : vm_dev_open();

	if (dev < 0) {
		skip("no usable /dev/kvm", "the VM on KVM");
		return tap_end();
	}
	close(dev);
	test_device();
	test_speed();
	test_refusals();
	test_accesses();
	test_strings();
	test_odd();
	test_triple_fault();
	test_stops();
	test_doorbells();
	return tap_end();
}
