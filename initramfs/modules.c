// SPDX-License-Identifier: GPL-2.0-only
/*
 * modules: which modules a kernel needs for the devices it gets, each behind all that it depends on, by
 * modules.dep and modules.builtin as depmod and the kernel's build leave them.
 *
 * Compressed ones (.gz, .xz, .zst) are unpacked by the host's gzip, xz or zstd: not every kernel can.
 *
 * Runs on: main.
 */
#include "initramfs/modules.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest/command.h"
#include "initramfs/cpio.h"
#include "lkvm/log.h"

#define TEXT_MAX   (16u << 20)
#define MODULE_MAX (256u << 20) /* unpacked */
#define DEPTH_MAX  32
#define NAME_MAX_SHOWN 32

/* --- the lists ---------------------------------------------------------------------------------- */

/* A text file of dir; NULL: it can't be read, *err says why. */
static char *read_text(const char *dir, const char *name, int *err)
{
	char path[4096], *text = NULL;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "re");
	if (f)
		text = malloc(TEXT_MAX);
	if (text)
		text[fread(text, 1, TEXT_MAX - 1, f)] = 0;
	*err = text ? 0 : -errno;
	if (f)
		fclose(f);
	return text;
}

/* The lines of modules.dep, cut into path and dependencies in place. */
static int index_lines(struct modules *m)
{
	size_t lines = 1;
	char *save = NULL;

	for (const char *p = m->dep; *p; p++)
		lines += *p == '\n';
	m->list = calloc(lines, sizeof(*m->list));
	if (!m->list)
		return -ENOMEM;
	for (char *line = strtok_r(m->dep, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *colon = strchr(line, ':');

		if (!colon)
			continue;
		*colon = 0;
		m->list[m->n].path = line;
		m->list[m->n++].needs = colon + 1;
	}
	return 0;
}

int modules_open(struct modules *m, const char *dir)
{
	int err;

	*m = (struct modules){ .dir = dir };
	m->dep = read_text(dir, "modules.dep", &err);
	if (m->dep)
		err = index_lines(m);
	if (err) {
		log_err(NULL, "cannot read %s/modules.dep: %s. Fix: run depmod, or name another folder with "
			"--modules", dir, strerror(-err));
		modules_close(m);
		return err;
	}
	m->builtin = read_text(dir, "modules.builtin", &err); /* nothing built in, if there is none */
	return 0;
}

void modules_close(struct modules *m)
{
	free(m->dep);
	free(m->builtin);
	free(m->list);
	*m = (struct modules){ 0 };
}

/* Is that the module's file? Its name up to .ko, in which - and _ are one. */
static bool has_name(const char *path, size_t len, const char *name)
{
	const char *base = memrchr(path, '/', len);
	size_t n = strlen(name);

	base = base ? base + 1 : path;
	len -= (size_t)(base - path);
	if (len < n + 3 || memcmp(base + n, ".ko", 3) != 0)
		return false;
	for (size_t i = 0; i < n; i++)
		if ((base[i] == '-' ? '_' : base[i]) != (name[i] == '-' ? '_' : name[i]))
			return false;
	return true;
}

static bool is_builtin(const struct modules *m, const char *name)
{
	for (const char *at = m->builtin; at && *at;) {
		size_t len = strcspn(at, "\n");

		if (has_name(at, len, name))
			return true;
		at += len + (at[len] == '\n');
	}
	return false;
}

/* --- the order ---------------------------------------------------------------------------------- */

static struct module *find_path(struct modules *m, const char *path, size_t len)
{
	for (unsigned i = 0; i < m->n; i++)
		if (strlen(m->list[i].path) == len && !memcmp(m->list[i].path, path, len))
			return &m->list[i];
	return NULL;
}

static int visit(struct modules *m, struct module *mod, unsigned depth, struct modules_list *out)
{
	int err = 0;

	if (mod->seen)
		return 0;
	mod->seen = true; /* before its needs: a circle ends here */
	for (const char *at = mod->needs; *at && !err;) {
		size_t len;
		struct module *need;

		at += strspn(at, " \t");
		len = strcspn(at, " \t");
		need = len ? find_path(m, at, len) : NULL;
		if (need)
			err = depth < DEPTH_MAX ? visit(m, need, depth + 1, out) : -ELOOP;
		at += len;
	}
	if (!err && out->n == MODULES_MAX)
		err = -E2BIG;
	if (!err)
		out->path[out->n++] = mod->path;
	return err;
}

int modules_order(struct modules *m, const char *const *wanted, struct modules_list *out)
{
	int err = 0;

	out->n = 0;
	for (; *wanted && !err; wanted++) {
		bool welcome = **wanted == '?';
		const char *name = *wanted + welcome;
		struct module *mod = NULL;

		for (unsigned i = 0; i < m->n && !mod; i++)
			if (has_name(m->list[i].path, strlen(m->list[i].path), name))
				mod = &m->list[i];
		if (mod)
			err = visit(m, mod, 0, out);
		else if (!welcome && !is_builtin(m, name))
			log_warn(NULL, "the kernel has no %s, neither built in nor in %s", name, m->dir);
	}
	if (err)
		log_err(NULL, "%s/modules.dep makes no sense: more than %u modules, or %u levels, for one",
			m->dir, MODULES_MAX, DEPTH_MAX);
	return err;
}

/* --- into the archive --------------------------------------------------------------------------- */

static const char *unpacker(const char *path)
{
	const char *end = strrchr(path, '.');

	if (!end || !strcmp(end, ".ko"))
		return NULL;
	return !strcmp(end, ".gz") ? "gzip" : !strcmp(end, ".xz") ? "xz" : !strcmp(end, ".zst") ? "zstd" : NULL;
}

static int add_module(struct cpio *cpio, const char *path, const char *name)
{
	const char *tool = unpacker(path);
	const char *argv[] = { tool, "-dc", path, NULL };
	char *bytes;
	size_t len;
	int err;

	if (!tool)
		return tree_add_file(cpio, path, name);
	err = tool_read(argv, MODULE_MAX, &bytes, &len);
	if (err)
		log_err(NULL, "cannot unpack %s with %s: %s", path, tool, strerror(-err));
	else
		cpio_file(cpio, name, S_IFREG | 0644, bytes, (uint32_t)len);
	if (!err)
		free(bytes);
	return err;
}

int modules_add(struct cpio *cpio, const char *dir, const char *const *wanted)
{
	struct modules_list list;
	struct modules m;
	char text[64 * MODULES_MAX] = "";
	size_t len = 0;
	int err = modules_open(&m, dir);

	if (err)
		return err;
	err = modules_order(&m, wanted, &list);
	for (unsigned i = 0; i < list.n && !err; i++) {
		const char *base = strrchr(list.path[i], '/');
		char path[4096], name[64];
		int stem;

		base = base ? base + 1 : list.path[i];
		snprintf(path, sizeof(path), "%s%s%s", list.path[i][0] == '/' ? "" : dir,
			 list.path[i][0] == '/' ? "" : "/", list.path[i]);
		/* Numbered: the name is for messages. */
		stem = (int)strcspn(base, ".");
		snprintf(name, sizeof(name), "%s/%02u-%.*s.ko", &COMMAND_DIR[1], i,
			 stem < NAME_MAX_SHOWN ? stem : NAME_MAX_SHOWN, base);
		err = add_module(cpio, path, name);
		len += (size_t)snprintf(text + len, sizeof(text) - len, "/%s\n", name);
	}
	if (!err)
		cpio_file(cpio, &COMMAND_MODULES[1], S_IFREG | 0644, text, (uint32_t)len);
	modules_close(&m);
	return err;
}

/* --- finding ------------------------------------------------------------------------------------ */

static bool has_dep(const char *dir)
{
	char path[4096];

	return (size_t)snprintf(path, sizeof(path), "%s/modules.dep", dir) < sizeof(path) &&
	       !access(path, R_OK);
}

/* "BASE/lib/modules/VERSION" when that has modules. */
static bool below(const char *base, const char *version, char *dir, size_t size)
{
	return (size_t)snprintf(dir, size, "%s/lib/modules/%s", base, version) < size && has_dep(dir);
}

/* Beside the kernel: in the folder it lies in, or that one's parent (boot/vmlinuz, lib/modules). */
static bool beside(const char *kernel, const char *version, char *dir, size_t size)
{
	const char *slash = strrchr(kernel, '/');
	int len = slash ? (int)(slash - kernel) + 1 : 0;
	char base[4096];

	for (unsigned up = 0; up < 2; up++) {
		int n = snprintf(base, sizeof(base), "%.*s%s", len, kernel, up ? ".." : ".");

		if (n > 0 && (size_t)n < sizeof(base) && below(base, version, dir, size))
			return true;
	}
	return false;
}

static bool find(const char *given, const char *kernel, const char *version, char *dir, size_t size)
{
	char *real;
	bool found;

	if (given)
		return ((size_t)snprintf(dir, size, "%s", given) < size && has_dep(dir)) ||
		       (*version && below(given, version, dir, size));
	if (!*version)
		return false;
	if (beside(kernel, version, dir, size))
		return true;
	real = realpath(kernel, NULL);
	found = (real && beside(real, version, dir, size)) || below("", version, dir, size);
	free(real);
	return found;
}

int initramfs_find_modules(const char *given, const char *kernel, const char *version, char **dir)
{
	char path[4096];

	*dir = NULL;
	if (find(given, kernel, version, path, sizeof(path))) {
		*dir = strdup(path);
		return *dir ? 0 : -ENOMEM;
	}
	if (!given)
		return 0;
	log_err(NULL, "--modules %s: no modules.dep there, nor in its lib/modules/%s", given,
		*version ? version : "VERSION");
	return -ENOENT;
}
