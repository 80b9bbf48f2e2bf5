/* SPDX-License-Identifier: MIT */
/*
 * Keys that change while they are in use: secrets, PEM files and sets of keys,
 * good and broken, with a fake clock and real files.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "auth/identity.h"
#include "auth/jws.h"
#include "auth/jwt.h"
#include "auth/keyring.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/clk.h"
#include "base/err.h"
#include "base/log.h"
#include "conf/conf.h"

#define NOW_S 1700000000
#define ONE "0123456789abcdef0123456789abcdef"
#define TWO "abcdef01234567890123456789abcdef"
#define SET                                                                    \
	"{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":"               \
	"\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}"

static struct arena *arena;
static char dir[] = "/tmp/test_keyring.XXXXXX";
static int64_t clock_ms = NOW_S * INT64_C(1000);

static const char *
path_of(const char *name)
{
	return arena_printf(arena, "%s/%s", dir, name);
}

/* Renames a new file over the old one, as who rotates keys should. */
static void
put_file(const char *name, const char *text)
{
	FILE *f = fopen(path_of("new"), "we");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	assert_int_equal(0, rename(path_of("new"), path_of(name)));
}

static struct conf *
conf_of(const char *settings)
{
	struct buf problems;
	struct conf *c;
	struct err err;

	put_file("conf", settings);
	buf_init(&problems, arena);
	c = conf_load(path_of("conf"), -1, &problems, &err);
	if (c == NULL)
		fail_msg("%s", buf_str(&problems));
	return c;
}

static struct keyring *
ring_of(const struct conf *c)
{
	struct err err = { 0 };
	struct keyring *r = keyring_new(c, &err);

	if (r == NULL)
		fail_msg("%s", err.text);
	return r;
}

/* 1 if a token that is signed with the secret is good, 0 it is not. */
static int
lets_in(struct keyring *r, const char *secret)
{
	struct jws_key *key =
	    jws_key_new_secret("HS256", secret, strlen(secret), NULL);
	struct identity id;
	struct err err;
	char *token;
	int rc;

	assert_non_null(key);
	assert_int_equal(
	    0, jwt_mint(arena, key, "{\"sub\":\"ann\",\"exp\":1700000600}",
		   &token, &err));
	jws_key_free(&key);
	rc = keyring_verify(
	    r, arena, token, strlen(token), NOW_S, &id, NULL, &err);
	if (rc < 0)
		assert_int_equal(err.code, ERR_UNAUTHORIZED);
	else
		assert_string_equal(id.user, "ann");
	return rc == 0;
}

/* The era a second later, when files are looked at. */
static uint64_t
later(struct keyring *r)
{
	clock_ms += 1001;
	clk_fake_set_ms(clock_ms);
	return keyring_era(r);
}

static void
test_rotation(void **state)
{
	struct conf *c;
	struct keyring *r;
	uint64_t era;

	(void)state;
	put_file("secret", ONE "\n");
	c = conf_of(arena_printf(arena,
	    "jwt.secret_file = %s\njwt.old_secret_file = %s\n",
	    path_of("secret"), path_of("old")));
	put_file("old", TWO);
	r = ring_of(c);
	assert_true(lets_in(r, ONE));
	assert_true(lets_in(r, TWO)); /* both are good at once */
	era = later(r);
	assert_int_equal(era, keyring_era(r));

	put_file("old", ONE);
	put_file("secret", "A-NEW-ONE-" ONE);
	assert_int_equal(era, keyring_era(r)); /* not looked at yet */
	assert_true(later(r) > era);
	assert_true(lets_in(r, ONE));
	assert_true(lets_in(r, "A-NEW-ONE-" ONE));
	assert_false(lets_in(r, TWO));
	keyring_free(&r);
	conf_free(&c);
}

/* The old keys stay until the file is good again. */
static void
test_broken_changes(void **state)
{
	static const char *const broken[] = { "", "short", "\n",
		("-----BEGIN PUBLIC KEY-----\n" ONE) };
	struct conf *c;
	struct keyring *r;
	uint64_t era;

	(void)state;
	put_file("secret", ONE);
	c = conf_of(
	    arena_printf(arena, "jwt.secret_file = %s\n", path_of("secret")));
	r = ring_of(c);
	era = keyring_era(r);
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		put_file("secret", broken[i]);
		assert_int_equal(later(r), era);
		assert_true(lets_in(r, ONE));
	}
	unlink(path_of("secret"));
	assert_int_equal(later(r), era);
	assert_true(lets_in(r, ONE));
	put_file("secret", TWO);
	assert_true(later(r) > era);
	assert_true(lets_in(r, TWO));
	assert_false(lets_in(r, ONE));
	keyring_free(&r);
	conf_free(&c);
}

static const char *
pem(void)
{
	EVP_PKEY *pkey = EVP_EC_gen("P-256");
	BIO *bio = BIO_new(BIO_s_mem());
	char *text, *copy;
	long len;

	PEM_write_bio_PUBKEY(bio, pkey);
	len = BIO_get_mem_data(bio, &text);
	copy = arena_memdup(arena, text, (size_t)len);
	BIO_free(bio);
	EVP_PKEY_free(pkey);
	return copy;
}

static void
expect_count(const char *settings, size_t count, const char *reason)
{
	struct conf *c = conf_of(settings);
	struct err err = { 0 };
	struct keyring *r = keyring_new(c, &err);

	if (reason == NULL && r == NULL)
		fail_msg("%s", err.text);
	if (r != NULL)
		assert_int_equal(keyring_count(r), count);
	else if (strstr(err.text, reason) == NULL)
		fail_msg("\"%s\", not \"%s\"", err.text, reason);
	keyring_free(&r);
	conf_free(&c);
}

static void
test_files(void **state)
{
	const char *pems =
	    arena_printf(arena, "jwt.public_key_file = %s\n", path_of("pem"));
	const char *sets =
	    arena_printf(arena, "jwt.jwks_file = %s\n", path_of("set"));
	struct buf many;

	(void)state;
	put_file("pem", arena_printf(arena, "# ours\n%s\n\n# next\n%s# end\n",
			    pem(), pem()));
	expect_count(pems, 2, NULL);
	put_file("set", SET);
	expect_count(sets, 1, NULL);
	expect_count(arena_printf(arena, "%s%s", pems, sets), 3, NULL);
	put_file("set", "{}");
	expect_count(sets, 0, "set: not a set of keys");
	put_file("pem", "");
	expect_count(pems, 0, "it is empty");
	put_file("pem", arena_printf(arena, "%snonsense", pem()));
	expect_count(pems, 1, NULL);
	put_file("pem", "nonsense");
	expect_count(pems, 0, "not exactly one");
	buf_init(&many, arena);
	for (int i = 0; i < 9; i++)
		buf_puts(&many, pem());
	put_file("pem", buf_str(&many));
	expect_count(pems, 0, "more than 8 keys");
	unlink(path_of("pem"));
	expect_count(pems, 0, "No such file");
	expect_count("", 0, "nobody could come in");
}

/* Only the one secret signs: no key of a set, and no old one. */
static void
test_minting(void **state)
{
	static const char claims[] = "{\"sub\":\"ann\",\"exp\":1700000600}";
	struct conf *c;
	struct keyring *r;
	struct err err;
	char *token;

	(void)state;
	put_file("secret", ONE);
	c = conf_of(
	    arena_printf(arena, "jwt.secret_file = %s\n", path_of("secret")));
	r = ring_of(c);
	assert_int_equal(0, keyring_mint(r, arena, claims, &token, &err));
	keyring_free(&r);
	conf_free(&c);
	put_file("pem", pem());
	c = conf_of(
	    arena_printf(arena, "jwt.public_key_file = %s\n", path_of("pem")));
	r = ring_of(c);
	assert_int_equal(-1, keyring_mint(r, arena, claims, &token, &err));
	assert_non_null(strstr(err.text, "only with a shared secret"));
	keyring_free(&r);
	conf_free(&c);
}

static int
setup(void **state)
{
	(void)state;
	unsetenv("AGENT_FPM_JWT_SECRET");
	unsetenv("AGENT_FPM_JWT_OLD_SECRET");
	unsetenv("CREDENTIALS_DIRECTORY");
	arena = arena_open(65536);
	clk_fake_set_ms(clock_ms);
	return mkdtemp(dir) == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	static const char *const names[] = { "conf", "secret", "old", "pem",
		"set" };

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unlink(path_of(names[i]));
	rmdir(dir);
	arena_close(&arena);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rotation),
		cmocka_unit_test(test_broken_changes),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_minting),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
