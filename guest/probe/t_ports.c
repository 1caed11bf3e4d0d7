// SPDX-License-Identifier: GPL-2.0-only
/* t_ports: consoles with several ports, which are told of by control messages. */

#include "drivers.h"

enum {
	DEVICE_READY,
	PORT_ADD,
	PORT_REMOVE,
	PORT_READY,
	CONSOLE_PORT,
	RESIZE,
	PORT_OPEN,
	PORT_NAME
};

struct message {
	u32 id;
	u16 event, value;
	u8 more[56];
};

struct ports {
	struct vdev *d;
	struct vq *in, *out; /* control */
	struct message *buf[256]; /* by head */
	struct message last;
	u32 last_len, max;
};

static void post(struct ports *p)
{
	struct buf buf = {alloc(sizeof(struct message), 8), sizeof(struct message), true};
	u16 head = vq_chain(p->in, &buf, 1);

	p->buf[head] = (void *)buf.p;
	vq_offer(p->in, head);
}

/* Queues 0 to 3 by either face; buffers wait on the control queue. */
static struct ports *start(struct vdev *d, bool old)
{
	struct ports *p = alloc(sizeof(*p), 16);
	struct vq *q[4];

	p->d = d;
	if (old) {
		skip_if(!(lg_begin(d, CON_F_MULTIPORT) & CON_F_MULTIPORT),
			"MULTIPORT is not offered");
		p->max = inl(lg_config(d) + 4);
	} else {
		skip_if(!(d->offered & CON_F_MULTIPORT), "MULTIPORT is not offered");
		vd_begin(d, CON_F_MULTIPORT);
		p->max = reg_r32(&d->config, 4);
	}
	for (u32 i = 0; i < 4; i++)
		q[i] = old ? lg_queue(d, i) : vq_new(d, i, 16);
	p->in = q[2];
	p->out = q[3];
	if (old)
		lg_go(d);
	else
		vd_go(d);
	for (u32 i = 0; i < 12; i++)
		post(p);
	vq_kick(p->in);
	return p;
}

static struct ports *open_ports(struct vdev *d)
{
	return start(d, false);
}

static void say(struct ports *p, u32 id, u16 event, u16 value)
{
	struct message *m = alloc(8, 8);
	struct buf buf = {m, 8, false};

	m->id = id;
	m->event = event;
	m->value = value;
	must_be(vq_do(p->out, &buf, 1).len, 0, "used length of a control message sent");
}

static bool hear(struct ports *p, u64 us)
{
	struct done x;

	if (!wait_until(vq_has_used(p->in), us))
		return false;
	x = vq_take(p->in);
	must(x.id < ARRAY_SIZE(p->buf) && p->buf[x.id], "used id %u is none of ours", x.id);
	must(x.len >= 8, "a control message of %u bytes", x.len);
	memcpy(&p->last, p->buf[x.id], sizeof(p->last));
	p->last_len = x.len;
	post(p);
	vq_kick(p->in);
	return true;
}

static void config(struct vdev *d)
{
	skip_if(!(d->offered & CON_F_MULTIPORT), "MULTIPORT is not offered");
	vd_begin(d, CON_F_MULTIPORT);
	must(reg_r32(&d->config, 4) >= 1, "max_nr_ports is 0");
	must(d->num_queues >= 2 * (reg_r32(&d->config, 4) + 1), "%u queues for %u ports",
	     d->num_queues, reg_r32(&d->config, 4));
}

static void silent_before_ready(struct vdev *d)
{
	struct ports *p = open_ports(d);

	must(!hear(p, SETTLE), "a message, event %u, before DEVICE_READY", p->last.event);
}

static void all_added(struct ports *p)
{
	u32 added = 0;
	bool seen[64] = {false};

	say(p, 0, DEVICE_READY, 1);
	while (hear(p, added ? SETTLE : PATIENCE)) {
		if (p->last.event != PORT_ADD)
			continue;
		must(p->last.id < p->max, "port %u of %u is added", p->last.id, p->max);
		must(p->last.id >= 64 || !seen[p->last.id], "port %u is added twice", p->last.id);
		seen[p->last.id & 63] = true;
		added++;
	}
	must(added, "no port is added");
}

static void announced(struct vdev *d)
{
	all_added(open_ports(d));
}

static void announced_once(struct vdev *d)
{
	struct ports *p = open_ports(d);

	all_added(p);
	say(p, 0, DEVICE_READY, 1);
	while (hear(p, SETTLE))
		must(p->last.event != PORT_ADD, "port %u, which exists, is added", p->last.id);
}

/* Each message is one descriptor, as a driver without ANY_LAYOUT has it. */
static void legacy_ports(struct vdev *d)
{
	struct ports *p = start(d, true);

	must(p->max >= 1, "max_nr_ports is 0");
	all_added(p);
	say(p, 0, PORT_READY, 1);
	while (hear(p, SETTLE))
		must(p->last.event < 8 && p->last.id < p->max, "event %u for port %u",
		     p->last.event, p->last.id);
	must(!(vd_status(d) & S_NEEDS_RESET), "status %#x", vd_status(d));
}

static void port_opens(struct vdev *d)
{
	struct ports *p = open_ports(d);
	u32 id;

	say(p, 0, DEVICE_READY, 1);
	do
		must(hear(p, PATIENCE), "no port is added");
	while (p->last.event != PORT_ADD);
	id = p->last.id;
	say(p, id, PORT_READY, 1);
	while (hear(p, SETTLE * 4)) {
		must(p->last.event < 8, "event %u", p->last.event);
		must(p->last.id < p->max, "event %u for port %u", p->last.event, p->last.id);
		if (p->last.event == PORT_NAME)
			must(p->last_len > 8 && ((u8 *)&p->last)[p->last_len - 1] != 0,
			     "a name that ends in NUL");
		if (p->last.event == RESIZE)
			must_be(p->last_len, 12, "length of RESIZE");
		if (p->last.event == PORT_OPEN)
			must(p->last.value <= 1, "PORT_OPEN %u", p->last.value);
		must(p->last.event != PORT_REMOVE || p->last.id == id, "port %u is removed",
		     p->last.id);
	}
	say(p, id, PORT_OPEN, 1);
	say(p, id, PORT_OPEN, 0);
}

static void strange_messages(struct vdev *d)
{
	struct ports *p = open_ports(d);
	struct buf buf = {alloc(8, 8), 3, false};

	say(p, 0xffffffff, PORT_READY, 1);
	say(p, 12345, PORT_OPEN, 1);
	say(p, 0, 77, 0xffff);
	say(p, 0, PORT_REMOVE, 1);
	vq_do(p->out, &buf, 1);
	say(p, 0, DEVICE_READY, 1);
	say(p, 0, DEVICE_READY, 0);
	must(vd_status(d) & S_DRIVER_OK, "device status %#x", vd_status(d));
}

static const struct test tests[] = {
	{"CON-02,CON-04", "queues and max_nr_ports fit each other", config, CONSOLE, 0},
	{"CON-14", "no control message before DEVICE_READY", silent_before_ready, CONSOLE, 0},
	{"CON-12,CON-13,CON-18", "each port is added once, and below max_nr_ports", announced, CONSOLE,
	 0},
	{"CON-18", "a second DEVICE_READY adds no port again", announced_once, CONSOLE, 0},
	{"CON-13,CON-16,CON-17,CON-19", "names, sizes and open or not", port_opens, CONSOLE, 0},
	{"LCON-02,LCON-03", "a legacy driver's control messages", legacy_ports, CONSOLE, LEGACY},
	{"X-CON-02", "control messages that mean nothing", strange_messages, CONSOLE, HOSTILE},
};

const struct suite suite_ports = {"ports", tests, ARRAY_SIZE(tests)};
