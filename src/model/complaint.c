/* SPDX-License-Identifier: MIT */
/*
 * Errors, before a stream and inside it, and whether to ask again. They take
 * the shapes of all providers, because gateways that speak Anthropic's API
 * pass on what stands behind them. Any thread; nothing here blocks.
 */
#include "config.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "model/decode_priv.h"

#define BODY_MAX (64 * 1024)    /* of an error that is looked at */
#define DELAY_MAX_MS 86400000.0 /* a day */

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

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

/* Words that end all attempts, and those that do not. */
static const char *const final_words[] = {
	"insufficient_quota",
	"enforced_spend_limit_reached",
};
static const char *const retry_words[] = {
	"overloaded_error",
	"api_error",
	"rate_limit_error",
	"timeout_error",
};

static int
is_word_of(const char *word, const char *const *words, size_t n)
{
	for (size_t i = 0; word != NULL && i < n; i++)
		if (strcmp(words[i], word) == 0)
			return 1;
	return 0;
}

static int
is_final_word(const char *word)
{
	return is_word_of(word, final_words, COUNT(final_words));
}

/* Gemini: a quota of a day is not worth the wait. */
static int
is_daily_quota(const struct json *details)
{
	const struct json *d, *v;
	const char *quota;

	if (!json_is(details, JSON_ARRAY))
		return 0;
	for (d = json_first(details); d != NULL; d = json_next(d)) {
		v = json_get(d, "violations");
		for (v = json_first(v); v != NULL; v = json_next(v)) {
			quota = json_get_str(v, "quotaId");
			if (quota != NULL && strstr(quota, "PerDay") != NULL)
				return 1;
		}
	}
	return 0;
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

/* Any of the shapes of spec/providers.md, section 0. */
void
complaint_read(const struct json *doc, struct complaint *c)
{
	static const char *const said[] = { "message", "error", "detail", "msg",
		NULL };
	const struct json *e, *details;

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
	json_int(c->code, &c->status);
	details = json_get(e, "details");
	c->final = is_final_word(c->type) ||
		   is_final_word(json_get_str(e, "code")) ||
		   is_final_word(json_get_str(details, "error_code")) ||
		   is_daily_quota(details);
}

static int
status_retryable(int64_t status)
{
	return status == 408 || status == 409 || status == 429 || status >= 500;
}

/* Of an error inside a stream, where there is no status. */
int
complaint_retryable(const struct complaint *c)
{
	if (c->final)
		return 0;
	return is_word_of(c->type, retry_words, COUNT(retry_words)) ||
	       status_retryable(c->status);
}

/* Starts of the providers' keys, which some of them repeat in an error. */
static const char *const key_starts[] = { "sk-", "sk_", "gsk_", "csk-", "xai-",
	"AIza", "key-" };

static size_t
key_start_len(const char *s)
{
	for (size_t i = 0; i < COUNT(key_starts); i++)
		if (strncmp(s, key_starts[i], strlen(key_starts[i])) == 0)
			return strlen(key_starts[i]);
	return 0;
}

static void
hide_keys(char *s)
{
	static const char in_key[] = "abcdefghijklmnopqrstuvwxyz"
				     "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "0123456789-_";
	size_t skip, len;

	while (*s != '\0') {
		len = strspn(s, in_key);
		skip = key_start_len(s);
		if (len > 10 && skip > 0)
			memset(s + skip, '*', len - skip);
		s += len > 0 ? len : 1;
	}
}

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
	buf_fini(&both);
}

/* Of a page only its title is for people. */
static void
text_fill(const char *body, size_t len, struct model_failure *f)
{
	const char *title, *end;

	while (len > 0 && strchr(" \t\r\n", *body) != NULL)
		body++, len--;
	if (len > 0 && *body == '<') {
		title = memmem(body, len, "<title>", 7);
		if (title == NULL)
			return;
		title += 7;
		len -= (size_t)(title - body);
		body = title;
		end = memchr(body, '<', len);
		len = end == NULL ? len : (size_t)(end - body);
	}
	model_copy_message(f->message, sizeof(f->message), body, len);
}

static int
delay_bound(double ms)
{
	if (ms < 0)
		return 0;
	return (int)(ms > DELAY_MAX_MS ? DELAY_MAX_MS : ms);
}

static int
delay_read(const char *text, double scale, int *ms_r)
{
	char *end;
	double ms;

	if (text == NULL)
		return 0;
	ms = strtod(text, &end) * scale;
	if (end == text || !isfinite(ms))
		return 0;
	*ms_r = delay_bound(ms);
	return 1;
}

/* RFC 9110, 5.6.7: only the form that may be sent. */
static int
date_read(const char *text, int64_t now_s, int *ms_r)
{
	struct tm tm = { 0 };

	if (text == NULL ||
	    strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &tm) == NULL)
		return 0;
	*ms_r = delay_bound(((double)timegm(&tm) - (double)now_s) * 1000);
	return 1;
}

/* Anthropic sends retry-after with answers of 200 too: it means nothing. */
static int
reply_delay_ms(const struct model_reply *reply)
{
	int ms = 0;

	if (reply->status != 429 && reply->status < 500)
		return 0;
	if (delay_read(reply->retry_after_ms, 1, &ms) ||
	    delay_read(reply->retry_after, 1000, &ms))
		return ms;
	date_read(reply->retry_after, reply->now_s, &ms);
	return ms;
}

static const int final_statuses[] = { 400, 401, 402, 403, 404, 413, 422 };

static int
reply_retryable(const struct model_reply *reply, const struct complaint *c)
{
	const char *should = reply->should_retry;

	for (size_t i = 0; i < COUNT(final_statuses); i++)
		if (final_statuses[i] == reply->status)
			return 0;
	if (c->final)
		return 0;
	if (should != NULL && strcasecmp(should, "true") == 0)
		return 1;
	if (should != NULL && strcasecmp(should, "false") == 0)
		return 0;
	return status_retryable(reply->status);
}

void
model_error_decode(
    const struct model_reply *reply, struct model_failure *failure)
{
	size_t len = reply->len < BODY_MAX ? reply->len : BODY_MAX;
	struct arena *scratch = arena_open(DECODE_SCRATCH_BYTES);
	struct complaint c = { 0 };
	const struct json *doc;

	memset(failure, 0, sizeof(*failure));
	failure->failed = 1;
	doc = len == 0
		  ? NULL
		  : json_parse(scratch, reply->body, len, JSON_DEPTH_MAX, NULL);
	if (json_is(doc, JSON_OBJECT) || json_is(doc, JSON_ARRAY)) {
		complaint_read(doc, &c);
		complaint_fill(&c, failure);
	} else {
		text_fill(reply->body, len, failure);
	}
	if (failure->message[0] == '\0')
		snprintf(failure->message, sizeof(failure->message),
		    "HTTP status %d", reply->status);
	failure->retryable = reply_retryable(reply, &c);
	failure->retry_after_ms = reply_delay_ms(reply);
	arena_close(&scratch);
}
