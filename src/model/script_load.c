/* SPDX-License-Identifier: MIT */
/*
 * Scenarios: read and checked, chosen for a conversation, and their texts
 * filled in.
 *
 * The parsed document stays, and a step points into it: what a step says is
 * looked up when it is played. So all checks are here, in one table of
 * members, and a file with a mistake in any scenario is refused as a whole.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "base/json.h"
#include "model/script_priv.h"

#define FILE_MAX (4 * 1024 * 1024)
#define PAUSE_MAX_MS 3600000
#define WORDS_MAX 1000000
#define EXPAND_DEPTH_MAX 8 /* of ${ in ${ */

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* ---- members of a step ---- */

typedef int check_f(const struct json *j);

static int
is_string(const struct json *j)
{
	return json_is(j, JSON_STRING);
}

static int
is_object(const struct json *j)
{
	return json_is(j, JSON_OBJECT);
}

static int
is_any(const struct json *j)
{
	return j != NULL;
}

static int
is_in_range(const struct json *j, int64_t min, int64_t max)
{
	int64_t n;

	return json_int(j, &n) && n >= min && n <= max;
}

static int
is_ms(const struct json *j)
{
	return is_in_range(j, 0, PAUSE_MAX_MS);
}

static int
is_status(const struct json *j)
{
	return is_in_range(j, 400, 599);
}

static int
is_size(const struct json *j)
{
	return is_in_range(j, 1, INT32_MAX);
}

/* A string, because it may be a ${...}. */
static int
is_times(const struct json *j)
{
	return is_string(j) || is_in_range(j, 0, INT32_MAX);
}

static int
is_by(const struct json *j)
{
	const char *s = json_str(j);

	return s != NULL && (strcmp(s, "word") == 0 || strcmp(s, "char") == 0 ||
				strcmp(s, "whole") == 0);
}

static int
is_headers(const struct json *j)
{
	if (!is_object(j))
		return 0;
	for (j = json_first(j); j != NULL; j = json_next(j))
		if (!is_string(j) && !json_is(j, JSON_NUMBER))
			return 0;
	return 1;
}

static int
is_error(const struct json *j)
{
	if (json_get(j, "type") == NULL || json_get(j, "message") == NULL)
		return 0;
	for (j = json_first(j); j != NULL; j = json_next(j))
		if (!is_string(j))
			return 0;
	return 1;
}

/* Each character is to be one byte, so none over U+00FF. */
static int
is_bytes(const struct json *j)
{
	const char *s = json_str(j);

	for (; s != NULL && *s != '\0'; s++)
		if ((unsigned char)*s > 0xc3)
			return 0;
	return s != NULL;
}

#define OF(kind) (1u << (kind))
#define SPOKEN (OF(SCRIPT_TEXT) | OF(SCRIPT_THINKING))

static const struct member {
	const char *name;
	enum script_step_kind kind; /* what a step with it is */
	unsigned beside;            /* or the kinds that it may stand beside */
	check_f *check;
	const char *what;
} members[] = {
	{ "text", SCRIPT_TEXT, 0, is_string, "a string" },
	{ "thinking", SCRIPT_THINKING, 0, is_string, "a string" },
	{ "call", SCRIPT_CALL, 0, is_string, "a string" },
	{ "wait_ms", SCRIPT_WAIT, 0, is_ms, "0 to 3600000" },
	{ "stall", SCRIPT_STALL, 0, json_bool, "true" },
	{ "ping", SCRIPT_PING, 0, json_bool, "true" },
	{ "error", SCRIPT_ERROR, 0, is_error,
	    "an object with type and message, all strings" },
	{ "status", SCRIPT_STATUS, 0, is_status, "400 to 599" },
	{ "cut", SCRIPT_CUT, 0, json_bool, "true" },
	{ "reset", SCRIPT_RESET, 0, json_bool, "true" },
	{ "garbage", SCRIPT_GARBAGE, 0, is_bytes,
	    "a string of characters up to U+00FF" },
	{ "split", SCRIPT_SPLIT, 0, is_size, "a number of bytes" },
	{ "stop_reason", SCRIPT_STOP_REASON, 0, is_string, "a string" },
	{ "usage", SCRIPT_USAGE, 0, is_object, "an object" },

	{ "pace_ms", SCRIPT_STEP_KINDS, SPOKEN, is_ms, "0 to 3600000" },
	{ "by", SCRIPT_STEP_KINDS, SPOKEN, is_by,
	    "\"word\", \"char\" or \"whole\"" },
	{ "input", SCRIPT_STEP_KINDS, OF(SCRIPT_CALL), is_object, "an object" },
	{ "signature", SCRIPT_STEP_KINDS, OF(SCRIPT_THINKING), is_string,
	    "a string" },
	{ "headers", SCRIPT_STEP_KINDS, OF(SCRIPT_STATUS), is_headers,
	    "an object of strings and numbers" },
	{ "body", SCRIPT_STEP_KINDS, OF(SCRIPT_STATUS), is_any, "JSON" },
	{ "times", SCRIPT_STEP_KINDS, OF(SCRIPT_STATUS), is_times,
	    "a number, or a string with ${...}" },
	{ "over", SCRIPT_STEP_KINDS, OF(SCRIPT_STATUS), is_size,
	    "a number of bytes" },
};

/* After one of these the HTTP status has been sent. */
#define SENDS                                                                  \
	(SPOKEN | OF(SCRIPT_CALL) | OF(SCRIPT_PING) | OF(SCRIPT_ERROR) |       \
	    OF(SCRIPT_GARBAGE))

static const struct member *
member_find(const char *name, struct err *err)
{
	for (size_t i = 0; i < COUNT(members); i++)
		if (strcmp(members[i].name, name) == 0)
			return &members[i];
	err_set(err, ERR_CONFIG, "there is no member \"%.40s\"", name);
	return NULL;
}

/* ---- reading ---- */

/* Finds which member says what kind of step it is. */
static int
step_kind_read(struct script_step *s, struct err *err)
{
	const struct json *j;
	const struct member *m;
	int found = 0;

	for (j = json_first(s->json); j != NULL; j = json_next(j)) {
		m = member_find(json_name(j), err);
		if (m == NULL)
			return -1;
		if (m->kind == SCRIPT_STEP_KINDS)
			continue;
		s->kind = m->kind;
		s->value = j;
		found++;
	}
	if (found == 1)
		return 0;
	return err_set(err, ERR_CONFIG,
	    "a step is an object with exactly one of text, thinking, call, "
	    "wait_ms, stall, ping, error, status, cut, reset, garbage, split, "
	    "stop_reason, usage");
}

static int
step_read(struct script_step *s, const struct json *doc, struct err *err)
{
	const struct json *j;
	const struct member *m;

	s->json = doc;
	if (!is_object(doc))
		return err_set(err, ERR_CONFIG, "it must be an object");
	if (step_kind_read(s, err) < 0)
		return -1;
	for (j = json_first(doc); j != NULL; j = json_next(j)) {
		m = member_find(json_name(j), err);
		if (m == NULL)
			return -1;
		if (j != s->value && !(m->beside & OF(s->kind)))
			return err_set(err, ERR_CONFIG,
			    "%s does not go with %s", m->name,
			    json_name(s->value));
		if (!m->check(j))
			return err_set(
			    err, ERR_CONFIG, "%s must be %s", m->name, m->what);
	}
	return 0;
}

static int
steps_read(struct scenario *sc, struct arena *a, const struct json *list,
    struct err *err)
{
	unsigned seen = 0;
	struct script_step *s;

	if (!json_is(list, JSON_ARRAY))
		return err_set(err, ERR_CONFIG, "steps must be an array");
	sc->steps = arena_alloc(a, json_count(list) * sizeof(*sc->steps));
	for (list = json_first(list); list != NULL; list = json_next(list)) {
		s = &sc->steps[sc->step_count++];
		if (step_read(s, list, err) < 0)
			return err_prefix(err, "step %zu", sc->step_count);
		if (s->kind == SCRIPT_STATUS && (seen & SENDS))
			return err_set(err, ERR_CONFIG,
			    "step %zu: a status must stand before anything "
			    "that is sent",
			    sc->step_count);
		seen |= OF(s->kind);
	}
	return 0;
}

static void
regex_drop(void *regex)
{
	regfree(regex);
}

static int
regex_read(
    struct scenario *sc, struct arena *a, const char *text, struct err *err)
{
	char why[100];
	int rc;

	if (text == NULL)
		return err_set(
		    err, ERR_CONFIG, "match must be a string, a regex");
	rc = regcomp(&sc->regex, text, REG_EXTENDED);
	if (rc != 0) {
		regerror(rc, &sc->regex, why, sizeof(why));
		return err_set(err, ERR_CONFIG,
		    "match is no POSIX extended regex: %s", why);
	}
	arena_defer(a, regex_drop, &sc->regex);
	return 0;
}

static int
count_read(struct scenario *sc, const struct json *j, struct err *err)
{
	static const char *const words[] = {
		[SCRIPT_FIRST] = "first",
		[SCRIPT_LATER] = "later",
	};

	if (j == NULL)
		return 0;
	for (int i = SCRIPT_FIRST; i <= SCRIPT_LATER; i++) {
		if (!is_string(j) || strcmp(json_str(j), words[i]) != 0)
			continue;
		sc->count = (enum script_count)i;
		return 0;
	}
	return err_set(err, ERR_CONFIG, "count must be \"first\" or \"later\"");
}

static int
round_read(struct scenario *sc, const struct json *j, struct err *err)
{
	sc->round = -1;
	if (j == NULL || (json_int(j, &sc->round) && sc->round >= 0))
		return 0;
	return err_set(err, ERR_CONFIG, "round must be 0 or more");
}

static int
scenario_read(struct scenario *sc, struct arena *a, const struct json *doc,
    struct err *err)
{
	static const char *const names[] = { "match", "count", "round",
		"steps" };

	if (!is_object(doc))
		return err_set(err, ERR_CONFIG, "it must be an object");
	for (const struct json *j = json_first(doc); j; j = json_next(j)) {
		size_t i = 0;

		while (i < COUNT(names) && strcmp(names[i], json_name(j)) != 0)
			i++;
		if (i == COUNT(names))
			return err_set(err, ERR_CONFIG,
			    "there is no member \"%.40s\"", json_name(j));
	}
	if (regex_read(sc, a, json_get_str(doc, "match"), err) < 0 ||
	    count_read(sc, json_get(doc, "count"), err) < 0 ||
	    round_read(sc, json_get(doc, "round"), err) < 0 ||
	    steps_read(sc, a, json_get(doc, "steps"), err) < 0)
		return -1;
	return 0;
}

/* Of a document that is this program's or has been checked to parse. */
static int
scenarios_read(struct script *s, const struct json *doc, struct err *err)
{
	static const char echo[] = "{\"match\":\"\",\"steps\":"
				   "[{\"text\":\"echo: ${last}\"}]}";
	const struct json *list = json_get(doc, "scenarios");

	if (!json_is(list, JSON_ARRAY) || json_count(doc) != 1)
		return err_set(err, ERR_CONFIG,
		    "it must be an object, {\"scenarios\": [...]}");
	s->scenarios = arena_alloc(
	    s->arena, (json_count(list) + 1) * sizeof(*s->scenarios));
	for (list = json_first(list); list != NULL; list = json_next(list)) {
		if (scenario_read(
			&s->scenarios[s->count++], s->arena, list, err) < 0)
			return err_prefix(err, "scenario %zu", s->count);
	}
	return scenario_read(&s->scenarios[s->count++], s->arena,
	    json_parse(s->arena, echo, strlen(echo), JSON_DEPTH_MAX, NULL),
	    err);
}

static int
script_read(struct script *s, const char *path, struct err *err)
{
	struct buf text;
	const struct json *doc;
	struct err why = { 0 };

	buf_init(&text, s->arena);
	if (*path == '\0')
		buf_puts(&text, script_builtin);
	else if (file_read(path, FILE_MAX, &text, err) < 0)
		return -1;
	doc = json_parse(
	    s->arena, buf_str(&text), text.len, JSON_DEPTH_MAX, &why);
	if (doc == NULL)
		return err_set(err, ERR_CONFIG, "%s", why.text);
	return scenarios_read(s, doc, err);
}

struct script *
script_load(const char *path, struct err *err)
{
	struct script *s = calloc(1, sizeof(*s));

	if (s == NULL)
		abort();
	s->arena = arena_open(16 * 1024);
	if (script_read(s, path, err) < 0) {
		err_prefix(err, "model.script %s", path);
		script_free(&s);
	}
	return s;
}

void
script_free(struct script **s_p)
{
	struct script *s = *s_p;

	if (s == NULL)
		return;
	*s_p = NULL;
	arena_close(&s->arena);
	free(s);
}

/* ---- what the user said ---- */

static void
texts_add(struct script_texts *t, const char *text)
{
	if (text == NULL)
		return;
	if (t->first == NULL)
		t->first = text;
	t->last = text;
}

static int
is_block(const struct json *block, const char *type)
{
	const char *s = json_get_str(block, "type");

	return s != NULL && strcmp(s, type) == 0;
}

/* The texts of a message's tool results. 1, or 0: it has none. */
static int
results_read(struct script_texts *t, const struct json *content)
{
	const struct json *block = json_first(content), *part;
	struct buf b;
	int found = 0;

	buf_init(&b, t->arena);
	for (; block != NULL; block = json_next(block)) {
		if (!is_block(block, "tool_result"))
			continue;
		if (found++ > 0)
			buf_putc(&b, '\n');
		part = json_get(block, "content");
		if (json_is(part, JSON_STRING))
			buf_puts(&b, json_str(part));
		for (part = json_first(part); part != NULL;
		     part = json_next(part))
			if (is_block(part, "text"))
				buf_puts(&b, json_get_str(part, "text"));
	}
	t->results = buf_str(&b);
	return found > 0;
}

static void
message_read(struct script_texts *t, const struct json *message)
{
	const char *role = json_get_str(message, "role");
	const struct json *content = json_get(message, "content");

	if (role == NULL || strcmp(role, "user") != 0) {
		t->round++;
		return;
	}
	if (results_read(t, content))
		return;
	t->round = 0;
	t->count++;
	texts_add(t, json_str(content));
	for (content = json_first(content); content != NULL;
	     content = json_next(content))
		if (is_block(content, "text"))
			texts_add(t, json_get_str(content, "text"));
}

int
script_texts_read(struct script_texts *t, struct arena *a, const char *messages,
    size_t len, struct err *err)
{
	const struct json *doc, *m;

	memset(t, 0, sizeof(*t));
	t->arena = a;
	t->results = "";
	doc = json_parse(a, messages, len, JSON_DEPTH_MAX, err);
	if (doc == NULL)
		return -1;
	m = json_get(doc, "messages");
	for (m = json_first(m); m != NULL; m = json_next(m))
		message_read(t, m);
	texts_add(t, t->first == NULL ? "" : NULL);
	return 0;
}

static int
count_fits(enum script_count count, int64_t messages)
{
	return count == SCRIPT_ANY || (count == SCRIPT_FIRST) == (messages < 2);
}

const struct scenario *
script_match(const struct script *s, struct script_texts *t)
{
	const struct scenario *sc = s->scenarios;
	regmatch_t *groups;

	for (;; sc++) {
		t->group_count = sc->regex.re_nsub + 1;
		groups =
		    arena_alloc(t->arena, t->group_count * sizeof(*groups));
		t->groups = groups;
		if (count_fits(sc->count, t->count) &&
		    (sc->round < 0 || sc->round == t->round) &&
		    regexec(&sc->regex, t->last, t->group_count, groups, 0) ==
			0)
			return sc;
	}
}

/* ---- ${...} ---- */

/* 1 and *n_r if all of s is a decimal number up to max. */
static int
decimal_read(const char *s, int64_t max, int64_t *n_r)
{
	size_t len = strlen(s);

	if (len == 0 || len > 15 || strspn(s, "0123456789") != len)
		return 0;
	*n_r = strtoll(s, NULL, 10);
	return *n_r <= max;
}

static void
words_add(struct buf *out, int64_t n)
{
	for (int64_t i = 1; i <= n; i++)
		buf_printf(out, "w%lld ", (long long)i);
}

/* Adds what a name stands for. 0 if it is none. */
static int
value_add(const struct script_texts *t, const char *name, struct buf *out)
{
	const regmatch_t *g;
	int64_t n;

	if (strcmp(name, "last") == 0) {
		buf_puts(out, t->last);
	} else if (strcmp(name, "first") == 0) {
		buf_puts(out, t->first);
	} else if (strcmp(name, "results") == 0) {
		buf_puts(out, t->results);
	} else if (strcmp(name, "count") == 0) {
		buf_printf(out, "%lld", (long long)t->count);
	} else if (strncmp(name, "words:", 6) == 0 &&
		   decimal_read(name + 6, WORDS_MAX, &n)) {
		words_add(out, n);
	} else if (decimal_read(name, (int64_t)t->group_count - 1, &n)) {
		g = &t->groups[n];
		if (g->rm_so >= 0)
			buf_add(out, t->last + g->rm_so,
			    (size_t)(g->rm_eo - g->rm_so));
	} else {
		return 0;
	}
	return 1;
}

static const char *expand(
    const struct script_texts *t, const char *p, int depth, struct buf *out);

/* p is behind a "${". Adds its value; where it ends, or NULL: no name. */
static const char *
expand_name(
    const struct script_texts *t, const char *p, int depth, struct buf *out)
{
	struct buf name;

	if (depth > EXPAND_DEPTH_MAX)
		return NULL;
	buf_init(&name, t->arena);
	p = expand(t, p, depth, &name);
	if (*p != '}' || !value_add(t, buf_str(&name), out))
		return NULL;
	return p + 1;
}

/* Copies up to the end, or inside a name to its "}". What is no name stays. */
static const char *
expand(const struct script_texts *t, const char *p, int depth, struct buf *out)
{
	const char *end;

	while (*p != '\0' && !(depth > 0 && *p == '}')) {
		end = NULL;
		if (p[0] == '$' && p[1] == '{')
			end = expand_name(t, p + 2, depth + 1, out);
		if (end == NULL)
			buf_putc(out, *p++);
		else
			p = end;
	}
	return p;
}

const char *
script_expand(const struct script_texts *t, const char *text)
{
	struct buf out;

	buf_init(&out, t->arena);
	expand(t, text, 0, &out);
	return buf_str(&out);
}

void
script_expand_json(const struct script_texts *t, struct buf *out,
    const char *name, const struct json *j)
{
	int is_list = json_is(j, JSON_ARRAY);

	if (json_is(j, JSON_STRING)) {
		json_add_str(out, name, script_expand(t, json_str(j)));
	} else if (is_list || json_is(j, JSON_OBJECT)) {
		json_open(out, name, is_list ? '[' : '{');
		for (j = json_first(j); j != NULL; j = json_next(j))
			script_expand_json(
			    t, out, is_list ? NULL : json_name(j), j);
		json_close(out, is_list ? ']' : '}');
	} else {
		json_add_json(out, name, j);
	}
}
