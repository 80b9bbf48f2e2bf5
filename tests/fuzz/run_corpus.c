/* SPDX-License-Identifier: MIT */
/*
 * A main for fuzz targets without libFuzzer: every file that is named, or that
 * lies in a folder that is named, goes through the target once. TAP on
 * standard output; what is wrong aborts, before its line is printed.
 */
#include "config.h"

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));

static int tests;

/* In memory of its own and of this size, so that overruns are seen. */
static void
run_bytes(const char *data, size_t size)
{
	uint8_t *copy = malloc(size + (size == 0));

	if (copy == NULL)
		abort();
	for (size_t i = 0; i < size; i++)
		copy[i] = (uint8_t)data[i];
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
}

static int
run_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	char chunk[8192];
	struct buf b;
	size_t n;

	if (f == NULL) {
		printf("not ok %d - %s\n", ++tests, path);
		return 1;
	}
	buf_init(&b, NULL);
	while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
		buf_add(&b, chunk, n);
	fclose(f);
	run_bytes(b.data, b.len);
	buf_fini(&b);
	printf("ok %d - %s\n", ++tests, path);
	return 0;
}

static int
visible(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

static int
run_folder(const char *path)
{
	struct dirent **list;
	int failed = 0, n = scandir(path, &list, visible, alphasort);

	for (int i = 0; i < n; i++) {
		struct buf name;

		buf_init(&name, NULL);
		buf_printf(&name, "%s/%s", path, list[i]->d_name);
		failed += run_file(buf_str(&name));
		buf_fini(&name);
		free(list[i]);
	}
	if (n >= 0)
		free(list);
	return failed;
}

int
main(int argc, char **argv)
{
	struct stat st;
	int failed = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (LLVMFuzzerInitialize != NULL)
		LLVMFuzzerInitialize(&argc, &argv);
	for (int i = 1; i < argc; i++)
		failed += stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode)
			      ? run_folder(argv[i])
			      : run_file(argv[i]);
	printf("1..%d\n", tests);
	return failed > 0 || tests == 0;
}
