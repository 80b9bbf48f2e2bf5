/* SPDX-License-Identifier: MIT */
/*
 * Server-sent events, as providers send them.
 *
 * The bytes of a read are cut into lines where they lie. The usual event, one
 * data line and the blank line behind it in the same read, reaches the
 * receiver without a copy: s->one points into the caller's bytes. It is
 * copied only if a second data line comes, or if the read ends first. A line
 * cut by the end of a read waits in s->line. The buffers keep their memory,
 * so a stream allocates only while its events grow.
 *
 * Three ends of line may be mixed, and a CR LF may be cut in two: a CR ends
 * the line at once and skip_lf swallows the LF. Searching is linear whatever
 * the mixture, since the next LF is remembered within a read.
 *
 * Lines that are no field of SSE are kept in s->stray, up to a bound: some
 * servers put a JSON error into a stream without "data:".
 *
 * The bound holds for a line and for the data of an event, and is checked so
 * that the same bytes fail at the same event however they are split.
 */
#include "config.h"

#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "net/sse.h"

#define STRAY_MAX (64 * 1024)
#define ID_MAX 1024
#define RETRY_DIGITS 9
#define BOM "\xef\xbb\xbf"

typedef int field_f(
    struct sse *s, const char *value, size_t len, struct err *err);

void
sse_init(struct sse *s, size_t event_bytes, sse_event_f *event, void *ctx)
{
	memset(s, 0, sizeof(*s));
	s->event_bytes = event_bytes;
	s->event = event;
	s->ctx = ctx;
	buf_init(&s->line, NULL);
	buf_init(&s->name, NULL);
	buf_init(&s->id, NULL);
	buf_init(&s->next_id, NULL);
	s->retry_ms = -1;
	buf_init(&s->data, NULL);
	buf_init(&s->stray, NULL);
}

void
sse_fini(struct sse *s)
{
	buf_fini(&s->line);
	buf_fini(&s->name);
	buf_fini(&s->id);
	buf_fini(&s->next_id);
	buf_fini(&s->data);
	buf_fini(&s->stray);
}

static int
too_large(const struct sse *s, struct err *err)
{
	return err_set(err, ERR_TOO_LARGE,
	    "an event of the stream is over %zu bytes", s->event_bytes);
}

/* The memory under s->one is about to go. */
static void
data_keep(struct sse *s)
{
	if (s->one == NULL)
		return;
	buf_add(&s->data, s->one, s->one_len);
	s->one = NULL;
}

static int
field_data(struct sse *s, const char *value, size_t len, struct err *err)
{
	if (!s->has_data) {
		s->has_data = 1;
		s->one = value;
		s->one_len = len;
		return 0;
	}
	data_keep(s);
	if (s->data.len + 1 + len > s->event_bytes)
		return too_large(s, err);
	buf_putc(&s->data, '\n');
	buf_add(&s->data, value, len);
	return 0;
}

static int
field_event(struct sse *s, const char *value, size_t len, struct err *err)
{
	(void)err;
	buf_clear(&s->name);
	buf_add(&s->name, value, len);
	return 0;
}

/* Where to go on after a cut; one with a 0 byte does not count. */
static int
field_id(struct sse *s, const char *value, size_t len, struct err *err)
{
	(void)err;
	if (len > ID_MAX || memchr(value, '\0', len) != NULL)
		return 0;
	buf_clear(&s->next_id);
	buf_add(&s->next_id, value, len);
	s->has_id = 1;
	return 0;
}

static int
field_retry(struct sse *s, const char *value, size_t len, struct err *err)
{
	int64_t ms = 0;

	(void)err;
	for (size_t i = 0; i < len; i++) {
		if (value[i] < '0' || value[i] > '9' || i >= RETRY_DIGITS)
			return 0;
		ms = ms * 10 + value[i] - '0';
	}
	if (len > 0)
		s->retry_ms = ms;
	return 0;
}

static const struct {
	const char *name;
	size_t len;
	field_f *fn;
} fields[] = {
	{ "data", 4, field_data },
	{ "event", 5, field_event },
	{ "id", 2, field_id },
	{ "retry", 5, field_retry },
};

static field_f *
field_find(const char *name, size_t len)
{
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (fields[i].len == len &&
		    memcmp(fields[i].name, name, len) == 0)
			return fields[i].fn;
	return NULL;
}

static void
stray_add(struct sse *s, const char *p, size_t len)
{
	if (s->stray.len + len + 1 > STRAY_MAX)
		return;
	buf_add(&s->stray, p, len);
	buf_putc(&s->stray, '\n');
}

/* A blank line, or the end: the event is whole. */
static int
event_deliver(struct sse *s, struct err *err)
{
	struct buf id = s->id;
	int rc = 0;

	if (s->has_id) {
		s->id = s->next_id;
		s->next_id = id;
		s->has_id = 0;
	}
	if (s->has_data) {
		s->events++;
		rc =
		    s->event(s->ctx, s->name.len > 0 ? s->name.data : "message",
			s->one != NULL ? s->one : buf_str(&s->data),
			s->one != NULL ? s->one_len : s->data.len, err);
	}
	s->has_data = 0;
	s->one = NULL;
	buf_clear(&s->data);
	buf_clear(&s->name);
	return rc;
}

/* A line without its end. */
static int
line_take(struct sse *s, const char *p, size_t len, struct err *err)
{
	const char *colon, *value;
	field_f *field;

	if (len > s->event_bytes)
		return too_large(s, err);
	if (!s->started && len >= 3 && memcmp(p, BOM, 3) == 0)
		p += 3, len -= 3;
	s->started = 1;
	if (len == 0)
		return event_deliver(s, err);
	colon = memchr(p, ':', len);
	if (colon == p) {
		s->comments++;
		return 0;
	}
	field = field_find(p, colon == NULL ? len : (size_t)(colon - p));
	if (field == NULL) {
		stray_add(s, p, len);
		return 0;
	}
	value = colon == NULL ? p + len : colon + 1;
	if (value < p + len && *value == ' ')
		value++;
	return field(s, value, (size_t)(p + len - value), err);
}

static int
line_keep(struct sse *s, const char *p, size_t len, struct err *err)
{
	if (len > s->event_bytes || s->line.len > s->event_bytes - len)
		return too_large(s, err);
	buf_add(&s->line, p, len);
	return 0;
}

/* The end of a line whose start came with an earlier read. */
static int
line_join(struct sse *s, const char *p, size_t len, struct err *err)
{
	if (line_keep(s, p, len, err) < 0 ||
	    line_take(s, s->line.data, s->line.len, err) < 0)
		return -1;
	data_keep(s);
	buf_clear(&s->line);
	return 0;
}

/* Where the line at p ends, or NULL. *lf_p is the first LF not before p. */
static const char *
line_end(const char *p, const char *end, const char **lf_p)
{
	const char *cr;

	if (*lf_p == NULL || *lf_p < p) {
		*lf_p = memchr(p, '\n', (size_t)(end - p));
		if (*lf_p == NULL)
			*lf_p = end;
	}
	cr = memchr(p, '\r', (size_t)(*lf_p - p));
	if (cr != NULL)
		return cr;
	return *lf_p < end ? *lf_p : NULL;
}

static int
feed_lines(struct sse *s, const char *p, const char *end, struct err *err)
{
	const char *lf = NULL, *eol;
	int rc;

	while (p < end) {
		if (s->skip_lf) {
			s->skip_lf = 0;
			if (*p == '\n') {
				p++;
				continue;
			}
		}
		eol = line_end(p, end, &lf);
		if (eol == NULL)
			return line_keep(s, p, (size_t)(end - p), err);
		rc = s->line.len > 0 ? line_join(s, p, (size_t)(eol - p), err)
				     : line_take(s, p, (size_t)(eol - p), err);
		if (rc < 0)
			return -1;
		s->skip_lf = *eol == '\r';
		p = eol + 1;
	}
	return 0;
}

int
sse_feed(struct sse *s, const char *p, size_t len, struct err *err)
{
	if (s->over)
		return err_set(err, ERR_INTERNAL, "the stream is over");
	if (len == 0)
		return 0;
	if (feed_lines(s, p, p + len, err) < 0) {
		s->over = 1;
		return -1;
	}
	data_keep(s);
	return 0;
}

int
sse_finish(struct sse *s, struct err *err)
{
	if (s->over)
		return err_set(err, ERR_INTERNAL, "the stream is over");
	s->over = 1;
	if (s->line.len > 0 && line_take(s, s->line.data, s->line.len, err) < 0)
		return -1;
	s->tail = s->has_data;
	s->has_id = 0;
	return event_deliver(s, err);
}
