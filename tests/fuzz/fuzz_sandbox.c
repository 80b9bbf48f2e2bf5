/* SPDX-License-Identifier: MIT */
/*
 * What a worker, or a model through it, sends to the sandbox. Any bytes as
 * frames: none is read beyond its end. Its lines as paths, which resolve to
 * something below the workspace or to nothing, and as patterns, which match
 * or not, soon.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "sandbox/frame.h"
#include "sandboxd/glob.h"
#include "sandboxd/path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(int ok)
{
	if (!ok)
		abort();
}

static void
check_frames(const char *p, size_t len)
{
	struct frame_view f;
	struct err err;
	int rc;

	while ((rc = frame_read(p, len, &f, &err)) > 0) {
		must(f.size <= len && f.size >= FRAME_HEAD_BYTES);
		must(f.json + f.json_len == f.data);
		must(f.data + f.data_len == p + f.size);
		p += f.size;
		len -= f.size;
	}
	must(rc == 0 || err.code == ERR_REQUEST);
}

/* Relative, without empty components, "." or "..": or the workspace. */
static void
check_path(struct arena *a, const char *line)
{
	struct err err;
	const char *path = path_relative(a, line, &err), *p;
	size_t n;

	if (path == NULL) {
		must(err.code == ERR_INVALID);
		return;
	}
	must(strlen(path) <= strlen(line) + 1);
	if (strcmp(path, ".") == 0)
		return;
	for (p = path; *p != '\0'; p += n + (p[n] == '/')) {
		n = strcspn(p, "/");
		must(n > 0 && p[n] + (p[n] != '\0') * p[n + 1] != '/');
		must(strncmp(p, ".", n) != 0 && strncmp(p, "..", n) != 0);
	}
	must(strcmp(path_relative(a, path, &err), path) == 0);
}

static void
check_pattern(const char *pattern, const char *path)
{
	struct err err;
	struct glob *g = glob_new(pattern, &err);

	must(g != NULL || err.code == ERR_INVALID);
	if (g != NULL)
		glob_matches(g, path);
	glob_free(&g);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_open(4096);
	char *text = arena_memdup(a, data, size), *next;
	const char *before = "a/b.c";

	check_frames(text, size);
	for (char *line = text; line != NULL; line = next) {
		next = strchr(line, '\n');
		if (next != NULL)
			*next++ = '\0';
		check_path(a, line);
		check_pattern(line, before);
		before = line;
	}
	arena_close(&a);
	return 0;
}
