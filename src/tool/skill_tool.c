/* SPDX-License-Identifier: MIT */
/*
 * The tool skills: see skill_tool.h. Files go into the workspace one after
 * the other, by fs.put, and only those that are not there as they should be:
 * what a command does with its copies changes no skill, and the next load
 * puts them right. What keeps a file from being copied is told with the text,
 * which is good without it.
 */
#include "config.h"

#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "sandbox/client.h"
#include "tool/fs.h"
#include "tool/skill_tool.h"
#include "tool/skills.h"
#include "tool/tool.h"

#define FOLDER ".skills"

/* Shown in an error; it is not the list itself. */
#define NAMES_BYTES 300

struct loading {
	struct sandbox_call *call; /* the one that runs, or ran last */
	const struct skill *skill;
	size_t at; /* the file that is looked at */
};

/* ---- the end ---- */

static void
add_files(struct tool_run *r, const struct skill *s)
{
	json_open(&r->data, "files", '[');
	for (size_t i = 0; i < s->file_count; i++)
		if (strcmp(s->files[i].path, "SKILL.md") != 0)
			json_add_str(&r->data, NULL, s->files[i].path);
	json_close(&r->data, ']');
}

/* why: no files, or NULL. */
static void
finish(struct tool_run *r, const char *why)
{
	struct loading *l = r->own;
	const struct skill *s = l->skill;

	json_open(&r->data, NULL, '{');
	json_add_str(&r->data, "name", s->name);
	json_add_strn(&r->data, "text", s->text, s->text_len);
	add_files(r, s);
	if (why == NULL)
		json_add_str(&r->data, "folder",
		    arena_printf(
			r->arena, "/workspace/" FOLDER "/%s", s->name));
	else
		json_add_str(&r->data, "notCopied", why);
	json_close(&r->data, '}');
	tool_run_end(r);
}

static void
give_up(struct tool_run *r, const struct err *err)
{
	struct loading *l = r->own;

	if (err->code == ERR_CANCELLED)
		fs_fail(r, err);
	else
		finish(r, arena_printf(r->arena, "%s: %s",
			      l->skill->files[l->at].path, err->text));
}

/* ---- files ---- */

static const struct skill_file *
file_at(const struct loading *l)
{
	return &l->skill->files[l->at];
}

/* A call about the file that is looked at; its start is the caller's. */
static struct buf
call_make(struct tool_run *r, const char *op,
    void (*on_end)(void *ctx, struct sandbox_call *c))
{
	struct loading *l = r->own;
	struct buf m;

	l->call = arena_new(r->arena, struct sandbox_call);
	fs_call_init(r, l->call, op, on_end);
	buf_init(&m, r->arena);
	buf_lit(&m, ",\"path\":");
	json_add_str(&m, NULL,
	    arena_printf(
		r->arena, FOLDER "/%s/%s", l->skill->name, file_at(l)->path));
	return m;
}

static void look_at_next(struct tool_run *r);

static void
on_put(void *ctx, struct sandbox_call *c)
{
	struct tool_run *r = ctx;
	struct loading *l = r->own;

	if (c->err.code != ERR_NONE) {
		give_up(r, &c->err);
		return;
	}
	l->at++;
	look_at_next(r);
}

static void
put(struct tool_run *r)
{
	struct loading *l = r->own;
	struct buf m = call_make(r, "fs.put", on_put);

	l->call->data = file_at(l)->data;
	l->call->data_len = file_at(l)->len;
	l->call->members = buf_str(&m);
	fs_call_start(r, l->call);
}

static int
is_same(const struct sandbox_call *c, const struct skill_file *f)
{
	int64_t size;

	return json_get_int(c->answer, "size", &size) &&
	       size == (int64_t)f->len && c->answer_data.len == f->len &&
	       (f->len == 0 ||
		   memcmp(c->answer_data.data, f->data, f->len) == 0);
}

static void
on_got(void *ctx, struct sandbox_call *c)
{
	struct tool_run *r = ctx;
	struct loading *l = r->own;

	if (c->err.code == ERR_NONE && is_same(c, file_at(l))) {
		l->at++;
		look_at_next(r);
	} else if (c->err.code == ERR_NONE || c->err.code == ERR_NOT_FOUND) {
		put(r);
	} else {
		give_up(r, &c->err);
	}
}

/* What is there now; of a longer file no more than is asked about. */
static void
look_at_next(struct tool_run *r)
{
	struct loading *l = r->own;
	struct buf m;

	if (l->at == l->skill->file_count) {
		finish(r, NULL);
		return;
	}
	m = call_make(r, "fs.get", on_got);
	json_add_int(&m, "to", (int64_t)file_at(l)->len);
	l->call->members = buf_str(&m);
	fs_call_start(r, l->call);
}

/* ---- the tool ---- */

static void
list_start(struct tool_run *r, const struct skill_list *list)
{
	json_open(&r->data, NULL, '{');
	json_open(&r->data, "skills", '[');
	for (size_t i = 0; i < list->count; i++) {
		json_open(&r->data, NULL, '{');
		json_add_str(&r->data, "name", list->skills[i]->name);
		json_add_str(
		    &r->data, "description", list->skills[i]->description);
		json_close(&r->data, '}');
	}
	json_close(&r->data, ']');
	json_close(&r->data, '}');
	tool_run_end(r);
}

static void
complain(struct tool_run *r, const struct skill_list *list, const char *name)
{
	struct buf b;

	buf_init(&b, r->arena);
	if (name == NULL)
		buf_lit(&b, "name the skill to load");
	else
		buf_printf(&b, "there is no skill \"%.64s\"", name);
	for (size_t i = 0; i < list->count; i++) {
		if (b.len > NAMES_BYTES) {
			buf_lit(&b, " and more: list shows all");
			break;
		}
		buf_printf(&b, "%s%s", i == 0 ? "; there are " : ", ",
		    list->skills[i]->name);
	}
	tool_run_fail(r, TOOL_ERROR_LOGICAL, buf_str(&b));
}

static void
skills_start(struct tool_run *r)
{
	static const struct skill_list none;
	const struct skill_list *list = r->skills == NULL ? &none : r->skills;
	const char *name = json_get_str(r->args, "name");
	struct loading *l = arena_new(r->arena, struct loading);

	r->own = l;
	if (strcmp(json_get_str(r->args, "action"), "list") == 0) {
		list_start(r, list);
		return;
	}
	l->skill = name == NULL ? NULL : skill_list_find(list, name);
	if (l->skill == NULL)
		complain(r, list, name);
	else if (r->host->sandbox == NULL)
		finish(r, "this server has no workspaces");
	else
		look_at_next(r);
}

static void
skills_cancel(struct tool_run *r)
{
	struct loading *l = r->own;

	sandbox_cancel(r->host->sandbox, l->call);
}

const struct tool_kind skills_kind = { skills_start, skills_cancel };
