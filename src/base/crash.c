/* SPDX-License-Identifier: MIT */
/* Crash points: see crash.h. Without the variable one costs a load. */
#include "config.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/crash.h"

#ifdef CRASH_POINTS
static pthread_once_t once = PTHREAD_ONCE_INIT;
static char wanted[64];
static int wanted_signal;
static _Atomic int countdown;

static void
crash_read(void)
{
	const char *v = getenv("AGENT_FPM_CRASH_AT");
	char *colon;

	if (v == NULL || strlen(v) >= sizeof(wanted))
		return;
	wanted_signal = SIGKILL;
	if (strncmp(v, "stop:", 5) == 0) {
		wanted_signal = SIGSTOP;
		v += 5;
	}
	strcpy(wanted, v);
	colon = strchr(wanted, ':');
	countdown = colon == NULL ? 1 : atoi(colon + 1);
	if (colon != NULL)
		*colon = '\0';
}

void
crash_point(const char *name)
{
	pthread_once(&once, crash_read);
	if (wanted_signal != 0 && strcmp(name, wanted) == 0 &&
	    atomic_fetch_sub(&countdown, 1) == 1)
		raise(wanted_signal);
}
#endif
