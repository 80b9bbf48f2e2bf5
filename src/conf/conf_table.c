/* SPDX-License-Identifier: MIT */
/*
 * Every setting, a row each: its name, type, default, range and what to tell
 * the administrator. The parser, agent-fpm.conf(5) and the sample file are
 * made from these rows, so they cannot disagree.
 */
#include "config.h"

#include "conf/conf.h"
#include "conf/conf_priv.h"

#define HOUR_MS (3600 * INT64_C(1000))
#define YEARS_MS (20 * 366 * 24 * HOUR_MS)
#define MIB (1024 * INT64_C(1024))

#define STRING(n, field, fallback, prose)                                      \
	{                                                                      \
		n, SETTING_STRING, offsetof(struct conf, field), fallback, 0,  \
		    0, NULL, prose                                             \
	}
#define NUMBER(n, type, field, fallback, min, max, prose)                      \
	{                                                                      \
		n, type, offsetof(struct conf, field), fallback, min, max,     \
		    NULL, prose                                                \
	}
#define RATE(n, field, fallback, prose)                                        \
	{                                                                      \
		n, SETTING_RATE, offsetof(struct conf, field), fallback, 0,    \
		    1000 * 1000, NULL, prose                                   \
	}
#define TOKENS(n, field, prose)                                                \
	NUMBER(n, SETTING_INT, field, "0", 0, 1000 * INT64_C(1000000000000),   \
	    prose)
#define MONEY(n, field, prose) NUMBER(n, SETTING_PRICE, field, "", 0, 0, prose)
#define CHOICE(n, field, fallback, choices, prose)                             \
	{                                                                      \
		n, SETTING_CHOICE, offsetof(struct conf, field), fallback, 0,  \
		    0, choices, prose                                          \
	}

const struct setting settings[] = {
	STRING("listen", listen, "/run/agent-fpm/agent-fpm.sock",
	    "The FastCGI socket that nginx connects to: the path of a unix "
	    "socket, never TCP. A socket handed over by systemd must be "
	    "there: ListenStream of agent-fpm.socket."),
	STRING("listen.owner", listen_owner, "",
	    "User that owns the socket. Empty: the user that starts the pool."),
	STRING("listen.group", listen_group, "",
	    "Group of the socket: the one nginx runs as, www-data on Debian. "
	    "Empty: the group that starts the pool."),
	NUMBER("listen.mode", SETTING_MODE, listen_mode, "0660", 0600, 0666,
	    "Mode of the socket. Whoever can write to it is trusted like "
	    "nginx."),
	NUMBER("listen.backlog", SETTING_INT, listen_backlog, "4096", 1, 65535,
	    "Connections that may wait to be accepted; nginx answers 502 when "
	    "they are more. The kernel's net.core.somaxconn bounds it."),
	NUMBER("workers", SETTING_INT, workers, "0", 0, 256,
	    "Worker processes, at most: the same as pm.max_children. 0 is one "
	    "per processor core."),
	CHOICE("pm", pm, "static", "static dynamic ondemand",
	    "How many workers there are, in php-fpm's words. static: as many "
	    "as there may be. dynamic: by load, with some to spare. ondemand: "
	    "none until a request comes, or a turn was left by others; while "
	    "there is none, deadlines of questions to a human, reminders and "
	    "turns of other hosts that died pass unnoticed. A worker serves "
	    "many "
	    "requests at once. It is spare while fewer than half of its "
	    "request_threads answer one, fewer than half of limits.turns run "
	    "in it, and fewer than half of limits.viewers look on."),
	NUMBER("pm.max_children", SETTING_INT, pm_max_children, "0", 0, 256,
	    "Workers, at most. 0: what workers says."),
	NUMBER("pm.start_servers", SETTING_INT, pm_start_servers, "0", 0, 256,
	    "Workers that dynamic begins with. 0: between the next two."),
	NUMBER("pm.min_spare_servers", SETTING_INT, pm_min_spare_servers, "1",
	    1, 256, "Spare workers that dynamic keeps at least."),
	NUMBER("pm.max_spare_servers", SETTING_INT, pm_max_spare_servers, "0",
	    0, 256,
	    "Spare workers that dynamic keeps at most; beyond that the least "
	    "loaded leaves, as after a reload. 0: one more than at least."),
	NUMBER("pm.process_idle_timeout", SETTING_TIME,
	    pm_process_idle_timeout_ms, "10s", 1000, HOUR_MS,
	    "How long a worker of ondemand stays that has no request, no "
	    "turn and no stream. It stays longer while Redis is away, or "
	    "somebody's lease may run out that it would have to take up."),
	NUMBER("pm.max_requests", SETTING_INT, pm_max_requests, "0", 0,
	    INT32_MAX,
	    "Requests that a worker answers before another takes its place, "
	    "which is started first. 0: no end."),
	NUMBER("pm.max_memory", SETTING_BYTES, pm_max_memory_bytes, "0", 0,
	    1024 * 1024 * MIB,
	    "Resident memory of a worker beyond which another takes its "
	    "place in the same way. 0: no bound."),
	NUMBER("request_threads", SETTING_INT, request_threads, "8", 1, 256,
	    "Threads of each worker that answer requests. They never wait for "
	    "a model, so a few are enough, and more than store.connections "
	    "only wait for each other."),
	NUMBER("drain_timeout", SETTING_TIME, drain_timeout_ms, "30s", 0,
	    HOUR_MS,
	    "How long running turns may go on in a worker that leaves: after "
	    "SIGQUIT, or when a reload has replaced it. What is not done by "
	    "then stops at its last commit, and another worker goes on with "
	    "it, at once if there is one."),
	CHOICE("log_level", log_level, "info", "debug info warn error",
	    "The least important lines that are logged."),
	STRING("log_file", log_file, "",
	    "File that the pool's log lines are appended to, and all that it "
	    "prints on standard error; SIGUSR1 opens it again. Empty: "
	    "standard error, which under systemd is the journal."),
	STRING("templates", templates, CONFDIR "/templates.d",
	    "Folder with agent templates, one NAME.json each. It may be "
	    "missing."),
	STRING("skills", skills, CONFDIR "/skills.d",
	    "Folder with skills: a folder NAME with a file SKILL.md for each, "
	    "which templates name. It may be missing."),
	STRING("cors_origins", cors_origins, "",
	    "Origins, separated by spaces, whose pages may call the API from "
	    "a browser (https://app.example.org). Empty: only the site's own "
	    "pages. * is any."),

	STRING("ctl.socket", ctl_socket, "",
	    "The unix socket of agent-fpm ctl, with mode 0600: it answers root "
	    "and the user of the pool alone. Empty: the path of listen with "
	    ".ctl behind it, and the pool goes on without if it cannot be "
	    "made. none: there is none. Another one takes a restart."),

#include "conf/conf_rows_access.h"
#include "conf/conf_rows_bridge.h"

	STRING("store.address", store_address, "127.0.0.1:6379",
	    "Redis (6.2 or later) or Valkey: HOST:PORT, or unix:PATH, which "
	    "is faster."),
	STRING("store.user", store_user, "",
	    "ACL user for AUTH. Empty: the default user."),
	STRING("store.password_file", store_password_file, "",
	    "File with the password for AUTH. Without it the credential "
	    "store.password or the variable AGENT_FPM_STORE_PASSWORD is used; "
	    "without any, no AUTH is sent."),
	NUMBER("store.database", SETTING_INT, store_database, "0", 0, 65535,
	    "Number for SELECT."),
	STRING("store.prefix", store_prefix, "af:",
	    "What all keys begin with, so that several pools can share one "
	    "Redis."),
	NUMBER("store.connections", SETTING_INT, store_connections, "8", 1, 256,
	    "Connections of a worker that its threads share, besides two for "
	    "event streams."),
	NUMBER("store.connect_timeout", SETTING_TIME, store_connect_timeout_ms,
	    "1s", 10, 60 * 1000, "How long connecting may take."),
	NUMBER("store.command_timeout", SETTING_TIME, store_command_timeout_ms,
	    "2s", 10, 60 * 1000, "How long one command may take."),
	NUMBER("store.timeout", SETTING_TIME, store_timeout_ms, "30s", 100,
	    HOUR_MS,
	    "How long a running turn waits for a Redis that is away. Then it "
	    "stops where it was last saved, and is resumed later."),
	NUMBER("store.lease", SETTING_TIME, store_lease_ms, "30s", 1000,
	    HOUR_MS,
	    "How long a worker owns an agent without renewing. After a crash "
	    "of a whole host its turns are resumed elsewhere so much later; "
	    "a worker that dies alone is replaced at once."),
	NUMBER("store.sweep", SETTING_TIME, store_sweep_ms, "5s", 100, HOUR_MS,
	    "How often a worker looks for leases that ran out."),
	NUMBER("store.cache", SETTING_BYTES, store_cache_bytes, "64m", 0,
	    1024 * 64 * MIB,
	    "Memory of a worker for the history of agents it served lately."),

	STRING("model.provider", model.provider, "anthropic",
	    "Who answers: anthropic, openai, openai-responses, gemini, azure, "
	    "deepseek, qwen, groq, cerebras, openrouter, mistral, vllm, "
	    "llamacpp, ollama, a provider of a section [provider NAME], or "
	    "script: scenarios from a file, for demonstrations and tests."),
	STRING("model.url", model.url, "",
	    "Base URL. Empty: the provider's own. Azure, vllm, llamacpp and "
	    "ollama on another host need it."),
	STRING("model.id", model.id, "",
	    "How the provider calls the model. Empty: claude-sonnet-4-6 with "
	    "anthropic, else the name of the section."),
	STRING("model.api_key_file", model.api_key_file, "",
	    "File with the provider's API key. Without it the credential "
	    "model.api_key (model.NAME.api_key) or the provider's usual "
	    "variable is used, such as ANTHROPIC_API_KEY or OPENAI_API_KEY."),
	STRING("model.version", model.version, "",
	    "The header anthropic-version, or Azure's api-version. Empty: the "
	    "one this version was made for."),
	STRING("model.headers", model.headers, "",
	    "More headers for the provider, separated by |, such as "
	    "anthropic-beta: NAME | x-team: web."),
	STRING("model.members", model.members, "",
	    "More members of the request's body, as a JSON object. They take "
	    "the place of those that are there anyway."),
	STRING("model.ca_file", model.ca_file, "",
	    "File with the certificate authorities that are trusted for the "
	    "provider. Empty: the system's."),
	STRING("model.proxy", model.proxy, "",
	    "HTTP proxy on the way to the provider, as URL. Empty: what the "
	    "environment says. none: no proxy."),
	STRING("model.script", model.script, "",
	    "File with scenarios for model.provider = script. Empty: the "
	    "built-in one."),
	STRING("model.fallback", model.fallback, "",
	    "Names of models, separated by spaces, that are tried one after "
	    "the other when this one fails before anything was shown."),
	NUMBER("model.max_tokens", SETTING_INT, model.max_tokens, "8192", 1,
	    1 << 20, "The most tokens of one answer."),
	NUMBER("model.context_window", SETTING_INT, model.context_window,
	    "200000", 0, INT64_C(1000000000),
	    "Tokens that a request and its answer may have together. Before "
	    "a request would pass it, the conversation is compacted. 0: only "
	    "when the provider has refused a request as too long, as it is "
	    "then in any case."),
	NUMBER("model.thinking", SETTING_INT, model.thinking, "0", 0, 1 << 20,
	    "Tokens that the model may think before it answers; at least "
	    "1024, and fewer than model.max_tokens. 0: no thinking is asked "
	    "for."),
	STRING("model.effort", model.effort, "",
	    "How hard the model thinks, in the provider's words (low, medium, "
	    "high). Empty: not said."),
	CHOICE("model.images", model.images, "auto", "auto no yes",
	    "Whether the model takes images. auto: as models of its provider "
	    "usually do."),
	CHOICE("model.documents", model.documents, "auto", "auto no yes",
	    "Whether the model takes PDF documents, in the same way."),
	NUMBER("model.cache_markers", SETTING_BOOL, model.cache_markers, "yes",
	    0, 1,
	    "Mark the prompt for the provider's cache, so that a long "
	    "conversation is not paid for again with each message."),
	NUMBER("model.price_input", SETTING_PRICE, model.price_input, "", 0, 0,
	    "What a million tokens of a prompt cost. Empty: not known; then "
	    "no cost is shown."),
	NUMBER("model.price_cached", SETTING_PRICE, model.price_cached, "", 0,
	    0,
	    "The same for tokens read from the provider's cache. Empty: as "
	    "model.price_input."),
	NUMBER("model.price_cache_write", SETTING_PRICE,
	    model.price_cache_write, "", 0, 0,
	    "The same for tokens written to the provider's cache. Empty: as "
	    "model.price_input."),
	NUMBER("model.price_output", SETTING_PRICE, model.price_output, "", 0,
	    0, "What a million tokens of answers cost."),
	NUMBER("model.retries", SETTING_INT, model.retries, "2", 0, 10,
	    "How often a failed call is tried again while nothing of its "
	    "answer was shown."),
	NUMBER("model.breaker_failures", SETTING_INT, model.breaker_failures,
	    "5", 0, 1000,
	    "After so many calls in a row that found the provider overloaded, "
	    "broken or away, nobody in the pool asks it for a while: turns "
	    "fail at once, or go to model.fallback. 0: never."),
	NUMBER("model.breaker_time", SETTING_TIME, model.breaker_time_ms, "10s",
	    10, HOUR_MS,
	    "For how long. Then one call finds out whether it is back; with "
	    "each failure more it is twice as long, up to two minutes."),
	NUMBER("model.connect_timeout", SETTING_TIME, model.connect_timeout_ms,
	    "10s", 10, HOUR_MS, "How long connecting may take."),
	NUMBER("model.first_byte_timeout", SETTING_TIME,
	    model.first_byte_timeout_ms, "60s", 10, HOUR_MS,
	    "How long the provider may take to begin its answer."),
	NUMBER("model.idle_timeout", SETTING_TIME, model.idle_timeout_ms, "60s",
	    10, HOUR_MS, "How long a stream that has begun may be silent."),
	NUMBER("model.total_timeout", SETTING_TIME, model.total_timeout_ms,
	    "10m", 10, 24 * HOUR_MS, "How long one call may take in all."),

	STRING("provider.like", provider.like, "openai",
	    "The built-in provider that this one is like: its API and its "
	    "ways, where nothing else is said."),
	STRING("provider.url", provider.url, "",
	    "Base URL, such as https://api.example.org/v1."),
	STRING("provider.path", provider.path, "",
	    "Path below the URL. Empty: the API's."),
	STRING("provider.key_header", provider.key_header, "",
	    "Header that carries the key, with what stands before it, such as "
	    "authorization: Bearer. Empty: as the one it is like."),
	STRING("provider.key_variable", provider.key_variable, "",
	    "Environment variable with the key. Empty: none."),
	STRING("provider.quirks", provider.quirks, "",
	    "What it does otherwise, as words; -word takes one away that the "
	    "provider it is like has. docs/models.md lists them."),

	NUMBER("events.coalesce", SETTING_TIME, events_coalesce_ms, "15ms", 0,
	    10 * 1000,
	    "The least time between two text events of a turn. The first "
	    "goes out at once; what arrives in between is joined. Under load "
	    "it is more, up to 200ms, so that new turns come first."),
	NUMBER("events.keep", SETTING_INT, events_keep, "10000", 100,
	    10 * 1000 * 1000,
	    "Entries that are kept of each agent's log, about; an entry is an "
	    "event, or a few that came together. A viewer whose cursor is "
	    "older gets a gap event."),
	NUMBER("events.heartbeat", SETTING_TIME, events_heartbeat_ms, "15s",
	    100, HOUR_MS,
	    "A silent stream gets a comment line this often. Keep it well "
	    "below fastcgi_read_timeout in nginx."),
	NUMBER("events.end_at_expiry", SETTING_BOOL, events_end_at_expiry,
	    "yes", 0, 1,
	    "A stream ends when the token that opened it runs out, with an "
	    "event that says so and the cursor to come back with. Turns go "
	    "on."),
	NUMBER("events.backlog", SETTING_BYTES, events_backlog_bytes, "1m",
	    4096, 1024 * MIB,
	    "What may wait for a viewer that reads too slowly. Beyond it the "
	    "stream is closed; the viewer can come back with its cursor."),

	NUMBER("turn.timeout", SETTING_TIME, turn_timeout_ms, "1h", 0,
	    7 * 24 * HOUR_MS,
	    "How long a turn may be at work; waiting for a human does not "
	    "count. Then it ends with done, reason limit. 0: no limit."),
	NUMBER("turn.stall_timeout", SETTING_TIME, turn_stall_timeout_ms, "10m",
	    100, 24 * HOUR_MS,
	    "A turn in which nothing has happened for so long ends with an "
	    "error. The model and tools have shorter timeouts of their own."),
	NUMBER("turn.max_tokens", SETTING_INT, turn_max_tokens, "0", 0,
	    INT64_C(1000000000000),
	    "Tokens that all steps of a turn may use, input and output. "
	    "Beyond them the model is not called again; done has the reason "
	    "limit. 0: no limit."),

	STRING("tool.secret_file", tool_secret_file, "",
	    "File with the secret that requests to tools and hooks over HTTP "
	    "are signed with, at least 24 bytes, or whsec_ and base64 as the "
	    "Standard Webhooks specification has it. Without it the "
	    "credential tool.secret or the variable AGENT_FPM_TOOL_SECRET is "
	    "used."),
	STRING("tool.networks", tool_networks, "",
	    "Networks that such requests may go to besides public addresses, "
	    "separated by spaces: 127.0.0.1 10.0.0.0/8 fd00::/8."),
	NUMBER("tool.concurrency", SETTING_INT, tool_concurrency, "3", 1, 64,
	    "How many calls of one answer run at the same time."),
	NUMBER("tool.rounds", SETTING_INT, tool_rounds, "50", 1, 10000,
	    "How often a turn may call tools and ask the model again; then "
	    "it ends with done, reason limit."),
	NUMBER("tool.todo_reminder", SETTING_INT, tool_todo_reminder, "8", 0,
	    1000,
	    "After so many steps with tool calls that did not touch the todo "
	    "list the model is reminded of what is open. 0: never."),
	NUMBER("tool.max_output", SETTING_BYTES, tool_max_output_bytes, "64k",
	    1024, 16 * MIB,
	    "The longest result that the model is given; what is longer is "
	    "cut, with a note."),

	NUMBER("mcp.idle_timeout", SETTING_TIME, mcp_idle_timeout_ms, "5m",
	    1000, 24 * HOUR_MS,
	    "How long the connection of an agent to an MCP server, or the "
	    "program that it is, stays when no turn uses it."),

	NUMBER("page.timeout", SETTING_TIME, page_timeout_ms, "30s", 100,
	    24 * HOUR_MS,
	    "How long an agent waits for the answer of a page that its user "
	    "has open, of which it has called a function. A command by "
	    "POST /api/command waits no longer either, and at most 30 "
	    "seconds."),

	NUMBER("task.depth", SETTING_INT, task_depth, "2", 0, 16,
	    "How deep sub-agents may make sub-agents by the tool task_run. 0: "
	    "there are none."),
	NUMBER("task.max", SETTING_INT, task_max, "16", 1, 1000,
	    "How many sub-agents a turn may make."),

	STRING("sandbox.socket", sandbox_socket, "",
	    "The unix socket of agent-fpm-sandbox, which has the files of "
	    "agents: /run/agent-fpm-sandbox/sandbox.sock with the unit that "
	    "is shipped. Empty: agents have no files, and the tools that need "
	    "them are refused."),
	STRING("sandbox.group", sandbox_group, "",
	    "Group of that socket, whose mode is 0660. Empty: the group that "
	    "starts agent-fpm-sandbox."),
	STRING("sandbox.client", sandbox_client, "",
	    "The user that workers run as. Beside root and its own user the "
	    "sandbox serves nobody else."),
	STRING("sandbox.address", sandbox_address, "",
	    "Where workers find a sandbox that is not at sandbox.socket: "
	    "https://HOST/PATH, or http://HOST/PATH in a network that nobody "
	    "else listens to. There is agent-fpm-sandbox with sandbox.fastcgi "
	    "on another host, or any service that speaks its protocol. Empty: "
	    "sandbox.socket."),
	STRING("sandbox.token_file", sandbox_token_file, "",
	    "File with the token that workers show there and that "
	    "agent-fpm-sandbox wants to see at sandbox.fastcgi: 32 to 512 "
	    "letters, digits or -._~+/=, such as openssl rand -hex 32 makes. "
	    "Without it the credential sandbox.token or the variable "
	    "AGENT_FPM_SANDBOX_TOKEN is used."),
	STRING("sandbox.ca_file", sandbox_ca_file, "",
	    "File with the certificate authorities that are trusted for "
	    "sandbox.address. Empty: the system's."),
	STRING("sandbox.certificate_file", sandbox_certificate_file, "",
	    "PEM file with a certificate that workers show at "
	    "sandbox.address, where that asks for one. Empty: none."),
	STRING("sandbox.key_file", sandbox_key_file, "",
	    "PEM file with the key of sandbox.certificate_file."),
	STRING("sandbox.fastcgi", sandbox_fastcgi, "",
	    "A unix socket at which agent-fpm-sandbox serves workers of other "
	    "hosts, by FastCGI: nginx/runner.conf leads there. It wants "
	    "sandbox.token_file. Empty: only sandbox.socket is served."),
	STRING("sandbox.fastcgi_group", sandbox_fastcgi_group, "",
	    "Group of that socket, whose mode is 0660: the one nginx runs as, "
	    "www-data on Debian. Empty: the group that starts "
	    "agent-fpm-sandbox."),
	NUMBER("sandbox.heartbeat", SETTING_TIME, sandbox_heartbeat_ms, "15s",
	    50, HOUR_MS / 4,
	    "An answer at sandbox.fastcgi that is silent gets an empty part "
	    "this often. Workers give up a call to sandbox.address that is "
	    "silent for four times as long."),
	STRING("sandbox.workspaces", sandbox_workspaces,
	    "/var/lib/agent-fpm-sandbox/workspaces",
	    "The directory of all workspaces. It is made if it is not there, "
	    "and only agent-fpm-sandbox may see into it."),
	NUMBER("sandbox.timeout", SETTING_TIME, sandbox_timeout_ms, "30s", 100,
	    HOUR_MS,
	    "How long a worker waits for the sandbox to read, write or find "
	    "files."),
	NUMBER("sandbox.threads", SETTING_INT, sandbox_threads, "16", 1, 256,
	    "How many of these may be under way at a time."),
	NUMBER("sandbox.quota", SETTING_BYTES, sandbox_quota_bytes, "256m",
	    4096, 1024 * 1024 * MIB,
	    "What the files of one agent may take of the disk."),
	NUMBER("sandbox.max_files", SETTING_INT, sandbox_max_files, "20000", 1,
	    10 * 1000 * 1000, "How many files and directories it may have."),
	NUMBER("sandbox.max_file", SETTING_BYTES, sandbox_max_file_bytes, "16m",
	    1024, 60 * MIB,
	    "The largest file that tools read, search or write."),
	CHOICE("sandbox.runner", sandbox_runner, "bubblewrap",
	    "bubblewrap none launcher",
	    "What isolates commands. launcher: the program of "
	    "sandbox.launcher, see docs/sandbox.md. none: nothing does, a "
	    "command can do whatever agent-fpm-sandbox can; only for builds "
	    "that were configured with --enable-unsafe-sandbox."),
	STRING("sandbox.launcher", sandbox_launcher, "",
	    "The program that runs commands with sandbox.runner = launcher: "
	    "an absolute path."),
	STRING("sandbox.accel", sandbox_accel, "",
	    "Where nginx on this host has an internal location for "
	    "sandbox.workspaces: /agent-fpm-workspaces/ in the shipped "
	    "snippet. Large files are then sent by nginx itself. It must be "
	    "let into the directory, see agent-fpm-sandbox(8); and files and "
	    "directories are made readable for whoever is. Empty: all files "
	    "go through the pool."),
	NUMBER("sandbox.accel_size", SETTING_BYTES, sandbox_accel_bytes, "256k",
	    0, 1024 * 1024 * MIB, "How large a file is for that, at least."),
	STRING("sandbox.bwrap", sandbox_bwrap, "/usr/bin/bwrap",
	    "bubblewrap, for the runner of that name. Where it does not work "
	    "there "
	    "are no commands; they are never run without it."),
	NUMBER("sandbox.commands", SETTING_INT, sandbox_commands, "32", 1, 256,
	    "How many commands may run at a time."),
	NUMBER("sandbox.programs", SETTING_INT, sandbox_programs, "64", 1, 256,
	    "How many programs that stay, which are MCP servers, may run at a "
	    "time."),
	NUMBER("sandbox.processes", SETTING_INT, sandbox_processes, "128", 4,
	    65536,
	    "How many processes and threads a command may have. It takes a "
	    "sandbox that does not run as root."),
	STRING("sandbox.cgroup", sandbox_cgroup, "auto",
	    "Where the control groups (version 2) of commands are made, which "
	    "hold all processes of a command together to the limits below. "
	    "auto: in the group that systemd has delegated to the unit of "
	    "agent-fpm-sandbox, if it has. off: nowhere. Or the path of a "
	    "group."),
	NUMBER("sandbox.memory", SETTING_BYTES, sandbox_memory_bytes, "2g",
	    16 * MIB, 1024LL * 1024 * MIB,
	    "How much memory a command may have, with a control group; "
	    "without one each of its processes has an address space of 4 "
	    "GiB."),
	NUMBER("sandbox.cpu", SETTING_INT, sandbox_cpu, "200", 0, 100000,
	    "How much of the processors a command may use, in hundredths of "
	    "one, with a control group. 0: all."),
	NUMBER("sandbox.command_time", SETTING_TIME, sandbox_command_time_ms,
	    "2m", 100, HOUR_MS,
	    "How long a command may take if the model does not say so."),
	NUMBER("sandbox.max_time", SETTING_TIME, sandbox_max_time_ms, "10m",
	    1000, 24 * HOUR_MS, "How long it may take at most."),
	NUMBER("sandbox.jobs", SETTING_INT, sandbox_jobs, "4", 0, 1000,
	    "How many background jobs an agent may have at a time."),
	NUMBER("sandbox.job_time", SETTING_TIME, sandbox_job_time_ms, "24h",
	    1000, 365 * 24 * HOUR_MS,
	    "How long a background job may run. It also ends with its agent."),
	NUMBER("sandbox.job_idle", SETTING_TIME, sandbox_job_idle_ms, "12h", 0,
	    365 * 24 * HOUR_MS,
	    "A background job ends when nobody has used its agent's tools or "
	    "files for so long. 0: it does not."),
	STRING("sandbox.proxy", sandbox_proxy, "",
	    "The unix socket of agent-fpm-proxy, over which commands reach "
	    "the hosts that the template of their agent names: "
	    "/run/agent-fpm-proxy/proxy.sock with the unit that is shipped. "
	    "Empty: no command has a network, and those of a template that "
	    "asks for one fail."),
	STRING("sandbox.proxy_group", sandbox_proxy_group, "",
	    "Group of that socket, whose mode is 0660. Empty: the group that "
	    "starts agent-fpm-proxy."),
	STRING("sandbox.proxy_client", sandbox_proxy_client, "",
	    "The user that agent-fpm-sandbox runs as. Beside root and its own "
	    "user the proxy serves nobody else."),
	NUMBER("sandbox.proxy_connections", SETTING_INT,
	    sandbox_proxy_connections, "32", 1, 1024,
	    "How many connections a command may have at a time. More wait."),
	NUMBER("sandbox.proxy_connect_timeout", SETTING_TIME,
	    sandbox_proxy_connect_timeout_ms, "10s", 100, HOUR_MS,
	    "How long connecting to a host may take."),
	NUMBER("sandbox.proxy_idle_timeout", SETTING_TIME,
	    sandbox_proxy_idle_timeout_ms, "5m", 100, 24 * HOUR_MS,
	    "How long a connection may be silent."),

	NUMBER("compact.keep_turns", SETTING_INT, compact_keep_turns, "4", 0,
	    1000,
	    "When a conversation outgrows model.context_window, its older "
	    "turns give way to a summary. So many of the last turns stay as "
	    "they are, if they leave room."),
	STRING("compact.model", compact_model, "",
	    "The model that sums up: the name of a section [model NAME], or "
	    "default. Empty: the agent's own."),
	STRING("compact.prompt", compact_prompt, "",
	    "What it is told to do. Empty: a prompt that is built in."),

	NUMBER("retention.events", SETTING_TIME, retention_events_ms, "0", 0,
	    YEARS_MS,
	    "Age of the events of an agent's log beyond which they are "
	    "dropped; the newest stays. Who comes with an older cursor gets a "
	    "gap, as with events.keep, which bounds their number. 0: for "
	    "ever. A template's member retention has other values for its "
	    "agents, here and below."),
	NUMBER("retention.tool_outputs", SETTING_TIME,
	    retention_tool_outputs_ms, "0", 0, YEARS_MS,
	    "Age of the records of tool calls, with their outputs, beyond "
	    "which they are dropped. What the model was told stays in the "
	    "history. 0: for ever."),
	NUMBER("retention.windows", SETTING_INT, retention_windows, "0", 0,
	    1000000,
	    "How many windows, which is what a history was before it was "
	    "compacted, are kept of an agent: the newest, and what a "
	    "checkpoint or a fork refers to. 0: all."),
	NUMBER("retention.agents", SETTING_TIME, retention_agents_ms, "0", 0,
	    YEARS_MS,
	    "How long after its last turn an idle agent is deleted, with its "
	    "files. 0: never."),
	NUMBER("retention.files", SETTING_TIME, retention_files_ms, "0", 0,
	    YEARS_MS,
	    "Age of files in workspaces, since they were written last, beyond "
	    "which they are dropped, unless their agent is at work. 0: as "
	    "long as their agent is there."),
	NUMBER("retention.events_size", SETTING_BYTES, retention_events_bytes,
	    "0", 0, INT64_C(1) << 50,
	    "Bytes of Redis that the log of an agent may take, about; then "
	    "its oldest events are dropped. 0: any."),
	NUMBER("retention.tool_outputs_size", SETTING_BYTES,
	    retention_tool_outputs_bytes, "0", 0, INT64_C(1) << 50,
	    "The same for the records of its tool calls."),
	NUMBER("retention.files_size", SETTING_BYTES, retention_files_bytes,
	    "0", 0, INT64_C(1) << 50,
	    "Bytes of the disk that the workspace of an idle agent may take; "
	    "then its oldest files are dropped. sandbox.quota is what one at "
	    "work may take. 0: that."),
	NUMBER("retention.cache", SETTING_TIME, retention_cache_ms, "30m", 0,
	    YEARS_MS,
	    "How long after its last turn the history of an agent stays in a "
	    "worker's memory (store.cache). Its next turn fetches it again. "
	    "0: as long as there is room."),
	NUMBER("retention.sweep", SETTING_TIME, retention_sweep_ms, "1h", 100,
	    24 * HOUR_MS,
	    "How often what is too old is looked for, by one worker of all "
	    "that share a Redis."),

	STRING("approval.role", approval_role, "",
	    "Who has this role may answer the questions of all agents of the "
	    "own tenant. Empty: only an agent's owner answers."),
	NUMBER("approval.timeout", SETTING_TIME, approval_timeout_ms, "7d", 0,
	    366 * 24 * HOUR_MS,
	    "How long a tool call waits for its answer; then it is denied. 0 "
	    "waits for ever. A turn that waits costs nothing."),

	TOKENS("budget.turn_tokens", budget_turn_tokens,
	    "Tokens that a turn may use with its sub-agents, input and "
	    "output. When a budget is used up the model is not called again, "
	    "and an answer that passes it is cut; done has the reason budget. "
	    "0: no limit. docs/limits.md says how exact budgets are."),
	MONEY("budget.turn_cost", budget_turn_cost,
	    "Money that a turn may cost with its sub-agents, in the unit of "
	    "model.price_input; models without prices cost nothing. Empty: "
	    "no limit."),
	TOKENS("budget.agent_tokens", budget_agent_tokens,
	    "Tokens that an agent may use in all. 0: no limit."),
	MONEY("budget.agent_cost", budget_agent_cost,
	    "Money that an agent may cost in all. Empty: no limit."),
	TOKENS("budget.user_day_tokens", budget_user_day_tokens,
	    "Tokens that a user may use in a day, UTC. 0: no limit."),
	MONEY("budget.user_day_cost", budget_user_day_cost,
	    "Money that a user may cost in a day. Empty: no limit."),
	TOKENS("budget.user_month_tokens", budget_user_month_tokens,
	    "Tokens that a user may use in a month, UTC. 0: no limit."),
	MONEY("budget.user_month_cost", budget_user_month_cost,
	    "Money that a user may cost in a month. Empty: no limit."),
	TOKENS("budget.tenant_day_tokens", budget_tenant_day_tokens,
	    "Tokens that all users of a tenant may use in a day. 0: no "
	    "limit."),
	MONEY("budget.tenant_day_cost", budget_tenant_day_cost,
	    "Money that they may cost in a day. Empty: no limit."),
	TOKENS("budget.tenant_month_tokens", budget_tenant_month_tokens,
	    "Tokens that all users of a tenant may use in a month. 0: no "
	    "limit."),
	MONEY("budget.tenant_month_cost", budget_tenant_month_cost,
	    "Money that they may cost in a month. Empty: no limit."),
	CHOICE("budget.on_exceed", budget_on_exceed, "stop", "stop ask",
	    "What is done when a budget is used up. stop: the turn ends. ask: "
	    "it waits until who has budget.role allows it more, or "
	    "approval.timeout is over; an answer that streams is not cut. "
	    "Sub-agents always end."),
	NUMBER("budget.count_cached", SETTING_BOOL, budget_count_cached, "yes",
	    0, 1,
	    "Whether input that was read from the provider's cache counts in "
	    "budgets of tokens."),
	NUMBER("budget.warn_percent", SETTING_INT, budget_warn_percent, "80", 1,
	    100,
	    "When so much of a budget is used there is an event "
	    "budget_warning, once in its period."),
	STRING("budget.role", budget_role, "",
	    "Who has this role may let turns of the own tenant pass their "
	    "budget, and see what the tenant has used. Empty: nobody."),

	STRING("admin.role", admin_role, "",
	    "Who has this role may see what concerns the whole server. "
	    "Empty: nobody."),

	STRING("status.allow", status_allow, "127.0.0.1 ::1",
	    "Addresses and networks, separated by spaces, from which /metrics "
	    "and /status may be read without a token (10.0.0.0/8). From "
	    "elsewhere it takes a token with the role of admin.role. The "
	    "address is the one that nginx sees; where it stands behind "
	    "another proxy it must be told by set_real_ip_from."),

	NUMBER("slowlog.turn", SETTING_TIME, slowlog_turn_ms, "0", 0,
	    24 * HOUR_MS,
	    "A turn that took so long gets a line in the slow log, with the "
	    "times of its parts. 0: none does. See docs/monitoring.md."),
	NUMBER("slowlog.model", SETTING_TIME, slowlog_model_ms, "0", 0,
	    24 * HOUR_MS, "The same for a call of the model."),
	NUMBER("slowlog.tool", SETTING_TIME, slowlog_tool_ms, "0", 0,
	    24 * HOUR_MS, "The same for a tool call, since it was started."),
	STRING("slowlog.file", slowlog_file, "",
	    "The file that the slow log is appended to, a line of JSON each. "
	    "It is opened for each line: to rotate it, move it away. Empty: "
	    "standard error, beside the log."),

	STRING("otlp.url", otlp_url, "",
	    "Where traces go by OTLP over HTTP with JSON, whole: "
	    "http://127.0.0.1:4318/v1/traces. Empty: none are recorded."),
	STRING("otlp.headers_file", otlp_headers_file, "",
	    "File with headers for it, a line NAME: VALUE each, such as the "
	    "key of a service. Without it the credential otlp.headers or the "
	    "variable AGENT_FPM_OTLP_HEADERS is used."),
	STRING("otlp.ca_file", otlp_ca_file, "",
	    "Certificates that it is checked with. Empty: the system's."),
	NUMBER("otlp.sample", SETTING_RATIO, otlp_sample, "1", 0, 1000000,
	    "How many of the traces that begin here are recorded, 0 to 1. A "
	    "request that brings a traceparent says it itself."),
	STRING("otlp.service_name", otlp_service_name, "agent-fpm",
	    "The resource's service.name."),
	NUMBER("otlp.delay", SETTING_TIME, otlp_delay_ms, "1s", 10, HOUR_MS,
	    "How long a span waits for others to go with it; 512 go at "
	    "once."),

	NUMBER("audit.keep", SETTING_INT, audit_keep, "100000", 0,
	    INT64_C(1000000000),
	    "Records of the audit log that are kept in Redis, about; the "
	    "oldest go first. 0: none are written there."),
	STRING("audit.file", audit_file, "",
	    "File that gets each record too, a line each; it is opened for "
	    "each, so it may be moved away at any time. It must be one that "
	    "the pool's user can read and write, or make. Empty: none."),

	NUMBER("limits.body", SETTING_BYTES, limits_body_bytes, "1m", 1024,
	    1024 * MIB,
	    "The largest request body. nginx's client_max_body_size should "
	    "say the same."),
	NUMBER("limits.json_depth", SETTING_INT, limits_json_depth, "32", 4, 64,
	    "How deep the JSON of a request may nest."),
	NUMBER("limits.header", SETTING_BYTES, limits_header_bytes, "8k", 256,
	    MIB, "The longest request header."),
	NUMBER("limits.message", SETTING_BYTES, limits_message_bytes, "256k", 1,
	    1024 * MIB, "The longest message, as JSON."),
	NUMBER("limits.inbox", SETTING_INT, limits_inbox, "32", 1, 10000,
	    "Messages that may wait for one agent's turn."),
	NUMBER("limits.checkpoints", SETTING_INT, limits_checkpoints, "100", 1,
	    10000, "Checkpoints that an agent may have."),
	NUMBER("limits.agents_per_user", SETTING_INT, limits_agents_per_user,
	    "1000", 0, 10 * 1000 * 1000,
	    "Agents that a user may have. 0: no limit."),
	NUMBER("limits.viewers", SETTING_INT, limits_viewers, "16384", 1,
	    1 << 20, "Open event streams of a worker."),
	NUMBER("limits.viewers_per_user", SETTING_INT, limits_viewers_per_user,
	    "64", 0, 1 << 20,
	    "Open event streams of a user, in all pools that share a Redis. "
	    "Those of a worker that died count for store.lease. 0: no "
	    "limit."),
	NUMBER("limits.tenant_viewers", SETTING_INT, limits_tenant_viewers, "0",
	    0, 1000 * 1000, "The same for all users of a tenant."),
	NUMBER("limits.turns", SETTING_INT, limits_turns, "4096", 1, 65535,
	    "Running turns of a worker. What is accepted beyond waits in the "
	    "queue."),
	NUMBER("limits.turns_per_user", SETTING_INT, limits_turns_per_user,
	    "16", 0, 65535,
	    "Turns of a user that run or wait for room, in all pools that "
	    "share a Redis; without those of sub-agents. What goes on after "
	    "a wait for a human, or after a crash, is not refused. 0: no "
	    "limit."),
	NUMBER("limits.tenant_turns", SETTING_INT, limits_tenant_turns, "0", 0,
	    1000 * 1000, "The same for all users of a tenant."),
	NUMBER("limits.queue", SETTING_INT, limits_queue, "1000", 0,
	    1000 * 1000,
	    "Agents that may wait because no worker has room for their turn. "
	    "They are kept in Redis, for all pools that share it, and taken "
	    "up in rounds, one agent of each user. When so many wait, new "
	    "messages get 503 with Retry-After. 0: none waits."),
	NUMBER("limits.queue_age", SETTING_TIME, limits_queue_age_ms, "60s",
	    100, HOUR_MS,
	    "When one of them has waited for so long, new messages get 503 "
	    "too. Those that wait are answered, however long it takes."),
	RATE("limits.requests", limits_requests, "60/1m",
	    "Requests of a user, counted in Redis for all pools that share "
	    "it. COUNT/TIME: so many at once, and one more with each COUNTth "
	    "part of TIME. With burst= behind it so many at once instead "
	    "(60/1m burst=10). 0 or off: no limit. What is more gets 429 "
	    "with Retry-After. nginx's limits stand before these."),
	RATE("limits.chats", limits_chats, "20/1m",
	    "The same for messages: POST chat and POST messages. They count "
	    "as requests too."),
	RATE("limits.tenant_requests", limits_tenant_requests, "off",
	    "The same for the requests of all users of a tenant, see "
	    "jwt.tenant_claim."),
	RATE("limits.tenant_chats", limits_tenant_chats, "off",
	    "The same for the messages of all users of a tenant."),
};

const size_t settings_count = sizeof(settings) / sizeof(settings[0]);
