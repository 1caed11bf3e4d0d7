// SPDX-License-Identifier: GPL-2.0-only
/*
 * help: `lkvm help [COMMAND]`, --help and the man page, all out of the option tables.
 *
 * Runs on: main.
 */
#include <string.h>

#include "cmd.h"
#include "lkvm/log.h"
#include "lkvm/machine.h"

/* "on/off", "modern/transitional/legacy", "N", ...: what may stand behind key= */
static void key_values(const struct opt_key *key, char *to, size_t size)
{
	to[0] = '\0';
	switch (key->kind) {
	case OPT_BOOL:
		snprintf(to, size, "on/off");
		break;
	case OPT_UINT:
		snprintf(to, size, "%llu..%llu", (unsigned long long)key->min,
			 (unsigned long long)key->max);
		break;
	case OPT_SIZE:
		snprintf(to, size, "SIZE");
		break;
	case OPT_MAC:
		snprintf(to, size, "xx:xx:xx:xx:xx:xx");
		break;
	case OPT_CHOICE:
		for (unsigned i = 0; key->words[i]; i++) {
			if (i)
				strncat(to, "/", size - strlen(to) - 1);
			strncat(to, key->words[i], size - strlen(to) - 1);
		}
		break;
	case OPT_FEATURES:
		snprintf(to, size, "+x,-y");
		break;
	case OPT_STRING:
	case OPT_LIST:
		break;
	}
}

static void print_option(const struct cmd_option *o, FILE *to)
{
	char left[192], values[128];

	snprintf(left, sizeof(left), "%c%c%s--%s%s%s", o->letter ? '-' : ' ',
		 o->letter ? o->letter : ' ', o->letter ? ", " : "  ", o->name, o->arg ? " " : "",
		 o->arg ? o->arg : "");
	fprintf(to, "  %-28s %s\n", left, o->help);
	for (const struct opt_key *k = o->keys; k && k->name; k++) {
		key_values(k, values, sizeof(values));
		snprintf(left, sizeof(left), "%s=%s", k->name, values);
		fprintf(to, "      %-36s %s\n", left, k->help ? k->help : "");
	}
}

void cmd_print_help(const struct cmd *cmd, FILE *to)
{
	fprintf(to, "usage: lkvm %s%s%s\n\n%s\n", cmd->name, cmd->args[0] ? " " : "", cmd->args,
		cmd->help);
	if (cmd->options && cmd->options->name)
		fprintf(to, "\noptions:\n");
	for (const struct cmd_option *o = cmd->options; o && o->name; o++)
		print_option(o, to);
}

static void print_overview(FILE *to)
{
	fprintf(to, "usage: lkvm COMMAND [OPTIONS]\n\n");
	for (unsigned i = 0; cmd_all[i]; i++)
		fprintf(to, "  %-10s %s\n", cmd_all[i]->name, cmd_all[i]->help);
	fprintf(to, "\n`lkvm COMMAND --help` lists a command's options.\n");
}

static void man_escape(const char *text, FILE *to)
{
	for (; *text; text++) {
		if (*text == '\\' || *text == '-')
			fputc('\\', to);
		fputc(*text, to);
	}
}

static void man_option(const struct cmd_option *o, FILE *to)
{
	char values[128];

	fprintf(to, ".TP\n.B ");
	if (o->letter)
		fprintf(to, "\\-%c, ", o->letter);
	fprintf(to, "\\-\\-");
	man_escape(o->name, to);
	if (o->arg)
		fprintf(to, " %s", o->arg);
	fprintf(to, "\n");
	man_escape(o->help, to);
	fprintf(to, "\n");
	for (const struct opt_key *k = o->keys; k && k->name; k++) {
		key_values(k, values, sizeof(values));
		fprintf(to, ".br\n.I ");
		man_escape(k->name, to);
		fprintf(to, "=");
		man_escape(values, to);
		fprintf(to, "\n");
		man_escape(k->help ? k->help : "", to);
		fprintf(to, "\n");
	}
}

/* What no option table says; without an item it is a heading. */
static const struct {
	const char *item, *text;
} man_tail[] = {
	{ NULL, "KEYS" },
	{ "Ctrl-a x", "ends lkvm; the guest is not asked" },
	{ "Ctrl-a a", "a Ctrl-a for the guest" },
	{ "Ctrl-a h", "shows these keys; any other key goes to the guest behind its Ctrl-a" },
	{ NULL, "SIGNALS" },
	{ "SIGTERM", "presses the guest's power button; a second one, a tenth of a second or more later, "
		     "ends it. `timeout -k 30 600 lkvm ...' also ends a guest that does not listen" },
	{ "SIGINT, SIGHUP, SIGQUIT", "end it at once" },
	{ NULL, "EXIT STATUS" },
	{ "0", "the guest powered off cleanly, or rebooted, and nothing bad was seen" },
	{ "0-119, 128+N", "of the command in the guest, when one was given" },
	{ "120", "the guest's kernel panicked, whatever came last" },
	{ "121", "the guest ended, but a --fail-on pattern was seen" },
	{ "122", "lockup: the watchdog expired" },
	{ "123", "the guest went away without a verdict: triple fault, KVM internal error, ended from "
		 "outside before it had powered off, or before --expect was seen or the command's status "
		 "came" },
	{ "124", "--timeout, --boot-timeout or --idle-timeout" },
	{ "125", "lkvm itself could not do its job: bad option, no KVM, missing file, dead back end" },
	{ "126, 127", "the command in the guest is not executable, or not found" },
};

void cmd_print_man(FILE *to)
{
	fprintf(to, ".TH LKVM 1 \"\" \"lkvm " LKVM_VERSION "\"\n.SH NAME\nlkvm \\- a lightweight KVM "
		    "hypervisor\n.SH SYNOPSIS\n.B lkvm\n.I COMMAND\n[OPTIONS]\n");
	for (unsigned i = 0; cmd_all[i]; i++) {
		const struct cmd *cmd = cmd_all[i];

		fprintf(to, ".SH lkvm %s %s\n", cmd->name, cmd->args);
		man_escape(cmd->help, to);
		fprintf(to, "\n");
		for (const struct cmd_option *o = cmd->options; o && o->name; o++)
			man_option(o, to);
	}
	for (unsigned i = 0; i < sizeof(man_tail) / sizeof(man_tail[0]); i++)
		if (man_tail[i].item)
			fprintf(to, ".TP\n%s\n%s\n", man_tail[i].item, man_tail[i].text);
		else
			fprintf(to, ".SH %s\n", man_tail[i].text);
}

static int set_man(void *dst, const char *what, const char *value)
{
	(void)what;
	(void)value;
	*(bool *)dst = true;
	return 0;
}

static const struct cmd_option options[] = {
	{ .name = "man", .help = "print the manual page's source", .set = set_man },
	{ 0 },
};

static int run_help(int argc, char **argv)
{
	int err;
	const struct cmd *cmd;
	bool man = false;

	if (argc > 1 && argv[1][0] != '-') {
		cmd = cmd_find(argv[1]);
		if (!cmd) {
			log_err(NULL, "there is no command '%s'; `lkvm help` lists them", argv[1]);
			return STATUS_FAILED;
		}
		cmd_print_help(cmd, stdout);
		return STATUS_OK;
	}
	err = cmd_parse(&cmd_help, argc, argv, &man, NULL);
	if (err)
		return cmd_status(err);
	if (man)
		cmd_print_man(stdout);
	else
		print_overview(stdout);
	return STATUS_OK;
}

const struct cmd cmd_help = {
	.name = "help",
	.args = "[COMMAND]",
	.help = "explain the commands, or one of them",
	.options = options,
	.run = run_help,
};
