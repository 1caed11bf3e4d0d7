// SPDX-License-Identifier: GPL-2.0-only
/* print: characters to the first serial port, by polling. */

#include "lib.h"

#define COM1     0x3f8
#define LSR      (COM1 + 5)
#define LSR_THRE 0x20
#define FIFO     16

static u32 room;
static void (*other)(char);   /* where print() goes instead of the port */
static char *sink, *sink_end; /* where sprint() is writing, NULL: to the port */

void serial_init(void)
{
	outb(COM1 + 1, 0);    /* no interrupts */
	outb(COM1 + 3, 0x03); /* 8n1 */
	outb(COM1 + 2, 0x07); /* FIFOs on and empty */
	outb(COM1 + 4, 0x03); /* DTR, RTS */
}

void print_to(void (*put)(char c))
{
	other = put;
}

/* An empty holding register means room for a whole FIFO: one look per sixteen characters. */
void putch(char c)
{
	if (sink) {
		if (sink < sink_end)
			*sink++ = c;
		return;
	}
	if (other) {
		other(c);
		return;
	}
	if (c == '\n')
		putch('\r');
	for (u32 tries = 0; !room && tries < 100000; tries++)
		if (inb(LSR) & LSR_THRE)
			room = FIFO;
	if (room)
		room--;
	outb(COM1, c);
}

static void put_number(u64 v, u32 base, bool negative, u32 width, char pad)
{
	char buf[24];
	u32 n = 0;

	do
		buf[n++] = "0123456789abcdef"[v % base];
	while (v /= base);
	if (negative)
		buf[n++] = '-';
	for (; width > n; width--)
		putch(pad);
	while (n)
		putch(buf[--n]);
}

static void put_padded(const char *s, u32 width)
{
	size_t n = strlen(s);

	while (*s)
		putch(*s++);
	for (; n < width; n++)
		putch(' ');
}

void vprint(const char *fmt, va_list ap)
{
	for (; *fmt; fmt++) {
		u32 width = 0, longs = 0;
		char pad = ' ';
		bool alt;
		u64 v;

		if (*fmt != '%') {
			putch(*fmt);
			continue;
		}
		alt = *++fmt == '#';
		if (alt)
			fmt++;
		if (*fmt == '0')
			pad = '0';
		for (; *fmt >= '0' && *fmt <= '9'; fmt++)
			width = width * 10 + *fmt - '0';
		for (; *fmt == 'l'; fmt++)
			longs++;
		switch (*fmt) {
		case 's':
			put_padded(va_arg(ap, const char *), width);
			break;
		case 'c':
			putch(va_arg(ap, int));
			break;
		case 'd':
			v = longs ? va_arg(ap, u64) : (u64)(int64_t)va_arg(ap, int);
			put_number((int64_t)v < 0 ? -v : v, 10, (int64_t)v < 0, width, pad);
			break;
		case 'u':
			v = longs ? va_arg(ap, u64) : va_arg(ap, u32);
			put_number(v, 10, false, width, pad);
			break;
		case 'x':
			v = longs ? va_arg(ap, u64) : va_arg(ap, u32);
			if (alt)
				print("0x");
			put_number(v, 16, false, width, pad);
			break;
		default:
			putch(*fmt);
		}
	}
}

void print(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vprint(fmt, ap);
	va_end(ap);
}

void vsprint(char *buf, size_t size, const char *fmt, va_list ap)
{
	sink = buf;
	sink_end = buf + size - 1;
	vprint(fmt, ap);
	*sink = 0;
	sink = NULL;
}

void sprint(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsprint(buf, size, fmt, ap);
	va_end(ap);
}
