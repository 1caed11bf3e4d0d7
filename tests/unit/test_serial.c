// SPDX-License-Identifier: GPL-2.0-only
/* The serial port as a driver sees it, between a bus and a channel whose far end is this test. */
#include <pthread.h>

#include "lkvm/chan_outside.h"
#include "lkvm/hw.h"
#include "tap.h"

enum { RBR = 0, THR = 0, IER = 1, IIR = 2, FCR = 2, LCR = 3, MCR = 4, LSR = 5, MSR = 6, SCR = 7 };

#define COM 0x3f8

static struct bus bus;
static struct chan chan;
static struct serial *port;
static bool line;
static unsigned edges, gsi;

static void set_line(void *opaque, unsigned n, bool level)
{
	(void)opaque;
	edges += level != line;
	line = level;
	gsi = n;
}

static void setup(void)
{
	bus_init(&bus, "pio");
	chan_init(&chan, NULL, NULL);
	line = false;
	edges = 0;
	port = serial_open("ttyS0", &bus, COM, (struct irq_line){ .set = set_line, .n = 4 }, &chan, NULL);
}

static void teardown(void)
{
	serial_close(port);
	chan_fini(&chan);
	bus_fini(&bus);
}

static unsigned in(unsigned reg)
{
	return (unsigned)bus_read(&bus, COM + reg, 1);
}

static void out(unsigned reg, unsigned val)
{
	bus_write(&bus, COM + reg, 1, val);
}

static void type(const char *text)
{
	chan_in_put(&chan, text, strlen(text));
}

/* What the guest has printed, taken out of the channel. */
static size_t printed(char *dst, size_t max)
{
	struct iovec iov[2];
	size_t n = chan_out_peek(&chan, iov);

	if (n > max)
		n = max;
	for (size_t i = 0; i < n; i++)
		dst[i] = i < iov[0].iov_len ? ((char *)iov[0].iov_base)[i] :
					      ((char *)iov[1].iov_base)[i - iov[0].iov_len];
	chan_out_done(&chan, n);
	return n;
}

static void test_registers(void)
{
	setup();
	is(in(LSR), 0x60, "at the start the transmitter is empty and nothing was received");
	is(in(IIR), 0x01, "and no interrupt is pending, no FIFO on");
	is(in(MSR), 0xb0, "somebody is at the other end of the line");
	out(SCR, 0xa5);
	is(in(SCR), 0xa5, "the scratch register keeps what is written");
	out(IER, 0xff);
	is(in(IER), 0x0f, "IER has four bits (more would be another chip)");
	out(IER, 0);
	out(MCR, 0xff);
	is(in(MCR), 0x1f, "MCR has five bits");
	out(MCR, 0);
	out(LCR, 0x83);
	out(0, 0x34);
	out(1, 0x12);
	is(in(0) | in(1) << 8, 0x1234, "with DLAB the first two registers are the divisor");
	out(LCR, 0x03);
	is(in(IER), 0, "without it they are not");
	is(in(RBR), 0, "and the data register is empty");
	is(chan_out_pending(&chan), 0, "setting the divisor prints nothing");
	out(LSR, 0);
	out(MSR, 0);
	is(in(LSR), 0x60, "LSR can't be written");
	is(in(MSR) & 0xf0, 0xb0, "nor MSR");
	is(bus_read(&bus, COM + LSR, 2), 0xb060, "a wide read is two registers");
	teardown();
}

/* The steps by which Linux tells a 16550A from its many relatives. */
static void test_detection(void)
{
	setup();
	out(FCR, 0x01);
	is(in(IIR) >> 6, 3, "FIFO on shows in both of IIR's top bits: a 16550A");
	out(FCR, 0x21);
	is(in(IIR) & 0x20, 0, "no 64-byte FIFO");
	out(LCR, 0x80);
	ok(in(2) != 0, "no EFR behind DLAB");
	out(LCR, 0xbf);
	ok(in(2) != 0, "nor behind LCR 0xbf");
	out(LCR, 0);
	out(FCR, 0);
	is(in(IIR) >> 6, 0, "FIFO off shows too");
	out(MCR, 0x1a);
	is(in(MSR) & 0xf0, 0x90, "loopback: RTS and OUT2 come back as CTS and DCD");
	out(MCR, 0x15);
	is(in(MSR) & 0xf0, 0x60, "loopback: DTR and OUT1 come back as DSR and RI");
	in(MSR);
	out(MCR, 0x10);
	is(in(MSR), 0x06, "changes are remembered: DSR, and RI when it ends");
	is(in(MSR), 0x00, "until they were read");
	teardown();
}

static void test_loopback(void)
{
	setup();
	out(MCR, 0x10);
	out(FCR, 0x07);
	for (unsigned i = 0; i < 16; i++)
		out(THR, 'a' + i);
	is(in(LSR), 0x61, "sixteen bytes looped back: data ready, no overrun");
	out(THR, 'X');
	is(in(LSR), 0x63, "the seventeenth overruns the FIFO");
	is(in(LSR), 0x61, "which LSR says once");
	is(in(RBR), 'a', "the first byte is the first");
	for (unsigned i = 1; i < 15; i++)
		in(RBR);
	is(in(RBR), 'p', "the sixteenth is the last, the overrunning one is lost");
	is(in(LSR) & 1, 0, "then it is empty");
	out(THR, 'q');
	out(FCR, 0x03);
	is(in(LSR) & 1, 0, "clearing the receive FIFO empties it");
	out(THR, 'r');
	out(FCR, 0);
	is(in(LSR) & 1, 0, "so does switching it off");
	is(chan_out_pending(&chan), 0, "nothing of it reached the channel");
	type("z");
	in(LSR);
	is(in(LSR) & 1, 0, "nor does input reach the guest meanwhile");
	out(MCR, 0);
	in(LSR);
	is(in(LSR) & 1, 1, "it waits on the wire");
	teardown();
}

static void test_output(void)
{
	char got[64];
	size_t n;

	setup();
	for (const char *c = "hello"; *c; c++)
		out(THR, (unsigned char)*c);
	n = printed(got, sizeof(got));
	ok(n == 5 && !memcmp(got, "hello", 5), "what is written is printed");
	is(in(LSR) & 0x60, 0x60, "and the transmitter is ready at once");
	teardown();

	bus_init(&bus, "pio");
	port = serial_open("ttyS1", &bus, COM, (struct irq_line){ 0 }, NULL, NULL);
	out(THR, 'x');
	is(in(LSR), 0x60, "a port without a channel swallows output");
	serial_close(port);
	bus_fini(&bus);
}

static void test_full(void)
{
	static char fill[CHAN_OUT_SIZE], got[CHAN_OUT_SIZE + 64];
	char want[] = "0123456789abcdef";
	size_t n;

	setup();
	memset(fill, '.', sizeof(fill));
	out(FCR, 0x01);
	out(MCR, 0x08);
	is(chan_write(&chan, fill, sizeof(fill)), sizeof(fill), "the channel is full");
	is(in(LSR) & 0x60, 0x60, "the FIFO is still empty");
	for (unsigned i = 0; i < 16; i++)
		out(THR, (unsigned char)want[i]);
	is(in(LSR) & 0x60, 0, "a full channel shows: neither THRE nor TEMT");
	out(IER, 0x02);
	is(in(IIR) & 0x0f, 0x01, "and no transmitter interrupt");
	ok(!line, "the line is low");
	n = printed(got, 10);
	ok(n == 10 && line == false, "ten bytes of room are not enough for sixteen");
	is(in(LSR) & 0x60, 0, "so the transmitter still isn't empty");
	n = printed(got, sizeof(got));
	is(in(LSR) & 0x60, 0x60, "room makes the transmitter empty");
	ok(line, "and raises the interrupt");
	is(in(IIR) & 0x0f, 0x02, "which is the transmitter's");
	n += printed(got + n, sizeof(got) - n);
	ok(n == CHAN_OUT_SIZE + 6 && !memcmp(got + n - 16, want, 16), "nothing was lost or mixed up");
	teardown();
}

static void test_tx_interrupt(void)
{
	setup();
	out(IER, 0x02);
	ok(!line, "without OUT2 the interrupt isn't connected");
	is(in(IIR) & 0x0f, 0x02, "though IIR tells it");
	out(IER, 0);
	out(MCR, 0x08);
	out(IER, 0x02);
	ok(line, "switching it on with an empty transmitter interrupts");
	is(gsi, 4, "on its own line");
	is(in(IIR) & 0x0f, 0x02, "IIR says why");
	ok(!line, "and reading that drops the line");
	is(in(IIR) & 0x0f, 0x01, "said once");
	out(IER, 0x00);
	out(IER, 0x02);
	is(in(IIR) & 0x0f, 0x02, "off and on again asks again (Linux probes for that)");
	out(IER, 0x02);
	is(in(IIR) & 0x0f, 0x01, "writing the same again does not");
	out(THR, 'x');
	ok(line, "a byte that went out interrupts");
	out(IER, 0);
	ok(!line, "switching it off drops the line");
	teardown();
}

static void test_input(void)
{
	setup();
	out(MCR, 0x08);
	out(FCR, 0x01);
	out(IER, 0x01);
	ok(!line, "nothing to receive, no interrupt");
	type("ab");
	ok(line, "input interrupts");
	is(in(IIR), 0xc4, "received data");
	is(in(LSR) & 0x01, 1, "LSR: data ready");
	is(in(RBR), 'a', "first byte");
	ok(line, "still something there");
	is(in(RBR), 'b', "second byte");
	ok(!line, "all read: the line drops");
	is(in(IIR), 0xc1, "nothing pending");
	is(in(LSR) & 0x01, 0, "LSR: empty");
	out(FCR, 0x81);
	type("x");
	is(in(IIR), 0xcc, "below the trigger level it is the timeout");
	type("yyyyyyy");
	is(in(IIR), 0xc4, "at the trigger level it is received data");
	out(FCR, 0x00);
	is(in(IIR), 0x04, "without FIFO there are no timeouts");
	out(IER, 0x03);
	is(in(IIR), 0x04, "received data before transmitter empty");
	for (unsigned i = 0; i < 8; i++)
		in(RBR);
	is(in(IIR), 0x02, "which comes next");
	teardown();
}

static void test_priorities(void)
{
	setup();
	out(IER, 0x0f);
	out(FCR, 0x01);
	out(MCR, 0x10);
	for (unsigned i = 0; i < 17; i++)
		out(THR, 'x');
	is(in(IIR) & 0x0f, 0x06, "line status is the most urgent");
	in(LSR);
	is(in(IIR) & 0x0f, 0x04, "then received data");
	out(FCR, 0x03);
	is(in(IIR) & 0x0f, 0x02, "then the transmitter");
	is(in(IIR) & 0x0f, 0x00, "then the modem lines");
	in(MSR);
	is(in(IIR) & 0x0f, 0x01, "then nothing");
	teardown();
}

/* What was typed before the guest's driver is there must not be swallowed by its set-up. */
static void test_early_input(void)
{
	setup();
	type("early");
	for (unsigned round = 0; round < 3; round++) {
		out(FCR, 0x01);
		out(FCR, 0x07);
		out(FCR, 0x00);
		is(in(LSR), 0x60, "a driver's first look shows no data");
		in(RBR);
		in(IIR);
		in(MSR);
	}
	is(chan_pending(&chan), 5, "clearing the receiver loses none of what waits");
	out(FCR, 0x01);
	out(MCR, 0x0b);
	out(IER, 0x05);
	ok(line, "it is all there when the driver listens");
	is(in(RBR), 'e', "from the first byte on");
	out(IER, 0);
	is(in(LSR) & 1, 0, "polling: not at the first look");
	is(in(LSR) & 1, 1, "but at the second");
	is(in(RBR), 'a', "and then it can be read");
	is(in(LSR) & 1, 1, "a poller goes on");
	out(THR, '.');
	is(in(LSR) & 1, 1, "also with output in between");
	is(in(RBR), 'r', "byte after byte");
	teardown();
}

static void *print_all(void *opaque)
{
	for (unsigned i = 0; i < 100000; i++) {
		while (!(in(LSR) & 0x20))
			sched_yield();
		out(THR, i & 0xff);
	}
	return opaque;
}

/* A vCPU prints while a loop empties the channel: nothing lost, nothing twice (and TSan looks on). */
static void test_threads(void)
{
	static char got[4096];
	unsigned at = 0, wrong = 0;
	pthread_t thread;

	setup();
	out(FCR, 0x01);
	out(MCR, 0x08);
	out(IER, 0x02);
	pthread_create(&thread, NULL, print_all, NULL);
	while (at < 100000) {
		size_t n = printed(got, sizeof(got));

		for (size_t i = 0; i < n; i++)
			wrong += (unsigned char)got[i] != (at++ & 0xff);
		if (!n)
			sched_yield();
	}
	pthread_join(thread, NULL);
	is(wrong, 0, "a hundred thousand bytes from a vCPU to a loop, in order");
	is(at, 100000, "and no more");
	teardown();
}

static void test_break(void)
{
	setup();
	out(IER, 1);
	out(MCR, 0x08);
	type("x");
	serial_sysrq(port, 't');
	ok(line, "a break asks for an interrupt");
	is(in(LSR), 0x71, "it is told with its byte, which is there");
	is(in(RBR), 0, "and is 0");
	is(in(LSR), 0x61, "the key comes without a break");
	is(in(RBR), 't', "as it is");
	is(in(RBR), 'x', "and then what was on the wire");
	out(IER, 4);
	serial_sysrq(port, 'w');
	is(in(IIR), 0x06, "with errors' interrupt on, the break is one");
	is(in(LSR) & 0x10, 0x10, "which the line status tells");
	is(in(IIR), 0x01, "and clears");
	out(FCR, 0x03);
	is(in(LSR), 0x60, "clearing the receiver takes the break with it");
	out(MCR, 0x10);
	serial_sysrq(port, 'w');
	is(in(LSR), 0x60, "in loopback the wire is cut");
	teardown();
}

int main(void)
{
	test_registers();
	test_detection();
	test_loopback();
	test_output();
	test_full();
	test_tx_interrupt();
	test_input();
	test_priorities();
	test_early_input();
	test_threads();
	test_break();
	return tap_end();
}
