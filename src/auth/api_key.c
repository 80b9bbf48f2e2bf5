/* SPDX-License-Identifier: MIT */
/*
 * The form of API keys and of their hashes: see api_key.h.
 *
 * A key is long and random, so a fast hash would do; a slow one is for keys
 * that an administrator made in another way. What a hash may cost is bounded
 * when it is read, not when somebody tries a key on it.
 */
#include "config.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/api_key.h"
#include "base/b64.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/id.h"
#include "conf/conf.h"

#define PREFIX "afk_"
#define PREFIX_LEN 4
#define RANDOM_LEN 52 /* two ids */

#define LN_MIN 10
#define LN_MAX 19
#define R_MAX 32
#define P_MAX 4
#define MEMORY_MAX (64 * UINT64_C(1048576))
#define SALT_MIN 8
#define HASH_MIN 16

/* Of new hashes: 16 MiB, and about 40 ms. */
#define NEW_LN 14
#define NEW_R 8
#define NEW_P 1
#define NEW_SALT 16
#define NEW_HASH 32

int
api_key_is(const char *key, size_t len)
{
	return len >= PREFIX_LEN && memcmp(key, PREFIX, PREFIX_LEN) == 0;
}

int
api_key_name(const char *key, size_t len, char name_r[API_KEY_NAME_SIZE])
{
	char random[ID_SIZE];
	size_t n;

	if (!api_key_is(key, len) || len < PREFIX_LEN + 2 + RANDOM_LEN)
		return 0;
	n = len - PREFIX_LEN - 1 - RANDOM_LEN;
	if (n >= API_KEY_NAME_SIZE || key[PREFIX_LEN + n] != '_')
		return 0;
	memcpy(name_r, key + PREFIX_LEN, n);
	name_r[n] = '\0';
	key += PREFIX_LEN + n + 1;
	for (int i = 0; i < 2; i++, key += RANDOM_LEN / 2) {
		memcpy(random, key, RANDOM_LEN / 2);
		random[RANDOM_LEN / 2] = '\0';
		if (!id_valid(random, ""))
			return 0;
	}
	return conf_label_is_good(name_r);
}

void
api_key_make(const char *name, char out[API_KEY_SIZE])
{
	char a[ID_SIZE], b[ID_SIZE];

	id_make(a, "");
	id_make(b, "");
	snprintf(out, API_KEY_SIZE, PREFIX "%s_%s%s", name, a, b);
}

/* ---- hashes ---- */

static void
compute(const struct api_key_hash *h, const char *key, size_t len,
    unsigned char *out)
{
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "SCRYPT", NULL);
	EVP_KDF_CTX *ctx = kdf == NULL ? NULL : EVP_KDF_CTX_new(kdf);
	uint64_t n = UINT64_C(1) << h->ln, memory = 2 * MEMORY_MAX;
	uint32_t r = h->r, p = h->p;
	unsigned char salt[sizeof(h->salt)];
	char *secret = malloc(len + 1);

	if (ctx == NULL || secret == NULL)
		abort();
	memcpy(secret, key, len);
	memcpy(salt, h->salt, h->salt_len);
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(
		    OSSL_KDF_PARAM_PASSWORD, secret, len),
		OSSL_PARAM_construct_octet_string(
		    OSSL_KDF_PARAM_SALT, salt, h->salt_len),
		OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_N, &n),
		OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_SCRYPT_R, &r),
		OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_SCRYPT_P, &p),
		OSSL_PARAM_construct_uint64(
		    OSSL_KDF_PARAM_SCRYPT_MAXMEM, &memory),
		OSSL_PARAM_construct_end(),
	};
	if (EVP_KDF_derive(ctx, out, h->hash_len, params) != 1)
		abort();
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	OPENSSL_cleanse(secret, len);
	free(secret);
}

int
api_key_hash_is_of(const struct api_key_hash *h, const char *key, size_t len)
{
	unsigned char out[sizeof(h->hash)];
	int same;

	compute(h, key, len, out);
	same = CRYPTO_memcmp(out, h->hash, h->hash_len) == 0;
	OPENSSL_cleanse(out, sizeof(out));
	return same;
}

/* Base64 as the format has it: not of URLs, and without padding. */
static void
put_b64(struct buf *out, const unsigned char *data, size_t len)
{
	size_t from = out->len;

	b64url_encode(out, data, len);
	for (char *p = out->data + from; *p != '\0'; p++)
		*p = *p == '-' ? '+' : *p == '_' ? '/' : *p;
}

void
api_key_hash_make(struct buf *out, const char *key)
{
	struct api_key_hash h = { .ln = NEW_LN,
		.r = NEW_R,
		.p = NEW_P,
		.salt_len = NEW_SALT,
		.hash_len = NEW_HASH };

	id_random(h.salt, NEW_SALT);
	compute(&h, key, strlen(key), h.hash);
	buf_printf(out, "$scrypt$ln=%u,r=%u,p=%u$", h.ln, h.r, h.p);
	put_b64(out, h.salt, h.salt_len);
	buf_putc(out, '$');
	put_b64(out, h.hash, h.hash_len);
}

/* The bytes of a base64 text of len characters. 0, or -1. */
static int
take_b64(const char *text, size_t len, unsigned char *out, size_t min,
    size_t size, size_t *len_r)
{
	struct buf url, raw;
	int rc;

	buf_init(&url, NULL);
	buf_init(&raw, NULL);
	for (size_t i = 0; i < len; i++) /* - and _ are no digits here */
		buf_putc(&url, text[i] == '+'                     ? '-'
			       : text[i] == '/'                   ? '_'
			       : text[i] == '-' || text[i] == '_' ? '='
								  : text[i]);
	rc = b64url_decode(&raw, buf_str(&url), len);
	if (rc == 0 && raw.len >= min && raw.len <= size) {
		memcpy(out, raw.data, raw.len);
		*len_r = raw.len;
	} else {
		rc = -1;
	}
	buf_fini(&url);
	buf_fini(&raw);
	return rc;
}

static int
in_bounds(const struct api_key_hash *h)
{
	if (h->ln < LN_MIN || h->ln > LN_MAX || h->r < 1 || h->r > R_MAX ||
	    h->p < 1 || h->p > P_MAX)
		return 0;
	return (UINT64_C(128) * h->r << h->ln) <= MEMORY_MAX;
}

int
api_key_hash_parse(const char *text, struct api_key_hash *out, struct err *err)
{
	const char *salt, *hash;
	int n = 0;

	memset(out, 0, sizeof(*out));
	if (sscanf(text, "$scrypt$ln=%2u,r=%2u,p=%2u$%n", &out->ln, &out->r,
		&out->p, &n) != 3 ||
	    n == 0 || (hash = strchr(salt = text + n, '$')) == NULL ||
	    take_b64(salt, (size_t)(hash - salt), out->salt, SALT_MIN,
		sizeof(out->salt), &out->salt_len) < 0 ||
	    take_b64(hash + 1, strlen(hash + 1), out->hash, HASH_MIN,
		sizeof(out->hash), &out->hash_len) < 0)
		return err_set(err, ERR_CONFIG,
		    "hash is not $scrypt$ln=N,r=N,p=N$SALT$HASH; agent-fpm "
		    "apikey new makes a key and its hash");
	if (!in_bounds(out))
		return err_set(err, ERR_CONFIG,
		    "hash would cost too much or too little: ln is %d to %d, r "
		    "up to %d, p up to %d, and 128 * r * 2^ln at most 64 MiB",
		    LN_MIN, LN_MAX, R_MAX, P_MAX);
	return 0;
}
