/* SPDX-License-Identifier: MIT */
/*
 * Counting: cells in a memfd that the master makes, a row per worker.
 *
 * A worker adds to its own row alone, so no line of a processor's cache goes
 * from one to another, and whoever answers /metrics adds the rows up. A row is
 * not cleared when its worker dies: the heir gets the same slot and counts on,
 * so a counter of the pool never falls, whenever somebody looks. Gauges are
 * another matter: they count for as long as their process lives, and begin
 * at 0 with the next.
 *
 * Cells stand in the order of the table, of each metric by its first label,
 * then by its second; of a histogram those of its bounds, of what is above,
 * and the sum.
 *
 * Like the log it is the process's own, known to all floors.
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clk.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/metrics_priv.h"

static struct {
	struct metric_head *head; /* NULL: not open */
	struct metric_worker *own;
	size_t size, row_size;
	int first[METRICS + 1]; /* of a metric's cells */
} seg;

#define add_relaxed(p, n) atomic_fetch_add_explicit(p, n, memory_order_relaxed)
#define load_relaxed(p) atomic_load_explicit(p, memory_order_relaxed)

/* ---- the table in cells ---- */

int
metric_label_count(enum metric_label label)
{
	int n = 0;

	if (label == LABEL_NONE)
		return 1;
	if (metric_labels[label].words == NULL)
		return METRIC_NAMES;
	while (metric_labels[label].words[n] != NULL)
		n++;
	return n;
}

int
metric_cells(const struct metric_row *r)
{
	int n = 0;

	if (r->type != METRIC_HISTOGRAM)
		return 1;
	while (r->bounds[n] != 0)
		n++;
	return n + 2;
}

static void
layout(void)
{
	int n = 0;

	for (int m = 0; m < METRICS; m++) {
		const struct metric_row *r = &metric_rows[m];

		seg.first[m] = n;
		n += metric_label_count(r->label[0]) *
		     metric_label_count(r->label[1]) * metric_cells(r);
	}
	seg.first[METRICS] = n;
	seg.row_size =
	    sizeof(struct metric_worker) + (size_t)n * sizeof(_Atomic int64_t);
	seg.row_size = (seg.row_size + 63) / 64 * 64;
	seg.size =
	    sizeof(struct metric_head) + METRIC_WORKERS * seg.row_size + 64;
}

static struct metric_worker *
row_at(int i)
{
	size_t at = (sizeof(struct metric_head) + 63) / 64 * 64;

	return (struct metric_worker *)(void *)((char *)seg.head + at +
						(size_t)i * seg.row_size);
}

static int
cell_at(enum metric m, int a, int b)
{
	const struct metric_row *r = &metric_rows[m];

	return seg.first[m] +
	       (a * metric_label_count(r->label[1]) + b) * metric_cells(r);
}

/* ---- the segment ---- */

int
metrics_new(struct err *err)
{
	int fd = memfd_create("agent-fpm-metrics", MFD_CLOEXEC);
	struct metric_head head = { .started_ms = clk_wall_ms() };

	layout();
	if (fd >= 0 && ftruncate(fd, (off_t)seg.size) == 0 &&
	    pwrite(fd, &head, sizeof(head), 0) == (ssize_t)sizeof(head))
		return fd;
	err_set(err, ERR_INTERNAL, "metrics: %s", strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

static int
is_gauge(enum metric_type type)
{
	return type == METRIC_GAUGE || type == METRIC_GAUGE_LEAST ||
	       type == METRIC_GAUGE_MOST;
}

static void
gauges_clear(void)
{
	for (int m = 0; m < METRICS; m++)
		if (is_gauge(metric_rows[m].type))
			metric_set((enum metric)m, 0);
}

int
metrics_open(int fd, int slot, struct err *err)
{
	struct stat st;
	void *p;
	int seen;

	layout();
	if (fstat(fd, &st) < 0 || (size_t)st.st_size != seg.size || slot < 0 ||
	    slot >= METRIC_WORKERS)
		return err_set(err, ERR_INTERNAL, "metrics: not inherited");
	p = mmap(NULL, seg.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return err_set(
		    err, ERR_INTERNAL, "metrics: %s", strerror(errno));
	seg.head = p;
	seg.own = row_at(slot);
	seen = load_relaxed(&seg.head->workers);
	while (seen <= slot && !atomic_compare_exchange_weak(
				   &seg.head->workers, &seen, slot + 1))
		continue;
	gauges_clear();
	memset((void *)seg.own->running, 0, sizeof(seg.own->running));
	atomic_store(&seg.own->pid, getpid());
	return 0;
}

void
metrics_close(void)
{
	if (seg.head == NULL)
		return;
	atomic_store(&seg.own->pid, 0);
	munmap(seg.head, seg.size);
	seg.head = NULL;
	seg.own = NULL;
}

int64_t
metrics_started_ms(void)
{
	return seg.head == NULL ? 0 : seg.head->started_ms;
}

/* ---- labels ---- */

/*
 * The text is written by one thread, which leaves its pid meanwhile: if that is
 * nobody's any more, who took the entry died in between, and another writes.
 */
static void
name_write(struct metric_name *n, const char *text)
{
	int writer = atomic_load_explicit(&n->ready, memory_order_acquire);

	if (writer == METRIC_NAME_READY ||
	    (writer != 0 && (kill(writer, 0) == 0 || errno != ESRCH)) ||
	    !atomic_compare_exchange_strong(&n->ready, &writer, getpid()))
		return;
	memcpy(n->text, text, strnlen(text, sizeof(n->text) - 1));
	atomic_store_explicit(
	    &n->ready, METRIC_NAME_READY, memory_order_release);
}

static int
learn(enum metric_label label, const char *text)
{
	struct metric_name *all = seg.head->names[label];
	uint64_t hash = hash_text(text), found;

	for (int i = 1; i < METRIC_NAMES; i++) {
		found = load_relaxed(&all[i].hash);
		if (found == 0 &&
		    atomic_compare_exchange_strong(&all[i].hash, &found, hash))
			found = hash;
		if (found == hash) {
			name_write(&all[i], text);
			return i;
		}
	}
	return 0;
}

int
metric_value(enum metric_label label, const char *text)
{
	const char *const *words = metric_labels[label].words;
	int i = 0;

	if (words == NULL)
		return seg.head == NULL || *text == '\0' ? 0
							 : learn(label, text);
	while (words[i + 1] != NULL && strcmp(words[i], text) != 0)
		i++;
	return i;
}

const char *
metric_label_text(enum metric_label label, int value)
{
	const char *const *words = metric_labels[label].words;
	const struct metric_name *n;

	if (words != NULL)
		return words[value];
	if (value == 0)
		return "other";
	n = &seg.head->names[label][value];
	return atomic_load_explicit(&n->ready, memory_order_acquire) ==
		       METRIC_NAME_READY
		   ? n->text
		   : NULL;
}

/* ---- counting ---- */

void
metric_add(enum metric m, int a, int b, int64_t n)
{
	if (seg.own != NULL)
		add_relaxed(&seg.own->cell[cell_at(m, a, b)], n);
}

void
metric_set(enum metric m, int64_t value)
{
	if (seg.own != NULL)
		atomic_store_explicit(&seg.own->cell[cell_at(m, 0, 0)], value,
		    memory_order_relaxed);
}

void
metric_observe(enum metric m, int a, int64_t us)
{
	const int64_t *bounds = metric_rows[m].bounds;
	_Atomic int64_t *cell;
	int k = 0;

	if (seg.own == NULL)
		return;
	cell = &seg.own->cell[cell_at(m, a, 0)];
	us = us < 0 ? 0 : us;
	while (bounds[k] != 0 && us > bounds[k])
		k++;
	add_relaxed(&cell[k], 1);
	add_relaxed(&cell[metric_cells(&metric_rows[m]) - 1], us);
}

/* ---- reading ---- */

struct metric_worker *
metrics_own(void)
{
	return seg.own;
}

struct metric_worker *
metrics_worker(int i)
{
	return seg.head != NULL && i < load_relaxed(&seg.head->workers)
		   ? row_at(i)
		   : NULL;
}

int
metrics_alive(const struct metric_worker *w)
{
	int pid = load_relaxed(&w->pid);

	return pid > 0 && (kill(pid, 0) == 0 || errno == EPERM);
}

int64_t
metric_cell(enum metric m, int a, int b, int k)
{
	enum metric_type type = metric_rows[m].type;
	int at = cell_at(m, a, b) + k, any = 0;
	struct metric_worker *w;
	int64_t sum = 0, v;

	for (int i = 0; (w = metrics_worker(i)) != NULL; i++) {
		if (is_gauge(type) && !metrics_alive(w))
			continue;
		v = load_relaxed(&w->cell[at]);
		if (type == METRIC_GAUGE_LEAST)
			sum = any && sum < v ? sum : v;
		else if (type == METRIC_GAUGE_MOST)
			sum = any && sum > v ? sum : v;
		else
			sum += v;
		any = 1;
	}
	return sum;
}

int64_t
metric_total(enum metric m)
{
	const struct metric_row *r = &metric_rows[m];
	int cells = metric_cells(r);
	int64_t sum = 0;

	if (seg.head == NULL)
		return 0;
	for (int a = 0; a < metric_label_count(r->label[0]); a++)
		for (int b = 0; b < metric_label_count(r->label[1]); b++)
			for (int k = 0; k < (cells > 1 ? cells - 1 : 1); k++)
				sum += metric_cell(m, a, b, k);
	return sum;
}
