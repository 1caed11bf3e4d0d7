// SPDX-License-Identifier: GPL-2.0-only
/*
 * find: a kernel's configuration: inside its image, or beside it.
 *
 * With CONFIG_IKCONFIG the kernel carries its .config, packed by gzip, between two marks; in a
 * bzImage the kernel is itself packed.
 *
 * Runs on: main
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kconfig/unpack.h"
#include "lkvm/kconfig.h"
#include "lkvm/log.h"

#define FILE_MAX   (1ULL << 30)
#define CONFIG_MAX (8U << 20)

struct blob {
	uint8_t *bytes; /* a NUL behind the last */
	size_t len;
};

/* --- files ---------------------------------------------------------------------------------- */

static int blob_fill(struct blob *blob, int fd, size_t size)
{
	blob->bytes = malloc(size + 1);
	if (!blob->bytes)
		return -ENOMEM;
	while (blob->len < size) {
		ssize_t n = read(fd, blob->bytes + blob->len, size - blob->len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			break;
		blob->len += (size_t)n;
	}
	blob->bytes[blob->len] = 0;
	return 0;
}

/* 0 or -errno; not logged, as most of the places looked at have nothing. */
static int blob_read(struct blob *blob, const char *path, uint64_t max)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), err = 0;
	struct stat st;

	*blob = (struct blob){ 0 };
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		err = -errno;
	else if (!S_ISREG(st.st_mode))
		err = S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	else if ((uint64_t)st.st_size > max)
		err = -EFBIG;
	else
		err = blob_fill(blob, fd, (size_t)st.st_size);
	close(fd);
	if (err) {
		free(blob->bytes);
		blob->bytes = NULL;
	}
	return err;
}

/* --- inside the image ----------------------------------------------------------------------- */

/* The marks are in the kernel twice when it prints them itself: the right one is followed by gzip's. */
static int ikconfig(const uint8_t *bytes, size_t len, char **text)
{
	const uint8_t *at = bytes, *end = bytes + len;
	size_t n = 0;
	uint8_t *out;
	int err = -ENOENT;

	/* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): what was read is there */
	while ((at = memmem(at, (size_t)(end - at), "IKCFG_ST", 8))) {
		const char *kind;

		at += 8;
		kind = unpack_kind(at, (size_t)(end - at));
		if (!kind || strcmp(kind, "gzip"))
			continue;
		err = unpack(at, (size_t)(end - at), CONFIG_MAX, &out, &n);
		if (!err)
			break;
	}
	if (err)
		return err;
	*text = strndup((char *)out, n);
	free(out);
	return *text ? 0 : -ENOMEM;
}

static uint32_t le32(const struct blob *img, size_t at)
{
	uint32_t v;

	memcpy(&v, img->bytes + at, sizeof(v));
	return v;
}

static bool is_bzimage(const struct blob *img)
{
	return img->len >= 0x268 && !memcmp(img->bytes + 0x202, "HdrS", 4);
}

/* The packed kernel within a bzImage; boot protocol 2.08 says where. */
static bool payload(const struct blob *img, const uint8_t **at, size_t *len)
{
	unsigned sects = img->bytes[0x1f1] ? img->bytes[0x1f1] : 4;
	uint64_t off = (sects + 1ULL) * 512 + le32(img, 0x248), n = le32(img, 0x24c);

	if ((img->bytes[0x206] | img->bytes[0x207] << 8) < 0x208 || off > img->len || n > img->len - off)
		return false;
	*at = img->bytes + off;
	*len = n;
	return true;
}

static int inside(const struct blob *img, const char *path, char **text)
{
	const uint8_t *packed;
	uint8_t *kernel;
	size_t len = 0;
	int err;

	if (!is_bzimage(img))
		return ikconfig(img->bytes, img->len, text);
	if (!payload(img, &packed, &len))
		return -ENOENT;
	/* CONFIG_KERNEL_UNCOMPRESSED: the payload is the kernel. */
	if (!unpack_kind(packed, len))
		return ikconfig(packed, len, text);
	err = unpack(packed, len, UNPACK_MAX, &kernel, &len);
	if (err) {
		log_info(NULL, "cannot look into %s: %s %s", path, unpack_kind(packed, len),
			 err == -ENOTSUP ? "is not in this build of lkvm" : "could not unpack it");
		return -ENOENT;
	}
	err = ikconfig(kernel, len, text);
	free(kernel);
	return err;
}

/* --- beside it ------------------------------------------------------------------------------ */

/* "6.1.0-56-cloud-amd64": a bzImage's header points to it, a vmlinux has its banner. */
static void version(const struct blob *img, char *out, size_t room)
{
	const char *banner = "Linux version ";
	const uint8_t *at;
	size_t n = 0;

	if (is_bzimage(img)) {
		size_t off = (size_t)(img->bytes[0x20e] | img->bytes[0x20f] << 8) + 0x200;

		at = off < img->len ? img->bytes + off : NULL;
	} else {
		/* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): what was read is there */
		at = memmem(img->bytes, img->len, banner, strlen(banner));
		at = at ? at + strlen(banner) : NULL;
	}
	/* No slash: it becomes part of a path. */
	while (at && at + n < img->bytes + img->len && n + 1 < room && at[n] > ' ' && at[n] < 0x7f &&
	       at[n] != '/')
		n++;
	if (at && n)
		memcpy(out, at, n);
	out[n] = 0;
}

static bool looks_like_config(const struct blob *b)
{
	/* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): what was read is there */
	return !memchr(b->bytes, 0, b->len) && strstr((char *)b->bytes, "CONFIG_");
}

/* Takes the file when it is a configuration. */
static bool try_file(struct kconfig_text *conf, const char *path)
{
	struct blob b;

	if (blob_read(&b, path, CONFIG_MAX))
		return false;
	if (!looks_like_config(&b)) {
		free(b.bytes);
		return false;
	}
	conf->text = (char *)b.bytes;
	conf->from = strdup(path);
	return true;
}

static bool beside(struct kconfig_text *conf, const char *kernel, const char *release)
{
	static const char *const tree = "arch/x86/boot/";
	const char *slash = strrchr(kernel, '/'), *name = slash ? slash + 1 : kernel;
	int dir = (int)(name - kernel), up = dir - (int)strlen(tree);
	const char *tail = strchr(name, '-');
	char path[4096];

#define TRY(...)                                                                                   \
	(snprintf(path, sizeof(path), __VA_ARGS__) < (int)sizeof(path) && try_file(conf, path))
	/* vmlinuz-X has config-X beside it, a kernel's source tree its .config at the top. */
	if (tail && TRY("%.*sconfig%s", dir, kernel, tail))
		return true;
	if (*release && TRY("%.*sconfig-%s", dir, kernel, release))
		return true;
	if (TRY("%.*s.config", dir, kernel) || TRY("%.*sconfig", dir, kernel))
		return true;
	if (up >= 0 && !memcmp(kernel + up, tree, strlen(tree)) && TRY("%.*s.config", up, kernel))
		return true;
	return *release && (TRY("/boot/config-%s", release) || TRY("/lib/modules/%s/config", release) ||
			    TRY("/lib/modules/%s/build/.config", release));
#undef TRY
}

/* --- the whole ------------------------------------------------------------------------------ */

static int not_found(const char *kernel, const char *release)
{
	log_err(NULL,
		"cannot find the configuration of %s%s%s: none inside (CONFIG_IKCONFIG), beside it or in "
		"/boot. Fix: name the .config itself with -k",
		kernel, *release ? ", " : "", release);
	return -ENOENT;
}

int kconfig_open(struct kconfig_text *conf, const char *kernel)
{
	char release[128] = "";
	struct blob img;
	int err = blob_read(&img, kernel, FILE_MAX);

	*conf = (struct kconfig_text){ 0 };
	if (err) {
		log_err(NULL, "cannot read kernel %s: %s", kernel, strerror(-err));
		return err;
	}
	if (looks_like_config(&img)) {
		conf->text = (char *)img.bytes;
		conf->from = strdup(kernel);
		return 0;
	}
	if (!inside(&img, kernel, &conf->text)) {
		if (asprintf(&conf->from, "IKCONFIG in %s", kernel) < 0)
			conf->from = NULL;
	} else {
		version(&img, release, sizeof(release));
		if (!beside(conf, kernel, release))
			err = not_found(kernel, release);
	}
	free(img.bytes);
	return err;
}

void kconfig_close(struct kconfig_text *conf)
{
	free(conf->text);
	free(conf->from);
	*conf = (struct kconfig_text){ 0 };
}

/* A line `CONFIG_SYMBOL=y` or `=m`; anything else, and its absence, is no. The last one counts. */
enum kconfig_state kconfig_get(const struct kconfig_text *conf, const char *symbol)
{
	enum kconfig_state state = KCONFIG_NO;
	size_t len = strlen(symbol);

	for (const char *line = conf->text; *line;) {
		if (!strncmp(line, "CONFIG_", 7) && !strncmp(line + 7, symbol, len) && line[7 + len] == '=') {
			char value = line[7 + len + 1];

			state = value == 'y' ? KCONFIG_YES : value == 'm' ? KCONFIG_MODULE : KCONFIG_NO;
		}
		line += strcspn(line, "\n");
		line += *line == '\n';
	}
	return state;
}

enum kconfig_state kconfig_has(const struct kconfig_text *conf, const struct kconfig_need *need)
{
	enum kconfig_state a = kconfig_get(conf, need->symbol),
			   b = need->other ? kconfig_get(conf, need->other) : KCONFIG_NO;

	return a > b ? a : b;
}
