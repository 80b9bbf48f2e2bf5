/* SPDX-License-Identifier: MIT */
#ifndef STORE_FILES_H
#define STORE_FILES_H

#include "store/store.h"

/*
 * What is saved of the files of a session, so that they outlive the sandbox
 * that has them, and what clients were told of them. As in store.h: everything
 * blocks, results are the arena's, and the user is checked in Redis:
 * ERR_FORBIDDEN if the agent is not the user's, not there, or no session.
 */
#define STORE_ETAG_SIZE 80
#define STORE_ETAG_NONE "-" /* of a file that no sandbox has had yet */

struct store_file {
	const char *path;
	int64_t size;
	int mode;           /* of chmod(2) */
	const char *sha;    /* SHA-256 of the content, in hex: its blob */
	const char *etag;   /* of the version in the sandbox */
	const char *record; /* as it is kept */
};

/* Which version of a path clients know of. */
struct store_told {
	const char *path, *etag;
};

struct store_files {
	struct store_file *files; /* in the order of the bytes of their paths */
	size_t count;
	struct store_told *told; /* likewise */
	size_t told_count;
	/* To be handed on: changes are told of only while nobody has touched
	 * files since. "" if somebody is at work on them, who will tell. */
	const char *generation;
};

int store_files_look(struct store *st, struct arena *a, const char *user,
    const char *agent, struct store_files *out, struct err *err);

/* The content of some of an agent's files, which were looked at before:
 * NULL of one that is not saved any more. */
int store_files_read(struct store *st, struct arena *a, const char *agent,
    const struct store_file *files, size_t count, const char **content_r,
    struct err *err);

/*
 * Saves a file, whose sha and record are set here, in the place of old (NULL:
 * it was not saved), and tells of it. 1; 0 somebody else has saved it
 * meanwhile, and nothing was done; -1.
 */
int store_files_save(struct store *st, struct arena *a, const char *user,
    const char *agent, struct store_file *f, const struct store_file *old,
    const char *content, const char *generation, struct err *err);

/* It is saved no more. 1, 0 or -1 likewise. */
int store_files_drop(struct store *st, struct arena *a, const char *user,
    const char *agent, const struct store_file *f, struct err *err);

/* Tells that a file has another version, or is gone (etag ""), unless that is
 * known. 0 or -1. */
int store_files_tell(struct store *st, struct arena *a, const char *user,
    const char *agent, const char *path, const char *etag,
    const char *generation, struct err *err);

/* ---- which are to be looked at, and when ---- */

/* Files of the agent may have changed, if it is a session, and are saved
 * within bridge.sync_interval. Others are none of our business: 0 too. */
int store_files_mark(struct store *st, struct arena *a, const char *user,
    const char *agent, struct err *err);

/* When something that happens now is to be looked at, in shared ms; also the
 * next time after one that is looked at now. */
int64_t store_files_due_ms(const struct conf *c);

/* Agents of all users whose files are to be looked at, at most limit. */
int store_files_due(struct store *st, struct arena *a, int limit,
    const char ***bases_r, size_t *count_r, struct err *err);

/* 1 it is the caller's to look at, of all hosts, and whose it is; 0 it is not
 * due, or gone; -1. If the caller does not come to its end it is due again. */
int store_files_take(struct store *st, struct arena *a, const char *base,
    const char **user_r, const char **agent_r, struct err *err);

/* It was looked at. generation: since when nothing has touched it; again: but
 * something still runs there, or not all was done. unsaved: files that are not
 * saved; *before_r is how many those were before. 0 or -1. */
int store_files_done(struct store *st, struct arena *a, const char *user,
    const char *agent, const char *generation, int64_t unsaved, int again,
    int64_t *before_r, struct err *err);

#endif
