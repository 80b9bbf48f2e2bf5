/* SPDX-License-Identifier: MIT */
/*
 * What the lines of an agent say about the rest of them: of which segments it
 * has how much. A fork's lines may have more of its parent's segment than it
 * refers to, as of the moment when it was exported: that is the parent's, and
 * what the parent's own lines do not have is not to come by a fork.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/json.h"
#include "store/portable_priv.h"

#define SEGMENT_MAX (ID_SIZE - 1)

int
import_bad_line(struct err *err, const char *why)
{
	return err_set(err, ERR_REQUEST, "%s", why);
}

static void
need(struct store_import *im, const char *id, int64_t n)
{
	struct import_segment *s;

	HASH_FIND_STR(im->segments, id, s);
	if (s == NULL) {
		s = arena_alloc(im->whole, sizeof(*s));
		memset(s, 0, sizeof(*s));
		s->id = arena_strdup(im->whole, id);
		HASH_ADD_KEYPTR(hh, im->segments, s->id, strlen(s->id), s);
	}
	if (s->needed < n)
		s->needed = n;
}

/* References, with spaces between: SEGMENT:N or SEGMENT:*. */
static int
look_at_references(struct store_import *im, const char *text, struct err *err)
{
	char id[ID_SIZE], *end;
	size_t n;
	int64_t many;

	while (*(text += strspn(text, " ")) != '\0') {
		n = strcspn(text, ": ");
		if (n > SEGMENT_MAX || text[n] != ':')
			return import_bad_line(err, "a reference has no form");
		memcpy(id, text, n);
		id[n] = '\0';
		text += n + 1;
		many = *text == '*' ? INT64_MAX : strtoll(text, &end, 10);
		if (*text == '*')
			end = (char *)(uintptr_t)(text + 1);
		if (!id_valid(id, "seg_") || many < 0 || end == text ||
		    (*end != '\0' && *end != ' '))
			return import_bad_line(err, "a reference has no form");
		need(im, id, many);
		text = end;
	}
	return 0;
}

int
store_import_look(
    struct store_import *im, const char *line, size_t len, struct err *err)
{
	const struct json *j =
	    json_parse(im->line, line, len, JSON_DEPTH_MAX, err);
	const char *part = json_get_str(j, "part");
	const char *text = json_get_str(j, "text");
	int rc = 0;

	if (j == NULL)
		return -1;
	if (part == NULL)
		return import_bad_line(err, "it has no part");
	if (im->has_end)
		return import_bad_line(err, "it is behind the end");
	if (strcmp(part, "end") == 0)
		im->has_end = 1;
	else if (strcmp(part, "checkpoints") == 0)
		text = json_get_str(json_get(j, "doc"), "references");
	else if (strcmp(part, "segments") != 0 && strcmp(part, "windows") != 0)
		text = NULL;
	if (text != NULL)
		rc = look_at_references(im, text, err);
	arena_reset(im->line);
	return rc;
}

int
store_import_looked(struct store_import *im, int whole, struct err *err)
{
	if (whole && !im->has_end)
		return import_bad_line(err, "it has no end: it was cut");
	return 0;
}
