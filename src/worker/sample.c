/* SPDX-License-Identifier: MIT */
/*
 * What a worker measures of itself. The thread that waits for signals does
 * it: the loop has no time to look into /proc, and how late the loop is shows
 * from outside. What of the processor's time was used since the last look is
 * lost if the worker is killed.
 */
#include "config.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clk.h"
#include "base/loop.h"
#include "base/metrics.h"
#include "base/process.h"
#include "worker/sample.h"

#define SECOND_US 1000000

/* Since Linux 6.2 the size of the directory says it. */
static int64_t
open_fds(void)
{
	static const char path[] = "/proc/self/fd";
	struct stat st;
	int64_t n = 0;
	DIR *d;

	if (stat(path, &st) == 0 && st.st_size > 0)
		return st.st_size;
	d = opendir(path);
	if (d == NULL)
		return 0;
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n > 3 ? n - 3 : 0; /* . and .. and d */
}

static void
count_cpu(struct sample *s)
{
	struct rusage u;
	int64_t us;

	if (getrusage(RUSAGE_SELF, &u) < 0)
		return;
	us = (int64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * SECOND_US +
	     u.ru_utime.tv_usec + u.ru_stime.tv_usec;
	metric_add(METRIC_CPU, 0, 0, us - s->cpu_us);
	s->cpu_us = us;
}

static void
on_asked(void *arg)
{
	struct sample *s = arg;

	metric_observe(METRIC_LOOP_LAG, 0, clk_mono_us() - s->asked_us);
	atomic_store(&s->asking, 0);
}

void
sample_take(struct sample *s, struct loop *l)
{
	struct rlimit fds;

	count_cpu(s);
	metric_set(METRIC_RESIDENT, process_resident_bytes(getpid()));
	metric_set(METRIC_OPEN_FDS, open_fds());
	if (getrlimit(RLIMIT_NOFILE, &fds) == 0)
		metric_set(METRIC_MAX_FDS, (int64_t)fds.rlim_cur);
	if (atomic_load(&s->asking))
		return;
	s->asked_us = clk_mono_us();
	atomic_store(&s->asking, 1);
	loop_post(l, "lag", on_asked, s);
}
