// SPDX-License-Identifier: GPL-2.0-only
/*
 * run_command: the options of `lkvm run` for a command in the guest.
 *
 * Runs on: main.
 */
#include "run_command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lkvm/initramfs.h"
#include "lkvm/log.h"
#include "lkvm/machine.h"

static struct config_command *command_of(void *dst)
{
	return &((struct config *)dst)->command;
}

int set_command(void *dst, int n, char **words)
{
	if (n < 1) {
		log_err(NULL, "which command? nothing follows --");
		return -EINVAL;
	}
	command_of(dst)->argv = words;
	command_of(dst)->argc = (unsigned)n;
	return 0;
}

static int set_path(char **at, const char *value)
{
	free(*at);
	*at = strdup(value);
	return *at ? 0 : -ENOMEM;
}

int set_workdir(void *dst, const char *what, const char *value)
{
	if (value[0] != '/') {
		log_err(NULL, "%s: '%s' is a path in the guest and begins with /", what, value);
		return -EINVAL;
	}
	return set_path(&command_of(dst)->workdir, value);
}

int set_rootfs(void *dst, const char *what, const char *value)
{
	(void)what;
	return set_path(&command_of(dst)->rootfs, value);
}

int set_modules(void *dst, const char *what, const char *value)
{
	(void)what;
	return set_path(&command_of(dst)->modules, value);
}

int set_tty(void *dst, const char *what, const char *value)
{
	(void)what;
	(void)value;
	command_of(dst)->tty = true;
	return 0;
}

/* The last -e of a name counts. */
int set_env(void *dst, const char *what, const char *value)
{
	struct opt_list *env = &command_of(dst)->env;
	size_t name = strcspn(value, "=");
	const char *here = value[name] ? value + name + 1 : getenv(value);
	char *text, **item;

	if (!name) {
		log_err(NULL, "%s: '%s' has no name; write NAME=VALUE or NAME", what, value);
		return -EINVAL;
	}
	if (!here)
		return 0; /* not set here, nor there */
	if (asprintf(&text, "%.*s=%s", (int)name, value, here) < 0)
		return -ENOMEM;
	for (unsigned i = 0; i < env->n; i++)
		if (!strncmp(env->item[i], text, name + 1)) {
			free(env->item[i]);
			env->item[i] = text;
			return 0;
		}
	item = realloc(env->item, (env->n + 1) * sizeof(*item));
	if (!item) {
		free(text);
		return -ENOMEM;
	}
	env->item = item;
	env->item[env->n++] = text;
	return 0;
}

static int needs_command(const struct config_command *c)
{
	const char *given = c->rootfs ? "--rootfs" : c->env.n ? "--env" : c->workdir ? "--workdir" :
			    c->tty ? "--tty" : c->modules ? "--modules" : NULL;

	if (!given)
		return 0;
	log_err(NULL, "%s is for a command in the guest: -- COMMAND ARG... is missing", given);
	return -EINVAL;
}

int run_command_check(struct config *conf, int *status)
{
	struct config_command *c = &conf->command;
	int err;

	if (!c->argc)
		return needs_command(c);
	if (c->rootfs || conf->initrd)
		return 0; /* the guest will see what is there */
	err = initramfs_find_program(c->argv[0], &c->program);
	if (err)
		*status = err == -EACCES ? STATUS_NOT_EXECUTABLE : STATUS_NOT_FOUND;
	return err;
}
