/* SPDX-License-Identifier: MIT */
/*
 * What a view wants to know besides: the record of a call, from Redis; a file
 * that has changed, from the pool in the name of somebody in the room.
 *
 * A record is asked for until there is an answer, as its conversation waits.
 * Files are asked for one after the other, so that of two changes of a file
 * the later one is told later; one that waits already is told once, and one
 * that is gone meanwhile not at all, as its end is.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clk.h"
#include "base/json.h"
#include "base/log.h"
#include "bridge/feed_priv.h"
#include "bridge/rooms.h"
#include "bridge/sio.h"
#include "http/ask.h"
#include "session/view.h"
#include "store/live.h"

#define FILES_MAX 256 /* of a feed, that wait; more are not told of */

/* ---- records ---- */

static void
record_drop(struct feed_record *r)
{
	struct feed_record **at = &r->feed->records;

	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
	r->feed = NULL;
}

static void
on_record(void *ctx, int failed, const char *text, size_t len)
{
	struct feed_record *r = ctx;
	struct feed *f = r->feed;
	struct session_out out;

	r->asked = 0;
	if (f == NULL) {
		free(r);
		return;
	}
	if (failed)
		return; /* want_retry */
	record_drop(r);
	feed_begin(f, &out);
	session_view_record(f->view, r->agent, r->call, text, len, &out);
	feed_end(f, &out);
	free(r);
}

static void
record_ask(struct feed_record *r)
{
	r->asked = 1;
	live_record(r->feed->all->live, r->agent, r->call, on_record, r);
}

void
want_record(struct feed *f, const char *agent, const char *call)
{
	size_t len = strlen(call);
	struct feed_record *r = calloc(1, sizeof(*r) + len + 1);

	if (r == NULL)
		abort();
	r->feed = f;
	strncpy(r->agent, agent, sizeof(r->agent) - 1);
	memcpy(r->call, call, len);
	r->next = f->records;
	f->records = r;
	record_ask(r);
}

/* ---- files ---- */

static void file_ask(struct feed *f);

static void
file_tell(struct feed *f, const struct feed_file *file, const char *content)
{
	struct emit_head h = { f->session, NULL, clk_wall_ms() };
	struct session_out out;

	feed_begin(f, &out);
	emit_file(&out, &h, file->change, file->path, content,
	    content == NULL ? 0 : strlen(content));
	feed_end(f, &out);
}

static void
file_free(struct feed *f)
{
	struct feed_file *file = f->files;

	f->files = file->next;
	if (f->files == NULL)
		f->files_tail = &f->files;
	f->file_count--;
	free(file);
}

static void
on_file(void *ctx, const struct ask_answer *answer)
{
	struct feed *f = ctx;
	struct arena *a = arena_open(1024);
	const struct json *j = answer->status != 200
				   ? NULL
				   : json_parse(a, answer->body, answer->len,
					 JSON_DEPTH_MAX, NULL);

	f->file_ask = NULL;
	if (answer->status != 404)
		file_tell(f, f->files, json_get_str(j, "content"));
	arena_close(&a);
	file_free(f);
	file_ask(f);
}

static void
put_path(struct buf *b, const char *path)
{
	static const char plain[] = "0123456789abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ-._~/";

	for (; *path != '\0'; path++)
		if (strchr(plain, *path) != NULL)
			buf_putc(b, *path);
		else
			buf_printf(b, "%%%02X", (unsigned char)*path);
}

/* The first of those that wait; all are told without, if nobody is there who
 * could ask, as then nobody hears it. */
static void
file_ask(struct feed *f)
{
	const struct sio_socket *s = room_any(f->all->rooms, f->session);
	struct ask_spec spec = { .method = "GET" };
	struct buf b;

	if (s == NULL)
		while (f->files != NULL)
			file_free(f);
	if (f->files == NULL)
		return;
	spec.authorization = sio_authorization(s);
	spec.remote_addr = sio_address(s);
	buf_init(&b, NULL);
	buf_printf(&b, "/api/sessions/%s/files/", f->session);
	put_path(&b, f->files->path);
	spec.path = b.data;
	f->file_ask = ask_start(f->all->file_asker, &spec, on_file, f);
	buf_fini(&b);
}

/* 1 if it will be read anyway; the first is being read. */
static int
file_waits(const struct feed *f, const char *path)
{
	const struct feed_file *file = f->files;

	while (
	    file != NULL && (file == f->files || strcmp(file->path, path) != 0))
		file = file->next;
	return file != NULL;
}

void
want_file(struct feed *f, const char *path, const char *change)
{
	size_t len = strlen(path);
	struct feed_file *file;

	if (file_waits(f, path))
		return;
	if (f->file_count == FILES_MAX) {
		log_info("%s: more than %d files have changed at once",
		    f->session, FILES_MAX);
		return;
	}
	file = calloc(1, sizeof(*file) + len + 1);
	if (file == NULL)
		abort();
	file->change = strcmp(change, "created") == 0 ? "created" : "modified";
	memcpy(file->path, path, len);
	*f->files_tail = file;
	f->files_tail = &file->next;
	if (f->file_count++ == 0)
		file_ask(f);
}

/* ---- again, and the end ---- */

void
want_retry(struct feed *f)
{
	for (struct feed_record *r = f->records, *next; r != NULL; r = next) {
		next = r->next;
		if (!r->asked)
			record_ask(r);
	}
}

void
want_free_all(struct feed *f)
{
	struct feed_record *r;

	while ((r = f->records) != NULL) {
		record_drop(r);
		if (!r->asked)
			free(r);
	}
	ask_cancel(&f->file_ask);
	while (f->files != NULL)
		file_free(f);
}
