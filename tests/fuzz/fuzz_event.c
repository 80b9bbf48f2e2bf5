/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a stored event and as an event id. A frame's parts lie within
 * it and its JSON is what was given; an id that was parsed prints as one that
 * parses to the same.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "store/event.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(int condition)
{
	if (!condition)
		abort();
}

static void
check_id(const char *text, size_t len)
{
	struct event_id id, again;
	char out[EVENT_ID_SIZE];
	int n;

	if (event_id_parse(text, len, &id) < 0)
		return;
	n = event_id_print(out, id);
	must(n > 0 && n < EVENT_ID_SIZE && (size_t)n == strlen(out));
	must(event_id_parse(out, (size_t)n, &again) == 0);
	must(event_id_cmp(id, again) == 0);
	must(event_id_gap(id, again) == 0);
}

static void
check_frame(const struct frame *f, const char *json, size_t len)
{
	must(f->refs == 1);
	must(f->json_len == len && f->len == f->json_at + len + 2);
	must(memcmp(f->text + f->json_at, json, len) == 0);
	must(memcmp(f->text, "id: ", 4) == 0);
	must(memcmp(f->text + f->json_at - 6, "data: ", 6) == 0);
	must(memcmp(f->text + f->len - 2, "\n\n", 3) == 0);
	must(f->turn_at > f->json_at);
	must(f->turn_at + f->turn_len < f->json_at + f->json_len);
	must(memchr(f->text + f->turn_at, '"', f->turn_len) == NULL);
	must(f->channel <= EVENT_MONITOR && f->kind <= EVENT_KINDS);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = malloc(size + (size == 0)); /* and no 0 byte */
	struct frame *f, *again;

	must(copy != NULL);
	if (size > 0)
		memcpy(copy, data, size);
	check_id(copy, size);
	f = frame_new(copy, size);
	if (f != NULL) {
		check_frame(f, copy, size);
		again = frame_new(f->text + f->json_at, f->json_len);
		must(again != NULL && again->len == f->len);
		must(memcmp(again->text, f->text, f->len + 1) == 0);
		frame_unref(&again);
	}
	frame_unref(&f);
	free(copy);
	return 0;
}
