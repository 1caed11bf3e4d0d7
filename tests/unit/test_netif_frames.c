// SPDX-License-Identifier: GPL-2.0-only
/* Frames over a stream: parts, many at once, a peer that doesn't read, lengths that make no sense. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/frames.h"
#include "tap.h"

static int sock[2]; /* ours, the peer's */

static void connect_frames(struct frames *f)
{
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sock) || frames_init(f, sock[0]))
		abort();
}

static void disconnect_frames(struct frames *f)
{
	frames_fini(f);
	close(sock[0]);
	close(sock[1]);
}

/* A frame of len bytes, recognisable by its tag, as it stands in the stream. */
static size_t encode(uint8_t *to, size_t len, uint8_t tag)
{
	uint32_t be = htonl((uint32_t)len);

	memcpy(to, &be, 4);
	memset(to + 4, tag, len);
	return len + 4;
}

static bool is_frame(ssize_t got, const uint8_t *frame, size_t len, uint8_t tag)
{
	if (got != (ssize_t)len)
		return false;
	for (size_t i = 0; i < len; i++)
		if (frame[i] != tag)
			return false;
	return true;
}

static void test_many_at_once(void)
{
	static uint8_t stream[100 * 104];
	const uint8_t *frame;
	struct frames f;
	size_t len = 0;
	int good = 0;
	ssize_t got;

	connect_frames(&f);
	is(frames_fill(&f), -EAGAIN, "nothing there: -EAGAIN");
	is(frames_next(&f, &frame), 0, "no frame yet");
	for (int i = 0; i < 100; i++)
		len += encode(stream + len, 100, (uint8_t)i);
	ok(write(sock[1], stream, len) == (ssize_t)len, "a hundred frames in one write");
	is(frames_fill(&f), 0, "one receive");
	while ((got = frames_next(&f, &frame)) > 0)
		good += is_frame(got, frame, 100, (uint8_t)good);
	is(got, 0, "no error after the last");
	is(good, 100, "a hundred frames come out, in order and whole");
	disconnect_frames(&f);
}

static void test_byte_by_byte(void)
{
	uint8_t stream[3 * 64];
	const uint8_t *frame;
	struct frames f;
	size_t len = 0, early = 0;
	int good = 0;

	connect_frames(&f);
	for (int i = 0; i < 3; i++)
		len += encode(stream + len, 14 + (size_t)i, (uint8_t)(i + 1));
	for (size_t i = 0; i < len; i++) {
		ssize_t got;

		if (write(sock[1], stream + i, 1) != 1)
			abort();
		early += frames_fill(&f) != 0;
		got = frames_next(&f, &frame);
		if (got > 0)
			good += is_frame(got, frame, 14 + (size_t)good, (uint8_t)(good + 1));
	}
	is(early, 0, "each byte is received");
	is(good, 3, "three frames that came byte by byte");
	disconnect_frames(&f);
}

/* Long and short ones mixed, so that frames lie across the end of the buffer again and again. */
static void test_wrap(void)
{
	static uint8_t stream[FRAMES_MAX + 4];
	const uint8_t *frame;
	struct frames f;
	int good = 0;

	connect_frames(&f);
	for (int i = 0; i < 40; i++) {
		size_t len = i % 3 ? FRAMES_MAX - (size_t)i * 1000 : 60, n, sent = 0;
		ssize_t got = 0;

		n = encode(stream, len, (uint8_t)i);
		while (got == 0) {
			ssize_t put = sent < n ? send(sock[1], stream + sent, n - sent, MSG_DONTWAIT) : 0;

			sent += put > 0 ? (size_t)put : 0;
			if (frames_fill(&f) && put <= 0)
				break;
			got = frames_next(&f, &frame);
		}
		good += got > 0 && is_frame(got, frame, len, (uint8_t)i);
	}
	is(good, 40, "frames of 60 to 65535 bytes, in parts, across the buffer's end");
	disconnect_frames(&f);
}

static void test_hostile(void)
{
	static const uint32_t bad[] = { 0, FRAMES_MAX + 1, 0x7fffffff, 0xffffffff };
	const uint8_t *frame;
	struct frames f;

	for (unsigned i = 0; i < 4; i++) {
		uint32_t be = htonl(bad[i]);

		connect_frames(&f);
		if (write(sock[1], &be, 4) != 4)
			abort();
		frames_fill(&f);
		is(frames_next(&f, &frame), -EPROTO, "length %u is refused", bad[i]);
		disconnect_frames(&f);
	}
	connect_frames(&f);
	close(sock[1]);
	is(frames_fill(&f), -EPIPE, "a closed peer: -EPIPE");
	frames_put(&f, &(struct iovec){ (void *)"x", 1 }, 1, 1);
	is(frames_flush(&f), -EPIPE, "sending to it: -EPIPE and no signal");
	sock[1] = -1;
	disconnect_frames(&f);
}

/* A peer that doesn't read: what was taken isn't lost, what wasn't is refused. */
static void test_backpressure(void)
{
	static uint8_t body[3000];
	struct iovec iov[2] = { { body, 1000 }, { body + 1000, 2000 } };
	int put = 0, good = 0, err = 0, size = 8192, turns = 0;
	struct frames f, in;
	const uint8_t *frame;
	ssize_t n;

	connect_frames(&f);
	setsockopt(sock[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	is(frames_put(&f, iov, 2, FRAMES_MAX + 1), -EMSGSIZE, "a frame that is too long is refused");
	while (!err && put < 10000) {
		memset(body, put, sizeof(body));
		err = frames_put(&f, iov, 2, sizeof(body));
		if (err == -EAGAIN) {
			frames_flush(&f);
			err = frames_put(&f, iov, 2, sizeof(body));
		}
		put += !err;
	}
	is(err, -EAGAIN, "in the end there is no room");
	ok(put > 20, "but first some frames were taken (%d)", put);
	if (frames_init(&in, sock[1]))
		abort();
	do {
		err = frames_flush(&f);
		while (!frames_fill(&in))
			while ((n = frames_next(&in, &frame)) > 0)
				good += is_frame(n, frame, 3000, (uint8_t)good);
	} while (err == -EAGAIN && turns++ < 10000);
	is(err, 0, "all goes when the peer reads");
	is(good, put, "what was taken arrives, whole and in order");
	frames_fini(&in);
	disconnect_frames(&f);
}

int main(void)
{
	test_many_at_once();
	test_byte_by_byte();
	test_wrap();
	test_hostile();
	test_backpressure();
	return tap_end();
}
