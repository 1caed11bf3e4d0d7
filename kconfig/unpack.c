// SPDX-License-Identifier: GPL-2.0-only
/*
 * unpack: gzip, xz, lzma, zstd and lz4, by the libraries that this build found.
 *
 * A kernel's payload ends with four bytes that are no part of the packed stream (its length), so each
 * decoder stops at its stream's own end.
 *
 * Runs on: main
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#ifdef HAVE_ZLIB
#include <zlib.h>
#endif
#ifdef HAVE_LIBLZMA
#include <lzma.h>
#endif
#ifdef HAVE_LIBZSTD
#include <zstd.h>
#endif
#ifdef HAVE_LIBLZ4
#include <lz4.h>
#endif

#include "kconfig/unpack.h"

#define FIRST_ROOM (4U << 20)
#define LZ4_BLOCK_MAX (8U << 20) /* of the legacy format, unpacked */

struct out {
	uint8_t *buf;
	size_t len, room, max;
};

/* Room for more; false: that would be more than max, or there is no memory. */
__attribute__((unused)) static bool grow(struct out *out)
{
	size_t room = out->room ? out->room * 2 : FIRST_ROOM;
	uint8_t *buf;

	if (room > out->max)
		room = out->max;
	if (room == out->room)
		return false;
	buf = realloc(out->buf, room);
	if (!buf)
		return false;
	out->buf = buf;
	out->room = room;
	return true;
}

#ifdef HAVE_ZLIB
static int unpack_gzip(const uint8_t *src, size_t len, struct out *out)
{
	z_stream z = { .next_in = (uint8_t *)src, .avail_in = (uInt)len };
	int ret = inflateInit2(&z, 16 + MAX_WBITS) == Z_OK ? Z_OK : Z_MEM_ERROR;

	while (ret == Z_OK) {
		if (out->len == out->room && !grow(out))
			break;
		z.next_out = out->buf + out->len;
		z.avail_out = (uInt)(out->room - out->len);
		ret = inflate(&z, Z_NO_FLUSH);
		out->len = out->room - z.avail_out;
	}
	inflateEnd(&z);
	return ret == Z_STREAM_END ? 0 : -EINVAL;
}
#else
#define unpack_gzip NULL
#endif

#ifdef HAVE_LIBLZMA
static int unpack_lzma(const uint8_t *src, size_t len, struct out *out)
{
	lzma_stream s = LZMA_STREAM_INIT;
	lzma_ret ret = src[0] == 0xfd ? lzma_stream_decoder(&s, UNPACK_MAX, 0) :
					lzma_alone_decoder(&s, UNPACK_MAX);

	s.next_in = src;
	s.avail_in = len;
	while (ret == LZMA_OK) {
		if (out->len == out->room && !grow(out))
			break;
		s.next_out = out->buf + out->len;
		s.avail_out = out->room - out->len;
		ret = lzma_code(&s, LZMA_RUN);
		out->len = out->room - s.avail_out;
	}
	lzma_end(&s);
	return ret == LZMA_STREAM_END ? 0 : -EINVAL;
}
#else
#define unpack_lzma NULL
#endif

#ifdef HAVE_LIBZSTD
static int unpack_zstd(const uint8_t *src, size_t len, struct out *out)
{
	ZSTD_DStream *z = ZSTD_createDStream();
	ZSTD_inBuffer in = { .src = src, .size = len };
	size_t left = 1;

	if (!z)
		return -ENOMEM;
	/* The kernel's is packed with a window of 128 MiB, which the library refuses unless told. */
	ZSTD_DCtx_setParameter(z, ZSTD_d_windowLogMax, 27);
	while (left) {
		ZSTD_outBuffer to;
		size_t was = in.pos;

		if (out->len == out->room && !grow(out))
			break;
		to = (ZSTD_outBuffer){ .dst = out->buf, .size = out->room, .pos = out->len };
		left = ZSTD_decompressStream(z, &to, &in);
		if (ZSTD_isError(left) || (in.pos == was && to.pos == out->len))
			break;
		out->len = to.pos;
	}
	ZSTD_freeDStream(z);
	return left ? -EINVAL : 0;
}
#else
#define unpack_zstd NULL
#endif

#ifdef HAVE_LIBLZ4
/* The legacy frame: a magic number, then blocks behind their lengths, up to the end of the payload. */
static int unpack_lz4(const uint8_t *src, size_t len, struct out *out)
{
	size_t at = 4;
	uint32_t n;

	while (len - at > sizeof(n)) {
		int got;

		memcpy(&n, src + at, sizeof(n));
		at += sizeof(n);
		if (n > len - at || n > INT32_MAX)
			return -EINVAL;
		while (out->room - out->len < LZ4_BLOCK_MAX)
			if (!grow(out))
				return -EINVAL;
		got = LZ4_decompress_safe((const char *)src + at, (char *)out->buf + out->len, (int)n,
					  LZ4_BLOCK_MAX);
		if (got < 0)
			return -EINVAL;
		out->len += (size_t)got;
		at += n;
	}
	return 0;
}
#else
#define unpack_lz4 NULL
#endif

static const struct kind {
	const char *name, *magic;
	size_t magic_len;
	int (*unpack)(const uint8_t *src, size_t len, struct out *out);
} kinds[] = {
	{ "gzip", "\x1f\x8b\x08", 3, unpack_gzip },
	{ "xz", "\xfd" "7zXZ\0", 6, unpack_lzma },
	{ "lzma", "\x5d\0\0", 3, unpack_lzma },
	{ "zstd", "\x28\xb5\x2f\xfd", 4, unpack_zstd },
	{ "lz4", "\x02\x21\x4c\x18", 4, unpack_lz4 },
	{ "bzip2", "BZh", 3, NULL },
	{ "lzo", "\x89LZO", 4, NULL },
};

static const struct kind *kind_of(const uint8_t *src, size_t len)
{
	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (len >= kinds[i].magic_len && !memcmp(src, kinds[i].magic, kinds[i].magic_len))
			return &kinds[i];
	return NULL;
}

const char *unpack_kind(const uint8_t *src, size_t len)
{
	const struct kind *kind = kind_of(src, len);

	return kind ? kind->name : NULL;
}

int unpack(const uint8_t *src, size_t len, size_t max, uint8_t **dst, size_t *dst_len)
{
	const struct kind *kind = kind_of(src, len);
	struct out out = { .max = max < UNPACK_MAX ? max : UNPACK_MAX };
	int err;

	if (!kind || len > UNPACK_MAX)
		return -EINVAL;
	if (!kind->unpack)
		return -ENOTSUP;
	err = kind->unpack(src, len, &out);
	if (err) {
		free(out.buf);
		return err;
	}
	*dst = out.buf;
	*dst_len = out.len;
	return 0;
}
