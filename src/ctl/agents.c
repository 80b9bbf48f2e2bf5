/* SPDX-License-Identifier: MIT */
/* agent-fpm ctl agents USER: what somebody has, newest activity first. */
#include "config.h"

#include <stdio.h>
#include <time.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "ctl/ctl_priv.h"
#include "store/store.h"

#define PAGE 200

void
ctl_print_word(const char *s)
{
	for (; *s != '\0'; s++)
		putchar((unsigned char)*s < ' ' || *s == 0x7f ? '?' : *s);
}

static void
print_line(const struct store_agent *ag)
{
	time_t at = (time_t)(ag->updated_ms / 1000);
	char when[32];
	struct tm tm;

	gmtime_r(&at, &tm);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
	printf("%s  %s  %-17s  ", ag->id, when, ag->state);
	ctl_print_word(ag->name);
	putchar('\n');
}

/* A document a line. */
static void
print_json(struct arena *a, const struct store_agent *ag)
{
	struct buf b;

	buf_init(&b, a);
	json_open(&b, NULL, '{');
	json_add_str(&b, "agentId", ag->id);
	json_add_str(&b, "name", ag->name);
	json_add_str(&b, "template", ag->template);
	json_add_str(&b, "model", ag->model);
	json_add_int(&b, "created", ag->created_ms);
	json_add_int(&b, "updated", ag->updated_ms);
	json_add_str(&b, "state", ag->state);
	json_add_str(&b, "turn", ag->turn);
	json_close(&b, '}');
	puts(buf_str(&b));
}

int
ctl_agents(struct ctl *ctl, struct err *err)
{
	struct arena *a = arena_open(65536);
	struct buf cursor;
	struct store_agent *list;
	struct means *m = NULL;
	const char *next;
	size_t count;
	int rc = means_new(ctl->conf, &m, err);

	buf_init(&cursor, NULL);
	while (rc == 0) {
		rc = store_agent_list(means_store(m), a, ctl->argument,
		    buf_str(&cursor), PAGE, &list, &count, &next, err);
		if (rc < 0)
			break;
		for (size_t i = 0; i < count; i++) {
			if (ctl->json)
				print_json(a, &list[i]);
			else
				print_line(&list[i]);
		}
		if (*next == '\0')
			break;
		buf_clear(&cursor);
		buf_puts(&cursor, next);
		arena_reset(a);
	}
	means_free(&m);
	buf_fini(&cursor);
	arena_close(&a);
	return rc;
}
