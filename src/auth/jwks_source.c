/* SPDX-License-Identifier: MIT */
/*
 * Keys that an issuer publishes (RFC 7517, OpenID Connect Discovery 1.0).
 *
 * One fetch at a time: first the issuer's configuration, if its keys' URL is
 * not set, which must name the very issuer that was asked; then the set. No
 * redirects, 64 KiB, five seconds. URLs come from the configuration, or from
 * what the issuer itself says there, never from a token. One that is asked by
 * https can name no URL of this host's own services.
 *
 * The next fetch comes when four fifths of the set's lifetime are over (what
 * Cache-Control says, five minutes to a day; an hour where it says nothing), a
 * little sooner or later so that workers do not come together. After a
 * failure it comes soon, then ever later. The last good keys stay meanwhile,
 * for issuer.keep; a response that is no set is a failure like others.
 *
 * A token with an unknown kid is either of a new key or of an attacker, so it
 * makes a fetch once a minute, however many there are. Who sent it waits for
 * the fetch a second at most, and of them WAITERS_MAX at a time, so that an
 * issuer that is slow does not hold all request threads.
 *
 * What a worker has fetched the others take from it, so these are the numbers
 * of the whole pool. But each fetches once when it begins, as what is there may
 * be nearly a day old, and takes it only if that fails.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/jwk.h"
#include "auth/jwks_source.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/clk.h"
#include "base/err.h"
#include "base/id.h"
#include "base/json.h"
#include "base/lck.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/notice.h"
#include "conf/conf.h"
#include "net/fetch.h"

#define URL_MAX 1024
#define TOTAL_MS 5000
#define ASK_EVERY_MS 60000
#define ASK_WAIT_MS 1000
#define WAITERS_MAX 4
#define LOOK_MS 20 /* whether another worker has fetched */
#define LIFE_MIN_S 300
#define LIFE_MAX_S 86400
#define LIFE_UNKNOWN_S 3600
#define RETRY_MIN_MS 1000
#define RETRY_MAX_MS 300000
#define DISCOVERY "/.well-known/openid-configuration"

struct jwks_source {
	struct loop *loop;
	struct fetcher *fetcher;
	const struct conf_issuer *conf;
	void (*on_keys)(void *, struct jwks *, int);
	void *ctx;

	/* The loop's. */
	struct loop_timer *timer, *look;
	int64_t look_until_ms;
	struct fetch *fetch;
	int discovering;
	struct buf body, last; /* what comes; the set that came last */
	int64_t good_ms;       /* when that was; 0: never */
	int64_t retry_ms;
	int freed;

	struct notice *notice;
	struct notice *own;    /* if nobody shares it; or NULL */
	_Atomic uint64_t seen; /* of it; the loop's to write */

	struct lck lck; /* for what follows */
	struct lck_cond ended_cond;
	int fetching, waiters;
	unsigned ended; /* fetches that have */
	struct err why; /* how the last one ended */
};

static int
is_https(const char *url)
{
	return strncmp(url, "https://", 8) == 0;
}

/* A user in front of the host makes another host look like this one. */
static int
spelling_check(const char *url, struct err *err)
{
	const char *host = strstr(url, "://");
	size_t n;

	for (const char *p = url; *p != '\0'; p++)
		if (*p < 0x21 || *p > 0x7e)
			return err_set(err, ERR_CONFIG,
			    "the URL is not printable ASCII without spaces");
	n = host == NULL ? 0 : strcspn(host + 3, "/?#");
	if (n > 0 && memchr(host + 3, '@', n) != NULL)
		return err_set(err, ERR_CONFIG,
		    "the URL of keys has a host, and no user in it");
	return 0;
}

int
jwks_url_check(const char *url, struct err *err)
{
	static const char *const local[] = { "http://127.0.0.1",
		"http://localhost", "http://[::1]" };
	size_t n;

	if (strlen(url) >= URL_MAX - sizeof(DISCOVERY))
		return err_set(err, ERR_CONFIG, "the URL is too long");
	if (spelling_check(url, err) < 0)
		return -1;
	if (is_https(url) && url[8] != '\0')
		return 0;
	for (size_t i = 0; i < sizeof(local) / sizeof(local[0]); i++) {
		n = strlen(local[i]);
		if (strncmp(url, local[i], n) == 0 &&
		    strchr(":/", url[n]) != NULL)
			return 0;
	}
	return err_set(err, ERR_CONFIG,
	    "keys are fetched by https only, or from this host itself");
}

/* ---- when ---- */

/* The member max-age of Cache-Control (RFC 9111 section 5.2.2.1), in bounds. */
static int64_t
lifetime_s(const char *cache_control)
{
	const char *p = strcasestr(cache_control, "max-age=");
	int64_t s = p == NULL ? LIFE_UNKNOWN_S : strtoll(p + 8, NULL, 10);

	return s < LIFE_MIN_S ? LIFE_MIN_S : s > LIFE_MAX_S ? LIFE_MAX_S : s;
}

/* Some of ms less or more, a tenth at most. */
static int64_t
jitter(int64_t ms)
{
	uint16_t r;

	id_random(&r, sizeof(r));
	return ms - ms / 10 + ms / 5 * r / UINT16_MAX;
}

/* Whoever waits goes on. */
static void
wake(struct jwks_source *s)
{
	lck_take(&s->lck);
	s->fetching = 0;
	s->ended++;
	lck_cond_broadcast(&s->ended_cond);
	lck_drop(&s->lck);
}

/* There are new keys, or there are none: why; NULL: it was good. */
static void
note(struct jwks_source *s, const struct err *why)
{
	lck_take(&s->lck);
	if (why != NULL)
		s->why = *why;
	else
		err_clear(&s->why);
	lck_drop(&s->lck);
}

static void
ended(struct jwks_source *s, const struct err *why)
{
	note(s, why);
	wake(s);
}

/* Keys that came at some time, in body too. */
static void
take_keys(
    struct jwks_source *s, struct jwks *keys, int64_t at_ms, int64_t life_ms)
{
	int64_t left = at_ms + jitter(life_ms / 5 * 4) - clk_mono_ms();
	int same =
	    s->last.len == s->body.len &&
	    memcmp(buf_str(&s->last), buf_str(&s->body), s->body.len) == 0;

	s->good_ms = at_ms;
	s->retry_ms = 0;
	if (!same) {
		log_info("issuer %s: %zu keys, to be fetched again in about "
			 "%" PRId64 " s",
		    s->conf->label, keys->count, left / 1000);
		buf_clear(&s->last);
		buf_add(&s->last, s->body.data, s->body.len);
	}
	s->on_keys(s->ctx, same ? NULL : keys, 0);
	jwks_clear(keys);
	loop_timer_start(
	    s->timer, left > RETRY_MIN_MS ? left : RETRY_MIN_MS, 0);
}

static void
succeeded(struct jwks_source *s, struct jwks *keys, const char *cache_control)
{
	int64_t now = clk_mono_ms(), life = lifetime_s(cache_control) * 1000;
	uint64_t seen = s->seen;

	notice_put(s->notice, buf_str(&s->body), s->body.len, now, life, &seen);
	s->seen = seen;
	take_keys(s, keys, now, life);
	ended(s, NULL);
}

/* Takes the keys that another worker has fetched since: 1, or 0. Whoever waits
 * goes on waiting. */
static int
adopt(struct jwks_source *s)
{
	uint64_t seen = s->seen;
	int64_t at, life;
	struct jwks keys;
	int rc;

	if (!notice_read(s->notice, &s->body, &seen, &at, &life))
		return 0;
	s->seen = seen;
	if (clk_mono_ms() - at >= s->conf->keep_ms)
		return 0;
	rc = jwks_read(buf_str(&s->body), s->body.len, 0, s->conf->algorithms,
	    &keys, NULL);
	if (rc < 0)
		return 0;
	take_keys(s, &keys, at, life);
	note(s, NULL);
	return 1;
}

static void
failed(struct jwks_source *s, const struct err *why)
{
	int gone =
	    s->good_ms != 0 && clk_mono_ms() - s->good_ms >= s->conf->keep_ms;

	log_warn("the keys of issuer %s are not fetched: %s", s->conf->label,
	    why->text);
	if (gone) {
		log_error("the keys of issuer %s are too old to be used",
		    s->conf->label);
		s->good_ms = 0;
		buf_clear(&s->last);
		s->on_keys(s->ctx, NULL, 1);
	}
	if (s->good_ms == 0 && adopt(s))
		why = NULL;
	s->retry_ms = s->retry_ms == 0                 ? RETRY_MIN_MS
		      : s->retry_ms * 2 > RETRY_MAX_MS ? RETRY_MAX_MS
						       : s->retry_ms * 2;
	loop_timer_start(s->timer, jitter(s->retry_ms), 0);
	ended(s, why);
}

/* ---- what came ---- */

static int
on_body(void *ctx, const struct fetch_head *head, const char *data, size_t len,
    struct err *err)
{
	struct jwks_source *s = ctx;

	(void)head;
	if (s->body.len + len > JWKS_MAX_BYTES)
		return err_set(err, ERR_TOO_LARGE,
		    "it sends more than %d bytes", JWKS_MAX_BYTES);
	buf_add(&s->body, data, len);
	return 0;
}

/* The URL of the keys, of the issuer's configuration. */
static int
discover(struct jwks_source *s, char *url, struct err *err)
{
	struct arena *a = arena_open(8192);
	const struct json *doc =
	    json_parse(a, buf_str(&s->body), s->body.len, 16, NULL);
	const char *issuer = json_get_str(doc, "issuer");
	const char *uri = json_get_str(doc, "jwks_uri");
	int rc = 0;

	/* Section 4.3: else one could speak for another. */
	if (issuer == NULL || strcmp(issuer, s->conf->issuer) != 0)
		rc = err_set(err, ERR_CONFIG,
		    "its configuration is not that of the issuer");
	else if (uri == NULL)
		rc = err_set(
		    err, ERR_CONFIG, "its configuration has no jwks_uri");
	else if (jwks_url_check(uri, err) < 0)
		rc = err_prefix(err, "jwks_uri");
	else if (is_https(s->conf->issuer) && !is_https(uri))
		rc = err_set(err, ERR_CONFIG,
		    "jwks_uri: keys are fetched by https only, as the "
		    "issuer's configuration was");
	else
		snprintf(url, URL_MAX, "%s", uri);
	arena_close(&a);
	return rc;
}

static void get(struct jwks_source *s, const char *url);

static void
on_end(void *ctx, const struct fetch_end *end)
{
	struct jwks_source *s = ctx;
	int discovering = s->discovering;
	char url[URL_MAX];
	struct jwks keys;
	struct err err;
	int rc;

	s->fetch = NULL;
	s->discovering = 0;
	if (s->freed)
		return;
	if (end->code != ERR_NONE)
		rc = err_set(&err, ERR_CONFIG, "%s", end->text);
	else if (end->head.status != 200)
		rc = err_set(&err, ERR_CONFIG, "it answers with status %d",
		    end->head.status);
	else if (discovering)
		rc = discover(s, url, &err);
	else
		rc = jwks_read(buf_str(&s->body), s->body.len, 0,
		    s->conf->algorithms, &keys, &err);
	if (rc < 0)
		failed(s, &err);
	else if (discovering)
		get(s, url);
	else
		succeeded(s, &keys, end->head.cache_control);
}

static void
get(struct jwks_source *s, const char *url)
{
	struct fetch_spec spec = {
		.url = url,
		.method = "GET",
		.headers = { "accept: application/json" },
		.ca_file = s->conf->ca_file,
		.proxy = s->conf->proxy,
		.connect_ms = TOTAL_MS,
		.first_byte_ms = TOTAL_MS,
		.idle_ms = TOTAL_MS,
		.total_ms = TOTAL_MS,
		.on_body = on_body,
		.on_end = on_end,
		.ctx = s,
	};
	struct fetch *f;

	buf_clear(&s->body);
	f = fetch_start(s->fetcher, &spec);
	if (f != NULL)
		s->fetch = f;
}

static void
source_fetch(struct jwks_source *s)
{
	const struct conf_issuer *c = s->conf;
	char url[URL_MAX];
	size_t n;

	lck_take(&s->lck);
	s->fetching = 1;
	lck_drop(&s->lck);
	if (*c->jwks_url != '\0') {
		get(s, c->jwks_url);
		return;
	}
	n = strlen(c->issuer);
	if (n > 0 && c->issuer[n - 1] == '/')
		n--;
	snprintf(url, sizeof(url), "%.*s" DISCOVERY, (int)n, c->issuer);
	s->discovering = 1;
	get(s, url);
}

/* They grow old; or these are the first. */
static void
on_timer(void *arg)
{
	struct jwks_source *s = arg;

	if (s->fetch != NULL)
		return;
	if (s->good_ms != 0 && adopt(s))
		wake(s);
	else
		source_fetch(s);
}

/* What the worker that fetches has found is here. What others put there before
 * it began is taken too, but it is not what is waited for. */
static int
has_news(struct jwks_source *s)
{
	adopt(s);
	return s->good_ms >= notice_claimed_ms(s->notice);
}

/* Another worker fetches. */
static void
on_look(void *arg)
{
	struct jwks_source *s = arg;

	if (!has_news(s) && clk_mono_ms() < s->look_until_ms)
		return;
	loop_timer_stop(s->look);
	wake(s);
}

/* Somebody waits for a key that is missing. */
static void
on_ask(void *arg)
{
	struct jwks_source *s = arg;
	int64_t now = clk_mono_ms();

	if (s->fetch != NULL)
		return;
	if (notice_claim(s->notice, now, ASK_EVERY_MS)) {
		source_fetch(s);
		return;
	}
	if (has_news(s)) {
		wake(s);
		return;
	}
	s->look_until_ms = notice_claimed_ms(s->notice) + ASK_WAIT_MS;
	loop_timer_start(s->look, LOOK_MS, LOOK_MS);
}

/* ---- those who need it ---- */

/* 1 if there are newer keys, or there may be in a moment. */
static int
is_worth_asking(struct jwks_source *s, int64_t now_ms)
{
	const struct notice *n = s->notice;

	return notice_is_newer(n, s->seen) || notice_is_free(n, now_ms) ||
	       now_ms - ASK_WAIT_MS < notice_claimed_ms(n);
}

int
jwks_source_ask(struct jwks_source *s)
{
	int64_t now = clk_mono_ms(), deadline = now + ASK_WAIT_MS;
	int begin, changed;
	unsigned before;

	lck_take(&s->lck);
	begin = !s->fetching && is_worth_asking(s, now);
	if (begin)
		s->fetching = 1;
	if (!s->fetching || s->waiters >= WAITERS_MAX) {
		lck_drop(&s->lck);
		return 0;
	}
	before = s->ended;
	s->waiters++;
	lck_drop(&s->lck);
	if (begin)
		loop_post(s->loop, "issuer's keys", on_ask, s);
	lck_take(&s->lck);
	while (s->ended == before &&
	       lck_cond_wait(&s->ended_cond, &s->lck, deadline) == 0)
		continue;
	s->waiters--;
	changed = s->ended != before;
	lck_drop(&s->lck);
	return changed;
}

int
jwks_source_wait(struct jwks_source *s, int ms, struct err *err)
{
	int64_t deadline = clk_mono_ms() + ms;
	int rc;

	lck_take(&s->lck);
	while (s->ended == 0 &&
	       lck_cond_wait(&s->ended_cond, &s->lck, deadline) == 0)
		continue;
	rc = s->ended == 0 ? err_set(err, ERR_CONFIG,
				 "it does "
				 "not "
				 "answer")
	     : s->why.code != ERR_NONE
		 ? err_set(err, ERR_CONFIG, "%s", s->why.text)
		 : 0;
	lck_drop(&s->lck);
	return rc;
}

struct jwks_source *
jwks_source_new(struct loop *l, struct fetcher *f,
    const struct conf_issuer *conf, struct notice *notice,
    void (*on_keys)(void *ctx, struct jwks *keys, int gone), void *ctx)
{
	struct jwks_source *s = calloc(1, sizeof(*s));

	if (s == NULL)
		abort();
	s->own = notice == NULL ? calloc(1, sizeof(*s->own)) : NULL;
	s->notice = notice == NULL ? s->own : notice;
	if (s->notice == NULL)
		abort();
	s->loop = l;
	s->fetcher = f;
	s->conf = conf;
	s->on_keys = on_keys;
	s->ctx = ctx;
	lck_init(&s->lck, LCK_ISSUER);
	lck_cond_init(&s->ended_cond);
	s->fetching = 1; /* the first one is about to begin */
	buf_init(&s->body, NULL);
	buf_init(&s->last, NULL);
	s->timer = loop_timer_new(l, "issuer's keys", on_timer, s);
	s->look = loop_timer_new(l, "another's keys", on_look, s);
	loop_timer_start(s->timer, 0, 0);
	return s;
}

void
jwks_source_free(struct jwks_source **s_p)
{
	struct jwks_source *s = *s_p;

	if (s == NULL)
		return;
	*s_p = NULL;
	s->freed = 1;
	if (s->fetch != NULL)
		fetch_cancel(s->fetch);
	loop_timer_free(&s->timer);
	loop_timer_free(&s->look);
	free(s->own);
	buf_fini(&s->body);
	buf_fini(&s->last);
	lck_cond_fini(&s->ended_cond);
	lck_fini(&s->lck);
	free(s);
}
