// SPDX-License-Identifier: GPL-2.0-only
/* t_console: bytes out, bytes in, the size, and the emergency write. */

#include "drivers.h"
#include "irq.h"

static void output(struct vdev *d)
{
	struct con *c = con_open(d, 0);
	char *text = alloc(64, 1);

	memcpy(text, "[probe: one line to the console]\n", 33);
	must_be(con_send(c, text, 33).len, 0, "used length of output");
}

static void output_chain(struct vdev *d)
{
	struct con *c = con_open(d, 0);
	char *text = alloc(64, 1);
	struct buf bufs[4] = {
	    {text, 1, false}, {text + 1, 10, false}, {text + 11, 15, false}, {text + 26, 5, false}};

	memcpy(text, "[probe: one line in 4 pieces]\n\n", 31);
	must_be(vq_do(c->tx, bufs, 4).len, 0, "used length of output");
}

static void output_interrupt(struct vdev *d)
{
	struct con *c;
	char *text = alloc(2, 1);

	vd_msix(d);
	c = con_open(d, 0);
	text[0] = '.';
	con_send(c, text, 1);
	must(wait_until(irq_count[VEC_MSI(vd_vector(d, 1))], PATIENCE),
	     "no interrupt of the tx queue");
}

/* With probe.echo on the command line the host sends back each line that begins with "echo ". */
static void input(struct vdev *d)
{
	struct con *c = con_open(d, 0);
	struct buf in = {c->in, 64, true};
	char *text = alloc(32, 1);
	u32 got = 0;
	size_t len;

	skip_if(!param("probe.echo", &len), "nobody echoes: no probe.echo on the command line");
	memcpy(text, "echo probe-input\n", 17);
	con_send(c, text, 17);
	delay_us(SETTLE); /* with no buffer there yet, input has to wait and must not be lost */
	for (u32 tries = 0; tries < 17 && got < 17; tries++) {
		in.p = c->in + got;
		in.len = 64 - got;
		got += vq_do(c->rx, &in, 1).len;
	}
	must(got >= 16 && !memcmp(c->in, "echo probe-input", 16),
	     "%u bytes came back, and not the same", got);
}

static void size_fields(struct vdev *d)
{
	u32 cols, rows;

	vd_begin(d, CON_F_SIZE);
	skip_if(!(d->features & CON_F_SIZE), "SIZE is not offered");
	cols = reg_r16(&d->config, 0);
	rows = reg_r16(&d->config, 2);
	must(cols < 10000 && rows < 10000, "%u columns, %u rows", cols, rows);
	must_be(reg_r32(&d->config, 0), cols | rows << 16, "both at once");
}

static void emergency(struct vdev *d)
{
	skip_if(!(d->offered & CON_F_EMERG_WRITE), "EMERG_WRITE is not offered");
	for (const char *s = "[probe: emergency]\n"; *s; s++)
		reg_w32(&d->config, 8, *s);
	vd_begin(d, 0);
	vd_go(d);
	reg_w32(&d->config, 8, '!');
	must_be(vd_status(d), 15, "status");
}

static void queues(struct vdev *d)
{
	if (!(d->offered & CON_F_MULTIPORT))
		must_be(d->num_queues, 2, "queues without MULTIPORT");
	else
		must(d->num_queues >= 4, "%u queues with MULTIPORT", d->num_queues);
}

static void rx_quiet(struct vdev *d)
{
	struct con *c = con_open(d, 0);
	struct buf in = {c->in, 64, true};

	vq_offer(c->rx, vq_chain(c->rx, &in, 1));
	vq_kick(c->rx);
	must(vd_reset(d), "no reset");
	must_be(c->rx->used->idx, 0, "used.idx: nothing was typed");
}

static void wrong_way(struct vdev *d)
{
	struct con *c = con_open(d, 0);
	struct buf out = {c->in, 64, false}, in = {c->in, 64, true};

	vq_offer(c->rx, vq_chain(c->rx, &out, 1)); /* nothing to write to */
	vq_kick(c->rx);
	vq_offer(c->tx, vq_chain(c->tx, &in, 1)); /* nothing to read */
	vq_kick(c->tx);
	delay_us(SETTLE);
	console_works(d);
}

static const struct test tests[] = {
	{"CON-02", "two queues without MULTIPORT", queues, CONSOLE, 0},
	{"CON-08", "output is used with length 0", output, CONSOLE, 0},
	{"CON-08", "output over several descriptors", output_chain, CONSOLE, 0},
	{"USED-07", "output raises the tx queue's interrupt", output_interrupt, CONSOLE, 0},
	{"CON-09,CON-10", "input waits for a buffer and arrives whole", input, CONSOLE, 0},
	{"CON-04,CON-11", "columns and rows", size_fields, CONSOLE, 0},
	{"CON-05,CON-06,CON-07", "emerg_wr works before and after set-up", emergency, CONSOLE, 0},
	{"PCI-RESET-01", "a reset with a buffer waiting for input", rx_quiet, CONSOLE, HOSTILE},
	{"X-CON-01", "buffers of the wrong direction", wrong_way, CONSOLE, HOSTILE},
};

const struct suite suite_console = {"console", tests, ARRAY_SIZE(tests)};
