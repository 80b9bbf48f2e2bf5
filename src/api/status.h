/* SPDX-License-Identifier: MIT */
#ifndef API_STATUS_H
#define API_STATUS_H

struct api_call;
struct err;

/* What the pool tells of itself, and to whom. */

/*
 * Whether the caller may see what concerns the whole server: by its address
 * (status.allow), or by its token (admin.role). 0, or -1 and ERR_FORBIDDEN or
 * ERR_UNAUTHORIZED.
 */
int api_check_admin(struct api_call *c, struct err *err);

/* The name of an enum board_state. */
const char *api_worker_state(int state);

int metrics_get(void *call, struct err *err);

#endif
