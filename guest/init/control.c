// SPDX-License-Identifier: GPL-2.0-only
/*
 * control: whole messages out of the control port's bytes, and into them.
 *
 * Runs on: the guest's first process.
 */
#include "init.h"

static char buf[sizeof(struct command_head) + COMMAND_START_MAX];
static size_t have;
static size_t used; /* of the last message, still in front */

/* More bytes into buf, as many as there are. */
static void fill(void)
{
	long n;

	while (have < sizeof(buf) && (n = fd_read(ports.control, buf + have, sizeof(buf) - have)) > 0)
		have += (size_t)n;
}

static bool message_at_front(struct message *msg)
{
	struct command_head head;

	if (have < sizeof(head))
		return false;
	memcpy(&head, buf, sizeof(head));
	if (head.len > COMMAND_START_MAX) {
		SAY("lkvm sent a message that is too long");
		switch_off();
	}
	if (have - sizeof(head) < head.len)
		return false;
	*msg = (struct message){ head.type, head.len, buf + sizeof(head) };
	used = sizeof(head) + head.len;
	return true;
}

bool control_receive(struct message *msg)
{
	memmove(buf, buf + used, have - used);
	have -= used;
	used = 0;
	if (message_at_front(msg))
		return true;
	fill();
	return message_at_front(msg);
}

static void send_all(const char *src, size_t len)
{
	while (len) {
		long n = fd_write(ports.control, src, len);
		struct pollfd p = { .fd = ports.control, .events = POLLOUT };

		if (n > 0) {
			src += n;
			len -= (size_t)n;
		} else if (n == -EAGAIN) {
			fd_poll(&p, 1, 1000);
		} else if (n != -EINTR) {
			return;
		}
	}
}

void control_send(uint32_t type, const void *payload, uint32_t len)
{
	char out[sizeof(struct command_head) + COMMAND_SAY_MAX];
	struct command_head head = { type, len };

	if (ports.control == NO_FD || len > COMMAND_SAY_MAX)
		return;
	memcpy(out, &head, sizeof(head));
	memcpy(out + sizeof(head), payload, len);
	send_all(out, sizeof(head) + len);
}

void control_wait(uint32_t type, struct message *msg)
{
	for (;;) {
		struct pollfd p = { .fd = ports.control, .events = POLLIN };

		while (control_receive(msg))
			if (msg->type == type)
				return;
		/* Orphans end here too while nothing else runs. */
		while (sys(wait4, -1, NULL, 1 /* WNOHANG */, NULL) > 0)
			;
		fd_poll(&p, 1, 100);
		if (p.revents & POLLHUP)
			sleep_ms(10); /* a hang-up is always ready */
	}
}
