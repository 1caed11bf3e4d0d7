// SPDX-License-Identifier: GPL-2.0-only
/*
 * dev: /dev/kvm: opening it with an error that says what to do, and what it can do.
 *
 * Whether the processor has vmx or svm is not looked at: what counts is that the device opens and
 * has the capabilities.
 *
 * Runs on: main
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kvm/kvm.h"
#include "lkvm/log.h"

static const struct {
	const char *name, *macro;
	int cap;
	bool needed;
} caps_known[] = {
	{ "user-memory", "KVM_CAP_USER_MEMORY", KVM_CAP_USER_MEMORY, true },
	{ "irqchip", "KVM_CAP_IRQCHIP", KVM_CAP_IRQCHIP, true },
	{ "pit2", "KVM_CAP_PIT2", KVM_CAP_PIT2, true },
	{ "irq-routing", "KVM_CAP_IRQ_ROUTING", KVM_CAP_IRQ_ROUTING, true },
	{ "irqfd", "KVM_CAP_IRQFD", KVM_CAP_IRQFD, true },
	{ "irqfd-resample", "KVM_CAP_IRQFD_RESAMPLE", KVM_CAP_IRQFD_RESAMPLE, true },
	{ "ioeventfd", "KVM_CAP_IOEVENTFD", KVM_CAP_IOEVENTFD, true },
	{ "ext-cpuid", "KVM_CAP_EXT_CPUID", KVM_CAP_EXT_CPUID, true },
	{ "immediate-exit", "KVM_CAP_IMMEDIATE_EXIT", KVM_CAP_IMMEDIATE_EXIT, true },
	{ "ioeventfd-any-length", "KVM_CAP_IOEVENTFD_ANY_LENGTH", KVM_CAP_IOEVENTFD_ANY_LENGTH,
	  false },
	{ "tsc-deadline-timer", "KVM_CAP_TSC_DEADLINE_TIMER", KVM_CAP_TSC_DEADLINE_TIMER, false },
	{ "get-tsc-khz", "KVM_CAP_GET_TSC_KHZ", KVM_CAP_GET_TSC_KHZ, false },
	{ "tsc-scaling", "KVM_CAP_TSC_CONTROL", KVM_CAP_TSC_CONTROL, false },
	{ "set-tss-addr", "KVM_CAP_SET_TSS_ADDR", KVM_CAP_SET_TSS_ADDR, false },
	{ "set-identity-map-addr", "KVM_CAP_SET_IDENTITY_MAP_ADDR", KVM_CAP_SET_IDENTITY_MAP_ADDR,
	  false },
};

#define CAPS_KNOWN (sizeof(caps_known) / sizeof(caps_known[0]))

int dev_cap(int dev, int cap)
{
	int ret = ioctl(dev, KVM_CHECK_EXTENSION, cap);

	return ret > 0 ? ret : 0;
}

unsigned vm_caps(int dev, struct vm_cap *caps, unsigned max)
{
	unsigned i;

	for (i = 0; i < CAPS_KNOWN && i < max; i++) {
		caps[i].name = caps_known[i].name;
		caps[i].needed = caps_known[i].needed;
		caps[i].present = dev_cap(dev, caps_known[i].cap) > 0;
	}
	return i;
}

int dev_check(int dev)
{
	int version = ioctl(dev, KVM_GET_API_VERSION, 0);
	unsigned i;

	if (version < 0) {
		int err = errno;

		log_err(NULL, "/dev/kvm does not answer as KVM does: %s. Fix: sudo modprobe kvm",
			strerror(err));
		return -err;
	}
	if (version != KVM_API_VERSION) {
		log_err(NULL, "/dev/kvm speaks version %d of its interface, lkvm speaks %d. "
			"Fix: a host kernel of 2.6.22 or later", version, KVM_API_VERSION);
		return -EPROTO;
	}
	for (i = 0; i < CAPS_KNOWN; i++) {
		if (!caps_known[i].needed || dev_cap(dev, caps_known[i].cap) > 0)
			continue;
		log_err(NULL, "/dev/kvm lacks %s (%s), which lkvm needs. "
			"Fix: a newer host kernel; `lkvm doctor` lists what is there",
			caps_known[i].name, caps_known[i].macro);
		return -EOPNOTSUPP;
	}
	return 0;
}

/*
 * Names from the files themselves: getpwuid() would make a static binary load shared libraries. Who
 * has no name there stays a number.
 */
static void user_name(uid_t uid, char *name, size_t len)
{
	FILE *f = fopen("/etc/passwd", "re");
	const struct passwd *pw;

	snprintf(name, len, "%u", (unsigned)uid);
	while (f && (pw = fgetpwent(f)))
		if (pw->pw_uid == uid)
			snprintf(name, len, "%s", pw->pw_name);
	if (f)
		fclose(f);
}

static void group_name(gid_t gid, char *name, size_t len)
{
	FILE *f = fopen("/etc/group", "re");
	const struct group *gr;

	snprintf(name, len, "%u", (unsigned)gid);
	while (f && (gr = fgetgrent(f)))
		if (gr->gr_gid == gid)
			snprintf(name, len, "%s", gr->gr_name);
	if (f)
		fclose(f);
}

/* "users, audio": the groups this process is in, as many as fit. */
static void groups_of_self(char *text, size_t len)
{
	gid_t list[64];
	int n = getgroups(64, list), i;
	size_t at = 0;

	text[0] = '\0';
	if (n <= 0) {
		list[0] = getegid();
		n = 1;
	}
	for (i = 0; i < n && at < len; i++) {
		char name[32];

		group_name(list[i], name, sizeof(name));
		at += (size_t)snprintf(text + at, len - at, "%s%s", i ? ", " : "", name);
	}
}

static void explain_denied(const char *path, int err)
{
	char user[32], group[32], groups[256], fix[256];
	struct stat st;

	if (stat(path, &st) < 0) {
		log_err(NULL, "cannot open %s: %s. Fix: run as a user who may, or sudo", path,
			strerror(err));
		return;
	}
	user_name(st.st_uid, user, sizeof(user));
	group_name(st.st_gid, group, sizeof(group));
	groups_of_self(groups, sizeof(groups));
	/* Being in its group helps where the group may. */
	if ((st.st_mode & 0060) == 0060 && st.st_gid)
		snprintf(fix, sizeof(fix), "sudo usermod -aG %s $USER, then log in again", group);
	else
		snprintf(fix, sizeof(fix), "sudo chown root:kvm %s && sudo chmod 660 %s, and be in "
			 "group kvm", path, path);
	log_err(NULL, "cannot open %s: %s (it is %s:%s %04o; you are in: %s). Fix: %s", path,
		strerror(err), user, group, (unsigned)(st.st_mode & 07777), groups, fix);
}

int dev_open_at(const char *path)
{
	int dev = open(path, O_RDWR | O_CLOEXEC), err = errno;

	if (dev >= 0)
		return dev;
	if (err == EACCES || err == EPERM)
		explain_denied(path, err);
	else if (err == ENOENT || err == ENODEV || err == ENXIO)
		log_err(NULL, "cannot open %s: %s. Fix: sudo modprobe kvm_intel (or kvm_amd); in a "
			"container, pass --device /dev/kvm; in a virtual machine, turn on nested "
			"virtualisation", path, strerror(err));
	else
		log_err(NULL, "cannot open %s: %s", path, strerror(err));
	return -err;
}

int vm_dev_open(void)
{
	return dev_open_at("/dev/kvm");
}

int dev_create_vm(int dev)
{
	int fd, err;

	/* KVM gives up with EINTR when a signal comes in while it is registering itself. */
	do {
		fd = ioctl(dev, KVM_CREATE_VM, 0);
	} while (fd < 0 && errno == EINTR);
	if (fd >= 0)
		return fd;
	err = errno;
	if (err == EBUSY)
		log_err(NULL, "cannot create a VM: another hypervisor has the processor's "
			"virtualisation. Fix: stop it (VirtualBox, VMware) first");
	else
		log_err(NULL, "cannot create a VM: %s", strerror(err));
	return -err;
}
