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
#define STOCK_BYTES 512 /* of randomness, fetched at once by each thread */

static const char alphabet[] = "0123456789abcdefghjkmnpqrstvwxyz";

static void
kernel_random(char *p, size_t len)
{
	ssize_t n;

	while (len > 0) {
		n = getrandom(p, len, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			abort();
		p += n;
		len -= (size_t)n;
	}
}

void
id_random(void *out, unsigned len)
{
	static _Thread_local struct {
		char bytes[STOCK_BYTES];
		size_t left;
	} stock;

	if (len > STOCK_BYTES) {
		kernel_random(out, len);
		return;
	}
	if (stock.left < len) {
		kernel_random(stock.bytes, STOCK_BYTES);
		stock.left = STOCK_BYTES;
	}
	stock.left -= len;
	memcpy(out, stock.bytes + stock.left, len);
	explicit_bzero(stock.bytes + stock.left, len); /* given out once */
}

void
id_print(char out[ID_SIZE], const char *prefix, unsigned __int128 number)
{
	size_t n = strlen(prefix);

	if (n + DIGITS + 1 > ID_SIZE)
		abort();
	memcpy(out, prefix, n);
	for (int i = 0; i < DIGITS; i++, number >>= 5)
		out[n++] = alphabet[(unsigned)number & 31];
	out[n] = '\0';
}

void
id_make(char out[ID_SIZE], const char *prefix)
{
	unsigned __int128 v;

	id_random(&v, sizeof(v));
	id_print(out, prefix, v);
}

void
id_make_near(char out[ID_SIZE], const char *prefix, const char *of)
{
	size_t n = strlen(prefix);

	if (!id_valid(of, prefix))
		abort();
	id_make(out, prefix);
	memcpy(out + n, of + n, ID_FAMILY);
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

int
id_number(const char *s, const char *prefix, unsigned __int128 *number_r)
{
	if (!id_valid(s, prefix))
		return 0;
	s += strlen(prefix);
	if (strchr(alphabet, s[DIGITS - 1]) - alphabet > 7)
		return 0;
	*number_r = 0;
	for (int i = DIGITS - 1; i >= 0; i--)
		*number_r = *number_r << 5 |
			    (unsigned)(strchr(alphabet, s[i]) - alphabet);
	return 1;
}

void
id_make_uuid(char out[ID_UUID_SIZE])
{
	unsigned char byte[16];

	id_random(byte, sizeof(byte));
	byte[6] = (byte[6] & 0x0f) | 0x40;
	byte[8] = (byte[8] & 0x3f) | 0x80;
	for (int i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*out++ = '-';
		*out++ = "0123456789abcdef"[byte[i] >> 4];
		*out++ = "0123456789abcdef"[byte[i] & 15];
	}
	*out = '\0';
}
