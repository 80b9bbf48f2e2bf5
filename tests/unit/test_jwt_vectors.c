/* SPDX-License-Identifier: MIT */
/*
 * Published vectors: Wycheproof's JWS file, the examples of RFC 7515 and 7520
 * (as latchset/jose has them), and the JOSE cookbook. They are not part of
 * the source: $AGENT_FPM_SHARED/fixtures/jwt, by default ../shared, and its
 * SOURCES.md says where they came from and which are faulty. Without the
 * folder the tests skip.
 *
 * Each vector of an algorithm we have must come out of jws_verify as its file
 * says, and every backend that takes it must say so too. Three rules of ours
 * are stricter than the files, and such vectors must be refused: no empty
 * segment (so no empty or detached payload), no b64 and crit, keys for
 * signatures only.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "auth/jwk.h"
#include "auth/jws.h"
#include "auth/jws_priv.h"
#include "base/arena.h"
#include "base/b64.h"
#include "base/err.h"
#include "base/json.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* Why a vector was not run: said by SOURCES.md. */
static const struct fault {
	int tcid;
	const char *reason;
} faults[] = {
	{ 346, "the JWK says PS256, the token PS384" },
	{ 347, "the JWK's alg \"ES521\" does not exist" },
	{ 350, "the JWK says PS256, the token PS384" },
	{ 351, "the JWK's alg \"ES521\" does not exist" },
	{ 367, "byte-identical to tc357: the padding was lost" },
	{ 370, "byte-identical to tc357: the padding was lost" },
	{ 372, "marked valid though a segment holds \"?\"" },
	{ 373, "marked valid though a segment holds \"?\"" },
};

static struct arena *arena;

/* What became of the vectors of one source. */
static struct counts {
	int valid;    /* verified, as the file says */
	int invalid;  /* refused, as the file says */
	int stricter; /* valid to the file, refused by a rule of ours */
	int key;      /* our rules make no key of theirs: refused */
	int foreign;  /* an algorithm we do not have: not run */
	int faulty;   /* not run */
	int both;     /* both backends ran and agreed */
} n;

static void
counts_print(const char *source)
{
	print_message(
	    "%s: %d verified, %d refused, %d refused by our stricter rules, "
	    "%d keys not taken, %d of other algorithms, %d faulty; "
	    "%d by both backends\n",
	    source, n.valid, n.invalid, n.stricter, n.key, n.foreign, n.faulty,
	    n.both);
}

/*
 * Files.
 */

static char *
fixture(const char *name)
{
	const char *shared = getenv("AGENT_FPM_SHARED");

	return arena_printf(arena, "%s/fixtures/jwt/%s",
	    shared == NULL || *shared == '\0' ? "../shared" : shared, name);
}

/* A file's text without its last newlines; NULL if there is none. */
static char *
file_text(const char *path)
{
	FILE *f = fopen(path, "re");
	struct buf b;
	size_t got;

	if (f == NULL)
		return NULL;
	buf_init(&b, arena);
	do {
		buf_reserve(&b, 65536);
		got = fread(b.data + b.len, 1, 65536, f);
		b.len += got;
	} while (got > 0);
	fclose(f);
	while (b.len > 0 && b.data[b.len - 1] == '\n')
		b.len--;
	b.data[b.len] = '\0';
	return b.data;
}

static struct json *
file_json(const char *path)
{
	const char *text = file_text(path);
	struct json *doc;
	struct err err;

	if (text == NULL)
		fail_msg("%s: not there", path);
	doc = json_parse(arena, text, strlen(text), 32, &err);
	if (doc == NULL)
		fail_msg("%s: %s", path, err.text);
	return doc;
}

/*
 * RSA keys of odd numbers.
 */

static char *
pem_from_params(const char *type, OSSL_PARAM_BLD *bld)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);
	BIO *bio = BIO_new(BIO_s_mem());
	EVP_PKEY *pkey = NULL;
	char *text, *pem;
	long len;

	EVP_PKEY_fromdata_init(ctx);
	assert_int_equal(
	    1, EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params));
	assert_int_equal(1, PEM_write_bio_PUBKEY(bio, pkey));
	len = BIO_get_mem_data(bio, &text);
	pem = arena_memdup(arena, text, (size_t)len);
	BIO_free(bio);
	EVP_PKEY_free(pkey);
	EVP_PKEY_CTX_free(ctx);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(bld);
	return pem;
}

static char *
pem_from_rsa(const struct buf *n_bytes, const struct buf *e_bytes)
{
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	BIGNUM *mod, *exp;
	char *pem;

	mod =
	    BN_bin2bn((unsigned char *)n_bytes->data, (int)n_bytes->len, NULL);
	exp =
	    BN_bin2bn((unsigned char *)e_bytes->data, (int)e_bytes->len, NULL);
	OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, mod);
	OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, exp);
	pem = pem_from_params("RSA", bld);
	BN_free(mod);
	BN_free(exp);
	return pem;
}

/*
 * Running a vector.
 */

/* Every backend that takes the token has to agree with the verdict. */
static void
backends_agree(
    const char *name, const struct jws_key *key, const char *token, int verdict)
{
	struct jws_parts p;
	int ran = 0;

	if (jws_front(arena, token, strlen(token), &p, NULL) < 0)
		return;
	for (int b = 0; b < JWS_BACKENDS; b++) {
		if (!jws_backend_takes(&jws_backends[b], &p))
			continue;
		if (jws_key_matches(&jws_backends[b], key, &p) != verdict)
			fail_msg(
			    "%s: %s disagrees", name, jws_backends[b].name);
		ran++;
	}
	n.both += ran == JWS_BACKENDS;
}

/* Ours: no segment may be empty, no b64 or crit; an unencoded payload. */
static int
stricter_rule(const char *token, const char *reason)
{
	return strstr(reason, "is empty") != NULL ||
	       strstr(reason, "b64 is not accepted") != NULL ||
	       strstr(reason, "crit is not accepted") != NULL ||
	       strchr(token, ' ') != NULL;
}

static void
vector_run(
    const char *name, const struct json *jwk, const char *token, int valid)
{
	struct jws_key *key;
	struct jws jws;
	struct err err;
	int ok;

	key = jws_key_new_jwk(jwk, &err);
	if (key == NULL) {
		if (valid)
			fail_msg("%s: no key: %s", name, err.text);
		n.key++;
		return;
	}
	ok = jws_verify(arena, (const struct jws_key *const *)&key, 1, token,
		 strlen(token), &jws, &err) == 0;
	if (ok && !valid)
		fail_msg("%s: accepted", name);
	if (!ok && valid && !stricter_rule(token, err.text))
		fail_msg("%s: refused: %s", name, err.text);
	backends_agree(name, key, token, ok);
	n.valid += ok;
	n.invalid += !ok && !valid;
	n.stricter += !ok && valid;
	jws_key_free(&key);
}

/* 1 if the JWK's alg is named and not in our table. */
static int
jwk_is_foreign(const struct json *jwk)
{
	const char *alg = json_get_str(jwk, "alg");

	return alg != NULL && jws_alg_find(alg) == NULL;
}

/*
 * The sources.
 */

/* Skips the test, visibly, where the vectors are not. */
static void
need_files(void)
{
	struct stat st;

	if (stat(fixture("SOURCES.md"), &st) == 0)
		return;
	print_message("no %s: set AGENT_FPM_SHARED\n", fixture(""));
	skip();
}

static const struct fault *
fault_find(int64_t tcid)
{
	for (size_t i = 0; i < COUNT(faults); i++)
		if (faults[i].tcid == tcid)
			return &faults[i];
	return NULL;
}

static void
wycheproof_group(const struct json *group)
{
	const struct json *jwk = json_get(group, "public"), *t;
	const struct fault *fault;
	const char *result;
	int64_t tcid;

	if (jwk == NULL)
		jwk = json_get(group, "private");
	t = json_first(json_get(group, "tests"));
	for (; t != NULL; t = json_next(t)) {
		assert_true(json_get_int(t, "tcId", &tcid));
		fault = fault_find(tcid);
		if (fault != NULL) {
			n.faulty++;
			print_message(
			    "tc%d not run: %s\n", (int)tcid, fault->reason);
		} else if (jwk_is_foreign(jwk)) {
			n.foreign++;
		} else {
			result = json_get_str(t, "result");
			assert_non_null(result);
			vector_run(arena_printf(arena, "tc%d", (int)tcid), jwk,
			    json_get_str(t, "jws"),
			    result != NULL && strcmp(result, "valid") == 0);
		}
	}
}

static void
test_wycheproof(void **state)
{
	struct json *doc;
	const struct json *g;
	int64_t total;

	(void)state;
	need_files();
	doc = file_json(fixture("wycheproof/json_web_signature_test.json"));
	g = json_first(json_get(doc, "testGroups"));
	for (; g != NULL; g = json_next(g))
		wycheproof_group(g);
	counts_print("Wycheproof");
	assert_true(json_get_int(doc, "numberOfTests", &total));
	assert_int_equal(total,
	    n.valid + n.invalid + n.stricter + n.key + n.foreign + n.faulty);
	assert_in_range(n.valid, 20, total);
	assert_int_equal(n.stricter, 6); /* empty payloads */
	assert_int_equal(n.key, 4);      /* use and key_ops: tc353 to 356 */
}

/* A set of one group of Wycheproof's: some are a single key. */
static char *
set_text(const struct json *group)
{
	const struct json *set = json_get(group, "public");
	struct buf b;

	if (set == NULL)
		set = json_get(group, "private");
	buf_init(&b, arena);
	if (json_get(set, "keys") != NULL) {
		json_print(&b, set);
	} else {
		json_open(&b, NULL, '{');
		json_open(&b, "keys", '[');
		json_add_json(&b, NULL, set);
		json_close(&b, ']');
		json_close(&b, '}');
	}
	return b.data;
}

static void
wycheproof_set(const struct json *group)
{
	const char *text = set_text(group), *token, *result;
	const struct json *t = json_first(json_get(group, "tests"));
	struct jwks set;
	struct jws jws;
	struct err err;
	int64_t tcid;
	int ok;

	for (; t != NULL; t = json_next(t)) {
		assert_true(json_get_int(t, "tcId", &tcid));
		token = json_get_str(t, "jws");
		result = json_get_str(t, "result");
		assert_true(token != NULL && result != NULL);
		if (tcid == 7) { /* ROCA: see SOURCES.md */
			n.faulty++;
			continue;
		}
		ok = jwks_read(text, strlen(text), 1, "", &set, &err) == 0 &&
		     jws_verify(arena, (const struct jws_key *const *)set.key,
			 set.count, token, strlen(token), &jws, &err) == 0;
		if (ok != (strcmp(result, "valid") == 0))
			fail_msg("tc%d: %d %s", (int)tcid, ok, err.text);
		n.valid += ok;
		n.invalid += !ok;
		jwks_clear(&set);
	}
}

static void
test_wycheproof_sets(void **state)
{
	struct json *doc;
	const struct json *g;

	(void)state;
	need_files();
	doc = file_json(fixture("wycheproof/json_web_key_test.json"));
	g = json_first(json_get(doc, "testGroups"));
	for (; g != NULL; g = json_next(g))
		wycheproof_set(g);
	counts_print("Wycheproof's sets of keys");
	assert_int_equal(n.valid + n.invalid + n.faulty, 26);
	assert_in_range(n.valid, 5, 10);
}

/* The alg of a token that need not be well-formed; NULL if it has none. */
static const char *
token_alg(const char *token)
{
	struct json *header;
	struct buf b;

	buf_init(&b, arena);
	if (b64url_decode(&b, token, strcspn(token, ".")) < 0)
		return NULL;
	header = json_parse(arena, b.data, b.len, 8, NULL);
	return json_get_str(header, "alg");
}

/* The JWK with that alg, if it names none: it is good for many then. */
static const struct json *
jwk_for(const struct json *jwk, const char *alg)
{
	struct buf b;

	if (json_get(jwk, "alg") != NULL)
		return jwk;
	buf_init(&b, arena);
	json_open(&b, NULL, '{');
	json_add_str(&b, "alg", alg);
	for (const struct json *m = json_first(jwk); m != NULL;
	     m = json_next(m))
		json_add_json(&b, json_name(m), m);
	json_close(&b, '}');
	return json_parse(arena, b.data, b.len, 8, NULL);
}

/* A vector that its source calls good, unless the algorithm is not ours. */
static void
good_vector(const char *name, const struct json *jwk, const char *token)
{
	const char *alg = token_alg(token);

	assert_non_null(alg);
	if (jws_alg_find(alg) == NULL || jwk_is_foreign(jwk))
		n.foreign++;
	else
		vector_run(name, jwk_for(jwk, alg), token, 1);
}

static void
test_rfc(void **state)
{
	static const char *const names[] = { "rfc7515_A.1", "rfc7515_A.2",
		"rfc7515_A.3", "rfc7515_A.4", "rfc7520_4.1", "rfc7520_4.2",
		"rfc7520_4.3", "rfc7520_4.4", "rfc7520_4.5" };
	const char *token, *base;

	(void)state;
	need_files();
	for (size_t i = 0; i < COUNT(names); i++) {
		base = arena_printf(arena, "rfc-latchset-jose/%s.", names[i]);
		token = file_text(fixture(arena_printf(arena, "%sjwsc", base)));
		assert_non_null(token);
		good_vector(names[i],
		    file_json(fixture(arena_printf(arena, "%sjwk", base))),
		    token);
	}
	/* A.5 is alg none, "valid" without any key. */
	vector_run("rfc7515_A.5",
	    file_json(fixture("rfc-latchset-jose/rfc7515_A.1.jwk")),
	    file_text(fixture("rfc-latchset-jose/rfc7515_A.5.jwsc")), 0);
	counts_print("RFC 7515, 7520");
	assert_int_equal(n.valid, 8);
	assert_int_equal(n.invalid, 1);
	assert_int_equal(n.stricter, 1); /* 7520 4.5: detached */
	assert_int_equal(n.foreign, 0);
	assert_int_equal(n.both, 3); /* those with JSON objects */
}

static void
cookbook_file(const char *path)
{
	const struct json *doc = file_json(path);
	const struct json *input = json_get(doc, "input");
	const char *token = json_get_str(json_get(doc, "output"), "compact");

	if (token != NULL)
		good_vector(path, json_get(input, "key"), token);
}

static void
cookbook_folder(const char *name)
{
	const char *path = fixture(name);
	struct dirent *e;
	DIR *dir = opendir(path);

	assert_non_null(dir);
	while ((e = readdir(dir)) != NULL)
		if (strstr(e->d_name, ".json") != NULL &&
		    strcmp(e->d_name, "ecdh-es.json") != 0)
			cookbook_file(
			    arena_printf(arena, "%s/%s", path, e->d_name));
	closedir(dir);
}

static void
test_cookbook(void **state)
{
	(void)state;
	need_files();
	cookbook_folder("ietf-jose-cookbook/jws");
	cookbook_folder("ietf-jose-cookbook/rfc7797");
	cookbook_folder("ietf-jose-cookbook/curve25519");
	counts_print("JOSE cookbook");
	assert_int_equal(n.valid, 5);
	assert_int_equal(n.stricter, 2); /* detached; b64 false */
	assert_int_equal(n.foreign, 0);
}

/*
 * Keys whose numbers no generator makes. These need no files.
 */

/* An odd number of that many bits; e from its hex digits. */
static void
rsa_expect(int bits, int odd, const char *e_hex, const char *reason)
{
	BIGNUM *mod = BN_new(), *exp = NULL;
	struct buf n_bytes, e_bytes;
	struct err err = { 0 };
	const char *pem;

	buf_init(&n_bytes, arena);
	buf_init(&e_bytes, arena);
	BN_set_bit(mod, bits - 1);
	if (odd)
		BN_set_bit(mod, 0);
	BN_hex2bn(&exp, e_hex);
	buf_reserve(&n_bytes, 2048);
	n_bytes.len = (size_t)BN_bn2bin(mod, (unsigned char *)n_bytes.data);
	buf_reserve(&e_bytes, 64);
	e_bytes.len = (size_t)BN_bn2bin(exp, (unsigned char *)e_bytes.data);
	BN_free(mod);
	BN_free(exp);
	pem = pem_from_rsa(&n_bytes, &e_bytes);
	assert_null(jws_key_new_pem(NULL, pem, strlen(pem), &err));
	if (err.code != ERR_CONFIG || strstr(err.text, reason) == NULL)
		fail_msg("\"%s\", not \"%s\"", err.text, reason);
}

static void
test_rsa_numbers(void **state)
{
	(void)state;
	rsa_expect(2047, 1, "010001", "2047 bits");
	rsa_expect(8193, 1, "010001", "8193 bits");
	rsa_expect(2048, 0, "010001", "sane");
	rsa_expect(2048, 1, "01", "sane");
	rsa_expect(2048, 1, "010000", "sane");
	rsa_expect(2048, 1, "0200000001", "sane");
}

static int
setup(void **state)
{
	(void)state;
	arena = arena_open(1 << 20);
	memset(&n, 0, sizeof(n));
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
		cmocka_unit_test_setup_teardown(
		    test_wycheproof, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_wycheproof_sets, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rfc, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cookbook, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_rsa_numbers, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
