/* SPDX-License-Identifier: MIT */
/*
 * Claims: a table of those that must be refused and why, one of those that
 * must be accepted and as whom, and minting. Tokens are signed here, with
 * whatever bytes the table has for claims.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <string.h>

#include "auth/jws.h"
#include "auth/jwt.h"
#include "base/arena.h"
#include "base/b64.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"

#define NOW 1700000000
#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* Good in all but what a row says otherwise. */
#define SUB "\"sub\":\"ada\","
#define EXP "\"exp\":1700003600"
#define ISS "\"iss\":\"https://id.example\","
#define AUD "\"aud\":\"agents\","

static const char secret[] = "0123456789abcdef0123456789abcdef";
static const char ec_pem[] =
    "-----BEGIN PUBLIC KEY-----\n"
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV7\n"
    "6e8Tus9uPHvRVEXH8UTNG72bfocs3+257rn0s2ldbqkLJK2KRiMohYjlrQ==\n"
    "-----END PUBLIC KEY-----\n";

static struct arena *arena;
static struct jws_key *key;

static const struct jwt_options plain = { .leeway_s = 30 };
static const struct jwt_options full = {
	.issuer = "https://id.example",
	.audience = "agents",
	.leeway_s = 30,
	.lifetime_max_s = 7200,
};
static const struct jwt_options mail = { .user_claim = "email" };
static const struct jwt_options empty = {
	.issuer = "", .audience = "", .user_claim = "", .leeway_s = 30
};

static void
token_make(struct buf *t, const char *header, const char *claims, size_t len)
{
	unsigned char mac[EVP_MAX_MD_SIZE];
	size_t n;

	buf_init(t, arena);
	b64url_encode(t, header, strlen(header));
	buf_putc(t, '.');
	b64url_encode(t, claims, len);
	assert_non_null(EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, secret,
	    32, (const unsigned char *)t->data, t->len, mac, sizeof(mac), &n));
	buf_putc(t, '.');
	b64url_encode(t, mac, n);
}

static int
verify(const struct jwt_options *options, const char *claims,
    struct identity *id, struct err *err)
{
	const struct jws_key *const keys[] = { key };
	const struct json *doc = NULL;
	struct buf t;
	int rc;

	token_make(&t, "{\"alg\":\"HS256\"}", claims, strlen(claims));
	rc = jwt_verify(
	    arena, keys, 1, options, t.data, t.len, NOW, id, &doc, err);
	assert_int_equal(rc == 0, doc != NULL);
	return rc;
}

#define FORM "claim exp is not a time before the year 10000"

static const struct bad {
	const struct jwt_options *options;
	const char *claims;
	const char *reason;
} bad[] = {
	/* What is no claims set. */
	{ &plain, "[1]", "the claims are no object" },
	{ &plain, "\"text\"", "the claims are no object" },
	{ &plain, "text", "malformed claims" },
	{ &plain, "{" SUB EXP "}x", "malformed claims" },
	{ &plain, "{" SUB EXP ",}", "malformed claims" },
	{ &plain, "{" SUB EXP ",\"x\":\"\\u0000\"}", "malformed claims" },
	{ &plain, "{" SUB EXP ",\"x\":\"\xff\"}", "malformed claims" },
	{ &plain, "{" SUB EXP ",\"sub\":\"eve\"}", "repeated" },
	{ &plain, "{" SUB EXP ",\"s\\u0075b\":\"eve\"}", "repeated" },
	{ &plain, "{" EXP ",\"sub\":\"ada\\u0000\"}", "malformed claims" },

	/* exp */
	{ &plain, "{\"sub\":\"ada\"}", "claim exp is missing" },
	{ &plain, "{" SUB "\"EXP\":1700003600}", "claim exp is missing" },
	{ &plain, "{" SUB "\"exp\":1699999880}", "token expired 120 s ago" },
	{ &plain, "{" SUB "\"exp\":1699999970}", "token expired 30 s ago" },
	{ &plain, "{" SUB "\"exp\":0}", "token expired 1700000000 s ago" },
	{ &plain, "{" SUB "\"exp\":\"1700003600\"}", FORM },
	{ &plain, "{" SUB "\"exp\":null}", FORM },
	{ &plain, "{" SUB "\"exp\":true}", FORM },
	{ &plain, "{" SUB "\"exp\":[1700003600]}", FORM },
	{ &plain, "{" SUB "\"exp\":-1}", FORM },
	{ &plain, "{" SUB "\"exp\":253402300800}", FORM },
	{ &plain, "{" SUB "\"exp\":9223372036854775808}", FORM },
	{ &plain, "{" SUB "\"exp\":18446744075409551616}", FORM },
	{ &plain, "{" SUB "\"exp\":1e400}", "" },
	{ &plain, "{" SUB "\"exp\":1e300}", FORM },
	{ &full, "{" SUB AUD ISS "\"exp\":1700007201}",
	    "token is valid for 7201 s more; 7200 are accepted" },

	/* nbf, iat */
	{ &plain, "{" SUB EXP ",\"nbf\":1700000031}",
	    "token is valid only 31 s from now" },
	{ &plain, "{" SUB EXP ",\"nbf\":\"1\"}", "claim nbf is not a time" },
	{ &plain, "{" SUB EXP ",\"nbf\":null}", "claim nbf is not a time" },
	{ &plain, "{" SUB EXP ",\"nbf\":-1}", "claim nbf is not a time" },
	{ &plain, "{" SUB EXP ",\"iat\":1700003000}",
	    "token is issued 3000 s from now" },
	{ &plain, "{" SUB EXP ",\"iat\":\"1\"}", "claim iat is not a time" },
	{ &plain, "{" SUB EXP ",\"iat\":1e99}", "claim iat is not a time" },

	/* iss */
	{ &full, "{" SUB AUD EXP "}", "claim iss is missing" },
	{ &full, "{" SUB AUD EXP ",\"iss\":\"https://id\"}", "wrong issuer" },
	{ &full, "{" SUB AUD EXP ",\"iss\":\"https://id.example/\"}",
	    "wrong issuer" },
	{ &full, "{" SUB AUD EXP ",\"iss\":[\"https://id.example\"]}",
	    "wrong issuer" },
	{ &full, "{" SUB AUD EXP ",\"iss\":\"\"}", "wrong issuer" },
	{ &full, "{" SUB AUD EXP ",\"iss\":null}", "wrong issuer" },

	/* aud */
	{ &full, "{" SUB ISS EXP "}", "claim aud is missing" },
	{ &full, "{" SUB ISS EXP ",\"aud\":\"agent\"}", "wrong audience" },
	{ &full, "{" SUB ISS EXP ",\"aud\":\"agents2\"}", "wrong audience" },
	{ &full, "{" SUB ISS EXP ",\"aud\":\"Agents\"}", "wrong audience" },
	{ &full, "{" SUB ISS EXP ",\"aud\":\"\"}", "wrong audience" },
	{ &full, "{" SUB ISS EXP ",\"aud\":[]}", "wrong audience" },
	{ &full, "{" SUB ISS EXP ",\"aud\":[\"x\",\"y\"]}", "wrong audience" },
	{ &full, "{" SUB ISS EXP ",\"aud\":[\"agents\",1]}", "neither" },
	{ &full, "{" SUB ISS EXP ",\"aud\":[[\"agents\"]]}", "neither" },
	{ &full, "{" SUB ISS EXP ",\"aud\":{\"agents\":1}}", "neither" },
	{ &full, "{" SUB ISS EXP ",\"aud\":null}", "neither" },

	/* The user. */
	{ &plain, "{" EXP "}", "claim sub is missing" },
	{ &plain, "{" EXP ",\"Sub\":\"ada\"}", "claim sub is missing" },
	{ &plain, "{" EXP ",\"sub\":\"\"}", "claim sub is empty" },
	{ &plain, "{" EXP ",\"sub\":7}", "claim sub is not a string" },
	{ &plain, "{" EXP ",\"sub\":null}", "claim sub is not a string" },
	{ &plain, "{" EXP ",\"sub\":[\"ada\"]}", "claim sub is not a string" },
	{ &plain, "{" EXP ",\"sub\":\"a b\"}", "not printable ASCII" },
	{ &plain, "{" EXP ",\"sub\":\"a\\nb\"}", "not printable ASCII" },
	{ &plain, "{" EXP ",\"sub\":\"a\\u007fb\"}", "not printable ASCII" },
	{ &plain, "{" EXP ",\"sub\":\"\xc3\xa5\"}", "not printable ASCII" },
	{ &mail, "{" SUB EXP "}", "claim email is missing" },
};

static void
refused(const struct bad *b)
{
	struct identity id = { .user = "untouched", .expires_s = -1 };
	struct err err = { 0 };

	if (verify(b->options, b->claims, &id, &err) == 0)
		fail_msg("%s: accepted", b->claims);
	if (err.code != ERR_UNAUTHORIZED || strstr(err.text, b->reason) == NULL)
		fail_msg("%s: refused because \"%s\"", b->claims, err.text);
	assert_string_equal(id.user, "untouched");
	assert_int_equal(id.expires_s, -1);
}

static void
test_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		refused(&bad[i]);
	print_message("%zu claims sets refused\n", COUNT(bad));
}

/* Claims too long to stand in the table. */
static void
test_bounds(void **state)
{
	char *text = arena_alloc(arena, 8192);
	struct bad b = { &plain, text, "claim sub is empty or longer" };
	struct identity id;
	struct err err;

	(void)state;
	snprintf(text, 8192, "{" EXP ",\"sub\":\"%0*d\"}", 256, 0);
	refused(&b);
	snprintf(text, 8192, "{" EXP ",\"sub\":\"%0*d\"}", 255, 0);
	assert_int_equal(0, verify(&plain, text, &id, &err));
	assert_int_equal(strlen(id.user), 255);
	b.reason = "malformed claims";
	memset(text, '[', 1200);
	memset(text + 1200, ']', 1200);
	text[2400] = '\0';
	refused(&b);
	b.reason = "longer than 8192";
	snprintf(text, 8192, "{" SUB EXP ",\"x\":\"%0*d\"}", 7000, 0);
	refused(&b);
}

static void
test_accepted(void **state)
{
	static const struct {
		const struct jwt_options *options;
		const char *claims, *user;
		int64_t expires_s;
	} rows[] = {
		{ &plain, "{" SUB EXP "}", "ada", 1700003600 },
		{ &plain, "{" SUB "\"exp\":1700003600.75}", "ada", 1700003600 },
		{ &plain, "{" SUB "\"exp\":17000036e2}", "ada", 1700003600 },
		{ &plain, "{" SUB "\"exp\":253402300799}", "ada",
		    253402300799 },
		{ &plain, "{" SUB "\"exp\":1699999971}", "ada", 1699999971 },
		{ &plain, "{" SUB "\"exp\":1699999970.5}", "ada", 1699999970 },
		{ &plain, "{" SUB EXP ",\"nbf\":1700000030}", "ada",
		    1700003600 },
		{ &plain, "{" SUB EXP ",\"nbf\":0,\"iat\":1700000030.0}", "ada",
		    1700003600 },
		{ &plain, "{" SUB EXP ",\"x\":18446744073709551616}", "ada",
		    1700003600 },
		{ &plain, "{" SUB EXP ",\"iss\":1,\"aud\":2}", "ada",
		    1700003600 },
		{ &empty, "{" SUB EXP "}", "ada", 1700003600 },
		{ &full, "{" SUB ISS AUD EXP "}", "ada", 1700003600 },
		{ &full, "{" SUB ISS EXP ",\"aud\":[\"x\",\"agents\"]}", "ada",
		    1700003600 },
		{ &full, "{" SUB ISS AUD "\"exp\":1700007200}", "ada",
		    1700007200 },
		{ &mail, "{" EXP ",\"email\":\"a+b@x.example\"}",
		    "a+b@x.example", 1700003600 },
		{ &plain, "{" EXP ",\"sub\":\"!~|\\\"\\\\\"}", "!~|\"\\",
		    1700003600 },
	};
	struct identity id;
	struct err err;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		if (verify(rows[i].options, rows[i].claims, &id, &err) < 0)
			fail_msg("%s: %s", rows[i].claims, err.text);
		assert_string_equal(id.user, rows[i].user);
		assert_int_equal(id.expires_s, rows[i].expires_s);
	}
}

static const struct jwt_options issuer = {
	.user_prefix = "id:",
	.tenant_claim = "org",
	.roles_claim = "realm_access.roles",
	.role = { [IDENTITY_APPROVER] = "boss", [IDENTITY_ADMIN] = "admin" },
};

#define ROLE(i) (1u << IDENTITY_##i)

/* What else a token says of its user. */
static void
test_members(void **state)
{
	static const struct {
		const char *claims, *tenant, *jti;
		unsigned roles, scopes;
		int64_t issued_s;
	} rows[] = {
		{ "", "", "", 0, 0, 0 },
		{ ",\"org\":\"acme\",\"jti\":\"a-1\",\"iat\":1699999999.5",
		    "id:acme", "a-1", 0, 0, 1699999999 },
		{ ",\"org\":\"\"", "", "", 0, 0, 0 },
		{ ",\"realm_access\":{\"roles\":[\"boss\",7,\"x\"]}", "", "",
		    ROLE(APPROVER), 0, 0 },
		{ ",\"realm_access\":{\"roles\":\"admin boss\"}", "", "",
		    ROLE(APPROVER) | ROLE(ADMIN), 0, 0 },
		/* A claim of that very name goes first. */
		{ ",\"realm_access\":{\"roles\":\"admin\"},"
		  "\"realm_access.roles\":\"\"",
		    "", "", 0, 0, 0 },
		{ ",\"roles\":\"admin\",\"realm_access\":\"roles\"", "", "", 0,
		    0, 0 },
		{ ",\"scope\":\"openid chat agents:read\"", "", "", 0,
		    ROLE(CHAT) | ROLE(AGENTS_READ), 0 },
		{ ",\"scp\":[\"chat\",null,\"chats\"]", "", "", 0, ROLE(CHAT),
		    0 },
		{ ",\"scope\":\"\",\"scp\":\"chat\"", "", "", 0, 0, 0 },
		{ ",\"scope\":\"Chat chat: agents\"", "", "", 0, 0, 0 },
	};
	struct identity id;
	struct err err;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		if (verify(&issuer,
			arena_printf(arena, "{" SUB EXP "%s}", rows[i].claims),
			&id, &err) < 0)
			fail_msg("%s: %s", rows[i].claims, err.text);
		assert_string_equal(id.user, "id:ada");
		assert_string_equal(id.tenant, rows[i].tenant);
		assert_string_equal(id.jti, rows[i].jti);
		assert_int_equal(id.roles, rows[i].roles);
		assert_int_equal(id.scopes, rows[i].scopes);
		assert_int_equal(id.issued_s, rows[i].issued_s);
	}
}

static void
test_members_refused(void **state)
{
	static const char *const claims[] = { "\"jti\":\"\"", "\"jti\":7",
		"\"jti\":null", "\"jti\":\"a b\"", "\"jti\":\"\\u00e9\"",
		"\"org\":7", "\"org\":\"a b\"", "\"org\":[\"acme\"]" };
	struct identity id;
	struct err err;

	(void)state;
	for (size_t i = 0; i < COUNT(claims); i++)
		if (verify(&issuer,
			arena_printf(arena, "{" SUB EXP ",%s}", claims[i]), &id,
			&err) == 0)
			fail_msg("%s: accepted", claims[i]);
	/* A user of 255 bytes is one only without what stands before it. */
	for (int n = 252; n <= 253; n++) {
		const char *user =
		    arena_printf(arena, "{\"sub\":\"%0*d\"," EXP "}", n, 7);

		assert_int_equal(
		    n == 252 ? 0 : -1, verify(&issuer, user, &id, &err));
		assert_int_equal(0, verify(&plain, user, &id, &err));
	}
}

/* RFC 9068, which libjwt 1.10 refuses. */
static void
test_access_token(void **state)
{
	static const char claims[] = "{" SUB ISS AUD EXP "}";
	const struct jws_key *const keys[] = { key };
	struct identity id;
	struct buf t;

	(void)state;
	token_make(&t, "{\"alg\":\"HS256\",\"typ\":\"at+jwt\"}", claims,
	    strlen(claims));
	assert_int_equal(0, jwt_verify(arena, keys, 1, &full, t.data, t.len,
				NOW, &id, NULL, NULL));
	assert_string_equal(id.user, "ada");
}

static void
test_mint(void **state)
{
	static const char claims[] =
	    "{" SUB ISS AUD EXP ",\"roles\":[\"a\",{\"b\":1.5}]}";
	const struct jws_key *const keys[] = { key };
	const struct json *doc;
	struct identity id;
	struct err err;
	char *token;

	(void)state;
	assert_int_equal(0, jwt_mint(arena, key, claims, &token, &err));
	assert_int_equal(0, jwt_verify(arena, keys, 1, &full, token,
				strlen(token), NOW, &id, &doc, &err));
	assert_string_equal(id.user, "ada");
	assert_int_equal(json_count(json_get(doc, "roles")), 2);
	token[strlen(token) / 2] ^= 1;
	assert_int_equal(-1, jwt_verify(arena, keys, 1, &full, token,
				 strlen(token), NOW, &id, &doc, &err));
}

static void
mint_refused(const struct jws_key *with, const char *claims, enum err_code code)
{
	char *token = NULL;
	struct err err;

	assert_int_equal(-1, jwt_mint(arena, with, claims, &token, &err));
	assert_int_equal(err.code, code);
	assert_null(token);
}

static void
test_mint_refused(void **state)
{
	struct jws_key *pub =
	    jws_key_new_pem(NULL, ec_pem, strlen(ec_pem), NULL);

	(void)state;
	assert_non_null(pub);
	mint_refused(pub, "{}", ERR_CONFIG);
	jws_key_free(&pub);
	mint_refused(key, "", ERR_REQUEST);
	mint_refused(key, "{\"a\":1,\"a\":2}", ERR_REQUEST);
	mint_refused(key, "[]", ERR_INVALID);
	mint_refused(key, "{\"a\":18446744073709551616}", ERR_INVALID);
	mint_refused(key, arena_printf(arena, "{\"a\":\"%0*d\"}", 7000, 0),
	    ERR_TOO_LARGE);
}

static int
group_setup(void **state)
{
	(void)state;
	arena = arena_open(65536);
	key = jws_key_new_secret("HS256", secret, 32, NULL);
	return 0;
}

static int
group_teardown(void **state)
{
	(void)state;
	jws_key_free(&key);
	arena_close(&arena);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_accepted),
		cmocka_unit_test(test_members),
		cmocka_unit_test(test_members_refused),
		cmocka_unit_test(test_access_token),
		cmocka_unit_test(test_mint),
		cmocka_unit_test(test_mint_refused),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
