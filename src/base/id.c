/* SPDX-License-Identifier: MIT */
/* Ids are random: they say nothing, and nobody can guess the next one. */
#include "config.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/id.h"

#define DIGITS 26

static const char alphabet[] = "0123456789abcdefghjkmnpqrstvwxyz";

void
id_random(void *out, unsigned len)
{
	char *p = out;
	ssize_t n;

	while (len > 0) {
		n = getrandom(p, len, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			abort();
		p += n;
		len -= (unsigned)n;
	}
}

void
id_make(char out[ID_SIZE], const char *prefix)
{
	size_t n = strlen(prefix);
	unsigned __int128 v;

	if (n + DIGITS + 1 > ID_SIZE)
		abort();
	id_random(&v, sizeof(v));
	memcpy(out, prefix, n);
	for (int i = 0; i < DIGITS; i++, v >>= 5)
		out[n++] = alphabet[(unsigned)v & 31];
	out[n] = '\0';
}

int
id_valid(const char *s, const char *prefix)
{
	size_t n = strlen(prefix);

	if (strncmp(s, prefix, n) != 0)
		return 0;
	s += n;
	return strlen(s) == DIGITS && strspn(s, alphabet) == DIGITS;
}
