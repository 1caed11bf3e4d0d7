/* SPDX-License-Identifier: GPL-2.0-only */
/* unpack: the compressions a kernel's payload and its IKCONFIG come in. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define UNPACK_MAX (512U << 20) /* no x86 kernel is larger */

/* What the bytes begin with: "gzip", "xz" ...; NULL: nothing known. */
const char *unpack_kind(const uint8_t *src, size_t len);

/*
 * Unpacks src into a new buffer of at most max bytes; what follows the packed bytes is ignored.
 * 0; -ENOTSUP: lkvm was built without the library; -EINVAL: broken, or larger; -ENOMEM. Not logged.
 */
int unpack(const uint8_t *src, size_t len, size_t max, uint8_t **dst, size_t *dst_len);
