// SPDX-License-Identifier: GPL-2.0-only
/*
 * acpi: the tables: RSDP, XSDT, FADT, MADT, MCFG and the DSDT's frame (ACPI 6.5, chapter 5).
 *
 * Hardware-reduced: no SCI, no PM timer, no fixed events; power-off and reset are two registers,
 * the button is an event device. Layouts are structs, so that a reader can hold them against the
 * text.
 *
 * Runs on: main
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "kvm/acpi.h"
#include "lkvm/hw.h"
#include "lkvm/log.h"

#define PACKED __attribute__((packed))

struct sdt {
	char signature[4];
	uint32_t len;
	uint8_t revision, checksum;
	char oem[6], oem_table[8];
	uint32_t oem_revision;
	char creator[4];
	uint32_t creator_revision;
} PACKED;
_Static_assert(sizeof(struct sdt) == 36, "sdt");

struct rsdp {
	char signature[8];
	uint8_t checksum;
	char oem[6];
	uint8_t revision;
	uint32_t rsdt, len;
	uint64_t xsdt;
	uint8_t checksum_all, reserved[3];
} PACKED;
_Static_assert(sizeof(struct rsdp) == 36, "rsdp");

/* Generic address structure: space 1 is system I/O, access size 1 a byte. */
struct gas {
	uint8_t space, bits, bit_off, access;
	uint64_t addr;
} PACKED;
_Static_assert(sizeof(struct gas) == 12, "gas");

struct fadt {
	struct sdt head;
	uint32_t facs, dsdt;
	uint8_t reserved0, pm_profile;
	uint16_t sci_int;
	uint8_t fixed0[60]; /* SMI and the fixed register blocks: not in a reduced machine */
	uint8_t century;
	uint16_t boot_arch;
	uint8_t reserved1;
	uint32_t flags;
	struct gas reset;
	uint8_t reset_value;
	uint16_t arm_boot_arch;
	uint8_t minor;
	uint64_t x_facs, x_dsdt;
	struct gas fixed1[8];
	struct gas sleep_control, sleep_status;
	uint64_t hypervisor;
} PACKED;
_Static_assert(sizeof(struct fadt) == 276, "fadt");
_Static_assert(offsetof(struct fadt, boot_arch) == 109, "fadt.boot_arch");
_Static_assert(offsetof(struct fadt, reset) == 116, "fadt.reset");
_Static_assert(offsetof(struct fadt, x_dsdt) == 140, "fadt.x_dsdt");
_Static_assert(offsetof(struct fadt, sleep_control) == 244, "fadt.sleep_control");

enum {
	FADT_WBINVD = 1 << 0,
	FADT_NO_FIXED_POWER_BUTTON = 1 << 4,
	FADT_NO_FIXED_SLEEP_BUTTON = 1 << 5,
	FADT_RESET_REG = 1 << 10,
	FADT_HW_REDUCED = 1 << 20,
	/* Boot architecture: no ISA devices but those in the DSDT, no i8042 worth probing. */
	ARCH_NO_VGA = 1 << 2,
	ARCH_NO_ASPM = 1 << 4,
};

struct madt {
	struct sdt head;
	uint32_t lapic, flags;
} PACKED;

struct madt_lapic {
	uint8_t type, len, uid, id;
	uint32_t flags;
} PACKED;

struct madt_ioapic {
	uint8_t type, len, id, reserved;
	uint32_t addr, gsi;
} PACKED;

struct madt_override {
	uint8_t type, len, bus, source;
	uint32_t gsi;
	uint16_t flags;
} PACKED;

struct madt_nmi {
	uint8_t type, len, uid;
	uint16_t flags;
	uint8_t lint;
} PACKED;
_Static_assert(sizeof(struct madt) == 44 && sizeof(struct madt_lapic) == 8 &&
	       sizeof(struct madt_ioapic) == 12 && sizeof(struct madt_override) == 10 &&
	       sizeof(struct madt_nmi) == 6, "madt");

#define OVERRIDE_LEVEL_HIGH 0x000d

struct mcfg {
	struct sdt head;
	uint64_t reserved0;
	uint64_t ecam;
	uint16_t segment;
	uint8_t bus_first, bus_last;
	uint32_t reserved1;
} PACKED;
_Static_assert(sizeof(struct mcfg) == 60, "mcfg");

/* The tables' room in guest RAM, filled from its start; the writer doubles as the allocator. */
struct tables {
	struct aml a;
	uint64_t xsdt[8];
	unsigned n;
};

static uint8_t sum(const void *bytes, size_t len)
{
	const uint8_t *p = bytes;
	uint8_t total = 0;

	while (len--)
		total = (uint8_t)(total + *p++);
	return total;
}

/* Tables lie on 16 bytes: the RSDP must, for the others it is tidy. */
static uint64_t here(struct tables *t)
{
	while (t->a.len % 16 && !t->a.full)
		aml_byte(&t->a, 0);
	return MAP_ACPI + t->a.len;
}

static struct sdt header(const char *signature, uint8_t revision)
{
	struct sdt head = { .revision = revision, .oem_revision = 1, .creator_revision = 1 };

	memcpy(head.signature, signature, 4);
	memcpy(head.oem, "LKVM  ", 6);
	memcpy(head.oem_table, "LKVM    ", 8);
	memcpy(head.creator, "LKVM", 4);
	return head;
}

/* Length and checksum of the table that began at gpa and ends here. */
static void finish(struct tables *t, uint64_t gpa)
{
	size_t at = gpa - MAP_ACPI, len = t->a.len - at;
	uint32_t len32 = (uint32_t)len;

	if (t->a.full)
		return;
	memcpy(t->a.buf + at + offsetof(struct sdt, len), &len32, sizeof(len32));
	t->a.buf[at + offsetof(struct sdt, checksum)] = (uint8_t)-sum(t->a.buf + at, len);
}

static uint64_t add_table(struct tables *t, const void *table, size_t len)
{
	uint64_t gpa = here(t);

	aml_bytes(&t->a, table, len);
	finish(t, gpa);
	return gpa;
}

static uint64_t add_dsdt(struct tables *t, const struct boot_conf *conf)
{
	struct sdt head = header("DSDT", 2);
	uint64_t gpa = here(t);

	aml_bytes(&t->a, &head, sizeof(head));
	dsdt_write(&t->a, conf);
	finish(t, gpa);
	return gpa;
}

static struct gas port(uint16_t addr)
{
	return (struct gas){ .space = 1, .bits = 8, .access = 1, .addr = addr };
}

static void add_fadt(struct tables *t, uint64_t dsdt)
{
	struct fadt fadt = {
		.head = header("FACP", 6),
		.dsdt = (uint32_t)dsdt,
		.boot_arch = ARCH_NO_VGA | ARCH_NO_ASPM,
		.flags = FADT_WBINVD | FADT_NO_FIXED_POWER_BUTTON | FADT_NO_FIXED_SLEEP_BUTTON |
			 FADT_RESET_REG | FADT_HW_REDUCED,
		.reset = port(PORT_POWER + POWER_RESET),
		.reset_value = POWER_RESET_VALUE,
		.minor = 4,
		.x_dsdt = dsdt,
		.sleep_control = port(PORT_POWER + POWER_SLEEP_CONTROL),
		.sleep_status = port(PORT_POWER + POWER_SLEEP_STATUS),
	};

	memcpy(&fadt.hypervisor, "LKVM\0\0\0\0", 8);
	t->xsdt[t->n++] = add_table(t, &fadt, sizeof(fadt));
}

static void add_override(struct tables *t, uint8_t source, uint32_t gsi, uint16_t flags)
{
	struct madt_override o = { 2, sizeof(o), 0, source, gsi, flags };

	aml_bytes(&t->a, &o, sizeof(o));
}

static void add_madt(struct tables *t, unsigned cpus)
{
	struct madt madt = { .head = header("APIC", 5), .lapic = MAP_LAPIC };
	struct madt_ioapic ioapic = { 1, sizeof(ioapic), 0, 0, MAP_IOAPIC, 0 };
	struct madt_nmi nmi = { 4, sizeof(nmi), 0xff, 0, 1 }; /* every processor's LINT1 */
	uint64_t gpa = here(t);
	unsigned i;

	aml_bytes(&t->a, &madt, sizeof(madt));
	for (i = 0; i < cpus; i++) {
		struct madt_lapic lapic = { 0, sizeof(lapic), (uint8_t)i, (uint8_t)i, 1 };

		aml_bytes(&t->a, &lapic, sizeof(lapic));
	}
	aml_bytes(&t->a, &ioapic, sizeof(ioapic));
	add_override(t, 0, 2, 0); /* the PIT comes in at input 2, as kvm/irq.c routes it */
	add_override(t, IRQ_POWER, IRQ_POWER, OVERRIDE_LEVEL_HIGH);
	aml_bytes(&t->a, &nmi, sizeof(nmi));
	finish(t, gpa);
	t->xsdt[t->n++] = gpa;
}

static void add_mcfg(struct tables *t, uint64_t ecam)
{
	struct mcfg mcfg = { .head = header("MCFG", 1), .ecam = ecam };

	if (ecam)
		t->xsdt[t->n++] = add_table(t, &mcfg, sizeof(mcfg));
}

static uint64_t add_xsdt(struct tables *t)
{
	struct sdt head = header("XSDT", 1);
	uint64_t gpa = here(t);

	aml_bytes(&t->a, &head, sizeof(head));
	aml_bytes(&t->a, t->xsdt, t->n * sizeof(t->xsdt[0]));
	finish(t, gpa);
	return gpa;
}

int acpi_build(const struct boot_conf *conf, struct gmem *mem, uint64_t *rsdp)
{
	struct tables t = {
		.a = { .buf = gmem_ptr(mem, MAP_ACPI, MAP_ACPI_LEN), .max = MAP_ACPI_LEN },
	};
	struct rsdp root = { .revision = 2, .len = sizeof(root) };

	if (!t.a.buf) {
		log_err(NULL,
			"the guest's RAM is too small for the ACPI tables. Fix: -m 2 or more");
		return -EFAULT;
	}
	/* The root goes first, where those who search for it begin; it is filled in last. */
	aml_bytes(&t.a, &root, sizeof(root));
	add_fadt(&t, add_dsdt(&t, conf));
	add_madt(&t, conf->cpus);
	add_mcfg(&t, conf->windows.ecam);
	memcpy(root.signature, "RSD PTR ", 8);
	memcpy(root.oem, "LKVM  ", 6);
	root.xsdt = add_xsdt(&t);
	if (t.a.full) {
		log_err(NULL, "the ACPI tables do not fit into their %u KiB", MAP_ACPI_LEN >> 10);
		return -ENOSPC;
	}
	root.checksum = (uint8_t)-sum(&root, offsetof(struct rsdp, len));
	root.checksum_all = (uint8_t)-sum(&root, sizeof(root));
	memcpy(t.a.buf, &root, sizeof(root));
	*rsdp = MAP_ACPI;
	return 0;
}
