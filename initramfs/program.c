// SPDX-License-Identifier: GPL-2.0-only
/*
 * program: one program of the host, with what the kernel needs to start it: a script's interpreter, a
 * dynamic program's loader and libraries. Each lies in the guest where it lies on the host.
 *
 * The libraries are those that the loader itself names (`ld.so --list`), since its cache and its rules
 * for searching are its own. It maps the program but doesn't run it; still, a program can name any
 * file as its loader, so only one in the system's folders is asked.
 *
 * Runs on: main.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "initramfs/cpio.h"
#include "lkvm/log.h"

#define NESTED_MAX 4 /* interpreters that are scripts, as the kernel allows */
#define LIST_MAX   (1 << 20)

static ssize_t read_at(const char *path, off_t off, void *dst, size_t len)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : pread(fd, dst, len, off);

	if (fd >= 0)
		close(fd);
	return n;
}

/* A file at its own path, with the folders that lead there. */
static int add_at_path(struct cpio *cpio, const char *path)
{
	if (path[0] != '/' || strlen(path) > CPIO_NAME_MAX)
		return -ENAMETOOLONG;
	cpio_parents(cpio, path + 1);
	return tree_add_file(cpio, path, path + 1);
}

/* --- ELF ---------------------------------------------------------------------------------------- */

/* The loader that the program names; "" when it is static. */
static int elf_interp(const char *path, const Elf64_Ehdr *eh, char *interp, size_t size)
{
	*interp = 0;
	if (eh->e_ident[EI_CLASS] != ELFCLASS64 || eh->e_machine != EM_X86_64) {
		log_err(NULL, "%s is no program for x86-64", path);
		return -ENOEXEC;
	}
	if (eh->e_phentsize != sizeof(Elf64_Phdr))
		return -ENOEXEC;
	for (unsigned i = 0; i < eh->e_phnum; i++) {
		Elf64_Phdr ph;

		if (eh->e_phoff > INT32_MAX ||
		    read_at(path, (off_t)(eh->e_phoff + i * sizeof(ph)), &ph, sizeof(ph)) != sizeof(ph))
			return -ENOEXEC;
		if (ph.p_type != PT_INTERP)
			continue;
		if (!ph.p_filesz || ph.p_filesz > size || ph.p_offset > INT32_MAX ||
		    read_at(path, (off_t)ph.p_offset, interp, ph.p_filesz) != (ssize_t)ph.p_filesz)
			return -ENOEXEC;
		interp[ph.p_filesz - 1] = 0;
	}
	return 0;
}

static bool is_system_loader(const char *interp)
{
	static const char *const known[] = { "/lib64/ld-", "/lib/ld-", "/usr/lib/ld-",
					     "/usr/lib64/ld-", "/lib/x86_64-linux-gnu/ld-" };

	for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (!strncmp(interp, known[i], strlen(known[i])))
			return !strstr(interp, "/..");
	return false;
}

/* The path in a line of the loader's list: `NAME => /PATH (0x...)` or `/PATH (0x...)`. NULL: none. */
static char *listed_path(char *line)
{
	char *at = strstr(line, " => "), *end;

	at = at ? at + 4 : line + strspn(line, " \t");
	end = strstr(at, " (0x");
	if (*at != '/' || !end)
		return NULL;
	*end = 0;
	return at;
}

static int add_libraries(struct cpio *cpio, const char *path, const char *interp)
{
	const char *argv[] = { interp, "--list", path, NULL };
	char *list, *save = NULL;
	size_t len;
	int err = tool_read(argv, LIST_MAX, &list, &len);

	if (err) {
		log_err(NULL, "cannot find the libraries of %s (`%s --list %s` fails). Fix: a static program, or "
			"--rootfs DIR with all it needs", path, interp, path);
		return err;
	}
	for (char *line = strtok_r(list, "\n", &save); line && !err; line = strtok_r(NULL, "\n", &save)) {
		char *lib = listed_path(line);

		if (lib && strcmp(lib, interp) != 0)
			err = add_at_path(cpio, lib);
	}
	free(list);
	return err;
}

static int add_elf(struct cpio *cpio, const char *path, const Elf64_Ehdr *eh)
{
	char interp[256];
	int err = elf_interp(path, eh, interp, sizeof(interp));

	if (err || !*interp)
		return err;
	if (!is_system_loader(interp)) {
		log_err(NULL, "%s needs %s to start, which is no loader of the system. Fix: --rootfs DIR with "
			"all it needs", path, interp);
		return -ENOEXEC;
	}
	err = add_at_path(cpio, interp);
	return err ? err : add_libraries(cpio, path, interp);
}

/* --- scripts ------------------------------------------------------------------------------------ */

/* The first word behind #!, in place. */
static char *script_interp(char *head)
{
	char *at = head + 2 + strspn(head + 2, " \t");

	at[strcspn(at, " \t\r\n")] = 0;
	return at;
}

static int add_nested(struct cpio *cpio, const char *path, unsigned depth)
{
	union {
		Elf64_Ehdr eh;
		char text[256];
	} head = { .text = "" };
	ssize_t n = read_at(path, 0, &head, sizeof(head) - 1);
	int err = add_at_path(cpio, path);

	if (err)
		return err;
	if (n >= (ssize_t)sizeof(head.eh) && !memcmp(head.text, ELFMAG, SELFMAG))
		return add_elf(cpio, path, &head.eh);
	if (n > 2 && head.text[0] == '#' && head.text[1] == '!' && depth < NESTED_MAX)
		return add_nested(cpio, script_interp(head.text), depth + 1);
	return 0; /* the guest's kernel will say what it thinks of it */
}

int program_add(struct cpio *cpio, const char *path)
{
	return add_nested(cpio, path, 0);
}

/* --- finding ------------------------------------------------------------------------------------ */

/* As a shell does: a name with a slash is a path, others are searched for. 0, -ENOENT or -EACCES. */
static int search(const char *name, char *found, size_t size)
{
	const char *path = getenv("PATH");
	int err = -ENOENT;

	if (strchr(name, '/')) {
		if ((size_t)snprintf(found, size, "%s", name) >= size || access(found, F_OK))
			return -ENOENT;
		return access(found, X_OK) ? -EACCES : 0;
	}
	for (const char *at = path && *name ? path : ""; *at; at += strspn(at, ":")) {
		int len = (int)strcspn(at, ":");
		struct stat st;

		if ((size_t)snprintf(found, size, "%.*s/%s", len, at, name) < size &&
		    !stat(found, &st) && S_ISREG(st.st_mode)) {
			if (!access(found, X_OK))
				return 0;
			err = -EACCES;
		}
		at += len;
	}
	return err;
}

int initramfs_find_program(const char *name, char **path)
{
	char found[4096];
	struct stat st;
	int err = search(name, found, sizeof(found));

	if (!err && (stat(found, &st) || !S_ISREG(st.st_mode)))
		err = -EACCES;
	if (err == -EACCES) {
		log_err(NULL, "%s: not executable", name);
	} else if (err) {
		log_err(NULL, "%s: not found on this host. Fix: name a program of this host, or say with --rootfs "
			"DIR or --initrd FILE where the guest has it", name);
	} else {
		*path = realpath(found, NULL);
		err = *path ? 0 : -ENOMEM;
	}
	return err;
}
