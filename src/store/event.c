/* SPDX-License-Identifier: MIT */
/*
 * Events and their frames. A frame is one allocation: what was stored in
 * Redis is inside what is written to viewers, so that it is copied once.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/event.h"

#define SEQ_END UINT64_C(9007199254740991) /* JavaScript's largest integer */

const char *const event_channels[] = { "progress", "control", "monitor" };

const struct event_info event_infos[EVENT_KINDS] = {
	[EVENT_MESSAGE_ACCEPTED] = { "message_accepted", EVENT_PROGRESS },
	[EVENT_TURN_START] = { "turn_start", EVENT_PROGRESS },
	[EVENT_THINK_CHUNK] = { "think_chunk", EVENT_PROGRESS },
	[EVENT_TEXT_CHUNK] = { "text_chunk", EVENT_PROGRESS },
	[EVENT_STREAM_RESET] = { "stream_reset", EVENT_PROGRESS },
	[EVENT_TOOL_START] = { "tool:start", EVENT_PROGRESS },
	[EVENT_TOOL_ERROR] = { "tool:error", EVENT_PROGRESS },
	[EVENT_TOOL_COMPLETE] = { "tool:complete", EVENT_PROGRESS },
	[EVENT_DONE] = { "done", EVENT_PROGRESS },
	[EVENT_PERMISSION_REQUIRED] = { "permission_required", EVENT_CONTROL },
	[EVENT_APPROVAL_RESPONSE] = { "approval_response", EVENT_CONTROL },
	[EVENT_STATE_CHANGE] = { "state_change", EVENT_MONITOR },
	[EVENT_TOKEN_USAGE] = { "token_usage", EVENT_MONITOR },
	[EVENT_TOOL_AUDIT] = { "tool_audit", EVENT_MONITOR },
	[EVENT_ERROR] = { "error", EVENT_MONITOR },
	[EVENT_RETRY] = { "retry", EVENT_MONITOR },
	[EVENT_STEP_COMPLETE] = { "step_complete", EVENT_MONITOR },
	[EVENT_AGENT_RESUMED] = { "agent_resumed", EVENT_MONITOR },
	[EVENT_TODO_CHANGED] = { "todo_changed", EVENT_MONITOR },
	[EVENT_TODO_REMINDER] = { "todo_reminder", EVENT_MONITOR },
	[EVENT_CONTEXT_COMPRESSION] = { "context_compression", EVENT_MONITOR },
	[EVENT_SUBAGENT_START] = { "subagent:start", EVENT_MONITOR },
	[EVENT_SUBAGENT_COMPLETE] = { "subagent:complete", EVENT_MONITOR },
	[EVENT_REMINDER_SENT] = { "reminder_sent", EVENT_MONITOR },
	[EVENT_REWIND] = { "rewind", EVENT_MONITOR },
	[EVENT_TOOL_OUTPUT] = { "tool:output", EVENT_PROGRESS },
	[EVENT_FILE_CHANGED] = { "file_changed", EVENT_MONITOR },
	[EVENT_TOOLS_UNAVAILABLE] = { "tools_unavailable", EVENT_MONITOR },
	[EVENT_MODEL_FALLBACK] = { "model_fallback", EVENT_MONITOR },
	[EVENT_BUDGET_WARNING] = { "budget_warning", EVENT_MONITOR },
	[EVENT_GAP] = { "gap", EVENT_MONITOR },
};

int
event_id_cmp(struct event_id a, struct event_id b)
{
	if (a.epoch != b.epoch)
		return a.epoch < b.epoch ? -1 : 1;
	if (a.seq != b.seq)
		return a.seq < b.seq ? -1 : 1;
	return 0;
}

int
event_id_gap(struct event_id after, struct event_id oldest)
{
	if (event_id_cmp(oldest, after) <= 0)
		return 0;
	if (oldest.epoch == 1 && oldest.seq == 0)
		return 0;
	if (after.seq >= SEQ_END && oldest.seq == 0)
		return oldest.epoch != after.epoch + 1;
	return oldest.epoch != after.epoch || oldest.seq != after.seq + 1;
}

struct event_id
event_id_before(struct event_id id)
{
	if (id.seq > 0)
		id.seq--;
	else if (id.epoch > 0)
		id = (struct event_id){ id.epoch - 1, SEQ_END };
	return id;
}

/*
 * Digits of a number that fits, without leading zeros; how many were read, 0
 * if it is none.
 */
static size_t
parse_u64(const char *s, size_t len, uint64_t *out)
{
	size_t i;

	*out = 0;
	for (i = 0; i < len && s[i] >= '0' && s[i] <= '9'; i++)
		if (__builtin_mul_overflow(*out, 10, out) ||
		    __builtin_add_overflow(*out, (uint64_t)(s[i] - '0'), out))
			return 0;
	return i > 1 && s[0] == '0' ? 0 : i;
}

int
event_id_parse(const char *s, size_t len, struct event_id *out)
{
	size_t n = parse_u64(s, len, &out->epoch), m;

	out->seq = 0;
	if (n == 0)
		return -1;
	if (n == len)
		return 0;
	if (s[n] != '-')
		return -1;
	m = parse_u64(s + n + 1, len - n - 1, &out->seq);
	return m == 0 || n + 1 + m != len ? -1 : 0;
}

int
event_id_print(char out[EVENT_ID_SIZE], struct event_id id)
{
	return snprintf(
	    out, EVENT_ID_SIZE, "%" PRIu64 "-%" PRIu64, id.epoch, id.seq);
}

/* The string after a literal, in json from *at on. Advances *at behind it. */
static int
take_string(const char *json, size_t len, size_t *at, const char *lead,
    const char **s_r, size_t *len_r)
{
	size_t n = strlen(lead);
	const char *end;

	if (len - *at < n || memcmp(json + *at, lead, n) != 0)
		return -1;
	*at += n;
	end = memchr(json + *at, '"', len - *at);
	if (end == NULL)
		return -1;
	*s_r = json + *at;
	*len_r = (size_t)(end - *s_r);
	*at += *len_r + 1;
	return 0;
}

int
event_kind_find(const char *name, size_t n)
{
	for (int k = 0; k < EVENT_KINDS; k++)
		if (strlen(event_infos[k].name) == n &&
		    memcmp(event_infos[k].name, name, n) == 0)
			return k;
	return -1;
}

int
event_channel_find(const char *name, size_t n)
{
	for (int c = EVENT_PROGRESS; c <= EVENT_MONITOR; c++)
		if (strlen(event_channels[c]) == n &&
		    memcmp(event_channels[c], name, n) == 0)
			return c;
	return -1;
}

/* A kind or channel that a newer version wrote is shown all the same. */
static enum event_kind
kind_of(const char *name, size_t n)
{
	int k = event_kind_find(name, n);

	return k < 0 ? EVENT_KINDS : (enum event_kind)k;
}

static enum event_channel
channel_of(const char *name, size_t n)
{
	int c = event_channel_find(name, n);

	return c < 0 ? EVENT_MONITOR : (enum event_channel)c;
}

static struct frame *
frame_alloc(size_t len)
{
	struct frame *f = malloc(sizeof(*f) + len + 1);

	if (f == NULL || len > UINT32_MAX)
		abort();
	memset(f, 0, sizeof(*f));
	f->refs = 1;
	return f;
}

/* The members that every event starts with. */
struct head {
	const char *channel, *kind, *id, *turn;
	size_t channel_len, kind_len, id_len, turn_len;
	struct event_id eid;
};

static int
take_head(const char *json, size_t len, struct head *h)
{
	size_t at = 0;

	if (take_string(json, len, &at, "{\"channel\":\"", &h->channel,
		&h->channel_len) < 0 ||
	    take_string(
		json, len, &at, ",\"kind\":\"", &h->kind, &h->kind_len) < 0 ||
	    take_string(json, len, &at, ",\"id\":\"", &h->id, &h->id_len) < 0 ||
	    take_string(
		json, len, &at, ",\"turn\":\"", &h->turn, &h->turn_len) < 0)
		return -1;
	return event_id_parse(h->id, h->id_len, &h->eid);
}

int
event_json_id(const char *json, size_t len, struct event_id *out)
{
	struct head h;

	if (take_head(json, len, &h) < 0)
		return -1;
	*out = h.eid;
	return 0;
}

struct frame *
frame_new(const char *json, size_t len)
{
	struct head h;
	struct frame *f;

	if (take_head(json, len, &h) < 0)
		return NULL;
	f = frame_alloc(h.id_len + len + 16);
	f->kind = kind_of(h.kind, h.kind_len);
	f->channel = channel_of(h.channel, h.channel_len);
	f->id = h.eid;
	f->json_at =
	    (uint32_t)sprintf(f->text, "id: %.*s\ndata: ", (int)h.id_len, h.id);
	f->json_len = (uint32_t)len;
	memcpy(f->text + f->json_at, json, len);
	memcpy(f->text + f->json_at + len, "\n\n", 3);
	f->len = f->json_at + f->json_len + 2;
	f->turn_at = f->json_at + (uint32_t)(h.turn - json);
	f->turn_len = (uint32_t)h.turn_len;
	return f;
}

/* The common part of an event's JSON, up to its turn. */
static int
print_head(char *out, size_t size, const struct event *e, const char *id)
{
	const struct event_info *info = &event_infos[e->kind];

	return snprintf(out, size,
	    "{\"channel\":\"%s\",\"kind\":\"%s\"%s%s%s,\"turn\":\"",
	    event_channels[info->channel], info->name,
	    *id == '\0' ? "" : ",\"id\":\"", id, *id == '\0' ? "" : "\"");
}

static struct frame *
frame_compose(const struct event *e, const char *id)
{
	char head[200], tail[80], lead[EVENT_ID_SIZE + 16];
	size_t turn_len = strlen(e->turn), lead_len;
	size_t head_len = (size_t)print_head(head, sizeof(head), e, id);
	size_t tail_len = (size_t)snprintf(tail, sizeof(tail),
	    "\",\"step\":%d,\"time\":%" PRId64, e->step, e->time_ms);
	struct frame *f;
	char *p;

	lead_len = (size_t)snprintf(lead, sizeof(lead),
	    "%s%s%sdata: ", *id == '\0' ? "" : "id: ", id,
	    *id == '\0' ? "" : "\n");
	f = frame_alloc(
	    lead_len + head_len + turn_len + tail_len + e->rest_len + 4);
	p = mempcpy(f->text, lead, lead_len);
	p = mempcpy(p, head, head_len);
	f->turn_at = (uint32_t)(p - f->text);
	p = mempcpy(p, e->turn, turn_len);
	p = mempcpy(p, tail, tail_len);
	p = mempcpy(p, e->rest, e->rest_len);
	p = mempcpy(p, "}\n\n", 3);
	*p = '\0';
	f->len = (uint32_t)(p - f->text);
	f->json_at = (uint32_t)lead_len;
	f->json_len = f->len - f->json_at - 2;
	f->turn_len = (uint32_t)turn_len;
	f->kind = e->kind;
	f->channel = event_infos[e->kind].channel;
	return f;
}

struct frame *
frame_make(const struct event *e, struct event_id id)
{
	char text[EVENT_ID_SIZE];
	struct frame *f;

	event_id_print(text, id);
	f = frame_compose(e, text);
	f->id = id;
	return f;
}

struct frame *
frame_make_unlogged(const struct event *e)
{
	return frame_compose(e, "");
}

struct frame *
frame_ref(struct frame *f)
{
	f->refs++;
	return f;
}

void
frame_unref(struct frame **f_p)
{
	struct frame *f = *f_p;

	if (f == NULL)
		return;
	*f_p = NULL;
	if (--f->refs == 0)
		free(f);
}
