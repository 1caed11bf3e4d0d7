/* SPDX-License-Identifier: GPL-2.0-only */
/* gdb_priv.h: a conversation with a debugger, apart from the socket it comes by. */
#pragma once

#include "lkvm/gdb.h"

#define PACKET_MAX 0x2000U /* told to the peer; of a packet's content, either way */
#define OUT_MAX	   (4 * PACKET_MAX)

/* Thread ids are vCPU numbers + 1; these two have a meaning of their own. */
enum { THREAD_ANY = 0, THREAD_ALL = -1 };

struct point {
	struct control_point p;
	char type; /* '0'..'4' as in Z packets; 0: free */
};

struct session {
	const struct gdb_ops *ops;
	void *opaque;

	enum { BETWEEN, INSIDE, SUM1, SUM2 } at;
	char in[PACKET_MAX + 1];
	size_t in_len;
	uint8_t sum, want;
	bool too_long, no_ack;

	char reply[PACKET_MAX];
	size_t reply_len;
	char out[OUT_MAX]; /* to be sent, in order */
	size_t out_len;
	char last[PACKET_MAX + 4]; /* the newest packet, in case it is asked for again */
	size_t last_len;

	bool running, over; /* over: the connection is to be closed */
	unsigned cpu;	    /* of g, G, p, P, m, M, X */
	unsigned listed;    /* threads told so far */
	unsigned stop_cpu;  /* which one stopped last */
	struct point hit;   /* of what; type 0: of nothing that has a name */
	struct point late[VM_CPUS_MAX]; /* watchpoints hit at the same time, not told yet; type 0: none */
	struct point point[CONTROL_POINTS];
};

/* --- packet.c */
void session_feed(struct session *s, const void *bytes, size_t len);
void session_sent(struct session *s, size_t len); /* the first len bytes of out are gone */
void reply_start(struct session *s);
void reply_text(struct session *s, const char *text);
__attribute__((format(printf, 2, 3))) void reply_fmt(struct session *s, const char *fmt, ...);
void reply_hex(struct session *s, const void *bytes, size_t len);
void reply_binary(struct session *s, const void *bytes, size_t len); /* with escapes */
void reply_send(struct session *s);
int hex_digit(char c);				   /* -1: none */
bool hex_number(const char **text, uint64_t *val); /* and steps over it */
bool hex_bytes(const char *text, size_t n, void *dst); /* 2 * n digits to n bytes */

/* --- session.c */
void session_open(struct session *s, const struct gdb_ops *ops, void *opaque); /* stops the machine */
void session_packet(struct session *s, const char *text, size_t len); /* a zero is behind it */
void session_interrupt(struct session *s);			      /* Ctrl-C */
void session_stopped(struct session *s);			      /* by itself */
void session_close(struct session *s); /* the machine goes on, without points */

/* --- access.c */
void access_packet(struct session *s, const char *text, size_t len);

/* --- points.c */
void point_set(struct session *s, const char *text, bool insert);
bool point_is_set(const struct session *s, const struct point *point);
void points_of(const struct session *s, struct control_point points[CONTROL_POINTS]);

/* --- target.c: registers */
struct target {
	struct control_regs regs;
	struct control_fpu fpu;
};

#define REG_BYTES_MAX 16

unsigned target_regs(void);
size_t target_get(const struct target *t, unsigned reg, uint8_t bytes[REG_BYTES_MAX]); /* 0: no such one */
bool target_set(struct target *t, unsigned reg, const uint8_t bytes[REG_BYTES_MAX]);
bool target_is_fpu(unsigned reg);
const char *target_xml(void); /* describes them */
