// SPDX-License-Identifier: GPL-2.0-only
/*
 * The control port, as the host hears it: messages in any pieces, and every way to talk nonsense.
 */
#include "machine/control.h"

#include "tap.h"

static struct control control;
static unsigned hellos, starts, statuses, says;
static struct command_status last;
static char text[COMMAND_SAY_MAX + 1];

static void on_hello(void *opaque)
{
	(void)opaque;
	hellos++;
}

static void on_started(void *opaque)
{
	(void)opaque;
	starts++;
}

static void on_status(void *opaque, const struct command_status *status)
{
	(void)opaque;
	last = *status;
	statuses++;
}

static void on_say(void *opaque, const char *said)
{
	(void)opaque;
	snprintf(text, sizeof(text), "%s", said);
	says++;
}

static void begin(void)
{
	control_init(&control, &(struct control_user){ on_hello, on_started, on_status, on_say, NULL });
	hellos = starts = statuses = says = 0;
}

static uint8_t stream[4096];
static size_t len;

static void put(uint32_t type, const void *payload, uint32_t n, uint32_t said_n)
{
	struct command_head head = { type, said_n };

	memcpy(stream + len, &head, sizeof(head));
	if (n)
		memcpy(stream + len + sizeof(head), payload, n);
	len += sizeof(head) + n;
}

static void put_hello_of(uint32_t version)
{
	struct command_hello hello = { version };

	put(COMMAND_HELLO, &hello, sizeof(hello), sizeof(hello));
}

static void put_hello(void)
{
	put_hello_of(COMMAND_VERSION);
}

static void put_status(uint32_t how, uint32_t value)
{
	struct command_status status = { how, value, 1, 2 };

	put(COMMAND_STATUS, &status, sizeof(status), sizeof(status));
}

static bool feed(void)
{
	bool fine = control_feed(&control, stream, len);

	len = 0;
	return fine;
}

static void in_pieces(void)
{
	char longest[COMMAND_SAY_MAX];

	memset(longest, 'x', sizeof(longest));
	for (size_t piece = 1; piece < 700; piece += piece < 20 ? 1 : 37) {
		bool fine = true;

		begin();
		put_hello();
		put(COMMAND_SAY, "a \x1b[2J\nline", 11, 11);
		put(COMMAND_STARTED, NULL, 0, 0);
		put(COMMAND_SAY, longest, sizeof(longest), sizeof(longest));
		put_status(COMMAND_EXITED, 7);
		for (size_t at = 0; at < len; at += piece)
			fine &= control_feed(&control, stream + at, len - at < piece ? len - at : piece);
		len = 0;
		if (!fine || hellos != 1 || starts != 1 || says != 2 || statuses != 1 || last.value != 7 ||
		    strlen(text) != COMMAND_SAY_MAX) {
			ok(false, "a conversation in pieces of %zu bytes", piece);
			return;
		}
	}
	ok(true, "a conversation in pieces of any length");
	begin();
	put(COMMAND_SAY, "a \x1b[2J\nline", 11, 11);
	feed();
	is_str(text, "a ?[2J?line", "what the guest says is printable");
}

static void nonsense(void)
{
	begin();
	put(0, NULL, 0, 0);
	ok(!feed(), "an unknown type is nonsense");
	put_hello();
	ok(!feed() && !hellos, "and what follows isn't listened to");
	begin();
	put(COMMAND_SAY, NULL, 0, COMMAND_SAY_MAX + 1);
	ok(!feed(), "so is a message that is too long");
	begin();
	put(COMMAND_SAY, NULL, 0, 0xffffffff);
	ok(!feed(), "or as long as can be");
	begin();
	put(COMMAND_HELLO, "12", 2, 2);
	ok(!feed() && !hellos, "or too short for its type");
	begin();
	put_hello_of(COMMAND_VERSION + 1);
	ok(!feed() && !hellos, "or of another version");
	begin();
	put_status(COMMAND_EXITED, 0);
	ok(!feed() && !statuses, "a status before the greeting");
	begin();
	put_hello();
	put_hello();
	ok(!feed() && hellos == 1, "a second greeting");
	begin();
	put_hello();
	put_status(COMMAND_EXITED, 0);
	put_status(COMMAND_EXITED, 1);
	ok(!feed() && statuses == 1 && last.value == 0, "a second status, which doesn't count");
	begin();
	put_hello();
	put_status(COMMAND_EXITED, 256);
	ok(!feed() && !statuses, "a status that no process has");
	begin();
	put_hello();
	put_status(COMMAND_KILLED, 65);
	ok(!feed() && !statuses, "a signal that there isn't");
	begin();
	put_hello();
	put_status(COMMAND_FAILED + 1, 0);
	ok(!feed() && !statuses, "an end that there isn't");
}

int main(void)
{
	in_pieces();
	nonsense();
	is(control_exit_status(&(struct command_status){ COMMAND_EXITED, 255, 0, 0 }), 255, "exit 255");
	is(control_exit_status(&(struct command_status){ COMMAND_KILLED, 11, 0, 0 }), 139, "SIGSEGV");
	is(control_exit_status(&(struct command_status){ COMMAND_NOT_EXECUTABLE, 13, 0, 0 }), 126,
	   "not executable");
	is(control_exit_status(&(struct command_status){ COMMAND_NOT_FOUND, 2, 0, 0 }), 127, "not found");
	is(control_exit_status(&(struct command_status){ COMMAND_FAILED, 2, 0, 0 }), 125, "not possible");
	return tap_end();
}
