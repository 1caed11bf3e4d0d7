// SPDX-License-Identifier: GPL-2.0-only
/*
 * examine: the doctor of guests that hang.
 *
 * Runs on: main
 */
#include "examine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lkvm/log.h"

#define SPEAK_US 1000000 /* for the guest to answer each time */

/* A dump that can't be written is better known before a day's run than after it. */
static int check_dump(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *dir = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
	int err = !dir || access(dir, W_OK) ? -errno : 0;

	if (err)
		log_err(NULL, "--dump: cannot write to %s: %s", dir ? dir : path, strerror(-err));
	free(dir);
	return err;
}

int examine_open(struct examine *e, const struct config *conf)
{
	*e = (struct examine){ .conf = conf };
	if (conf->dump && check_dump(conf->dump))
		return -EACCES;
	e->inspect = inspect_open(conf->symbols, conf->kernel);
	return e->inspect ? 0 : -EINVAL;
}

void examine_close(struct examine *e)
{
	inspect_close(e->inspect);
}

static void say(struct examine *e, const char *why)
{
	char *text = NULL, *line, *rest = NULL;
	size_t len = 0;
	FILE *to = open_memstream(&text, &len);

	log_err(NULL, "report: %s", why);
	if (!to)
		return;
	inspect_report(e->inspect, e->vm, to);
	if (!fclose(to))
		for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
			log_err(NULL, "%s", line);
	free(text);
	if (e->conf->dump && !inspect_dump(e->inspect, e->vm, e->conf->dump))
		log_err(NULL, "report: the guest's memory is in %s", e->conf->dump);
}

void examine_now(struct examine *e, const char *why)
{
	bool held = control_paused(e->vm); /* by a debugger, and it stays so */

	if (control_pause(e->vm))
		return;
	say(e, why);
	if (!held)
		control_resume(e->vm, ~0ULL);
}

static bool can_speak(struct vm *vm, unsigned cpu)
{
	enum control_mp mp = control_mp(vm, cpu);

	return mp == CONTROL_RUNNING || mp == CONTROL_HALTED;
}

/* An NMI reaches it with interrupts off; a SysRq asks a kernel that still listens for its tasks. */
void examine_last(struct examine *e, const char *why)
{
	static const char keys[] = "lwt"; /* backtraces of all CPUs, blocked tasks, all tasks */

	unsigned alive = 0;

	if (control_pause(e->vm))
		return;
	say(e, why);
	for (unsigned i = 0; i < control_cpus(e->vm); i++)
		alive += can_speak(e->vm, i);
	if (!alive)
		return;
	log_err(NULL, "report: what the guest says when it gets an NMI and SysRq %s:", keys);
	for (unsigned i = 0; i < control_cpus(e->vm); i++)
		if (can_speak(e->vm, i))
			control_nmi(e->vm, i);
	control_resume(e->vm, ~0ULL);
	usleep(SPEAK_US);
	for (const char *key = keys; *key; key++) {
		serial_sysrq(e->serial, *key);
		usleep(SPEAK_US);
	}
}
