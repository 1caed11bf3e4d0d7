// SPDX-License-Identifier: GPL-2.0-only
/* machine: boot information of both protocols, ACPI tables, and how to end it all. */

#include "irq.h"
#include "machine.h"

struct machine machine = {.cmdline = ""};

static void add_ram(u64 start, u64 len, u32 type)
{
	if (type == 1 && len && machine.nram < MAX_RAM)
		machine.ram[machine.nram++] = (struct range){start, len};
	/* Maps are sorted: what firmware keeps for itself follows the RAM that it was taken from.
	 */
	if (start < 1ull << 32 && len && (type == 1 || start == machine.low_end))
		machine.low_end = start + len;
}

/* struct hvm_start_info */
static void from_pvh(u64 info)
{
	u64 map = r64(info + 0x28);

	machine.how = "pvh";
	if (r64(info + 0x18))
		machine.cmdline = (const char *)r64(info + 0x18);
	machine.rsdp = r64(info + 0x20);
	if (r32(info + 4) < 1)
		return;
	for (u32 i = 0; i < r32(info + 0x30); i++)
		add_ram(r64(map + 24 * i), r64(map + 24 * i + 8), r32(map + 24 * i + 16));
}

/* struct boot_params */
static void from_linux(u64 info)
{
	machine.how = "linux";
	if (r32(info + 0x228))
		machine.cmdline = (const char *)(u64)r32(info + 0x228);
	machine.rsdp = r64(info + 0x70);
	for (u32 i = 0; i < r8(info + 0x1e8); i++) {
		u64 e = info + 0x2d0 + 20 * i;

		add_ram(r64(e), r64(e + 8), r32(e + 16));
	}
}

static u64 scan_rsdp(u64 from, u64 to)
{
	for (u64 a = from; a < to; a += 16)
		if (r64(a) == 0x2052545020445352ull) /* "RSD PTR " */
			return a;
	return 0;
}

void machine_init(u32 how, u64 info)
{
	if (how == 2)
		from_pvh(info);
	else
		from_linux(info);
	if (!machine.rsdp)
		machine.rsdp = scan_rsdp(0xe0000, 0x100000);
	if (!machine.rsdp && r16(0x40e))
		machine.rsdp = scan_rsdp((u64)r16(0x40e) << 4, ((u64)r16(0x40e) << 4) + 1024);
}

u8 acpi_sum(const void *p, size_t len)
{
	const u8 *b = p;
	u8 sum = 0;

	while (len--)
		sum += *b++;
	return sum;
}

const struct acpi_table *acpi_table(u32 n)
{
	bool wide = machine.rsdp && r8(machine.rsdp + 15) >= 2 && r64(machine.rsdp + 24);
	u64 root;

	if (!machine.rsdp)
		return NULL;
	root = phys(wide ? r64(machine.rsdp + 24) : r32(machine.rsdp + 16));
	if (!root || 36 + (n + 1) * (wide ? 8 : 4) > r32(root + 4))
		return NULL;
	return (void *)phys(wide ? r64(root + 36 + 8 * n) : r32(root + 36 + 4 * n));
}

const struct acpi_table *acpi_find(const char *signature)
{
	const struct acpi_table *t;
	u64 x;

	if (!memcmp(signature, "DSDT", 4)) {
		t = acpi_find("FACP");
		if (!t)
			return NULL;
		x = t->length >= 148 ? r64((u64)t + 140) : 0;
		return (void *)phys(x ? x : r32((u64)t + 40));
	}
	for (u32 i = 0; (t = acpi_table(i)) && i < 64; i++)
		if (!memcmp(t->signature, signature, 4))
			return t;
	return NULL;
}

u64 acpi_ecam(void)
{
	const struct acpi_table *t = acpi_find("MCFG");

	return t && t->length >= 60 ? phys(r64((u64)t + 44)) : 0;
}

/* The FADT's reset register: a generic address, then the value. */
static void acpi_reset(void)
{
	const struct acpi_table *t = acpi_find("FACP");
	u64 at;

	if (!t || t->length < 129 || !(r32((u64)t + 112) & BIT(10)))
		return;
	at = r64((u64)t + 120);
	if (r8((u64)t + 116) == 1)
		outb(at, r8((u64)t + 128));
	else if (r8((u64)t + 116) == 0)
		w8(phys(at), r8((u64)t + 128));
}

void machine_end(u8 status)
{
	outb(0x501, status); /* isa-debug-exit */
	acpi_reset();
	outb(0xcf9, 0x06);
	outb(0x64, 0xfe);
	__asm__ volatile("lidt %0; int3" ::"m"((struct {
		u16 limit;
		u64 base;
	} __attribute__((packed))){0, 0}));
	for (;;)
		barrier();
}
