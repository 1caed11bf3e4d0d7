/* SPDX-License-Identifier: GPL-2.0-only */
/* init: what the files of the guest's first process know of each other. */
#pragma once

#include "guest/command.h"
#include "sys.h"

/* The ports, open and non-blocking, for fd_read() and so on; NO_FD until they have been found. */
#define NO_FD (-1)
struct ports {
	int control, stdio, err;
};
extern struct ports ports;

/* main.c: a line on the kernel's console, and to the host once there is a control port. */
void say(const char *const *parts);
#define SAY(...) say((const char *const[]){ __VA_ARGS__, NULL })
/* Syncs and switches off. */
__attribute__((noreturn)) void switch_off(void);

/* setup.c: file systems, modules, ports. All of it says itself what fails. */
void setup_mounts(void);
void setup_modules(void);
bool setup_ports(void);
void setup_clean(void); /* what only we needed is removed */
void setup_loopback(void);

/* line.c: the ports over a serial line. */
bool line_setup(void); /* false: the kernel has no such line */
void line_begin(int fd); /* over this descriptor */
/* read, write and poll, where a descriptor may be one of ports; poll takes up to POLL_MAX. */
#define POLL_MAX 8
long fd_read(int fd, void *dst, size_t len);
long fd_write(int fd, const void *src, size_t len);
long fd_poll(struct pollfd *p, unsigned n, int ms);

/* control.c: messages. */
struct message {
	uint32_t type, len;
	char *payload;
};
/* The next message that is complete; false: none yet. Ends the guest when the host talks nonsense. */
bool control_receive(struct message *msg);
/* Waits until the port has taken it. */
void control_send(uint32_t type, const void *payload, uint32_t len);
/* Waits for a message of that type, throws away others. */
void control_wait(uint32_t type, struct message *msg);

/* spawn.c: the command as a process. */
struct child {
	long pid;
	int in, out, err; /* our ends, non-blocking; NO_FD: closed. With a terminal in and out are one */
	bool tty;
};
/* False: status says why. */
bool spawn(struct message *start, struct child *child, struct command_status *status);
void spawn_resize(const struct child *child, uint16_t cols, uint16_t rows);

/* pump.c: carries the bytes until the command has ended and all it wrote has been sent. */
void pump(struct child *child, struct command_status *status);

__attribute__((noreturn, used)) void init_main(long argc, char **argv);
