/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * cpio: writes an archive in the "newc" format that Linux unpacks at its start, in memory.
 *
 * An archive that grows beyond its limit goes on being counted, so that the error can say how much
 * it would have been.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "lkvm/initramfs.h"

struct cpio {
	uint8_t *buf;
	uint64_t len, limit;
	bool full;	     /* too big: the rest is only counted, in len */
	uint32_t ino;	     /* the last that was given */
	uint64_t files, pages; /* entries; pages of 4 KiB that their bytes take when unpacked */
};

struct cpio_entry {
	const char *name; /* without a slash in front */
	mode_t mode;
	uid_t uid;
	gid_t gid;
	uint32_t ino;	/* 0: a new one */
	uint32_t nlink; /* 2 and more: entries of one ino are one file */
	time_t mtime;
	dev_t rdev;
	uint32_t size;
};

#define CPIO_NAME_MAX 4095 /* the kernel skips longer names, and longer targets of links */
#define CPIO_FILE_MAX 0xffffffffULL

int cpio_open(struct cpio *cpio, uint64_t limit); /* 0 or -errno, logged */
/* Where the entry's size bytes belong, zeroes until then; NULL: none, or they are only counted. */
uint8_t *cpio_add(struct cpio *cpio, const struct cpio_entry *entry);
/* The same with its bytes; for what we make up ourselves: root's, of the year 1970. */
void cpio_file(struct cpio *cpio, const char *name, mode_t mode, const void *bytes, uint32_t size);
/* The folders that lead to name, 0755. */
void cpio_parents(struct cpio *cpio, const char *name);
void cpio_end(struct cpio *cpio);
void cpio_close(struct cpio *cpio);

/* --- tree.c: a folder of the host. 0 or -errno, logged. */
int tree_add(struct cpio *cpio, const char *dir);
/* One regular file of the host under that name; links are followed. 0 or -errno, logged. */
int tree_add_file(struct cpio *cpio, const char *path, const char *name);

/* --- program.c: a program with its interpreter and its libraries. 0 or -errno, logged. */
int program_add(struct cpio *cpio, const char *path);

/* --- modules.c: the named modules and all they need, and the list in the order of loading. */
int modules_add(struct cpio *cpio, const char *dir, const char *const *wanted);

/* --- tool.c: what a program of the host prints: malloc'ed, a zero behind. 0 or -errno, not logged. */
int tool_read(const char *const *argv, size_t max, char **out, size_t *len);
