// SPDX-License-Identifier: GPL-2.0-only
/* A file of tests: what it may say, where it is wrong, and which runs it stands for. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "lkvm/log.h"
#include "lkvm/matrix.h"
#include "matrix/toml.h"
#include "tap.h"

/* "LINE:COLUMN: text" of the error, or "" */
static const char *parse_error(const char *text)
{
	static char line[256];
	struct toml_error err;
	struct toml doc;

	line[0] = '\0';
	if (toml_parse(&doc, text, strlen(text), &err))
		snprintf(line, sizeof(line), "%u:%u: %s", err.at.line, err.at.column, err.text);
	toml_free(&doc);
	return line;
}

#define WRONG(text, want) \
	ok(!strncmp(parse_error(text), want, strlen(want)), "%s is wrong at %s", #text, want)

static void wrong(void)
{
	WRONG("a", "1:2: = and");
	WRONG("a = ", "1:5: a value");
	WRONG("a = \"x", "1:5: this string does not end");
	WRONG("a = 'x\n'", "1:5: this string does not end");
	WRONG("\n a = \"\\q\"", "2:8: an unknown escape");
	WRONG("a = \"\xc3\xa9\\q\"", "1:8: an unknown"); /* a character is a column */
	WRONG("a = \"\\u12g4\"", "1:10: a hexa");
	WRONG("a = \"\\ud800\"", "1:8: this is no character");
	WRONG("a = \"\\u0000\"", "1:8: this is no character");
	WRONG("a = \"\x01\"", "1:6: a control");
	WRONG("a = \"\"\"x\"\"\"", "1:5: strings of several lines");
	WRONG("a = 1.5", "1:5: only whole");
	WRONG("a = 0x10", "1:5: only whole");
	WRONG("a = 1979-05-27", "1:5: only whole");
	WRONG("a = 012", "1:5: this is no decimal");
	WRONG("a = 1__0", "1:5: only whole");
	WRONG("a = 99999999999999999999", "1:5: this number is too large");
	WRONG("a = yes", "1:5: a value");
	WRONG("a = {}", "1:5: inline tables");
	WRONG("a = [1, 2", "1:5: this list does not end");
	WRONG("a = [1 2]", "1:8: , or ]");
	WRONG("a = [,]", "1:6: a value");
	WRONG("a = [[[[[]]]]]", "1:9: lists within lists");
	WRONG("a = 1 b = 2", "1:7: the line should end");
	WRONG("a.b = 1", "1:2: dotted");
	WRONG("a = 1\nb = 2\na = 3", "3:1: 'a' is there already, at line 1");
	WRONG("[t", "1:3: ]");
	WRONG("[[t]", "1:5: ]]");
	WRONG("[t]\n[t]", "2:1: table 't' is there already, at line 1");
	WRONG("[t]\n[[t]]", "2:1: table 't'");
	WRONG("a = 1\r", "1:6: the line should end");
	WRONG("# \x02", "1:3: a control");
	WRONG("= 1", "1:1: a name");
}

static void right(void)
{
	static const char text[] = "# c\r\nn = -1_000\t# c\nyes = true\n's p' = \"a\\t\\u00e9\\\\\"\n"
				   "list = [ 'a\\', # c\n\n [1,\n], ]\n[[t]]\n[[t]]\nx = ''";
	const struct toml_entry *e;
	struct toml_error err;
	struct toml doc;

	is(toml_parse(&doc, text, strlen(text), &err), 0, "a file with some of everything");
	is(doc.n, 3, "has three tables");
	e = toml_find(&doc.table[0], "n");
	is(e ? e->value.integer : 0, -1000, "a number");
	e = toml_find(&doc.table[0], "yes");
	ok(e && e->value.kind == TOML_BOOL && e->value.yes, "a boolean");
	e = toml_find(&doc.table[0], "s p");
	is_str(e ? e->value.text : "", "a\t\xc3\xa9\\", "a string");
	e = toml_find(&doc.table[0], "list");
	is(e ? e->value.n : 0, 2, "a list over several lines");
	is_str(e->value.item[0].text, "a\\", "of a literal string");
	is(e->value.item[1].n, 1, "and a list");
	is(e->value.item[1].at.line, 7, "whose line is known");
	e = toml_find(&doc.table[2], "x");
	is_str(e ? e->value.text : "?", "", "an empty string in the last table");
	toml_free(&doc);
}

/* --- the plan --------------------------------------------------------------------------------- */

static const char *plan_error(const char *text)
{
	static char line[400];
	struct matrix m;

	line[0] = '\0';
	if (matrix_parse(&m, "f", text, strlen(text)))
		log_last_err(line, sizeof(line));
	else
		matrix_close(&m);
	return line;
}

#define REFUSED(text, want) \
	ok(!strncmp(plan_error(text), want, strlen(want)), "%s is refused: %s", #text, want)

static void refused(void)
{
	REFUSED("", "f:1:1: there is no [[test]]");
	REFUSED("x = ", "f:1:5: a value");
	REFUSED("colour = 1", "f:1:1: 'colour' is not one of: kernel");
	REFUSED("name = 'a'", "f:1:1: 'name' is not one of");
	REFUSED("[test]", "f:1:1: a test begins with [[test]]");
	REFUSED("[[tests]]", "f:1:1: a test begins with [[test]]");
	REFUSED("[[test]]\nkernel = 'a'", "f:1:1: this test has no name");
	REFUSED("[[test]]\nname = 'a'", "f:1:1: which kernel?");
	REFUSED("kernel = 'k'\n[[test]]\nname = 'a'\n[[test]]\nname = 'a'", "f:5:8: test 'a' is there already");
	REFUSED("kernel = 5\n[[test]]\nname = 'a'", "f:1:10: kernel: this is a number; a string is wanted");
	REFUSED("kernel = []\n[[test]]\nname = 'a'", "f:1:10: kernel: the list is empty");
	REFUSED("kernel = 'k'\n[[test]]\nname = 'a'\ncpus = [1, 'x']", "f:4:12: cpus: this is a string");
	REFUSED("kernel = 'k'\n[[test]]\nname = 'a'\ncpus = 0", "f:4:8: cpus: at least 1");
	REFUSED("kernel = 'k'\n[[test]]\nname = 'a'\ncommand = 'x y'", "f:4:11: command: a list of words");
	REFUSED("kernel = 'k'\n[[test]]\nname = 'a'\ncommand = ['x', 5]", "f:4:17: command: this word is a number");
	REFUSED("kernel = 'k'\n[[test]]\nname = 'a'\ncommand = []", "f:4:11: command: without a word");
	REFUSED("kernel = 'k'\n[[test]]\nname = 'a'\ncommand = [['x'], 'y']", "f:4:19: command: a list");
	REFUSED("kernel = 'k'\n[[test]]\nname = 'a'\nstatus = 256", "f:4:10: status: a number from 0 to 255");
	REFUSED("kernel = 'k'\n[[test]]\nname = 'a'\ntimeout = '5s'", "f:4:11: timeout: a number");
	REFUSED("kernel = 'k'\n[[test]]\nname = 'a'\noptions = '-d'", "f:4:11: options: a list");
}

static void too_many(void)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	fputs("kernel = 'k'\n[[test]]\nname = 'a'\n", f);
	for (unsigned i = 0; i < 2; i++) {
		fputs(i ? "cpus = [" : "params = [", f);
		for (unsigned k = 0; k < 101; k++)
			fprintf(f, i ? "%u," : "'%u',", k + 1);
		fputs("]\n", f);
	}
	fclose(f);
	ok(!strncmp(plan_error(text), "f:2:1: more than 10000 runs", 27), "10201 runs are too many");
	free(text);
}

static bool words_are(char **words, const char *want)
{
	char line[512] = "";

	for (; words && *words; words++) {
		strncat(line, *words, sizeof(line) - strlen(line) - 2);
		strcat(line, "|");
	}
	if (strcmp(line, want))
		printf("#   got %s\n", line);
	return !strcmp(line, want);
}

static void expanded(void)
{
	static const char text[] = "kernel = ['a', 'b']\ntimeout = 9\noptions = ['-x', 'y z']\n"
				   "[[test]]\nname = 't'\ncpus = [1, 4]\nmemory = '1G'\n"
				   "command = [['c', '1'], ['d']]\nstatus = 3\n"
				   "[[test]]\nname = 'u'\nkernel = 'only'\ninitrd = 'i'\nparams = 'p q'\n"
				   "options = []\ncommand = ['e']\n";
	struct matrix m;

	is(matrix_parse(&m, "/dir/f.toml", text, strlen(text)), 0, "two tests");
	if (!ok(m.n == 9, "are 2 x 2 x 2 runs and one"))
		return;
	is_str(m.dir, "/dir", "which run in the file's folder");
	is_str(m.run[0].name, "t [kernel=a cpus=1 command=c 1]", "the first's name");
	is_str(m.run[1].name, "t [kernel=a cpus=1 command=d]", "the command changes first");
	is_str(m.run[7].name, "t [kernel=b cpus=4 command=d]", "the kernel last");
	ok(words_are(m.run[2].options, "-k|a|-c|4|-m|1G|-x|y z|"), "the options of the third");
	ok(words_are(m.run[2].command, "c|1|"), "its command");
	is(m.run[2].status, 3, "its status");
	is(m.run[2].timeout, 9, "a time-out from the top");
	is_str(m.run[8].name, "u", "a test of one run has its plain name");
	ok(words_are(m.run[8].options, "-k|only|-i|i|-p|p q|"), "what it says itself counts");
	ok(words_are(m.run[8].command, "e|"), "a command that is one list");
	is(m.run[8].status, 0, "0 is what passes");
	matrix_close(&m);
}

static void no_file(void)
{
	struct matrix m;

	is(matrix_open(&m, "/nowhere/f.toml"), -ENOENT, "a file that is not there");
	ok(matrix_open(&m, "/tmp") < 0, "a folder");
}

int main(void)
{
	/* Each refusal is told on stderr. */
	if (!freopen("/dev/null", "w", stderr))
		return 1;
	wrong();
	right();
	refused();
	too_many();
	expanded();
	no_file();
	return tap_end();
}
