/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * config: what the user asked for, as plain data; constant once parsing is over.
 *
 * Strings and arrays belong to the struct and are freed by config_free().
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lkvm/netif.h"
#include "lkvm/opt.h"
#include "lkvm/virtio.h"

#define CONFIG_DISKS 16
#define CONFIG_NETS 24
#define CONFIG_QUEUES 16 /* the most of one device: queues=, and threads in iothread= */

enum config_console { CONSOLE_SERIAL, CONSOLE_VIRTIO, CONSOLE_NONE };

/* The layout of one device; LAYOUT_DEFAULT: as --virtio says. */
enum { LAYOUT_DEFAULT = 3 };

struct config_disk {
	char *path, *format, *serial, *features;
	char *iothread; /* "A+B": queue n on the nth of them, from the beginning again after the last */
	bool readonly, direct;
	uint64_t queues, queue_size; /* 0: the device's default */
	unsigned virtio;	     /* enum virtio_layout or LAYOUT_DEFAULT */
};

struct config_net {
	unsigned mode; /* enum netif_mode */
	char *tap, *host_ip, *script, *iothread, *features;
	uint64_t fd, queues, queue_size, mtu;
	uint8_t mac[6]; /* all zero: made up */
	bool vhost;
	struct opt_list publish;
	unsigned virtio;
};

/* What --on-panic and its like say. */
enum config_on { ON_EXIT, ON_DUMP, ON_KEEP };

/* How the guest is watched and judged; docs/verdicts.md. */
struct config_watch {
	uint64_t timeout, boot_timeout, idle_timeout, lockup_timeout; /* nanoseconds; 0: none */
	char *expect, *allow;			      /* NULL: none */
	unsigned fail_on;	    /* WATCH_BIT()s, when fail_on_given; else the default */
	bool fail_on_given;
	struct opt_list fail_on_own; /* "NAME=REGEX" */
	enum config_on on_panic, on_reboot, on_timeout, on_expect;
};

/* The command that is run in the guest; docs/commands.md. */
struct config_command {
	char **argv; /* of this process: not freed */
	unsigned argc; /* 0: none, the guest runs what its initrd or disk says */
	struct opt_list env; /* NAME=VALUE */
	char *workdir, *rootfs, *modules; /* NULL: not given */
	char *program; /* without rootfs and initrd: the host's, by its real path */
	bool tty;
};

struct config {
	char *name; /* the process's name in ps; NULL: lkvm */
	char *kernel, *initrd, *params;
	unsigned cpus;
	uint64_t mem; /* bytes */
	unsigned mem_flags;	 /* GMEM_* */
	enum config_console console;
	char *console_log, *result;
	enum virtio_layout virtio;
	char *features; /* for every device; NULL: none */
	bool debug_exit;  /* the port that ends the guest */
	bool debug_exits; /* count the guest's exits to user space */
	uint64_t poll_ns; /* the longest that an I/O thread looks before it sleeps; 0: it does not */
	struct config_disk disk[CONFIG_DISKS];
	unsigned n_disks;
	struct config_net net[CONFIG_NETS];
	unsigned n_nets;
	struct config_watch watch;
	char *symbols, *dump; /* NULL: none */
	char *gdb;	      /* where it listens; NULL: nowhere */
	bool gdb_wait;	      /* the guest begins stopped */
	struct config_command command;
};

void config_init(struct config *conf); /* the defaults */
void config_free(struct config *conf);
