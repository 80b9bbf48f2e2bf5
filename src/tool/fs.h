/* SPDX-License-Identifier: MIT */
#ifndef TOOL_FS_H
#define TOOL_FS_H

#include <stddef.h>

/*
 * The tools that work on files: fs_read, fs_write, fs_edit, fs_multi_edit,
 * fs_glob and fs_grep. The sandbox has the files; a tool is one of its
 * operations (docs/sandbox.md).
 */
struct err;
struct json;
struct sandbox_call;
struct tool_kind;
struct tool_run;

extern const struct tool_kind fs_kind;

/*
 * Keeps a run's data, which is too large for the model, as a file of the
 * workspace; then the run ends, with "kept" set if that went well.
 */
void fs_keep_start(struct tool_run *r);
void fs_keep_cancel(struct tool_run *r);

/* The same with any text; what is after it is then's. */
void fs_keep(struct tool_run *r, const char *text, size_t len,
    const char *suffix, void (*then)(struct tool_run *r));

/* ---- for other tools of the sandbox ---- */

/* A call about the run's workspace; and its start, or the run fails. */
void fs_call_init(struct tool_run *r, struct sandbox_call *c, const char *op,
    void (*on_end)(void *ctx, struct sandbox_call *c));
void fs_call_start(struct tool_run *r, struct sandbox_call *c);

/* Ends a run whose call failed. */
void fs_fail(struct tool_run *r, const struct err *err);

/* A file that the run has changed, as the sandbox tells of it; path is copied,
 * what is not. */
void fs_note_change(struct tool_run *r, const char *path, const char *what,
    const struct json *size, const struct json *told);

#endif
