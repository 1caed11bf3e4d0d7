# SPDX-License-Identifier: GPL-2.0-only
# The bare-metal guest: no libc, no SSE, its own linker script.
PROBE_DIR   := guest/probe
PROBE_OBJS  := $(patsubst $(PROBE_DIR)/%,$(O)/$(PROBE_DIR)/%.o,$(basename $(sort \
		$(wildcard $(PROBE_DIR)/*.c $(PROBE_DIR)/boot.S))))
PROBE_CFLAGS := -std=gnu11 -O2 -g -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-ffreestanding -fno-builtin -fno-pic -fno-pie -fno-stack-protector -fno-strict-aliasing \
	-fcf-protection=none -fno-asynchronous-unwind-tables -mno-red-zone -mno-sse -mno-mmx -mno-80387 \
	-mgeneral-regs-only

.PHONY: probe
probe: $(O)/$(PROBE_DIR)/probe.elf $(O)/$(PROBE_DIR)/probe.bzImage

$(O)/$(PROBE_DIR)/probe.elf: $(PROBE_OBJS) $(PROBE_DIR)/probe.ld
	$(call say,LD,$@)
	$(Q)$(CC) -nostdlib -static -Wl,--build-id=none -Wl,-z,noexecstack -Wl,-z,max-page-size=4096 \
		-Wl,--no-warn-rwx-segments -T $(PROBE_DIR)/probe.ld -o $@ $(PROBE_OBJS)

$(O)/$(PROBE_DIR)/%.o: $(PROBE_DIR)/%.c $(PROBE_DIR)/build.mk
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(PROBE_CFLAGS) -MMD -MP -c -o $@ $<

$(O)/$(PROBE_DIR)/%.o: $(PROBE_DIR)/%.S $(PROBE_DIR)/build.mk
	$(call say,AS,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(PROBE_CFLAGS) -MMD -MP -c -o $@ $<

# The same memory image behind a setup header, for loaders of Linux kernels.
$(O)/$(PROBE_DIR)/probe.bin: $(O)/$(PROBE_DIR)/probe.elf
	$(Q)objcopy -O binary -R .noinit -R .bss $< $@

$(O)/$(PROBE_DIR)/probe.bzImage: $(O)/$(PROBE_DIR)/probe.bin $(PROBE_DIR)/bzimage/setup.S
	$(call say,BZ,$@)
	$(Q)$(CC) -nostdlib -static -DPAYLOAD=$$(stat -c %s $<) -Wl,--build-id=none \
		-Wl,--section-start=.setup=0 -Wl,-e,0 -o $@.o $(PROBE_DIR)/bzimage/setup.S
	$(Q)objcopy -O binary -j .setup $@.o $@.tmp && cat $< >> $@.tmp && mv $@.tmp $@

-include $(PROBE_OBJS:.o=.d)
