// SPDX-License-Identifier: GPL-2.0-only
/*
 * line: takes the ports of a command from a serial line's frames, and puts them into such.
 *
 * The guest is hostile: what it sends beyond the room it was given, or a frame that there isn't, ends
 * the conversation. Nothing grows with what it sends: a port has a buffer of the room it may have.
 *
 * Runs on: loop
 */
#include "line.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lkvm/chan_outside.h"
#include "lkvm/log.h"

#define DATA_MAX 1024 /* in one frame, so that the other ports get their turns */

/* used + may_come + owed is always LINE_HOST_ROOM. */
struct port {
	struct line *line;
	struct chan *chan; /* NULL: the command has no such port; what comes is dropped */
	uint8_t buf[LINE_HOST_ROOM]; /* what chan has not taken yet */
	unsigned at, used;
	unsigned may_come; /* of the room the guest was told of, what it hasn't used */
	unsigned owed;	   /* free again, but the guest hasn't been told */
	unsigned may_go;   /* room that the guest has */
};

struct line {
	struct loop *loop;
	struct line_user user;
	struct chan chan; /* of the serial port */
	struct loop_fd wake;
	enum { LINE_SILENT, LINE_TALKS, LINE_BROKEN } state;
	unsigned greeted; /* so much of the greeting has been seen */
	struct line_head head;
	unsigned head_have, left; /* bytes of head; of the frame's data still to come */
	struct port port[LINE_PORTS];
};

/* --- to the guest --------------------------------------------------------------------------------- */

static void put(struct line *l, enum line_type type, unsigned port, const void *data, unsigned len)
{
	struct line_head head = { (uint8_t)type, (uint8_t)port, (uint16_t)len };

	chan_in_put(&l->chan, &head, sizeof(head));
	if (data)
		chan_in_put(&l->chan, data, len);
}

/* In portions, so that the heads do not take up the line. False: there is no room on it. */
static bool send_room(struct line *l, unsigned i)
{
	struct port *p = &l->port[i];

	if (p->owed < LINE_HOST_ROOM / 4)
		return true;
	if (!chan_in_room(&l->chan, sizeof(struct line_head)))
		return false;
	put(l, LINE_ROOM, i, NULL, p->owed);
	p->may_come += p->owed;
	p->owed = 0;
	return true;
}

static bool send_data(struct line *l, unsigned i)
{
	struct port *p = &l->port[i];
	uint8_t data[DATA_MAX];

	while (p->chan && p->may_go && chan_pending(p->chan)) {
		size_t room = chan_in_room(&l->chan, sizeof(struct line_head) + 1), n = sizeof(data);

		if (!room)
			return false;
		room -= sizeof(struct line_head);
		n = n < room ? n : room;
		n = chan_read(p->chan, data, n < p->may_go ? n : p->may_go);
		if (!n)
			break;
		p->may_go -= (unsigned)n;
		put(l, LINE_DATA, i, data, (unsigned)n);
	}
	return true;
}

static void send_all(struct line *l)
{
	bool room = l->state == LINE_TALKS;

	for (unsigned i = 0; i < LINE_PORTS && room; i++)
		room = send_room(l, i);
	for (unsigned i = 0; i < LINE_PORTS && room; i++)
		room = send_data(l, i);
}

/* --- from the guest ------------------------------------------------------------------------------- */

/* As much as the port's other end takes. */
static void drain(struct port *p)
{
	while (p->used) {
		size_t n = LINE_HOST_ROOM - p->at;

		if (n > p->used)
			n = p->used;
		if (p->chan)
			n = chan_write(p->chan, p->buf + p->at, n);
		if (!n)
			break;
		p->at = (p->at + (unsigned)n) % LINE_HOST_ROOM;
		p->used -= (unsigned)n;
		p->owed += (unsigned)n;
	}
}

/* len is within may_come, so there is room. */
static void keep(struct port *p, const uint8_t *data, unsigned len)
{
	unsigned end = (p->at + p->used) % LINE_HOST_ROOM, first = LINE_HOST_ROOM - end;

	if (first > len)
		first = len;
	memcpy(p->buf + end, data, first);
	memcpy(p->buf, data + first, len - first);
	p->used += len;
	drain(p);
}

static bool take_head(struct line *l)
{
	struct port *p = &l->port[l->head.port < LINE_PORTS ? l->head.port : 0];
	unsigned len = l->head.len;

	if (l->head.port >= LINE_PORTS || !len)
		return false;
	if (l->head.type == LINE_DATA && len <= p->may_come) {
		p->may_come -= len;
		l->left = len;
		return true;
	}
	if (l->head.type != LINE_ROOM || len > LINE_GUEST_ROOM - p->may_go)
		return false;
	p->may_go += len;
	return true;
}

static void readable(void *opaque)
{
	send_all(((struct port *)opaque)->line);
}

static void writable(void *opaque)
{
	struct port *p = opaque;

	drain(p);
	send_all(p->line);
}

/* The line takes the ports over from whoever had them. */
static void begin(struct line *l)
{
	log_info(NULL, "the guest has no virtio console: the command's streams go over the second serial "
		 "port");
	for (unsigned i = 0; i < LINE_PORTS; i++)
		if (l->port[i].chan)
			chan_attach(l->port[i].chan, &(struct chan_user){ .readable = readable,
									  .writable = writable,
									  .opaque = &l->port[i] });
	l->state = LINE_TALKS;
}

/* No part of the greeting but its first character is a beginning of it. */
static void listen_for_greeting(struct line *l, uint8_t byte)
{
	if (byte != (uint8_t)LINE_GREETING[l->greeted])
		l->greeted = 0;
	if (byte == (uint8_t)LINE_GREETING[l->greeted])
		l->greeted++;
	if (l->greeted < LINE_GREETING_LEN)
		return;
	l->greeted = 0;
	if (l->user.greeted(l->user.opaque))
		begin(l);
}

/* Takes some of what is there; the bytes it took. */
static unsigned take(struct line *l, const uint8_t *at, size_t len)
{
	unsigned n = 1;

	if (l->state == LINE_SILENT) {
		listen_for_greeting(l, *at);
	} else if (l->left) {
		n = len < l->left ? (unsigned)len : l->left;
		keep(&l->port[l->head.port], at, n);
		l->left -= n;
	} else {
		((uint8_t *)&l->head)[l->head_have++] = *at;
		if (l->head_have < sizeof(l->head))
			return n;
		l->head_have = 0;
		if (!take_head(l)) {
			l->state = LINE_BROKEN;
			log_guest("command", "the guest talks nonsense on the serial line; it is not listened to "
				  "any more");
		}
	}
	return n;
}

static void woken(void *opaque, uint32_t events)
{
	struct line *l = opaque;
	struct iovec iov[2];
	eventfd_t n;
	size_t len;

	(void)events;
	eventfd_read(l->wake.fd, &n);
	len = chan_out_peek(&l->chan, iov);
	for (unsigned i = 0; i < 2; i++)
		for (size_t at = 0; at < iov[i].iov_len && l->state != LINE_BROKEN;)
			at += take(l, (uint8_t *)iov[i].iov_base + at, iov[i].iov_len - at);
	chan_out_done(&l->chan, len);
	send_all(l);
}

/* --- the whole ------------------------------------------------------------------------------------ */

/* From chan.c, any thread. */
static void wake(void *opaque)
{
	struct line *l = opaque;

	eventfd_write(l->wake.fd, 1);
}

struct chan *line_chan(struct line *l)
{
	return &l->chan;
}

struct line *line_open(struct loop *loop, struct chan *const ports[LINE_PORTS], const struct line_user *user)
{
	struct line *l = calloc(1, sizeof(*l));

	if (!l) {
		log_err(NULL, "cannot make the second serial line: out of memory");
		return NULL;
	}
	l->loop = loop;
	l->user = *user;
	for (unsigned i = 0; i < LINE_PORTS; i++) {
		l->port[i].line = l;
		l->port[i].chan = ports[i];
		l->port[i].owed = LINE_HOST_ROOM;
	}
	chan_init(&l->chan, wake, l);
	l->wake = (struct loop_fd){ .ready = woken, .opaque = l };
	l->wake.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->wake.fd < 0 || loop_add(loop, &l->wake, EPOLLIN)) {
		log_err(NULL, "cannot make the second serial line: %s", strerror(errno));
		line_close(l);
		return NULL;
	}
	return l;
}

void line_close(struct line *l)
{
	if (!l)
		return;
	if (l->state != LINE_SILENT)
		for (unsigned i = 0; i < LINE_PORTS; i++)
			if (l->port[i].chan)
				chan_attach(l->port[i].chan, NULL);
	loop_del(l->loop, &l->wake);
	if (l->wake.fd >= 0)
		close(l->wake.fd);
	chan_fini(&l->chan);
	free(l);
}
