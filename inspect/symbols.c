// SPDX-License-Identifier: GPL-2.0-only
/*
 * symbols: a sorted table of names, read from a file, and whether it fits the guest.
 *
 * Runs on: main
 */
#include "inspect/symbols.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lkvm/log.h"

#define MAP_FILE_MAX (256L << 20)

int symbols_add(struct symbols *s, uint64_t addr, char type, const char *name, size_t len)
{
	if (len >= SYMBOL_LENGTH)
		len = SYMBOL_LENGTH - 1;
	if (s->n == SYMBOLS_MAX || s->names_len + len >= SYMBOL_NAMES_MAX)
		return -E2BIG;
	if (s->n == s->max) {
		size_t max = s->max ? 2 * s->max : 4096;
		struct symbol *grown = realloc(s->sym, max * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		s->sym = grown;
		s->max = max;
	}
	if (s->names_max - s->names_len <= len) {
		size_t max = s->names_max ? 2 * s->names_max : 1 << 16;
		char *grown = realloc(s->names, max);

		if (!grown)
			return -ENOMEM;
		s->names = grown;
		s->names_max = max;
	}
	s->sym[s->n++] = (struct symbol){ addr, (uint32_t)s->names_len, type };
	/* They end up on a terminal, and may be the guest's. */
	for (size_t i = 0; i < len; i++)
		s->names[s->names_len + i] = name[i] > ' ' && name[i] <= '~' ? name[i] : '?';
	s->names[s->names_len + len] = '\0';
	s->names_len += len + 1;
	return 0;
}

static int by_addr(const void *a, const void *b)
{
	const struct symbol *x = a, *y = b;

	if (x->addr != y->addr)
		return x->addr < y->addr ? -1 : 1;
	/* Of several names the first given; qsort alone would not keep that. */
	return x->name < y->name ? -1 : x->name > y->name;
}

void symbols_sort(struct symbols *s)
{
	if (s->n)
		qsort(s->sym, s->n, sizeof(*s->sym), by_addr);
}

void symbols_free(struct symbols *s)
{
	free(s->sym);
	free(s->names);
	*s = (struct symbols){ 0 };
}

/* --- System.map and /proc/kallsyms: "address type name [module]" --------------------------------- */

static int map_line(struct symbols *s, const char *line, unsigned *bad)
{
	char *end;
	uint64_t addr = strtoull(line, &end, 16);
	size_t len;
	char type;

	if (end == line || end[0] != ' ' || !isalpha((unsigned char)end[1]) || end[2] != ' ') {
		++*bad;
		return 0;
	}
	type = end[1];
	len = strcspn(end + 3, " \t\r\n");
	return len ? symbols_add(s, addr, type, end + 3, len) : 0;
}

static int map_load(struct symbols *s, int fd, const char *path, bool quiet)
{
	FILE *f = fdopen(dup(fd), "r");
	unsigned bad = 0;
	char line[1024];
	size_t read = 0;
	int err = 0;

	if (!f)
		return -errno;
	while (!err && bad < 10 && read < MAP_FILE_MAX && fgets(line, sizeof(line), f)) {
		err = map_line(s, line, &bad);
		read += strlen(line);
	}
	fclose(f);
	if (err)
		log_err(NULL, "%s: %s", path, err == -E2BIG ? "too many symbols" : strerror(-err));
	else if (s->n < 3 || bad > s->n / 2)
		err = -ENOENT;
	if (err == -ENOENT && !quiet)
		log_err(NULL, "%s: no symbols in it: neither an ELF file with a symbol table nor a System.map "
			"(distributions ship a stub; the real one is in the -dbg package)", path);
	return err;
}

int symbols_load(struct symbols *s, const char *path, bool quiet)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), err;
	struct stat st;
	char magic[4];

	if (fd < 0) {
		err = -errno;
		if (!quiet)
			log_err(NULL, "cannot open %s: %s", path, strerror(-err));
		return err;
	}
	*s = (struct symbols){ 0 };
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		if (!quiet)
			log_err(NULL, "%s: not a file with symbols", path);
		err = -EINVAL;
	} else if (pread(fd, magic, 4, 0) == 4 && !memcmp(magic, "\177ELF", 4)) {
		err = elf_symbols(s, fd, path, quiet);
	} else {
		err = quiet ? -ENOENT : map_load(s, fd, path, quiet);
	}
	close(fd);
	if (err)
		symbols_free(s);
	symbols_sort(s);
	return err;
}

/* --- looking things up -------------------------------------------------------------------------- */

static bool is_text(const struct symbol *sym)
{
	return strchr("tTwW", sym->type) != NULL;
}

/* The first symbol above addr. */
static size_t above(const struct symbols *s, uint64_t addr)
{
	size_t low = 0, high = s->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (s->sym[mid].addr <= addr)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

bool symbols_find(const struct symbols *s, uint64_t addr, struct symbol_hit *hit)
{
	uint64_t at = addr - s->slide;
	size_t next = above(s, at), i = next, tries = 64;

	while (i && tries-- && !is_text(&s->sym[i - 1]))
		i--;
	if (!i || !is_text(&s->sym[i - 1]))
		return false;
	/* Of several at one address the first in the table. */
	while (i > 1 && s->sym[i - 2].addr == s->sym[i - 1].addr && is_text(&s->sym[i - 2]))
		i--;
	hit->name = s->names + s->sym[i - 1].name;
	hit->off = at - s->sym[i - 1].addr;
	hit->size = next < s->n ? s->sym[next].addr - s->sym[i - 1].addr : 0;
	/* Behind the last function there is no function. */
	return hit->off < (hit->size ? 16U << 20 : 1U << 16);
}

bool symbols_addr(const struct symbols *s, const char *name, uint64_t *addr)
{
	for (size_t i = 0; i < s->n; i++) {
		if (strcmp(s->names + s->sym[i].name, name))
			continue;
		*addr = s->sym[i].addr + s->slide;
		return true;
	}
	return false;
}

/* --- are they the guest's? ---------------------------------------------------------------------- */

static bool banner_at(const struct symbols *s, const struct walk *walk, uint64_t addr)
{
	char text[sizeof(s->banner)] = "";
	size_t got = walk_read(walk, addr, text, sizeof(text) - 1);

	if (got < 14 || memcmp(text, "Linux version ", 14))
		return false;
	return !s->banner[0] || !strcmp(s->banner, text);
}

static bool sample_fits(const struct symbols *s, const struct walk *walk)
{
	uint8_t now[sizeof(s->sample)];

	return walk_read(walk, s->sample_at, now, s->sample_len) == s->sample_len &&
	       !memcmp(now, s->sample, s->sample_len);
}

bool symbols_match(struct symbols *s, const struct walk *walk, uint64_t lstar, const char **why)
{
	uint64_t banner, entry;

	s->slide = 0;
	if (!symbols_addr(s, "linux_banner", &banner)) {
		*why = "their code is not what the guest has in memory";
		return s->sample_len && sample_fits(s, walk);
	}
	/* Where system calls enter is known of a running kernel: what differs is KASLR's doing. */
	if (lstar && symbols_addr(s, "entry_SYSCALL_64", &entry))
		s->slide = lstar - entry;
	if (banner_at(s, walk, banner + s->slide))
		return true;
	s->slide = 0;
	*why = lstar ? "they are of another kernel: its banner is not where they say" :
		       "the kernel has not come far enough to tell where it is";
	return banner_at(s, walk, banner);
}
