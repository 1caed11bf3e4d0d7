/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * kconfig: what lkvm needs to be built into a kernel, and what a given kernel has.
 *
 * The files are the user's, but may be broken or hostile: everything read from them is checked, and
 * memory is bounded.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* --- the table ------------------------------------------------------------------------------ */

/* One configuration symbol; the list ends with symbol NULL. */
struct kconfig_need {
	const char *device; /* "boot", "serial", "disk" ...: see kconfig_devices[] */
	const char *symbol; /* without CONFIG_ */
	const char *other;  /* a symbol that does as well, or NULL */
	const char *module; /* its file without .ko when it can be a module, or NULL */
	bool wish;	    /* works without, less well */
	const char *why;    /* one phrase; NULL: only because of: */
	const char *by;	    /* the symbol that depends on it; not looked at in a kernel that has that */
};

extern const struct kconfig_need kconfig_needs[];

/* The words for devices, in the table's order; "boot" first. Ends with word NULL. */
struct kconfig_device {
	const char *word, *help;
	bool always; /* no guest comes without it */
};

extern const struct kconfig_device kconfig_devices[];

#define KCONFIG_DEVICES_MAX 32 /* so that a set of them is a uint32_t, bit i for kconfig_devices[i] */

/* "disk,net" -> set; always-devices are in it. 0 or -EINVAL, logged as `WHAT: ...`. */
int kconfig_device_set(const char *what, const char *words, uint32_t *set);
bool kconfig_wanted(const struct kconfig_need *need, uint32_t set);

/* --- a kernel's own configuration ----------------------------------------------------------- */

enum kconfig_state { KCONFIG_NO, KCONFIG_MODULE, KCONFIG_YES };

struct kconfig_text {
	char *text; /* as in a .config file, NUL-terminated */
	char *from; /* "IKCONFIG in FILE", or the file's name */
};

/*
 * Finds the configuration of a kernel image (bzImage or vmlinux): inside it (CONFIG_IKCONFIG), beside
 * it, or in /boot and /lib/modules under its version. A path that is no kernel but a text with
 * CONFIG_ lines is taken as it is. 0 or -errno, logged.
 */
int kconfig_open(struct kconfig_text *conf, const char *kernel);
void kconfig_close(struct kconfig_text *conf);

enum kconfig_state kconfig_get(const struct kconfig_text *conf, const char *symbol);
/* The better of need's symbol and its other. */
enum kconfig_state kconfig_has(const struct kconfig_text *conf, const struct kconfig_need *need);
