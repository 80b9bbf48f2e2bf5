/* SPDX-License-Identifier: MIT */
#ifndef MAIN_AUDIT_COMMAND_H
#define MAIN_AUDIT_COMMAND_H

struct conf;

/*
 * agent-fpm audit verify [FILE]: whether the audit log, in Redis or in a file,
 * is whole; a line for each chain. The exit code, EX_DATAERR if it is not; -1
 * if the words make no sense. Blocks for Redis.
 */
int audit_command(const struct conf *c, int argc, char **argv);

#endif
