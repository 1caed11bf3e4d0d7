/* SPDX-License-Identifier: GPL-2.0-only */
/* payload: what a guest starts from, by the config: kernel, command line, the root of a command. */
#pragma once

#include <stdbool.h>

#include "lkvm/config.h"
#include "lkvm/gmem.h"
#include "lkvm/pci.h"
#include "lkvm/vm.h"

/* Into the guest's RAM; *entry says where it begins. 0 or -errno, logged. */
int payload_load(const struct config *conf, const struct pci_windows *windows, struct gmem *mem,
		 struct vm_entry *entry);
