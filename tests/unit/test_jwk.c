/* SPDX-License-Identifier: MIT */
/*
 * Sets of keys as issuers publish them, and the choice of a key by its name.
 * Published vectors of single keys are in test_jwt_vectors.c.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/jwk.h"
#include "auth/jws.h"
#include "base/arena.h"
#include "base/b64.h"
#include "base/buf.h"
#include "base/err.h"

/* RFC 8037 A.2, RFC 7515 A.3 and A.2. */
#define ED_X "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
#define EC_X "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
#define EC_Y "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
#define ED(more)                                                               \
	"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" ED_X "\"" more "}"
#define EC(more)                                                               \
	"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_X "\",\"y\":\"" EC_Y   \
	"\"" more "}"
#define OCT(k, more) "{\"kty\":\"oct\",\"k\":\"" k "\"" more "}"
#define K32 "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"
#define K32B "YWJjZGVmMDEyMzQ1Njc4OTAxMjM0NTY3ODlhYmNkZWY"
#define SET(keys) "{\"keys\":[" keys "]}"
#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static struct arena *arena;

/* How many keys a set has, or -1 and why. */
static int
read_set(const char *text, int secrets, const char *algs, struct err *err)
{
	struct jwks set;
	int n = -1;

	if (jwks_read(text, strlen(text), secrets, algs, &set, err) == 0)
		n = (int)set.count;
	jwks_clear(&set);
	return n;
}

static void
test_good_sets(void **state)
{
	static const struct {
		const char *text, *algs;
		int secrets, keys;
	} rows[] = {
		{ SET(ED("")), "", 0, 1 },
		{ SET(ED(",\"kid\":\"a\"") "," EC(",\"kid\":\"b\"")), "", 0,
		    2 },
		{ SET(ED(",\"kid\":\"a\"") "," EC(",\"kid\":\"a\"")), "", 0,
		    2 },
		{ SET(ED("") "," EC("")), "ES256", 0, 1 },
		{ SET(ED("") "," EC("")), "RS256 ES256 EdDSA", 0, 2 },
		/* To encrypt with, unknown, too small: passed over. */
		{ SET(ED("") "," EC(",\"use\":\"enc\"")), "", 0, 1 },
		{ SET(ED("") "," EC(",\"key_ops\":[\"deriveKey\"]")), "", 0,
		    1 },
		{ SET(ED("") ",{\"kty\":\"AKP\"}"), "", 0, 1 },
		{ SET(ED("") "," EC(",\"alg\":\"ECDH-ES\"")), "", 0, 1 },
		{ SET(ED(
		      "") ",{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}"),
		    "", 0, 1 },
		{ SET(EC(
		      ",\"use\":\"sig\",\"key_ops\":[\"verify\"],\"x5c\":[]")),
		    "", 0, 1 },
		{ SET(OCT(K32, ",\"kid\":\"1\"") "," OCT(
		      K32B, ",\"kid\":\"2\"")),
		    "", 1, 2 },
	};
	struct err err = { 0 };

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		if (read_set(rows[i].text, rows[i].secrets, rows[i].algs,
			&err) != rows[i].keys)
			fail_msg("%s: %s", rows[i].text, err.text);
}

static void
test_bad_sets(void **state)
{
	static const struct {
		const char *text;
		int secrets;
		const char *reason;
	} rows[] = {
		{ "", 0, "not a set" },
		{ "<html>", 0, "not a set" },
		{ "[]", 0, "no list" },
		{ "{}", 0, "no list" },
		{ "{\"keys\":{}}", 0, "no list" },
		{ SET(""), 0, "it is empty" },
		{ SET("1"), 0, "no JSON object" },
		{ SET("{}"), 0, "without kty" },
		{ SET(ED("") "," ED(",\"d\":\"AA\"")), 0, "private key" },
		{ SET(ED("") "," OCT(K32, "")), 0, "a secret among" },
		{ SET(ED("") "," OCT(K32, "")), 1, "together" },
		{ SET(OCT("AAAA", "")), 1, "3 bytes" },
		{ SET(ED(",\"kid\":\"a\"") "," ED(",\"kid\":\"a\"")), 0,
		    "same kid" },
		{ SET(ED(",\"kid\":7")), 0, "kid is not" },
		{ SET(ED(",\"alg\":7")), 0, "none we know" },
		{ SET(ED(",\"alg\":\"ES256\"")), 0, "for EdDSA" },
		{ SET(EC(",\"alg\":\"ES384\"")), 0, "for ES256, not" },
		{ SET(EC(",\"alg\":\"HS256\"")), 0, "for ES256, not" },
		{ SET(EC(",\"use\":1")), 0, "not for signatures" },
		{ SET(EC(",\"key_ops\":\"verify\"")), 0, "not for signatures" },
		{ SET("{\"kty\":\"EC\",\"crv\":\"secp256k1\"}"), 0, "none of" },
		{ SET("{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"" ED_X
		      "\"}"),
		    0, "not Ed25519" },
		{ SET("{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AAAA\"}"),
		    0, "3 bytes, not 32" },
		{ SET("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_X
		      "\",\"y\":\"" EC_X "\"}"),
		    0, "" },
		{ SET("{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"" EC_X
		      "\",\"y\":\"" EC_Y "\"}"),
		    0, "32 bytes, not 48" },
		{ SET("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_X
		      "=\",\"y\":\"" EC_Y "\"}"),
		    0, "not base64url" },
		{ SET("{\"kty\":\"RSA\",\"n\":\"AAEB\",\"e\":\"AQAB\"}"), 0,
		    "begins with a zero" },
		{ SET("{\"kty\":\"RSA\",\"e\":\"AQAB\"}"), 0, "member n" },
		{ SET(EC("")) "x", 0, "not a set" },
	};
	struct err err;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		if (read_set(rows[i].text, rows[i].secrets, "", &err) >= 0)
			fail_msg("%s: taken", rows[i].text);
		if (strstr(err.text, rows[i].reason) == NULL)
			fail_msg("%s: %s", rows[i].text, err.text);
	}
	assert_int_equal(read_set(SET(ED("")), 0, "RS256 ES256", &err), -1);
	assert_non_null(strstr(err.text, "a key is for EdDSA"));
}

static void
test_bounds_of_a_set(void **state)
{
	struct err err;
	struct buf b;

	(void)state;
	buf_init(&b, arena);
	buf_puts(&b, "{\"keys\":[");
	for (int i = 0; i <= JWKS_KEYS_MAX; i++)
		buf_puts(&b, i == 0 ? ED("") : "," ED(""));
	buf_puts(&b, "]}");
	assert_int_equal(read_set(buf_str(&b), 0, "", &err), -1);
	assert_non_null(strstr(err.text, "more than 64 keys"));
	b.len = 0;
	while (b.len <= JWKS_MAX_BYTES)
		buf_puts(&b, SET(ED("")) "                ");
	assert_int_equal(read_set(buf_str(&b), 0, "", &err), -1);
	assert_non_null(strstr(err.text, "more than 65536 bytes"));
}

static const char *
token(const char *header, const char *secret)
{
	unsigned char mac[EVP_MAX_MD_SIZE];
	struct buf b;
	size_t n;

	buf_init(&b, arena);
	b64url_encode(&b, header, strlen(header));
	buf_puts(&b, ".e30.");
	assert_non_null(EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, secret,
	    32, (unsigned char *)b.data, b.len - 1, mac, sizeof(mac), &n));
	b64url_encode(&b, mac, n);
	return buf_str(&b);
}

static const char one[] = "0123456789abcdef0123456789abcdef";
static const char two[] = "abcdef01234567890123456789abcdef";

static void
expect(const struct jwks *set, size_t count, const char *kid,
    const char *secret, const char *reason)
{
	const char *t =
	    token(arena_printf(arena, "{\"alg\":\"HS256\"%s}", kid), secret);
	struct err err = { 0 };
	struct jws jws;
	int rc = jws_verify(arena, (const struct jws_key *const *)set->key,
	    count, t, strlen(t), &jws, &err);

	if (reason == NULL ? rc < 0
			   : rc == 0 || strstr(err.text, reason) == NULL)
		fail_msg("%s: %d %s", kid, rc, err.text);
}

/* By name; the one named key needs no name in the token; else a name. */
static void
test_choice_by_kid(void **state)
{
	static const char text[] =
	    SET(OCT(K32, ",\"kid\":\"1\"") "," OCT(K32B, ",\"kid\":\"2\""));
	struct jwks set;
	struct err err;

	(void)state;
	if (jwks_read(text, strlen(text), 1, "", &set, &err) < 0)
		fail_msg("%s", err.text);
	expect(&set, 2, ",\"kid\":\"1\"", one, NULL);
	expect(&set, 2, ",\"kid\":\"2\"", two, NULL);
	expect(&set, 2, ",\"kid\":\"2\"", one, "does not match");
	expect(&set, 2, ",\"kid\":\"3\"", one, "no key has");
	expect(&set, 2, ",\"kid\":\"../1\"", one, "no key has");
	expect(&set, 2, ",\"kid\":\"*\"", one, "no key has");
	expect(&set, 2, ",\"kid\":\"\"", one, "no key has");
	expect(&set, 2, ",\"kid\":1", one, "kid is not a string");
	expect(&set, 2, "", one, "kid is missing");
	expect(&set, 1, "", one, NULL);
	expect(&set, 0, "", one, "HS256 is not accepted");
	jwks_clear(&set);
}

static int
setup(void **state)
{
	(void)state;
	arena = arena_open(65536);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	arena_close(&arena);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_sets),
		cmocka_unit_test(test_bad_sets),
		cmocka_unit_test(test_bounds_of_a_set),
		cmocka_unit_test(test_choice_by_kid),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
