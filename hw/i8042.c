// SPDX-License-Identifier: GPL-2.0-only
/*
 * i8042: the keyboard controller's two ports, for the reset that it is still asked for.
 *
 * There is no keyboard and no controller behind it. The status says "there is a byte for you", always:
 * a driver that empties the buffer before it starts finds that it never ends, and gives up within a
 * millisecond. "Empty" would let it go on to a command whose answer it awaits for half a second; all
 * ones, as from an absent device, would make the kernel wait before its reset command for a controller
 * that never gets ready.
 *
 * Runs on: vcpu under slot lock
 */
#include <stdlib.h>

#include "lkvm/hw.h"
#include "lkvm/log.h"

enum {
	I8042_DATA = 0x60,
	I8042_COMMAND = 0x64,	/* read: status */
	I8042_STATUS_OBF = 0x01, /* a byte can be read; bit 1, "busy", is always clear */
	I8042_NO_DATA = 0xff,
	I8042_PULSE_RESET = 0xfe,
};

struct i8042 {
	struct bus *pio;
	struct bus_range data, command; /* 0x61 to 0x63 between them are not ours */
	struct bus_slot slot;
	struct hw_power_user user;
};

static uint64_t data_read(void *opaque, uint64_t off, unsigned len)
{
	(void)opaque;
	(void)off;
	(void)len;
	return I8042_NO_DATA;
}

static void data_write(void *opaque, uint64_t off, unsigned len, uint64_t val)
{
	(void)opaque;
	(void)off;
	(void)len;
	(void)val;
}

static uint64_t status_read(void *opaque, uint64_t off, unsigned len)
{
	(void)opaque;
	(void)off;
	(void)len;
	return I8042_STATUS_OBF;
}

static void command_write(void *opaque, uint64_t off, unsigned len, uint64_t val)
{
	struct i8042 *i8042 = opaque;

	(void)off;
	(void)len;
	if ((uint8_t)val == I8042_PULSE_RESET && i8042->user.ended)
		i8042->user.ended(i8042->user.opaque, HW_END_RESET, 0, "i8042");
}

static const struct bus_ops data_ops = { .read = data_read, .write = data_write };
static const struct bus_ops command_ops = { .read = status_read, .write = command_write };

struct i8042 *i8042_open(struct bus *pio, const struct hw_power_user *user)
{
	struct i8042 *i8042 = calloc(1, sizeof(*i8042));

	if (!i8042) {
		log_err("i8042", "out of memory");
		return NULL;
	}
	i8042->pio = pio;
	i8042->user = *user;
	pthread_mutex_init(&i8042->slot.lock, NULL);
	i8042->data = (struct bus_range){ .base = I8042_DATA, .len = 1, .ops = &data_ops,
					  .opaque = i8042, .slot = &i8042->slot, .prio = 1,
					  .name = "i8042 data" };
	i8042->command = (struct bus_range){ .base = I8042_COMMAND, .len = 1, .ops = &command_ops,
					     .opaque = i8042, .slot = &i8042->slot, .prio = 1,
					     .name = "i8042 command" };
	bus_map(pio, &i8042->data);
	bus_map(pio, &i8042->command);
	return i8042;
}

void i8042_close(struct i8042 *i8042)
{
	if (!i8042)
		return;
	bus_unmap(i8042->pio, &i8042->data);
	bus_unmap(i8042->pio, &i8042->command);
	pthread_mutex_destroy(&i8042->slot.lock);
	free(i8042);
}
