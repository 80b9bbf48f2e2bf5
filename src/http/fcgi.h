/* SPDX-License-Identifier: MIT */
#ifndef HTTP_FCGI_H
#define HTTP_FCGI_H

#include <stddef.h>

struct buf;

/*
 * FastCGI records of a response, for requests that libfcgi no longer knows
 * of (FastCGI 1.0, sections 3.3 and 5).
 */

/* data as FCGI_STDOUT; in several records if it is longer than 65,535. */
void fcgi_put_stdout(
    struct buf *b, int request_id, const void *data, size_t len);

/* The end of STDOUT and of the request. */
void fcgi_put_end(struct buf *b, int request_id);

#endif
