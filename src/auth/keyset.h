/* SPDX-License-Identifier: MIT */
#ifndef AUTH_KEYSET_H
#define AUTH_KEYSET_H

#include <stddef.h>
#include <sys/types.h>
#include <time.h>

struct conf;
struct err;
struct jwks;
struct jws_key;

#define KEYSET_MAX 80
#define KEYSET_FILES_MAX 4
#define KEYSET_PATH_MAX 4096

/* Keys together; immutable once made, and shared by whoever verifies. */
struct keyset {
	int refs; /* atomic */
	struct jws_key *key[KEYSET_MAX];
	size_t count;
};

/* The files that keys came from, and what they were when they were read. */
struct keyset_files {
	struct keyset_file {
		char path[KEYSET_PATH_MAX];
		dev_t dev;
		ino_t ino; /* 0: it is not there */
		off_t size;
		struct timespec mtime;
	} file[KEYSET_FILES_MAX];
	size_t count;
};

/*
 * The keys of section [jwt]: the secret, the one before it, public keys, a set
 * of keys. files gets the files to look at, also if it fails. One reference,
 * the caller's. NULL and ERR_CONFIG: one of them is not good. A set without
 * keys is none of its business. Blocks for the disk.
 */
struct keyset *keyset_load(
    const struct conf *c, struct keyset_files *files, struct err *err);

/* The public keys of a file with a set, of algorithms that are listed. */
struct keyset *keyset_load_jwks(const char *path, const char *algorithms,
    struct keyset_files *files, struct err *err);

/* 1 if one of the keys may be tried on tokens with this kid, or NULL. */
int keyset_has_kid(const struct keyset *set, const char *kid);

/* The keys of a set, which is empty afterwards. One reference. */
struct keyset *keyset_from_jwks(struct jwks *set);

/* NULL is fine. */
void keyset_ref(struct keyset *set);
void keyset_unref(struct keyset **set_p);

/* Remembers a file as it is now, before it is read. */
void keyset_files_add(struct keyset_files *files, const char *path);

/* 1 if one of them is another now, or gone. Blocks for the disk. */
int keyset_files_changed(const struct keyset_files *files);

#endif
