/* SPDX-License-Identifier: MIT */
/*
 * Events: ids and their order, gaps, and that a frame made here and one made
 * of what Redis kept are the same bytes.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "store/event.h"

#define SEQ_END UINT64_C(9007199254740991)

static struct event_id
id_of(const char *text)
{
	struct event_id id = { 99, 99 };

	assert_int_equal(event_id_parse(text, strlen(text), &id), 0);
	return id;
}

static void
test_id_good(void **state)
{
	static const struct {
		const char *text;
		uint64_t epoch, seq;
	} rows[] = {
		{ "0-0", 0, 0 },
		{ "7-42", 7, 42 },
		{ "7", 7, 0 },
		{ "1-9007199254740991", 1, SEQ_END },
		{ "18446744073709551615-18446744073709551615", UINT64_MAX,
		    UINT64_MAX },
	};
	char text[EVENT_ID_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct event_id id = id_of(rows[i].text);

		assert_true(id.epoch == rows[i].epoch);
		assert_true(id.seq == rows[i].seq);
		event_id_print(text, id);
		if (strchr(rows[i].text, '-') != NULL)
			assert_string_equal(text, rows[i].text);
	}
}

static void
test_id_bad(void **state)
{
	static const char *const rows[] = { "", "-", "-1", "1-", "7-42 ",
		" 7-42", "7--42", "7-42-1", "7-4x", "x-1", "+1-2", "1-+2",
		"7_42", "0x1-1", "18446744073709551616-0",
		"1-18446744073709551616", "99999999999999999999999-1", "$", "*",
		"7\n", "07-42", "7-042", "00-0", "0-00", "00" };
	struct event_id id;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(
		    event_id_parse(rows[i], strlen(rows[i]), &id), -1);
	assert_int_equal(event_id_parse("7-42", 2, &id), -1);
	assert_int_equal(event_id_parse("7-42", 3, &id), 0);
	assert_int_equal(id.seq, 4);
	assert_int_equal(event_id_parse("7-4\0", 4, &id), -1);
}

static void
test_id_order(void **state)
{
	static const char *const rising[] = { "0-0", "0-1", "1-0", "1-1", "1-9",
		"1-10", "1-9007199254740991", "2-0", "10-0",
		"18446744073709551615-0" };
	int n = sizeof(rising) / sizeof(rising[0]);

	(void)state;
	for (int i = 0; i < n; i++)
		for (int k = 0; k < n; k++)
			assert_int_equal(
			    event_id_cmp(id_of(rising[i]), id_of(rising[k])),
			    (i > k) - (i < k));
}

static void
test_before(void **state)
{
	static const char *const rows[][2] = {
		{ "7-42", "7-41" },
		{ "7-1", "7-0" },
		{ "7-0", "6-9007199254740991" },
		{ "1-0", "0-9007199254740991" },
		{ "0-0", "0-0" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct event_id id = id_of(rows[i][0]),
				before = event_id_before(id);

		assert_int_equal(event_id_cmp(before, id_of(rows[i][1])), 0);
		assert_int_equal(event_id_gap(before, id), 0);
	}
}

static void
test_gap(void **state)
{
	static const struct {
		const char *after, *oldest;
		int gap;
	} rows[] = {
		{ "0-0", "1-0", 0 }, /* the first event of any agent */
		{ "0-0", "1-1", 1 },
		{ "0-0", "3-0", 1 },
		{ "1-4", "1-5", 0 },
		{ "1-5", "1-5", 0 },
		{ "1-9", "1-5", 0 },
		{ "2-0", "1-5", 0 },
		{ "1-3", "1-5", 1 },
		{ "1-3", "2-0", 1 }, /* or may have been */
		{ "1-9007199254740991", "2-0", 0 },
		{ "1-9007199254740991", "2-1", 1 },
		{ "1-9007199254740991", "3-0", 1 },
		{ "1-9007199254740991", "1-0", 0 },
		{ "5-0", "5-1", 0 },
		{ "4-7", "5-8", 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(
		    event_id_gap(id_of(rows[i].after), id_of(rows[i].oldest)),
		    rows[i].gap);
}

static void
test_names(void **state)
{
	(void)state;
	for (int k = 0; k < EVENT_KINDS; k++) {
		const char *name = event_infos[k].name;

		assert_non_null(name);
		assert_int_equal(event_kind_find(name, strlen(name)), k);
		assert_int_equal(event_kind_find(name, strlen(name) - 1), -1);
		assert_in_range(
		    event_infos[k].channel, EVENT_PROGRESS, EVENT_MONITOR);
	}
	for (int c = EVENT_PROGRESS; c <= EVENT_MONITOR; c++)
		assert_int_equal(event_channel_find(event_channels[c],
				     strlen(event_channels[c])),
		    c);
	assert_int_equal(event_kind_find("nothing", 7), -1);
	assert_int_equal(event_kind_find("", 0), -1);
	assert_int_equal(event_channel_find("", 0), -1);
}

/* The parts that a frame points out in its own text. */
static void
expect_parts(const struct frame *f, const char *json, const char *turn)
{
	assert_int_equal(f->len, strlen(f->text));
	assert_int_equal(f->json_len, strlen(json));
	assert_memory_equal(f->text + f->json_at, json, f->json_len);
	assert_int_equal(f->turn_len, strlen(turn));
	assert_memory_equal(f->text + f->turn_at, turn, f->turn_len);
	assert_string_equal(f->text + f->len - 3, "}\n\n");
}

static void
test_make(void **state)
{
	static const char json[] =
	    "{\"channel\":\"progress\",\"kind\":\"text_chunk\",\"id\":"
	    "\"7-42\",\"turn\":\"trn_1\",\"step\":2,\"time\":1700000000123,"
	    "\"text\":\"hi\"}";
	const struct event e = { EVENT_TEXT_CHUNK, "trn_1", 2, 1700000000123,
		",\"text\":\"hi\"", 12 };
	struct frame *f = frame_make(&e, (struct event_id){ 7, 42 });

	(void)state;
	expect_parts(f, json, "trn_1");
	assert_memory_equal(f->text, "id: 7-42\ndata: {", 16);
	assert_int_equal(f->kind, EVENT_TEXT_CHUNK);
	assert_int_equal(f->channel, EVENT_PROGRESS);
	assert_int_equal(f->refs, 1);
	frame_unref(&f);
	assert_null(f);
	frame_unref(&f);
}

static void
test_make_unlogged(void **state)
{
	const struct event e = { EVENT_GAP, "", 0, 5, "", 0 };
	struct frame *f = frame_make_unlogged(&e);

	(void)state;
	assert_string_equal(f->text,
	    "data: {\"channel\":\"monitor\",\"kind\":\"gap\",\"turn\":\"\","
	    "\"step\":0,\"time\":5}\n\n");
	expect_parts(f,
	    "{\"channel\":\"monitor\",\"kind\":\"gap\",\"turn\":\"\","
	    "\"step\":0,\"time\":5}",
	    "");
	frame_unref(&f);
}

/* Made here, stored, read back: the same bytes, for every kind. */
static void
test_round_trip(void **state)
{
	static const char rest[] = ",\"text\":\"\\\"kind\\\": \\n\xc3\xa9\","
				   "\"o\":{\"turn\":\"another\"}";
	static const struct event_id ids[] = { { 0, 0 }, { 1, 0 },
		{ 12, SEQ_END }, { UINT64_MAX, UINT64_MAX } };
	struct arena *a = arena_open(4096);

	(void)state;
	for (int k = 0; k < EVENT_KINDS * 4; k++) {
		const struct event e = { (enum event_kind)(k / 4),
			"trn_0123456789abcdefghjkmnpqrs", k - 3,
			k % 2 ? INT64_MAX : -1, rest, sizeof(rest) - 1 };
		struct frame *made = frame_make(&e, ids[k % 4]);
		struct frame *read =
		    frame_new(made->text + made->json_at, made->json_len);

		assert_non_null(read);
		assert_int_equal(read->len, made->len);
		assert_memory_equal(read->text, made->text, made->len + 1);
		assert_int_equal(read->kind, made->kind);
		assert_int_equal(read->channel, made->channel);
		assert_int_equal(event_id_cmp(read->id, made->id), 0);
		assert_int_equal(read->json_at, made->json_at);
		assert_int_equal(read->json_len, made->json_len);
		assert_int_equal(read->turn_at, made->turn_at);
		assert_int_equal(read->turn_len, made->turn_len);
		assert_non_null(json_parse(
		    a, made->text + made->json_at, made->json_len, 8, NULL));
		frame_unref(&made);
		frame_unref(&read);
	}
	arena_close(&a);
}

#define HEAD(id)                                                               \
	"{\"channel\":\"control\",\"kind\":\"done\",\"id\":\"" id              \
	"\",\"turn\":\"t\""

static void
test_not_an_event(void **state)
{
	static const char *const rows[] = { "", "{}", "{\"channel\":\"a\"}",
		"{\"kind\":\"done\",\"channel\":\"control\"}",
		" " HEAD("1-1") "}", HEAD("") "}", HEAD("x") "}",
		HEAD("1-1x") "}",
		"{\"channel\":\"control\",\"kind\":\"done\",\"id\":\"1-1\","
		"\"turn\":5}",
		"{\"channel\":\"control\",\"kind\":\"done\",\"id\":\"1-1\","
		"\"turn\":\"t",
		"{\"channel\":\"control\",\"kind\":\"done\",\"turn\":\"t\"}" };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_null(frame_new(rows[i], strlen(rows[i])));
}

/* Cut anywhere, in memory of its own, nothing is read beyond the end. */
static void
test_cut(void **state)
{
	static const char json[] = HEAD("1-1") ",\"step\":0}";

	(void)state;
	for (size_t n = 0; n < sizeof(json); n++) {
		char *copy = malloc(n + 1);
		struct frame *f;

		memcpy(copy, json, n);
		copy = realloc(copy, n > 0 ? n : 1);
		f = frame_new(copy, n);
		assert_int_equal(f != NULL, n >= sizeof(HEAD("1-1")) - 1);
		frame_unref(&f);
		free(copy);
	}
}

/* What a newer version wrote is shown all the same. */
static void
test_unknown_kind(void **state)
{
	static const char json[] = "{\"channel\":\"dreams\",\"kind\":\"new\","
				   "\"id\":\"3-4\",\"turn\":\"t\",\"x\":1}";
	struct frame *f = frame_new(json, strlen(json));

	(void)state;
	assert_non_null(f);
	assert_int_equal(f->kind, EVENT_KINDS);
	assert_int_equal(f->channel, EVENT_MONITOR);
	expect_parts(f, json, "t");
	frame_unref(&f);
}

static void
test_refs(void **state)
{
	const struct event e = { EVENT_DONE, "t", 0, 0, "", 0 };
	struct frame *f = frame_make_unlogged(&e), *g = frame_ref(f);

	(void)state;
	assert_ptr_equal(f, g);
	frame_unref(&f);
	assert_null(f);
	assert_int_equal(g->refs, 1);
	assert_int_equal(g->kind, EVENT_DONE);
	frame_unref(&g);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_id_good),
		cmocka_unit_test(test_id_bad),
		cmocka_unit_test(test_id_order),
		cmocka_unit_test(test_before),
		cmocka_unit_test(test_gap),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_make),
		cmocka_unit_test(test_make_unlogged),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_not_an_event),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_unknown_kind),
		cmocka_unit_test(test_refs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
