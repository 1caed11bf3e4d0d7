// SPDX-License-Identifier: GPL-2.0-only
/*
 * cmd: the list of commands and the parser their option tables drive.
 *
 * Runs on: main.
 */
#include "cmd.h"

#include <errno.h>
#include <string.h>

#include "lkvm/log.h"

const struct cmd *const cmd_all[] = { &cmd_run, &cmd_test, &cmd_doctor, &cmd_kconfig, &cmd_version, &cmd_help, NULL };

const struct cmd *cmd_find(const char *name)
{
	for (unsigned i = 0; cmd_all[i]; i++)
		if (!strcmp(cmd_all[i]->name, name))
			return cmd_all[i];
	return NULL;
}

static const struct cmd_option *find_long(const struct cmd_option *o, const char *name, size_t len)
{
	for (; o->name; o++)
		if (strlen(o->name) == len && !memcmp(o->name, name, len))
			return o;
	return NULL;
}

static const struct cmd_option *find_short(const struct cmd_option *o, char letter)
{
	for (; o->name; o++)
		if (letter && o->letter == letter)
			return o;
	return NULL;
}

static int unknown(const struct cmd *cmd, const char *word)
{
	log_err(NULL, "unknown option %s; `lkvm %s --help` lists them", word, cmd->name);
	return -EINVAL;
}

/*
 * One option at argv[*i]: --name value, --name=value, -n value, -nvalue. Moves *i past a value that
 * stands in the next word.
 */
static int parse_one(const struct cmd *cmd, int argc, char **argv, int *i, void *dst)
{
	const char *word = argv[*i], *value = NULL;
	const struct cmd_option *o;
	char what[64];

	if (word[1] == '-') {
		size_t len = strcspn(word + 2, "=");

		o = find_long(cmd->options, word + 2, len);
		if (word[2 + len])
			value = word + 2 + len + 1;
	} else {
		o = find_short(cmd->options, word[1]);
		if (word[2])
			value = word + 2;
	}
	if (!o)
		return unknown(cmd, word);
	snprintf(what, sizeof(what), "--%s", o->name);
	if (!o->arg && value) {
		log_err(NULL, "%s takes no value", what);
		return -EINVAL;
	}
	if (o->arg && !value) {
		if (*i + 1 >= argc) {
			log_err(NULL, "%s needs a value: %s", what, o->arg);
			return -EINVAL;
		}
		value = argv[++*i];
	}
	return o->set(dst, what, value);
}

int cmd_parse(const struct cmd *cmd, int argc, char **argv, void *dst,
	      int (*positional)(void *dst, const char *value))
{
	bool options = true;
	int err = 0;

	for (int i = 1; i < argc && !err; i++) {
		const char *word = argv[i];

		if (options && !strcmp(word, "--") && cmd->rest) {
			return cmd->rest(dst, argc - i - 1, argv + i + 1);
		} else if (options && !strcmp(word, "--")) {
			options = false;
		} else if (options && (!strcmp(word, "--help") || !strcmp(word, "-h"))) {
			cmd_print_help(cmd, stdout);
			return 1;
		} else if (options && word[0] == '-' && word[1]) {
			err = parse_one(cmd, argc, argv, &i, dst);
		} else if (positional) {
			err = positional(dst, word);
		} else {
			log_err(NULL, "`lkvm %s` takes no argument '%s'", cmd->name, word);
			err = -EINVAL;
		}
	}
	return err;
}
