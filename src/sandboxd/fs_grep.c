/* SPDX-License-Identifier: MIT */
/*
 * Looking for text in files. PCRE2 with a bound on what a match may cost, and
 * one on the time of it all: no pattern keeps a thread for long.
 */
#include "config.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <errno.h>
#include <fcntl.h>
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clk.h"
#include "base/json.h"
#include "conf/conf.h"
#include "sandboxd/find.h"
#include "sandboxd/glob.h"
#include "sandboxd/job.h"
#include "sandboxd/path.h"

#define RESULTS_DEFAULT 200
#define RESULTS_MAX 10000
#define PREVIEW_CHARS 200
#define MATCH_LIMIT 1000000
#define HEAP_LIMIT_KIB 16384
#define TIME_MS 20000
#define SNIFF_BYTES 8192 /* a 0 byte in them: no text */

struct grep {
	struct job *job;
	const char *before; /* of paths */
	pcre2_code *code;
	pcre2_match_data *match;
	pcre2_match_context *bounds;
	char *text; /* of one file; grows */
	size_t cap;
	long long count, max;
	int64_t deadline_ms;
	int more, costly, late;
};

static int
grep_compile(struct grep *g, const struct json *rq, struct err *err)
{
	const char *pattern = json_get_str(rq, "pattern");
	const struct json *cased = json_get(rq, "case_sensitive");
	uint32_t flags = PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_MULTILINE;
	PCRE2_UCHAR text[160];
	PCRE2_SIZE at;
	int why;

	if (pattern == NULL || *pattern == '\0')
		return err_set(err, ERR_INVALID, "the pattern is empty");
	if (!json_get_true(rq, "regex"))
		flags = (flags & ~(uint32_t)PCRE2_MULTILINE) | PCRE2_LITERAL;
	if (cased != NULL && !json_bool(cased))
		flags |= PCRE2_CASELESS;
	g->code = pcre2_compile(
	    (PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, flags, &why, &at, NULL);
	if (g->code == NULL) {
		pcre2_get_error_message(why, text, sizeof(text));
		return err_set(err, ERR_INVALID,
		    "the regular expression is wrong at %zu: %s", at, text);
	}
	pcre2_jit_compile(g->code, PCRE2_JIT_COMPLETE); /* or not: slower */
	g->match = pcre2_match_data_create(1, NULL);
	g->bounds = pcre2_match_context_create(NULL);
	if (g->match == NULL || g->bounds == NULL)
		abort();
	pcre2_set_match_limit(g->bounds, MATCH_LIMIT);
	pcre2_set_heap_limit(g->bounds, HEAP_LIMIT_KIB);
	return 0;
}

static void
grep_fini(struct grep *g)
{
	pcre2_code_free(g->code);
	pcre2_match_data_free(g->match);
	pcre2_match_context_free(g->bounds);
	free(g->text);
}

static size_t
chars_of(const char *p, const char *end)
{
	size_t n = 0;

	for (; p < end; p++)
		n += ((unsigned char)*p & 0xc0) != 0x80;
	return n;
}

/* A line without what is no text, cut to a few characters. */
static void
add_preview(struct buf *out, const char *p, const char *end)
{
	size_t chars = 0, n;

	buf_puts(out, ",\"preview\":\"");
	if (end > p && end[-1] == '\r')
		end--;
	while (p < end && chars < PREVIEW_CHARS) {
		n = json_utf8_whole(p, end - p < 4 ? (size_t)(end - p) : 4);
		if (n == 0) {
			buf_lit(out, "\xef\xbf\xbd");
			p++;
		} else {
			n = (unsigned char)*p < 0x80            ? 1
			    : n > 0 && (unsigned char)*p < 0xe0 ? 2
			    : (unsigned char)*p < 0xf0          ? 3
								: 4;
			json_escape(out, p, n);
			p += n;
		}
		chars++;
	}
	buf_putc(out, '"');
}

static void
add_match(struct grep *g, const char *path, long long line, const char *begin,
    const char *at, const char *end)
{
	struct buf *out = &g->job->answer;

	json_open(out, NULL, '{');
	json_add_str(out, "path", path);
	json_add_int(out, "line", line);
	json_add_int(out, "column", (int64_t)chars_of(begin, at) + 1);
	add_preview(out, begin, end);
	json_close(out, '}');
	g->count++;
}

static long long
newlines(const char *p, const char *end)
{
	long long n = 0;

	while ((p = memchr(p, '\n', (size_t)(end - p))) != NULL) {
		n++;
		p++;
	}
	return n;
}

/* The first match of each line. */
static int
grep_text(struct grep *g, const char *path, size_t len)
{
	const char *text = g->text, *end = text + len, *p = text;
	long long line = 1;

	while (p < end) {
		PCRE2_SIZE *at;
		const char *hit, *begin, *stop;
		int rc = pcre2_match(g->code, (PCRE2_SPTR)text, len,
		    (size_t)(p - text), 0, g->match, g->bounds);

		if (rc == PCRE2_ERROR_NOMATCH)
			return TREE_GO_ON;
		if (rc < 0) {
			g->costly++;
			return TREE_GO_ON;
		}
		if (g->count == g->max) {
			g->more = 1;
			return TREE_STOP;
		}
		at = pcre2_get_ovector_pointer(g->match);
		hit = text + at[0];
		begin = memrchr(text, '\n', at[0]);
		begin = begin == NULL ? text : begin + 1;
		stop = memchr(hit, '\n', (size_t)(end - hit));
		stop = stop == NULL ? end : stop;
		if (begin > p)
			line += newlines(p, begin);
		if (hit < end)
			add_match(g, path, line, begin, hit, stop);
		p = stop + 1;
		line++;
	}
	return TREE_GO_ON;
}

static int
grep_room(struct grep *g, size_t size)
{
	if (size < g->cap)
		return 0;
	free(g->text);
	g->cap = size + 65536;
	g->text = malloc(g->cap);
	if (g->text == NULL)
		abort();
	return 0;
}

static int
grep_fd(struct grep *g, int fd, off_t size, const char *path)
{
	size_t len = 0;
	ssize_t n = 1;

	grep_room(g, (size_t)size);
	while (len < (size_t)size && n > 0) {
		n = read(fd, g->text + len, (size_t)size - len);
		if (n > 0)
			len += (size_t)n;
	}
	if (memchr(g->text, '\0', len < SNIFF_BYTES ? len : SNIFF_BYTES) !=
	    NULL)
		return TREE_GO_ON;
	return grep_text(g, path, len);
}

static int
grep_found(void *ctx, const struct tree_entry *e, struct err *err)
{
	struct grep *g = ctx;
	int64_t max = g->job->conf->sandbox_max_file_bytes;
	int fd, rc;

	(void)err;
	if (clk_mono_ms() > g->deadline_ms) {
		g->late = g->more = 1;
		return TREE_STOP;
	}
	if (e->st->st_size == 0 || e->st->st_size > max)
		return TREE_GO_ON;
	fd = openat(
	    e->dir, e->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return TREE_GO_ON;
	rc = grep_fd(g, fd, e->st->st_size,
	    *g->before == '\0'
		? e->path
		: arena_printf(g->job->arena, "%s%s", g->before, e->path));
	close(fd);
	return rc;
}

/* A file, a directory and all below, or a pattern of paths. */
static int
grep_where(struct grep *g, const char *where, struct err *err)
{
	struct job *j = g->job;
	struct find f;
	struct stat st;
	int fd, rc;

	if (find_init(
		&f, j, strpbrk(where, "*?[{") != NULL ? where : NULL, err) < 0)
		return -1;
	f.found = grep_found;
	f.ctx = g;
	if (f.glob != NULL)
		return find_walk(j->ws.root, &f, err);
	where = path_relative(j->arena, where, err);
	if (where == NULL)
		return -1;
	fd = path_open(j->ws.root, where, O_RDONLY, err);
	if (fd < 0)
		return -1;
	if (strcmp(where, ".") != 0)
		g->before = arena_printf(j->arena, "%s/", where);
	if (fstat(fd, &st) < 0)
		rc = path_error(where, errno, err);
	else if (S_ISDIR(st.st_mode))
		rc = find_walk(fd, &f, err);
	else if (!S_ISREG(st.st_mode))
		rc = err_set(err, ERR_INVALID, "%s: is no regular file", where);
	else if (st.st_size > j->conf->sandbox_max_file_bytes)
		rc = err_limit(err, ERR_TOO_LARGE, "sandbox.max_file",
		    "%s: is too large to be searched", where);
	else
		rc = grep_fd(g, fd, st.st_size, where);
	close(fd);
	return rc < 0 ? -1 : 0;
}

int
fs_grep(struct job *j, struct err *err)
{
	const char *where = json_get_str(j->rq, "path");
	struct grep g = { .job = j, .before = "" };
	int rc;

	where = where == NULL || *where == '\0' ? "." : where;
	g.deadline_ms = clk_mono_ms() + TIME_MS;
	rc = job_int(
	    j, "max_results", 1, RESULTS_MAX, RESULTS_DEFAULT, &g.max, err);
	if (rc == 0)
		rc = grep_compile(&g, j->rq, err);
	if (rc == 0) {
		json_add_str(
		    &j->answer, "pattern", json_get_str(j->rq, "pattern"));
		json_add_str(&j->answer, "path", where);
		json_open(&j->answer, "matches", '[');
		rc = grep_where(&g, where, err);
		json_close(&j->answer, ']');
		json_add_bool(&j->answer, "truncated", g.more);
	}
	if (rc == 0 && g.costly > 0)
		json_add_int(&j->answer, "tooCostly", g.costly);
	grep_fini(&g);
	return rc;
}
