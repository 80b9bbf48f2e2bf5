/* SPDX-License-Identifier: MIT */
#ifndef STORE_SCRIPT_H
#define STORE_SCRIPT_H

/*
 * The Lua scripts of lua/, compiled in. They are called by SHA1; a server
 * that does not know one answers NOSCRIPT and is given them all again.
 */
enum script_id {
	SCRIPT_ACCEPT,
	SCRIPT_CHECKPOINT,
	SCRIPT_COMMIT,
	SCRIPT_CREATE,
	SCRIPT_DECIDE,
	SCRIPT_DELETE,
	SCRIPT_DEQUEUE,
	SCRIPT_FILES,
	SCRIPT_FORK,
	SCRIPT_IMPORT,
	SCRIPT_INTERRUPT,
	SCRIPT_LIMIT,
	SCRIPT_MESSAGES,
	SCRIPT_PAGE_ASK,
	SCRIPT_PAGE_PUT,
	SCRIPT_PAGES,
	SCRIPT_REMIND,
	SCRIPT_RENEW,
	SCRIPT_RETAIN,
	SCRIPT_SEAT,
	SCRIPT_SESSION,
	SCRIPT_SURFACE,
	SCRIPT_TAKE,
	SCRIPT_TODOS,
	SCRIPT_UPDATE,
	SCRIPT_WITHDRAW,
	SCRIPT_YIELD,
	SCRIPT_COUNT
};

struct script {
	const char *name;
	const char *text;
	char sha[41]; /* hex, set by script_init */
};

extern struct script scripts[SCRIPT_COUNT];

/* Computes the SHA1 of each; once, before threads. */
void script_init(void);

#endif
