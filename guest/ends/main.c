// SPDX-License-Identifier: GPL-2.0-only
/*
 * ends: a guest that ends the way it is told, for tests of the verdict.
 *
 * Its script is what follows "ends" on the kernel's command line, or, when there is none, in the
 * 256 bytes at `script` (so that a copy of the file can be a kernel of its own). Words:
 *
 *	say "TEXT"	to the serial port; \n \r \e \" \\ and \0
 *	binary N	N KiB of noise, escape sequences included
 *	off, reboot-acpi, reboot-i8042, triple, status N
 *	pvpanic N, pvpanic-pci N
 *	watchdog MS	armed the way Linux does it; feed N: fed N times, a few milliseconds apart
 *	io N		N reads of the clock's registers; 0: for ever
 *	hang-on, hang-off	turning round with interrupts on, off
 *	halt-on, halt-off	waiting for interrupts that never come, or cannot
 *	aps-hang-on, aps-hang-off, aps-halt-on, aps-halt-off
 *			the same for all other vCPUs; this one goes on
 *	wander		for ever through more code than a loop that waits has, interrupts off
 *	hello V		as the first process of version V of a command's guest (command.c)
 *	out N, err N	N KiB of the command's output; end HOW VALUE: its end; lie N: N bytes more than it wrote
 *	noise N		N KiB of nonsense on its line
 */
#include "ends.h"

char script[256] = "ENDS-SCRIPT:";

void ends_main(const u8 *boot_params);

/* --- PCI --------------------------------------------------------------------------------------- */

static void config_at(u32 slot, u32 off)
{
	outl(0xcf8, 0x80000000u | slot << 11 | (off & 0xfc));
}

static u32 config_read(u32 slot, u32 off)
{
	config_at(slot, off);
	return inl(0xcfc);
}

static void config_write8(u32 slot, u32 off, u8 val)
{
	config_at(slot, off);
	outb(0xcfc + (off & 3), val);
}

/* Where BAR 0 of a function is, decoding switched on; 0: there is none. */
static volatile u8 *find(u32 id, u32 *slot)
{
	for (*slot = 0; *slot < 32; (*slot)++) {
		if (config_read(*slot, 0) != id)
			continue;
		config_write8(*slot, 4, 2);
		return (volatile u8 *)(u64)(config_read(*slot, 0x10) & ~15u);
	}
	return 0;
}

/* --- the watchdog, as drivers/watchdog does it --------------------------------------------------- */

static volatile u8 *dog;

static void unlock(void)
{
	*(volatile unsigned short *)(dog + 12) = 0x80;
	*(volatile unsigned short *)(dog + 12) = 0x86;
}

static void feed(void)
{
	unlock();
	*(volatile unsigned short *)(dog + 12) = 0x100;
}

static void watchdog(u32 ms)
{
	u32 slot;

	dog = find(0x25ab8086, &slot);
	if (!dog)
		return;
	config_write8(slot, 0x60, 3);
	config_write8(slot, 0x68, 0);
	unlock();
	*(volatile unsigned short *)(dog + 12) = 0x300;
	for (u32 stage = 0; stage < 2; stage++) {
		unlock();
		*(volatile u32 *)(dog + 4 * stage) = ms / 2;
	}
	feed();
	config_write8(slot, 0x68, 2);
}

/* --- the other vCPUs ----------------------------------------------------------------------------- */

#define AP_CODE 0x8000 /* where a start-up message of vector 8 makes them begin, in real mode */
#define ICR	0xfee00300
#define CLI	0xfa
#define STI	0xfb
#define HLT	0xf4
#define NOP	0x90

static void io(u32 n);

/* cli or sti, then for ever hlt or nop. A message to nobody does no harm. */
static void start_aps(u8 flag, u8 op)
{
	*(volatile u32 *)AP_CODE = 0xfdeb0000u | (u32)op << 8 | flag;
	*(volatile u32 *)ICR = 0xc4500;
	io(2000);
	*(volatile u32 *)ICR = 0xc4600 | AP_CODE >> 12;
	io(2000);
}

/* --- words ------------------------------------------------------------------------------------- */

static void binary(u32 kib)
{
	static u8 noise[1024];
	u32 seed = 1;

	for (u32 i = 0; i < sizeof(noise); i++) {
		seed = seed * 1664525 + 1013904223;
		noise[i] = (u8)(seed >> 24);
		if (noise[i] == '\n' || noise[i] == '\r')
			noise[i] = 0x1b;
	}
	for (u32 i = 0; i < kib || !kib; i++)
		out_string(noise, sizeof(noise));
}

static void io(u32 n)
{
	for (u32 i = 0; i < n || !n; i++)
		inb(0x71);
}

static const char *say(const char *at)
{
	static char text[2048];
	u32 n = 0;

	for (at++; *at && *at != '"' && n < sizeof(text); at++) {
		char c = *at;

		if (c == '\\' && at[1]) {
			c = *++at;
			c = c == 'n' ? '\n' : c == 'r' ? '\r' : c == 'e' ? 0x1b : c == '0' ? 0 : c;
		}
		text[n++] = c;
	}
	out_string(text, n);
	return *at ? at + 1 : at;
}

static void triple(void)
{
	static const struct {
		unsigned short limit;
		u64 base;
	} __attribute__((packed)) none = { 0, 0 };

	/* Not mapped: a page fault, a double fault and the third. */
	__asm__ volatile("lidt %0; movl (%1), %%eax" : : "m"(none), "r"(1ull << 40) : "eax");
}

static int word(const char **at, const char *want)
{
	const char *p = *at;

	while (*want && *p == *want)
		p++, want++;
	if (*want || (*p && *p != ' '))
		return 0;
	while (*p == ' ')
		p++;
	*at = p;
	return 1;
}

static u32 number(const char **at)
{
	u32 n = 0;

	while (**at >= '0' && **at <= '9')
		n = n * 10 + (u32)(*(*at)++ - '0');
	return n;
}

static void end(const char **at, u32 more)
{
	u32 how = number(at);

	while (**at == ' ')
		(*at)++;
	command_exit(how, number(at), more);
}

/* Does what *at says first; 0: it isn't known, or the end. */
static int one(const char **at)
{
	static u32 more;
	volatile u8 *bar;
	u32 slot;

	if (word(at, "say"))
		*at = say(*at);
	else if (word(at, "binary"))
		binary(number(at));
	else if (word(at, "io"))
		io(number(at));
	else if (word(at, "off"))
		outb(0x600, 5 << 2 | 0x20);
	else if (word(at, "reboot-acpi"))
		outb(0x602, 1);
	else if (word(at, "reboot-i8042"))
		outb(0x64, 0xfe);
	else if (word(at, "triple"))
		triple();
	else if (word(at, "status"))
		outb(0x501, (u8)number(at));
	else if (word(at, "pvpanic"))
		outb(0x505, (u8)number(at));
	else if (word(at, "pvpanic-pci") && (bar = find(0x00111b36, &slot)))
		*bar = (u8)number(at);
	else if (word(at, "watchdog"))
		watchdog(number(at));
	else if (word(at, "feed"))
		for (u32 n = number(at); n && dog; n--, feed())
			io(2000);
	else if (word(at, "hang-on"))
		__asm__ volatile("sti; 0: jmp 0b");
	else if (word(at, "hang-off"))
		__asm__ volatile("cli; 0: jmp 0b");
	else if (word(at, "halt-on"))
		__asm__ volatile("sti; 0: hlt; jmp 0b");
	else if (word(at, "halt-off"))
		__asm__ volatile("cli; 0: hlt; jmp 0b");
	else if (word(at, "aps-hang-on"))
		start_aps(STI, NOP);
	else if (word(at, "aps-hang-off"))
		start_aps(CLI, NOP);
	else if (word(at, "aps-halt-on"))
		start_aps(STI, HLT);
	else if (word(at, "aps-halt-off"))
		start_aps(CLI, HLT);
	else if (word(at, "hello"))
		command_hello(number(at));
	else if (word(at, "out"))
		command_write(LINE_STDIO, number(at));
	else if (word(at, "err"))
		command_write(LINE_STDERR, number(at));
	else if (word(at, "lie"))
		more = number(at);
	else if (word(at, "end"))
		end(at, more);
	else if (word(at, "noise"))
		command_noise(number(at));
	else if (word(at, "wander"))
		__asm__ volatile("cli; 0: .rept 4096; nop; .endr; jmp 0b");
	else
		return 0;
	while (**at == ' ')
		(*at)++;
	return 1;
}

void ends_main(const u8 *boot_params)
{
	const char *at = (const char *)(u64)*(const u32 *)(boot_params + 0x228);

	while (at && *at && !word(&at, "ends"))
		at++;
	if (!at || !*at)
		at = script + sizeof("ENDS-SCRIPT:") - 1;
	while (one(&at))
		;
	/* Nothing left to do and not gone: the script's mistake, or the way out was missed. */
	io(20000);
	outb(0x501, 99);
}
