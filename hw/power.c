// SPDX-License-Identifier: GPL-2.0-only
/*
 * power: ACPI's hardware-reduced sleep and reset registers (ACPI 6, 4.8.3.7 and 4.8.3.6), and one
 * register of our own that tells the power button's event method what happened.
 *
 * Runs on: vcpu under slot lock; power_press on any thread takes the same lock
 */
#include <stdlib.h>

#include "lkvm/hw.h"
#include "lkvm/log.h"

enum {
	SLEEP_TYP = 0x1c, /* bits 2-4 of the control register */
	SLEEP_TYP_SHIFT = 2,
	SLEEP_EN = 0x20,    /* reads as 0 */
	SLEEP_WAKE = 0x80,  /* of the status register; cleared by writing 1 */
	EVENT_BUTTON = 0x01,
};

struct power {
	struct bus *pio;
	struct bus_range range;
	struct bus_slot slot;
	struct irq_line line;
	struct hw_power_user user;
	uint8_t control, status, event;
};

static void power_ended(struct power *p, enum hw_end how)
{
	if (p->user.ended)
		p->user.ended(p->user.opaque, how, 0, "acpi");
}

static void write_control(struct power *p, uint8_t val)
{
	p->control = val & SLEEP_TYP;
	if (!(val & SLEEP_EN))
		return;
	if ((val & SLEEP_TYP) >> SLEEP_TYP_SHIFT == POWER_SLP_TYP_S5)
		power_ended(p, HW_END_POWEROFF);
	else
		p->status |= SLEEP_WAKE; /* awake again at once, or the guest would wait for that */
}

static uint8_t read_event(struct power *p)
{
	uint8_t event = p->event;

	p->event = 0;
	irq_line_set(&p->line, false);
	return event;
}

static uint8_t reg_read(struct power *p, unsigned reg)
{
	switch (reg) {
	case POWER_SLEEP_CONTROL:
		return p->control;
	case POWER_SLEEP_STATUS:
		return p->status;
	case POWER_EVENT:
		return read_event(p);
	default:
		return 0; /* the reset register is written only */
	}
}

static void reg_write(struct power *p, unsigned reg, uint8_t val)
{
	if (reg == POWER_SLEEP_CONTROL)
		write_control(p, val);
	else if (reg == POWER_SLEEP_STATUS)
		p->status &= (uint8_t)~(val & SLEEP_WAKE);
	else if (reg == POWER_RESET && val == POWER_RESET_VALUE)
		power_ended(p, HW_END_RESET);
}

static uint64_t power_read(void *opaque, uint64_t off, unsigned len)
{
	uint64_t val = 0;

	for (unsigned i = 0; i < len; i++)
		val |= (uint64_t)reg_read(opaque, (unsigned)off + i) << (8 * i);
	return val;
}

static void power_write(void *opaque, uint64_t off, unsigned len, uint64_t val)
{
	for (unsigned i = 0; i < len; i++)
		reg_write(opaque, (unsigned)off + i, (uint8_t)(val >> (8 * i)));
}

static const struct bus_ops power_ops = { .read = power_read, .write = power_write };

void power_press(struct power *p)
{
	bus_lock(&p->slot);
	p->event |= EVENT_BUTTON;
	irq_line_set(&p->line, true);
	bus_unlock(&p->slot);
}

struct power *power_open(struct bus *pio, uint16_t port, struct irq_line line,
			 const struct hw_power_user *user)
{
	struct power *p = calloc(1, sizeof(*p));

	if (!p) {
		log_err("power", "out of memory");
		return NULL;
	}
	p->pio = pio;
	p->line = line;
	p->user = *user;
	pthread_mutex_init(&p->slot.lock, NULL);
	p->range = (struct bus_range){ .base = port, .len = POWER_PORTS, .ops = &power_ops,
				       .opaque = p, .name = "power", .slot = &p->slot, .prio = 1 };
	bus_map(pio, &p->range);
	return p;
}

void power_close(struct power *p)
{
	if (!p)
		return;
	bus_unmap(p->pio, &p->range);
	pthread_mutex_destroy(&p->slot.lock);
	free(p);
}
