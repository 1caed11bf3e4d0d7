# SPDX-License-Identifier: GPL-2.0-only
# The guest's first process: no libc, static, one file that lkvm carries inside (blob.S).
INIT_DIR    := guest/init
INIT_BIN    := $(O)/$(INIT_DIR)/init
INIT_OBJS   := $(patsubst $(INIT_DIR)/%.c,$(O)/$(INIT_DIR)/%.o,$(sort $(wildcard $(INIT_DIR)/*.c)))
INIT_CFLAGS := -std=gnu11 -Os -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -I. \
	-D_GNU_SOURCE -U_FORTIFY_SOURCE -ffreestanding -fno-builtin -fno-pic -fno-pie \
	-fno-stack-protector -fcf-protection=none -fno-asynchronous-unwind-tables -mgeneral-regs-only \
	-fno-strict-aliasing

$(INIT_BIN): $(INIT_OBJS)
	$(call say,LD,$@)
	$(Q)$(CC) -nostdlib -static -s -Wl,--build-id=none -Wl,-z,noexecstack \
		-Wl,-z,max-page-size=4096 -o $@ $(INIT_OBJS)

$(INIT_OBJS): $(O)/$(INIT_DIR)/%.o: $(INIT_DIR)/%.c $(INIT_DIR)/build.mk $(O)/flags
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(INIT_CFLAGS) -MMD -MP -c -o $@ $<

$(O)/$(INIT_DIR)/blob.o: $(INIT_DIR)/blob.S $(INIT_BIN)
	$(call say,AS,$<)
	$(Q)$(CC) -DGUEST_INIT='"$(INIT_BIN)"' -c -o $@ $<

-include $(INIT_OBJS:.o=.d)
