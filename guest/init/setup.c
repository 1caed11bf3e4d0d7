// SPDX-License-Identifier: GPL-2.0-only
/*
 * setup: from a bare initramfs to file systems, drivers and open ports. Nobody else does it: there is
 * no udev, no shell, no library.
 *
 * Runs on: the guest's first process.
 */
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>

#include "guest/line.h"
#include "init.h"

#define PORTS_MS 60000 /* a busy host that emulates its guest is slow */
#define POLL_MS	 5
#define CLASS	 "/sys/class/virtio-ports"
#define DRIVER	 "/sys/bus/virtio/drivers/virtio_console"

struct ports ports = { NO_FD, NO_FD, NO_FD };

/* --- file systems ------------------------------------------------------------------------------- */

static long mount_at(const char *type, const char *dir, unsigned long flags, const char *data)
{
	long err;

	sys(mkdir, dir, 0755);
	err = sys(mount, type, dir, type, flags, data);
	return err == -EBUSY ? 0 : err; /* it is there already */
}

/* As the kernel takes it. */
static unsigned makedev(unsigned major, unsigned minor)
{
	return (minor & 0xff) | major << 8 | (minor & ~0xffu) << 12;
}

/* A /dev for kernels without devtmpfs: what programs expect at least. */
static void make_nodes(void)
{
	static const struct {
		const char *path;
		unsigned char major, minor;
	} nodes[] = {
		{ "/dev/null", 1, 3 },	  { "/dev/zero", 1, 5 }, { "/dev/full", 1, 7 },
		{ "/dev/random", 1, 8 },  { "/dev/urandom", 1, 9 }, { "/dev/tty", 5, 0 },
		{ "/dev/console", 5, 1 }, { "/dev/ptmx", 5, 2 }, { "/dev/kmsg", 1, 11 },
	};

	for (unsigned i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
		sys(mknod, nodes[i].path, S_IFCHR | 0666, makedev(nodes[i].major, nodes[i].minor));
		sys(chmod, nodes[i].path, 0666);
	}
}

static void make_links(void)
{
	static const char *const links[][2] = {
		{ "/proc/self/fd", "/dev/fd" },
		{ "/proc/self/fd/0", "/dev/stdin" },
		{ "/proc/self/fd/1", "/dev/stdout" },
		{ "/proc/self/fd/2", "/dev/stderr" },
	};

	for (unsigned i = 0; i < sizeof(links) / sizeof(links[0]); i++)
		sys(symlink, links[i][0], links[i][1]);
}

void setup_mounts(void)
{
	long err;

	sys(umask, 022);
	if ((err = mount_at("proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL)) < 0)
		SAY("cannot mount /proc: ", str_error(err));
	if ((err = mount_at("sysfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL)) < 0)
		SAY("cannot mount /sys: ", str_error(err));
	if (mount_at("devtmpfs", "/dev", MS_NOSUID, "mode=0755") < 0) {
		if ((err = mount_at("tmpfs", "/dev", MS_NOSUID, "mode=0755")) < 0)
			SAY("cannot mount /dev: ", str_error(err));
		make_nodes();
	}
	/* Things that many commands do without: a kernel may lack them. */
	mount_at("devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC, "mode=0620,ptmxmode=0666");
	mount_at("tmpfs", "/dev/shm", MS_NOSUID | MS_NODEV, "mode=1777");
	make_links();
	sys(mkdir, "/tmp", 0);
	sys(chmod, "/tmp", 01777);
	sys(mkdir, "/run", 0755);
}

/* --- modules ------------------------------------------------------------------------------------ */

static void load_module(const char *path)
{
	int fd = sys_open(path, O_RDONLY);
	long err = fd;

	if (fd >= 0) {
		err = sys(finit_module, fd, "", 0);
		sys_close(fd);
	}
	if (err < 0 && err != -EEXIST)
		SAY("cannot load ", path, ": ", str_error(err));
	/* Its pages are the guest's RAM. */
	sys(unlink, path);
}

void setup_modules(void)
{
	static char list[8192];
	char *line = list;

	if (file_read(COMMAND_MODULES, list, sizeof(list)) <= 0)
		return;
	for (char *at = list; *at; at++) {
		if (*at != '\n')
			continue;
		*at = 0;
		if (at > line)
			load_module(line);
		line = at + 1;
	}
}

void setup_clean(void)
{
	sys(unlink, COMMAND_MODULES);
	sys(unlink, COMMAND_INIT);
	sys(rmdir, COMMAND_DIR);
}

/* --- ports -------------------------------------------------------------------------------------- */

/* The device node of the port in CLASS/DIR, made by ourselves: /dev may have none. */
static int open_node(const char *dir)
{
	char path[128], text[32], *at = text;
	unsigned number[2] = { 0, 0 };
	int fd;

	JOIN(path, CLASS "/", dir, "/dev");
	if (file_read(path, text, sizeof(text)) <= 0)
		return NO_FD;
	for (unsigned i = 0; i < 2; i++) {
		while (*at >= '0' && *at <= '9')
			number[i] = number[i] * 10 + (unsigned)(*at++ - '0');
		if (*at == ':')
			at++;
	}
	sys(unlink, COMMAND_DIR "/port");
	if (sys(mknod, COMMAND_DIR "/port", S_IFCHR | 0600, makedev(number[0], number[1])) < 0)
		return NO_FD;
	fd = sys_open(COMMAND_DIR "/port", O_RDWR | O_NONBLOCK);
	sys(unlink, COMMAND_DIR "/port");
	return fd;
}

static void try_port(const char *dir)
{
	static const char *const names[] = { COMMAND_PORT_CONTROL, COMMAND_PORT_STDIO,
					     COMMAND_PORT_STDERR };
	int *const fds[] = { &ports.control, &ports.stdio, &ports.err };
	char path[128], name[64];
	long n;

	JOIN(path, CLASS "/", dir, "/name");
	n = file_read(path, name, sizeof(name));
	if (n <= 0)
		return; /* not named yet, or a console */
	if (name[n - 1] == '\n')
		name[n - 1] = 0;
	for (unsigned i = 0; i < 3; i++)
		if (str_is(name, names[i]) && *fds[i] < 0)
			*fds[i] = open_node(dir);
}

/* Tells of each file in path whose name begins with a v; their number. */
static unsigned each_v(const char *path, void (*tell)(const char *name))
{
	struct dirent64 {
		uint64_t ino, off;
		uint16_t len;
		uint8_t type;
		char name[];
	};
	static char buf[4096] __attribute__((aligned(8)));
	int fd = sys_open(path, O_RDONLY | O_DIRECTORY);
	unsigned count = 0;
	long n;

	if (fd < 0)
		return 0;
	while ((n = sys(getdents64, fd, buf, sizeof(buf))) > 0)
		for (long at = 0; at < n; at += ((struct dirent64 *)(buf + at))->len)
			if (((struct dirent64 *)(buf + at))->name[0] == 'v') {
				count++;
				tell(((struct dirent64 *)(buf + at))->name);
			}
	sys_close(fd);
	return count;
}

static void no_more(const char *name)
{
	(void)name;
}

/* Devices that the driver has; they are there when the modules are, their ports a little later. */
static bool has_console(void)
{
	return each_v(DRIVER, no_more) > 0;
}

/* Until the driver has heard that the host is there a port neither reads nor writes. */
static bool connected(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return fd >= 0 && sys(poll, &p, 1, 0) >= 0 && !(p.revents & POLLHUP);
}

static bool setup_virtio(void)
{
	for (unsigned ms = 0; has_console() && ms < PORTS_MS; ms += POLL_MS) {
		if (ports.control < 0 || ports.stdio < 0 || ports.err < 0)
			each_v(CLASS, try_port);
		if (connected(ports.control) && connected(ports.stdio) && connected(ports.err))
			return true;
		sleep_ms(POLL_MS);
	}
	ports = (struct ports){ NO_FD, NO_FD, NO_FD };
	return false;
}

bool setup_ports(void)
{
	if (setup_virtio() || line_setup())
		return true;
	SAY("no way to lkvm: this kernel needs CONFIG_VIRTIO_PCI and CONFIG_VIRTIO_CONSOLE, built in or as "
	    "modules that lkvm finds, or a serial port " LINE_TTY " (CONFIG_SERIAL_8250)");
	return false;
}

/* Many a command talks to 127.0.0.1. */
void setup_loopback(void)
{
	struct ifreq req = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int fd = (int)sys(socket, AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return;
	sys(ioctl, fd, SIOCSIFFLAGS, &req);
	sys_close(fd);
}
