/* SPDX-License-Identifier: MIT */
#ifndef STORE_AUDIT_CHAIN_H
#define STORE_AUDIT_CHAIN_H

#include <stddef.h>

struct arena;
struct buf;
struct err;

/*
 * A chain of records, and the one place that it is written to. Numbers are
 * used up by what is there, or may be: see audit_chain.c.
 */
struct audit_chain_writer;

/* Appends whole lines, each with its line end, all or none. 0, or -1 and err:
 * none, or that is not known. Blocks. One thread at a time. */
typedef int audit_append_f(
    void *ctx, struct arena *a, const char *lines, size_t len, struct err *err);

/* ctx must outlive it. */
struct audit_chain_writer *audit_chain_writer_new(
    audit_append_f *append, void *ctx);

/* What may be missing is tried once more, which blocks. NULL: fine. */
void audit_chain_writer_free(struct audit_chain_writer **w_p);

/*
 * Writes a record: members are those of an object, without its braces. Blocks
 * for append, two or three times at worst. 0, or -1 and err: it is not there,
 * or that is not known. Any thread; those that come together are written
 * together.
 */
int audit_chain_write(struct audit_chain_writer *w, struct arena *a,
    const struct buf *members, struct err *err);

#endif
