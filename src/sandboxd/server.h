/* SPDX-License-Identifier: MIT */
#ifndef SANDBOXD_SERVER_H
#define SANDBOXD_SERVER_H

struct conf;
struct err;
struct frame_view;
struct job;
struct server;

/*
 * Serves workers at sandbox.socket, and by FastCGI at sandbox.fastcgi, until
 * SIGTERM, SIGINT or SIGQUIT. ready_fd, if not -1, gets a byte when it
 * listens. 0, or -1 and err if it could not begin.
 */
int server_run(
    const struct conf *c, const char *conf_path, int ready_fd, struct err *err);

/* ---- for remote.c; any thread ---- */

/* The job of a frame, in an arena of its own; NULL: it is no request. */
struct job *server_job(struct server *s, const struct frame_view *f);

/*
 * Runs a job and answers it by the FastCGI request request_id on fd; both the
 * server's then. Nothing of the response was written.
 */
void server_request(struct server *s, int fd, int request_id, struct job *j);

#endif
