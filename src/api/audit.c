/* SPDX-License-Identifier: MIT */
/*
 * What of requests goes to the audit log: all that change something, but for
 * what is said in conversations; and, as many as may be, those that were
 * refused, or had no good token. Never a body: of that a decision alone.
 *
 * The log has a bound in Redis, and a disk its end. Whatever costs who asks
 * nothing must not push out what others did, so refusals are counted, by the
 * minute: those of strangers apart, who would else hide what users tried. One
 * by a limit (429) is not written at all, since it is there to save work.
 */
#include "config.h"

#include <string.h>

#include "api/api_priv.h"
#include "base/clk.h"
#include "http/route.h"
#include "store/audit.h"

#define REFUSALS_A_MINUTE 60
#define TEXT_MAX 200

/* The roles' names, as words. */
static const char *
roles_text(const struct api_call *c)
{
	static const char *const names[IDENTITY_ROLES] = {
		[IDENTITY_APPROVER] = "approver",
		[IDENTITY_BUDGET] = "budget",
		[IDENTITY_ADMIN] = "admin",
	};
	struct buf b;

	buf_init(&b, c->arena);
	for (int i = 0; i < IDENTITY_ROLES; i++)
		if (c->roles >> i & 1)
			buf_printf(&b, "%s%s", b.len > 0 ? " " : "", names[i]);
	return buf_str(&b);
}

/*
 * 1 if one more may be written in this minute. Any thread; two that come
 * together at the turn of a minute may write one more.
 */
static int
refusal_take(struct app *app, struct app_refusals *r)
{
	int64_t minute = clk_mono_ms() / 60000;

	if (__atomic_exchange_n(&r->minute, minute, __ATOMIC_RELAXED) != minute)
		__atomic_store_n(&r->count, 0, __ATOMIC_RELAXED);
	if (__atomic_add_fetch(&r->count, 1, __ATOMIC_RELAXED) <=
	    REFUSALS_A_MINUTE)
		return 1;
	__atomic_add_fetch(&app->refusals_left, 1, __ATOMIC_RELAXED);
	return 0;
}

/* 1 if nothing came of it: refused, also before it came to its handler, as
 * all are while Redis is away. */
static int
is_refused(const struct api_call *c)
{
	return !c->handled || c->rs->status / 100 == 4;
}

static int
is_audited(const struct api_call *c)
{
	return c->route != NULL && strcmp(c->route->method, "GET") != 0 &&
	       (c->route->flags & API_UNAUDITED) == 0;
}

/* Whether it is written; if so, it tells of those before it that were not. */
static int
is_written(const struct api_call *c, int stranger, int64_t *left_out_r)
{
	struct app *app = c->app;

	if (!stranger && (!is_audited(c) || c->rs->status == 429))
		return 0;
	if ((stranger || is_refused(c)) &&
	    !refusal_take(app, stranger ? &app->strangers : &app->refused))
		return 0;
	*left_out_r =
	    __atomic_exchange_n(&app->refusals_left, 0, __ATOMIC_RELAXED);
	return 1;
}

/* What a client has written, in bounds and as text: the log must stay one. */
static const char *
clip(const struct api_call *c, const char *text)
{
	size_t n = text == NULL ? 0 : strnlen(text, TEXT_MAX);
	char *copy = arena_memdup(c->arena, n == 0 ? "" : text, n);

	json_utf8_mend(copy);
	return copy;
}

void
api_audit(struct api_call *c, const struct err *err)
{
	int stranger = err != NULL && err->code == ERR_UNAUTHORIZED;
	struct audit_record rec = { .act = "" };

	if (!is_written(c, stranger, &rec.left_out))
		return;
	rec.act = c->route == NULL ? clip(c, c->rq->method)
				   : arena_printf(c->arena, "%s %s",
					 c->route->method, c->route->pattern);
	rec.user = c->user;
	rec.tenant = c->tenant;
	rec.roles = roles_text(c);
	rec.jti = c->jti;
	rec.from = clip(c, http_header(c->rq, "REMOTE_ADDR"));
	rec.agent = clip(c, c->rq->param[0]);
	rec.made = c->made;
	rec.what = clip(c, c->rq->param[1]);
	rec.detail =
	    stranger ? err->text : clip(c, json_get_str(c->body, "decision"));
	rec.request = c->rq->id;
	rec.status = c->rs->status;
	audit_write(c->app->audit, c->arena, &rec);
}
