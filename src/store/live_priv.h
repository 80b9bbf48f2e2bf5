/* SPDX-License-Identifier: MIT */
#ifndef STORE_LIVE_PRIV_H
#define STORE_LIVE_PRIV_H

#include "store/live.h"

/* Of a user all bytes may be three. */
#define CHANNEL_SIZE 1024

struct live {
	struct redis_link *sub, *reader;
	struct live_calls calls;
	const char *prefix;
	/* "": this process gets none. */
	char orders[CHANNEL_SIZE];
	char queue[CHANNEL_SIZE];
	char all[CHANNEL_SIZE]; /* that all processes listen to */
};

#endif
