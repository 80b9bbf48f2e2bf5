/* SPDX-License-Identifier: MIT */
/* The one hash of texts that tables of shared memory and made-up ids have. */
#include "config.h"

#include "base/hash.h"

uint64_t
hash_text(const char *s)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (; *s != '\0'; s++)
		h = (h ^ (unsigned char)*s) * UINT64_C(0x100000001b3);
	return h == 0 ? 1 : h;
}
