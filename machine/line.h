/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * line: the ports of a command over a serial line (guest/line.h), from the host's side. It stands
 * between the serial port's channel and those of the ports, as the virtio console does otherwise.
 *
 * It lives on the I/O loop.
 */
#pragma once

#include <stdbool.h>

#include "guest/line.h"
#include "lkvm/chan.h"
#include "lkvm/loop.h"

struct line;

struct line_user {
	/* The guest wants to talk over the line. False: it already does so elsewhere. On the loop. */
	bool (*greeted)(void *opaque);
	void *opaque;
};

/* Until the guest's greeting the ports are left alone. NULL: logged. */
struct line *line_open(struct loop *loop, struct chan *const ports[LINE_PORTS], const struct line_user *user);
struct chan *line_chan(struct line *line); /* for the serial port */
void line_close(struct line *line);	   /* after the loop; before the ports */
