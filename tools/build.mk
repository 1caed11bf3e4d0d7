# SPDX-License-Identifier: GPL-2.0-only
# lint: the rooms' borders, then what the analysers say where they are installed.
CPPCHECK := $(shell command -v cppcheck)
TIDY     := $(shell command -v clang-tidy)

lint:
	tools/lint-rooms
ifneq ($(CPPCHECK),)
	cppcheck -q -j2 --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
		--suppress=missingIncludeSystem --std=c11 -Iinclude -I. -D__x86_64__ -D_GNU_SOURCE \
		$(SRCS) main.c
else
	@echo 'no cppcheck here'
endif
ifneq ($(TIDY),)
	clang-tidy --quiet $(SRCS) main.c -- $(filter-out -fstack-clash-protection,$(ALL_CFLAGS))
else
	@echo 'no clang-tidy here'
endif

# The manual page comes out of the option tables.
$(O)/lkvm.1: $(BIN)
	$(Q)$(BIN:lkvm=./lkvm) help --man > $@
man: $(O)/lkvm.1
.PHONY: man lint
