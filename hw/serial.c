// SPDX-License-Identifier: GPL-2.0-only
/*
 * serial: a 16550A on eight I/O ports, between the guest and a channel.
 *
 * Output: bytes go into the channel at once; only when that is full do they stay in the 16-byte
 * transmit FIFO, and the transmitter then says "not empty", so that a guest that looks waits and
 * nothing is lost. Input: bytes stay in the channel, as if still on the wire, until the guest reads
 * them; the receive FIFO proper only serves the loopback.
 *
 * The wire is patient in one more way. Drivers clear the receiver when they set the port up, with a
 * look at the line status and a read of the data register, and would swallow what was typed, or
 * piped in, before. So a byte shows up only for a driver that has switched receive interrupts on, or
 * that looks at the line status twice without touching the set-up registers in between, as everybody
 * who polls does.
 *
 * A byte sent need not stop its vCPU: in a burst KVM collects them (burst.c). That is safe as long as
 * nothing happens by itself when a byte arrives, which is so but for two cases: the transmitter-empty
 * interrupt, and the loopback's receive interrupt. Everything else a driver can only find out by an access,
 * and then the bytes come first.
 *
 * Runs on: vcpu under slot lock; the channel's callbacks (loop) take the same lock
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hw/burst.h"
#include "hw/serial_regs.h"
#include "lkvm/hw.h"
#include "lkvm/log.h"

#define FIFO_SIZE 16

struct fifo {
	uint8_t byte[FIFO_SIZE];
	unsigned n;
};

struct serial {
	struct bus *pio;
	struct bus_range range;
	struct bus_slot slot;
	struct irq_line line;
	struct chan *chan;
	bool level; /* of the line */

	uint8_t ier, fcr, lcr, mcr, scr, msr;
	uint8_t dll, dlm;
	bool overrun;
	bool thre_pending; /* the transmitter-empty interrupt, until it was read or data came */
	unsigned looks;	   /* LSR reads since a set-up register was touched; see the top */
	struct burst burst; /* of bytes sent */
	bool brk;	   /* the first byte received is a break, which nobody has been told of */
	struct fifo tx, rx;
};

static unsigned fifo_size(const struct serial *s)
{
	return s->fcr & FCR_ENABLE ? FIFO_SIZE : 1;
}

static void fifo_drop(struct fifo *f, size_t n)
{
	f->n -= (unsigned)n;
	for (unsigned i = 0; i < f->n; i++)
		f->byte[i] = f->byte[i + n];
}

/* Bytes the guest can receive now. */
static size_t rx_ready(const struct serial *s)
{
	if (s->rx.n || !s->chan || (s->mcr & MCR_LOOP))
		return s->rx.n;
	if (!(s->ier & IER_RDI) && s->looks < 2)
		return 0;
	return chan_pending(s->chan);
}

static size_t rx_trigger(const struct serial *s)
{
	static const uint8_t level[] = { 1, 4, 8, 14 };

	return s->fcr & FCR_ENABLE ? level[s->fcr >> 6] : 1;
}

/* What IIR says: the most urgent reason that is enabled. */
static uint8_t iir_now(const struct serial *s)
{
	size_t ready;

	if ((s->ier & IER_RLSI) && (s->overrun || s->brk))
		return IIR_RLSI;
	if (s->ier & IER_RDI) {
		ready = rx_ready(s);
		/* Fewer than the trigger level: the receive timeout, here without the waiting. */
		if (ready)
			return ready >= rx_trigger(s) ? IIR_RDI : IIR_TIMEOUT;
	}
	if ((s->ier & IER_THRI) && s->thre_pending)
		return IIR_THRI;
	if ((s->ier & IER_MSI) && (s->msr & MSR_DELTA))
		return IIR_MSI;
	return IIR_NONE;
}

static void line_update(struct serial *s)
{
	bool level = (s->mcr & MCR_OUT2) && iir_now(s) != IIR_NONE;

	if (level != s->level) {
		s->level = level;
		irq_line_set(&s->line, level);
	}
}

/* --- the transmitter ------------------------------------------------------------------------ */

static void tx_drain(struct serial *s)
{
	if (s->tx.n)
		fifo_drop(&s->tx, chan_write(s->chan, s->tx.byte, s->tx.n));
	if (!s->tx.n)
		s->thre_pending = true;
}

static void loop_back(struct serial *s, uint8_t byte)
{
	if (s->rx.n < fifo_size(s)) {
		s->rx.byte[s->rx.n++] = byte;
	} else {
		s->overrun = true;
		if (!(s->fcr & FCR_ENABLE))
			s->rx.byte[0] = byte;
	}
	s->thre_pending = true;
}

static void tx_byte(struct serial *s, uint8_t byte)
{
	s->thre_pending = false;
	if (s->mcr & MCR_LOOP) {
		loop_back(s, byte);
		return;
	}
	burst_byte(&s->burst);
	if (!s->chan || (!s->tx.n && chan_write(s->chan, &byte, 1) == 1)) {
		s->thre_pending = true;
	} else if (s->tx.n < fifo_size(s)) {
		s->tx.byte[s->tx.n++] = byte;
	} else {
		s->tx.byte[s->tx.n - 1] = byte; /* it was told to wait */
	}
}

static void tx_allow_burst(struct serial *s)
{
	burst_allow(&s->burst, !(s->ier & IER_THRI) && !(s->mcr & MCR_LOOP));
}

/* --- registers ------------------------------------------------------------------------------ */

static uint8_t read_data(struct serial *s)
{
	uint8_t byte = 0;

	if (s->rx.n) {
		byte = s->rx.byte[0];
		fifo_drop(&s->rx, 1);
		s->brk = false;
	} else if (rx_ready(s)) {
		chan_read(s->chan, &byte, 1);
	}
	return byte;
}

static uint8_t read_iir(struct serial *s)
{
	uint8_t iir = iir_now(s);

	if (iir == IIR_THRI)
		s->thre_pending = false;
	return iir | (s->fcr & FCR_ENABLE ? IIR_FIFO : 0);
}

static uint8_t read_lsr(struct serial *s)
{
	uint8_t lsr = s->tx.n ? 0 : LSR_THRE | LSR_TEMT;

	if (s->looks < 2)
		s->looks++;
	if (rx_ready(s))
		lsr |= LSR_DR;
	if (s->overrun)
		lsr |= LSR_OE;
	if (s->brk)
		lsr |= LSR_BI;
	s->overrun = s->brk = false;
	return lsr;
}

static uint8_t read_msr(struct serial *s)
{
	uint8_t msr = s->msr;

	s->msr &= (uint8_t)~MSR_DELTA;
	return msr;
}

/* The modem's lines: somebody is always there, or in loopback our own outputs. */
static void msr_update(struct serial *s)
{
	uint8_t old = s->msr, now = MSR_CTS | MSR_DSR | MSR_DCD, changed;

	if (s->mcr & MCR_LOOP)
		now = (s->mcr & MCR_RTS ? MSR_CTS : 0) | (s->mcr & MCR_DTR ? MSR_DSR : 0) |
		      (s->mcr & MCR_OUT1 ? MSR_RI : 0) | (s->mcr & MCR_OUT2 ? MSR_DCD : 0);
	changed = (old ^ now) & ~MSR_DELTA;
	changed &= (uint8_t)~(now & MSR_RI); /* the ring indicator counts when it ends */
	s->msr = (uint8_t)(now | (old & MSR_DELTA) | changed >> 4);
}

static void write_ier(struct serial *s, uint8_t val)
{
	uint8_t on = val & ~s->ier;

	s->ier = val & IER_MASK;
	/* Switching it on asks again, even if it was answered: drivers probe for that. */
	if ((on & IER_THRI) && !s->tx.n)
		s->thre_pending = true;
	tx_allow_burst(s);
}

static void write_fcr(struct serial *s, uint8_t val)
{
	if ((val ^ s->fcr) & FCR_ENABLE)
		val |= FCR_CLEAR_RX | FCR_CLEAR_TX;
	if (val & FCR_CLEAR_RX) {
		s->rx.n = 0;
		s->brk = false;
	}
	if ((val & FCR_CLEAR_TX) && s->tx.n) {
		s->tx.n = 0;
		s->thre_pending = true;
	}
	s->fcr = val & FCR_ENABLE ? val & (FCR_ENABLE | FCR_TRIGGER) : 0;
}

static uint8_t reg_read(struct serial *s, unsigned reg)
{
	bool dlab = s->lcr & LCR_DLAB;

	if (reg != REG_LSR && (reg != REG_DATA || dlab))
		s->looks = 0;
	switch (reg) {
	case REG_DATA:
		return dlab ? s->dll : read_data(s);
	case REG_IER:
		return dlab ? s->dlm : s->ier;
	case REG_IIR:
		return read_iir(s);
	case REG_LCR:
		return s->lcr;
	case REG_MCR:
		return s->mcr;
	case REG_LSR:
		return read_lsr(s);
	case REG_MSR:
		return read_msr(s);
	default:
		return s->scr;
	}
}

static void reg_write(struct serial *s, unsigned reg, uint8_t val)
{
	bool dlab = s->lcr & LCR_DLAB;

	if (reg != REG_DATA || dlab)
		s->looks = 0;
	switch (reg) {
	case REG_DATA:
		if (dlab)
			s->dll = val;
		else
			tx_byte(s, val);
		break;
	case REG_IER:
		if (dlab)
			s->dlm = val;
		else
			write_ier(s, val);
		break;
	case REG_IIR:
		write_fcr(s, val);
		break;
	case REG_LCR:
		s->lcr = val;
		break;
	case REG_MCR:
		s->mcr = val & MCR_MASK;
		msr_update(s);
		tx_allow_burst(s);
		break;
	case REG_SCR:
		s->scr = val;
		break;
	default: /* LSR and MSR are the hardware's to write */
		break;
	}
}

/* The registers are bytes; a wider access is that many of them, as on the ISA bus. */
static uint64_t serial_read(void *opaque, uint64_t off, unsigned len)
{
	struct serial *s = opaque;
	uint64_t val = 0;

	for (unsigned i = 0; i < len; i++)
		val |= (uint64_t)reg_read(s, (unsigned)off + i) << (8 * i);
	line_update(s);
	return val;
}

static void serial_write(void *opaque, uint64_t off, unsigned len, uint64_t val)
{
	struct serial *s = opaque;

	for (unsigned i = 0; i < len; i++)
		reg_write(s, (unsigned)off + i, (uint8_t)(val >> (8 * i)));
	line_update(s);
}

static const struct bus_ops serial_ops = { .read = serial_read, .write = serial_write };

/* --- the channel's side --------------------------------------------------------------------- */

static void serial_readable(void *opaque)
{
	struct serial *s = opaque;

	bus_lock(&s->slot);
	line_update(s);
	bus_unlock(&s->slot);
}

static void serial_writable(void *opaque)
{
	struct serial *s = opaque;

	bus_lock(&s->slot);
	if (s->tx.n)
		tx_drain(s);
	line_update(s);
	bus_unlock(&s->slot);
}

/* A break is a null byte with a mark; both go ahead of what is on the wire. */
void serial_sysrq(struct serial *s, char key)
{
	bus_lock(&s->slot);
	if (!(s->mcr & MCR_LOOP)) {
		s->rx.byte[0] = 0;
		s->rx.byte[1] = (uint8_t)key;
		s->rx.n = 2;
		s->brk = true;
		line_update(s);
	}
	bus_unlock(&s->slot);
}

struct serial *serial_open(const char *name, struct bus *pio, uint16_t port, struct irq_line line,
			   struct chan *chan, struct loop *loop)
{
	struct serial *s = calloc(1, sizeof(*s));
	int err = s ? burst_open(&s->burst, pio, port, loop, &s->slot) : -ENOMEM;

	if (err) {
		log_err(name, "cannot make the serial port: %s", strerror(-err));
		free(s);
		return NULL;
	}
	s->pio = pio;
	s->line = line;
	s->chan = chan;
	s->msr = MSR_CTS | MSR_DSR | MSR_DCD;
	s->dll = 12; /* 9600 baud */
	s->thre_pending = true;
	pthread_mutex_init(&s->slot.lock, NULL);
	if (chan)
		chan_attach(chan, &(struct chan_user){ .readable = serial_readable,
						       .writable = serial_writable,
						       .opaque = s });
	s->range = (struct bus_range){ .base = port, .len = SERIAL_PORTS, .ops = &serial_ops,
				       .opaque = s, .name = name, .slot = &s->slot, .prio = 1 };
	bus_map(pio, &s->range);
	return s;
}

void serial_close(struct serial *s)
{
	if (!s)
		return;
	burst_close(&s->burst);
	bus_unmap(s->pio, &s->range);
	if (s->chan)
		chan_attach(s->chan, NULL);
	pthread_mutex_destroy(&s->slot.lock);
	free(s);
}
