# SPDX-License-Identifier: GPL-2.0-only
# The guest to look into: a kernel of one page.
DEBUG_CFLAGS := -std=gnu11 -O2 -g -Wall -Wextra -ffreestanding -fno-pic -fno-pie -fno-stack-protector \
	-fomit-frame-pointer -fcf-protection=none -fno-asynchronous-unwind-tables -mno-red-zone \
	-mgeneral-regs-only

.PHONY: debug-guest
debug-guest: $(O)/guest/debug/debug.elf

$(O)/guest/debug/debug.elf: guest/debug/start.S guest/debug/main.c guest/debug/build.mk
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(DEBUG_CFLAGS) -nostdlib -static -Wl,--build-id=none -Wl,-z,noexecstack \
		-Wl,-z,max-page-size=4096 -Wl,--no-warn-rwx-segments -Wl,-Ttext=0x200000 -Wl,-e,start \
		-o $@ guest/debug/start.S guest/debug/main.c
