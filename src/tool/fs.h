/* SPDX-License-Identifier: MIT */
#ifndef TOOL_FS_H
#define TOOL_FS_H

/*
 * The tools that work on files: fs_read, fs_write, fs_edit, fs_multi_edit,
 * fs_glob and fs_grep. The sandbox has the files; a tool is one of its
 * operations (docs/sandbox.md).
 */
struct tool_kind;
struct tool_run;

extern const struct tool_kind fs_kind;

/*
 * Keeps a run's data, which is too large for the model, as a file of the
 * workspace; then the run ends, with "kept" set if that went well.
 */
void fs_keep_start(struct tool_run *r);
void fs_keep_cancel(struct tool_run *r);

#endif
