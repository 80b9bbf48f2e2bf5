/* SPDX-License-Identifier: MIT */
#ifndef STORE_PORTABLE_H
#define STORE_PORTABLE_H

#include "store/store.h"

/*
 * An agent as lines of JSON, for its user to take along and for another host
 * to take in. A line is an object with the member part: what of the agent it
 * is of; then id, a field's name, a segment or an event's id; and doc, which
 * is JSON as it is kept, or text. Everything blocks, a page at a time: memory
 * does not grow with the agent.
 */

/* Takes a line, without its end. 0, or -1 and err. */
typedef int store_line_f(
    void *ctx, const char *line, size_t len, struct err *err);

/* All of a user's agent. ERR_CONFLICT: it was at work meanwhile, so the lines
 * are of no one moment. listed: it is in the list of the user's agents. */
int store_export_agent(struct store *st, const char *user, const char *id,
    int listed, store_line_f *fn, void *ctx, struct err *err);

/* One that is being taken in. Nobody sees it before its end. */
struct store_import;

/* Removes what one that stopped has left of an agent, but not its files: 1; 0:
 * the agent is there; -1, ERR_FORBIDDEN if there is nothing of that user's. */
int store_import_drop(struct store *st, struct arena *a, const char *user,
    const char *id, struct err *err);

/* ERR_CONFLICT: there is such an agent. What an earlier attempt has left is
 * removed; from then on that one, if it is still at work, is refused. */
int store_import_begin(struct store *st, const char *user, const char *id,
    struct store_import **im_r, struct err *err);

/* All lines, once, before the first is taken in: how much of each segment is
 * wanted is known behind its messages. Then that these were all: whole, if
 * they must end with the line that says so. ERR_REQUEST: it is no such line,
 * or they were cut. Does not block. */
int store_import_look(
    struct store_import *im, const char *line, size_t len, struct err *err);
int store_import_looked(struct store_import *im, int whole, struct err *err);

/* ERR_REQUEST: it is no such line. ERR_CONFLICT: others' messages of a segment
 * are not the same, or another attempt has begun. */
int store_import_line(
    struct store_import *im, const char *line, size_t len, struct err *err);

/* It is there from now on, all of it. */
int store_import_end(struct store_import *im, struct err *err);

/* A turn that an agent was in, and what waits for it, go on. To be called when
 * those are there too that have to do with it: its makers, its sub-agents.
 * Twice is harmless, and for an agent of somebody else. */
int store_import_wake(
    struct store *st, const char *user, const char *id, struct err *err);

/* What a user has used, a line a day and model; and back, where that is not
 * counted already. */
int store_export_usage(struct store *st, const char *user, store_line_f *fn,
    void *ctx, struct err *err);
int store_import_usage(struct store *st, const char *user, const char *line,
    size_t len, struct err *err);

/* Not to be forgotten, whatever came of it. */
void store_import_free(struct store_import **im_p);

#endif
