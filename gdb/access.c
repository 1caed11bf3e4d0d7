// SPDX-License-Identifier: GPL-2.0-only
/*
 * access: the packets that read and write registers and memory.
 *
 * Runs on: main
 */
#include <string.h>

#include "gdb/gdb_priv.h"

#define EFAULT_REPLY "E0e"
#define EINVAL_REPLY "E16"
#define EIO_REPLY    "E05"

static bool load(struct session *s, struct target *t)
{
	if (!s->ops->get(s->opaque, s->cpu, &t->regs, &t->fpu))
		return true;
	reply_text(s, EIO_REPLY);
	return false;
}

/* Only what was changed is written back: KVM checks what it is given, and not all takes it well. */
static void store(struct session *s, const struct target *t, const struct target *old)
{
	const struct control_regs *regs = NULL;
	const struct control_fpu *fpu = NULL;

	for (unsigned i = 0; i < target_regs(); i++) {
		uint8_t now[REG_BYTES_MAX], then[REG_BYTES_MAX];
		size_t n = target_get(t, i, now);

		target_get(old, i, then);
		if (!memcmp(now, then, n))
			continue;
		if (target_is_fpu(i))
			fpu = &t->fpu;
		else
			regs = &t->regs;
	}
	if ((regs || fpu) && s->ops->set(s->opaque, s->cpu, regs, fpu))
		reply_text(s, EIO_REPLY);
	else
		reply_text(s, "OK");
}

static void get_all(struct session *s)
{
	uint8_t bytes[REG_BYTES_MAX];
	struct target t;

	if (!load(s, &t))
		return;
	for (unsigned i = 0; i < target_regs(); i++) {
		size_t n = target_get(&t, i, bytes);

		reply_hex(s, bytes, n);
	}
}

static void set_all(struct session *s, const char *text, size_t len)
{
	uint8_t bytes[REG_BYTES_MAX];
	struct target t, old;

	if (!load(s, &t))
		return;
	memcpy(&old, &t, sizeof(t));
	for (unsigned i = 0; i < target_regs() && len; i++) {
		size_t n = target_get(&t, i, bytes);

		if (2 * n > len || !hex_bytes(text, n, bytes)) {
			reply_text(s, EINVAL_REPLY);
			return;
		}
		target_set(&t, i, bytes); /* what is fixed stays */
		text += 2 * n;
		len -= 2 * n;
	}
	store(s, &t, &old);
}

static void get_one(struct session *s, const char *text)
{
	uint8_t bytes[REG_BYTES_MAX];
	struct target t;
	uint64_t reg;

	if (!hex_number(&text, &reg) || reg >= target_regs()) {
		reply_text(s, EINVAL_REPLY);
	} else if (load(s, &t)) {
		size_t n = target_get(&t, (unsigned)reg, bytes);

		reply_hex(s, bytes, n);
	}
}

static void set_one(struct session *s, const char *text)
{
	uint8_t bytes[REG_BYTES_MAX];
	struct target t, old;
	uint64_t reg;
	size_t n;

	if (!hex_number(&text, &reg) || reg >= target_regs() || *text++ != '=') {
		reply_text(s, EINVAL_REPLY);
		return;
	}
	if (!load(s, &t))
		return;
	memcpy(&old, &t, sizeof(t));
	n = target_get(&t, (unsigned)reg, bytes);
	if (strlen(text) != 2 * n || !hex_bytes(text, n, bytes) || !target_set(&t, (unsigned)reg, bytes))
		reply_text(s, EINVAL_REPLY);
	else
		store(s, &t, &old);
}

static void get_memory(struct session *s, const char *text)
{
	uint8_t bytes[PACKET_MAX / 2];
	uint64_t addr, len;
	size_t got;

	if (!hex_number(&text, &addr) || *text++ != ',' || !hex_number(&text, &len)) {
		reply_text(s, EINVAL_REPLY);
		return;
	}
	if (len > sizeof(bytes))
		len = sizeof(bytes);
	got = s->ops->read(s->opaque, s->cpu, addr, bytes, len);
	if (got || !len)
		reply_hex(s, bytes, got);
	else
		reply_text(s, EFAULT_REPLY);
}

/* "address,length:" and the bytes: as digits (M) or as they are (X). */
static void set_memory(struct session *s, const char *text, size_t total, bool binary)
{
	const char *end = text + total;
	uint8_t bytes[PACKET_MAX];
	uint64_t addr, len;

	if (!hex_number(&text, &addr) || *text++ != ',' || !hex_number(&text, &len) || *text++ != ':' ||
	    len > sizeof(bytes) || (size_t)(end - text) != (binary ? len : 2 * len)) {
		reply_text(s, EINVAL_REPLY);
		return;
	}
	if (binary) {
		memcpy(bytes, text, len);
	} else if (!hex_bytes(text, len, bytes)) {
		reply_text(s, EINVAL_REPLY);
		return;
	}
	reply_text(s, s->ops->write(s->opaque, s->cpu, addr, bytes, len) == len ? "OK" : EFAULT_REPLY);
}

void access_packet(struct session *s, const char *text, size_t len)
{
	switch (*text) {
	case 'g':
		get_all(s);
		break;
	case 'G':
		set_all(s, text + 1, len - 1);
		break;
	case 'p':
		get_one(s, text + 1);
		break;
	case 'P':
		set_one(s, text + 1);
		break;
	case 'm':
		get_memory(s, text + 1);
		break;
	case 'M':
	case 'X':
		set_memory(s, text + 1, len - 1, *text == 'X');
		break;
	default:
		break;
	}
}
