/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * command: a command in the guest, from the host's side: its order, its streams, its status.
 *
 * It lives on the I/O loop; what others call says so.
 */
#pragma once

#include "lkvm/config.h"
#include "lkvm/loop.h"
#include "lkvm/virtio.h"

struct command;

enum { COMMAND_PORTS = 3 };

/* What it tells the machine; all on the loop. */
struct command_user {
	void (*booted)(void *opaque);		  /* the first process is there */
	void (*done)(void *opaque, int status);	  /* the command has ended; its status */
	void (*no_end)(void *opaque, int status); /* ... but the guest doesn't switch off */
	void (*quit)(void *opaque);		  /* Ctrl-a x on its terminal */
	void *opaque;
};

/* Opens its streams and ports. NULL: logged. */
struct command *command_open(struct loop *loop, const struct config_command *conf,
			     const struct command_user *user);
void command_ports(struct command *command, struct console_port ports[COMMAND_PORTS]);
/* For the serial port over which a guest without a virtio console has the same ports. */
struct chan *command_serial(struct command *command);
/* Any thread. False: it hasn't started, or has ended. */
bool command_signal(struct command *command, int signo);
void command_resized(struct command *command); /* any thread */
void command_close(struct command *command);   /* after the loop; what was written is written out */
