/* SPDX-License-Identifier: MIT */
/* The form of API keys and of their hashes, and how often wrong ones count. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "auth/api_key.h"
#include "auth/api_keys.h"
#include "auth/identity.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/clk.h"
#include "base/err.h"
#include "conf/conf.h"

#define NOW 1700000000

/* RFC 7914, section 12: pleaseletmein, SodiumChloride, 64 bytes. */
#define RFC7914                                                                \
	"$scrypt$ln=14,r=8,p=1$U29kaXVtQ2hsb3JpZGU$"                           \
	"cCO9yzr9c0hGHAbNgf046/2o+7qQT44+qbVD9lRdofLVQylVYT8Pz2LUlwUkKp"       \
	"r55h6F3A1lHkDfzwF7RVdYhw"

static void
test_keys(void **state)
{
	char key[API_KEY_SIZE], again[API_KEY_SIZE], name[API_KEY_NAME_SIZE];
	char longest[API_KEY_NAME_SIZE];

	(void)state;
	api_key_make("ci.build-1", key);
	api_key_make("ci.build-1", again);
	assert_string_not_equal(key, again);
	assert_int_equal(strncmp(key, "afk_ci.build-1_", 15), 0);
	assert_int_equal(strlen(key), 15 + 52);
	assert_int_equal(api_key_name(key, strlen(key), name), 1);
	assert_string_equal(name, "ci.build-1");
	for (size_t n = 0; n < strlen(key); n++)
		assert_int_equal(api_key_name(key, n, name), 0);
	memset(longest, 'n', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	api_key_make(longest, key);
	assert_int_equal(api_key_name(key, strlen(key), name), 1);
	assert_string_equal(name, longest);
}

static void
test_no_keys(void **state)
{
	static const char random[] =
	    "0123456789abcdefghjkmnpqrs0123456789abcdefghjkmnpqrs";
	static const char *const before[] = { "afk__", "afk_a b_", "AFK_a_",
		"afk_\xc3\xa4_", "afk-a_", "eyJ_a_", "" };
	char key[200], name[API_KEY_NAME_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(before) / sizeof(before[0]); i++) {
		snprintf(key, sizeof(key), "%s%s", before[i], random);
		assert_int_equal(api_key_name(key, strlen(key), name), 0);
	}
	snprintf(key, sizeof(key), "afk_a_%s", random);
	assert_int_equal(api_key_name(key, strlen(key), name), 1);
	for (size_t i = 6; i < strlen(key); i++) {
		char was = key[i];

		key[i] = 'U';
		assert_int_equal(api_key_name(key, strlen(key), name), 0);
		key[i] = was;
	}
}

static void
test_hashes(void **state)
{
	struct api_key_hash h;
	char key[API_KEY_SIZE];
	struct buf text;
	struct err err;

	(void)state;
	assert_int_equal(api_key_hash_parse(RFC7914, &h, &err), 0);
	assert_int_equal(h.hash_len, 64);
	assert_int_equal(api_key_hash_is_of(&h, "pleaseletmein", 13), 1);
	assert_int_equal(api_key_hash_is_of(&h, "pleaseletmeim", 13), 0);
	assert_int_equal(api_key_hash_is_of(&h, "", 0), 0);
	api_key_make("a", key);
	buf_init(&text, NULL);
	api_key_hash_make(&text, key);
	assert_int_equal(api_key_hash_parse(text.data, &h, &err), 0);
	assert_int_equal(api_key_hash_is_of(&h, key, strlen(key)), 1);
	assert_int_equal(api_key_hash_is_of(&h, key, strlen(key) - 1), 0);
	buf_fini(&text);
}

static void
test_no_hashes(void **state)
{
#define TAIL "$U29kaXVtQ2hsb3JpZGU$cCO9yzr9c0hGHAbNgf04/2o+6qQ"
	static const char *const bad[] = { "", "afk_a_b", "$scrypt$",
		RFC7914 "=", RFC7914 "$", "$scrypt$ln=9,r=8,p=1" TAIL,
		"$scrypt$ln=20,r=8,p=1" TAIL, "$scrypt$ln=17,r=8,p=1" TAIL,
		"$scrypt$ln=14,r=0,p=1" TAIL, "$scrypt$ln=14,r=8,p=0" TAIL,
		"$scrypt$ln=14,r=8,p=5" TAIL, "$scrypt$ln=14,r=99,p=1" TAIL,
		"$scrypt$ln=-4,r=8,p=1" TAIL, "$argon2id$v=19$m=1,t=1,p=1" TAIL,
		"$scrypt$ln=14,r=8,p=1$$cCO9yzr9c0hGHAbNgf04/2o+6qQ",
		"$scrypt$ln=14,r=8,p=1$U29kaXVtQ2hsb3JpZGU$",
		"$scrypt$ln=14,r=8,p=1$U29kaXVtQ2hsb3JpZGU$cCO9yzr9",
		"$scrypt$ln=14,r=8,p=1$U29-aXVtQ2hsb3JpZGU$"
		"cCO9yzr9c0hGHAbNgf04/2o+6qQ" };
	struct api_key_hash h;
	struct err err;

	(void)state;
	assert_int_equal(
	    api_key_hash_parse("$scrypt$ln=14,r=8,p=1" TAIL, &h, &err), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (api_key_hash_parse(bad[i], &h, &err) == 0)
			fail_msg("%s was taken", bad[i]);
		assert_int_equal(err.code, ERR_CONFIG);
	}
}

static void
test_dates(void **state)
{
	static const struct {
		const char *text;
		int64_t at;
	} rows[] = {
		{ "1970-01-01", 0 },
		{ "2026-11-21", 1795219200 },
		{ "2026-11-21T09:30:00Z", 1795253400 },
		{ "2028-02-29", 1835395200 },
		{ "2027-02-29", -1 },
		{ "2026-11-31", -1 },
		{ "2026-11-21T09:30:00", -1 },
		{ "2026-11-21 09:30:00Z", -1 },
		{ "2026-11-21Z", -1 },
		{ "2026-13-01", -1 },
		{ "tomorrow", -1 },
		{ "", -1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int64_t at = -1;

		assert_int_equal(
		    api_key_time(rows[i].text, &at), rows[i].at < 0 ? -1 : 0);
		assert_int_equal(at, rows[i].at);
	}
}

/* ---- keys of a configuration ---- */

struct world {
	struct conf conf;
	struct conf_api_key key;
	struct arena *arena;
	char text[API_KEY_SIZE];
	struct api_keys *keys;
};

static char *
copy(struct world *w, const char *s)
{
	return arena_strdup(w->arena, s);
}

static void
world_make(struct world *w)
{
	struct buf hash;

	memset(w, 0, sizeof(*w));
	w->arena = arena_open(4096);
	api_key_make("a", w->text);
	buf_init(&hash, w->arena);
	api_key_hash_make(&hash, w->text);
	w->conf.approval_role = copy(w, "boss");
	w->conf.budget_role = w->conf.admin_role = copy(w, "");
	w->key = (struct conf_api_key){ .label = copy(w, "a"),
		.hash = hash.data,
		.user = copy(w, "ann"),
		.tenant = copy(w, "acme"),
		.roles = copy(w, "boss"),
		.scopes = copy(w, "chat files:read"),
		.created = copy(w, "2023-01-01"),
		.expires = copy(w, "2024-01-01") };
	w->conf.api_keys = &w->key;
	w->conf.api_key_count = 1;
}

static void
world_fini(struct world *w)
{
	api_keys_free(&w->keys);
	arena_close(&w->arena);
	clk_fake_set_ms(-1);
}

static int
verify(struct world *w, const char *key, struct identity *id)
{
	struct err err;

	memset(id, 0, sizeof(*id));
	if (api_keys_verify(w->keys, key, strlen(key), NOW, id, &err) == 0)
		return 0;
	assert_true(err.code == ERR_UNAUTHORIZED || err.retry_after_s > 0);
	return (int)err.code;
}

static void
test_identity(void **state)
{
	struct identity id;
	struct world w;
	struct err err;

	(void)state;
	world_make(&w);
	w.keys = api_keys_new(&w.conf, &err);
	assert_non_null(w.keys);
	assert_int_equal(verify(&w, w.text, &id), 0);
	assert_string_equal(id.user, "ann");
	assert_string_equal(id.tenant, "acme");
	assert_int_equal(id.roles, 1 << IDENTITY_APPROVER);
	assert_int_equal(
	    id.scopes, 1 << IDENTITY_CHAT | 1 << IDENTITY_FILES_READ);
	assert_int_equal(id.scoped, 1);
	assert_int_equal(id.issued_s, 1672531200);
	assert_int_equal(id.expires_s, 1704067200);
	assert_int_equal(strncmp(id.jti, "afk_a.", 6), 0);
	assert_int_equal(strlen(id.jti), 6 + 16);
	assert_int_equal(api_keys_verify(w.keys, w.text, strlen(w.text),
			     id.expires_s, &id, &err),
	    -1);
	assert_int_equal(err.code, ERR_UNAUTHORIZED);
	world_fini(&w);
}

static void
test_sections(void **state)
{
	static const struct {
		size_t offset;
		const char *value;
	} bad[] = {
		{ offsetof(struct conf_api_key, hash), "x" },
		{ offsetof(struct conf_api_key, user), "" },
		{ offsetof(struct conf_api_key, user), "a b" },
		{ offsetof(struct conf_api_key, tenant), "\xc3\xa4" },
		{ offsetof(struct conf_api_key, roles), "boss chief" },
		{ offsetof(struct conf_api_key, scopes), "chat talk" },
		{ offsetof(struct conf_api_key, created), "then" },
		{ offsetof(struct conf_api_key, expires), "2024-02-31" },
	};
	struct world w;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		world_make(&w);
		*(char **)(void *)((char *)&w.key + bad[i].offset) =
		    copy(&w, bad[i].value);
		assert_null(api_keys_new(&w.conf, &err));
		assert_int_equal(err.code, ERR_CONFIG);
		assert_non_null(strstr(err.text, "[api_key a]"));
		world_fini(&w);
	}
}

/* Three are hashed in a second; who knows the key gets in all the same. */
static void
test_wrong_keys(void **state)
{
	char wrong[API_KEY_SIZE];
	struct identity id;
	struct world w;
	struct err err;

	(void)state;
	world_make(&w);
	clk_fake_set_ms(5000);
	w.keys = api_keys_new(&w.conf, &err);
	for (int i = 0; i < 6; i++) {
		api_key_make("a", wrong);
		assert_int_equal(verify(&w, wrong, &id),
		    i < 3 ? ERR_UNAUTHORIZED : ERR_LIMIT);
	}
	assert_int_equal(verify(&w, w.text, &id), ERR_LIMIT);
	clk_fake_set_ms(6000);
	assert_int_equal(verify(&w, w.text, &id), 0);
	for (int i = 0; i < 6; i++) {
		api_key_make("a", wrong);
		assert_int_equal(verify(&w, wrong, &id),
		    i < 3 ? ERR_UNAUTHORIZED : ERR_LIMIT);
	}
	assert_int_equal(verify(&w, w.text, &id), 0);
	clk_fake_set_ms(6000 + 3600 * 1000);
	for (int i = 0; i < 4; i++) {
		api_key_make("a", wrong);
		verify(&w, wrong, &id);
	}
	assert_int_equal(verify(&w, w.text, &id), 0);
	api_key_make("b", wrong);
	assert_int_equal(verify(&w, wrong, &id), ERR_UNAUTHORIZED);
	world_fini(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_no_keys),
		cmocka_unit_test(test_hashes),
		cmocka_unit_test(test_no_hashes),
		cmocka_unit_test(test_dates),
		cmocka_unit_test(test_identity),
		cmocka_unit_test(test_sections),
		cmocka_unit_test(test_wrong_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
