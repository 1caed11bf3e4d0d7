/* SPDX-License-Identifier: GPL-2.0-only */
/* console: what the data part (console.c) and the port control (console_ctrl.c) share. */
#pragma once

#include <stdatomic.h>

#include "lkvm/chan.h"
#include "lkvm/vdev.h"
#include "lkvm/virtio.h"

/* Section 5.3.3. */
enum { CONSOLE_F_SIZE = 0, CONSOLE_F_MULTIPORT = 1, CONSOLE_F_EMERG_WRITE = 2 };

/* Queues: port 0's, the control pair, then a pair for each further port (5.3.2). Odd ones transmit. */
enum { CONSOLE_CTRL_RX = 2, CONSOLE_CTRL_TX = 3, CONSOLE_PORTS_MAX = 31 };

struct console;

struct port {
	struct console *con;
	unsigned id;
	struct chan *chan;
	const char *name; /* NULL: none */
	bool console;	  /* for text, rather than for a program's own protocol */
	atomic_uint events; /* from the channel's loop, when that isn't the device's */

	struct vreq *tx; /* being printed; waits here while the channel is full */
	uint8_t stash[4096]; /* its next bytes, copied out once */
	size_t stash_at, stash_len;

	/* With MULTIPORT only. */
	bool added, ready; /* announced; the driver has it */
	bool guest_open;   /* somebody listens: input is for them, not for the driver to throw away */
	bool host_open;
	unsigned pending; /* messages the driver hasn't been sent */
};

struct console {
	struct vdev dev;
	bool size_told; /* see console_tell_size */
	struct loop_fd event; /* some port has events */
	bool multiport;	      /* negotiated */
	unsigned queue_size, nports;
	struct port port[];
};

static inline struct console *to_console(struct vdev *dev)
{
	return (struct console *)((char *)dev - offsetof(struct console, dev));
}

static inline unsigned port_rx_queue(const struct port *port)
{
	return port->id ? 2 * port->id + 2 : 0;
}

static inline unsigned port_tx_queue(const struct port *port)
{
	return port_rx_queue(port) + 1;
}

/* console_ctrl.c */
void console_ctrl_receive(struct console *con); /* the driver's messages */
void console_ctrl_send(struct console *con);	/* ours, as far as there are buffers */
void console_ctrl_resized(struct port *port);
void console_ctrl_reset(struct console *con);
