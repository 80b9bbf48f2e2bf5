/* SPDX-License-Identifier: MIT */
#ifndef BASE_SHA256_H
#define BASE_SHA256_H

#include <stddef.h>

#define SHA256_SIZE 32
#define SHA256_HEX_SIZE 65

/* The SHA-256 (FIPS 180-4) of len bytes. Any thread. */
void sha256(const void *p, size_t len, unsigned char out[SHA256_SIZE]);

/* The same as 64 lower-case hexadecimal digits and a 0. */
void sha256_hex(const void *p, size_t len, char out[SHA256_HEX_SIZE]);

#endif
