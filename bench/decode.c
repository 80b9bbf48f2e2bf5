/* SPDX-License-Identifier: MIT */
/*
 * bench-decode [FILE API [QUIRKS]]: what a text event of a model's stream
 * costs, of each API; or the events of a recorded stream. The yardstick is
 * parsing the same events as JSON. Counts allocations too.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "model/decode.h"
#include "net/sse.h"

#define EVENTS 2000
#define RUNS 50
#define PIECE 16384

/* ---- allocations ---- */

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);

static long allocations;

void *
malloc(size_t n)
{
	allocations++;
	return __libc_malloc(n);
}

void *
calloc(size_t n, size_t size)
{
	allocations++;
	return __libc_calloc(n, size);
}

void *
realloc(void *p, size_t n)
{
	allocations++;
	return __libc_realloc(p, n);
}

/* ---- streams ---- */

static const struct {
	const char *api;
	const char *before, *event, *after; /* see event_make */
} streams[] = {
	{ "anthropic",
	    "{\"type\":\"message_start\",\"message\":{\"id\":\"m\"}}\n"
	    "{\"type\":\"content_block_start\",\"index\":0,"
	    "\"content_block\":{\"type\":\"text\",\"text\":\"\"}}",
	    "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":"
	    "{\"type\":\"text_delta\",\"text\":\"$T\"}}",
	    "{\"type\":\"content_block_stop\",\"index\":0}\n"
	    "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":"
	    "\"end_turn\"}}\n{\"type\":\"message_stop\"}" },
	{ "openai-chat",
	    "{\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"role\":"
	    "\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}",
	    "{\"id\":\"chatcmpl-BzF8s\",\"object\":\"chat.completion.chunk\","
	    "\"created\":1754000000,\"model\":\"gpt-x\",\"service_tier\":"
	    "\"default\",\"system_fingerprint\":\"fp_1\",\"choices\":["
	    "{\"index\":0,\"delta\":{\"content\":\"$T\"},\"logprobs\":null,"
	    "\"finish_reason\":null}],\"usage\":null}",
	    "{\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},"
	    "\"finish_reason\":\"stop\"}]}" },
	{ "openai-responses",
	    "{\"type\":\"response.output_item.added\",\"output_index\":0,"
	    "\"item\":{\"type\":\"message\",\"id\":\"m1\",\"content\":[]}}",
	    "{\"type\":\"response.output_text.delta\",\"sequence_number\":"
	    "$N,\"item_id\":\"m1\",\"output_index\":0,\"content_index\":0,"
	    "\"delta\":\"$T\",\"logprobs\":[],\"obfuscation\":\"a$M\"}",
	    "{\"type\":\"response.completed\",\"response\":{\"id\":\"r\","
	    "\"status\":\"completed\",\"output\":[]}}" },
	{ "gemini", "",
	    "{\"candidates\": [{\"content\": {\"parts\": [{\"text\": "
	    "\"$T\"}],\"role\": \"model\"},\"index\": 0}],"
	    "\"usageMetadata\": {\"promptTokenCount\": 8,"
	    "\"candidatesTokenCount\": $N,\"totalTokenCount\": $M},"
	    "\"modelVersion\": \"gemini-x\",\"responseId\": \"r\"}",
	    "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"\"}]},"
	    "\"finishReason\":\"STOP\"}]}" },
};

/* Lines of JSON as events. */
static void
add_events(struct buf *b, const char *lines)
{
	while (*lines != '\0') {
		size_t n = strcspn(lines, "\n");

		buf_lit(b, "data: ");
		buf_add(b, lines, n);
		buf_lit(b, "\n\n");
		lines += n + (lines[n] == '\n');
	}
}

/* $T is the text, $N and $M numbers that grow. */
static void
event_make(char *out, const char *form, const char *text, int i)
{
	for (; *form != '\0'; form++) {
		if (*form != '$')
			*out++ = *form;
		else if (*++form == 'T')
			out += sprintf(out, "%s", text);
		else
			out += sprintf(out, "%d", i + (*form == 'N' ? 3 : 11));
	}
	*out = '\0';
}

static void
stream_make(struct buf *b, size_t at)
{
	static const char *const words[] = { "The", " quick", " brown", " fox",
		" jumps,", " \303\274ber", " the", " lazy", " dog.", " And" };
	char event[600];

	add_events(b, streams[at].before);
	for (int i = 0; i < EVENTS; i++) {
		event_make(event, streams[at].event, words[i % 10], i);
		add_events(b, event);
	}
	add_events(b, streams[at].after);
}

/* ---- measuring ---- */

static double
now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

/* Returns the events. */
static int
decode_once(enum model_api api, const struct buf *b)
{
	static const struct model_bounds bounds = { 1 << 26, 1 << 28 };
	struct model_decode *d = model_decode_new(api, 0, NULL, NULL, &bounds);
	int events;

	for (size_t at = 0; at < b->len; at += PIECE)
		model_decode_feed(d, b->data + at,
		    b->len - at < PIECE ? b->len - at : PIECE, NULL);
	if (model_decode_finish(d, NULL) < 0)
		fprintf(stderr, "it failed: %s\n",
		    model_decode_result(d)->failure.message);
	events = model_decode_result(d)->events;
	model_decode_free(&d);
	return events;
}

static int
on_event(
    void *ctx, const char *event, const char *data, size_t len, struct err *err)
{
	struct arena *a = ctx;

	(void)event;
	arena_reset(a);
	json_parse(a, data, len, 48, err);
	return 0;
}

static void
parse_once(const struct buf *b)
{
	struct arena *a = arena_open(4096);
	struct sse s;

	sse_init(&s, 1 << 26, on_event, a);
	sse_feed(&s, b->data, b->len, NULL);
	sse_fini(&s);
	arena_close(&a);
}

static void
measure(const char *name, enum model_api api, const struct buf *b)
{
	int events = decode_once(api, b);
	double start, ours, parser;
	long before = allocations;

	start = now_us();
	for (int i = 0; i < RUNS; i++)
		decode_once(api, b);
	ours = (now_us() - start) / RUNS / events;
	before = allocations - before;
	start = now_us();
	for (int i = 0; i < RUNS; i++)
		parse_once(b);
	parser = (now_us() - start) / RUNS / events;
	printf("%s %s: %.2f us an event, %.2f of parsing it, %.3f allocations "
	       "(asked: at most 2 us and 1)\n",
	    ours <= 2 ? "ok   " : "SHORT", name, ours, ours / parser,
	    (double)before / RUNS / events);
}

static int
measure_file(const char *path, const char *api)
{
	FILE *f = fopen(path, "rbe");
	char piece[4096];
	struct buf b;
	size_t n;

	buf_init(&b, NULL);
	while (f != NULL && (n = fread(piece, 1, sizeof(piece), f)) > 0)
		buf_add(&b, piece, n);
	if (b.len == 0 || model_api_find(api) == MODEL_APIS)
		return 1;
	fclose(f);
	measure(path, model_api_find(api), &b);
	buf_fini(&b);
	return 0;
}

int
main(int argc, char **argv)
{
	struct buf b;

	if (argc == 3)
		return measure_file(argv[1], argv[2]);
	for (size_t i = 0; i < sizeof(streams) / sizeof(streams[0]); i++) {
		buf_init(&b, NULL);
		stream_make(&b, i);
		measure(streams[i].api, model_api_find(streams[i].api), &b);
		buf_fini(&b);
	}
	return 0;
}
