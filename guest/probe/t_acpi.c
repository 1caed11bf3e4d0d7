// SPDX-License-Identifier: GPL-2.0-only
/* t_acpi: the tables are there, whole, and describe this machine. */

#include "irq.h"
#include "machine.h"
#include "pci.h"
#include "test.h"

static void rsdp(struct vdev *d)
{
	(void)d;
	must(machine.rsdp, "no RSDP is told and none is found below 1 MiB");
	must(!memcmp((void *)machine.rsdp, "RSD PTR ", 8), "the RSDP's signature");
	must_be(acpi_sum((void *)machine.rsdp, 20), 0, "sum of the first 20 bytes");
	if (r8(machine.rsdp + 15) >= 2)
		must_be(acpi_sum((void *)machine.rsdp, r32(machine.rsdp + 20)), 0,
			"sum of all of it");
}

static void checksums(struct vdev *d)
{
	const struct acpi_table *t;
	u32 n = 0;

	(void)d;
	for (; n < 64 && (t = acpi_table(n)); n++) {
		must(t->length >= 36 && t->length < 1u << 20, "length %u of table %u", t->length,
		     n);
		must_be(acpi_sum(t, t->length), 0, "sum of table %u", n);
	}
	must(n >= 3, "only %u tables", n);
}

static void dsdt(struct vdev *d)
{
	const struct acpi_table *t = acpi_find("DSDT");

	(void)d;
	must(t && !memcmp(t->signature, "DSDT", 4), "no DSDT");
	must(t->length > 36, "the DSDT is empty");
	must_be(acpi_sum(t, t->length), 0, "its sum");
}

static void madt(struct vdev *d)
{
	const struct acpi_table *t = acpi_find("APIC");
	bool cpu = false, ioapic = false;

	(void)d;
	must(t, "no MADT");
	must_be(r32((u64)t + 36), LAPIC, "the local APIC's address");
	for (u32 at = 44; at + 2 <= t->length;) {
		const u8 *e = (const u8 *)t + at;

		must(e[1] >= 2, "an entry of length %u", e[1]);
		if (e[0] == 0 && e[3] == lapic_id())
			cpu = r32((u64)e + 4) & 1;
		if (e[0] == 1 && r32((u64)e + 4) == IOAPIC && r32((u64)e + 8) == 0)
			ioapic = true;
		at += e[1];
	}
	must(cpu, "this CPU is not listed as enabled");
	must(ioapic, "no I/O APIC at its usual place");
}

static void mcfg(struct vdev *d)
{
	(void)d;
	must(ecam, "no MCFG");
	must(!(ecam & 0xfffff), "ECAM at %#lx is not aligned to a bus", ecam);
	must_be(r32(ecam), cfg_r32(&funcs[0], 0), "IDs of the first function");
}

static void memory_map(struct vdev *d)
{
	u64 here = (u64)&memory_map;
	bool inside = false;

	(void)d;
	must(machine.nram, "no RAM is described");
	for (u32 i = 0; i < machine.nram; i++) {
		struct range *r = &machine.ram[i];

		inside |= here >= r->start && here < r->start + r->len;
		must(r->start + r->len <= ecam || r->start > ecam || !ecam, "RAM covers ECAM");
	}
	must(inside, "this program runs outside the RAM it was told of");
}

static const struct test tests[] = {
	{"ACPI-01", "the RSDP is found and its sums are right", rsdp, ONCE, 0},
	{"ACPI-02", "every table's bytes sum up to 0", checksums, ONCE, 0},
	{"ACPI-03", "the FADT leads to a DSDT", dsdt, ONCE, 0},
	{"ACPI-04", "the MADT lists this CPU and the I/O APIC", madt, ONCE, 0},
	{"ACPI-05", "the MCFG's window shows configuration space", mcfg, ONCE, 0},
	{"ACPI-06", "the memory map holds this program and not the PCI window", memory_map, ONCE, 0},
};

const struct suite suite_acpi = {"acpi", tests, ARRAY_SIZE(tests)};
