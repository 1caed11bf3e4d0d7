// SPDX-License-Identifier: GPL-2.0-only
/*
 * A term that is a stream for a program: bytes as they are, the end of its input and what became of its
 * output told; and one without an output, which keeps the last words.
 */
#include <signal.h>
#include <unistd.h>

#include "lkvm/log.h"
#include "lkvm/term.h"
#include "tap.h"

static struct loop *loop;
static struct term *term;
static uint64_t in_total, out_total;
static bool in_over, out_gone;
static uint64_t wanted; /* bytes to be written before the loop may end */
static char got[64];
static size_t got_len;

static void tired(void *opaque)
{
	(void)opaque;
	loop_quit(loop);
}

static struct loop_timer limit = { .fire = tired };

static void on_in_ended(void *opaque, uint64_t total)
{
	(void)opaque;
	in_over = true;
	in_total = total;
	loop_quit(loop);
}

static void on_wrote(void *opaque, uint64_t total, bool gone)
{
	(void)opaque;
	out_total = total;
	out_gone = gone;
	if (total >= wanted)
		loop_quit(loop);
}

static void on_readable(void *opaque)
{
	(void)opaque;
	got_len += chan_read(term_chan(term), got + got_len, sizeof(got) - got_len);
}

static void begin(int in, int out)
{
	struct term_conf conf = { .stream = true, .in = in, .out = out, .in_ended = on_in_ended,
				  .wrote = on_wrote };

	in_over = out_gone = false;
	in_total = out_total = got_len = 0;
	loop = loop_open("main");
	term = term_open(loop, &conf);
	chan_attach(term_chan(term), &(struct chan_user){ .readable = on_readable });
}

/* Until something calls loop_quit(), or for five seconds. */
static void turn(void)
{
	loop_timer_set(loop, &limit, 5000000000ULL);
	loop_run(loop);
	loop_timer_cancel(loop, &limit);
}

static void end(void)
{
	term_close(term);
	loop_close(loop);
}

static void both_ways(void)
{
	static const char keys[] = "\x01x\x01h\x04\x03z"; /* an escape key, were this a terminal */
	char back[16];
	int in[2], out[2];

	if (pipe(in) || pipe(out) || write(in[1], keys, sizeof(keys)) != sizeof(keys))
		return;
	close(in[1]);
	begin(in[0], out[1]);
	turn();
	ok(in_over, "the end of the input is told");
	is(in_total, sizeof(keys), "with the bytes that came");
	ok(got_len == sizeof(keys) && !memcmp(got, keys, sizeof(keys)), "which are what they were");
	wanted = 5;
	chan_write(term_chan(term), "a\0b\nc", 5);
	turn();
	is(out_total, 5, "what has been written is told");
	ok(!out_gone, "while somebody reads");
	ok(read(out[0], back, sizeof(back)) == 5 && !memcmp(back, "a\0b\nc", 5), "as it was");
	close(out[0]);
	wanted = 8;
	chan_write(term_chan(term), "xyz", 3);
	turn();
	ok(out_gone, "and when nobody does");
	is(out_total, 8, "what is dropped counts, so that nobody waits for it");
	end();
	close(in[0]);
	close(out[1]);
}

static void no_output(void)
{
	char tail[8], line[32];
	unsigned i;

	begin(-1, -1);
	ok(!in_over, "no input has no end");
	for (i = 0; i < 5000; i++) {
		int n = snprintf(line, sizeof(line), "line %u\n", i);

		chan_write(term_chan(term), line, (size_t)n);
		if (i % 100 == 0) {
			wanted = 0;
			turn();
		}
	}
	is(term_tail(term, tail, sizeof(tail)), sizeof(tail), "the last words are kept");
	ok(!memcmp(tail, "ne 4999\n", 8), "just these");
	end();
	begin(-1, -1);
	chan_write(term_chan(term), "few", 3);
	is(term_tail(term, tail, sizeof(tail)), 3, "few words");
	ok(!memcmp(tail, "few", 3), "are all there");
	end();
}

int main(void)
{
	log_set_level(LOG_WARN);
	signal(SIGPIPE, SIG_IGN);
	both_ways();
	no_output();
	return tap_end();
}
