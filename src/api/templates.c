/* SPDX-License-Identifier: MIT */
/* /api/templates: what agents can be made of. */
#include "config.h"

#include <string.h>

#include "agent/templates.h"
#include "api/api_priv.h"

static void
add_skills(struct buf *b, const struct skill_list *list)
{
	json_open(b, "skills", '[');
	for (size_t i = 0; i < list->count; i++)
		json_add_str(b, NULL, list->skills[i]->name);
	json_close(b, ']');
}

int
templates_get(void *call, struct err *err)
{
	struct api_call *c = call;
	struct buf *b = &c->rs->body;
	const struct agent_template *at;

	(void)err;
	http_json(c->rs, 200);
	buf_putc(b, '{');
	json_open(b, "templates", '[');
	for (size_t i = 0; (at = templates_at(c->app->templates, i)) != NULL;
	     i++) {
		json_open(b, NULL, '{');
		json_add_str(b, "name", at->name);
		json_add_str(b, "description", at->description);
		if (*at->model != '\0')
			json_add_str(b, "model", at->model);
		if (*at->tools != '\0')
			json_add_raw(b, "tools", at->tools, strlen(at->tools));
		if (at->skills.count > 0)
			add_skills(b, &at->skills);
		json_close(b, '}');
	}
	buf_puts(b, "]}");
	return 0;
}
