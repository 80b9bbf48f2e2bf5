/* SPDX-License-Identifier: MIT */
/*
 * The front matter of a SKILL.md, as the Agent Skills format has it: YAML
 * between two lines of three hyphens. name and description are read, other
 * members are not looked at. Events are all that is asked of libyaml: nothing
 * is built of them, and no alias is followed, so that a small file cannot
 * become a large one.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "tool/skill_read.h"
#include "tool/skills.h"

#define FRONT_MAX_BYTES (16 * 1024)

struct reader {
	struct arena *arena;
	yaml_parser_t parser;
	yaml_event_t event; /* the one that is looked at */
	int has_event;
	int line; /* of the file */
	const char *name, *description;
	int description_line, name_line;
};

const char *
skill_library(void)
{
	static char text[64];

	snprintf(text, sizeof(text), "libyaml %s", yaml_get_version_string());
	return text;
}

int
skill_name_check(const char *name, struct err *err)
{
	static const char chars[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
	size_t n = strlen(name);

	if (n == 0 || n > SKILL_NAME_MAX || strspn(name, chars) != n ||
	    name[0] == '-' || name[n - 1] == '-' || strstr(name, "--") != NULL)
		return err_set(err, ERR_CONFIG,
		    "a skill's name is 1 to %d lower case letters, digits and "
		    "single hyphens between them",
		    SKILL_NAME_MAX);
	return 0;
}

/* ---- where it is ---- */

static int
is_fence(const char *line, size_t len)
{
	while (len > 0 && strchr(" \t\r", line[len - 1]) != NULL)
		len--;
	return len == 3 && memcmp(line, "---", 3) == 0;
}

/* What stands between the fences. */
static int
front_find(const char *text, size_t len, const char **front_r, size_t *len_r,
    int *line_r, struct err *err)
{
	const char *p = text, *end = text + len, *nl;

	*line_r = 1;
	if (len >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0)
		p += 3;
	nl = memchr(p, '\n', (size_t)(end - p));
	if (nl == NULL || !is_fence(p, (size_t)(nl - p)))
		return err_set(err, ERR_CONFIG,
		    "there is no front matter: the file must begin with a "
		    "line ---");
	*front_r = p = nl + 1;
	for (; p < end; p = nl + (nl < end)) {
		nl = memchr(p, '\n', (size_t)(end - p));
		if (nl == NULL)
			nl = end;
		if (is_fence(p, (size_t)(nl - p))) {
			*len_r = (size_t)(p - *front_r);
			if (*len_r <= FRONT_MAX_BYTES)
				return 0;
			return err_set(err, ERR_CONFIG,
			    "the front matter is larger than %d bytes",
			    FRONT_MAX_BYTES);
		}
	}
	return err_set(err, ERR_CONFIG,
	    "the front matter does not end: a second line --- is missing");
}

/* ---- what it says ---- */

static void
event_drop(struct reader *r)
{
	if (r->has_event)
		yaml_event_delete(&r->event);
	r->has_event = 0;
}

static int
event_next(struct reader *r, struct err *err)
{
	event_drop(r);
	if (!yaml_parser_parse(&r->parser, &r->event)) {
		r->line = (int)r->parser.problem_mark.line + 2;
		return err_set(err, ERR_CONFIG, "this is no YAML: %s",
		    r->parser.problem != NULL ? r->parser.problem : "?");
	}
	r->has_event = 1;
	r->line = (int)r->event.start_mark.line + 2;
	return 0;
}

/* Goes past a value, whatever is in it. */
static int
value_skip(struct reader *r, struct err *err)
{
	int depth = 0;

	for (;;) {
		yaml_event_type_t type = r->event.type;

		if (type == YAML_MAPPING_START_EVENT ||
		    type == YAML_SEQUENCE_START_EVENT)
			depth++;
		if (type == YAML_MAPPING_END_EVENT ||
		    type == YAML_SEQUENCE_END_EVENT)
			depth--;
		if (depth == 0)
			return 0;
		if (event_next(r, err) < 0)
			return -1;
	}
}

static int
value_text(
    struct reader *r, const char *name, const char **out_r, struct err *err)
{
	const char *s;
	size_t len;

	if (*out_r != NULL)
		return err_set(err, ERR_CONFIG, "%s is there twice", name);
	if (r->event.type != YAML_SCALAR_EVENT)
		return err_set(err, ERR_CONFIG, "%s is not a text", name);
	s = (const char *)r->event.data.scalar.value;
	len = r->event.data.scalar.length;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)s[i] < ' ' && s[i] != '\n' && s[i] != '\t')
			return err_set(err, ERR_CONFIG,
			    "%s has a control character", name);
	if (json_utf8_whole(s, len) != len)
		return err_set(err, ERR_CONFIG, "%s is not UTF-8", name);
	*out_r = arena_memdup(r->arena, s, len);
	return 0;
}

static int
member_is(const struct reader *r, const char *name)
{
	return r->event.data.scalar.length == strlen(name) &&
	       memcmp(r->event.data.scalar.value, name, strlen(name)) == 0;
}

/* A name and its value; the event is the name. */
static int
member_read(struct reader *r, struct err *err)
{
	int is_name, is_description;

	if (r->event.type != YAML_SCALAR_EVENT)
		return err_set(
		    err, ERR_CONFIG, "the name of a member is not a text");
	is_name = member_is(r, "name");
	is_description = member_is(r, "description");
	if (event_next(r, err) < 0)
		return -1;
	if (is_name) {
		r->name_line = r->line;
		return value_text(r, "name", &r->name, err);
	}
	if (is_description) {
		r->description_line = r->line;
		return value_text(r, "description", &r->description, err);
	}
	return value_skip(r, err);
}

static int
front_read(struct reader *r, struct err *err)
{
	do /* of the stream and of the document */
		if (event_next(r, err) < 0)
			return -1;
	while (r->event.type == YAML_STREAM_START_EVENT ||
	       r->event.type == YAML_DOCUMENT_START_EVENT);
	if (r->event.type != YAML_MAPPING_START_EVENT)
		return err_set(err, ERR_CONFIG,
		    "the front matter is no list of members, such as name: "
		    "and description:");
	for (;;) {
		if (event_next(r, err) < 0)
			return -1;
		if (r->event.type == YAML_MAPPING_END_EVENT)
			break;
		if (member_read(r, err) < 0)
			return -1;
	}
	if (event_next(r, err) < 0 || event_next(r, err) < 0)
		return -1;
	if (r->event.type != YAML_STREAM_END_EVENT)
		return err_set(
		    err, ERR_CONFIG, "something follows the front matter");
	return 0;
}

/* ---- what it must say ---- */

/* One line of words with single spaces; its characters are counted. */
static char *
one_line(struct arena *a, const char *s, size_t *chars_r)
{
	char *out = arena_strdup(a, s), *to = out;

	*chars_r = 0;
	for (; *s != '\0'; s++) {
		char c = strchr(" \t\n", *s) != NULL ? ' ' : *s;

		if (c == ' ' && (to == out || to[-1] == ' '))
			continue;
		*to++ = c;
		*chars_r += (c & 0xc0) != 0x80;
	}
	if (to > out && to[-1] == ' ') {
		to--;
		(*chars_r)--;
	}
	*to = '\0';
	return out;
}

static int
front_check(struct reader *r, struct skill *out, struct err *err)
{
	size_t chars;

	r->line = 1;
	if (r->name == NULL)
		return err_set(err, ERR_CONFIG, "name is missing");
	if (r->description == NULL)
		return err_set(err, ERR_CONFIG, "description is missing");
	r->line = r->name_line;
	if (skill_name_check(r->name, err) < 0)
		return -1;
	r->line = r->description_line;
	out->name = r->name;
	out->description = one_line(r->arena, r->description, &chars);
	if (chars == 0)
		return err_set(err, ERR_CONFIG, "description is empty");
	if (chars > SKILL_DESCRIPTION_MAX)
		return err_set(err, ERR_CONFIG,
		    "description has %zu characters; it may have %d", chars,
		    SKILL_DESCRIPTION_MAX);
	r->line = r->name_line; /* what else is wrong with it */
	return 0;
}

/* The line of the first byte that no text has. */
static int
check_text(const char *text, size_t len, int *line_r, struct err *err)
{
	size_t whole = json_utf8_whole(text, len);
	const char *nul = memchr(text, '\0', len);

	if (nul != NULL && (size_t)(nul - text) < whole)
		whole = (size_t)(nul - text);
	if (whole == len)
		return 0;
	*line_r = 1;
	for (size_t i = 0; i < whole; i++)
		*line_r += text[i] == '\n';
	return err_set(err, ERR_CONFIG, "this is no UTF-8 text");
}

int
skill_read(struct arena *a, const char *text, size_t len, struct skill *out,
    int *line_r, struct err *err)
{
	struct reader r = { .arena = a };
	const char *front = NULL;
	size_t front_len = 0;
	int rc;

	if (check_text(text, len, line_r, err) < 0 ||
	    front_find(text, len, &front, &front_len, line_r, err) < 0)
		return -1;
	yaml_parser_initialize(&r.parser);
	yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(
	    &r.parser, (const unsigned char *)front, front_len);
	rc = front_read(&r, err);
	event_drop(&r);
	yaml_parser_delete(&r.parser);
	if (rc == 0)
		rc = front_check(&r, out, err);
	*line_r = r.line;
	out->text = text;
	out->text_len = len;
	return rc;
}
