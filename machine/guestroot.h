/* SPDX-License-Identifier: GPL-2.0-only */
/* guestroot: what a guest that runs a command starts from, by the config. */
#pragma once

#include "guest/command.h"
#include "lkvm/config.h"
#include "lkvm/initramfs.h"

#define GUESTROOT_PARAMS "rdinit=" COMMAND_INIT

int guestroot_build(const struct config *conf, struct initramfs *out); /* 0 or -errno, logged */
