// SPDX-License-Identifier: GPL-2.0-only
/* Strings for JSON and XML out of any bytes, files that appear whole, and the steps of a run. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lkvm/log.h"
#include "lkvm/phase.h"
#include "lkvm/report.h"
#include "tap.h"

#define BAD "\xef\xbf\xbd" /* U+FFFD */

static const char *escaped(void (*put)(FILE *to, const char *bytes, size_t len), const char *bytes, size_t len)
{
	static char *text;
	size_t n;
	FILE *f;

	free(text);
	text = NULL;
	f = open_memstream(&text, &n);
	put(f, bytes, len);
	fclose(f);
	return text;
}

#define JSON(s) escaped(report_json, s, sizeof(s) - 1)
#define XML(s)	escaped(report_xml, s, sizeof(s) - 1)

static void strings(void)
{
	is_str(JSON(""), "\"\"", "JSON: nothing");
	is_str(JSON("a\"b\\c/"), "\"a\\\"b\\\\c/\"", "JSON: quotes and backslashes");
	is_str(JSON("\r\n\t\x1b[0m\x7f"), "\"\\u000d\\n\\u0009\\u001b[0m\\u007f\"", "JSON: control characters");
	is_str(JSON("a\0b"), "\"a\\u0000b\"", "JSON: a NUL");
	is_str(JSON("\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\xa7"), "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\xa7\"",
	       "JSON: UTF-8 stays");
	is_str(JSON("\xff\xc3(\x80"), "\"" BAD BAD "(" BAD "\"", "JSON: what is none does not");
	is_str(JSON("\xc0\xaf\xed\xa0\x80\xf4\x90\x80\x80"),
	       "\"" BAD BAD BAD BAD BAD BAD BAD BAD BAD "\"", "JSON: overlong, surrogate, too large");
	is_str(JSON("\xe2\x82"), "\"" BAD BAD "\"", "JSON: cut in the middle");
	is_str(XML("<a b=\"c\">&'"), "&#60;a b=&#34;c&#34;&#62;&#38;&#39;", "XML: marks");
	is_str(XML("\x1b]\x00\n\t\r"), BAD "]" BAD "\n\t&#13;", "XML: control characters");
	is_str(XML("]]>\xef\xbf\xbe"), "]]&#62;" BAD, "XML: the end of a section, and no character");
}

static void files(void)
{
	char dir[] = "/tmp/lkvm-report.XXXXXX", path[64], text[16] = "", command[64];
	struct stat before, after;
	int fd, fds[2];

	if (!mkdtemp(dir) || pipe(fds))
		return;
	snprintf(path, sizeof(path), "%s/file", dir);
	umask(022);
	is(report_write("result", path, "one", 3), 0, "a new file");
	stat(path, &before);
	is(before.st_mode & 0777, 0644, "as the umask has it");
	fd = open(path, O_RDONLY);
	is(report_write("result", path, "second", 6), 0, "in place of an old one");
	is(read(fd, text, sizeof(text)), 3, "whoever has the old one open keeps it");
	stat(path, &after);
	ok(after.st_size == 6 && after.st_ino != before.st_ino, "and there is another");
	close(fd);
	snprintf(command, sizeof(command), "test $(ls %s | wc -l) = 1", dir);
	is(system(command), 0, "nothing else is left there");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fds[1]);
	is(report_write("result", path, "piped", 5), 0, "a pipe is written to");
	is(read(fds[0], text, sizeof(text)), 5, "all of it");
	is(report_write("result", "/nowhere/at/all", "x", 1), -ENOENT, "a folder that is not there");
	snprintf(command, sizeof(command), "rm -r %s", dir);
	is(system(command), 0, "cleaned up");
	log_last_err(text, sizeof(text));
	is_str(text, "cannot write re", "the log remembers its last error, as far as there is room");
}

static void *mark_many(void *opaque)
{
	for (unsigned i = 0; i < 200; i++)
		phase_mark("%s%u", (const char *)opaque, i % 40);
	return NULL;
}

static void phases(void)
{
	struct phase list[PHASES_MAX + 1];
	unsigned n, ordered = 0;
	pthread_t other;
	uint64_t at;

	phase_mark("first");
	phase_mark("%s_driver_ok", "blk0");
	n = phase_list(list, PHASES_MAX);
	at = list[0].at;
	is(n, 2, "two steps");
	is_str(list[1].name, "blk0_driver_ok", "the second's name");
	phase_mark("first");
	is(phase_list(list, PHASES_MAX), 2, "a step is taken once");
	is(list[0].at, at, "and keeps its first time");
	is(phase_list(list, 1), 1, "no more than there is room for");
	pthread_create(&other, NULL, mark_many, "a");
	mark_many("b");
	pthread_join(other, NULL);
	phase_mark("a name that is far longer than anybody would ever have made it");
	n = phase_list(list, PHASES_MAX + 1);
	is(n, PHASES_MAX, "however many are marked, by several threads, the number is bounded");
	for (unsigned i = 1; i < n; i++)
		ordered += list[i].at >= list[i - 1].at;
	is(ordered, n - 1, "in the order of their times");
	phase_reset();
	phase_mark("a name that is far longer than anybody would ever have made it");
	phase_list(list, 1);
	is(strlen(list[0].name), PHASE_NAME - 1, "a long name is cut");
}

int main(void)
{
	strings();
	files();
	phases();
	return tap_end();
}
