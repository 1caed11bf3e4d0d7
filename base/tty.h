/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * tty: one terminal of this process in raw mode, given back on every way out: return, exit(), a
 * signal, a crash. Only SIGKILL can't be helped.
 */
#pragma once

#include <stdbool.h>

/* May this process read fd now? True as well when fd isn't its controlling terminal. */
bool tty_foreground(int fd);

/*
 * Raw mode on fd; the first call remembers what to restore and takes the signals that would end or
 * stop the process, as far as nobody else has. Again after a stop. Returns 0 or -errno.
 */
int tty_raw(int fd);
void tty_restore(void); /* any thread, signal handlers; no-op when not raw */
void tty_release(void); /* restores, and gives the signals back */

/* An eventfd that gets an event when the process goes on after a stop; -1: none. */
void tty_on_continue(int eventfd);
/* True once after each time that happened. */
bool tty_continued(void);
