# SPDX-License-Identifier: GPL-2.0-only
# Every tests/unit/test_*.c is one program, linked with all of lkvm but main.c.
UNIT_BINS := $(patsubst tests/unit/%.c,$(O)/tests/unit/%,$(sort $(wildcard tests/unit/test_*.c)))

.PHONY: unit-tests
unit-tests: $(UNIT_BINS)

$(O)/tests/unit/%: tests/unit/%.c $(LIB) $(O)/flags
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -Itests/lib -MMD -MP -MF $@.d $(ALL_LDFLAGS) -o $@ $< $(LIB) $(LIBS)

-include $(UNIT_BINS:=.d)

check: unit-tests
check-unit: unit-tests
