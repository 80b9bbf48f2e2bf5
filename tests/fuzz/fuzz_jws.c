/* SPDX-License-Identifier: MIT */
/*
 * Tokens from a stranger, through jwt_verify.
 *
 * An input without a newline is the token. One with a newline is a header, a
 * newline and a payload: it is encoded and signed here, so that what lies
 * behind the signature is reached too. A token that was signed and that the
 * front lets pass must be verified by every backend that takes it; otherwise
 * libjwt's parser is stricter than the rule in jws.c thinks, and users with
 * good tokens would be turned away.
 */
#include "config.h"

#include <openssl/evp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "auth/jws.h"
#include "auth/jws_priv.h"
#include "auth/jwt.h"
#include "base/arena.h"
#include "base/b64.h"
#include "base/buf.h"

#define NOW 1700000000

static const char secret[] = "0123456789abcdef0123456789abcdef";

/* RFC 7515 A.3 and A.2. */
static const char ec_pem[] =
    "-----BEGIN PUBLIC KEY-----\n"
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV7\n"
    "6e8Tus9uPHvRVEXH8UTNG72bfocs3+257rn0s2ldbqkLJK2KRiMohYjlrQ==\n"
    "-----END PUBLIC KEY-----\n";
static const char rsa_pem[] =
    "-----BEGIN PUBLIC KEY-----\n"
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAofgWCuLjybRlzo0tZWJj\n"
    "NiuSfb4p4fAkd/wWJcyQoTbji9k0l8W26mPddxHmfHQp+Vaw+4qPCJrcS2mJPMEz\n"
    "P1Pt0Bm4d4QlL+yRT+SFd2lZS+pCgNMsD1W/YpRPEwOWvG6b32690r2jZ47soMZo\n"
    "9wGzjb/7OMg0LOL+bSf63kpaSHSXndS5z5rexMdbBYUsLA9e+KXBdQOS+UTo7WTB\n"
    "EMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6/I5IhlJH7aGhyxX\n"
    "FvUK+DWNmoudF8NAco9/h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXp\n"
    "oQIDAQAB\n"
    "-----END PUBLIC KEY-----\n";

static struct jws_key *keys[3];

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	keys[0] = jws_key_new_secret("HS256", secret, 32, NULL);
	keys[1] = jws_key_new_pem(NULL, rsa_pem, strlen(rsa_pem), NULL);
	keys[2] = jws_key_new_pem(NULL, ec_pem, strlen(ec_pem), NULL);
	if (keys[0] == NULL || keys[1] == NULL || keys[2] == NULL)
		abort();
	return 0;
}

static void
token_sign(struct buf *t, const char *header, size_t header_len,
    const char *payload, size_t payload_len)
{
	unsigned char mac[EVP_MAX_MD_SIZE];
	size_t n;

	b64url_encode(t, header, header_len);
	buf_putc(t, '.');
	b64url_encode(t, payload, payload_len);
	if (EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, secret, 32,
		(const unsigned char *)t->data, t->len, mac, sizeof(mac),
		&n) == NULL)
		abort();
	buf_putc(t, '.');
	b64url_encode(t, mac, n);
}

static void
backends_check(struct arena *a, const struct buf *t)
{
	struct jws_parts p;

	if (jws_front(a, t->data, t->len, &p, NULL) < 0 ||
	    strcmp(p.alg->name, "HS256") != 0)
		return;
	for (int b = 0; b < JWS_BACKENDS; b++)
		if (jws_backend_takes(&jws_backends[b], &p) &&
		    !jws_key_matches(&jws_backends[b], keys[0], &p))
			abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct jwt_options options = { .issuer =
							"https://id.example",
		.audience = "agents",
		.user_claim = "sub",
		.tenant_claim = "tenant",
		.roles_claim = "roles",
		.role = { [IDENTITY_ADMIN] = "admin" },
		.leeway_s = 30 };
	struct arena *a = arena_open(16384);
	const char *text = arena_memdup(a, data, size);
	const char *nl = memchr(text, '\n', size);
	struct identity id;
	struct buf t;

	buf_init(&t, a);
	if (nl == NULL) {
		buf_add(&t, text, size);
	} else {
		token_sign(&t, text, (size_t)(nl - text), nl + 1,
		    size - (size_t)(nl + 1 - text));
		backends_check(a, &t);
	}
	if (jwt_verify(a, (const struct jws_key *const *)keys, 3, &options,
		t.data, t.len, NOW, &id, NULL, NULL) == 0 &&
	    (id.user[0] == '\0' || id.expires_s < NOW - 30))
		abort();
	arena_close(&a);
	return 0;
}
