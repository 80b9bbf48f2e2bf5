/* SPDX-License-Identifier: MIT */
/* Files to read: lines for the model, bytes for the site. */
#include "config.h"

#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/json.h"
#include "conf/conf.h"
#include "sandbox/frame.h"
#include "sandboxd/job.h"
#include "sandboxd/path.h"

#define LINES_DEFAULT 2000
#define SHOWN_BYTES (256 * 1024) /* of one answer to the model */
#define LOOK_BYTES 4096
#define MANY 1000000000LL

/* Where line number n (from 1) begins, or the end. */
static const char *
line_at(const char *p, const char *end, long long n)
{
	while (n-- > 1 && p < end) {
		p = memchr(p, '\n', (size_t)(end - p));
		p = p == NULL ? end : p + 1;
	}
	return p;
}

static long long
count_lines(const char *p, const char *end)
{
	long long n = 0;

	for (; p < end; n++)
		p = line_at(p, end, 2);
	return n;
}

/* At most max bytes: whole lines, or of one that is longer its characters. */
static const char *
bound(const char *from, const char *to, size_t max)
{
	const char *line;

	if ((size_t)(to - from) <= max)
		return to;
	line = memrchr(from, '\n', max);
	return line != NULL ? line + 1 : from + json_utf8_whole(from, max);
}

static void
answer_lines(struct job *j, const char *text, size_t len, long long offset,
    long long limit, long long max)
{
	const char *end = text + len;
	const char *from = line_at(text, end, offset);
	const char *wanted = line_at(from, end, limit + 1);
	const char *to = bound(from, wanted, (size_t)max);

	json_add_int(&j->answer, "offset", offset);
	json_add_int(&j->answer, "limit", count_lines(from, to));
	json_add_bool(&j->answer, "truncated", to < end);
	json_add_int(&j->answer, "totalLines", count_lines(text, end));
	json_add_strn(&j->answer, "content", from, (size_t)(to - from));
}

int
fs_read(struct job *j, struct err *err)
{
	const char *path = job_path(j, "path", err);
	long long offset, limit, max;
	struct stat st;
	size_t len;
	char *text;
	int fd;

	if (path == NULL ||
	    job_int(j, "offset", 1, MANY, 1, &offset, err) < 0 ||
	    job_int(j, "limit", 1, MANY, LINES_DEFAULT, &limit, err) < 0 ||
	    job_int(j, "max_bytes", 1, SHOWN_BYTES, SHOWN_BYTES, &max, err) < 0)
		return -1;
	fd = path_open_file(
	    j->ws.root, path, j->conf->sandbox_max_file_bytes, &st, err);
	if (fd < 0)
		return -1;
	text = path_read_all(j->arena, fd, (size_t)st.st_size, &len, err);
	close(fd);
	if (text == NULL)
		return -1;
	if (!is_text(text, len))
		return err_set(err, ERR_INVALID,
		    "%s: is no text: a binary file of %zu bytes", path, len);
	json_add_str(&j->answer, "path", path);
	answer_lines(j, text, len, offset, limit, max);
	workspace_saw(&j->ws, path, &st);
	return 0;
}

/* 1 if the begin of a file is text; a character may be cut at its end. */
static int
begins_as_text(const char *p, size_t len)
{
	return memchr(p, '\0', len) == NULL &&
	       len - json_utf8_whole(p, len) < 4;
}

/* Where a file is below sandbox.workspaces. */
static void
add_place(struct job *j, const char *path)
{
	json_add_str(&j->answer, "place",
	    arena_printf(j->arena, "%s/files/%s", workspace_key(&j->ws), path));
}

/* Bytes from "from" up to "to" (not included), or all; with "look" none, but
 * where it is and whether it seems to be text. */
int
fs_get(struct job *j, struct err *err)
{
	const char *path = job_path(j, "path", err);
	int look = json_get_true(j->rq, "look");
	long long from, to;
	struct stat st;
	char *bytes;
	size_t len;
	int fd;

	if (path == NULL ||
	    job_int(j, "from", 0, INT64_MAX, 0, &from, err) < 0 ||
	    job_int(j, "to", 0, INT64_MAX, INT64_MAX, &to, err) < 0)
		return -1;
	fd = path_open_file(j->ws.root, path, INT64_MAX, &st, err);
	if (fd < 0)
		return -1;
	if (look) {
		from = 0;
		to = LOOK_BYTES;
	}
	to = to > st.st_size ? st.st_size : to;
	from = from > to ? to : from;
	if (to - from > FRAME_DATA_MAX)
		to = from + FRAME_DATA_MAX;
	bytes = arena_alloc(j->arena, (size_t)(to - from) + 1);
	for (len = 0; len < (size_t)(to - from);) {
		ssize_t n = pread(fd, bytes + len, (size_t)(to - from) - len,
		    from + (off_t)len);

		if (n <= 0)
			break;
		len += (size_t)n;
	}
	close(fd);
	json_add_int(&j->answer, "size", st.st_size);
	json_add_int(&j->answer, "modified", st.st_mtim.tv_sec);
	json_add_bool(&j->answer, "text",
	    look ? begins_as_text(bytes, len) : is_text(bytes, len));
	job_etag(&j->answer, &st);
	if (look)
		add_place(j, path);
	else
		buf_add(&j->answer_data, bytes, len);
	return 0;
}
