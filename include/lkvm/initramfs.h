/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * initramfs: the archive (cpio, "newc") that a guest which runs one command starts from, made in
 * memory: a folder of the host or just one program, our first process, and the kernel's modules.
 *
 * Runs on: main, before the first vCPU.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define INITRAMFS_WANTED 16

struct initramfs_conf {
	const char *rootfs;  /* the folder that becomes the guest's root; NULL: none */
	const char *program; /* a host's program with what it needs to start; NULL: none */
	const char *modules; /* the folder with modules.dep; NULL: the kernel needs none */
	const char *wanted[INITRAMFS_WANTED]; /* modules by name, up to a NULL; ?NAME isn't missed */
	uint64_t ram;	     /* of the guest, bytes: what has to hold all this */
};

struct initramfs {
	uint8_t *bytes;
	size_t len;
	size_t mapped;
};

/* 0 or -errno, logged: -ENOSPC when the guest's RAM can't hold it. */
int initramfs_build(const struct initramfs_conf *conf, struct initramfs *out);
void initramfs_free(struct initramfs *fs);

/*
 * The program that name means to a shell on this host: its real path, malloc'ed. -ENOENT or -EACCES,
 * logged, as a shell's 127 and 126.
 */
int initramfs_find_program(const char *name, char **path);

/*
 * The modules of this kernel: given is what the user said (a folder with modules.dep, or one that
 * has lib/modules/VERSION in it) or NULL, then it is looked for beside the kernel and in
 * /lib/modules. *dir is malloc'ed; NULL: there are none. -ENOENT, logged, only when given.
 */
int initramfs_find_modules(const char *given, const char *kernel, const char *version, char **dir);

/* The guest's first process (guest/init). */
extern const uint8_t guest_init[];
extern const uint32_t guest_init_len;
