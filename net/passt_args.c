// SPDX-License-Identifier: GPL-2.0-only
/*
 * passt_args: passt's command line: what is published, and addresses for a host without a network.
 *
 * Runs on: main.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lkvm/log.h"
#include "net/child.h"
#include "net/link.h"
#include "net/passt.h"

static int add(struct passt_args *args, const char *text)
{
	if (args->n == PASST_ARGS)
		return -E2BIG;
	args->argv[args->n] = strdup(text);
	return args->argv[args->n++] ? 0 : -ENOMEM;
}

static int add_all(struct passt_args *args, const char *const *text)
{
	int err = 0;

	while (*text && !err)
		err = add(args, *text++);
	return err;
}

void passt_args_free(struct passt_args *args)
{
	while (args->n)
		free(args->argv[--args->n]);
}

static bool parse_port(const char *text, size_t len, unsigned *port)
{
	*port = 0;
	if (!len || len > 5 || strspn(text, "0123456789") < len)
		return false;
	for (size_t i = 0; i < len; i++)
		*port = *port * 10 + (unsigned)(text[i] - '0');
	return *port >= 1 && *port <= 65535;
}

/* "127.0.0.1" or "[::1]", len bytes of text, into a plain address. */
static bool parse_ip(const char *text, size_t len, char ip[INET6_ADDRSTRLEN])
{
	bool v6 = len > 2 && text[0] == '[' && text[len - 1] == ']';
	uint8_t bytes[16];

	if (v6) {
		text++;
		len -= 2;
	}
	if (!len || len >= INET6_ADDRSTRLEN)
		return false;
	memcpy(ip, text, len);
	ip[len] = '\0';
	return inet_pton(v6 ? AF_INET6 : AF_INET, ip, bytes) == 1;
}

/* [ip:]host:guest[/udp] as passt's option and its value, [ip/]host:guest. */
static bool parse_publish(const char *text, bool *udp, char *spec, size_t size)
{
	const char *slash = strchr(text, '/');
	const char *end = slash ? slash : text + strlen(text);
	const char *guest = memrchr(text, ':', (size_t)(end - text));
	const char *host = guest ? memrchr(text, ':', (size_t)(guest - text)) : NULL;
	char ip[INET6_ADDRSTRLEN] = "";
	unsigned host_port, guest_port;

	*udp = slash && !strcmp(slash, "/udp");
	if (!guest || (slash && !*udp && strcmp(slash, "/tcp") != 0))
		return false;
	if (host && !parse_ip(text, (size_t)(host - text), ip))
		return false;
	host = host ? host + 1 : text;
	if (!parse_port(host, (size_t)(guest - host), &host_port) ||
	    !parse_port(guest + 1, (size_t)(end - guest - 1), &guest_port))
		return false;
	snprintf(spec, size, "%s%s%u:%u", ip, *ip ? "/" : "", host_port, guest_port);
	return true;
}

static int add_publish(const char *name, const struct netif_conf *conf, struct passt_args *args)
{
	char spec[INET6_ADDRSTRLEN + 16];
	bool udp;
	int err = 0;

	for (unsigned i = 0; i < conf->n_publish && !err; i++) {
		if (!parse_publish(conf->publish[i], &udp, spec, sizeof(spec))) {
			log_err(name, "publish=%s is not [ip:]hostport:guestport[/udp], such as 8080:80",
				conf->publish[i]);
			return -EINVAL;
		}
		err = add(args, udp ? "-u" : "-t");
		if (!err)
			err = add(args, spec);
	}
	return err;
}

/*
 * passt copies its addresses from the interface with the default route and doesn't start without
 * one. Addresses of our own, on lo, let the guest at least reach the host, as its gateway.
 */
static int add_addresses(const char *name, struct passt_args *args)
{
	static const char *const host_only[] = { "-4", "-i", "lo", "-a", "10.0.2.15", "-n", "24",
						 "-g", "10.0.2.2", "-M", "52:55:0a:00:02:02", NULL };

	if (link_default_route())
		return 0;
	log_warn(name, "this host has no default route: the guest reaches only the host, as 10.0.2.2");
	return add_all(args, host_only);
}

int passt_args(const char *name, const struct netif_conf *conf, struct passt_args *args)
{
	char fd[12];
	int err;

	snprintf(fd, sizeof(fd), "%d", CHILD_FD);
	err = add_all(args, (const char *const[]){ "passt", "-f", "-q", "-e", "--fd", fd, NULL });
	if (!err)
		err = add_addresses(name, args);
	if (!err)
		err = add_publish(name, conf, args);
	if (err == -E2BIG)
		log_err(name, "too many publish= (about %d)", PASST_ARGS / 2 - 10);
	else if (err == -ENOMEM)
		log_err(name, "out of memory");
	if (err)
		passt_args_free(args);
	return err;
}
