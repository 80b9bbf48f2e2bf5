/* SPDX-License-Identifier: MIT */
/*
 * OpenSSL 3: keys are read and judged here, once; and signatures are checked
 * here where libjwt cannot (jws.c has the table).
 *
 * The EVP_PKEY is made when the key is, so that a check costs 0.1 ms and not
 * the 2 ms of a PEM decoder. Verifying threads share it: they only read it,
 * and OpenSSL counts references to it atomically. Contexts are per call.
 *
 * libjwt gets a PEM that was written from the EVP_PKEY and not the caller's
 * text, so both see the same key, whatever else stood in the file.
 *
 * A raw ECDSA signature is r || s, each as long as the curve's field (RFC
 * 7518 section 3.4). OpenSSL wants DER. That r and s are in 1..n-1 is checked
 * first, for both backends: a verifier that forgets it accepts zeros
 * (CVE-2022-21449).
 *
 * Every function leaves the thread's error queue empty: a later TLS read
 * would take what it finds there for its own.
 */
#include "config.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>

#include "auth/jws_priv.h"
#include "base/err.h"

#define PEM_MAX_BYTES 16384
#define RSA_MIN_BITS 2048
#define RSA_MAX_BITS 8192
#define RSA_E_MAX_BITS 33

/*
 * Keys.
 */

/* Without this OpenSSL would ask for a pass phrase on the terminal. */
static int
no_pass_phrase(char *out, int size, int rwflag, void *arg)
{
	(void)out, (void)size, (void)rwflag, (void)arg;
	return -1;
}

static size_t
pem_blocks(const char *pem, size_t len)
{
	static const char mark[] = "-----BEGIN ";
	const char *end = pem + len;
	size_t n = 0;

	while ((pem = memmem(pem, (size_t)(end - pem), mark,
		    sizeof(mark) - 1)) != NULL) {
		pem += sizeof(mark) - 1;
		n++;
	}
	return n;
}

static EVP_PKEY *
pem_read(const char *pem, size_t len, struct err *err)
{
	EVP_PKEY *pkey;
	BIO *bio;

	if (len > PEM_MAX_BYTES || pem_blocks(pem, len) != 1 ||
	    memmem(pem, len, "-----BEGIN PUBLIC KEY-----", 26) == NULL) {
		err_set(err, ERR_CONFIG,
		    "not exactly one PEM block \"PUBLIC KEY\"");
		return NULL;
	}
	bio = BIO_new_mem_buf(pem, (int)len);
	if (bio == NULL)
		abort();
	pkey = PEM_read_bio_PUBKEY(bio, NULL, no_pass_phrase, NULL);
	BIO_free(bio);
	if (pkey == NULL)
		err_set(err, ERR_CONFIG, "OpenSSL cannot read the public key");
	return pkey;
}

/* 1 if the modulus is odd and the exponent odd, over 1 and of a usual size. */
static int
rsa_numbers_fit(const EVP_PKEY *pkey)
{
	BIGNUM *n = NULL, *e = NULL;
	int ok;

	ok = EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_N, &n) == 1 &&
	     EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &e) == 1 &&
	     BN_is_odd(n) && BN_is_odd(e) && !BN_is_one(e) &&
	     BN_num_bits(e) <= RSA_E_MAX_BITS;
	BN_free(n);
	BN_free(e);
	return ok;
}

static int
rsa_judge(struct jws_key *key, const char *alg, struct err *err)
{
	int bits = EVP_PKEY_get_bits(key->pkey);

	if (alg == NULL)
		alg = "RS256";
	key->alg = jws_alg_find(alg);
	if (key->alg == NULL ||
	    (key->alg->kind != JWS_RSA && key->alg->kind != JWS_PSS))
		return err_set(err, ERR_CONFIG,
		    "an RSA key is for RS256, RS384, RS512, PS256, PS384 or "
		    "PS512, not for %s",
		    alg);
	if (bits < RSA_MIN_BITS || bits > RSA_MAX_BITS)
		return err_set(err, ERR_CONFIG,
		    "an RSA key of %d bits; %d to %d are taken", bits,
		    RSA_MIN_BITS, RSA_MAX_BITS);
	if (!rsa_numbers_fit(key->pkey))
		return err_set(err, ERR_CONFIG,
		    "the RSA key's modulus or exponent is not a sane one");
	key->sig_bytes = (size_t)EVP_PKEY_get_size(key->pkey);
	return 0;
}

static int
ec_point_fits(EVP_PKEY *pkey)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
	int ok;

	ok = ctx != NULL && EVP_PKEY_public_check(ctx) == 1;
	EVP_PKEY_CTX_free(ctx);
	return ok;
}

static int
ec_judge(struct jws_key *key, const char *alg, struct err *err)
{
	char curve[64];

	if (EVP_PKEY_get_group_name(key->pkey, curve, sizeof(curve), NULL) == 1)
		key->alg = jws_alg_of_curve(curve);
	if (key->alg == NULL)
		return err_set(err, ERR_CONFIG,
		    "the EC key is on none of P-256, P-384 and P-521");
	if (alg != NULL && strcmp(alg, key->alg->name) != 0)
		return err_set(err, ERR_CONFIG,
		    "the EC key's curve is for %s, not for %s", key->alg->name,
		    alg);
	if (!ec_point_fits(key->pkey) ||
	    EVP_PKEY_get_bn_param(
		key->pkey, OSSL_PKEY_PARAM_EC_ORDER, &key->order) != 1)
		return err_set(
		    err, ERR_CONFIG, "the EC key is not a point of its curve");
	key->sig_bytes = key->alg->sig_bytes;
	return 0;
}

static int
ed25519_judge(struct jws_key *key, const char *alg, struct err *err)
{
	if (alg == NULL)
		alg = "EdDSA";
	key->alg = jws_alg_find(alg);
	if (key->alg == NULL || key->alg->kind != JWS_EDDSA)
		return err_set(err, ERR_CONFIG,
		    "an Ed25519 key is for EdDSA, not for %s", alg);
	key->sig_bytes = key->alg->sig_bytes;
	return 0;
}

static void
material_write(struct jws_key *key)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text;
	long len;

	if (bio == NULL || PEM_write_bio_PUBKEY(bio, key->pkey) != 1)
		abort();
	len = BIO_get_mem_data(bio, &text);
	key->material_len = (size_t)len;
	key->material = strndup(text, key->material_len);
	if (key->material == NULL)
		abort();
	BIO_free(bio);
}

static int
key_judge(struct jws_key *key, const char *alg, struct err *err)
{
	static const struct {
		int type;
		int (*judge)(struct jws_key *, const char *, struct err *);
	} rows[] = {
		{ EVP_PKEY_RSA, rsa_judge },
		{ EVP_PKEY_EC, ec_judge },
		{ EVP_PKEY_ED25519, ed25519_judge },
	};
	int type = EVP_PKEY_get_base_id(key->pkey);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].type == type)
			return rows[i].judge(key, alg, err);
	return err_set(err, ERR_CONFIG,
	    "the public key is neither RSA, nor EC, nor Ed25519");
}

int
jws_evp_take(
    struct jws_key *key, const char *alg, EVP_PKEY *pkey, struct err *err)
{
	int rc;

	key->pkey = pkey;
	rc = key_judge(key, alg, err);
	if (rc == 0)
		material_write(key);
	ERR_clear_error();
	return rc;
}

int
jws_evp_load(struct jws_key *key, const char *alg, const char *pem, size_t len,
    struct err *err)
{
	EVP_PKEY *pkey = pem_read(pem, len, err);

	if (pkey != NULL)
		return jws_evp_take(key, alg, pkey, err);
	ERR_clear_error();
	return -1;
}

void
jws_evp_unload(struct jws_key *key)
{
	EVP_PKEY_free(key->pkey);
	BN_free(key->order);
}

/*
 * Signatures.
 */

static BIGNUM *
number(const char *bytes, size_t len)
{
	BIGNUM *n = BN_bin2bn((const unsigned char *)bytes, (int)len, NULL);

	if (n == NULL)
		abort();
	return n;
}

static int
half_in_range(const struct jws_key *key, const char *half, size_t len)
{
	BIGNUM *n = number(half, len);
	int ok = !BN_is_zero(n) && BN_cmp(n, key->order) < 0;

	BN_free(n);
	return ok;
}

int
jws_evp_sig_in_range(const struct jws_key *key, const char *sig, size_t len)
{
	return half_in_range(key, sig, len / 2) &&
	       half_in_range(key, sig + len / 2, len / 2);
}

static int
hmac_matches(const struct jws_key *key, const struct jws_parts *p)
{
	unsigned char mac[EVP_MAX_MD_SIZE];
	size_t len = 0;

	if (EVP_Q_mac(NULL, "HMAC", NULL, key->alg->hash, NULL, key->material,
		key->material_len, (const unsigned char *)p->token,
		p->signed_len, mac, sizeof(mac), &len) == NULL)
		abort();
	return len == p->sig.len && CRYPTO_memcmp(mac, p->sig.data, len) == 0;
}

/* RFC 7518 section 3.5: the salt is as long as the hash, and MGF1's hash is
 * that hash, as OpenSSL has it where nothing else is said. */
static int
padding_set(const struct jws_key *key, EVP_PKEY_CTX *ctx)
{
	if (key->alg->kind != JWS_PSS)
		return 1;
	return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
	       EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) ==
		   1;
}

static int
digest_matches(const struct jws_key *key, const struct jws_parts *p,
    const unsigned char *sig, size_t sig_len)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx;
	int ok;

	if (ctx == NULL)
		abort();
	ok = EVP_DigestVerifyInit_ex(ctx, &pctx, key->alg->hash, NULL, NULL,
		 key->pkey, NULL) == 1 &&
	     padding_set(key, pctx) &&
	     EVP_DigestVerify(ctx, sig, sig_len,
		 (const unsigned char *)p->token, p->signed_len) == 1;
	EVP_MD_CTX_free(ctx);
	return ok;
}

static int
ecdsa_matches(const struct jws_key *key, const struct jws_parts *p)
{
	size_t half = p->sig.len / 2;
	ECDSA_SIG *sig = ECDSA_SIG_new();
	unsigned char *der = NULL;
	int len, ok;

	if (sig == NULL || ECDSA_SIG_set0(sig, number(p->sig.data, half),
			       number(p->sig.data + half, half)) != 1)
		abort();
	len = i2d_ECDSA_SIG(sig, &der);
	if (len <= 0)
		abort();
	ok = digest_matches(key, p, der, (size_t)len);
	OPENSSL_free(der);
	ECDSA_SIG_free(sig);
	return ok;
}

/* Its signature is given to OpenSSL as it is: RSA and Ed25519. */
static int
plain_matches(const struct jws_key *key, const struct jws_parts *p)
{
	return digest_matches(
	    key, p, (const unsigned char *)p->sig.data, p->sig.len);
}

int
jws_evp_matches(const struct jws_key *key, const struct jws_parts *p)
{
	static int (*const by_kind[])(
	    const struct jws_key *, const struct jws_parts *) = {
		[JWS_HMAC] = hmac_matches,
		[JWS_RSA] = plain_matches,
		[JWS_ECDSA] = ecdsa_matches,
		[JWS_PSS] = plain_matches,
		[JWS_EDDSA] = plain_matches,
	};
	int ok = by_kind[key->alg->kind](key, p);

	ERR_clear_error();
	return ok;
}
