// SPDX-License-Identifier: GPL-2.0-only
/*
 * order: the message that says what to run, where, with which arguments and environment.
 *
 * Runs on: main.
 */
#include "order.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guest/command.h"
#include "lkvm/log.h"

#define PATH_DEFAULT "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

struct order {
	uint8_t *bytes;
	size_t len;
};

/* Longer than it may be it needn't become. */
static int append(struct order *o, const void *bytes, size_t len)
{
	uint8_t *more;

	if (len > sizeof(struct command_head) + COMMAND_START_MAX - o->len)
		return -E2BIG;
	more = realloc(o->bytes, o->len + len);
	if (!more)
		return -ENOMEM;
	memcpy(more + o->len, bytes, len);
	o->bytes = more;
	o->len += len;
	return 0;
}

static int append_word(struct order *o, const char *word)
{
	return append(o, word, strlen(word) + 1);
}

static bool has_env(const struct config_command *conf, const char *item)
{
	size_t name = strcspn(item, "=") + 1;

	for (unsigned i = 0; i < conf->env.n; i++)
		if (!strncmp(conf->env.item[i], item, name))
			return true;
	return false;
}

/* What every program may count on, unless -e says otherwise. */
static unsigned default_env(const struct config_command *conf, const char *env[3], char *term,
			    size_t size)
{
	const char *all[] = { PATH_DEFAULT, "HOME=/root", NULL };
	const char *here = getenv("TERM");
	unsigned n = 0;

	if (conf->tty) {
		snprintf(term, size, "TERM=%s", here ? here : "linux");
		all[2] = term;
	}
	for (unsigned i = 0; i < 3; i++)
		if (all[i] && !has_env(conf, all[i]))
			env[n++] = all[i];
	return n;
}

static int append_words(struct order *o, const struct config_command *conf, struct command_start *start)
{
	char term[128];
	const char *env[3];
	unsigned n = default_env(conf, env, term, sizeof(term));
	int err = append_word(o, conf->program ? conf->program : "");

	start->argc = conf->argc;
	start->envc = n + conf->env.n;
	if (start->argc + start->envc > COMMAND_WORDS_MAX)
		return -E2BIG;
	if (!err)
		err = append_word(o, conf->workdir ? conf->workdir : "/");
	for (unsigned i = 0; i < conf->argc && !err; i++)
		err = append_word(o, conf->argv[i]);
	for (unsigned i = 0; i < n && !err; i++)
		err = append_word(o, env[i]);
	for (unsigned i = 0; i < conf->env.n && !err; i++)
		err = append_word(o, conf->env.item[i]);
	return err;
}

int order_make(const struct config_command *conf, uint16_t cols, uint16_t rows, uint8_t **bytes, size_t *len)
{
	struct command_head head = { COMMAND_START, 0 };
	struct command_start start = { .version = COMMAND_VERSION,
				       .flags = conf->tty ? COMMAND_TTY : 0,
				       .cols = cols, .rows = rows };
	uint8_t blank[sizeof(head) + sizeof(start)] = { 0 };
	struct order o = { 0 };
	int err = append(&o, blank, sizeof(blank));

	if (!err)
		err = append_words(&o, conf, &start);
	if (err) {
		if (err == -E2BIG)
			log_err(NULL, "the command's arguments and environment are too long: less than 1 MiB "
				"and %u words go through", COMMAND_WORDS_MAX);
		else
			log_err(NULL, "cannot run a command: %s", strerror(-err));
		free(o.bytes);
		return err;
	}
	head.len = (uint32_t)(o.len - sizeof(head));
	memcpy(o.bytes, &head, sizeof(head));
	memcpy(o.bytes + sizeof(head), &start, sizeof(start));
	*bytes = o.bytes;
	*len = o.len;
	return 0;
}
