/* SPDX-License-Identifier: MIT */
#ifndef STORE_AUDIT_H
#define STORE_AUDIT_H

#include <stddef.h>
#include <stdint.h>

struct arena;
struct conf;
struct err;
struct store;

/*
 * Who did what: the stream af:audit in Redis and, if it is set, a file of
 * lines. Records are JSON, only ever appended, and each has the hash of the
 * one before it in its chain; a process has one of its own in each of the two.
 */
struct audit;

/* What is written of an act; "" is left out. All texts of ours, no content. */
struct audit_record {
	const char *act; /* "DELETE /api/agents/:id" */
	const char *user, *tenant, *roles, *jti;
	const char *from;   /* address of the client */
	const char *agent;  /* that it was done to */
	const char *made;   /* agent that came of it */
	const char *what;   /* call, message, path: which one */
	const char *detail; /* decision, reason */
	const char *request;
	int status;
	int64_t left_out; /* refusals before this one that were not written */
};

/* Both must outlive it. st NULL: only the file. */
struct audit *audit_new(const struct conf *c, struct store *st);

/* Tries once more what may not be there, so it blocks for Redis. NULL: fine. */
void audit_free(struct audit **au_p);

/*
 * Writes a record. Blocks for Redis, its own call and those before it. What
 * could not be written, or may not be there, goes to the process's log, so
 * that it is somewhere. Any thread.
 */
void audit_write(
    struct audit *au, struct arena *a, const struct audit_record *rec);

/*
 * Whether this process can write to the file, which is not made. "" is fine. 0,
 * or -1 and ERR_CONFIG with what to do.
 */
int audit_file_check(const char *path, struct err *err);

/* ---- verification ---- */

/* What was found of a chain; from 1 on if nothing was cut off in front. */
struct audit_chain {
	char chain[40];
	int64_t first, last;
	int64_t lost;    /* records that it says could not be written */
	int64_t doubles; /* records that are there again, the same to a byte */
	char fault[120]; /* "" it is good */
};

struct audit_check;
struct audit_check *audit_check_new(void);
void audit_check_free(struct audit_check **k_p);

/* A record, in any order. 0, or -1: it is none, or its hash is not its own. */
int audit_check_add(
    struct audit_check *k, const char *text, size_t len, struct err *err);

/* All of the stream. 0 or -1: the first that is no record, or ERR_STORE. */
int audit_check_stream(
    struct audit_check *k, struct store *st, struct err *err);

/* The next chain, after all were added. 1, or 0: there are no more. */
int audit_check_next(struct audit_check *k, struct audit_chain *out);

#endif
