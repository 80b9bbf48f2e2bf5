/* SPDX-License-Identifier: MIT */
/*
 * SHA-256, by OpenSSL: of tokens, for names of keys and chains of records.
 *
 * OpenSSL looks up an algorithm by its name each time, under a lock, which
 * takes as long as the digest of a token: so it is asked for once.
 */
#include "config.h"

#include <pthread.h>
#include <stdlib.h>

#include <openssl/evp.h>

#include "base/sha256.h"

static EVP_MD *algorithm;

static void
find_algorithm(void)
{
	algorithm = EVP_MD_fetch(NULL, "SHA256", NULL);
	if (algorithm == NULL)
		abort();
}

void
sha256(const void *p, size_t len, unsigned char out[SHA256_SIZE])
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, find_algorithm);
	if (EVP_Digest(p, len, out, NULL, algorithm, NULL) != 1)
		abort();
}

void
sha256_hex(const void *p, size_t len, char out[SHA256_HEX_SIZE])
{
	static const char digits[] = "0123456789abcdef";
	unsigned char md[SHA256_SIZE];
	char *to = out;

	sha256(p, len, md);
	for (int i = 0; i < SHA256_SIZE; i++) {
		*to++ = digits[md[i] >> 4];
		*to++ = digits[md[i] & 15];
	}
	*to = '\0';
}
