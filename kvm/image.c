// SPDX-License-Identifier: GPL-2.0-only
/*
 * image: a file that is loaded into the guest. Read, never mapped: a file that shrinks meanwhile is
 * an error, not a SIGBUS.
 *
 * Runs on: main
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kvm/load.h"
#include "lkvm/log.h"

int image_open(struct image *img, const char *what, const char *path)
{
	struct stat st;
	int err;

	*img = (struct image){ .what = what, .path = path, .fd = -1 };
	/* Not to wait for a FIFO's other end. */
	img->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (img->fd < 0 || fstat(img->fd, &st) < 0) {
		err = errno;
		log_err(NULL, "cannot open %s %s: %s", what, path, strerror(err));
		goto err_close;
	}
	if (!S_ISREG(st.st_mode)) {
		err = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
		log_err(NULL, "cannot use %s %s: it is %s. Fix: name a regular file", what, path,
			S_ISDIR(st.st_mode) ? "a directory" : "no regular file");
		goto err_close;
	}
	if (!st.st_size) {
		err = EINVAL;
		log_err(NULL, "cannot use %s %s: the file is empty", what, path);
		goto err_close;
	}
	img->size = (uint64_t)st.st_size;
	return 0;

err_close:
	image_close(img);
	return -err;
}

void image_close(struct image *img)
{
	if (img->fd >= 0)
		close(img->fd);
	img->fd = -1;
}

int image_refuse(const struct image *img, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_err(NULL, "cannot use %s %s: %s", img->what, img->path, text);
	return -ENOEXEC;
}

int image_read(const struct image *img, uint64_t off, void *dst, uint64_t len)
{
	uint8_t *to = dst;

	if (off > img->size || len > img->size - off)
		return image_refuse(img, "it is truncated: its headers point beyond its %llu bytes",
				    (unsigned long long)img->size);
	while (len) {
		ssize_t n = pread(img->fd, to, len, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			int err = errno;

			log_err(NULL, "cannot read %s %s: %s", img->what, img->path, strerror(err));
			return -err;
		}
		if (!n)
			return image_refuse(img, "it became shorter while it was read");
		to += n;
		off += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return 0;
}

int image_load(const struct image *img, uint64_t off, struct gmem *mem, uint64_t gpa, uint64_t len)
{
	void *dst;

	if (!len)
		return 0;
	dst = gmem_ptr(mem, gpa, len);
	if (!dst)
		return image_refuse(img, "%llu bytes at %#llx do not fit into the guest's RAM. "
				    "Fix: give more with -m", (unsigned long long)len,
				    (unsigned long long)gpa);
	return image_read(img, off, dst, len);
}
