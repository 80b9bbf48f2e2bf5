/* SPDX-License-Identifier: MIT */
/* The sections of the configuration, in the order of its manual and sample. */
#include "config.h"

#include "conf/conf_priv.h"

const struct setting_section setting_sections[] = {
	{ "", "The pool", 0 },
	{ "ctl", "agent-fpm ctl, for the administrator", 0 },
	{ "jwt", "Who may come in", 0 },
	{ "issuer", "Who else signs tokens: identity providers", 1 },
	{ "api_key", "Keys that stand for users, as tokens do", 1 },
	{ "bridge", "Front ends of agent-runtime, agent-server; their gateway",
	    0 },
	{ "store", "Redis", 0 },
	{ "model",
	    "The model; and more in sections [model NAME], which begin "
	    "as copies",
	    0 },
	{ "provider", "Providers that are not built in", 1 },
	{ "events", "Event streams", 0 },
	{ "turn", "Turns", 0 },
	{ "tool", "Tools", 0 },
	{ "mcp", "MCP servers, which templates name", 0 },
	{ "page", "Pages that users have open, and what agents do there", 0 },
	{ "task", "Sub-agents", 0 },
	{ "sandbox", "Workspaces: agent-fpm-sandbox", 0 },
	{ "compact", "Long conversations", 0 },
	{ "retention", "What is kept, and for how long", 0 },
	{ "approval", "Questions to a human", 0 },
	{ "budget", "What turns may cost", 0 },
	{ "admin", "Who runs this server", 0 },
	{ "status", "What the pool tells of itself", 0 },
	{ "slowlog", "What took too long", 0 },
	{ "otlp", "Traces, for a collector of OpenTelemetry", 0 },
	{ "audit", "Who did what", 0 },
	{ "limits", "Bounds", 0 },
};

const size_t setting_sections_count =
    sizeof(setting_sections) / sizeof(setting_sections[0]);
