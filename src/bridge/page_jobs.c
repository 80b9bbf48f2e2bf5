/* SPDX-License-Identifier: MIT */
/*
 * What pages are asked to do, and what they answer.
 *
 * A job is an order of the pool's. The page gets it under an id that is made
 * here, and only that page can answer it: an answer is looked for among the
 * jobs of the connection that it came by. A page of B2 says of components only
 * which one it speaks of, or nothing, so it gets one such job at a time.
 *
 * A job ends with exactly one answer, unless nobody waits for it; whatever the
 * page says after that is nobody's.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clk.h"
#include "base/err.h"
#include "base/json.h"
#include "base/log.h"
#include "base/loop.h"
#include "bridge/figures.h"
#include "bridge/page_priv.h"
#include "conf/conf.h"

#define CALLERS_ID_MAX 128

struct page_job {
	UT_hash_handle hh; /* by request */
	struct page_job *prev, *next;
	struct page *page;
	char id[ID_UUID_SIZE];
	char *request, *reply_to;
	char *callers_id; /* B1: what the caller has called it, or NULL */
	char *component;  /* B2, or NULL */
	int update;
	int unheard; /* nobody waits for the answer */
	struct buf text;
	struct loop_timer *timer;
};

static char *
copy(const char *text)
{
	char *s = strdup(text);

	if (s == NULL)
		abort();
	return s;
}

/* ---- answers ---- */

/* members: status and what belongs to it. */
static void
publish(struct page_hub *all, const char *client, const char *reply_to,
    const char *request, const struct buf *members)
{
	struct buf b;

	buf_init(&b, NULL);
	json_open(&b, NULL, '{');
	json_add_str(&b, "clientId", client);
	buf_putc(&b, ',');
	buf_add(&b, members->data, members->len);
	json_close(&b, '}');
	page_server_answer(all->server, reply_to, request, b.data, b.len);
	buf_fini(&b);
}

static void
refuse(struct page_hub *all, const struct page_order *o, const char *code,
    const char *message)
{
	struct buf b;

	figure_add(FIGURE_COMMANDS_REFUSED, 1);
	buf_init(&b, NULL);
	page_answer_error(&b, code, message);
	publish(all, o->client, o->reply_to, o->request, &b);
	buf_fini(&b);
}

static void send_next(struct page *p);

static void
job_free(struct page_job *job)
{
	struct page *p = job->page;

	HASH_DEL(p->all->jobs, job);
	DL_DELETE(p->jobs, job);
	p->job_count--;
	figure_add(FIGURE_COMMANDS_PENDING, -1);
	if (p->slot == job)
		p->slot = NULL;
	loop_timer_free(&job->timer);
	buf_fini(&job->text);
	free(job->request);
	free(job->reply_to);
	free(job->callers_id);
	free(job->component);
	free(job);
}

static void
job_end(struct page_job *job, enum figure outcome, const struct buf *members)
{
	struct page *p = job->page;

	if (!job->unheard) {
		figure_add(outcome, 1);
		publish(
		    p->all, p->client, job->reply_to, job->request, members);
	}
	job_free(job);
	send_next(p);
}

static void
job_fail(struct page_job *job, enum figure outcome, const char *code,
    const char *message)
{
	struct buf b;

	buf_init(&b, NULL);
	page_answer_error(&b, code, message);
	job_end(job, outcome, &b);
	buf_fini(&b);
}

static void
on_late(void *arg)
{
	job_fail(arg, FIGURE_COMMANDS_TIMEOUT, "TIMEOUT", "Request timed out");
}

/* ---- asking ---- */

static void
job_send(struct page_job *job)
{
	figure_add(FIGURE_COMMANDS_SENT, 1);
	page_send(job->page, "command", &job->text);
}

/* The component's job that is next, if the page is at none. */
static void
send_next(struct page *p)
{
	struct page_job *job;

	if (p->slot != NULL || p->state != PAGE_OPEN)
		return;
	DL_FOREACH(p->jobs, job)
	{
		if (job->component == NULL)
			continue;
		p->slot = job;
		job_send(job);
		return;
	}
}

static struct page_job *
job_new(struct page *p, const struct page_order *o)
{
	struct page_job *job = calloc(1, sizeof(*job));

	if (job == NULL)
		abort();
	job->page = p;
	id_make_uuid(job->id);
	job->request = copy(o->request);
	job->reply_to = copy(o->reply_to);
	buf_init(&job->text, NULL);
	HASH_ADD_KEYPTR(
	    hh, p->all->jobs, job->request, strlen(job->request), job);
	DL_APPEND(p->jobs, job);
	p->job_count++;
	figure_add(FIGURE_COMMANDS_PENDING, 1);
	job->timer = loop_timer_new(p->all->loop, "page", on_late, job);
	loop_timer_start(job->timer, o->timeout_ms, 0);
	return job;
}

/* Its message. 0, or -1: the command cannot be said in the page's dialect. */
static int
job_write(struct page_job *job, const struct page_order *o, struct err *err)
{
	struct page *p = job->page;
	const char *id = json_get_str(o->command, "id");
	struct page_command c = { .text = &job->text };
	struct arena *a;
	int rc;

	if (p->dialect == PAGE_B1) {
		if (id != NULL && strlen(id) <= CALLERS_ID_MAX)
			job->callers_id = copy(id);
		page_command_b1(&job->text, job->id, clk_wall_ms(), o->command);
		return 0;
	}
	a = arena_open(4096);
	rc = page_command_b2(&c, job->id, clk_wall_ms(), o->command,
	    p->capabilities == NULL
		? NULL
		: json_parse(a, p->capabilities, p->capabilities_len,
		      JSON_DEPTH_MAX, NULL),
	    err);
	if (rc == 0 && c.component != NULL)
		job->component = copy(c.component);
	job->update = c.update;
	arena_close(&a);
	return rc;
}

void
page_job_start(struct page_hub *all, const struct page_order *o)
{
	struct page_job *job;
	struct page *p;
	struct err err;

	HASH_FIND_STR(all->pages, o->client, p);
	HASH_FIND_STR(all->jobs, o->request, job);
	if (job != NULL)
		return; /* it is being done */
	if (p == NULL || p->user == NULL || strcmp(p->user, o->user) != 0 ||
	    p->state == PAGE_OVER) {
		refuse(all, o, "NOT_FOUND", "Client not found");
		return;
	}
	if (p->state != PAGE_OPEN) {
		refuse(all, o, "SEND_FAILED", "the client is not ready yet");
		return;
	}
	if (p->job_count >= all->conf->bridge_page_commands) {
		refuse(all, o, "SEND_FAILED",
		    "too many commands wait for this client "
		    "(bridge.page_commands)");
		return;
	}
	job = job_new(p, o);
	if (job_write(job, o, &err) < 0)
		job_fail(job, FIGURE_COMMANDS_REFUSED, "SEND_FAILED", err.text);
	else if (job->component != NULL)
		send_next(p);
	else
		job_send(job);
}

/* A component's job stays until the page has answered it, or is late: its
 * answer would be taken for the next one's. */
void
page_job_cancel(struct page_hub *all, const char *request)
{
	struct page_job *job;

	HASH_FIND_STR(all->jobs, request, job);
	if (job == NULL)
		return;
	if (!job->unheard)
		figure_add(FIGURE_COMMANDS_CANCELLED, 1);
	job->unheard = 1;
	if (job->page->slot != job)
		job_free(job);
}

void
page_jobs_fail(struct page *p)
{
	while (p->jobs != NULL)
		job_fail(p->jobs, FIGURE_COMMANDS_LOST, "CLIENT_GONE",
		    "Client disconnected");
}

/* ---- what the page says ---- */

/* By the id that we made, or what the caller has called it. */
static struct page_job *
job_find(struct page *p, const char *id)
{
	struct page_job *job;

	if (id == NULL)
		return NULL;
	DL_FOREACH(p->jobs, job)
	{
		if (strcmp(job->id, id) == 0 ||
		    (job->callers_id != NULL &&
			strcmp(job->callers_id, id) == 0))
			return job;
	}
	return NULL;
}

/* The job of a component that an answer of B2 is of. */
static struct page_job *
slot_of(struct page *p, const struct page_message *m, const char *id)
{
	struct page_job *job = p->slot;
	int update = strcmp(m->type, "component_update_result") == 0;

	if (job == NULL || m->says == PAGE_ERROR)
		return job;
	if (id == NULL || strcmp(job->component, id) != 0 ||
	    job->update != update)
		return NULL;
	return job;
}

void
page_job_answer(struct page *p, const struct page_message *m)
{
	const char *id = json_get_str(
	    m->doc, m->says == PAGE_RESPONSE ? "requestId" : "correlationId");
	struct page_job *job = job_find(p, id);
	struct buf b;
	int ok;

	if (job == NULL &&
	    (m->says == PAGE_COMPONENT_RESULT || m->says == PAGE_ERROR))
		job = slot_of(p, m, id);
	if (job == NULL) {
		log_debug("a page answers what it was not asked");
		return;
	}
	buf_init(&b, NULL);
	ok = page_answer(&b, m);
	job_end(
	    job, ok ? FIGURE_COMMANDS_ANSWERED : FIGURE_COMMANDS_FAILED, &b);
	buf_fini(&b);
}
