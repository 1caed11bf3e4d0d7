/* SPDX-License-Identifier: GPL-2.0-only */
/* serial_regs: a 16550A's registers and their bits (National's PC16550D data sheet, 8.0). */
#pragma once

enum serial_reg {
	REG_DATA = 0, /* RBR, THR; DLAB: divisor low */
	REG_IER = 1,  /* DLAB: divisor high */
	REG_IIR = 2,  /* read; write: FCR */
	REG_LCR = 3,
	REG_MCR = 4,
	REG_LSR = 5,
	REG_MSR = 6,
	REG_SCR = 7,
	SERIAL_PORTS = 8,
};

enum {
	IER_RDI = 0x01,	 /* received data */
	IER_THRI = 0x02, /* transmitter empty */
	IER_RLSI = 0x04, /* line status */
	IER_MSI = 0x08,	 /* modem status */
	IER_MASK = 0x0f,

	IIR_NONE = 0x01,
	IIR_MSI = 0x00,
	IIR_THRI = 0x02,
	IIR_RDI = 0x04,
	IIR_RLSI = 0x06,
	IIR_TIMEOUT = 0x0c,
	IIR_FIFO = 0xc0,

	FCR_ENABLE = 0x01,
	FCR_CLEAR_RX = 0x02,
	FCR_CLEAR_TX = 0x04,
	FCR_TRIGGER = 0xc0,

	LCR_DLAB = 0x80,

	MCR_DTR = 0x01,
	MCR_RTS = 0x02,
	MCR_OUT1 = 0x04,
	MCR_OUT2 = 0x08, /* connects the interrupt, on a PC */
	MCR_LOOP = 0x10,
	MCR_MASK = 0x1f,

	LSR_DR = 0x01,
	LSR_OE = 0x02,
	LSR_BI = 0x10,
	LSR_THRE = 0x20,
	LSR_TEMT = 0x40,

	MSR_DELTA = 0x0f, /* DCTS DDSR TERI DDCD */
	MSR_CTS = 0x10,
	MSR_DSR = 0x20,
	MSR_RI = 0x40,
	MSR_DCD = 0x80,
};
