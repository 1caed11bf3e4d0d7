// SPDX-License-Identifier: GPL-2.0-only
/*
 * The control port of a guest that runs a command: any bytes, in pieces whose lengths the input names.
 * Whatever is passed on must make sense.
 */
#include <stdlib.h>
#include <string.h>

#include "lkvm/log.h"
#include "machine/control.h"

static unsigned hellos, starts, statuses;

static void on_hello(void *opaque)
{
	(void)opaque;
	if (hellos++)
		abort();
}

static void on_started(void *opaque)
{
	(void)opaque;
	if (starts++ || !hellos || statuses)
		abort();
}

static void on_status(void *opaque, const struct command_status *status)
{
	int code = control_exit_status(status);

	(void)opaque;
	if (statuses++ || !hellos || code < 0 || code > 255)
		abort();
}

static void on_say(void *opaque, const char *text)
{
	(void)opaque;
	for (const char *p = text; *p; p++)
		if (*p < ' ' || *p > '~')
			abort();
	if (strlen(text) > COMMAND_SAY_MAX)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct control control;
	size_t piece;

	if (!size)
		return 0;
	log_set_level(LOG_ERR);
	hellos = starts = statuses = 0;
	control_init(&control, &(struct control_user){ on_hello, on_started, on_status, on_say, NULL });
	piece = data[0] ? data[0] : 1000;
	for (size_t at = 1; at < size; at += piece) {
		size_t n = size - at < piece ? size - at : piece;
		/* A block of its very size, so that reading beyond it is seen. */
		uint8_t *copy = malloc(n);

		memcpy(copy, data + at, n);
		control_feed(&control, copy, n);
		free(copy);
	}
	return 0;
}
