/* SPDX-License-Identifier: MIT */
/*
 * Metrics as Prometheus's text format 0.0.4 has them. A sample whose value
 * cannot be anything but 0 yet (a model that was never called) is left out.
 */
#include "config.h"

#include <inttypes.h>
#include <string.h>

#include "base/buf.h"
#include "base/metrics_priv.h"

static void
add_escaped(struct buf *b, const char *s)
{
	for (; *s != '\0'; s++) {
		if (*s == '\\' || *s == '"')
			buf_putc(b, '\\');
		if (*s == '\n')
			buf_lit(b, "\\n");
		else
			buf_putc(b, *s);
	}
}

static void
add_label(struct buf *b, char *before, const char *name, const char *value)
{
	buf_putc(b, *before);
	buf_puts(b, name);
	buf_lit(b, "=\"");
	add_escaped(b, value);
	buf_putc(b, '"');
	*before = ',';
}

/* NAME{labels, le}; suffix is of a histogram's series. */
static void
add_series(struct buf *b, const struct metric_row *r, const char *suffix,
    const int value[2], const char *le)
{
	char before = '{';

	buf_puts(b, r->name);
	buf_puts(b, suffix);
	for (int i = 0; i < 2; i++)
		if (r->label[i] != LABEL_NONE)
			add_label(b, &before, metric_labels[r->label[i]].name,
			    metric_label_text(r->label[i], value[i]));
	if (le != NULL)
		add_label(b, &before, "le", le);
	if (before == ',')
		buf_putc(b, '}');
	buf_putc(b, ' ');
}

/* Microseconds as seconds, without what ends in zeros. */
static void
add_seconds(struct buf *b, int64_t us)
{
	buf_printf(b, "%" PRId64, us / 1000000);
	us %= 1000000;
	if (us == 0)
		return;
	buf_printf(b, ".%06" PRId64, us);
	while (b->data[b->len - 1] == '0')
		buf_truncate(b, b->len - 1);
}

static void
print_histogram(struct buf *b, enum metric m, const int value[2])
{
	const struct metric_row *r = &metric_rows[m];
	int inf = metric_cells(r) - 2;
	int64_t count = 0;
	struct buf le;

	for (int k = 0; k <= inf; k++) {
		buf_init(&le, NULL);
		if (k == inf)
			buf_lit(&le, "+Inf");
		else
			add_seconds(&le, r->bounds[k]);
		count += metric_cell(m, value[0], value[1], k);
		add_series(b, r, "_bucket", value, buf_str(&le));
		buf_printf(b, "%" PRId64 "\n", count);
		buf_fini(&le);
	}
	add_series(b, r, "_sum", value, NULL);
	add_seconds(b, metric_cell(m, value[0], value[1], inf + 1));
	buf_putc(b, '\n');
	add_series(b, r, "_count", value, NULL);
	buf_printf(b, "%" PRId64 "\n", count);
}

static int
is_used(enum metric m, const int value[2])
{
	for (int k = 0; k < metric_cells(&metric_rows[m]); k++)
		if (metric_cell(m, value[0], value[1], k) != 0)
			return 1;
	return 0;
}

static void
print_combination(struct buf *b, enum metric m, const int value[2])
{
	const struct metric_row *r = &metric_rows[m];

	if (r->label[0] != LABEL_NONE && !is_used(m, value))
		return;
	if (r->type == METRIC_HISTOGRAM) {
		print_histogram(b, m, value);
		return;
	}
	add_series(b, r, "", value, NULL);
	if (r->type == METRIC_COUNTER_TIME)
		add_seconds(b, metric_cell(m, value[0], value[1], 0));
	else
		buf_printf(
		    b, "%" PRId64, metric_cell(m, value[0], value[1], 0));
	buf_putc(b, '\n');
}

static void
print_metric(struct buf *b, enum metric m)
{
	const struct metric_row *r = &metric_rows[m];
	int value[2];

	metrics_print_head(b, r->name,
	    r->type == METRIC_HISTOGRAM ? "histogram"
	    : r->type == METRIC_COUNTER || r->type == METRIC_COUNTER_TIME
		? "counter"
		: "gauge",
	    r->help);
	for (value[0] = 0; value[0] < metric_label_count(r->label[0]);
	     value[0]++) {
		if (r->label[0] != LABEL_NONE &&
		    metric_label_text(r->label[0], value[0]) == NULL)
			continue;
		for (value[1] = 0; value[1] < metric_label_count(r->label[1]);
		     value[1]++)
			print_combination(b, m, value);
	}
}

void
metrics_print(struct buf *out)
{
	for (int m = 0; m < METRICS; m++)
		print_metric(out, (enum metric)m);
}

void
metrics_print_head(
    struct buf *out, const char *name, const char *type, const char *help)
{
	buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void
metrics_print_sample(struct buf *out, const char *name, const char *label,
    const char *value, int64_t n)
{
	char before = '{';

	buf_puts(out, name);
	if (label != NULL) {
		add_label(out, &before, label, value);
		buf_putc(out, '}');
	}
	buf_printf(out, " %" PRId64 "\n", n);
}
