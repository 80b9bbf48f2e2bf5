/* SPDX-License-Identifier: MIT */
/*
 * agent-fpm ctl delete-user USER: nothing is left of somebody.
 *
 * Walks over all keys, deleting what is his, until a walk finds nothing: that
 * is the check too. Of each agent the files go first, as when its user deletes
 * it; whoever runs it finds its lease gone, and is told. Last go all files that
 * the sandbox has of him, also those of which no key tells any more. Stopped at
 * any place and begun again it goes on, as an agent is found by what it is and
 * not by a list, and files by whose they are.
 *
 * A user who still has a token makes new agents meanwhile: after some walks
 * it gives up and says so.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "ctl/ctl_priv.h"
#include "sandbox/client.h"
#include "store/admin.h"
#include "store/portable.h"
#include "store/retain.h"

#define WALKS_MAX 5

struct erase {
	struct means *means;
	const char *user;
	int64_t agents, keys; /* that were erased */
};

/* Of one agent, or with ws.delete_all of all that he has or had. */
static int
delete_files(struct erase *e, struct arena *a, const char *op, const char *id,
    struct err *err)
{
	struct sandbox_call call = {
		.op = op, .arena = a, .user = e->user, .agent = id
	};

	if (means_sandbox(e->means) == NULL)
		return 0;
	return sandbox_ask(means_sandbox(e->means), &call, err);
}

/* Files first, then what Redis has. import: that is what one has left that
 * stopped. */
static int
delete_agent(struct erase *e, struct arena *a, const char *id, int import,
    struct err *err)
{
	struct store *st = means_store(e->means);
	int rc;

	if (delete_files(e, a, "ws.delete", id, err) < 0)
		return err_prefix(err, "files of %s", id);
	rc = import ? store_import_drop(st, a, e->user, id, err)
		    : store_agent_delete(st, a, e->user, id, err);
	if (rc < 0)
		return err->code == ERR_FORBIDDEN ? 0 : -1; /* it is gone */
	e->agents += !import || rc > 0;
	return 0;
}

/* One walk over all keys. How much it found, or -1. */
static int64_t
walk(struct erase *e, struct err *err)
{
	struct arena *a = arena_open(262144);
	struct store_erased found;
	char cursor[24] = "0";
	int64_t n = 0;
	int rc;

	do {
		rc = store_erase_step(
		    means_store(e->means), a, e->user, cursor, &found, err);
		if (rc < 0)
			break;
		snprintf(cursor, sizeof(cursor), "%s", found.cursor);
		e->keys += (int64_t)found.keys;
		n += (int64_t)(found.keys + found.agent_count +
			       found.import_count);
		for (size_t i = 0; rc == 0 && i < found.agent_count; i++)
			rc = delete_agent(e, a, found.agents[i], 0, err);
		for (size_t i = 0; rc == 0 && i < found.import_count; i++)
			rc = delete_agent(e, a, found.imports[i], 1, err);
		arena_reset(a);
	} while (rc == 0 && strcmp(cursor, "0") != 0);
	arena_close(&a);
	return rc < 0 ? -1 : n;
}

/* The files that are left, and then that some were to be deleted. */
static int
delete_rest(struct erase *e, struct err *err)
{
	struct arena *a = arena_open(8192);
	struct store *st = means_store(e->means);
	const char *user, *agent;
	int64_t others = 0;
	int rc = delete_files(e, a, "ws.delete_all", "", err);

	if (rc < 0)
		err_prefix(err, "files of %s", e->user);
	while (rc == 0 && (rc = store_retired_next(
			       st, a, others, &user, &agent, err)) > 0) {
		rc = 0;
		if (strcmp(user, e->user) == 0)
			rc = store_retired_forget(st, a, user, agent, err);
		else
			others++;
		arena_reset(a);
	}
	arena_close(&a);
	return rc;
}

static int
erase_all(struct erase *e, struct err *err)
{
	int64_t n;

	for (int i = 0; i < WALKS_MAX; i++) {
		n = walk(e, err);
		if (n < 0)
			return -1;
		if (n == 0)
			return delete_rest(e, err);
	}
	return err_set(err, ERR_CONFLICT,
	    "there is something new of the user each time: see that no token "
	    "of his is good any more, and begin again");
}

int
ctl_delete_user(struct ctl *ctl, struct err *err)
{
	struct erase e = { .user = ctl->argument };
	int rc;

	if (*e.user == '\0')
		return err_set(err, ERR_USAGE, "the name is empty");
	if (means_new(ctl->conf, &e.means, err) < 0)
		return -1;
	rc = erase_all(&e, err);
	means_free(&e.means);
	if (rc < 0)
		return -1;
	if (ctl->json)
		printf("{\"agents\":%" PRId64 ",\"keys\":%" PRId64 "}\n",
		    e.agents, e.keys);
	else
		printf("%" PRId64 " agents and %" PRId64
		       " other keys are deleted; nothing is left\n",
		    e.agents, e.keys);
	return 0;
}
