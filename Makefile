# SPDX-License-Identifier: GPL-2.0-only
# lkvm: one binary out of the folders below. `make help` lists the targets.
#
#   O=DIR      where objects go (default build); a build with O=build also leaves ./lkvm
#   CC=clang   any C11 compiler
#   STATIC=1   link statically or fail, 0: dynamically; else statically where the libraries allow it
#   V=1        show the commands

VERSION := $(shell cat VERSION)
O       ?= build
PREFIX  ?= /usr/local
Q       := $(if $(V),,@)
say      = $(if $(V),,@printf '  %-5s %s\n' $(1) $(2))

# Who may include whom is checked by `make lint`; see tools/lint-rooms.
ROOMS   := base kvm inspect gdb pci virtio virtio/pci hw disk net initramfs watch kconfig matrix machine cmd
SRCS    := $(foreach d,$(ROOMS),$(sort $(wildcard $(d)/*.c)))
OBJS    := $(SRCS:%.c=$(O)/%.o) $(O)/guest/init/blob.o
LIB     := $(O)/liblkvm.a
BIN     := $(if $(filter build,$(O)),lkvm,$(O)/lkvm)

WARN    := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes
HARDEN  := -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection -fcf-protection -fPIE
CFLAGS  ?= -O2 -g
# A folder of that name is a sanitizer's, whoever builds in it.
SAN_asan := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
SAN_tsan := -fsanitize=thread -fno-omit-frame-pointer
SAN     ?= $(SAN_$(notdir $(O)))
ALL_CFLAGS := -std=gnu11 -Iinclude -I. -D_GNU_SOURCE -pthread -DLKVM_VERSION='"$(VERSION)"' \
	      $(WARN) $(if $(SAN),$(SAN),$(HARDEN)) $(CFLAGS)
HARDEN_LD := $(if $(SAN),$(SAN),-Wl,-z,relro,-z,now,-z,noexecstack)
ALL_LDFLAGS := -pthread $(if $(SAN),,-pie) $(HARDEN_LD) $(LDFLAGS)
LIBS    := -laio

# Libraries that are used when they are there: HAVE_NAME says so to the C files.
MAY_USE := zlib liblzma libzstd liblz4
HAVE    := $(foreach p,$(MAY_USE),$(if $(shell pkg-config --exists $(p) 2>/dev/null && echo y),$(p)))
ifneq ($(HAVE),)
ALL_CFLAGS += $(foreach p,$(HAVE),-DHAVE_$(shell echo $(p) | tr a-z A-Z)) $(shell pkg-config --cflags $(HAVE))
LIBS       += $(shell pkg-config --libs --static $(HAVE))
endif

.PHONY: all static install uninstall clean help check asan tsan lint compile_commands.json FORCE
all: $(BIN)

# A static binary starts with fewer system calls and has a third less in memory. Sanitizers need to be
# dynamic, and not every distribution has the libraries to link with.
STATIC  ?= $(if $(SAN),0,try)
LINK     = $(CC) -pthread $(1) $(HARDEN_LD) $(LDFLAGS) -o $(2) $(O)/main.o $(LIB) $(LIBS)
LINK_STATIC  = $(call LINK,-static-pie,$(1))
LINK_DYNAMIC = $(call LINK,$(if $(SAN),,-pie),$(1))
LINK_0   = $(LINK_DYNAMIC)
LINK_1   = $(LINK_STATIC)
LINK_try = $(LINK_STATIC) 2>$(O)/static.log || \
	{ echo '  (dynamic: no static libraries here; see $(O)/static.log)'; $(LINK_DYNAMIC); }

$(BIN): $(O)/main.o $(LIB) $(O)/linked
	$(call say,LD,$@)
	$(Q)$(call LINK_$(STATIC),$@)
$(O)/linked: FORCE
	@mkdir -p $(@D); echo '$(STATIC) $(LDFLAGS) $(LIBS)' | cmp -s - $@ || echo '$(STATIC) $(LDFLAGS) $(LIBS)' > $@

$(LIB): $(OBJS)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $(OBJS)

# The command is part of what an object is made from: other flags rebuild it.
$(O)/flags: FORCE
	@mkdir -p $(@D); echo '$(CC) $(ALL_CFLAGS)' | cmp -s - $@ || echo '$(CC) $(ALL_CFLAGS)' > $@

$(O)/%.o: %.c $(O)/flags
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# A static binary, for an initramfs or another machine.
static: lkvm-static
lkvm-static: $(O)/main.o $(LIB)
	$(call say,LD,$@)
	$(Q)$(call LINK_STATIC,$@)

install: all man
	install -D -m 755 lkvm $(DESTDIR)$(PREFIX)/bin/lkvm
	install -D -m 644 $(O)/lkvm.1 $(DESTDIR)$(PREFIX)/share/man/man1/lkvm.1
uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/lkvm $(DESTDIR)$(PREFIX)/share/man/man1/lkvm.1

# --- sanitizer builds: the same tree, the binary and the tests under build/asan and build/tsan
asan tsan:
	$(Q)$(MAKE) O=build/$@ all

# --- tests: each folder under tests/ with a `run` script is a suite; TAP in, a count out
SUITES  := unit fuzz cli debug probe bench verdict boot
check: all
	$(Q)tests/check $(foreach s,$(SUITES),$(if $(wildcard tests/$(s)/run),$(s)))
check-%: all
	$(Q)tests/check $*

clean:
	rm -rf build lkvm lkvm-static compile_commands.json
help:
	@sed -n 's/^#   /  /p' Makefile; echo '  targets: all static install clean check check-{$(SUITES)} asan tsan lint'

# Parts that are built their own way bring their own rules.
-include $(sort $(wildcard guest/*/build.mk tests/build.mk tests/*/build.mk tools/build.mk))
-include $(OBJS:.o=.d) $(O)/main.d
