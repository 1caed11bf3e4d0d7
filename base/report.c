// SPDX-License-Identifier: GPL-2.0-only
/*
 * report: escapes for JSON and XML, and files that appear whole.
 *
 * Runs on: main
 */
#include "lkvm/report.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lkvm/log.h"

/* --- text ------------------------------------------------------------------------------------- */

/* The length of the UTF-8 character at s, its code point in *cp; 0: it is none. */
static size_t utf8(const uint8_t *s, size_t len, uint32_t *cp)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = s[0] < 0x80 ? 1 : s[0] < 0xc0 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 :
		   s[0] < 0xf8 ? 4 : 0;

	if (!n || n > len)
		return 0;
	*cp = n == 1 ? s[0] : s[0] & (0xffU >> (n + 1));
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		*cp = *cp << 6 | (s[i] & 0x3f);
	}
	/* Overlong forms, surrogates, and what is beyond Unicode. */
	if (*cp < least[n] || (*cp >= 0xd800 && *cp < 0xe000) || *cp > 0x10ffff)
		return 0;
	return n;
}

typedef bool put_special(FILE *to, uint32_t cp);

static void put_text(FILE *to, const char *bytes, size_t len, put_special *special)
{
	while (len) {
		uint32_t cp = 0xfffd;
		size_t n = utf8((const uint8_t *)bytes, len, &cp);

		if (!n)
			fputs("\xef\xbf\xbd", to);
		else if (!special(to, cp))
			fwrite(bytes, 1, n, to);
		bytes += n ? n : 1;
		len -= n ? n : 1;
	}
}

static bool json_special(FILE *to, uint32_t cp)
{
	if (cp == '"' || cp == '\\')
		fprintf(to, "\\%c", (char)cp);
	else if (cp == '\n')
		fputs("\\n", to);
	else if (cp < 0x20 || (cp >= 0x7f && cp < 0xa0))
		fprintf(to, "\\u%04x", cp);
	else
		return false;
	return true;
}

static bool xml_special(FILE *to, uint32_t cp)
{
	if (cp == '<' || cp == '>' || cp == '&' || cp == '"' || cp == '\'' || cp == '\r')
		fprintf(to, "&#%u;", cp);
	else if ((cp < 0x20 && cp != '\n' && cp != '\t') || cp == 0xfffe || cp == 0xffff ||
		 (cp >= 0x7f && cp < 0xa0))
		fputs("\xef\xbf\xbd", to);
	else
		return false;
	return true;
}

void report_json(FILE *to, const char *bytes, size_t len)
{
	putc('"', to);
	put_text(to, bytes, len, json_special);
	putc('"', to);
}

void report_xml(FILE *to, const char *bytes, size_t len)
{
	put_text(to, bytes, len, xml_special);
}

/* --- files ------------------------------------------------------------------------------------ */

static int write_all(int fd, const char *bytes, size_t len)
{
	while (len) {
		ssize_t n = write(fd, bytes, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		bytes += n;
		len -= (size_t)n;
	}
	return 0;
}

static int replace(const char *path, const char *bytes, size_t len)
{
	char temp[PATH_MAX];
	mode_t mask;
	int fd, err;

	if (snprintf(temp, sizeof(temp), "%s.XXXXXX", path) >= (int)sizeof(temp))
		return -ENAMETOOLONG;
	fd = mkostemp(temp, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	mask = umask(0);
	umask(mask);
	err = fchmod(fd, 0666 & ~mask) < 0 ? -errno : write_all(fd, bytes, len);
	if (close(fd) < 0 && !err)
		err = -errno;
	if (!err && rename(temp, path) < 0)
		err = -errno;
	if (err)
		unlink(temp);
	return err;
}

static int write_into(const char *path, const char *bytes, size_t len)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY), err;

	if (fd < 0)
		return -errno;
	err = write_all(fd, bytes, len);
	close(fd);
	return err;
}

int report_write(const char *what, const char *path, const char *bytes, size_t len)
{
	struct stat st;
	int err;

	if (!stat(path, &st) && !S_ISREG(st.st_mode))
		err = write_into(path, bytes, len);
	else
		err = replace(path, bytes, len);
	if (err)
		log_err(NULL, "cannot write %s %s: %s", what, path, strerror(-err));
	return err;
}
