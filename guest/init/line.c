// SPDX-License-Identifier: GPL-2.0-only
/*
 * line: the ports over a serial line (guest/line.h), when there is no virtio console. A port is then a
 * number that no descriptor has (LINE_FD and below), and fd_read, fd_write and fd_poll take such for
 * descriptors.
 *
 * Runs on: the guest's first process.
 */
#include <asm/termbits.h>
#include <sys/ioctl.h>

#include "guest/line.h"
#include "init.h"

#define LINE_FD (-2) /* of the first port; the next ones are below */

static struct {
	char buf[LINE_GUEST_ROOM]; /* what has come for it */
	unsigned at, used;
	unsigned owed;	 /* room that lkvm hasn't been told of */
	uint32_t may_go; /* room that lkvm has */
} port[LINE_PORTS];

static int tty = -1;
static char out[4096]; /* frames for the terminal */
static size_t out_at, out_len;
static struct line_head head; /* of the frame that comes in */
static unsigned head_have, left;

static unsigned least(size_t a, size_t b)
{
	return (unsigned)(a < b ? a : b);
}

/* --- frames out ----------------------------------------------------------------------------------- */

static void flush(void)
{
	while (out_at < out_len) {
		long n = sys(write, tty, out + out_at, out_len - out_at);

		if (n == -EINTR)
			continue;
		if (n <= 0)
			return;
		out_at += (size_t)n;
	}
	out_at = out_len = 0;
}

static size_t out_room(void)
{
	if (out_at && out_len > sizeof(out) / 2) {
		out_len -= out_at;
		memmove(out, out + out_at, out_len);
		out_at = 0;
	}
	return sizeof(out) - out_len;
}

static void put(uint8_t type, unsigned i, const void *data, unsigned len)
{
	struct line_head h = { type, (uint8_t)i, (uint16_t)len };

	memcpy(out + out_len, &h, sizeof(h));
	out_len += sizeof(h);
	if (data) {
		memcpy(out + out_len, data, len);
		out_len += len;
	}
}

/* lkvm is told in portions, so that the heads do not take up the line. */
static void send_room(void)
{
	for (unsigned i = 0; i < LINE_PORTS; i++)
		if (port[i].owed >= LINE_GUEST_ROOM / 4 && out_room() >= sizeof(struct line_head)) {
			put(LINE_ROOM, i, NULL, port[i].owed);
			port[i].owed = 0;
		}
	flush();
}

/* --- frames in ------------------------------------------------------------------------------------ */

static __attribute__((noreturn)) void nonsense(void)
{
	SAY("lkvm talks nonsense on " LINE_TTY);
	switch_off();
}

static void take_head(void)
{
	if (head.port >= LINE_PORTS || (head.type == LINE_DATA && head.len > sizeof(port[0].buf) -
					port[head.port].used))
		nonsense();
	if (head.type == LINE_DATA)
		left = head.len;
	else if (head.type == LINE_ROOM)
		port[head.port].may_go += head.len;
	else
		nonsense();
}

static void keep(const char *src, unsigned len)
{
	unsigned i = head.port;

	for (unsigned n = 0; n < len; n++)
		port[i].buf[(port[i].at + port[i].used++) % LINE_GUEST_ROOM] = src[n];
	left -= len;
}

/* Everything that is there: there is room for it, or lkvm would not have sent it. */
static void receive(void)
{
	static char in[1024];
	long n;

	while ((n = sys(read, tty, in, sizeof(in))) > 0)
		for (unsigned at = 0; at < n;) {
			unsigned some = left ? least(left, (size_t)n - at) : 1;

			if (left) {
				keep(in + at, some);
			} else {
				((char *)&head)[head_have++] = in[at];
				if (head_have == sizeof(head)) {
					head_have = 0;
					take_head();
				}
			}
			at += some;
		}
}

/* --- as descriptors ------------------------------------------------------------------------------- */

long fd_read(int fd, void *dst, size_t len)
{
	unsigned i = (unsigned)(LINE_FD - fd), n;

	if (fd > LINE_FD)
		return sys(read, fd, dst, len);
	receive();
	if (!port[i].used)
		return -EAGAIN;
	n = least(len, least(port[i].used, LINE_GUEST_ROOM - port[i].at));
	memcpy(dst, port[i].buf + port[i].at, n);
	port[i].at = (port[i].at + n) % LINE_GUEST_ROOM;
	port[i].used -= n;
	port[i].owed += n;
	send_room();
	return n;
}

/* Bytes of a frame that the line and lkvm take; some room is kept for what send_room() has to say. */
static unsigned can_go(unsigned i)
{
	size_t heads = (1 + LINE_PORTS) * sizeof(struct line_head), room = out_room();

	return room > heads ? least(room - heads, port[i].may_go) : 0;
}

long fd_write(int fd, const void *src, size_t len)
{
	unsigned i = (unsigned)(LINE_FD - fd), n;

	if (fd > LINE_FD)
		return sys(write, fd, src, len);
	n = least(len, can_go(i));
	if (!n)
		return -EAGAIN;
	port[i].may_go -= n;
	put(LINE_DATA, i, src, n);
	flush();
	return n;
}

/* The ports among p, with what they are ready for; how many are. */
static long look(struct pollfd *p, unsigned n)
{
	long ready = 0;

	for (; n; p++, n--) {
		if (p->fd > LINE_FD)
			continue;
		p->revents = 0;
		if (port[LINE_FD - p->fd].used)
			p->revents |= p->events & POLLIN;
		if (can_go((unsigned)(LINE_FD - p->fd)))
			p->revents |= p->events & POLLOUT;
		ready += p->revents != 0;
	}
	return ready;
}

long fd_poll(struct pollfd *p, unsigned n, int ms)
{
	struct pollfd all[POLL_MAX + 1];
	long ready;

	if (tty < 0)
		return sys(poll, p, n, ms);
	memcpy(all, p, n * sizeof(*p)); /* the kernel passes over numbers below 0 */
	all[n] = (struct pollfd){ tty, POLLIN | (out_at < out_len ? POLLOUT : 0), 0 };
	if (look(p, n))
		ms = 0;
	ready = sys(poll, all, n + 1, ms);
	for (unsigned i = 0; i < n; i++)
		if (p[i].fd > LINE_FD)
			p[i].revents = all[i].revents;
	receive();
	send_room();
	return look(p, n) ? 1 : ready;
}

/* --- opening -------------------------------------------------------------------------------------- */

/* Bytes as they are, both ways. */
static bool make_raw(void)
{
	struct termios mode;

	if (sys(ioctl, tty, TCGETS, &mode) < 0)
		return false;
	mode.c_iflag = IGNBRK;
	mode.c_oflag = 0;
	mode.c_lflag = 0;
	mode.c_cflag = B115200 | CS8 | CREAD | CLOCAL;
	for (unsigned i = 0; i < NCCS; i++)
		mode.c_cc[i] = 0;
	mode.c_cc[VMIN] = 1;
	return sys(ioctl, tty, TCSETS, &mode) >= 0;
}

void line_begin(int fd)
{
	tty = fd;
	memcpy(out, LINE_GREETING, LINE_GREETING_LEN);
	out_len = LINE_GREETING_LEN;
	for (unsigned i = 0; i < LINE_PORTS; i++)
		port[i].owed = LINE_GUEST_ROOM;
	send_room();
	ports = (struct ports){ LINE_FD - LINE_CONTROL, LINE_FD - LINE_STDIO, LINE_FD - LINE_STDERR };
}

bool line_setup(void)
{
	static const char node[] = COMMAND_DIR "/port";
	long n;

	sys(mknod, node, S_IFCHR | 0600, 4 << 8 | 65);
	tty = sys_open(node, O_RDWR | O_NOCTTY | O_NONBLOCK);
	sys(unlink, node);
	if (tty < 0)
		return false;
	/* A number without a port can be opened, but not written to. */
	if (!make_raw() || (n = sys(write, tty, "\n", 1)) < 0) {
		sys_close(tty);
		tty = -1;
		return false;
	}
	line_begin(tty);
	return true;
}
