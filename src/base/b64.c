/* SPDX-License-Identifier: MIT */
/*
 * base64url. Written here because no library in use decodes it strictly, and
 * a lax decoder gives one token many spellings.
 */
#include "config.h"

#include <stdint.h>

#include "base/b64.h"
#include "base/buf.h"

static const char digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static int
digit_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '-')
		return 62;
	return c == '_' ? 63 : -1;
}

int
b64url_decode(struct buf *out, const char *text, size_t len)
{
	uint32_t acc = 0;
	int bits = 0, v;

	if (len % 4 == 1)
		return -1;
	buf_reserve(out, len);
	for (size_t i = 0; i < len; i++) {
		v = digit_value(text[i]);
		if (v < 0)
			return -1;
		acc = (acc << 6 | (uint32_t)v) & 0xffff;
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			buf_putc(out, (char)(acc >> bits & 0xff));
		}
	}
	return (acc & ((1u << bits) - 1)) == 0 ? 0 : -1;
}

void
b64url_encode(struct buf *out, const void *data, size_t len)
{
	const unsigned char *p = data;
	uint32_t acc = 0;
	int bits = 0;

	buf_reserve(out, len * 4 / 3 + 2);
	for (size_t i = 0; i < len; i++) {
		acc = (acc << 8 | p[i]) & 0xffffff;
		for (bits += 8; bits >= 6; bits -= 6)
			buf_putc(out, digits[acc >> (bits - 6) & 63]);
	}
	if (bits > 0)
		buf_putc(out, digits[acc << (6 - bits) & 63]);
}
