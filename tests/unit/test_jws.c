/* SPDX-License-Identifier: MIT */
/*
 * The strict front and the choice of backend: a table of attacks on the
 * token's form, header, algorithm and signature, with tokens made here by
 * OpenSSL; then what must be accepted; then what may be a key.
 *
 * Each attack starts from a token that would be good but for one thing.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <string.h>

#include "auth/jws.h"
#include "auth/jws_priv.h"
#include "base/arena.h"
#include "base/b64.h"
#include "base/err.h"
#include "base/json.h"

#define CLAIMS "{\"sub\":\"ada\",\"exp\":4000000000}"
#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static const char secret[64] =
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde";

/* Ours, and another of the same kind that an attacker might own. */
enum { RSA_OURS, RSA_OTHER, P256, P256_OTHER, P384, P521, ED25519, PKEYS };
static EVP_PKEY *pkeys[PKEYS];
static char *pems[PKEYS];
static struct jws_key *key_hs, *key_rs, *key_es;
static struct arena *arena;

/*
 * Making tokens.
 */

typedef void sign_f(const char *data, size_t len, struct buf *sig);
typedef void mangle_f(struct buf *token);

static char *
pem_of(EVP_PKEY *pkey, int private)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text, *copy;
	long len;

	if (private)
		PEM_write_bio_PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL);
	else
		PEM_write_bio_PUBKEY(bio, pkey);
	len = BIO_get_mem_data(bio, &text);
	copy = arena_memdup(arena, text, (size_t)len);
	BIO_free(bio);
	return copy;
}

static void
sign_hmac(const char *hash, const void *key, size_t key_len, const char *data,
    size_t len, struct buf *sig)
{
	unsigned char mac[EVP_MAX_MD_SIZE];
	size_t n;

	assert_non_null(EVP_Q_mac(NULL, "HMAC", NULL, hash, NULL, key, key_len,
	    (const unsigned char *)data, len, mac, sizeof(mac), &n));
	buf_add(sig, mac, n);
}

/* DER as OpenSSL makes it; PSS with that salt if it is not negative. */
static void
sign_pkey(EVP_PKEY *pkey, const char *hash, int pss_salt, const char *data,
    size_t len, struct buf *sig)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned char out[1024];
	size_t n = sizeof(out);
	EVP_PKEY_CTX *pctx;

	assert_int_equal(
	    1, EVP_DigestSignInit_ex(ctx, &pctx, hash, NULL, NULL, pkey, NULL));
	if (pss_salt >= 0) {
		EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING);
		EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, pss_salt);
	}
	assert_int_equal(
	    1, EVP_DigestSign(ctx, out, &n, (const unsigned char *)data, len));
	buf_add(sig, out, n);
	EVP_MD_CTX_free(ctx);
}

static void
sign_raw_ec(EVP_PKEY *pkey, const char *hash, int half, const char *data,
    size_t len, struct buf *sig)
{
	unsigned char raw[132];
	const unsigned char *p;
	struct buf der;
	ECDSA_SIG *es;

	buf_init(&der, arena);
	sign_pkey(pkey, hash, -1, data, len, &der);
	p = (const unsigned char *)der.data;
	es = d2i_ECDSA_SIG(NULL, &p, (long)der.len);
	assert_non_null(es);
	BN_bn2binpad(ECDSA_SIG_get0_r(es), raw, half);
	BN_bn2binpad(ECDSA_SIG_get0_s(es), raw + half, half);
	ECDSA_SIG_free(es);
	buf_add(sig, raw, (size_t)half * 2);
}

/* One small signer for each way to sign, right or wrong. */
#define SIGNER(name, ...)                                                      \
	static void name(const char *data, size_t len, struct buf *sig)        \
	{                                                                      \
		__VA_ARGS__;                                                   \
	}
#define RAW(...) buf_add(sig, (const unsigned char[]){ __VA_ARGS__ }, 64)

SIGNER(hs256, sign_hmac("SHA256", secret, 32, data, len, sig))
SIGNER(hs384, sign_hmac("SHA384", secret, 48, data, len, sig))
SIGNER(hs512, sign_hmac("SHA512", secret, 64, data, len, sig))
SIGNER(hs_wrong, sign_hmac("SHA256", secret + 1, 32, data, len, sig))
SIGNER(hs_empty, sign_hmac("SHA256", "", 0, data, len, sig))
SIGNER(hs_pem,
    sign_hmac("SHA256", pems[RSA_OURS], strlen(pems[RSA_OURS]), data, len, sig))
SIGNER(hs_pem_cut, sign_hmac("SHA256", pems[RSA_OURS],
		       strlen(pems[RSA_OURS]) - 1, data, len, sig))
SIGNER(hs_ec_pem,
    sign_hmac("SHA256", pems[P256], strlen(pems[P256]), data, len, sig))
SIGNER(rs256, sign_pkey(pkeys[RSA_OURS], "SHA256", -1, data, len, sig))
SIGNER(rs384, sign_pkey(pkeys[RSA_OURS], "SHA384", -1, data, len, sig))
SIGNER(rs512, sign_pkey(pkeys[RSA_OURS], "SHA512", -1, data, len, sig))
SIGNER(rs_other, sign_pkey(pkeys[RSA_OTHER], "SHA256", -1, data, len, sig))
SIGNER(ps256, sign_pkey(pkeys[RSA_OURS], "SHA256", 32, data, len, sig))
SIGNER(ps256_0, sign_pkey(pkeys[RSA_OURS], "SHA256", 0, data, len, sig))
SIGNER(ps384, sign_pkey(pkeys[RSA_OURS], "SHA384", 48, data, len, sig))
SIGNER(ps512, sign_pkey(pkeys[RSA_OURS], "SHA512", 64, data, len, sig))
SIGNER(ed25519, sign_pkey(pkeys[ED25519], NULL, -1, data, len, sig))
SIGNER(es256, sign_raw_ec(pkeys[P256], "SHA256", 32, data, len, sig))
SIGNER(es384, sign_raw_ec(pkeys[P384], "SHA384", 48, data, len, sig))
SIGNER(es512, sign_raw_ec(pkeys[P521], "SHA512", 66, data, len, sig))
SIGNER(es_other, sign_raw_ec(pkeys[P256_OTHER], "SHA256", 32, data, len, sig))
SIGNER(es_p384, sign_raw_ec(pkeys[P384], "SHA256", 48, data, len, sig))
SIGNER(es_p256, sign_raw_ec(pkeys[P256], "SHA512", 32, data, len, sig))
SIGNER(es_der, sign_pkey(pkeys[P256], "SHA256", -1, data, len, sig))
SIGNER(es_zeros, sign_raw_ec(pkeys[P256], "SHA256", 33, data, len, sig))
SIGNER(es_65, buf_putc(sig, 0); es256(data, len, sig))
SIGNER(es_s_over_n, es256(data, len, sig); memset(sig->data + 32, 0xff, 32))
SIGNER(hs_cut, hs256(data, len, sig); sig->len = 16)
SIGNER(rs_cut, rs256(data, len, sig); sig->len--)
SIGNER(rs_zero, rs256(data, len, sig); memset(sig->data, 0, sig->len))
SIGNER(none, (void)data; (void)len; (void)sig)
SIGNER(junk, (void)data; (void)len; buf_lit(sig, "junkjunk"))
SIGNER(es_zero, (void)data; (void)len; RAW([63] = 0))
SIGNER(es_r0_s1, (void)data; (void)len; RAW([63] = 1))
SIGNER(es_ones, (void)data; (void)len; RAW([31] = 1, [63] = 1))

/* r is the order itself, which is 0 modulo the order. */
static void
es_r_is_n(const char *data, size_t len, struct buf *sig)
{
	unsigned char raw[64];

	(void)data, (void)len;
	BN_bn2binpad(key_es->order, raw, 32);
	memset(raw + 32, 0x11, 32);
	buf_add(sig, raw, 64);
}

static void
hs_modulus(const char *data, size_t len, struct buf *sig)
{
	unsigned char n[256];
	BIGNUM *bn = NULL;

	EVP_PKEY_get_bn_param(pkeys[RSA_OURS], OSSL_PKEY_PARAM_RSA_N, &bn);
	BN_bn2binpad(bn, n, sizeof(n));
	BN_free(bn);
	sign_hmac("SHA256", n, sizeof(n), data, len, sig);
}

/*
 * Spoiling tokens.
 */

static char *
last_segment(struct buf *t)
{
	return strrchr(t->data, '.') + 1;
}

#define MANGLER(name, ...)                                                     \
	static void name(struct buf *t)                                        \
	{                                                                      \
		__VA_ARGS__;                                                   \
	}
#define CUT(p) (t->len = (size_t)((p)-t->data), *(p) = '\0')

MANGLER(m_newline, buf_putc(t, '\n'))
MANGLER(m_space, buf_putc(t, ' '))
MANGLER(m_padding, buf_putc(t, '='))
MANGLER(m_junk, buf_lit(t, "!!!!"))
MANGLER(m_letters, buf_lit(t, "AAAA"))
MANGLER(m_nul, buf_putc(t, '\0'))
MANGLER(m_nul_junk, buf_add(t, "\0AAA", 4))
MANGLER(m_four, buf_lit(t, ".AAAA"))
MANGLER(m_five, buf_lit(t, ".AAAA.AAAA"))
MANGLER(m_dot, buf_putc(t, '.'))
MANGLER(m_no_sig, CUT(last_segment(t)))
MANGLER(m_two, CUT(last_segment(t) - 1))
MANGLER(m_one, CUT(strchr(t->data, '.')))
MANGLER(m_empty, CUT(t->data))
MANGLER(m_dots, CUT(t->data); buf_lit(t, ".."))
MANGLER(m_dots_sig, CUT(t->data); buf_lit(t, "..AAAA"))
MANGLER(m_lead_space, t->data[0] = ' ')
MANGLER(m_no_header, buf_consume(t, (size_t)(strchr(t->data, '.') - t->data)))
MANGLER(m_inner_newline, last_segment(t)[5] = '\n')
MANGLER(m_inner_padding, last_segment(t)[5] = '=')
MANGLER(m_plus, last_segment(t)[5] = '+')
MANGLER(m_slash, last_segment(t)[5] = '/')
MANGLER(m_header_bit, t->data[4] ^= 1)
MANGLER(m_payload_bit, strchr(t->data, '.')[12] ^= 1)
/* Another character of the alphabet, whatever stood there. */
MANGLER(m_sig_bit, last_segment(t)[7] = last_segment(t)[7] == 'A' ? 'B' : 'A')
MANGLER(m_long, while (t->len < 20000) buf_lit(t, "AAAA"))

/* 32 bytes leave two bits of the last character unused. */
static void
m_unused_bits(struct buf *t)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz0123456789-_";
	char *c = &t->data[t->len - 1];

	*c = digits[(strchr(digits, *c) - digits) + 1];
}

static void
m_no_payload(struct buf *t)
{
	char *first = strchr(t->data, '.'), *last = last_segment(t);
	struct buf copy;

	buf_init(&copy, arena);
	buf_add(&copy, t->data, (size_t)(first - t->data) + 1);
	buf_puts(&copy, last - 1);
	*t = copy;
}

static void
token_make(struct buf *t, const char *header, const char *payload,
    size_t payload_len, sign_f *sign)
{
	struct buf sig;

	buf_init(t, arena);
	buf_init(&sig, arena);
	b64url_encode(t, header, strlen(header));
	buf_putc(t, '.');
	b64url_encode(t, payload, payload_len);
	sign(t->data, t->len, &sig);
	buf_putc(t, '.');
	b64url_encode(t, sig.data, sig.len);
}

/*
 * The attacks.
 */

#define H(alg) "{\"alg\":\"" alg "\"}"
#define HX(more) "{\"alg\":\"HS256\"," more "}"
#define RX(more) "{\"alg\":\"RS256\"," more "}"
#define NO_MATCH "signature does not match"

static const struct attack {
	const char *name;
	const char *header;
	sign_f *sign;
	mangle_f *mangle;
	const char *reason;
} attacks[] = {
	/* The form. */
	{ "empty", H("HS256"), hs256, m_empty, "token is empty" },
	{ "one segment", H("HS256"), hs256, m_one, "three segments" },
	{ "two segments", H("HS256"), hs256, m_two, "three segments" },
	{ "four segments", H("HS256"), hs256, m_four, "three segments" },
	{ "five segments", H("HS256"), hs256, m_five, "three segments" },
	{ "trailing dot", H("HS256"), hs256, m_dot, "three segments" },
	{ "two dots", H("HS256"), hs256, m_dots, "segment 1 is empty" },
	{ "dots and sig", H("HS256"), hs256, m_dots_sig, "segment 1 is empty" },
	{ "no header", H("HS256"), hs256, m_no_header, "segment 1 is empty" },
	{ "no payload", H("HS256"), hs256, m_no_payload, "segment 2 is empty" },
	{ "no signature", H("HS256"), hs256, m_no_sig, "segment 3 is empty" },
	{ "20 KB", H("HS256"), hs256, m_long, "longer than 8192" },
	{ "newline after", H("HS256"), hs256, m_newline, "3 is not base64url" },
	{ "space after", H("HS256"), hs256, m_space, "3 is not base64url" },
	{ "space before", H("HS256"), hs256, m_lead_space, "1 is not base64" },
	{ "padding", H("HS256"), hs256, m_padding, "3 is not base64url" },
	{ "junk", H("HS256"), hs256, m_junk, "3 is not base64url" },
	{ "NUL", H("HS256"), hs256, m_nul, "3 is not base64url" },
	{ "NUL, junk", H("HS256"), hs256, m_nul_junk, "3 is not base64url" },
	{ "newline in", H("HS256"), hs256, m_inner_newline, "3 is not base64" },
	{ "padding in", H("HS256"), hs256, m_inner_padding, "3 is not base64" },
	{ "plus", H("HS256"), hs256, m_plus, "3 is not base64url" },
	{ "slash", H("HS256"), hs256, m_slash, "3 is not base64url" },
	{ "unused bits", H("HS256"), hs256, m_unused_bits, "3 is not base64" },
	{ "more letters", H("HS256"), hs256, m_letters, "35 bytes" },

	/* The algorithm. */
	{ "none", H("none"), none, NULL, "segment 3 is empty" },
	{ "none, sig", H("none"), junk, NULL, "none we know" },
	{ "None", H("None"), junk, NULL, "none we know" },
	{ "NONE", H("NONE"), junk, NULL, "none we know" },
	{ "nOnE", H("nOnE"), hs256, NULL, "none we know" },
	{ "none ", H("none "), hs256, NULL, "none we know" },
	{ "empty alg", H(""), hs256, NULL, "none we know" },
	{ "kid", "{\"alg\":\"none\",\"kid\":\"1\"}", junk, NULL, "none we" },
	{ "alg missing", "{\"typ\":\"JWT\"}", hs256, NULL, "alg is missing" },
	{ "alg number", "{\"alg\":256}", hs256, NULL, "alg is missing" },
	{ "alg null", "{\"alg\":null}", hs256, NULL, "alg is missing" },
	{ "alg array", "{\"alg\":[\"HS256\"]}", hs256, NULL, "alg is missing" },
	{ "Alg", "{\"Alg\":\"HS256\"}", hs256, NULL, "alg is missing" },
	{ "hs256", H("hs256"), hs256, NULL, "none we know" },
	{ "rs256", H("rs256"), rs256, NULL, "none we know" },
	{ "alg twice", HX("\"alg\":\"HS256\""), hs256, NULL, "is repeated" },
	{ "alg NUL", H("HS256\\u0000x"), hs256, NULL, "malformed header" },
	{ "HS512", H("HS512"), hs512, NULL, "HS512 is not accepted here" },
	{ "RS512", H("RS512"), rs512, NULL, "RS512 is not accepted here" },
	{ "PS256", H("PS256"), ps256, NULL, "PS256 is not accepted here" },
	{ "PS as RS", H("RS256"), ps256, NULL, NO_MATCH },
	{ "PS salt 0", H("RS256"), ps256_0, NULL, NO_MATCH },
	{ "ES512, P-256", H("ES512"), es_p256, NULL, "64 bytes" },
	{ "ES256, P-384", H("ES256"), es_p384, NULL, "96 bytes" },
	{ "ES384", H("ES384"), es384, NULL, "ES384 is not accepted here" },
	{ "HS with PEM", H("HS256"), hs_pem, NULL, NO_MATCH },
	{ "HS with PEM cut", H("HS256"), hs_pem_cut, NULL, NO_MATCH },
	{ "HS with EC PEM", H("HS256"), hs_ec_pem, NULL, NO_MATCH },
	{ "HS with modulus", H("HS256"), hs_modulus, NULL, NO_MATCH },
	{ "HS, no key", H("HS256"), hs_empty, NULL, NO_MATCH },
	{ "RS, HMAC inside", H("RS256"), hs_pem, NULL, NO_MATCH },
	{ "ES, HMAC inside", H("ES256"), hs512, NULL, NO_MATCH },

	/* The signature. */
	{ "HS wrong key", H("HS256"), hs_wrong, NULL, NO_MATCH },
	{ "RS wrong key", H("RS256"), rs_other, NULL, NO_MATCH },
	{ "ES wrong key", H("ES256"), es_other, NULL, NO_MATCH },
	{ "HS bit", H("HS256"), hs256, m_sig_bit, NO_MATCH },
	{ "RS bit", H("RS256"), rs256, m_sig_bit, NO_MATCH },
	{ "ES bit", H("ES256"), es256, m_sig_bit, NO_MATCH },
	{ "HS payload", H("HS256"), hs256, m_payload_bit, NO_MATCH },
	{ "RS payload", H("RS256"), rs256, m_payload_bit, NO_MATCH },
	{ "ES payload", H("ES256"), es256, m_payload_bit, NO_MATCH },
	{ "HS header", HX("\"x\":1"), hs256, m_header_bit, "" },
	{ "MAC cut", H("HS256"), hs_cut, NULL, "16 bytes" },
	{ "RS cut", H("RS256"), rs_cut, NULL, NO_MATCH },
	{ "RS zero", H("RS256"), rs_zero, NULL, NO_MATCH },
	{ "RS empty", H("RS256"), none, NULL, "segment 3 is empty" },
	{ "ES zero", H("ES256"), es_zero, NULL, NO_MATCH },
	{ "ES r=0", H("ES256"), es_r0_s1, NULL, NO_MATCH },
	{ "ES r=s=1", H("ES256"), es_ones, NULL, NO_MATCH },
	{ "ES r=n", H("ES256"), es_r_is_n, NULL, NO_MATCH },
	{ "ES s>n", H("ES256"), es_s_over_n, NULL, NO_MATCH },
	{ "ES DER", H("ES256"), es_der, NULL, "malformed: a signature" },
	{ "ES 65 bytes", H("ES256"), es_65, NULL, "65 bytes" },
	{ "ES zeros", H("ES256"), es_zeros, NULL, "66 bytes" },

	/* The header. */
	{ "array", "[\"alg\",\"HS256\"]", hs256, NULL, "no object" },
	{ "text", "alg=HS256", hs256, NULL, "malformed header" },
	{ "after it", "{\"alg\":\"HS256\"}x", hs256, NULL, "malformed header" },
	{ "bad UTF-8", HX("\"x\":\"\xff\""), hs256, NULL, "malformed header" },
	{ "9 deep", HX("\"x\":[[[[[[[[1]]]]]]]]"), hs256, NULL, "malformed" },
	{ "crit", HX("\"crit\":[\"x\"],\"x\":1"), hs256, NULL, "crit" },
	{ "crit empty", HX("\"crit\":[]"), hs256, NULL, "crit" },
	{ "crit exp", HX("\"crit\":[\"exp\"],\"exp\":1"), hs256, NULL, "crit" },
	{ "b64", HX("\"crit\":[\"b64\"],\"b64\":false"), hs256, NULL, "crit" },
	{ "b64 alone", HX("\"b64\":false"), hs256, NULL, "b64" },
	{ "b64 true", HX("\"b64\":true"), hs256, NULL, "b64" },
	{ "zip", HX("\"zip\":\"DEF\""), hs256, NULL, "zip" },
	{ "typ JWE", HX("\"typ\":\"JWE\""), hs256, NULL, "typ" },
	{ "typ dpop", HX("\"typ\":\"dpop+jwt\""), hs256, NULL, "typ" },
	{ "typ logout", HX("\"typ\":\"logout+jwt\""), hs256, NULL, "typ" },
	{ "typ x/jwt", HX("\"typ\":\"x/jwt\""), hs256, NULL, "typ" },
	{ "typ prefix", HX("\"typ\":\"at+jwtx\""), hs256, NULL, "typ" },
	{ "typ empty", HX("\"typ\":\"\""), hs256, NULL, "typ" },
	{ "typ null", HX("\"typ\":null"), hs256, NULL, "typ" },
	{ "typ number", HX("\"typ\":1"), hs256, NULL, "typ" },
	{ "kid number", HX("\"kid\":1"), hs256, NULL, "kid" },
	{ "kid null", HX("\"kid\":null"), hs256, NULL, "kid" },
	{ "kid NUL", HX("\"kid\":\"a\\u0000b\""), hs256, NULL, "malformed" },
	{ "2 kids", HX("\"kid\":\"a\",\"kid\":\"a\""), hs256, NULL, "repeat" },
	{ "null", HX("\"kid\":\"../dev/null\""), hs_empty, NULL, NO_MATCH },
	{ "jku", RX("\"jku\":\"https://evil\""), rs_other, NULL, NO_MATCH },
	{ "x5u", RX("\"x5u\":\"https://evil\""), rs_other, NULL, NO_MATCH },
	{ "x5c", RX("\"x5c\":[\"MIIB\"]"), rs_other, NULL, NO_MATCH },
	{ "jwk", RX("\"jwk\":{\"kty\":\"RSA\"}"), rs_other, NULL, NO_MATCH },
};

static int
verify(struct jws_key *const *keys, size_t n, const struct buf *t,
    struct jws *jws, struct err *err)
{
	return jws_verify(arena, (const struct jws_key *const *)keys, n,
	    t->data, t->len, jws, err);
}

/* No backend that takes it may call it good, whatever jws_verify chose. */
static void
all_backends_refuse(const struct jws_key *const *keys, const struct buf *t)
{
	struct jws_parts p;

	if (jws_front(arena, t->data, t->len, &p, NULL) < 0)
		return;
	for (int b = 0; b < JWS_BACKENDS; b++)
		for (int i = 0; i < 3; i++)
			if (jws_backend_takes(&jws_backends[b], &p))
				assert_false(jws_key_matches(
				    &jws_backends[b], keys[i], &p));
}

static void
refused(const char *name, const struct buf *t, const char *reason)
{
	const struct jws_key *const keys[] = { key_hs, key_rs, key_es };
	struct jws jws = { .alg = "untouched" };
	struct err err = { 0 };

	if (jws_verify(arena, keys, 3, t->data, t->len, &jws, &err) == 0)
		fail_msg("%s: accepted", name);
	if (err.code != ERR_UNAUTHORIZED || strstr(err.text, reason) == NULL)
		fail_msg("%s: refused because \"%s\"", name, err.text);
	assert_string_equal(jws.alg, "untouched");
	if (t->len > 10)
		assert_null(strstr(err.text, t->data));
	all_backends_refuse(keys, t);
}

static void
test_attacks(void **state)
{
	const struct attack *at = attacks;
	struct buf t;

	(void)state;
	for (; at < attacks + COUNT(attacks); at++) {
		token_make(&t, at->header, CLAIMS, strlen(CLAIMS), at->sign);
		if (at->mangle != NULL)
			at->mangle(&t);
		refused(at->name, &t, at->reason);
	}
	print_message("%zu attacks refused\n", COUNT(attacks));
}

/* Headers too long to stand in a table. */
static void
test_header_bounds(void **state)
{
	static const struct {
		int kid, deep;
		const char *reason;
	} rows[] = {
		{ 129, 0, "kid is not a string of at most 128" },
		{ 3000, 0, "header of more than 2048" },
		{ 1, 900, "malformed header" },
		{ 1, 1200, "header of more than 2048" },
	};
	char open[1201] = "", close[1201] = "";
	struct buf t;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		memset(open, '[', (size_t)rows[i].deep);
		memset(close, ']', (size_t)rows[i].deep);
		token_make(&t,
		    arena_printf(arena, HX("\"kid\":\"%0*d\",\"x\":%s1%s"),
			rows[i].kid, 0, open, close),
		    CLAIMS, strlen(CLAIMS), hs256);
		refused("header", &t, rows[i].reason);
	}
}

/* The public key is public: nobody may use it as a secret. */
static void
test_confusion(void **state)
{
	static sign_f *const signers[] = { hs_pem, hs_pem_cut, hs_modulus,
		hs256 };
	struct jws jws;
	struct err err;
	struct buf t;

	(void)state;
	for (size_t i = 0; i < COUNT(signers); i++) {
		token_make(&t, H("HS256"), CLAIMS, strlen(CLAIMS), signers[i]);
		assert_int_equal(-1, verify(&key_rs, 1, &t, &jws, &err));
		assert_string_equal(
		    err.text, "algorithm HS256 is not accepted here");
	}
}

/*
 * What must be accepted, and by whom.
 */

enum { EVP_ONLY, BOTH };

static void
accepted(
    const char *name, const struct jws_key *key, const struct buf *t, int by)
{
	struct jws_parts p;
	struct jws jws;
	struct err err;

	if (jws_verify(arena, &key, 1, t->data, t->len, &jws, &err) < 0)
		fail_msg("%s: %s", name, err.text);
	assert_string_equal(jws.alg, jws_key_alg(key));
	assert_int_equal(0, jws_front(arena, t->data, t->len, &p, &err));
	for (int b = 0; b < JWS_BACKENDS; b++) {
		if (jws_backend_takes(&jws_backends[b], &p) !=
		    (by == BOTH || b == JWS_BACKEND_EVP))
			fail_msg("%s: %s", name, jws_backends[b].name);
		if (jws_backend_takes(&jws_backends[b], &p))
			assert_true(jws_key_matches(&jws_backends[b], key, &p));
	}
}

static void
test_algorithms(void **state)
{
	static const struct {
		const char *alg;
		sign_f *sign;
		int pkey; /* -1: the secret, of that length */
		size_t secret;
	} rows[] = {
		{ "HS256", hs256, -1, 32 },
		{ "HS384", hs384, -1, 48 },
		{ "HS512", hs512, -1, 64 },
		{ "RS256", rs256, RSA_OURS, 0 },
		{ "RS384", rs384, RSA_OURS, 0 },
		{ "RS512", rs512, RSA_OURS, 0 },
		{ "ES256", es256, P256, 0 },
		{ "ES384", es384, P384, 0 },
		{ "ES512", es512, P521, 0 },
		{ "PS256", ps256, RSA_OURS, 0 },
		{ "PS384", ps384, RSA_OURS, 0 },
		{ "PS512", ps512, RSA_OURS, 0 },
		{ "EdDSA", ed25519, ED25519, 0 },
		{ "Ed25519", ed25519, ED25519, 0 },
	};
	struct jws_key *key;
	const char *header;
	int by;
	struct buf t;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		key = rows[i].pkey < 0
			  ? jws_key_new_secret(
				rows[i].alg, secret, rows[i].secret, NULL)
			  : jws_key_new_pem(rows[i].alg, pems[rows[i].pkey],
				strlen(pems[rows[i].pkey]), NULL);
		assert_non_null(key);
		header = arena_printf(arena, H("%s"), rows[i].alg);
		token_make(&t, header, CLAIMS, strlen(CLAIMS), rows[i].sign);
		by = key->alg->kind == JWS_PSS || key->alg->kind == JWS_EDDSA
			 ? EVP_ONLY
			 : BOTH;
		accepted(rows[i].alg, key, &t, by);
		token_make(&t, header, "\0\xff", 2, rows[i].sign);
		accepted(rows[i].alg, key, &t, EVP_ONLY);
		jws_key_free(&key);
		assert_null(key);
	}
}

/* A key of the newer algorithms, and tokens that it has not signed. */
static void
refused_by(int pkey, const char *alg, sign_f *sign, const char *header_alg)
{
	struct jws_key *key =
	    jws_key_new_pem(alg, pems[pkey], strlen(pems[pkey]), NULL);
	struct jws jws;
	struct buf t;

	assert_non_null(key);
	token_make(&t, arena_printf(arena, H("%s"), header_alg), CLAIMS,
	    strlen(CLAIMS), sign);
	if (jws_verify(arena, (const struct jws_key *const *)&key, 1, t.data,
		t.len, &jws, NULL) == 0)
		fail_msg("%s accepted %s", alg, header_alg);
	jws_key_free(&key);
}

static void
test_pss_and_eddsa_attacks(void **state)
{
	(void)state;
	refused_by(RSA_OURS, "PS256", ps256_0, "PS256");
	refused_by(RSA_OURS, "PS256", rs256, "PS256");
	refused_by(RSA_OURS, "PS256", ps256, "RS256");
	refused_by(RSA_OURS, "PS256", ps384, "PS256");
	refused_by(RSA_OURS, "PS384", ps256, "PS384");
	refused_by(RSA_OTHER, "PS256", ps256, "PS256");
	refused_by(RSA_OURS, "PS256", rs_zero, "PS256");
	refused_by(RSA_OURS, "PS256", hs256, "HS256");
	refused_by(ED25519, "EdDSA", es_zero, "EdDSA");
	refused_by(ED25519, "EdDSA", es256, "EdDSA");
	refused_by(ED25519, "EdDSA", ed25519, "Ed25519");
	refused_by(ED25519, "EdDSA", junk, "EdDSA");
	refused_by(ED25519, "EdDSA", hs256, "HS256");
}

static void
test_backend_choice(void **state)
{
	static const struct {
		const char *header, *payload;
		int by;
	} rows[] = {
		{ H("HS256"), CLAIMS, BOTH },
		{ " {\n\"alg\" :\t\"HS256\"}\r\n", " {\n} ", BOTH },
		{ HX("\"typ\":\"JWT\""), CLAIMS, BOTH },
		{ HX("\"typ\":\"jwt\""), CLAIMS, BOTH },
		{ HX("\"typ\":\"application/JWT\""), CLAIMS, EVP_ONLY },
		{ HX("\"typ\":\"at+jwt\""), CLAIMS, EVP_ONLY },
		{ HX("\"typ\":\"AT+JWT\""), CLAIMS, EVP_ONLY },
		{ HX("\"typ\":\"application/at+jwt\""), CLAIMS, EVP_ONLY },
		{ HX("\"kid\":\"../../x*' OR 1=1 --\""), CLAIMS, BOTH },
		{ HX("\"jwk\":{},\"jku\":\"http://x\""), CLAIMS, BOTH },
		{ HX("\"x\":18446744073709551616"), CLAIMS, EVP_ONLY },
		{ H("HS256"), "{\"a\":[9223372036854775808]}", EVP_ONLY },
		{ H("HS256"), "{\"a\":9223372036854775807}", BOTH },
		{ H("HS256"), "{\"a\":1e300}", EVP_ONLY },
		{ H("HS256"), "{\"a\":1.5}", BOTH },
		{ H("HS256"), "{\"a\":\"\\ud83d\\ude00 \xc3\xa9\"}", BOTH },
		{ H("HS256"), "[1]", EVP_ONLY },
		{ H("HS256"), "{}x", EVP_ONLY },
		{ H("HS256"), "{\"a\":1,\"a\":2}", EVP_ONLY },
		{ H("HS256"), "text", EVP_ONLY },
	};
	struct buf t;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		token_make(&t, rows[i].header, rows[i].payload,
		    strlen(rows[i].payload), hs256);
		accepted(rows[i].payload, key_hs, &t, rows[i].by);
	}
}

/* What comes out; and two keys of one algorithm, as in a rotation. */
static void
test_result(void **state)
{
	struct jws_key *old = jws_key_new_secret("HS256", secret + 2, 40, NULL);
	struct jws_key *keys[] = { key_rs, old, key_hs };
	struct jws jws;
	struct err err;
	struct buf t;

	(void)state;
	token_make(&t, HX("\"kid\":\"k1\""), CLAIMS, strlen(CLAIMS), hs256);
	assert_int_equal(0, verify(keys, 3, &t, &jws, &err));
	assert_string_equal(jws.kid, "k1");
	assert_string_equal(jws.payload, CLAIMS);
	assert_int_equal(jws.payload_len, strlen(CLAIMS));
	assert_string_equal(json_get_str(jws.header, "alg"), "HS256");
	assert_string_equal(json_get_str(jws.object, "sub"), "ada");
	assert_int_equal(-1, verify(keys, 2, &t, &jws, &err));
	assert_string_equal(err.text, "signature does not match");
	assert_int_equal(-1, verify(keys, 1, &t, &jws, &err));
	assert_string_equal(err.text, "algorithm HS256 is not accepted here");
	assert_int_equal(-1, verify(keys, 0, &t, &jws, &err));
	jws_key_free(&old);
}

/*
 * Keys.
 */

static void
test_secrets(void **state)
{
	static const struct {
		const char *alg;
		size_t len;
		int ok;
	} rows[] = { { "HS256", 31, 0 }, { "HS256", 32, 1 }, { "HS384", 47, 0 },
		{ "HS384", 48, 1 }, { "HS512", 63, 0 }, { "HS512", 64, 1 },
		{ "HS256", 0, 0 }, { "HS256", 4096, 1 }, { "HS256", 4097, 0 },
		{ "hs256", 64, 0 }, { "none", 64, 0 }, { "RS256", 64, 0 } };
	char *bytes = arena_alloc(arena, 8192);
	struct jws_key *key;
	struct err err;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		err_clear(&err);
		key = jws_key_new_secret(rows[i].alg, bytes, rows[i].len, &err);
		assert_int_equal(key != NULL, rows[i].ok);
		assert_int_equal(err.code, rows[i].ok ? ERR_NONE : ERR_CONFIG);
		jws_key_free(&key);
	}
	assert_null(jws_key_new_secret(
	    "HS256", pems[RSA_OURS], strlen(pems[RSA_OURS]), &err));
	assert_non_null(strstr(err.text, "PEM"));
}

static void
pem_expect(
    const char *alg, const char *pem, const char *want_alg, const char *reason)
{
	struct err err = { 0 };
	struct jws_key *key = jws_key_new_pem(alg, pem, strlen(pem), &err);

	if (want_alg != NULL) {
		if (key == NULL)
			fail_msg("%s", err.text);
		assert_string_equal(jws_key_alg(key), want_alg);
	} else {
		assert_null(key);
		assert_int_equal(err.code, ERR_CONFIG);
		if (strstr(err.text, reason) == NULL)
			fail_msg("\"%s\", not \"%s\"", err.text, reason);
	}
	jws_key_free(&key);
}

static void
test_pems(void **state)
{
	const char *rsa = pems[RSA_OURS], *ec = pems[P256];
	char *two = arena_printf(arena, "%s%s", rsa, ec);

	(void)state;
	pem_expect(NULL, rsa, "RS256", NULL);
	pem_expect("RS512", rsa, "RS512", NULL);
	pem_expect(NULL, ec, "ES256", NULL);
	pem_expect("ES256", ec, "ES256", NULL);
	pem_expect(NULL, pems[P384], "ES384", NULL);
	pem_expect(NULL, pems[P521], "ES512", NULL);
	pem_expect(
	    NULL, arena_printf(arena, "# ours\n%s\n", rsa), "RS256", NULL);
	pem_expect("HS256", rsa, NULL, "not for HS256");
	pem_expect("ES256", rsa, NULL, "not for ES256");
	pem_expect("PS256", rsa, "PS256", NULL);
	pem_expect("EdDSA", rsa, NULL, "not for EdDSA");
	pem_expect(NULL, pems[ED25519], "EdDSA", NULL);
	pem_expect("ES256", pems[ED25519], NULL, "not for ES256");
	pem_expect("none", rsa, NULL, "not for none");
	pem_expect("ES384", ec, NULL, "is for ES256, not for ES384");
	pem_expect("RS256", ec, NULL, "not for RS256");
	pem_expect(NULL, "secret", NULL, "not exactly one");
	pem_expect(NULL, two, NULL, "not exactly one");
	pem_expect(NULL, pem_of(pkeys[RSA_OURS], 1), NULL, "not exactly one");
	pem_expect(NULL,
	    "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
	    NULL, "cannot read");
	pem_expect(NULL,
	    "-----BEGIN PUBLIC KEY-----\nProc-Type: 4,ENCRYPTED\n"
	    "DEK-Info: AES-128-CBC,00112233445566778899AABBCCDDEEFF\n\n"
	    "AAAAAAAAAAAAAAAAAAAAAA==\n-----END PUBLIC KEY-----\n",
	    NULL, "cannot read");
	pem_expect(NULL, arena_printf(arena, "%s%20000d", rsa, 0), NULL,
	    "not exactly one");
}

static void
pkey_expect(EVP_PKEY *pkey, const char *reason)
{
	assert_non_null(pkey);
	pem_expect(NULL, pem_of(pkey, 0), NULL, reason);
	EVP_PKEY_free(pkey);
}

/* RSA keys with odd numbers in them are in test_jwt_vectors.c. */
static void
test_unfit_keys(void **state)
{
	(void)state;
	pkey_expect(EVP_RSA_gen(1024), "1024 bits");
	pkey_expect(EVP_EC_gen("secp256k1"), "none of P-256");
	pkey_expect(EVP_EC_gen("P-224"), "none of P-256");
	pkey_expect(EVP_PKEY_Q_keygen(NULL, NULL, "ED448"), "neither RSA");
}

static int
group_setup(void **state)
{
	(void)state;
	arena = arena_open(65536);
	pkeys[RSA_OURS] = EVP_RSA_gen(2048);
	pkeys[RSA_OTHER] = EVP_RSA_gen(2048);
	pkeys[P256] = EVP_EC_gen("P-256");
	pkeys[P256_OTHER] = EVP_EC_gen("P-256");
	pkeys[P384] = EVP_EC_gen("P-384");
	pkeys[P521] = EVP_EC_gen("P-521");
	pkeys[ED25519] = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	for (int i = 0; i < PKEYS; i++)
		pems[i] = pem_of(pkeys[i], 0);
	key_hs = jws_key_new_secret("HS256", secret, 32, NULL);
	key_rs = jws_key_new_pem(
	    "RS256", pems[RSA_OURS], strlen(pems[RSA_OURS]), NULL);
	key_es = jws_key_new_pem(NULL, pems[P256], strlen(pems[P256]), NULL);
	return 0;
}

static int
group_teardown(void **state)
{
	(void)state;
	jws_key_free(&key_hs);
	jws_key_free(&key_rs);
	jws_key_free(&key_es);
	for (int i = 0; i < PKEYS; i++)
		EVP_PKEY_free(pkeys[i]);
	arena_close(&arena);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_attacks),
		cmocka_unit_test(test_header_bounds),
		cmocka_unit_test(test_confusion),
		cmocka_unit_test(test_algorithms),
		cmocka_unit_test(test_pss_and_eddsa_attacks),
		cmocka_unit_test(test_backend_choice),
		cmocka_unit_test(test_result),
		cmocka_unit_test(test_secrets),
		cmocka_unit_test(test_pems),
		cmocka_unit_test(test_unfit_keys),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
