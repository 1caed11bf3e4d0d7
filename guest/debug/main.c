// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest to look into: it says "up", works for a while in functions that call each other, and hangs
 * with interrupts off when told to by a byte on its serial port ('h'), halts ('l'), dies by a triple
 * fault ('t'), or ends ('q', by --debug-exit).
 *
 * Built with debug information and without frame pointers, as kernels are.
 */
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned long u64;

#define NOINLINE __attribute__((noinline, noclone))
#define COM1 0x3f8

volatile u64 counter, watched;
u64 table[8] = { 1, 2, 3, 5, 8, 13, 21, 34 };

static void out(u16 port, u8 val)
{
	asm volatile("outb %0, %1" : : "a"(val), "Nd"(port));
}

static u8 in(u16 port)
{
	u8 val;

	asm volatile("inb %1, %0" : "=a"(val) : "Nd"(port));
	return val;
}

NOINLINE void spin_for_ever(void)
{
	for (;;)
		counter++;
}

NOINLINE u64 leaf(u64 n)
{
	watched = n;
	return n * 3 + table[n % 8];
}

NOINLINE u64 middle(u64 n)
{
	u64 sum = leaf(n) + 1;

	return sum + leaf(n + 1);
}

NOINLINE u64 take_lock(u64 n)
{
	asm volatile("cli");
	spin_for_ever();
	return n + 1;
}

NOINLINE u64 do_hang(u64 n)
{
	return take_lock(n) + 1;
}

NOINLINE void halt(void)
{
	for (;;)
		asm volatile("cli; hlt");
}

NOINLINE void triple_fault(void)
{
	static const struct {
		u16 limit;
		u64 base;
	} __attribute__((packed)) none = { 0, 0 };

	asm volatile("lidt %0; ud2" : : "m"(none));
}

int main(void)
{
	for (const char *s = "up\n"; *s; s++)
		out(COM1, (u8)*s);
	for (;;) {
		counter += middle(counter & 7) & 1;
		if (!(in(COM1 + 5) & 1))
			continue;
		switch (in(COM1)) {
		case 'h':
			do_hang(1);
			break;
		case 'l':
			halt();
			break;
		case 't':
			triple_fault();
			break;
		case 'q':
			out(0x501, 7);
			break;
		}
	}
}
