/* SPDX-License-Identifier: MIT */
#ifndef BASE_ID_H
#define BASE_ID_H

/* Room for a prefix of up to 5 characters, 26 of the id, and a 0 byte. */
#define ID_SIZE 32

/*
 * A new id: prefix ("agt_") and 128 random bits in Crockford's base 32, lower
 * case. Never built from a user or a time. Aborts if the kernel has no
 * randomness.
 */
void id_make(char out[ID_SIZE], const char *prefix);

/*
 * The same for something that belongs to another id: the first ID_FAMILY
 * characters behind the prefix are those of that id, the rest is random.
 */
#define ID_FAMILY 6
void id_make_near(char out[ID_SIZE], const char *prefix, const char *of);

/* 1 if s has the form of an id with this prefix, else 0. */
int id_valid(const char *s, const char *prefix);

/*
 * An id that says a number, its least digit first; and back: 1 and the number
 * in *number_r, or 0 if s is no id with this prefix, or its last digit says
 * more than 128 bits have.
 */
void id_print(char out[ID_SIZE], const char *prefix, unsigned __int128 number);
int id_number(const char *s, const char *prefix, unsigned __int128 *number_r);

/* A new UUIDv4 (RFC 9562), in lower case. */
#define ID_UUID_SIZE 37
void id_make_uuid(char out[ID_UUID_SIZE]);

/* len random bytes; aborts if there are none to be had. */
void id_random(void *out, unsigned len);

#endif
