/* SPDX-License-Identifier: MIT */
#ifndef BASE_B64_H
#define BASE_B64_H

#include <stddef.h>

struct buf;

/*
 * base64url without padding (RFC 4648 section 5, as RFC 7515 wants it).
 * Decoding is strict: no other character, no padding, unused bits zero.
 * 0, or -1 if the text is not exactly such an encoding; out then holds
 * nothing of use.
 */
int b64url_decode(struct buf *out, const char *text, size_t len);

void b64url_encode(struct buf *out, const void *data, size_t len);

#endif
