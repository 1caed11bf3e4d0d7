# SPDX-License-Identifier: GPL-2.0-only
# The guest of the benchmarks: the probe's library with a program of its own, and one that only ends.
BENCH_DIR  := guest/bench
BENCH_LIB  := boot clock drivers irq legacy lib machine pci print virtio vring
BENCH_OWN  := $(patsubst %,$(O)/$(BENCH_DIR)/%.o,bench ring talk)
BENCH_OBJS := $(BENCH_OWN) $(BENCH_LIB:%=$(O)/guest/probe/%.o)

.PHONY: bench-guest
bench-guest: $(O)/$(BENCH_DIR)/bench.elf $(O)/$(BENCH_DIR)/bench.bzImage \
	$(O)/$(BENCH_DIR)/stop.elf $(O)/$(BENCH_DIR)/stop.bzImage

$(O)/$(BENCH_DIR)/bench.elf: $(BENCH_OBJS) guest/probe/probe.ld
	$(call say,LD,$@)
	$(Q)$(CC) -nostdlib -static -Wl,--build-id=none -Wl,-z,noexecstack -Wl,-z,max-page-size=4096 \
		-Wl,--no-warn-rwx-segments -T guest/probe/probe.ld -o $@ $(BENCH_OBJS)

$(BENCH_OWN): $(O)/%.o: %.c $(BENCH_DIR)/build.mk guest/probe/build.mk
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(PROBE_CFLAGS) -MMD -MP -c -o $@ $<

$(O)/$(BENCH_DIR)/bench.bin: $(O)/$(BENCH_DIR)/bench.elf
	$(Q)objcopy -O binary -R .noinit -R .bss $< $@

$(O)/$(BENCH_DIR)/bench.bzImage: $(O)/$(BENCH_DIR)/bench.bin guest/probe/bzimage/setup.S
	$(call say,BZ,$@)
	$(Q)$(CC) -nostdlib -static -DPAYLOAD=$$(stat -c %s $<) -Wl,--build-id=none \
		-Wl,--section-start=.setup=0 -Wl,-e,0 -o $@.o guest/probe/bzimage/setup.S
	$(Q)objcopy -O binary -j .setup $@.o $@.tmp && cat $< >> $@.tmp && mv $@.tmp $@

$(O)/$(BENCH_DIR)/stop.elf: $(BENCH_DIR)/stop.S guest/probe/probe.ld
	$(call say,AS,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) -nostdlib -static -Wl,--build-id=none -Wl,-z,max-page-size=4096 -Wl,--no-warn-rwx-segments \
		-T guest/probe/probe.ld -o $@ $<

$(O)/$(BENCH_DIR)/stop.bzImage: $(BENCH_DIR)/stop.S
	$(call say,BZ,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -DREAL -nostdlib -static -Wl,--build-id=none -Wl,--section-start=.setup=0 -Wl,-e,0 -o $@.o $<
	$(Q)objcopy -O binary -j .setup $@.o $@

-include $(BENCH_OWN:.o=.d)
