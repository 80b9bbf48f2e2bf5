/* SPDX-License-Identifier: MIT */
/*
 * Sets of keys, as an issuer's server may send them. The first byte says
 * whether secrets are taken and which algorithms. What is accepted has keys
 * that are all of an algorithm that was wanted and, without secrets, public.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "auth/jwk.h"
#include "auth/jws.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct jwks set;
	int secrets, few;

	if (size == 0)
		return 0;
	secrets = data[0] & 1;
	few = data[0] >> 1 & 1;
	if (jwks_read((const char *)data + 1, size - 1, secrets,
		few ? "ES256 EdDSA" : "", &set, NULL) < 0)
		return 0;
	if (set.count == 0 || set.count > JWKS_KEYS_MAX)
		abort();
	for (size_t i = 0; i < set.count; i++)
		if ((!secrets && jws_key_alg(set.key[i])[0] == 'H') ||
		    (few && jws_key_alg(set.key[i])[0] != 'E'))
			abort();
	jwks_clear(&set);
	return 0;
}
