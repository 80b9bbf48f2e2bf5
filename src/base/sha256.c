/* SPDX-License-Identifier: MIT */
/* SHA-256 as text, by OpenSSL: for names of keys, and chains of records. */
#include "config.h"

#include <stdlib.h>

#include <openssl/evp.h>

#include "base/sha256.h"

void
sha256_hex(const void *p, size_t len, char out[SHA256_HEX_SIZE])
{
	static const char digits[] = "0123456789abcdef";
	unsigned char md[EVP_MAX_MD_SIZE];
	char *to = out;

	if (EVP_Digest(p, len, md, NULL, EVP_sha256(), NULL) != 1)
		abort();
	for (int i = 0; i < 32; i++) {
		*to++ = digits[md[i] >> 4];
		*to++ = digits[md[i] & 15];
	}
	*to = '\0';
}
