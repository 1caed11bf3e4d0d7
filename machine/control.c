// SPDX-License-Identifier: GPL-2.0-only
/*
 * control: cuts the control port's bytes into messages and checks each.
 *
 * Runs on: loop
 */
#include "control.h"

#include <string.h>

#include "lkvm/log.h"

#define SIGNALS 64

void control_init(struct control *c, const struct control_user *user)
{
	*c = (struct control){ .user = *user };
}

int control_exit_status(const struct command_status *status)
{
	switch (status->how) {
	case COMMAND_EXITED:
		return (int)(status->value & 0xff);
	case COMMAND_KILLED:
		return 128 + (int)(status->value & 0x7f);
	case COMMAND_NOT_EXECUTABLE:
		return 126;
	case COMMAND_NOT_FOUND:
		return 127;
	default:
		return 125;
	}
}

/* Another version's order would be none to it. */
static bool take_hello(struct control *c, const void *payload)
{
	struct command_hello hello;

	memcpy(&hello, payload, sizeof(hello));
	if (c->said_hello)
		return false;
	if (hello.version != COMMAND_VERSION) {
		log_guest("command", "the guest's first process is of version %u, lkvm's own is of version %u",
			  hello.version, COMMAND_VERSION);
		return false;
	}
	c->said_hello = true;
	c->user.hello(c->user.opaque);
	return true;
}

static bool take_status(struct control *c, const void *payload)
{
	struct command_status status;

	memcpy(&status, payload, sizeof(status));
	if (c->has_status || !c->said_hello || status.how > COMMAND_FAILED ||
	    (status.how == COMMAND_EXITED && status.value > 255) ||
	    (status.how == COMMAND_KILLED && (!status.value || status.value > SIGNALS)))
		return false;
	c->has_status = true;
	c->user.status(c->user.opaque, &status);
	return true;
}

static bool take_say(struct control *c, const uint8_t *text, size_t len)
{
	char line[COMMAND_SAY_MAX + 1];

	for (size_t i = 0; i < len; i++)
		line[i] = text[i] >= ' ' && text[i] < 0x7f ? (char)text[i] : '?';
	line[len] = 0;
	c->user.say(c->user.opaque, line);
	return true;
}

static bool take(struct control *c, uint32_t type, const uint8_t *payload, uint32_t len)
{
	switch (type) {
	case COMMAND_HELLO:
		return len == sizeof(struct command_hello) && take_hello(c, payload);
	case COMMAND_STARTED:
		if (len || !c->said_hello || c->has_started || c->has_status)
			return false;
		c->has_started = true;
		c->user.started(c->user.opaque);
		return true;
	case COMMAND_STATUS:
		return len == sizeof(struct command_status) && take_status(c, payload);
	case COMMAND_SAY:
		return take_say(c, payload, len);
	default:
		return false;
	}
}

/* The message at the front of buf, if it is all there. False: nonsense. */
static bool take_front(struct control *c, bool *more)
{
	struct command_head head;

	*more = false;
	if (c->have < sizeof(head))
		return true;
	memcpy(&head, c->buf, sizeof(head));
	if (head.len > COMMAND_SAY_MAX)
		return false;
	if (c->have - sizeof(head) < head.len)
		return true;
	if (!take(c, head.type, c->buf + sizeof(head), head.len))
		return false;
	c->have -= sizeof(head) + head.len;
	memmove(c->buf, c->buf + sizeof(head) + head.len, c->have);
	*more = true;
	return true;
}

bool control_feed(struct control *c, const void *bytes, size_t len)
{
	const uint8_t *at = bytes;

	while (len && !c->broken) {
		size_t n = sizeof(c->buf) - c->have;
		bool more = true;

		if (n > len)
			n = len;
		memcpy(c->buf + c->have, at, n);
		c->have += n;
		at += n;
		len -= n;
		while (more && !c->broken)
			c->broken = !take_front(c, &more);
		if (c->broken)
			log_guest("command", "the guest's first process talks nonsense; it is not listened to "
				  "any more");
	}
	return !c->broken;
}
