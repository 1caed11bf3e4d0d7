// SPDX-License-Identifier: GPL-2.0-only
/*
 * vmcore: what Linux leaves in memory for those who look at its remains: VMCOREINFO, a page of
 * "KEY=value" lines, and the symbol table that it names (since Linux 6.0), for kallsyms.
 *
 * Anybody in the guest can write such a page; so what is found is only used to read, within RAM, and
 * the caller compares the result with the kernel's banner.
 *
 * Runs on: main
 */
#define _FILE_OFFSET_BITS 64
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "inspect/symbols.h"

#define SEARCH_S	 3
#define START_KERNEL_MAP 0xffffffff80000000ULL

/* --- the page ----------------------------------------------------------------------------------- */

/* The value behind "KEY=" at a line's beginning. */
static const char *value_of(const struct vmcore *v, const char *key)
{
	size_t len = strlen(key);
	const char *at = v->text;

	while (at && *at) {
		if (!strncmp(at, key, len) && at[len] == '=')
			return at + len + 1;
		at = strchr(at, '\n');
		if (at)
			at++;
	}
	return NULL;
}

bool vmcore_hex(const struct vmcore *v, const char *key, uint64_t *val)
{
	const char *text = value_of(v, key);
	char *end;

	if (!text)
		return false;
	*val = strtoull(text, &end, 16);
	return end != text;
}

const char *vmcore_release(const struct vmcore *v, char *buf, size_t len)
{
	const char *text = value_of(v, "OSRELEASE");
	size_t n = text ? strcspn(text, "\n") : 0;

	if (n >= len)
		n = len - 1;
	memcpy(buf, text ? text : "", n);
	buf[n] = '\0';
	return buf;
}

/* Is a page, from off on, such a text? Kept when it is. */
static bool take(struct vmcore *v, const uint8_t *page, size_t off)
{
	const char *base;
	size_t n = 0;

	if (memcmp(page + off, "OSRELEASE=", 10))
		return false;
	for (; off + n < 4096 && n < sizeof(v->text) - 1; n++) {
		uint8_t c = page[off + n];

		if (c != '\n' && (c < ' ' || c > '~'))
			break;
		v->text[n] = (char)c;
	}
	v->text[n] = '\0';
	v->len = n;
	if (!vmcore_hex(v, "SYMBOL(_stext)", &v->slide)) {
		v->len = 0;
		return false;
	}
	v->slide = 0;
	vmcore_hex(v, "KERNELOFFSET", &v->slide);
	base = value_of(v, "NUMBER(phys_base)");
	v->phys_base = base ? (uint64_t)strtoll(base, NULL, 10) : 0;
	return true;
}

#define MAPPED (1ULL << 63 | 1ULL << 62) /* /proc/PID/pagemap: present, or swapped out */

/*
 * The first page from `at` on that is there (or isn't), up to `end`, by what the kernel says of our own
 * memory. When it doesn't say, all pages are there.
 */
static uint64_t find_page(int map, const struct gmem_region *r, uint64_t at, uint64_t end, bool there)
{
	uint64_t entry[512];

	while (at < end) {
		uint64_t page = ((uintptr_t)r->hva + at) / 4096;
		ssize_t n = pread(map, entry, sizeof(entry), (off_t)(page * sizeof(entry[0])));

		if (n < (ssize_t)sizeof(entry[0]))
			return there ? at : end;
		for (ssize_t i = 0; i < n / (ssize_t)sizeof(entry[0]) && at < end; i++, at += 4096)
			if (!!(entry[i] & MAPPED) == there)
				return at;
	}
	return end;
}

static bool next_mapped(const struct gmem_region *r, uint64_t *from, uint64_t *to)
{
	int map = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	*from = find_page(map, r, *from & ~4095ULL, r->len, true);
	*to = find_page(map, r, *from, r->len, false);
	if (map >= 0)
		close(map);
	return *from < r->len;
}

/* What the guest has never touched is a hole. */
bool vmcore_next_data(const struct gmem_region *r, uint64_t *from, uint64_t *to)
{
	off_t start, end;

	if (*from >= r->len)
		return false;
	*to = r->len;
	if (r->fd < 0)
		return !r->ours || next_mapped(r, from, to);
	start = lseek(r->fd, (off_t)(r->fd_off + *from), SEEK_DATA);
	if (start < 0)
		return errno != ENXIO; /* no such thing on this file: look at all of it */
	end = lseek(r->fd, start, SEEK_HOLE);
	*from = (uint64_t)start - r->fd_off;
	if (end > start && (uint64_t)end - r->fd_off < r->len)
		*to = (uint64_t)end - r->fd_off;
	return *from < r->len;
}

static bool find_in(struct vmcore *v, const struct gmem_region *r, time_t until)
{
	uint64_t from = 0, to;

	for (; vmcore_next_data(r, &from, &to); from = to) {
		for (uint64_t at = from & ~4095ULL; at + 4096 <= to; at += 4096) {
			/* As text at a page's start, or behind the head of an ELF note. */
			if (take(v, r->hva + at, 0) || take(v, r->hva + at, 24))
				return true;
			if (!(at & 0xffffff) && time(NULL) > until)
				return false;
		}
	}
	return false;
}

bool vmcore_find(struct vmcore *v, const struct gmem *mem)
{
	time_t until = time(NULL) + SEARCH_S;

	*v = (struct vmcore){ 0 };
	for (unsigned i = mem->n; i-- > 0;)
		if (find_in(v, &mem->region[i], until))
			return true;
	v->text[0] = '\0';
	return false;
}

/* --- kallsyms: names as bytes that stand for pieces of text ------------------------------------- */

#define TOKENS	     256
#define NAMES_MAX    (32U << 20)
#define TOKEN_SPACE  65536

struct kallsyms {
	const struct vmcore *v;
	const struct gmem *mem;
	uint32_t n;
	uint64_t relative_base;
	uint16_t index[TOKENS];
	char *tokens;	 /* TOKEN_SPACE and a zero */
	uint8_t *names;
	size_t names_len;
	int32_t *offset;
};

/* A copy of a table, so that nothing in it can change any more; short when RAM ends. */
static size_t copy(const struct kallsyms *k, const char *symbol, void *dst, size_t len)
{
	char key[64];
	uint64_t va, gpa;

	snprintf(key, sizeof(key), "SYMBOL(%s)", symbol);
	if (!vmcore_hex(k->v, key, &va))
		return 0;
	gpa = va - START_KERNEL_MAP + k->v->phys_base;
	for (unsigned i = 0; i < k->mem->n; i++) {
		const struct gmem_region *r = &k->mem->region[i];
		uint64_t off = gpa - r->gpa;

		if (off >= r->len)
			continue;
		if (len > r->len - off)
			len = r->len - off;
		memcpy(dst, r->hva + off, len);
		return len;
	}
	return 0;
}

/* The text of one name: its first character is the type. Returns its length, 0: nonsense. */
static size_t expand(const struct kallsyms *k, size_t *at, char out[SYMBOL_LENGTH])
{
	size_t len = 0, n;

	if (*at >= k->names_len)
		return 0;
	n = k->names[(*at)++];
	if (n & 0x80 && *at < k->names_len)
		n = (n & 0x7f) | (size_t)k->names[(*at)++] << 7;
	for (; n; n--) {
		const char *token;

		if (*at >= k->names_len)
			return 0;
		token = k->tokens + k->index[k->names[(*at)++]];
		while (*token && len < SYMBOL_LENGTH - 1)
			out[len++] = *token++;
	}
	out[len] = '\0';
	return len;
}

/* Two ways to keep addresses in 32 bits; _stext, known from elsewhere, tells which. */
static uint64_t address(const struct kallsyms *k, int32_t off, bool percpu)
{
	if (!percpu)
		return k->relative_base + (uint32_t)off;
	return off >= 0 ? (uint64_t)off : k->relative_base - 1 - (uint64_t)(int64_t)off;
}

static int decode(struct kallsyms *k, struct symbols *s)
{
	char name[SYMBOL_LENGTH];
	uint64_t stext = 0;
	int known = -1, err = 0;
	size_t at = 0;

	vmcore_hex(k->v, "SYMBOL(_stext)", &stext);
	for (uint32_t i = 0; i < k->n && !err; i++) {
		size_t len = expand(k, &at, name);

		if (len < 2)
			return -EINVAL;
		if (known < 0 && !strcmp(name + 1, "_stext"))
			known = address(k, k->offset[i], true) == stext ? 1 :
				address(k, k->offset[i], false) == stext ? 0 : -1;
		err = symbols_add(s, i, name[0], name + 1, len - 1);
	}
	if (!err && known < 0)
		err = -EINVAL;
	for (size_t i = 0; i < s->n && !err; i++)
		s->sym[i].addr = address(k, k->offset[s->sym[i].addr], known);
	return err;
}

int kallsyms_load(struct symbols *s, const struct vmcore *v, const struct gmem *mem)
{
	struct kallsyms k = { .v = v, .mem = mem };
	size_t got;
	int err = -ENOENT;

	*s = (struct symbols){ 0 };
	if (copy(&k, "kallsyms_num_syms", &k.n, sizeof(k.n)) != sizeof(k.n) || !k.n || k.n > SYMBOLS_MAX)
		return err;
	k.tokens = calloc(1, TOKEN_SPACE + 1);
	k.names = malloc(NAMES_MAX);
	k.offset = calloc(k.n, sizeof(*k.offset));
	if (!k.tokens || !k.names || !k.offset) {
		err = -ENOMEM;
		goto out_free;
	}
	got = copy(&k, "kallsyms_token_table", k.tokens, TOKEN_SPACE);
	k.names_len = copy(&k, "kallsyms_names", k.names, NAMES_MAX);
	if (got && copy(&k, "kallsyms_token_index", k.index, sizeof(k.index)) == sizeof(k.index) &&
	    copy(&k, "kallsyms_offsets", k.offset, k.n * sizeof(*k.offset)) == k.n * sizeof(*k.offset) &&
	    copy(&k, "kallsyms_relative_base", &k.relative_base, 8) == 8)
		err = decode(&k, s);
	if (err)
		symbols_free(s);
	symbols_sort(s);
out_free:
	free(k.tokens);
	free(k.names);
	free(k.offset);
	return err;
}
