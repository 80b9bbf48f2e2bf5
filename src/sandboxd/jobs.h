/* SPDX-License-Identifier: MIT */
#ifndef SANDBOXD_JOBS_H
#define SANDBOXD_JOBS_H

struct conf;
struct err;

/*
 * Background jobs: commands that go on when the turn does, for as long as
 * their agent is there. Each has a supervisor, a process of its own, and a
 * directory beside the workspace:
 *
 *   jobs/ID/command   what it runs
 *   jobs/ID/pid       the supervisor: pid and start time
 *   jobs/ID/output    what it has printed, up to sandbox.max_file
 *   jobs/ID/status    how it ended: code, what ended it, bytes
 *
 * So they need neither the worker nor the server to live on, and are found
 * again by whoever looks there.
 */

/*
 * The supervisor: runs the command of the job whose directory is the
 * descriptor 3, in the workspace of that name, and writes how it ended. With
 * has_network the descriptor 4 is a connection to the proxy. Goes
 * into the background; the caller is told by the exit code that the command
 * was started. The exit code of the process.
 */
int job_supervise(const struct conf *c, const char *key, int has_network);

/* Ends all jobs in the agent's directory, an open one, and waits. */
void jobs_end_all(int agent_dir);

#endif
