/* SPDX-License-Identifier: MIT */
/*
 * The master and its service manager.
 *
 * The watchdog is told that the pool lives only if a worker does: each says
 * in its row of the scoreboard that its loop runs. One that has not for half
 * of the watchdog's time is killed, for its heir goes on with its turns; so
 * the manager need not end all of them for the sake of one.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "base/clk.h"
#include "base/notify.h"
#include "master/pool.h"
#include "master/status.h"

/* To a manager that did not listen before: after SIGUSR2 the new master is
 * the one whose word counts only when the old one has said so. */
#define REPEAT_MS 10000

static void
say_counts(struct status *s, const struct pool_counts *n, int64_t now_ms)
{
	char text[sizeof(s->text)];

	snprintf(text, sizeof(text), "%d workers, %lld turns, %lld streams",
	    n->workers, (long long)n->turns, (long long)n->streams);
	if (n->leaving > 0)
		snprintf(text + strlen(text), sizeof(text) - strlen(text),
		    "; %d workers leave", n->leaving);
	if (strcmp(text, s->text) == 0 && now_ms < s->repeat_ms)
		return;
	strcpy(s->text, text);
	s->repeat_ms = now_ms + REPEAT_MS;
	notify_send("STATUS=%s", text);
}

/* In half of the time that the manager allows. */
static void
say_alive(struct status *s, struct pool *p, int64_t now_ms)
{
	int64_t half = notify_watchdog_ms() / 2;

	if (half <= 0)
		return;
	if (pool_kill_stuck(p, half, now_ms) > 0 && now_ms >= s->watchdog_ms) {
		notify_send("WATCHDOG=1");
		s->watchdog_ms = now_ms + half - STATUS_EVERY_MS;
	}
}

void
status_tick(struct status *s, struct pool *p, int reloading, int64_t now_ms)
{
	struct pool_counts n;

	if (!s->ready && pool_is_ready(p)) {
		s->ready = 1;
		notify_send("READY=1");
	}
	if (s->reloading && !reloading) {
		s->reloading = 0;
		notify_send("READY=1");
	}
	if (now_ms < s->next_ms)
		return;
	s->next_ms = now_ms + STATUS_EVERY_MS;
	pool_count(p, &n);
	say_counts(s, &n, now_ms);
	say_alive(s, p, now_ms);
}

void
status_reloading(struct status *s)
{
	s->reloading = 1;
	notify_send(
	    "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)clk_mono_us());
}

void
status_stopping(void)
{
	notify_send("STOPPING=1");
}
