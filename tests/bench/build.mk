# SPDX-License-Identifier: GPL-2.0-only
# The suite only looks whether they still run.
check: bench-guest $(O)/tests/bench/floor
check-bench: bench-guest $(O)/tests/bench/floor

.PHONY: bench
bench: all bench-guest $(O)/tests/bench/floor
	$(Q)O=$(O) tests/bench/bench $(BENCH)

$(O)/tests/bench/floor: tests/bench/floor.c $(O)/flags
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $< -laio
