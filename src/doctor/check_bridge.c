/* SPDX-License-Identifier: MIT */
/* Whether front ends come in without a token. */
#include "config.h"

#include "conf/conf.h"
#include "doctor/doctor_priv.h"

void
check_bridge(struct doctor *d)
{
	const struct conf *c = d->conf;

	if (c->bridge_auth == CONF_BRIDGE_REQUIRED)
		return;
	doctor_say(d, DOCTOR_WARN, "bridge.auth",
	    "%s is %s for sessions: let only a trusted network reach them, or "
	    "set it to required",
	    c->bridge_auth == CONF_BRIDGE_OFF ? "everybody"
					      : "who has no token",
	    c->bridge_anonymous_user);
}
