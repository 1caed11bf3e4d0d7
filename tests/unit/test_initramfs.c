// SPDX-License-Identifier: GPL-2.0-only
/*
 * The archive: what a reader of "newc" finds in it, folders with all that a folder can hold, the order
 * of modules, a program with its libraries.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include "guest/command.h"
#include "initramfs/cpio.h"
#include "initramfs/modules.h"
#include "tap.h"

#define RAM (512ULL << 20)

static char dir[] = "/tmp/lkvm-initramfs-XXXXXX";

/* --- a reader ---------------------------------------------------------------------------------- */

struct found {
	const char *name;
	unsigned ino, mode, uid, nlink, size, rmajor, rminor;
	const uint8_t *data;
};

static unsigned hex8(const uint8_t *at)
{
	char text[9] = "";

	memcpy(text, at, 8);
	return (unsigned)strtoul(text, NULL, 16);
}

/* The entry at *at, which moves on; false at the end or where it makes no sense. */
static bool next(const uint8_t *buf, size_t len, size_t *at, struct found *f)
{
	const uint8_t *h = buf + *at;
	size_t name;

	if (len - *at < 110 || memcmp(h, "070701", 6) || *at % 4)
		return false;
	*f = (struct found){ .ino = hex8(h + 6), .mode = hex8(h + 14), .uid = hex8(h + 22),
			     .nlink = hex8(h + 38), .size = hex8(h + 54), .rmajor = hex8(h + 78),
			     .rminor = hex8(h + 86), .name = (const char *)h + 110 };
	name = hex8(h + 94);
	if (len - *at < 110 + name || f->name[name - 1])
		return false;
	*at = (*at + 110 + name + 3) & ~3ULL;
	f->data = buf + *at;
	if (len - *at < f->size)
		return false;
	*at = (*at + f->size + 3) & ~3ULL;
	return strcmp(f->name, "TRAILER!!!");
}

static bool find(const uint8_t *buf, size_t len, const char *name, struct found *f)
{
	size_t at = 0;

	while (next(buf, len, &at, f))
		if (!strcmp(f->name, name))
			return true;
	memset(f, 0, sizeof(*f));
	return false;
}

static bool holds(const struct found *f, const char *text)
{
	return f->data && f->size == strlen(text) && !memcmp(f->data, text, f->size);
}

/* All entries; -1 when it doesn't end in a trailer at its very end. */
static int count(const uint8_t *buf, size_t len)
{
	struct found f;
	size_t at = 0;
	int n = 0;

	while (next(buf, len, &at, &f))
		n++;
	return at == len && f.name && !strcmp(f.name, "TRAILER!!!") ? n : -1;
}

/* --- making things ------------------------------------------------------------------------------ */

static const char *path(const char *name)
{
	static char text[4][512];
	static unsigned turn;

	turn = (turn + 1) % 4;
	snprintf(text[turn], sizeof(text[turn]), "%s/%s", dir, name);
	return text[turn];
}

static void write_file(const char *name, const char *text, mode_t mode)
{
	FILE *f = fopen(path(name), "w");

	if (!f || fputs(text, f) < 0 || fclose(f) || chmod(path(name), mode))
		exit(1);
}

static int remove_one(const char *name, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(name);
}

/* With stderr in a file meanwhile; its text. */
static char said[4096];

static int quietly(int (*fn)(void *), void *arg)
{
	FILE *f = tmpfile();
	int err = dup(2), ret;
	size_t n;

	fflush(stderr);
	dup2(fileno(f), 2);
	ret = fn(arg);
	fflush(stderr);
	dup2(err, 2);
	close(err);
	rewind(f);
	n = fread(said, 1, sizeof(said) - 1, f);
	said[n] = 0;
	fclose(f);
	return ret;
}

struct build {
	struct initramfs_conf conf;
	struct initramfs out;
};

static int build(void *arg)
{
	struct build *b = arg;

	b->out = (struct initramfs){ 0 };
	return initramfs_build(&b->conf, &b->out);
}

/* --- the writer --------------------------------------------------------------------------------- */

static void writer(void)
{
	struct cpio c;
	struct found f;

	is(cpio_open(&c, 4096), 0, "an archive is opened");
	cpio_parents(&c, "a/b/file");
	cpio_file(&c, "a/b/file", S_IFREG | 0755, "12345", 5);
	cpio_file(&c, "empty", S_IFREG | 0600, NULL, 0);
	cpio_end(&c);
	is(count(c.buf, c.len), 4, "a reader finds what was written, to the last byte");
	ok(find(c.buf, c.len, "a/b/file", &f) && holds(&f, "12345"), "a file has its bytes");
	is(f.mode, S_IFREG | 0755, "and its mode");
	ok(find(c.buf, c.len, "a/b", &f) && f.mode == (S_IFDIR | 0755), "its folders come before it");
	cpio_close(&c);

	cpio_open(&c, 4096);
	cpio_file(&c, "small", S_IFREG, "1", 1);
	ok(!c.full, "what fits is not too much");
	cpio_file(&c, "big", S_IFREG, dir, 1 << 30);
	ok(c.full && c.len > 1 << 30, "what doesn't is counted");
	cpio_file(&c, "small", S_IFREG, "1", 1);
	cpio_end(&c);
	ok(c.full, "and nothing smaller makes up for it");
	cpio_close(&c);
}

/* --- folders ------------------------------------------------------------------------------------ */

static void make_tree(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	mkdir(path("root"), 0755);
	mkdir(path("root/sub"), 0711);
	write_file("root/sub/file", "a letter\n", 0644);
	write_file("root/setuid", "x", 04755);
	if (link(path("root/sub/file"), path("root/zlink")) || symlink("loop", path("root/loop")) ||
	    symlink("..", path("root/sub/up")) || mkfifo(path("root/fifo"), 0600))
		exit(1);
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path("root/socket"));
	if (bind(fd, (struct sockaddr *)&sun, sizeof(sun)))
		exit(1);
	close(fd);
	if (!geteuid() && mknod(path("root/null"), S_IFCHR | 0666, makedev(1, 3)))
		exit(1);
}

static void tree(void)
{
	char *rootfs = strdup(path("root"));
	struct build b = { .conf = { .rootfs = rootfs, .ram = RAM } };
	struct found f, g;
	const uint8_t *buf;
	size_t len;

	make_tree();
	is(quietly(build, &b), 0, "a folder is packed");
	buf = b.out.bytes;
	len = b.out.len;
	ok(count(buf, len) > 0, "in good form");
	ok(find(buf, len, "sub/file", &f) && holds(&f, "a letter\n"), "with a file");
	ok(find(buf, len, "zlink", &g) && g.ino == f.ino && g.nlink > 1 && !g.size,
	   "whose other name is the same file, stored once");
	ok(find(buf, len, "sub", &f) && f.mode == (S_IFDIR | 0711), "a folder with its mode");
	ok(find(buf, len, "setuid", &f) && f.mode == (S_IFREG | 04755) && !f.uid, "a setuid file of root's");
	ok(find(buf, len, "loop", &f) && S_ISLNK(f.mode) && holds(&f, "loop"), "a link that leads to itself");
	ok(find(buf, len, "sub/up", &f) && S_ISLNK(f.mode) && holds(&f, ".."), "a link that leads up");
	ok(!find(buf, len, "sub/up/fifo", &f), "which is not followed");
	ok(find(buf, len, "fifo", &f) && S_ISFIFO(f.mode), "a FIFO, which nobody waited for");
	ok(!find(buf, len, "socket", &f) && strstr(said, "1 sockets left out"), "no socket, and it is said");
	if (geteuid())
		skip("not root", "device nodes");
	else
		ok(find(buf, len, "null", &f) && f.rmajor == 1 && f.rminor == 3, "a device node");
	ok(find(buf, len, ".lkvm/init", &f) && f.size == guest_init_len,
	   "and our first process");
	initramfs_free(&b.out);
	free(rootfs);
}

static void make_files(unsigned from, unsigned to)
{
	char name[64];

	for (unsigned i = from; i < to; i++) {
		snprintf(name, sizeof(name), "many/file-%u", i);
		close(open(path(name), O_CREAT | O_WRONLY, 0644));
	}
}

static void many(void)
{
	char *rootfs = strdup(path("many"));
	struct build b = { .conf = { .rootfs = rootfs, .ram = RAM } };
	int fd;

	mkdir(path("many"), 0755);
	make_files(0, 5000);
	is(quietly(build, &b), 0, "a folder with 5000 entries");
	ok(count(b.out.bytes, b.out.len) > 5000, "is packed whole");
	initramfs_free(&b.out);

	/* Sparse: it takes no room here, but would there. */
	fd = open(path("many/hole"), O_CREAT | O_WRONLY, 0644);
	if (ftruncate(fd, 1LL << 30))
		exit(1);
	close(fd);
	is(quietly(build, &b), -ENOSPC, "one that the guest's RAM can't hold");
	ok(strstr(said, "-m 215"), "is refused with what would do");
	if (truncate(path("many/hole"), 5LL << 30))
		exit(1);
	is(quietly(build, &b), -EFBIG, "and a file that no initramfs can hold");
	unlink(path("many/hole"));

	/* Empty files take no page, but each takes one of as many as there can be. */
	make_files(5000, 100000);
	is(quietly(build, &b), -ENOSPC, "100,000 entries for a RAM that has fewer");
	ok(strstr(said, "10000") && strstr(said, "-m 885"), "are refused with what would do");
	b.conf.ram = 885ULL << 20;
	is(quietly(build, &b), 0, "with so much");
	ok(count(b.out.bytes, b.out.len) > 100000, "they are packed");
	initramfs_free(&b.out);
	b.conf.rootfs = path("no-such-folder");
	is(quietly(build, &b), -ENOENT, "a folder that isn't there");
	free(rootfs);
}

/* --- modules ------------------------------------------------------------------------------------ */

static struct modules mods;
static struct modules_list list;

static int order(void *wanted)
{
	return modules_order(&mods, wanted, &list);
}

static void orders(void)
{
	const char *wanted[] = { "?virtio_console", "virtio-pci", "virtio_mmio", NULL };
	const char *absent[] = { "no_such", NULL }, *welcome[] = { "?no_such", NULL };
	const char *circle[] = { "a", NULL };
	char *folder;

	mkdir(path("mods"), 0755);
	write_file("mods/modules.dep",
		   "k/virtio.ko: k/virtio_ring.ko\n"
		   "k/virtio_ring.ko:\n"
		   "k/virtio_console.ko.xz: k/virtio.ko k/virtio_ring.ko\n"
		   "k/virtio-pci.ko: k/virtio.ko k/virtio_ring.ko\n"
		   "k/a.ko: k/b.ko\nk/b.ko: k/a.ko\nno colon\n",
		   0644);
	write_file("mods/modules.builtin", "kernel/virtio_mmio.ko\n", 0644);
	folder = strdup(path("mods"));
	is(modules_open(&mods, folder), 0, "modules.dep is read");
	is(quietly(order, wanted), 0, "and put into order");
	is(list.n, 4, "each module once");
	is_str(list.path[0], "k/virtio_ring.ko", "the lowest first");
	is_str(list.path[1], "k/virtio.ko", "then what needs it");
	is_str(list.path[2], "k/virtio_console.ko.xz", "then the wanted one");
	is_str(list.path[3], "k/virtio-pci.ko", "found with a dash or an underscore");
	is_str(said, "", "one that is built in is no problem");
	is(quietly(order, absent), 0, "one that is nowhere");
	ok(!list.n && strstr(said, "no_such"), "is said");
	is(quietly(order, welcome), 0, "one that isn't missed");
	ok(!list.n && !*said, "is passed over in silence");
	is(quietly(order, circle), 0, "a circle");
	is(list.n, 2, "has an end");
	modules_close(&mods);
	free(folder);
}

static void finds(void)
{
	char *found;

	mkdir(path("pkg"), 0755);
	mkdir(path("pkg/boot"), 0755);
	mkdir(path("pkg/lib"), 0755);
	mkdir(path("pkg/lib/modules"), 0755);
	mkdir(path("pkg/lib/modules/9.9-test"), 0755);
	write_file("pkg/lib/modules/9.9-test/modules.dep", "", 0644);
	write_file("pkg/boot/vmlinuz", "", 0644);
	is(initramfs_find_modules(NULL, path("pkg/boot/vmlinuz"), "9.9-test", &found), 0, "beside the kernel");
	ok(found && strstr(found, "/lib/modules/9.9-test"), "are its modules");
	free(found);
	is(initramfs_find_modules(NULL, path("pkg/boot/vmlinuz"), "9.9-other", &found), 0, "or there are none");
	ok(!found, "which is no error");
	is(initramfs_find_modules(path("pkg"), "k", "9.9-test", &found), 0, "a folder that was named");
	free(found);
	is(initramfs_find_modules(path("mods"), "k", "", &found), 0, "or the one with modules.dep itself");
	free(found);
}

static int find_modules(void *arg)
{
	char **found = arg;

	return initramfs_find_modules(path("root"), "k", "9.9-test", found);
}

/* --- programs ----------------------------------------------------------------------------------- */

static int find_program(void *name)
{
	char *found = NULL;
	int err = initramfs_find_program(name, &found);

	free(found);
	return err;
}

static void programs(void)
{
	char *script = strdup(path("script"));
	struct build b = { .conf = { .ram = RAM } };
	char *program = NULL, *none = NULL;
	struct found f;

	is(initramfs_find_program("sh", &program), 0, "a program is found in PATH");
	is(quietly(find_program, (void *)"no-such-program"), -ENOENT, "or isn't");
	is(quietly(find_program, (void *)path("root/sub/file")), -EACCES, "or can't be run");
	is(quietly(find_program, (void *)path("root")), -EACCES, "nor can a folder");
	b.conf.program = program;
	is(quietly(build, &b), 0, "a program of the host is packed");
	ok(find(b.out.bytes, b.out.len, program + 1, &f) && f.size > 1000, "at its own path");
	ok(find(b.out.bytes, b.out.len, "dev/console", &f) && S_ISCHR(f.mode), "with a console to open");
	if (!access("/lib64/ld-linux-x86-64.so.2", R_OK))
		ok(find(b.out.bytes, b.out.len, "lib64/ld-linux-x86-64.so.2", &f) && f.size > 1000,
		   "and its loader");
	else
		skip("no glibc", "and its loader");
	initramfs_free(&b.out);
	free(program);

	write_file("script", "#!/bin/sh -e\ntrue\n", 0755);
	b.conf.program = script;
	is(quietly(build, &b), 0, "a script is packed");
	ok(find(b.out.bytes, b.out.len, "bin/sh", &f) && f.size > 1000, "with its interpreter");
	initramfs_free(&b.out);
	write_file("script", "#!/no/such/interpreter\n", 0755);
	ok(quietly(build, &b) < 0 && strstr(said, "/no/such/interpreter"), "one that isn't there is named");
	free(script);
	is(quietly(find_modules, &none), -ENOENT, "modules that were named and aren't there");
}

int main(void)
{
	if (!mkdtemp(dir))
		return 1;
	writer();
	tree();
	many();
	orders();
	finds();
	programs();
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return tap_end();
}
