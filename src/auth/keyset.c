/* SPDX-License-Identifier: MIT */
/*
 * Keys together, and the files of section [jwt] that they come from.
 *
 * A set never changes. Who wants other keys makes another set, and threads
 * that verify with the old one at that moment keep it by their reference.
 *
 * Whether a file has changed is told by device, inode, size and time of
 * change, taken before it is read: what is written meanwhile is seen at the
 * next look, so a file that was read half is read again.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "auth/jwk.h"
#include "auth/jws.h"
#include "auth/keyset.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "conf/conf.h"

#define PEM_MAX_BYTES (64 * 1024)
#define PEM_KEYS_MAX 8

static const char *const secret_algorithms[] = { "HS256", "HS384", "HS512" };

static const char *const public_algorithms[] = { NULL, "RS256", "RS384",
	"RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512",
	"EdDSA" };

/* ---- sets ---- */

static struct keyset *
keyset_new(void)
{
	struct keyset *set = calloc(1, sizeof(*set));

	if (set == NULL)
		abort();
	set->refs = 1;
	return set;
}

void
keyset_ref(struct keyset *set)
{
	if (set != NULL)
		__atomic_add_fetch(&set->refs, 1, __ATOMIC_RELAXED);
}

void
keyset_unref(struct keyset **set_p)
{
	struct keyset *set = *set_p;

	*set_p = NULL;
	if (set == NULL ||
	    __atomic_sub_fetch(&set->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	while (set->count > 0)
		jws_key_free(&set->key[--set->count]);
	free(set);
}

static int
add_key(struct keyset *set, struct jws_key *key)
{
	if (key == NULL)
		return -1;
	if (set->count == KEYSET_MAX)
		abort(); /* the bounds below allow fewer */
	set->key[set->count++] = key;
	return 0;
}

static void
add_jwks(struct keyset *set, struct jwks *from)
{
	for (size_t i = 0; i < from->count; i++)
		add_key(set, from->key[i]);
	from->count = 0;
}

struct keyset *
keyset_from_jwks(struct jwks *set)
{
	struct keyset *keys = keyset_new();

	add_jwks(keys, set);
	return keys;
}

int
keyset_has_kid(const struct keyset *set, const char *kid)
{
	const char *name;

	for (size_t i = 0; i < set->count; i++) {
		name = jws_key_kid(set->key[i]);
		if (name == NULL || kid == NULL || strcmp(name, kid) == 0)
			return 1;
	}
	return 0;
}

/* ---- files ---- */

static void
file_look(struct keyset_file *f)
{
	struct stat st;

	if (stat(f->path, &st) < 0) {
		f->ino = 0;
		return;
	}
	f->dev = st.st_dev;
	f->ino = st.st_ino;
	f->size = st.st_size;
	f->mtime = st.st_mtim;
}

void
keyset_files_add(struct keyset_files *files, const char *path)
{
	struct keyset_file *f;

	if (files->count == KEYSET_FILES_MAX)
		abort();
	f = &files->file[files->count++];
	memset(f, 0, sizeof(*f));
	memcpy(f->path, path, strnlen(path, KEYSET_PATH_MAX - 1));
	file_look(f);
}

int
keyset_files_changed(const struct keyset_files *files)
{
	const struct keyset_file *f;
	struct keyset_file now;

	for (size_t i = 0; i < files->count; i++) {
		f = &files->file[i];
		now = *f;
		file_look(&now);
		if (now.ino != f->ino || now.dev != f->dev ||
		    now.size != f->size ||
		    now.mtime.tv_sec != f->mtime.tv_sec ||
		    now.mtime.tv_nsec != f->mtime.tv_nsec)
			return 1;
	}
	return 0;
}

/* ---- what [jwt] names ---- */

static int
load_secret(const struct conf *c, const char *name, struct keyset *set,
    struct keyset_files *files, struct err *err)
{
	char path[KEYSET_PATH_MAX];
	int is_file = conf_secret_path(c, name, path, sizeof(path)), rc;
	struct buf secret;

	if (is_file)
		keyset_files_add(files, path);
	rc = conf_secret(c, name, &secret, err);
	if (rc == 0 && is_file)
		rc = err_set(err, ERR_CONFIG, "%s is empty", path);
	if (rc > 0)
		rc =
		    add_key(set, jws_key_new_secret(
				     secret_algorithms[c->jwt_secret_algorithm],
				     secret.data, secret.len, err));
	conf_wipe(&secret);
	return rc < 0 ? err_prefix(err, "%s", name) : 0;
}

static int
load_secrets(const struct conf *c, struct keyset *set,
    struct keyset_files *files, struct err *err)
{
	if (load_secret(c, "jwt.secret", set, files, err) < 0)
		return -1;
	return load_secret(c, "jwt.old_secret", set, files, err);
}

/* Where the next block begins, or end: behind the end of this one. */
static const char *
pem_next(const char *text, const char *end)
{
	const char *next = memmem(text, (size_t)(end - text), "-----END ", 9);

	if (next != NULL)
		next = memmem(next, (size_t)(end - next), "-----BEGIN ", 11);
	return next == NULL ? end : next;
}

/* Each block of a PEM file is a key. */
static int
load_pems(const struct conf *c, struct keyset *set, const char *text,
    size_t len, struct err *err)
{
	const char *alg = public_algorithms[c->jwt_public_key_algorithm];
	const char *end = text + len, *next;

	for (int i = 0; text < end; text = next, i++) {
		next = pem_next(text, end);
		if (i == PEM_KEYS_MAX)
			return err_set(
			    err, ERR_CONFIG, "more than %d keys", PEM_KEYS_MAX);
		if (add_key(set, jws_key_new_pem(alg, text,
				     (size_t)(next - text), err)) < 0)
			return -1;
	}
	return 0;
}

static int
load_public_keys(const struct conf *c, struct keyset *set,
    struct keyset_files *files, struct err *err)
{
	struct buf text;
	int rc;

	if (*c->jwt_public_key_file == '\0')
		return 0;
	keyset_files_add(files, c->jwt_public_key_file);
	buf_init(&text, NULL);
	rc = file_read(c->jwt_public_key_file, PEM_MAX_BYTES, &text, err);
	if (rc == 0 && text.len == 0)
		rc = err_set(err, ERR_CONFIG, "it is empty");
	if (rc == 0)
		rc = load_pems(c, set, text.data, text.len, err);
	buf_fini(&text);
	return rc < 0 ? err_prefix(err, "jwt.public_key_file: %s",
			    c->jwt_public_key_file)
		      : 0;
}

static int
jwks_from_file(const char *path, int secrets, const char *algorithms,
    struct jwks *out, struct keyset_files *files, struct err *err)
{
	struct buf text;
	int rc;

	keyset_files_add(files, path);
	buf_init(&text, NULL);
	buf_reserve(&text, JWKS_MAX_BYTES + 8192); /* so it never moves */
	rc = file_read(path, JWKS_MAX_BYTES, &text, err);
	if (rc == 0)
		rc = jwks_read(
		    buf_str(&text), text.len, secrets, algorithms, out, err);
	conf_wipe(&text); /* it may have secrets */
	return rc < 0 ? err_prefix(err, "jwks_file: %s", path) : 0;
}

static int
load_jwks(const struct conf *c, struct keyset *set, struct keyset_files *files,
    struct err *err)
{
	struct jwks jwks;

	if (*c->jwt_jwks_file == '\0')
		return 0;
	if (jwks_from_file(c->jwt_jwks_file, 1, "", &jwks, files, err) < 0)
		return err_prefix(err, "jwt");
	add_jwks(set, &jwks);
	return 0;
}

struct keyset *
keyset_load_jwks(const char *path, const char *algorithms,
    struct keyset_files *files, struct err *err)
{
	struct jwks jwks;

	files->count = 0;
	if (jwks_from_file(path, 0, algorithms, &jwks, files, err) < 0)
		return NULL;
	return keyset_from_jwks(&jwks);
}

struct keyset *
keyset_load(const struct conf *c, struct keyset_files *files, struct err *err)
{
	static int (*const loads[])(const struct conf *, struct keyset *,
	    struct keyset_files *,
	    struct err *) = { load_secrets, load_public_keys, load_jwks };
	struct keyset *set = keyset_new();
	int rc = 0;

	files->count = 0;
	for (size_t i = 0; i < sizeof(loads) / sizeof(loads[0]); i++)
		if (loads[i](c, set, files, rc == 0 ? err : NULL) < 0)
			rc = -1; /* go on: all files are to be looked at */
	if (rc < 0)
		keyset_unref(&set);
	return set;
}
