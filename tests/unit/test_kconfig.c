// SPDX-License-Identifier: GPL-2.0-only
/*
 * A kernel's configuration, found in images made here: plain, packed in each way this build and this
 * machine know, cut short and lying; and beside them.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kconfig/unpack.h"
#include "lkvm/kconfig.h"
#include "tap.h"

#define CONFIG "# made up\nCONFIG_VIRTIO_BLK=m\n# CONFIG_NET is not set\nCONFIG_PCI=y\nCONFIG_PCI_MSI=n\n"

static char dir[] = "/tmp/lkvm-kconfig.XXXXXX";

static const char *at(const char *name)
{
	static char path[2][256];
	static unsigned n;

	n ^= 1;
	snprintf(path[n], sizeof(path[n]), "%s/%s", dir, name);
	return path[n];
}

static void put(const char *name, const void *bytes, size_t len)
{
	FILE *f = fopen(at(name), "w");

	if (!f || fwrite(bytes, 1, len, f) != len || fclose(f))
		perror(name);
}

static size_t get(const char *name, uint8_t *bytes, size_t room)
{
	FILE *f = fopen(at(name), "r");
	size_t n = f ? fread(bytes, 1, room, f) : 0;

	if (f)
		fclose(f);
	return n;
}

/* Runs a program of this machine in the folder. */
static bool sh(const char *command)
{
	char line[512];

	snprintf(line, sizeof(line), "cd %s && %s", dir, command);
	return !system(line);
}

/* Bytes that don't pack too well, with the configuration among them. */
static void make_vmlinux(void)
{
	static uint8_t bytes[300000];
	static uint8_t packed[4096];
	size_t n;

	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 2654435761U >> 24);
	memcpy(bytes + 1000, "IKCFG_ST not this one", 21);
	memcpy(bytes + 2000, "Linux version 6.6.6-test (me)", 30);
	put("text", CONFIG, strlen(CONFIG));
	sh("gzip -n -c text > text.gz");
	n = get("text.gz", packed, sizeof(packed));
	memcpy(bytes + 200000, "IKCFG_ST", 8);
	memcpy(bytes + 200008, packed, n);
	memcpy(bytes + 200008 + n, "IKCFG_ED", 8);
	put("vmlinux", bytes, sizeof(bytes));
}

static size_t make_bzimage(const char *packed, uint8_t *img, size_t room)
{
	uint32_t off = 0x300, len;

	memset(img, 0, room);
	len = (uint32_t)get(packed, img + 1024 + off, room - 2048 - off) + 4;
	img[0x1f1] = 1;
	memcpy(img + 0x202, "HdrS", 4);
	img[0x206] = 0x0f;
	img[0x207] = 0x02;
	memcpy(img + 0x248, &off, 4);
	memcpy(img + 0x24c, &len, 4);
	img[0x20e] = 0x00;
	img[0x20f] = 0x01;
	memcpy(img + 0x300, "6.6.6-test (me)", 16);
	return 1024 + off + len;
}

static uint8_t image[1 << 20];

static void try_kind(const char *kind, const char *command, bool have)
{
	struct kconfig_text conf;
	size_t len;

	if (!sh(command)) {
		skip("this machine can't pack so", "a bzImage packed by %s", kind);
		return;
	}
	len = make_bzimage("packed", image, sizeof(image));
	put("bzImage", image, len);
	if (!have) {
		is(kconfig_open(&conf, at("bzImage")), -2, "%s, not in this build, is told so", kind);
		return;
	}
	ok(!kconfig_open(&conf, at("bzImage")) && !strcmp(conf.text, CONFIG), "a bzImage packed by %s", kind);
	kconfig_close(&conf);
	/* Cut, and with each eighth of it overwritten: an error or the truth, and nothing else. */
	for (unsigned i = 0; i < 8; i++) {
		memset(image + 1024 + 0x300 + len / 9 * i, 0x5a, 64);
		put("bzImage", image, len - len / 20 * i);
		if (!kconfig_open(&conf, at("bzImage")) && strcmp(conf.text, CONFIG))
			ok(false, "%s, broken: gives %s", kind, conf.from);
		kconfig_close(&conf);
		make_bzimage("packed", image, sizeof(image));
	}
}

#ifdef HAVE_ZLIB
static const bool have_zlib = true;
#else
static const bool have_zlib;
#endif
#ifdef HAVE_LIBLZMA
static const bool have_lzma = true;
#else
static const bool have_lzma;
#endif
#ifdef HAVE_LIBZSTD
static const bool have_zstd = true;
#else
static const bool have_zstd;
#endif
#ifdef HAVE_LIBLZ4
static const bool have_lz4 = true;
#else
static const bool have_lz4;
#endif

static void inside(void)
{
	struct kconfig_text conf;
	size_t len;

	if (!have_zlib) {
		skip("built without zlib", "configurations inside images");
		return;
	}
	make_vmlinux();
	ok(!kconfig_open(&conf, at("vmlinux")) && !strcmp(conf.text, CONFIG), "in a vmlinux, behind a false mark");
	ok(conf.from && strstr(conf.from, "IKCONFIG in "), "which is said");
	kconfig_close(&conf);
	try_kind("nothing", "cp vmlinux packed", true);
	try_kind("gzip", "gzip -c vmlinux > packed", true);
	try_kind("xz", "xz --check=crc32 --x86 --lzma2=dict=32MiB -c vmlinux > packed 2>/dev/null", have_lzma);
	try_kind("lzma", "xz --format=lzma -c vmlinux > packed 2>/dev/null", have_lzma);
	try_kind("zstd", "zstd -q -22 --ultra -c vmlinux > packed 2>/dev/null", have_zstd);
	try_kind("lz4", "lz4 -q -l -c vmlinux > packed 2>/dev/null", have_lz4);

	len = make_bzimage("packed", image, sizeof(image));
	memset(image + 0x24c, 0xff, 4);
	put("bzImage", image, len);
	is(kconfig_open(&conf, at("bzImage")), -2, "a payload that is longer than its file");
	memset(image + 0x248, 0xff, 4);
	put("bzImage", image, len);
	is(kconfig_open(&conf, at("bzImage")), -2, "or lies elsewhere");
	put("bzImage", image, 0x210);
	is(kconfig_open(&conf, at("bzImage")), -2, "a file of half a header");
	put("bomb", "IKCFG_ST", 8);
	sh("head -c 20000000 /dev/zero | gzip -c >> bomb");
	is(kconfig_open(&conf, at("bomb")), -2, "20 MB of configuration are too much");
}

static void beside(void)
{
	struct kconfig_text conf;
	size_t len = make_bzimage("absent", image, sizeof(image));

	put("vmlinuz-X", image, len);
	is(kconfig_open(&conf, at("vmlinuz-X")), -2, "there is none anywhere");
	put("config-6.6.6-test", "CONFIG_A=y\n", 11);
	ok(!kconfig_open(&conf, at("vmlinuz-X")) && strstr(conf.from, "/config-6.6.6-test"), "config-VERSION beside it");
	kconfig_close(&conf);
	put("config-X", "CONFIG_B=y\n", 11);
	ok(!kconfig_open(&conf, at("vmlinuz-X")) && strstr(conf.from, "/config-X"), "config-X beside vmlinuz-X");
	kconfig_close(&conf);
	sh("mkdir -p t/arch/x86/boot && cp vmlinuz-X t/arch/x86/boot/bzImage && echo CONFIG_C=y > t/.config");
	ok(!kconfig_open(&conf, at("t/arch/x86/boot/bzImage")) && kconfig_get(&conf, "C") == KCONFIG_YES,
	   "a tree's .config, from its bzImage");
	kconfig_close(&conf);
	put("config-X", "nothing of the kind\n", 20);
	ok(!kconfig_open(&conf, at("vmlinuz-X")) && strstr(conf.from, "/config-6"), "a text that is no configuration is passed over");
	kconfig_close(&conf);
	ok(!kconfig_open(&conf, at("config-6.6.6-test")) && kconfig_get(&conf, "A") == KCONFIG_YES,
	   "the configuration itself will do");
	kconfig_close(&conf);
	is(kconfig_open(&conf, dir), -21, "a folder will not");
}

static void states(void)
{
	static char text[] = CONFIG "CONFIG_TWICE=y\nCONFIG_TWICE=m\nCONFIG_LAST=y";
	struct kconfig_text conf = { .text = text };
	struct kconfig_need either = { .symbol = "NET", .other = "PCI" };

	is(kconfig_get(&conf, "VIRTIO_BLK"), KCONFIG_MODULE, "=m");
	is(kconfig_get(&conf, "PCI"), KCONFIG_YES, "=y");
	is(kconfig_get(&conf, "NET"), KCONFIG_NO, "is not set");
	is(kconfig_get(&conf, "PCI_MSI"), KCONFIG_NO, "=n");
	is(kconfig_get(&conf, "PC"), KCONFIG_NO, "a beginning is not the symbol");
	is(kconfig_get(&conf, "TWICE"), KCONFIG_MODULE, "the last word counts");
	is(kconfig_get(&conf, "LAST"), KCONFIG_YES, "a last line without its end");
	is(kconfig_has(&conf, &either), KCONFIG_YES, "one of two");
}

static void table(void)
{
	uint32_t set, all = 0;
	unsigned bad = 0;

	for (unsigned i = 0; kconfig_devices[i].word; i++)
		all |= 1U << i;
	for (const struct kconfig_need *n = kconfig_needs; n->symbol; n++) {
		bool known = !n->by;

		for (const struct kconfig_need *by = kconfig_needs; by->symbol; by++)
			known |= n->by && !strcmp(n->by, by->symbol);
		bad += !kconfig_wanted(n, all) || !known || !n->why == !n->by;
	}
	is(bad, 0, "each need is of a device that is known, and says why or whose");
	is(kconfig_device_set("--for", "disk", &set), 0, "one device");
	is(set & ~7U, 1U << 3, "is that one");
	is(set & 3, 3, "and those that are always there");
	is(kconfig_device_set("--for", "net,disk", &set), 0, "two");
	is(kconfig_device_set("--for", "disk,tape", &set), -22, "an unknown one");
	is(kconfig_device_set("--for", "", &set), -22, "none");
}

int main(void)
{
	char clean[64];

	/* Each broken image is told on stderr, at length. */
	if (!mkdtemp(dir) || !freopen("/dev/null", "w", stderr))
		return 1;
	inside();
	beside();
	states();
	table();
	snprintf(clean, sizeof(clean), "rm -rf %s", dir);
	is(system(clean), 0, "cleaned up");
	return tap_end();
}
