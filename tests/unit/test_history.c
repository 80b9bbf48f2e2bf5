/* SPDX-License-Identifier: MIT */
/* Histories: what a model gets, and which of them the cache keeps. */
#include "config.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/clk.h"
#include "base/json.h"
#include "store/history.h"

#define DOC(role, content)                                                     \
	"{\"id\":\"msg_1\",\"turn\":\"trn_1\",\"time\":17,\"role\":\"" role    \
	"\",\"content\":" content "}"
#define HEAD "{\"messages\":["

static void
add(struct history *h, const char *doc)
{
	history_add(h, doc, strlen(doc));
}

static void
test_add(void **state)
{
	struct history_cache *hc = history_cache_new(1 << 20, NULL, NULL);
	struct history *h = history_take(hc, "agt_1");

	(void)state;
	assert_string_equal(h->agent, "agt_1");
	assert_int_equal(h->count, 0);
	add(h, DOC("user", "\"hi\""));
	assert_string_equal(
	    buf_str(&h->text), HEAD "{\"role\":\"user\",\"content\":\"hi\"}");
	add(h, DOC("assistant", "[{\"type\":\"text\",\"text\":\"\\\"role\\\":"
				"\"}]"));
	assert_string_equal(buf_str(&h->text),
	    HEAD "{\"role\":\"user\",\"content\":\"hi\"},{\"role\":"
		 "\"assistant\",\"content\":[{\"type\":\"text\",\"text\":"
		 "\"\\\"role\\\":\"}]}");
	assert_int_equal(h->count, 2);
	history_give(hc, h, 1);
	history_cache_free(&hc);
	assert_null(hc);
	history_cache_free(&hc);
}

/* What is said of a turn that failed; more is members of its document. */
#define FAILED(more)                                                           \
	"{\"id\":\"msg_2\",\"turn\":\"trn_1\",\"time\":18," more               \
	"\"error\":{\"code\":\"model\"},\"role\":\"assistant\",\"content\":[]" \
	"}"

/* A turn that failed is counted and not shown. */
static void
test_error_is_not_shown(void **state)
{
	struct history_cache *hc = history_cache_new(1 << 20, NULL, NULL);
	struct history *h = history_take(hc, "agt_1");

	(void)state;
	add(h, FAILED(""));
	add(h, DOC("user", "\"hi\""));
	add(h, FAILED(""));
	add(h, DOC("user", "\"\\\"error\\\":{\""));
	assert_int_equal(h->count, 4);
	assert_string_equal(buf_str(&h->text),
	    HEAD "{\"role\":\"user\",\"content\":\"hi\"},{\"role\":"
		 "\"user\",\"content\":\"\\\"error\\\":{\"}");
	history_give(hc, h, 0);
	history_cache_free(&hc);
}

/* A message that the provider refused is taken back, once. */
static void
test_withdrawn(void **state)
{
	struct history_cache *hc = history_cache_new(1 << 20, NULL, NULL);
	struct history *h = history_take(hc, "agt_1");
	static const char one[] = HEAD "{\"role\":\"user\",\"content\":\"1\"}";

	(void)state;
	add(h, FAILED("\"withdrawn\":true,"));
	add(h, DOC("user", "\"1\""));
	add(h, DOC("user", "\"2\""));
	add(h, FAILED("\"withdrawn\":true,"));
	assert_int_equal(h->count, 4);
	assert_string_equal(buf_str(&h->text), one);
	add(h, FAILED("\"withdrawn\":true,"));
	assert_string_equal(buf_str(&h->text), one);
	add(h, DOC("user", "\"3\""));
	assert_non_null(strstr(buf_str(&h->text), "\"1\"},{\"role\""));
	history_give(hc, h, 0);
	history_cache_free(&hc);
}

/* A form that has a letter of each message, and takes the model's out when the
 * user speaks. */
static void
letters_before(const struct history_form *f, void *state, struct buf *text,
    const struct history_doc *doc)
{
	int64_t *models = state;
	size_t kept = 0;

	(void)f;
	if (memmem(doc->text, doc->len, "\"user\"", 6) == NULL)
		return;
	*models = 0;
	for (size_t i = 0; i < text->len; i++)
		if (text->data[i] != 'm')
			text->data[kept++] = text->data[i];
	buf_truncate(text, kept);
}

static void
letters_add(const struct history_form *f, void *state, struct buf *text,
    const struct history_doc *doc)
{
	int64_t *models = state;
	int user = memmem(doc->text, doc->len, "\"user\"", 6) != NULL;

	(void)f;
	*models += !user;
	buf_putc(text, user ? 'u' : 'm');
}

static const struct history_form letters = {
	.start = "-",
	.state_bytes = sizeof(int64_t),
	.before = letters_before,
	.add = letters_add,
};

/* What a message has taken out stays out when it is taken back. */
static void
test_withdrawn_after_cut(void **state)
{
	struct history_cache *hc = history_cache_new(1 << 20, NULL, NULL);
	struct history *h = history_take(hc, "agt_1");

	(void)state;
	history_use(h, &letters);
	add(h, DOC("user", "\"1\""));
	add(h, DOC("assistant", "\"2\""));
	add(h, DOC("assistant", "\"3\""));
	assert_string_equal(buf_str(&h->text), "-umm");
	add(h, DOC("user", "\"4\""));
	assert_string_equal(buf_str(&h->text), "-uu");
	add(h, FAILED("\"withdrawn\":true,"));
	assert_string_equal(buf_str(&h->text), "-u");
	assert_int_equal(*(int64_t *)h->state, 0);
	add(h, DOC("assistant", "\"5\""));
	assert_string_equal(buf_str(&h->text), "-um");
	assert_int_equal(*(int64_t *)h->state, 1);
	history_give(hc, h, 0);
	history_cache_free(&hc);
}

/* The only message is taken back, and the next one is the first. */
static void
test_withdrawn_first(void **state)
{
	struct history_cache *hc = history_cache_new(1 << 20, NULL, NULL);
	struct history *h = history_take(hc, "agt_1");

	(void)state;
	add(h, DOC("user", "\"1\""));
	add(h, FAILED("\"withdrawn\":true,"));
	assert_string_equal(buf_str(&h->text), HEAD);
	add(h, DOC("user", "\"2\""));
	assert_string_equal(
	    buf_str(&h->text), HEAD "{\"role\":\"user\",\"content\":\"2\"}");
	history_give(hc, h, 0);
	history_cache_free(&hc);
}

/* With its end put behind it, it is JSON, whatever was said. */
static void
test_is_json(void **state)
{
	struct history_cache *hc = history_cache_new(1 << 20, NULL, NULL);
	struct history *h = history_take(hc, "agt_1");
	struct arena *a = arena_open(4096);
	const struct json *j;

	(void)state;
	for (int i = 0; i < 100; i++)
		add(h, i % 2 ? DOC("assistant", "[{\"role\":\"x\"}]")
			     : DOC("user", "\"{\\\"role\\\":\\\"system\\\"\""));
	buf_lit(&h->text, "]}");
	j = json_parse(a, h->text.data, h->text.len, 8, NULL);
	assert_non_null(j);
	j = json_get(j, "messages");
	assert_int_equal(json_count(j), 100);
	for (j = json_first(j); j != NULL; j = json_next(j)) {
		assert_int_equal(json_count(j), 2);
		assert_string_not_equal(json_get_str(j, "role"), "system");
	}
	history_give(hc, h, 0);
	history_cache_free(&hc);
	arena_close(&a);
}

/* Gives an agent's history of about bytes to the cache. */
static void
put(struct history_cache *hc, const char *agent, size_t bytes)
{
	struct history *h = history_take(hc, agent);

	while (h->text.len < bytes)
		add(h, DOC("user", "\"0123456789\""));
	history_give(hc, h, 1);
}

/* Whether the cache knows an agent; it knows it as little afterwards. */
static int
cached(struct history_cache *hc, const char *agent)
{
	struct history *h = history_take(hc, agent);
	int known = h->count > 0;

	history_give(hc, h, known);
	return known;
}

static void
test_take_and_give(void **state)
{
	struct history_cache *hc = history_cache_new(1 << 20, NULL, NULL);
	struct history *h, *again;

	(void)state;
	put(hc, "agt_1", 100);
	h = history_take(hc, "agt_1");
	assert_true(h->count > 0);
	assert_int_equal(cached(hc, "agt_1"), 0); /* it is taken */
	history_give(hc, h, 1);
	again = history_take(hc, "agt_1");
	assert_ptr_equal(again, h);
	history_give(hc, again, 0); /* not to be trusted */
	assert_int_equal(cached(hc, "agt_1"), 0);
	history_cache_free(&hc);
}

/* Two turns of one agent, one of them stale: the later one is kept. */
static void
test_given_twice(void **state)
{
	struct history_cache *hc = history_cache_new(1 << 20, NULL, NULL);
	struct history *a = history_take(hc, "agt_1"),
		       *b = history_take(hc, "agt_1");

	(void)state;
	assert_ptr_not_equal(a, b);
	add(a, DOC("user", "\"a\""));
	add(b, DOC("user", "\"b\""));
	history_give(hc, a, 1);
	history_give(hc, b, 1);
	a = history_take(hc, "agt_1");
	assert_non_null(strstr(buf_str(&a->text), "\"b\""));
	assert_int_equal(cached(hc, "agt_1"), 0);
	history_give(hc, a, 0);
	history_cache_free(&hc);
}

static void
test_evicts_by_bytes(void **state)
{
	struct history_cache *hc = history_cache_new(100 * 1024, NULL, NULL);
	char agent[16];
	int kept = 0;

	(void)state;
	for (int i = 0; i < 50; i++) {
		snprintf(agent, sizeof(agent), "agt_%d", i);
		put(hc, agent, 8000);
	}
	for (int i = 49; i >= 0; i--) {
		snprintf(agent, sizeof(agent), "agt_%d", i);
		kept += cached(hc, agent);
	}
	assert_in_range(kept, 5, 12);
	history_cache_free(&hc);
}

/* Who was served last stays. */
static void
test_evicts_the_oldest(void **state)
{
	struct history_cache *hc = history_cache_new(40 * 1024, NULL, NULL);

	(void)state;
	put(hc, "a", 8000);
	put(hc, "b", 8000);
	put(hc, "c", 8000);
	assert_int_equal(cached(hc, "a"), 1); /* now b is the oldest */
	put(hc, "d", 16000);
	assert_int_equal(cached(hc, "b"), 0);
	assert_int_equal(cached(hc, "a"), 1);
	assert_int_equal(cached(hc, "d"), 1);
	history_cache_free(&hc);
}

/* Only who was idle for so long, since he was given back last. */
static void
test_forgets_the_idle(void **state)
{
	struct history_cache *hc = history_cache_new(1 << 20, NULL, NULL);

	(void)state;
	clk_fake_set_ms(1000);
	put(hc, "a", 100);
	put(hc, "b", 100);
	clk_fake_set_ms(5000);
	put(hc, "c", 100);
	history_cache_forget(hc, 4001);
	assert_int_equal(cached(hc, "a"), 1); /* which gives it back, now */
	clk_fake_set_ms(6000);
	history_cache_forget(hc, 4001);
	assert_int_equal(cached(hc, "a"), 1);
	assert_int_equal(cached(hc, "b"), 0);
	assert_int_equal(cached(hc, "c"), 1);
	clk_fake_set_ms(-1);
	history_cache_free(&hc);
}

/* Of an agent that was deleted; one that is not there is fine. */
static void
test_drops_one(void **state)
{
	struct history_cache *hc = history_cache_new(1 << 20, NULL, NULL);

	(void)state;
	put(hc, "a", 100);
	put(hc, "b", 100);
	history_cache_drop(hc, "a");
	history_cache_drop(hc, "a");
	assert_int_equal(cached(hc, "a"), 0);
	assert_int_equal(cached(hc, "b"), 1);
	history_cache_free(&hc);
}

/* More than the whole cache, and a cache of nothing. */
static void
test_too_large(void **state)
{
	struct history_cache *hc = history_cache_new(10000, NULL, NULL), *none;

	(void)state;
	put(hc, "small", 100);
	put(hc, "large", 50000);
	assert_int_equal(cached(hc, "large"), 0);
	history_cache_free(&hc);
	none = history_cache_new(0, NULL, NULL);
	put(none, "a", 100);
	assert_int_equal(cached(none, "a"), 0);
	history_cache_free(&none);
}

static void
test_prompt_is_kept(void **state)
{
	struct history_cache *hc = history_cache_new(1 << 20, NULL, NULL);
	struct history *h = history_take(hc, "agt_1");

	(void)state;
	h->prompt = strdup("be kind");
	h->model = strdup("m");
	h->template = strdup("t");
	h->version = 3;
	history_give(hc, h, 1);
	h = history_take(hc, "agt_1");
	assert_string_equal(h->prompt, "be kind");
	assert_int_equal(h->version, 3);
	history_give(hc, h, 0);
	history_cache_free(&hc);
}

static struct history_cache *shared;

static void *
use_cache(void *arg)
{
	char agent[16];

	for (int i = 0; i < 3000; i++) {
		struct history *h;

		snprintf(agent, sizeof(agent), "agt_%d", i * 7 % 10);
		h = history_take(shared, agent);
		if (strcmp(h->agent, agent) != 0)
			*(int *)arg = 1;
		add(h, DOC("user", "\"0123456789012345678901234567890\""));
		history_give(shared, h, i % 11 != 0);
	}
	return NULL;
}

static void
test_threads(void **state)
{
	pthread_t t[4];
	int wrong[4] = { 0 };

	(void)state;
	shared = history_cache_new(64 * 1024, NULL, NULL);
	for (int i = 0; i < 4; i++)
		assert_int_equal(
		    pthread_create(&t[i], NULL, use_cache, &wrong[i]), 0);
	for (int i = 0; i < 4; i++) {
		pthread_join(t[i], NULL);
		assert_int_equal(wrong[i], 0);
	}
	history_cache_free(&shared);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_add),
		cmocka_unit_test(test_error_is_not_shown),
		cmocka_unit_test(test_withdrawn),
		cmocka_unit_test(test_withdrawn_after_cut),
		cmocka_unit_test(test_withdrawn_first),
		cmocka_unit_test(test_is_json),
		cmocka_unit_test(test_take_and_give),
		cmocka_unit_test(test_given_twice),
		cmocka_unit_test(test_evicts_by_bytes),
		cmocka_unit_test(test_evicts_the_oldest),
		cmocka_unit_test(test_forgets_the_idle),
		cmocka_unit_test(test_drops_one),
		cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_prompt_is_kept),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
