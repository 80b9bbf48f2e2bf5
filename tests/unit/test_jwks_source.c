/* SPDX-License-Identifier: MIT */
/*
 * Keys of an issuer that another process of the pool fetches: who asks waits
 * for what that finds, and for nothing older.
 */
#include "config.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "auth/jwk.h"
#include "auth/jwks_source.h"
#include "base/clk.h"
#include "base/err.h"
#include "base/loop.h"
#include "base/notice.h"
#include "conf/conf.h"
#include "net/fetch.h"

/* A key of RFC 8037, appendix A, under two names. */
#define KEY(kid)                                                               \
	"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"alg\":\"EdDSA\",\"kid\":"      \
	"\"" kid "\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}"
#define OLD "{\"keys\":[" KEY("one") "]}"
#define NEW "{\"keys\":[" KEY("one") "," KEY("two") "]}"
#define LIFE_MS 3600000

static struct notice notice;
static struct loop *loop;
static _Atomic int told;     /* how often there were keys */
static _Atomic size_t known; /* keys, in the end */
static _Atomic int answered; /* whoever has asked goes on */
static _Atomic size_t then;  /* keys that were known when it did */

static void
on_keys(void *ctx, struct jwks *keys, int gone)
{
	(void)ctx;
	(void)gone;
	if (keys != NULL)
		known = keys->count;
	told++;
}

static void *
run(void *arg)
{
	(void)arg;
	loop_run(loop);
	return NULL;
}

static void *
ask(void *source)
{
	jwks_source_ask(source);
	then = known;
	answered = 1;
	return NULL;
}

static void
pause_ms(int ms)
{
	nanosleep(&(struct timespec){ .tv_nsec = ms * 1000000L }, NULL);
}

static void
await_told(int times)
{
	int64_t end = clk_mono_ms() + 10000;

	while (told < times && clk_mono_ms() < end)
		pause_ms(1);
	assert_true(told >= times);
}

/* What another process of the pool has fetched. */
static void
put(const char *text)
{
	static uint64_t seen;

	notice_put(&notice, text, strlen(text), clk_mono_ms(), LIFE_MS, &seen);
}

static void
test_what_is_waited_for(void **state)
{
	char label[] = "main", none[] = "", eddsa[] = "EdDSA";
	char url[] = "http://127.0.0.1:1/"; /* nobody is there */
	const struct conf_issuer conf = { .label = label,
		.issuer = url,
		.jwks_url = url,
		.algorithms = eddsa,
		.ca_file = none,
		.proxy = none,
		.keep_ms = LIFE_MS };
	struct fetcher *fetcher;
	struct jwks_source *s;
	pthread_t runs, asks;

	(void)state;
	loop = loop_new();
	fetcher = fetcher_new(loop);
	put(OLD);
	s = jwks_source_new(loop, fetcher, &conf, &notice, on_keys, NULL);
	pthread_create(&runs, NULL, run, NULL);
	await_told(1); /* it has failed, and taken those */
	put(OLD);      /* a third process, as it began */
	pause_ms(2);   /* the clock is in ms */
	assert_int_equal(notice_claim(&notice, clk_mono_ms(), 60000), 1);
	pthread_create(&asks, NULL, ask, s);
	await_told(2);
	pause_ms(50);
	assert_false(answered);
	put(NEW);
	pthread_join(asks, NULL);
	assert_int_equal(then, 2);
	loop_stop(loop);
	pthread_join(runs, NULL);
	jwks_source_free(&s);
	fetcher_free(&fetcher);
	loop_free(&loop);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
