# SPDX-License-Identifier: GPL-2.0-only
# The suite only looks whether they still run.
check: bench-guest $(O)/tests/bench/floor
check-bench: bench-guest $(O)/tests/bench/floor

.PHONY: bench
bench: all bench-guest $(O)/tests/bench/floor
	$(Q)O=$(O) tests/bench/bench $(BENCH)

# On an emulated machine that has vhost-net and a real KVM.
.PHONY: bench-nested
bench-nested: static bench-guest $(O)/tests/bench/floor
	$(Q)O=$(O) tests/bench/nested $(BENCH)

# A Linux guest, nested where KVM is none: minutes. EACH=0: its boots only.
.PHONY: bench-linux
bench-linux:
	$(Q)tests/bench/linux $(PEERS)

FLOOR := tests/bench/floor.c tests/bench/floor_tap.c
$(O)/tests/bench/floor: $(FLOOR) tests/bench/floor.h disk/aio_ring.h $(O)/flags
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $(FLOOR) -laio
