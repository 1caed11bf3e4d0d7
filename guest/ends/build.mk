# SPDX-License-Identifier: GPL-2.0-only
# The guest that ends as it is told, for tests/verdict: built like guest/probe, in one small piece.
ENDS_DIR  := guest/ends
ENDS_OBJS := $(O)/$(ENDS_DIR)/boot.o $(O)/$(ENDS_DIR)/main.o $(O)/$(ENDS_DIR)/command.o

.PHONY: ends
ends: $(O)/$(ENDS_DIR)/ends.elf

$(O)/$(ENDS_DIR)/ends.elf: $(ENDS_OBJS) $(ENDS_DIR)/ends.ld
	$(call say,LD,$@)
	$(Q)$(CC) -nostdlib -static -Wl,--build-id=none -Wl,-z,noexecstack -Wl,-z,max-page-size=4096 \
		-Wl,--no-warn-rwx-segments -T $(ENDS_DIR)/ends.ld -o $@ $(ENDS_OBJS)

$(ENDS_OBJS): $(O)/$(ENDS_DIR)/%.o: $(wildcard $(ENDS_DIR)/*.[chS] guest/command.h guest/line.h) $(ENDS_DIR)/build.mk
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(PROBE_CFLAGS) -c -o $@ -I. $(firstword $(wildcard $(ENDS_DIR)/$*.c $(ENDS_DIR)/$*.S))
