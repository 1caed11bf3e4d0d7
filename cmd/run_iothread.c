// SPDX-License-Identifier: GPL-2.0-only
/*
 * run_iothread: the options of `lkvm run` for the threads that devices run on.
 *
 * Runs on: main.
 */
#include "run_iothread.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "lkvm/log.h"

#define POLL_US_MAX 1000

int set_poll_us(void *dst, const char *what, const char *value)
{
	uint64_t us = 0;
	int err = opt_uint(what, value, 0, POLL_US_MAX, &us);

	((struct config *)dst)->poll_ns = us * 1000;
	return err;
}

/* Does the name that begins at `at` come a second time behind it? */
static bool named_again(const char *at, size_t len)
{
	for (const char *next = at + len; *next; next += strcspn(next, "+")) {
		next++;
		if (strcspn(next, "+") == len && !memcmp(next, at, len))
			return true;
	}
	return false;
}

int check_iothreads(const char *what, const char *names, uint64_t queues)
{
	uint64_t n = 0;

	for (const char *at = names;; at++) {
		size_t len = strcspn(at, "+");

		if (!len) {
			log_err(NULL, "%s: iothread: '%s': a name is missing before or after a +", what,
				names);
			return -EINVAL;
		}
		if (named_again(at, len)) {
			log_err(NULL, "%s: iothread: '%s' names %.*s twice", what, names, (int)len, at);
			return -EINVAL;
		}
		n++;
		at += len;
		if (!*at)
			break;
	}
	if (n <= (queues ? queues : 1))
		return 0;
	log_err(NULL, "%s: iothread: '%s': %llu threads for %llu queue%s. Fix: queues=%llu", what, names,
		(unsigned long long)n, (unsigned long long)(queues ? queues : 1),
		queues > 1 ? "s" : "", (unsigned long long)n);
	return -EINVAL;
}

int check_net_iothreads(const char *what, const struct config_net *net)
{
	if (!net->vhost || !strchr(net->iothread, '+'))
		return check_iothreads(what, net->iothread, net->queues);
	log_err(NULL, "%s: iothread: '%s': with vhost=on the kernel's threads move the packets, and one of "
		"lkvm's is enough for the rest", what, net->iothread);
	return -EINVAL;
}
