/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * control: what the guest's first process says on the control port (guest/command.h), checked.
 *
 * The guest is hostile: no length is believed, nothing grows with what it sends, a message that the
 * protocol doesn't have ends the conversation.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guest/command.h"

struct control_user {
	void (*hello)(void *opaque);
	void (*started)(void *opaque);
	/* Once, with values that mean something. */
	void (*status)(void *opaque, const struct command_status *status);
	void (*say)(void *opaque, const char *text); /* printable */
	void *opaque;
};

struct control {
	struct control_user user;
	uint8_t buf[sizeof(struct command_head) + COMMAND_SAY_MAX];
	size_t have;
	bool said_hello, has_started, has_status;
	bool broken; /* the rest is not listened to */
};

void control_init(struct control *control, const struct control_user *user);
/* Any piece of the stream. False: it makes no sense (logged once). */
bool control_feed(struct control *control, const void *bytes, size_t len);

/* The exit status a shell would have for it. */
int control_exit_status(const struct command_status *status);
