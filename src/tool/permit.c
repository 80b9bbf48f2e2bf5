/* SPDX-License-Identifier: MIT */
/* Permissions: lists of names, rules on arguments, and a mode. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "tool/permit.h"

#define ENTRIES_MAX 256
#define PATTERN_MAX_BYTES 1024
#define VALUE_MAX_BYTES 65536 /* of what a rule is matched with */

#define SEPARATORS ";&|`$()<>\n\r"

enum mode { MODE_AUTO, MODE_APPROVAL, MODE_READONLY };

struct rule {
	const char *tool, *argument, *pattern;
	enum permit_decision decision;
};

struct permit {
	enum mode mode;
	const struct json *allow, *deny, *ask; /* lists of names, or NULL */
	struct rule *rules;
	size_t rule_count;
};

/* ---- patterns ---- */

/* One element of a pattern against c. 1 it matches; *next is behind it. */
static int
match_one(const char *p, char c, const char **next)
{
	const char *q = p + 1;
	int no, hit = 0;

	*next = q;
	if (*p == '?')
		return 1;
	if (*p == '\\' && *q != '\0') {
		*next = q + 1;
		return *q == c;
	}
	no = *p == '[' && *q == '!';
	q += no;
	if (*p != '[' || *q == '\0' || strchr(q + 1, ']') == NULL)
		return *p == c;
	do {
		if (q[1] == '-' && q[2] != ']' && q[2] != '\0') {
			hit |= c >= q[0] && c <= q[2];
			q += 3;
		} else {
			hit |= *q++ == c;
		}
	} while (*q != ']' && *q != '\0');
	*next = *q == ']' ? q + 1 : q;
	return hit != no;
}

/* At most one * is tried anew: quadratic, never worse. */
static int
glob(const char *p, const char *s, size_t len)
{
	const char *star = NULL, *next, *end = s + len, *tried = NULL;

	while (s < end) {
		if (*p == '*') {
			star = ++p;
			tried = s;
		} else if (*p != '\0' && match_one(p, *s, &next)) {
			p = next;
			s++;
		} else if (star != NULL) {
			p = star;
			s = ++tried;
		} else {
			return 0;
		}
	}
	while (*p == '*')
		p++;
	return *p == '\0';
}

int
permit_glob(const char *pattern, const char *s)
{
	return glob(pattern, s, strlen(s));
}

/* ---- reading ---- */

static int
names_check(const struct json *list, const char *member, struct err *err)
{
	if (list == NULL)
		return 0;
	if (!json_is(list, JSON_ARRAY) || json_count(list) > ENTRIES_MAX)
		return err_set(err, ERR_INVALID,
		    "permission.%s is a list of at most %d names of tools",
		    member, ENTRIES_MAX);
	for (const struct json *n = json_first(list); n != NULL;
	     n = json_next(n))
		if (json_str(n) == NULL ||
		    strlen(json_str(n)) > PATTERN_MAX_BYTES)
			return err_set(err, ERR_INVALID,
			    "permission.%s has something that is no name",
			    member);
	return 0;
}

/* The place of word among the count words, -1 if it is none of them. */
static int
word_find(const char *word, const char *const *words, int count)
{
	for (int i = 0; word != NULL && i < count; i++)
		if (strcmp(words[i], word) == 0)
			return i;
	return -1;
}

static int
mode_parse(struct permit *p, const struct json *j, struct err *err)
{
	static const char *const modes[] = { "auto", "approval", "readonly" };
	int i = word_find(json_str(j), modes, 3);

	if (j == NULL)
		return 0;
	if (i < 0)
		return err_set(err, ERR_INVALID,
		    "permission.mode is auto, approval or readonly");
	p->mode = (enum mode)i;
	return 0;
}

static int
rule_parse(struct rule *r, const struct json *j, struct err *err)
{
	static const char *const words[] = { "allow", "deny", "ask" };
	int i = word_find(json_get_str(j, "decision"), words, 3);

	r->tool = json_get_str(j, "tool");
	r->argument = json_get_str(j, "argument");
	r->pattern = json_get_str(j, "pattern");
	if (r->tool == NULL || r->argument == NULL || r->pattern == NULL ||
	    i < 0 || json_count(j) != 4)
		return err_set(err, ERR_INVALID,
		    "a rule of permission.rules has tool, argument, pattern, "
		    "and decision: allow, deny or ask");
	if (strlen(r->pattern) > PATTERN_MAX_BYTES)
		return err_set(err, ERR_INVALID,
		    "a pattern of permission.rules is longer than %d bytes",
		    PATTERN_MAX_BYTES);
	r->decision = (enum permit_decision)i;
	return 0;
}

static int
rules_parse(
    struct permit *p, struct arena *a, const struct json *list, struct err *err)
{
	if (list == NULL)
		return 0;
	if (!json_is(list, JSON_ARRAY) || json_count(list) > ENTRIES_MAX)
		return err_set(err, ERR_INVALID,
		    "permission.rules is a list of at most %d rules",
		    ENTRIES_MAX);
	p->rules = arena_alloc(a, (json_count(list) + 1) * sizeof(*p->rules));
	for (const struct json *j = json_first(list); j != NULL;
	     j = json_next(j))
		if (rule_parse(&p->rules[p->rule_count++], j, err) < 0)
			return -1;
	return 0;
}

static int
members_check(const struct json *j, struct err *err)
{
	static const char *const known[] = { "mode", "allowTools", "denyTools",
		"requireApprovalTools", "rules" };

	for (const struct json *m = json_first(j); m != NULL; m = json_next(m))
		if (word_find(json_name(m), known, 5) < 0)
			return err_set(err, ERR_INVALID,
			    "permission has no member \"%.40s\"; it has mode, "
			    "allowTools, denyTools, requireApprovalTools and "
			    "rules",
			    json_name(m));
	return 0;
}

struct permit *
permit_parse(struct arena *a, const struct json *j, struct err *err)
{
	struct permit *p = arena_alloc(a, sizeof(*p));

	memset(p, 0, sizeof(*p));
	if (j == NULL || json_is(j, JSON_NULL))
		return p;
	if (!json_is(j, JSON_OBJECT)) {
		err_set(err, ERR_INVALID, "permission is an object");
		return NULL;
	}
	p->allow = json_get(j, "allowTools");
	p->deny = json_get(j, "denyTools");
	p->ask = json_get(j, "requireApprovalTools");
	if (members_check(j, err) < 0 ||
	    mode_parse(p, json_get(j, "mode"), err) < 0 ||
	    names_check(p->allow, "allowTools", err) < 0 ||
	    names_check(p->deny, "denyTools", err) < 0 ||
	    names_check(p->ask, "requireApprovalTools", err) < 0 ||
	    rules_parse(p, a, json_get(j, "rules"), err) < 0)
		return NULL;
	return p;
}

/* ---- deciding ---- */

static int
listed(const struct json *list, const char *tool)
{
	for (const struct json *n = json_first(list); n != NULL;
	     n = json_next(n))
		if (permit_glob(json_str(n), tool))
			return 1;
	return 0;
}

/* 1 if every separator of the value is in the pattern too. */
static int
is_plain(const char *value, const char *pattern)
{
	for (; *(value += strcspn(value, SEPARATORS)) != '\0'; value++)
		if (strchr(pattern, *value) == NULL)
			return 0;
	return 1;
}

/* 1 if a part of the value between separators is of the pattern. */
static int
part_matches(const char *pattern, const char *value)
{
	size_t n;

	for (; *value != '\0'; value += n + (value[n] != '\0')) {
		value += strspn(value, " \t");
		n = strcspn(value, SEPARATORS);
		while (n > 0 && (value[n - 1] == ' ' || value[n - 1] == '\t'))
			n--;
		if (n > 0 && glob(pattern, value, n))
			return 1;
	}
	return 0;
}

static int
text_matches(const struct rule *r, const char *value)
{
	int allows = r->decision == PERMIT_ALLOW;

	if (value == NULL)
		return 0;
	if (strlen(value) > VALUE_MAX_BYTES)
		return !allows; /* not looked at: taken for the worst */
	if (permit_glob(r->pattern, value))
		return !allows || is_plain(value, r->pattern);
	return !allows && part_matches(r->pattern, value);
}

/* A rule that allows must hold for all of a list, any other for one. */
static int
list_matches(const struct rule *r, const struct json *list)
{
	int allows = r->decision == PERMIT_ALLOW;

	for (const struct json *v = json_first(list); v != NULL;
	     v = json_next(v))
		if (text_matches(r, json_str(v)) != allows)
			return !allows;
	return allows && json_count(list) > 0;
}

static int
rule_matches(const struct rule *r, const struct permit_call *c)
{
	const struct json *value = json_get(c->args, r->argument);

	if (!permit_glob(r->tool, c->tool))
		return 0;
	if (json_is(value, JSON_ARRAY))
		return list_matches(r, value);
	return value != NULL && text_matches(r, json_str(value));
}

static int
any_rule(const struct permit *p, const struct permit_call *c,
    enum permit_decision decision)
{
	for (size_t i = 0; i < p->rule_count; i++)
		if (p->rules[i].decision == decision &&
		    rule_matches(&p->rules[i], c))
			return 1;
	return 0;
}

static struct permit_answer
answer(enum permit_decision decision, const char *reason)
{
	return (struct permit_answer){ decision, reason };
}

static struct permit_answer
by_mode(const struct permit *p, enum tool_effect effect)
{
	if (p->mode == MODE_AUTO ||
	    (p->mode == MODE_READONLY && effect == TOOL_READS))
		return answer(PERMIT_ALLOW, "the mode allows it");
	if (p->mode == MODE_READONLY && effect == TOOL_WRITES)
		return answer(
		    PERMIT_DENY, "the agent may only read, and this writes");
	return answer(PERMIT_ASK, "Policy requires approval");
}

struct permit_answer
permit_evaluate(const struct permit *p, const struct permit_call *c)
{
	struct permit_answer mode = by_mode(p, c->effect);

	if (listed(p->deny, c->tool))
		return answer(PERMIT_DENY, "the tool is denied");
	if (json_count(p->allow) > 0 && !listed(p->allow, c->tool))
		return answer(
		    PERMIT_DENY, "the tool is not among those allowed");
	if (any_rule(p, c, PERMIT_DENY))
		return answer(PERMIT_DENY, "a rule denies these arguments");
	if (mode.decision == PERMIT_DENY)
		return mode;
	if (any_rule(p, c, PERMIT_ASK))
		return answer(PERMIT_ASK, "a rule asks about these arguments");
	if (any_rule(p, c, PERMIT_ALLOW) &&
	    (p->mode != MODE_READONLY || c->effect == TOOL_READS))
		return answer(PERMIT_ALLOW, "a rule allows these arguments");
	if (listed(p->ask, c->tool))
		return answer(PERMIT_ASK, "Policy requires approval");
	return mode;
}

int
permit_advertised(
    const struct permit *p, const char *tool, enum tool_effect effect)
{
	if (listed(p->deny, tool) ||
	    (json_count(p->allow) > 0 && !listed(p->allow, tool)))
		return 0;
	return by_mode(p, effect).decision != PERMIT_DENY;
}
