/* SPDX-License-Identifier: MIT */
#ifndef TOOL_BASH_H
#define TOOL_BASH_H

/*
 * bash_run: a command in the sandbox. How it ended is its result, whatever
 * its code; the tool fails only if there was no command. What it printed is
 * shown by its head and tail, and kept whole in the workspace if it is long.
 */
struct tool_kind;

extern const struct tool_kind bash_kind;

/* bash_logs and bash_kill: of what runs in the background. */
extern const struct tool_kind bash_logs_kind;
extern const struct tool_kind bash_kill_kind;

#endif
