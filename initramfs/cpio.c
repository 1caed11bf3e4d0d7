// SPDX-License-Identifier: GPL-2.0-only
/*
 * cpio: headers of thirteen hexadecimal numbers, names and bodies, each padded to four bytes.
 *
 * Runs on: main.
 */
#include "initramfs/cpio.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>

#include "lkvm/log.h"

#define HEADER 110 /* "070701" and 13 numbers of eight digits */
#define TRAILER "TRAILER!!!"

static uint64_t pad4(uint64_t len)
{
	return (len + 3) & ~3ULL;
}

int cpio_open(struct cpio *c, uint64_t limit)
{
	*c = (struct cpio){ .limit = pad4(limit) };
	/* Only what is written to takes memory. */
	c->buf = mmap(NULL, c->limit, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (c->buf == MAP_FAILED) {
		c->buf = NULL;
		log_err(NULL, "cannot make an initramfs: %s", strerror(errno));
		return -ENOMEM;
	}
	return 0;
}

void cpio_close(struct cpio *c)
{
	if (c->buf)
		munmap(c->buf, c->limit);
	c->buf = NULL;
}

/* len bytes at the end, padded; NULL: beyond the limit. */
static uint8_t *reserve(struct cpio *c, uint64_t len)
{
	uint8_t *at = c->buf + c->len;

	/* Once beyond it, nothing smaller is put in where there is still room. */
	if (c->full || pad4(len) > c->limit - c->len) {
		c->full = true;
		at = NULL;
	}
	c->len += pad4(len);
	return at;
}

static void add_header(struct cpio *c, const struct cpio_entry *e)
{
	size_t name = strlen(e->name) + 1;
	uint8_t *at = reserve(c, HEADER + name);
	char head[HEADER + 1];

	if (!at)
		return;
	snprintf(head, sizeof(head), "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X",
		 e->ino ? e->ino : ++c->ino, (unsigned)e->mode, (unsigned)e->uid, (unsigned)e->gid,
		 e->nlink ? e->nlink : 1, e->mtime > 0 ? (unsigned)e->mtime : 0, e->size, 0, 0,
		 major(e->rdev), minor(e->rdev), (unsigned)name, 0);
	memcpy(at, head, HEADER);
	memcpy(at + HEADER, e->name, name);
}

uint8_t *cpio_add(struct cpio *c, const struct cpio_entry *e)
{
	add_header(c, e);
	c->files++;
	c->pages += ((uint64_t)e->size + 4095) / 4096;
	return e->size ? reserve(c, e->size) : NULL;
}

void cpio_file(struct cpio *c, const char *name, mode_t mode, const void *bytes, uint32_t size)
{
	struct cpio_entry e = { .name = name, .mode = mode, .size = size };
	uint8_t *at = cpio_add(c, &e);

	if (at)
		memcpy(at, bytes, size);
}

void cpio_parents(struct cpio *c, const char *name)
{
	for (const char *slash = strchr(name, '/'); slash; slash = strchr(slash + 1, '/')) {
		char dir[CPIO_NAME_MAX + 1];
		size_t len = (size_t)(slash - name);

		if (!len || len > CPIO_NAME_MAX)
			continue;
		memcpy(dir, name, len);
		dir[len] = 0;
		cpio_file(c, dir, S_IFDIR | 0755, NULL, 0);
	}
}

void cpio_end(struct cpio *c)
{
	struct cpio_entry e = { .name = TRAILER };

	add_header(c, &e);
}
