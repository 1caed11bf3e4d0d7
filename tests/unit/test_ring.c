// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM's ring of coalesced port writes, on a real /dev/kvm with guests of a few bytes: order, a full ring,
 * several vCPUs' exits, and that nothing is left behind when the guest stops.
 */
#include <stdlib.h>
#include <unistd.h>

#include "kvm/kvm.h"
#include "lkvm/boot.h"
#include "lkvm/control.h"
#include "tap.h"

#define CODE  0x100000
#define PORT  0x80
#define OTHER 0x90
#define SEEN  4096

static struct {
	struct gmem mem;
	struct bus pio, mmio;
	struct bus_slot slot;
	struct bus_range ports, other;
	struct vm *vm;
	uint8_t seen[SEEN]; /* what was written to PORT, a mark for each access of OTHER */
	_Atomic unsigned n;
} rig;

#define MARK 0xee

static const uint8_t *text_from; /* put at 2 MiB */
static size_t text_len;

static void see(uint8_t byte)
{
	unsigned n = atomic_load(&rig.n);

	if (n < SEEN)
		rig.seen[n] = byte;
	atomic_store(&rig.n, n + 1);
}

static void port_write(void *opaque, uint64_t off, unsigned len, uint64_t val)
{
	(void)opaque;
	(void)off;
	(void)len;
	see((uint8_t)val);
}

static uint64_t other_read(void *opaque, uint64_t off, unsigned len)
{
	(void)opaque;
	(void)off;
	(void)len;
	see(MARK);
	return 0;
}

static const struct bus_ops port_ops = { .write = port_write };
static const struct bus_ops other_ops = { .read = other_read };

static void ended(void *opaque, enum vm_end why, unsigned cpu, const char *detail)
{
	(void)opaque;
	(void)why;
	(void)cpu;
	printf("# it ended: %s\n", detail);
}

static bool setup(const void *code, size_t len)
{
	struct vm_conf conf = { .cpus = 1, .pio = &rig.pio, .mmio = &rig.mmio, .mem = &rig.mem, .tally = true,
				.ended = ended };
	struct vm_entry entry = { .mode = VM_ENTRY_PVH, .rip = CODE, .arg = 0x5000 };

	memset(&rig, 0, sizeof(rig));
	if (gmem_open(&rig.mem, 4 << 20, MAP_HOLE_START, MAP_HOLE_END, 0) < 0)
		exit(1);
	bus_init(&rig.pio, "pio");
	bus_init(&rig.mmio, "mmio");
	pthread_mutex_init(&rig.slot.lock, NULL);
	rig.ports = (struct bus_range){ .base = PORT, .len = 1, .ops = &port_ops, .slot = &rig.slot };
	rig.other = (struct bus_range){ .base = OTHER, .len = 1, .ops = &other_ops, .slot = &rig.slot };
	bus_map(&rig.pio, &rig.ports);
	bus_map(&rig.pio, &rig.other);
	conf.pio = &rig.pio;
	rig.vm = vm_open(&conf);
	if (!rig.vm || bus_coalesce(&rig.pio, PORT, 1, true)) {
		skip("this KVM can't collect port writes", "the ring");
		return false;
	}
	gmem_write(&rig.mem, CODE, code, len);
	gmem_write(&rig.mem, 0x200000, text_from, text_len);
	vm_start(rig.vm, &entry);
	return true;
}

static void teardown(void)
{
	vm_close(rig.vm);
	bus_fini(&rig.pio);
	bus_fini(&rig.mmio);
	gmem_close(&rig.mem);
}

static bool wait_for(unsigned n)
{
	for (unsigned i = 0; i < 1000 && atomic_load(&rig.n) < n; i++)
		usleep(10000);
	return atomic_load(&rig.n) >= n;
}

static uint64_t exits(void)
{
	struct tally_number *reason;
	unsigned n = tally_reasons(rig.vm, &reason);
	uint64_t io = 0;

	for (unsigned i = 0; i < n; i++)
		if (!strcmp(reason[i].name, "port access"))
			io = reason[i].count[0];
	free(reason);
	return io;
}

/* Five writes, a read, five writes, a read. */
static void test_order(void)
{
	static const uint8_t code[] = {
		0xb3, 0x02,		/* mov bl, 2 */
		0xb1, 0x05,		/* again: mov cl, 5 */
		0x88, 0xc8, 0xe6, PORT, /* more: mov al, cl; out PORT, al */
		0xfe, 0xc9, 0x75, 0xf8, /* dec cl; jnz more */
		0xe4, OTHER,		/* in al, OTHER */
		0xfe, 0xcb, 0x75, 0xf0, /* dec bl; jnz again */
		0xf4, 0xeb, 0xfd,	/* hlt, for ever */
	};
	static const uint8_t want[] = { 5, 4, 3, 2, 1, MARK, 5, 4, 3, 2, 1, MARK };
	uint64_t coalesced[2];

	if (!setup(code, sizeof(code)))
		return;
	ok(wait_for(sizeof(want)), "all of it arrives");
	vm_stop(rig.vm);
	is(rig.n, sizeof(want), "once");
	ok(!memcmp(rig.seen, want, sizeof(want)), "writes come before the access that the vCPU stops for");
	is(exits(), 2, "and only that stops it");
	tally_coalesced(rig.vm, coalesced);
	is(coalesced[0], 10, "the others are counted as collected");
	teardown();
}

/* 1000 writes and no other access. */
static void test_full(void)
{
	static const uint8_t code[] = {
		0xb9, 0xe8, 0x03, 0x00, 0x00, /* mov ecx, 1000 */
		0x88, 0xc8, 0xe6, PORT,	      /* more: mov al, cl; out PORT, al */
		0x49, 0x75, 0xf9,	      /* dec ecx; jnz more */
		0xf4, 0xeb, 0xfd,	      /* hlt, for ever */
	};
	unsigned before;

	if (!setup(code, sizeof(code)))
		return;
	wait_for(840);
	usleep(50000);
	before = atomic_load(&rig.n);
	ok(before >= 800 && before < 1000, "what is in the ring when the guest halts is not seen: %u", before);
	bus_collect(&rig.pio);
	is(rig.n, 1000, "until somebody looks");
	vm_stop(rig.vm);
	for (unsigned i = 0, bad = 0; i < 1000; i++) {
		bad += rig.seen[i] != (uint8_t)(1000 - i);
		if (i == 999)
			is(bad, 0, "a full ring stops the vCPU, and the order holds");
	}
	ok(exits() >= 4 && exits() <= 10, "it took %u exits", (unsigned)exits());
	teardown();
}

/* A string of 300 bytes, which is more than the ring takes. */
static void test_string(void)
{
	static const uint8_t code[] = {
		0xfc,			      /* cld */
		0xbe, 0x00, 0x00, 0x20, 0x00, /* mov esi, 0x200000 */
		0xb9, 0x2c, 0x01, 0x00, 0x00, /* mov ecx, 300 */
		0x66, 0xba, PORT, 0x00,	      /* mov dx, PORT */
		0xf3, 0x6e,		      /* rep outsb */
		0xe4, OTHER,		      /* in al, OTHER */
		0xf4, 0xeb, 0xfd,	      /* hlt, for ever */
	};
	static uint8_t text[300];

	for (unsigned i = 0; i < sizeof(text); i++)
		text[i] = (uint8_t)(i * 7);
	text_from = text;
	text_len = sizeof(text);
	if (!setup(code, sizeof(code)))
		return;
	text_len = 0;
	wait_for(301);
	vm_stop(rig.vm);
	is(rig.n, 301, "a string's bytes arrive, each once");
	ok(!memcmp(rig.seen, text, sizeof(text)) && rig.seen[300] == MARK, "in their order");
	teardown();
}

/* Seven writes; then it halts, and is stopped in one of two ways. */
static void test_stop(bool pause)
{
	static const uint8_t code[] = {
		0xb1, 0x07,		/* mov cl, 7 */
		0xe6, PORT, 0xfe, 0xc9, /* more: out PORT, al; dec cl */
		0x75, 0xfa,		/* jnz more */
		0xf4, 0xeb, 0xfd,	/* hlt, for ever */
	};

	if (!setup(code, sizeof(code)))
		return;
	usleep(50000);
	is(rig.n, 0, "nobody has looked yet");
	if (pause) {
		is(control_pause(rig.vm), 0, "the vCPUs pause");
		is(rig.n, 7, "a debugger sees all that was written");
		control_resume(rig.vm, ~0ULL);
	}
	vm_stop(rig.vm);
	is(rig.n, 7, "the end sees all that was written");
	teardown();
}

/* Off again: writes stop the vCPU, what is still in the ring comes first. */
static void test_off(void)
{
	static const uint8_t code[] = {
		0xe6, PORT, 0xe4, OTHER, /* again: out PORT, al; in al, OTHER */
		0xeb, 0xfa,		 /* jmp again */
	};

	if (!setup(code, sizeof(code)))
		return;
	ok(wait_for(20), "it goes round");
	is(bus_coalesce(&rig.pio, PORT, 1, false), 0, "off");
	ok(wait_for(atomic_load(&rig.n) + 20), "it goes on");
	vm_stop(rig.vm);
	for (unsigned i = 0, bad = 0, n = rig.n < SEEN ? rig.n : SEEN; i < n; i++) {
		bad += (rig.seen[i] == MARK) != (i & 1);
		if (i == n - 1)
			is(bad, 0, "a write and a read in turn, before and after");
	}
	teardown();
}

int main(void)
{
	if (access("/dev/kvm", R_OK | W_OK)) {
		skip("no usable /dev/kvm", "the ring");
		return tap_end();
	}
	test_order();
	test_full();
	test_string();
	test_stop(false);
	test_stop(true);
	test_off();
	return tap_end();
}
