/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * aml: writes ACPI's byte code (ACPI 6.5, chapter 20) and resource templates (6.4), as much of both
 * as our one table needs.
 *
 * What is opened is closed; the length that stands in front is put there at the close. A buffer
 * that is full drops the rest and says so in `full`, so that only the end result needs a look.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct aml {
	uint8_t *buf;
	size_t len, max;
	bool full;
};

/* What has a length in front: opened by aml_open, closed with what that returned. */
enum aml_block {
	AML_SCOPE,
	AML_DEVICE,
	AML_METHOD,
	AML_FIELD,
	AML_IF,
	AML_ELSE,
	AML_PACKAGE,
	AML_BUFFER
};

void aml_byte(struct aml *a, uint8_t byte);
void aml_bytes(struct aml *a, const void *bytes, size_t len);
size_t aml_open(struct aml *a, enum aml_block what);
void aml_close(struct aml *a, size_t at);

/* A name path as in ASL: "\\_SB_.PCI0", "_CRS", segments of exactly four characters. */
void aml_path(struct aml *a, const char *path);
void aml_name(struct aml *a, const char *path); /* Name (path, what comes next) */
void aml_int(struct aml *a, uint64_t val);
void aml_string(struct aml *a, const char *text);
void aml_eisa(struct aml *a, const char *id); /* "PNP0A08" */
void aml_name_int(struct aml *a, const char *path, uint64_t val);
void aml_name_eisa(struct aml *a, const char *path, const char *id);
void aml_name_string(struct aml *a, const char *path, const char *text);

/* --- resource templates: between aml_res_open and aml_res_close */
struct aml_res {
	uint8_t buf[256];
	struct aml a;
};
void aml_res_open(struct aml_res *r);
void aml_res_close(struct aml *a, struct aml_res *r); /* the template, as a Buffer */
void aml_res_io(struct aml_res *r, uint16_t base, uint8_t len);
void aml_res_mem32(struct aml_res *r, uint32_t base, uint32_t len);
/* Consumed by the device itself, not shared, active high. */
void aml_res_irq(struct aml_res *r, uint32_t gsi, bool level);
/* Windows that a bridge passes on. */
void aml_res_bus(struct aml_res *r, uint16_t first, uint16_t last);
void aml_res_io_window(struct aml_res *r, uint16_t base, uint16_t len);
void aml_res_mem32_window(struct aml_res *r, uint32_t base, uint32_t len);
void aml_res_mem64_window(struct aml_res *r, uint64_t base, uint64_t len);
