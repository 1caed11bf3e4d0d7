// SPDX-License-Identifier: GPL-2.0-only
/*
 * console_ctrl: the control queues of a console with several ports (virtio 1.x, 5.3.6.2).
 *
 * What the driver has yet to be told is a set of bits per port, not a list of messages: the driver
 * can't make it grow, and each message is made from the state at the moment it is sent.
 *
 * Runs on: loop
 */
#include <endian.h>
#include <string.h>

#include "lkvm/log.h"
#include "virtio/console.h"

enum {
	DEVICE_READY = 0,
	DEVICE_ADD = 1,
	DEVICE_REMOVE = 2,
	PORT_READY = 3,
	CONSOLE_PORT = 4,
	RESIZE = 5,
	PORT_OPEN = 6,
	PORT_NAME = 7,
};

struct ctrl_msg {
	uint32_t id;
	uint16_t event, value;
};
_Static_assert(sizeof(struct ctrl_msg) == 8, "5.3.6.2");

/* --- to the driver ------------------------------------------------------------------------------- */

static void ctrl_queue(struct port *port, unsigned event)
{
	port->pending |= 1u << event;
	vdev_rekick(&port->con->dev, CONSOLE_CTRL_RX);
}

static struct port *ctrl_next(struct console *con)
{
	for (unsigned i = 0; i < con->nports; i++)
		if (con->port[i].pending)
			return &con->port[i];
	return NULL;
}

/* The message and what follows it; false when the buffer is too small for it. */
static bool ctrl_write(struct port *port, unsigned event, struct vwriter *in)
{
	struct ctrl_msg msg = { .id = htole32(port->id), .event = htole16((uint16_t)event) };
	size_t name = event == PORT_NAME ? strlen(port->name) : 0;
	uint16_t size[2];

	if (event == CONSOLE_PORT || event == DEVICE_ADD)
		msg.value = htole16(1);
	else if (event == PORT_OPEN)
		msg.value = htole16(port->host_open);
	if (in->left < sizeof(msg) + name + (event == RESIZE ? sizeof(size) : 0))
		return false;
	vwrite(in, &msg, sizeof(msg));
	if (name)
		vwrite(in, port->name, name);
	if (event == RESIZE) {
		/* Columns first; Linux had it backwards until 6.15 (and its stable branches). */
		chan_size(port->chan, &size[0], &size[1]);
		size[0] = htole16(size[0]);
		size[1] = htole16(size[1]);
		vwrite(in, size, sizeof(size));
	}
	return true;
}

void console_ctrl_send(struct console *con)
{
	struct virtq *q = vdev_queue(&con->dev, CONSOLE_CTRL_RX);
	struct port *port;
	struct vreq *r;

	if (!con->multiport)
		return;
	while ((port = ctrl_next(con)) && vdev_budget(&con->dev, CONSOLE_CTRL_RX) &&
	       (r = virtq_pop(q))) {
		unsigned event = (unsigned)__builtin_ctz(port->pending);

		/* Too small: it goes back empty, and the message waits for a better one. */
		if (ctrl_write(port, event, &r->in))
			port->pending &= ~(1u << event);
		else
			log_guest(con->dev.name, "a control buffer of %zu bytes is too small",
				  r->in.left);
		virtq_push(q, r);
	}
}

/* --- from the driver ----------------------------------------------------------------------------- */

static void ctrl_device_ready(struct console *con)
{
	for (unsigned i = 0; i < con->nports; i++) {
		if (con->port[i].added)
			continue; /* a port that exists must not be announced */
		con->port[i].added = true;
		ctrl_queue(&con->port[i], DEVICE_ADD);
	}
}

static void ctrl_port_ready(struct port *port)
{
	port->ready = true;
	if (port->console)
		ctrl_queue(port, CONSOLE_PORT);
	console_ctrl_resized(port);
	if (port->name)
		ctrl_queue(port, PORT_NAME);
	ctrl_queue(port, PORT_OPEN);
}

static void ctrl_handle(struct console *con, const struct ctrl_msg *msg)
{
	uint32_t id = le32toh(msg->id);
	uint16_t event = le16toh(msg->event), value = le16toh(msg->value);
	struct port *port = id < con->nports ? &con->port[id] : NULL;

	if (event == DEVICE_READY) {
		if (value)
			ctrl_device_ready(con);
		else
			log_guest(con->dev.name, "the driver could not set itself up");
	} else if (!port || !port->added) {
		log_guest(con->dev.name, "control message %u for port %u, which doesn't exist", event,
			  id);
	} else if (event == PORT_READY) {
		if (value)
			ctrl_port_ready(port);
		else
			log_guest(con->dev.name, "the driver could not add port %u", id);
	} else if (event == PORT_OPEN) {
		port->guest_open = value;
		if (value)
			vdev_rekick(&con->dev, port_rx_queue(port));
	}
}

void console_ctrl_receive(struct console *con)
{
	struct virtq *q = vdev_queue(&con->dev, CONSOLE_CTRL_TX);
	struct ctrl_msg msg;
	struct vreq *r;

	while (vdev_budget(&con->dev, CONSOLE_CTRL_TX) && (r = virtq_pop(q))) {
		if (con->multiport && vread(&r->out, &msg, sizeof(msg)))
			ctrl_handle(con, &msg);
		virtq_push(q, r);
	}
}

/* --- from the device's side ---------------------------------------------------------------------- */

void console_ctrl_resized(struct port *port)
{
	uint16_t cols, rows;

	chan_size(port->chan, &cols, &rows);
	if (port->con->multiport && port->ready && port->console && (cols || rows) &&
	    vdev_has(&port->con->dev, CONSOLE_F_SIZE))
		ctrl_queue(port, RESIZE);
}

struct connect {
	struct port *port;
	bool open;
};

static void do_connect(void *opaque)
{
	struct connect *c = opaque;

	if (c->port->host_open == c->open)
		return;
	c->port->host_open = c->open;
	if (c->port->ready)
		ctrl_queue(c->port, PORT_OPEN);
}

void console_connect(struct vport *vport, unsigned id, bool open)
{
	struct vdev *dev = (struct vdev *)((char *)vport - offsetof(struct vdev, port));
	struct console *con = to_console(dev);
	struct connect c = { .open = open };

	if (id >= con->nports)
		return;
	c.port = &con->port[id];
	loop_call(dev->loop, do_connect, &c);
}

void console_ctrl_reset(struct console *con)
{
	for (unsigned i = 0; i < con->nports; i++) {
		struct port *port = &con->port[i];

		port->added = port->ready = port->guest_open = false;
		port->pending = 0;
	}
}
