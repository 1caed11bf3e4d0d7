// SPDX-License-Identifier: GPL-2.0-only
/*
 * doctor_kernel: `lkvm doctor -k KERNEL`: what a kernel's configuration lacks for the devices asked for.
 *
 * Runs on: main.
 */
#include <stdio.h>
#include <string.h>

#include "doctor.h"
#include "lkvm/kconfig.h"

/* Without --for all of lkvm's devices are looked at, and only what every guest comes with is needed. */
static bool is_needed(const struct doctor_kernel *kernel, const struct kconfig_need *need)
{
	uint32_t always;

	if (need->wish)
		return false;
	if (kernel->asked)
		return true;
	kconfig_device_set("", kconfig_devices[0].word, &always);
	return kconfig_wanted(need, always);
}

/* One symbol may be needed for several devices: it is told once, where it is needed most. */
static bool told_elsewhere(const struct doctor_kernel *kernel, const struct kconfig_need *need)
{
	for (const struct kconfig_need *n = kconfig_needs; n->symbol; n++)
		if (n != need && !strcmp(n->symbol, need->symbol) && kconfig_wanted(n, kernel->devices) &&
		    (is_needed(kernel, n) > is_needed(kernel, need) ||
		     (is_needed(kernel, n) == is_needed(kernel, need) && n < need)))
			return true;
	return false;
}

static void missing(const struct doctor_kernel *kernel, const struct kconfig_need *need)
{
	char either[64] = "", why[128];

	if (need->other)
		snprintf(either, sizeof(either), " (or CONFIG_%s)", need->other);
	if (need->why)
		snprintf(why, sizeof(why), "%s", need->why);
	else
		snprintf(why, sizeof(why), "CONFIG_%s depends on it", need->by);
	doctor_say(is_needed(kernel, need) ? "FAIL" : "note", need->device, "CONFIG_%s%s is not set: %s. "
		   "Fix: CONFIG_%s=y", need->symbol, either, why, need->symbol);
}

/* A module can't be what finds the modules: an initramfs has to bring it. Is there one? */
static bool modular(const struct doctor_kernel *kernel, const struct kconfig_need *need)
{
	const char *module = need->module ? need->module : need->symbol;

	if (kernel->initrd || !kernel->asked || need->wish) {
		doctor_say("note", need->device, "CONFIG_%s=m: the initramfs has to bring %s.ko",
			   need->symbol, module);
		return true;
	}
	doctor_say("FAIL", need->device,
		   "CONFIG_%s=m, and there is no initramfs to bring %s.ko. Fix: -i FILE with that module "
		   "in it, or CONFIG_%s=y",
		   need->symbol, module, need->symbol);
	return false;
}

static bool look_at(const struct doctor_kernel *kernel, const struct kconfig_text *conf,
		    const struct kconfig_need *need)
{
	switch (kconfig_has(conf, need)) {
	case KCONFIG_YES:
		return true;
	case KCONFIG_MODULE:
		return modular(kernel, need);
	case KCONFIG_NO:
		break;
	}
	if (need->by && kconfig_get(conf, need->by) != KCONFIG_NO)
		return true; /* a kernel whose symbols have other dependencies */
	missing(kernel, need);
	return false;
}

int doctor_look_at_kernel(const struct doctor_kernel *kernel)
{
	struct kconfig_text conf;
	int err = kconfig_open(&conf, kernel->path);

	if (err)
		return err;
	doctor_say("ok", "kernel", "its configuration: %s", conf.from ? conf.from : kernel->path);
	for (unsigned i = 0; kconfig_devices[i].word; i++) {
		unsigned lacking = 0;

		if (!(kernel->devices & 1U << i))
			continue;
		for (const struct kconfig_need *n = kconfig_needs; n->symbol; n++)
			if (!strcmp(n->device, kconfig_devices[i].word))
				lacking += told_elsewhere(kernel, n) ? kconfig_has(&conf, n) == KCONFIG_NO :
								       !look_at(kernel, &conf, n);
		if (!lacking)
			doctor_say("ok", kconfig_devices[i].word, "%s", kconfig_devices[i].help);
	}
	kconfig_close(&conf);
	return 0;
}
