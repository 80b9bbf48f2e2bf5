/* SPDX-License-Identifier: MIT */
/*
 * Error documents, before a stream and inside it: what they say. They take
 * the shapes of all providers, because gateways that speak one API pass on
 * what stands behind them. What it means is in complaint_words.c, what is done
 * about it in failure.c. Any thread; nothing here blocks.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "model/complaint.h"
#include "model/hide.h"

/* Copies as many whole characters as fit; NULL changes nothing. */
void
model_copy_str(char *dst, size_t size, const char *src)
{
	size_t len;

	if (src == NULL)
		return;
	len = strlen(src);
	if (len >= size)
		len = json_utf8_whole(src, size - 1);
	memcpy(dst, src, len);
	dst[len] = '\0';
}

/* The first of the members that is a string, or NULL. */
static const char *
first_str(const struct json *j, const char *const *names)
{
	const char *s = NULL;

	for (; s == NULL && *names != NULL; names++)
		s = json_get_str(j, *names);
	return s;
}

static const char *
complaint_type(const struct json *e)
{
	static const char *const names[] = { "type", "status", "code", NULL };
	const char *type = first_str(e, names);

	if (type != NULL && strcmp(type, "error") == 0)
		type = json_get_str(e, "code");
	return type;
}

/* ---- words that name a kind of error ---- */

static void
add_word(struct complaint *c, const char *word)
{
	if (word != NULL && c->word_count < COMPLAINT_WORDS)
		c->words[c->word_count++] = word;
}

static void
add_words(struct complaint *c, const struct json *j)
{
	static const char *const names[] = { "type", "code", "status", "reason",
		"error_code", "error_type", NULL };

	for (size_t i = 0; names[i] != NULL; i++)
		add_word(c, json_get_str(j, names[i]));
}

static int
is_of_a_day(const char *quota)
{
	return quota != NULL && strstr(quota, "PerDay") != NULL;
}

/* Gemini: google.rpc's ErrorInfo, QuotaFailure and RetryInfo. */
static void
detail_read(const struct json *d, struct complaint *c)
{
	const struct json *v = json_first(json_get(d, "violations"));
	const char *delay = json_get_str(d, "retryDelay");

	add_words(c, d);
	for (; v != NULL; v = json_next(v))
		if (is_of_a_day(json_get_str(v, "quotaId")))
			c->daily = 1;
	if (is_of_a_day(json_get_str(json_get(d, "metadata"), "quota_limit")))
		c->daily = 1;
	if (delay != NULL && delay[strspn(delay, "0123456789.")] == 's')
		complaint_delay(delay, 1000, &c->delay_ms);
}

/* An object (Anthropic) or a list of them. */
static void
details_read(const struct json *details, struct complaint *c)
{
	if (json_is(details, JSON_OBJECT))
		detail_read(details, c);
	if (!json_is(details, JSON_ARRAY))
		return;
	for (details = json_first(details); details != NULL;
	     details = json_next(details))
		detail_read(details, c);
}

/* ---- the document ---- */

static int
is_http(int64_t n)
{
	return n >= 400 && n < 600;
}

/* A status of HTTP, as a number or as its digits. */
static int
status_read(const struct json *j, int64_t *status)
{
	const char *s = json_str(j);
	int64_t n = 0;

	if (s != NULL && strlen(s) == 3 && strspn(s, "0123456789") == 3)
		n = atoi(s);
	else
		json_int(j, &n);
	if (!is_http(n))
		return 0;
	*status = n;
	return 1;
}

static void
statuses_read(const struct json *e, const struct json *doc, int64_t *status)
{
	static const char *const names[] = { "code", "status", "status_code",
		"raw_status_code", NULL };

	for (size_t i = 0; names[i] != NULL; i++)
		if (status_read(json_get(e, names[i]), status) ||
		    status_read(json_get(doc, names[i]), status))
			return;
}

static void
request_id_read(
    const struct json *e, const struct json *doc, struct complaint *c)
{
	static const char *const names[] = { "request_id", "requestId", NULL };

	c->request_id = first_str(doc, names);
	if (c->request_id == NULL)
		c->request_id = first_str(e, names);
}

void
complaint_read(const struct json *doc, struct complaint *c)
{
	static const char *const said[] = { "message", "error", "detail", "msg",
		NULL };
	const struct json *e;

	memset(c, 0, sizeof(*c));
	if (json_is(doc, JSON_ARRAY))
		doc = json_first(doc);
	e = json_get(doc, "error");
	if (!json_is(e, JSON_OBJECT))
		e = doc;
	c->type = complaint_type(e);
	c->message = first_str(e, said);
	if (c->message == NULL && json_is(json_get(e, "detail"), JSON_ARRAY))
		c->message = first_str(json_first(json_get(e, "detail")), said);
	c->detail = json_get_str(json_get(e, "metadata"), "raw");
	c->code = json_get(e, "code");
	statuses_read(e, doc, &c->status);
	request_id_read(e, doc, c);
	add_words(c, e);
	add_words(c, json_get(e, "innererror"));
	add_words(c, json_get(e, "metadata"));
	details_read(json_get(e, "details"), c);
}

/* ---- texts ---- */

/* One line of valid UTF-8, cut to fit, no control characters, no keys. */
void
model_copy_message(char *dst, size_t size, const char *src, size_t len)
{
	size_t n = 0, i = 0, run;

	while (i < len && n + 4 < size) {
		run = len - i < size - 1 - n ? len - i : size - 1 - n;
		run = json_utf8_whole(src + i, run);
		memcpy(dst + n, src + i, run);
		n += run;
		i += run;
		if (i < len && n + 4 < size) {
			dst[n++] = '?';
			i++;
		}
	}
	dst[n] = '\0';
	for (i = 0; i < n; i++)
		if ((unsigned char)dst[i] < 0x20 || dst[i] == 0x7f)
			dst[i] = ' ';
	hide_keys(dst);
}

/* As JSON, if it is a short one. */
static void
code_copy(char *dst, size_t size, const struct json *code)
{
	struct buf b;

	if (!json_is(code, JSON_STRING) && !json_is(code, JSON_NUMBER))
		return;
	buf_init(&b, NULL);
	json_add_json(&b, NULL, code);
	if (b.len < size)
		memcpy(dst, buf_str(&b), b.len + 1);
	buf_fini(&b);
}

void
complaint_fill(const struct complaint *c, struct model_failure *f)
{
	const char *m = c->message == NULL ? "" : c->message;
	struct buf both;

	f->failed = 1;
	model_copy_str(f->type, sizeof(f->type), c->type);
	code_copy(f->code, sizeof(f->code), c->code);
	buf_init(&both, NULL);
	buf_puts(&both, m);
	if (c->detail != NULL)
		buf_printf(&both, "%s%s", *m == '\0' ? "" : ": ", c->detail);
	model_copy_message(
	    f->message, sizeof(f->message), buf_str(&both), both.len);
	if (c->request_id != NULL)
		model_copy_message(f->request_id, sizeof(f->request_id),
		    c->request_id, strlen(c->request_id));
	buf_fini(&both);
}
