/* SPDX-License-Identifier: MIT */
/*
 * The configuration: every row of the table against itself, every type with
 * good and bad values, and what a mistake is told to whoever made it.
 */
#include "config.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/err.h"
#include "conf/conf.h"
#include "conf/conf_priv.h"

#define FILE_NAME "t.conf"

static struct buf problems;
static char dir[] = "/tmp/test_conf.XXXXXX";

static int
setup(void **state)
{
	(void)state;
	buf_init(&problems, NULL);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	buf_fini(&problems);
	return 0;
}

/* The configuration that a text makes; problems has what is wrong. */
static struct conf *
load_n(const char *text, size_t len)
{
	int fd = memfd_create("conf", MFD_CLOEXEC);
	struct err err = { 0 };
	struct conf *c;

	assert_int_equal(write(fd, text, len), len);
	buf_clear(&problems);
	c = conf_load(FILE_NAME, fd, &problems, &err);
	close(fd);
	assert_int_equal(err.code, c == NULL ? ERR_CONFIG : ERR_NONE);
	assert_int_equal(problems.len == 0, c != NULL);
	return c;
}

static struct conf *
load(const char *text)
{
	return load_n(text, strlen(text));
}

static void
expect_good(const char *text)
{
	struct conf *c = load(text);

	if (c == NULL)
		fail_msg("%s: %s", text, buf_str(&problems));
	conf_free(&c);
}

/* It is refused, and that is what is said, all of it. */
static void
expect_problems(const char *text, const char *wanted)
{
	assert_null(load(text));
	assert_string_equal(buf_str(&problems), wanted);
}

/* It is refused in line 1, and the message has this in it. */
static void
expect_says(const char *text, const char *part)
{
	assert_null(load(text));
	assert_int_equal(strncmp(buf_str(&problems), FILE_NAME ":1: ", 10), 0);
	if (strstr(buf_str(&problems), part) == NULL)
		fail_msg("%s: not \"%s\"", buf_str(&problems), part);
}

/* ---- the table ---- */

static void
test_defaults(void **state)
{
	struct err err = { 0 };
	struct conf *c = conf_load("", -1, &problems, &err);

	(void)state;
	assert_non_null(c);
	assert_int_equal(problems.len, 0);
	assert_string_equal(c->file, "");
	assert_string_equal(c->listen, "/run/agent-fpm/agent-fpm.sock");
	assert_int_equal(c->listen_mode, 0660);
	assert_int_equal(c->listen_backlog, 4096);
	assert_int_equal(c->drain_timeout_ms, 30000);
	assert_int_equal(c->limits_body_bytes, 1 << 20);
	assert_string_equal(c->model.provider, "anthropic");
	assert_int_equal(c->model.cache_markers, 1);
	assert_string_equal(c->store_prefix, "af:");
	conf_free(&c);
	assert_null(c);
	conf_free(&c);
}

/* What the field of a setting holds. */
static int64_t
number_of(const struct setting *s, const struct conf *c)
{
	int64_t v;

	memcpy(&v, (const char *)c + s->offset, sizeof(v));
	return v;
}

static void
test_every_fallback(void **state)
{
	struct conf *c = load("");

	(void)state;
	for (size_t i = 0; i < settings_count; i++) {
		const struct setting *s = &settings[i];
		struct buf why;

		buf_init(&why, NULL);
		assert_int_equal(setting_parse(s, s->fallback, c, 0, &why), 0);
		assert_int_equal(why.len, 0);
		if (s->type != SETTING_STRING && s->type != SETTING_CHOICE &&
		    s->type != SETTING_PRICE && s->type != SETTING_RATE)
			assert_true(number_of(s, c) >= s->min &&
				    number_of(s, c) <= s->max);
		buf_fini(&why);
	}
	conf_free(&c);
}

/* Names, fields and prose: none missing, no field used twice. */
static void
test_table(void **state)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyz_.";

	(void)state;
	for (size_t i = 0; i < settings_count; i++) {
		const struct setting *s = &settings[i];

		assert_int_equal(strlen(s->name), strspn(s->name, good));
		assert_in_range(strlen(s->name), 1, 50);
		assert_true(strlen(s->prose) > 10);
		assert_ptr_equal(setting_find(s->name), s);
		assert_int_equal(s->choices != NULL, s->type == SETTING_CHOICE);
		for (size_t k = 0; k < i; k++)
			assert_int_not_equal(settings[k].offset, s->offset);
	}
	assert_null(setting_find("nothing"));
	assert_null(setting_find(""));
}

/* Each number takes its bounds and nothing beyond. */
static void
test_every_range(void **state)
{
	struct conf *c = load("");

	(void)state;
	for (size_t i = 0; i < settings_count; i++) {
		const struct setting *s = &settings[i];
		const char *unit = s->type == SETTING_TIME ? "ms" : "";
		char text[40];
		struct buf why;

		if (s->type != SETTING_INT && s->type != SETTING_BYTES &&
		    s->type != SETTING_TIME)
			continue;
		buf_init(&why, NULL);
		for (int d = -1; d <= 1; d++) {
			snprintf(text, sizeof(text), "%lld%s",
			    (long long)(s->min + d), unit);
			assert_int_equal(
			    setting_parse(s, text, c, 0, &why), d < 0 ? -1 : 0);
			snprintf(text, sizeof(text), "%lld%s",
			    (long long)(s->max + d), unit);
			assert_int_equal(
			    setting_parse(s, text, c, 0, &why), d > 0 ? -1 : 0);
		}
		buf_fini(&why);
	}
	conf_free(&c);
}

/* ---- types ---- */

static void
test_good_values(void **state)
{
	static const struct {
		const char *text;
		size_t offset;
		int64_t value;
	} rows[] = {
#define ROW(t, f, v) { t, offsetof(struct conf, f), v }
		ROW("workers = 0", workers, 0),
		ROW("workers=256", workers, 256),
		ROW("workers\t:\t 007 ", workers, 7),
		ROW("limits.body = 1024", limits_body_bytes, 1024),
		ROW("limits.body = 64k", limits_body_bytes, 65536),
		ROW("limits.body = 2M", limits_body_bytes, 2 << 20),
		ROW("limits.body = 1g", limits_body_bytes, 1 << 30),
		ROW("drain_timeout = 0", drain_timeout_ms, 0),
		ROW("drain_timeout = 15ms", drain_timeout_ms, 15),
		ROW("drain_timeout = 15MS", drain_timeout_ms, 15),
		ROW("drain_timeout = 90s", drain_timeout_ms, 90000),
		ROW("drain_timeout = 5m", drain_timeout_ms, 300000),
		ROW("drain_timeout = 1h", drain_timeout_ms, 3600000),
		ROW("listen.mode = 0600", listen_mode, 0600),
		ROW("listen.mode = 660", listen_mode, 0660),
		ROW("model.cache_markers = no", model.cache_markers, 0),
		ROW("model.cache_markers = Yes", model.cache_markers, 1),
		ROW("model.cache_markers = off", model.cache_markers, 0),
		ROW("model.cache_markers = on", model.cache_markers, 1),
		ROW("model.cache_markers = false", model.cache_markers, 0),
		ROW("model.cache_markers = 1", model.cache_markers, 1),
		ROW("log_level = debug", log_level, 0),
		ROW("log_level = error", log_level, 3),
		ROW("model.price_input = 3", model.price_input, 3000000),
		ROW("model.price_input = 0.25", model.price_input, 250000),
		ROW("model.price_input = 1.000001", model.price_input, 1000001),
		ROW("model.price_input =", model.price_input, -1),
		ROW("limits.chats = 7/2m", limits_chats.count, 7),
		ROW("limits.chats = 7/2m", limits_chats.period_ms, 120000),
		ROW("limits.chats = 7/2m", limits_chats.burst, 7),
		ROW("limits.chats = 7/1D  burst=9", limits_chats.burst, 9),
		ROW("limits.chats = 7/1s burst=1", limits_chats.count, 7),
		ROW("limits.chats = off", limits_chats.count, 0),
		ROW("limits.chats = 0", limits_chats.count, 0),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct conf *c = load(rows[i].text);
		int64_t v;

		assert_non_null(c);
		memcpy(&v, (char *)c + rows[i].offset, sizeof(v));
		assert_int_equal(v, rows[i].value);
		conf_free(&c);
	}
}

static void
test_bad_values(void **state)
{
	static const struct {
		const char *text, *says;
	} rows[] = {
		{ "workers =", "workers: \"\" is not a whole number" },
		{ "workers = many", "\"many\" is not a whole number" },
		{ "workers = 1.5", "not a whole number" },
		{ "workers = 4k", "not a whole number" },
		{ "workers = -1", "not a whole number" },
		{ "workers = +1", "not a whole number" },
		{ "workers = 0x10", "not a whole number" },
		{ "workers = 1 2", "not a whole number" },
		{ "workers = 257", "\"257\" is out of range: 0 to 256\n" },
		{ "workers = 99999999999999999999", "not a whole number" },
		{ "limits.body = 1t", "is not a size such as 512, 64k or 1m" },
		{ "limits.body = 1kb", "is not a size" },
		{ "limits.body = k", "is not a size" },
		{ "limits.body = 9999999999999g", "is not a size" },
		{ "limits.body = 1023", "out of range: 1024 to" },
		{ "drain_timeout = 30", "is not a time such as 15ms, 30s" },
		{ "drain_timeout = 1w", "is not a time" },
		{ "drain_timeout = s", "is not a time" },
		{ "drain_timeout = 1.5s", "is not a time" },
		{ "drain_timeout = 61m", "out of range: 0 to 3600000 ms" },
		{ "drain_timeout = 99999999999999999h", "is not a time" },
		{ "listen.mode =", "is not an octal mode such as 0660" },
		{ "listen.mode = 0680", "is not an octal mode" },
		{ "listen.mode = rw-", "is not an octal mode" },
		{ "listen.mode = 0777", "out of range: 0600 to 0666" },
		{ "listen.mode = 0060", "out of range: 0600 to 0666" },
		{ "listen.mode = -0660", "out of range: 0600 to 0666" },
		{ "model.price_input = -1", "is not a price" },
		{ "model.price_input = 1.0000001", "is not a price" },
		{ "model.price_input = 1.2.3", "is not a price" },
		{ "model.price_input = 10000000", "is not a price" },
		{ "limits.chats =",
		    "\"\" is not off, or a rate such as 60/1m" },
		{ "limits.chats = 60", "is not off, or a rate" },
		{ "limits.chats = /1m", "is not off, or a rate" },
		{ "limits.chats = 0/1m", "is not off, or a rate" },
		{ "limits.chats = 60/m", "is not off, or a rate" },
		{ "limits.chats = 60/60", "is not off, or a rate" },
		{ "limits.chats = 60/999ms", "is not off, or a rate" },
		{ "limits.chats = 60/25h", "is not off, or a rate" },
		{ "limits.chats = 60/1m 10", "is not off, or a rate" },
		{ "limits.chats = 60/1m burst=0", "is not off, or a rate" },
		{ "limits.chats = 60/1m burst=", "is not off, or a rate" },
		{ "limits.chats = 60/1m burst=1000001", "is not off, or a" },
		{ "limits.chats = 1000001/1m", "out of range: 0 to 1000000" },
		{ "limits.chats = 60/11111111111111111111111111111111s",
		    "is not off, or a rate" },
		{ "model.cache_markers = maybe", "is not yes or no" },
		{ "model.cache_markers =", "is not yes or no" },
		{ "model.cache_markers = 2", "is not yes or no" },
		{ "log_level = loud",
		    "\"loud\" is none of: debug info warn error" },
		{ "log_level = Debug", "is none of" },
		{ "log_level = deb", "is none of" },
		{ "log_level =", "is none of" },
		{ "log_level = info warn", "is none of" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		expect_says(rows[i].text, rows[i].says);
}

static void
test_strings(void **state)
{
	struct conf *c = load("store.prefix =\n[model]\n"
			      "headers =  a: b | c: d  \nid = x=y:z\n");

	(void)state;
	assert_non_null(c);
	assert_string_equal(c->store_prefix, "");
	assert_string_equal(c->model.headers, "a: b | c: d");
	assert_string_equal(c->model.id, "x=y:z");
	conf_free(&c);
}

/* ---- sections with names ---- */

/* A model begins as a copy of [model], wherever that stands. */
static void
test_named_models(void **state)
{
	struct conf *c =
	    load("[model fast]\nid = small\nretries = 5\n"
		 "[model other]\nprovider = openai\nprice_output = 1.5\n"
		 "[model]\nid = large\nretries = 1\nheaders = a: b\n"
		 "max_tokens = 100\n[store]\nprefix = x\n");

	(void)state;
	if (c == NULL)
		fail_msg("%s", buf_str(&problems));
	assert_int_equal(c->model_count, 2);
	assert_string_equal(c->model.label, "default");
	assert_string_equal(c->model.id, "large");
	assert_string_equal(c->store_prefix, "x");
	assert_string_equal(c->models[0].label, "fast");
	assert_string_equal(c->models[0].provider, "anthropic");
	assert_string_equal(c->models[0].id, "small");
	assert_string_equal(c->models[0].headers, "a: b");
	assert_int_equal(c->models[0].retries, 5);
	assert_int_equal(c->models[0].max_tokens, 100);
	/* With another provider, without what goes with that one. */
	assert_string_equal(c->models[1].provider, "openai");
	assert_string_equal(c->models[1].id, "");
	assert_string_equal(c->models[1].headers, "");
	assert_int_equal(c->models[1].retries, 1);
	assert_int_equal(c->models[1].price_output, 1500000);
	assert_ptr_equal(conf_model_find(c, ""), &c->model);
	assert_ptr_equal(conf_model_find(c, "default"), &c->model);
	assert_ptr_equal(conf_model_find(c, "other"), &c->models[1]);
	assert_null(conf_model_find(c, "none"));
	conf_free(&c);
}

static void
test_named_providers(void **state)
{
	struct conf *c = load("[provider mine]\nurl = http://x/v1\n"
			      "quirks = max-tokens\n");

	(void)state;
	assert_non_null(c);
	assert_int_equal(c->provider_count, 1);
	assert_string_equal(c->providers[0].label, "mine");
	assert_string_equal(c->providers[0].like, "openai");
	assert_string_equal(c->providers[0].url, "http://x/v1");
	conf_free(&c);
}

static void
test_named_mistakes(void **state)
{
	static const struct row {
		const char *text, *says;
	} rows[] = {
		{ "[model a]\nid = 1\n[model a]\nid = 2\n",
		    "[model a] is there twice" },
		{ "[model default]\nid = 1\n", "cannot be a model's name" },
		{ "[model a,b]\nid = 1\n", "cannot be a model's name" },
		{ "[model a]\nworkers = 1\n", "no setting" },
		{ "[model a]\nretries = many\n", ":2: " },
		{ "[model a]\nretries = 1\nretries = 2\n", "set twice" },
		{ "[provider]\nurl = x\n", "write [provider NAME]" },
		{ "[models a]\nid = 1\n", "no setting" },
		{ "[model a]\nthinking = 12\n", "model.thinking of a" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (load(rows[i].text) != NULL ||
		    strstr(buf_str(&problems), rows[i].says) == NULL)
			fail_msg("%s: %s", rows[i].says, buf_str(&problems));
}

/* ---- files ---- */

static void
test_syntax(void **state)
{
	struct conf *c;

	(void)state;
	expect_good("");
	expect_good("\n\n# a\n; b\n  # c\n");
	expect_good("workers = 1"); /* no line end */
	expect_good("[store]\r\ndatabase = 1\r\n");
	expect_good("\xef\xbb\xbfworkers = 1\n");
	c = load("listen.mode = 0600\nworkers = 3\n[store]\ndatabase = 5\n"
		 "[jwt]\nissuer = me\n[store]\nprefix = x:\n"
		 "limits.inbox = 9\n");
	assert_non_null(c);
	assert_int_equal(c->listen_mode, 0600);
	assert_int_equal(c->store_database, 5);
	assert_string_equal(c->store_prefix, "x:");
	assert_string_equal(c->jwt_issuer, "me");
	assert_int_equal(c->limits_inbox, 9);
	assert_string_equal(c->file, FILE_NAME);
	conf_free(&c);
}

#define SYNTAX "neither [section] nor name = value nor a comment (# or ;)\n"

static void
test_syntax_errors(void **state)
{
	(void)state;
	expect_problems("workers\n", FILE_NAME ":1: " SYNTAX);
	expect_problems("\n\n[store\n", FILE_NAME ":3: " SYNTAX);
	expect_problems(
	    "workers = 1\nwhat is this\n[jwt]\n", FILE_NAME ":2: " SYNTAX);
}

/* All mistakes, each with its line, in the order of the lines. */
static void
test_all_mistakes(void **state)
{
	(void)state;
	expect_problems("workers = x\n\n[store]\ndatabase = y\nlease = 1\n",
	    FILE_NAME
	    ":1: workers: \"x\" is not a whole number\n" FILE_NAME
	    ":4: store.database: \"y\" is not a whole number\n" FILE_NAME
	    ":5: store.lease: \"1\" is not a time such as 15ms, 30s, "
	    "5m, 1h or 7d\n");
}

static void
test_all_syntax_errors(void **state)
{
	(void)state;
	expect_problems("one\ntwo\nworkers = x\nthree\n",
	    FILE_NAME ":1: " SYNTAX FILE_NAME ":2: " SYNTAX FILE_NAME
		      ":3: workers: \"x\" is not a whole number\n" FILE_NAME
		      ":4: " SYNTAX);
}

/* An indented line is a line, not the rest of the one before. */
static void
test_indented(void **state)
{
	struct conf *c = load("[jwt]\n\tissuer = a\n\taudience = b\n");

	(void)state;
	if (c == NULL)
		fail_msg("%s", buf_str(&problems));
	assert_string_equal(c->jwt_issuer, "a");
	assert_string_equal(c->jwt_audience, "b");
	conf_free(&c);
}

/* Nothing that stands in the file is passed over in silence. */
static void
test_nul(void **state)
{
	static const char text[] = "workers = 1\n\0\nworkers = nonsense\n";

	(void)state;
	assert_null(load_n(text, sizeof(text) - 1));
}

static void
test_nearest_names(void **state)
{
	static const struct {
		const char *text, *near;
	} rows[] = {
		{ "worker = 1", "workers" },
		{ "wrokers = 1", "workers" },
		{ "Workers = 1", "workers" },
		{ "loglevel = info", "log_level" },
		{ "jwt.isuer = x", "jwt.issuer" },
		{ "store.adress = x", "store.address" },
		{ "issuer = x", "jwt.issuer" },
		{ "store.issuer = x", "jwt.issuer" },
		{ "heartbeat = 5s", "events.heartbeat" },
		{ "limit.body = 1m", "limits.body" },
		{ "model.first_byte_timout = 1s", "model.first_byte_timeout" },
	};
	char wanted[100];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(wanted, sizeof(wanted), "did you mean \"%s\"?\n",
		    rows[i].near);
		expect_says(rows[i].text, wanted);
	}
}

static void
test_unknown_names(void **state)
{
	char name[190];

	(void)state;
	expect_problems("flux_capacitor = 1\n",
	    FILE_NAME ":1: there is no setting \"flux_capacitor\"; "
		      "agent-fpm.conf(5) lists them all\n");
	memset(name, 'x', sizeof(name));
	memcpy(name + sizeof(name) - 5, " = 1", 5);
	expect_says(name, "lists them all");
	expect_says("= 1", "there is no setting \"\"");
}

static void
test_unknown_section(void **state)
{
	(void)state;
	expect_problems("[jtw]\nissuer = x\n",
	    FILE_NAME ":2: there is no setting \"jtw.issuer\"; did you mean "
		      "\"jwt.issuer\"?\n");
	expect_problems("[weather]\nrain = yes\n",
	    FILE_NAME ":2: there is no setting \"weather.rain\"; "
		      "agent-fpm.conf(5) lists them all\n");
}

static void
test_empty_section(void **state)
{
	(void)state;
	expect_problems("workers = 1\n[jwtt]\n# nothing\n\n[store]\n",
	    FILE_NAME ":2: there is no section [jwtt]; agent-fpm.conf(5) "
		      "lists them all\n");
	expect_problems("[weather]",
	    FILE_NAME ":1: there is no section [weather]; agent-fpm.conf(5) "
		      "lists them all\n");
}

static void
test_set_twice(void **state)
{
	(void)state;
	expect_problems("workers = 1\nworkers = 1\n",
	    FILE_NAME ":2: workers is set twice; keep one\n");
	expect_problems("jwt.issuer = a\n[jwt]\nissuer = b\n",
	    FILE_NAME ":3: jwt.issuer is set twice; keep one\n");
}

static void
test_long_lines(void **state)
{
	char text[600];
	struct conf *c;

	(void)state;
	memset(text, 'x', sizeof(text));
	memcpy(text, "jwt.issuer = ", 13);
	text[198] = '\n';
	c = load_n(text, 199);
	assert_non_null(c);
	assert_int_equal(strlen(c->jwt_issuer), 198 - 13);
	conf_free(&c);
	text[198] = 'x';
	text[199] = '\n';
	assert_null(load_n(text, 200));
	assert_string_equal(buf_str(&problems),
	    FILE_NAME ":1: the line is longer than 198 characters\n");
	assert_null(load_n(text + 200, 400));
	text[0] = '#';
	memcpy(text + 500, "\nworkers = x\n", 13);
	text[199] = 'x';
	assert_null(load_n(text, 513));
	assert_non_null(strstr(buf_str(&problems), FILE_NAME ":2: workers"));
}

static void
test_pairs(void **state)
{
	char text[200] = "listen = /";

	(void)state;
	expect_good("model.thinking = 1024\n");
	assert_null(load("model.thinking = 1023\n"));
	assert_non_null(
	    strstr(buf_str(&problems), "model.thinking of default must be"));
	assert_null(load("model.thinking = 4096\nmodel.max_tokens = 4096\n"));
	assert_null(load("listen = 127.0.0.1:9000\n"));
	assert_non_null(strstr(buf_str(&problems), "absolute path"));
	memset(text + 10, 's', 107);
	assert_null(load(text));
	assert_non_null(strstr(buf_str(&problems), "too long"));
	text[117 - 1] = '\0';
	expect_good(text);
}

static const char *
path_of(const char *name)
{
	static char path[sizeof(dir) + 64];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static const char *
file_make(const char *name, const char *text, size_t len)
{
	const char *path = path_of(name);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	fclose(f);
	return path;
}

static void
test_file(void **state)
{
	const char *path = file_make("a.conf", "workers = 5\nfoo = 1\n", 20);
	struct err err = { 0 };
	struct conf *c = conf_load(path, -1, &problems, &err);
	char wanted[200];

	(void)state;
	assert_null(c);
	assert_int_equal(err.code, ERR_CONFIG);
	assert_non_null(strstr(err.text, "1 mistake in "));
	snprintf(wanted, sizeof(wanted), "%s:2: there is no setting", path);
	assert_int_equal(
	    strncmp(buf_str(&problems), wanted, strlen(wanted)), 0);
	file_make("a.conf", "workers = 5\n", 12);
	c = conf_load(path, -1, &problems, &err);
	assert_non_null(c);
	assert_int_equal(c->workers, 5);
	assert_string_equal(c->file, path);
	conf_free(&c);
}

static void
test_file_missing(void **state)
{
	struct err err = { 0 };

	(void)state;
	assert_null(conf_load("/nonexistent/x.conf", -1, &problems, &err));
	assert_int_equal(err.code, ERR_CONFIG);
	assert_string_equal(buf_str(&problems),
	    "/nonexistent/x.conf: No such file or directory\n");
	buf_clear(&problems);
	assert_null(conf_load(dir, -1, &problems, &err));
	assert_non_null(strstr(buf_str(&problems), "directory"));
}

static void
test_file_too_large(void **state)
{
	size_t len = 300 * 1024;
	char *text = malloc(len);

	(void)state;
	assert_non_null(text);
	memset(text, '\n', len);
	assert_null(load_n(text, len));
	assert_non_null(strstr(buf_str(&problems), "larger than"));
	free(text);
}

/* The workers read what the master read, each from its start. */
static void
test_descriptor_is_read_again(void **state)
{
	int fd = memfd_create("conf", MFD_CLOEXEC);
	struct err err = { 0 };

	(void)state;
	assert_int_equal(write(fd, "workers = 9\n", 12), 12);
	for (int i = 0; i < 3; i++) {
		struct conf *c = conf_load("x", fd, &problems, &err);

		assert_non_null(c);
		assert_int_equal(c->workers, 9);
		conf_free(&c);
	}
	close(fd);
}

/* ---- secrets ---- */

static void
expect_secret(const char *text, const char *name, const char *wanted)
{
	struct conf *c = load(text);
	struct err err = { 0 };
	struct buf b;

	assert_non_null(c);
	assert_int_equal(
	    conf_secret(c, name, &b, &err), *wanted == '\0' ? 0 : 1);
	assert_string_equal(buf_str(&b), wanted);
	assert_int_equal(b.len, strlen(wanted));
	conf_wipe(&b);
	assert_null(b.data);
	conf_free(&c);
}

static const char *const secret_rows[][3] = {
	{ "jwt.secret", "jwt.secret_file", "AGENT_FPM_JWT_SECRET" },
	{ "store.password", "store.password_file", "AGENT_FPM_STORE_PASSWORD" },
	{ "tool.secret", "tool.secret_file", "AGENT_FPM_TOOL_SECRET" },
};

/* File before credential before variable, for each of the three. */
static void
test_secret_order(void **state)
{
	char text[200];

	(void)state;
	for (int i = 0; i < 3; i++) {
		const char *name = secret_rows[i][0];

		unsetenv("CREDENTIALS_DIRECTORY");
		unsetenv(secret_rows[i][2]);
		expect_secret("", name, "");
		setenv(secret_rows[i][2], "from the environment", 1);
		expect_secret("", name, "from the environment");
		setenv("CREDENTIALS_DIRECTORY", dir, 1);
		unlink(path_of(name));
		expect_secret("", name, "from the environment");
		file_make(name, "from systemd", 12);
		expect_secret("", name, "from systemd");
		snprintf(text, sizeof(text), "%s = %s\n", secret_rows[i][1],
		    file_make("own", "from the file", 13));
		expect_secret(text, name, "from the file");
		unsetenv("CREDENTIALS_DIRECTORY");
		unsetenv(secret_rows[i][2]);
		expect_secret(text, name, "from the file");
	}
}

static void
test_secret_line_end(void **state)
{
	static const char *const rows[] = { "secret", "secret\n",
		"secret\r\n" };
	char text[200];

	(void)state;
	for (int i = 0; i < 3; i++) {
		snprintf(text, sizeof(text), "jwt.secret_file = %s\n",
		    file_make("own", rows[i], strlen(rows[i])));
		expect_secret(text, "jwt.secret", "secret");
	}
	file_make("own", " in\nside ", 9);
	expect_secret(text, "jwt.secret", " in\nside ");
	file_make("own", "\n", 1);
	expect_secret(text, "jwt.secret", "");
}

static void
expect_key(const struct conf_model *m, const char *variable, const char *wanted)
{
	struct err err = { 0 };
	struct buf key;

	assert_int_equal(
	    conf_model_key(m, variable, &key, &err), *wanted != '\0');
	assert_string_equal(buf_str(&key), wanted);
	conf_wipe(&key);
}

/* The same order; a named model has a credential of its own. */
static void
test_model_key(void **state)
{
	struct conf *c = load("[model a]\nid = x\n");

	(void)state;
	unsetenv("CREDENTIALS_DIRECTORY");
	unsetenv("SOME_KEY");
	expect_key(&c->models[0], "SOME_KEY", "");
	expect_key(&c->models[0], "", "");
	setenv("SOME_KEY", "from the environment", 1);
	expect_key(&c->models[0], "SOME_KEY", "from the environment");
	setenv("CREDENTIALS_DIRECTORY", dir, 1);
	file_make("model.api_key", "of the default\n", 15);
	expect_key(&c->model, "SOME_KEY", "of the default");
	expect_key(&c->models[0], "SOME_KEY", "from the environment");
	file_make("model.a.api_key", "of a", 4);
	expect_key(&c->models[0], "SOME_KEY", "of a");
	unlink(path_of("model.a.api_key"));
	unlink(path_of("model.api_key"));
	unsetenv("CREDENTIALS_DIRECTORY");
	unsetenv("SOME_KEY");
	conf_free(&c);
}

/* A file that is named and not there is an error, whatever else there is. */
static void
test_secret_missing(void **state)
{
	struct conf *c = load("jwt.secret_file = /nonexistent/key\n");
	struct err err = { 0 };
	struct buf b;

	(void)state;
	setenv("AGENT_FPM_JWT_SECRET", "another", 1);
	assert_int_equal(conf_secret(c, "jwt.secret", &b, &err), -1);
	conf_wipe(&b);
	assert_int_equal(err.code, ERR_CONFIG);
	assert_non_null(strstr(err.text, "jwt.secret_file"));
	assert_non_null(strstr(err.text, "/nonexistent/key"));
	unsetenv("AGENT_FPM_JWT_SECRET");
	conf_free(&c);
}

static void
test_secret_too_large(void **state)
{
	struct err err = { 0 };
	char *big = calloc(1, 70000);
	char text[200];
	struct conf *c;
	struct buf b;

	(void)state;
	assert_non_null(big);
	snprintf(text, sizeof(text), "jwt.secret_file = %s\n",
	    file_make("own", big, 70000));
	free(big);
	c = load(text);
	assert_int_equal(conf_secret(c, "jwt.secret", &b, &err), -1);
	assert_int_equal(err.code, ERR_CONFIG);
	conf_wipe(&b);
	conf_free(&c);
}

/* ---- what is printed ---- */

/* The sample as it is, and with every setting's # taken away. */
static void
test_sample_loads(void **state)
{
	struct conf *c, *defaults = load("");
	struct buf sample, bare;
	size_t set = 0;

	(void)state;
	buf_init(&sample, NULL);
	buf_init(&bare, NULL);
	conf_print_sample(&sample);
	expect_good(buf_str(&sample));
	for (const char *p = buf_str(&sample); *p != '\0';) {
		size_t n = strcspn(p, "\n") + 1;
		int setting = *p == '#' && p[1] != ' ' && p[1] != '\n';

		set += setting && p[1] != '[';
		buf_add(&bare, p + setting, n - (size_t)setting);
		assert_in_range(n, 1, 82);
		p += n;
	}
	assert_int_equal(set, settings_count);
	c = load(buf_str(&bare));
	if (c == NULL)
		fail_msg("%s", buf_str(&problems));
	for (size_t i = 0; i < settings_count; i++)
		if (settings[i].type != SETTING_STRING)
			assert_int_equal(number_of(&settings[i], c),
			    number_of(&settings[i], defaults));
	assert_string_equal(c->model.url, defaults->model.url);
	conf_free(&c);
	conf_free(&defaults);
	buf_fini(&sample);
	buf_fini(&bare);
}

static void
test_manual_names_all(void **state)
{
	char item[100];
	struct buf man;

	(void)state;
	buf_init(&man, NULL);
	conf_print_man(&man);
	for (size_t i = 0; i < settings_count; i++) {
		snprintf(item, sizeof(item), "\n.It Ic %s\n", settings[i].name);
		assert_non_null(strstr(buf_str(&man), item));
	}
	buf_fini(&man);
}

static int
group_setup(void **state)
{
	(void)state;
	return mkdtemp(dir) == NULL ? -1 : 0;
}

static int
group_teardown(void **state)
{
	(void)state;
	unlink(path_of("a.conf"));
	unlink(path_of("own"));
	for (int i = 0; i < 3; i++)
		unlink(path_of(secret_rows[i][0]));
	return rmdir(dir);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_defaults),
		TEST(test_every_fallback),
		TEST(test_table),
		TEST(test_every_range),
		TEST(test_good_values),
		TEST(test_bad_values),
		TEST(test_strings),
		TEST(test_named_models),
		TEST(test_named_providers),
		TEST(test_named_mistakes),
		TEST(test_syntax),
		TEST(test_syntax_errors),
		TEST(test_all_mistakes),
		TEST(test_all_syntax_errors),
		TEST(test_indented),
		TEST(test_nul),
		TEST(test_nearest_names),
		TEST(test_unknown_names),
		TEST(test_unknown_section),
		TEST(test_empty_section),
		TEST(test_set_twice),
		TEST(test_long_lines),
		TEST(test_pairs),
		TEST(test_file),
		TEST(test_file_missing),
		TEST(test_file_too_large),
		TEST(test_descriptor_is_read_again),
		TEST(test_secret_order),
		TEST(test_secret_line_end),
		TEST(test_model_key),
		TEST(test_secret_missing),
		TEST(test_secret_too_large),
		TEST(test_sample_loads),
		TEST(test_manual_names_all),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
