// SPDX-License-Identifier: GPL-2.0-only
/*
 * replay: a fuzz target's main() without a fuzzer: gives it the files named on the command line, one
 * after the other, each in a block of its very size. The last file named on stdout is the culprit.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay(const char *path)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data = NULL;
	long size = -1;
	int err = 1;

	if (f && !fseek(f, 0, SEEK_END))
		size = ftell(f);
	if (size >= 0 && !fseek(f, 0, SEEK_SET))
		data = malloc(size ? (size_t)size : 1);
	if (data && fread(data, 1, (size_t)size, f) == (size_t)size) {
		LLVMFuzzerTestOneInput(data, (size_t)size);
		err = 0;
	} else {
		perror(path);
	}
	free(data);
	if (f)
		fclose(f);
	return err;
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		printf("%s\n", argv[i]);
		fflush(stdout);
		if (replay(argv[i]))
			return 1;
	}
	return 0;
}
