// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ACPI tables as an operating system walks them, and the DSDT through iasl where there is one.
 */
#include <stdlib.h>
#include <unistd.h>

#include "kvm/acpi.h"
#include "lkvm/hw.h"
#include "tap.h"

#define RAM (2 << 20)

static uint8_t *ram;
static struct gmem mem;

static const struct boot_conf machine = {
	.cpus = 3,
	.windows = {
		.ecam = MAP_ECAM,
		.mem32 = MAP_PCI_MEM32, .mem32_len = MAP_PCI_MEM32_LEN,
		.mem64 = 0x4000000000ULL, .mem64_len = 0x1000000000ULL,
		.io = MAP_PCI_IO, .io_len = MAP_PCI_IO_LEN,
		.intx_gsi = { 16, 17, 18, 19 },
	},
};

static uint8_t sum(uint64_t gpa, size_t len)
{
	uint8_t total = 0;

	for (size_t i = 0; i < len; i++)
		total = (uint8_t)(total + ram[gpa + i]);
	return total;
}

static uint32_t u32(uint64_t gpa)
{
	uint32_t v;

	memcpy(&v, ram + gpa, sizeof(v));
	return v;
}

static uint64_t u64(uint64_t gpa)
{
	uint64_t v;

	memcpy(&v, ram + gpa, sizeof(v));
	return v;
}

/* The table by its signature, as the XSDT names it; 0: none. Checks what every table must have. */
static uint64_t table(uint64_t xsdt, const char *signature)
{
	uint32_t len = u32(xsdt + 4);

	for (uint64_t at = xsdt + 36; at + 8 <= xsdt + len; at += 8)
		if (!memcmp(ram + u64(at), signature, 4))
			return u64(at);
	return 0;
}

static void check_frame(uint64_t gpa, const char *signature)
{
	uint32_t len = u32(gpa + 4);

	ok(!memcmp(ram + gpa, signature, 4), "%s has its signature", signature);
	ok(len >= 36 && gpa >= MAP_ACPI && gpa + len <= MAP_ACPI + MAP_ACPI_LEN,
	   "%s lies within the ACPI room", signature);
	is(sum(gpa, len), 0, "%s sums to zero", signature);
}

static void test_root(uint64_t rsdp)
{
	ok(!memcmp(ram + rsdp, "RSD PTR ", 8), "RSDP has its signature");
	is(rsdp % 16, 0, "RSDP lies on 16 bytes");
	is(sum(rsdp, 20), 0, "RSDP's first 20 bytes sum to zero");
	is(sum(rsdp, 36), 0, "all of RSDP sums to zero");
	is(ram[rsdp + 15], 2, "RSDP has revision 2");
}

static void test_fadt(uint64_t fadt)
{
	uint64_t dsdt = u64(fadt + 140);
	uint32_t flags = u32(fadt + 112);

	check_frame(fadt, "FACP");
	is(u32(fadt + 4), 276, "FADT has the length of revision 6");
	check_frame(dsdt, "DSDT");
	is(u32(fadt + 40), dsdt, "both DSDT pointers agree");
	ok(flags & 1 << 20, "the machine is hardware-reduced");
	ok(flags & 1 << 10, "the reset register is supported");
	ok(flags & 1 << 4, "there is no fixed power button");
	is(ram[fadt + 116], 1, "the reset register is in system I/O");
	is(u64(fadt + 120), PORT_POWER + POWER_RESET, "the reset register's port");
	is(ram[fadt + 128], POWER_RESET_VALUE, "the reset value");
	is(u64(fadt + 248), PORT_POWER + POWER_SLEEP_CONTROL, "the sleep control register's port");
	is(u64(fadt + 260), PORT_POWER + POWER_SLEEP_STATUS, "the sleep status register's port");
	is(ram[fadt + 109] & 3, 0, "no promise of ISA devices or an i8042");
}

static void test_madt(uint64_t madt, unsigned cpus)
{
	unsigned lapics = 0, ioapics = 0, in_order = 0;
	uint32_t len = u32(madt + 4);
	uint64_t at = madt + 44;
	bool pit = false, button = false;

	check_frame(madt, "APIC");
	is(u32(madt + 36), MAP_LAPIC, "MADT names the LAPICs' address");
	while (at + 2 <= madt + len && ram[at + 1] >= 2) {
		if (ram[at] == 0 && u32(at + 4) & 1)
			in_order += ram[at + 3] == lapics++;
		if (ram[at] == 1)
			ioapics += u32(at + 4) == MAP_IOAPIC && u32(at + 8) == 0;
		if (ram[at] == 2 && ram[at + 3] == 0)
			pit = u32(at + 4) == 2;
		if (ram[at] == 2 && ram[at + 3] == IRQ_POWER)
			button = u32(at + 4) == IRQ_POWER && ram[at + 8] == 0xd;
		at += ram[at + 1];
	}
	is(at, madt + len, "MADT's entries end where the table ends");
	is(lapics, cpus, "MADT has an enabled LAPIC for each of %u vCPUs", cpus);
	is(in_order, cpus, "LAPIC ids are the vCPUs' numbers");
	is(ioapics, 1, "MADT has the one IO-APIC");
	ok(pit, "line 0 comes in at input 2");
	ok(button, "the button's line is level, active high");
}

static void test_mcfg(uint64_t mcfg)
{
	check_frame(mcfg, "MCFG");
	is(u32(mcfg + 4), 60, "MCFG has one allocation");
	is(u64(mcfg + 44), MAP_ECAM, "MCFG names the ECAM window");
	is(ram[mcfg + 54] | ram[mcfg + 55], 0, "MCFG covers bus 0 only");
}

static bool dsdt_has(uint64_t dsdt, const void *bytes, size_t len)
{
	return memmem(ram + dsdt + 36, u32(dsdt + 4) - 36, bytes, len) != NULL;
}

static void test_dsdt(uint64_t dsdt)
{
	/* slot 2, pin 3: (2 + 3) % 4 -> 17 */
	static const uint8_t route[] = { 0x0c, 0xff, 0xff, 2, 0, 0x0a, 3, 0, 0x0a, 17 };
	static const uint8_t s5[] = { '_', 'S', '5', '_', 0x12, 8, 4, 0x0a, 5, 0x0a, 5, 0, 0 };
	static const char *const names[] = { "PCI0", "_PRT", "_OSC", "COM1", "PWRB", "GED_", "_EVT",
					     "ACPI0013" };

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		ok(dsdt_has(dsdt, names[i], strlen(names[i])), "DSDT has %s", names[i]);
	ok(dsdt_has(dsdt, "\x41\xd0\x0a\x08", 4), "DSDT has PNP0A08");
	ok(dsdt_has(dsdt, "\x41\xd0\x05\x01", 4), "DSDT has PNP0501");
	ok(dsdt_has(dsdt, route, sizeof(route)), "INTD of slot 2 is line 17");
	ok(dsdt_has(dsdt, s5, sizeof(s5)), "\\_S5 has the power block's sleep type");
}

/* An independent reader: iasl must take every table apart, and the DSDT together again. */
static void test_iasl(const char *name, uint64_t gpa)
{
	char dir[] = "/tmp/lkvm-acpi-XXXXXX", cmd[600];
	FILE *f;
	int ret;

	if (system("command -v iasl >/dev/null 2>&1")) {
		skip("iasl isn't installed (Debian: acpica-tools)", "iasl reads %s", name);
		return;
	}
	if (!mkdtemp(dir)) {
		ok(false, "a directory for %s", name);
		return;
	}
	snprintf(cmd, sizeof(cmd), "%s/%s.dat", dir, name);
	f = fopen(cmd, "w");
	ret = f && fwrite(ram + gpa, 1, u32(gpa + 4), f) == u32(gpa + 4);
	ret = f && !fclose(f) && ret;
	ok(ret, "%s was written for iasl", name);
	/* -we: warnings are errors. A data table is only taken apart: errors are said there. */
	snprintf(cmd, sizeof(cmd),
		 "cd %s && iasl -d %s.dat >out 2>&1 && "
		 "! grep -iE 'error|warning|invalid' out %s.dsl && "
		 "{ [ %s != DSDT ] || iasl -we %s.dsl >out 2>&1 || { cat out; false; }; } >&2",
		 dir, name, name, name, name);
	is(system(cmd), 0, "iasl has nothing against %s", name);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	if (system(cmd))
		printf("# %s is left behind\n", dir);
}

static void test_pkg_length(void)
{
	static const struct { size_t body; uint8_t bytes[3]; unsigned n; } cases[] = {
		{ 62, { 63 }, 1 },
		{ 63, { 0x40 | 1, 4 }, 2 },	       /* 65 = 0x41 */
		{ 4093, { 0x40 | 15, 0xff }, 2 },      /* 4095 */
		{ 4094, { 0x80 | 1, 0x00, 0x01 }, 3 }, /* 4097 */
	};
	static uint8_t buf[8192];

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct aml a = { .buf = buf, .max = sizeof(buf) };
		size_t at = aml_open(&a, AML_SCOPE);

		for (size_t n = 0; n < cases[i].body; n++)
			aml_byte(&a, 0xa3);
		aml_close(&a, at);
		ok(!memcmp(buf + 1, cases[i].bytes, cases[i].n) && buf[1 + cases[i].n] == 0xa3,
		   "a block of %zu bytes has the right length in front", cases[i].body);
		is(a.len, 1 + cases[i].n + cases[i].body, "and is as long as that");
	}
}

static void test_full(void)
{
	uint8_t buf[16];
	struct aml a = { .buf = buf, .max = 8 };

	memset(buf, 0xee, sizeof(buf));
	aml_string(&a, "longer than eight");
	ok(a.full, "a writer without room says so");
	is(buf[8], 0xee, "and writes nothing behind its end");
	is(a.len <= 8, 1, "nor counts it");
}

int main(void)
{
	struct boot_conf conf = machine;
	uint64_t rsdp = 0, xsdt;
	struct gmem small = { .fd = -1 };

	ram = calloc(1, RAM);
	mem.fd = -1;
	gmem_add(&mem, 0, ram, RAM);
	is(acpi_build(&conf, &mem, &rsdp), 0, "the tables are built");
	test_root(rsdp);
	xsdt = u64(rsdp + 24);
	check_frame(xsdt, "XSDT");
	test_fadt(table(xsdt, "FACP"));
	test_madt(table(xsdt, "APIC"), 3);
	test_mcfg(table(xsdt, "MCFG"));
	test_dsdt(u64(table(xsdt, "FACP") + 140));
	ok(!dsdt_has(u64(table(xsdt, "FACP") + 140), "COM2", 4), "DSDT has no second serial port");
	test_iasl("DSDT", u64(table(xsdt, "FACP") + 140));
	test_iasl("FACP", table(xsdt, "FACP"));
	test_iasl("APIC", table(xsdt, "APIC"));
	test_iasl("MCFG", table(xsdt, "MCFG"));
	test_iasl("XSDT", xsdt);

	/* The biggest machine, and one without any windows above 4 GiB. */
	memset(ram, 0, RAM);
	conf.cpus = 64;
	conf.windows.mem64_len = 0;
	conf.two_serial = true;
	is(acpi_build(&conf, &mem, &rsdp), 0, "64 vCPUs fit");
	test_madt(table(u64(rsdp + 24), "APIC"), 64);
	/* I/O 0x2f8, decoded in full, eight ports; then an interrupt: 3 */
	ok(dsdt_has(u64(table(u64(rsdp + 24), "FACP") + 140), "COM2", 4) &&
	   dsdt_has(u64(table(u64(rsdp + 24), "FACP") + 140), "\x47\1\xf8\2\xf8\2\1\x08", 8),
	   "and a second serial port, when there is one");
	test_iasl("DSDT", u64(table(u64(rsdp + 24), "FACP") + 140));

	gmem_add(&small, 0, ram, 0x10000);
	ok(acpi_build(&conf, &small, &rsdp) < 0, "a guest whose RAM has no room is refused");
	test_pkg_length();
	test_full();
	free(ram);
	return tap_end();
}
