// SPDX-License-Identifier: GPL-2.0-only
/*
 * params: what a kernel is told when it starts: Linux's boot_params, PVH's hvm_start_info, and the
 * memory map that both carry.
 *
 * Runs on: main
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "kvm/kvm.h"
#include "kvm/load.h"

#define BOOT_FLAG	 0xaa55
#define HDRS		 0x53726448 /* "HdrS" */
#define LOADER_UNDEFINED 0xff
#define PVH_MAGIC	 0x336ec578

/* Xen's public interface, arch-x86/hvm/start_info.h. */
struct hvm_start_info {
	uint32_t magic, version, flags, nr_modules;
	uint64_t modlist, cmdline, rsdp;
	uint64_t memmap;
	uint32_t memmap_entries, reserved;
};
_Static_assert(sizeof(struct hvm_start_info) == 56, "hvm_start_info");

struct hvm_module {
	uint64_t gpa, len, cmdline, reserved;
};
_Static_assert(sizeof(struct hvm_module) == 32, "hvm_module");

struct hvm_memmap {
	uint64_t gpa, len;
	uint32_t type, reserved;
};
_Static_assert(sizeof(struct hvm_memmap) == 24, "hvm_memmap");

struct pvh_page {
	struct hvm_start_info info;
	struct hvm_module module;
	struct hvm_memmap map[MAP_ENTRIES];
};
_Static_assert(sizeof(struct pvh_page) <= LOW_PVH_LEN, "pvh_page");
_Static_assert(sizeof(struct boot_params) == 4096, "boot_params");

/* Ascending, no two overlap. */
unsigned params_map(const struct gmem *mem, const struct boot_conf *conf, struct map_entry *map)
{
	uint64_t top = ram_low_end(mem);
	unsigned n = 0, i;

	map[n++] = (struct map_entry){ 0, LOW_END, MAP_RAM };
	map[n++] = (struct map_entry){ LOW_END, 0xa0000 - LOW_END, MAP_RESERVED };
	map[n++] = (struct map_entry){ MAP_ACPI, KERNEL_MIN - MAP_ACPI, MAP_RESERVED };
	map[n++] = (struct map_entry){ KERNEL_MIN, top - KERNEL_MIN, MAP_RAM };
	/* Linux believes ACPI's word on ECAM only when nobody could take the place for RAM. */
	if (conf->windows.ecam)
		map[n++] = (struct map_entry){ conf->windows.ecam, 1 << 20, MAP_RESERVED };
	map[n++] = (struct map_entry){ MAP_VMX_PAGES, MAP_VMX_PAGES_LEN, MAP_RESERVED };
	for (i = 0; i < mem->n && n < MAP_ENTRIES; i++)
		if (mem->region[i].gpa)
			map[n++] =
			    (struct map_entry){ mem->region[i].gpa, mem->region[i].len, MAP_RAM };
	return n;
}

/* What a vmlinux has no header for, and what a loader fills in in a bzImage's. */
static void fill_setup(struct setup_header *hdr, const struct initrd *initrd)
{
	hdr->boot_flag = BOOT_FLAG;
	hdr->header = HDRS;
	if (!hdr->version)
		hdr->version = 0x020f;
	hdr->type_of_loader = LOADER_UNDEFINED;
	hdr->loadflags = (uint8_t)((hdr->loadflags | LOADED_HIGH) & ~CAN_USE_HEAP);
	hdr->cmd_line_ptr = LOW_CMDLINE;
	hdr->ramdisk_image = (uint32_t)initrd->gpa; /* below the hole, so 32 bits do */
	hdr->ramdisk_size = (uint32_t)initrd->len;
	/* Ours to give, whatever the file had there. */
	hdr->setup_data = 0;
	hdr->hardware_subarch = 0;
	hdr->hardware_subarch_data = 0;
	hdr->vid_mode = 0xffff;
}

int params_linux(struct gmem *mem, const struct boot_conf *conf, const struct kernel *kernel,
		 const struct initrd *initrd, uint64_t rsdp)
{
	struct map_entry map[MAP_ENTRIES];
	struct boot_params bp;
	unsigned i;

	memset(&bp, 0, sizeof(bp));
	bp.hdr = kernel->setup;
	fill_setup(&bp.hdr, initrd);
	bp.acpi_rsdp_addr = rsdp;
	bp.e820_entries = (uint8_t)params_map(mem, conf, map);
	for (i = 0; i < bp.e820_entries; i++) {
		bp.e820_table[i].addr = map[i].gpa;
		bp.e820_table[i].size = map[i].len;
		bp.e820_table[i].type = map[i].type;
	}
	return gmem_write(mem, LOW_ZERO_PAGE, &bp, sizeof(bp)) ? 0 : -EFAULT;
}

int params_pvh(struct gmem *mem, const struct boot_conf *conf, const struct initrd *initrd,
	       uint64_t rsdp)
{
	struct map_entry map[MAP_ENTRIES];
	struct pvh_page page;
	unsigned i;

	memset(&page, 0, sizeof(page));
	page.info = (struct hvm_start_info){
		.magic = PVH_MAGIC,
		.version = 1,
		.cmdline = LOW_CMDLINE,
		.rsdp = rsdp,
		.memmap = LOW_PVH + offsetof(struct pvh_page, map),
		.memmap_entries = params_map(mem, conf, map),
	};
	if (initrd->len) {
		page.info.nr_modules = 1;
		page.info.modlist = LOW_PVH + offsetof(struct pvh_page, module);
		page.module.gpa = initrd->gpa;
		page.module.len = initrd->len;
	}
	for (i = 0; i < page.info.memmap_entries; i++)
		page.map[i] = (struct hvm_memmap){ map[i].gpa, map[i].len, map[i].type, 0 };
	return gmem_write(mem, LOW_PVH, &page, sizeof(page)) ? 0 : -EFAULT;
}
