/* SPDX-License-Identifier: MIT */
/*
 * The forms of GET /status. What comes from users, and that is most of a
 * turn's words, is escaped in each of them: a text is a line, HTML has no
 * script and loads nothing.
 */
#include "config.h"

#include <inttypes.h>
#include <string.h>

#include "api/status.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"

#define REFRESH_S "5"
#define NAME_WIDTH 22

/* ---- text ---- */

static void
text_line(struct buf *b, const char *name, const char *value)
{
	buf_printf(b, "%s:%*s", name, (int)(NAME_WIDTH - strlen(name) - 1), "");
	for (; *value != '\0'; value++)
		buf_putc(b, (unsigned char)*value < ' ' ? '?' : *value);
	buf_putc(b, '\n');
}

static void
text_number(struct buf *b, const char *name, int64_t n)
{
	buf_printf(b, "%s:%*s%" PRId64 "\n", name,
	    (int)(NAME_WIDTH - strlen(name) - 1), "", n);
}

static void
text_fields(struct buf *b, const struct status_field *f, const void *base)
{
	for (; f->name != NULL; f++)
		text_number(b, f->name, status_number(f, base));
}

static void
text_turn(struct buf *b, const struct status *s, const struct running_turn *t)
{
	buf_puts(b, "\n------------------------\n");
	text_number(b, "pid", t->pid);
	text_line(b, "agent", t->agent);
	text_line(b, "turn", t->turn);
	text_line(b, "user", t->user);
	text_line(b, "model", t->model);
	text_line(b, "state", running_state_name(t->state));
	text_number(b, "step", t->step);
	text_number(b, "age ms", status_age_ms(s, t->began_us));
	text_number(b, "in state ms", status_age_ms(s, t->since_us));
}

void
status_add_text(
    struct buf *b, const struct status *s, struct arena *a, int full)
{
	text_line(b, "pool", "agent-fpm");
	text_line(b, "version", s->version);
	text_line(b, "process manager", s->pm);
	text_line(b, "start time", status_time(a, s->started_ms));
	text_fields(b, status_fields, s);
	for (size_t i = 0; full && i < s->worker_count; i++) {
		const struct status_worker *w = &s->workers[i];

		buf_puts(b, "\n************************\n");
		text_number(b, "pid", w->pid);
		text_line(b, "state", w->state);
		text_line(b, "start time", status_time(a, w->started_ms));
		text_fields(b, status_worker_fields, w);
	}
	for (size_t i = 0; full && i < s->running_count; i++)
		text_turn(b, s, &s->running[i]);
}

/* ---- JSON ---- */

static void
json_fields(struct buf *b, const struct status_field *f, const void *base)
{
	for (; f->name != NULL; f++)
		json_add_int(b, f->member, status_number(f, base));
}

static void
json_turn(struct buf *b, const struct status *s, const struct running_turn *t)
{
	json_open(b, NULL, '{');
	json_add_int(b, "pid", t->pid);
	json_add_str(b, "agent", t->agent);
	json_add_str(b, "turn", t->turn);
	json_add_str(b, "user", t->user);
	json_add_str(b, "model", t->model);
	json_add_str(b, "state", running_state_name(t->state));
	json_add_int(b, "step", t->step);
	json_add_int(b, "ageMs", status_age_ms(s, t->began_us));
	json_add_int(b, "inStateMs", status_age_ms(s, t->since_us));
	json_close(b, '}');
}

void
status_add_json_turns(struct buf *b, const struct status *s)
{
	for (size_t i = 0; i < s->running_count; i++)
		json_turn(b, s, &s->running[i]);
}

static void
json_full(struct buf *b, const struct status *s)
{
	json_open(b, "workers", '[');
	for (size_t i = 0; i < s->worker_count; i++) {
		const struct status_worker *w = &s->workers[i];

		json_open(b, NULL, '{');
		json_add_int(b, "pid", w->pid);
		json_add_str(b, "state", w->state);
		json_add_int(b, "startTime", w->started_ms);
		json_fields(b, status_worker_fields, w);
		json_close(b, '}');
	}
	json_close(b, ']');
	json_open(b, "turns", '[');
	status_add_json_turns(b, s);
	json_close(b, ']');
}

void
status_add_json(struct buf *b, const struct status *s, int full)
{
	json_open(b, NULL, '{');
	json_add_str(b, "pool", "agent-fpm");
	json_add_str(b, "version", s->version);
	json_add_str(b, "processManager", s->pm);
	json_add_int(b, "startTime", s->started_ms);
	json_fields(b, status_fields, s);
	if (full)
		json_full(b, s);
	json_close(b, '}');
}

/* ---- HTML ---- */

static void
html_add(struct buf *b, const char *s)
{
	for (; *s != '\0'; s++) {
		if (*s == '&')
			buf_lit(b, "&amp;");
		else if (*s == '<')
			buf_lit(b, "&lt;");
		else if (*s == '>')
			buf_lit(b, "&gt;");
		else if (*s == '"')
			buf_lit(b, "&quot;");
		else
			buf_putc(b, *s);
	}
}

static void
html_cell(struct buf *b, const char *s)
{
	buf_lit(b, "<td>");
	html_add(b, s);
	buf_lit(b, "</td>");
}

static void
html_number(struct buf *b, int64_t n)
{
	buf_printf(b, "<td align=\"right\">%" PRId64 "</td>", n);
}

static void
html_heads(struct buf *b, const char *title, const char *const *names,
    const struct status_field *f)
{
	buf_printf(b, "<h2>%s</h2>\n<table border=\"1\">\n<tr>", title);
	for (; *names != NULL; names++)
		buf_printf(b, "<th>%s</th>", *names);
	for (; f != NULL && f->name != NULL; f++)
		buf_printf(b, "<th>%s</th>", f->name);
	buf_lit(b, "</tr>\n");
}

static void
html_workers(struct buf *b, const struct status *s, struct arena *a)
{
	static const char *const names[] = { "pid", "state", "start time",
		NULL };

	html_heads(b, "Workers", names, status_worker_fields);
	for (size_t i = 0; i < s->worker_count; i++) {
		const struct status_worker *w = &s->workers[i];

		buf_lit(b, "<tr>");
		html_number(b, w->pid);
		html_cell(b, w->state);
		html_cell(b, status_time(a, w->started_ms));
		for (const struct status_field *f = status_worker_fields;
		     f->name != NULL; f++)
			html_number(b, status_number(f, w));
		buf_lit(b, "</tr>\n");
	}
	buf_lit(b, "</table>\n");
}

static void
html_turns(struct buf *b, const struct status *s)
{
	static const char *const names[] = { "pid", "agent", "turn", "user",
		"model", "state", "step", "age ms", "in state ms", NULL };

	html_heads(b, "Running turns", names, NULL);
	for (size_t i = 0; i < s->running_count; i++) {
		const struct running_turn *t = &s->running[i];

		buf_lit(b, "<tr>");
		html_number(b, t->pid);
		html_cell(b, t->agent);
		html_cell(b, t->turn);
		html_cell(b, t->user);
		html_cell(b, t->model);
		html_cell(b, running_state_name(t->state));
		html_number(b, t->step);
		html_number(b, status_age_ms(s, t->began_us));
		html_number(b, status_age_ms(s, t->since_us));
		buf_lit(b, "</tr>\n");
	}
	buf_lit(b, "</table>\n");
}

void
status_add_html(
    struct buf *b, const struct status *s, struct arena *a, int full)
{
	buf_lit(b, "<!DOCTYPE html>\n<html lang=\"en\"><head>"
		   "<meta charset=\"utf-8\">"
		   "<meta http-equiv=\"refresh\" content=\"" REFRESH_S "\">"
		   "<title>agent-fpm status</title></head><body>\n"
		   "<h1>agent-fpm ");
	html_add(b, s->version);
	buf_lit(b, "</h1>\n<table border=\"1\">\n<tr><th>start time</th>");
	html_cell(b, status_time(a, s->started_ms));
	buf_lit(b, "</tr>\n");
	for (const struct status_field *f = status_fields; f->name != NULL;
	     f++) {
		buf_printf(b, "<tr><th>%s</th>", f->name);
		html_number(b, status_number(f, s));
		buf_lit(b, "</tr>\n");
	}
	buf_lit(b, "</table>\n");
	if (full) {
		html_workers(b, s, a);
		html_turns(b, s);
	}
	buf_lit(b, "</body></html>\n");
}
