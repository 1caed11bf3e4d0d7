// SPDX-License-Identifier: GPL-2.0-only
/* virtio-console between a fake driver, through its vport, and channels whose far end is this test. */
#include <sched.h>
#include <unistd.h>

#include "lkvm/chan_outside.h"
#include "fakedrv.h"
#include "lkvm/virtio.h"
#include "lkvm/vdev.h"
#include "tap.h"

enum { SIZE = 0, MULTIPORT = 1, EMERG = 2 };
enum { READY = 0, ADD = 1, PORT_READY = 3, CONSOLE = 4, RESIZE = 5, OPEN = 6, NAME = 7 };

#define RAM_LEN	 (1 << 20) /* for each queue */
#define NQUEUES	 6
#define BUF_LEN	 256
#define ALL_RING (VBIT(VIRTIO_F_VERSION_1) | VBIT(VIRTIO_F_INDIRECT_DESC))

struct queue {
	struct drv d;
	int kick;
	unsigned calls;
	unsigned next_buf;
};

static struct {
	struct gmem mem;
	uint8_t *ram;
	struct loop *loop;
	struct vport *port;
	struct chan chan[2];
	struct queue q[NQUEUES];
	unsigned changed, failed;
	struct loop_timer stop;
} g;

static void changed(void *opaque)
{
	(void)opaque;
	g.changed++;
}

static void failed(void *opaque)
{
	(void)opaque;
	g.failed++;
}

static void called(void *opaque, unsigned n)
{
	((struct queue *)opaque)->calls += n;
}

static void stop(void *opaque)
{
	(void)opaque;
	loop_quit(g.loop);
}

/* Lets the loop do all there is to do. */
static void settle(void)
{
	g.stop.fire = stop;
	loop_timer_set(g.loop, &g.stop, 3000000);
	loop_run(g.loop);
}

static void open_ports(unsigned nports, const char *features)
{
	struct console_port ports[2] = {
		{ .chan = &g.chan[0], .console = true, .name = "con" },
		{ .chan = &g.chan[1], .name = "org.example.data" },
	};
	struct vdev_conf conf = { .name = "console0", .features = features, .mem = &g.mem };

	memset(&g, 0, sizeof(g));
	g.mem.fd = -1;
	g.ram = aligned_alloc(4096, NQUEUES * RAM_LEN);
	memset(g.ram, 0, NQUEUES * RAM_LEN);
	gmem_add(&g.mem, DRV_BASE, g.ram, NQUEUES * RAM_LEN);
	conf.loop = g.loop = loop_open("io");
	chan_init(&g.chan[0], NULL, NULL);
	chan_init(&g.chan[1], NULL, NULL);
	chan_resize(&g.chan[0], 80, 25);
	g.port = nports == 1 ? console_open(&conf, &g.chan[0]) :
			       console_open_ports(&conf, ports, nports);
	if (!g.port)
		return;
	g.port->changed = changed;
	g.port->failed = failed;
}

static void close_ports(void)
{
	if (g.port) {
		g.port->ops->reset(g.port);
		g.port->ops->close(g.port);
	}
	for (unsigned n = 0; n < NQUEUES; n++) {
		if (g.q[n].d.ram) {
			drv_close(&g.q[n].d);
			close(g.q[n].kick);
		}
	}
	loop_close(g.loop);
	chan_fini(&g.chan[0]);
	chan_fini(&g.chan[1]);
	free(g.ram);
}

static void start_queue(unsigned n, bool packed)
{
	struct virtq_conf conf = { .size = 16, .indirect = true, .packed = packed };
	struct queue *q = &g.q[n];

	if (!q->d.ram) {
		drv_open_in(&q->d, &conf, DRV_BASE + n * RAM_LEN, g.ram + n * RAM_LEN, RAM_LEN);
		q->kick = eventfd(0, EFD_NONBLOCK);
	} else {
		drv_reset(&q->d);
	}
	q->next_buf = 0;
	is(g.port->ops->queue_start(g.port, n, &q->d.conf, q->kick,
				    (struct irq){ .fd = -1, .fn = called, .opaque = q, .n = 1 }),
	   0, "queue %u starts", n);
}

static void start(uint64_t features, unsigned nqueues)
{
	features |= ALL_RING;
	ok(g.port->ops->acceptable(g.port, features), "features %#llx are acceptable",
	   (unsigned long long)features);
	g.port->ops->accept(g.port, features);
	for (unsigned n = 0; n < nqueues; n++)
		start_queue(n, false);
	g.port->ops->start(g.port);
	settle();
}

static void kick(struct queue *q)
{
	if (drv_publish(&q->d))
		eventfd_write(q->kick, 1);
}

/* Offers an empty buffer of len bytes. */
static void give(unsigned n, unsigned len)
{
	struct queue *q = &g.q[n];
	struct drv_seg seg = { q->d.data + (q->next_buf++ % 64) * BUF_LEN, len, true };

	drv_add(&q->d, &seg, 1);
	kick(q);
}

/* Sends text in pieces of `piece` bytes, one descriptor each. */
static void send(unsigned n, const void *src, unsigned len, unsigned piece)
{
	struct queue *q = &g.q[n];
	struct drv_seg seg[16];
	uint64_t at = q->d.data + (uint64_t)(q->next_buf++ % 8) * 0x10000;
	unsigned k = 0;

	memcpy(drv_ptr(&q->d, at), src, len);
	for (unsigned off = 0; off < len; off += piece)
		seg[k++] = (struct drv_seg){ at + off, len - off < piece ? len - off : piece, false };
	drv_add(&q->d, seg, k);
	kick(q);
}

/* The next used receive buffer's bytes; -1: none. Buffers are used in order here. */
static int take(unsigned n, void *dst)
{
	struct queue *q = &g.q[n];
	uint32_t len;
	int id;
	uint64_t at;

	if (!drv_has_used(&q->d))
		return -1;
	id = drv_used(&q->d, &len, NULL);
	at = q->d.desc[id].addr;
	memcpy(dst, drv_ptr(&q->d, at), len < BUF_LEN ? len : BUF_LEN);
	return (int)len;
}

static size_t printed(struct chan *chan, char *dst, size_t max)
{
	struct iovec iov[2];
	size_t n = chan_out_peek(chan, iov), first;

	if (n > max)
		n = max;
	first = n < iov[0].iov_len ? n : iov[0].iov_len;
	memcpy(dst, iov[0].iov_base, first);
	memcpy(dst + first, iov[1].iov_base, n - first);
	chan_out_done(chan, n);
	return n;
}

static bool prints(struct chan *chan, const char *want)
{
	char got[256];
	size_t n = printed(chan, got, sizeof(got));

	if (n == strlen(want) && !memcmp(got, want, n))
		return true;
	printf("# printed %zu bytes: %.*s\n", n, (int)n, got);
	return false;
}

static uint32_t config(unsigned off, unsigned len)
{
	uint32_t val = 0;

	g.port->ops->config_read(g.port, off, &val, len);
	return val;
}

/* --- one port ----------------------------------------------------------------------------------- */

static void test_offer(void)
{
	const struct vport_field *f;
	char c = 'A';

	open_ports(1, NULL);
	is(g.port->features & 0xff, VBIT(SIZE) | VBIT(EMERG), "a console offers SIZE and EMERG_WRITE");
	is(g.port->device_id, 3, "device type 3");
	is(g.port->nqueues, 2, "it has two queues");
	is(g.port->ops->queue_max(g.port, 1), 64, "of 64 entries");
	is(g.port->ops->queue_max(g.port, 2), 0, "and no control queue");
	is(config(0, 2), 80, "cols");
	is(config(2, 2), 25, "rows");
	is(config(4, 4), 0, "no max_nr_ports without MULTIPORT");
	is(g.port->config_len, 12, "12 bytes of configuration");
	f = g.port->fields;
	ok(f[0].feature == SIZE && f[0].off == 0 && f[0].len == 4 && f[1].feature == MULTIPORT &&
	   f[1].off == 4 && f[2].feature == EMERG && f[2].off == 8 && f[2].len == 4 && !f[3].len,
	   "fields say which feature brings what");

	g.port->ops->config_write(g.port, 8, "A\0\0\0", 4);
	ok(prints(&g.chan[0], "A"), "emerg_wr prints before anything was set up");
	g.port->ops->config_write(g.port, 8, "B", 1);
	ok(prints(&g.chan[0], "B"), "a byte is enough");
	g.port->ops->config_write(g.port, 4, "xxxxC\0\0\0", 8);
	ok(prints(&g.chan[0], "C"), "a wide write that contains it prints its byte");
	g.port->ops->config_write(g.port, 9, "zzz", 3);
	g.port->ops->config_write(g.port, 0, "zzzz", 4);
	ok(prints(&g.chan[0], ""), "other bytes don't");
	ok(config(0, 4) == (25 << 16 | 80) && !config(8, 4), "nor does any of it stay");
	close_ports();

	open_ports(1, "-emerg_write,-size");
	is(g.port->features & 0xff, 0, "features can be turned off");
	g.port->ops->config_write(g.port, 8, &c, 1);
	ok(prints(&g.chan[0], ""), "and emerg_wr isn't there then");
	close_ports();

	open_ports(1, "+multiport");
	is(g.port->features & 0xff, 7, "or on");
	is(g.port->nqueues, 4, "with their queues");
	close_ports();

	open_ports(1, "+mac");
	ok(!g.port, "an unknown one is refused");
	close_ports();
}

static void test_output(bool packed)
{
	uint32_t len = 99;

	open_ports(1, packed ? "+packed" : NULL);
	g.port->ops->accept(g.port, ALL_RING | (packed ? VBIT(VIRTIO_F_RING_PACKED) : 0));
	start_queue(0, packed);
	start_queue(1, packed);
	send(1, "early", 5, 5);
	settle();
	ok(prints(&g.chan[0], ""), "nothing is printed before DRIVER_OK");
	g.port->ops->start(g.port);
	settle();
	ok(prints(&g.chan[0], "early"), "then what waited is");
	drv_used(&g.q[1].d, NULL, NULL);
	g.q[1].calls = 0;
	send(1, "hello, world", 12, 5);
	settle();
	ok(prints(&g.chan[0], "hello, world"), "a buffer of three pieces is printed whole");
	ok(drv_used(&g.q[1].d, &len, NULL) >= 0, "and given back");
	is(len, 0, "with nothing written to it");
	is(g.q[1].calls, 1, "and one interrupt");
	for (unsigned i = 0; i < 10; i++) {
		struct drv_seg seg = { g.q[1].d.data, 5, false };

		drv_add(&g.q[1].d, &seg, 1);
	}
	kick(&g.q[1]);
	settle();
	is(chan_out_pending(&g.chan[0]), 50, "ten buffers at once");
	is(g.q[1].calls, 2, "take one more interrupt");
	close_ports();
}

/* Through a full channel: requests wait, nothing is lost, the device doesn't spin. */
static void test_full(void)
{
	static char text[60000], fill[CHAN_OUT_SIZE], got[300000];
	size_t n = 0;
	bool same;

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)('a' + i % 23);
	open_ports(1, NULL);
	start(0, 2);
	chan_write(&g.chan[0], fill, sizeof(fill));
	for (unsigned i = 0; i < 4; i++)
		send(1, text, sizeof(text), 20000);
	settle();
	ok(!drv_has_used(&g.q[1].d), "a full channel holds the request");
	chan_out_done(&g.chan[0], sizeof(fill));
	settle();
	ok(drv_used(&g.q[1].d, NULL, NULL) >= 0, "room lets it be printed");
	ok(!drv_has_used(&g.q[1].d), "the next one waits in the middle");
	for (unsigned i = 0; i < 10; i++) {
		n += printed(&g.chan[0], got + n, sizeof(got) - n);
		settle();
	}
	is(n, 4 * sizeof(text), "in the end all has been printed");
	same = true;
	for (unsigned i = 0; i < 4; i++)
		same &= !memcmp(got + i * sizeof(text), text, sizeof(text));
	ok(same, "unchanged");
	for (unsigned i = 0; i < 3; i++)
		ok(drv_used(&g.q[1].d, NULL, NULL) >= 0, "and buffer %u is back", i + 1);

	chan_write(&g.chan[0], fill, sizeof(fill));
	send(1, "lost", 4, 4);
	settle();
	g.port->ops->reset(g.port);
	chan_out_done(&g.chan[0], sizeof(fill));
	settle();
	is(chan_out_pending(&g.chan[0]), 0, "a reset drops what waits");
	start(0, 2);
	send(1, "again", 5, 5);
	settle();
	ok(prints(&g.chan[0], "again"), "and after it all works again");
	close_ports();
}

static unsigned turns;

static void count_turn(void *opaque, uint32_t events)
{
	(void)opaque;
	(void)events;
	if (++turns == 1000 || drv_has_used(&g.q[1].d))
		loop_quit(g.loop);
}

/* A gigantic request is printed in shares, so that others on the loop get their turns. */
static void test_budget(void)
{
	struct loop_fd other = { .fd = eventfd(1, 0), .ready = count_turn };
	struct vdev_conf conf = { .name = "console0" };
	struct drv_seg seg[16];

	open_ports(1, NULL);
	g.port->ops->close(g.port);
	conf.mem = &g.mem;
	conf.loop = g.loop;
	g.port = console_open(&conf, NULL);
	start(0, 2);
	for (unsigned i = 0; i < 16; i++)
		seg[i] = (struct drv_seg){ DRV_BASE + 2 * RAM_LEN, 4 * RAM_LEN, false };
	drv_add(&g.q[1].d, seg, 16);
	loop_add(g.loop, &other, EPOLLIN);
	kick(&g.q[1]);
	turns = 0;
	loop_run(g.loop);
	ok(drv_has_used(&g.q[1].d), "64 MiB in one request are printed");
	ok(turns >= 32 && turns < 1000, "and others have their turns meanwhile (%u)", turns);
	loop_del(g.loop, &other);
	close(other.fd);
	close_ports();
}

static void test_input(void)
{
	char got[BUF_LEN], text[200];
	unsigned calls;

	memset(text, 'q', sizeof(text));
	open_ports(1, NULL);
	start(0, 2);
	chan_in_put(&g.chan[0], "abc", 3);
	settle();
	is(chan_pending(&g.chan[0]), 3, "input without a buffer waits");
	give(0, 64);
	settle();
	ok(take(0, got) == 3 && !memcmp(got, "abc", 3), "a buffer gets it");
	give(0, 64);
	give(0, 64);
	settle();
	is(take(0, got), -1, "buffers without input wait");
	calls = g.q[0].calls;
	chan_in_put(&g.chan[0], "x", 1);
	settle();
	ok(take(0, got) == 1 && got[0] == 'x', "until there is some");
	is(g.q[0].calls, calls + 1, "with an interrupt");
	chan_in_put(&g.chan[0], text, sizeof(text));
	settle();
	is(take(0, got), 64, "more than a buffer holds fills it");
	is(take(0, got), -1, "that was the last one");
	calls = g.q[0].calls;
	for (unsigned i = 0; i < 4; i++)
		give(0, 64);
	settle();
	is(take(0, got), 64, "the rest goes to the next ones");
	is(take(0, got), 64, "one after the other");
	is(take(0, got), 8, "to the end");
	is(take(0, got), -1, "one buffer stays");
	is(g.q[0].calls, calls + 1, "and all that is one interrupt");
	send(0, "readable", 8, 8);
	chan_in_put(&g.chan[0], "yy", 2);
	settle();
	is(take(0, got), 2, "a buffer the driver shouldn't have put there");
	chan_in_put(&g.chan[0], "z", 1);
	settle();
	is(g.failed, 0, "harms nobody");

	g.port->ops->reset(g.port);
	chan_in_put(&g.chan[0], "kept", 4);
	settle();
	start(0, 2);
	give(0, 64);
	settle();
	ok(take(0, got) == 5 || take(0, got) == 4, "input typed during a reset is still there");
	close_ports();
}

static void test_size(void)
{
	uint8_t gen;

	open_ports(1, NULL);
	start(VBIT(SIZE), 2);
	is(g.changed, 0, "no news at the start");
	gen = g.port->ops->config_generation(g.port);
	chan_resize(&g.chan[0], 132, 50);
	settle();
	is(g.changed, 1, "a resize is told");
	is(config(0, 4), 50 << 16 | 132, "with the new size");
	ok(gen != g.port->ops->config_generation(g.port), "and a new generation");
	chan_resize(&g.chan[0], 132, 50);
	settle();
	is(g.changed, 1, "the same size again is no news");
	g.port->ops->reset(g.port);
	is(config(0, 4), 50 << 16 | 132, "the size outlives a reset");
	start(0, 2);
	chan_resize(&g.chan[0], 100, 40);
	settle();
	is(g.changed, 1, "without SIZE nobody is told");
	is(config(0, 4), 40 << 16 | 100, "though the bytes change");
	send(1, "x", 1, 1);
	settle();
	is(g.changed, 1, "nor with the first output");
	g.port->ops->reset(g.port);
	start(VBIT(SIZE), 2);
	send(1, "x", 1, 1);
	send(1, "x", 1, 1);
	settle();
	is(g.changed, 2, "the first output after a reset has the size told, once");
	close_ports();
}

/* --- several ports -------------------------------------------------------------------------------- */

struct msg {
	uint32_t id;
	uint16_t event, value;
	char tail[BUF_LEN - 8];
};

static void ctrl(unsigned id, unsigned event, unsigned value)
{
	struct msg m = { .id = id, .event = (uint16_t)event, .value = (uint16_t)value };

	send(3, &m, 8, 8);
	settle();
	drv_used(&g.q[3].d, NULL, NULL);
}

/* The device's next message as text, "event id value [name/length]"; "" when there is none. */
static const char *told(void)
{
	static char text[300];
	struct msg m;
	int n = take(2, &m), at;

	text[0] = 0;
	if (n < 0)
		return text;
	at = snprintf(text, sizeof(text), "%u %u %u", m.event, m.id, m.value);
	if (m.event == RESIZE && n == 12)
		snprintf(text + at, sizeof(text) - (size_t)at, " %ux%u",
			 (uint8_t)m.tail[0] | (uint8_t)m.tail[1] << 8,
			 (uint8_t)m.tail[2] | (uint8_t)m.tail[3] << 8);
	else if (n > 8)
		snprintf(text + at, sizeof(text) - (size_t)at, " %.*s/%d", n - 8, m.tail, n - 8);
	return text;
}

static void give_ctrl(unsigned n)
{
	while (n--)
		give(2, BUF_LEN);
	settle();
}

static void test_ports(void)
{
	char got[BUF_LEN];

	open_ports(2, NULL);
	is(g.port->features & 0xff, 7, "two ports: MULTIPORT is offered");
	is(config(4, 4), 2, "max_nr_ports");
	is(g.port->nqueues, 6, "six queues");
	start(VBIT(MULTIPORT) | VBIT(SIZE), 6);
	give_ctrl(10);
	is_str(told(), "", "the device says nothing before the driver is ready");
	ctrl(7, READY, 0);
	is_str(told(), "", "nor when it failed");
	ctrl(0, PORT_READY, 1);
	is_str(told(), "", "nor about ports that weren't added");
	ctrl(7, READY, 1);
	is_str(told(), "1 0 1", "then it adds port 0");
	is_str(told(), "1 1 1", "and port 1");
	is_str(told(), "", "each once");
	ctrl(0, READY, 1);
	is_str(told(), "", "also when told twice");
	ctrl(1, PORT_READY, 1);
	is_str(told(), "6 1 1", "port 1 is open on the host's side");
	is_str(told(), "7 1 0 org.example.data/16", "it has a name, without a NUL");
	is_str(told(), "", "and is no console");
	ctrl(0, PORT_READY, 1);
	is_str(told(), "4 0 1", "port 0 is a console");
	is_str(told(), "5 0 0 80x25", "of this size");
	is_str(told(), "6 0 1", "open");
	give_ctrl(8);
	is_str(told(), "7 0 0 con/3", "with a name");
	chan_resize(&g.chan[0], 90, 30);
	settle();
	is_str(told(), "5 0 0 90x30", "a resize is told by message");

	chan_in_put(&g.chan[1], "data", 4);
	give(4, 64);
	settle();
	is(take(4, got), -1, "input for a port that nobody has opened waits");
	ctrl(1, OPEN, 1);
	settle();
	ok(take(4, got) == 4 && !memcmp(got, "data", 4), "until somebody has");
	send(5, "answer", 6, 6);
	settle();
	ok(prints(&g.chan[1], "answer"), "and the other way");
	ok(prints(&g.chan[0], ""), "each port by itself");
	ctrl(1, OPEN, 0);
	chan_in_put(&g.chan[1], "more", 4);
	give(4, 64);
	settle();
	is(take(4, got), -1, "closed, input waits again");

	console_connect(g.port, 1, false);
	settle();
	is_str(told(), "6 1 0", "the host's end closes");
	console_connect(g.port, 1, false);
	console_connect(g.port, 2, true);
	settle();
	is_str(told(), "", "once");
	console_connect(g.port, 1, true);
	settle();
	is_str(told(), "6 1 1", "and opens");
	close_ports();
}

static void test_ports_hostile(void)
{
	open_ports(2, NULL);
	start(VBIT(MULTIPORT), 6);
	ctrl(0, READY, 1);
	give(2, 7);
	settle();
	is(take(2, (char[BUF_LEN]){ 0 }), 0, "a control buffer too small comes back empty");
	give_ctrl(4);
	is_str(told(), "1 0 1", "and the message comes in the next");
	is_str(told(), "1 1 1", "and the one after it");
	for (unsigned id = 2; id < 40; id += 7)
		ctrl(id, PORT_READY, 1);
	ctrl(0xffffffff, OPEN, 1);
	ctrl(0, 999, 1);
	ctrl(0, ADD, 1);
	send(3, "short", 5, 5);
	settle();
	ok(drv_used(&g.q[3].d, NULL, NULL) >= 0, "a short message is given back");
	is_str(told(), "", "nonsense has no answer");
	is(g.failed, 0, "and breaks nothing");
	for (unsigned i = 0; i < 100; i++)
		ctrl(1, PORT_READY, 1);
	is_str(told(), "6 1 1", "a flood of messages");
	is_str(told(), "7 1 0 org.example.data/16", "doesn't pile up answers");
	ctrl(1, PORT_READY, 1);
	g.port->ops->reset(g.port);
	start(VBIT(MULTIPORT), 6);
	give_ctrl(4);
	is_str(told(), "", "after a reset the device waits again, and has forgotten what it had to say");
	ctrl(0, READY, 1);
	is_str(told(), "1 0 1", "and starts from the beginning");

	g.port->ops->reset(g.port);
	is(g.port->ops->queue_max(g.port, 4), 64, "all queues are there at first");
	start(0, 2);
	is(g.port->ops->queue_max(g.port, 2), 0, "a driver without MULTIPORT has no control queue");
	is(g.port->ops->queue_max(g.port, 4), 0, "nor another port's");
	chan_in_put(&g.chan[0], "plain", 5);
	give(0, 64);
	settle();
	is(take(0, (char[BUF_LEN]){ 0 }), 5, "its port 0 works without being opened");
	g.port->ops->reset(g.port);
	is(g.port->ops->queue_max(g.port, 4), 64, "a reset brings them back");
	close_ports();
}

/* --- the channel on a loop of its own ---------------------------------------------------------- */

static struct loop *far_loop;
static struct loop_timer far_timer;
static size_t far_got, far_sent;
static bool far_wrong;

static void far_turn(void *opaque)
{
	static char buf[5000];
	size_t n = printed(&g.chan[0], buf, sizeof(buf)), room;

	(void)opaque;
	for (size_t i = 0; i < n; i++)
		far_wrong |= buf[i] != (char)('a' + far_got++ % 23);
	room = chan_in_room(&g.chan[0], 1);
	if (far_sent < 50000 && room) {
		n = room < 700 ? room : 700;
		for (size_t i = 0; i < n; i++)
			buf[i] = (char)('A' + (far_sent + i) % 19);
		chan_in_put(&g.chan[0], buf, n);
		far_sent += n;
	}
	loop_timer_set(far_loop, &far_timer, 0);
}

static void test_threads(void)
{
	char text[2300], got[BUF_LEN];
	size_t sent = 0, received = 0;
	bool wrong = false;
	int n;

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)('a' + i % 23);
	open_ports(1, NULL);
	start(0, 2);
	far_loop = loop_open("far");
	far_timer = (struct loop_timer){ .fire = far_turn };
	loop_timer_set(far_loop, &far_timer, 0);
	loop_start(g.loop);
	loop_start(far_loop);
	for (unsigned i = 0; i < 8; i++)
		give(0, BUF_LEN);
	while (received < 50000 || sent < 500 * sizeof(text) || drv_has_used(&g.q[1].d)) {
		while (g.q[1].d.free < 8 && drv_used(&g.q[1].d, NULL, NULL) >= 0)
			;
		if (sent < 500 * sizeof(text) && g.q[1].d.free > 8) {
			send(1, text, sizeof(text), sizeof(text));
			sent += sizeof(text);
		} else {
			drv_used(&g.q[1].d, NULL, NULL);
		}
		n = take(0, got);
		for (int i = 0; i < n; i++)
			wrong |= got[i] != (char)('A' + received++ % 19);
		if (n >= 0)
			give(0, BUF_LEN);
		else
			sched_yield();
	}
	while (g.q[1].d.free < 16)
		if (drv_used(&g.q[1].d, NULL, NULL) < 0)
			sched_yield();
	loop_stop(g.loop);
	loop_stop(far_loop);
	while (chan_out_pending(&g.chan[0]))
		far_turn(NULL);
	ok(!wrong, "input through two threads arrives in order");
	is(far_got, 500 * sizeof(text), "so does output, all of it");
	ok(!far_wrong, "unchanged");
	loop_close(far_loop);
	close_ports();
}

int main(void)
{
	test_offer();
	test_output(false);
	test_output(true);
	test_full();
	test_budget();
	test_input();
	test_size();
	test_ports();
	test_ports_hostile();
	test_threads();
	return tap_end();
}
