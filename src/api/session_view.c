/* SPDX-License-Identifier: MIT */
/* What clients see of a session beside its conversation. */
#include "config.h"

#include <string.h>

#include "api/sessions_priv.h"
#include "session/runtime.h"
#include "session/session_id.h"

/* An environment is called as its session, and its state as events say it. */
void
session_add_runtime(struct buf *b, const struct store_session *s)
{
	struct session_runtime r = { .loaded = s->loaded,
		.env = s->env_ms > 0 ? SESSION_ENV_READY : SESSION_ENV_NONE,
		.env_message = "Ready",
		.env_checked_ms = s->env_ms,
		.query_ms = s->turn_ms };
	char id[SESSION_ID_SIZE] = "";

	session_id_of_agent(s->id, id);
	r.env_id = id;
	session_runtime_write(b, "runtime", &r);
}

void
session_add_item(struct buf *b, const struct store_session *s)
{
	char id[SESSION_ID_SIZE] = "";

	session_id_of_agent(s->id, id);
	json_add_str(b, "sessionId", id);
	json_add_str(b, "type", s->type);
	json_add_str(b, "agentProfileReference", s->template);
	json_add_int(b, "createdAt", s->created_ms);
	json_add_int(b, "lastActivity", s->updated_ms);
	json_add_raw(b, "sessionOptions", s->options, strlen(s->options));
	/* One that nobody has named is called as its profile. */
	if (strcmp(s->name, s->template) != 0)
		json_add_str(b, "name", s->name);
	if (*s->metadata != '\0')
		json_add_raw(b, "metadata", s->metadata, strlen(s->metadata));
	session_add_runtime(b, s);
}

int
session_get_live(struct api_call *c, struct err *err)
{
	char id[SESSION_ID_SIZE], after[EVENT_ID_SIZE], last[EVENT_ID_SIZE];
	struct store_session s = { .loaded = 1 };
	struct store_session_moment m;
	struct buf *b = &c->rs->body;

	if (session_take_id(c, err) < 0 ||
	    store_session_look(
		c->app->store, c->arena, c->user, c->rq->param[0], &m, err) < 0)
		return session_fail(
		    c, err, "Failed to get session", "SESSION_GET_FAILED");
	s.id = c->rq->param[0];
	s.env_ms = m.env_ms;
	s.turn_ms = m.turn_ms;
	session_id_of_agent(s.id, id);
	event_id_print(after, m.after);
	event_id_print(last, m.last);
	http_json(c->rs, 200);
	json_open(b, NULL, '{');
	json_add_str(b, "sessionId", id);
	json_add_str(b, "agentId", s.id);
	session_add_runtime(b, &s);
	json_open(b, "events", '{');
	json_add_str(b, "after", after);
	json_add_str(b, "last", last);
	json_close(b, '}');
	json_close(b, '}');
	return 0;
}
