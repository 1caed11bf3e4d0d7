/* SPDX-License-Identifier: GPL-2.0-only */
/* ends: ports, and what main.c and command.c know of each other. */
#pragma once

#include "guest/command.h"
#include "guest/line.h"

typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long u64;

static inline void outb(u32 port, u8 val)
{
	__asm__ volatile("outb %0, %w1" : : "a"(val), "Nd"(port));
}

static inline u8 inb(u32 port)
{
	u8 val;

	__asm__ volatile("inb %w1, %0" : "=a"(val) : "Nd"(port));
	return val;
}

static inline void outl(u32 port, u32 val)
{
	__asm__ volatile("outl %0, %w1" : : "a"(val), "Nd"(port));
}

static inline u32 inl(u32 port)
{
	u32 val;

	__asm__ volatile("inl %w1, %0" : "=a"(val) : "Nd"(port));
	return val;
}

/* One exit for all of it. */
static inline void out_string_to(u32 port, const void *from, u64 len)
{
	__asm__ volatile("rep outsb" : "+S"(from), "+c"(len) : "d"(port) : "memory");
}

static inline void out_string(const void *from, u64 len)
{
	out_string_to(0x3f8, from, len);
}

/* command.c: the first process of a guest that runs a command, played over the second serial line. */
void command_hello(u32 version);	   /* greets, waits for the order, has started */
void command_write(u32 port, u32 kib);	   /* pieces of 4 KiB, numbered; LINE_STDIO or LINE_STDERR */
void command_exit(u32 how, u32 value, u32 more); /* status, claiming so many more bytes; waits for BYE */
void command_noise(u32 kib);		   /* on the line, after the greeting */
