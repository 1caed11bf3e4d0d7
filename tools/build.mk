# SPDX-License-Identifier: GPL-2.0-only
# lint: the rooms' borders, then what the analysers say where they are installed.
lint:
	tools/lint-rooms
	$(if $(shell command -v cppcheck),cppcheck -q --enable=warning,performance,portability \
		--inline-suppr --error-exitcode=1 --suppress=missingIncludeSystem --std=c11 \
		-j2 -Iinclude -I. -D__x86_64__ -D_GNU_SOURCE $(SRCS) main.c,@echo 'no cppcheck here')
	$(if $(shell command -v clang-tidy),clang-tidy --quiet $(SRCS) main.c -- $(ALL_CFLAGS),\
		@echo 'no clang-tidy here')

# The manual page comes out of the option tables.
$(O)/lkvm.1: $(BIN)
	$(Q)$(BIN:lkvm=./lkvm) help --man > $@
man: $(O)/lkvm.1
.PHONY: man lint
