/* SPDX-License-Identifier: MIT */
/* Ending all that runs in the background of a workspace. */
#include "config.h"

#include <string.h>

#include "base/json.h"
#include "sandbox/client.h"
#include "sandbox/stop_jobs.h"

static int
stop_one(struct sandbox *s, const struct sandbox_call *list, const char *job,
    struct err *err)
{
	struct sandbox_call call = { .op = "bash.kill",
		.arena = list->arena,
		.user = list->user,
		.agent = list->agent };
	struct buf m;

	buf_init(&m, list->arena);
	buf_lit(&m, ",\"job\":");
	json_add_str(&m, NULL, job);
	call.members = m.data;
	return sandbox_ask(s, &call, err);
}

int
sandbox_stop_jobs(struct sandbox *s, struct arena *a, const char *user,
    const char *agent, struct err *err)
{
	struct sandbox_call list = {
		.op = "bash.list", .arena = a, .user = user, .agent = agent
	};
	const struct json *j;
	int rc = 0;

	if (s == NULL)
		return 0;
	if (sandbox_ask(s, &list, err) < 0)
		return err->code == ERR_NOT_FOUND ? 0 : -1;
	for (j = json_first(json_get(list.answer, "jobs")); j != NULL;
	     j = json_next(j)) {
		const char *status = json_get_str(j, "status");
		const char *job = json_get_str(j, "job");

		if (status != NULL && job != NULL &&
		    strcmp(status, "running") == 0 &&
		    stop_one(s, &list, job, err) < 0)
			rc = -1;
	}
	return rc;
}
