# SPDX-License-Identifier: GPL-2.0-only
# Every tests/fuzz/fuzz_NAME.c with its LLVMFuzzerTestOneInput is one target.
#
#   make fuzz-NAME [FUZZ_TIME=seconds]	builds it with clang and libFuzzer; runs it, given a time.
#					What it finds: build/libfuzzer/corpus/NAME.
#   make check-fuzz			replays tests/fuzz/seeds/NAME/*: any compiler, and with its
#					sanitizers where it has them.
FUZZ_NAMES := $(patsubst tests/fuzz/fuzz_%.c,%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
FUZZ_BINS  := $(FUZZ_NAMES:%=$(O)/tests/fuzz/fuzz_%)
FUZZ_RUNS  := $(FUZZ_NAMES:%=fuzz-%)
FUZZ_SAN   := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
# What gives a target its main(): libFuzzer, or our own loop over files.
FUZZ_MAIN  := $(if $(FUZZ_ENGINE),$(FUZZ_ENGINE),tests/fuzz/replay.c)

.PHONY: fuzz-seeds fuzz-bins $(FUZZ_RUNS)
fuzz-bins: $(FUZZ_BINS)

$(FUZZ_BINS): $(O)/tests/fuzz/%: tests/fuzz/%.c tests/fuzz/replay.c $(LIB) $(O)/flags
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -MF $@.d -Itests/lib -c -o $@.o $<
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $@.o $(FUZZ_MAIN) $(LIB) $(LIBS)

ifneq ($(SAN),)
fuzz-seeds: fuzz-bins
else
# A build of its own, so that `make check` sees what a release build would not notice.
fuzz-seeds:
	$(Q)san=; if echo 'int main(void) { return 0; }' | \
		$(CC) $(FUZZ_SAN) -x c -o /dev/null - 2>/dev/null; then san='$(FUZZ_SAN)'; fi; \
	$(MAKE) --no-print-directory O=$(O)/fuzz SAN="$$san" fuzz-bins
endif

FUZZ_O := build/libfuzzer
$(FUZZ_RUNS): fuzz-%:
	$(Q)$(MAKE) --no-print-directory O=$(FUZZ_O) CC=clang FUZZ_ENGINE=-fsanitize=fuzzer \
		SAN='-fsanitize=fuzzer-no-link $(FUZZ_SAN)' $(FUZZ_O)/tests/fuzz/fuzz_$*
	$(Q)mkdir -p $(FUZZ_O)/corpus/$* tests/fuzz/seeds/$*
	$(Q)$(if $(FUZZ_TIME),$(FUZZ_O)/tests/fuzz/fuzz_$* -max_total_time=$(FUZZ_TIME) \
		-print_final_stats=1 -artifact_prefix=$(FUZZ_O)/ $(FUZZ_O)/corpus/$* \
		tests/fuzz/seeds/$*,echo '$(FUZZ_O)/tests/fuzz/fuzz_$*')

-include $(FUZZ_BINS:=.d)

check: fuzz-seeds
check-fuzz: fuzz-seeds
