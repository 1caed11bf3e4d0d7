// SPDX-License-Identifier: GPL-2.0-only
/*
 * run: `lkvm run`: the option table, and from the options to a config.
 *
 * Runs on: main.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "cmd.h"
#include "lkvm/log.h"
#include "lkvm/machine.h"
#include "lkvm/vm.h"
#include "run_command.h"
#include "run_debug.h"
#include "run_iothread.h"
#include "run_watch.h"

#define MIB (1ULL << 20)
#define MEM_MIN (8 * MIB)

static const char *const layout_words[] = { "modern", "transitional", "legacy", NULL };
static const char *const net_words[] = { "none", "tap", "user", "fd", NULL };
static const char *const console_words[] = { "serial", "virtio", "none", NULL };

/* --- key=value tables ------------------------------------------------------------------------ */

#define AT_DISK(field) .at = offsetof(struct config_disk, field)
#define AT_NET(field)  .at = offsetof(struct config_net, field)

static const struct opt_key disk_keys[] = {
	{ .name = "path", .kind = OPT_STRING, AT_DISK(path), .help = "raw image or block device" },
	{ .name = "readonly", .alias = "ro", .kind = OPT_BOOL, AT_DISK(readonly),
	  .help = "opened read-only, writes are refused" },
	{ .name = "direct", .kind = OPT_BOOL, AT_DISK(direct), .help = "past the page cache (O_DIRECT)" },
	{ .name = "format", .kind = OPT_STRING, AT_DISK(format), .help = "raw; never guessed" },
	{ .name = "serial", .kind = OPT_STRING, AT_DISK(serial), .help = "up to 20 bytes" },
	{ .name = "queues", .kind = OPT_UINT, AT_DISK(queues), .min = 1, .max = CONFIG_QUEUES,
	  .help = "request queues (1)" },
	{ .name = "queue-size", .kind = OPT_UINT, AT_DISK(queue_size), .min = 2, .max = 1024,
	  .help = "entries a queue, a power of two" },
	{ .name = "iothread", .kind = OPT_STRING, AT_DISK(iothread),
	  .help = "I/O thread of that name; A+B: its queues in turn on both" },
	{ .name = "virtio", .kind = OPT_CHOICE, AT_DISK(virtio), .words = layout_words,
	  .help = "this device's layout" },
	{ .name = "features", .kind = OPT_FEATURES, AT_DISK(features), .help = "turn features on or off" },
	{ 0 },
};

static const struct opt_key net_keys[] = {
	{ .name = "mode", .kind = OPT_CHOICE, AT_NET(mode), .words = net_words,
	  .help = "user needs passt, tap and fd the right to open taps" },
	{ .name = "tap", .kind = OPT_STRING, AT_NET(tap), .help = "interface (default: the kernel names it)" },
	{ .name = "fd", .kind = OPT_UINT, AT_NET(fd), .max = 1 << 20, .help = "an open tap, for mode=fd" },
	{ .name = "mac", .kind = OPT_MAC, AT_NET(mac), .help = "the guest's address (default: made up)" },
	{ .name = "mtu", .kind = OPT_UINT, AT_NET(mtu), .min = 68, .max = 65535, .help = "told to the guest" },
	{ .name = "host-ip", .kind = OPT_STRING, AT_NET(host_ip), .help = "ADDRESS/PREFIX for the tap's host end" },
	{ .name = "script", .kind = OPT_STRING, AT_NET(script), .help = "run with the tap's name once it is there" },
	{ .name = "publish", .kind = OPT_LIST, AT_NET(publish),
	  .help = "user: [ip:]hostport:guestport[/udp]; repeatable" },
	{ .name = "vhost", .kind = OPT_BOOL, AT_NET(vhost),
	  .help = "tap, fd: the kernel moves the packets (vhost-net)" },
	{ .name = "queues", .kind = OPT_UINT, AT_NET(queues), .min = 1, .max = 8, .help = "queue pairs (1)" },
	{ .name = "queue-size", .kind = OPT_UINT, AT_NET(queue_size), .min = 2, .max = 1024,
	  .help = "entries a queue, a power of two" },
	{ .name = "iothread", .kind = OPT_STRING, AT_NET(iothread),
	  .help = "I/O thread of that name; A+B: its queue pairs in turn on both" },
	{ .name = "virtio", .kind = OPT_CHOICE, AT_NET(virtio), .words = layout_words,
	  .help = "this device's layout" },
	{ .name = "features", .kind = OPT_FEATURES, AT_NET(features), .help = "turn features on or off" },
	{ 0 },
};

struct mem_opt {
	char *size;
	bool hugepages, prealloc;
};

static const struct opt_key mem_keys[] = {
	{ .name = "size", .kind = OPT_STRING, .at = offsetof(struct mem_opt, size),
	  .help = "MiB, or with K, M, G, T" },
	{ .name = "hugepages", .kind = OPT_BOOL, .at = offsetof(struct mem_opt, hugepages),
	  .help = "from the host's pool of huge pages" },
	{ .name = "prealloc", .kind = OPT_BOOL, .at = offsetof(struct mem_opt, prealloc),
	  .help = "take it all at the start" },
	{ 0 },
};

/* --- setters --------------------------------------------------------------------------------- */

static int set_string(char **at, const char *what, const char *value)
{
	if (!*value) {
		log_err(NULL, "%s: its value is empty", what);
		return -EINVAL;
	}
	return opt_replace(at, value);
}

#define STRING_SETTER(field)                                                                       \
	static int set_##field(void *dst, const char *what, const char *value)                     \
	{                                                                                          \
		return set_string(&((struct config *)dst)->field, what, value);                    \
	}

STRING_SETTER(kernel)
STRING_SETTER(initrd)
STRING_SETTER(name)
STRING_SETTER(console_log)
STRING_SETTER(result)
STRING_SETTER(features)

/* -p may come several times: the parts are joined. */
static int set_params(void *dst, const char *what, const char *value)
{
	struct config *conf = dst;
	char *joined;

	(void)what;
	if (asprintf(&joined, "%s%s%s", conf->params ? conf->params : "", conf->params ? " " : "",
		     value) < 0)
		return -ENOMEM;
	free(conf->params);
	conf->params = joined;
	return 0;
}

static int set_cpus(void *dst, const char *what, const char *value)
{
	uint64_t n;
	int err = opt_uint(what, value, 1, VM_CPUS_MAX, &n);

	if (!err)
		((struct config *)dst)->cpus = (unsigned)n;
	return err;
}

static int check_mem(struct config *conf, const char *what)
{
	uint64_t unit = conf->mem_flags & GMEM_HUGEPAGES ? 2 * MIB : 4096;

	if (conf->mem < MEM_MIN) {
		log_err(NULL, "%s: a guest needs at least %llu MiB", what, MEM_MIN / MIB);
		return -EINVAL;
	}
	if (conf->mem % unit) {
		log_err(NULL, "%s: the size must be a multiple of %llu KiB", what,
			(unsigned long long)unit / 1024);
		return -EINVAL;
	}
	return 0;
}

static int set_mem(void *dst, const char *what, const char *value)
{
	struct config *conf = dst;
	struct mem_opt opt = { 0 };
	int err = opt_parse(what, value, mem_keys, &opt, NULL);

	if (!err && opt.size)
		err = opt_size(what, opt.size, MIB, &conf->mem);
	conf->mem_flags = (opt.hugepages ? GMEM_HUGEPAGES : 0) | (opt.prealloc ? GMEM_PREALLOC : 0);
	free(opt.size);
	return err ? err : check_mem(conf, what);
}

static bool bad_queue_size(const char *what, uint64_t n)
{
	if (!(n & (n - 1)))
		return false;
	log_err(NULL, "%s: queue-size: %llu is not a power of two", what, (unsigned long long)n);
	return true;
}

static int set_disk(void *dst, const char *what, const char *value)
{
	struct config *conf = dst;
	struct config_disk *disk = &conf->disk[conf->n_disks];
	int err;

	if (conf->n_disks == CONFIG_DISKS) {
		log_err(NULL, "%s: more than %u disks", what, CONFIG_DISKS);
		return -EINVAL;
	}
	conf->n_disks++; /* config_free() frees what was parsed, also after an error */
	disk->virtio = LAYOUT_DEFAULT;
	err = opt_parse(what, value, disk_keys, disk, NULL);
	if (!err && !disk->path) {
		log_err(NULL, "%s: which file? write %s path=FILE", what, what);
		err = -EINVAL;
	}
	if (!err && bad_queue_size(what, disk->queue_size))
		err = -EINVAL;
	if (!err && disk->iothread)
		err = check_iothreads(what, disk->iothread, disk->queues);
	if (!err && disk->serial && strlen(disk->serial) > 20) {
		log_err(NULL, "%s: serial: '%s' is longer than 20 bytes", what, disk->serial);
		err = -EINVAL;
	}
	return err;
}

/* Keys that only one mode understands: a tired user shall not wonder why they do nothing. */
static int check_net_mode(const struct config_net *net, const char *what, uint64_t seen)
{
	static const struct {
		const char *key;
		unsigned modes;
	} only[] = {
		{ "tap", 1 << NETIF_TAP },	 { "host-ip", 1 << NETIF_TAP },
		{ "script", 1 << NETIF_TAP },	 { "fd", 1 << NETIF_FD },
		{ "publish", 1 << NETIF_USER },	 { "vhost", 1 << NETIF_TAP | 1 << NETIF_FD },
	};

	for (unsigned i = 0; i < sizeof(only) / sizeof(only[0]); i++)
		for (unsigned k = 0; net_keys[k].name; k++)
			if (seen & 1ULL << k && !strcmp(net_keys[k].name, only[i].key) &&
			    !(only[i].modes & 1U << net->mode)) {
				log_err(NULL, "%s: %s has no meaning with mode=%s", what, only[i].key,
					net_words[net->mode]);
				return -EINVAL;
			}
	return 0;
}

/* Two devices on one tap would take each other's packets. */
static int check_net_twice(const struct config *conf, const struct config_net *net, const char *what)
{
	for (const struct config_net *other = conf->net; other != net; other++) {
		if (net->tap && other->tap && !strcmp(net->tap, other->tap)) {
			log_err(NULL, "%s: tap %s is used twice; give each device its own", what,
				net->tap);
			return -EINVAL;
		}
		if (net->mode == NETIF_FD && other->mode == NETIF_FD && net->fd == other->fd) {
			log_err(NULL, "%s: fd %llu is used twice; give each device its own", what,
				(unsigned long long)net->fd);
			return -EINVAL;
		}
	}
	return 0;
}

static int set_net(void *dst, const char *what, const char *value)
{
	struct config *conf = dst;
	struct config_net *net = &conf->net[conf->n_nets];
	uint64_t seen = 0;
	int err;

	if (conf->n_nets == CONFIG_NETS) {
		log_err(NULL, "%s: more than %u network devices", what, CONFIG_NETS);
		return -EINVAL;
	}
	conf->n_nets++;
	net->virtio = LAYOUT_DEFAULT;
	err = opt_parse(what, value, net_keys, net, &seen);
	if (!err && !(seen & 1) && net->tap)
		net->mode = NETIF_TAP; /* `-n tap=NAME` says it all */
	else if (!err && !(seen & 1) && seen & 4)
		net->mode = NETIF_FD; /* so does `-n fd=N` */
	else if (!err && !(seen & 1)) {
		log_err(NULL, "%s: which mode? write %s mode=user, tap, fd or none", what, what);
		err = -EINVAL;
	}
	if (!err && net->mode == NETIF_FD && !(seen & 4)) {
		log_err(NULL, "%s: mode=fd needs fd=N", what);
		err = -EINVAL;
	}
	if (!err && bad_queue_size(what, net->queue_size))
		err = -EINVAL;
	if (!err && net->iothread)
		err = check_net_iothreads(what, net);
	if (!err)
		err = check_net_mode(net, what, seen);
	return err ? err : check_net_twice(conf, net, what);
}

static int set_console(void *dst, const char *what, const char *value)
{
	unsigned n;
	int err = opt_choice(what, value, console_words, &n);

	if (!err)
		((struct config *)dst)->console = (enum config_console)n;
	return err;
}

static int set_virtio(void *dst, const char *what, const char *value)
{
	unsigned n;
	int err = opt_choice(what, value, layout_words, &n);

	if (!err)
		((struct config *)dst)->virtio = (enum virtio_layout)n;
	return err;
}

static int set_loglevel(void *dst, const char *what, const char *value)
{
	int level = log_level_parse(value);

	(void)dst;
	if (level < 0) {
		log_err(NULL, "%s: '%s' is not one of: err, warn, info, debug", what, value);
		return -EINVAL;
	}
	log_set_level((enum log_level)level);
	return 0;
}

static int set_debug_exit(void *dst, const char *what, const char *value)
{
	(void)what;
	(void)value;
	((struct config *)dst)->debug_exit = true;
	return 0;
}

static int positional(void *dst, const char *value)
{
	struct config *conf = dst;

	if (conf->kernel) {
		log_err(NULL, "'%s': there is a kernel already (%s)", value, conf->kernel);
		return -EINVAL;
	}
	return set_string(&conf->kernel, "KERNEL", value);
}

static const struct cmd_option options[] = {
	{ 'k', "kernel", "FILE", "bzImage, or ELF vmlinux; searched for when not given", set_kernel, NULL },
	{ 'i', "initrd", "FILE", "initial RAM disk", set_initrd, NULL },
	{ 'p', "params", "TEXT", "added to the kernel's command line", set_params, NULL },
	{ 'c', "cpus", "N", "virtual CPUs, 1 to 64 (1)", set_cpus, NULL },
	{ 'm', "mem", "SIZE", "RAM; a plain number counts MiB (512)", set_mem, mem_keys },
	{ 'd', "disk", "FILE[,KEY=VALUE...]", "a virtio block device; repeatable", set_disk, disk_keys },
	{ 'n', "network", "MODE[,KEY=VALUE...]", "a virtio network device; repeatable", set_net, net_keys },
	{ 0, "console", "WHICH", "serial (default), virtio or none on stdin and stdout", set_console, NULL },
	{ 0, "console-log", "FILE", "copy the console there, with host timestamps", set_console_log, NULL },
	{ 0, "result", "FILE", "write there, as JSON, how it ended and what took how long", set_result, NULL },
	{ 0, "virtio", "LAYOUT", "modern (default), transitional or legacy, for all devices", set_virtio,
	  NULL },
	{ 0, "virtio-features", "+x,-y", "turn ring features on or off, for all devices", set_features, NULL },
	{ 0, "name", "NAME", "the process's name, as ps shows it (15 bytes)", set_name, NULL },
	RUN_COMMAND_OPTIONS,
	RUN_WATCH_OPTIONS,
	RUN_DEBUG_OPTIONS,
	RUN_IOTHREAD_OPTIONS,
	{ 0, "loglevel", "LEVEL", "err, warn (default), info or debug", set_loglevel, NULL },
	{ 0, "debug-exit", NULL, "I/O port 0x501 ends the guest with the byte written as status",
	  set_debug_exit, NULL },
	{ 0 },
};

/* Where a kernel lies when nobody says so: in the tree one stands in, else the host's own. */
static int find_kernel(struct config *conf)
{
	static const char *const places[] = { "./bzImage", "./arch/x86/boot/bzImage", "./vmlinux" };
	struct utsname host;
	char running[sizeof(host.release) + 16];
	const char *found = NULL;

	for (unsigned i = 0; i < 3 && !found; i++)
		if (!access(places[i], R_OK))
			found = places[i];
	if (!found && !uname(&host)) {
		snprintf(running, sizeof(running), "/boot/vmlinuz-%s", host.release);
		if (!access(running, R_OK))
			found = running;
	}
	if (!found && !access("/boot/vmlinuz", R_OK))
		found = "/boot/vmlinuz";
	if (!found) {
		log_err(NULL, "no kernel: none at ./bzImage, ./arch/x86/boot/bzImage, ./vmlinux or "
			      "readable in /boot; name one with -k FILE");
		return -ENOENT;
	}
	log_warn(NULL, "booting %s", found);
	return set_string(&conf->kernel, "KERNEL", found);
}

static int run_run(int argc, char **argv)
{
	struct config conf;
	int err, status = STATUS_FAILED;

	config_init(&conf);
	err = cmd_parse(&cmd_run, argc, argv, &conf, positional);
	if (!err && !conf.kernel)
		err = find_kernel(&conf);
	if (!err)
		err = run_command_check(&conf, &status);
	if (err > 0)
		status = STATUS_OK; /* --help */
	else if (!err)
		status = machine_run(&conf);
	else
		machine_not_run(&conf, status);
	config_free(&conf);
	return status;
}

const struct cmd cmd_run = {
	.name = "run",
	.args = "[OPTIONS] [KERNEL] [-- COMMAND ARG...]",
	.help = "boot a Linux kernel; the guest's console is stdin and stdout, Ctrl-a x ends it",
	.options = options,
	.run = run_run,
	.rest = set_command,
};
