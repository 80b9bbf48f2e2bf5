/* SPDX-License-Identifier: MIT */
/* The commands that run now. */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clk.h"
#include "base/err.h"
#include "base/lck.h"
#include "sandboxd/runs.h"

#define WAIT_MS 1000

struct runs {
	struct lck lck;
	struct lck_cond ended;
	struct run *first;
};

struct runs *
runs_new(void)
{
	struct runs *r = calloc(1, sizeof(*r));

	if (r == NULL)
		abort();
	lck_init(&r->lck, LCK_RUNS);
	lck_cond_init(&r->ended);
	return r;
}

void
runs_free(struct runs **r_p)
{
	struct runs *r = *r_p;

	if (r == NULL)
		return;
	*r_p = NULL;
	lck_cond_fini(&r->ended);
	lck_fini(&r->lck);
	free(r);
}

enum run_end
run_end_of(const struct run *run)
{
	return __atomic_load_n(&run->end, __ATOMIC_ACQUIRE);
}

void
run_end_set(struct run *run, enum run_end why)
{
	enum run_end goes_on = RUN_GOES_ON;

	__atomic_compare_exchange_n(
	    &run->end, &goes_on, why, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

void
runs_add(struct runs *r, struct run *run)
{
	run->end = RUN_GOES_ON;
	run->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (run->wake_fd < 0)
		abort();
	lck_take(&r->lck);
	run->prev = &r->first;
	run->next = r->first;
	if (run->next != NULL)
		run->next->prev = &run->next;
	r->first = run;
	lck_drop(&r->lck);
}

void
runs_remove(struct runs *r, struct run *run)
{
	lck_take(&r->lck);
	*run->prev = run->next;
	if (run->next != NULL)
		run->next->prev = run->prev;
	lck_cond_broadcast(&r->ended);
	lck_drop(&r->lck);
	close(run->wake_fd);
}

/* With the lock. An eventfd does not block. */
static void
wake(struct run *run, enum run_end why)
{
	run_end_set(run, why);
	eventfd_write(run->wake_fd, 1);
}

void
runs_cancel(struct runs *r, unsigned long connection, long long id)
{
	lck_take(&r->lck);
	for (struct run *run = r->first; run != NULL; run = run->next)
		if (run->connection == connection && run->id == id)
			wake(run, RUN_CANCELLED);
	lck_drop(&r->lck);
}

void
runs_cancel_all(struct runs *r, unsigned long connection)
{
	lck_take(&r->lck);
	for (struct run *run = r->first; run != NULL; run = run->next)
		if (run->connection == connection)
			wake(run, RUN_CANCELLED);
	lck_drop(&r->lck);
}

int
runs_write(struct runs *r, const char *key, const char *name, const char *p,
    size_t len, struct err *err)
{
	struct run *run;
	int rc = 0;

	lck_take(&r->lck);
	for (run = r->first; run != NULL; run = run->next)
		if (run->input != NULL && strcmp(run->key, key) == 0 &&
		    strcmp(run->input->name, name) == 0)
			break;
	if (run == NULL || run_end_of(run) != RUN_GOES_ON) {
		rc = err_set(err, ERR_NOT_FOUND, "it does not run any more");
	} else if (run->input->bytes.len + len > RUN_INPUT_MAX) {
		rc =
		    err_set(err, ERR_LIMIT, "it does not read what it is sent");
	} else {
		buf_add(&run->input->bytes, p, len);
		eventfd_write(run->wake_fd, 1);
	}
	lck_drop(&r->lck);
	return rc;
}

int
runs_take_input(struct runs *r, struct run *run, struct buf *out)
{
	struct buf *b = &run->input->bytes;
	size_t len;

	lck_take(&r->lck);
	len = b->len;
	buf_add(out, b->data, len);
	buf_clear(b);
	lck_drop(&r->lck);
	return len > 0;
}

int
runs_any(struct runs *r, const char *key)
{
	struct run *run;

	lck_take(&r->lck);
	for (run = r->first; run != NULL; run = run->next)
		if (strcmp(run->key, key) == 0)
			break;
	lck_drop(&r->lck);
	return run != NULL;
}

static int
wake_workspace(struct runs *r, const char *key)
{
	int n = 0;

	for (struct run *run = r->first; run != NULL; run = run->next)
		if (strcmp(run->key, key) == 0) {
			wake(run, RUN_DELETED);
			n++;
		}
	return n;
}

void
runs_end_workspace(struct runs *r, const char *key)
{
	lck_take(&r->lck);
	while (wake_workspace(r, key) > 0)
		lck_cond_wait(&r->ended, &r->lck, clk_mono_ms() + WAIT_MS);
	lck_drop(&r->lck);
}
