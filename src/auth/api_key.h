/* SPDX-License-Identifier: MIT */
#ifndef AUTH_API_KEY_H
#define AUTH_API_KEY_H

#include <stddef.h>

struct buf;
struct err;

/*
 * API keys: afk_NAME_RANDOM. NAME is that of the section [api_key NAME];
 * RANDOM has 52 characters, 260 bits. What is kept of a key is a hash, as a
 * text:
 *
 *   $scrypt$ln=14,r=8,p=1$SALT$HASH
 *
 * scrypt (RFC 7914) with N = 2^ln; salt and hash are base64 without padding,
 * the form of the PHC string format that other programs write too.
 */
#define API_KEY_NAME_SIZE 64
#define API_KEY_SIZE 128

struct api_key_hash {
	unsigned char salt[64], hash[64];
	size_t salt_len, hash_len;
	unsigned ln, r, p;
};

/* 1 if a text begins as a key does: then it is no JWT. */
int api_key_is(const char *key, size_t len);

/* 1 and the name in it, if it has a key's form; else 0. */
int api_key_name(const char *key, size_t len, char name_r[API_KEY_NAME_SIZE]);

/* A new key; name is one of a section, so of less than API_KEY_NAME_SIZE. */
void api_key_make(const char *name, char out[API_KEY_SIZE]);

/* Appends the hash of a key, with a new salt. Computes for tens of ms. */
void api_key_hash_make(struct buf *out, const char *key);

/*
 * 0; or -1 and ERR_CONFIG: it is none, or would take more than 64 MiB or too
 * long to compute.
 */
int api_key_hash_parse(
    const char *text, struct api_key_hash *out, struct err *err);

/* 1 if it is the hash of that key, else 0. Computes for tens of ms, with up to
 * 64 MiB; where there is no memory for it, aborts. */
int api_key_hash_is_of(
    const struct api_key_hash *h, const char *key, size_t len);

#endif
