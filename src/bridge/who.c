/* SPDX-License-Identifier: MIT */
/* Who a client is: see who.h. */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/log.h"
#include "bridge/who.h"
#include "http/ask.h"

#define CREDENTIAL_BYTES 8192
#define TICKET_BYTES 256
#define DEPTH 8

struct who {
	struct ask *ask;
	who_f *fn;
	void *ctx;
};

/* Printable, without spaces. */
static int
is_credential(const char *text)
{
	size_t n = text == NULL ? 0 : strlen(text);

	if (n == 0 || n > CREDENTIAL_BYTES)
		return 0;
	for (const char *p = text; *p != '\0'; p++)
		if (*p < 0x21 || *p > 0x7e)
			return 0;
	return 1;
}

char *
who_header(const char *shown)
{
	struct buf b;

	if (shown != NULL && strncasecmp(shown, "Bearer ", 7) == 0)
		shown += 7;
	if (!is_credential(shown))
		return NULL;
	buf_init(&b, NULL);
	buf_printf(&b, "Bearer %s", shown);
	return b.data;
}

static void
on_answer(void *ctx, const struct ask_answer *answer)
{
	struct who w = *(struct who *)ctx;
	struct arena *a = arena_open(1024);
	const struct json *j =
	    answer->status != 200
		? NULL
		: json_parse(a, answer->body, answer->len, DEPTH, NULL);
	const char *token = json_get_str(j, "tokenHash");
	struct who_is is = { .user = json_get_str(j, "user"),
		.token = token == NULL ? "" : token };

	free(ctx);
	json_get_int(j, "expires", &is.expires_s);
	if (is.user != NULL) {
		w.fn(w.ctx, WHO_KNOWN, &is);
	} else if (answer->status == 401 || answer->status == 403) {
		w.fn(w.ctx, WHO_REFUSED, NULL);
	} else {
		log_warn("the pool does not say who a client is: %d %s",
		    answer->status, answer->err.text);
		w.fn(w.ctx, WHO_UNSAID, NULL);
	}
	arena_close(&a);
}

/* The query that shows a ticket, every byte of which may be anything; NULL:
 * there is none. To be freed. */
static char *
ticket_query(const char *ticket)
{
	struct buf b;

	if (ticket == NULL || strlen(ticket) > TICKET_BYTES)
		return NULL;
	buf_init(&b, NULL);
	buf_lit(&b, "ticket=");
	for (const unsigned char *p = (const unsigned char *)ticket; *p != '\0';
	     p++)
		buf_printf(&b, "%%%02X", *p);
	return b.data;
}

struct who *
who_ask(struct asker *k, const struct who_spec *spec, who_f *fn, void *ctx)
{
	struct who *w = calloc(1, sizeof(*w));
	char *query = ticket_query(spec->ticket);
	struct ask_spec ask = { .method = "GET",
		.path = "/api/whoami",
		.query = query,
		.authorization = spec->authorization,
		.remote_addr = spec->address };

	if (w == NULL)
		abort();
	w->fn = fn;
	w->ctx = ctx;
	w->ask = ask_start(k, &ask, on_answer, w);
	free(query);
	return w;
}

void
who_cancel(struct who **w_p)
{
	struct who *w = *w_p;

	if (w == NULL)
		return;
	*w_p = NULL;
	ask_cancel(&w->ask);
	free(w);
}
