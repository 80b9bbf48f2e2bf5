/* SPDX-License-Identifier: MIT */
/* A session's state, in the words of both dialects. */
#include "config.h"

#include <stddef.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "session/runtime.h"

static const struct {
	const char *sandbox, *environment;
} words[] = {
	[SESSION_ENV_NONE] = { NULL, NULL },
	[SESSION_ENV_STARTING] = { "starting", "starting" },
	[SESSION_ENV_READY] = { "ready", "ready" },
	[SESSION_ENV_FAILED] = { "unhealthy", "error" },
	[SESSION_ENV_TERMINATED] = { "terminated", "terminated" },
};

static void
add_env(struct buf *b, const char *name, const char *id_name,
    const char *status, const struct session_runtime *r)
{
	if (status == NULL) {
		json_add_null(b, name);
		return;
	}
	json_open(b, name, '{');
	if (r->env_id != NULL)
		json_add_str(b, id_name, r->env_id);
	json_add_str(b, "status", status);
	if (r->env_message != NULL)
		json_add_str(b, "statusMessage", r->env_message);
	json_add_int(b, "restartCount", 0);
	json_add_int(b, "lastHealthCheck", r->env_checked_ms);
	json_close(b, '}');
}

void
session_runtime_write(
    struct buf *b, const char *name, const struct session_runtime *r)
{
	json_open(b, name, '{');
	json_add_bool(b, "isLoaded", r->loaded);
	add_env(b, "sandbox", "sandboxId", words[r->env].sandbox, r);
	add_env(b, "executionEnvironment", "id", words[r->env].environment, r);
	if (r->query_ms > 0) {
		json_open(b, "activeQuery", '{');
		json_add_int(b, "startedAt", r->query_ms);
		json_close(b, '}');
	}
	json_close(b, '}');
}

static enum session_env
env_find(const char *status)
{
	for (size_t i = 1; i < sizeof(words) / sizeof(words[0]); i++)
		if (status != NULL && strcmp(words[i].environment, status) == 0)
			return (enum session_env)i;
	return SESSION_ENV_NONE;
}

void
session_runtime_read(const struct json *runtime, struct session_runtime *out)
{
	const struct json *env = json_get(runtime, "executionEnvironment");

	*out = (struct session_runtime){ 0 };
	out->loaded = json_get_true(runtime, "isLoaded");
	out->env = env_find(json_get_str(env, "status"));
	out->env_id = json_get_str(env, "id");
	out->env_message = json_get_str(env, "statusMessage");
	json_get_int(env, "lastHealthCheck", &out->env_checked_ms);
	json_get_int(
	    json_get(runtime, "activeQuery"), "startedAt", &out->query_ms);
}
