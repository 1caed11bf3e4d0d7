// SPDX-License-Identifier: GPL-2.0-only
/*
 * boot: puts a kernel and all it needs into guest RAM, in order: kernel, command line, initrd,
 * ACPI, parameters, and the state to enter with.
 *
 * Runs on: main
 */
#include <errno.h>
#include <string.h>

#include "kvm/load.h"
#include "lkvm/hw.h"
#include "lkvm/log.h"

#define PAGE	4096ULL
#define RAM_MIN (2ULL << 20)

static int load_cmdline(const char *cmdline, struct gmem *mem, const struct kernel *kernel)
{
	uint64_t len = strlen(cmdline), max = kernel->cmdline_max;

	if (max > LOW_CMDLINE_LEN - 1)
		max = LOW_CMDLINE_LEN - 1;
	if (len > max) {
		log_err(NULL,
			"the kernel's command line has %llu characters; this kernel takes %llu. "
			"Fix: shorten --params",
			(unsigned long long)len, (unsigned long long)max);
		return -E2BIG;
	}
	return gmem_write(mem, LOW_CMDLINE, cmdline, len + 1) ? 0 : -EFAULT;
}

/* As high as the kernel allows, where it is out of the way of what the kernel takes first. */
static int place_initrd(const char *name, uint64_t len, struct gmem *mem,
			const struct kernel *kernel, struct initrd *initrd)
{
	uint64_t top = ram_low_end(mem), at = 0;

	if (top > MAP_HOLE_START)
		top = MAP_HOLE_START;
	if (kernel->initrd_max < top - 1)
		top = kernel->initrd_max + 1;
	if (len <= top)
		at = (top - len) & ~(PAGE - 1);
	if (at < kernel->end) {
		log_err(NULL, "cannot use initrd %s: %llu bytes do not fit in RAM between the kernel and "
			"%#llx. Fix: give more RAM with -m", name, (unsigned long long)len,
			(unsigned long long)top);
		return -ENOSPC;
	}
	*initrd = (struct initrd){ at, len };
	return 0;
}

/* The file, then the archive in memory: the kernel unpacks both, the second at a multiple of four. */
static int load_initrd(const struct boot_conf *conf, struct gmem *mem, const struct kernel *kernel,
		       struct initrd *initrd)
{
	struct image img = { .fd = -1 };
	uint64_t first = 0;
	int ret = 0;

	if (conf->initrd) {
		ret = image_open(&img, "initrd", conf->initrd);
		if (ret < 0)
			return ret;
		first = conf->more_initrd_len ? (img.size + 3) & ~3ULL : img.size;
	}
	ret = place_initrd(conf->initrd ? conf->initrd : "made for the command",
			   first + conf->more_initrd_len, mem, kernel, initrd);
	if (!ret && conf->initrd)
		ret = image_load(&img, 0, mem, initrd->gpa, img.size);
	if (!ret && conf->more_initrd_len &&
	    !gmem_write(mem, initrd->gpa + first, conf->more_initrd, conf->more_initrd_len))
		ret = -EFAULT;
	image_close(&img);
	return ret;
}

/*
 * Linux takes a machine without ACPI's fixed hardware for one with EFI; where there is none it
 * reboots by a jump to the BIOS's first instruction. What it finds there writes the reset register.
 */
static int load_reset_vector(struct gmem *mem)
{
	enum { port = PORT_POWER + POWER_RESET };
	static const uint8_t code[] = {
		0xba, port & 0xff, port >> 8, /* mov dx, port */
		0xb0, POWER_RESET_VALUE,      /* mov al, value */
		0xee,			      /* out dx, al */
		0xf4, 0xeb, 0xfd,	      /* hlt, for ever */
	};

	return gmem_write(mem, MAP_RESET, code, sizeof(code)) ? 0 : -EFAULT;
}

static int fill_params(const struct boot_conf *conf, struct gmem *mem, struct kernel *kernel,
		       const struct initrd *initrd, uint64_t rsdp)
{
	int ret;

	if (kernel->entry.mode == VM_ENTRY_PVH) {
		kernel->entry.arg = LOW_PVH;
		return params_pvh(mem, conf, initrd, rsdp);
	}
	kernel->entry.arg = LOW_ZERO_PAGE;
	ret = longmode_build(mem, &kernel->entry);
	return ret ? ret : params_linux(mem, conf, kernel, initrd, rsdp);
}

int boot_load(const struct boot_conf *conf, struct gmem *mem, struct vm_entry *entry)
{
	struct initrd initrd = { 0 };
	struct kernel kernel;
	uint64_t rsdp = 0;
	int ret;

	if (ram_low_end(mem) < RAM_MIN) {
		log_err(NULL, "the guest's RAM is too small to start anything. Fix: -m 2 or more");
		return -EINVAL;
	}
	ret = kernel_load(conf->kernel, mem, &kernel);
	if (!ret)
		ret = load_cmdline(conf->cmdline ? conf->cmdline : "", mem, &kernel);
	if (!ret && (conf->initrd || conf->more_initrd_len))
		ret = load_initrd(conf, mem, &kernel, &initrd);
	if (!ret)
		ret = acpi_build(conf, mem, &rsdp);
	if (!ret)
		ret = load_reset_vector(mem);
	if (ret < 0)
		return ret;
	ret = fill_params(conf, mem, &kernel, &initrd, rsdp);
	if (ret < 0) {
		log_err(NULL, "cannot write the kernel's parameters into guest RAM");
		return ret;
	}
	*entry = kernel.entry;
	return 0;
}
