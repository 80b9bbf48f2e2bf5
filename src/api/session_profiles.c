/* SPDX-License-Identifier: MIT */
/*
 * Agent profiles: templates, and one more. Front ends are shipped with the
 * profile "default" in them, so it is there if nobody has configured it.
 */
#include "config.h"

#include <string.h>

#include "agent/templates.h"
#include "api/sessions_priv.h"

#define DEFAULT_PROMPT "You are a helpful assistant."

static const struct agent_template plain = { .name = "default",
	.description = "",
	.prompt = DEFAULT_PROMPT,
	.model = "",
	.tools = "",
	.permission = "" };

static const struct agent_template with_files = { .name = "default",
	.description = "",
	.prompt = DEFAULT_PROMPT,
	.model = "",
	.tools = "[\"fs_read\",\"fs_write\",\"fs_edit\",\"bash_run\"]",
	.permission = "" };

const struct agent_template *
session_profile_find(const struct app *app, const char *name)
{
	const struct agent_template *t = templates_find(app->templates, name);

	if (t != NULL || strcmp(name, plain.name) != 0)
		return t;
	return app->sandbox == NULL ? &plain : &with_files;
}

static void
add_profile(
    struct buf *b, const char *id, const char *name, const char *description)
{
	json_open(b, NULL, '{');
	json_add_str(b, "id", id);
	json_add_str(b, "name", name);
	if (*description != '\0')
		json_add_str(b, "description", description);
	json_close(b, '}');
}

int
session_profiles_get(void *call, struct err *err)
{
	struct api_call *c = call;
	const struct agent_template *t;
	struct buf *b = &c->rs->body;

	(void)err;
	http_json(c->rs, 200);
	json_open(b, NULL, '{');
	json_open(b, "agentProfiles", '[');
	if (templates_find(c->app->templates, plain.name) == NULL)
		add_profile(b, plain.name, "Default Agent", "");
	for (size_t i = 0; (t = templates_at(c->app->templates, i)) != NULL;
	     i++)
		add_profile(b, t->name, t->name, t->description);
	json_close(b, ']');
	json_close(b, '}');
	return 0;
}
