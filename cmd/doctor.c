// SPDX-License-Identifier: GPL-2.0-only
/*
 * doctor: `lkvm doctor`: looks at what a run needs of this host, one line each, with the fix.
 *
 * Runs on: main.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "cmd.h"
#include "doctor.h"
#include "lkvm/kconfig.h"
#include "lkvm/log.h"
#include "lkvm/machine.h"
#include "lkvm/vm.h"

#define CAPS_MAX 64
#define STATUS_CI_NO_KVM 77 /* what test harnesses take for "skipped" */
#define MIB (1ULL << 20)
#define SLOW_MIPS 100 /* hardware does thousands; an interpreter a few */

static unsigned needed_missing;

void doctor_say(const char *verdict, const char *what, const char *fmt, ...)
{
	va_list ap;

	printf("%-4s  %-12s ", verdict, what);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout); /* lines of the log stand where they belong */
	needed_missing += !strcmp(verdict, "FAIL");
}

static void check_caps(int dev)
{
	struct vm_cap cap[CAPS_MAX];
	unsigned n = vm_caps(dev, cap, CAPS_MAX), present = 0;

	for (unsigned i = 0; i < n; i++) {
		present += cap[i].present;
		if (!cap[i].present)
			doctor_say(cap[i].needed ? "FAIL" : "note", "capability",
			    cap[i].needed ? "%s is missing. Fix: a newer host kernel" :
					    "%s is missing; lkvm does without",
			    cap[i].name);
	}
	doctor_say("ok", "capability", "%u of %u present", present, n);
}

static void check_speed(int dev)
{
	double mips, exits;

	if (vm_speed(dev, &mips, &exits)) {
		doctor_say("FAIL", "speed", "a small guest did not run. Fix: see the line above");
		return;
	}
	if (mips >= SLOW_MIPS)
		doctor_say("ok", "speed", "hardware KVM: %.0f million instructions, %.0f thousand exits a second",
		    mips, exits / 1e3);
	else
		doctor_say("note", "speed",
		    "software KVM: %.1f million instructions, %.0f thousand exits a second. An "
		    "unmodified Linux takes minutes or more. Fix: a host with VT-x or SVM",
		    mips, exits / 1e3);
}

static bool check_kvm(void)
{
	int dev = vm_dev_open(); /* says what is wrong */

	if (dev < 0) {
		doctor_say("FAIL", "/dev/kvm", "not usable: see the line above");
		return false;
	}
	doctor_say("ok", "/dev/kvm", "opens");
	check_caps(dev);
	check_speed(dev);
	close(dev);
	return true;
}

static void check_memory(void)
{
	struct sysinfo si;
	struct rlimit as;

	if (sysinfo(&si))
		return;
	doctor_say("ok", "memory", "%llu MiB, %llu MiB free",
	    (unsigned long long)(si.totalram * (uint64_t)si.mem_unit / MIB),
	    (unsigned long long)(si.freeram * (uint64_t)si.mem_unit / MIB));
	if (!getrlimit(RLIMIT_AS, &as) && as.rlim_cur != RLIM_INFINITY)
		doctor_say("note", "limits", "address space is limited to %llu MiB, guest RAM included. Fix: "
				      "ulimit -v unlimited",
		    (unsigned long long)(as.rlim_cur / MIB));
}

static void check_files(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files))
		return;
	if (files.rlim_cur < 256)
		doctor_say("note", "limits", "only %llu open files; many devices need more. Fix: ulimit -n 1024",
		    (unsigned long long)files.rlim_cur);
	else
		doctor_say("ok", "limits", "%llu open files", (unsigned long long)files.rlim_cur);
}

/* In PATH, as execvp() would find it. */
static bool in_path(const char *program)
{
	const char *env = getenv("PATH");
	char *path = strdup(env ? env : ""), *save = NULL, full[4096];
	bool found = false;

	if (!path)
		return false;
	for (char *dir = strtok_r(path, ":", &save); dir && !found;
	     dir = strtok_r(NULL, ":", &save)) {
		snprintf(full, sizeof(full), "%s/%s", dir, program);
		found = !access(full, X_OK);
	}
	free(path);
	return found;
}

static void check_vhost(void)
{
	int fd = open("/dev/vhost-net", O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		doctor_say("ok", "vhost-net", "/dev/vhost-net opens; -n tap,vhost=on works");
	else
		doctor_say("note", "vhost-net", "cannot open /dev/vhost-net: %s; only vhost=on needs it. Fix: %s",
		    strerror(errno), errno == EACCES ? "sudo chmod 666 /dev/vhost-net" : "sudo modprobe vhost_net");
	if (fd >= 0)
		close(fd);
}

static void check_network(void)
{
	int tun = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	if (in_path("passt"))
		doctor_say("ok", "passt", "found; -n user works without root");
	else
		doctor_say("note", "passt", "not installed; -n user needs it. Fix: sudo apt install passt");
	if (tun >= 0)
		doctor_say("ok", "tap", geteuid() ? "/dev/net/tun opens; an interface must be yours (`ip tuntap "
					     "add NAME mode tap user $USER`)" :
					     "/dev/net/tun opens");
	else
		doctor_say("note", "tap", "cannot open /dev/net/tun: %s; -n tap needs it. Fix: %s",
		    strerror(errno), errno == ENOENT ? "sudo modprobe tun" : "run as root");
	if (tun >= 0)
		close(tun);
	check_vhost();
}

struct doctor {
	bool ci;
	struct doctor_kernel kernel;
};

static int set_ci(void *dst, const char *what, const char *value)
{
	(void)what;
	(void)value;
	((struct doctor *)dst)->ci = true;
	return 0;
}

static int set_kernel(void *dst, const char *what, const char *value)
{
	struct doctor *d = dst;

	(void)what;
	free(d->kernel.path);
	d->kernel.path = strdup(value);
	return d->kernel.path ? 0 : -ENOMEM;
}

static int set_initrd(void *dst, const char *what, const char *value)
{
	(void)what;
	(void)value;
	((struct doctor *)dst)->kernel.initrd = true;
	return 0;
}

static int set_for(void *dst, const char *what, const char *value)
{
	struct doctor *d = dst;

	d->kernel.asked = true;
	return kconfig_device_set(what, value, &d->kernel.devices);
}

static const struct cmd_option options[] = {
	{ 'k', "kernel", "FILE", "look at this kernel's configuration instead of the host", set_kernel,
	  NULL },
	{ 'i', "initrd", "FILE", "it will have this initial RAM disk, which can bring modules", set_initrd,
	  NULL },
	{ 0, "for", "DEVICE[,...]",
	  "it must drive: initrd, disk, net, console, command, panic, watchdog, debug", set_for, NULL },
	{ .name = "ci", .help = "end with status 77 when there is no KVM", .set = set_ci },
	{ 0 },
};

static int look_at_host(bool ci)
{
	bool kvm = check_kvm();

	check_memory();
	check_files();
	check_network();
	if (!kvm && ci)
		return STATUS_CI_NO_KVM;
	return needed_missing ? STATUS_FAILED : STATUS_OK;
}

static int run_doctor(int argc, char **argv)
{
	struct doctor d = { .kernel.devices = UINT32_MAX };
	int status = STATUS_FAILED, err = cmd_parse(&cmd_doctor, argc, argv, &d, NULL);

	if (err == 1) {
		status = STATUS_OK;
	} else if (!err && !d.kernel.path && (d.kernel.asked || d.kernel.initrd)) {
		log_err(NULL, "which kernel? --for and --initrd go with -k FILE");
	} else if (!err && d.kernel.path) {
		err = doctor_look_at_kernel(&d.kernel);
		status = err || needed_missing ? STATUS_FAILED : STATUS_OK;
	} else if (!err) {
		status = look_at_host(d.ci);
	}
	free(d.kernel.path);
	return status;
}

const struct cmd cmd_doctor = {
	.name = "doctor",
	.args = "[--ci] | -k KERNEL [-i INITRD] [--for DEVICE,...]",
	.help = "check what this host, or a kernel, offers, and say what to mend",
	.options = options,
	.run = run_doctor,
};
