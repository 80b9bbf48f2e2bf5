/* SPDX-License-Identifier: MIT */
#ifndef SANDBOX_TOKEN_H
#define SANDBOX_TOKEN_H

struct buf;
struct conf;
struct err;

/*
 * sandbox.token, which workers show and the sandbox wants to see. 1 and out
 * filled; 0 there is none; -1 ERR_CONFIG. Whoever calls wipes out with
 * conf_wipe, whatever it was.
 */
int sandbox_token_read(const struct conf *c, struct buf *out, struct err *err);

#endif
