/* SPDX-License-Identifier: MIT */
/*
 * Sessions: made, listed, loaded, unloaded, spoken to, deleted. A session is
 * an agent and what is done here is what the routes of agents do; bodies and
 * errors are those that front ends of agent-runtime know.
 *
 * In a path there is a session's id. It becomes the agent's before anything
 * else is done, so that all below sees an agent.
 */
#include "config.h"

#include <string.h>

#include "agent/templates.h"
#include "api/sessions_priv.h"
#include "base/log.h"
#include "conf/conf.h"
#include "keep/sync.h"
#include "sandbox/stop_jobs.h"
#include "session/session_id.h"

#define OPTIONS_MAX_BYTES (16 * 1024)

int
session_take_id(struct api_call *c, struct err *err)
{
	char agent[ID_SIZE];

	if (!session_id_agent(c->rq->param[0], agent))
		return err_set(err, ERR_FORBIDDEN, "Forbidden");
	c->rq->param[0] = arena_strdup(c->arena, agent);
	return 0;
}

int
session_find(struct api_call *c, const char **id_r, struct store_session *s,
    struct err *err)
{
	*id_r = c->rq->param[0];
	if (session_take_id(c, err) < 0)
		return -1;
	return store_session_get(
	    c->app->store, c->arena, c->user, c->rq->param[0], s, err);
}

/* Begins {"success":true,"sessionId":ID; the caller closes it. */
static void
begin_success(struct api_call *c, const char *id)
{
	struct buf *b = &c->rs->body;

	http_json(c->rs, 200);
	json_open(b, NULL, '{');
	json_add_bool(b, "success", 1);
	json_add_str(b, "sessionId", id);
}

static int
succeed(struct api_call *c, const char *id)
{
	begin_success(c, id);
	json_close(&c->rs->body, '}');
	return 0;
}

/* The member sessionOptions as JSON; {} if it is not there. 1; 0 and it was
 * answered: it is too long. */
static int
body_options(struct api_call *c, const char **out_r)
{
	const struct json *j = json_get(c->body, "sessionOptions");
	struct buf b;

	*out_r = "{}";
	if (j == NULL)
		return 1;
	buf_init(&b, c->arena);
	json_print(&b, j);
	*out_r = b.data;
	if (b.len <= OPTIONS_MAX_BYTES)
		return 1;
	return session_refuse(c, 400,
	    arena_printf(c->arena, "sessionOptions is longer than %d bytes",
		OPTIONS_MAX_BYTES),
	    "TOO_LARGE");
}

/* ---- create and list ---- */

/* One that did not get what it was to be made with. */
static void
drop(struct api_call *c, const char *agent)
{
	struct err why;

	if (store_agent_delete(c->app->store, c->arena, c->user, agent, &why) <
	    0)
		log_warn("%s has not all of its files, and is left: %s", agent,
		    why.text);
}

static int
create(struct api_call *c, const char *options,
    const struct session_files *files, struct store_session *s, struct err *err)
{
	const char *ref = json_get_str(c->body, "agentProfileRef");
	const char *type = json_get_str(c->body, "architecture"), *key;
	const struct agent_template *t = session_profile_find(c->app, ref);
	char id[SESSION_ID_SIZE], agent[ID_SIZE];
	struct store_agent ag;

	if (t == NULL)
		return err_set(err, ERR_NOT_FOUND,
		    "there is no agent profile of that name; GET "
		    "/agent-profiles lists them");
	if (api_idem_key(c, &key, err) < 0)
		return -1;
	session_id_make(id, (enum session_kind)session_kind_find(type));
	session_id_agent(id, agent);
	ag = (struct store_agent){ .id = agent,
		.session = type,
		.options = options,
		.tenant = c->tenant,
		.name = t->name,
		.template = t->name,
		.prompt = t->prompt,
		.model = t->model,
		.metadata = "",
		.tools = t->tools,
		.permission = t->permission };
	if (store_agent_create(
		c->app->store, c->arena, c->user, &ag, key, err) < 0)
		return -1;
	if (session_save_files(c, ag.id, files, err) < 0) {
		if (*key == '\0') /* else it may be one of an earlier call */
			drop(c, ag.id);
		return -1;
	}
	c->made = arena_strdup(c->arena, ag.id);
	return store_session_get(
	    c->app->store, c->arena, c->user, ag.id, s, err);
}

int
sessions_create(void *call, struct err *err)
{
	static const struct session_member members[] = {
		{ "agentProfileRef", MEMBER_STRING, 0 },
		{ "architecture", MEMBER_ARCHITECTURE, 0 },
		{ "sessionOptions", MEMBER_OBJECT, 1 },
		{ "defaultWorkspaceFiles", MEMBER_FILES, 1 },
		{ NULL, MEMBER_STRING, 0 },
	};
	struct api_call *c = call;
	struct buf *b = &c->rs->body;
	struct session_files files;
	struct store_session s;
	char id[SESSION_ID_SIZE] = "";
	const char *options;

	if (!session_body(c, members) || !body_options(c, &options) ||
	    !session_body_files(c, &files))
		return 0;
	if (create(c, options, &files, &s, err) < 0)
		return session_fail(c, err, "Failed to create session",
		    "SESSION_CREATE_FAILED");
	session_id_of_agent(s.id, id);
	http_json(c->rs, 201);
	json_open(b, NULL, '{');
	json_add_str(b, "sessionId", id);
	session_add_runtime(b, &s);
	json_add_int(b, "createdAt", s.created_ms);
	json_add_raw(b, "sessionOptions", s.options, strlen(s.options));
	json_close(b, '}');
	return 0;
}

int
sessions_list(void *call, struct err *err)
{
	struct api_call *c = call;
	struct buf *b = &c->rs->body;
	struct store_session *list;
	size_t count;

	if (store_session_list(
		c->app->store, c->arena, c->user, &list, &count, err) < 0)
		return session_fail(
		    c, err, "Failed to list sessions", "SESSION_LIST_FAILED");
	http_json(c->rs, 200);
	json_open(b, NULL, '{');
	json_open(b, "sessions", '[');
	for (size_t i = 0; i < count; i++) {
		json_open(b, NULL, '{');
		session_add_item(b, &list[i]);
		json_close(b, '}');
	}
	json_close(b, ']');
	json_close(b, '}');
	return 0;
}

/* ---- messages and options ---- */

int
session_message(void *call, struct err *err)
{
	static const struct session_member members[] = {
		{ "content", MEMBER_STRING, 0 },
		{ NULL, MEMBER_STRING, 0 },
	};
	struct api_call *c = call;
	struct store_session s;
	const char *id;

	if (!session_body(c, members))
		return 0;
	if (session_find(c, &id, &s, err) < 0 ||
	    api_say(c, json_get_str(c->body, "content"), err) < 0)
		return session_fail(
		    c, err, "Failed to send message", "MESSAGE_SEND_FAILED");
	return succeed(c, id);
}

int
session_options(void *call, struct err *err)
{
	static const struct session_member members[] = {
		{ "sessionOptions", MEMBER_OBJECT, 0 },
		{ NULL, MEMBER_STRING, 0 },
	};
	struct api_call *c = call;
	const char *id, *options;

	if (!session_body(c, members) || !body_options(c, &options))
		return 0;
	id = c->rq->param[0];
	if (session_take_id(c, err) < 0 ||
	    store_session_options(c->app->store, c->arena, c->user,
		c->rq->param[0], options, err) < 0)
		return session_fail(c, err, "Failed to update session options",
		    "SESSION_OPTIONS_UPDATE_FAILED");
	begin_success(c, id);
	json_add_raw(&c->rs->body, "sessionOptions", options, strlen(options));
	json_close(&c->rs->body, '}');
	return 0;
}

/* ---- the end of an environment, of a session in memory, of all of it ---- */

/* Saves the workspace, for as long as one call of the sandbox may take. */
static int
save_files(struct api_call *c, struct keep_synced *got, struct err *err)
{
	const struct app *app = c->app;
	struct keep keep = { app->conf, app->store, app->sandbox };

	return keep_sync(&keep, c->arena, c->user, c->rq->param[0],
	    app->conf->sandbox_timeout_ms, got, err);
}

/*
 * Of a session that is said to have no environment, or to be unloaded: what
 * runs in it is interrupted, as when a human does so. That was said first, as
 * a turn that waited begins at once, and loads the session again.
 */
static int
end_work(struct api_call *c, struct err *err)
{
	struct keep_synced got;
	struct err why;

	if (api_stop(c, err) < 0)
		return -1;
	if (sandbox_stop_jobs(
		c->app->sandbox, c->arena, c->user, c->rq->param[0], &why) < 0)
		log_warn("jobs of %s are left to run: %s", c->rq->param[0],
		    why.text);
	if (save_files(c, &got, &why) < 0) /* it is tried again */
		log_warn("files of %s are not saved yet: %s", c->rq->param[0],
		    why.text);
	return 0;
}

int
session_unload(void *call, struct err *err)
{
	struct api_call *c = call;
	struct store_session s;
	const char *id;
	int rc = session_find(c, &id, &s, err);

	if (rc == 0)
		rc = store_session_unload(
		    c->app->store, c->arena, c->user, c->rq->param[0], err);
	if (rc > 0 && end_work(c, err) < 0)
		rc = -1;
	if (rc < 0)
		return session_fail(c, err, "Failed to destroy session",
		    "SESSION_DESTROY_FAILED");
	if (rc == 0)
		return session_refuse(
		    c, 404, "Session not found", "SESSION_NOT_FOUND");
	return succeed(c, id);
}

/* All but files is in the store as soon as it is there. */
int
session_sync(void *call, struct err *err)
{
	struct api_call *c = call;
	struct keep_synced got;
	struct store_session s;
	const char *id;

	if (session_find(c, &id, &s, err) < 0)
		return session_fail(
		    c, err, "Failed to sync session", "SESSION_SYNC_FAILED");
	if (!s.loaded)
		return session_refuse(
		    c, 404, "Session not found", "SESSION_NOT_FOUND");
	if (save_files(c, &got, err) < 0) {
		if (err->code == ERR_OVERLOAD) /* it is the sandbox's */
			err->code = ERR_INTERNAL;
		return session_fail(
		    c, err, "Failed to sync session", "SESSION_SYNC_FAILED");
	}
	begin_success(c, id);
	if (got.unsaved > 0)
		json_add_int(&c->rs->body, "filesNotSaved", got.unsaved);
	json_close(&c->rs->body, '}');
	return 0;
}

int
session_terminate(void *call, struct err *err)
{
	struct api_call *c = call;
	struct store_session s;
	const char *id;
	int rc = session_find(c, &id, &s, err);

	if (rc == 0)
		rc = store_session_env_end(
		    c->app->store, c->arena, c->user, c->rq->param[0], err);
	if (rc > 0 && end_work(c, err) < 0)
		rc = -1;
	if (rc > 0)
		rc = store_session_get(c->app->store, c->arena, c->user,
			 c->rq->param[0], &s, err) == 0
			 ? 1
			 : -1;
	if (rc == 0 || (rc < 0 && err->code == ERR_FORBIDDEN))
		return session_refuse(c, 404, "Session not found or not loaded",
		    "SESSION_NOT_FOUND");
	if (rc < 0)
		return session_fail(c, err,
		    "Failed to terminate execution environment",
		    "ENVIRONMENT_TERMINATE_FAILED");
	begin_success(c, id);
	session_add_runtime(&c->rs->body, &s);
	json_close(&c->rs->body, '}');
	return 0;
}

/* One that is not there is gone already. */
int
session_delete(void *call, struct err *err)
{
	struct api_call *c = call;
	struct store_session s;
	const char *id;
	int rc = session_find(c, &id, &s, err);

	if (rc == 0)
		rc = api_agent_delete(c, c->rq->param[0], err);
	if (rc < 0 && err->code != ERR_FORBIDDEN)
		return session_fail(c, err, "Failed to delete session", NULL);
	return succeed(c, id);
}
