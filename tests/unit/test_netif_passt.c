// SPDX-License-Identifier: GPL-2.0-only
/*
 * User mode networking: what passt is told, how it comes and goes, and one that misbehaves.
 *
 * This program is its own fake passt: called by that name it plays the part that FAKE_PASST names.
 */
#include <arpa/inet.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "lkvm/netif.h"
#include "net/link.h"
#include "net/passt.h"
#include "net_host.h"

/* One that somebody left open for every program. */
#define LEAK_FD 20

static const uint8_t mac[6] = { 0x52, 0x54, 0, 1, 2, 3 };

/* --- the fake --------------------------------------------------------------------------------- */

static bool get(void *to, size_t len)
{
	return recv(3, to, len, MSG_WAITALL) == (ssize_t)len;
}

static ssize_t get_frame(uint8_t *frame, size_t size)
{
	uint32_t len;

	if (!get(&len, 4) || ntohl(len) > size || !get(frame, ntohl(len)))
		return -1;
	return (ssize_t)ntohl(len);
}

static void put(const void *from, size_t len, bool slowly)
{
	for (size_t i = 0; i < len; i += slowly ? 1 : len)
		if (send(3, (const uint8_t *)from + i, slowly ? 1 : len, MSG_NOSIGNAL) < 0)
			_exit(0);
}

static int fake_passt(const char *mode)
{
	static uint8_t frame[65535];
	const bool slowly = !strcmp(mode, "slowly");
	ssize_t n;

	if (fcntl(LEAK_FD, F_GETFD) >= 0) {
		fprintf(stderr, "a descriptor of the VMM's leaked\n");
		return 1;
	}
	if (!strcmp(mode, "fail")) {
		fprintf(stderr, "Failed to send 3 bytes to syslog\nno port\x1b[31m for you\n");
		return 1;
	}
	while ((n = get_frame(frame, sizeof(frame))) >= 0) {
		uint32_t be = htonl((uint32_t)n);

		if (!strcmp(mode, "crash") && frame[12] != 8)
			raise(SIGKILL);
		if (!strcmp(mode, "hostile") && frame[12] != 8)
			be = 0xffffffff;
		put(&be, 4, slowly);
		put(frame, (size_t)n, slowly);
	}
	return 0;
}

/* --- the other side --------------------------------------------------------------------------- */

struct seen {
	struct netif *nif;
	int readable, writable, died, frames;
	size_t bytes;
	uint8_t last[65600];
	ssize_t last_len;
};

static void on_readable(void *opaque, unsigned queue)
{
	static uint8_t buf[NETIF_HDR + NETIF_FRAME_MAX];
	struct seen *s = opaque;
	const struct iovec iov[3] = { { buf, NETIF_HDR }, { buf + NETIF_HDR, 7 },
				      { buf + NETIF_HDR + 7, NETIF_FRAME_MAX - 7 } };
	ssize_t n;

	s->readable++;
	memset(buf, 0xaa, NETIF_HDR);
	while ((n = netif_recv(s->nif, queue, iov, 3)) > 0) {
		s->frames++;
		s->bytes += (size_t)n - NETIF_HDR;
		memcpy(s->last, buf, (size_t)n);
		s->last_len = n;
	}
}

static void on_writable(void *opaque, unsigned queue)
{
	(void)queue;
	((struct seen *)opaque)->writable++;
}

static void on_died(void *opaque)
{
	((struct seen *)opaque)->died++;
}

static struct netif *open_user(struct loop *loop, struct seen *s, char **publish, unsigned n)
{
	const struct netif_conf conf = { .mode = NETIF_USER, .mac = mac, .publish = publish,
					 .n_publish = n };
	const struct netif_user user = { .readable = on_readable, .writable = on_writable,
					 .died = on_died, .opaque = s };

	memset(s, 0, sizeof(*s));
	s->nif = netif_open("net0", &conf);
	if (s->nif)
		logged(); /* that there is no default route here is no news */
	if (s->nif && netif_attach(s->nif, loop, &user)) {
		netif_close(s->nif);
		s->nif = NULL;
	}
	if (s->nif)
		netif_want_read(s->nif, 0, true);
	return s->nif;
}

static ssize_t send_frame(struct netif *nif, size_t len, uint8_t tag)
{
	static uint8_t frame[70000];
	struct netif_hdr hdr = { 0 };
	const struct iovec iov[3] = { { &hdr, sizeof(hdr) }, { frame, 14 }, { frame + 14, len - 14 } };

	memset(frame, tag, len);
	return netif_send(nif, 0, iov, 3);
}

static void test_frames(struct loop *loop, const char *mode, int count, size_t len)
{
	struct seen s;
	int sent = 0, good = 1, untold = 0;

	setenv("FAKE_PASST", mode, 1);
	ok(open_user(loop, &s, NULL, 0), "%s: starts", mode);
	if (!s.nif)
		return;
	for (int i = 0; i < count; i++) {
		ssize_t n = send_frame(s.nif, len, (uint8_t)(i + 1));

		if (n == -EAGAIN) {
			TURN_UNTIL(loop, s.writable, 2000);
			untold += !s.writable;
			s.writable = 0;
			n = send_frame(s.nif, len, (uint8_t)(i + 1));
		}
		sent += n == (ssize_t)(NETIF_HDR + len);
	}
	TURN_UNTIL(loop, s.frames == count, 4000);
	is(sent, count, "%s: frames of %zu bytes are taken, with waits where there is no room", mode, len);
	is(untold, 0, "%s: each wait ends with word that there is room", mode);
	is(s.frames, count, "%s: and all come back", mode);
	for (int i = 0; i < NETIF_HDR; i++)
		good &= s.last[i] == 0;
	for (size_t i = 0; i < len; i++)
		good &= s.last[NETIF_HDR + i] == (uint8_t)count;
	ok(good, "%s: the last one whole, behind a header of zeroes", mode);
	is(send_frame(s.nif, 65536, 1), -EMSGSIZE, "%s: a frame that passt can't take is refused", mode);
	netif_close(s.nif);
	ok(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD, "%s: no process is left", mode);
	is_str(logged(), "", "%s: nothing was logged", mode);
}

static void test_no_reading(struct loop *loop)
{
	struct seen s;

	setenv("FAKE_PASST", "echo", 1);
	if (!ok(open_user(loop, &s, NULL, 0), "starts"))
		return;
	netif_want_read(s.nif, 0, false);
	send_frame(s.nif, 100, 1);
	turn_for(loop, 30);
	is(s.readable, 0, "packets that aren't wanted are left alone");
	netif_want_read(s.nif, 0, true);
	TURN_UNTIL(loop, s.frames, 1000);
	is(s.frames, 1, "and come when they are");
	netif_close(s.nif);
}

static void test_ends(struct loop *loop)
{
	static const struct {
		const char *mode, *line;
	} how[] = {
		{ "crash", "net0: passt ended (signal 9 (Killed)); the guest has no network" },
		{ "hostile", "net0: passt sent a frame of no sensible length" },
	};
	struct seen s;

	setenv("FAKE_PASST", "fail", 1);
	ok(!open_user(loop, &s, NULL, 0), "one that can't start: no interface");
	ok(logged_line("lkvm: net0: passt ended (status 1): no port [31m for you"),
	   "one line, with its own words and without control bytes");

	for (unsigned i = 0; i < 2; i++) {
		setenv("FAKE_PASST", how[i].mode, 1);
		if (!ok(open_user(loop, &s, NULL, 0), "%s: starts", how[i].mode))
			continue;
		send_frame(s.nif, 100, 1);
		TURN_UNTIL(loop, s.died, 2000);
		is(s.died, 1, "%s: its end is told", how[i].mode);
		ok(strstr(logged(), how[i].line), "%s: and logged", how[i].mode);
		is(send_frame(s.nif, 100, 1), -EPIPE, "%s: sending fails from then on", how[i].mode);
		turn_for(loop, 10);
		is(s.died, 1, "%s: told once", how[i].mode);
		netif_close(s.nif);
		ok(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD, "%s: reaped", how[i].mode);
	}
	logged();
	setenv("FAKE_PASST", "echo", 1);
	if (ok(open_user(loop, &s, NULL, 0), "starts")) {
		netif_want_read(s.nif, 0, false);
		kill(child_of(getpid()), SIGKILL);
		TURN_UNTIL(loop, s.died, 2000);
		is(s.died, 1, "killed while nothing is being read: seen all the same");
		ok(logged_line("signal 9"), "logged in one line");
		netif_close(s.nif);
	}
}

/* A VMM that is killed: passt must not outlive it. Orphans come to us. */
static void test_orphan(const char *what)
{
	int status, go[2];
	char c;
	pid_t vmm, passt;

	if (pipe(go))
		abort();
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	vmm = fork();
	if (!vmm) {
		struct loop *loop = loop_open("vmm");
		struct seen s;

		c = open_user(loop, &s, NULL, 0) ? 'y' : 'n';
		if (write(go[1], &c, 1) == 1)
			pause();
		_exit(1);
	}
	close(go[1]);
	ok(read(go[0], &c, 1) == 1 && c == 'y', "%s: a process starts it", what);
	passt = child_of(vmm);
	kill(vmm, SIGKILL);
	waitpid(vmm, &status, 0);
	ok(passt > 0, "%s: runs", what);
	for (int i = 0; i < 2000 && waitpid(passt, &status, WNOHANG) == 0; i++)
		sleep_ms(1);
	ok(passt > 0 && kill(passt, 0) < 0 && errno == ESRCH, "%s: ends with its killed parent", what);
	prctl(PR_SET_CHILD_SUBREAPER, 0);
	close(go[0]);
}

/* --- the command line ------------------------------------------------------------------------- */

static bool has_pair(const struct passt_args *args, const char *option, const char *value)
{
	for (unsigned i = 0; i + 1 < args->n; i++)
		if (!strcmp(args->argv[i], option) && !strcmp(args->argv[i + 1], value))
			return true;
	return false;
}

static void test_args(bool own_net)
{
	static const struct {
		const char *publish, *option, *value;
	} good[] = {
		{ "8080:80", "-t", "8080:80" },
		{ "127.0.0.1:8080:80", "-t", "127.0.0.1/8080:80" },
		{ "5353:53/udp", "-u", "5353:53" },
		{ "[::1]:2222:22", "-t", "::1/2222:22" },
		{ "[::1]:65535:1/udp", "-u", "::1/65535:1" },
		{ "22:22/tcp", "-t", "22:22" },
	};
	static const char *const bad[] = {
		"", "80", ":80", "80:", "0:80", "80:65536", "x:80", "80:80/sctp", "1.2.3:80:80",
		"::1:80:80", "[::1:80:80", "host:80:80", "80:80/", "-1:80", "80:80,90:90", "[]:1:1",
		"127.0.0.1:-t:80", "1:2 -x:3", "000080:80", "1:1:1:1",
	};
	struct passt_args args = { 0 };
	char *publish;
	struct netif_conf conf = { .mode = NETIF_USER, .publish = &publish, .n_publish = 1 };

	for (unsigned i = 0; i < sizeof(good) / sizeof(*good); i++) {
		publish = (char *)good[i].publish;
		is(passt_args("net0", &conf, &args), 0, "publish=%s is taken", publish);
		ok(has_pair(&args, good[i].option, good[i].value), "as %s %s", good[i].option,
		   good[i].value);
		passt_args_free(&args);
	}
	logged();
	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		publish = (char *)bad[i];
		is(passt_args("net0", &conf, &args), -EINVAL, "publish=%s is refused", publish);
		ok(strstr(logged(), "[ip:]hostport:guestport"), "and the line says what is right");
	}
	conf.n_publish = 0;
	is(passt_args("net0", &conf, &args), 0, "nothing published");
	is(has_pair(&args, "-g", "10.0.2.2"), !link_default_route(),
	   "addresses of our own when there is no default route, and only then");
	if (own_net)
		ok(has_pair(&args, "-g", "10.0.2.2") && logged_line("no default route"),
		   "here there is none, and a line says so");
	passt_args_free(&args);
	logged();
}

static void test_none(void)
{
	const struct netif_conf conf = { .mode = NETIF_NONE, .queues = 2 };
	struct netif *nif = netif_open("net0", &conf);
	const struct iovec iov[2] = { { (void *)mac, 6 }, { (void *)mac, 5 } };

	ok(nif && logged_line("queues=2: only a tap opened by name can have more than one"),
	   "more queues than there can be: said");
	is(netif_info(nif)->queues, 1, "there is one");
	is(netif_info(nif)->features, 0, "mode none has no offloads");
	is(netif_send(nif, 0, iov, 2), 11, "and swallows what is sent");
	is(netif_recv(nif, 0, iov, 2), 0, "with nothing coming back");
	netif_close(nif);
}

static void test_missing(struct loop *loop)
{
	struct seen s;

	setenv("PATH", "/nonexistent", 1);
	ok(!open_user(loop, &s, NULL, 0), "no passt: no interface");
	ok(strstr(logged(), "lkvm: net0: passt is not installed. Fix: sudo apt install passt"),
	   "and how to get it");
}

/* --- the real one ----------------------------------------------------------------------------- */

static void test_real(struct loop *loop, const char *who)
{
	char *publish[] = { (char *)"127.0.0.1:18022:22" };
	struct seen s;
	int fd, one = 1;
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(18022),
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	if (!ok(open_user(loop, &s, publish, 1), "passt starts %s", who)) {
		printf("#   %s\n", logged());
		return;
	}
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	ok(connect(fd, (struct sockaddr *)&sin, sizeof(sin)) == 0 || errno == EINPROGRESS,
	   "the published port takes connections %s", who);
	TURN_UNTIL(loop, s.frames, 2000);
	ok(s.frames >= 1 && !memcmp(s.last + NETIF_HDR, mac, 6),
	   "the guest gets them at its own address %s", who);
	close(fd);
	netif_close(s.nif);
	ok(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD, "nothing is left %s", who);
	logged();

	/* The port is taken: said before any guest runs. */
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&sin, sizeof(sin)) || listen(fd, 1))
		abort();
	ok(!open_user(loop, &s, publish, 1), "a published port that is taken: no interface %s", who);
	ok(strstr(logged(), "127.0.0.1/18022:22"), "and the line names it %s", who);
	close(fd);
}

/* In a process of its own, which is an ordinary user's; it goes on counting where we are. */
static void test_real_as_user(void)
{
	int *count = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status;
	pid_t pid;

	if (count == MAP_FAILED)
		abort();
	fflush(stdout);
	pid = fork();
	if (!pid) {
		tap_failed = 0;
		if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
			_exit(2);
		test_real(loop_open("user"), "as an ordinary user");
		*count = tap_run;
		_exit(tap_failed != 0);
	}
	waitpid(pid, &status, 0);
	tap_run = *count;
	is(status, 0, "all of that as an ordinary user");
	munmap(count, 4096);
}

int main(int argc, char **argv)
{
	char dir[] = "/tmp/lkvm-passt-XXXXXX", link[64], path[4096], exe[4096];
	const char *why, *base = strrchr(argv[0], '/');
	struct loop *loop;
	ssize_t n;

	(void)argc;
	if (!strcmp(base ? base + 1 : argv[0], "passt") && getenv("FAKE_PASST"))
		return fake_passt(getenv("FAKE_PASST"));
	why = own_network();
	loop = loop_open("test");
	n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	if (!loop || n < 0 || !mkdtemp(dir))
		return 1;
	exe[n] = '\0';
	snprintf(link, sizeof(link), "%s/passt", dir);
	if (symlink(exe, link))
		return 1;
	snprintf(path, sizeof(path), "%s", getenv("PATH"));
	capture_log();
	if (dup2(STDOUT_FILENO, LEAK_FD) < 0)
		return 1;
	test_args(!why);
	test_none();

	setenv("PATH", dir, 1);
	if (!why)
		putenv((char *)"FAKE_PASST=echo");
	test_frames(loop, "echo", 1000, 1514);
	test_frames(loop, "echo", 20, 65535);
	test_frames(loop, "slowly", 20, 200);
	test_no_reading(loop);
	test_ends(loop);
	setenv("FAKE_PASST", "echo", 1);
	test_orphan("a fake passt");
	test_missing(loop);

	setenv("PATH", path, 1);
	unlink(link);
	rmdir(dir);
	if (why || system("command -v passt >/dev/null 2>&1")) {
		skip(why ? why : "passt is not installed", "with the real passt");
	} else {
		test_real(loop, "as root");
		test_orphan("the real passt");
		if (borrowed_root)
			skip("not root, so what was tried was that already", "as an ordinary user");
		else
			test_real_as_user();
	}
	loop_close(loop);
	return tap_end();
}
