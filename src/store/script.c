/* SPDX-License-Identifier: MIT */
/* The names by which Redis knows our scripts. */
#include "config.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/script.h"

void
script_init(void)
{
	unsigned char md[EVP_MAX_MD_SIZE];
	unsigned len;

	for (int i = 0; i < SCRIPT_COUNT; i++) {
		struct script *s = &scripts[i];

		if (EVP_Digest(s->text, strlen(s->text), md, &len, EVP_sha1(),
			NULL) != 1 ||
		    len != 20)
			abort();
		for (unsigned j = 0; j < len; j++)
			snprintf(s->sha + 2 * j, 3, "%02x", md[j]);
	}
}
