// SPDX-License-Identifier: GPL-2.0-only
/*
 * tree: a folder of the host into the archive, in the order of names, so that the same folder gives
 * the same archive.
 *
 * Links are stored, never followed. Devices are stored for root only, sockets never; other file
 * systems mounted inside are stored as the empty folders they are mounted on (a host's /proc would have
 * no end). Files of the user who runs lkvm become root's in the guest, so that a tree which
 * was unpacked without root's rights is what it was meant to be.
 *
 * Runs on: main.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "initramfs/cpio.h"
#include "lkvm/log.h"

#define DEPTH_MAX 200 /* each level holds a descriptor */

/* A file with several names: stored once. */
struct hard_link {
	dev_t dev;
	ino_t ino;
	uint32_t as; /* ino in the archive; 0: empty slot */
};

struct tree {
	struct cpio *cpio;
	const char *dir;
	dev_t dev;
	bool root; /* may store devices, and owners as they are */
	unsigned depth;
	char name[CPIO_NAME_MAX + 1]; /* of the entry, below dir */
	size_t len;
	struct hard_link *links; /* open addressing; n_slots a power of two */
	size_t n_links, n_slots;
	unsigned long sockets, devices, mounts, too_long, unreadable;
};

/* --- hard links ----------------------------------------------------------------------------------- */

static struct hard_link *link_slot(struct hard_link *links, size_t n, dev_t dev, ino_t ino)
{
	size_t i = (size_t)(ino * 0x9e3779b97f4a7c15ULL >> 20) & (n - 1);

	while (links[i].as && (links[i].ino != ino || links[i].dev != dev))
		i = (i + 1) & (n - 1);
	return &links[i];
}

static int grow_links(struct tree *t)
{
	size_t n = t->n_slots ? 2 * t->n_slots : 256;
	struct hard_link *links = calloc(n, sizeof(*links));

	if (!links)
		return -ENOMEM;
	for (size_t i = 0; i < t->n_slots; i++)
		if (t->links[i].as)
			*link_slot(links, n, t->links[i].dev, t->links[i].ino) = t->links[i];
	free(t->links);
	t->links = links;
	t->n_slots = n;
	return 0;
}

/* The archive's number for this file; *first: it has not been stored before. */
static int link_number(struct tree *t, const struct stat *st, uint32_t *as, bool *first)
{
	struct hard_link *slot;

	if (t->n_links * 2 >= t->n_slots && grow_links(t))
		return -ENOMEM;
	slot = link_slot(t->links, t->n_slots, st->st_dev, st->st_ino);
	*first = !slot->as;
	if (*first) {
		*slot = (struct hard_link){ st->st_dev, st->st_ino, ++t->cpio->ino };
		t->n_links++;
	}
	*as = slot->as;
	return 0;
}

/* --- entries ------------------------------------------------------------------------------------ */

static struct cpio_entry entry_of(const struct tree *t, const struct stat *st)
{
	struct cpio_entry e = { .name = t->name, .mode = st->st_mode, .uid = st->st_uid,
				.gid = st->st_gid, .mtime = st->st_mtime };

	if (!t->root && e.uid == geteuid())
		e.uid = 0;
	if (!t->root && e.gid == getegid())
		e.gid = 0;
	return e;
}

/* size bytes of fd into the archive. A file that shrinks meanwhile ends in zeroes. */
static int read_body(int fd, uint8_t *to, uint64_t size, const char *path)
{
	uint64_t done = 0;

	while (to && done < size) {
		ssize_t n = pread(fd, to + done, size - done, (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			int err = errno;

			log_err(NULL, "cannot read %s: %s", path, strerror(err));
			return -err;
		}
		if (!n) {
			log_warn(NULL, "%s became shorter while it was packed", path);
			break;
		}
		done += (uint64_t)n;
	}
	return 0;
}

static int add_file(struct tree *t, int dir, const char *base, const struct stat *was)
{
	struct cpio_entry e = entry_of(t, was);
	struct stat st;
	bool first = true;
	int fd, err = 0;

	if (was->st_nlink > 1) {
		err = link_number(t, was, &e.ino, &first);
		e.nlink = 2;
	}
	if (err || !first) {
		cpio_add(t->cpio, &e);
		return err;
	}
	fd = openat(dir, base, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		/* A tree of a distribution has files that only its root may read (/etc/shadow). */
		if (!t->unreadable++)
			log_warn(NULL, "%s/%s: %s; left out", t->dir, t->name, strerror(errno));
		goto out;
	}
	if ((uint64_t)st.st_size > CPIO_FILE_MAX) {
		log_err(NULL, "%s/%s: a file in an initramfs is smaller than 4 GiB", t->dir, t->name);
		err = -EFBIG;
		goto out;
	}
	e.size = (uint32_t)st.st_size;
	err = read_body(fd, cpio_add(t->cpio, &e), e.size, t->name);
out:
	if (fd >= 0)
		close(fd);
	return err;
}

static int add_link(struct tree *t, int dir, const char *base, const struct stat *st)
{
	struct cpio_entry e = entry_of(t, st);
	char target[CPIO_NAME_MAX + 1];
	ssize_t n = readlinkat(dir, base, target, sizeof(target));
	uint8_t *at;

	if (n < 0 || n > CPIO_NAME_MAX) {
		t->too_long++;
		return 0;
	}
	e.size = (uint32_t)n;
	at = cpio_add(t->cpio, &e);
	if (at)
		memcpy(at, target, (size_t)n);
	return 0;
}

static int add_folder(struct tree *t, int parent, const char *base);

static int add_entry(struct tree *t, int dir, const char *base)
{
	struct cpio_entry e;
	struct stat st;

	if (fstatat(dir, base, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno; /* gone since it was listed */
	e = entry_of(t, &st);
	switch (st.st_mode & S_IFMT) {
	case S_IFREG:
		return add_file(t, dir, base, &st);
	case S_IFLNK:
		return add_link(t, dir, base, &st);
	case S_IFDIR:
		cpio_add(t->cpio, &e);
		if (st.st_dev == t->dev)
			return add_folder(t, dir, base);
		t->mounts++;
		return 0;
	case S_IFIFO:
		cpio_add(t->cpio, &e);
		return 0;
	case S_IFCHR:
	case S_IFBLK:
		e.rdev = st.st_rdev;
		if (t->root)
			cpio_add(t->cpio, &e);
		else
			t->devices++;
		return 0;
	default:
		t->sockets++;
		return 0;
	}
}

/* --- folders ------------------------------------------------------------------------------------ */

static int skip_dots(const struct dirent *d)
{
	return strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* One name behind the path so far; false: it would be too long for the kernel. */
static bool enter(struct tree *t, const char *base)
{
	int n = snprintf(t->name + t->len, sizeof(t->name) - t->len, "%s%s", t->len ? "/" : "", base);

	if (n < 0 || (size_t)n >= sizeof(t->name) - t->len) {
		t->name[t->len] = 0;
		return false;
	}
	t->len += (size_t)n;
	return true;
}

static int add_entries(struct tree *t, int dir, struct dirent **list, int n)
{
	size_t len = t->len;
	int err = 0;

	for (int i = 0; i < n; i++) {
		if (!err && enter(t, list[i]->d_name)) {
			err = add_entry(t, dir, list[i]->d_name);
			if (err)
				log_err(NULL, "cannot pack %s/%s: %s", t->dir, t->name, strerror(-err));
		} else {
			t->too_long++;
		}
		t->len = len;
		t->name[len] = 0;
		free(list[i]);
	}
	free(list);
	return err;
}

static int add_folder(struct tree *t, int parent, const char *base)
{
	int fd = openat(parent, base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct dirent **list;
	int n, err;

	if (fd < 0) {
		if (!t->unreadable++)
			log_warn(NULL, "%s/%s: %s; left out", t->dir, t->name, strerror(errno));
		return 0;
	}
	if (t->depth == DEPTH_MAX) {
		close(fd);
		return -ELOOP;
	}
	t->depth++;
	n = scandirat(fd, ".", &list, skip_dots, by_name);
	err = n < 0 ? -errno : add_entries(t, fd, list, n);
	t->depth--;
	close(fd);
	return err;
}

static void say_skipped(const struct tree *t)
{
	static const char more[] = "%s: %lu %s";

	if (t->sockets)
		log_warn(NULL, more, t->dir, t->sockets, "sockets left out");
	if (t->devices)
		log_warn(NULL, more, t->dir, t->devices, "device nodes left out: only root may pass them on");
	if (t->mounts)
		log_warn(NULL, more, t->dir, t->mounts, "other file systems mounted in it are left empty");
	if (t->too_long)
		log_warn(NULL, more, t->dir, t->too_long, "names too long for an initramfs left out");
	if (t->unreadable > 1)
		log_warn(NULL, more, t->dir, t->unreadable, "files that cannot be read left out");
}

int tree_add(struct cpio *cpio, const char *dir)
{
	struct tree t = { .cpio = cpio, .dir = dir, .root = geteuid() == 0 };
	struct stat st;
	int fd, err;

	/* The folder itself may be given by a link. */
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0) {
		err = -errno;
		log_err(NULL, "--rootfs %s: %s", dir, strerror(-err));
		return err;
	}
	t.dev = st.st_dev;
	err = add_folder(&t, fd, ".");
	close(fd);
	free(t.links);
	say_skipped(&t);
	return err;
}

int tree_add_file(struct cpio *cpio, const char *path, const char *name)
{
	struct cpio_entry e = { .name = name };
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC), err;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0) {
		err = -errno;
		log_err(NULL, "cannot read %s: %s", path, strerror(-err));
	} else if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size > CPIO_FILE_MAX) {
		log_err(NULL, "cannot pack %s: it is no regular file below 4 GiB", path);
		err = -EINVAL;
	} else {
		e.mode = st.st_mode;
		e.mtime = st.st_mtime;
		e.size = (uint32_t)st.st_size;
		err = read_body(fd, cpio_add(cpio, &e), e.size, path);
	}
	if (fd >= 0)
		close(fd);
	return err;
}
