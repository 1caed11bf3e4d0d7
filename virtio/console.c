// SPDX-License-Identifier: GPL-2.0-only
/*
 * console: virtio-console (virtio 1.x, 5.3), one or more ports, each between a pair of queues and a
 * channel.
 *
 * Nothing is lost either way. Output that a full channel doesn't take stays in its request, which the
 * driver gets back when all of it has been taken. Input stays in the channel until the driver has
 * buffers for it.
 *
 * Runs on: loop; a channel of another loop reaches it by an eventfd
 */
#include "virtio/console.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lkvm/log.h"
#include "lkvm/term.h"

#define QUEUE_SIZE 64

enum { EVENT_READABLE = 1, EVENT_WRITABLE = 2, EVENT_RESIZED = 4 };

struct console_config {
	uint16_t cols, rows;
	uint32_t max_nr_ports;
	uint32_t emerg_wr;
};
_Static_assert(sizeof(struct console_config) == 12, "5.3.4");

static const struct vport_field console_fields[] = {
	{ CONSOLE_F_SIZE, offsetof(struct console_config, cols), 4 },
	{ CONSOLE_F_MULTIPORT, offsetof(struct console_config, max_nr_ports), 4 },
	{ CONSOLE_F_EMERG_WRITE, offsetof(struct console_config, emerg_wr), 4 },
	{ 0 },
};

static const struct vdev_word console_words[] = {
	{ "size", CONSOLE_F_SIZE },
	{ "multiport", CONSOLE_F_MULTIPORT },
	{ "emerg_write", CONSOLE_F_EMERG_WRITE },
	{ NULL, 0 },
};

/* --- data ------------------------------------------------------------------------------------- */

/* Prints what is left of port->tx. False: the channel is full, or this turn's share is used up. */
static bool port_print(struct port *port)
{
	struct vreader *out = &port->tx->out;

	for (;;) {
		if (port->stash_at == port->stash_len) {
			if (!out->left)
				return true;
			if (!vdev_budget(&port->con->dev, port_tx_queue(port)))
				return false;
			port->stash_at = 0;
			port->stash_len = out->left < sizeof(port->stash) ? out->left :
									    sizeof(port->stash);
			vread(out, port->stash, port->stash_len);
		}
		port->stash_at += chan_write(port->chan, port->stash + port->stash_at,
					     port->stash_len - port->stash_at);
		if (port->stash_at < port->stash_len)
			return false; /* port_writable, when there is room */
	}
}

/*
 * Linux reads the size in its handler for configuration changes only, and there it is lost until the
 * port has been made. The first output shows that it has: the size, if there is one, is told then.
 */
static void console_tell_size(struct console *con)
{
	struct vdev *dev = &con->dev;
	uint16_t cols, rows;

	if (con->size_told || con->multiport || !vdev_has(dev, CONSOLE_F_SIZE))
		return;
	con->size_told = true;
	chan_size(con->port[0].chan, &cols, &rows);
	if ((cols || rows) && dev->port.changed)
		dev->port.changed(dev->port.opaque);
}

static void port_transmit(struct port *port)
{
	struct vdev *dev = &port->con->dev;
	struct virtq *q = vdev_queue(dev, port_tx_queue(port));

	for (;;) {
		if (!port->tx && vdev_budget(dev, port_tx_queue(port)))
			port->tx = virtq_pop(q);
		if (port->tx)
			console_tell_size(port->con);
		if (!port->tx || !port_print(port))
			return;
		virtq_push(q, port->tx);
		port->tx = NULL;
	}
}

static void port_fill(struct port *port, struct vreq *r)
{
	uint8_t buf[4096];
	size_t n;

	do {
		n = chan_read(port->chan, buf, r->in.left < sizeof(buf) ? r->in.left : sizeof(buf));
		vwrite(&r->in, buf, n);
	} while (n && r->in.left);
}

static void port_receive(struct port *port)
{
	struct vdev *dev = &port->con->dev;
	struct virtq *q = vdev_queue(dev, port_rx_queue(port));
	struct vreq *r;

	if (port->con->multiport && !port->guest_open)
		return;
	while (chan_pending(port->chan) && vdev_budget(dev, port_rx_queue(port)) &&
	       (r = virtq_pop(q))) {
		port_fill(port, r);
		virtq_push(q, r);
	}
}

/* --- events from the channels ------------------------------------------------------------------- */

static void console_resized(struct port *port)
{
	struct vdev *dev = &port->con->dev;
	uint16_t cols, rows, size[2];

	chan_size(port->chan, &cols, &rows);
	size[0] = htole16(cols);
	size[1] = htole16(rows);
	if (port->id == 0)
		vdev_config_keep(dev, offsetof(struct console_config, cols), size, sizeof(size),
				 dev->live && vdev_has(dev, CONSOLE_F_SIZE));
	console_ctrl_resized(port);
}

static void port_handle(struct port *port, unsigned events)
{
	struct vdev *dev = &port->con->dev;

	if (events & EVENT_READABLE)
		vdev_rekick(dev, port_rx_queue(port));
	if (events & EVENT_WRITABLE)
		vdev_rekick(dev, port_tx_queue(port));
	if (events & EVENT_RESIZED)
		console_resized(port);
}

static void console_events(void *opaque, uint32_t events)
{
	struct console *con = opaque;
	eventfd_t n;

	(void)events;
	eventfd_read(con->event.fd, &n);
	for (unsigned i = 0; i < con->nports; i++)
		port_handle(&con->port[i], atomic_exchange(&con->port[i].events, 0));
}

static void port_event(struct port *port, unsigned event)
{
	struct console *con = port->con;

	if (loop_here(con->dev.loop)) {
		port_handle(port, event);
	} else {
		atomic_fetch_or(&port->events, event);
		eventfd_write(con->event.fd, 1);
	}
}

static void port_readable(void *opaque)
{
	port_event(opaque, EVENT_READABLE);
}

static void port_writable(void *opaque)
{
	port_event(opaque, EVENT_WRITABLE);
}

static void port_resized(void *opaque)
{
	port_event(opaque, EVENT_RESIZED);
}

/* --- the device's verbs ------------------------------------------------------------------------- */

static struct port *queue_port(struct console *con, unsigned n)
{
	return &con->port[n < CONSOLE_CTRL_RX ? 0 : (n - 2) / 2];
}

static void console_kick(struct vdev *dev, unsigned n)
{
	struct console *con = to_console(dev);

	if (n == CONSOLE_CTRL_RX)
		console_ctrl_send(con);
	else if (n == CONSOLE_CTRL_TX)
		console_ctrl_receive(con);
	else if (n % 2)
		port_transmit(queue_port(con, n));
	else
		port_receive(queue_port(con, n));
}

static void console_queue_stop(struct vdev *dev, unsigned n)
{
	struct port *port = queue_port(to_console(dev), n);

	if (n == port_tx_queue(port)) {
		port->tx = NULL;
		port->stash_at = port->stash_len = 0;
	}
}

/* Queues from 2 on exist with MULTIPORT only: a set without it takes them away until reset. */
static void console_accept(struct vdev *dev)
{
	struct console *con = to_console(dev);

	con->multiport = vdev_has(dev, CONSOLE_F_MULTIPORT);
	for (unsigned n = CONSOLE_CTRL_RX; n < dev->port.nqueues; n++)
		dev->queue[n].max = con->multiport ? con->queue_size : 0;
}

static void console_reset(struct vdev *dev)
{
	struct console *con = to_console(dev);

	con->multiport = con->size_told = false;
	for (unsigned n = CONSOLE_CTRL_RX; n < dev->port.nqueues; n++)
		dev->queue[n].max = con->queue_size;
	console_ctrl_reset(con);
}

/*
 * emerg_wr: a character from a driver that has nothing else, in any state of the device. When the
 * channel is full it is lost, as there is nobody to wait.
 */
static void console_config_write(struct vdev *dev, unsigned off, const uint8_t *val, unsigned len)
{
	unsigned at = offsetof(struct console_config, emerg_wr);

	if (off <= at && at - off < len && dev->port.features & VBIT(CONSOLE_F_EMERG_WRITE))
		chan_write(to_console(dev)->port[0].chan, &val[at - off], 1);
}

static void console_close(struct vdev *dev)
{
	struct console *con = to_console(dev);

	for (unsigned i = 0; i < con->nports; i++)
		chan_attach(con->port[i].chan, NULL);
	loop_del(dev->loop, &con->event);
	if (con->event.fd >= 0)
		close(con->event.fd);
	vdev_fini(dev);
	free(con);
}

static const struct vdev_class console_class = {
	.name = "console",
	.id = VIRTIO_ID_CONSOLE,
	.fields = console_fields,
	.words = console_words,
	.accept = console_accept,
	.kick = console_kick,
	.queue_stop = console_queue_stop,
	.config_write = console_config_write,
	.reset = console_reset,
	.close = console_close,
};

/* --- opening ---------------------------------------------------------------------------------- */

static void port_init(struct console *con, unsigned id, const struct console_port *conf)
{
	struct port *port = &con->port[id];

	port->con = con;
	port->id = id;
	port->chan = conf->chan ? conf->chan : chan_null();
	port->name = conf->name;
	port->console = conf->console;
	port->host_open = true;
	chan_attach(port->chan, &(struct chan_user){ .readable = port_readable,
						     .writable = port_writable,
						     .resized = port_resized,
						     .opaque = port });
}

/* What is offered, and with it which queues there are. */
static int console_init(struct console *con, const struct vdev_conf *conf)
{
	uint64_t features = VBIT(CONSOLE_F_SIZE) | VBIT(CONSOLE_F_MULTIPORT) |
			    VBIT(CONSOLE_F_EMERG_WRITE);
	unsigned max[2 * CONSOLE_PORTS_MAX + 2], nqueues = 2 * con->nports + 2;
	struct console_config config = { 0 };
	struct vdev *dev = &con->dev;
	int err;

	for (unsigned n = 0; n < nqueues; n++)
		max[n] = con->queue_size;
	err = vdev_init(dev, &console_class, conf->name, conf->loop, conf->mem, features, max,
			nqueues);
	if (err)
		return err;
	/* A console with one port needs no port control; `features=+multiport` has it all the same. */
	if (con->nports == 1)
		dev->port.features &= ~VBIT(CONSOLE_F_MULTIPORT);
	err = vdev_mask(dev, conf->features);
	if (err) {
		vdev_fini(dev);
		return err;
	}
	chan_size(con->port[0].chan, &config.cols, &config.rows);
	config.cols = htole16(config.cols);
	config.rows = htole16(config.rows);
	if (dev->port.features & VBIT(CONSOLE_F_MULTIPORT)) {
		config.max_nr_ports = htole32(con->nports);
	} else {
		dev->port.nqueues = CONSOLE_CTRL_RX;
		for (unsigned n = CONSOLE_CTRL_RX; n < nqueues; n++)
			dev->queue[n].max = 0;
	}
	vdev_config_init(dev, &config, sizeof(config));
	return 0;
}

struct vport *console_open_ports(const struct vdev_conf *conf, const struct console_port *ports,
				 unsigned n)
{
	struct console *con;
	int err;

	if (n < 1 || n > CONSOLE_PORTS_MAX) {
		log_err(conf->name, "a console has 1 to %u ports, not %u", CONSOLE_PORTS_MAX, n);
		return NULL;
	}
	con = calloc(1, sizeof(*con) + n * sizeof(con->port[0]));
	if (!con) {
		log_err(conf->name, "out of memory");
		return NULL;
	}
	con->nports = n;
	con->queue_size = conf->queue_size ? conf->queue_size : QUEUE_SIZE;
	for (unsigned i = 0; i < n; i++)
		port_init(con, i, &ports[i]);
	if (console_init(con, conf))
		goto out_ports;
	con->event = (struct loop_fd){ .ready = console_events, .opaque = con };
	con->event.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	err = con->event.fd < 0 ? -errno : loop_add(conf->loop, &con->event, EPOLLIN);
	if (err) {
		log_err(conf->name, "cannot watch its channel: %s", strerror(-err));
		console_close(&con->dev);
		return NULL;
	}
	return &con->dev.port;

out_ports:
	for (unsigned i = 0; i < n; i++)
		chan_attach(con->port[i].chan, NULL);
	free(con);
	return NULL;
}

struct vport *console_open(const struct vdev_conf *conf, struct chan *chan)
{
	struct console_port port = { .chan = chan, .console = true };

	return console_open_ports(conf, &port, 1);
}
