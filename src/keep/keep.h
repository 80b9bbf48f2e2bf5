/* SPDX-License-Identifier: MIT */
#ifndef KEEP_KEEP_H
#define KEEP_KEEP_H

struct conf;
struct sandbox;
struct store;

/* What workspaces of sessions are kept with. */
struct keep {
	const struct conf *conf;
	struct store *store;
	struct sandbox *sandbox; /* NULL: there are no workspaces */
};

#endif
