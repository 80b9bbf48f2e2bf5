/* SPDX-License-Identifier: MIT */
/* /api/agents/ID/files: what is in an agent's workspace. */
#include "config.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/api_priv.h"
#include "base/log.h"
#include "conf/conf.h"
#include "sandbox/client.h"
#include "store/files.h"

#define ACCEL_URI_MAX 8192 /* of nginx's buffer for headers */

int
api_workspace(struct api_call *c, const char *agent, const char **whose_r,
    struct err *err)
{
	if (store_agent_workspace(
		c->app->store, c->arena, c->user, agent, whose_r, err) < 0)
		return -1;
	if (c->app->sandbox == NULL)
		return err_set(err, ERR_NOT_FOUND,
		    "agents of this server have no files: neither "
		    "sandbox.socket nor sandbox.address is set");
	return 0;
}

int
api_sandbox(struct api_call *c, const char *agent, struct sandbox_call *call,
    struct err *err)
{
	if (api_workspace(c, agent, &call->agent, err) < 0)
		return -1;
	call->arena = c->arena;
	call->user = c->user;
	return sandbox_ask(c->app->sandbox, call, err);
}

int
api_files_delete(struct api_call *c, const char *agent, struct err *err)
{
	struct sandbox_call call = { .op = "ws.delete",
		.arena = c->arena,
		.user = c->user,
		.agent = agent };
	const char *whose;

	if (c->app->sandbox == NULL)
		return 0;
	if (store_agent_workspace(
		c->app->store, c->arena, c->user, agent, &whose, err) < 0)
		return -1;
	if (strcmp(whose, agent) != 0)
		return 0;
	return sandbox_ask(c->app->sandbox, &call, err);
}

int
api_files_copy(
    struct api_call *c, const char *agent, const char *to, struct err *err)
{
	struct sandbox_call call = { .op = "ws.copy" };

	if (c->app->sandbox == NULL)
		return 0;
	call.members = arena_printf(c->arena, ",\"to\":\"%s\"", to);
	return api_sandbox(c, agent, &call, err);
}

void
api_files_drop(struct api_call *c, const char *agent)
{
	struct sandbox_call call = { .op = "ws.delete",
		.arena = c->arena,
		.user = c->user,
		.agent = agent };
	struct err err;

	if (c->app->sandbox != NULL &&
	    sandbox_ask(c->app->sandbox, &call, &err) < 0)
		log_warn("the copy of files for %s, which was not made, is "
			 "left behind: %s",
		    agent, err.text);
}

/* A call that changes files, which is said before and after it to who saves
 * them: nothing that comes between is missed. */
static int
change_files(struct api_call *c, struct sandbox_call *call, struct err *err)
{
	if (api_workspace(c, c->rq->param[0], &call->agent, err) < 0 ||
	    store_files_mark(
		c->app->store, c->arena, c->user, call->agent, err) < 0 ||
	    api_sandbox(c, c->rq->param[0], call, err) < 0)
		return -1;
	return store_files_mark(
	    c->app->store, c->arena, c->user, call->agent, err);
}

/* ---- the tree ---- */

int
files_list(void *arg, struct err *err)
{
	struct api_call *c = arg;
	struct sandbox_call call = { .op = "fs.list" };
	const char *path = http_query(c->rq, "path");
	const char *format = http_query(c->rq, "format");
	int64_t depth = 128, limit = 1000;
	struct buf m;

	if (api_wants_tar(c))
		return files_tar(c, err);
	if (format != NULL && strcmp(format, "json") != 0)
		return err_set(err, ERR_REQUEST, "format must be json or tar");
	if (api_query_int(c, "depth", 1, 128, &depth, err) < 0 ||
	    api_query_int(c, "limit", 1, 10000, &limit, err) < 0)
		return -1;
	buf_init(&m, c->arena);
	buf_printf(
	    &m, ",\"depth\":%" PRId64 ",\"limit\":%" PRId64, depth, limit);
	if (path != NULL && *path != '\0')
		json_add_str(&m, "path", path);
	call.members = m.data;
	if (api_sandbox(c, c->rq->param[0], &call, err) < 0) {
		if (c->app->sandbox == NULL || path != NULL ||
		    call.err.code != ERR_NOT_FOUND)
			return -1;
		call.answer = NULL; /* it has no workspace yet */
	}
	http_json(c->rs, 200);
	json_open(&c->rs->body, NULL, '{');
	if (call.answer == NULL)
		buf_puts(&c->rs->body, "\"files\":[]");
	else
		json_add_json(
		    &c->rs->body, "files", json_get(call.answer, "files"));
	json_add_bool(
	    &c->rs->body, "truncated", json_get_true(call.answer, "truncated"));
	json_close(&c->rs->body, '}');
	return 0;
}

/* ---- one file ---- */

/* ,"path":"..." of the request, which is below /files/. */
static struct buf
path_member(struct api_call *c)
{
	struct buf m;

	buf_init(&m, c->arena);
	buf_lit(&m, ",\"path\":");
	json_add_str(&m, NULL, c->rq->param[1]);
	return m;
}

/*
 * Range: bytes=A-B, A- or -N (RFC 9110, section 14). 1 and the bytes from
 * *from_r to before *to_r; 0 if it is none that is understood, which is then
 * ignored; -1 if it cannot be met.
 */
static int
range_read(const char *h, int64_t size, int64_t *from_r, int64_t *to_r)
{
	char *end;
	int64_t a = -1, b = -1;

	if (h == NULL || strncasecmp(h, "bytes=", 6) != 0 ||
	    strchr(h, ',') != NULL)
		return 0;
	h += 6;
	if (*h >= '0' && *h <= '9') {
		a = strtoll(h, &end, 10);
		h = end;
	}
	if (*h++ != '-')
		return 0;
	if (*h >= '0' && *h <= '9') {
		b = strtoll(h, &end, 10);
		h = end;
	}
	if (*h != '\0' || (a < 0 && b < 0) || (a >= 0 && b >= 0 && b < a))
		return 0;
	*from_r = a >= 0 ? a : b >= size ? 0 : size - b;
	*to_r = a < 0 || b < 0 || b >= size ? size : b + 1;
	return *from_r >= size ? -1 : 1;
}

static void
add_etag(struct api_call *c, const struct json *answer)
{
	http_header_add(c->rs, "ETag", "\"%s\"", json_get_str(answer, "etag"));
}

/* Never shown as a page of the site: it is whatever the agent wrote. */
static void
add_file_headers(struct api_call *c, const struct json *answer)
{
	int text = json_get_true(answer, "text");

	add_etag(c, answer);
	c->rs->type =
	    text ? "text/plain; charset=utf-8" : "application/octet-stream";
	http_header_add(c->rs, "Content-Disposition", "attachment");
}

/* 1 if the client has this version. */
static int
is_unchanged(const struct api_call *c, const struct json *answer)
{
	const char *h = http_header(c->rq, "HTTP_IF_NONE_MATCH");

	return h != NULL &&
	       (strcmp(h, "*") == 0 ||
		   strstr(h, json_get_str(answer, "etag")) != NULL);
}

/* What the file is, without its bytes. */
static int
file_stat(struct api_call *c, const char *path, int64_t *size_r,
    const struct json **answer_r, struct err *err)
{
	struct sandbox_call call = { .op = "fs.get" };

	call.members = arena_printf(c->arena, "%s,\"look\":true", path);
	if (api_sandbox(c, c->rq->param[0], &call, err) < 0)
		return -1;
	*answer_r = call.answer;
	return json_get_int(call.answer, "size", size_r) ? 0 : -1;
}

/* A path as a URI has it (RFC 3986, section 2), with its slashes. */
static void
put_encoded(struct buf *b, const char *path)
{
	static const char plain[] = "0123456789abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ-._~/";

	for (; *path != '\0'; path++)
		if (strchr(plain, *path) != NULL)
			buf_putc(b, *path);
		else
			buf_printf(b, "%%%02X", (unsigned char)*path);
}

/*
 * Lets nginx send a large file, if it is set up for that: it knows ranges, and
 * comes back with AGENT_FPM_ACCEL off if it may not read it. 1 if it does. Not
 * with If-Match, as nginx does not know the ETag.
 */
static int
leave_to_nginx(struct api_call *c, const struct json *it, int64_t size)
{
	const struct conf *conf = c->app->conf;
	const char *again = http_header(c->rq, "AGENT_FPM_ACCEL");
	const char *place = json_get_str(it, "place");
	struct buf uri;

	if (*conf->sandbox_accel == '\0' || size < conf->sandbox_accel_bytes ||
	    place == NULL || http_header(c->rq, "HTTP_IF_MATCH") != NULL ||
	    (again != NULL && strcmp(again, "off") == 0))
		return 0;
	buf_init(&uri, c->arena);
	put_encoded(&uri, place);
	if (uri.len > ACCEL_URI_MAX)
		return 0;
	add_file_headers(c, it);
	buf_printf(&c->rs->headers, "X-Accel-Redirect: %s%s\r\n",
	    conf->sandbox_accel, uri.data);
	return 1;
}

int
files_get(void *arg, struct err *err)
{
	struct api_call *c = arg;
	struct buf path = path_member(c);
	struct sandbox_call call = { .op = "fs.get" };
	int64_t size, from = 0, to;
	const struct json *it;
	int ranged;

	if (file_stat(c, path.data, &size, &it, err) < 0)
		return -1;
	if (is_unchanged(c, it)) {
		c->rs->status = 304;
		add_etag(c, it);
		return 0;
	}
	if (leave_to_nginx(c, it, size))
		return 0;
	to = size;
	ranged = range_read(http_header(c->rq, "HTTP_RANGE"), size, &from, &to);
	if (ranged < 0) {
		c->rs->status = 416;
		http_header_add(
		    c->rs, "Content-Range", "bytes */%" PRId64, size);
		return 0;
	}
	if (to - from > c->app->conf->sandbox_max_file_bytes)
		return err_limit(err, ERR_TOO_LARGE, "sandbox.max_file",
		    "the file has %" PRId64 " bytes, more than is sent at a "
		    "time: ask for parts, by Range",
		    size);
	call.members = arena_printf(c->arena,
	    "%s,\"from\":%" PRId64 ",\"to\":%" PRId64, path.data, from, to);
	if (api_sandbox(c, c->rq->param[0], &call, err) < 0)
		return -1;
	c->rs->status = ranged ? 206 : 200;
	if (ranged)
		http_header_add(c->rs, "Content-Range",
		    "bytes %" PRId64 "-%" PRId64 "/%" PRId64, from, to - 1,
		    size);
	add_file_headers(c, call.answer);
	http_header_add(c->rs, "Accept-Ranges", "bytes");
	buf_add(&c->rs->body, call.answer_data.data, call.answer_data.len);
	return 0;
}

/* If-Match, for the sandbox: it compares one version with what is there. */
static int
add_match(struct api_call *c, struct buf *m, struct err *err)
{
	const char *h = http_header(c->rq, "HTTP_IF_MATCH"), *etag;
	size_t n = h == NULL ? 0 : strlen(h);
	const struct json *it;
	struct buf path;
	int64_t size;

	if (h == NULL)
		return 0;
	if (strchr(h, ',') == NULL) {
		if (n >= 2 && *h == '"' && h[n - 1] == '"')
			json_add_strn(m, "match", h + 1, n - 2);
		else
			json_add_str(m, "match", h);
		return 0;
	}
	path = path_member(c);
	if (file_stat(c, path.data, &size, &it, err) == 0)
		etag = json_get_str(it, "etag");
	else if (err->code == ERR_NOT_FOUND)
		etag = "";
	else
		return -1;
	json_add_str(m, "match", http_etag_listed(h, etag) ? etag : "");
	return 0;
}

int
files_put(void *arg, struct err *err)
{
	struct api_call *c = arg;
	struct buf m = path_member(c);
	const char *none = http_header(c->rq, "HTTP_IF_NONE_MATCH");
	struct sandbox_call call = { .op = "fs.put" };

	if (add_match(c, &m, err) < 0)
		return -1;
	if (none != NULL && strcmp(none, "*") == 0)
		json_add_bool(&m, "create", 1);
	call.members = m.data;
	call.data = c->rq->body.data;
	call.data_len = c->rq->body.len;
	if (change_files(c, &call, err) < 0)
		return -1;
	c->rs->status = json_get_true(call.answer, "created") ? 201 : 204;
	add_etag(c, call.answer);
	return 0;
}

int
files_delete(void *arg, struct err *err)
{
	struct api_call *c = arg;
	struct buf m = path_member(c);
	struct sandbox_call call = { .op = "fs.delete" };

	call.members = m.data;
	if (change_files(c, &call, err) < 0)
		return -1;
	c->rs->status = 204;
	return 0;
}
