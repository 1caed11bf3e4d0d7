// SPDX-License-Identifier: GPL-2.0-only
/*
 * aml: writes ACPI's byte code and resource templates.
 *
 * Runs on: main
 */
#include <string.h>

#include "kvm/aml.h"

#define EXT 0x5b /* prefix of two-byte operators */

static const struct { uint8_t prefix, op; } blocks[] = {
	[AML_SCOPE] = { 0, 0x10 },  [AML_DEVICE] = { EXT, 0x82 }, [AML_METHOD] = { 0, 0x14 },
	[AML_FIELD] = { EXT, 0x81 }, [AML_IF] = { 0, 0xa0 },	  [AML_ELSE] = { 0, 0xa1 },
	[AML_PACKAGE] = { 0, 0x12 }, [AML_BUFFER] = { 0, 0x11 },
};

void aml_bytes(struct aml *a, const void *bytes, size_t len)
{
	if (a->full || len > a->max - a->len) {
		a->full = true;
		return;
	}
	memcpy(a->buf + a->len, bytes, len);
	a->len += len;
}

void aml_byte(struct aml *a, uint8_t byte)
{
	aml_bytes(a, &byte, 1);
}

static void le(struct aml *a, uint64_t val, unsigned len)
{
	aml_bytes(a, &val, len); /* the host is little-endian, as ACPI is */
}

size_t aml_open(struct aml *a, enum aml_block what)
{
	if (blocks[what].prefix)
		aml_byte(a, blocks[what].prefix);
	aml_byte(a, blocks[what].op);
	return a->len;
}

/* The length counts itself: 6 bits in one byte, or 4 + 8 per byte more (20.2.4). */
void aml_close(struct aml *a, size_t at)
{
	size_t body = a->len - at, len;
	uint8_t pkg[4];
	unsigned n, i;

	if (a->full)
		return;
	for (n = 1; n < 4; n++) {
		len = body + n;
		if (len < (n == 1 ? 1U << 6 : 1U << (4 + 8 * (n - 1))))
			break;
	}
	len = body + n;
	if (n == 1) {
		pkg[0] = (uint8_t)len;
	} else {
		pkg[0] = (uint8_t)((n - 1) << 6 | (len & 15));
		for (i = 1; i < n; i++)
			pkg[i] = (uint8_t)(len >> (4 + 8 * (i - 1)));
	}
	aml_bytes(a, pkg, n);
	if (a->full)
		return;
	memmove(a->buf + at + n, a->buf + at, body);
	memcpy(a->buf + at, pkg, n);
}

void aml_path(struct aml *a, const char *path)
{
	size_t segs;

	if (*path == '\\')
		aml_byte(a, (uint8_t)*path++);
	segs = (strlen(path) + 1) / 5;
	if (segs == 2) {
		aml_byte(a, 0x2e);
	} else if (segs > 2) {
		aml_byte(a, 0x2f);
		aml_byte(a, (uint8_t)segs);
	}
	if (!segs)
		aml_byte(a, 0);
	for (; segs; segs--, path += 5)
		aml_bytes(a, path, 4);
}

void aml_name(struct aml *a, const char *path)
{
	aml_byte(a, 0x08);
	aml_path(a, path);
}

void aml_int(struct aml *a, uint64_t val)
{
	static const struct { uint64_t max; uint8_t op, len; } sizes[] = {
		{ 0xff, 0x0a, 1 },
		{ 0xffff, 0x0b, 2 },
		{ 0xffffffff, 0x0c, 4 },
		{ UINT64_MAX, 0x0e, 8 },
	};
	unsigned i = 0;

	if (val < 2) {
		aml_byte(a, (uint8_t)val);
		return;
	}
	while (val > sizes[i].max)
		i++;
	aml_byte(a, sizes[i].op);
	le(a, val, sizes[i].len);
}

void aml_string(struct aml *a, const char *text)
{
	aml_byte(a, 0x0d);
	aml_bytes(a, text, strlen(text) + 1);
}

static uint32_t hex(char c)
{
	return (uint32_t)(c <= '9' ? c - '0' : c - 'A' + 10);
}

/* Three letters of five bits, four digits; the whole as big-endian (19.3.4). */
void aml_eisa(struct aml *a, const char *id)
{
	uint32_t val = (uint32_t)(id[0] - '@') << 26 | (uint32_t)(id[1] - '@') << 21 |
		       (uint32_t)(id[2] - '@') << 16 | hex(id[3]) << 12 | hex(id[4]) << 8 |
		       hex(id[5]) << 4 | hex(id[6]);

	aml_byte(a, 0x0c);
	le(a, __builtin_bswap32(val), 4);
}

void aml_name_int(struct aml *a, const char *path, uint64_t val)
{
	aml_name(a, path);
	aml_int(a, val);
}

void aml_name_eisa(struct aml *a, const char *path, const char *id)
{
	aml_name(a, path);
	aml_eisa(a, id);
}

void aml_name_string(struct aml *a, const char *path, const char *text)
{
	aml_name(a, path);
	aml_string(a, text);
}

void aml_res_open(struct aml_res *r)
{
	r->a = (struct aml){ .buf = r->buf, .max = sizeof(r->buf) };
}

void aml_res_close(struct aml *a, struct aml_res *r)
{
	size_t at = aml_open(a, AML_BUFFER);

	le(&r->a, 0x0079, 2); /* end tag, no checksum */
	aml_int(a, r->a.len);
	aml_bytes(a, r->buf, r->a.len);
	a->full |= r->a.full;
	aml_close(a, at);
}

void aml_res_io(struct aml_res *r, uint16_t base, uint8_t len)
{
	le(&r->a, 0x0147, 2); /* I/O port, all 16 address bits decoded */
	le(&r->a, base, 2);
	le(&r->a, base, 2);
	le(&r->a, 1, 1);
	le(&r->a, len, 1);
}

void aml_res_mem32(struct aml_res *r, uint32_t base, uint32_t len)
{
	le(&r->a, 0x86, 1); /* fixed 32-bit memory */
	le(&r->a, 9, 2);
	le(&r->a, 1, 1); /* writable */
	le(&r->a, base, 4);
	le(&r->a, len, 4);
}

void aml_res_irq(struct aml_res *r, uint32_t gsi, bool level)
{
	le(&r->a, 0x89, 1); /* extended interrupt */
	le(&r->a, 6, 2);
	le(&r->a, level ? 0x01 : 0x03, 1); /* consumer; bit 1: edge */
	le(&r->a, 1, 1);
	le(&r->a, gsi, 4);
}

/* Address space descriptors of three widths differ in their tag only (6.4.3.5). */
static void window(struct aml_res *r, unsigned width, uint8_t type, uint8_t flags, uint64_t base,
		   uint64_t last)
{
	static const uint8_t tag[9] = { [2] = 0x88, [4] = 0x87, [8] = 0x8a };

	le(&r->a, tag[width], 1);
	le(&r->a, 3 + 5 * width, 2);
	le(&r->a, type, 1);
	le(&r->a, 0x0c, 1); /* both ends fixed, producer, positive decoding */
	le(&r->a, flags, 1);
	le(&r->a, 0, width); /* granularity */
	le(&r->a, base, width);
	le(&r->a, last, width);
	le(&r->a, 0, width); /* passed on as they are */
	le(&r->a, last - base + 1, width);
}

void aml_res_bus(struct aml_res *r, uint16_t first, uint16_t last)
{
	window(r, 2, 2, 0, first, last);
}

void aml_res_io_window(struct aml_res *r, uint16_t base, uint16_t len)
{
	window(r, 2, 1, 3, base, base + (uint64_t)len - 1); /* 3: the whole range */
}

void aml_res_mem32_window(struct aml_res *r, uint32_t base, uint32_t len)
{
	window(r, 4, 0, 1, base, base + (uint64_t)len - 1); /* 1: writable, not cached */
}

void aml_res_mem64_window(struct aml_res *r, uint64_t base, uint64_t len)
{
	window(r, 8, 0, 1, base, base + len - 1);
}
