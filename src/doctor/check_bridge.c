/* SPDX-License-Identifier: MIT */
/* The gateway: who comes in without a token, and whether it is reached. */
#include "config.h"

#include <string.h>
#include <unistd.h>

#include "conf/conf.h"
#include "doctor/site.h"

/* Where a proxy knows nothing of upgrades, it answers in another way. */
static const char *const upgrade[] = { "Connection: Upgrade",
	"Upgrade: websocket", "Sec-WebSocket-Version: 13",
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", NULL };

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

/* By polling, as a client of Socket.IO begins. 1 if a gateway answers. */
static int
check_polling(struct doctor *d)
{
	struct site_request q = { .method = "GET",
		.path = "/socket.io/?EIO=4&transport=polling",
		.anonymous = 1 };
	int status = site_ask(d, &q);

	if (status == 200 && q.answer.len > 2 &&
	    memcmp(q.answer.data, "0{", 2) == 0)
		return 1;
	if (status == 503 && access(d->conf->bridge_listen, F_OK) < 0)
		doctor_say(d, DOCTOR_OK, "site.bridge",
		    "no gateway runs, so front ends that speak Socket.IO or "
		    "AgentBridge get 503: start agent-fpm-bridge if there are "
		    "any");
	else if (status == 503)
		doctor_say(d, DOCTOR_FAIL, "site.bridge",
		    "the gateway does not answer (503): look at the log of "
		    "agent-fpm-bridge, and whether nginx may connect to %s "
		    "(bridge.group)",
		    d->conf->bridge_listen);
	else
		doctor_say(d, DOCTOR_WARN, "site.bridge",
		    "GET /socket.io/ gives %d, and not by a gateway: include "
		    "nginx/agent-fpm.snippet, whose locations lead to it",
		    status);
	return 0;
}

/* Without a token the connection is made, and closed then. */
static void
check_websocket(struct doctor *d)
{
	struct site_request q = { .method = "GET",
		.path = "/agent-bridge",
		.headers = upgrade,
		.anonymous = 1,
		.upgrade = 1 };
	int status = site_ask(d, &q);

	if (status == 101 && q.answer.len > 0)
		doctor_say(d, DOCTOR_OK, "site.bridge",
		    "the gateway answers, by polling and by WebSocket");
	else
		doctor_say(d, DOCTOR_WARN, "site.bridge",
		    "the gateway answers, but a WebSocket gets %d: whatever "
		    "stands between must pass Upgrade and Connection on, as "
		    "nginx/agent-fpm-bridge.conf has it",
		    status);
}

void
check_gateway(struct doctor *d)
{
	if (check_polling(d))
		check_websocket(d);
}
