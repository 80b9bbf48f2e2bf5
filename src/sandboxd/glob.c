/* SPDX-License-Identifier: MIT */
/* Patterns of paths, and .gitignore. */
#include "config.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <fcntl.h>
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "sandboxd/glob.h"
#include "sandboxd/path.h"

#define ALTERNATIVES_MAX 64
#define MATCH_LIMIT 100000
#define IGNORE_BYTES 65536
#define IGNORE_RULES 4096

struct glob {
	pcre2_code *code[ALTERNATIVES_MAX];
	int count;
	pcre2_match_data *match;
	pcre2_match_context *bounds;
};

static int
glob_compile(struct glob *g, const char *pattern, struct err *err)
{
	PCRE2_UCHAR *regex = NULL;
	PCRE2_SIZE len, at;
	int rc, why;

	if (g->count == ALTERNATIVES_MAX)
		return err_set(err, ERR_INVALID,
		    "the pattern has over %d alternatives", ALTERNATIVES_MAX);
	rc = pcre2_pattern_convert((PCRE2_SPTR)pattern, strlen(pattern),
	    PCRE2_CONVERT_GLOB | PCRE2_CONVERT_UTF, &regex, &len, NULL);
	if (rc == 0)
		g->code[g->count] = pcre2_compile(regex, len,
		    PCRE2_UTF | PCRE2_NO_UTF_CHECK, &why, &at, NULL);
	pcre2_converted_pattern_free(regex);
	if (rc != 0 || g->code[g->count] == NULL)
		return err_set(
		    err, ERR_INVALID, "%s: is no pattern of paths", pattern);
	g->count++;
	return 0;
}

/* Where the brace that p opens is closed; NULL: nowhere. */
static const char *
brace_end(const char *p)
{
	int depth = 0;

	for (; *p != '\0'; p++) {
		if (*p == '\\' && p[1] != '\0')
			p++;
		else if (*p == '{')
			depth++;
		else if (*p == '}' && --depth == 0)
			return p;
	}
	return NULL;
}

/* The first of the alternatives at p ends here: at a comma or the end. */
static const char *
alternative_end(const char *p, const char *end)
{
	int depth = 0;

	for (; p < end; p++) {
		if (*p == '\\' && p + 1 < end)
			p++;
		else if (*p == '{')
			depth++;
		else if (*p == '}')
			depth--;
		else if (*p == ',' && depth == 0)
			break;
	}
	return p;
}

/* {a,b} as two patterns, and so on with each. */
static int
glob_expand(struct glob *g, const char *pattern, int depth, struct err *err)
{
	const char *open = strchr(pattern, '{');
	const char *close = open == NULL ? NULL : brace_end(open);
	int rc = 0;

	if (close == NULL || depth > ALTERNATIVES_MAX)
		return glob_compile(g, pattern, err);
	for (const char *p = open + 1, *e; rc == 0 && p <= close; p = e + 1) {
		struct buf b;

		e = alternative_end(p, close);
		buf_init(&b, NULL);
		buf_add(&b, pattern, (size_t)(open - pattern));
		buf_add(&b, p, (size_t)(e - p));
		buf_puts(&b, close + 1);
		rc = glob_expand(g, buf_str(&b), depth + 1, err);
		buf_fini(&b);
	}
	return rc;
}

struct glob *
glob_new(const char *pattern, struct err *err)
{
	struct glob *g = calloc(1, sizeof(*g));

	if (g == NULL)
		abort();
	g->match = pcre2_match_data_create(1, NULL);
	g->bounds = pcre2_match_context_create(NULL);
	if (g->match == NULL || g->bounds == NULL)
		abort();
	pcre2_set_match_limit(g->bounds, MATCH_LIMIT);
	if (pattern == NULL || *pattern == '\0')
		err_set(err, ERR_INVALID, "the pattern is empty");
	else if (glob_expand(g, pattern, 0, err) == 0)
		return g;
	glob_free(&g);
	return NULL;
}

void
glob_free(struct glob **g_p)
{
	struct glob *g = *g_p;

	if (g == NULL)
		return;
	*g_p = NULL;
	for (int i = 0; i < g->count; i++)
		pcre2_code_free(g->code[i]);
	pcre2_match_context_free(g->bounds);
	pcre2_match_data_free(g->match);
	free(g);
}

int
glob_matches(const struct glob *g, const char *path)
{
	for (int i = 0; i < g->count; i++)
		if (pcre2_match(g->code[i], (PCRE2_SPTR)path, strlen(path), 0,
			0, g->match, g->bounds) >= 0)
			return 1;
	return 0;
}

/* ---- .gitignore ---- */

struct rule {
	struct glob *glob;
	char *below; /* the directory of its file: "" or "a/b/" */
	int negates, only_dirs, anchored;
};

struct ignore {
	struct rule *rules;
	size_t count, cap;
};

struct ignore *
ignore_new(void)
{
	struct ignore *i = calloc(1, sizeof(*i));

	if (i == NULL)
		abort();
	return i;
}

void
ignore_free(struct ignore **i_p)
{
	struct ignore *i = *i_p;

	if (i == NULL)
		return;
	*i_p = NULL;
	for (size_t n = 0; n < i->count; n++) {
		glob_free(&i->rules[n].glob);
		free(i->rules[n].below);
	}
	free(i->rules);
	free(i);
}

/* A line without its newline. */
static void
rule_read(struct ignore *i, char *line, const char *below)
{
	struct rule r = { 0 };
	size_t n = strlen(line);

	while (n > 0 && (line[n - 1] == '\r' || line[n - 1] == ' ') &&
	       (n < 2 || line[n - 2] != '\\'))
		line[--n] = '\0';
	if (n == 0 || *line == '#' || i->count == IGNORE_RULES)
		return;
	r.negates = *line == '!';
	line += r.negates || (*line == '\\' && strchr("!#", line[1]) != NULL);
	n = strlen(line);
	r.only_dirs = n > 0 && line[n - 1] == '/';
	if (r.only_dirs)
		line[--n] = '\0';
	r.anchored = strchr(line, '/') != NULL;
	line += *line == '/';
	r.glob = glob_new(line, NULL);
	if (r.glob == NULL)
		return;
	r.below = strdup(below);
	if (i->count == i->cap) {
		i->cap = i->cap == 0 ? 16 : 2 * i->cap;
		i->rules = reallocarray(i->rules, i->cap, sizeof(r));
	}
	if (r.below == NULL || i->rules == NULL)
		abort();
	i->rules[i->count++] = r;
}

void
ignore_read(struct ignore *i, int dir, const char *path)
{
	int fd = openat(
	    dir, ".gitignore", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct arena *a;
	char *text, *line, *next;
	size_t len;

	if (fd < 0)
		return;
	a = arena_open(4096);
	text = path_read_all(a, fd, IGNORE_BYTES, &len, NULL);
	close(fd);
	for (line = text; line != NULL; line = next) {
		next = strchr(line, '\n');
		if (next != NULL)
			*next++ = '\0';
		rule_read(i, line, path);
	}
	arena_close(&a);
}

static int
rule_matches(const struct rule *r, const char *path, int is_dir)
{
	size_t n = strlen(r->below);
	const char *slash;

	if ((r->only_dirs && !is_dir) || strncmp(path, r->below, n) != 0)
		return 0;
	path += n;
	slash = strrchr(path, '/');
	if (!r->anchored && slash != NULL)
		path = slash + 1;
	return glob_matches(r->glob, path);
}

int
ignore_matches(const struct ignore *i, const char *path, int is_dir)
{
	const char *slash = strrchr(path, '/');

	if (strcmp(slash == NULL ? path : slash + 1, ".git") == 0)
		return 1;
	for (size_t n = i->count; n > 0; n--)
		if (rule_matches(&i->rules[n - 1], path, is_dir))
			return !i->rules[n - 1].negates;
	return 0;
}
