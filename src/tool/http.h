/* SPDX-License-Identifier: MIT */
#ifndef TOOL_HTTP_H
#define TOOL_HTTP_H

#include "tool/tool.h"

/*
 * A tool of the site's own: a signed POST to its URL, with the call's id as
 * webhook-id and Idempotency-Key. The body is
 *
 *   {"type":"tool_call","id":"call_...","tool":NAME,"input":{...},
 *    "agent":"agt_...","user":USER,"turn":"trn_..."}
 *
 * The answer is JSON, or a text. {"ok":false,"error":"..."} says no;
 * {"ok":true,"data":...} is unwrapped; anything else is the result as it is.
 * A status of 4xx is an error that the model can act on, 408, 425, 429 and
 * 5xx are failures of the tool.
 */
struct tool_http {
	const char *url;
	int64_t timeout_ms;
	size_t max_bytes; /* of the answer */
};

extern const struct tool_kind http_kind;

#endif
