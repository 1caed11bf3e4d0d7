// SPDX-License-Identifier: GPL-2.0-only
/*
 * dsdt: the devices that can't be found by looking: the PCI root, what is on ports, the power
 * button.
 *
 * The body is written as the ASL would read; each function is one Device () of it.
 *
 * Runs on: main
 */
#include <string.h>

#include "kvm/acpi.h"
#include "lkvm/hw.h"

/* Operators that stand alone (20.2.5). */
enum {
	OP_LOCAL0 = 0x60,
	OP_ARG0 = 0x68,
	OP_ARG3 = 0x6b,
	OP_STORE = 0x70,
	OP_AND = 0x7b,
	OP_OR = 0x7d,
	OP_NOTIFY = 0x86,
	OP_DWORD_FIELD = 0x8a,
	OP_EQUAL = 0x93,
	OP_RETURN = 0xa4,
	OP_EXT = 0x5b,
	OP_EXT_REGION = 0x80,
};

/* 33DB4D5B-1FF7-401C-9657-7441C03DD766: the _OSC of a PCI root. */
static const uint8_t osc_uuid[16] = {
	0x5b, 0x4d, 0xdb, 0x33, 0xf7, 0x1f, 0x1c, 0x40,
	0x96, 0x57, 0x74, 0x41, 0xc0, 0x3d, 0xd7, 0x66,
};

static size_t open_device(struct aml *a, const char *name)
{
	size_t at = aml_open(a, AML_DEVICE);

	aml_path(a, name);
	return at;
}

/* flags: the number of arguments; 8: serialized. */
static size_t open_method(struct aml *a, const char *name, uint8_t flags)
{
	size_t at = aml_open(a, AML_METHOD);

	aml_path(a, name);
	aml_byte(a, flags);
	return at;
}

static void write_buffer(struct aml *a, const void *bytes, size_t len)
{
	size_t at = aml_open(a, AML_BUFFER);

	aml_int(a, len);
	aml_bytes(a, bytes, len);
	aml_close(a, at);
}

/* CreateDWordField (Arg3, off, name) */
static void write_dword_field(struct aml *a, uint64_t off, const char *name)
{
	aml_byte(a, OP_DWORD_FIELD);
	aml_byte(a, OP_ARG3);
	aml_int(a, off);
	aml_path(a, name);
}

/* name |= bits, or name &= bits */
static void write_update(struct aml *a, uint8_t op, const char *name, uint64_t bits)
{
	aml_byte(a, op);
	aml_path(a, name);
	aml_int(a, bits);
	aml_path(a, name);
}

/*
 * The system asks which PCI Express services it may drive. The answer is none of those it could
 * (hot plug, power events, error reporting): no function has them, and the system then leaves them
 * alone.
 */
static void write_osc(struct aml *a)
{
	size_t method = open_method(a, "_OSC", 4 | 8), cond;

	write_dword_field(a, 0, "CDW1");
	cond = aml_open(a, AML_IF);
	aml_byte(a, OP_EQUAL);
	aml_byte(a, OP_ARG0);
	write_buffer(a, osc_uuid, sizeof(osc_uuid));
	write_dword_field(a, 8, "CDW3");
	write_update(a, OP_AND, "CDW3", 0);
	write_update(a, OP_OR, "CDW1", 0x10); /* capabilities were masked */
	aml_close(a, cond);
	cond = aml_open(a, AML_ELSE);
	write_update(a, OP_OR, "CDW1", 0x04); /* unknown UUID */
	aml_close(a, cond);
	aml_byte(a, OP_RETURN);
	aml_byte(a, OP_ARG3);
	aml_close(a, method);
}

/* Each slot's four pins, swizzled over the bridge's four inputs. */
static void write_prt(struct aml *a, const struct pci_windows *w)
{
	size_t table, row;
	unsigned slot, pin;

	aml_name(a, "_PRT");
	table = aml_open(a, AML_PACKAGE);
	aml_byte(a, PCI_SLOTS * 4);
	for (slot = 0; slot < PCI_SLOTS; slot++) {
		for (pin = 0; pin < 4; pin++) {
			row = aml_open(a, AML_PACKAGE);
			aml_byte(a, 4);
			aml_int(a, slot << 16 | 0xffff); /* any function of it */
			aml_int(a, pin);
			aml_int(a, 0); /* no link device: a fixed GSI */
			aml_int(a, acpi_intx_gsi(w, slot, pin));
			aml_close(a, row);
		}
	}
	aml_close(a, table);
}

static void write_pci(struct aml *a, const struct pci_windows *w)
{
	size_t dev = open_device(a, "PCI0");
	struct aml_res r;

	aml_name_eisa(a, "_HID", "PNP0A08");
	aml_name_eisa(a, "_CID", "PNP0A03");
	aml_name_int(a, "_SEG", 0);
	aml_name_int(a, "_BBN", 0);
	aml_name_int(a, "_UID", 0);
	aml_name(a, "_CRS");
	aml_res_open(&r);
	aml_res_bus(&r, 0, 0);
	aml_res_io(&r, 0xcf8, 8);
	if (w->io_len)
		aml_res_io_window(&r, w->io, w->io_len);
	if (w->mem32_len)
		aml_res_mem32_window(&r, (uint32_t)w->mem32, (uint32_t)w->mem32_len);
	if (w->mem64_len)
		aml_res_mem64_window(&r, w->mem64, w->mem64_len);
	aml_res_close(a, &r);
	write_prt(a, w);
	write_osc(a);
	aml_close(a, dev);
}

/* What belongs to the board: without this Linux doesn't trust the MCFG table. */
static void write_board(struct aml *a, const struct pci_windows *w)
{
	size_t dev = open_device(a, "MBRD");
	struct aml_res r;

	aml_name_eisa(a, "_HID", "PNP0C02");
	aml_name_int(a, "_UID", 0);
	aml_name(a, "_CRS");
	aml_res_open(&r);
	if (w->ecam)
		aml_res_mem32(&r, (uint32_t)w->ecam, 1 << 20);
	aml_res_io(&r, PORT_POWER, POWER_PORTS);
	aml_res_io(&r, PORT_DEBUG_EXIT, 1);
	aml_res_close(a, &r);
	aml_close(a, dev);
}

static void write_serial(struct aml *a, const char *name, unsigned uid, uint16_t port, unsigned irq)
{
	size_t dev = open_device(a, name);
	struct aml_res r;

	aml_name_eisa(a, "_HID", "PNP0501");
	aml_name_int(a, "_UID", uid);
	aml_name(a, "_CRS");
	aml_res_open(&r);
	aml_res_io(&r, port, 8);
	aml_res_irq(&r, irq, false);
	aml_res_close(a, &r);
	aml_close(a, dev);
}

/* Its clock is read, its alarm is not there: no interrupt. */
static void write_rtc(struct aml *a)
{
	size_t dev = open_device(a, "RTC_");
	struct aml_res r;

	aml_name_eisa(a, "_HID", "PNP0B00");
	aml_name(a, "_CRS");
	aml_res_open(&r);
	aml_res_io(&r, PORT_RTC, 2);
	aml_res_close(a, &r);
	aml_close(a, dev);
}

static void write_pvpanic(struct aml *a)
{
	size_t dev = open_device(a, "PEVT");
	struct aml_res r;

	aml_name_string(a, "_HID", "QEMU0001");
	aml_name(a, "_CRS");
	aml_res_open(&r);
	aml_res_io(&r, PORT_PVPANIC, 1);
	aml_res_close(a, &r);
	aml_close(a, dev);
}

static void write_button(struct aml *a)
{
	size_t dev = open_device(a, "PWRB");

	aml_name_eisa(a, "_HID", "PNP0C0C");
	aml_name_int(a, "_UID", 0);
	aml_close(a, dev);
}

/* _EVT (Arg0) { Local0 = EVNT; If (Local0 & 1) { Notify (PWRB, 0x80) } } */
static void write_event_method(struct aml *a)
{
	size_t method = open_method(a, "_EVT", 1 | 8), cond;

	aml_byte(a, OP_STORE);
	aml_path(a, "EVNT");
	aml_byte(a, OP_LOCAL0);
	cond = aml_open(a, AML_IF);
	aml_byte(a, OP_AND);
	aml_byte(a, OP_LOCAL0);
	aml_int(a, 1);
	aml_byte(a, 0); /* result goes nowhere else */
	aml_byte(a, OP_NOTIFY);
	aml_path(a, "\\_SB_.PWRB");
	aml_int(a, 0x80);
	aml_close(a, cond);
	aml_close(a, method);
}

/* The generic event device: the power block's interrupt; reading the event drops the line. */
static void write_events(struct aml *a)
{
	size_t dev = open_device(a, "GED_"), field;
	struct aml_res r;

	aml_name_string(a, "_HID", "ACPI0013");
	aml_name_int(a, "_UID", 0);
	aml_name(a, "_CRS");
	aml_res_open(&r);
	aml_res_irq(&r, IRQ_POWER, true);
	aml_res_close(a, &r);

	aml_byte(a, OP_EXT);
	aml_byte(a, OP_EXT_REGION);
	aml_path(a, "PWRR");
	aml_byte(a, 1); /* system I/O */
	aml_int(a, PORT_POWER + POWER_EVENT);
	aml_int(a, 1);
	field = aml_open(a, AML_FIELD);
	aml_path(a, "PWRR");
	aml_byte(a, 1); /* byte access, no lock, preserve */
	aml_path(a, "EVNT");
	aml_byte(a, 8);
	aml_close(a, field);
	write_event_method(a);
	aml_close(a, dev);
}

static void write_s5(struct aml *a)
{
	size_t at;

	aml_name(a, "\\_S5_");
	at = aml_open(a, AML_PACKAGE);
	aml_byte(a, 4);
	aml_int(a, POWER_SLP_TYP_S5);
	aml_int(a, POWER_SLP_TYP_S5);
	aml_int(a, 0);
	aml_int(a, 0);
	aml_close(a, at);
}

void dsdt_write(struct aml *a, const struct boot_conf *conf)
{
	size_t scope = aml_open(a, AML_SCOPE);

	aml_path(a, "\\_SB_");
	write_pci(a, &conf->windows);
	write_board(a, &conf->windows);
	write_serial(a, "COM1", 1, PORT_COM1, IRQ_COM1);
	if (conf->two_serial)
		write_serial(a, "COM2", 2, PORT_COM2, IRQ_COM2);
	write_rtc(a);
	write_pvpanic(a);
	write_button(a);
	write_events(a);
	aml_close(a, scope);
	write_s5(a);
}
