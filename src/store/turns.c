/* SPDX-License-Identifier: MIT */
/*
 * Messages and leases: how a turn comes to run somewhere.
 *
 * store_accept is the moment from which a message cannot be lost. Its script
 * does all at once: checks the owner, keeps the message, and gives the caller
 * the lease if nobody has it; the turn's first events are then in the log
 * before anything else happens. store_take does the same for a lease whose
 * holder died.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clk.h"
#include "base/crash.h"
#include "base/id.h"
#include "base/json.h"
#include "conf/conf.h"
#include "store/store_priv.h"

#define IDEM_KEY_SECONDS "86400" /* of a client's Idempotency-Key */
#define IDEM_SELF_SECONDS "60"   /* of our own retry of a lost answer */
#define OVERLOAD_RETRY_S 5

/* What started() in common.lua returns. */
enum started {
	STARTED_WORD,
	STARTED_EPOCH,
	STARTED_PREV,
	STARTED_OWNER,
	STARTED_VERSION,
	STARTED_TAIL,
	STARTED_TURN,
	STARTED_STEP,
	STARTED_RESUMES,
	STARTED_INTERRUPT,
	STARTED_MESSAGES,
	STARTED_DOCS,
	STARTED_EVENTS,
	STARTED_MORE,
	STARTED_TODOS,
	STARTED_CALLS,
	STARTED_DECIDED,
	STARTED_TOKENS,
	STARTED_CONTEXT,
	STARTED_DEPTH,
	STARTED_TASK,
	STARTED_STATE,
	STARTED_CALL_IDS,
	STARTED_LINEAGE,
	STARTED_TENANT,
	STARTED_PURSE,
	STARTED_SPENT,
	STARTED_QUESTION,
	STARTED_ANSWER
};

static void
copy_text(char *out, size_t size, const struct redis_reply *r)
{
	snprintf(out, size, "%s", redis_text(r));
}

/* The day, then numbers; nothing where there is no budget. */
static void
budget_decode(
    struct arena *a, const struct redis_reply *f, struct budget_lease *out)
{
	const struct redis_reply *spent = &f[STARTED_SPENT];
	const char **texts = redis_texts(a, spent);

	out->purse = redis_text(&f[STARTED_PURSE]);
	out->question = redis_text(&f[STARTED_QUESTION]);
	out->answer = redis_text(&f[STARTED_ANSWER]);
	if (spent->count == 0)
		return;
	copy_text(out->spent.day, sizeof(out->spent.day), &spent->items[0]);
	budget_spent_read(&out->spent, texts + 1, spent->count - 1);
}

/* Fills out from what started() in common.lua returns. */
static void
lease_decode(struct arena *a, const struct redis_reply *r, const char *base,
    const char *holder, int64_t known, struct store_lease *out)
{
	const struct redis_reply *f = r->items, *ev = &f[STARTED_EVENTS];
	const char **more;

	memset(out, 0, sizeof(*out));
	snprintf(out->base, sizeof(out->base), "%s", base);
	snprintf(out->agent, sizeof(out->agent), "%s", strrchr(base, ':') + 1);
	snprintf(out->value, sizeof(out->value), "%" PRId64 ":%s",
	    f[STARTED_EPOCH].number, holder);
	event_id_parse(
	    redis_text(&f[STARTED_PREV]), f[STARTED_PREV].len, &out->prev);
	copy_text(out->user, sizeof(out->user), &f[STARTED_OWNER]);
	copy_text(out->tenant, sizeof(out->tenant), &f[STARTED_TENANT]);
	copy_text(out->turn, sizeof(out->turn), &f[STARTED_TURN]);
	copy_text(out->segment, sizeof(out->segment), &f[STARTED_TAIL]);
	out->version = strtoll(redis_text(&f[STARTED_VERSION]), NULL, 10);
	out->step = f[STARTED_STEP].number;
	out->resumes = f[STARTED_RESUMES].number;
	out->tokens = f[STARTED_TOKENS].number;
	out->lineage = redis_text(&f[STARTED_LINEAGE]);
	out->call_ids = redis_text(&f[STARTED_CALL_IDS]);
	out->depth = f[STARTED_DEPTH].number;
	copy_text(out->task, sizeof(out->task), &f[STARTED_TASK]);
	copy_text(out->state, sizeof(out->state), &f[STARTED_STATE]);
	copy_text(out->context, sizeof(out->context), &f[STARTED_CONTEXT]);
	out->interrupted =
	    out->turn[0] != '\0' && redis_is(&f[STARTED_INTERRUPT], out->turn);
	out->messages = f[STARTED_MESSAGES].number;
	out->docs = redis_texts(a, &f[STARTED_DOCS]);
	out->doc_count = f[STARTED_DOCS].count;
	out->has_info = out->version != known;
	if (out->has_info) {
		more = redis_texts(a, &f[STARTED_MORE]);
		out->prompt = more[0];
		out->model = more[1];
		out->template = more[2];
		out->tools = more[3];
		out->permission = more[4];
		out->workspace = more[5];
		out->name = more[6];
	}
	budget_decode(a, f, &out->budget);
	out->todos = redis_text(&f[STARTED_TODOS]);
	out->calls = redis_texts(a, &f[STARTED_CALLS]);
	out->call_count = f[STARTED_CALLS].count;
	out->decided = redis_texts(a, &f[STARTED_DECIDED]);
	out->event_count = ev->count;
	out->events = redis_texts(a, ev);
}

static char *
holder_of_new_lease(const struct store *st, struct arena *a)
{
	char uuid[ID_SIZE];

	id_make(uuid, "");
	return arena_printf(a, "%s:%s", uuid, st->holder);
}

/* The document of a message, as history and inbox keep it. */
static void
doc_build(struct buf *b, const struct store_message *m, int64_t now)
{
	buf_printf(b, "{\"id\":\"%s\",\"turn\":\"%s\",\"time\":%" PRId64 "%s",
	    m->id, m->turn, now, m->pinned ? ",\"pinned\":true" : "");
	if (m->options != NULL) /* as a text: nothing in it is a member here */
		json_add_str(b, "options", m->options);
	if (m->trace != NULL && *m->trace != '\0')
		json_add_str(b, "trace", m->trace);
	buf_lit(b, ",\"role\":\"user\",\"content\":");
	buf_add(b, m->content, m->content_len);
	buf_putc(b, '}');
}

static void
cmd_accept(struct store *st, struct arena *a, struct redis_pipe *p,
    const char *user, const char *base, const struct store_message *m,
    const char *holder)
{
	static const char *const on_busy[] = { "enqueue", "reject", "interrupt",
		"merge", "steer" };
	static const char *const rooms[] = { "none", "later", "now", "forced" };
	const struct conf *c = st->conf;
	const char *own = m->idem_key;
	struct buf doc;
	int64_t now = clk_shared_ms();

	buf_init(&doc, a);
	doc_build(&doc, m, now);
	redis_script(p, SCRIPT_ACCEPT, 3 + store_counts_turns(c), 21);
	redis_arg(p, base);
	redis_arg(p, store_key(st, a, "leases"));
	redis_arg(p, store_key(st, a, STORE_QUEUE));
	store_arg_turns(st, a, p);
	redis_arg(p, user);
	redis_argn(p, doc.data, doc.len);
	redis_arg(p, m->id);
	redis_arg(p, m->turn);
	redis_arg(p, *own == '\0' ? m->id : store_user_part(a, own));
	redis_arg(p, *own == '\0' ? IDEM_SELF_SECONDS : IDEM_KEY_SECONDS);
	redis_argi(p, c->limits_inbox);
	redis_arg(p, on_busy[m->on_busy]);
	redis_arg(p, holder);
	redis_argi(p, c->store_lease_ms);
	redis_argi(p, now);
	redis_argi(p, c->events_keep);
	redis_arg(p, rooms[m->room]);
	redis_argi(p, m->known.version);
	redis_argi(p, m->known.messages);
	redis_argi(p, c->limits_queue);
	redis_argi(p, c->limits_queue_age_ms);
	redis_argi(p, m->running);
	redis_argi(p, c->limits_turns_per_user);
	redis_argi(p, c->limits_tenant_turns);
	store_arg_budgets(st, a, p);
}

/* The user's list is by activity. Not of the agent: another hash slot. */
static void
cmd_touch(struct store *st, struct arena *a, struct redis_pipe *p,
    const char *user, const char *agent)
{
	redis_begin(p, 5);
	redis_arg(p, "ZADD");
	redis_arg(
	    p, store_key(st, a, "user:%s:agents", store_user_part(a, user)));
	redis_arg(p, "XX");
	redis_argi(p, clk_shared_ms());
	redis_arg(p, agent);
}

/* setting is what keeps the agent out of the queue. */
static int
refuse_overload(const char *setting, struct err *err)
{
	err_limit(err, ERR_OVERLOAD, setting,
	    "there is no room for another turn%s; ask again later",
	    strcmp(setting, "limits.queue") == 0 ? ", and too many wait for it"
	    : strcmp(setting, "limits.queue_age") == 0
		? ", and others wait for it too long already"
		: "");
	err->retry_after_s = OVERLOAD_RETRY_S;
	return -1;
}

/* The answers that are errors. 0 if it is none of them. */
static int
accept_refused(
    const struct store *st, const struct redis_reply *list, struct err *err)
{
	const struct redis_reply *r = &list->items[0];

	if (redis_is(r, "FORBIDDEN"))
		return store_forbidden(err);
	if (redis_is(r, "BUSY"))
		return err_set(err, ERR_CONFLICT,
		    "the agent is busy, and onBusy is reject");
	if (redis_is(r, "FULL"))
		return err_limit(err, ERR_LIMIT, "limits.inbox",
		    "%" PRId64 " messages wait for this agent already",
		    st->conf->limits_inbox);
	if (redis_is(r, "OVERLOAD"))
		return refuse_overload(redis_text(&list->items[1]), err);
	if (redis_is(r, "LIMIT"))
		return err_limit(err, ERR_LIMIT, redis_text(&list->items[1]),
		    "as many turns as are allowed are at work, or wait");
	return 0;
}

static enum store_start
start_of(const struct redis_reply *r)
{
	static const struct {
		const char *word;
		enum store_start start;
	} words[] = {
		{ "QUEUED", STORE_QUEUED },
		{ "WAITS", STORE_WAITS },
		{ "REPEAT", STORE_REPEAT },
		{ "BEGIN", STORE_BEGIN },
		{ "RESUME", STORE_RESUME },
		{ "IDLE", STORE_IDLE },
		{ "HELD", STORE_HELD },
		{ "PARKED", STORE_PARKED },
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (redis_is(r, words[i].word))
			return words[i].start;
	abort(); /* our own script said something else */
}

static void
accept_decode(struct arena *a, const struct redis_reply *r, const char *base,
    const char *holder, const struct store_message *m,
    struct store_accepted *out)
{
	memset(out, 0, sizeof(*out));
	out->start = start_of(&r->items[0]);
	out->message = arena_strdup(a, m->id);
	out->turn = arena_strdup(a, m->turn);
	if (out->start == STORE_REPEAT) {
		out->message = redis_text(&r->items[1]);
		out->turn = redis_text(&r->items[2]);
		out->after = redis_text(&r->items[3]);
		out->over = r->items[4].number != 0;
	} else if (out->start == STORE_QUEUED || out->start == STORE_WAITS) {
		out->after = redis_text(&r->items[1]);
		out->holder = redis_text(&r->items[2]);
		out->running = redis_text(&r->items[3]);
		out->turn = redis_text(&r->items[4]);
	} else {
		out->after = redis_text(&r->items[STARTED_PREV]);
		lease_decode(a, r, base, holder, m->known.version, &out->lease);
	}
}

int
store_accept(struct store *st, struct arena *a, const char *user,
    const char *agent, struct store_message *m, struct store_accepted *out,
    struct err *err)
{
	const char *base = store_base(st, a, agent);
	char *holder = holder_of_new_lease(st, a);
	const struct redis_reply *r;
	struct redis_pipe p;

	if (!id_valid(agent, "agt_"))
		return store_forbidden(err);
	id_make(m->id, "msg_");
	id_make(m->turn, "trn_");
	redis_pipe_init(&p, a);
	cmd_accept(st, a, &p, user, base, m, holder);
	cmd_touch(st, a, &p, user, agent);
	crash_point("accept-send");
	if (redis_call(st->pool, a, &p, &r, err) < 0)
		return -1;
	crash_point("accept-answered");
	if (accept_refused(st, &r[0], err) < 0)
		return -1;
	accept_decode(a, &r[0], base, holder, m, out);
	return 0;
}

int
store_take(struct store *st, struct arena *a, const char *base,
    const char *expected, enum store_start *start_r,
    struct store_lease *lease_r, struct err *err)
{
	char *holder = holder_of_new_lease(st, a);
	const struct redis_reply *r;
	struct redis_pipe p;

	redis_pipe_init(&p, a);
	redis_script(&p, SCRIPT_TAKE, 2 + store_counts_turns(st->conf), 6);
	redis_arg(&p, base);
	redis_arg(&p, store_key(st, a, "leases"));
	store_arg_turns(st, a, &p);
	redis_arg(&p, expected);
	redis_arg(&p, holder);
	redis_argi(&p, st->conf->store_lease_ms);
	redis_argi(&p, clk_shared_ms());
	redis_argi(&p, st->conf->events_keep);
	store_arg_budgets(st, a, &p);
	if (redis_call(st->pool, a, &p, &r, err) < 0)
		return -1;
	crash_point("take-answered");
	*start_r = start_of(&r[0].items[0]);
	if (*start_r == STORE_BEGIN || *start_r == STORE_RESUME)
		lease_decode(a, &r[0], base, holder, 0, lease_r);
	return 0;
}

int
store_queue(struct store *st, struct arena *a, int64_t *count_r,
    int64_t *age_ms_r, struct err *err)
{
	const char *key = store_key(st, a, STORE_QUEUE);
	const struct redis_reply *r;
	struct redis_pipe p;
	int64_t now_ms;

	redis_pipe_init(&p, a);
	redis_cmd(&p, "ZCARD", key, NULL);
	redis_cmd(&p, "ZRANGE", key, "0", "0", "WITHSCORES", NULL);
	redis_cmd(&p, "TIME", NULL);
	if (redis_call(st->pool, a, &p, &r, err) < 0)
		return -1;
	*count_r = r[0].number;
	*age_ms_r = 0;
	now_ms = redis_time_ms(&r[2]);
	if (r[1].count < 2 || now_ms < 0)
		return 0;
	*age_ms_r = now_ms - strtoll(redis_text(&r[1].items[1]), NULL, 10);
	return 0;
}

int
store_dequeue(struct store *st, struct arena *a, struct store_lease *lease_r,
    struct err *err)
{
	char *holder = holder_of_new_lease(st, a);
	const struct redis_reply *r;
	struct redis_pipe p;

	redis_pipe_init(&p, a);
	redis_script(&p, SCRIPT_DEQUEUE, 2 + store_counts_turns(st->conf), 5);
	redis_arg(&p, store_key(st, a, STORE_QUEUE));
	redis_arg(&p, store_key(st, a, "leases"));
	store_arg_turns(st, a, &p);
	redis_arg(&p, holder);
	redis_argi(&p, st->conf->store_lease_ms);
	redis_argi(&p, clk_shared_ms());
	redis_argi(&p, st->conf->events_keep);
	store_arg_budgets(st, a, &p);
	if (redis_call(st->pool, a, &p, &r, err) < 0)
		return -1;
	if (redis_is(&r[0].items[0], "EMPTY"))
		return 0;
	crash_point("dequeue-answered");
	lease_decode(
	    a, &r[0].items[2], redis_text(&r[0].items[1]), holder, 0, lease_r);
	return 1;
}

int
store_interrupt(struct store *st, struct arena *a, const char *user,
    const char *agent, const char **turn_r, const char **lease_r,
    const char **last_r, struct err *err)
{
	const struct redis_reply *r;
	struct redis_pipe p;

	if (!id_valid(agent, "agt_"))
		return store_forbidden(err);
	redis_pipe_init(&p, a);
	redis_script(&p, SCRIPT_INTERRUPT, 2, 2);
	redis_arg(&p, store_base(st, a, agent));
	redis_arg(&p, store_key(st, a, "leases"));
	redis_arg(&p, user);
	redis_argi(&p, clk_shared_ms());
	if (store_call(st, a, &p, &r, err) < 0)
		return -1;
	if (redis_is(&r[0].items[0], "IDLE"))
		return 0;
	*turn_r = redis_text(&r[0].items[1]);
	*lease_r = redis_text(&r[0].items[2]);
	*last_r = redis_text(&r[0].items[3]);
	return 1;
}

int
store_tell(struct store *st, struct arena *a, const char *lease,
    const char *what, struct err *err)
{
	const char *holder = strchr(lease, ':');
	const struct redis_reply *r;
	struct redis_pipe p;

	holder = holder == NULL ? NULL : strchr(holder + 1, ':');
	if (holder == NULL)
		return 0; /* nobody holds it */
	redis_pipe_init(&p, a);
	redis_cmd(
	    &p, "PUBLISH", store_key(st, a, "ctl:%s", holder + 1), what, NULL);
	return redis_call(st->pool, a, &p, &r, err);
}

int
store_leases(struct store *st, struct arena *a, int64_t before_ms,
    struct store_leased **list_r, size_t *count_r, struct err *err)
{
	const struct redis_reply *r, *bases;
	struct redis_pipe p;
	int64_t now_ms;
	char max[24];

	snprintf(max, sizeof(max), "%" PRId64, before_ms);
	redis_pipe_init(&p, a);
	redis_cmd(&p, "ZRANGEBYSCORE", store_key(st, a, "leases"), "-inf", max,
	    "WITHSCORES", NULL);
	redis_cmd(&p, "TIME", NULL);
	if (redis_call(st->pool, a, &p, &r, err) < 0)
		return -1;
	now_ms = redis_time_ms(&r[1]);
	if (now_ms >= 0)
		clk_shared_set_ms(now_ms);
	bases = &r[0];
	*count_r = bases->count / 2;
	*list_r = arena_alloc(a, (*count_r + 1) * sizeof(**list_r));
	if (*count_r == 0)
		return 0;
	redis_pipe_clear(&p);
	for (size_t i = 0; i < *count_r; i++)
		redis_cmd(&p, "GET",
		    arena_printf(a, "%s:lease", bases->items[2 * i].text),
		    NULL);
	if (redis_call(st->pool, a, &p, &r, err) < 0)
		return -1;
	for (size_t i = 0; i < *count_r; i++) {
		(*list_r)[i].base = bases->items[2 * i].text;
		(*list_r)[i].value = redis_text(&r[i]);
		(*list_r)[i].deadline_ms =
		    (int64_t)strtod(redis_text(&bases->items[2 * i + 1]), NULL);
	}
	return 0;
}
