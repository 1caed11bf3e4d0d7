// SPDX-License-Identifier: GPL-2.0-only
/*
 * init: the first process of a guest that was started for one command.
 *
 * It sets the guest up, runs the command that lkvm orders, tells its status and switches off. Whatever
 * fails is said on the kernel's console, to lkvm when it can be reached, and ends the guest: a guest
 * that nobody can talk to is of no use.
 *
 * With the word `ports` (tests): the ports are the descriptors 3, 4 and 5, and nothing is set up. With
 * `line`: descriptor 3 is the serial line.
 *
 * Runs on: the guest's first process.
 */
#include <linux/reboot.h>
#include <signal.h>
#include <sys/prctl.h>

#include "init.h"

static bool is_test;
static int console = -1;

void say(const char *const *parts)
{
	char line[COMMAND_SAY_MAX];
	size_t n = str_join(line, sizeof(line) - 1, parts);

	control_send(COMMAND_SAY, line, (uint32_t)n);
	if (is_test)
		return;
	if (console < 0) {
		console = sys_open("/dev/kmsg", O_WRONLY);
		if (console < 0)
			console = sys_open("/dev/console", O_WRONLY | O_NOCTTY);
	}
	sys(write, console, "lkvm init: ", 11);
	line[n++] = '\n';
	sys(write, console, line, n);
}

void switch_off(void)
{
	if (is_test)
		sys(exit_group, 0);
	sys(kill, -1, SIGKILL);
	sys(sync, 0);
	sys(reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_POWER_OFF, NULL);
	/* Without ACPI that halts or does nothing; a reset is seen as well. */
	sys(reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_RESTART, NULL);
	for (;;)
		sleep_ms(1000);
}

/* A signal that nobody has asked for shall not interrupt anything; SIGCHLD is read from a signalfd. */
static void block_signals(void)
{
	uint64_t all = ~0ULL;

	sys(rt_sigprocmask, 0 /* SIG_BLOCK */, &all, NULL, sizeof(all));
}

/* 0, 1 and 2 are open when the kernel found a console; what is missing becomes /dev/null. */
static void hold_std(void)
{
	int fd;

	do {
		fd = (int)sys(openat, AT_FDCWD, "/dev/null", O_RDWR, 0);
	} while (fd >= 0 && fd <= 2);
	if (fd > 2)
		sys_close(fd);
}

static void run_command(void)
{
	struct command_hello hello = { COMMAND_VERSION };
	struct command_status status = { 0 };
	struct child child = { .in = NO_FD, .out = NO_FD, .err = NO_FD };
	struct message msg;

	control_send(COMMAND_HELLO, &hello, sizeof(hello));
	control_wait(COMMAND_START, &msg);
	if (spawn(&msg, &child, &status)) {
		control_send(COMMAND_STARTED, NULL, 0);
		pump(&child, &status);
	}
	control_send(COMMAND_STATUS, &status, sizeof(status));
	control_wait(COMMAND_BYE, &msg);
}

__attribute__((noreturn)) static void run_test(bool line)
{
	for (int fd = 3; fd <= 5; fd++)
		sys(fcntl, fd, F_SETFD, FD_CLOEXEC);
	if (line)
		line_begin(3);
	else
		ports = (struct ports){ 3, 4, 5 };
	sys(prctl, PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	run_command();
	switch_off();
}

void init_main(long argc, char **argv)
{
	bool line = argc == 2 && str_is(argv[1], "line");

	is_test = argc == 2 && (line || str_is(argv[1], "ports")) && sys(getpid, 0) != 1;
	block_signals();
	if (is_test)
		run_test(line);
	setup_mounts();
	hold_std();
	setup_modules();
	setup_loopback();
	if (setup_ports()) {
		setup_clean();
		run_command();
	}
	switch_off();
}
