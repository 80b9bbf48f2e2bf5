/* SPDX-License-Identifier: MIT */
/*
 * The slow log. The file is opened for each line, so it can be rotated by
 * moving it away; lines of several workers do not mix, as each is one write
 * behind what is there.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/slowlog.h"
#include "agent/turn_priv.h"
#include "base/clk.h"
#include "base/json.h"
#include "base/log.h"
#include "base/metrics.h"
#include "conf/conf.h"

#define MODE 0640

static int
file_open(const char *path)
{
	return open(path,
	    O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
	    MODE);
}

int
slowlog_check(const struct conf *c, struct err *err)
{
	int fd;

	if (*c->slowlog_file == '\0')
		return 0;
	fd = file_open(c->slowlog_file);
	if (fd < 0)
		return err_set(err, ERR_CONFIG, "slowlog.file: %s: %s",
		    c->slowlog_file, strerror(errno));
	close(fd);
	return 0;
}

static void
write_line(const struct conf *c, struct buf *b)
{
	int fd = STDERR_FILENO;

	json_close(b, '}');
	buf_putc(b, '\n');
	if (*c->slowlog_file != '\0')
		fd = file_open(c->slowlog_file);
	if (fd < 0 || write(fd, b->data, b->len) != (ssize_t)b->len)
		log_warn("the slow log %s cannot be written: %s",
		    c->slowlog_file, strerror(errno));
	if (fd >= 0 && fd != STDERR_FILENO)
		close(fd);
	buf_fini(b);
}

/* What all lines begin with. */
static void
begin(struct buf *b, const struct turn *t, const char *what, int64_t us)
{
	int64_t ms = clk_wall_ms();
	time_t s = (time_t)(ms / 1000);
	char text[64], time[80];
	struct tm tm;

	gmtime_r(&s, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(time, sizeof(time), "%s.%03dZ", text, (int)(ms % 1000));
	buf_init(b, NULL);
	json_open(b, NULL, '{');
	json_add_str(b, "time", time);
	json_add_str(b, "slow", what);
	json_add_int(b, "pid", getpid());
	json_add_str(b, "agent", t->lease.agent);
	json_add_str(b, "turn", t->meter.turn);
	if (t->request_id[0] != '\0')
		json_add_str(b, "request", t->request_id);
	json_add_int(b, "step", t->step);
	json_add_int(b, "totalMs", us / 1000);
	metric_add(METRIC_SLOW, metric_value(LABEL_WHAT, what), 0, 1);
}

static const struct conf *
conf_of(const struct turn *t)
{
	return t->runner->parts.conf;
}

static int
is_slow(int64_t us, int64_t threshold_ms)
{
	return threshold_ms > 0 && us >= threshold_ms * 1000;
}

void
slowlog_turn(const struct turn *t, const char *reason)
{
	const struct turn_meter *m = &t->meter;
	int64_t us = m->since_us - m->began_us;
	struct buf b;

	if (!is_slow(us, conf_of(t)->slowlog_turn_ms))
		return;
	begin(&b, t, "turn", us);
	json_add_str(&b, "reason", reason);
	if (t->model != NULL)
		json_add_str(&b, "model", model_conf(t->model)->label);
	if (m->waited_ms >= 0)
		json_add_int(&b, "waitedMs", m->waited_ms);
	json_add_int(&b, "modelFirstByteMs", m->first_byte_us / 1000);
	json_open(&b, "ms", '{');
	for (int i = 0; i < RUNNING_STATES; i++)
		json_add_int(&b, running_state_name(i), m->us[i] / 1000);
	json_close(&b, '}');
	write_line(conf_of(t), &b);
}

void
slowlog_model(const struct turn *t, struct model_call *call)
{
	const struct model_times *times = model_call_times(call);
	const struct model_result *r = model_call_result(call);
	int64_t us = times->ended_us - times->began_us;
	struct buf b;

	if (!is_slow(us, conf_of(t)->slowlog_model_ms))
		return;
	begin(&b, t, "model", us);
	json_add_str(&b, "model", model_conf(model_call_model(call))->label);
	if (times->heard_us != 0)
		json_add_int(&b, "firstByteMs",
		    (times->heard_us - times->began_us) / 1000);
	json_add_str(&b, "outcome", model_call_outcome(call));
	if (r->request_id[0] != '\0')
		json_add_str(&b, "providerRequest", r->request_id);
	if (r->usage.input >= 0)
		json_add_int(&b, "input", r->usage.input);
	if (r->usage.output >= 0)
		json_add_int(&b, "output", r->usage.output);
	write_line(conf_of(t), &b);
}

void
slowlog_tool(const struct turn_call *c)
{
	int64_t us = 1000 * (c->completed_ms - c->started_ms);
	struct buf b;

	if (c->started_ms == 0 ||
	    !is_slow(us, conf_of(c->turn)->slowlog_tool_ms))
		return;
	begin(&b, c->turn, "tool", us);
	json_add_str(&b, "tool", c->name);
	json_add_str(&b, "call", c->id);
	json_add_str(&b, "state", call_state_name(c->state));
	json_add_int(&b, "waitedMs", c->started_ms - c->created_ms);
	write_line(conf_of(c->turn), &b);
}
