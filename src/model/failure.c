/* SPDX-License-Identifier: MIT */
/*
 * What is done about a failure: its class, and of that whether and when to
 * ask again. The words of the provider decide where they say more than the
 * status, then the status, then what other words there are.
 *
 *   rate_limit, overload   again, when the provider says or with growing pauses
 *   server, network,
 *   timeout, protocol      again
 *   context_length         not as it is: the turn compacts, and asks once more
 *   quota, auth, filter    never: a person must do something
 *   invalid_request        never, unless x-should-retry says so
 *
 * Any thread; nothing here blocks.
 */
#include "config.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/arena.h"
#include "base/json.h"
#include "model/complaint.h"
#include "model/hide.h"

#define BODY_MAX (64 * 1024) /* of an error that is looked at */
#define SCRATCH_BYTES 4096

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

enum again { NEVER, IF_TOLD, AGAIN };

static const struct {
	const char *name;
	enum again again;
} classes[MODEL_CLASSES] = {
	[MODEL_CLASS_NONE] = { "", NEVER },
	[MODEL_CLASS_RATE_LIMIT] = { "rate_limit", AGAIN },
	[MODEL_CLASS_OVERLOAD] = { "overload", AGAIN },
	[MODEL_CLASS_QUOTA] = { "quota", NEVER },
	[MODEL_CLASS_AUTH] = { "auth", NEVER },
	[MODEL_CLASS_CONTEXT_LENGTH] = { "context_length", NEVER },
	[MODEL_CLASS_INVALID_REQUEST] = { "invalid_request", IF_TOLD },
	[MODEL_CLASS_FILTER] = { "filter", NEVER },
	[MODEL_CLASS_SERVER] = { "server", AGAIN },
	[MODEL_CLASS_NETWORK] = { "network", AGAIN },
	[MODEL_CLASS_TIMEOUT] = { "timeout", AGAIN },
	[MODEL_CLASS_PROTOCOL] = { "protocol", AGAIN },
};

const char *
model_class_name(enum model_class kind)
{
	return classes[kind].name;
}

void
model_failure_set(
    struct model_failure *f, enum model_class kind, const char *type)
{
	f->failed = 1;
	f->kind = kind;
	f->retryable = classes[kind].again == AGAIN;
	f->retry_once = 0;
	f->rejected = 0;
	f->retry_after_ms = 0;
	snprintf(f->type, sizeof(f->type), "%s", type);
}

void
model_failure_hide(struct model_failure *f, const char *secret)
{
	const char *space = strrchr(secret, ' ');

	hide_secret(f->message, space == NULL ? secret : space + 1);
}

/* ---- the class ---- */

/* Those that say more than the words that are not sharp. */
static const struct {
	int status;
	enum model_class kind;
} statuses[] = {
	{ 401, MODEL_CLASS_AUTH },
	{ 402, MODEL_CLASS_QUOTA },
	{ 403, MODEL_CLASS_AUTH },
	{ 408, MODEL_CLASS_TIMEOUT },
	{ 413, MODEL_CLASS_CONTEXT_LENGTH },
	{ 429, MODEL_CLASS_RATE_LIMIT },
	{ 498, MODEL_CLASS_OVERLOAD }, /* Groq: flex capacity */
	{ 503, MODEL_CLASS_OVERLOAD },
	{ 504, MODEL_CLASS_TIMEOUT },
	{ 524, MODEL_CLASS_TIMEOUT }, /* Cloudflare */
	{ 529, MODEL_CLASS_OVERLOAD },
};

static enum model_class
class_of_status(int64_t status)
{
	for (size_t i = 0; i < COUNT(statuses); i++)
		if (statuses[i].status == status)
			return statuses[i].kind;
	return MODEL_CLASS_NONE;
}

/* Of an error inside a stream that says nothing we know: the request was
 * taken, so it is not that. */
static enum model_class
class_of_nothing(int64_t status)
{
	if (status == 0 || status == 409 || status >= 500)
		return MODEL_CLASS_SERVER;
	return MODEL_CLASS_INVALID_REQUEST;
}

static enum model_class
class_of(
    const struct complaint *c, int64_t status, const struct model_failure *f)
{
	enum model_class k = complaint_class(c, 1);

	if (k == MODEL_CLASS_NONE)
		k = complaint_class_of_text(c->message, status);
	if (k == MODEL_CLASS_NONE)
		k = complaint_class_of_text(c->detail, status);
	if (k == MODEL_CLASS_NONE)
		k = complaint_class_of_text(f->message, status);
	if (k == MODEL_CLASS_NONE)
		k = class_of_status(status);
	if (k == MODEL_CLASS_NONE)
		k = complaint_class(c, 0);
	return k == MODEL_CLASS_NONE ? class_of_nothing(status) : k;
}

/* ---- what follows of it ---- */

static int
is_one_of(int64_t status, const int *of, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (of[i] == status)
			return 1;
	return 0;
}

/* Never again, whatever else is said. */
static int
is_final(int64_t status)
{
	static const int final[] = { 400, 401, 402, 403, 404, 413, 422 };

	return is_one_of(status, final, COUNT(final));
}

/* What was asked was refused, and would be again: not the key or the bill. */
static int
is_rejected(enum model_class kind, int64_t status)
{
	static const int refused[] = { 400, 413, 422 };

	return is_one_of(status, refused, COUNT(refused)) &&
	       (kind == MODEL_CLASS_CONTEXT_LENGTH ||
		   kind == MODEL_CLASS_INVALID_REQUEST ||
		   kind == MODEL_CLASS_FILTER);
}

void
complaint_judge(
    const struct complaint *c, int64_t status, struct model_failure *f)
{
	if (status == 0)
		status = c->status;
	f->kind = class_of(c, status, f);
	/* The model's mistake, not the request's: another try is another
	 * answer, but who fails twice fails again (Groq, tool_use_failed). */
	f->retry_once = f->kind == MODEL_CLASS_PROTOCOL;
	f->retryable = classes[f->kind].again == AGAIN &&
		       (f->retry_once || !is_final(status));
	f->rejected = is_rejected(f->kind, status);
	f->retry_after_ms = f->retryable ? c->delay_ms : 0;
}

/* x-should-retry, where the class leaves a choice. */
static void
judge_again(const struct model_reply *reply, struct model_failure *f)
{
	const char *should = reply->should_retry;

	if (should == NULL || classes[f->kind].again == NEVER)
		return;
	if (strcasecmp(should, "true") == 0 && !is_final(reply->status))
		f->retryable = 1;
	if (strcasecmp(should, "false") == 0)
		f->retryable = 0;
}

/* ---- when ---- */

static int
delay_bound(double ms)
{
	if (ms < 0)
		return 0;
	return (int)(ms > COMPLAINT_DELAY_MAX_MS ? COMPLAINT_DELAY_MAX_MS : ms);
}

int
complaint_delay(const char *text, double scale, int *ms_r)
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
reply_delay_ms(const struct model_reply *reply, const struct complaint *c)
{
	int ms = 0;

	if (reply->status != 429 && reply->status < 500)
		return 0;
	if (complaint_delay(reply->retry_after_ms, 1, &ms) ||
	    complaint_delay(reply->retry_after, 1000, &ms) ||
	    date_read(reply->retry_after, reply->now_s, &ms))
		return ms;
	return c->delay_ms;
}

/* ---- an answer that is no stream ---- */

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

void
model_error_decode(
    const struct model_reply *reply, struct model_failure *failure)
{
	size_t len = reply->len < BODY_MAX ? reply->len : BODY_MAX;
	struct arena *scratch = arena_open(SCRATCH_BYTES);
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
	complaint_judge(&c, reply->status, failure);
	judge_again(reply, failure);
	failure->retry_after_ms = reply_delay_ms(reply, &c);
	arena_close(&scratch);
}
