/* SPDX-License-Identifier: MIT */
/*
 * /api/agents/ID/files as a tar archive.
 *
 * The sandbox gives it in parts, which are passed on as they come: no part is
 * kept, however large the archive. nginx is told to buffer it, so that a slow
 * client holds nginx's disk and not a request thread; and no more than half
 * of those may be at it. What fails after the first part breaks the
 * connection: an archive without its end is not taken for a whole one.
 */
#include "config.h"

#include <string.h>

#include "api/api_priv.h"
#include "conf/conf.h"
#include "sandbox/client.h"

#define TAR "application/x-tar"

int
api_wants_tar(const struct api_call *c)
{
	const char *format = http_query(c->rq, "format");
	const char *accept = http_header(c->rq, "HTTP_ACCEPT");

	if (format != NULL)
		return strcmp(format, "tar") == 0;
	return accept != NULL && strstr(accept, TAR) != NULL &&
	       api_accepts(c, TAR);
}

/*
 * One part, in an arena that the caller closes; *next_r is where the one
 * behind it begins, in c's arena, or NULL.
 */
static int
part_ask(struct api_call *c, struct sandbox_call *call, const char **next_r,
    struct err *err)
{
	const char *path = http_query(c->rq, "path"), *next;
	struct buf m;

	buf_init(&m, call->arena);
	buf_lit(&m, ",\"path\":");
	json_add_str(&m, NULL, path == NULL || *path == '\0' ? "." : path);
	if (*next_r != NULL)
		json_add_str(&m, "after", *next_r);
	call->members = m.data;
	if (sandbox_ask(c->app->sandbox, call, err) < 0)
		return -1;
	next = json_get_str(call->answer, "next");
	*next_r = next == NULL ? NULL : arena_strdup(c->arena, next);
	return 0;
}

/* Once it is known that there is something. */
static int
head_send(struct api_call *c)
{
	c->rs->type = TAR;
	http_header_add(
	    c->rs, "Content-Disposition", "attachment; filename=\"files.tar\"");
	http_header_add(c->rs, "X-Accel-Buffering", "yes");
	return http_send_head(c->rq, c->rs);
}

/* 1 if it was sent and there are more; 0 at the end; -1 and err. */
static int
part_send(
    struct api_call *c, const char *whose, const char **next_r, struct err *err)
{
	struct arena *a = arena_open(8192);
	struct sandbox_call call = {
		.op = "fs.tar", .arena = a, .user = c->user, .agent = whose
	};
	int head = strcmp(c->rq->method, "HEAD") == 0;
	int rc = part_ask(c, &call, next_r, err);

	if (rc == 0 && !c->rq->sent)
		rc = head_send(c);
	if (rc == 0 && !head)
		rc = http_send_part(
		    c->rq, call.answer_data.data, call.answer_data.len);
	arena_close(&a);
	if (rc < 0 && err->code == ERR_NONE)
		return err_set(err, ERR_CANCELLED, "the client left");
	return rc < 0 ? -1 : *next_r != NULL && !head;
}

static int
archive_send(struct api_call *c, struct err *err)
{
	const char *whose, *next = NULL;
	int rc;

	if (api_workspace(c, c->rq->param[0], &whose, err) < 0)
		return -1;
	do
		rc = part_send(c, whose, &next, err);
	while (rc > 0);
	return rc;
}

int
files_tar(struct api_call *c, struct err *err)
{
	int max = (int)(c->app->conf->request_threads + 1) / 2, rc;

	if (__atomic_add_fetch(&c->app->archives, 1, __ATOMIC_ACQ_REL) > max)
		rc = err_limit(err, ERR_OVERLOAD, "request_threads",
		    "the worker sends %d archives, the most it may", max);
	else
		rc = archive_send(c, err);
	__atomic_sub_fetch(&c->app->archives, 1, __ATOMIC_ACQ_REL);
	return rc;
}
