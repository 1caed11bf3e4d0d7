// SPDX-License-Identifier: GPL-2.0-only
/* talk: the conversation's bytes, by polling. */
#include "talk.h"

#include "../probe/irq.h"

#define COM1	 0x3f8
#define LSR	 (COM1 + 5)
#define LSR_DATA 1
#define POLL_US	 1000
#define LINE	 64

static struct vdev *con; /* NULL: the serial port */
static struct vq *rx, *tx;
static char *line, *input;
static u32 line_len, input_len, input_at;

void talk_send(const void *bytes, u32 len)
{
	must(con, "no virtio console");
	vq_do(tx, &(struct buf){bytes, len, false}, 1);
}

/* A line is a buffer. */
static void put(char c)
{
	line[line_len++] = c;
	if (c != '\n' && line_len < LINE)
		return;
	talk_send(line, line_len);
	line_len = 0;
}

void talk_open(void)
{
	struct vdev *d = NULL;

	for (u32 i = 0; i < vdev_count; i++)
		if (vdevs[i].type == CONSOLE && vdevs[i].modern)
			d = &vdevs[i];
	if (!d)
		return;
	vd_msix(d);
	vd_begin(d, F_EVENT_IDX);
	rx = vq_new(d, 0, 0);
	tx = vq_new(d, 1, 0);
	vd_go(d);
	con = d;
	line = alloc(LINE, 1);
	input = alloc(LINE, 1);
	print_to(put);
}

static void offer_input(void)
{
	struct buf in = {input, LINE, true};

	vq_offer(rx, vq_chain(rx, &in, 1));
	vq_kick(rx);
}

/* A look per millisecond: at the serial port each is an exit that the host counts. */
u8 talk_get(void)
{
	if (!con) {
		while (!(inb(LSR) & LSR_DATA))
			delay_us(POLL_US);
		return inb(COM1);
	}
	if (input_at == input_len) {
		offer_input();
		while (!vq_has_used(rx))
			delay_us(POLL_US);
		input_len = vq_take(rx).len;
		input_at = 0;
		must(input_len && input_len <= LINE, "%u bytes of input", input_len);
	}
	return input[input_at++];
}

u32 talk_irqs(void)
{
	return con ? irq_count[VEC_MSI(vd_vector(con, 1))] : 0;
}
